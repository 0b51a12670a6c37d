"""An Anthropic organisation as its admin key sees it, and how its workspaces are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.systems.account import Client, Credential, Setting, refusal
from reconciler.systems.account.pages import items, pages
from reconciler.systems.anthropic.wire import (
    ADMIN,
    ORDINARY,
    ORGANIZATION,
    after_id,
    base_of,
    dialect,
    sign,
)

WORKSPACES: Final = f"{ORGANIZATION}/workspaces"
KEYS: Final = f"{ORGANIZATION}/api_keys"
MARK: Final = "byok"
"""The tag that says whose a workspace is; its value is the team."""

SPENDING_BETA: Final = "spend-limit-reads-2026-09-26"
COSTS_BETA: Final = "analytics-usage-cost-2026-08-24"
"""What lists of spend limits, and of costs, must name in ``anthropic-beta`` (SDK 2.12.0)."""

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Console:
    """The organisation: one client for all, and one for each list that asks for a beta header.

    ``workspace`` is the declared one's name, empty where none is.
    """

    setting: Setting
    api: Client
    spending: Client
    costs: Client

    @property
    def workspace(self) -> str:
        """The declared workspace's name, or an empty text."""
        return str(self.setting.account().get("workspace", ""))

    @property
    def team(self) -> str:
        """The owner that the mark names."""
        return self.setting.manifest.team

    def forget(self) -> None:
        """Read afresh from now on."""
        for client in (self.api, self.spending, self.costs):
            client.forget()


def admin_key(setting: Setting) -> Credential | None:
    """Return the admin key; None where no reference exists.

    Raises SecretError, Unapproved, or ProviderError where it is an ordinary key by its shape.
    """
    base, own = base_of(setting)
    refs = setting.account().get("admin_key", ())
    found = setting.credential(refs, base, own=own)
    if found is not None and found.secret.expose().startswith(ORDINARY):
        what = "is an ordinary key, and admin_key needs an admin key: it was not sent"
        way_out = f"make one in the Console (it begins with {ADMIN}) and store it there"
        raise refusal(found.ref, Problem.WRONG_KIND, what, way_out)
    return found


def open_console(setting: Setting, admin: Credential) -> Console:
    """Connect with an admin key; asks nothing yet."""
    base, _ = base_of(setting)
    signed = sign(admin.secret)
    api, spending, costs = (
        setting.door.connect(base, dialect(beta), signed)
        for beta in ("", SPENDING_BETA, COSTS_BETA)
    )
    return Console(setting, api, spending, costs)


def identity(console: Console) -> str:
    """Return the organisation's id. Raises ProviderError where the key does not reach it."""
    found = console.api.get(f"{ORGANIZATION}/me").at("id")
    if not isinstance(found, str) or not found:
        raise refusal(console.api.who, Problem.UNREADABLE)
    return found


def listed(client: Client, path: str) -> list[Item]:
    """Return all of a list that is paged by ids."""
    return list(items(pages(client, path, after_id, {"limit": 1000}), "data"))


def workspaces(console: Console) -> dict[str, Item]:
    """Return the workspaces that are not archived, by name; of two of one name, ours.

    Raises ProviderError where two of the declared name are there, and the mark does not tell.
    """
    found: dict[str, list[Item]] = {}
    for item in listed(console.api, WORKSPACES):
        if not item.get("archived_at"):
            found.setdefault(str(item.get("name")), []).append(item)
    return {name: _one(console, name, twins) for name, twins in found.items()}


def _one(console: Console, name: str, twins: list[Item]) -> Item:
    marked = [item for item in twins if owner(item) == console.team] or twins
    if len(marked) > 1 and name == console.workspace:
        what = "has two workspaces of the declared name, and cannot tell which is meant"
        raise refusal(console.api.who, Problem.REJECTED, what, "rename one of them in the Console")
    return marked[0]


def owner(workspace: Item) -> str | None:
    """Return the team that a workspace's mark names."""
    tags = workspace.get("tags")
    found = tags.get(MARK) if isinstance(tags, Mapping) else None
    return found if isinstance(found, str) else None


def reconciled(console: Console) -> dict[str, Item]:
    """Return the workspaces whose limits may be ours: the declared one, and those with our mark."""
    return {
        name: item
        for name, item in workspaces(console).items()
        if name == console.workspace or owner(item) == console.team
    }
