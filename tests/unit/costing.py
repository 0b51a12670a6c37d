"""What the tests of costs share: one manifest in a folder, and how its accounts are asked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from reconciler import accounts
from reconciler.session import reading
from reconciler.systems.account.spend import sums
from tests.unit.accounts import options, write_manifest

DAY = date(2026, 11, 20)


def spent(folder, base, data, keys, account, *, day=DAY, **more):
    """Ask one account of a manifest what it spent in the month of a day."""
    write_manifest(folder, data, keys)
    with reading(options(folder, base, **more)) as session:
        return accounts.spent(session.setting(account, judged=True), day)


def rows(spend):
    """Map day, scope, key and model to amounts of at most six decimals."""
    found = {}
    for line in spend.lines:
        at = (line.day and line.day.day, line.scope, line.key, line.model)
        found[at] = found.get(at, Decimal()) + line.amount.amount
    return {at: float(round(amount, 6)) for at, amount in found.items()}


def total(spend):
    """Return the one sum, as text."""
    (money,) = sums(spend.lines).values()
    return str(money.share(100))
