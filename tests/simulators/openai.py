"""OpenAI's API: models and completions for a key, the administration for an admin key.

Shapes are those of the official description of August 2026 and of the SDK 3.54; errors those of
the error guide. What the guide leaves open (how an absent document answers) is a switch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

from tests.simulators.server import Request, Response, Simulator

KEY = "sk-proj-" + "Ab1_" * 15 + "T3BlbkFJ" + "c2-D" * 14 + "wxyz"
ADMIN_KEY = "sk-admin-" + "Ef3_" * 14 + "T3BlbkFJ" + "g4-H" * 14
MADE = 1_764_547_200  # 1 December 2025
MODELS = {"gpt-4o": None, "gpt-4o-mini": None, "o1": "2027-07-23", "gpt-4.1": None}

RATES = {
    "max_requests_per_1_minute": 10_000,
    "max_tokens_per_1_minute": 2_000_000,
    "max_requests_per_1_day": 1_000_000,
    "batch_1_day_max_input_tokens": 90_000_000,
}
RATE_FIELDS = {*RATES, "max_images_per_1_minute", "max_audio_megabytes_per_1_minute"}
"""The organisation's limits, which a new project has and none may exceed; and all fields."""

PROJECTS = "/organization/projects"


ALL_GROUPS = ("project_id", "line_item", "api_key_id")


@dataclass(frozen=True)
class Bill:
    """One line of the bill: a day, a project, a key, a line item, dollars, tokens."""

    day: date
    project: str
    item: str
    dollars: float
    key: str | None = None
    tokens: int | None = None


def seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def told(group: tuple[str | None, ...], rows: list[Bill]) -> dict[str, Any]:
    """Return one result; quantities are told for line items only."""
    counts = [row.tokens for row in rows if row.tokens is not None]
    quantity = float(sum(counts)) if counts and group[1] is not None else None
    return {
        "object": "organization.costs.result",
        "amount": {"value": sum(row.dollars for row in rows), "currency": "usd"},
        **dict(zip(ALL_GROUPS, group, strict=True)),
        "quantity": quantity,
        "quantity_unit": None if quantity is None else "tokens",
    }


class Refused(Exception):
    """A request the API does not take; holds the answer."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None
    ):
        super().__init__(message)
        kind = "insufficient_quota" if code == "insufficient_quota" else "invalid_request_error"
        error = {"message": message, "type": kind, "param": param, "code": code}
        self.response = Response(status, {"error": error})


class OpenAI(Simulator):
    """One organisation; its first project is ``Default project``, as everywhere.

    ``page`` is the most that a page holds, whatever was asked for. ``absent`` says how a document
    that is not there answers: ``404``, or ``empty``. ``closed`` holds patterns of paths that the
    admin key may not use. ``spent`` is the code with which completions are refused. ``scoped``
    takes the ordinary key the right to list models, ``unscoped_status`` says how that answers.
    A key that is made from now on is refused for its first ``late`` requests. With ``older`` a
    service account's key cannot be deleted by itself, as in the description of August 2026.
    """

    prefix = "openai"

    def __init__(
        self,
        key: str = KEY,
        admin_key: str = ADMIN_KEY,
        *,
        organization: str = "org-acme",
        slug: str = "acme",
    ) -> None:
        super().__init__()
        self.key, self.admin_key = key, admin_key
        self.organization, self.slug = organization, slug
        self.models: dict[str, str | None] = dict(MODELS)
        self.page, self.absent = 100, "404"
        self.closed: list[str] = []
        self.spent: str | None = None
        self.scoped = False
        self.unscoped_status = 401
        self.headers: dict[str, str] = {}
        self.late, self.older = 0, False
        self.waiting: dict[str, int] = {}
        self.values: dict[str, str] = {}
        self.revoked: set[str] = set()
        self.numbers = count(1)
        self.projects: dict[str, dict[str, Any]] = {}
        self.permissions: dict[str, dict[str, Any]] = {}
        self.limits: dict[str, dict[str, Any]] = {}
        self.alerts: dict[str, dict[str, Any]] = {"": {}}
        self.rates: dict[str, dict[str, dict[str, Any]]] = {}
        self.api_keys: dict[str, list[dict[str, Any]]] = {}
        self.accounts: dict[str, list[dict[str, Any]]] = {}
        self.costs: dict[str, float] = {}
        self.bill: list[Bill] = []
        self.usage: dict[str, tuple[int, int, int]] = {}
        self.make_project("Default project")

    def snapshot(self) -> str:
        state = (self.projects, self.permissions, self.limits, self.alerts, self.rates)
        return json.dumps([*state, self.api_keys, self.accounts], sort_keys=True)

    def writes(self) -> list[Request]:
        return [r for r in super().writes() if r.path != "/chat/completions"]

    # What a test or the demo sets up, and looks up, by name.

    def make_project(self, name: str) -> str:
        id_ = f"proj_{next(self.numbers):04d}"
        self.projects[id_] = {
            "id": id_,
            "object": "organization.project",
            "name": name,
            "created_at": MADE,
            "archived_at": None,
            "status": "active",
        }
        self.alerts[id_], self.api_keys[id_], self.accounts[id_] = {}, [], []
        self.rates[id_] = {
            f"rl-{model}": {
                "object": "project.rate_limit",
                "id": f"rl-{model}",
                "model": model,
                **RATES,
            }
            for model in self.models
        }
        return id_

    def project(self, name: str) -> str:
        live = [p["id"] for p in self.projects.values() if p["status"] == "active"]
        return next(id_ for id_ in live if self.projects[id_]["name"] == name)

    def make_key(self, project: str, name: str, value: str, **more: Any) -> None:
        owner = {
            "id": f"user_{next(self.numbers)}",
            "email": f"{name}@acme.example",
            "name": name,
            "created_at": MADE,
            "role": "member",
        }
        id_ = f"key_{next(self.numbers):04d}"
        self.values[id_] = value
        self.api_keys[project].append(
            {
                "object": "organization.project.api_key",
                "id": id_,
                "name": name,
                "redacted_value": f"{value[:8]}...{value[-4:]}",
                "created_at": MADE,
                "last_used_at": None,
                "owner_project_access": "active",
                "owner": {"type": "user", "user": owner},
                **more,
            }
        )

    def make_service_account(self, project: str, name: str) -> dict[str, Any]:
        account = {
            "object": "organization.project.service_account",
            "id": f"svc_acct_{next(self.numbers)}",
            "name": name,
            "role": "member",
            "created_at": MADE,
        }
        self.accounts[project].append(account)
        return account

    def make_account_key(self, project: str, account: dict[str, Any], value: str) -> dict[str, Any]:
        """Make a key of a service account, called as OpenAI calls the first one; return its row."""
        owner = {name: account[name] for name in ("id", "name", "created_at", "role")}
        whose = {"type": "service_account", "service_account": owner}
        self.make_key(project, "Secret Key", value, owner=whose)
        return self.api_keys[project][-1]

    def value(self) -> str:
        """Return a new key's value, shaped like a service account's."""
        many = hashlib.sha256(f"openai {next(self.numbers)}".encode()).hexdigest() * 2
        return "sk-svcacct-" + many[:74] + "T3BlbkFJ" + many[-74:]

    def alive(self, value: str) -> bool:
        """Tell whether a value is an ordinary key's, deleted by nobody."""
        return value in {self.key, *self.values.values()} - self.revoked

    def limit(self, owner: str, cents: int, status: str = "inactive") -> None:
        """Set a hard limit of a project, or of the organisation (an empty id)."""
        self.limits[owner] = {
            "object": "project.spend_limit" if owner else "organization.spend_limit",
            "threshold_amount": cents,
            "currency": "USD",
            "interval": "month",
            "enforcement": {"status": status},
        }

    def alert(self, owner: str, cents: int, to: list[str], mark: str | None = None) -> str:
        """Make an alert of a project, or of the organisation (an empty id)."""
        id_ = f"alert_{next(self.numbers):04d}"
        self.alerts[owner][id_] = {
            "id": id_,
            "object": "project.spend_alert" if owner else "organization.spend_alert",
            "threshold_amount": cents,
            "currency": "USD",
            "interval": "month",
            "notification_channel": {"type": "email", "recipients": to, "subject_prefix": mark},
        }
        return id_

    # What comes in over the wire.

    def answer(self, request: Request) -> Response:
        try:
            done = self.routed(request)
        except Refused as refused:
            done = refused.response
        told = {
            "openai-organization": self.slug,
            "openai-processing-ms": "12",
            "openai-version": "2020-10-01",
            "x-request-id": f"req_{next(self.numbers):08d}",
        }
        return Response(done.status, done.body, {**told, **self.headers, **done.headers})

    def routed(self, request: Request) -> Response:
        for method, pattern, take in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                self.admit(request)
                return Response(200, take(self, request, *match.groups()))
        self.who(request)
        text = f"Invalid URL ({request.method} /v1{request.path})"
        raise Refused(404, text, "unknown_url")

    def who(self, request: Request) -> bool:
        """Tell whether it is the admin key; refuse all but the two keys."""
        given = request.headers.get("authorization", "")
        if not given.startswith("Bearer "):
            raise Refused(401, "Missing bearer or basic authentication in header")
        key = given.removeprefix("Bearer ")
        if key != self.admin_key and (not self.alive(key) or self.too_early(key)):
            shown = f"{key[:8]}{'*' * 8}{key[-4:]}"
            raise Refused(401, f"Incorrect API key provided: {shown}.", "invalid_api_key")
        asked = request.headers.get("openai-organization")
        if asked not in (None, self.organization):
            text = "OpenAI-Organization header should match organization for API key"
            raise Refused(401, text, "mismatched_organization")
        return key == self.admin_key

    def too_early(self, key: str) -> bool:
        left = self.waiting.get(key, 0)
        self.waiting[key] = max(left - 1, 0)
        return left > 0

    def admit(self, request: Request) -> None:
        admin = self.who(request)
        administers = request.path.startswith("/organization")
        barred = any(re.search(pattern, request.path) for pattern in self.closed)
        if admin != administers:
            self.unscoped(403, "api.management.read" if administers else "api.model.read")
        if administers and barred:
            self.unscoped(403, "api.management.read")
        if request.path == "/models" and self.scoped:
            self.unscoped(self.unscoped_status, "api.model.read")

    def unscoped(self, status: int, scope: str) -> None:
        text = f"You have insufficient permissions for this operation. Missing scopes: {scope}."
        raise Refused(status, text)

    # The ordinary key.

    def list_models(self, _request: Request) -> Any:
        data = [
            {
                "id": id_,
                "object": "model",
                "created": MADE,
                "owned_by": "system",
                "shutdown_date": end,
            }
            for id_, end in self.models.items()
        ]
        return {"object": "list", "data": data}

    def complete(self, request: Request) -> Any:
        body = taken(request, COMPLETION)
        if self.spent:
            raise Refused(429, "You exceeded your current quota or limit.", self.spent)
        if body["model"] not in self.models:
            text = f"The model `{body['model']}` does not exist or you do not have access to it."
            raise Refused(404, text, "model_not_found", "model")
        message = {"role": "assistant", "content": "ok", "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": MADE,
            "model": body["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
        }

    # The administration.

    def listed(self, request: Request, items: list[dict[str, Any]], most: int = 100) -> Any:
        """Return one page, by ``limit`` and ``after``."""
        wish = request.one("limit", "20") or ""
        if not wish.isdecimal() or not 1 <= int(wish) <= most:
            raise Refused(400, f"Invalid 'limit': {wish}", "integer_above_max_value", "limit")
        after, size = request.one("after"), min(int(wish), self.page)
        start = 0
        if after is not None:
            ids = [item["id"] for item in items]
            if after not in ids:
                raise Refused(400, f"No such cursor: {after}", None, "after")
            start = ids.index(after) + 1
        data = items[start : start + size]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
        return {
            "object": "list",
            "data": data,
            "first_id": None,
            "last_id": None,
            **ends,
            "has_more": start + size < len(items),
        }

    def live(self, id_: str) -> dict[str, Any]:
        """Return a project that may be changed."""
        if id_ not in self.projects:
            raise Refused(404, f"Project with ID {id_} not found.")
        return self.projects[id_]

    def changeable(self, id_: str) -> dict[str, Any]:
        project = self.live(id_)
        if project["status"] == "archived":
            raise Refused(400, f"Project {id_} is archived.", "project_archived")
        return project

    def list_projects(self, request: Request) -> Any:
        every = request.one("include_archived", "false") == "true"
        found = [p for p in self.projects.values() if every or p["status"] == "active"]
        return self.listed(request, found)

    def create_project(self, request: Request) -> Any:
        body = taken(request, {"name": (str, True), "residency": (str, False)})
        return self.projects[self.make_project(body["name"])]

    def read_project(self, _request: Request, id_: str) -> Any:
        return self.live(id_)

    def archive(self, request: Request, id_: str) -> Any:
        taken(request, {})
        project = self.live(id_)
        if project["name"] == "Default project":
            raise Refused(400, "The default project cannot be archived.")
        project |= {"status": "archived", "archived_at": MADE}
        return project

    def missing(self, text: str) -> Any:
        if self.absent == "empty":
            return None
        raise Refused(404, text)

    def read_permissions(self, _request: Request, id_: str) -> Any:
        self.live(id_)
        return self.permissions.get(id_) or self.missing("Model permissions not found.")

    def set_permissions(self, request: Request, id_: str) -> Any:
        self.changeable(id_)
        body = taken(request, {"mode": (str, True), "model_ids": (list, True)})
        if body["mode"] not in ("allow_list", "deny_list"):
            raise Refused(400, "Invalid value for 'mode'.", "invalid_value", "mode")
        texts(body["model_ids"], "model_ids")
        self.permissions[id_] = {"object": "project.model_permissions", **body}
        return self.permissions[id_]

    def drop_permissions(self, _request: Request, id_: str) -> Any:
        self.changeable(id_)
        if self.permissions.pop(id_, None) is None:
            raise Refused(404, "Model permissions not found.")
        return {"object": "project.model_permissions.deleted", "deleted": True}

    def list_rates(self, request: Request, id_: str) -> Any:
        self.live(id_)
        return self.listed(request, list(self.rates[id_].values()))

    def set_rate(self, request: Request, id_: str, row: str) -> Any:
        self.changeable(id_)
        body = taken(request, dict.fromkeys(RATE_FIELDS, (int, False)))
        if row not in self.rates[id_]:
            raise Refused(404, f"Rate limit {row} not found.")
        there = self.rates[id_][row]
        for name, value in body.items():
            if name not in there:
                raise Refused(400, f"'{name}' does not apply to this model.", None, name)
            if not 0 <= value <= RATES[name]:
                raise Refused(400, f"'{name}' is above the organization's.", None, name)
        there |= body
        return there

    def read_limit(self, _request: Request, id_: str = "") -> Any:
        if id_:
            self.live(id_)
        return self.limits.get(id_) or self.missing("Spend limit not found.")

    def set_limit(self, request: Request, id_: str = "") -> Any:
        if id_:
            self.changeable(id_)
        body = taken(request, TERMS)
        self.terms(body, 1)
        self.limit(id_, body["threshold_amount"])
        return self.limits[id_]

    def drop_limit(self, _request: Request, id_: str = "") -> Any:
        if self.limits.pop(id_, None) is None:
            raise Refused(404, "Spend limit not found.")
        owner = "project" if id_ else "organization"
        return {"object": f"{owner}.spend_limit.deleted", "deleted": True}

    def terms(self, body: dict[str, Any], least: int) -> None:
        if body["threshold_amount"] < least:
            text = f"Invalid 'threshold_amount': expected at least {least}."
            raise Refused(400, text, "integer_below_min_value", "threshold_amount")
        for name, only in (("currency", "USD"), ("interval", "month")):
            if body[name] != only:
                raise Refused(400, f"Invalid value for '{name}'.", "invalid_value", name)

    def list_alerts(self, request: Request, id_: str = "") -> Any:
        if id_:
            self.live(id_)
        return self.listed(request, list(self.alerts[id_].values()))

    def alert_body(self, request: Request) -> dict[str, Any]:
        body = taken(request, {**TERMS, "notification_channel": (dict, True)})
        self.terms(body, 0)
        channel = fields(
            body["notification_channel"],
            {"type": (str, True), "recipients": (list, True), "subject_prefix": (str, False)},
        )
        texts(channel["recipients"], "notification_channel.recipients")
        if channel["type"] != "email" or not channel["recipients"]:
            raise Refused(400, "Invalid 'notification_channel'.", None, "notification_channel")
        return body

    def create_alert(self, request: Request, id_: str = "") -> Any:
        if id_:
            self.changeable(id_)
        body = self.alert_body(request)
        channel = body["notification_channel"]
        new = self.alert(
            id_, body["threshold_amount"], channel["recipients"], channel.get("subject_prefix")
        )
        return self.alerts[id_][new]

    def of_alerts(self, id_: str, alert: str) -> dict[str, Any]:
        if alert not in self.alerts.get(id_, {}):
            raise Refused(404, f"Spend alert {alert} not found.")
        return self.alerts[id_]

    def set_alert(self, request: Request, id_: str, alert: str) -> Any:
        there = self.of_alerts(id_, alert)
        there[alert] |= self.alert_body(request)
        return there[alert]

    def drop_alert(self, _request: Request, id_: str, alert: str) -> Any:
        owner = "project" if id_ else "organization"
        del self.of_alerts(id_, alert)[alert]
        return {"object": f"{owner}.spend_alert.deleted", "id": alert, "deleted": True}

    def list_keys(self, request: Request, id_: str) -> Any:
        """Leave out, unless ``any`` was asked for, the keys of owners without access."""
        self.live(id_)
        access = request.one("owner_project_access", "active")
        if access not in ("active", "inactive", "any"):
            raise Refused(400, "Invalid 'owner_project_access'.", "invalid_value")
        found = [k for k in self.api_keys[id_] if access in ("any", k["owner_project_access"])]
        return self.listed(request, found)

    def list_accounts(self, request: Request, id_: str) -> Any:
        self.live(id_)
        return self.listed(request, self.accounts[id_])

    def create_account(self, request: Request, id_: str) -> Any:
        """Make a service account with one key, whose value is shown this once."""
        self.changeable(id_)
        body = taken(request, {"name": (str, True)})
        account, value = self.make_service_account(id_, body["name"]), self.value()
        row = self.make_account_key(id_, account, value)
        self.waiting[value] = self.late
        shown = {name: row[name] for name in ("id", "name", "created_at")}
        kind = "organization.project.service_account.api_key"
        return {**account, "api_key": {"object": kind, "value": value, **shown}}

    def account(self, id_: str, account: str) -> dict[str, Any]:
        self.live(id_)
        found = next((each for each in self.accounts[id_] if each["id"] == account), None)
        if found is None:
            raise Refused(404, f"No service account found with ID {account}.")
        return found

    def drop_account(self, _request: Request, id_: str, account: str) -> Any:
        """Delete a service account; its keys go with it."""
        self.changeable(id_)
        self.accounts[id_].remove(self.account(id_, account))
        for row in list(self.api_keys[id_]):
            if row["owner"].get("service_account", {}).get("id") == account:
                self.forget_key(id_, row)
        return deleted("service_account", account)

    def forget_key(self, project: str, row: dict[str, Any]) -> None:
        self.api_keys[project].remove(row)
        self.revoked.add(self.values.pop(row["id"]))

    def project_key(self, id_: str, key: str) -> dict[str, Any]:
        self.live(id_)
        found = next((each for each in self.api_keys[id_] if each["id"] == key), None)
        if found is None:
            raise Refused(404, f"No API key found with ID {key}.")
        return found

    def drop_key(self, _request: Request, id_: str, key: str) -> Any:
        self.changeable(id_)
        row = self.project_key(id_, key)
        if self.older and row["owner"]["type"] == "service_account":
            raise Refused(400, "This API key belongs to a service account.")
        self.forget_key(id_, row)
        return deleted("api_key", key)

    def list_costs(self, request: Request) -> Any:
        """One bucket for each day of the bill; without one, for each project's costs."""
        start = request.one("start_time", "") or ""
        if not start.isdecimal():
            raise Refused(400, "Missing required parameter: 'start_time'.", None, "start_time")
        if not 1 <= int(request.one("limit", "7") or 7) <= 180:
            raise Refused(400, "Invalid 'limit'.", "integer_above_max_value", "limit")
        wanted = request.query.get("project_ids[]") or list(self.projects)
        groups = request.query.get("group_by[]", [])
        if set(groups) - {"project_id", "line_item", "api_key_id"}:
            raise Refused(400, "Invalid value for 'group_by'.", "invalid_value", "group_by")
        if self.bill:
            return self.list_bill(request, wanted, groups)
        buckets = [self.bucket(int(start), id_, "project_id" in groups) for id_ in wanted]
        page = int((request.one("page", "page_0") or "")[5:])
        more = page + 1 < len(buckets)
        return {
            "object": "page",
            "data": buckets[page : page + 1],
            "has_more": more,
            "next_page": f"page_{page + 1}" if more else None,
        }

    def list_bill(self, request: Request, wanted: list[str], groups: list[str]) -> Any:
        """One bucket for each day, also for one without costs; days are cut at ``page``."""
        start, end = int(request.one("start_time") or 0), int(request.one("end_time") or 2**40)
        days: dict[int, dict[tuple[str | None, ...], list[Bill]]] = {}
        last = min(end, max(seconds(row.day) for row in self.bill) + 1)
        for day in range(start, last, 86400):
            days[day] = {}
        for row in self.bill:
            if row.project in wanted and seconds(row.day) in days:
                parts = {"project_id": row.project, "line_item": row.item, "api_key_id": row.key}
                group = tuple(parts[name] if name in groups else None for name in ALL_GROUPS)
                days[seconds(row.day)].setdefault(group, []).append(row)
        size = min(int(request.one("limit", "7") or 7), self.page)
        page = int((request.one("page", "page_0") or "")[5:])
        shown = list(days)[page * size : (page + 1) * size]
        more = (page + 1) * size < len(days)
        return {
            "object": "page",
            "data": [
                {
                    "object": "bucket",
                    "start_time": day,
                    "end_time": day + 86400,
                    "results": [told(group, rows) for group, rows in days[day].items()],
                }
                for day in shown
            ],
            "has_more": more,
            "next_page": f"page_{page + 1}" if more else None,
        }

    def list_usage(self, request: Request) -> Any:
        """Tell requests, tokens in and tokens out of each project, in one bucket."""
        start = request.one("start_time", "") or ""
        if not start.isdecimal():
            raise Refused(400, "Missing required parameter: 'start_time'.", None, "start_time")
        wanted = request.query.get("project_ids[]") or list(self.projects)
        grouped = "project_id" in request.query.get("group_by[]", [])
        names = ("num_model_requests", "input_tokens", "output_tokens")
        results = [
            {
                "object": "organization.usage.completions.result",
                "project_id": id_ if grouped else None,
                **dict(zip(names, self.usage.get(id_, (0, 0, 0)), strict=True)),
            }
            for id_ in wanted
        ]
        first = int(start)
        bucket = {"object": "bucket", "start_time": first, "end_time": first + 86400}
        data = [{**bucket, "results": results}]
        return {"object": "page", "data": data, "has_more": False, "next_page": None}

    def bucket(self, start: int, id_: str, grouped: bool) -> dict[str, Any]:
        amount = {"value": self.costs.get(id_, 0.0), "currency": "usd"}
        result = {
            "object": "organization.costs.result",
            "amount": amount,
            "line_item": None,
            "project_id": id_ if grouped else None,
        }
        return {
            "object": "bucket",
            "start_time": start,
            "end_time": start + 86400,
            "results": [result],
        }


Fields = dict[str, tuple[type, bool]]
COMPLETION: Fields = {
    "model": (str, True),
    "messages": (list, True),
    "max_completion_tokens": (int, False),
}
TERMS: Fields = {
    "threshold_amount": (int, True),
    "currency": (str, True),
    "interval": (str, True),
}


def taken(request: Request, allowed: Fields) -> dict[str, Any]:
    """Return a request's body, or refuse it: no JSON, unknown, missing or wrong fields."""
    try:
        body = request.json if request.body else {}
    except ValueError:
        raise Refused(400, "We could not parse the JSON body of your request.") from None
    return fields(body, allowed)


def fields(body: Any, allowed: Fields) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refused(400, "Invalid type: expected an object.", "invalid_type")
    for name, value in body.items():
        if name not in allowed:
            raise Refused(400, f"Unknown parameter: '{name}'.", "unknown_parameter", name)
        kind, needed = allowed[name]
        wrong = not isinstance(value, kind) or isinstance(value, bool)
        if wrong and (needed or value is not None):
            raise Refused(400, f"Invalid type for '{name}'.", "invalid_type", name)
    for name, (_, needed) in allowed.items():
        if needed and name not in body:
            text = f"Missing required parameter: '{name}'."
            raise Refused(400, text, "missing_required_parameter", name)
    return body


def deleted(what: str, id_: str) -> dict[str, Any]:
    return {"object": f"organization.project.{what}.deleted", "id": id_, "deleted": True}


def texts(found: list[Any], name: str) -> None:
    if not all(isinstance(each, str) for each in found):
        raise Refused(400, f"Invalid type for '{name}'.", "invalid_type", name)


ID = r"([\w.-]+)"
ONE = f"{PROJECTS}/{ID}"
NO_ID = "()"
Take = Callable[..., Any]
ROUTES: tuple[tuple[str, str, Take], ...] = (
    ("GET", "/models", OpenAI.list_models),
    ("POST", "/chat/completions", OpenAI.complete),
    ("GET", PROJECTS, OpenAI.list_projects),
    ("POST", PROJECTS, OpenAI.create_project),
    ("GET", ONE, OpenAI.read_project),
    ("POST", f"{ONE}/archive", OpenAI.archive),
    ("GET", f"{ONE}/model_permissions", OpenAI.read_permissions),
    ("POST", f"{ONE}/model_permissions", OpenAI.set_permissions),
    ("DELETE", f"{ONE}/model_permissions", OpenAI.drop_permissions),
    ("GET", f"{ONE}/rate_limits", OpenAI.list_rates),
    ("POST", f"{ONE}/rate_limits/{ID}", OpenAI.set_rate),
    ("GET", f"{ONE}/spend_limit", OpenAI.read_limit),
    ("POST", f"{ONE}/spend_limit", OpenAI.set_limit),
    ("DELETE", f"{ONE}/spend_limit", OpenAI.drop_limit),
    ("GET", f"/organization/spend_limit{NO_ID}", OpenAI.read_limit),
    ("POST", f"/organization/spend_limit{NO_ID}", OpenAI.set_limit),
    ("DELETE", f"/organization/spend_limit{NO_ID}", OpenAI.drop_limit),
    ("GET", f"{ONE}/spend_alerts", OpenAI.list_alerts),
    ("POST", f"{ONE}/spend_alerts", OpenAI.create_alert),
    ("POST", f"{ONE}/spend_alerts/{ID}", OpenAI.set_alert),
    ("DELETE", f"{ONE}/spend_alerts/{ID}", OpenAI.drop_alert),
    ("GET", f"/organization/spend_alerts{NO_ID}", OpenAI.list_alerts),
    ("POST", f"/organization/spend_alerts{NO_ID}", OpenAI.create_alert),
    ("POST", f"/organization/spend_alerts{NO_ID}/{ID}", OpenAI.set_alert),
    ("DELETE", f"/organization/spend_alerts{NO_ID}/{ID}", OpenAI.drop_alert),
    ("GET", f"{ONE}/api_keys", OpenAI.list_keys),
    ("GET", f"{ONE}/api_keys/{ID}", lambda self, _, *ids: self.project_key(*ids)),
    ("DELETE", f"{ONE}/api_keys/{ID}", OpenAI.drop_key),
    ("GET", f"{ONE}/service_accounts", OpenAI.list_accounts),
    ("POST", f"{ONE}/service_accounts", OpenAI.create_account),
    ("GET", f"{ONE}/service_accounts/{ID}", lambda self, _, *ids: self.account(*ids)),
    ("DELETE", f"{ONE}/service_accounts/{ID}", OpenAI.drop_account),
    ("GET", "/organization/costs", OpenAI.list_costs),
    ("GET", "/organization/usage/completions", OpenAI.list_usage),
)
