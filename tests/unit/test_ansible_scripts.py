"""The role's two scripts, which take a secret on stdin and say only whether something changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.collection import ROOT

FILES = ROOT / "ansible/roles/cursor_byok/files"
IDENTITY = "AGE-SECRET-" + "KEY-1" + "Q" * 58

pytestmark = pytest.mark.skipif(os.name == "nt", reason="only on POSIX: Ansible's targets")

BACKEND = """
import json, os
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Backend(KeyringBackend):
    priority = 9
    file = os.environ["HELD"]

    def held(self):
        return json.load(open(self.file)) if os.path.exists(self.file) else {}

    def get_password(self, service, user):
        if os.environ.get("LOCKED"):
            raise KeyringLocked("no")
        return self.held().get(service + "/" + user)

    def set_password(self, service, user, value):
        if not os.environ.get("FORGETS"):
            json.dump({**self.held(), service + "/" + user: value}, open(self.file, "w"))
"""


def run(name, *words, stdin, **env):
    return subprocess.run(
        [sys.executable, str(FILES / name), *words],
        input=stdin,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_identity_is_added_once_privately_and_what_stood_there_stays(tmp_path):
    path = tmp_path / "sops/age/keys.txt"
    first = run("age_identity.py", str(path), stdin=f"# a comment\n{IDENTITY}\n")
    assert (first.returncode, first.stdout, first.stderr) == (0, "changed\n", "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert run("age_identity.py", str(path), stdin=IDENTITY).stdout == ""
    path.write_text("# mine, without an end of line")
    path.chmod(0o644)
    assert run("age_identity.py", str(path), stdin=IDENTITY).stdout == "changed\n"
    assert path.read_text() == f"# mine, without an end of line\n{IDENTITY}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    assert run("age_identity.py", str(path), stdin=IDENTITY).stdout == "changed\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.parent.iterdir()) == [path]


def test_an_identity_that_cannot_be_written_is_told_without_it(tmp_path):
    (tmp_path / "file").touch()
    done = run("age_identity.py", str(tmp_path / "file/keys.txt"), stdin=IDENTITY)
    assert done.returncode == 1
    assert done.stderr.startswith(f"byok: {tmp_path}/file/keys.txt: ")
    assert IDENTITY not in done.stderr


def test_no_half_of_an_identity_stays_when_the_disk_is_full(tmp_path):
    small = (
        "import resource, sys, runpy; sys.argv = sys.argv[1:]; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)); "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    path = tmp_path / "sops/age/keys.txt"
    done = subprocess.run(
        [sys.executable, "-c", small, str(FILES / "age_identity.py"), str(path)],
        input=IDENTITY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"byok: {path}: File too large\n")
    assert list(path.parent.iterdir()) == []


@pytest.fixture
def ring(tmp_path):
    (tmp_path / "rig_keyring.py").write_text(BACKEND)
    env = {
        "PYTHON_KEYRING_BACKEND": "rig_keyring.Backend",
        "HELD": str(tmp_path / "held"),
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "XDG_RUNTIME_DIR": "",
    }

    def ask(stdin, **more):
        return run("keyring_entries.py", stdin=json.dumps(stdin), **env, **more)

    return ask


def test_keys_are_put_into_the_keyring_once(ring, tmp_path):
    value = "key-" + "canary-" * 4
    entries = [{"service": "byok", "user": name, "value": value} for name in ("openai", "google")]
    first = ring(entries)
    assert (first.returncode, first.stdout) == (0, "changed\n"), first.stderr
    assert json.loads((tmp_path / "held").read_text()) == {
        "byok/openai": value,
        "byok/google": value,
    }
    assert ring(entries).stdout == ""


@pytest.mark.parametrize(
    ("env", "words"), [({"LOCKED": "1"}, "locked"), ({"FORGETS": "1"}, "did not give back")]
)
def test_a_keyring_that_does_not_answer_is_told_without_the_key(ring, env, words):
    value = "key-" + "canary-" * 4
    done = ring([{"service": "byok", "user": "openai", "value": value}], **env)
    assert done.returncode == 1
    assert done.stderr.startswith("byok: keyring://byok/openai: ")
    assert words in done.stderr
    assert value not in done.stderr + done.stdout


def test_entries_of_another_form_are_refused(ring):
    assert "each entry needs service, user and value" in ring({"byok": "x"}).stderr
