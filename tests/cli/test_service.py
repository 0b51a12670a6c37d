"""The service as a user meets it: shown, installed on request, told of, and taken away."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: systemd")
pytestmark = linux


@pytest.fixture
def home(applied):
    """A home of its own, and a systemctl that writes down what it is asked."""
    folder = applied.box.folder / "home"
    tools = applied.box.folder / "tools"
    tools.mkdir()
    folder.mkdir()
    program = tools / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(tools / "asked"))}\n')
    program.chmod(0o755)
    applied.env |= {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "con fig"),
        "PATH": f"{tools}:{os.environ['PATH']}",
    }
    return folder


def units(home):
    return sorted((home / "con fig").rglob("byok-watch.*"))


def asked(applied):
    path = applied.box.folder / "tools" / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_print_shows_the_files_and_writes_nothing(applied, home):
    done = applied("service", "install", "--print")
    assert done.code == 0, done.err
    assert "[Timer]" in done.out
    assert "env://BYOK_SANDBOX_GEMINI_KEY will not be there" in done.err
    document = applied("service", "install", "--print", "--json").document
    assert document["format"] == "byok.service/1"
    assert [file["path"].rpartition(".")[2] for file in document["files"]] == ["service", "timer"]
    assert units(home) == []
    assert asked(applied) == []


def test_it_asks_and_without_a_terminal_refuses(applied, home):
    done = applied("service", "install")
    assert done.code == 64
    assert "--yes" in done.err
    assert units(home) == []


def test_install_status_uninstall(applied, home):
    done = applied("service", "install", "--yes", "--interval", "30m")
    assert done.code == 0, done.err
    assert len(units(home)) == 2
    assert asked(applied) == [
        "--user daemon-reload",
        "--user enable byok-watch.timer",
        "--user restart byok-watch.timer",
    ]
    told = applied("service", "status", "--json").document
    assert (told["installed"], told["every"], told["drifted"]) == (True, 1800, [])
    assert "every 30m" in applied("service", "status").out

    gone = applied("service", "uninstall", "--json").document
    assert [file["state"] for file in gone["files"]] == ["removed", "removed"]
    assert units(home) == []
    told = applied("service", "status")
    assert told.code == 2
    assert "not installed" in told.out


def test_what_it_starts_is_a_round_on_this_manifest_from_anywhere(applied, home):
    """Run the line that systemd would run, with the variables that it would have, elsewhere."""
    assert applied("service", "install", "--yes").code == 0
    text = units(home)[0].read_text()
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    command = shlex.split(start.removeprefix("ExecStart=").replace('":', '"', 1))
    variables = [line[12:] for line in text.splitlines() if line.startswith("Environment=")]
    env = dict(shlex.split(one)[0].split("=", 1) for one in variables)
    applied.change(useClaudeKey=False)
    done = subprocess.run(
        command,
        cwd="/",
        env={"HOME": str(home), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["event"] == "healed"
    assert applied.document()["useClaudeKey"] is True


def test_where_nobody_runs_it_the_files_are_written_and_that_is_said(applied, home):
    (applied.box.folder / "tools" / "systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
    done = applied("service", "install", "--yes")
    assert done.code == 0
    assert "nobody runs them" in done.err
    assert "no bus" in done.err
    assert "systemctl --user enable byok-watch.timer" in done.err
    assert applied("service", "status").code == 2


def test_a_broken_manifest_is_not_installed(applied, home):
    applied.edit("version: 1", "version: 1\nproviderz: {}")
    assert applied("service", "install", "--yes").code == 3
    assert units(home) == []


def test_no_secret_is_written_down(applied, home):
    canary = "AGE-SECRET-KEY-1" + "CANARY"
    done = applied(
        *("service", "install", "--yes", "-v"), SOPS_AGE_KEY=canary, OPENAI_API_KEY="sk-canary"
    )
    assert "SOPS_AGE_KEY is a secret" in done.err
    keys = applied.keys()
    for text in (done.out, done.err, *(path.read_text() for path in units(home))):
        assert canary not in text
        assert "sk-canary" not in text
        assert not any(key in text for key in keys)


def test_status_tells_of_a_pause_where_it_is_installed(applied, home):
    assert applied("service", "install", "--yes").code == 0
    assert applied("status", "--json").document["watch"] == {
        "paused": None,
        "gave_up": [],
        "last": None,
    }
    assert applied("rollback", "--yes").code == 0
    told = applied("status", "--json").document["watch"]
    assert told["paused"] == "paused: run 2 was a rollback; byok apply resumes"
