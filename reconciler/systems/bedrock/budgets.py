"""Budgets in AWS Budgets: the amount, what it counts, and who is told at which share of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Attrs, Change, Value
from reconciler.money import Money
from reconciler.systems.account import Client, Kind, Named, Setting, refusal
from reconciler.systems.account.budgets import NOTIFY, Budget, budgets_of
from reconciler.systems.bedrock.codes import asked, headers, rows
from reconciler.systems.bedrock.promises import counted, fits, tellable
from reconciler.systems.bedrock.wire import BUDGETS, Aws, caller

MADE_THERE: Final = ("CalculatedSpend", "LastUpdatedTime", "HealthStatus")
"""Fields of a budget that AWS answers with and takes no orders for."""

LIMITS: Final = ("BudgetLimit", "PlannedBudgetLimits", "AutoAdjustData", "TimeUnit")
FILTERS: Final = ("CostFilters", "CostTypes", "FilterExpression", "Metrics")
TOLD: Final = re.compile(rf"{NOTIFY}(.+) at (forecast )?([0-9.e+]+)(%?)")


def kind(setting: Setting, aws: Aws) -> Kind:
    """Return the kind ``budget``: amount, services, and an attribute for each alert of each."""
    mine = [b for b in budgets_of(setting.manifest, setting.name) if fits(setting, b)]
    hard = frozenset(budget.name for budget in mine if budget.hard)
    return Kind(
        "budget",
        {budget.name: wanted(setting, budget) for budget in mine},
        lambda: _read(aws),
        partial(_write, aws),
        final=lambda change: _final(change, hard),
        exclusive={budget.name: NOTIFY for budget in mine if budget.exclusive},
    )


def wanted(setting: Setting, budget: Budget) -> Attrs:
    """Return a budget's attributes."""
    alerts = {
        f"{NOTIFY}{address} at {share:.12g}%": True
        for share, addresses in tellable(budget)
        for address in addresses
    }
    return {"amount": str(budget.amount), "services": counted(setting, budget), **alerts}


def _final(change: Change, hard: frozenset[str]) -> bool:
    """Tell whether a hard limit's ground is raised, narrowed or removed: that is final."""
    if change.address.name not in hard:
        return False
    return any(
        (edit.name == "services" and edit.before is not None)
        or (edit.name == "amount" and not _lower(edit.before, edit.after))
        for edit in change.edits
    )


def _lower(before: Value, after: Value) -> bool:
    try:
        was, will = Money.parse(str(before)), Money.parse(str(after))
    except ValueError:
        return before is None
    return will.currency == was.currency and will.amount <= was.amount


def _read(aws: Aws) -> Named:
    number = caller(aws).account
    return {
        name: {**_shown(budget), **dict.fromkeys(_alerts(aws, number, name), True)}
        for name, budget in raw(aws).items()
        if budget.get("BudgetType") == "COST"
    }


def raw(aws: Aws) -> dict[str, Mapping[str, Any]]:
    """Return all budgets as AWS has them, by name."""
    body = {"AccountId": caller(aws).account, "ShowFilterExpression": True}
    client = aws["budgets"]
    try:
        found = list(rows(client, asked(client, f"{BUDGETS}.DescribeBudgets", body), "Budgets"))
    except ProviderError as error:
        if error.kind is not Problem.NOT_THERE:  # said where an account has none at all
            raise
        found = []
    return {str(budget.get("BudgetName")): budget for budget in found}


def _shown(budget: Mapping[str, Any]) -> dict[str, Value]:
    """Return amount and services; a form of them that byok does not make is kept as it is."""
    limit, services = budget.get("BudgetLimit"), _services(budget)
    planned = budget.get("PlannedBudgetLimits") or budget.get("AutoAdjustData")
    plain = limit is not None and not planned and budget.get("TimeUnit") == "MONTHLY"
    amount = str(Money.of(limit["Amount"], limit["Unit"])) if plain and limit else _limit(budget)
    return {"amount": amount, "services": services}


def _limit(budget: Mapping[str, Any]) -> str:
    kept = {name: budget[name] for name in LIMITS if budget.get(name)}
    if len(kept.keys() & {"PlannedBudgetLimits", "AutoAdjustData"}) > 0:
        kept.pop("BudgetLimit", None)  # AWS derives it, and moves it
    if adjusting := kept.get("AutoAdjustData"):
        kept["AutoAdjustData"] = {k: v for k, v in adjusting.items() if k != "LastAutoAdjustTime"}
    return json.dumps(kept, sort_keys=True)


def _services(budget: Mapping[str, Any]) -> tuple[str, ...] | str | None:
    filters = {name: found for name, found in (budget.get("CostFilters") or {}).items() if found}
    if filters.keys() == {"Service"}:
        return tuple(sorted(filters["Service"]))
    expression = budget.get("FilterExpression") or {}
    if not filters and not expression:
        return None
    found = expression.get("Dimensions") or {}
    exact = found.get("Key") == "SERVICE" and found.get("MatchOptions") in (None, [], ["EQUALS"])
    if not filters and expression.keys() == {"Dimensions"} and exact:
        return tuple(sorted(found["Values"]))
    chosen = ("CostFilters", "CostTypes") if filters else ("FilterExpression", "Metrics")
    return json.dumps({name: budget[name] for name in chosen if budget.get(name)}, sort_keys=True)


def _alerts(aws: Aws, number: str, name: str) -> Iterator[str]:
    """Yield ``notify ADDRESS at 80%`` (``forecast 80%``, or an amount) for each recipient."""
    for notification in _notifications(aws["budgets"], number, name):
        forecast = "forecast " if notification.get("NotificationType") == "FORECASTED" else ""
        share = "" if notification.get("ThresholdType") == "ABSOLUTE_VALUE" else "%"
        at = f"{forecast}{notification['Threshold']:.12g}{share}"
        for address in _subscribers(aws["budgets"], number, name, notification):
            yield f"{NOTIFY}{address} at {at}"


def _notifications(client: Client, number: str, name: str) -> Iterator[Mapping[str, Any]]:
    body = {"AccountId": number, "BudgetName": name}
    target = f"{BUDGETS}.DescribeNotificationsForBudget"
    for found in rows(client, asked(client, target, body), "Notifications"):
        if found.get("ComparisonOperator") == "GREATER_THAN":
            yield {key: value for key, value in found.items() if key != "NotificationState"}


def _subscribers(
    client: Client, number: str, name: str, notification: Mapping[str, Any]
) -> Iterator[str]:
    body = {"AccountId": number, "BudgetName": name, "Notification": notification}
    target = f"{BUDGETS}.DescribeSubscribersForNotification"
    for found in rows(client, asked(client, target, body), "Subscribers"):
        yield str(found.get("Address"))


def _write(aws: Aws, name: str, now: Attrs, goal: Attrs) -> None:
    """Carry a budget over. Without an amount there is no budget: what hangs on it goes too."""
    tell = partial(_tell, aws)
    old = raw(aws).get(name)
    if goal.get("amount") is None:
        if old is not None:
            tell("DeleteBudget", {"BudgetName": name})
    elif old is None:
        tags = [{"Key": "byok", "Value": aws.setting.manifest.team}]
        told = [
            {"Notification": dict(notification), "Subscribers": _subscribed(addresses)}
            for notification, addresses in _by_notification(goal).items()
        ]
        body = {"Budget": _budget(name, {}, {}, goal), "NotificationsWithSubscribers": told}
        tell("CreateBudget", {**body, "ResourceTags": tags})
    else:
        if any(now.get(part) != goal.get(part) for part in ("amount", "services")):
            tell("UpdateBudget", {"NewBudget": _budget(name, old, now, goal)})
        _rewire(aws, name, now, goal)


def _tell(aws: Aws, action: str, body: Mapping[str, Any]) -> None:
    whole = {"AccountId": caller(aws).account, **body}
    aws["budgets"].send("POST", "/", whole, headers=headers(f"{BUDGETS}.{action}"))


def _budget(name: str, old: Mapping[str, Any], now: Attrs, goal: Attrs) -> dict[str, Any]:
    """Return a budget's whole document: what byok does not own in it stays as it is."""
    if old.get("BudgetType", "COST") != "COST":
        what = f"has a budget {name} of another type than COST"
        raise refusal("AWS Budgets", Problem.REJECTED, what, "give the budget another name")
    new = {part: value for part, value in old.items() if part not in MADE_THERE}
    new |= {"BudgetName": name, "BudgetType": "COST"}
    if not old or now.get("amount") != goal.get("amount"):
        new = {part: value for part, value in new.items() if part not in LIMITS}
        new |= _as_limit(str(goal["amount"]))
    if now.get("services") != goal.get("services"):
        new = {part: value for part, value in new.items() if part not in FILTERS}
        new |= _as_filter(goal.get("services"))
    return {part: value for part, value in new.items() if value not in (None, {}, [])}


def _as_limit(amount: str) -> dict[str, Any]:
    if amount.startswith("{"):
        found: dict[str, Any] = json.loads(amount)
        return found
    money = Money.parse(amount)
    return {
        "BudgetLimit": {"Amount": money.text, "Unit": money.currency},
        "TimeUnit": "MONTHLY",
    }


def _as_filter(services: Value) -> dict[str, Any]:
    match services:
        case str():
            found: dict[str, Any] = json.loads(services)
            return found
        case tuple():
            return {"CostFilters": {"Service": list(services)}}
        case _:
            return {}


Notification = tuple[tuple[str, Any], ...]


def _by_notification(attrs: Attrs) -> dict[Notification, list[str]]:
    found: dict[Notification, list[str]] = {}
    for name, on in sorted(attrs.items()):
        parts = TOLD.fullmatch(name)
        if parts and on:
            key = (
                ("NotificationType", "FORECASTED" if parts[2] else "ACTUAL"),
                ("ComparisonOperator", "GREATER_THAN"),
                ("Threshold", float(parts[3])),
                ("ThresholdType", "PERCENTAGE" if parts[4] else "ABSOLUTE_VALUE"),
            )
            found.setdefault(key, []).append(parts[1])
    return found


def _subscribed(addresses: list[str]) -> list[dict[str, str]]:
    return [subscriber(address) for address in addresses]


def subscriber(address: str) -> dict[str, str]:
    """Return a recipient as AWS writes it: a topic's ARN, or an e-mail address."""
    form = "SNS" if address.startswith("arn:") else "EMAIL"
    return {"SubscriptionType": form, "Address": address}


def _rewire(aws: Aws, name: str, now: Attrs, goal: Attrs) -> None:
    """Change who is told at each threshold; the last one to leave takes the alert with them."""
    before, after = _by_notification(now), _by_notification(goal)
    for key in sorted(before.keys() | after.keys()):
        had, have = before.get(key, []), after.get(key, [])
        at = {"BudgetName": name, "Notification": dict(key)}
        if not had:
            _tell(aws, "CreateNotification", {**at, "Subscribers": _subscribed(have)})
        elif not have:
            _tell(aws, "DeleteNotification", at)
        else:
            for address in (each for each in have if each not in had):
                _tell(aws, "CreateSubscriber", {**at, "Subscriber": subscriber(address)})
            for address in (each for each in had if each not in have):
                _tell(aws, "DeleteSubscriber", {**at, "Subscriber": subscriber(address)})
