"""Copies of replaced keys, and where their key is kept; the keyring is one made for the test."""

from __future__ import annotations

import stat

import keyring
import keyring.backend
import keyring.errors
import pytest
from keyring.backends import fail, null

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import Secret
from reconciler.secrets.snapshot import open_copy, open_kept, seal_copy, snapshot_key

CANARY = "canary-" + "7" * 20


class Memory(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self):
        super().__init__()
        self.items, self.locked, self.forgetful = {}, False, False

    def get_password(self, service, username):
        if self.locked:
            raise keyring.errors.KeyringLocked("x")
        return self.items.get((service, username))

    def set_password(self, service, username, password):
        if not self.forgetful:
            self.items[service, username] = password

    def delete_password(self, service, username):
        del self.items[service, username]


@pytest.fixture
def use(monkeypatch):
    def use(backend):
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
        return backend

    return use


def test_there_and_back():
    blob = seal_copy(Secret(CANARY), b"k" * 32)
    assert CANARY.encode() not in blob
    assert open_copy(blob, b"k" * 32).expose() == CANARY
    assert seal_copy(Secret(CANARY), b"k" * 32) != blob


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b[:-2],
        lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:],
        lambda _: b"",
        lambda b: b[9:],
    ],
)
def test_damage_is_told(spoil):
    blob = seal_copy(Secret(CANARY), b"k" * 32)
    with pytest.raises(SecretError) as caught:
        open_copy(spoil(blob), b"k" * 32)
    assert caught.value.kind is SecretProblem.NOT_DECRYPTABLE


def test_another_key_is_told():
    with pytest.raises(SecretError, match="another key"):
        open_copy(seal_copy(Secret(CANARY), b"k" * 32), b"l" * 32)


def test_the_keyring_is_preferred(use, tmp_path):
    backend = use(Memory())
    key, where = snapshot_key(tmp_path, create=True)
    assert "keyring" in where
    assert len(key) == 32
    assert not list(tmp_path.iterdir())
    ((service, user),) = backend.items
    assert service == "byok"
    assert user.startswith("snapshot-key:")
    assert snapshot_key(tmp_path, create=False)[0] == key
    assert snapshot_key(tmp_path, create=True)[0] == key


def test_two_state_directories_have_two_keys(use, tmp_path):
    use(Memory())
    keys = [snapshot_key(tmp_path / name, create=True)[0] for name in "ab"]
    assert keys[0] != keys[1]


def forgetful():
    backend = Memory()
    backend.forgetful = True
    return backend


def locked():
    backend = Memory()
    backend.locked = True
    return backend


@pytest.mark.parametrize("backend", [forgetful, locked, fail.Keyring, null.Keyring])
def test_else_a_file_and_that_is_said(use, tmp_path, backend):
    use(backend())
    key, where = snapshot_key(tmp_path, create=True)
    path = tmp_path / "snapshot.key"
    assert str(path) in where
    assert path.read_bytes() == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    use(Memory())
    assert snapshot_key(tmp_path, create=True)[0] == key
    assert str(path) in snapshot_key(tmp_path, create=False)[1]


def test_reading_makes_nothing(use, tmp_path):
    use(Memory())
    with pytest.raises(SecretError) as caught:
        snapshot_key(tmp_path, create=False)
    assert caught.value.kind is SecretProblem.NO_ITEM
    assert not list(tmp_path.iterdir())


def test_copies_of_both_times_open_after_the_keyring_was_locked_once(use, tmp_path):
    backend = use(Memory())
    first = seal_copy(Secret("first"), snapshot_key(tmp_path, create=True)[0])
    backend.locked = True
    second = seal_copy(Secret("second"), snapshot_key(tmp_path, create=True)[0])
    assert open_kept(second, tmp_path).expose() == "second"
    with pytest.raises(SecretError) as caught:
        open_kept(first, tmp_path)
    assert caught.value.kind is SecretProblem.LOCKED
    backend.locked = False
    assert open_kept(first, tmp_path).expose() == "first"
