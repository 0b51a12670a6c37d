"""What an Azure OpenAI account cost this month: by day and meter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.systems.account import Answer, Line, Spend, refusal
from reconciler.systems.account.pages import PAGES
from reconciler.systems.account.spend import first_of_month, summed
from reconciler.systems.azure.arm import WHO, Arm, value, versioned

QUERY: Final[Mapping[str, Any]] = {
    "granularity": "Daily",
    "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
    "grouping": [{"type": "Dimension", "name": "Meter"}],
}
"""The sum of each day and meter (Cost Management query, 2025-03-01). A meter's name holds the
model, the direction and the kind of deployment; Azure tells neither deployments nor keys."""


@dataclass(frozen=True, slots=True)
class Spending:
    """This month's cost of the account: asked once in a run, for Azure answers few of those."""

    ask: Callable[[], list[Line]]
    _seen: list[Money | ProviderError | None] = field(default_factory=list)

    def seen(self) -> Money | ProviderError | None:
        """Return the cost; None where there is none yet, the refusal where it is not told."""
        if not self._seen:
            try:
                found = self.ask()
                self._seen.append(summed(found) if found else None)
            except ProviderError as error:
                self._seen.append(error)
        return self._seen[0]

    def currency(self) -> str | None:
        """Return what the account is billed in, as far as the cost tells."""
        seen = self.seen()
        return seen.currency if isinstance(seen, Money) else None


def spending(arm: Arm) -> Spending:
    """Return this month's cost of the account, not asked for yet."""
    return Spending(lambda: list(lines(arm)))


def read(arm: Arm, day: date | None = None) -> Spend:
    """Tell what the account cost this month, in the currency it is billed in.

    Raises ProviderError. Azure counts the month by itself: ``day`` names it, and chooses nothing.
    """
    source = "Azure's cost query"
    return Spend(tuple(lines(arm)), first_of_month(day), source, "about four hours late")


def lines(arm: Arm) -> Iterator[Line]:
    """Yield the month's lines. Raises ProviderError."""
    only = {"dimensions": {"name": "ResourceId", "operator": "In", "values": [arm.account]}}
    body = {
        "type": "ActualCost",
        "timeframe": "MonthToDate",
        "dataset": {**QUERY, "filter": only},
    }
    path = versioned(f"{arm.group}/providers/Microsoft.CostManagement/query")
    for answer in _pages(arm, path, body):
        for row in _rows(answer):
            cost, unit = row.get("Cost"), row.get("Currency")
            if not isinstance(cost, int | float) or not isinstance(unit, str):
                raise refusal(WHO, Problem.UNREADABLE)
            yield Line(
                amount=Money.of(round(cost, 12), unit),
                day=_day(row.get("UsageDate")),
                scope=arm.account_name,
                model=str(row.get("Meter") or ""),
            )


def _pages(arm: Arm, path: str, body: Mapping[str, Any]) -> Iterator[Answer]:
    """Yield the pages: the next one is asked for by POST, too, with the same question."""
    seen = set[str]()
    for _ in range(PAGES):
        answer = arm.client.ask(path, body)
        yield answer
        onward = answer.at("properties", "nextLink")
        if not isinstance(onward, str) or not onward:
            return
        if onward in seen:
            break
        seen.add(onward)
        path = onward
    raise refusal(WHO, Problem.UNREADABLE, "gives a list that never ends")


def _rows(answer: Answer) -> Iterator[Mapping[str, Any]]:
    columns, rows = answer.at("properties", "columns"), answer.at("properties", "rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise refusal(WHO, Problem.UNREADABLE)
    names = [str(value(column, ("name",))) for column in columns]
    for row in rows:
        yield dict(zip(names, row, strict=False))


def _day(stamp: object) -> date | None:
    """Read ``UsageDate``, a number like 20261123."""
    try:
        return datetime.strptime(str(stamp), "%Y%m%d").date()  # noqa: DTZ007  a day has no zone
    except ValueError:
        return None
