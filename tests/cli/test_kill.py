"""Killed with -9 anywhere, the next run converges; no key is lost, the JSON is always whole."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.cursor_editor import tear

from .conftest import HALF_DONE, USER_ROW, plan_or_half_done

DELAYS = [0.12 + n * 0.03 for n in range(14)]


def start(byok, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "reconciler", *args],
        cwd=byok.box.manifest.parent,
        env=byok.environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("command", ["apply", "destroy", "rollback"])
def test_what_a_kill_between_two_pages_left_is_taken_back(byok, command):
    assert byok("apply", "--yes").code == 0
    before = byok.rows()
    tear(byok.box.cursor)
    image = byok.bytes()
    for reads in ("plan", "status", "keys"):
        done = byok(reads)
        assert done.code == 7, done
        assert HALF_DONE in done.err
    assert byok.bytes() == image

    done = byok(command, "--yes")

    assert done.code == 0, done.err
    assert "note: a change that a killed program left half done was taken back" in done.err
    assert not [row for row in byok.rows() if row.startswith("torn")]
    assert byok("plan").code == 0
    if command == "apply":
        assert byok.rows() == before
        assert "half done" not in byok("apply", "--yes").err


def test_what_was_taken_back_and_where_copies_are_is_each_said_once(byok):
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/openAIKey', 'sk-typed-by-hand')")
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/claudeKey', 'sk-ant-typed-by-hand')")
    tear(byok.box.cursor)
    done = byok("apply", "--yes")
    assert done.code == 0, done.err
    assert done.err.count("note: a change that a killed program left half done") == 1
    assert done.err.count("note: copies of replaced keys") == 1


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_kill_apply_and_destroy(byok, journal):
    """Kill at growing delays until both jobs come through, then look that nothing is left over."""
    byok.sql(f"PRAGMA journal_mode={journal}")
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/openAIKey', 'sk-typed-by-hand')")
    before = byok.rows()
    for command in ("apply", "destroy"):
        for delay in DELAYS:
            child = start(byok, command, "--yes")
            time.sleep(delay)
            child.kill()
            child.wait()
            plan_or_half_done(byok)
            assert isinstance(json.loads(byok.rows()[USER_ROW]), dict)
            keys = {byok.rows().get("cursorAuth/openAIKey")}
            assert keys <= {"sk-typed-by-hand", byok.keys()[0]}
            assert byok("plan").code == 0
        done = byok(command, "--yes")
        assert done.code == 0, done.err
        if command == "apply":
            assert byok("plan", "--detailed-exitcode").code == 0
    after = byok.rows()
    assert after["cursorAuth/openAIKey"] == "sk-typed-by-hand"
    assert after.keys() == before.keys()
    settings = json.loads(after[USER_ROW])["aiSettings"]
    assert settings["modelOverrideEnabled"] == []
    assert settings["modelOverrideDisabled"] == []
    assert settings.get("userAddedModels", []) == []
