"""The spend cap: the one budget of Google's that stops requests, with its strict rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Attrs, Change
from reconciler.money import Money
from reconciler.systems.account import Answer, Kind, Named, refusal
from reconciler.systems.account.budgets import Budget
from reconciler.systems.account.pages import until
from reconciler.systems.google import billing
from reconciler.systems.google.billing import Object
from reconciler.systems.google.cloud import Cloud

ALERTS: Final = (50, 80, 100)
"""Percentages of a cap's three thresholds: Google takes no others."""

LIFTING: Final = 60.0
"""Seconds that Google gets to lift a cap that is in force."""

NOT_ELIGIBLE: Final = (
    "takes no spend cap here: it needs a first-party billing account, one project that it pays "
    "for, and an eligible service"
)
WAY_OUT: Final = "say enforce: alert, or set the project's limit in AI Studio"


def kind(cloud: Cloud) -> Kind:
    """Return the kind ``spend-limit``: the project's one cap, by the project's id."""
    budgets = billing.wanted(cloud, hard=True)
    return Kind(
        "spend-limit",
        desired={cloud.project: {"amount": str(b.amount)} for b in budgets[:1]},  # noqa: B035
        read=lambda: _read(cloud, budgets),
        write=lambda _name, _now, goal: _write(cloud, budgets, goal),
        final=_loosens,
    )


def _loosens(change: Change) -> bool:
    """Tell whether a change raises or removes the hard limit."""
    return any(
        isinstance(edit.before, str)
        and not (isinstance(edit.after, str) and _lower(edit.after, edit.before))
        for edit in change.edits
    )


def _lower(left: str, right: str) -> bool:
    return Money.parse(left).amount < Money.parse(right).amount


def caps(cloud: Cloud) -> Iterator[Object]:
    """Yield the caps of this project and service: this team's first, then by name."""
    scope = ([cloud.number()], [billing.service(cloud)])
    found = [
        budget
        for budget in billing.every_budget(cloud)
        if "spendCap" in budget and (billing.projects(budget), billing.services(budget)) == scope
    ]
    ours = billing.mark(cloud.setting.manifest.team, "")
    yield from sorted(
        found, key=lambda b: (not str(b.get("displayName", "")).startswith(ours), str(b["name"]))
    )


def in_force(cap: Object) -> bool:
    """Tell whether a cap blocks requests now."""
    return bool(cap.get("spendCap", {}).get("outputState") == "ENFORCED")


def _read(cloud: Cloud, budgets: tuple[Budget, ...]) -> Named:
    billing.must_be_billed_so(cloud, budgets)
    cap = next(caps(cloud), None)
    return {} if cap is None else {cloud.project: {"amount": billing.money(cap)}}


def _write(cloud: Cloud, budgets: tuple[Budget, ...], goal: Attrs) -> None:
    cap, amount = next(caps(cloud), None), goal.get("amount")
    if not isinstance(amount, str):
        if cap is not None and in_force(cap):
            cap = _lift(cloud, cap)
        billing.delete(cloud, cap)
    elif cap is None:
        _create(cloud, _name(cloud, budgets), amount)
    else:
        if in_force(cap):
            cap = _lifted_for(cloud, cap, amount)
        fields = {"amount": _money(amount), "spendCap.inputState": "CONFIGURED"}
        billing.patch(cloud, cap, fields)


def _name(cloud: Cloud, budgets: tuple[Budget, ...]) -> str:
    return next((b.name for b in budgets), cloud.project)


def _money(amount: str) -> dict[str, Any]:
    return {"specifiedAmount": Money.parse(amount).google}


def _create(cloud: Cloud, name: str, amount: str) -> None:
    """Make a cap with all that Google asks of one. Raises ProviderError."""
    body = {
        "displayName": billing.mark(cloud.setting.manifest.team, name)[: billing.LONGEST],
        "budgetFilter": {
            "projects": [cloud.number()],
            "services": [f"services/{billing.service(cloud)}"],
            "calendarPeriod": "MONTH",
            "creditTypesTreatment": "EXCLUDE_ALL_CREDITS",
        },
        "amount": _money(amount),
        "thresholdRules": [
            {"thresholdPercent": share / 100, "spendBasis": "CURRENT_SPEND"} for share in ALERTS
        ],
        "notificationsRule": {"enableProjectLevelRecipients": True},
        "spendCap": {"inputState": "CONFIGURED"},
    }
    try:
        billing.create(cloud, body)
    except ProviderError as error:
        if error.kind is not Problem.REJECTED:
            raise
        raise refusal(cloud.budgets.who, Problem.UNSUPPORTED, NOT_ELIGIBLE, WAY_OUT) from None


def _lifted_for(cloud: Cloud, cap: Object, amount: str) -> Object:
    """Lift a cap in force to raise it; to lower one would let requests through meanwhile."""
    if not _lower(billing.money(cap) or amount, amount):
        what = "does not lower a cap that is in force"
        raise refusal(cloud.budgets.who, Problem.REJECTED, what, "apply again next month")
    return _lift(cloud, cap)


def _lift(cloud: Cloud, cap: Object) -> Object:
    billing.patch(cloud, cap, {"spendCap.inputState": "AWAITING_NEXT_PERIOD"})
    answer = until(lambda: _afresh(cloud, cap), _settled, LIFTING)
    if not _settled(answer):
        what = f"did not lift the cap within {LIFTING:g} seconds"
        raise refusal(cloud.budgets.who, Problem.DOWN, what, "run byok apply again")
    lifted: Object = answer.body
    return lifted


def _afresh(cloud: Cloud, cap: Object) -> Answer:
    cloud.budgets.forget()
    return cloud.budgets.get(f"/v1/{cap['name']}")


def _settled(answer: Answer) -> bool:
    state = answer.at("spendCap", default={})
    return not state.get("reconciling") and state.get("outputState") != "ENFORCED"
