"""What an Anthropic organisation cost this month: by day, workspace, key and model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, Final, TypeAlias

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.systems.account import Line, Spend, Untold, refusal
from reconciler.systems.account.findings import day as read_day
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.account.pages import after_page, items, pages
from reconciler.systems.account.spend import first_of_month, span
from reconciler.systems.anthropic.console import KEYS, Console, listed, workspaces
from reconciler.systems.anthropic.wire import ORGANIZATION

UNTOLD: Final = (*CLOSED, Problem.REJECTED)
DEFAULT: Final = "the default workspace"
UNNAMED: Final = "the default or an archived workspace"
NO_ADMIN: Final = "only an admin key is told costs"
WAY_OUT: Final = "name one in providers.anthropic.admin_key"
NOT_SHOWN: Final = Untold(
    "costs are not shown to this admin key", "use an admin key of the whole organisation"
)
Row: TypeAlias = Mapping[str, Any]


def read(console: Console, day: date | None = None) -> Spend | Untold:
    """Tell what the organisation cost in the month of a day, which is today unless said.

    The newer report tells keys, too; the older takes its place where that is not offered. Raises
    ProviderError. Source: SDK 2.12.0 (analytics/cost) and the page on cost_report.
    """
    found = amounts(console, day)
    if found is None:
        return NOT_SHOWN
    return Spend(
        tuple(found),
        first_of_month(day),
        "Anthropic's cost report",
        "hours late",
        "the whole organisation",
    )


def amounts(console: Console, day: date | None = None) -> list[Line] | None:
    """Return the month's lines; None where this admin key is shown neither of the two reports."""
    for source in (_analytics, _reported):
        try:
            return list(source(console, day))
        except ProviderError as error:
            if error.kind not in UNTOLD:
                raise
    return None


def _analytics(console: Console, day: date | None) -> Iterator[Line]:
    first, end = span(day)
    asked = {
        "starting_at": _midnight(first),
        "ending_at": _midnight(end),
        "time_bucket_width": "1d",
        "group_by[]": ["workspace_id", "api_key_id", "model"],
        "limit": 1000,
    }
    rows = list(
        items(pages(console.costs, f"{ORGANIZATION}/analytics/cost", after_page, asked), "data")
    )
    place, keys = _places(console), _keys(console) if rows else {}
    for row in rows:
        group, cost = row.get("group") or {}, row.get("cost") or {}
        key = group.get("api_key_id")
        yield Line(
            amount=_cents(console, cost),
            day=read_day(row.get("starting_at")),
            scope=place(group),
            key=keys.get(str(key), str(key)) if key else "",
            model=str(group.get("model") or ""),
        )


def _reported(console: Console, day: date | None) -> Iterator[Line]:
    """Read the older report: a list of results for each day, amounts in cents as decimal text."""
    first, end = span(day)
    asked = {
        "starting_at": _midnight(first),
        "ending_at": _midnight(end),
        "bucket_width": "1d",
        "group_by[]": ["workspace_id", "description"],
        "limit": 31,
    }
    place = _places(console)
    for bucket in items(
        pages(console.api, f"{ORGANIZATION}/cost_report", after_page, asked), "data"
    ):
        for row in bucket.get("results") or ():
            yield Line(
                amount=_cents(console, row),
                day=read_day(bucket.get("starting_at")),
                scope=place(row),
                model=str(row.get("model") or ""),
            )


def _cents(console: Console, cost: Row) -> Money:
    try:
        return Money.of_minor(cost.get("amount", 0), str(cost.get("currency") or "USD"))
    except ValueError:
        raise refusal(console.api.who, Problem.UNREADABLE) from None


def _places(console: Console) -> Callable[[Row], str]:
    """Return what names a row's workspace; the default one is not listed."""
    names = {str(item["id"]): name for name, item in workspaces(console).items()}

    def place(row: Row) -> str:
        id_ = row.get("workspace_id")
        return names.get(str(id_), UNNAMED) if id_ else DEFAULT

    return place


def _keys(console: Console) -> dict[str, str]:
    """Return the names of keys by id; ids must do where they may not be listed."""
    try:
        found = listed(console.api, KEYS)
    except ProviderError as error:
        if error.kind not in CLOSED:
            raise
        return {}
    return {str(each["id"]): str(each["name"]) for each in found if each.get("name")}


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
