"""LiteLLM's virtual keys: made for the declared team, known by the SHA-256 of their value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

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
from reconciler.systems.endpoint.limits import amount, ordered_limit, unlike_ordered
from reconciler.systems.endpoint.litellm import desk as open_desk, key_rows
from reconciler.systems.endpoint.litellm_teams import (
    OWNER,
    Desk,
    Row,
    duration,
    period_of,
    team_rows,
)

MONTHLY: Final = "monthly"
KEPT: Final = (
    *("team_id", "user_id", "models", "tpm_limit", "rpm_limit", "max_parallel_requests"),
    *("max_budget", "budget_duration", "allowed_routes"),
)
"""What bounds a key, and is kept where another takes its place (GenerateKeyRequest, 1.106.2)."""


def opened(
    setting: Setting,
    endpoint: Endpoint,
    api: str,
    credential: Credential,
    attempt: Callable[[Values], Trial],
    by_hand: str,
) -> Issuer:
    """Open the proxy's virtual keys; asks nothing."""
    desk = open_desk(setting, api, credential)
    team = str(endpoint.account.get("team", {}).get("name", ""))
    return Issuer(
        how=f"makes a virtual key {f'for team {team} ' if team else ''}with the old one's limits",
        attempt=attempt,
        listed=lambda: tuple(_listed(row) for row in key_rows(desk)),
        identify=partial(_identify, desk),
        make=partial(_make, desk, team),
        orphans=partial(_orphans, desk),
        revoke=partial(_revoke, desk, by_hand),
        limits=True,
        by_hand=by_hand,
        forget=desk.client.forget,
    )


def _listed(row: Row) -> Listed:
    ends, monthly = moment(row.get("expires")), period_of(row) == MONTHLY
    return Listed(
        id=str(row.get("token")),
        name=str(row.get("key_alias") or ""),
        made=moment(row.get("created_at")),
        last_used=moment(row.get("last_active")),
        owner=str(row.get("user_id") or ""),
        live=not row.get("blocked") and (ends is None or ends > datetime.now(UTC)),
        spent=amount(row.get("spend")) if monthly else None,
        limit=amount(row.get("max_budget")) if monthly else None,
    )


def _token(secret: Secret) -> str:
    """Return what LiteLLM keeps of a key, and calls its token."""
    return hashlib.sha256(secret.expose().encode()).hexdigest()


def _identify(desk: Desk, values: Values) -> str:
    token = _token(values["key"])
    return token if any(row.get("token") == token for row in key_rows(desk)) else ""


def _make(desk: Desk, team: str, order: Order) -> Made:
    """Make a key; where it takes another's place, with that one's limits."""
    old = next((r for r in key_rows(desk) if order.old and r.get("token") == order.old), {})
    terms: dict[str, Any] = {name: old[name] for name in KEPT if old.get(name) is not None}
    if team:
        terms["team_id"] = _team_id(desk, team)
    if order.limit is not None:
        limit = ordered_limit(desk.client.who, order.limit)
        terms |= {"max_budget": limit, "budget_duration": duration(MONTHLY)}
    body = {"key_alias": order.name, "metadata": {OWNER: desk.mark}, **terms}
    answer = desk.client.send("POST", "key/generate", body)
    value = answer.at("key")
    if not isinstance(value, str) or not value:
        what = f"made a key, and did not show it: look for {order.name} there"
        raise refusal(desk.client.who, Problem.UNREADABLE, what)
    if answer.at("max_budget") != terms.get("max_budget"):
        raise unlike_ordered(desk.client.who)
    made = Secret(value)
    return Made(_token(made), {"key": made})


def _team_id(desk: Desk, team: str) -> str:
    row = team_rows(desk, team).get(team)
    if row is None:
        what, way_out = f"has no team called {team}", "make it with byok apply"
        raise refusal(desk.client.who, Problem.NOT_THERE, what, way_out)
    return str(row["team_id"])


def _orphans(desk: Desk, order: Order) -> tuple[str, ...]:
    desk.client.forget()
    rows = key_rows(desk)
    return tuple(str(row.get("token")) for row in rows if row.get("key_alias") == order.name)


def _revoke(desk: Desk, by_hand: str, id_: str) -> None:
    token = with_id(desk.client.who, id_)
    try:
        desk.client.send("POST", "key/delete", {"keys": [token]}, again=True)
    except ProviderError as error:
        if error.kind is not Problem.NOT_THERE:
            raise
    must_be_gone(desk.client.who, partial(_there, desk, token), by_hand)


def _there(desk: Desk, token: str) -> bool:
    desk.client.forget()
    return any(row.get("token") == token for row in key_rows(desk))
