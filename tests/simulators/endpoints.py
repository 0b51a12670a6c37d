"""OpenAI-compatible endpoints as their references of November 2026 say, and LiteLLM 1.106.2 did."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, ClassVar
from uuid import UUID, uuid5

from tests.simulators.server import Request, Response, Simulator

SPACE = UUID(int=0)


def listing(*names: str, owner: str = "acme") -> dict[str, Any]:
    rows = [
        {"id": n, "object": "model", "created": 1_677_610_602, "owned_by": owner} for n in names
    ]
    return {"object": "list", "data": rows}


def completion(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "ok"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_795_440_778,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
    }


class Invalid(Exception):
    """A request that the real API would refuse; its text says why."""


FLOAT, INT, TEXT, BOOL, LIST, DICT = (int, float), int, str, bool, list, dict


def check(body: Any, fields: dict[str, Any], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """Hold a body against its fields: a type, a tuple of values; None is written as `Null`."""
    if not isinstance(body, dict):
        raise Invalid("the body is no object")
    for name in needed:
        if name not in body:
            raise Invalid(f"{name}: required")
    for name, value in body.items():
        if name not in fields:
            raise Invalid(f"{name}: unrecognized key")
        kind, nullable = fields[name]
        if value is None:
            if not nullable:
                raise Invalid(f"{name}: null")
        elif isinstance(kind, tuple) and all(isinstance(each, str) for each in kind):
            if value not in kind:
                raise Invalid(f"{name}: invalid enum value")
        elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not BOOL):
            raise Invalid(f"{name}: wrong type")
    return body


PERIODS = ("daily", "weekly", "monthly")
USAGE = tuple(
    f"{kind}{span}"
    for kind in ("usage", "byok_usage")
    for span in ("", "_daily", "_weekly", "_monthly")
)


SUMS = ("usage", "requests", "prompt_tokens", "completion_tokens")
Used = tuple[str, str, str, str, float, int]
"""Day, team, key, model, dollars, tokens."""


class OpenRouter(Simulator):
    """One OpenRouter account: ordinary keys, management keys, guardrails, two workspaces.

    ``page`` is the size of its pages (the real one's is 100). A key that is made from now on is
    refused for its first ``late`` requests.
    """

    prefix = "openrouter"
    KEY: ClassVar = {
        "name": (TEXT, False),
        "disabled": (BOOL, False),
        "limit": (FLOAT, True),
        "limit_reset": (PERIODS, True),
        "include_byok_in_limit": (BOOL, False),
    }
    NEW_KEY: ClassVar = {
        **KEY,
        "creator_user_id": (TEXT, True),
        "expires_at": (TEXT, True),
        "workspace_id": (TEXT, False),
    }
    RAIL: ClassVar = {
        "name": (TEXT, False),
        "description": (TEXT, True),
        "limit_usd": (FLOAT, True),
        "reset_interval": (PERIODS, True),
        "include_byok_in_budgets": (BOOL, False),
        "allowed_models": (LIST, True),
        "ignored_models": (LIST, True),
        "allowed_providers": (LIST, True),
        "ignored_providers": (LIST, True),
    }

    def __init__(self, key: str, management_key: str, *, page: int = 2) -> None:
        super().__init__()
        self.management_key, self.page = management_key, page
        self.creator = "user_2dHFtVWx2n56w6HkM0000000000"
        self.credits = {"total_credits": 100.5, "total_usage": 25.75}
        self.workspaces = [self._workspace("Default", "default"), self._workspace("Lab", "lab")]
        self.keys: list[dict[str, Any]] = []
        self.rails: list[dict[str, Any]] = []
        self.assigned: dict[str, str] = {}
        self.catalogue = [
            {"id": "openai/gpt-5.2", "canonical_slug": "openai/gpt-5.2-20251211"},
            {
                "id": "anthropic/claude-sonnet-4.5",
                "canonical_slug": "anthropic/claude-4.5-sonnet-20250929",
            },
            {"id": "meta-llama/llama-4", "canonical_slug": "meta-llama/llama-4"},
        ]
        self.hidden: set[str] = set()
        self.user_models = True
        self.number = 0
        self.late = 0
        self.waiting: dict[str, int] = {}
        self.activity: list[dict[str, Any]] = []
        self.add_key("cursor-team", key)

    def _workspace(self, name: str, slug: str) -> dict[str, Any]:
        return {
            "id": str(uuid5(SPACE, slug)),
            "name": name,
            "slug": slug,
            "description": None,
            "default_guardrail_id": str(uuid5(SPACE, f"default of {slug}")),
            "default_image_model": None,
            "default_provider_sort": None,
            "default_text_model": None,
            "include_byok_in_budgets": False,
            "io_logging_api_key_ids": None,
            "io_logging_sampling_rate": 1,
            "is_data_discount_logging_enabled": True,
            "is_observability_broadcast_enabled": False,
            "is_observability_io_logging_enabled": False,
            "updated_at": None,
            "created_at": "2025-08-24T10:30:00Z",
            "created_by": self.creator,
        }

    def add_key(
        self, name: str, secret: str, *, workspace: str = "default", **more: Any
    ) -> dict[str, Any]:
        """Make a key, as a person does in the console; returns its row."""
        row = {
            "hash": hashlib.sha256(secret.encode()).hexdigest(),
            "name": name,
            "label": f"{secret[:12]}...{secret[-3:]}",
            "disabled": False,
            "limit": None,
            "limit_reset": None,
            "include_byok_in_limit": False,
            "usage": 25.5,
            "usage_daily": 1.0,
            "usage_weekly": 5.0,
            "usage_monthly": 25.5,
            "byok_usage": 0,
            "byok_usage_daily": 0,
            "byok_usage_weekly": 0,
            "byok_usage_monthly": 0,
            "created_at": "2026-11-01T10:30:00Z",
            "updated_at": None,
            "expires_at": None,
            "creator_user_id": self.creator,
            "workspace_id": str(uuid5(SPACE, workspace)),
            **more,
        }
        self.keys.append(row)
        return row

    def add_rail(self, name: str, **more: Any) -> dict[str, Any]:
        """Make a guardrail; returns its row."""
        self.number += 1
        row = {
            "id": str(uuid5(SPACE, f"rail{self.number}")),
            "name": name,
            "description": None,
            "limit_usd": None,
            "reset_interval": None,
            "include_byok_in_budgets": False,
            "allowed_models": None,
            "ignored_models": None,
            "allowed_providers": None,
            "ignored_providers": None,
            "created_at": "2026-11-01T10:30:00Z",
            "updated_at": None,
            "workspace_id": self.workspaces[0]["id"],
            **more,
        }
        self.rails.append(row)
        return row

    def alive(self, secret: str) -> bool:
        """Tell whether a value is an ordinary key's, which nobody deleted or disabled."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        return any(k["hash"] == digest and not k["disabled"] for k in self.keys)

    def _new_key(self, request: Request) -> Response:
        """Make a key; its value is shown this once."""
        body = check(request.json, self.NEW_KEY, ("name",))
        if not body["name"]:
            raise Invalid("name: too short")
        if body.get("limit") is not None and body["limit"] < 0:
            raise Invalid("limit: negative")
        place = body.get("workspace_id", self.workspaces[0]["id"])
        if place not in {each["id"] for each in self.workspaces}:
            raise Invalid("workspace_id: invalid uuid")
        self.number += 1
        value = "sk-or-" + "v1-" + hashlib.sha256(f"openrouter {self.number}".encode()).hexdigest()
        unused = dict.fromkeys(USAGE, 0)
        row = self.add_key(**{**body, "secret": value, **unused, "workspace_id": place})
        self.waiting[row["hash"]] = self.late
        return Response(201, {"data": self._key_shown(row), "key": value})

    def snapshot(self) -> str:
        return json.dumps([self.keys, self.rails, self.assigned], sort_keys=True)

    @staticmethod
    def error(status: int, message: str, **metadata: Any) -> Response:
        error: dict[str, Any] = {"code": status, "message": message}
        return Response(status, {"error": error | ({"metadata": metadata} if metadata else {})})

    def answer(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not given.startswith("Bearer "):
            return self.error(401, "Missing Authentication header")
        secret = given.removeprefix("Bearer ")
        digest = hashlib.sha256(secret.encode()).hexdigest()
        own = next((k for k in self.keys if k["hash"] == digest), None)
        manages = secret == self.management_key
        early = self.waiting.get(digest, 0)
        self.waiting[digest] = max(early - 1, 0)
        if not manages and (early or not self.alive(secret)):
            return self.error(401, "User not found.")
        try:
            return self._route(request, own, manages=manages)
        except Invalid as error:
            return self.error(400, f"Invalid request parameters: {error}")

    def _route(self, request: Request, own: dict[str, Any] | None, *, manages: bool) -> Response:
        match request.method, *request.path.strip("/").split("/"):
            case "GET", "key":
                return Response(200, {"data": self._self(own)})
            case "GET", "models":
                return Response(200, self._models(set()))
            case "GET", "models", "user":
                if not self.user_models:
                    return self.error(404, "Resource not found")
                return Response(200, self._models(self.hidden))
            case "POST", "chat", "completions":
                return self._complete(request, own)
            case _ if not manages:
                return self.error(403, "Only management keys can perform this operation")
            case "GET", "credits":
                return Response(200, {"data": self.credits})
            case "GET", "activity":
                return self._activity(request)
            case "GET", "workspaces":
                return self._paged(request, self.workspaces, total=True)
            case "GET", "keys":
                return self._list_keys(request)
            case "POST", "keys":
                return self._new_key(request)
            case (("GET" | "PATCH" | "DELETE"), "keys", digest):
                return self._one_key(request, digest)
            case (("GET" | "POST"), "guardrails"):
                return self._guardrails(request)
            case "GET", "guardrails", "assignments", "keys":
                return self._paged(request, self._assignments(), total=True)
            case (("GET" | "PATCH" | "DELETE"), "guardrails", id_):
                return self._one_rail(request, id_)
            case "POST", "guardrails", id_, "assignments", "keys", *rest:
                return self._assign(request, id_, remove=rest == ["remove"])
            case _:
                return self.error(404, "Resource not found")

    def add_activity(self, day: str, key: str, model: str, usage: float, tokens: int) -> None:
        """Let a key have used a model, on a day that is over."""
        digest = next(row["hash"] for row in self.keys if row["name"] == key)
        self.activity.append(
            {
                "date": day,
                "model": model,
                "model_permaslug": model,
                "endpoint_id": str(uuid5(SPACE, model)),
                "provider_name": model.partition("/")[0],
                "usage": usage,
                "byok_usage_inference": 0,
                "requests": 1,
                "prompt_tokens": tokens,
                "completion_tokens": tokens // 10,
                "reasoning_tokens": 0,
                "key": digest,
            }
        )

    def _activity(self, request: Request) -> Response:
        """Sum up by day and model, over all keys unless one is named."""
        for name in request.query:
            if name not in ("date", "api_key_hash", "user_id", "group_by", "workspace_id"):
                raise Invalid(f"{name}: unrecognized key")
        digest, place = request.one("api_key_hash"), request.one("workspace_id")
        within = {row["hash"] for row in self.keys if place in (None, row["workspace_id"])}
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.activity:
            if row["key"] not in within or digest not in (None, row["key"]):
                continue
            shown = {name: value for name, value in row.items() if name != "key"}
            none = {**shown, **dict.fromkeys(SUMS, 0)}
            there = found.setdefault((row["date"], row["model"]), none)
            for name in SUMS:
                there[name] += row[name]
        return Response(200, {"data": list(found.values())})

    def _self(self, own: dict[str, Any] | None) -> dict[str, Any]:
        row = own or {
            "label": f"{self.management_key[:12]}...{self.management_key[-3:]}",
            "limit": None,
            "limit_reset": None,
            "include_byok_in_limit": False,
            **dict.fromkeys(USAGE, 0),
        }
        hidden = ("hash", "name", "disabled", "workspace_id", "created_at", "updated_at")
        shown = {k: v for k, v in row.items() if k not in hidden}
        limit = row.get("limit")
        left = None if limit is None else limit - row.get("usage_monthly", 0)
        return {
            "expires_at": None,
            "creator_user_id": self.creator,
            **shown,
            "limit_remaining": left,
            "is_free_tier": False,
            "is_management_key": own is None,
            "is_provisioning_key": own is None,
            "rate_limit": {"requests": -1, "interval": "10s", "note": "deprecated"},
        }

    def _models(self, hidden: set[str]) -> dict[str, Any]:
        rows = [{"expiration_date": None, **m} for m in self.catalogue if m["id"] not in hidden]
        return {"data": rows, "total_count": len(rows), "links": {}}

    def _complete(self, request: Request, own: dict[str, Any] | None) -> Response:
        if own is None:
            return self.error(403, "Management keys cannot be used for completions")
        left = self._self(own)["limit_remaining"]
        if left is not None and left <= 0:
            return self.error(403, "Key limit exceeded", limit_source="openrouter_key_limit")
        if self.credits["total_usage"] >= self.credits["total_credits"]:
            return self.error(402, "Insufficient credits. Add more")
        model = request.json.get("model")
        if model not in {m["id"] for m in self.catalogue}:
            return self.error(400, f"{model} is not a valid model ID")
        return Response(200, completion(model))

    def _paged(
        self, request: Request, rows: list[dict[str, Any]], *, total: bool = False
    ) -> Response:
        offset, size = int(request.one("offset", "0") or 0), self.page
        if total:
            asked = int(request.one("limit", "50") or 50)
            if not 1 <= asked <= 100:
                raise Invalid("limit")
            size = min(asked, self.page)
        body: dict[str, Any] = {"data": rows[offset : offset + size]}
        return Response(200, body | ({"total_count": len(rows)} if total else {}))

    def _place(self, request: Request) -> str:
        place = request.one("workspace_id") or self.workspaces[0]["id"]
        if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", place):
            raise Invalid("workspace_id: invalid uuid")
        return place

    def _list_keys(self, request: Request) -> Response:
        place, all_ = self._place(request), request.one("include_disabled") == "true"
        rows = [k for k in self.keys if k["workspace_id"] == place and (all_ or not k["disabled"])]
        return self._paged(request, [self._key_shown(k) for k in rows])

    def _key_shown(self, row: dict[str, Any]) -> dict[str, Any]:
        limit = row["limit"]
        return {**row, "limit_remaining": None if limit is None else limit - row["usage_monthly"]}

    def _one_key(self, request: Request, digest: str) -> Response:
        row = next((k for k in self.keys if k["hash"] == digest), None)
        if row is None:
            return self.error(404, "Resource not found")
        if request.method == "DELETE":
            self.keys.remove(row)
            self.assigned.pop(digest, None)
            return Response(200, {"deleted": True})
        if request.method == "PATCH":
            body = check(request.json, self.KEY)
            if body.get("limit") is not None and body["limit"] < 0:
                raise Invalid("limit: negative")
            row.update(body, updated_at="2026-11-23T10:00:00Z")
        return Response(200, {"data": self._key_shown(row)})

    def _guardrails(self, request: Request) -> Response:
        if request.method == "GET":
            place = self._place(request)
            return self._paged(
                request, [r for r in self.rails if r["workspace_id"] == place], total=True
            )
        body = self._rail_body(request, {**self.RAIL, "workspace_id": (TEXT, False)}, ("name",))
        return Response(201, {"data": self.add_rail(**body)})

    def _rail_body(
        self, request: Request, fields: dict[str, Any], needed: tuple[str, ...]
    ) -> dict[str, Any]:
        body = check(request.json, fields, needed)
        if ("limit_usd" in body) != ("reset_interval" in body) or (
            (body.get("limit_usd") is None) != (body.get("reset_interval") is None)
        ):
            raise Invalid("limit_usd and reset_interval go together")
        if (wanted := body.get("allowed_models")) is not None:
            if not wanted:
                raise Invalid("allowed_models: at least one")
            slugs = {m["id"]: m["canonical_slug"] for m in self.catalogue}
            known = {**slugs, **{slug: slug for slug in slugs.values()}}
            if unknown := [m for m in wanted if m not in known]:
                raise Invalid(f"allowed_models: {len(unknown)} unknown")
            body = {**body, "allowed_models": [known[m] for m in wanted]}
        return body

    def _one_rail(self, request: Request, id_: str) -> Response:
        row = next((r for r in self.rails if r["id"] == id_), None)
        if row is None:
            return self.error(404, "Resource not found")
        if request.method == "DELETE":
            self.rails.remove(row)
            self.assigned = {k: r for k, r in self.assigned.items() if r != id_}
            return Response(200, {"deleted": True})
        if request.method == "PATCH":
            row.update(self._rail_body(request, self.RAIL, ()))
        return Response(200, {"data": row})

    def _assignments(self) -> list[dict[str, Any]]:
        named = {k["hash"]: k for k in self.keys}
        return [
            {
                "id": str(uuid5(SPACE, digest)),
                "guardrail_id": rail,
                "key_hash": digest,
                "key_name": named[digest]["name"],
                "key_label": named[digest]["label"],
                "assigned_by": self.creator,
                "created_at": "2026-11-01T10:30:00Z",
            }
            for digest, rail in sorted(self.assigned.items())
        ]

    def _assign(self, request: Request, id_: str, *, remove: bool) -> Response:
        hashes = check(request.json, {"key_hashes": (LIST, False)}, ("key_hashes",))["key_hashes"]
        known = {k["hash"] for k in self.keys}
        if not hashes or not set(hashes) <= known:
            raise Invalid("key_hashes")
        if id_ not in {r["id"] for r in self.rails}:
            return self.error(404, "Resource not found")
        count = sum((self.assigned.get(h) == id_) is remove for h in hashes)
        for each in hashes:
            if remove and self.assigned.get(each) == id_:
                del self.assigned[each]
            elif not remove:
                self.assigned[each] = id_
        return Response(200, {"unassigned_count" if remove else "assigned_count": count})


DURATION = re.compile(r"\d+(mo|[smhdw])")


class LiteLLM(Simulator):
    """A LiteLLM proxy 1.106.2 with a database, or without (``database=False``).

    What it answers without one was measured; with one, it follows its source and description.
    A key that is made from now on is refused for its first ``late`` requests.
    """

    prefix = "litellm"
    TEAM: ClassVar = {
        "team_alias": (TEXT, True),
        "models": (LIST, True),
        "tpm_limit": (INT, True),
        "rpm_limit": (INT, True),
        "max_budget": (FLOAT, True),
        "soft_budget": (FLOAT, True),
        "budget_duration": (TEXT, True),
        "metadata": (DICT, True),
        "blocked": (BOOL, True),
    }
    KEY: ClassVar = {
        "key": (TEXT, True),
        "key_alias": (TEXT, True),
        "models": (LIST, True),
        "tpm_limit": (INT, True),
        "rpm_limit": (INT, True),
        "max_budget": (FLOAT, True),
        "soft_budget": (FLOAT, True),
        "budget_duration": (TEXT, True),
        "metadata": (DICT, True),
        "blocked": (BOOL, True),
    }

    NEW_KEY: ClassVar = {
        **KEY,
        "team_id": (TEXT, True),
        "user_id": (TEXT, True),
        "max_parallel_requests": (INT, True),
        "allowed_routes": (LIST, True),
        "duration": (TEXT, True),
    }

    def __init__(self, key: str, master_key: str, *, database: bool = True, page: int = 2) -> None:
        super().__init__()
        self.master_key, self.database, self.page = master_key, database, page
        self.models = ["acme-coder", "acme-fast"]
        self.teams: list[dict[str, Any]] = []
        self.keys: list[dict[str, Any]] = []
        self.budgets: list[dict[str, Any]] = [{"budget_id": "free-tier", "max_budget": 1.0}]
        self.number = 0
        self.late = 0
        self.waiting: dict[str, int] = {}
        self.used: list[Used] = []
        self.add_key("cursor", key)

    def add_team(self, alias: str, **more: Any) -> dict[str, Any]:
        self.number += 1
        row = {
            "team_alias": alias,
            "team_id": str(uuid5(SPACE, f"team{self.number}")),
            "organization_id": None,
            "metadata": {},
            "tpm_limit": None,
            "rpm_limit": None,
            "max_budget": None,
            "soft_budget": None,
            "budget_duration": None,
            "budget_reset_at": None,
            "models": [],
            "blocked": False,
            "spend": 0.0,
            "members_with_roles": [{"user_id": "default_user_id", "role": "admin"}],
            "created_at": "2026-11-01T10:30:00Z",
            **more,
        }
        self.teams.append(row)
        return row

    def add_key(self, alias: str | None, secret: str, **more: Any) -> dict[str, Any]:
        row = {
            "token": hashlib.sha256(secret.encode()).hexdigest(),
            "key_name": f"sk-...{secret[-4:]}",
            "key_alias": alias,
            "spend": 1.5,
            "max_budget": None,
            "soft_budget": None,
            "budget_duration": None,
            "expires": None,
            "models": [],
            "team_id": None,
            "user_id": "default_user_id",
            "tpm_limit": None,
            "rpm_limit": None,
            "metadata": {},
            "blocked": None,
            "created_at": "2026-11-01T10:30:00Z",
            "last_active": "2026-11-20T10:30:00Z",
            **more,
        }
        self.keys.append(row)
        return row

    def snapshot(self) -> str:
        return json.dumps([self.teams, self.keys, self.budgets], sort_keys=True)

    @staticmethod
    def error(status: int, kind: str, message: str, param: str | None = None) -> Response:
        error = {"message": message, "type": kind, "param": param, "code": str(status)}
        return Response(status, {"error": error})

    @staticmethod
    def detail(status: int, message: str) -> Response:
        return Response(status, {"detail": {"error": message}})

    def answer(self, request: Request) -> Response:
        if request.path in ("/health/liveliness", "/health/liveness"):
            return Response(200, "I'm alive!")
        if request.path == "/health/readiness":
            return Response(
                200, {"status": "healthy", "db": "connected" if self.database else "Not connected"}
            )
        given = request.headers.get("x-litellm-api-key") or request.headers.get("authorization")
        if given is None:
            return Response(500, b"Internal Server Error", {"content-type": "text/plain"})
        secret = given.removeprefix("Bearer ")
        if not self.database:
            return self._without(request, secret)
        if not secret.startswith("sk-"):
            return self.error(
                401, "auth_error", "Authentication Error, LiteLLM Virtual Key expected.", "None"
            )
        row = next(
            (k for k in self.keys if k["token"] == hashlib.sha256(secret.encode()).hexdigest()),
            None,
        )
        admin = secret == self.master_key
        if not admin and row is None:
            return self.unknown()
        early = self.waiting.get(secret, 0)
        self.waiting[secret] = max(early - 1, 0)
        if early:
            return self.unknown()
        if row is not None and row["blocked"]:
            return self.error(401, "auth_error", "Authentication Error, Key is blocked.", "None")
        try:
            return self._route(request, row, admin=admin)
        except Invalid as error:
            return Response(
                422, {"detail": [{"loc": ["body"], "msg": str(error), "type": "value_error"}]}
            )

    def unknown(self) -> Response:
        message = "Authentication Error, Invalid proxy server token passed. Unable to find token"
        return self.error(401, "token_not_found_in_db", message, "key")

    def alive(self, secret: str) -> bool:
        """Tell whether a value is a virtual key's, which nobody deleted or blocked."""
        token = hashlib.sha256(secret.encode()).hexdigest()
        return any(k["token"] == token and not k["blocked"] for k in self.keys)

    def _without(self, request: Request, secret: str) -> Response:
        """Answer as the real one did without a database."""
        if secret != self.master_key:
            return self.error(400, "no_db_connection", "No connected db.")
        missing = (
            "DB not connected. This endpoint needs a database; set DATABASE_URL to a PostgreSQL"
        )
        match request.method, request.path:
            case "GET", "/v1/models" | "/models":
                return Response(200, listing(*self.models))
            case "POST", "/v1/chat/completions":
                return self._complete(request, None)
            case "GET", "/team/list" | "/budget/list":
                return self.detail(400, missing)
            case "GET", "/key/list":
                message = "Authentication Error, Database not connected"
                return self.error(500, "internal_server_error", message, "None")
            case _:
                return Response(500, b"Internal Server Error", {"content-type": "text/plain"})

    def _route(self, request: Request, row: dict[str, Any] | None, *, admin: bool) -> Response:
        match request.method, request.path:
            case "GET", "/v1/models" | "/models":
                mine = self.models if row is None or not row["models"] else row["models"]
                return Response(200, listing(*mine, owner="openai"))
            case "POST", "/v1/chat/completions":
                return self._complete(request, row)
            case "GET", "/key/info":
                if row is None:
                    return self.error(404, "not_found_error", "Key not found in database", "key")
                return Response(
                    200,
                    {"key": row["token"], "info": {k: v for k, v in row.items() if k != "token"}},
                )
            case _ if not admin:
                message = "Authentication Error, Only proxy admin can be used to generate, delete,"
                return self.error(
                    401,
                    "auth_error",
                    f"{message} update info for new keys/users/teams. Route={request.path}.",
                    "None",
                )
            case "GET", "/team/list":
                rows = [{**t, "keys": [], "team_memberships": []} for t in self.teams]
                return Response(200, sorted(rows, key=lambda t: t["team_alias"] or ""))
            case "GET", "/key/list":
                return self._list_keys(request)
            case "GET", "/budget/list":
                return Response(200, self.budgets)
            case "GET", "/team/daily/activity" | "/user/daily/activity":
                return self._daily(request)
            case "POST", "/team/new":
                return self._new_team(request)
            case "POST", "/team/update":
                return self._update_team(request)
            case "POST", "/team/delete":
                return self._delete_team(request)
            case "POST", "/key/update":
                return self._update_key(request)
            case "POST", "/key/generate":
                return self._new_key(request)
            case "POST", "/key/delete":
                return self._delete_keys(request)
            case _:
                return Response(404, {"detail": "Not Found"})

    def _complete(self, request: Request, row: dict[str, Any] | None) -> Response:
        if row is not None and row["max_budget"] is not None and row["spend"] >= row["max_budget"]:
            costs = f"Current cost: {row['spend']}, Max budget: {row['max_budget']}"
            message = f"Budget has been exceeded! {costs}"
            return self.error(422, "budget_exceeded", message)
        model = request.json.get("model")
        if model not in self.models:
            message = f"/chat/completions: Invalid model name passed in model={model}."
            return self.error(400, "invalid_request_error", message)
        headers = {"x-litellm-version": "1.106.2", "x-litellm-key-spend": "0.0002"}
        return Response(200, completion(model), headers)

    def use(self, day: str, team: str, key: str, model: str, dollars: float, tokens: int) -> None:
        """Let a key of a team (or of none) have used a model; a call of a tool has no model."""
        self.used.append((day, team, key, model, dollars, tokens))

    def _daily(self, request: Request) -> Response:
        """Page through rows of the database, and put each page's rows together by day."""
        page, size = (int(request.one(n) or d) for n, d in (("page", "1"), ("page_size", "10")))
        if not 1 <= size <= 1000:
            raise Invalid("page_size: at most 1000")
        first, last = request.one("start_date") or "", request.one("end_date") or ""
        if not first or not last:
            return self.detail(400, "Please provide start_date and end_date")
        teams = {row["team_id"]: row["team_alias"] for row in self.teams}
        wanted = [teams.get(id_) for id_ in (request.one("team_ids") or "").split(",") if id_]
        rows = [
            row
            for row in sorted(self.used, reverse=True)
            if first <= row[0] <= last and (not wanted or row[1] in wanted)
        ]
        size = min(size, self.page)
        shown = rows[(page - 1) * size : page * size]
        metadata = {
            "total_spend": sum(row[4] for row in shown),
            "page": page,
            "total_pages": -(-len(rows) // size),
            "has_more": page * size < len(rows),
        }
        days = dict.fromkeys(row[0] for row in shown)
        results = [self._of_day(day, [row for row in shown if row[0] == day]) for day in days]
        return Response(200, {"results": results, "metadata": metadata})

    def _of_day(self, day: str, rows: list[Used]) -> Any:
        def metrics(of: list[Used]) -> dict[str, Any]:
            tokens = sum(row[5] for row in of)
            return {
                "spend": sum(row[4] for row in of),
                "prompt_tokens": tokens,
                "completion_tokens": tokens // 10,
                "api_requests": len(of),
            }

        tokens = {row["key_alias"]: row["token"] for row in self.keys}
        models = {
            model: {
                "metrics": metrics([row for row in rows if row[3] == model]),
                "metadata": {},
                "api_key_breakdown": {
                    tokens[key]: {
                        "metrics": metrics([r for r in rows if (r[2], r[3]) == (key, model)]),
                        "metadata": {"key_alias": key, "team_id": None},
                    }
                    for key in {row[2] for row in rows if row[3] == model}
                },
            }
            for model in {row[3] for row in rows if row[3]}
        }
        breakdown = {"models": models, "providers": {}, "mcp_servers": {}}
        return {"date": day, "metrics": metrics(rows), "breakdown": breakdown}

    def _list_keys(self, request: Request) -> Response:
        page, size = int(request.one("page", "1") or 1), int(request.one("size", "10") or 10)
        if page < 1 or not 1 <= size <= 100:
            raise Invalid("size: at most 100")
        size = min(size, self.page)
        rows = self.keys[(page - 1) * size : page * size]
        full = request.one("return_full_object") == "true"
        return Response(
            200,
            {
                "keys": rows if full else [k["token"] for k in rows],
                "total_count": len(self.keys),
                "current_page": page,
                "total_pages": -(-len(self.keys) // size),
            },
        )

    def _budget_fault(self, body: dict[str, Any], row: dict[str, Any]) -> Response | None:
        for name in ("max_budget", "soft_budget"):
            if body.get(name) is not None and body[name] < 0:
                return self.detail(400, f"{name} must be a non-negative finite number.")
        duration = body.get("budget_duration")
        if duration is not None and not DURATION.fullmatch(duration):
            return self.detail(
                400, "Invalid budget_duration. Use a format like '1h', '24h', '7d', or '30d'."
            )
        most = body["max_budget"] if body.get("max_budget") is not None else row["max_budget"]
        soft = body["soft_budget"] if body.get("soft_budget") is not None else row["soft_budget"]
        asked = body.get("max_budget") is not None or body.get("soft_budget") is not None
        if asked and most is not None and soft is not None and soft >= most:
            return self.detail(400, "soft_budget must be strictly lower than max_budget")
        return None

    def _new_team(self, request: Request) -> Response:
        body = check(request.json, self.TEAM | {"team_id": (TEXT, True)})
        empty = {"max_budget": None, "soft_budget": None}
        return self._budget_fault(body, empty) or Response(
            200, self.add_team(body.pop("team_alias", None) or "", **body)
        )

    def _update_team(self, request: Request) -> Response:
        body = check(request.json, self.TEAM | {"team_id": (TEXT, False)}, ("team_id",))
        row = next((t for t in self.teams if t["team_id"] == body["team_id"]), None)
        if row is None:
            return self.detail(404, f"Team not found, passed team_id={body['team_id']}")
        fault = self._budget_fault(body, row)
        if fault is None:
            row.update(body)
        return fault or Response(200, {"team_id": row["team_id"], "data": row})

    def _delete_team(self, request: Request) -> Response:
        gone = check(request.json, {"team_ids": (LIST, False)}, ("team_ids",))["team_ids"]
        if not set(gone) <= {t["team_id"] for t in self.teams}:
            return self.detail(404, f"Team not found, passed team_id={gone[0]}")
        self.teams = [t for t in self.teams if t["team_id"] not in gone]
        self.keys = [k for k in self.keys if k["team_id"] not in gone]
        return Response(200, len(gone))

    def _new_key(self, request: Request) -> Response:
        """Make a key, whose value is shown this once; an alias is one key's only."""
        body = check(request.json, self.NEW_KEY)
        alias, team = body.pop("key_alias", None), body.get("team_id")
        if alias is not None and any(k["key_alias"] == alias for k in self.keys):
            message = f"Key with alias '{alias}' already exists. Unique key aliases are required."
            return self.error(400, "bad_request_error", message, "key_alias")
        if team is not None and team not in {t["team_id"] for t in self.teams}:
            return self.detail(404, f"Team doesn't exist in db. Team={team}.")
        if fault := self._budget_fault(body, {"max_budget": None, "soft_budget": None}):
            return fault
        self.number += 1
        digest = hashlib.sha256(f"litellm {self.number}".encode()).hexdigest()
        value = body.pop("key", None) or "sk-" + digest[:22]
        given = {name: each for name, each in body.items() if each is not None}
        row = self.add_key(alias, value, **{"spend": 0.0, "last_active": None, **given})
        self.waiting[value] = self.late
        shown = {name: row[name] for name in (*self.NEW_KEY, "key_name", "token") if name in row}
        return Response(200, {**shown, "key": value, "token_id": row["token"]})

    def _delete_keys(self, request: Request) -> Response:
        """Delete keys by value or hash; as the real one, it knows none only if all are unknown."""
        both = {"keys": (LIST, True), "key_aliases": (LIST, True)}
        asked = check(request.json, both).get("keys") or []
        tokens = [
            hashlib.sha256(each.encode()).hexdigest() if each.startswith("sk-") else each
            for each in asked
        ]
        found = [k for k in self.keys if k["token"] in tokens]
        if not found:
            message = "{'error': 'No keys found'}"
            return self.error(404, "internal_server_error", message, "None")
        self.keys = [k for k in self.keys if k not in found]
        return Response(200, {"deleted_keys": asked})

    def _update_key(self, request: Request) -> Response:
        body = check(request.json, self.KEY)
        row = next((k for k in self.keys if k["token"] == body.get("key")), None)
        if row is None:
            return self.error(404, "not_found_error", "Key not found in database", "key")
        fault = self._budget_fault(body, row)
        if fault is None:
            row.update({k: v for k, v in body.items() if k != "key"})
        return fault or Response(200, {"key": row["token"], **body})


class Local(Simulator):
    """A server on one's own machine: ``ollama``, ``lmstudio``, ``vllm`` or ``llamacpp``."""

    prefix = "local"

    def __init__(
        self, kind: str, key: str | None = None, *models: str, native: bool = True
    ) -> None:
        super().__init__()
        self.kind, self.key, self.native = kind, key, native
        self.models = list(models) or ["qwen3-coder"]
        self.loaded: set[str] = set()

    def snapshot(self) -> str:
        return json.dumps([self.kind, self.models])

    def answer(self, request: Request) -> Response:
        open_ = self.kind == "vllm" and request.path == "/health"
        if not open_ and self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return Response(401, {"error": "Unauthorized"})
        match self.kind, request.method, request.path:
            case "ollama", "GET", "/api/version":
                return Response(200, {"version": "0.13.1"})
            case "ollama", "GET", "/api/tags":
                rows = [{"name": m if ":" in m else f"{m}:latest", "size": 1} for m in self.models]
                return Response(200, {"models": rows})
            case "lmstudio", "GET", "/api/v1/models" if self.native:
                return Response(200, {"models": [self._loadable(m) for m in self.models]})
            case "vllm", "GET", "/health":
                return Response(200, b"")
            case _, "GET", "/v1/models":
                owner = {"llamacpp": "llamacpp", "vllm": "vllm"}.get(self.kind, "library")
                return Response(200, listing(*self.models, owner=owner))
            case _, "POST", "/v1/chat/completions":
                return self._complete(request.json["model"])
            case "lmstudio", _, path:  # 200, as it has always done
                return Response(200, {"error": f"Unexpected endpoint or method. ({path})"})
            case _:
                return Response(404, b"404 page not found", {"content-type": "text/plain"})

    def _loadable(self, name: str) -> dict[str, Any]:
        instances = (
            [{"id": name, "config": {"context_length": 4096}}] if name in self.loaded else []
        )
        return {"type": "llm", "key": name, "display_name": name, "loaded_instances": instances}

    def _complete(self, model: str) -> Response:
        if self.kind == "llamacpp" or model in self.models:
            return Response(200, completion(model))
        return Response(
            404, {"error": {"message": f"model '{model}' not found", "type": "api_error"}}
        )


class Together(Simulator):
    """Together's inference API: a bare array of models, and who a key is."""

    prefix = "together"

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key, self.models = key, ["Qwen/Qwen3-Coder"]

    def snapshot(self) -> str:
        return json.dumps(self.models)

    def answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            message = "Invalid API key provided."
            return Response(
                401,
                {
                    "error": {
                        "message": message,
                        "type": "invalid_request_error",
                        "code": "invalid_api_key",
                    }
                },
            )
        match request.method, request.path:
            case "GET", "/v3/whoami":
                return Response(200, {"type": "project_api_key"})
            case "GET", "/v1/models":
                return Response(
                    200, [{"id": m, "object": "model", "type": "chat"} for m in self.models]
                )
            case _:
                return Response(404, {"error": {"message": "Not found"}})


class Compatible(Simulator):
    """Any other OpenAI-compatible server; ``refuse`` is what it answers instead of a list."""

    prefix = "compatible"

    def __init__(self, key: str, *models: str) -> None:
        super().__init__()
        self.key, self.rows = key, listing(*(models or ("fast-1",)))["data"]
        self.refuse: Response | None = None
        self.headers: dict[str, str] = {}

    def snapshot(self) -> str:
        return json.dumps(self.rows)

    def answer(self, request: Request) -> Response:
        if self.refuse is not None:
            return self.refuse
        if request.headers.get("authorization") != f"Bearer {self.key}":
            error = {
                "message": "Invalid API Key",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
            return Response(401, {"error": error})
        match request.method, request.path:
            case "GET", "/v1/models":
                return Response(200, {"object": "list", "data": self.rows}, self.headers)
            case "POST", "/v1/chat/completions":
                return Response(200, completion(request.json["model"]))
            case _:
                return Response(404, {"error": {"message": "Not found"}})
