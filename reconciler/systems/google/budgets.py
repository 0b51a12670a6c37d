"""The manifest's budgets at Google: what it has for each, in words, and as two kinds."""

from __future__ import annotations

from typing import Final

from reconciler.systems.account import Kind, Setting, Sight
from reconciler.systems.account.budgets import (
    Budget,
    budgets_of,
    no_hard_limit,
    other_currency,
    said as has,
)
from reconciler.systems.google import alerts, billing, caps
from reconciler.systems.google.cloud import Cloud

RECIPIENTS: Final = (
    "{} names people to notify, and Google tells billing administrators and project owners: "
    "an address of its own needs a Monitoring channel, which byok does not make"
)


def kinds(cloud: Cloud) -> tuple[Kind, ...]:
    """Return the kinds ``budget`` and ``spend-limit``."""
    return alerts.kind(cloud), caps.kind(cloud)


def said(setting: Setting) -> Sight:
    """Say what Google has for each budget of the manifest, and what it cannot be given."""
    sight = Sight()
    for budget in budgets_of(setting.manifest, setting.name):
        sight += _what(setting, budget) + _cannot(setting, budget)
    return sight


def _what(setting: Setting, budget: Budget) -> Sight:
    where = "" if "billing_account" in setting.account() else ", once billing_account is declared"
    if not budget.hard:
        return has(setting, budget, f"alert only{where}")
    if budget.scope == "organization":
        why = "Google's spend cap holds for exactly one project"
        way_out = "say scope: project, or enforce: alert"
        seen = has(setting, budget, "observed only: a spend cap is for one project")
        return seen + no_hard_limit(setting, budget, why, way_out)
    return has(setting, budget, f"hard limit{where}, where Google finds the account eligible")


def _cannot(setting: Setting, budget: Budget) -> Sight:
    """Find what was asked for and Google's budgets do not have."""
    found = []
    if budget.notify:
        found.append((RECIPIENTS.format(budget.name), "leave notify out"))
    if budget.hard and set(budget.alert_at) - set(caps.ALERTS):
        what = f"{budget.name} is a spend cap, and those tell at 50%, 80% and 100% only"
        found.append((what, "leave alert_at out"))
    if len(billing.mark(setting.manifest.team, budget.name)) > billing.LONGEST:
        what = (
            f"{budget.name} is not written: with the team it is longer than Google's 60 characters"
        )
        found.append((what, "choose a shorter name"))
    sight = Sight()
    for what, way_out in found:
        sight += setting.found("BYOK139", what, way_out, pointer=budget.pointer)
    return sight


def survey(cloud: Cloud) -> Sight:
    """Tell of a cap in force, of other money, and that costs are not to be had."""
    sight = cloud.setting.saw(
        "cost", "month", "Google has no API for it: export billing to BigQuery"
    )
    if not cloud.billing_account:
        return sight
    every_one = (*billing.wanted(cloud, hard=True), *billing.wanted(cloud, hard=False))
    billed, others = billing.foreign(cloud, every_one)
    for budget in others:
        sight += other_currency(cloud.setting, budget, billed)
    return sight + _in_force(cloud)


def _in_force(cloud: Cloud) -> Sight:
    if not any(caps.in_force(cap) for cap in caps.caps(cloud)):
        return Sight()
    return cloud.setting.found(
        "BYOK134",
        f"the spend cap of {cloud.project} is reached; the key itself is good",
        "raise the budget, or wait for the next month",
        pointer="billing_account",
    )
