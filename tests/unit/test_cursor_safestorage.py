"""Cells: both directions, every platform's cipher, and strict about what is not one."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, strategies as st

from reconciler.secrets import Secret
from reconciler.systems.cursor import keysource
from reconciler.systems.cursor.keysource import Keychain, LocalState, SecretService, arguments
from reconciler.systems.cursor.safestorage import (
    MACOS_ROUNDS,
    Cipher,
    Mode,
    Unreadable,
    cleared,
    contents,
    derive,
    envelope,
    prove,
    seal,
    unseal,
)
from tests.cursor_editor import Keyring, decrypt, encrypt


class Only:
    def __init__(self, *ciphers, writable=True):
        self.found, self._writable = ciphers, writable

    def ciphers(self, prefix):
        return [c for c in self.found if c.prefix == prefix]

    def writable(self, prefix):
        return self._writable


GCM = Cipher("v10", Mode.GCM, b"k" * 32)
MAC = derive("v10", b"mac password", MACOS_ROUNDS)
V11 = derive("v11", b"keyring-secret", 1)
V10 = derive("v10", b"peanuts", 1)


@given(
    st.text(min_size=1, max_size=80).filter(str.isprintable), st.sampled_from([GCM, MAC, V11, V10])
)
def test_what_is_sealed_opens_to_the_same(text, cipher):
    opened, by = unseal(seal(Secret(text), cipher), Only(cipher))
    assert opened.expose() == text
    assert by is cipher


def test_fixed_bytes_of_the_basic_cipher():
    """The same value gives the same bytes on every machine (Chromium on Linux, no keyring)."""
    cell = seal(Secret("from-python"), V10)
    assert cell == encrypt(b"v10", b"peanuts", "from-python")
    assert cell.startswith('{"type":"Buffer","data":[118,49,48,')
    assert decrypt(b"v10", b"", cell) == "from-python"


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "plain",
        "[]",
        '"djEw"',
        '{"data":"djEw"}',
        '{"data":[256]}',
        '{"data":[-1]}',
        '{"data":[1.0]}',
        '{"data":[true]}',
        '{"type":"Other","data":[118,49,48]}',
        '{"type":"Buffer","data":[118],"x":1}',
    ],
)
def test_other_envelopes_are_unreadable(cell):
    with pytest.raises(Unreadable, match="unknown form"):
        contents(cell)
    assert not cleared(cell)


def test_an_empty_envelope_is_cleared():
    assert cleared('{"type":"Buffer","data":[]}')


@pytest.mark.parametrize("head", [b"v12", b"v20", b"abc", b"v1"])
def test_unknown_prefixes_are_set_and_unreadable(head):
    with pytest.raises(Unreadable, match="set, unreadable: unknown prefix"):
        unseal(envelope(head + b"x" * 32), Keyring())


def test_wrong_keys_and_damage_are_noticed():
    for cell in (
        seal(Secret("k"), V11),
        envelope(b"v11" + b"x" * 15),
        envelope(b"v11"),
    ):
        with pytest.raises(Unreadable):
            unseal(cell, Keyring(b"another"))
    damaged = contents(seal(Secret("key"), GCM))[:-1] + b"\x00"
    with pytest.raises(Unreadable):
        unseal(envelope(damaged), Only(GCM))


def test_every_byte_of_the_padding_counts():
    from tests.cursor_editor import _aes

    step = _aes(b"keyring-secret").encryptor()
    data = step.update(b"printable-abc" + b"xy\x03") + step.finalize()
    with pytest.raises(Unreadable):
        unseal(envelope(b"v11" + data), Only(V11))


def test_padding_that_fits_by_chance_is_not_enough():
    """CBC has no authentication: of 256 wrong keys one passes the padding alone."""
    cell = seal(Secret("sk-made-up-for-a-test"), V11)
    for number in range(1500):
        with pytest.raises(Unreadable):
            unseal(cell, Keyring(str(number).encode()))


def test_proof_needs_a_cell_that_opens_and_that_cursor_can_read():
    ours, theirs = seal(Secret("a"), V11), seal(Secret("b"), derive("v11", b"other", 1))
    assert prove([theirs, "junk", ours], Only(V11)) == V11
    assert prove([theirs, "junk"], Only(V11)) is None
    assert prove([], Only(V11)) is None
    assert prove([ours], Only(V11, writable=False)) is None
    empty = derive("v11", b"", 1, legacy=True)
    assert prove([seal(Secret("a"), empty)], Only(empty)) is None


def test_keys_are_not_in_a_repr():
    assert "peanuts" not in repr(V10)
    assert str(V10.key) not in repr(V10)


def test_macos_asks_for_both_accounts():
    asked = []

    def output(command):
        asked.append(command[-1])
        return b"mac password" if command[-1] == "Cursor" else None

    source = Keychain({}, output)
    assert source.ciphers("v10") == [MAC]
    assert source.ciphers("v11") == []
    assert asked == ["Cursor Key", "Cursor"]
    with pytest.raises(Unreadable, match="keychain"):
        Keychain({}, lambda _: None).ciphers("v10")


def test_windows_unwraps_the_key_of_local_state(tmp_path):
    path = tmp_path / "Local State"
    wrapped = base64.b64encode(b"DPAPI" + b"K" * 32).decode()
    path.write_text(json.dumps({"os_crypt": {"encrypted_key": wrapped}}))
    source = LocalState(path, {}, bytes.lower)
    assert source.ciphers("v10") == [GCM]
    for text in (
        "",
        "{}",
        '{"os_crypt":{"encrypted_key":"RFBBUEk="}}',
        '{"os_crypt":{"encrypted_key":"eA=="}}',
    ):
        path.write_text(text)
        with pytest.raises(Unreadable, match="Local State"):
            LocalState(path, {}, bytes.lower).ciphers("v10")


def test_linux_basic_needs_no_keyring_and_forbids_v11(monkeypatch):
    monkeypatch.setattr(keysource, "_from_secret_service", lambda: pytest.fail("asked"))
    source = SecretService({"password-store": "basic"})
    assert source.ciphers("v10")[0] == V10
    assert source.writable("v10")
    assert not source.writable("v11")
    assert not SecretService({"use-inmemory-secretstorage": True}).writable("v10")


def test_linux_keyring_by_its_service_or_kwallet(monkeypatch):
    monkeypatch.setattr(keysource, "_from_kwallet", lambda: b"keyring-secret")
    monkeypatch.setattr(keysource, "_from_secret_service", lambda: None)
    assert SecretService({}).ciphers("v11")[0] == V11
    monkeypatch.setattr(keysource, "_from_kwallet", lambda: None)
    with pytest.raises(Unreadable, match="no key of Cursor"):
        SecretService({}).ciphers("v11")

    def locked():
        raise Unreadable("the keyring is locked", locked=True)

    monkeypatch.setattr(keysource, "_from_secret_service", locked)
    with pytest.raises(Unreadable, match="locked"):
        SecretService({}).ciphers("v11")


def test_a_bus_that_hangs_is_given_up(monkeypatch):
    import threading

    monkeypatch.setattr(keysource, "DEADLINE", 0.01)
    monkeypatch.setattr(keysource, "_from_kwallet", lambda: None)
    forever = threading.Event()
    monkeypatch.setattr(keysource, "_from_secret_service", lambda: forever.wait(30))
    with pytest.raises(Unreadable, match="does not answer"):
        SecretService({}).ciphers("v11")
    forever.set()


def test_argv_json_has_comments(tmp_path):
    path = tmp_path / "argv.json"
    assert arguments(path) == {}
    path.write_text('// c\n{ /* "a" */ "password-store": "basic", "u": "http://x/*y*/", }\n')
    assert arguments(path) == {"password-store": "basic", "u": "http://x/*y*/"}
    path.write_text("[]")
    assert arguments(path) == {}
