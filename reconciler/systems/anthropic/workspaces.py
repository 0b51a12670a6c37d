"""The declared workspace: made where there is none, marked as the team's, archived by destroy."""

from __future__ import annotations

from reconciler.model import Action, Attrs, Change
from reconciler.systems.account import Kind, Named
from reconciler.systems.anthropic.console import MARK, WORKSPACES, Console, owner, workspaces


def workspace_kind(console: Console) -> Kind:
    """Return the kind; the API has no delete, and archiving is final."""
    name = console.workspace
    return Kind(
        name="workspace",
        desired={name: {"status": "active", "owner": console.team}} if name else {},
        read=lambda: _read(console),
        write=lambda name, now, goal: _write(console, name, now, goal),
        final=_archives,
        container=True,
    )


def _archives(change: Change) -> bool:
    return change.action is Action.DELETE or any(
        edit.name == "status" and edit.after is None for edit in change.edits
    )


def _read(console: Console) -> Named:
    return {
        name: {"status": "active", "owner": owner(item)}
        for name, item in workspaces(console).items()
    }


def _write(console: Console, name: str, now: Attrs, goal: Attrs) -> None:
    if not now.get("status"):
        console.api.send("POST", WORKSPACES, {"name": name, "tags": {MARK: goal["owner"]}})
        return
    item = workspaces(console)[name]
    at = f"{WORKSPACES}/{item['id']}"
    if not goal.get("status"):
        console.api.send("POST", f"{at}/archive")
    else:  # null takes a tag away; the others are named too, whether or not they would stay
        tags = {**(item.get("tags") or {}), MARK: goal.get("owner")}
        console.api.send("POST", at, {"tags": tags}, again=True)
