"""The system contract on OpenAI's account: real HTTP to a simulator of its administration."""

from __future__ import annotations

import dataclasses

from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import mortality
from tests.simulators.openai import ADMIN_KEY, KEY, RATES, OpenAI

__all__ = ["mortality"]

MINE, NEXT, ADA, BOB, EVE = "cursor-byok", "cursor-next", *(f"{n}@acme.example" for n in "abe")
BUDGET = {"provider": "openai", "notify": [ADA]}


def world() -> OpenAI:
    """A project that others made and use, and one that nobody here names."""
    simulator = OpenAI()
    simulator.page = 2
    for name in (MINE, "elsewhere"):
        id_ = simulator.make_project(name)
        simulator.limit(id_, 10_000)
        simulator.alert(id_, 5_000, [EVE], "Watch out: ")
        simulator.make_key(id_, "eve", "sk-" + "e" * 30)
    mine, other = simulator.project(MINE), simulator.project("elsewhere")
    simulator.permissions[mine] = permissions("deny_list", "gpt-4.1")
    simulator.permissions[other] = permissions("allow_list", "o1")
    simulator.alert(mine, 70_000, [EVE, BOB], "[byok:acme monthly/80]")
    simulator.alert("", 99_000, [EVE])
    return simulator


def permissions(mode: str, *models: str) -> dict[str, object]:
    return {"object": "project.model_permissions", "mode": mode, "model_ids": list(models)}


class OpenAIRig(AccountRig):
    name = "openai"
    secrets = (KEY, ADMIN_KEY)
    simulator: OpenAI

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.secret("openai", KEY)
        self.secret("openai-admin", ADMIN_KEY)

    def options(self):
        return dataclasses.replace(super().options(), allow_many=True)

    def manifests(self, which):
        account = {
            "key": "file://keys/openai",
            "admin_key": "file://keys/openai-admin",
            "api_base": self.base,
        }
        monthly = {**BUDGET, "monthly_usd": 500, "enforce": "hard", "alert_at": [50, 80]}
        all_of_it = {**BUDGET, "monthly_usd": 2000, "enforce": "hard", "scope": "organization"}
        match which:
            case "first":
                account |= {"project": MINE, "allow_models": ["gpt-4o", "gpt-4o-mini"]}
                account["rate_limits"] = {"gpt-4o": {"requests_per_minute": 300}}
                budgets = {"monthly": {**monthly, "exclusive": True}, "all": all_of_it}
            case "second":
                account |= {"project": NEXT, "allow_models": ["gpt-4o", "o1"]}
                warned = {**monthly, "monthly_usd": 400, "alert_at": [80, 100]}
                budgets = {"monthly": warned, "all": {**all_of_it, "monthly_usd": 1500}}
            case _:
                budgets = {}
        return {"providers": {"openai": account}, "budgets": budgets}

    def sense(self):
        """Everything but what a project that was made here, and is released, began with."""
        found = {}
        for owner, name in {"": "", **self.names()}.items():
            found[name] = {
                "limit": self.simulator.limits.get(owner),
                "permissions": self.simulator.permissions.get(owner),
                "alerts": sorted(map(str, map(meaning, self.simulator.alerts[owner].values()))),
                "rates": [
                    row for row in self.simulator.rates.get(owner, {}).values() if moved(row)
                ],
            }
        return {name: parts for name, parts in found.items() if any(parts.values())}

    def names(self):
        return {id_: p["name"] for id_, p in self.simulator.projects.items()}

    def strangers(self):
        others = [id_ for id_, name in self.names().items() if name not in (MINE, NEXT)]
        state = self.simulator
        unmarked = [
            alert
            for owner in state.alerts
            for alert in state.alerts[owner].values()
            if not str(alert["notification_channel"]["subject_prefix"]).startswith("[byok:")
        ]
        return {
            "projects": [state.projects[id_] for id_ in others],
            "limits": [state.limits.get(id_) for id_ in others],
            "permissions": [state.permissions.get(id_) for id_ in others],
            "rates": [state.rates[id_] for id_ in others],
            "keys": state.api_keys[state.project(MINE)],
            "alerts": unmarked,
            "o1": moved(state.rates[state.project(MINE)]["rl-o1"]),
        }

    def disturb(self):
        self.simulator.limit("", 77_700)
        alerts = [a for there in self.simulator.alerts.values() for a in there.values()]
        half = next(a for a in alerts if "monthly/80" in str(a["notification_channel"]))
        half["threshold_amount"] = 12_300


def meaning(alert):
    """An alert without its id and its team: another team may have taken it over."""
    channel = alert["notification_channel"]
    mark = (channel["subject_prefix"] or "").rpartition(" ")[2]
    return alert["threshold_amount"], sorted(channel["recipients"]), mark


def moved(row):
    return any(row[name] != value for name, value in RATES.items())


class TestOpenAI(AccountContract):
    def make(self, folder):
        simulator = world()
        return OpenAIRig(folder, simulator, self.host(simulator))
