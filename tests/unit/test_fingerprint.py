"""Fingerprints and the key files under them."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import Secret, state_file
from reconciler.secrets.fingerprint import Fingerprinter, derive_key, load_or_create_key

POSIX = pytest.mark.skipif(os.name != "posix", reason="only on POSIX: modes and owners")


def test_forms():
    maker = Fingerprinter(b"k" * 32)
    assert re.fullmatch("[0-9a-f]{12}", maker.fingerprint(Secret("a")))
    assert re.fullmatch("[0-9a-f]{16}", maker.digest("a"))
    assert re.fullmatch("[0-9a-f]{4}", maker.key_id)


def test_same_value_same_fingerprint_under_one_key_only():
    one, two = Fingerprinter(b"1" * 32), Fingerprinter(b"2" * 32)
    assert one.fingerprint(Secret("a")) == Fingerprinter(b"1" * 32).fingerprint(Secret("a"))
    assert one.fingerprint(Secret("a")) != one.fingerprint(Secret("b"))
    assert one.fingerprint(Secret("a")) != two.fingerprint(Secret("a"))
    assert one.key_id != two.key_id


def test_purposes_do_not_mix():
    maker = Fingerprinter(b"1" * 32)
    assert not maker.digest("a").startswith(maker.fingerprint(Secret("a")))


def test_the_key_does_not_show():
    maker = Fingerprinter(b"topsecret" * 4)
    assert "topsecret" not in repr(maker) + repr([getattr(maker, n) for n in dir(maker)])


def test_a_shared_key_is_hkdf():
    expected = HKDF(SHA256(), 32, salt=b"byok", info=b"fingerprint key").derive(b"shared")
    assert derive_key(Secret("shared")) == expected


def test_the_key_is_made_once(tmp_path):
    folder = tmp_path / "a" / "state"
    key = load_or_create_key(folder)
    assert len(key) == 32
    assert load_or_create_key(folder) == key
    assert [path.name for path in folder.iterdir()] == ["fingerprint.key"]


@POSIX
def test_modes(tmp_path):
    folder = tmp_path / "state"
    load_or_create_key(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "fingerprint.key").stat().st_mode) == 0o600


def test_many_makers_agree(tmp_path):
    keys, start = [], threading.Barrier(8)

    def make():
        start.wait()
        keys.append(load_or_create_key(tmp_path / "state"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["fingerprint.key"]


def test_without_hard_links_it_is_still_made_once(tmp_path, monkeypatch):
    def no_links(*_args, **_kwargs):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    assert load_or_create_key(tmp_path / "s") == load_or_create_key(tmp_path / "s")
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["fingerprint.key"]


def refused(folder):
    with pytest.raises(SecretError) as caught:
        load_or_create_key(folder)
    assert caught.value.kind is SecretProblem.REFUSED
    return str(caught.value)


@POSIX
def test_odd_key_files_are_refused(tmp_path):
    folder = tmp_path / "state"
    load_or_create_key(folder)
    path = folder / "fingerprint.key"
    path.chmod(0o640)
    assert "0640" in refused(folder)
    path.chmod(0o600)
    path.write_bytes(b"short")
    assert "5 bytes instead of 32" in refused(folder)
    path.rename(folder / "elsewhere")
    path.symlink_to("elsewhere")
    assert "symlink" in refused(folder)
    path.unlink()
    path.symlink_to("nowhere")
    refused(folder)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert "regular" in refused(folder)
    path.unlink()
    path.mkdir()
    assert "regular" in refused(folder)


@POSIX
def test_a_folder_others_may_write_to_is_refused(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o770)
    assert "others may write" in refused(folder)


@POSIX
def test_files_of_others_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "state"
    load_or_create_key(folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "another user" in refused(folder)
    (folder / "fingerprint.key").unlink()
    assert "another user" in refused(folder)


def test_a_read_only_file_system_is_refused_with_its_way_out(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(state_file, "_write", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(SecretError) as raised:
        state_file.load_or_create(tmp_path, "x.key", 4, lambda: b"1234")
    assert raised.value.what == "it cannot be written"
    assert "--state-dir" in raised.value.way_out
