"""What AWS's bill tells of Bedrock: only where asking, which costs money, was asked for."""

from __future__ import annotations

import pytest

from reconciler.errors import ProviderError
from reconciler.systems.account import Untold
from tests.simulators.bedrock import ADMIN, KEY, Bedrock
from tests.simulators.server import serve
from tests.unit.costing import rows, spent, total

CLAUDE = "Claude 3.5 Sonnet (Amazon Bedrock Edition)"
COST = frozenset({"cost"})


@pytest.fixture
def simulator():
    made = Bedrock()
    made.money.bill = [
        ("2026-10-31", "Amazon Bedrock", "70"),
        ("2026-11-01", "Amazon Bedrock", "1.5"),
        ("2026-11-01", "Amazon S3", "99"),
        ("2026-11-02", CLAUDE, "2.0000000001"),
        ("2026-11-20", "Amazon Bedrock", "0.5"),
    ]
    return made


@pytest.fixture
def ask(simulator, tmp_path):
    def at(*, probes=COST, admin=True):
        with serve(simulator) as base:
            provider = {
                "access_key_id": "file://keys/id",
                "secret_access_key": "file://keys/secret",
                "region": "us-east-1",
                "api_base": base,
            }
            if admin:
                provider["admin_access_key_id"] = "file://keys/admin-id"
                provider["admin_secret_access_key"] = "file://keys/admin-secret"
            names = ("id", "secret", "admin-id", "admin-secret")
            keys = dict(zip(names, (*KEY, *ADMIN), strict=True))
            data = {"providers": {"bedrock": provider}}
            return spent(tmp_path, base, data, keys, "bedrock", probes=probes)

    return at


def test_a_month_is_told_by_day_and_the_names_on_the_bill(simulator, ask):
    found = ask()
    assert rows(found) == {
        (1, "", "", "Amazon Bedrock"): 1.5,
        (2, "", "", CLAUDE): 2.0,
        (20, "", "", "Amazon Bedrock"): 0.5,
    }
    assert total(found) == "4.00 USD"
    assert "2 pages asked" in found.source
    assert simulator.writes() == []


def test_nobody_pays_for_a_question_that_was_not_asked_for(simulator, ask):
    found = ask(probes=frozenset())
    assert isinstance(found, Untold)
    assert "0.01 USD" in found.reason
    assert "--probe cost" in found.way_out
    assert simulator.log == []


def test_without_an_administrator_nothing_is_told_and_nothing_asked(simulator, ask):
    found = ask(admin=False)
    assert isinstance(found, Untold)
    assert "admin_access_key_id" in found.reason
    assert simulator.log == []


def test_the_unit_of_the_bill_is_kept(simulator, ask):
    simulator.money.unit = "CNY"
    assert total(ask()) == "4.00 CNY"


def test_an_amount_that_is_none_is_no_cost_of_nothing(simulator, ask):
    simulator.money.bill = [("2026-11-01", "Amazon Bedrock", "much")]
    with pytest.raises(ProviderError, match="not answer in its own format"):
        ask()
