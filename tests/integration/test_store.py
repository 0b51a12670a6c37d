"""New keys into their stores: the real sops on a copy, private files, and what is refused."""

from __future__ import annotations

import os
import shutil

import pytest

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import Secret, sops, sops_writer, store as stores
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import parse

pytestmark = pytest.mark.integration

pyrage = pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")

NEW, OLD, OTHER = ("sk-" + "canary-new-" * 3, "sk-" + "canary-old-" * 3, "AIza" + "x" * 35)
REF = "sops://secrets/team.enc.yaml#/openai/key"

try:
    sops.binary()
except SecretError:
    pytest.skip("needs the Go sops", allow_module_level=True)


@pytest.fixture
def team(tmp_path, monkeypatch):
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "age.txt").write_text(str(identity))
    (tmp_path / "age.txt").chmod(0o600)
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(tmp_path / "age.txt"))
    path = tmp_path / "secrets" / "team.enc.yaml"
    stores.create(path, [str(identity.to_public())])
    stores.store(
        {REF: Secret(OLD), "sops://secrets/team.enc.yaml#/google/key": Secret(OTHER)},
        folder=tmp_path,
    )
    return tmp_path


def read(folder, ref=REF):
    reader = Reader(folder=folder, snapshot=lambda _: Secret(""))
    return reader.read(parse(ref)).expose()


def test_a_new_value_stands_where_the_old_one_stood_and_all_else_as_it_was(team):
    path = team / "secrets" / "team.enc.yaml"
    path.chmod(0o640)
    stores.store({REF: Secret(NEW)}, folder=team)
    assert read(team) == NEW
    assert read(team, "sops://secrets/team.enc.yaml#/google/key") == OTHER
    assert [each.name for each in path.parent.iterdir()] == ["team.enc.yaml"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert NEW not in path.read_text()


def test_all_values_of_one_file_come_in_one_replacement(team):
    path = team / "secrets" / "team.enc.yaml"
    inode = path.stat().st_ino
    refs = [f"sops://secrets/team.enc.yaml#/bedrock/{part}" for part in ("id", "secret")]
    stores.store({ref: Secret(NEW + str(i)) for i, ref in enumerate(refs)}, folder=team)
    assert path.stat().st_ino != inode
    assert [read(team, ref) for ref in refs] == [NEW + "0", NEW + "1"]


def test_an_edit_that_sops_refuses_leaves_the_file_byte_for_byte(team, monkeypatch):
    path = team / "secrets" / "team.enc.yaml"
    before = path.read_bytes()
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(team / "no-such-file"))
    with pytest.raises(SecretError) as caught:
        stores.store({REF: Secret(NEW)}, folder=team)
    assert caught.value.kind is SecretProblem.NOT_DECRYPTABLE
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["team.enc.yaml"]


def test_a_value_the_file_would_keep_in_clear_text_is_refused(team):
    path = team / "secrets" / "team.enc.yaml"
    before = path.read_bytes()
    with pytest.raises(SecretError, match="clear text"):
        stores.store({f"{REF}_unencrypted": Secret(NEW)}, folder=team)
    assert path.read_bytes() == before


def test_a_tampered_file_is_not_written_to(team):
    path = team / "secrets" / "team.enc.yaml"
    text = path.read_text()
    path.write_text(text.replace("google:", "stolen:"))
    before = path.read_bytes()
    with pytest.raises(SecretError) as caught:
        stores.store({REF: Secret(NEW)}, folder=team)
    assert caught.value.kind is SecretProblem.NOT_DECRYPTABLE
    assert path.read_bytes() == before


def test_somebody_elses_edit_meanwhile_is_never_lost(team, monkeypatch):
    path, put = team / "secrets" / "team.enc.yaml", sops.put
    shutil.copy(path, team / "aside.yaml")

    def meanwhile(*args, **more):
        put(*args, **more)
        path.write_text(path.read_text() + "\n")

    monkeypatch.setattr(sops_writer.sops, "put", meanwhile)
    with pytest.raises(SecretError, match="meanwhile"):
        stores.store({REF: Secret(NEW)}, folder=team)
    assert read(team) == OLD


def test_a_copy_that_is_not_the_old_file_with_the_new_value_never_takes_its_place(
    team, monkeypatch
):
    def wrong(path, file, _keys, value, *rest):
        put(path, file, '["google"]["key"]', value, *rest)
        put(path, file, '["openai"]["key"]', value, *rest)

    put = sops.put
    monkeypatch.setattr(sops_writer.sops, "put", wrong)
    with pytest.raises(SecretError, match="did not write what it was given"):
        stores.store({REF: Secret(NEW)}, folder=team)
    assert read(team) == OLD
    assert read(team, "sops://secrets/team.enc.yaml#/google/key") == OTHER


def test_the_value_is_in_no_process_list(team, monkeypatch):
    seen = []
    run = sops.run

    def watched(argv, **more):
        seen.extend([*argv, *more["env"].values()])
        return run(argv, **more)

    monkeypatch.setattr(sops, "run", watched)
    stores.store({REF: Secret(NEW)}, folder=team)
    assert any("set" in word for word in seen)
    assert not any(NEW in word for word in seen)


def test_a_killed_runs_copy_is_swept_away_and_a_fresh_one_is_not(team):
    stale, fresh, foreign = (
        team / "secrets" / name
        for name in (".team.enc.0123456789ab.yaml", ".team.enc.0123456789cd.yaml", ".other.yaml")
    )
    for path in (stale, fresh, foreign):
        path.write_text("x")
    os.utime(stale, (0, 0))
    os.utime(foreign, (0, 0))
    stores.store({REF: Secret(NEW)}, folder=team)
    assert (stale.exists(), fresh.exists(), foreign.exists()) == (False, True, True)


@pytest.mark.parametrize("pointer", ["/sops/mac", "/a]b", '/a"b', "/"])
def test_a_path_that_sops_would_read_otherwise_is_refused(team, pointer):
    with pytest.raises(SecretError) as caught:
        stores.store({f"sops://secrets/team.enc.yaml#{pointer}": Secret(NEW)}, folder=team)
    assert caught.value.kind is SecretProblem.REFUSED


def test_a_file_is_private_and_written_whole(tmp_path):
    stores.store({"file://keys/openai": Secret(NEW)}, folder=tmp_path)
    path = tmp_path / "keys" / "openai"
    assert path.read_text() == NEW
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["openai"]


@pytest.mark.parametrize("ref", ["env://OPENAI", "op://a/b/c", "exec://pass openai"])
def test_what_cannot_be_written_is_known_before_and_refused(tmp_path, ref):
    assert ref in stores.unwritable(ref, tmp_path)
    with pytest.raises(SecretError) as caught:
        stores.store({ref: Secret(NEW)}, folder=tmp_path)
    assert caught.value.kind is SecretProblem.REFUSED


def test_nothing_is_written_outside_the_manifests_folder(tmp_path):
    with pytest.raises(SecretError, match="outside"):
        stores.store({"file://../key": Secret(NEW)}, folder=tmp_path)
    with pytest.raises(SecretError, match="outside"):
        stores.unwritable("sops://../x.yaml#/key", tmp_path)


def test_a_sops_file_that_is_not_there_is_told_before(tmp_path):
    assert "no such file" in stores.unwritable(REF, tmp_path)


def test_no_file_is_made_over_another(team):
    with pytest.raises(SecretError) as caught:
        stores.create(team / "secrets" / "team.enc.yaml", ["age1" + "q" * 58])
    assert caught.value.kind is SecretProblem.REFUSED
    assert read(team) == OLD


@pytest.mark.parametrize("pointer", ["/openai/key_unencrypted", "/fresh/a_unencrypted"])
def test_no_value_stands_in_clear_text_on_disk_for_a_moment(team, monkeypatch, pointer):
    seen, put = [], sops.put

    def watched(path, *args, **more):
        put(path, *args, **more)
        seen.append(path.read_text())

    monkeypatch.setattr(sops_writer.sops, "put", watched)
    with pytest.raises(SecretError, match="clear text"):
        stores.store({f"sops://secrets/team.enc.yaml#{pointer}": Secret(NEW)}, folder=team)
    assert seen
    assert not any(NEW in text for text in seen)


def test_a_new_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    identity = str(pyrage.x25519.Identity.generate().to_public())
    path = tmp_path / "secrets" / "team.enc.yaml"

    def kill(_number):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", kill)
        with pytest.raises(KeyboardInterrupt):
            stores.create(path, [identity])
    assert not path.exists()
    stores.create(path, [identity])
    assert "sops:" in path.read_text()


def test_a_new_file_is_made_where_there_are_no_links(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", none)
    identity = str(pyrage.x25519.Identity.generate().to_public())
    stores.create(tmp_path / "team.enc.yaml", [identity])
    with pytest.raises(SecretError, match="another file"):
        stores.create(tmp_path / "team.enc.yaml", [identity])
    assert [each.name for each in tmp_path.iterdir()] == ["team.enc.yaml"]


def test_a_killed_runs_copy_of_a_private_file_is_swept_away(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    stale, fresh = folder / ".openai.0123456789ab", folder / ".openai.0123456789cd"
    for path in (stale, fresh):
        path.write_text(OLD)
    os.utime(stale, (0, 0))
    stores.store({"file://keys/openai": Secret(NEW)}, folder=tmp_path)
    assert (stale.exists(), fresh.exists()) == (False, True)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only as root: gives files away"
)
@pytest.mark.parametrize("ref", [REF, "file://secrets/plain"])
def test_a_file_stays_its_owners(team, ref):
    path = team / "secrets" / ("plain" if ref.startswith("file") else "team.enc.yaml")
    stores.store({ref: Secret(OLD)}, folder=team)
    os.chown(path, 1234, 1235)
    stores.store({ref: Secret(NEW)}, folder=team)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


@pytest.mark.parametrize("ref", [REF, "file://secrets/plain"])
def test_the_disk_keeps_the_new_name_too(team, monkeypatch, ref):
    kept, fsync = [], os.fsync

    def watched(number):
        kept.append(os.fstat(number).st_ino)
        fsync(number)

    monkeypatch.setattr(os, "fsync", watched)
    stores.store({ref: Secret(NEW)}, folder=team)
    assert kept[-1] == (team / "secrets").stat().st_ino
