"""Budgets that only tell: by the manifest's name, each threshold owned by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs, Value
from reconciler.money import Money
from reconciler.systems.account import Kind, Named, refusal
from reconciler.systems.account.budgets import Budget, percent
from reconciler.systems.google import billing
from reconciler.systems.google.billing import MARK, Object
from reconciler.systems.google.cloud import Cloud

LAST: Final = "that of the last period"
CUSTOM: Final = "custom"
BASES: Final = {"alert": "CURRENT_SPEND", "forecast": "FORECASTED_SPEND"}


def kind(cloud: Cloud) -> Kind:
    """Return the kind ``budget``."""
    budgets = billing.wanted(cloud, hard=False)
    return Kind(
        "budget",
        desired={budget.name: _wanted(cloud, budget) for budget in budgets},
        read=lambda: _read(cloud, budgets),
        write=lambda name, now, goal: _write(cloud, name, now, goal),
    )


def _wanted(cloud: Cloud, budget: Budget) -> Attrs:
    thresholds = {f"alert {percent(share)}": True for share in budget.alert_at or (100,)}
    return {
        "amount": str(budget.amount),
        "period": "MONTH",
        "project": None if budget.scope == "organization" else cloud.project,
        "service": billing.service(cloud),
        **thresholds,
    }


def _read(cloud: Cloud, budgets: tuple[Budget, ...]) -> Named:
    billing.must_be_billed_so(cloud, budgets)
    return {name: dict(_attrs(cloud, budget)) for name, budget in _by_name(cloud).items()}


def _by_name(cloud: Cloud) -> dict[str, Object]:
    """Return budgets by natural name: those of this team, else those of this project alone.

    Another team's budget of the same name, for another project, is none of this manifest's.
    """
    ours, number = f"{MARK}{cloud.setting.manifest.team}/", cloud.number()
    mine: dict[str, Object] = {}
    here: dict[str, Object] = {}
    for budget in billing.every_budget(cloud):
        shown = str(budget.get("displayName", ""))
        if "spendCap" in budget or not shown:
            continue
        if shown.startswith(ours):
            mine.setdefault(shown.removeprefix(ours), budget)
        elif billing.projects(budget) == [number]:
            here.setdefault(_natural(shown), budget)
    return {**here, **mine}


def _natural(shown: str) -> str:
    return shown.partition("/")[2] if shown.startswith(MARK) and "/" in shown else shown


def _attrs(cloud: Cloud, budget: Object) -> Iterator[tuple[str, Value]]:
    number = cloud.number()
    yield "amount", billing.money(budget) or LAST
    yield "period", budget.get("budgetFilter", {}).get("calendarPeriod", CUSTOM)
    yield "project", _one([cloud.project if p == number else p for p in billing.projects(budget)])
    yield "service", _one(billing.services(budget))
    for rule in budget.get("thresholdRules", ()):
        word = "forecast" if rule.get("spendBasis") == BASES["forecast"] else "alert"
        yield f"{word} {percent(round(rule.get('thresholdPercent', 0) * 100, 6))}", True


def _one(names: list[str]) -> Value:
    return names[0] if len(names) == 1 else tuple(names)


def _several(value: Value) -> list[str]:
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return [] if value is None else [str(value)]


def _fields(cloud: Cloud, attrs: Attrs) -> dict[str, Any]:
    """Return a budget's fields by the path of each in an update mask."""
    number = cloud.number()
    numbers = [number if p == cloud.project else p for p in _several(attrs.get("project"))]
    return {
        "amount": _amount(str(attrs.get("amount", LAST))),
        "budgetFilter.calendarPeriod": attrs.get("period", CUSTOM),
        "budgetFilter.projects": numbers,
        "budgetFilter.services": [f"services/{s}" for s in _several(attrs.get("service"))],
        "thresholdRules": list(_rules(attrs)),
    }


def _amount(text: str) -> Mapping[str, Any]:
    return (
        {"lastPeriodAmount": {}} if text == LAST else {"specifiedAmount": Money.parse(text).google}
    )


def _rules(attrs: Attrs) -> Iterator[dict[str, Any]]:
    for name in sorted(attrs):
        word, _, share = name.partition(" ")
        if word in BASES:
            part = round(float(share.removesuffix("%")) / 100, 8)
            yield {"thresholdPercent": part, "spendBasis": BASES[word]}


def _write(cloud: Cloud, name: str, now: Attrs, goal: Attrs) -> None:
    there = _by_name(cloud).get(name)
    if "amount" not in goal:
        billing.delete(cloud, there)
    elif there is None:
        team = cloud.setting.manifest.team
        named = {"displayName": billing.mark(team, name)}
        billing.create(cloud, {**named, **billing.nested(_fields(cloud, goal))})
    elif now.get("period") == CUSTOM:
        what = "has this budget for a period of its own, which byok could not bring back"
        raise refusal(cloud.budgets.who, Problem.REJECTED, what, "give the manifest's another name")
    else:
        was = _fields(cloud, now)
        moved = {path: v for path, v in _fields(cloud, goal).items() if was[path] != v}
        billing.patch(cloud, there, moved)
