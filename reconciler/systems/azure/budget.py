"""Budgets of a resource group or subscription: they tell people, and stop nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Attrs, Unknown, Value
from reconciler.money import Money
from reconciler.systems.account import Kind, Named, Setting, Sight
from reconciler.systems.account.answers import refusal
from reconciler.systems.account.budgets import (
    NOTIFY,
    Budget,
    budgets_of,
    no_hard_limit,
    other_currency,
    percent,
    said,
)
from reconciler.systems.azure.arm import WHO, Arm, named, value

GROUP: Final = "budget"
SUBSCRIPTION: Final = "subscription-budget"
MONTHLY: Final = "Monthly"
WHOLE: Final = (100.0,)
"""The threshold of a budget that names recipients and no ``alert_at``."""

THRESHOLDS, RECIPIENTS = 5, 50
"""How many notifications a budget has, and e-mail addresses each (Consumption 2026-06-01)."""

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)
REACHED: Final = ("GreaterThan", "GreaterThanOrEqualTo")
CONTACTS: Final = ("contactEmails", "contactRoles", "contactGroups")
KEPT: Final = ("category", "amount", "timeGrain", "timePeriod", "filter", "notifications")

Currency = Callable[[], "str | None"]
"""Returns what the account is billed in, or None where nobody tells."""


def told(setting: Setting) -> Sight:
    """Say of every budget what Azure has for it, and what it cannot have."""
    sight = Sight()
    for budget in budgets_of(setting.manifest, setting.name):
        where = "the subscription" if budget.scope == "organization" else "the resource group"
        sight += said(setting, budget, f"alert only, for {where}")
        if budget.hard:
            sight += no_hard_limit(setting, budget, "a budget of Azure only tells")
        unfit = _unfit(budget)
        if unfit:
            sight += setting.found("BYOK139", *unfit, pointer=budget.pointer)
        if budget.alert_at and not budget.notify:
            what = f"{budget.name} has thresholds and nobody to tell: Azure takes none without"
            sight += setting.found("BYOK139", what, "add notify", pointer=budget.pointer)
    return sight


def _unfit(budget: Budget) -> tuple[str, str] | None:
    if not NAME.fullmatch(budget.name):
        what = f"{budget.name} is no name for a budget of Azure"
        return what, "take letters, digits, dashes and underscores, at most 63"
    if len(budget.alert_at) > THRESHOLDS or len(budget.notify) > RECIPIENTS:
        what = f"{budget.name} has more than Azure takes; it is not written"
        return what, f"at most {THRESHOLDS} thresholds and {RECIPIENTS} recipients"
    return None


def kinds(setting: Setting, arm: Arm, currency: Currency) -> tuple[Kind, Kind]:
    """Return the budgets of the resource group, and those that hold for the whole subscription."""
    fit = [b for b in budgets_of(setting.manifest, setting.name) if _unfit(b) is None]
    whole = [b for b in fit if b.scope == "organization"]
    part = [b for b in fit if b.scope != "organization"]
    return (
        _kind(GROUP, arm, arm.group, part, currency),
        _kind(SUBSCRIPTION, arm, arm.subscription, whole, currency),
    )


def _kind(name: str, arm: Arm, scope: str, budgets: list[Budget], currency: Currency) -> Kind:
    wanted = {budget.name: budget for budget in budgets}
    return Kind(
        name,
        {budget.name: _wish(budget) for budget in budgets},
        read=lambda: _read(arm, scope, wanted, currency),
        write=lambda name, now, goal: _write(arm, scope, name, now, goal),
        exclusive={budget.name: NOTIFY for budget in budgets if budget.exclusive},
    )


def _wish(budget: Budget) -> Attrs:
    pairs = {
        f"{NOTIFY}{address} at {percent(share)}": True
        for address in budget.notify
        for share in budget.alert_at or WHOLE
    }
    return {"amount": str(budget.amount), **pairs}


def there(arm: Arm, scope: str) -> Iterator[Mapping[str, Any]]:
    """Yield the budgets of a scope that are of money.

    Raises ProviderError (not supported) for a subscription whose offer has no budgets.
    """
    try:
        found = list(arm.list(f"{scope}/providers/Microsoft.Consumption/budgets"))
    except ProviderError as error:
        if error.kind is not Problem.REJECTED:
            raise
        what = "has no budgets for a subscription of this offer"
        raise refusal(WHO, Problem.UNSUPPORTED, what) from None
    for resource in found:
        properties = resource.get("properties")
        if isinstance(properties, Mapping) and properties.get("category", "Cost") == "Cost":
            yield resource


def _read(arm: Arm, scope: str, wanted: Mapping[str, Budget], currency: Currency) -> Named:
    found: dict[str, Attrs] = {}
    for resource in there(arm, scope):
        name = named(str(resource.get("name")), wanted)
        found[name] = _attrs(resource["properties"], wanted.get(name))
    for name in wanted.keys() - found.keys():
        foreign = _foreign(currency(), wanted[name])
        if foreign is not None:
            found[name] = {"amount": foreign}
    return found


def _attrs(properties: Mapping[str, Any], budget: Budget | None) -> Attrs:
    attrs: dict[str, Value] = {"amount": _amount(properties, budget)}
    for notification in _alerts(properties):
        share = percent(notification["threshold"])
        for address in notification.get("contactEmails") or ():
            attrs[f"{NOTIFY}{address} at {share}"] = True
    return attrs


def _amount(properties: Mapping[str, Any], budget: Budget | None) -> Value:
    """Return the amount a month as text; one of another period names it: ``900.00 USD Quarterly``.

    Where Azure does not tell the currency yet, it is taken to be the manifest's.
    """
    unit, grain = billed(properties), properties.get("timeGrain", MONTHLY)
    mine = budget.amount.currency if budget is not None else "USD"
    try:
        text = str(Money.of(properties.get("amount"), unit or mine))
    except ValueError:
        return Unknown("Azure tells an amount that is no number")
    text += "" if grain == MONTHLY else f" {grain}"
    return text if budget is None else _foreign(unit, budget) or text


def _foreign(unit: str | None, budget: Budget) -> Unknown | None:
    """Return why a budget cannot be judged: the account is billed in another currency."""
    mine = budget.amount.currency
    if unit in (None, mine):
        return None
    return Unknown(f"the account is billed in {unit}, and the budget is in {mine}")


def _parsed(text: Value) -> tuple[Money, str]:
    """Return the amount and the period that `_amount` wrote."""
    number, currency, *grain = str(text).split(" ")
    return Money.of(number, currency), grain[0] if grain else MONTHLY


def billed(properties: Mapping[str, Any]) -> str | None:
    """Return the currency that a budget's own spend is told in, or None."""
    unit = value(properties, ("currentSpend", "unit"))
    return unit if isinstance(unit, str) and unit else None


def _alerts(properties: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what tells of money that is spent; forecasts and what is switched off are others'."""
    for notification in (properties.get("notifications") or {}).values():
        if (
            value(notification, ("enabled",))
            and isinstance(notification.get("threshold"), int | float)
            and notification.get("thresholdType", "Actual") == "Actual"
            and notification.get("operator") in REACHED
        ):
            yield notification


def _write(arm: Arm, scope: str, name: str, now: Attrs, goal: Attrs) -> None:
    old = next((r for r in there(arm, scope) if str(r.get("name")).lower() == name.lower()), None)
    spelled = name if old is None else old["name"]
    path = f"{scope}/providers/Microsoft.Consumption/budgets/{spelled}"
    if "amount" not in goal:
        arm.write("DELETE", path)
        return
    answer = arm.write("PUT", path, _body(old, now, goal))
    unit, wanted = billed(answer.at("properties", default={})), _parsed(goal["amount"])[0]
    if old is None and unit not in (None, wanted.currency):
        arm.write("DELETE", path)
        what = f"bills this account in {unit}, so the budget was taken back"
        raise refusal(WHO, Problem.REJECTED, what, f"say `currency: {unit}` in the manifest")


def _body(old: Mapping[str, Any] | None, now: Attrs, goal: Attrs) -> dict[str, Any]:
    """Return the whole budget: a PUT replaces it, and filter and others' alerts must stay."""
    before = {} if old is None else old["properties"]
    properties = json.loads(json.dumps({name: before[name] for name in KEPT if name in before}))
    properties["category"] = "Cost"
    amount, properties["timeGrain"] = _parsed(goal["amount"])
    properties["amount"] = amount.number
    properties.setdefault("timePeriod", {"startDate": f"{datetime.now(UTC):%Y-%m}-01T00:00:00Z"})
    alerts = properties.setdefault("notifications", {})
    for pair in sorted(now.keys() - goal.keys()):
        _silence(alerts, pair)
    for pair in sorted(goal.keys() - now.keys()):
        _tell(alerts, pair)
    tag = {} if old is None or "eTag" not in old else {"eTag": old["eTag"]}
    return {**tag, "properties": properties}


def _parted(pair: str) -> tuple[str, float] | None:
    """Split ``notify ADDRESS at 80%``; None for another attribute."""
    address, at, share = pair.removeprefix(NOTIFY).rpartition(" at ")
    return (address, float(share.rstrip("%"))) if pair.startswith(NOTIFY) and at else None


def _silence(alerts: dict[str, Any], pair: str) -> None:
    parted = _parted(pair)
    for name, alert in list(alerts.items()) if parted else ():
        if parted is None or alert.get("threshold") != parted[1]:
            continue
        if alert.get("thresholdType", "Actual") == "Actual":
            alert["contactEmails"] = [a for a in alert["contactEmails"] if a != parted[0]]
        if not any(alert.get(contacts) for contacts in CONTACTS):
            del alerts[name]


def _tell(alerts: dict[str, Any], pair: str) -> None:
    parted = _parted(pair)
    if parted is None:
        return
    address, share = parted
    open_ = (a for a in _alerts({"notifications": alerts}) if a.get("threshold") == share)
    alert = next(open_, None)
    if alert is None:
        fresh = {"operator": REACHED[1], "threshold": share, "thresholdType": "Actual"}
        alert = {"contactEmails": [], **fresh}
        alerts[f"byok_{percent(share).rstrip('%').replace('.', '_')}"] = alert
    alert["enabled"] = True
    alert["contactEmails"] = [*(alert.get("contactEmails") or ()), address]


def currencies(setting: Setting, arm: Arm, currency: Currency) -> Sight:
    """Warn of each budget in another currency than the account's, and tell what is spent."""
    sight = Sight()
    budgets = budgets_of(setting.manifest, setting.name)
    scopes = {arm.subscription if b.scope == "organization" else arm.group for b in budgets}
    known = {scope: _spends(arm, scope) for scope in scopes}
    for budget in budgets:
        own = known[arm.subscription if budget.scope == "organization" else arm.group]
        spend = own.get(budget.name.lower())
        unit = spend.currency if spend is not None else currency()
        if unit not in (None, budget.amount.currency):
            sight += other_currency(setting, budget, str(unit))
        if spend is not None:
            sight += setting.saw("budget", budget.name, f"{spend} spent in this period")
    return sight


def _spends(arm: Arm, scope: str) -> dict[str, Money]:
    try:
        found = list(there(arm, scope))
    except ProviderError:
        return {}  # its kind says so
    known: dict[str, Money] = {}
    for resource in found:
        unit = billed(resource["properties"])
        with suppress(ValueError):
            amount = value(resource, ("properties", "currentSpend", "amount"))
            known |= (
                {} if unit is None else {str(resource.get("name")).lower(): Money.of(amount, unit)}
            )
    return known
