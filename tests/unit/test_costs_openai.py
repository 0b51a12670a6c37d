"""What OpenAI tells of a month: days, projects, keys, models, tokens; in pages."""

from __future__ import annotations

from datetime import date

import pytest

from reconciler.errors import ProviderError
from reconciler.systems.account import Untold
from tests.simulators.openai import ADMIN_KEY, KEY, Bill, OpenAI
from tests.simulators.server import Response, serve
from tests.unit.costing import DAY, rows, spent, total

KEYS = {"openai": KEY, "openai-admin": ADMIN_KEY}


@pytest.fixture
def simulator():
    made = OpenAI()
    mine, other = made.make_project("cursor-byok"), made.make_project("research")
    made.make_key(mine, "cursor", KEY, id="key_own")
    made.bill = [
        Bill(date(2026, 10, 31), mine, "gpt-4o, input", 99.0, "key_own", 1),
        Bill(date(2026, 11, 1), mine, "gpt-4o, input", 1.25, "key_own", 500_000),
        Bill(date(2026, 11, 1), mine, "gpt-4o, output", 5.0, "key_own", 500_000),
        Bill(date(2026, 11, 19), mine, "web search tool calls", 0.1, "key_own"),
        Bill(date(2026, 11, 20), other, "o1, output", 30.0, "key_far", 1000),
    ]
    return made


@pytest.fixture
def ask(simulator, tmp_path):
    def at(*, day=DAY, **fields):
        with serve(simulator) as base:
            given = {
                "key": "file://keys/openai",
                "admin_key": "file://keys/openai-admin",
                "api_base": base,
                "project": "cursor-byok",
            }
            provider = {name: v for name, v in {**given, **fields}.items() if v is not None}
            data = {"providers": {"openai": provider}}
            return spent(tmp_path, base, data, KEYS, "openai", day=day)

    return at


@pytest.mark.parametrize("page", [1, 7, 100])
def test_a_month_is_told_by_day_project_key_and_model_over_all_pages(simulator, ask, page):
    simulator.page = page
    found = ask()
    assert rows(found) == {
        (1, "cursor-byok", "cursor", "gpt-4o"): 6.25,
        (19, "cursor-byok", "cursor", "web search tool calls"): 0.1,
        (20, "research", "key_far", "o1"): 30.0,
    }
    assert total(found) == "36.35 USD"
    assert (found.since, found.whole) == (date(2026, 11, 1), "the whole organisation")
    assert simulator.writes() == []


def test_tokens_are_told_by_direction_where_a_line_counts_them(ask):
    told = {(n.model, n.tokens_in, n.tokens_out) for n in ask().lines}
    assert told == {
        ("gpt-4o", 500_000, None),
        ("gpt-4o", None, 500_000),
        ("web search tool calls", None, None),
        ("o1", None, 1000),
    }


def test_another_month_is_asked_for_by_its_day(ask):
    assert total(ask(day=date(2026, 10, 31))) == "99.00 USD"


def test_an_archived_project_keeps_its_name(simulator, ask):
    project = simulator.projects[simulator.project("research")]
    project |= {"status": "archived", "archived_at": 1}
    assert (20, "research", "key_far", "o1") in rows(ask())


def test_keys_that_may_not_be_listed_go_by_their_ids(simulator, ask):
    simulator.closed.append("/api_keys$")
    assert (1, "cursor-byok", "key_own", "gpt-4o") in rows(ask())


def test_without_an_admin_key_nothing_is_told_and_nothing_asked(simulator, ask):
    found = ask(admin_key=None)
    assert isinstance(found, Untold)
    assert "admin_key" in found.way_out
    assert simulator.log == []


def test_a_report_that_is_closed_is_untold_with_its_reason(simulator, ask):
    simulator.closed.append("/costs$")
    found = ask()
    assert isinstance(found, Untold)
    assert "may not do this" in found.reason


def test_a_dead_admin_key_is_a_failure(simulator, ask):
    simulator.admin_key = "sk-admin-" + "other" * 9
    with pytest.raises(ProviderError, match="does not accept the key"):
        ask()


@pytest.mark.parametrize(
    "result",
    [
        {"object": "organization.costs.result", "amount": {"value": "much", "currency": "usd"}},
        {"object": "organization.costs.result", "amount": {"value": 1, "currency": "us"}},
    ],
)
def test_an_amount_that_is_none_is_no_cost_of_nothing(simulator, ask, result):
    bucket = {"object": "bucket", "start_time": 1_793_491_200, "results": [result]}
    page = {"object": "page", "data": [bucket], "has_more": False, "next_page": None}
    simulator.inject("answer", response=Response(200, page), path="/organization/costs")
    with pytest.raises(ProviderError, match="not answer in its own format"):
        ask()


def test_pages_that_never_end_are_no_month(simulator, ask):
    page = {"object": "page", "data": [], "has_more": True, "next_page": "page_9"}
    simulator.inject("answer", response=Response(200, page), path="/organization/costs", times=9)
    with pytest.raises(ProviderError, match="never ends"):
        ask()
