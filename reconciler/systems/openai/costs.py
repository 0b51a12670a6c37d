"""What an OpenAI organisation cost this month: by day, project, key and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.systems.account import Answer, Line, Setting, Spend, Untold, refusal
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.account.pages import after_page, items, pages
from reconciler.systems.account.spend import first_of_month, span
from reconciler.systems.openai.admin import Admin, part, path_of, watched
from reconciler.systems.openai.wire import admin_key, connect_admin

COSTS: Final = "/organization/costs"
GROUPS: Final = ("project_id", "line_item", "api_key_id")
DAYS: Final = 31
"""Days asked for at once; a page of costs holds at most 180, one of usage 31."""

UNITS: Final = {"tokens": 1, "1000_tokens": 1000}
NO_ADMIN: Final = "only an admin key is told costs"
WAY_OUT: Final = "name one in providers.openai.admin_key"


def spent(setting: Setting, day: date | None = None) -> Spend | Untold:
    """Tell what the organisation cost in the month of a day, which is today unless said.

    Uses the admin key. Raises SecretError, Unapproved, ProviderError. Source: the API description
    of August 2026, ``GET /organization/costs``.
    """
    key = admin_key(setting)
    if key is None:
        return Untold(NO_ADMIN, WAY_OUT)
    admin = Admin(setting, connect_admin(setting, key))
    buckets = list(report(admin, COSTS, GROUPS, day=day))
    projects, keys = _projects(admin), _keys(admin)
    return Spend(
        tuple(lines(admin, buckets, projects, keys)),
        first_of_month(day),
        "OpenAI's costs report",
        "hours late",
        "the whole organisation",
    )


def report(
    admin: Admin, path: str, groups: Sequence[str], *, project: str = "", day: date | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield the days of a report since the first of the month, of one project where one is named.

    Raises ProviderError.
    """
    first, end = (int(datetime.combine(d, time(), UTC).timestamp()) for d in span(day))
    asked: dict[str, Any] = {"start_time": first, "limit": DAYS, "group_by[]": list(groups)}
    asked |= {"end_time": end} if day is not None else {}
    asked |= {"project_ids[]": project} if project else {}
    return items(pages(admin.client, path, _next_page, asked), "data")


def _next_page(answer: Answer) -> Mapping[str, Any] | None:
    return after_page(answer) if answer.at("has_more") is True else None


def results(bucket: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield one kind of a bucket's results, which may be of several."""
    for result in bucket.get("results") or ():
        if result.get("object") == f"organization.{kind}.result":
            yield result


def lines(
    admin: Admin,
    buckets: Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]],
    projects: Mapping[str, str],
    keys: Mapping[str, str],
) -> Iterator[Line]:
    """Yield the lines of a costs report; what has no name there is told by its id."""
    for bucket in buckets:
        day = datetime.fromtimestamp(int(bucket.get("start_time") or 0), UTC).date()
        for row in results(bucket, "costs"):
            told_in, told_out = _tokens(row)
            yield Line(
                amount=_amount(admin, part(row, "amount")),
                day=day,
                scope=_named(row.get("project_id"), projects),
                key=_named(row.get("api_key_id"), keys),
                model=str(row.get("line_item") or "").partition(", ")[0],
                tokens_in=told_in,
                tokens_out=told_out,
            )


def _amount(admin: Admin, amount: Mapping[str, Any]) -> Money:
    try:
        return Money.of(amount.get("value", 0), str(amount.get("currency") or "usd"))
    except ValueError:
        raise refusal(admin.client.who, Problem.UNREADABLE) from None


def _tokens(row: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return tokens in and out, where a line item (``MODEL, input``) counts tokens."""
    size, count = UNITS.get(str(row.get("quantity_unit")), 0), row.get("quantity")
    kind = str(row.get("line_item") or "").lower().rpartition(", ")[2]
    if not size or not isinstance(count, int | float):
        return None, None
    tokens = round(count * size)
    return (tokens if "input" in kind else None, tokens if "output" in kind else None)


def _named(id_: object, names: Mapping[str, str]) -> str:
    return names.get(str(id_), str(id_)) if id_ else ""


def _projects(admin: Admin) -> dict[str, str]:
    """Return all projects' names by id, archived ones too: they may have cost something."""
    found = admin.entries("/organization/projects", include_archived="true")
    return {str(each.get("id")): str(each.get("name")) for each in found}


def _keys(admin: Admin) -> dict[str, str]:
    """Return the names of the declared project's keys by id; of other projects ids must do."""
    if admin.project not in watched(admin):
        return {}
    try:
        path = path_of(admin, str(admin.project), "/api_keys")
        found = list(admin.entries(path, owner_project_access="any"))
    except ProviderError as error:
        if error.kind not in CLOSED:
            raise
        return {}
    return {str(each["id"]): str(each["name"]) for each in found if each.get("name")}
