"""No secret comes out of any door: every command, every format, every failure."""

from __future__ import annotations

import base64
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ADOPT = ("init", "--from-cursor", "--secrets", "sops:adopted.enc.yaml", "-f")
COMMANDS = [
    (*ADOPT, "adopted.yaml"),
    (*ADOPT, "again.yaml", "--json"),
    ("validate",),
    ("validate", "--json", "-v"),
    ("validate", "--effective"),
    ("validate", "--effective", "--json"),
    ("plan",),
    ("plan", "-v"),
    ("plan", "--json"),
    ("plan", "--format", "markdown"),
    ("plan", "--format", "html"),
    ("plan", "--out", "team.plan"),
    ("show", "team.plan", "--format", "html"),
    ("show", "team.plan", "-v"),
    ("fleet", "report", "team.plan"),
    ("fleet", "report", "team.plan", "--json"),
    ("fleet", "report", "team.plan", "--format", "markdown"),
    ("fleet", "report", "team.plan", "--out", "fleet.html"),
    ("apply", "--yes", "--json"),
    ("cost", "estimate"),
    ("cost", "estimate", "--json"),
    ("status",),
    ("status", "--json", "-v"),
    ("plan", "--json", "-v"),
    ("watch", "--once"),
    ("watch", "--once", "--log", "watch.log"),
    ("service", "install", "--print"),
    ("service", "install", "--print", "--json"),
    ("keys", "-v"),
    ("keys", "--json"),
    ("offboard", "--for", "alice", "--here", "--plan"),
    ("offboard", "--for", "alice", "--here", "--plan", "--json"),
    ("history", "1", "--json"),
    ("doctor",),
    ("doctor", "-v"),
    ("doctor", "--json", "--accounts"),
    ("rollback", "--yes", "--json"),
    ("apply", "team.plan"),
    ("destroy", "--yes", "-v"),
]
TYPED = "sk-typed-by-hand-0123456789"


def forms(secret: str) -> list[bytes]:
    """A secret, and how it would look had a library turned it over."""
    plain = secret.encode()
    return [plain, plain.hex().encode(), base64.b64encode(plain)[:-4], secret[::-1].encode()]


@pytest.fixture
def secrets(byok):
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/openAIKey', ?)", TYPED)
    return [form for secret in [*byok.keys(), TYPED] for form in forms(secret)]


def leaks(secrets, data: bytes) -> bool:
    return any(form in data for form in secrets)


def own_files(byok):
    """Every file of ours: the state directory and the team's folder; Cursor's are its own."""
    for folder in (byok.box.folder / "state", byok.box.manifest.parent):
        yield from (path for path in folder.rglob("*") if path.is_file())


def test_every_command_and_format(byok, secrets):
    for command in COMMANDS:
        done = byok(*command)
        assert done.code in ((0, 2) if command[0] == "doctor" else (0, 6)), (command, done.err)
        assert not leaks(secrets, (done.out + done.err).encode()), command
    for path in own_files(byok):
        assert not leaks(secrets, path.read_bytes()), path


BREAKAGES = {
    "locked": None,
    "contrary": "CREATE TRIGGER t AFTER INSERT ON ItemTable BEGIN"
    " UPDATE ItemTable SET value='other' WHERE key=new.key AND key LIKE 'cursorAuth/%'; END",
    "refusing": "CREATE TRIGGER t BEFORE INSERT ON ItemTable BEGIN SELECT RAISE(ABORT, 'no'); END",
    "no table": "ALTER TABLE ItemTable RENAME TO Elsewhere",
    "not json": "UPDATE ItemTable SET value='{\"useOpenAIKey\": tru'"
    " WHERE key LIKE '%applicationUser'",
    "other version": "PRAGMA user_version=7",
}


@pytest.mark.parametrize("name", BREAKAGES)
@pytest.mark.parametrize("form", [(), ("--json",), ("-v",)])
def test_every_failure(byok, secrets, name, form):
    holder = sqlite3.connect(byok.database, isolation_level=None)
    with closing(holder):
        holder.execute(BREAKAGES[name] or "BEGIN EXCLUSIVE")
        for command in ("plan", "apply", "status", "doctor", "watch", "destroy"):
            extra = ("--once",) if command == "watch" else ()
            extra = ("--yes",) if command in ("apply", "destroy") else extra
            done = byok(command, *extra, *form)
            assert not leaks(secrets, (done.out + done.err).encode()), (name, command)
            assert "unforeseen" not in done.err, done.err
            assert "Traceback" not in done.err
    for path in own_files(byok):
        assert not leaks(secrets, path.read_bytes()), path


def test_a_literal_key_in_the_manifest_is_named_by_line_never_repeated(byok):
    literal = "sk-proj-" + "Q" * 58 + "T3Blbk" + "FJ" + "R" * 58
    byok.edit("key: sops://secrets/team.enc.yaml#/anthropic/key", f"key: {literal}")
    for form in ((), ("--json",)):
        done = byok("plan", *form)
        assert done.code == 3
        assert "BYOK004" in done.err
        assert "byok.yaml:11:10:" in done.err
        assert literal not in done.out + done.err
        assert "QQQQ" not in done.out + done.err


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only with /proc")
@pytest.mark.parametrize("command", [("apply", "--yes"), (*ADOPT, "adopted.yaml")])
def test_no_secret_in_any_process_list(byok, secrets, command):
    """Look at every process's arguments and environment, over and over, while byok works."""
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *command],
        cwd=byok.box.manifest.parent,
        env=byok.environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    looks = 0
    while child.poll() is None:
        for path in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    data = (path / name).read_bytes()
                except OSError:
                    continue
                assert not leaks(secrets, data), path
        looks += 1
    assert child.returncode == 0
    assert looks > 1


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: KWallet")
def test_a_program_asked_for_cursors_key_gets_no_variable_of_ours(applied):
    from tests.cursor_editor import FakeCursor

    FakeCursor(applied.box.cursor, tag=b"v11", password=b"nobody-here").start().quit()
    folder = applied.box.folder / "bin"
    folder.mkdir()
    program, seen = folder / "kwallet-query", folder / "seen"
    program.write_text(f"#!/bin/sh\nenv > {seen}\nexit 1\n")
    program.chmod(0o755)

    applied("plan", PATH=f"{folder}:/usr/bin:/bin", CANARY="sk-canary-0123456789")

    assert "PATH=" in seen.read_text()
    assert "sk-canary" not in seen.read_text()
