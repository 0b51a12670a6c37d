"""A billing account's budgets on the wire (Budget API v1), and the money it is billed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.systems.account import Answer, refusal
from reconciler.systems.account.budgets import Budget, budgets_of
from reconciler.systems.google.cloud import Cloud, every

Object = Mapping[str, Any]

GEMINI_SERVICE: Final = "AEFD-7695-64FA"
"""The Gemini API in Cloud Billing's catalogue of services (2026)."""

MARK: Final = "byok:"
LONGEST: Final = 60
"""Characters of a budget's display name (Budget API v1, revision 20261011)."""


def mark(team: str, name: str) -> str:
    """Return the display name of a budget that byok makes: owner and natural name."""
    return f"{MARK}{team}/{name}"


def wanted(cloud: Cloud, *, hard: bool) -> tuple[Budget, ...]:
    """Return the manifest's budgets of one sort that Google has a name and a place for."""
    team = cloud.setting.manifest.team
    return tuple(
        budget
        for budget in budgets_of(cloud.setting.manifest, cloud.setting.name)
        if budget.hard == hard
        and len(mark(team, budget.name)) <= LONGEST
        and not (hard and budget.scope == "organization")
    )


def service(cloud: Cloud) -> str:
    """Return the billed service that budgets count."""
    return str(cloud.setting.account().get("billing_service", GEMINI_SERVICE))


def every_budget(cloud: Cloud) -> Iterator[Object]:
    """Yield the billing account's budgets. Raises ProviderError."""
    path = f"/v1/billingAccounts/{cloud.billing_account}/budgets"
    return every(cloud.budgets, path, "budgets", {"pageSize": 100})


def projects(budget: Object) -> list[str]:
    """Return the projects a budget counts, as ``projects/NUMBER``; none stands for all."""
    return list(budget.get("budgetFilter", {}).get("projects", ()))


def services(budget: Object) -> list[str]:
    """Return the ids of the services a budget counts; none stands for all."""
    named = budget.get("budgetFilter", {}).get("services", ())
    return [str(one).removeprefix("services/") for one in named]


def money(budget: Object) -> str | None:
    """Return a budget's amount; None for one that follows the last period's spend."""
    given = budget.get("amount", {}).get("specifiedAmount")
    return str(Money.of_google(given)) if given else None


def currency(cloud: Cloud) -> str:
    """Return the currency of the billing account, or an empty text where it may not be read."""
    try:
        answer = cloud.billing.get(f"/v1/billingAccounts/{cloud.billing_account}")
    except ProviderError as error:
        if error.kind in (Problem.NO_ACCESS, Problem.UNSUPPORTED):
            return ""
        raise
    return str(answer.at("currencyCode", default=""))


def foreign(cloud: Cloud, budgets: Iterable[Budget]) -> tuple[str, tuple[Budget, ...]]:
    """Return the account's currency, and the budgets that are in another."""
    billed = currency(cloud)
    return billed, tuple(b for b in budgets if billed and b.amount.currency != billed)


def must_be_billed_so(cloud: Cloud, budgets: Iterable[Budget]) -> None:
    """Raise ProviderError (not supported) where an amount is in other money than the account."""
    billed, others = foreign(cloud, budgets)
    if others:
        what = f"bills this account in {billed}, and {others[0].name} is in other money"
        raise refusal("Google", Problem.UNSUPPORTED, what, f"say `currency: {billed}`")


def create(cloud: Cloud, body: Object) -> None:
    """Make a budget. Raises ProviderError."""
    path = f"/v1/billingAccounts/{cloud.billing_account}/budgets"
    cloud.budgets.send("POST", path, body)


def patch(cloud: Cloud, there: Object, fields: Mapping[str, Any]) -> Answer:
    """Change fields of a budget, given by their paths in the update mask. Raises ProviderError."""
    body = {**nested(fields), "etag": there.get("etag", "")}
    mask = {"updateMask": ",".join(sorted(fields))}
    return cloud.budgets.send("PATCH", f"/v1/{there['name']}", body, params=mask)


def delete(cloud: Cloud, there: Object | None) -> None:
    """Take a budget away, if it is there; twice equals once. Raises ProviderError."""
    if there is not None:
        cloud.budgets.send("DELETE", f"/v1/{there['name']}", again=True)


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Turn values by path (``budgetFilter.projects``) into one object."""
    body: dict[str, Any] = {}
    for path, value in fields.items():
        outer, _, inner = path.partition(".")
        if inner:
            body.setdefault(outer, {})[inner] = value
        else:
            body[outer] = value
    return body
