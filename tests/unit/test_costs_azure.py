"""What Azure tells of a month: days and meters, in the currency it bills in."""

from __future__ import annotations

from datetime import date

import pytest

from reconciler.errors import ProviderError
from reconciler.systems.account import Untold
from tests.simulators.azure import Azure
from tests.simulators.server import Response, serve
from tests.unit.costing import rows, spent, total

METER = "gpt 4o 0806 Inp glbl Tokens"


@pytest.fixture
def simulator():
    made = Azure()
    made.bill = [(date(2026, 11, 1), METER, 10.5), (date(2026, 11, 2), METER, 1.25)]
    made.bill.append((date(2026, 11, 2), "gpt 4o 0806 Outp glbl Tokens", 3.0))
    return made


@pytest.fixture
def ask(simulator, tmp_path):
    def at(**fields):
        with serve(simulator) as base:
            given = {
                "key": "file://keys/key",
                "endpoint": base,
                "deployment": "gpt-4o-prod",
                "subscription": simulator.subscription,
                "resource_group": simulator.group_name,
                "account": simulator.account["name"],
                "api_base": base,
                "login_base": base,
                "tenant": simulator.tenant,
                "client_id": simulator.client_id,
                "admin_key": "file://keys/admin",
            }
            provider = {name: v for name, v in {**given, **fields}.items() if v is not None}
            keys = {"key": simulator.keys["key1"], "admin": simulator.client_secret}
            data = {"providers": {"azure": provider}}
            return spent(tmp_path, base, data, keys, "azure")

    return at


@pytest.mark.parametrize("size", [1, 2, 5000])
def test_a_month_is_told_by_day_and_meter_over_all_pages(simulator, ask, size):
    simulator.rows = size
    found = ask()
    assert rows(found) == {
        (1, "acme-openai", "", METER): 10.5,
        (2, "acme-openai", "", METER): 1.25,
        (2, "acme-openai", "", "gpt 4o 0806 Outp glbl Tokens"): 3.0,
    }
    assert total(found) == "14.75 USD"
    asked = [r for r in simulator.log if r.path.endswith("/query")]
    assert len(asked) == -(-3 // size)
    assert {r.method for r in asked} == {"POST"}
    assert simulator.writes() == []


def test_the_currency_of_the_bill_is_kept(simulator, ask):
    simulator.currency = "EUR"
    assert total(ask()) == "14.75 EUR"


def test_a_month_without_costs_is_no_failure(simulator, ask):
    simulator.bill, simulator.cost = [], None
    assert ask().lines == ()


def test_without_the_right_it_is_untold(simulator, ask):
    simulator.rights.remove("cost")
    found = ask()
    assert isinstance(found, Untold)
    assert "may not do this" in found.reason


@pytest.mark.parametrize("field", ["admin_key", "subscription"])
def test_without_an_administrator_nothing_is_told_and_nothing_asked(simulator, ask, field):
    found = ask(**{field: None})
    assert isinstance(found, Untold)
    assert "administrator" in found.reason
    assert simulator.log == []


def test_a_page_elsewhere_is_not_followed(simulator, ask):
    columns = [{"name": "Cost"}, {"name": "UsageDate"}, {"name": "Currency"}]
    onward = "https://evil.example/providers/Microsoft.CostManagement/query"
    properties = {"columns": columns, "rows": [], "nextLink": onward}
    answer = Response(200, {"properties": properties})
    simulator.inject("answer", response=answer, path="*CostManagement/query")
    with pytest.raises(ProviderError, match="another host"):
        ask()


def test_pages_that_never_end_are_no_month(simulator, ask):
    simulator.rows = 0
    with pytest.raises(ProviderError, match="never ends"):
        ask()


@pytest.mark.parametrize("row", [["a lot", 20261101, "USD"], [1, 20261101, None]])
def test_a_row_of_another_form_is_no_cost_of_nothing(simulator, ask, row):
    columns = [{"name": "Cost"}, {"name": "UsageDate"}, {"name": "Currency"}]
    properties = {"columns": columns, "rows": [row], "nextLink": None}
    answer = Response(200, {"properties": properties})
    simulator.inject("answer", response=answer, path="*CostManagement/query")
    with pytest.raises(ProviderError, match="not answer in its own format"):
        ask()
