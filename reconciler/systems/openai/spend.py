"""What a project or the organisation may cost: hard limits, and alerts by e-mail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.codec import nothing
from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs, Change
from reconciler.money import Money
from reconciler.systems.account import Kind, Named, Setting, refusal
from reconciler.systems.account.budgets import NOTIFY, Budget, budgets_of, recipients
from reconciler.systems.openai.admin import Admin, on_record, part, path_of, watched

CURRENCY: Final = "USD"
"""The only currency that OpenAI takes limits in (API description of August 2026)."""

TERMS: Final = {"currency": CURRENCY, "interval": "month"}
ORGANIZATION: Final = "organization"
PROJECT: Final = "project "
MARK: Final = re.compile(r"\[byok:([^\]\s]+) ([^\]\s]+)\]")
NOT_IN_USD: Final = f"OpenAI takes limits and alerts in {CURRENCY} only"


def placed(setting: Setting, budget: Budget) -> str | None:
    """Return what a budget holds for: ``organization``, or ``project NAME``; None for nothing."""
    if budget.scope == "organization":
        return ORGANIZATION
    project = setting.account().get("project")
    return None if project is None else f"{PROJECT}{project}"


def thresholds(budget: Budget) -> tuple[float, ...]:
    """Return the percentages to tell at: the amount itself where only recipients are named."""
    if not budget.notify:
        return ()
    return budget.alert_at or (() if budget.hard else (100,))


def _budgets(admin: Admin) -> Iterator[tuple[str, Budget]]:
    """Yield each budget that has a place, with the place."""
    for budget in budgets_of(admin.setting.manifest, admin.setting.name):
        place = placed(admin.setting, budget)
        if place is not None:
            yield place, budget


def _barred(named: Mapping[str, Budget]) -> dict[str, str]:
    return {n: NOT_IN_USD for n, b in named.items() if b.amount.currency != CURRENCY}


def project_limit(admin: Admin) -> Kind:
    """Return the kind of hard limits of projects, by the project's name."""
    hard = {
        place.removeprefix(PROJECT): budget
        for place, budget in _budgets(admin)
        if budget.hard and place != ORGANIZATION
    }

    def read() -> Named:
        found = {name: _limit(admin, path_of(admin, name)) for name in watched(admin)}
        return {name: attrs for name, attrs in found.items() if attrs}

    def write(name: str, _now: Attrs, goal: Attrs) -> None:
        _set_limit(admin, path_of(admin, name), goal)

    return _limits("spend-limit", hard, read, write)


def organization_limit(admin: Admin) -> Kind:
    """Return the kind of the organisation's hard limit; read only where it is, or was, ours."""
    hard = {place: b for place, b in _budgets(admin) if b.hard and place == ORGANIZATION}
    kind = "organization-spend-limit"
    ours = bool(hard) or on_record(admin, kind)

    def read() -> Named:
        attrs = _limit(admin, "/organization") if ours else {}
        return {ORGANIZATION: attrs} if attrs else {}

    def write(_name: str, _now: Attrs, goal: Attrs) -> None:
        _set_limit(admin, "/organization", goal)

    return _limits(kind, hard, read, write)


def _limits(kind: str, hard: Mapping[str, Budget], read: Any, write: Any) -> Kind:
    wanted = {name: {"amount": str(budget.amount.share(100))} for name, budget in hard.items()}
    return Kind(kind, wanted, read, write, final=_loosens, barred=_barred(hard))


def _loosens(change: Change) -> bool:
    """Tell whether a limit is raised or taken away."""
    return any(
        not nothing(edit.before)
        and (nothing(edit.after) or _amount(edit.after) > _amount(edit.before))
        for edit in change.edits
    )


def _amount(text: object) -> Any:
    return Money.parse(str(text)).amount


def _limit(admin: Admin, owner: str) -> Attrs:
    document = admin.document(f"{owner}/spend_limit")
    return {"amount": _money(admin, document)} if "threshold_amount" in document else {}


def _money(admin: Admin, document: Mapping[str, Any]) -> str:
    amount, currency = document.get("threshold_amount"), document.get("currency")
    try:
        return str(Money.of_minor(amount, str(currency or CURRENCY)))
    except ValueError:
        raise refusal(admin.client.who, Problem.UNREADABLE) from None


def _set_limit(admin: Admin, owner: str, goal: Attrs) -> None:
    """Create or replace, which twice equals once; or take away."""
    path = f"{owner}/spend_limit"
    if goal:
        admin.client.send("POST", path, _cents(goal), again=True)
    else:
        admin.take_away(path)


def _cents(goal: Attrs) -> dict[str, Any]:
    return {"threshold_amount": Money.parse(str(goal["amount"])).minor, **TERMS}


@dataclass(frozen=True, slots=True)
class _Alert:
    """One alert that byok made: its natural name, its team, and its path."""

    name: str
    team: str
    path: str
    attrs: Attrs


def project_alerts(admin: Admin) -> Kind:
    """Return the kind of alerts of projects, ``PROJECT/BUDGET/PERCENT``."""
    named = {
        f"{place.removeprefix(PROJECT)}/{mark}": each
        for place, mark, each in _told(admin)
        if place != ORGANIZATION
    }

    def there() -> Iterator[_Alert]:
        for project in watched(admin):
            yield from _marked(admin, f"{project}/", path_of(admin, project, "/spend_alerts"))

    def owner(name: str) -> str:
        return path_of(admin, name.rsplit("/", 2)[0], "/spend_alerts")

    return _alerts(admin, "spend-alert", named, there, owner)


def organization_alerts(admin: Admin) -> Kind:
    """Return the kind of the organisation's alerts, ``BUDGET/PERCENT``; read only where ours."""
    named = {mark: each for place, mark, each in _told(admin) if place == ORGANIZATION}
    kind, path = "organization-spend-alert", "/organization/spend_alerts"
    ours = bool(named) or on_record(admin, kind)

    def there() -> Iterator[_Alert]:
        return _marked(admin, "", path) if ours else iter(())

    return _alerts(admin, kind, named, there, lambda _name: path)


def _told(admin: Admin) -> Iterator[tuple[str, str, tuple[Budget, float]]]:
    """Yield place, mark (``BUDGET/PERCENT``), budget and percentage of each alert."""
    for place, budget in _budgets(admin):
        for share in thresholds(budget):
            yield place, f"{budget.name}/{share:g}", (budget, share)


def _alerts(
    admin: Admin,
    kind: str,
    named: Mapping[str, tuple[Budget, float]],
    there: Callable[[], Iterator[_Alert]],
    owner: Callable[[str], str],
) -> Kind:
    """Return a kind of alerts, found again by the prefix of their subject."""
    budgets = {name: budget for name, (budget, _) in named.items()}

    def read() -> Named:
        return {name: same[0].attrs for name, same in _ranked(admin, there()).items()}

    def write(name: str, _now: Attrs, goal: Attrs) -> None:
        """Change one alert, make it or take it away, and drop what stands there twice."""
        same = _ranked(admin, there()).get(name, [])
        kept, team = same[:1] if "amount" in goal else [], admin.setting.manifest.team
        for one in same[len(kept) :]:
            if one.team == team or not kept:
                admin.take_away(one.path)
        if "amount" in goal:
            body = _body(team, "/".join(name.rsplit("/", 2)[-2:]), goal)
            where = kept[0].path if kept else owner(name)
            admin.client.send("POST", where, body, again=bool(kept))

    return Kind(
        kind,
        {n: {"amount": str(b.amount.share(at)), **b.recipients()} for n, (b, at) in named.items()},
        read,
        write,
        exclusive={name: NOTIFY for name, budget in budgets.items() if budget.exclusive},
        barred=_barred(budgets),
    )


def _ranked(admin: Admin, there: Iterator[_Alert]) -> dict[str, list[_Alert]]:
    """Return all alerts by name; our team's come first."""
    team, found = admin.setting.manifest.team, dict[str, list[_Alert]]()
    for alert in there:
        found.setdefault(alert.name, []).append(alert)
    for same in found.values():
        same.sort(key=lambda one: one.team != team)
    return found


def _marked(admin: Admin, before: str, path: str) -> Iterator[_Alert]:
    """Yield the alerts of a list that have a mark of byok; all others are somebody else's."""
    for alert in admin.entries(path):
        channel = part(alert, "notification_channel")
        mark = MARK.search(str(channel.get("subject_prefix") or ""))
        if mark is None:
            continue
        told = {f"{NOTIFY}{address}": True for address in channel.get("recipients") or ()}
        attrs: Attrs = {"amount": _money(admin, alert), **told}
        yield _Alert(before + mark[2], mark[1], f"{path}/{alert.get('id')}", attrs)


def _body(team: str, mark: str, goal: Attrs) -> dict[str, Any]:
    prefix, to = f"[byok:{team} {mark}]", list(recipients(goal))
    channel = {"type": "email", "recipients": to, "subject_prefix": prefix}
    return {**_cents(goal), "notification_channel": channel}
