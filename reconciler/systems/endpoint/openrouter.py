"""OpenRouter's management API: limits of existing keys, guardrails, and what is spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from reconciler.codec import same
from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs, Value
from reconciler.spec import Endpoint
from reconciler.systems.account import (
    Account,
    Credential,
    Dialect,
    Kind,
    Named,
    Setting,
    Sight,
    refusal,
)
from reconciler.systems.account.findings import day
from reconciler.systems.account.keys import KeyFact, listed, ours_by_hint
from reconciler.systems.account.signing import bearer
from reconciler.systems.endpoint import guardrails
from reconciler.systems.endpoint.limits import (
    MODEL,
    dollars,
    goes,
    limited,
    loosens,
    spent,
    wishes,
)
from reconciler.systems.endpoint.openrouter_rows import (
    NO_KEY,
    Desk,
    Row,
    key_rows,
    limit_in,
    managed,
    single,
)
from reconciler.systems.endpoint.quirks import openrouter as classify
from reconciler.systems.endpoint.sight import unless_closed

FIELDS: Final = {
    "disabled": "disabled",
    "reset": "limit_reset",
    "byok_in_limit": "include_byok_in_limit",
}


def opened(
    setting: Setting,
    endpoint: Endpoint,
    api: str,
    credential: Credential,
    look: Callable[[], Sight],
) -> Account:
    """Open the account with a management key."""
    at = desk(setting, endpoint, api, credential)
    return Account(
        setting,
        look,
        lambda: _account_id(at, credential),
        kinds=_kinds(setting, endpoint, at),
        survey=(
            unless_closed(lambda: _keys_seen(setting, endpoint, at)),
            unless_closed(lambda: _credits(setting, at)),
        ),
        forget=at.client.forget,
    )


def desk(setting: Setting, endpoint: Endpoint, api: str, credential: Credential) -> Desk:
    """Open the management API; asks nothing yet."""
    client = setting.door.connect(api, Dialect("OpenRouter", classify), bearer(credential.secret))
    workspace = endpoint.account.get("workspace", "")
    return Desk(client, workspace, f"byok:{setting.manifest.team}")


def _kinds(setting: Setting, endpoint: Endpoint, desk: Desk) -> tuple[Kind, ...]:
    given, limits = endpoint.account, wishes(setting, endpoint).limits
    keys = {
        name: _wanted_key(entry, name in limits) for name, entry in given.get("keys", {}).items()
    }
    rails: Mapping[str, Row] = given.get("guardrails", {})
    return (
        Kind(
            "key",
            {name: attrs for name, attrs in keys.items() if attrs},
            partial(_keys, desk),
            partial(_write_key, desk),
            final=loosens,
            missing=NO_KEY,
        ),
        Kind(
            "guardrail",
            {name: guardrails.desired(entry) for name, entry in rails.items()},
            partial(guardrails.read, desk, rails),
            partial(guardrails.write, desk, rails),
            final=lambda change: loosens(change) or goes(change),
            exclusive={name: MODEL for name, entry in rails.items() if entry.get("exclusive")},
        ),
        Kind(
            "spend-limit",
            limits,
            partial(_limits, desk),
            partial(_write_key, desk),
            final=loosens,
            missing=NO_KEY,
        ),
    )


def _account_id(desk: Desk, credential: Credential) -> str:
    """Return the user or organisation member behind the key; OpenRouter names no account."""
    answer = managed(desk)
    return str(answer.at("data", "creator_user_id") or credential.fingerprint)


def _wanted_key(entry: Row, budgeted: bool) -> dict[str, Value]:  # noqa: FBT001  two forms of one
    """Return what the manifest wants of a key; a budget's limit takes the place of its own."""
    wanted: dict[str, Value] = {} if budgeted else limited(entry)
    if "disabled" in entry:
        wanted["disabled"] = entry["disabled"]
    if "include_byok_in_limit" in entry:
        wanted["byok_in_limit"] = entry["include_byok_in_limit"]
    return wanted


def _keys(desk: Desk) -> Named:
    return {
        name: {
            **limit_in(row, "limit", "limit_reset"),
            "disabled": bool(row.get("disabled")),
            "byok_in_limit": bool(row.get("include_byok_in_limit")),
        }
        for name, row in single(key_rows(desk)).items()
    }


def _limits(desk: Desk) -> Named:
    rows = single(key_rows(desk))
    return {name: limit_in(row, "limit", "limit_reset") for name, row in rows.items()}


def _write_key(desk: Desk, name: str, now: Attrs, goal: Attrs) -> None:
    row = single(key_rows(desk)).get(name)
    if row is None:
        raise refusal(desk.client.who, Problem.NOT_THERE, NO_KEY)
    body: dict[str, Any] = {
        field: goal.get(attr, False if attr != "reset" else None)
        for attr, field in FIELDS.items()
        if not same(now.get(attr), goal.get(attr))
    }
    if not same(now.get("limit"), goal.get("limit")):
        body["limit"] = dollars(goal.get("limit"))
    desk.client.send("PATCH", f"keys/{row['hash']}", body, again=True)


def _keys_seen(setting: Setting, endpoint: Endpoint, desk: Desk) -> Sight:
    """List the keys, and check that ``key_name`` is the key in use."""
    rows = key_rows(desk)
    mine = setting.credential(endpoint.key, endpoint.base_url, own=True)
    facts = [
        KeyFact(
            str(row.get("name")),
            made=day(row.get("created_at")),
            status=_status(row),
            ours=mine is not None and ours_by_hint(mine.secret, str(row.get("label"))),
        )
        for row in rows
    ]
    sight = listed(setting, facts)
    named = endpoint.account.get("key_name")
    ours = {fact.name for fact in facts if fact.ours}
    if named is not None and ours and named not in ours:
        message = f"the key in use here is called {', '.join(sorted(ours))} there, not {named}"
        sight += setting.found("BYOK139", message, "correct key_name", pointer="key_name")
    return sight


def _status(row: Row) -> str:
    ends = day(row.get("expires_at"))
    parts = [
        "disabled" if row.get("disabled") else "",
        f"{spent(row.get('usage_monthly'))} used this month",
        f"expires on {ends.isoformat()}" if ends else "",
    ]
    return ", ".join(part for part in parts if part)


def _credits(setting: Setting, desk: Desk) -> Sight:
    managed(desk)
    answer = desk.client.get("credits")
    bought, used = answer.at("data", "total_credits"), answer.at("data", "total_usage")
    text = f"{spent(used)} used of {spent(bought)} bought, ever"
    return setting.saw("credits", setting.name, text)
