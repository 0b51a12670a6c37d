"""A rig for a provider's account: the real system, over real HTTP, against its simulator."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml

from reconciler.model import Action
from reconciler.origins import origin
from reconciler.session import Options, Session
from reconciler.systems import System
from tests.contract.contract import Rig, SystemContract
from tests.simulators.server import Simulator, serving


class AccountRig(Rig):
    """Give ``name``, and in a subclass ``manifests`` (first, second, none) and the senses.

    ``base`` is where the simulator is served; ``manifests`` maps a wish to the manifest's data.
    ``none`` names no resource, and still names the account and its credentials.
    """

    simulator: Simulator
    base: str

    def __init__(self, folder: Path, simulator: Simulator, base: str) -> None:
        super().__init__(folder)
        self.simulator, self.base = simulator, base
        self.manifest.parent.mkdir(parents=True, exist_ok=True)

    def manifests(self, which: str) -> dict[str, object]:
        """Return the manifest's data without version and team."""
        raise NotImplementedError

    def options(self) -> Options:
        return dataclasses.replace(
            super().options(), allow_origins=(origin(self.base),), allow_irreversible=True
        )

    def system(self, session: Session) -> System:
        return session.account(self.name, judged=True)

    def wish(self, which: str) -> None:
        document = {"version": 1, "team": "acme", **self.manifests(which)}
        self.manifest.write_text(yaml.safe_dump(document, sort_keys=False))

    def world(self) -> object:
        return self.simulator.snapshot()


class AccountContract(SystemContract):
    """The contract for an account: every world is a simulator of its own behind one server.

    A subclass's ``make`` calls `host` with a fresh simulator, and gets where it is served.
    """

    holds_secrets = False
    actions = (Action.CREATE, Action.UPDATE)  # few have a list that is a team's as a whole
    stride = 7

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        self.simulators: list[Simulator] = []
        self.numbers = count()
        with serving(self.simulators) as self.base:
            yield

    def host(self, simulator: Simulator) -> str:
        """Serve a simulator below a prefix of its own; return its base URL."""
        simulator.prefix = f"{simulator.prefix}{next(self.numbers)}"
        self.simulators.append(simulator)
        return f"{self.base}/{simulator.prefix}"
