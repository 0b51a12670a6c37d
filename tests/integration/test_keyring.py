"""The real GNOME Keyring on a private D-Bus session: unlocked, locked, absent, switched off."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.secret_service import LOCKED, UNLOCKED, plain_bus

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: the Secret Service"),
]

BUS = pytest.mark.skipif(
    shutil.which("dbus-run-session") is None, reason="needs dbus-run-session (package dbus)"
)
DAEMON = pytest.mark.skipif(
    shutil.which("gnome-keyring-daemon") is None, reason="needs gnome-keyring-daemon"
)
ROOT = Path(__file__).parents[2]
CANARY = "key-" + "canary-" * 4

ABSENT = ":"

PROBE = """
import json, sys
from reconciler.errors import SecretError
from reconciler.secrets import Secret, keyring_store

def ask(call):
    try:
        found = call()
    except SecretError as error:
        return {"kind": error.kind.name, "text": str(error)}
    return {"value": found.expose() if isinstance(found, Secret) else found}

def write(user, value):
    keyring_store.write("byok-test", user, Secret(value), "keyring://byok-test/" + user, 20)

def read(user, deadline=20):
    return keyring_store.read("byok-test", user, "keyring://byok-test/" + user, deadline)

answers = []
for step, *given in json.loads(sys.argv[1]):
    answers.append(ask(lambda: {"write": write, "read": read}[step](*given)))
print(json.dumps(answers))
"""


@pytest.fixture
def ask(tmp_path):
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    (home / "run").chmod(0o700)
    gone = ("DBUS", "XDG", "DISPLAY", "WAYLAND", "PYTHON_KEYRING", "SSH", "GNOME")
    env = {name: text for name, text in os.environ.items() if not name.startswith(gone)}
    env |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "PYTHONPATH": str(ROOT)}

    def ask(daemon, *steps, bus=True, **more):
        python = [sys.executable, "-c", PROBE, json.dumps(steps)]
        shell = ["sh", "-c", f'{daemon}; exec "$@"', "sh", *python]
        argv = ["dbus-run-session", "--config-file", str(plain_bus(tmp_path)), "--", *shell]
        done = subprocess.run(
            argv if bus else python,
            env=env | more,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@BUS
@DAEMON
def test_unlocked(ask):
    wrote, found, other, umlaut_wrote, umlaut, lines_wrote, lines = ask(
        UNLOCKED,
        ("write", "openai", CANARY),
        ("read", "openai"),
        ("read", "nobody"),
        ("write", "odd", "schlüssel 🔑"),
        ("read", "odd"),
        ("write", "lines", CANARY + "\n"),
        ("read", "lines"),
    )
    assert (wrote, umlaut_wrote, lines_wrote) == ({"value": None},) * 3
    assert found == {"value": CANARY}
    assert umlaut == {"value": "schlüssel 🔑"}
    assert other["kind"] == "NO_ITEM"
    assert "keyring set byok-test nobody" in other["text"]
    assert lines["kind"] == "UNUSABLE"
    assert CANARY not in lines["text"]


@BUS
@DAEMON
def test_locked(ask):
    assert ask(UNLOCKED, ("write", "openai", CANARY)) == [{"value": None}]
    read, write = ask(LOCKED, ("read", "openai"), ("write", "openai", "x"))
    assert (read["kind"], write["kind"]) == ("LOCKED", "LOCKED")
    assert "unlock" in read["text"]
    assert ask(UNLOCKED, ("read", "openai")) == [{"value": CANARY}]


@BUS
def test_a_bus_without_a_keyring(ask):
    (read,) = ask(ABSENT, ("read", "openai"))
    assert read["kind"] == "NO_BACKEND"
    assert "keyrings.alt" not in read["text"]


def test_no_bus(ask):
    read, write = ask(ABSENT, ("read", "openai"), ("write", "a", "b"), bus=False)
    assert (read["kind"], write["kind"]) == ("NO_BACKEND", "NO_BACKEND")


def test_a_bus_that_never_answers(ask, tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        address = f"unix:path={tmp_path / 'silent'}"
        (read,) = ask(ABSENT, ("read", "a", 1), bus=False, DBUS_SESSION_BUS_ADDRESS=address)
    assert read["kind"] == "TIMED_OUT"


def test_the_null_backend_holds_nothing(ask):
    null = "keyring.backends.null.Keyring"
    read, write = ask(
        ABSENT, ("read", "a"), ("write", "a", CANARY), bus=False, PYTHON_KEYRING_BACKEND=null
    )
    assert read["kind"] == "NO_ITEM"
    assert write["kind"] == "NO_BACKEND"
    assert CANARY not in write["text"]


def test_a_backend_that_is_not_there(ask):
    (read,) = ask(ABSENT, ("read", "a"), bus=False, PYTHON_KEYRING_BACKEND="no.such.Backend")
    assert read["kind"] == "NO_BACKEND"


PLAINTEXT = """
from keyring.backend import KeyringBackend
class PlaintextKeyring(KeyringBackend):
    priority = {priority}
    def get_password(self, service, username):
        return "from-clear-text"
    def set_password(self, service, username, password):
        open("{leak}", "w").write(password)
    def delete_password(self, service, username):
        pass
"""


def test_clear_text_backends_are_never_used(ask, tmp_path):
    package = tmp_path / "site" / "keyrings" / "alt"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    leak = tmp_path / "leak"
    (package / "file.py").write_text(PLAINTEXT.format(priority=0.5, leak=leak))
    read, write = ask(
        ABSENT,
        ("read", "a"),
        ("write", "a", CANARY),
        bus=False,
        PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path / 'site'}",
        PYTHON_KEYRING_BACKEND="keyrings.alt.file.PlaintextKeyring",
    )
    assert (read["kind"], write["kind"]) == ("NO_BACKEND", "NO_BACKEND")
    assert "clear text" in read["text"]
    assert not leak.exists()
