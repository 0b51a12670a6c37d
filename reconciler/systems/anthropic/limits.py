"""A workspace's rate limits, and the hard spend limits of a workspace or the organisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs, Change
from reconciler.money import Money
from reconciler.systems.account import Kind, Named, refusal
from reconciler.systems.account.budgets import Budget, budgets_of
from reconciler.systems.account.pages import after_page, items, pages
from reconciler.systems.anthropic.console import (
    WORKSPACES,
    Console,
    Item,
    reconciled,
    workspaces,
)
from reconciler.systems.anthropic.wire import ORGANIZATION

HOUR: Final = 3600
"""Seconds in which a rate limit takes effect: "within about an hour" (SDK 2.12.0)."""

SPEND_LIMITS: Final = f"{ORGANIZATION}/spend_limits"
WHOLE: Final = "organization"
"""The name of the limit for the whole organisation."""

NO_GROUP: Final = (
    "no group of models here is called so, or another entry means the same group: "
    "name a model of the group, or the group as the Console shows it, once"
)
OTHER_CURRENCY: Final = "the account is billed in another currency"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One group's limits in one workspace: its place in the API, and what the workspace set."""

    path: str
    own: Mapping[str, int]
    above: tuple[str, ...]


def rate_limit_kind(console: Console) -> Kind:
    """Return the kind, named ``workspace/group``; a null in the manifest clears our own limit."""
    space = console.workspace
    return Kind(
        name="rate-limit",
        desired={f"{space}/{group}": limits for group, limits in _wanted(console).items()},
        read=lambda: _rate_limits_read(console),
        write=lambda name, now, goal: _rate_limits_write(console, name, now, goal),
        slow=HOUR,
        missing=NO_GROUP,
    )


def _rate_limits_read(console: Console) -> Named:
    found = {name: limit.own for name, limit in rate_limits(console).items()}
    if console.workspace in workspaces(console):
        return found
    return {**found, **{f"{console.workspace}/{group}": {} for group in _wanted(console)}}


def _wanted(console: Console) -> Mapping[str, Attrs]:
    wanted: Mapping[str, Attrs] = console.setting.account().get("rate_limits", {})
    return wanted


def rate_limits(console: Console) -> dict[str, RateLimit]:
    """Return the groups' limits by address name, in the workspaces that may be ours.

    A group goes by the declared name that means it: the first of several. Where the manifest names
    none, it goes by each of its names, because the one we once wrote it under is not known here.
    """
    found: dict[str, RateLimit] = {}
    for space, names, limit in _groups(console):
        wanted = _wanted(console) if space == console.workspace else {}
        meant = [name for name in wanted if name in names][:1]
        for name in meant or (names if limit.own else ()):
            found.setdefault(f"{space}/{name}", limit)
    return found


def _groups(console: Console) -> Iterator[tuple[str, tuple[str, ...], RateLimit]]:
    """Yield each group of each workspace that may be ours: workspace, its names, its limits."""
    for space, item in reconciled(console).items():
        path = f"{WORKSPACES}/{item['id']}/rate_limits"
        answers = pages(console.api, path, after_page, {"include_inherited": "true"})
        for row in items(answers, "data"):
            limit = _rate_limit(f"{path}/{row.get('rate_limit_id')}", row)
            yield space, tuple(_names(row)), limit


def _names(row: Item) -> Iterator[str]:
    """Yield what people may call a group: its title, its models, or the kind of group it is."""
    group = row.get("group") or {}
    is_models = group.get("type") == "model_group"
    yield str(group.get("display_name") if is_models else group.get("type"))
    yield from row.get("models") or ()


def _rate_limit(path: str, row: Item) -> RateLimit:
    limits = [one for one in row.get("limits") or () if isinstance(one, Mapping)]
    own = [one for one in limits if (one.get("source") or {}).get("type") == "workspace"]
    above = [one for one in own if one.get("org_limit") and one["value"] > one["org_limit"]]
    return RateLimit(
        path, {str(one["type"]): one["value"] for one in own}, tuple(o["type"] for o in above)
    )


def _rate_limits_write(console: Console, name: str, now: Attrs, goal: Attrs) -> None:
    called = {f"{space}/{n}": limit for space, names, limit in _groups(console) for n in names}
    limit = called.get(name)
    if limit is None:
        raise refusal(f"{console.setting.name}/rate-limit/{name}", Problem.REJECTED, NO_GROUP)
    moved = [n for n in sorted({*now, *goal}) if now.get(n) != goal.get(n)]
    values = [{"type": each, "value": goal.get(each)} for each in moved]
    console.api.send("POST", limit.path, {"limits": values}, again=True)


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """One limit that is set; ``amount`` is None where the API says that there is no cap."""

    id: str
    amount: Money | None
    enabled: bool


def hard_budgets(console: Console) -> dict[str, Budget]:
    """Return the budgets that ask for a hard limit, by the limit's name."""
    found: dict[str, Budget] = {}
    for budget in budgets_of(console.setting.manifest, console.setting.name):
        name = WHOLE if budget.scope == WHOLE else console.workspace
        if budget.hard and name:
            found.setdefault(name, budget)
    return found


def spend_limit_kind(console: Console) -> Kind:
    """Return the kind: what an organisation with access to the preview may set, a month each."""
    return Kind(
        name="spend-limit",
        desired={n: {"amount": str(b.amount)} for n, b in hard_budgets(console).items()},
        read=lambda: _spend_limits_read(console),
        write=lambda name, now, goal: _spend_limits_write(console, name, now, goal),
        final=_loosens,
        missing=OTHER_CURRENCY,
    )


def _loosens(change: Change) -> bool:
    return any(_looser(edit.before, edit.after) for edit in change.edits)


def _looser(before: Any, after: Any) -> bool:
    if before is None:
        return False
    return after is None or Money.parse(after).amount > Money.parse(before).amount


def _spend_limits_read(console: Console) -> Named:
    """Return the limits; one that is wanted and not set is there with nothing in it."""
    there = spend_limits(console)
    wanted = hard_budgets(console)
    billed = currency(console)
    if wanted:
        _may_be_written(console, there)
    found: dict[str, Attrs] = {
        name: {} for name, b in wanted.items() if billed in (None, b.amount.currency)
    }
    lost = wanted.keys() - found.keys()
    set_ = {n: {"amount": str(one.amount)} for n, one in there.items() if one.amount is not None}
    return {**found, **{name: attrs for name, attrs in set_.items() if name not in lost}}


def _may_be_written(console: Console, there: Mapping[str, SpendLimit]) -> None:
    """Read one limit by its id: an organisation that may only list is refused already there."""
    for limit in list(there.values())[:1]:
        console.api.get(f"{SPEND_LIMITS}/{limit.id}")


def _rows(console: Console) -> list[Item]:
    return list(items(pages(console.spending, SPEND_LIMITS, after_page), "data"))


def spend_limits(console: Console) -> dict[str, SpendLimit]:
    """Return the monthly limits by name: a workspace's, or ``organization``."""
    names = {item["id"]: name for name, item in workspaces(console).items()}
    found: dict[str, SpendLimit] = {}
    for row in _rows(console):
        scope = row.get("scope") or {}
        if row.get("period") != "monthly":
            continue
        match scope.get("type"):
            case "organization":
                found[WHOLE] = _spend_limit(row)
            case "workspace" if scope.get("workspace_id") in names:
                found.setdefault(names[scope["workspace_id"]], _spend_limit(row))
    return found


def _spend_limit(row: Item) -> SpendLimit:
    amount = row.get("amount")
    read = None if amount is None else Money.of_minor(amount, str(row.get("currency")))
    return SpendLimit(str(row.get("id")), read, bool(row.get("is_enabled", True)))


def currency(console: Console) -> str | None:
    """Return what the account is billed in, as far as a limit of any scope tells it."""
    return next((str(row["currency"]) for row in _rows(console) if row.get("currency")), None)


def _spend_limits_write(console: Console, name: str, now: Attrs, goal: Attrs) -> None:
    if "amount" not in goal:
        limit = spend_limits(console).get(name)
        if limit is not None:
            console.api.send("DELETE", f"{SPEND_LIMITS}/{limit.id}")
        return
    scope = {"type": WHOLE}
    if name != WHOLE:
        scope = {"type": "workspace", "workspace_id": workspaces(console)[name]["id"]}
    wanted = Money.parse(str(goal["amount"]))
    body = {"amount": str(wanted.minor), "scope": scope, "period": "monthly"}
    answer = console.api.send("POST", SPEND_LIMITS, body, again=True)
    if not now and answer.at("currency") not in (None, wanted.currency):  # no limit told it before
        console.api.send("DELETE", f"{SPEND_LIMITS}/{answer.at('id')}")
        what = f"bills this account in {answer.at('currency')}, so the limit was taken back"
        way_out = "say that currency in the budget"
        raise refusal(console.api.who, Problem.REJECTED, what, way_out)
