"""What Anthropic's admin key sees and byok leaves alone: keys, costs, limits without effect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.secrets import Secret
from reconciler.systems.account import Sight
from reconciler.systems.account.findings import day
from reconciler.systems.account.keys import KeyFact, listed as told, ours_by_hint
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.account.pages import after_page, items, pages
from reconciler.systems.anthropic.console import KEYS, Console, Item, listed, workspaces
from reconciler.systems.anthropic.key import ordinary
from reconciler.systems.anthropic.limits import rate_limits
from reconciler.systems.anthropic.wire import ORGANIZATION

NONE_MADE: Final = "Anthropic's API cannot create keys: make them in the Console, then store them"
NOT_LISTED: Final = (
    "the key in use here is not among the organisation's keys: it may be of another organisation"
)
UNTOLD: Final = (*CLOSED, Problem.REJECTED)


def keys(console: Console) -> Sight:
    """List the organisation's keys; which is ours is told by its printed hint."""
    setting = console.setting
    ours = _ours(console)
    found = [item for item in listed(console.api, KEYS) if item.get("status") != "archived"]
    spaces = {str(item["id"]): name for name, item in workspaces(console).items()}
    facts = [_fact(item, spaces, ours) for item in found]
    sight = setting.saw("key", "new", NONE_MADE) + told(setting, facts)
    if ours is not None and found and not any(fact.ours for fact in facts):
        sight += setting.saw("key", setting.name, NOT_LISTED)
    return sight


def _ours(console: Console) -> Secret | None:
    try:
        found = ordinary(console.setting)
    except ByokError:  # said by the look with the ordinary key
        return None
    return None if found is None else found.secret


def _fact(item: Item, spaces: dict[str, str], ours: Secret | None) -> KeyFact:
    expires = day(item.get("expires_at"))
    status = str(item.get("status", ""))
    hint = item.get("partial_key_hint")
    return KeyFact(
        name=str(item.get("name", "")),
        made=day(item.get("created_at")),
        owner=place(item, spaces),
        status=f"{status} until {expires.isoformat()}" if expires is not None else status,
        ours=ours is not None and isinstance(hint, str) and ours_by_hint(ours, hint),
    )


def place(item: Item, spaces: dict[str, str]) -> str:
    """Say where a key belongs, in words; reads the forms of both versions.

    2026-10-21 has ``scope``, with the real id also of the default workspace; 2023-06-01 has
    ``workspace_id``, null for the default workspace.
    """
    scope = item.get("scope") or {}
    if scope.get("type") == "organization":
        return "the whole organisation"
    of = scope.get("workspace_id", item.get("workspace_id"))
    if of is None:
        return "the default workspace"
    return f"workspace {spaces[of]}" if of in spaces else "the default or an archived workspace"


def costs(console: Console) -> Sight:
    """Say what this month has cost so far; the figures are some hours old."""
    for source in (_analytics, _reported):
        try:
            amounts = list(source(console))
        except ProviderError as error:
            if error.kind not in UNTOLD:
                raise
        else:
            return _spent(console, amounts)
    return console.setting.saw("cost", "month", "not shown to this admin key")


def _spent(console: Console, amounts: list[tuple[str | None, Money]]) -> Sight:
    total = sum((money.amount for _, money in amounts), Money.of(0).amount)
    text = f"{Money(round(total, 2))} this month so far"
    declared = workspaces(console).get(console.workspace)
    if declared is not None:
        part = sum((m.amount for of, m in amounts if of == declared["id"]), Money.of(0).amount)
        text += f", {Money(round(part, 2))} of it in workspace {console.workspace}"
    return console.setting.saw("cost", "month", text)


def _analytics(console: Console) -> Iterator[tuple[str | None, Money]]:
    asked = {"starting_at": _month(), "group_by[]": ["workspace_id"], "limit": 1000}
    path = f"{ORGANIZATION}/analytics/cost"
    for row in items(pages(console.costs, path, after_page, asked), "data"):
        cost = row.get("cost") or {}
        yield (
            (row.get("group") or {}).get("workspace_id"),
            Money.of_minor(cost.get("amount", 0), str(cost.get("currency", "USD"))),
        )


def _reported(console: Console) -> Iterator[tuple[str | None, Money]]:
    """Read the older report: a list of results for each day, amounts in cents as decimal text."""
    asked = {
        "starting_at": _month(),
        "bucket_width": "1d",
        "group_by[]": ["workspace_id"],
        "limit": 31,
    }
    path = f"{ORGANIZATION}/cost_report"
    for bucket in items(pages(console.api, path, after_page, asked), "data"):
        for row in bucket.get("results") or ():
            amount = Money.of_minor(row.get("amount", 0), str(row.get("currency", "USD")))
            yield row.get("workspace_id"), amount


def _month() -> str:
    today = datetime.now(UTC)
    return today.strftime("%Y-%m-01T00:00:00Z")


def overreach(console: Console) -> Sight:
    """Say which of the workspace's rate limits are above the organisation's, which then holds."""
    sight = Sight()
    try:
        found = rate_limits(console)
    except ProviderError:  # said where the kind is closed
        return sight
    wanted = console.setting.account().get("rate_limits", {})
    for name, limit in found.items():
        if limit.above and name.removeprefix(f"{console.workspace}/") in wanted:
            which = ", ".join(limit.above)
            sight += console.setting.saw(
                "rate-limit", name, f"{which}: above the organisation's, which holds"
            )
    return sight
