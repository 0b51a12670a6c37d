"""The contract, held by a LiteLLM proxy: a team with its budget, limits of virtual keys."""

from __future__ import annotations

import json

from reconciler.model import Action
from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import mortality
from tests.simulators.endpoints import LiteLLM

KEY = "sk-" + "virtual0cursor7key"
MASTER = "sk-" + "master9of4the2proxy"

FIRST = {
    "team": {
        "name": "cursor-byok",
        "allow_models": ["acme-coder"],
        "tokens_per_minute": 100_000,
        "requests_per_minute": 60,
    },
    "keys": {
        "ci": {"limit_usd": 20, "limit_reset": "weekly", "tokens_per_minute": 5000},
        "capped": {"limit_usd": None},
        "lab": {"allow_models": ["acme-fast"], "exclusive": True, "disabled": True},
    },
}
SECOND = {
    "team": {"name": "cursor-byok", "allow_models": ["acme-coder", "acme-fast"]},
    "keys": {"ci": {"limit_usd": 12.5, "limit_reset": "weekly", "requests_per_minute": 5}},
}
BUDGETS = {
    "first": {
        "hard": {"endpoint": "gateway", "monthly_usd": 500, "enforce": "hard"},
        "told": {
            "endpoint": "gateway",
            "monthly_usd": 400,
            "alert_at": [80],
            "notify": ["finops@acme.example", "ada@acme.example"],
        },
    },
    "second": {
        "hard": {
            "endpoint": "gateway",
            "monthly_usd": 300,
            "enforce": "hard",
            "alert_at": [50],
            "notify": ["finops@acme.example"],
        }
    },
    "none": {},
}


class Rig(AccountRig):
    name = "gateway"
    secrets = (KEY, MASTER)

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.secret("gateway", KEY)
        self.secret("admin", MASTER)

    def manifests(self, which):
        endpoint = {
            "type": "litellm",
            "base_url": f"{self.base}/v1",
            "key": "file://keys/gateway",
            "admin_key": "file://keys/admin",
            **{"first": FIRST, "second": SECOND, "none": {}}[which],
        }
        return {"endpoints": {"gateway": endpoint}, "budgets": BUDGETS[which]}

    def sense(self):
        """Without the teams themselves, which are released; a period without a sum is nothing."""
        found = {}
        for row in self.simulator.keys:
            fields = ("max_budget", "tpm_limit", "rpm_limit")
            found[f"key {row['key_alias']}"] = (
                [row[field] for field in fields],
                {"30d": "1mo"}.get(row["budget_duration"], row["budget_duration"]),
                bool(row["blocked"]),
                sorted(row["models"]),
            )
        for row in self.simulator.teams:
            sums = [row["max_budget"], row["soft_budget"]]
            told = row["metadata"].get("soft_budget_alerting_emails", [])
            if any(each is not None for each in sums):
                found[f"budget {row['team_alias']}"] = (sums, row["budget_duration"], told)
        return found

    def strangers(self):
        rows = [*self.simulator.keys, *self.simulator.teams]
        named = {row.get("team_alias") or row.get("key_alias"): row for row in rows}
        return {
            name: json.dumps(row) for name, row in named.items() if str(name).startswith("other")
        }

    def disturb(self):
        next(k for k in self.simulator.keys if k["key_alias"] == "ci")["max_budget"] = 99
        team = next(t for t in self.simulator.teams if t["team_alias"] == "cursor-byok")
        team["max_budget"] = 444.0


class TestLiteLLM(AccountContract):
    def make(self, folder):
        world = LiteLLM(KEY, MASTER)
        world.add_team("other team", max_budget=5.0, budget_duration="12h", models=["acme-fast"])
        for alias in ("ci", "other one", "other two", None):
            world.add_key(alias, f"sk-{alias}-is-a-key")
        world.add_key("capped", "sk-capped-is-a-key", max_budget=10.0, budget_duration="1mo")
        world.add_key("lab", "sk-lab-is-a-key", models=["acme-coder"], tpm_limit=7)
        return Rig(folder, world, self.host(world))


class TestLiteLLMTeamTaken(AccountContract):
    """The team is there, with another's budget and models."""

    actions = (Action.UPDATE,)
    stride = 29

    def make(self, folder):
        world = LiteLLM(KEY, MASTER)
        world.add_team(
            "cursor-byok",
            max_budget=600.0,
            soft_budget=10.0,
            budget_duration="7d",
            models=["acme-fast"],
            tpm_limit=7,
            metadata={"cost_center": "42", "soft_budget_alerting_emails": ["bob@acme.example"]},
        )
        world.add_team("other team")
        world.add_key("ci", "sk-ci-is-a-key")
        world.add_key("capped", "sk-capped-is-a-key", max_budget=10.0)
        world.add_key("lab", "sk-lab-is-a-key")
        return Rig(folder, world, self.host(world))


__all__ = ["mortality"]
