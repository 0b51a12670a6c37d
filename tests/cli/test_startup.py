"""What a command does not need is not imported: start-up time is the sum of imports."""

from __future__ import annotations

import pytest

HEAVY = (
    *("httpx", "httpcore", "ssl", "tenacity", "botocore", "azure", "google", "cryptography.x509"),
    "reconciler.systems.account.transport",
)
PROVIDERS = ("openai", "anthropic", "google", "azure", "bedrock", "endpoint", "cursor_team")


def imported(result):
    """Return the modules that a run with PYTHONPROFILEIMPORTTIME imported."""
    rows = [line for line in result.err.splitlines() if line.startswith("import time:")]
    return {row.rpartition("|")[2].strip() for row in rows}


@pytest.mark.parametrize("command", ["--version", "plan", "validate"])
def test_off_line_nothing_of_the_network_is_imported(byok, command):
    args = [command, "--offline"] if command == "plan" else [command]
    found = imported(byok(*args, PYTHONPROFILEIMPORTTIME="1"))
    assert "reconciler" in found
    for name in (*HEAVY, *(f"reconciler.systems.{provider}" for provider in PROVIDERS)):
        assert name not in found


def test_the_version_needs_no_command_line(byok):
    found = imported(byok("--version", PYTHONPROFILEIMPORTTIME="1"))
    assert not found & {"click", "yaml", "sqlite3", "reconciler.cli"}
