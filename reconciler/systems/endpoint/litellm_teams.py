"""LiteLLM's teams: what they may use and spend, and who is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.codec import same
from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs, Value
from reconciler.money import Money
from reconciler.systems.account import Client, Named, refusal
from reconciler.systems.account.budgets import NOTIFY, recipients
from reconciler.systems.endpoint.limits import MODEL, dollars, models_in, money
from reconciler.systems.endpoint.quirks import rows

Row = Mapping[str, Any]
EMAILS: Final = "soft_budget_alerting_emails"
"""Where a team's metadata says who is told of its soft budget (LiteLLM 1.106.2, auth_checks)."""

OWNER: Final = "managed_by"
PERIODS: Final = {
    "monthly": ("30d", "1mo", "monthly"),
    "weekly": ("7d", "1w", "weekly"),
    "daily": ("24h", "1d", "daily"),
}
"""Our words for ``budget_duration``: 30d and 1mo both end with the calendar month (1.106.2)."""

RATES: Final = {"tokens_per_minute": "tpm_limit", "requests_per_minute": "rpm_limit"}


@dataclass(frozen=True, slots=True)
class Desk:
    """The management API of one proxy, opened."""

    client: Client
    mark: str


def team_rows(desk: Desk, wanted: str) -> dict[str, Row]:
    """Return teams by alias; of several of one alias ours is the one with our mark.

    Raises ProviderError (not supported) where the wanted alias stays ambiguous.
    """
    found: dict[str, list[Row]] = {}
    for row in rows(desk.client.get("team/list")):
        if row.get("team_alias"):
            found.setdefault(str(row["team_alias"]), []).append(row)
    single = {alias: _ours(desk, of_alias) for alias, of_alias in found.items()}
    if wanted in single and single[wanted] is None:
        what = "has several teams of one alias, and nobody can tell which is meant"
        raise refusal(desk.client.who, Problem.UNSUPPORTED, what, "rename all but one")
    return {alias: row for alias, row in single.items() if row is not None}


def _ours(desk: Desk, of_alias: list[Row]) -> Row | None:
    marked = [row for row in of_alias if (row.get("metadata") or {}).get(OWNER) == desk.mark]
    for choice in (of_alias, marked):
        if len(choice) == 1:
            return choice[0]
    return None


def read(desk: Desk, wanted: str) -> Named:
    """Return all teams by alias; raises ProviderError as `team_rows`."""
    return {
        alias: {"present": True, **given_in(row)} for alias, row in team_rows(desk, wanted).items()
    }


def given_in(row: Row) -> dict[str, Value]:
    """Return the rates and the models of a team or a key; an empty list of models allows all."""
    rates = {name: row[field] for name, field in RATES.items() if row.get(field) is not None}
    return {**rates, **{f"{MODEL}{each}": True for each in row.get("models") or ()}}


def write(desk: Desk, wanted: str, name: str, now: Attrs, goal: Attrs) -> None:
    """Carry one team from its attributes to a goal; without ``present`` it goes, with its keys."""
    row = team_rows(desk, wanted).get(name)
    if "present" not in goal:
        if row is not None:
            desk.client.send("POST", "team/delete", {"team_ids": [row["team_id"]]})
        return
    if row is None:
        mark = {"team_alias": name, "metadata": {OWNER: desk.mark}}
        desk.client.send("POST", "team/new", {**mark, **given_body({}, goal)})
        return
    body = {"team_id": row["team_id"], **given_body(now, goal)}
    desk.client.send("POST", "team/update", body, again=True)


def given_body(now: Attrs, goal: Attrs) -> dict[str, Any]:
    """Return the fields that differ; both updates are merge patches, so nulls are spelled out."""
    body: dict[str, Any] = {
        field: goal.get(name)
        for name, field in RATES.items()
        if not same(now.get(name), goal.get(name))
    }
    return body | ({"models": models_in(goal)} if models_in(now) != models_in(goal) else {})


def read_limits(desk: Desk, wanted: str) -> Named:
    """Return what is limited and alerted of each team, by alias."""
    found = {alias: _budget(row) for alias, row in team_rows(desk, wanted).items()}
    return {alias: attrs for alias, attrs in found.items() if attrs}


def _budget(row: Row) -> dict[str, Value]:
    """Return a team's budget; a period alone bounds nothing and is not one."""
    attrs: dict[str, Value] = {
        "limit": money(row.get("max_budget")),
        "alert": money(row.get("soft_budget")),
    }
    found = {name: value for name, value in attrs.items() if value is not None}
    if not found:
        return {}
    reset = period_of(row)
    told = {f"{NOTIFY}{each}": True for each in _emails(row)}
    return {**found, **({"reset": reset} if reset else {}), **told}


def period_of(row: Row) -> str | None:
    """Return the period of a budget in our words, or as it stands where we have none."""
    given = row.get("budget_duration")
    known = (word for word, forms in PERIODS.items() if given in forms)
    return next(known, None if given is None else str(given))


def duration(period: Value) -> str | None:
    """Return ``budget_duration`` for one of our words, or for what stood there before."""
    if not isinstance(period, str):
        return None
    return PERIODS[period][0] if period in PERIODS else period


def _emails(row: Row) -> list[str]:
    """Return who is told: a list, or one text with commas."""
    found = (row.get("metadata") or {}).get(EMAILS) or []
    parts: Iterable[object] = found.split(",") if isinstance(found, str) else found
    return sorted({part.strip() for part in parts if isinstance(part, str) and part.strip()})


def write_limit(desk: Desk, wanted: str, name: str, now: Attrs, goal: Attrs) -> None:
    """Carry a team's budget from its attributes to a goal, all of it in one request."""
    row = team_rows(desk, wanted).get(name)
    if row is None:
        raise refusal(desk.client.who, Problem.NOT_THERE, "has no team of this alias")
    _must_fit(desk, goal)
    body: dict[str, Any] = {
        "team_id": row["team_id"],
        "max_budget": dollars(goal.get("limit")),
        "soft_budget": dollars(goal.get("alert")),
        "budget_duration": duration(goal.get("reset")),
    }
    if recipients(now) != recipients(goal):
        kept = {k: v for k, v in (row.get("metadata") or {}).items() if k != EMAILS}
        body["metadata"] = kept | ({EMAILS: list(recipients(goal))} if recipients(goal) else {})
    desk.client.send("POST", "team/update", body, again=True)


def _must_fit(desk: Desk, goal: Attrs) -> None:
    """Refuse what LiteLLM refuses: an alert that is not below the hard limit."""
    limit, alert = goal.get("limit"), goal.get("alert")
    if not isinstance(limit, str) or not isinstance(alert, str):
        return
    if Money.parse(alert).amount >= Money.parse(limit).amount:
        what = f"takes no alert at {alert} beside a hard limit of {limit}: it must be below"
        raise refusal(desk.client.who, Problem.REJECTED, what, "change one of the two")
