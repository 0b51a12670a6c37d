"""The team's account at Cursor: read with an admin key, never written."""

from __future__ import annotations

import pytest

from reconciler.session import reading
from tests.simulators.cursor_team import CursorTeam
from tests.simulators.server import serve
from tests.unit.accounts import options, write_manifest

KEY = "crsr_" + "a1" * 32


@pytest.fixture
def simulator():
    return CursorTeam(KEY)


@pytest.fixture
def look(simulator, tmp_path):
    """Look at the account, judged or not, with the key under ``file://keys/admin``."""

    def at(*, judged=True, key=KEY):
        with serve(simulator) as base:
            team = {"admin_key": "file://keys/admin", "api_base": base}
            write_manifest(tmp_path, {"cursor_team": team}, {"admin": key})
            with reading(options(tmp_path, base)) as session:
                return session.account("cursor-team", judged=judged).actual()

    return at


def said(actual):
    return {str(seen.address): seen.text for seen in actual.observations}


def test_who_uses_own_keys_is_told(simulator, look):
    simulator.usage = [
        {"email": "ada@acme.example", "apiKeyReqs": 3},
        {"email": "bob@acme.example", "apiKeyReqs": 0},
        {"email": "ada@acme.example", "apiKeyReqs": 4},
    ]
    seen = said(look())
    assert seen["cursor-team/usage/own-keys"] == "requests in 30 days by ada@acme.example (7)"
    assert seen["cursor-team/models/allowed"] == "claude-sonnet-4-5, gpt-4o"
    assert "dashboard" in seen["cursor-team/switches/own-keys"]
    assert simulator.writes() == []


def test_a_preview_that_is_not_open_is_no_failure(simulator, look):
    simulator.enterprise = False
    assert "not offered" in said(look())["cursor-team/models/allowed"]


def test_without_accounts_nothing_is_asked(simulator, look):
    assert "--accounts" in said(look(judged=False))["cursor-team/key/cursor-team"]
    assert simulator.log == []


def test_a_wrong_key_is_told_with_its_way_out(look):
    findings = look(key=KEY[:-1] + "x").diagnostics
    assert [finding.code for finding in findings] == ["BYOK131"], "said once for all it reads"


def test_a_busy_api_is_asked_again_after_the_time_it_names(simulator, look):
    from tests.simulators.server import Response

    slow = Response(429, {"error": "Too many"}, {"retry-after": "0"})
    simulator.inject("answer", response=slow, times=2)
    assert "nobody" in said(look())["cursor-team/usage/own-keys"]
    assert len(simulator.log) == 4
