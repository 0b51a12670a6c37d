"""The vault: which reference wins, what is read how often, and what a moved value does."""

from __future__ import annotations

import threading

import pytest

from reconciler.errors import SecretError, SecretProblem, StalePlan
from reconciler.model import Address, Sealed
from reconciler.secrets import Secret
from reconciler.secrets.fingerprint import Fingerprinter
from reconciler.secrets.reader import Reader
from reconciler.secrets.vault import Vault

ENC = "ENC[AES256_GCM,data:Zm9v,iv:Zm9v,tag:Zm9v,type:str]"
FILE = f"openai:\n  key: {ENC}\n  plain: x\nsops:\n  age:\n    - recipient: age1x\n      enc: x\n"
KEY = Fingerprinter(b"k" * 32)
VERSION = KEY.digest(f"sops://a.yaml#/openai/key\n{ENC}")


def no_keep(*_):
    raise AssertionError("nothing is replaced here")


def no_snapshot(_):
    raise AssertionError("no copy is asked for here")


@pytest.fixture
def make(tmp_path):
    def make(**given):
        of_vault = {"versions": {}, "cells": {}, "keep": no_keep}
        own = {name: given.pop(name, value) for name, value in of_vault.items()}
        reader = given.pop("reader", None) or Reader(
            folder=tmp_path, **{"snapshot": no_snapshot} | given
        )
        return Vault(fingerprinter=KEY, reader=reader, **own)

    return make


@pytest.fixture
def values(monkeypatch):
    monkeypatch.setenv("BYOK_A", "value-a")
    monkeypatch.setenv("BYOK_B", "value-b")
    monkeypatch.delenv("BYOK_NONE", raising=False)


@pytest.mark.usefixtures("values")
class TestSealing:
    def test_the_first_that_exists_wins(self, make):
        sealed = make().seal(["env://BYOK_NONE", "ref+env://BYOK_B", "env://BYOK_A"])
        assert sealed == Sealed(KEY.fingerprint(Secret("value-b")))
        assert sealed.ref == "env://BYOK_B"

    def test_none_exists(self, make):
        with pytest.raises(SecretError) as caught:
            make().seal(["env://BYOK_NONE", "file://none.txt", "sops://none.yaml#/a"])
        assert caught.value.kind is SecretProblem.NO_ITEM
        for name in ("env://BYOK_NONE", "file://none.txt", "sops://none.yaml"):
            assert name in str(caught.value)

    def test_one_that_does_not_exist_speaks_for_itself(self, make):
        with pytest.raises(SecretError, match="BYOK_NONE is not set") as caught:
            make().seal(["env://BYOK_NONE"])
        assert caught.value.kind is SecretProblem.NO_ITEM

    def test_no_reference(self, make):
        with pytest.raises(SecretError) as caught:
            make().seal([])
        assert caught.value.kind is SecretProblem.NO_ITEM

    def test_only_no_such_item_moves_on(self, make, tmp_path):
        (tmp_path / "open.txt").write_text("x")
        (tmp_path / "open.txt").chmod(0o644)
        for bad in ("file://open.txt", "exec://echo x", "nonsense://x", "file://../x"):
            with pytest.raises(SecretError) as caught:
                make().seal([bad, "env://BYOK_A"])
            assert caught.value.kind is SecretProblem.REFUSED

    def test_copies_cannot_be_named_in_a_manifest(self, make):
        with pytest.raises(SecretError, match="cannot be used in a manifest"):
            make().seal(["snapshot://1"])


@pytest.mark.usefixtures("values")
class TestRevealing:
    def test_there_and_back(self, make):
        vault = make()
        assert vault.reveal(vault.seal(["env://BYOK_A"])).expose() == "value-a"

    def test_a_moved_value_is_stale(self, make, monkeypatch):
        sealed = make().seal(["env://BYOK_A"])
        monkeypatch.setenv("BYOK_A", "value-c")
        with pytest.raises(StalePlan) as caught:
            make().reveal(sealed)
        assert caught.value.moved == ("env://BYOK_A",)
        assert "value-" not in str(caught.value)

    def test_within_a_run_a_value_does_not_move(self, make, monkeypatch):
        vault = make()
        sealed = vault.seal(["env://BYOK_A"])
        monkeypatch.setenv("BYOK_A", "value-c")
        assert vault.reveal(sealed).expose() == "value-a"

    def test_a_copy(self, make):
        asked = []

        def snapshot(number):
            asked.append(number)
            return Secret("old")

        sealed = Sealed(KEY.fingerprint(Secret("old")), "snapshot://17")
        assert make(snapshot=snapshot).reveal(sealed).expose() == "old"
        assert asked == ["17"]

    def test_without_a_reference(self, make):
        with pytest.raises(SecretError):
            make().reveal(Sealed("0" * 12))


def test_keep_and_recall(make):
    kept = []

    def keep(*given):
        kept.append(given)
        return "snapshot://1"

    vault, address = make(keep=keep, cells={"d": "f"}), Address("cursor", "provider", "openai")
    secret = Secret("x")
    assert vault.keep(address, "key", secret) == "snapshot://1"
    assert kept[0][:2] == (address, "key")
    assert kept[0][2] is secret
    assert (vault.recall("d"), vault.recall("e")) == ("f", None)


class TestVersions:
    """`binary` and `decrypt` are cut off: what is asked of them is the point."""

    @pytest.fixture(autouse=True)
    def _no_sops(self, monkeypatch, tmp_path):
        self.runs = []

        def decrypt(file, where, **_):
            self.runs.append(where)
            return {"/openai/key": Secret("value-s")}

        monkeypatch.setattr("reconciler.secrets.sops.binary", lambda _=0: "sops")
        monkeypatch.setattr("reconciler.secrets.sops.decrypt", decrypt)
        (tmp_path / "a.yaml").write_text(FILE)

    def test_a_recorded_version_needs_no_decryption(self, make):
        version = make().version_of("sops://a.yaml#/openai/key")
        assert version == VERSION
        sealed = make(versions={version: "f" * 12}).seal(["sops://a.yaml#/openai/key"])
        assert sealed == Sealed("f" * 12)
        assert not self.runs

    def test_another_version_does(self, make):
        sealed = make(versions={"0" * 16: "f" * 12}).seal(["sops://a.yaml#/openai/key"])
        assert sealed == Sealed(KEY.fingerprint(Secret("value-s")))
        assert self.runs == ["sops://a.yaml"]

    def test_a_wrong_record_is_found_out_on_revealing(self, make):
        vault = make(versions={VERSION: "f" * 12})
        with pytest.raises(StalePlan):
            vault.reveal(vault.seal(["sops://a.yaml#/openai/key"]))

    def test_a_version_is_of_its_place(self, make, tmp_path):
        (tmp_path / "b.yaml").write_text(FILE)
        sealed = make(versions={VERSION: "f" * 12}).seal(["sops://b.yaml#/openai/key"])
        assert sealed != Sealed("f" * 12)

    def test_versions_of_others(self, make, monkeypatch):
        monkeypatch.setenv("BYOK_A", "x")
        for ref in (
            "env://BYOK_A",
            "",
            "nonsense",
            "sops://a.yaml#/x",
            "sops://none.yaml#/x",
            "sops://a.yaml#/openai/plain",
            "sops://../a.yaml#/x",
        ):
            assert make().version_of(ref) is None
        assert not self.runs

    def test_kinds(self, make):
        for pointer, kind in (
            ("/x", "NO_ITEM"),
            ("/openai/plain", "UNUSABLE"),
            ("/openai", "UNUSABLE"),
        ):
            with pytest.raises(SecretError) as caught:
                make().seal([f"sops://a.yaml#{pointer}"])
            assert caught.value.kind is SecretProblem[kind]
        assert not self.runs

    def test_refused_metadata_is_refused_even_where_nothing_needs_decrypting(self, make, tmp_path):
        evil = FILE + "  hc_vault:\n    - vault_address: https://evil.example\n      enc: x\n"
        (tmp_path / "a.yaml").write_text(evil)
        with pytest.raises(SecretError, match=r"evil\.example") as caught:
            make(versions={VERSION: "f" * 12}).seal(["sops://a.yaml#/openai/key"])
        assert caught.value.kind is SecretProblem.REFUSED

    def test_one_decryption_however_many_ask(self, make, tmp_path):
        (tmp_path / "b.yaml").symlink_to("a.yaml")
        vault, start = make(), threading.Barrier(8)

        def ask(name):
            start.wait()
            vault.seal([f"sops://{name}#/openai/key"])

        names = ["a.yaml", "b.yaml", "./a.yaml", "a.yaml"] * 2
        threads = [threading.Thread(target=ask, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(self.runs) == 1

    def test_vaults_can_share_a_reader(self, make, tmp_path):
        reader = Reader(folder=tmp_path, snapshot=no_snapshot)
        for _ in range(2):
            make(reader=reader).seal(["sops://a.yaml#/openai/key"])
        assert len(self.runs) == 1


def test_failures_are_remembered(make, tmp_path, monkeypatch):
    asked = []

    def read(name, where):
        asked.append(name)
        raise SecretError(SecretProblem.NO_ITEM, where, "x")

    monkeypatch.setattr("reconciler.secrets.env.read", read)
    vault = make()
    for _ in range(3):
        with pytest.raises(SecretError):
            vault.seal(["env://BYOK_A"])
    assert asked == ["BYOK_A"]


def test_warming_reads_in_parallel_and_keeps_failures(make, monkeypatch):
    together, asked = threading.Barrier(2, timeout=20), []

    def read(service, user, where, deadline):
        asked.append(user)
        together.wait()
        if user == "bad":
            raise SecretError(SecretProblem.LOCKED, where, "locked")
        return Secret(user)

    monkeypatch.setattr("reconciler.secrets.keyring_store.read", read)
    vault = make()
    vault.warm([["keyring://s/good"], ["keyring://s/bad"], ["keyring://s/good"]])
    assert vault.seal(["keyring://s/good"]) == Sealed(KEY.fingerprint(Secret("good")))
    with pytest.raises(SecretError) as caught:
        vault.seal(["keyring://s/bad", "env://PATH"])
    assert caught.value.kind is SecretProblem.LOCKED
    assert sorted(asked) == ["bad", "good"]


def test_warming_nothing(make):
    make().warm([])
    make().warm([[], ["nonsense"]])
