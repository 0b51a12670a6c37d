"""What Anthropic tells of a month, from either of its two reports."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from reconciler.errors import ProviderError
from reconciler.systems.account import Untold
from tests.simulators.anthropic import ADMIN_KEY, Anthropic, Bill
from tests.simulators.server import serve
from tests.unit.costing import rows, spent, total

TODAY = datetime.now(UTC).date()
FIRST = TODAY.replace(day=1)


@pytest.fixture
def simulator():
    made = Anthropic()
    space = made.add_workspace("cursor-byok", byok="acme")
    key = next(iter(made.keys))
    made.bill = [
        Bill(FIRST, space, "claude-sonnet-4-5", "1250.5", key),
        Bill(FIRST, space, "claude-opus-4-1", "900", key),
        Bill(TODAY, None, "claude-sonnet-4-5", "49.5"),
    ]
    return made


@pytest.fixture
def ask(simulator, tmp_path):
    def at(**fields):
        with serve(simulator) as base:
            given = {
                "key": "file://keys/key",
                "admin_key": "file://keys/admin",
                "api_base": base,
                "workspace": "cursor-byok",
            }
            provider = {name: v for name, v in {**given, **fields}.items() if v is not None}
            keys = {"key": next(iter(simulator.values.values())), "admin": ADMIN_KEY}
            data = {"providers": {"anthropic": provider}}
            return spent(tmp_path, base, data, keys, "anthropic", day=TODAY)

    return at


@pytest.mark.parametrize("page", [1, 100])
def test_a_month_is_told_by_day_workspace_key_and_model(simulator, ask, page):
    simulator.page = page
    name = next(iter(simulator.keys.values()))["name"]
    elsewhere = "the default or an archived workspace"
    found = ask()
    assert rows(found) == {
        (1, "cursor-byok", name, "claude-sonnet-4-5"): 12.505,
        (1, "cursor-byok", name, "claude-opus-4-1"): 9.0,
        (TODAY.day, elsewhere, "", "claude-sonnet-4-5"): 0.495,
    }
    assert total(found) == "22.00 USD"
    assert simulator.writes() == []
    asked = [r for r in simulator.log if r.path.endswith("/analytics/cost")]
    assert all(r.one("time_bucket_width") == "1d" and r.one("ending_at") for r in asked)


def test_the_older_report_takes_its_place_and_knows_no_keys(simulator, ask):
    simulator.report = "legacy"
    assert rows(ask()) == {
        (1, "cursor-byok", "", "claude-sonnet-4-5"): 12.505,
        (1, "cursor-byok", "", "claude-opus-4-1"): 9.0,
        (TODAY.day, "the default workspace", "", "claude-sonnet-4-5"): 0.495,
    }


def test_neither_report_is_untold(simulator, ask):
    simulator.report = None
    found = ask()
    assert isinstance(found, Untold)
    assert "not shown to this admin key" in found.reason


def test_without_an_admin_key_nothing_is_told_and_nothing_asked(simulator, ask):
    assert isinstance(ask(admin_key=None), Untold)
    assert simulator.log == []


def test_a_dead_admin_key_is_a_failure(simulator, ask):
    simulator.admin_key = "sk-ant-" + "admin01-" + "x" * 60
    with pytest.raises(ProviderError, match="does not accept the key"):
        ask()


def test_the_first_of_a_month_has_a_span_of_its_own():
    from reconciler.systems.account.spend import span

    assert span(date(2026, 12, 31)) == (date(2026, 12, 1), date(2027, 1, 1))
    assert span(date(2026, 2, 1)) == (date(2026, 2, 1), date(2026, 2, 2))
