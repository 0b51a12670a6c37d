"""Google's account meets the contract of every system, against a stateful simulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import mortality
from tests.simulators.google import Google
from tests.simulators.google_cloud import GEMINI

__all__ = ["mortality"]

KEY = "AQ." + "Ab8RN6" + "k1" * 20
BUILD = "AIza" + "b2" * 17 + "x"
MAPS = "maps-backend.googleapis.com"
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel"
ALERT = {"provider": "google"}
HARD = {"provider": "google", "enforce": "hard"}
PARTS: dict[str, dict[str, dict[str, object]]] = {
    "first": {
        "account": {
            "keys": {
                "cursor": {"services": [GEMINI]},
                "build": {"services": [GEMINI], "ips": ["203.0.113.0/24"], "exclusive": True},
            },
            "quotas": {
                f"{PER_MINUTE} model=gemini-2.5-pro": {"value": 500},
                f"{PER_MINUTE} model=gemini-2.5-flash": {"value": 300},
                PER_DAY: {"value": 40000},
            },
        },
        "budgets": {
            "monthly": {**ALERT, "monthly_usd": 500, "alert_at": [50, 80, 100]},
            "shared": {**ALERT, "monthly_usd": 150.5, "alert_at": [90]},
            "cap": {**HARD, "monthly_usd": 300},
        },
    },
    "second": {
        "account": {
            "keys": {"build": {"services": [GEMINI, MAPS], "ips": ["2001:db8::/32"]}},
            "quotas": {PER_DAY: {"value": 30000}},
        },
        "budgets": {
            "monthly": {**ALERT, "monthly_usd": 250, "alert_at": [80], "scope": "organization"},
            "extra": {**ALERT, "monthly_usd": 20},
            "cap": {**HARD, "monthly_usd": 200},
        },
    },
    "none": {"account": {}, "budgets": {}},
}


class GoogleRig(AccountRig):
    """A project with keys, a quota preference and budgets that others made."""

    name = "google"
    simulator: Google

    def __init__(self, folder: Path, simulator: Google, base: str) -> None:
        super().__init__(folder, simulator, base)
        account = simulator.service_account(base)
        self.secret("ordinary", KEY)
        self.secret("admin", account)
        pem = json.loads(account)["private_key"].splitlines()
        self.secrets = (KEY, BUILD, pem[5], *(k for k in simulator.keys.strings.values()))

    def manifests(self, which: str) -> dict[str, object]:
        parts = PARTS[which]
        entry = {
            "key": "file://keys/ordinary",
            "admin_key": "file://keys/admin",
            "cloud_project": "acme-cursor",
            "billing_account": "012345-6789AB-CDEF01",
            "api_base": self.base,
            "cloud_api_base": f"{self.base}/cloud",
            **parts["account"],
        }
        return {"providers": {"google": entry}, "budgets": parts["budgets"]}

    def sense(self) -> dict[str, object]:
        world = self.simulator
        keys = {k["displayName"]: self.allowed(k) for k in world.keys.keys.values()}
        models = ({"model": "gemini-2.5-pro"}, {"model": "gemini-2.5-flash"}, {})
        quotas = {f"{PER_MINUTE} {m}": world.quotas.value(PER_MINUTE, m) for m in models}
        quotas[PER_DAY] = world.quotas.value(PER_DAY, {})
        return {**keys, **quotas, **self.budgets()}

    @staticmethod
    def allowed(key: dict[str, dict[str, object]]) -> str:
        given = dict(key.get("restrictions", {}))
        given["apiTargets"] = sorted(map(str, given.get("apiTargets", ())))
        return json.dumps(given, sort_keys=True)

    def budgets(self) -> dict[str, object]:
        kept = ("amount", "budgetFilter", "notificationsRule", "spendCap", "thresholdRules")
        found = {}
        for budget in self.simulator.billing.budgets.values():
            shown = {name: budget[name] for name in kept if name in budget}
            shown["thresholdRules"] = sorted(map(str, budget.get("thresholdRules", ())))
            cap = shown.pop("spendCap", None)
            name = str(budget["displayName"])
            found[f"{name} {budget['budgetFilter'].get('projects')}" if cap else name] = shown
        return json.loads(json.dumps(found))

    def strangers(self) -> dict[str, object]:
        sense = self.sense()
        names = ("cursor", "site", "byok:rival/monthly", "the whole company")
        preferences = [
            one
            for one in self.simulator.quotas.preferences.values()
            if one["quotaId"] == "BatchRequestsPerProject"
        ]
        return {**{name: sense[name] for name in names}, "batch": json.dumps(preferences)}

    def disturb(self) -> None:
        world = self.simulator
        for budget in world.billing.budgets.values():
            if budget["displayName"] == "byok:acme/monthly":
                budget["amount"] = {"specifiedAmount": {"currencyCode": "USD", "units": "777"}}
        for one in world.quotas.preferences.values():
            if one["quotaId"] == PER_DAY:
                one["quotaConfig"]["preferredValue"] = "12345"
                world.quotas.grant(one)


class TestGoogle(AccountContract):
    offset = 0

    def make(self, folder: Path) -> GoogleRig:
        world = Google(KEY)
        targets = [{"service": MAPS}, {"service": GEMINI, "methods": ["Get*"]}]
        world.keys.add("build", BUILD, restrictions={"apiTargets": targets})
        site = {"browserKeyRestrictions": {"allowedReferrers": ["https://acme.example/*"]}}
        world.keys.add("site", "AIza" + "c3" * 17 + "x", restrictions=site)
        world.quotas.prefer(PER_DAY, 45000)
        world.quotas.prefer("BatchRequestsPerProject", 99)
        for name, projects in (
            ("byok:rival/monthly", ["projects/other-project"]),
            ("shared", ["projects/acme-cursor"]),
            ("the whole company", []),
        ):
            world.billing.add(
                displayName=name,
                amount={"specifiedAmount": {"units": "90", "nanos": 500_000_000}},
                budgetFilter={"projects": projects, "calendarPeriod": "QUARTER"},
                thresholdRules=[{"thresholdPercent": 0.29, "spendBasis": "FORECASTED_SPEND"}],
            )
        return GoogleRig(folder, world, self.host(world))


@pytest.mark.parametrize("offset", [3])
class TestGoogleAtOtherMoments(TestGoogle):
    """Dies at other moments than the first."""

    @pytest.fixture(autouse=True)
    def _moments(self, offset):
        self.offset = offset
