"""The contract, held by an OpenRouter account: limits of keys, guardrails, a hard budget."""

from __future__ import annotations

import json

from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import mortality
from tests.simulators.endpoints import OpenRouter

KEY = "sk-or-" + "v1-" + "ab" * 32
ADMIN = "sk-or-" + "v1-" + "cd" * 32

FIRST = {
    "key_name": "cursor-team",
    "keys": {
        "shared": {"limit_usd": 20, "limit_reset": "weekly", "include_byok_in_limit": True},
        "capped": {"limit_usd": None},
        "idle": {"disabled": True},
    },
    "guardrails": {
        "cursor": {
            "limit_usd": 30,
            "allow_models": ["openai/gpt-5.2", "meta-llama/llama-4"],
            "keys": ["cursor-team"],
        },
        "house": {
            "limit_usd": 40.5,
            "limit_reset": "daily",
            "allow_models": ["openai/gpt-5.2"],
            "exclusive": True,
        },
    },
}
SECOND = {
    "key_name": "cursor-team",
    "keys": {"shared": {"limit_usd": 25, "limit_reset": "weekly", "disabled": True}},
    "guardrails": {
        "cursor": {
            "limit_usd": 60,
            "include_byok_in_limit": True,
            "allow_models": ["openai/gpt-5.2", "anthropic/claude-sonnet-4.5"],
            "keys": ["cursor-team", "shared"],
        },
        "new": {},
    },
}
AMOUNT = {"first": 500, "second": 650}


class Rig(AccountRig):
    name = "router"
    secrets = (KEY, ADMIN)

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.secret("router", KEY)
        self.secret("admin", ADMIN)

    def manifests(self, which):
        endpoint = {
            "type": "openrouter",
            "base_url": self.base,
            "key": "file://keys/router",
            "admin_key": "file://keys/admin",
            **{"first": FIRST, "second": SECOND, "none": {}}[which],
        }
        hard = {"endpoint": "router", "enforce": "hard"}
        budgets = {"m": {**hard, "monthly_usd": AMOUNT[which]}} if which in AMOUNT else {}
        return {"endpoints": {"router": endpoint}, "budgets": budgets}

    def sense(self):
        """Guardrails by name: that a deleted one comes back under another id is how it is."""
        names = {rail["id"]: rail["name"] for rail in self.simulator.rails}
        fields = ("disabled", "limit", "limit_reset", "include_byok_in_limit")
        keys = {f"key {k['name']}": [k[field] for field in fields] for k in self.simulator.keys}
        given = {f"given {k}": names[rail] for k, rail in self.simulator.assigned.items()}
        fields = ("limit_usd", "reset_interval", "include_byok_in_budgets")
        rails = {
            f"rail {rail['name']}": (
                [rail[field] for field in fields],
                sorted(rail["allowed_models"] or []),
            )
            for rail in self.simulator.rails
        }
        return keys | given | rails

    def strangers(self):
        rows = [*self.simulator.keys, *self.simulator.rails]
        return {row["name"]: json.dumps(row) for row in rows if row["name"].startswith("other")}

    def disturb(self):
        shared = next(k for k in self.simulator.keys if k["name"] == "shared")
        shared["limit"] = 99
        rail = next(r for r in self.simulator.rails if r["name"] == "cursor")
        rail["limit_usd"] = 31.5


class TestOpenRouter(AccountContract):
    stride = 11

    def make(self, folder):
        world = OpenRouter(KEY, ADMIN)
        for name in ("shared", "idle", "other one", "other two"):
            world.add_key(name, f"sk-or-v1-{name}")
        world.add_key("shared", "sk-or-v1-elsewhere", workspace="lab")
        world.add_key("capped", "sk-or-v1-capped", limit=10, limit_reset="monthly")
        world.add_rail("other rail", limit_usd=5, reset_interval="daily")
        world.add_rail(
            "house",
            limit_usd=70,
            reset_interval="monthly",
            allowed_models=["meta-llama/llama-4"],
        )
        return Rig(folder, world, self.host(world))


__all__ = ["mortality"]
