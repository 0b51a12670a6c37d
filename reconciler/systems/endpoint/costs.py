"""What an endpoint cost this month: two gateways tell, local servers cost nothing per token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.money import Money
from reconciler.origins import built_in
from reconciler.pricing import LOCAL
from reconciler.spec import Endpoint
from reconciler.systems.account import Answer, Client, Dialect, Line, Setting, Spend, Untold
from reconciler.systems.account.answers import refusal
from reconciler.systems.account.findings import day as read_day
from reconciler.systems.account.pages import items, pages
from reconciler.systems.account.signing import bearer
from reconciler.systems.account.spend import first_of_month, span, today
from reconciler.systems.endpoint import litellm, openrouter
from reconciler.systems.endpoint.limits import CURRENCY, amount
from reconciler.systems.endpoint.litellm_teams import Desk as Proxy, team_rows
from reconciler.systems.endpoint.management import admin
from reconciler.systems.endpoint.openrouter_rows import Desk, key_rows, single, workspace_id
from reconciler.systems.endpoint.quirks import TYPES
from reconciler.systems.endpoint.sight import api

ZERO: Final = Money.of(0, CURRENCY)
Sums = dict[tuple[date, str], tuple[Money, int, int]]
"""Amount, tokens in and tokens out of a day and a model."""


def spent(setting: Setting, day: date | None = None) -> Spend | Untold:
    """Tell what an endpoint cost in the month of a day, which is today unless said.

    Raises SecretError, Unapproved, ProviderError.
    """
    endpoint = setting.manifest.endpoints[setting.name]
    if endpoint.type in LOCAL:
        return Spend((), first_of_month(day), "a server of your own: nothing is paid per token")
    found = admin(setting, endpoint)
    match endpoint.type:
        case "openrouter" if isinstance(found, str):
            return _own_key(setting, endpoint, day or today())
        case "openrouter":
            return _openrouter(endpoint, openrouter.desk(setting, endpoint, *found), day or today())
        case "litellm" if not isinstance(found, str):
            return _litellm(endpoint, litellm.desk(setting, *found), day)
        case "litellm":
            return Untold(f"only the proxy's admin is told costs: {found}", "name admin_key")
        case _:
            return Untold(f"byok knows no API for costs of type {endpoint.type}", "see its console")


def _own_key(setting: Setting, endpoint: Endpoint, day: date) -> Spend | Untold:
    """Tell the month's sum of the ordinary key, which is all that it is told."""
    own = built_in(endpoint.type, endpoint.base_url)
    pointer = f"{setting.pointer}/base_url"
    key = setting.credential(endpoint.key, endpoint.base_url, own=own, pointer=pointer)
    if key is None:
        return Untold("none of the references in key exists here", "store the key, or name it")
    quirks = TYPES[endpoint.type]
    client = setting.door.connect(
        api(endpoint), Dialect(quirks.who, quirks.classify), bearer(key.secret)
    )
    used = amount(client.get("key").at("data", "usage_monthly"))
    if used is None:
        raise refusal(client.who, Problem.UNREADABLE)
    name = str(endpoint.account.get("key_name", "the key in use here"))
    lines = (Line(used, key=name),) if used.amount else ()
    return Spend(lines, first_of_month(day), "OpenRouter's record of this key")


def _openrouter(endpoint: Endpoint, desk: Desk, day: date) -> Spend:
    """Tell days and models of the account, and apart those of the key that is in use.

    ``/activity`` has complete days, 30 of them; what each key used today is in the list of keys.
    Source: OpenRouter's API description of August 2026.
    """
    keys = key_rows(desk)
    row = single(keys).get(str(endpoint.account.get("key_name", "")))
    everyone = _activity(desk, day)
    mine = _activity(desk, day, str(row["hash"])) if row else {}
    lines = (
        *(_line(at, sums, str(row["name"])) for at, sums in mine.items() if row),
        *(_line(at, sums) for at, sums in _without(everyone, mine).items()),
        *_of_today(keys, day),
    )
    whole = f"the whole workspace {desk.workspace}" if desk.workspace else "the whole account"
    return Spend(lines, first_of_month(day), "OpenRouter's activity", "", whole)


def _activity(desk: Desk, day: date, key: str | None = None) -> Sums:
    asked = {"workspace_id": workspace_id(desk), "api_key_hash": key}
    found: Sums = {}
    for row in items(iter([desk.client.get("activity", asked)]), "data"):
        when = read_day(row.get("date"))
        if when is None or not first_of_month(day) <= when < day:
            continue
        at = (when, str(row.get("model") or ""))
        money, told_in, told_out = found.get(at, (ZERO, 0, 0))
        found[at] = (
            _plus(money, amount(row.get("usage")) or ZERO),
            told_in + int(row.get("prompt_tokens") or 0),
            told_out + int(row.get("completion_tokens") or 0),
        )
    return found


def _without(everyone: Sums, mine: Sums) -> Sums:
    """Return what others used: all but what the key did."""
    rest: Sums = {}
    for at, (money, told_in, told_out) in everyone.items():
        own, own_in, own_out = mine.get(at, (ZERO, 0, 0))
        left = Money(round(money.amount - own.amount, 12), CURRENCY)
        if left.amount > 0:
            rest[at] = (left, max(told_in - own_in, 0), max(told_out - own_out, 0))
    return rest


def _of_today(keys: Iterable[Mapping[str, Any]], day: date) -> Iterator[Line]:
    for row in keys:
        used = amount(row.get("usage_daily")) or ZERO
        if used.amount:
            yield Line(used, day, key=str(row.get("name") or ""))


def _plus(one: Money, other: Money) -> Money:
    return Money(one.amount + other.amount, CURRENCY)


def _line(at: tuple[date, str], sums: tuple[Money, int, int], key: str = "") -> Line:
    (day, model), (money, told_in, told_out) = at, sums
    return Line(money, day, key=key, model=model, tokens_in=told_in, tokens_out=told_out)


def _litellm(endpoint: Endpoint, proxy: Proxy, day: date | None) -> Spend:
    """Tell days, models and keys: of the declared team, or of the whole proxy.

    Source: LiteLLM 1.106.2, ``/team/daily/activity`` and ``/user/daily/activity``, whose pages are
    rows of its database: a day may go on on the next page.
    """
    first, end = span(day)
    team = str(endpoint.account.get("team", {}).get("name", ""))
    asked = {"start_date": first.isoformat(), "end_date": end.isoformat(), "page_size": 1000}
    path, whole = "user/daily/activity", "the whole proxy"
    if team:
        row = team_rows(proxy, team).get(team)
        if row is None:
            return Spend((), first, "LiteLLM: the team is not there yet")
        path, whole = "team/daily/activity", ""
        asked["team_ids"] = str(row["team_id"])
    found = items(pages(proxy.client, path, _next_page, {**asked, "page": 1}), "results")
    lines = tuple(line for each in found for line in _of_day(proxy.client, each, team))
    return Spend(lines, first, "LiteLLM's daily activity", "", whole)


def _next_page(answer: Answer) -> Mapping[str, Any] | None:
    page = answer.at("metadata", "page")
    more = answer.at("metadata", "has_more") is True and isinstance(page, int)
    return {"page": page + 1} if more else None


def _of_day(client: Client, row: Mapping[str, Any], team: str) -> Iterator[Line]:
    """Yield a day's lines by model and key, and what no model is named for."""
    day, told = read_day(row.get("date")), ZERO
    models = (row.get("breakdown") or {}).get("models") or {}
    if day is None or not isinstance(models, Mapping):
        raise refusal(client.who, Problem.UNREADABLE)
    for model, entry in models.items():
        by_key = entry.get("api_key_breakdown") or {"": entry}
        for key, part in by_key.items():
            metrics = part.get("metrics") or {}
            money = amount(metrics.get("spend")) or ZERO
            told = _plus(told, money)
            alias = (part.get("metadata") or {}).get("key_alias") or key[:8]
            yield Line(
                *(money, day, team, str(alias), str(model)),
                tokens_in=int(metrics.get("prompt_tokens") or 0),
                tokens_out=int(metrics.get("completion_tokens") or 0),
            )
    whole = amount((row.get("metrics") or {}).get("spend")) or ZERO
    rest = round(whole.amount - told.amount, 9)
    if rest > 0:
        yield Line(Money(rest, CURRENCY), day, team)
