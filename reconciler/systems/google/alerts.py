"""Budgets that only tell: by the manifest's name, each threshold owned by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
ALL: Final = "all"
ORGANIZATION: Final = "organization"
OTHERS: Final = ("other projects", "other services", "other period")
"""What a budget counts where it is not this project's Gemini API by the month."""

BASES: Final = {"alert": "CURRENT_SPEND", "forecast": "FORECASTED_SPEND"}


def kind(cloud: Cloud) -> Kind:
    """Return the kind ``budget``."""
    budgets = billing.wanted(cloud, hard=False)
    return Kind(
        "budget",
        desired={budget.name: _wanted(budget) for budget in budgets},
        read=lambda: _read(cloud, budgets),
        write=lambda name, now, goal: _write(cloud, name, now, goal),
    )


def _wanted(budget: Budget) -> Attrs:
    """Return what is wanted of a budget: nothing of what would let it count something else.

    So what others made of ours can be given back one attribute at a time, and never by counting
    more than it did.
    """
    thresholds = {f"alert {percent(share)}": True for share in budget.alert_at or (100,)}
    scope = ORGANIZATION if budget.scope == ORGANIZATION else None
    return {"amount": str(budget.amount), "scope": scope, **dict.fromkeys(OTHERS), **thresholds}


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
    projects, services = billing.projects(budget), billing.services(budget)
    period = budget.get("budgetFilter", {}).get("calendarPeriod", CUSTOM)
    yield "amount", billing.money(budget) or LAST
    yield "scope", None if projects else ORGANIZATION
    yield "other projects", tuple(projects) if projects != [cloud.number()] else None
    yield (
        "other services",
        (tuple(services) or ALL) if services != [billing.service(cloud)] else None,
    )
    yield "other period", period if period != "MONTH" else None
    for rule in budget.get("thresholdRules", ()):
        word = "forecast" if rule.get("spendBasis") == BASES["forecast"] else "alert"
        yield f"{word} {percent(round(rule.get('thresholdPercent', 0) * 100, 6))}", True


def _fields(cloud: Cloud, attrs: Attrs) -> dict[str, Any]:
    """Return a budget's fields by the path of each in an update mask."""
    services = _services(cloud, attrs.get("other services"))
    return {
        "amount": _amount(str(attrs.get("amount", LAST))),
        "budgetFilter.calendarPeriod": attrs.get("other period") or "MONTH",
        "budgetFilter.projects": _projects(cloud, attrs),
        "budgetFilter.services": [f"services/{one}" for one in services],
        "thresholdRules": list(_rules(attrs)),
    }


def _services(cloud: Cloud, others: Value) -> Iterable[Value]:
    if others == ALL:
        return ()
    return others if isinstance(others, tuple) and others else (billing.service(cloud),)


def _projects(cloud: Cloud, attrs: Attrs) -> list[str]:
    others = attrs.get("other projects")
    if isinstance(others, tuple) and others:
        return [str(one) for one in others]
    return [] if attrs.get("scope") == ORGANIZATION else [cloud.number()]


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
    elif now.get("other period") == CUSTOM:
        what = "has this budget for a period of its own, which byok could not bring back"
        raise refusal(cloud.budgets.who, Problem.REJECTED, what, "give the manifest's another name")
    else:
        was = _fields(cloud, now)
        moved = {path: v for path, v in _fields(cloud, goal).items() if was[path] != v}
        ours = billing.mark(cloud.setting.manifest.team, name)
        if there["displayName"] not in (ours, name):  # another team's mark: it is ours now
            moved["displayName"] = ours
        billing.patch(cloud, there, moved)
