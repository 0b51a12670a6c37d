"""All that `byok cost` tells of a month, as one noun and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from reconciler.costs.advice import Advice, advise
from reconciler.costs.asking import Told
from reconciler.costs.forecast import outlook
from reconciler.costs.measures import Measure, entry, measures, parts
from reconciler.errors import ByokError
from reconciler.money import Money
from reconciler.spec import Manifest
from reconciler.systems.account import Line, Spend, Untold
from reconciler.systems.account.spend import sums


@dataclass(frozen=True, slots=True)
class Report:
    """One month on one of its days (UTC): accounts, budgets, and what to do about them."""

    day: date
    told: tuple[Told, ...]
    measures: tuple[Measure, ...]
    advice: tuple[Advice, ...]

    @property
    def total(self) -> Mapping[str, Money]:
        """The sum of all that is told, in each currency."""
        return sums(line for one in self.told for line in lines_of(one))

    @property
    def silent(self) -> tuple[str, ...]:
        """The accounts that are not in the sum."""
        return tuple(one.account for one in self.told if one.spent is None)

    @property
    def failures(self) -> tuple[ByokError, ...]:
        """What went wrong in asking."""
        return tuple(one.answer for one in self.told if isinstance(one.answer, ByokError))


def report(manifest: Manifest, told: tuple[Told, ...], day: date) -> Report:
    """Put together what accounts told on a day."""
    found = measures(manifest, told, day)
    return Report(day, told, found, advise(manifest, told, found))


def lines_of(one: Told) -> tuple[Line, ...]:
    """Return an account's lines; none where nothing is told."""
    return one.answer.lines if isinstance(one.answer, Spend) else ()


def document(found: Report) -> dict[str, Any]:
    """Return a report as ``byok.cost/1``; amounts are text, so that nothing is lost."""
    return {
        "format": "byok.cost/1",
        "day": found.day.isoformat(),
        "accounts": [_account(one, found.day) for one in found.told],
        "total": [_money(money) for money in found.total.values()],
        "not_in_total": list(found.silent),
        "budgets": [entry(one) for one in found.measures],
        "advice": [{"about": a.about, "text": a.text, "because": a.because} for a in found.advice],
    }


def _account(one: Told, day: date) -> dict[str, Any]:
    match one.answer:
        case Untold(reason=reason, way_out=way_out):
            return {"account": one.account, "state": "untold", "why": reason, "way_out": way_out}
        case ByokError() as error:
            what = {"where": error.where, "why": error.what, "way_out": error.way_out}
            return {"account": one.account, "state": "failed", "exit": error.exit_code, **what}
        case Spend() as spend:
            return {"account": one.account, "state": "told", **_spend(spend, day)}


def _spend(spend: Spend, day: date) -> dict[str, Any]:
    ahead = outlook(spend.lines, day)
    return {
        "since": spend.since.isoformat(),
        "source": spend.source,
        "delay": spend.delay,
        "whole": spend.whole,
        "spent": [_money(money) for money in sums(spend.lines).values()],
        "forecast": [_money(money.share(100)) for money in ahead.amounts.values()],
        "no_forecast": ahead.why or None,
        "days": [
            {"day": name, **_money(money)}
            for name, money in sorted(parts(spend.lines, "day"))
            if name != "None"
        ],
        **{f"{field}s": _parts(spend, field) for field in ("scope", "key", "model")},
    }


def _parts(spend: Spend, field: str) -> list[dict[str, Any]]:
    rows = parts(spend.lines, field)
    if all(not name for name, _ in rows):
        return []
    return [{"name": name, **_money(money), **_tokens(spend, field, name)} for name, money in rows]


def _tokens(spend: Spend, field: str, name: str) -> dict[str, int | None]:
    mine = [line for line in spend.lines if getattr(line, field) == name]
    sent = [line.tokens_in for line in mine if line.tokens_in is not None]
    answered = [line.tokens_out for line in mine if line.tokens_out is not None]
    return {
        "tokens_in": sum(sent) if sent else None,
        "tokens_out": sum(answered) if answered else None,
    }


def _money(money: Money) -> dict[str, str]:
    return {"amount": f"{round(money.amount, 6).normalize():f}", "currency": money.currency}
