"""OpenRouter's management API as rows by name: workspaces, keys, and how lists are followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Value
from reconciler.systems.account import Answer, Client, refusal
from reconciler.systems.account.pages import Next, items, pages
from reconciler.systems.endpoint.limits import money

Row = Mapping[str, Any]
NO_KEY: Final = "byok makes no keys: there is none of this name in this workspace, or more than one"


@dataclass(frozen=True, slots=True)
class Desk:
    """The management API of one account, opened; ``workspace`` is a name, slug or id, or empty."""

    client: Client
    workspace: str
    mark: str


def managed(desk: Desk) -> Answer:
    """Return the key itself. Raises ProviderError (wrong kind) where it manages nothing."""
    answer = desk.client.get("key")
    if not (answer.at("data", "is_management_key") or answer.at("data", "is_provisioning_key")):
        what = "was given an ordinary key in admin_key, and such a key manages nothing"
        way_out = "make a management key (Settings, Management keys), and store it there"
        raise refusal(desk.client.who, Problem.WRONG_KIND, what, way_out)
    return answer


def _by_offset() -> Next:
    """Follow lists by ``offset``, to ``total_count`` where it is told, else to an empty page."""
    count = 0

    def onward(answer: Answer) -> Mapping[str, Any] | None:
        nonlocal count
        found, total = answer.at("data", default=()), answer.at("total_count")
        count += len(found)
        if not found or (isinstance(total, int) and count >= total):
            return None
        return {"offset": count}

    return onward


def listing(desk: Desk, path: str, params: Mapping[str, Any] | None = None) -> list[Row]:
    """Return all rows of a list. Raises ProviderError as `managed` and `Client.get`."""
    managed(desk)
    return list(items(pages(desk.client, path, _by_offset(), params), "data"))


def workspace_id(desk: Desk) -> str | None:
    """Return the id of the declared workspace; None for the default one."""
    if not desk.workspace:
        return None
    for row in listing(desk, "workspaces"):
        if desk.workspace in (row.get("id"), row.get("slug"), row.get("name")):
            return str(row["id"])
    what = "has no workspace of the name in workspace"
    raise refusal(desk.client.who, Problem.NOT_THERE, what, "correct the name")


def key_rows(desk: Desk) -> list[Row]:
    """Return all keys of the workspace, disabled ones too."""
    params = {"include_disabled": "true", "workspace_id": workspace_id(desk)}
    return listing(desk, "keys", params)


def single(rows: Iterable[Row]) -> dict[str, Row]:
    """Return rows by name; of a name that several have, nobody can tell which is meant."""
    found: dict[str, Row | None] = {}
    for row in rows:
        name = str(row.get("name"))
        found[name] = None if name in found else row
    return {name: row for name, row in found.items() if row is not None}


def limit_in(row: Row, limit: str, reset: str) -> dict[str, Value]:
    """Return the attributes of a limit and its interval, by the names of their fields."""
    found: dict[str, Value] = {"limit": money(row.get(limit)), "reset": row.get(reset)}
    return {name: value for name, value in found.items() if value is not None}
