"""What a month will come to if its days go on as they did; pure."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from reconciler.money import Money
from reconciler.systems.account import Line
from reconciler.systems.account.spend import sums

ENOUGH = 3
"""Complete days without which nothing is foreseen."""

LATE = 2
"""Days at the end that are not complete: this one, and the one before, whose report may be late."""

EARLY = "too early to tell"
NO_DAYS = "no days are told"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The month's sum as it is to be expected, in each currency; or why it is not."""

    amounts: Mapping[str, Money]
    why: str = ""


def outlook(lines: Iterable[Line], day: date) -> Outlook:
    """Foresee a month on one of its days.

    Complete days are those before yesterday: reports are up to a day late. Their mean is taken for
    every other day of the month, and what is spent already is the least that can be.
    """
    every = list(lines)
    complete = day.day - LATE
    if any(line.day is None for line in every):
        return Outlook({}, NO_DAYS)
    if complete < ENOUGH:
        return Outlook({}, EARLY)
    settled = sums(line for line in every if _settled(line, day))
    days = Decimal(monthrange(day.year, day.month)[1])
    return Outlook(
        {
            unit: Money(max(now.amount, _of(settled, unit) * days / complete), unit)
            for unit, now in sums(every).items()
        }
    )


def _settled(line: Line, day: date) -> bool:
    return line.day is not None and line.day <= day - timedelta(days=LATE)


def _of(amounts: Mapping[str, Money], unit: str) -> Decimal:
    found = amounts.get(unit)
    return Decimal() if found is None else found.amount
