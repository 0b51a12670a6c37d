"""A toy account in the form of a provider's file; its wishes stand beside the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Action, Attrs, Change
from reconciler.money import Money
from reconciler.systems.account import Account, Answer, Client, Dialect, Kind, Setting, Sight
from reconciler.systems.account.findings import ModelFact, models
from reconciler.systems.account.kind import Named
from reconciler.systems.account.pages import after_last, items, pages
from reconciler.systems.account.signing import bearer

KINDS = {
    "project": "projects",
    "limit": "limits",
    "alert": "alerts",
    "allowed": "allowed",
    "quota": "quotas",
}
"""What byok and what Acme calls each kind, in the order of their dependence."""

MISSING = "Acme makes quotas itself"


def wish(manifest: Path, name: str, **wishes: Any) -> None:
    """Say what is wanted: by kind and name, and ``exclusive``, ``slow``, ``settling``."""
    (manifest.parent / f"{name}.json").write_text(json.dumps(wishes))


def classify(answer: Answer) -> Problem | None:
    """Tell the wrong kind of key from a dead one."""
    return Problem.WRONG_KIND if answer.at("code") == "wrong_kind" else None


DIALECT = Dialect("Acme", classify)


def account(setting: Setting) -> Account:
    """Open the account. Raises SecretError or Unapproved for the admin key."""
    endpoint = setting.manifest.endpoints[setting.name]
    wishes = json.loads((setting.manifest.folder / f"{setting.name}.json").read_text())
    base = endpoint.base_url

    def observe() -> Sight:
        key = setting.credential(endpoint.key, base, own=False)
        assert key is not None
        client = setting.door.connect(base, DIALECT, bearer(key.secret))
        found = {str(item["id"]): ModelFact() for item in client.get("/models").at("data")}
        return setting.saw("key", setting.name, "alive") + models(setting, found)

    refs = endpoint.account.get("admin_key", ()) if setting.judged else ()
    admin = setting.credential(refs, base, own=False)
    if admin is None:
        return Account(setting, observe, lambda: "unknown")
    client = setting.door.connect(base, DIALECT, bearer(admin.secret))
    return Account(
        setting,
        observe,
        lambda: str(client.get("/whoami").at("account")),
        kinds=tuple(_kind(client, name, wishes) for name in KINDS),
        survey=(lambda: setting.saw("spent", "month", "nothing yet"),),
        forget=client.forget,
        settling=wishes.get("settling", 0.5),
    )


def _kind(client: Client, name: str, wishes: Mapping[str, Any]) -> Kind:
    return Kind(
        name,
        desired=wishes.get(name, {}),
        read=partial(_read, client, KINDS[name]),
        write=partial(_write, client, KINDS[name]),
        final=_final,
        container=name == "project",
        exclusive=wishes.get("exclusive", {}).get(name, {}),
        slow=wishes.get("slow", {}).get(name, 0),
        missing=MISSING if name == "quota" else "",
    )


def _all(client: Client, path: str) -> list[Mapping[str, Any]]:
    return list(items(pages(client, f"/{path}", after_last), "data"))


def _read(client: Client, path: str) -> Named:
    return {thing["name"]: thing["fields"] for thing in _all(client, path)}


def _write(client: Client, path: str, name: str, _now: Attrs, goal: Attrs) -> None:
    found = next((thing for thing in _all(client, path) if thing["name"] == name), None)
    if found is None:
        if goal:
            client.send("POST", f"/{path}", {"name": name, "fields": dict(goal)})
    elif goal:
        match = {"if-match": str(found["version"])}
        client.send("PUT", f"/{path}/{found['id']}", {"fields": dict(goal)}, headers=match)
    else:
        client.send("DELETE", f"/{path}/{found['id']}", again=True)


def _final(change: Change) -> bool:
    """A project that is deleted, and a limit that is raised or taken away, are for good."""
    if change.address.kind == "project":
        return change.action is Action.DELETE
    amounts = [e for e in change.edits if e.name == "amount" and isinstance(e.before, str)]
    return change.address.kind == "limit" and any(
        not isinstance(e.after, str)
        or Money.parse(e.after).amount > Money.parse(str(e.before)).amount
        for e in amounts
    )
