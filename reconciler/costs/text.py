"""A month and a session in lines for people, with bars, at any width from 40 columns."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from reconciler.costs.asking import Told
from reconciler.costs.estimate import Estimate
from reconciler.costs.forecast import outlook
from reconciler.costs.measures import Measure, parts, shown
from reconciler.costs.report import Report
from reconciler.errors import ByokError
from reconciler.money import Money
from reconciler.pricing import MILLION, Price, Tokens
from reconciler.render.layout import Line, Span, cells, middle, paint
from reconciler.render.values import clean
from reconciler.systems.account import Spend, Untold

BAR: Final = 20
"""Cells of a bar; where the lines are short, half of them."""

NARROW: Final = 72
FEW: Final = 3
"""Parts of each sort that are shown without -v."""

PLACES: Final = {"openai": "project", "anthropic": "workspace", "azure": "account"}
"""What a line's scope is called at each provider; at an endpoint it is a team."""

YELLOW, RED = Decimal(80), Decimal(100)


@dataclass(frozen=True, slots=True)
class Paper:
    """What lines are written on: how wide, in colour or not, in which letters."""

    width: int = 100
    color: bool = False
    unicode: bool = True
    detail: bool = False

    def print(self, lines: Iterable[Line]) -> str:
        """Return lines as text."""
        return paint(lines, width=self.width, color=self.color, unicode=self.unicode)

    @property
    def bar(self) -> int:
        """Return how many cells a bar has."""
        return BAR if self.width >= NARROW else BAR // 2


def month(found: Report, paper: Paper) -> str:
    """Return a report as text."""
    return paper.print(_month(found, paper))


def _month(found: Report, paper: Paper) -> Iterator[Line]:
    last = monthrange(found.day.year, found.day.month)[1]
    yield _line(Span(f"{found.day:%B %Y}, day {found.day.day} of {last} (UTC)", "bold"))
    for one in found.told:
        yield Line()
        yield from _account(one, found, paper)
        for measure in found.measures:
            if measure.account == one.account:
                yield from _measure(measure, paper, told=isinstance(one.answer, Spend))
        if isinstance(one.answer, Spend):
            yield from _parts(one.account, one.answer, paper)
    yield Line()
    yield from _total(found)
    for each in found.advice:
        yield _line(
            Span("! ", "yellow"),
            Span(f"{clean(each.about)}: {clean(each.text)} "),
            Span(f"({clean(each.because)})", "dim"),
        )


def _account(one: Told, found: Report, paper: Paper) -> Iterator[Line]:
    name = Span(clean(one.account), "bold")
    match one.answer:
        case Untold(reason=reason, way_out=way_out):
            words = f": not told: {reason}" + (f"; {way_out}" if way_out else "")
            yield _line(name, Span(words))
        case ByokError() as error:
            yield _line(name, Span(f": failed: {clean(str(error))}", "red"))
        case Spend() as spend:
            spent = _sum(one.spent or {}) or str(Money.of(0))
            ahead = outlook(spend.lines, found.day)
            words = f"forecast {_sum(ahead.amounts)}" if ahead.amounts else ""
            if ahead.why and spend.lines:
                words = f"no forecast: {ahead.why}"
            more = f", {words}" if words else ""
            yield _line(name, Span(f": {spent}"), Span(more))
            if paper.detail or not spend.lines:
                told = ", ".join(clean(t) for t in (spend.source, spend.delay, spend.whole) if t)
                yield _line(Span(f"  {told}", "dim"))


def _sum(amounts: Mapping[str, Money]) -> str:
    return " + ".join(str(money.share(100)) for money in amounts.values())


def _measure(one: Measure, paper: Paper, *, told: bool) -> Iterator[Line]:
    head = f"  budget {clean(one.budget.name)}"
    if one.share is None or one.spent is None:
        why = f": {clean(one.why)}" if told else ""
        yield _line(Span(f"{head} ({one.budget.amount}): cannot be told{why}"))
        return
    ahead = f", forecast {shown(one.foreseen_share)}" if one.foreseen_share is not None else ""
    style = _style(one.share)
    yield _line(
        Span(f"{head}: "),
        Span(bar(one.share, paper), style),
        Span(f" {shown(one.share)}", style),
        Span(f" of {one.budget.amount}"),
        Span(ahead, _style(one.foreseen_share or Decimal())),
        Span(f" ({clean(one.of)})" if one.of else "", "dim"),
    )


def _style(share: Decimal) -> str:
    if share >= RED:
        return "red"
    return "yellow" if share >= YELLOW else "green"


def bar(share: Decimal, paper: Paper) -> str:
    """Return a bar of a percentage; full only from 100 on."""
    full, empty = ("█", "░") if paper.unicode else ("#", ".")
    filled = max(1 if share else 0, min(int(share * paper.bar / 100), paper.bar))
    return full * filled + empty * (paper.bar - filled)


def _parts(account: str, spend: Spend, paper: Paper) -> Iterator[Line]:
    words = {"scope": PLACES.get(account, "team"), "key": "key", "model": "model"}
    for field, word in words.items():
        rows = parts(spend.lines, field)
        if all(not name for name, _ in rows):
            continue
        few = rows if paper.detail else rows[:FEW]
        for name, money in few:
            label = f"{word} {clean(name)}" if name else f"no {word} named"
            amount = str(money.share(100))
            room = paper.width - cells(amount) - 5
            short = middle(label, room, "…" if paper.unicode else "...")
            gap = " " * max(1, min(room, 44) - cells(short))
            yield _line(Span(f"  {short}{gap} "), Span(amount))
        if len(few) < len(rows):
            yield _line(Span(f"  and {len(rows) - len(few)} more (-v shows all)", "dim"))


def _total(found: Report) -> Iterator[Line]:
    total = _sum(found.total)
    without = f", without {', '.join(map(clean, found.silent))}" if found.silent else ""
    if found.told and len(found.silent) == len(found.told):
        yield _line(Span("No account told what it cost."))
    else:
        yield _line(Span(f"In all: {total or Money.of(0)}", "bold"), Span(without))


def session(found: Sequence[Estimate], tokens: Tokens, daily: int | None, paper: Paper) -> str:
    """Return what a session costs with each model, as text."""
    return paper.print(_session(found, tokens, daily, paper))


def _session(
    found: Sequence[Estimate], tokens: Tokens, daily: int | None, paper: Paper
) -> Iterator[Line]:
    cached = f", {_count(tokens.cached)} read from cache" if tokens.cached else ""
    words = f"One session: {_count(tokens.sent)} tokens in, {_count(tokens.answered)} out{cached}"
    yield _line(Span(words, "bold"))
    for one in found:
        yield Line()
        yield from _model(one, found, daily, paper)
    if not found:
        yield _line(Span("The manifest declares no models; name some with --model."))


def _model(
    one: Estimate, found: Sequence[Estimate], daily: int | None, paper: Paper
) -> Iterator[Line]:
    name = Span(clean(one.model), "bold")
    if one.cost is None or one.price is None:
        yield _line(name, Span(": no price: name it under prices:"))
        return
    alike = [e.cost.amount for e in found if e.cost and e.cost.currency == one.cost.currency]
    most, least = max(alike), min((a for a in alike if a), default=Decimal())
    share = one.cost.amount * 100 / most if most else Decimal()
    times = f", {one.cost.amount / least:.1f} times the cheapest" if one.cost.amount > least else ""
    gap = " " * _gap(one, found, paper)
    yield _line(
        name, Span(f": {fine(one.cost)}{gap} "), Span(bar(share, paper), "cyan"), Span(times)
    )
    if daily:
        a_month = Money(one.cost.amount * daily * 30, one.cost.currency).share(100)
        yield _line(Span(f"  {daily} a day: {a_month} in 30 days"))
    yield _line(Span(f"  {_price(one.price)}", "dim"))


def _gap(one: Estimate, found: Sequence[Estimate], paper: Paper) -> int:
    """Return how many cells put the bars below each other, where there is room."""
    sizes = {e.model: cells(f"{clean(e.model)}{fine(e.cost)}") for e in found if e.cost}
    widest = max(sizes.values())
    return widest - sizes[one.model] if widest + paper.bar + 3 <= paper.width else 0


def fine(money: Money) -> str:
    """Write an amount to a hundredth of a cent: sessions cost little."""
    return f"{money.amount:.4f} {money.currency}"


def _price(price: Price) -> str:
    cached = "as in" if price.cache_read is None else f"{price.cache_read:f}"
    above = f"; more from {_count(price.above)} tokens a request on" if price.above else ""
    return (
        f"a million tokens in {price.currency}: {price.sent:f} in, {price.answered:f} out,"
        f" {cached} from cache ({price.source}){above}"
    )


def _count(tokens: int) -> str:
    for size, letter in ((MILLION, "M"), (1000, "k")):
        if tokens >= size:
            return f"{tokens / size:.6g}{letter}"
    return str(tokens)


def _line(*spans: Span) -> Line:
    return Line(tuple(span for span in spans if span.text), hang=4)
