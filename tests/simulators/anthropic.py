"""Anthropic's API of November 2026: models, messages, and the Admin API of a Console organisation.

Shapes, limits of values and error codes are those of the SDK anthropic 2.12.0; both
``anthropic-version`` forms are spoken. It refuses what it does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.simulators.server import Request, Response, Simulator

KEY = "sk-ant-" + "api03-" + "r2D" * 31 + "AA"
ADMIN_KEY = "sk-ant-" + "admin01-" + "a7Q" * 31 + "AA"

OLD, NEW = "2023-06-01", "2026-10-21"
SPEND_BETA, COST_BETA = "spend-limit-reads-2026-09-26", "analytics-usage-cost-2026-08-24"
LIMITERS = (
    *("fast_itpmca", "fast_otpm", "input_tokens_per_minute", "input_tokens_per_minute_cache_aware"),
    *("output_tokens_per_minute", "requests_per_minute", "tokens_per_day", "tokens_per_minute"),
    "tool_uses_per_second",
)
PAGED = ("limit", "page")
COST_GROUPS = {"workspace_id", "api_key_id", "model", "actor", "service_tier", "product"}
BY_ID = ("after_id", "before_id", "limit")


@dataclass(frozen=True)
class Bill:
    """One line of the bill: a day, a workspace (None is the default one), a model, cents, a key."""

    day: date
    workspace: str | None
    model: str
    cents: str
    key: str | None = None


class Refused(Exception):
    """An answer that is no success."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        details = {"details": {"error_code": code}} if code else {}
        self.error = {"type": kind, "message": message, **details}


def bad(message: str, code: str | None = None) -> Refused:
    return Refused(400, "invalid_request_error", message, code)


def not_found(what: str) -> Refused:
    return Refused(404, "not_found_error", f"{what} not found")


def at(day: str) -> str:
    return f"{day}T09:30:00.123456Z"


class Anthropic(Simulator):
    """One Console organisation with one ordinary and one admin key.

    ``preview`` of spend limits: ``on``, ``reads`` (may only be listed) or ``off``. With ``slow``
    a rate limit is in force only after `settle`. ``shape`` speaks the form of an older version
    whatever was asked for, as a gateway may. ``page`` is the most one page holds. ``spent`` is
    ``limit``, ``tier`` or ``credit``. ``report``: ``analytics``, ``legacy``, or None. A key that is
    made from now on is refused for its first ``late`` requests.
    """

    prefix = "anthropic"

    def __init__(
        self,
        key: str = KEY,
        admin_key: str = ADMIN_KEY,
        *,
        preview: str = "on",
        slow: bool = False,
        shape: str | None = None,
        page: int = 2,
    ) -> None:
        super().__init__()
        self.admin_key, self.preview, self.slow = admin_key, preview, slow
        self.shape, self.page = shape, page
        self.spent: str | None = None
        self.report: str | None = "analytics"
        self.quota = 20
        self.late = 0
        self.waiting: dict[str, int] = {}
        self.serial = 0
        name = "Acme"
        self.organization = {"id": "7c0e8a52-4b1f", "name": name, "type": "organization"}
        self.workspaces: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.values: dict[str, str] = {}
        self.overrides: dict[str, dict[str, int]] = {}
        self.coming: list[tuple[str, str, int | None]] = []
        self.spend: dict[str, dict[str, Any]] = {}
        self.costs: list[tuple[str | None, str]] = [(None, "1234.56"), (None, "65.44")]
        self.bill: list[Bill] = []
        self.default = self.add_workspace("Default")
        self.groups = [
            group("rl_sonnet", "Claude Sonnet 4.x", ["claude-sonnet-4-5-20250929", *SONNET]),
            group("rl_opus", "Claude Opus 4.x", ["claude-opus-4-5-20251101", "claude-opus-4-5"]),
            group("rl_haiku", "Claude Haiku 4.x", ["claude-haiku-4-5-20251001"]),
            group("rl_batch", None, None),
        ]
        self.models = [
            model("claude-opus-4-5-20251101", "Claude Opus 4.5"),
            model("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5"),
            model("claude-haiku-4-5-20251001", "Claude Haiku 4.5"),
        ]
        self.aliases = {m["id"][:-9]: m["id"] for m in self.models}
        self.add_limit({"type": "usage_tier"}, "100000")
        self.add_key("cursor", key)

    def snapshot(self) -> str:
        state = [self.workspaces, self.keys, self.overrides, self.coming, self.spend]
        return json.dumps(state, sort_keys=True)

    def writes(self) -> list[Request]:
        return [request for request in super().writes() if request.path != "/v1/messages"]

    # What people do in the Console.

    def id(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}_01{self.serial:020d}"

    def add_workspace(self, name: str, **tags: str) -> str:
        id_ = self.id("wrkspc")
        self.workspaces[id_] = {
            "id": id_,
            "type": "workspace",
            "name": name,
            "archived_at": None,
            "compartment_id": self.id("cmpt"),
            "created_at": at("2026-01-05"),
            "data_residency": {
                "allowed_inference_geos": "unrestricted",
                "default_inference_geo": "global",
                "workspace_geo": "us",
            },
            "display_color": "#6C5BB9",
            "external_key_id": None,
            "tags": dict(tags),
            "user_profile_id": None,
        }
        return id_

    def add_key(self, name: str, value: str, workspace: str | None = None, **more: Any) -> str:
        id_ = self.id("apikey")
        self.values[id_] = value
        self.waiting[value] = self.late
        self.keys[id_] = {
            "id": id_,
            "type": "api_key",
            "name": name,
            "status": "active",
            "created_at": at("2026-11-01"),
            "created_by": {"id": "user_01Ada", "type": "user"},
            "expires_at": None,
            "partial_key_hint": f"{value[:16]}...{value[-4:]}",
            "principal": None,
            "scope": {"type": "workspace", "workspace_id": workspace or self.default},
            **more,
        }
        return id_

    def add_limit(self, scope: Mapping[str, str], amount: str, currency: str = "USD") -> str:
        id_ = self.id("spl")
        self.spend[id_] = {
            "id": id_,
            "type": "spend_limit",
            "amount": amount,
            "currency": currency,
            "period": "monthly",
            "scope": dict(scope),
            "is_enabled": True,
            "created_at": at("2026-02-01"),
            "updated_at": at("2026-02-01"),
        }
        return id_

    def override(self, workspace: str, entry: str, **values: int) -> None:
        self.overrides.setdefault(f"{workspace}/{entry}", {}).update(values)

    def settle(self) -> None:
        """Let the hour pass: what was accepted is in force."""
        for place, limiter, value in self.coming:
            self._in_force(place, limiter, value)
        self.coming.clear()

    def _in_force(self, place: str, limiter: str, value: int | None) -> None:
        mine = self.overrides.setdefault(place, {})
        if value is None:
            mine.pop(limiter, None)
        else:
            mine[limiter] = value

    def named(self, name: str) -> str:
        """Return the id of the workspace of a name that is not archived."""
        return next(
            i for i, w in self.workspaces.items() if w["name"] == name and not w["archived_at"]
        )

    # What the API answers.

    def answer(self, request: Request) -> Response:
        headers = {
            "request-id": f"req_{len(self.log)}",
            "anthropic-organization-id": self.organization["id"],
        }
        try:
            self._known_version(request)
            body, more = self._route(request)
        except Refused as no:
            error = {"type": "error", "error": no.error, "request_id": headers["request-id"]}
            return Response(no.status, error, {**headers, **no.headers})
        return Response(200, body, {**headers, **more})

    def _known_version(self, request: Request) -> None:
        version = request.headers.get("anthropic-version")
        if version not in (OLD, NEW):
            raise bad("anthropic-version: header is required, and must be a known version")
        self.old = OLD in (self.shape, version)

    def _route(self, request: Request) -> tuple[Any, Mapping[str, str]]:
        if not request.path.startswith("/v1/organizations"):
            self._ordinary(request)
            return self._inference(request), RATE_HEADERS
        if given(request) != self.admin_key:
            raise Refused(401, "authentication_error", "invalid x-api-key")
        path = request.path.removeprefix("/v1/organizations")
        for method, pattern, serve in ADMIN:
            found = re.fullmatch(pattern, path)
            if found and request.method == method:
                return serve(self, request, *found.groups()), {}
        raise not_found("path")

    def _ordinary(self, request: Request) -> None:
        value = given(request) or ""
        early, self.waiting[value] = self.waiting.get(value, 0), self.waiting.get(value, 1) - 1
        if early > 0 or not self.alive(value):
            raise Refused(401, "authentication_error", "invalid x-api-key")

    def alive(self, value: str) -> bool:
        """Tell whether a value is an active key's."""
        return value in [
            self.values[i] for i, key in self.keys.items() if key["status"] == "active"
        ]

    def _inference(self, request: Request) -> Any:
        found = re.fullmatch(r"/v1/models/([^/]+)", request.path)
        if request.method == "GET" and request.path == "/v1/models":
            return self._by_id(request, self.models)
        if request.method == "GET" and found:
            return self._model(found[1])
        if (request.method, request.path) == ("POST", "/v1/messages"):
            return self._message(request)
        raise not_found("path")

    def _model(self, name: str) -> dict[str, Any]:
        id_ = self.aliases.get(name, name)
        found = next((m for m in self.models if m["id"] == id_), None)
        if found is None:
            raise not_found(f"model: {name}")
        return found

    def _message(self, request: Request) -> dict[str, Any]:
        body = fields(request, {"model": str, "max_tokens": int, "messages": list})
        if {"model", "max_tokens", "messages"} - body.keys() or body["max_tokens"] < 1:
            raise bad("model, max_tokens and messages: Field required")
        if self.spent:
            refused = SPENT[self.spent]
            raise refused()
        found = self._model(body["model"])
        if found.get("lifecycle") == "retired":
            raise not_found(f"model: {body['model']}")
        return {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": found["id"],
            "content": [{"type": "text", "text": "ok", "citations": None}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 4},
        }

    def _by_id(
        self, request: Request, found: Sequence[dict[str, Any]], also: Sequence[str] = ()
    ) -> dict[str, Any]:
        known(request, (*BY_ID, *also))
        size = min(number(request, "limit", 20, 1000), self.page)
        after = request.one("after_id")
        ids = [item["id"] for item in found]
        if after is not None and after not in ids:
            raise bad("after_id: no such object")
        begin = 0 if after is None else ids.index(after) + 1
        part = found[begin : begin + size]
        return {
            "data": part,
            "has_more": begin + size < len(found),
            "first_id": part[0]["id"] if part else None,
            "last_id": part[-1]["id"] if part else None,
        }

    def _by_page(self, request: Request, found: Sequence[Any], size: int) -> dict[str, Any]:
        size = min(size, self.page)
        cursor = request.one("page") or "page_0"
        if not re.fullmatch(r"page_\d+", cursor):
            raise bad("page: not a cursor")
        begin = int(cursor.removeprefix("page_"))
        more = f"page_{begin + size}" if begin + size < len(found) else None
        return {"data": found[begin : begin + size], "next_page": more, "has_more": bool(more)}

    def me(self, request: Request) -> Any:
        known(request, ())
        return self.organization

    def workspace(self, id_: str, *, changed: bool = False) -> dict[str, Any]:
        found = self.workspaces.get(id_)
        if found is None:
            raise not_found("workspace")
        if changed and (found["archived_at"] or id_ == self.default):
            raise bad("the default Workspace and archived Workspaces cannot be changed")
        return found

    def list_workspaces(self, request: Request) -> Any:
        flags = ("include_archived", "include_default")
        archived, default = (request.one(flag) == "true" for flag in flags)
        found = [
            item
            for id_, item in self.workspaces.items()
            if (archived or not item["archived_at"]) and (default or id_ != self.default)
        ]
        return self._by_id(request, found, (*flags, "ids[]"))

    def make_workspace(self, request: Request) -> Any:
        body = fields(request, {"name": str, "tags": dict, "display_color": str})
        if not 1 <= len(body.get("name", "")) <= 40:
            raise bad("name: String should have between 1 and 40 characters")
        checked_tags(body.get("tags") or {}, str)
        return self.workspaces[self.add_workspace(body["name"], **(body.get("tags") or {}))]

    def change_workspace(self, request: Request, id_: str) -> Any:
        body = fields(request, {"name": str, "tags": dict, "display_color": str})
        found = self.workspace(id_, changed=True)
        tags = body.pop("tags", None) or {}
        checked_tags(tags, str | None)
        found.update(body)
        merged = {**found["tags"], **tags}
        found["tags"] = {name: value for name, value in merged.items() if value is not None}
        return found

    def archive_workspace(self, request: Request, id_: str) -> Any:
        fields(request, {})
        found = self.workspace(id_, changed=True)
        found["archived_at"] = at("2026-11-23")
        for key in self.keys.values():
            if key["scope"].get("workspace_id") == id_:
                key["status"] = "archived"
        return found

    def key(self, id_: str) -> dict[str, Any]:
        if id_ not in self.keys:
            raise not_found("api key")
        found = dict(self.keys[id_])
        if self.old:
            of = found.pop("scope").get("workspace_id")
            found["workspace_id"] = None if of == self.default else of
        return found

    def list_keys(self, request: Request) -> Any:
        filters = ("status", "workspace_id", "created_by_user_id")
        return self._by_id(request, [self.key(id_) for id_ in self.keys], filters)

    def change_key(self, request: Request, id_: str) -> Any:
        body = fields(request, {"name": str, "status": str})
        self.key(id_)
        found, status = self.keys[id_], body.get("status")
        if status not in (None, "active", "inactive", "archived"):
            raise bad("status: Input should be 'active', 'inactive' or 'archived'")
        if found["status"] in ("archived", "expired"):
            raise bad("an archived or expired API key cannot be changed")
        active = sum(key["status"] == "active" for key in self.keys.values())
        if status == "active" != found["status"] and active >= self.quota:
            raise bad("too many active API keys", "workspace_api_key_limit_exceeded")
        found.update(body)
        return self.key(id_)

    def rate_limits(self, request: Request, id_: str) -> Any:
        known(request, ("include_inherited", "group_type", "limit", "page"))
        self.workspace(id_)
        everything = request.one("include_inherited") == "true"
        rows = [self.row(id_, entry, everything=everything) for entry in self.groups]
        return self._by_page(request, [row for row in rows if row["limits"]], 1000)

    def row(self, id_: str, entry: Any, *, everything: bool) -> dict[str, Any]:
        mine = self.overrides.get(f"{id_}/{entry['id']}", {})
        above = {limit["type"]: limit["value"] for limit in entry["limits"]}
        values = {**above, **mine} if everything else mine
        return {
            "type": "workspace_rate_limit",
            "workspace_id": id_,
            "rate_limit_id": entry["id"],
            "group": entry["group"],
            "models": entry["models"],
            "limits": [
                {
                    "type": limiter,
                    "value": value,
                    "org_limit": above.get(limiter),
                    "source": {"type": "workspace" if limiter in mine else "organization"},
                }
                for limiter, value in values.items()
            ],
        }

    def organization_rate_limits(self, request: Request) -> Any:
        known(request, ("group_type", "limit", "model", "page"))
        return self._by_page(request, self.groups, 1000)

    def change_rate_limit(self, request: Request, id_: str, limit: str) -> Any:
        body = fields(request, {"limits": list})
        self.workspace(id_, changed=True)
        entry = next((group for group in self.groups if group["id"] == limit), None)
        if entry is None:
            raise not_found("rate limit")
        if not body.get("limits"):
            raise bad("limits: Field required")
        for each in body["limits"]:
            if each.keys() != {"type", "value"} or each["type"] not in LIMITERS:
                raise bad("limits: type must be a limiter, and value is required")
            if each["value"] is not None and not (type(each["value"]) is int and each["value"] > 0):
                raise bad("limits: value must be a positive integer, or null")
        place = f"{id_}/{limit}"
        held = dict(self.overrides.get(place, {}))
        for each in body["limits"]:
            self._in_force(place, each["type"], each["value"])
        shown = self.row(id_, entry, everything=False)
        if self.slow:
            self.overrides[place] = held
            self.coming += [(place, each["type"], each["value"]) for each in body["limits"]]
        return shown

    def _previewed(self, *, writing: bool) -> None:
        if self.preview == "off":
            message = "the beta this endpoint requires is not enabled for the organization"
            raise bad(message, "organization_not_enrolled_in_beta")
        if writing and self.preview != "on":
            message = "spend limits cannot be managed with an Admin API credential"
            code = "spend_limits_admin_api_writes_not_enabled"
            raise Refused(403, "permission_error", message, code)

    def list_spend_limits(self, request: Request) -> Any:
        known(request, ("limit", "page", "scope_type[]", "workspace_id"))
        needs_beta(request, SPEND_BETA)
        self._previewed(writing=False)
        size = number(request, "limit", 20, 1000)
        return self._by_page(request, list(reversed(self.spend.values())), size)

    def get_spend_limit(self, _request: Request, id_: str) -> Any:
        self._previewed(writing=True)
        if id_ not in self.spend:
            raise not_found("spend limit")
        return self.spend[id_]

    def set_spend_limit(self, request: Request) -> Any:
        self._previewed(writing=True)
        body = fields(request, {"amount": str, "scope": dict, "period": str})
        if not re.fullmatch(r"0|[1-9]\d*", body.get("amount") or ""):
            raise bad("amount: a non-negative integer in minor units, as a string")
        if body.get("period", "monthly") != "monthly":
            raise bad("period: a Console organization's limits are monthly")
        scope = body.get("scope") or {}
        match scope:
            case {"type": "organization"} if len(scope) == 1:
                pass
            case {"type": "workspace", "workspace_id": str(id_)} if len(scope) == 2:
                self.workspace(id_, changed=True)
            case _:
                raise bad("scope: a Console organization sets organization and workspace limits")
        row = next((r for r in self.spend.values() if r["scope"] == scope), None)
        id_ = row["id"] if row else self.add_limit(scope, "0", self.currency())
        self.spend[id_].update(amount=body["amount"], updated_at=at("2026-11-23"))
        return self.spend[id_]

    def currency(self) -> str:
        return next(iter(self.spend.values()))["currency"] if self.spend else "USD"

    def delete_spend_limit(self, request: Request, id_: str) -> Any:
        if self.get_spend_limit(request, id_)["scope"]["type"] == "usage_tier":
            raise bad("a usage tier's limit cannot be deleted")
        del self.spend[id_]
        return {"id": id_, "type": "spend_limit_deleted"}

    def cost(self, request: Request) -> Any:
        needs_beta(request, COST_BETA)
        known(request, ("starting_at", "ending_at", "time_bucket_width", "group_by[]", *PAGED))
        if self.report != "analytics":
            raise not_found("path")
        groups = request.query.get("group_by[]", [])
        if len(groups) > 5 or set(groups) - COST_GROUPS:
            raise bad("group_by: unknown")
        daily = request.one("time_bucket_width")
        if daily not in (None, "1d") or (daily and not request.one("ending_at")):
            raise bad("time_bucket_width: ending_at is required with it")
        rows = [
            {
                "starting_at": f"{row.day}T00:00:00Z",
                "ending_at": f"{row.day + timedelta(days=1)}T00:00:00Z",
                "cost": {
                    "amount": row.cents,
                    "list_amount": row.cents,
                    "currency": "USD",
                    "requests": 5,
                },
                "group": {
                    name: value if name in groups else None
                    for name, value in (
                        ("workspace_id", row.workspace or self.default),
                        ("api_key_id", row.key),
                        ("model", row.model),
                    )
                },
            }
            for row in self.billed(request)
        ]
        return self._by_page(request, rows, number(request, "limit", 20, 1000))

    def billed(self, request: Request) -> list[Bill]:
        """Return the lines of the span that is asked for; without a bill, the first day's."""
        first = date.fromisoformat(this_month(request)[:10])
        last = date.fromisoformat((request.one("ending_at") or "9999-12-31")[:10])
        if last != date.max and (last - first).days > 31:
            raise bad("the range may span at most 31 days")
        plain = [Bill(first, of, "claude-sonnet-4-5", cents) for of, cents in self.costs]
        return [row for row in self.bill or plain if first <= row.day < last]

    def cost_report(self, request: Request) -> Any:
        known(request, ("starting_at", "ending_at", "bucket_width", "group_by[]", *PAGED))
        if self.report is None:
            raise not_found("path")
        described = "description" in request.query.get("group_by[]", [])
        buckets = [
            {
                "starting_at": f"{row.day}T00:00:00Z",
                "ending_at": f"{row.day + timedelta(days=1)}T00:00:00Z",
                "results": [
                    {
                        "amount": row.cents,
                        "currency": "USD",
                        "workspace_id": row.workspace,
                        "model": row.model if described else None,
                        "description": f"{row.model} usage" if described else None,
                    }
                ],
            }
            for row in self.billed(request)
        ]
        return self._by_page(request, buckets, number(request, "limit", 7, 31))


def given(request: Request) -> str | None:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key") or bearer or None


def known(request: Request, names: Sequence[str]) -> None:
    for name in request.query:
        if name not in (*names, "beta"):
            raise bad(f"{name}: Extra inputs are not permitted")


def number(request: Request, name: str, default: int, most: int) -> int:
    text = request.one(name, str(default)) or ""
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise bad(f"{name}: Input should be between 1 and {most}")
    return int(text)


def fields(request: Request, types: Mapping[str, type]) -> dict[str, Any]:
    """Return a body whose fields are all known, of their type, or null."""
    try:
        body = request.json or {}
    except ValueError:
        raise bad("The request body is not valid JSON") from None
    for name, value in body.items():
        if name not in types:
            raise bad(f"{name}: Extra inputs are not permitted")
        if value is not None and type(value) is not types[name]:
            raise bad(f"{name}: Input should be a valid {types[name].__name__}")
    return body


def checked_tags(tags: Mapping[str, Any], kind: Any) -> None:
    for name, value in tags.items():
        if name.startswith("anthropic") or not isinstance(value, kind):
            raise bad(f"tags.{name}: Input should be a valid tag")


def needs_beta(request: Request, beta: str) -> None:
    if beta not in request.headers.get("anthropic-beta", "").split(","):
        raise not_found("path")


def this_month(request: Request) -> str:
    text = request.one("starting_at") or ""
    try:
        since = datetime.fromisoformat(text)
        age = datetime.now(UTC) - since
    except (ValueError, TypeError):
        raise bad("starting_at: Input should be a valid datetime with a time zone") from None
    if not 0 <= age.days <= 31:
        raise bad("the range may span at most 31 days")
    return text


SONNET = ("claude-sonnet-4-5", "claude-sonnet-4-0")
RATE_HEADERS = {
    f"anthropic-ratelimit-{unit}-{part}": value
    for unit in ("requests", "input-tokens", "output-tokens")
    for part, value in (("limit", "4000"), ("remaining", "3999"), ("reset", at("2026-11-23")))
}


def group(id_: str, title: str | None, models: Sequence[str] | None) -> dict[str, Any]:
    of = {"id": f"rlg_{id_}", "type": "model_group", "display_name": title}
    amounts = {"requests_per_minute": 4000, "input_tokens_per_minute_cache_aware": 2_000_000}
    return {
        "id": id_,
        "type": "rate_limit",
        "group": of if title else {"id": f"rlg_{id_}", "type": "batch"},
        "models": None if models is None else list(models),
        "limits": [{"type": limiter, "value": value} for limiter, value in amounts.items()],
    }


def model(id_: str, title: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "model",
        "display_name": title,
        "created_at": at("2025-09-29"),
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": None,
        "line": None,
        **more,
    }


def _own_limit() -> Refused:
    until = "You will regain access on 2026-12-01 at 00:00 UTC."
    return bad(f"You have reached your specified workspace API usage limits. {until}")


def _tier() -> Refused:
    text = "You have reached your API usage limits: your organization has crossed its threshold."
    return Refused(429, "rate_limit_error", text, "enforced_spend_limit_reached")


def _credit() -> Refused:
    return Refused(402, "billing_error", "There is an issue with your payment.")


SPENT: Mapping[str, Callable[[], Refused]] = {
    "limit": _own_limit,
    "tier": _tier,
    "credit": _credit,
}

ADMIN: Sequence[tuple[str, str, Callable[..., Any]]] = (
    ("GET", "/me", Anthropic.me),
    ("GET", "/workspaces", Anthropic.list_workspaces),
    ("POST", "/workspaces", Anthropic.make_workspace),
    ("GET", "/workspaces/([^/]+)", lambda self, _, id_: self.workspace(id_)),
    ("POST", "/workspaces/([^/]+)", Anthropic.change_workspace),
    ("POST", "/workspaces/([^/]+)/archive", Anthropic.archive_workspace),
    ("GET", "/workspaces/([^/]+)/rate_limits", Anthropic.rate_limits),
    ("POST", "/workspaces/([^/]+)/rate_limits/([^/]+)", Anthropic.change_rate_limit),
    ("GET", "/rate_limits", Anthropic.organization_rate_limits),
    ("GET", "/api_keys", Anthropic.list_keys),
    ("GET", "/api_keys/([^/]+)", lambda self, _, id_: self.key(id_)),
    ("POST", "/api_keys/([^/]+)", Anthropic.change_key),
    ("GET", "/spend_limits", Anthropic.list_spend_limits),
    ("POST", "/spend_limits", Anthropic.set_spend_limit),
    ("GET", "/spend_limits/([^/]+)", Anthropic.get_spend_limit),
    ("DELETE", "/spend_limits/([^/]+)", Anthropic.delete_spend_limit),
    ("GET", "/analytics/cost", Anthropic.cost),
    ("GET", "/cost_report", Anthropic.cost_report),
)
