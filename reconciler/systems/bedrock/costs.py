"""What Bedrock cost this month by AWS's bill: by day and by the names on the bill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.money import Money
from reconciler.systems.account import Line, Setting, Spend, Untold, refusal
from reconciler.systems.account.spend import first_of_month, span
from reconciler.systems.bedrock.admin import administered
from reconciler.systems.bedrock.codes import asked, rows
from reconciler.systems.bedrock.wire import COSTS, Aws

PRICE: Final = "0.01 USD"
"""What one page of Cost Explorer's API costs (AWS's price list, November 2026)."""

CHARGES: Final = Untold(
    f"AWS Cost Explorer charges {PRICE} for each page it is asked for", "give --probe cost"
)


@dataclass(frozen=True, slots=True)
class Bill:
    """The month's lines, and how many pages of Cost Explorer they took."""

    lines: tuple[Line, ...]
    pages: int


def spent(setting: Setting, day: date | None = None) -> Spend | Untold:
    """Tell what Bedrock cost in the month of a day, which is today unless said.

    Uses the administrator's credential, and asks only with the probe ``cost``: each page costs
    money. Raises SecretError, Unapproved, ProviderError.
    """
    aws = administered(setting)
    if not isinstance(aws, Aws):
        return Untold(f"only its administrator is told costs: {aws}", "see docs/accounts.md")
    if "cost" not in setting.probes:
        return CHARGES
    found = bill(aws, day)
    source = f"AWS Cost Explorer ({found.pages} page{'s' if found.pages != 1 else ''} asked)"
    first = first_of_month(day)
    return Spend(found.lines, first, source, "about a day late", "the whole AWS account")


def bill(aws: Aws, day: date | None = None) -> Bill:
    """Ask for the month's days by service; what is not Bedrock's is left out.

    Raises ProviderError. Source: GetCostAndUsage (botocore 1.44's service model).
    """
    first, end = span(day)
    question: dict[str, Any] = {
        "TimePeriod": {"Start": first.isoformat(), "End": end.isoformat()},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
    }
    pages = list(asked(aws["ce"], f"{COSTS}.GetCostAndUsage", question, onward="NextPageToken"))
    return Bill(tuple(_lines(aws, pages)), len(pages))


def _lines(aws: Aws, pages: list[Any]) -> Iterator[Line]:
    """Yield what is Bedrock's by its name: ``Claude … (Amazon Bedrock Edition)`` is, too."""
    for row in rows(aws["ce"], iter(pages), "ResultsByTime"):
        start = str((row.get("TimePeriod") or {}).get("Start", ""))[:10]
        for group in row.get("Groups") or ():
            name = str((group.get("Keys") or [""])[0])
            if re.search("bedrock", name, re.IGNORECASE):
                cost = (group.get("Metrics") or {}).get("UnblendedCost") or {}
                yield Line(_money(aws, cost), _day(start), model=name)


def _money(aws: Aws, cost: Any) -> Money:
    try:
        return Money.of(cost.get("Amount", "0"), cost.get("Unit", "USD"))
    except ValueError:
        raise refusal(aws["ce"].who, Problem.UNREADABLE) from None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
