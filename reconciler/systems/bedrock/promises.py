"""What AWS makes of each budget, in words; from the manifest alone, so that no key is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.systems.account import Setting, Sight
from reconciler.systems.account.budgets import (
    OBSERVED_ONLY,
    Budget,
    budgets_of,
    no_hard_limit,
    other_currency,
    said,
)
from reconciler.systems.bedrock.wire import partition, region

SERVICES: Final = ("Amazon Bedrock",)
WHOLE: Final = (100.0,)
"""The threshold of a budget that names recipients and no ``alert_at``."""

ALERTS, RECIPIENTS = 10, 10
"""Alerts of one budget, and e-mail recipients of one alert (AWS Budgets quotas, 2026)."""

FIELDS: Final = ("iam_user", "budget_role_arn", "budget_policy_arn")
"""What a budget action needs from the manifest, besides somebody to tell."""


def words(setting: Setting) -> Sight:
    """Say of each budget what it becomes, and warn of what it cannot be."""
    sight = Sight()
    for budget in budgets_of(setting.manifest, setting.name):
        sight += _promise(setting, budget)
        sight += _lost(setting, budget)
    return sight


def _promise(setting: Setting, budget: Budget) -> Sight:
    if not offered(setting):
        return said(setting, budget, OBSERVED_ONLY)
    if not fits(setting, budget):
        return other_currency(setting, budget, partition(region(setting)).currency)
    if not budget.hard:
        return said(setting, budget, "alert only")
    lacking = missing(setting, budget)
    if not lacking:
        return said(setting, budget, "hard limit")
    why = "AWS only stops by a budget action that attaches a policy to the IAM user"
    way_out = f"add {', '.join(lacking)}, or say enforce: alert"
    return said(setting, budget, "alert only") + no_hard_limit(setting, budget, why, way_out)


def _lost(setting: Setting, budget: Budget) -> Sight:
    """Warn of alerts that nobody would get."""
    if not fits(setting, budget):
        return Sight()
    if budget.alert_at and not budget.notify:
        what = f"{budget.name} has alert_at and nobody to tell: AWS keeps no alert without one"
        return setting.found("BYOK139", what, "add notify", pointer=budget.pointer)
    if len(budget.alert_at) > ALERTS or len(budget.notify) > RECIPIENTS:
        what = f"{budget.name}: AWS takes {ALERTS} thresholds, and {RECIPIENTS} recipients of each"
        way_out = "the first of them are used; name fewer, or a mailing list"
        return setting.found("BYOK139", what, way_out, pointer=budget.pointer)
    return Sight()


def offered(setting: Setting) -> bool:
    """Tell whether AWS Budgets is to be had in this partition."""
    return "budgets" in partition(region(setting)).only


def fits(setting: Setting, budget: Budget) -> bool:
    """Tell whether a budget can be written: its currency is the account's."""
    return offered(setting) and budget.amount.currency == partition(region(setting)).currency


def missing(setting: Setting, budget: Budget) -> tuple[str, ...]:
    """Return the fields that a hard limit needs and the manifest does not have."""
    lacking = [name for name in FIELDS if name not in setting.account()]
    return (*lacking, *(() if budget.notify else (f"notify to budgets.{budget.name}",)))


def counted(setting: Setting, budget: Budget) -> tuple[str, ...] | None:
    """Return the services a budget counts; None for the whole AWS account, where asked for."""
    if budget.scope == "organization":
        return None
    return tuple(sorted(setting.account().get("budget_services", SERVICES)))


def tellable(budget: Budget) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield the thresholds in percent, and who is told at each."""
    for share in (budget.alert_at or WHOLE)[:ALERTS] if budget.notify else ():
        yield share, budget.notify[:RECIPIENTS]
