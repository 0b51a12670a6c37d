"""The contract of accounts, proven on an account that has nothing but what all have."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from reconciler import accounts
from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import apply, mortality, plan, remove
from tests.simulators.toy import ADMIN_KEY, KEY, Toy
from tests.unit import toy

__all__ = ["mortality"]

WISHES = {
    "first": {
        "project": {"byok": {"region": "eu"}, "theirs": {"region": "us"}},
        "limit": {"byok": {"amount": "50.00 USD"}, "theirs": {"amount": "20.00 USD"}},
        "alert": {
            "byok/monthly": {"amount": "40.00 USD", "notify ada@acme.example": True},
            "theirs/monthly": {"amount": "30.00 USD", "notify ada@acme.example": True},
        },
        "allowed": {"byok": {"model acme-large": True, "model acme-small": True}},
        "quota": {"theirs": {"requests": 7}},
        "exclusive": {"allowed": {"*": "model "}},
    },
    "second": {
        "project": {"theirs": {"region": "us"}},
        "limit": {"theirs": {"amount": "25.00 USD"}},
        "alert": {"theirs/monthly": {"amount": "35.00 USD", "notify bob@acme.example": True}},
        "allowed": {"theirs": {"model acme-small": True}},
        "quota": {"theirs": {"requests": 8}},
    },
    "none": {},
}


class ToyRig(AccountRig):
    """Another team's project, limit and alert stand there, and a list of which we want nothing."""

    name = "toy"
    secrets = (KEY, ADMIN_KEY)
    simulator: Toy

    def __init__(self, folder: Path, simulator: Toy, base: str) -> None:
        super().__init__(folder, simulator, base)
        self.secret("ordinary", KEY)
        self.secret("admin", ADMIN_KEY)

    def wish(self, which: str) -> None:
        super().wish(which)
        toy.wish(self.manifest, self.name, **WISHES[which])

    def manifests(self, _which: str) -> dict[str, object]:
        entry = {
            "type": "custom",
            "base_url": self.base,
            "key": "file://keys/ordinary",
            "admin_key": "file://keys/admin",
            "active": False,
        }
        return {"endpoints": {"toy": entry}}

    def sense(self) -> dict[str, object]:
        kinds = ("limits", "alerts", "allowed", "quotas")
        return copy.deepcopy({kind: self.simulator.named(kind) for kind in kinds})

    def strangers(self) -> dict[str, object]:
        return copy.deepcopy(
            {
                kind: {n: f for n, f in self.simulator.named(kind).items() if "stays" in n}
                for kind in self.simulator.things
            }
        )

    def disturb(self) -> None:
        self.simulator.move("limits", "theirs", amount="99.00 USD")
        self.simulator.move("alerts", "theirs/monthly", amount="77.00 USD")


class TestToy(AccountContract):
    @pytest.fixture(autouse=True)
    def _opened(self):
        with pytest.MonkeyPatch.context() as patch:  # the contract undoes the common one
            patch.setattr(accounts, "open_account", toy.account)
            yield

    def make(self, folder: Path) -> ToyRig:
        world = Toy()
        for name in ("theirs", "stays"):
            world.add("projects", name, region="us")
            world.add("limits", name, amount="10.00 USD")
            world.add("alerts", f"{name}/monthly", **{"notify eve@acme.example": True})
        world.add("allowed", "theirs", **{"model acme-small": True})
        world.add("quotas", "theirs", requests=5)
        return ToyRig(folder, world, self.host(world))

    def test_an_empty_ledger_makes_nothing_twice(self, rig):
        apply(rig)
        before = rig.world()
        made = len(rig.simulator.writes())
        for path in rig.state.glob("ledger*"):
            path.unlink()
        assert plan(rig).changes == ()
        apply(rig)
        assert rig.world() == before
        assert len(rig.simulator.writes()) == made

    def test_what_was_adopted_is_released(self, rig):
        apply(rig)
        for path in rig.state.glob("ledger*"):
            path.unlink()
        apply(rig)
        before = rig.world()
        remove(rig)
        assert rig.world() == before
