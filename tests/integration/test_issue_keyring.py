"""A person's key into the real GNOME Keyring: delivered and read back, never over another value."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rotating import prepare
from tests.secret_service import LOCKED, UNLOCKED, plain_bus
from tests.simulators.world import world

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: the Secret Service"),
    pytest.mark.skipif(
        shutil.which("dbus-run-session") is None, reason="needs dbus-run-session (package dbus)"
    ),
    pytest.mark.skipif(
        shutil.which("gnome-keyring-daemon") is None, reason="needs gnome-keyring-daemon"
    ),
]
pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")

ROOT = Path(__file__).parents[2]
TO = "keyring://byok/alice"
READ = """
import hashlib, keyring
found = keyring.get_password("byok", "alice")
print(hashlib.sha256(found.encode()).hexdigest() if found else "nothing")
"""


class Rig:
    """A sandbox with accounts, and a home with a keyring; each run has a session of its own."""

    def __init__(self, here, folder):
        self.here, self.box = here, here.sandbox(folder / "box")
        self.home = folder / "home"
        (self.home / "run").mkdir(parents=True)
        (self.home / "run").chmod(0o700)
        self.bus = plain_bus(folder)

    def __call__(self, daemon, *argv):
        """Run a program beside a keyring daemon; return its exit code, output and messages."""
        gone = ("DBUS", "XDG", "DISPLAY", "WAYLAND", "PYTHON_KEYRING", "SSH", "GNOME")
        env = {name: text for name, text in os.environ.items() if not name.startswith(gone)}
        env |= {**self.box.environment, "HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        env |= {"XDG_RUNTIME_DIR": str(self.home / "run")}
        env.pop("PYTHON_KEYRING_BACKEND", None)
        shell = ["sh", "-c", f'{daemon}; exec "$@"', "sh", sys.executable, *argv]
        session = ["dbus-run-session", "--config-file", str(self.bus), "--", *shell]
        done = subprocess.run(
            session,
            cwd=self.box.manifest.parent,
            env=env,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def issue(self, daemon, *more):
        secure = self.here.base.replace("http:", "https:")
        approved = ("--allow-origin", self.here.base, "--allow-origin", secure)
        said = ("--for", "alice", "--provider", "openai", "--to", TO, "--yes", "--json")
        return self(daemon, "-m", "reconciler", "issue", *said, *approved, *more)

    def live(self):
        known = self.here.openai
        rows = [row for rows in known.api_keys.values() for row in rows]
        owned = [row for row in rows if row["owner"]["type"] == "service_account"]
        return [known.values[row["id"]] for row in owned]


@pytest.fixture
def rig(tmp_path):
    with world() as here:
        prepare(here)
        yield Rig(here, tmp_path)


def digest(value):
    return hashlib.sha256(value.encode()).hexdigest()


def test_a_persons_key_goes_into_the_keyring_and_never_over_another(rig):
    code, out, err = rig.issue(UNLOCKED)
    assert code == 0, err
    assert json.loads(out)["refs"] == {"key": TO}
    (value,) = rig.live()
    assert rig(UNLOCKED, "-c", READ)[1].strip() == digest(value)
    assert value not in out + err
    code, _, err = rig.issue(UNLOCKED, "--another")
    assert code == 8
    assert "holds a value already" in err
    assert rig.live() == [value]


def test_a_locked_keyring_is_told_before_a_key_is_made(rig):
    assert rig.issue(UNLOCKED, "--to", "keyring://byok/bob")[0] == 0
    made = rig.live()
    code, _, err = rig.issue(LOCKED, "--another")
    assert code == 4
    assert "locked" in err
    assert rig.live() == made
