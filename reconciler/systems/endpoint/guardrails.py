"""OpenRouter's guardrails: which models and how much a key may use, for the keys given to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.codec import same
from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Attrs, Value
from reconciler.systems.account import Named, refusal
from reconciler.systems.account.pages import items
from reconciler.systems.endpoint.limits import (
    MODEL,
    allowed,
    dollars,
    elements,
    limited,
    models_in,
)
from reconciler.systems.endpoint.openrouter_rows import (
    Desk,
    Row,
    key_rows,
    limit_in,
    listing,
    single,
    workspace_id,
)

KEY: Final = "key "
"""How a guardrail's attributes begin that hold one assigned key each, by name."""


def desired(entry: Row) -> dict[str, Value]:
    """Return what the manifest wants of one guardrail."""
    keys = {f"{KEY}{name}": True for name in entry.get("keys", ())}
    wanted: dict[str, Value] = {"present": True, **limited(entry), **allowed(entry), **keys}
    if "include_byok_in_limit" in entry:
        wanted["byok_in_limit"] = entry["include_byok_in_limit"]
    return wanted


def _rail_rows(desk: Desk, wanted: Mapping[str, Row]) -> dict[str, Row]:
    """Return guardrails by name; of several of one name ours is the one with our mark.

    Raises ProviderError (not supported) where a wanted name stays ambiguous.
    """
    rows = listing(desk, "guardrails", {"limit": 100, "workspace_id": workspace_id(desk)})
    marked = single(row for row in rows if row.get("description") == desk.mark)
    found = {**single(rows), **marked}
    if {str(row.get("name")) for row in rows} & wanted.keys() - found.keys():
        what = "has several guardrails of one name, and nobody can tell which is meant"
        raise refusal(desk.client.who, Problem.UNSUPPORTED, what, "rename all but one")
    return found


def read(desk: Desk, wanted: Mapping[str, Row]) -> Named:
    """Return all guardrails by name; raises ProviderError as `_rail_rows`."""
    rows = _rail_rows(desk, wanted)
    assigned = listing(desk, "guardrails/assignments/keys", {"limit": 100}) if rows else []
    names: dict[str, list[str]] = {}
    for each in assigned:
        names.setdefault(str(each.get("guardrail_id")), []).append(str(each.get("key_name")))
    called = _called(desk, wanted) if any(r.get("allowed_models") for r in rows.values()) else {}
    return {
        name: {
            "present": True,
            **limit_in(row, "limit_usd", "reset_interval"),
            "byok_in_limit": bool(row.get("include_byok_in_budgets")),
            **{
                f"{MODEL}{called.get(each, each)}": True for each in row.get("allowed_models") or ()
            },
            **{f"{KEY}{each}": True for each in names.get(str(row["id"]), ())},
        }
        for name, row in rows.items()
    }


def _called(desk: Desk, wanted: Mapping[str, Row]) -> dict[str, str]:
    """Return the ids of models by the lasting name that a guardrail lists them by.

    It takes ``openai/gpt-5.2`` and gives back its ``canonical_slug``, which is dated. Of several
    ids of one slug, the manifest's is meant.
    """
    named = {name for entry in wanted.values() for name in entry.get("allow_models", ())}
    found = list(items(iter([desk.client.get("models")]), "data"))
    found.sort(key=lambda each: (each.get("id") in named, str(each.get("id"))))
    return {str(each.get("canonical_slug")): str(each.get("id")) for each in found}


def write(desk: Desk, wanted: Mapping[str, Row], name: str, now: Attrs, goal: Attrs) -> None:
    """Carry one guardrail from its attributes to a goal; without ``present`` it goes."""
    row = _rail_rows(desk, wanted).get(name)
    if "present" not in goal:
        if row is not None:
            _delete(desk, str(row["id"]))
        return
    now = {} if row is None else now
    hashes = _hashes(desk, now, goal)
    body = _rail_body(now, goal)
    if row is None:
        place = {"name": name, "description": desk.mark, "workspace_id": workspace_id(desk)}
        named = {field: value for field, value in place.items() if value is not None}
        row = desk.client.send("POST", "guardrails", {**named, **body}).at("data", default={})
    elif body:
        desk.client.send("PATCH", f"guardrails/{row['id']}", body, again=True)
    for path, keys in hashes.items():
        if keys:
            where = f"guardrails/{row.get('id')}/assignments/keys{path}"
            desk.client.send("POST", where, {"key_hashes": keys}, again=True)


def _delete(desk: Desk, id_: str) -> None:
    """Delete a guardrail; one that is gone when asked again went the first time."""
    try:
        desk.client.send("DELETE", f"guardrails/{id_}", again=True)
    except ProviderError as error:
        if error.kind is not Problem.NOT_THERE:
            raise


def _rail_body(now: Attrs, goal: Attrs) -> dict[str, Any]:
    """Return what differs; a limit and its interval only go together (400 otherwise)."""
    body: dict[str, Any] = {}
    if not all(same(now.get(name), goal.get(name)) for name in ("limit", "reset")):
        limit = dollars(goal.get("limit"))
        reset = goal.get("reset") if limit is not None else None
        body |= {"limit_usd": limit, "reset_interval": reset}
    if models_in(now) != models_in(goal):
        body["allowed_models"] = models_in(goal) or None
    if not same(now.get("byok_in_limit"), goal.get("byok_in_limit")):
        body["include_byok_in_budgets"] = bool(goal.get("byok_in_limit"))
    return body


def _hashes(desk: Desk, now: Attrs, goal: Attrs) -> dict[str, list[str]]:
    """Return the keys to give to a guardrail, and to take from it, by the path that does so.

    Raises ProviderError (not there) for a key that is not; a key that is gone needs no taking.
    """
    before, after = set(elements(now, KEY)), set(elements(goal, KEY))
    rows = single(key_rows(desk)) if before != after else {}
    lacking = after - before - rows.keys()
    if lacking:
        what = f"has no key, or more than one, called {', '.join(sorted(lacking))}"
        raise refusal(desk.client.who, Problem.NOT_THERE, what, "correct the name")
    return {
        path: sorted(str(rows[name]["hash"]) for name in names if name in rows)
        for path, names in (("", after - before), ("/remove", before - after))
    }
