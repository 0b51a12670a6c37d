"""What Anthropic makes of the manifest's budgets: a hard limit in preview, and no alerts."""

from __future__ import annotations

from typing import Final

from reconciler.errors import ProviderError
from reconciler.systems.account import Kind, Setting, Sight
from reconciler.systems.account.budgets import (
    Budget,
    budgets_of,
    no_hard_limit,
    other_currency,
    said,
)
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.anthropic.console import Console
from reconciler.systems.anthropic.limits import WHOLE, currency, spend_limits

NO_ALERTS: Final = "observed only: Anthropic has no API for alerts, they are set in the Console"
NOT_ENABLED: Final = (
    "observed only: spend limits by API are an early access preview, and this organisation or "
    "key has none"
)
NO_WORKSPACE: Final = "no workspace is declared that it could be of"
NAME_ONE: Final = "declare workspace, or say scope: organization"


def promised(setting: Setting) -> Sight:
    """Say what there is for each budget, as far as that is known without an admin key."""
    sight = Sight()
    for budget in budgets_of(setting.manifest, setting.name):
        limit = "hard limit, where the early access preview is enabled; set with --accounts"
        sight += said(setting, budget, limit if budget.hard else NO_ALERTS)
    return sight


def told(console: Console, spending: Kind) -> Sight:
    """Say what each budget has come to; a preview that is not enabled is a normal answer."""
    setting, sight = console.setting, Sight()
    budgets = budgets_of(setting.manifest, setting.name)
    if not any(budget.hard for budget in budgets):
        return sum((said(setting, budget, NO_ALERTS) for budget in budgets), Sight())
    enabled = _enabled(spending)
    for budget in budgets:
        if not budget.hard:
            sight += said(setting, budget, NO_ALERTS)
        elif budget.scope != WHOLE and not console.workspace:
            sight += no_hard_limit(setting, budget, NO_WORKSPACE, NAME_ONE)
        elif not enabled:
            sight += said(setting, budget, NOT_ENABLED)
        else:
            sight += _hard(console, budget)
    return sight


def _enabled(spending: Kind) -> bool:
    try:
        spending.read()
    except ProviderError as error:
        if error.kind in CLOSED:
            return False
        raise
    return True


def _hard(console: Console, budget: Budget) -> Sight:
    billed = currency(console)
    if billed not in (None, budget.amount.currency):
        return other_currency(console.setting, budget, str(billed))
    name = WHOLE if budget.scope == WHOLE else console.workspace
    limit = spend_limits(console).get(name)
    off = limit is not None and not limit.enabled
    alerts = "; alerts are set in the Console" if budget.notify or budget.alert_at else ""
    kept = ", kept and not in force: extra usage is switched off in the Console" if off else ""
    return said(console.setting, budget, f"hard limit{kept}{alerts}")
