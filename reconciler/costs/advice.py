"""The guide's cost strategies, where they apply, each with its reason and a figure; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from reconciler.costs.asking import Told
from reconciler.costs.estimate import TYPICAL, Estimate, estimates, read_tokens
from reconciler.costs.measures import Measure, shown
from reconciler.money import Money
from reconciler.pricing import LOCAL, Tokens
from reconciler.spec import Manifest, ModelEntry
from reconciler.systems.account.budgets import budgets_of

TIMES: Final = 3
"""A default model this many times dearer than another declared one is expensive."""

NEARLY: Final = Decimal(80)
"""Percent of a budget from which it is worth saving."""

HEAVY: Final = re.compile(r"(^|[-./])(opus|o1)(?!-mini)($|[-.@:])")
"""Opus and o1, which the guide keeps for hard problems."""

CONTEXT: Final = 100_000
"""Tokens that a search of the whole code base may bring along, for a figure."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, about what, and because of which figures."""

    about: str
    text: str
    because: str


def advise(
    manifest: Manifest, told: Iterable[Told], measures: Iterable[Measure]
) -> tuple[Advice, ...]:
    """Return what applies, and nothing else."""
    answers, found = tuple(told), tuple(measures)
    return (
        *_defaults(manifest),
        *_unlimited(manifest, answers),
        *_only_observed(manifest, answers),
        *_nearly_spent(manifest, found),
    )


def _defaults(manifest: Manifest) -> Iterator[Advice]:
    """Find expensive default models, and Opus or o1 as one."""
    live = [one for one in manifest.models.values() if one.enabled and not one.absent]
    table = {one.model: one for one in estimates(manifest, read_tokens(TYPICAL))}
    for entry in live:
        mine = table[entry.id]
        if not entry.default_for or mine.cost is None or not mine.cost.amount:
            continue
        other = _cheaper(mine, [table[one.id] for one in live])
        if other is not None or HEAVY.search(entry.id):
            yield _instead(entry, mine, other)


def _cheaper(mine: Estimate, others: Iterable[Estimate]) -> Estimate | None:
    """Return the cheapest model that costs a third or less; one that costs nothing is another."""
    for other in others if mine.cost is None else sorted(others, key=_amount):
        if mine.cost is None or other.cost is None or other.cost.currency != mine.cost.currency:
            continue
        if other.cost.amount and other.cost.amount * TIMES <= mine.cost.amount:
            return other
    return None


def _amount(one: Estimate) -> Decimal:
    return Decimal() if one.cost is None else one.cost.amount


def _instead(entry: ModelEntry, mine: Estimate, other: Estimate | None) -> Advice:
    features = ", ".join(entry.default_for)
    because = f"a session of 15k tokens in and 5k out costs {mine.cost}"
    if other is None or other.cost is None or mine.cost is None:
        text = f"keep {entry.id} for hard problems, and default to a Sonnet or GPT-4o"
        return Advice(f"default for {features}", text, because)
    times = mine.cost.amount / other.cost.amount
    text = f"make {other.model} the default, and keep {entry.id} for hard problems"
    because += f", {times:.0f} times the {other.cost} of {other.model}"
    return Advice(f"default for {features}", text, because)


def _unlimited(manifest: Manifest, told: Iterable[Told]) -> Iterator[Advice]:
    """Find accounts in use that no budget is for."""
    for one in told:
        endpoint = manifest.endpoints.get(one.account)
        provider = manifest.providers.get(one.account)
        used = endpoint.active if endpoint else provider is not None and provider.enabled
        if endpoint is not None and endpoint.type in LOCAL:
            continue
        spent = [money for money in (one.spent or {}).values() if money.amount]
        if budgets_of(manifest, one.account, endpoint=endpoint is not None):
            continue
        if used or spent:
            figure = " and ".join(str(money.share(100)) for money in spent)
            because = f"{figure} this month, and no budget" if figure else "it has no budget"
            text = f"set a limit: declare a budget for {one.account}"
            yield Advice(one.account, text, because)


def _only_observed(manifest: Manifest, told: Iterable[Told]) -> Iterator[Advice]:
    """Find budgets that nothing enforces and nobody is told of."""
    for one in told:
        endpoint = manifest.endpoints.get(one.account)
        kind = endpoint.type if endpoint else one.account
        for budget in budgets_of(manifest, one.account, endpoint=endpoint is not None):
            because = f"{budget.amount} a month is only observed: {kind} has no alerts by API"
            if kind in ("anthropic", "openrouter") and not budget.hard:
                yield Advice(f"budget {budget.name}", "say enforce: hard", because)
            elif endpoint is not None and kind not in ("openrouter", "litellm"):
                text = "let CI watch it: byok cost --fail-over 90%"
                yield Advice(f"budget {budget.name}", text, because)


def _nearly_spent(manifest: Manifest, measures: Iterable[Measure]) -> Iterator[Advice]:
    """Tell how to use less, once, where budgets are nearly spent."""
    near = [(one, one.share) for one in measures if one.share is not None and one.share >= NEARLY]
    if not near:
        return
    figures = ", ".join(f"{shown(share)} of {one.budget.name}" for one, share in near)
    yield Advice(
        "saving",
        "use Auto mode for simple tasks, @Files instead of @Codebase where you know the place,"
        " and one detailed prompt instead of many short ones",
        f"{figures} {'is' if len(near) == 1 else 'are'} spent"
        f"{_context(manifest, {one.account for one, _ in near})}",
    )


def _context(manifest: Manifest, accounts: Collection[str]) -> str:
    """Return what much context costs with the dearest enabled model of some accounts."""
    models = [m for m in manifest.models.values() if m.enabled and not m.absent]
    mine = [m.id for m in models if (m.provider or m.endpoint) in accounts]
    if not mine:
        return ""
    found = estimates(manifest, Tokens(sent=CONTEXT), mine)
    priced: list[tuple[Money, str]] = [(e.cost, e.model) for e in found if e.cost]
    if not priced:
        return ""
    cost, model = max(priced, key=lambda pair: pair[0].amount)
    return f"; 100k tokens of context cost {cost} with {model}, each time they are sent"
