"""LiteLLM's management API: a team with its budget, limits of existing virtual keys, and spend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from reconciler.codec import same
from reconciler.errors import ProviderProblem as Problem, few
from reconciler.model import Attrs, Value
from reconciler.spec import Endpoint
from reconciler.systems.account import (
    Account,
    Answer,
    Credential,
    Dialect,
    Kind,
    Named,
    Setting,
    Sight,
    refusal,
)
from reconciler.systems.account.budgets import NOTIFY
from reconciler.systems.account.findings import day
from reconciler.systems.account.keys import NAMED, KeyFact, listed, ours_by_hint
from reconciler.systems.account.pages import items, pages
from reconciler.systems.account.signing import header
from reconciler.systems.endpoint import litellm_teams
from reconciler.systems.endpoint.limits import (
    MODEL,
    allowed,
    dollars,
    goes,
    limited,
    loosens,
    money,
    spent,
    wishes,
)
from reconciler.systems.endpoint.litellm_teams import (
    RATES,
    Desk,
    Row,
    duration,
    given_body,
    given_in,
    period_of,
    team_rows,
)
from reconciler.systems.endpoint.quirks import litellm as classify, rows
from reconciler.systems.endpoint.sight import unless_closed

NO_KEY: Final = "byok makes no keys: the proxy has no virtual key of this alias"


def opened(
    setting: Setting,
    endpoint: Endpoint,
    api: str,
    credential: Credential,
    look: Callable[[], Sight],
) -> Account:
    """Open the account with the proxy's master key, or an admin's."""
    at = desk(setting, api, credential)
    return Account(
        setting,
        look,
        lambda: api.rstrip("/"),
        kinds=_kinds(setting, endpoint, at),
        survey=(
            unless_closed(lambda: _keys_seen(setting, endpoint, at)),
            unless_closed(lambda: _spend(setting, endpoint, at)),
            unless_closed(lambda: _budgets(setting, at)),
        ),
        forget=at.client.forget,
    )


def desk(setting: Setting, api: str, credential: Credential) -> Desk:
    """Open the management API; asks nothing yet.

    The key goes in ``x-litellm-api-key``, which the official description asks for and which wins
    over Authorization (measured): a gateway in front may keep that header for itself.
    """
    sign = header("x-litellm-api-key", credential.secret, "Bearer ")
    client = setting.door.connect(api, Dialect("LiteLLM", classify), sign)
    return Desk(client, f"byok:{setting.manifest.team}")


def _kinds(setting: Setting, endpoint: Endpoint, desk: Desk) -> tuple[Kind, ...]:
    team: Row = endpoint.account.get("team", {})
    keys: Mapping[str, Row] = endpoint.account.get("keys", {})
    limits = wishes(setting, endpoint).limits
    named = str(team.get("name", ""))
    return (
        Kind(
            "team",
            {named: {"present": True, **_rates(team), **allowed(team)}} if team else {},
            partial(litellm_teams.read, desk, named),
            partial(litellm_teams.write, desk, named),
            final=goes,
            container=True,
            exclusive={named: MODEL} if team.get("exclusive") else {},
        ),
        Kind(
            "spend-limit",
            limits,
            partial(litellm_teams.read_limits, desk, named),
            partial(litellm_teams.write_limit, desk, named),
            final=loosens,
            exclusive=_exclusive(setting, named),
        ),
        Kind(
            "key",
            {alias: _wanted_key(entry) for alias, entry in keys.items()},
            partial(_keys, desk),
            partial(_write_key, desk),
            final=loosens,
            exclusive={alias: MODEL for alias, entry in keys.items() if entry.get("exclusive")},
            missing=NO_KEY,
        ),
    )


def _exclusive(setting: Setting, team: str) -> Mapping[str, str]:
    budgets = setting.manifest.budgets.values()
    mine = [entry for entry in budgets if entry.get("endpoint") == setting.name]
    return {team: NOTIFY} if team and any(entry.get("exclusive") for entry in mine) else {}


def _rates(entry: Row) -> dict[str, Value]:
    return {name: entry[name] for name in RATES if name in entry}


def _wanted_key(entry: Row) -> dict[str, Value]:
    wanted: dict[str, Value] = {**limited(entry), **_rates(entry), **allowed(entry)}
    return wanted | ({"disabled": entry["disabled"]} if "disabled" in entry else {})


def key_rows(desk: Desk) -> list[Row]:
    """Return all virtual keys; ``token`` is the SHA-256 of a key's value."""
    params = {"return_full_object": "true", "size": 100, "page": 1}
    return list(items(pages(desk.client, "key/list", _next_page, params), "keys"))


def _next_page(answer: Answer) -> Mapping[str, Any] | None:
    page, last = answer.at("current_page"), answer.at("total_pages")
    more = isinstance(page, int) and isinstance(last, int) and page < last
    return {"page": page + 1} if more else None


def _keys(desk: Desk) -> Named:
    return {
        str(row["key_alias"]): {
            **({"limit": money(row["max_budget"])} if row.get("max_budget") is not None else {}),
            **({"reset": period_of(row)} if period_of(row) else {}),
            "disabled": bool(row.get("blocked")),
            **given_in(row),
        }
        for row in key_rows(desk)
        if row.get("key_alias")
    }


def _write_key(desk: Desk, name: str, now: Attrs, goal: Attrs) -> None:
    row = next((each for each in key_rows(desk) if each.get("key_alias") == name), None)
    if row is None:
        raise refusal(desk.client.who, Problem.NOT_THERE, NO_KEY)
    body: dict[str, Any] = {"key": row["token"], **given_body(now, goal)}
    if not same(now.get("limit"), goal.get("limit")):
        body["max_budget"] = dollars(goal.get("limit"))
    if not same(now.get("reset"), goal.get("reset")):
        body["budget_duration"] = duration(goal.get("reset"))
    if not same(now.get("disabled"), goal.get("disabled")):
        body["blocked"] = bool(goal.get("disabled"))
    desk.client.send("POST", "key/update", body, again=True)


def _keys_seen(setting: Setting, endpoint: Endpoint, desk: Desk) -> Sight:
    teams = {row.get("team_id"): alias for alias, row in team_rows(desk, "").items()}
    found = key_rows(desk)
    mine = setting.credential(endpoint.key, endpoint.base_url, own=True)
    return listed(
        setting,
        [
            KeyFact(
                str(row.get("key_alias") or ""),
                made=day(row.get("created_at")),
                last_used=day(row.get("last_active")),
                owner=teams.get(row.get("team_id"), str(row.get("user_id") or "")),
                status=_status(row),
                ours=mine is not None and ours_by_hint(mine.secret, str(row.get("key_name"))),
            )
            for row in found
        ],
    )


def _status(row: Row) -> str:
    ends = day(row.get("expires"))
    blocked = "disabled, " if row.get("blocked") else ""
    return f"{blocked}{spent(row.get('spend'))} spent" + (
        f", expires on {ends.isoformat()}" if ends else ""
    )


def _spend(setting: Setting, endpoint: Endpoint, desk: Desk) -> Sight:
    """Tell what the declared team has spent since its budget was last reset."""
    named = str(endpoint.account.get("team", {}).get("name", ""))
    row = team_rows(desk, named).get(named)
    if row is None:
        return Sight()
    limit, period = money(row.get("max_budget")), period_of(row)
    since = f"in this period ({period})" if period else "ever"
    text = f"{spent(row.get('spend'))} spent {since}" + (f" of {limit}" if limit else "")
    return setting.saw("usage", named, text)


def _budgets(setting: Setting, desk: Desk) -> Sight:
    """Name the budgets that keys and customers share; byok leaves them alone."""
    found = rows(desk.client.get("budget/list"))
    names = sorted(str(row.get("budget_id")) for row in found)
    if not names:
        return Sight()
    return setting.saw("shared-budgets", setting.name, few(names, NAMED))
