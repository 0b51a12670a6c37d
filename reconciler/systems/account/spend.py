"""What an account spent this month, as far as its provider tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from reconciler.money import Money


@dataclass(frozen=True, slots=True)
class Line:
    """One amount of one day or of the whole month; what the provider does not tell is empty.

    ``day`` is None where only the month's sum is told. ``scope`` is the project, workspace, team
    or resource group it was spent in. ``tokens_in`` and ``tokens_out`` are None where untold.
    """

    amount: Money
    day: date | None = None
    scope: str = ""
    key: str = ""
    model: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, slots=True)
class Spend:
    """All that was spent since ``since`` (the first of this month, UTC).

    ``source`` names the report it is from. ``delay`` says how late that report is, in words.
    ``whole`` says whose spend it is where it is more than what Cursor causes.
    """

    lines: tuple[Line, ...]
    since: date
    source: str
    delay: str = ""
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Untold:
    """Why nobody can tell what an account spent, and the way out."""

    reason: str
    way_out: str = ""


def today() -> date:
    """Return this day, UTC: the day that every provider bills by."""
    return datetime.now(UTC).date()


def first_of_month(day: date | None = None) -> date:
    """Return the first day of a day's month; of this month, UTC, unless said."""
    return (day or today()).replace(day=1)


def span(day: date | None = None) -> tuple[date, date]:
    """Return the first of the month and the day after ``day``, which is today unless said."""
    last = day or today()
    return first_of_month(last), last + timedelta(days=1)


def sums(lines: Iterable[Line]) -> dict[str, Money]:
    """Return the sum of amounts in each currency, exactly, in the order in which they come."""
    found: dict[str, Decimal] = {}
    for line in lines:
        unit = line.amount.currency
        found[unit] = found.get(unit, Decimal()) + line.amount.amount
    return {unit: Money(amount, unit) for unit, amount in found.items()}


def summed(lines: Iterable[Line]) -> Money:
    """Return the sum, rounded to the cent, of lines that are all in one currency."""
    return next(iter(sums(lines).values()), Money.of(0)).share(100)
