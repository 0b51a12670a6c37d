"""OpenRouter's keys: made with a management key, with a limit each, told apart by hash or label."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.spec import Endpoint
from reconciler.systems.account import (
    Credential,
    Issuer,
    Listed,
    Made,
    Order,
    Setting,
    Trial,
    Values,
    must_be_gone,
    refusal,
    with_id,
)
from reconciler.systems.account.findings import moment
from reconciler.systems.account.keys import ours_by_hint
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.endpoint.limits import amount, ordered_limit, unlike_ordered
from reconciler.systems.endpoint.openrouter import desk as open_desk
from reconciler.systems.endpoint.openrouter_rows import (
    Desk,
    Row,
    key_rows,
    listing,
    workspace_id,
)

MONTHLY: Final = "monthly"
TERMS: Final = ("limit", "limit_reset", "include_byok_in_limit")
"""What bounds a key, and is kept where another takes its place."""

ASSIGNED: Final = "guardrails/assignments/keys"


def opened(
    setting: Setting,
    endpoint: Endpoint,
    api: str,
    credential: Credential,
    attempt: Callable[[Values], Trial],
    by_hand: str,
) -> Issuer:
    """Open the keys of the declared workspace; asks nothing."""
    desk = open_desk(setting, endpoint, api, credential)
    return Issuer(
        how="makes a key at OpenRouter, with the old one's limits and guardrails",
        attempt=attempt,
        listed=lambda: tuple(_listed(row) for row in key_rows(desk)),
        identify=partial(_identify, desk),
        make=partial(_make, desk),
        orphans=partial(_orphans, desk),
        revoke=partial(_revoke, desk, by_hand),
        limits=True,
        by_hand=by_hand,
        forget=desk.client.forget,
    )


def _listed(row: Row) -> Listed:
    ends = moment(row.get("expires_at"))
    monthly = row.get("limit_reset") == MONTHLY
    return Listed(
        id=str(row.get("hash")),
        name=str(row.get("name") or ""),
        made=moment(row.get("created_at")),
        live=not row.get("disabled") and (ends is None or ends > datetime.now(UTC)),
        spent=amount(row.get("usage_monthly")),
        limit=amount(row.get("limit")) if monthly else None,
    )


def _identify(desk: Desk, values: Values) -> str:
    """Find a key by its hash, a SHA-256 wherever that fits, else by its label, a hint."""
    rows, secret = key_rows(desk), values["key"]
    digest = hashlib.sha256(secret.expose().encode()).hexdigest()
    if any(row.get("hash") == digest for row in rows):
        return digest
    hinted = [str(r.get("hash")) for r in rows if ours_by_hint(secret, str(r.get("label")))]
    return hinted[0] if len(hinted) == 1 else ""


def _make(desk: Desk, order: Order) -> Made:
    """Make a key; where it takes another's place, with that one's limits and guardrails."""
    old = next((r for r in key_rows(desk) if order.old and r.get("hash") == order.old), {})
    rails, place = _rails(desk, order.old) if old else [], workspace_id(desk)
    terms = {name: old[name] for name in TERMS if old.get(name)}
    if order.limit is not None:
        terms |= {"limit": ordered_limit(desk.client.who, order.limit), "limit_reset": MONTHLY}
    body = {"name": order.name, **terms, **({"workspace_id": place} if place else {})}
    answer = desk.client.send("POST", "keys", body)
    value, digest = answer.at("key"), answer.at("data", "hash")
    if not all(isinstance(each, str) and each for each in (value, digest)):
        what = f"made a key, and did not show it: look for {order.name} there"
        raise refusal(desk.client.who, Problem.UNREADABLE, what)
    _as_ordered(desk, terms, answer.at("data"))
    for rail in rails:
        path = f"guardrails/{quote(rail, safe='')}/assignments/keys"
        desk.client.send("POST", path, {"key_hashes": [digest]}, again=True)
    return Made(digest, {"key": Secret(value)})


def _as_ordered(desk: Desk, terms: dict[str, Any], row: Any) -> None:
    if any(row.get(name) != value for name, value in terms.items()):
        raise unlike_ordered(desk.client.who)


def _rails(desk: Desk, digest: str) -> Sequence[str]:
    """Return the guardrails of a key; none where this account has no guardrails at all."""
    try:
        rows = listing(desk, ASSIGNED, {"limit": 100})
    except ProviderError as error:
        if error.kind in CLOSED:
            return ()
        raise
    return [str(row.get("guardrail_id")) for row in rows if row.get("key_hash") == digest]


def _orphans(desk: Desk, order: Order) -> tuple[str, ...]:
    desk.client.forget()
    return tuple(str(row.get("hash")) for row in key_rows(desk) if row.get("name") == order.name)


def _revoke(desk: Desk, by_hand: str, id_: str) -> None:
    digest = with_id(desk.client.who, id_)
    try:
        desk.client.send("DELETE", f"keys/{quote(digest, safe='')}", again=True)
    except ProviderError as error:
        if error.kind is not Problem.NOT_THERE:
            raise
    must_be_gone(desk.client.who, partial(_there, desk, digest), by_hand)


def _there(desk: Desk, digest: str) -> bool:
    desk.client.forget()
    return any(row.get("hash") == digest for row in key_rows(desk))
