"""What an account spent this month, as far as its provider tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

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


def first_of_month() -> date:
    """Return the first day of this month, UTC."""
    return datetime.now(UTC).date().replace(day=1)
