"""What is spent, held against the manifest's budgets; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from reconciler.costs.asking import Told
from reconciler.costs.forecast import outlook
from reconciler.errors import ByokError
from reconciler.money import Money
from reconciler.spec import Manifest
from reconciler.systems.account import Line, Spend, Untold
from reconciler.systems.account.budgets import Budget, budgets_of
from reconciler.systems.account.spend import sums

CONTAINERS: Final = {"openai": ("scope", "project"), "anthropic": ("scope", "workspace")}
"""Which field of a line, and which of the manifest, names what an account's budgets are for."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One budget: what is spent of it, and what is foreseen; None where that cannot be told.

    ``of`` names the part of the account that is counted; ``why`` says why nothing can be told,
    ``unforeseen`` why there is no forecast.
    """

    budget: Budget
    account: str
    of: str = ""
    spent: Money | None = None
    foreseen: Money | None = None
    why: str = ""
    unforeseen: str = ""

    @property
    def share(self) -> Decimal | None:
        """Percent of the budget that is spent."""
        return _share(self.spent, self.budget.amount)

    @property
    def foreseen_share(self) -> Decimal | None:
        """Percent of the budget that the month will come to."""
        return _share(self.foreseen, self.budget.amount)


def shown(share: Decimal) -> str:
    """Write a percentage with at most one decimal, never rounded up: 99.96 is not 100."""
    text = f"{share.quantize(Decimal('0.1'), ROUND_DOWN)}"
    return f"{text.removesuffix('.0')}%"


def measures(manifest: Manifest, told: Iterable[Told], day: date) -> tuple[Measure, ...]:
    """Hold each asked account against its budgets, in the order of the manifest's accounts."""
    return tuple(
        _measure(manifest, one, budget, day)
        for one in told
        for budget in budgets_of(manifest, one.account, endpoint=one.account in manifest.endpoints)
    )


def _measure(manifest: Manifest, one: Told, budget: Budget, day: date) -> Measure:
    match one.answer:
        case Spend() as spend:
            return _held(manifest, one.account, spend, budget, day)
        case Untold(reason=reason):
            return Measure(budget, one.account, why=reason)
        case ByokError() as error:
            return Measure(budget, one.account, why=f"{error.where} {error.what}")


def _held(manifest: Manifest, account: str, spend: Spend, budget: Budget, day: date) -> Measure:
    everything = budget.scope == "organization"
    field, name = container(manifest, account)
    if everything and not spend.whole:
        return Measure(budget, account, why="only a part of the account is told")
    narrow = bool(name) and not everything and bool(spend.whole)
    counted = [n for n in spend.lines if not narrow or getattr(n, field) == name]
    of = name if narrow else spend.whole
    unit = budget.amount.currency
    others = [other for other in sums(counted) if other != unit]
    if others:
        return Measure(budget, account, of, why=f"the account is billed in {', '.join(others)}")
    ahead = outlook(counted, day)
    return Measure(
        budget,
        account,
        of,
        spent=_in(sums(counted), unit),
        foreseen=None if ahead.why else _in(ahead.amounts, unit),
        unforeseen=ahead.why,
    )


def container(manifest: Manifest, account: str) -> tuple[str, str]:
    """Return which field of a line tells the part that budgets are for, and that part's name."""
    endpoint = manifest.endpoints.get(account)
    if endpoint is not None and endpoint.type == "openrouter":
        return "key", str(endpoint.account.get("key_name", ""))
    provider = manifest.providers.get(account)
    if provider is None or account not in CONTAINERS:
        return "scope", ""
    field, names = CONTAINERS[account]
    return field, str(provider.account.get(names, ""))


def passing(found: Iterable[Measure], percent: Decimal, *, foreseen: bool) -> Iterator[Measure]:
    """Yield the budgets that have reached a percentage; with ``foreseen``, also those that will."""
    for one in found:
        shares = (one.share, one.foreseen_share if foreseen else None)
        if any(share is not None and share >= percent for share in shares):
            yield one


def untold(found: Iterable[Measure]) -> Iterator[Measure]:
    """Yield the budgets of which nothing is known: nobody can say that they hold."""
    return (one for one in found if one.spent is None)


def parts(lines: Iterable[Line], field: str) -> list[tuple[str, Money]]:
    """Return what each project, key or model spent, by name and currency, the largest first."""
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(str(getattr(line, field)), []).append(line)
    rows = [(name, money) for name, each in groups.items() for money in sums(each).values()]
    return sorted(rows, key=lambda row: (-row[1].amount, row[0]))


def _in(amounts: Mapping[str, Money], unit: str) -> Money:
    return amounts.get(unit, Money.of(0, unit)).share(100)  # floats of reports are not exact


def _share(part: Money | None, whole: Money) -> Decimal | None:
    return None if part is None else part.amount * 100 / whole.amount


def entry(one: Measure) -> dict[str, Any]:
    """Return a measure as data."""
    return {
        "name": one.budget.name,
        "account": one.account,
        "of": one.of,
        "amount": str(one.budget.amount),
        "enforce": "hard" if one.budget.hard else "alert",
        "spent": _text(one.spent),
        "percent": _number(one.share),
        "forecast": _text(one.foreseen),
        "forecast_percent": _number(one.foreseen_share),
        "untold": one.why or None,
        "no_forecast": one.unforeseen or None,
    }


def _text(money: Money | None) -> str | None:
    return None if money is None else str(money)


def _number(share: Decimal | None) -> str | None:
    return None if share is None else f"{share.quantize(Decimal('0.1'), ROUND_DOWN)}"
