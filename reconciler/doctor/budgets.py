"""What is left of each budget, as far as the provider tells what was spent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from reconciler import accounts
from reconciler.doctor.finding import Finding, problem, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing
from reconciler.errors import ByokError
from reconciler.money import Money
from reconciler.session import Session
from reconciler.systems.account import Spend, Untold, caught
from reconciler.systems.account.budgets import Budget, budgets_of

NEAR: Final = 80
WHOLE: Final = 100


def each(ground: Ground) -> Iterator[Finding]:
    """Compare each budget with what was spent this month; only admin credentials are told."""
    manifest, session = ground.manifest, ground.session
    if isinstance(manifest, Missing) or not manifest.budgets:
        reason = manifest.reason if isinstance(manifest, Missing) else "the manifest names none"
        yield skipped("budgets/left", reason)
        return
    for name in accounts.names(manifest):
        mine = budgets_of(manifest, name, endpoint=name in manifest.endpoints)
        if not mine:
            continue
        if ground.offline:
            yield skipped(f"budgets/{name}", "--offline leaves the network out")
        elif name not in ground.scope.systems:
            reason = f"spend is told to admin credentials only: --accounts, or --system {name}"
            yield skipped(f"budgets/{name}", reason)
        elif isinstance(session, Missing):
            yield skipped(f"budgets/{name}", session.reason)
        else:
            yield from _left(session, name, mine)


def _left(session: Session, name: str, mine: tuple[Budget, ...]) -> Iterator[Finding]:
    found = caught(lambda: accounts.spent(session.setting(name, judged=True)))
    for budget in mine:
        check = f"budgets/{budget.name}"
        match found:
            case ByokError():
                yield skipped(check, f"what was spent cannot be had: {found}")
            case Untold(reason, way_out):
                yield skipped(check, f"{reason}; {way_out}" if way_out else reason)
            case Spend():
                yield judged(check, budget, found)


def judged(check: str, budget: Budget, spend: Spend) -> Finding:
    """Judge one budget by what was spent since the first of the month, in its own currency."""
    currency = budget.amount.currency
    amounts = [line.amount for line in spend.lines]
    if any(amount.currency != currency for amount in amounts):
        return skipped(check, f"the account is not billed in {currency}")
    total = Money(sum((amount.amount for amount in amounts), Decimal()), currency)
    share = total.amount / budget.amount.amount * WHOLE if budget.amount.amount else Decimal()
    late = f" ({spend.delay})" if spend.delay else ""
    told = f"{total} of {budget.amount} spent this month, {share:.0f}%{late}"
    whose = f"{spend.source} counts {spend.whole}" if spend.whole else spend.source
    if share >= WHOLE:
        fix = "raise the limit, use a cheaper default model, or wait for the next month"
        return problem(check, "BYOK272", told, whose, fix)
    if share >= NEAR:
        fix = "use a cheaper default model, or raise the budget before it is reached"
        return warning(check, "BYOK271", told, whose, fix)
    return well(check, told)
