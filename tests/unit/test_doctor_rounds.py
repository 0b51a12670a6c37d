"""The round of checks: one that fails itself, whose a finding is, budgets, rotations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.doctor import State, budgets, examine, keys, ledgers, rounds
from reconciler.doctor.codes import CODES
from reconciler.doctor.finding import of_diagnostic
from reconciler.doctor.ground import Ground
from reconciler.entries import Rotation, Stage
from reconciler.ledger import Ledger
from reconciler.manifest import parse
from reconciler.model import Diagnostic, Severity
from reconciler.money import Money
from reconciler.session import Options
from reconciler.systems.account import Line, Spend
from reconciler.systems.account.budgets import budgets_of

TEXT = """
version: 1
team: acme
providers:
  openai: {key: env://NO_SUCH_KEY_HERE}
endpoints:
  gateway: {type: litellm, base_url: 'https://llm.acme.example/v1', key: env://K, active: false}
models:
  gpt-4o: {provider: openai}
  a/b: {endpoint: gateway}
budgets:
  month: {provider: openai, monthly_usd: 100}
"""
MANIFEST = parse(TEXT, "byok.yaml", Path())


@pytest.fixture
def ground(tmp_path):
    path = tmp_path / "byok.yaml"
    path.write_text(TEXT)
    options = Options(
        manifest=path,
        cursor_dir=tmp_path / "cursor",
        state_dir=tmp_path / "state",
        env={},
        offline=True,
    )
    with Ground(options, home=tmp_path) as made:
        yield made


def test_a_check_that_fails_itself_keeps_no_other_from_being_made(ground, monkeypatch):
    def broken(_):
        raise ValueError("sk-canary in a library's own text")

    checks = (("network/clock", broken), *rounds.CHECKS[:2])
    monkeypatch.setattr(rounds, "CHECKS", checks)
    first, *others = examine(ground)
    assert (first.check, first.state, first.code) == ("network/clock", State.PROBLEM, "BYOK200")
    assert "ValueError at test_doctor_rounds.py" in first.cause
    assert "canary" not in repr(first)
    assert others


def test_every_finding_has_a_known_code_and_a_way_out(ground):
    for one in examine(ground):
        assert one.check.count("/") == 1
        assert (one.code != "") is one.bad
        assert (one.fix != "") is one.bad
        if one.state is State.SKIPPED:
            assert one.what.startswith("not checked, because ")
        if one.code.startswith("BYOK2"):
            assert one.code in CODES


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        ("/providers/openai/key", "openai"),
        ("/endpoints/gateway/base_url", "gateway"),
        ("/models/gpt-4o", "openai"),
        ("/models/a~1b", "gateway"),
        ("/budgets/month", "openai"),
        ("/cursor_team", "cursor-team"),
        ("", ""),
        ("/models/gone", ""),
    ],
)
def test_a_place_in_the_manifest_belongs_to_an_account(pointer, name):
    assert keys.owner(MANIFEST, pointer) == name


@pytest.mark.parametrize(
    ("severity", "code", "state"),
    [
        (Severity.ERROR, "BYOK003", State.PROBLEM),
        (Severity.WARNING, "BYOK131", State.PROBLEM),
        (Severity.WARNING, "BYOK133", State.WARNING),
        (Severity.NOTE, "BYOK138", State.OK),
    ],
)
def test_a_dead_key_is_a_problem_though_it_stops_no_plan(severity, code, state):
    assert of_diagnostic("keys/openai", Diagnostic(code, severity, "", "x")).state is state


@pytest.mark.parametrize(
    ("amount", "state", "code"),
    [("79.99", State.OK, ""), ("80", State.WARNING, "BYOK271"), ("100", State.PROBLEM, "BYOK272")],
)
def test_a_budget_is_judged_by_what_is_left(amount, state, code):
    (budget,) = budgets_of(MANIFEST, "openai")
    lines = (Line(Money.of(amount)),)
    spend = Spend(lines, datetime.now(UTC).date(), "OpenAI's costs", delay="hours late")
    found = budgets.judged("budgets/month", budget, spend)
    assert (found.state, found.code) == (state, code)
    assert "of 100.00 USD spent this month" in found.what
    assert "(hours late)" in found.what


def test_a_budget_in_another_currency_is_not_judged():
    (budget,) = budgets_of(MANIFEST, "openai")
    spend = Spend((Line(Money.of(5, "EUR")),), datetime.now(UTC).date(), "x")
    assert budgets.judged("budgets/month", budget, spend).state is State.SKIPPED


def test_a_rotation_on_its_way_is_named(ground):
    state = ground.state_dir
    state.mkdir(mode=0o700)
    with Ledger(state, write=True) as ledger:
        ledger.keys.begin(Rotation("openai", "acme", {"key": "env://K"}, old={"key": "a"}))
        ledger.keys.begin(Rotation("google", "acme", {"key": "env://K"}, holder="ann"))
    rotation, key, *_ = ledgers.unfinished(ground)
    assert (rotation.state, rotation.code) == (State.WARNING, "BYOK224")
    assert "byok rotate openai" in rotation.fix
    assert "for ann" in key.what
    assert "byok issue --for ann --provider google" in key.fix


@pytest.mark.parametrize(("hours", "state"), [(1, State.OK), (-1, State.WARNING)])
def test_an_old_key_within_its_grace_is_as_it_should_be(ground, hours, state):
    ground.state_dir.mkdir(mode=0o700)
    until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    way = Rotation("openai", "acme", {"key": "env://K"}, old={"key": "a"}, until=until)
    with Ledger(ground.state_dir, write=True) as ledger:
        ledger.keys.begin(replace(way, stage=Stage.KEPT))
    first, *_ = ledgers.unfinished(ground)
    assert first.state is state
