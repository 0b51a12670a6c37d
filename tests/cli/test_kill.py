"""Killed with -9 anywhere, the next run converges; no key is lost, the JSON is always whole."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from .conftest import USER_ROW

DELAYS = [0.12 + n * 0.03 for n in range(14)]


def start(byok, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "reconciler", *args],
        cwd=byok.box.manifest.parent,
        env=byok.environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


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
