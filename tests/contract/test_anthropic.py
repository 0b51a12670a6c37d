"""Anthropic's account meets the contract of every system, against a stateful simulator."""

from __future__ import annotations

import copy
from pathlib import Path

from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import mortality
from tests.simulators.anthropic import ADMIN_KEY, KEY, Anthropic

__all__ = ["mortality"]

LIMITS = {
    "first": {
        "claude-sonnet-4-5": {"requests_per_minute": 40, "tokens_per_day": 1_000_000},
        "Claude Opus 4.x": {"requests_per_minute": None},
    },
    "second": {"batch": {"requests_per_minute": 7}},
}
HARD = {"provider": "anthropic", "enforce": "hard"}
BUDGETS = {
    "first": {
        "space": {**HARD, "monthly_usd": 500},
        "told": {"provider": "anthropic", "monthly_usd": 100, "alert_at": [80]},
        "whole": {**HARD, "monthly_usd": 1000, "scope": "organization"},
    },
    "second": {
        "space": {**HARD, "monthly_usd": 250.5},
        "whole": {**HARD, "monthly_usd": 900, "scope": "organization"},
    },
}


class AnthropicRig(AccountRig):
    """A workspace that others made, with limits of theirs; the second manifest has another."""

    name = "anthropic"
    secrets = (KEY, ADMIN_KEY)
    simulator: Anthropic

    def __init__(self, folder: Path, simulator: Anthropic, base: str) -> None:
        super().__init__(folder, simulator, base)
        self.secret("ordinary", KEY)
        self.secret("admin", ADMIN_KEY)

    def manifests(self, which: str) -> dict[str, object]:
        entry: dict[str, object] = {
            "key": "file://keys/ordinary",
            "admin_key": "file://keys/admin",
            "api_base": self.base,
        }
        if which == "none":
            return {"providers": {"anthropic": entry}}
        intern = self.simulator.intern
        keys = {
            "first": {"ci": {"status": "inactive"}, intern: {"name": "renamed"}},
            "second": {intern: {"name": "named", "status": "inactive"}},
        }
        entry |= {
            "workspace": "cursor-byok" if which == "first" else "cursor-second",
            "rate_limits": LIMITS[which],
            "keys": keys[which],
        }
        return {"providers": {"anthropic": entry}, "budgets": BUDGETS[which]}

    def sense(self) -> dict[str, object]:
        world = self.simulator
        names = {id_: space["name"] for id_, space in world.workspaces.items()}
        rates = {
            (names[space], group): dict(limits)
            for (space, _, group), limits in (
                (place.partition("/"), limits) for place, limits in world.overrides.items()
            )
            if limits
        }
        spend = {
            names.get(row["scope"].get("workspace_id"), row["scope"]["type"]): row["amount"]
            for row in world.spend.values()
        }
        keys = {id_: (key["name"], key["status"]) for id_, key in world.keys.items()}
        return {"rates": rates, "spend": spend, **keys}

    def strangers(self) -> dict[str, object]:
        world = self.simulator
        mine = ("cursor-byok", "cursor-second")
        spaces = {i: s for i, s in world.workspaces.items() if s["name"] not in mine}
        return copy.deepcopy(self._strange(world, spaces))

    def _strange(self, world: Anthropic, spaces: dict[str, object]) -> dict[str, object]:
        return {
            "spaces": spaces,
            "rates": {p: v for p, v in world.overrides.items() if p.partition("/")[0] in spaces},
            "spend": [s for s in world.spend.values() if s["scope"].get("workspace_id") in spaces],
            "keys": {i: k for i, k in world.keys.items() if k["name"] in ("cursor", "stays")},
        }

    def disturb(self) -> None:
        world = self.simulator
        row = next(r for r in world.spend.values() if r["scope"]["type"] == "organization")
        row["amount"] = "77700"
        world.override(world.named("cursor-byok"), "rl_sonnet", requests_per_minute=41)


class TestAnthropic(AccountContract):
    def make(self, folder: Path) -> AnthropicRig:
        world = Anthropic(KEY, ADMIN_KEY)
        ours = world.add_workspace("cursor-byok", cost_center="12")
        other = world.add_workspace("research", team="x")
        world.override(ours, "rl_sonnet", requests_per_minute=50)
        world.override(ours, "rl_opus", requests_per_minute=30)
        world.override(other, "rl_sonnet", requests_per_minute=9)
        world.add_limit({"type": "workspace", "workspace_id": other}, "4200")
        world.add_key("ci", "sk-ant-" + "api03-" + "c1" * 30 + "AA", ours)
        world.intern = world.add_key("intern", "sk-ant-" + "api03-" + "d2" * 30 + "AA")
        world.add_key("stays", "sk-ant-" + "api03-" + "e3" * 30 + "AA", other)
        return AnthropicRig(folder, world, self.host(world))
