"""Google's API Keys v2 with its long-running operations, Cloud Quotas v1, and Service Usage."""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any

from tests.simulators.google_errors import Refused, check, etag, masked, meets, page, params
from tests.simulators.server import Request, Response

GEMINI = "generativelanguage.googleapis.com"
KEY = {
    "name": str,
    "uid": str,
    "displayName": str,
    "etag": str,
    "createTime": str,
    "updateTime": str,
    "annotations": {str: str},
    "serviceAccountEmail": str,
    "restrictions": {
        "apiTargets": [{"service": str, "methods": [str]}],
        "browserKeyRestrictions": {"allowedReferrers": [str]},
        "serverKeyRestrictions": {"allowedIps": [str]},
        "iosKeyRestrictions": {"allowedBundleIds": [str]},
        "androidKeyRestrictions": {
            "allowedApplications": [{"packageName": str, "sha1Fingerprint": str}]
        },
    },
}
NEW = {n: KEY[n] for n in ("displayName", "annotations", "serviceAccountEmail", "restrictions")}
"""What may be said of a key that is to be made."""

ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INTEGER = (str, int)
PREFERENCE = {
    "name": str,
    "dimensions": {str: str},
    "quotaConfig": {"preferredValue": INTEGER, "annotations": {str: str}},
    "etag": str,
    "service": str,
    "quotaId": str,
    "justification": str,
    "contactEmail": str,
}
CHECKS = {"QUOTA_DECREASE_BELOW_USAGE", "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"}
WHEN = "2026-11-23T09:00:00.123456Z"


class Keys:
    """The API keys of one project. ``strings`` are their values by resource name.

    ``polls`` is how often an operation says that it is not done; ``lag`` how many lists still
    show a key as it was before a change. ``late`` is for how many requests a key is refused that
    was made, ``lingers`` for how many one still works that was deleted. ``accounts`` are the
    service accounts that a key can be bound to.
    """

    def __init__(self, number: str, project: str, most: int, *accounts: str) -> None:
        self.number, self.project, self.most, self.accounts = number, project, most, accounts
        self.late = self.lingers = 0
        self.young: dict[str, int] = {}
        self.old: dict[str, int] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.strings: dict[str, str] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self.polls = self.lag = 0
        self.stale: list[dict[str, Any]] = []
        self.shown_stale = 0

    def add(self, shown: str, value: str, **fields: Any) -> dict[str, Any]:
        """Put a key there as somebody would in the console; return it."""
        uid = f"00000000-0000-4000-8000-{len(self.keys) + 1:012d}"
        name = f"projects/{self.number}/locations/global/keys/{uid}"
        made = {"createTime": "2026-10-01T08:00:00.5Z", "updateTime": "2026-10-01T08:00:00.5Z"}
        self.keys[name] = {"name": name, "uid": uid, "displayName": shown, **made, **fields}
        self.strings[name] = value
        return self.keys[name]

    def named(self, shown: str) -> dict[str, Any]:
        return next(k for k in self.keys.values() if k["displayName"] == shown)

    def answer(self, request: Request, path: str) -> Response:
        self.tick()
        if path.startswith("v2/operations/"):
            params(request)
            return Response(200, self.operation(path.removeprefix("v2/")))
        of_project = path.replace(f"/{self.project}/", f"/{self.number}/")
        parent = f"v2/projects/{self.number}/locations/global/keys"
        if of_project == parent and request.method == "GET":
            params(request, "pageSize", "pageToken", "showDeleted")
            return Response(200, page(request, "keys", self.listed(), self.most))
        if of_project == parent and request.method == "POST":
            return Response(200, self.create(request, parent.removeprefix("v2/")))
        name, _, verb = of_project.removeprefix("v2/").partition("/keyString")
        there = self.keys.get(name)
        if there is None or of_project.endswith("/keyString") != ("/keyString" in of_project):
            raise Refused("PERMISSION_DENIED", "Permission denied on resource or it does not exist")
        del verb
        if of_project.endswith("/keyString") and request.method == "GET":
            params(request)
            return Response(200, {"keyString": self.strings[name]})
        match request.method:
            case "GET":
                params(request)
                return Response(200, {**there, "etag": etag(there)})
            case "PATCH":
                return Response(200, self.patch(request, there))
            case "DELETE":
                return Response(200, self.delete(request, there))
        raise Refused("NOT_FOUND", "Method not found.")

    def works(self, value: str) -> bool:
        """Tell whether a value is a key's, for one request: changes take their time."""
        name = next((n for n, held in self.strings.items() if held == value), "")
        if name not in self.keys:
            return False
        waits = self.old if "deleteTime" in self.keys[name] else self.young
        left = waits.get(name, 0)
        waits[name] = max(left - 1, 0)
        return (left > 0) == ("deleteTime" in self.keys[name])

    def create(self, request: Request, parent: str) -> dict[str, Any]:
        """Make a key of what is said; its value, and its owner, are the server's to say."""
        params(request, "keyId")
        body = request.json
        check(body, NEW)
        uid = f"00000000-0000-4000-8000-{len(self.keys) + 1:012d}"
        id_ = request.one("keyId") or uid
        if id_ != uid and (not ID.fullmatch(id_) or UUID.fullmatch(id_)):
            raise Refused("INVALID_ARGUMENT", "Invalid key_id.")
        name = f"{parent}/{id_}"
        if name in self.keys or any(name == o["key"]["name"] for o in self.operations.values()):
            raise Refused("ALREADY_EXISTS", "Requested entity already exists")
        if len(body.get("displayName", "")) > 63:
            raise Refused("INVALID_ARGUMENT", "display_name must be at most 63 characters.")
        bound = body.get("serviceAccountEmail")
        if bound and bound not in self.accounts:
            raise Refused("NOT_FOUND", f"Service account {bound} does not exist.")
        self.allowed(body.get("restrictions", {}))
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        made = {**body, "name": name, "uid": uid, "createTime": now, "updateTime": now}
        begin = "AQ." + "Ab8RN6" if bound else "AIza" + "Sy"
        value = begin + secrets.token_urlsafe(32 if bound else 24)[: 44 if bound else 33]
        return self.begin(made, value)

    def delete(self, request: Request, there: dict[str, Any]) -> dict[str, Any]:
        """Delete a key for 30 days, in which it can be had back."""
        params(request, "etag", "checkExistingUsage")
        if "deleteTime" in there:
            raise Refused("FAILED_PRECONDITION", "The key is deleted already.")
        meets(there, {"etag": request.one("etag")})
        return self.begin({**there, "deleteTime": WHEN, "updateTime": WHEN})

    def begin(self, key: dict[str, Any], value: str = "") -> dict[str, Any]:
        """Start an operation that leaves a key like this."""
        name = f"operations/akmf.p7-{self.number}-{len(self.operations) + 1:04d}"
        self.operations[name] = {"ticks": 0, "key": key, "value": value, "done": False}
        return {"name": name}

    def listed(self) -> list[dict[str, Any]]:
        if self.shown_stale > 0:
            self.shown_stale -= 1
            return self.stale
        return [key for key in self.keys.values() if "deleteTime" not in key]

    def patch(self, request: Request, there: dict[str, Any]) -> dict[str, Any]:
        params(request, "updateMask", "checkExistingUsage")
        body = request.json
        check(body, KEY)
        meets(there, body)
        mask = set((request.one("updateMask") or "restrictions").split(","))
        if not mask <= {"displayName", "restrictions", "annotations"}:
            raise Refused("INVALID_ARGUMENT", "The update mask has a field that is not mutable.")
        new = masked(request, there, body)
        self.allowed(new.get("restrictions", {}))
        new = {k: v for k, v in new.items() if v != {}}
        new["updateTime"] = WHEN
        return self.begin(new)

    @staticmethod
    def allowed(restrictions: dict[str, Any]) -> None:
        if len(restrictions.keys() - {"apiTargets"}) > 1:
            raise Refused("INVALID_ARGUMENT", "client_restrictions is a oneof.")
        for address in restrictions.get("serverKeyRestrictions", {}).get("allowedIps", ()):
            try:
                ipaddress.ip_network(address, strict=False)
            except ValueError:
                raise Refused("INVALID_ARGUMENT", "Invalid IP address.") from None

    def tick(self) -> None:
        """Let time go on: every request brings open operations nearer to their end."""
        for operation in self.operations.values():
            operation["ticks"] += 1
            if not operation["done"] and operation["ticks"] > self.polls:
                self.stale = json.loads(json.dumps(list(self.keys.values())))
                self.shown_stale = self.lag
                operation["done"] = True
                name = operation["key"]["name"]
                self.keys[name] = operation["key"]
                if operation["value"]:
                    self.strings[name], self.young[name] = operation["value"], self.late
                if "deleteTime" in operation["key"]:
                    self.old[name] = self.lingers

    def operation(self, name: str) -> dict[str, Any]:
        found = self.operations.get(name)
        if found is None:
            raise Refused("NOT_FOUND", "Operation not found.")
        if "error" in found and found["done"]:
            return {"name": name, "done": True, "error": found["error"]}
        if not found["done"]:
            return {"name": name}
        kind = "type.googleapis.com/google.api.apikeys.v2.Key"
        return {"name": name, "done": True, "response": {"@type": kind, **found["key"]}}


class Quotas:
    """The Gemini API's quotas in one project, and what is preferred of them."""

    def __init__(self, number: str, project: str, most: int) -> None:
        self.number, self.project, self.most = number, project, most
        per_model = "GenerateRequestsPerMinutePerProjectPerModel"
        self.effective: dict[str, list[tuple[dict[str, str], int]]] = {
            per_model: [({"model": "gemini-2.5-pro"}, 1000), ({}, 2000)],
            "GenerateRequestsPerDayPerProjectPerModel": [({}, 50000)],
            "BatchRequestsPerProject": [({}, 100)],
        }
        self.usage = 10
        self.preferences: dict[str, dict[str, Any]] = {}

    def value(self, quota: str, dimensions: dict[str, str]) -> int:
        """Return what is in effect for dimensions."""
        rows = [r for r in self.effective[quota] if r[0].items() <= dimensions.items()]
        return max(rows, key=lambda row: len(row[0]))[1]

    def prefer(self, quota: str, value: int, **dimensions: str) -> dict[str, Any]:
        """Put a preference there as somebody would in the console; return it."""
        body = {"service": GEMINI, "quotaId": quota, "quotaConfig": {"preferredValue": str(value)}}
        return self.create({**body, "dimensions": dimensions}, CHECKS)

    def approve(self) -> None:
        """Let Google grant all that was asked for."""
        for one in self.preferences.values():
            if one.pop("reconciling", False):
                self.grant(one)

    def answer(self, request: Request, path: str) -> Response:
        path = path.replace(f"projects/{self.project}/", f"projects/{self.number}/")
        parent = f"v1/projects/{self.number}/locations/global"
        ignored = set(request.query.get("ignoreSafetyChecks", ()))
        if not ignored <= CHECKS:
            raise Refused("INVALID_ARGUMENT", "Invalid value at 'ignore_safety_checks'")
        if path == f"{parent}/services/{GEMINI}/quotaInfos" and request.method == "GET":
            params(request, "pageSize", "pageToken")
            return Response(200, page(request, "quotaInfos", self.infos(parent), self.most))
        if path == f"{parent}/quotaPreferences" and request.method == "GET":
            params(request, "pageSize", "pageToken", "filter", "orderBy")
            found = [*self.preferences.values()]
            return Response(200, page(request, "quotaPreferences", found, self.most))
        if path == f"{parent}/quotaPreferences" and request.method == "POST":
            params(request, "quotaPreferenceId", "ignoreSafetyChecks")
            made = self.create(request.json, ignored)
            return Response(200, {**made, "etag": etag(made)})
        there = self.preferences.get(path.removeprefix("v1/"))
        if there is None or request.method not in ("GET", "PATCH"):
            raise Refused("NOT_FOUND", "Resource not found.")
        if request.method == "PATCH":
            params(request, "updateMask", "allowMissing", "validateOnly", "ignoreSafetyChecks")
            there = self.patch(request, there, ignored)
        return Response(200, {**there, "etag": etag(there)})

    def infos(self, parent: str) -> list[dict[str, Any]]:
        return [
            {
                "name": f"{parent.removeprefix('v1/')}/services/{GEMINI}/quotaInfos/{quota}",
                "quotaId": quota,
                "service": GEMINI,
                "containerType": "PROJECT",
                **({"dimensions": ["model"]} if "PerModel" in quota else {}),
                "dimensionsInfos": [
                    {
                        **({"dimensions": dims} if dims else {}),
                        "details": {"value": str(value)},
                        "applicableLocations": ["global"],
                    }
                    for dims, value in rows
                ],
            }
            for quota, rows in self.effective.items()
        ]

    def create(self, body: dict[str, Any], ignored: set[str]) -> dict[str, Any]:
        check(body, PREFERENCE)
        if not {"service", "quotaId", "quotaConfig"} <= set(body) or body["service"] != GEMINI:
            raise Refused("INVALID_ARGUMENT", "Required field is missing.")
        quota, dimensions = body["quotaId"], body.get("dimensions", {})
        if quota not in self.effective or (dimensions and "PerModel" not in quota):
            raise Refused("NOT_FOUND", "Quota not found.")
        for one in self.preferences.values():
            if (one["quotaId"], one.get("dimensions", {})) == (quota, dimensions):
                raise Refused("ALREADY_EXISTS", "A preference for this quota exists already.")
        name = f"projects/{self.number}/locations/global/quotaPreferences"
        kept = {k: v for k, v in body.items() if v and k not in ("contactEmail", "etag", "name")}
        kept = {**kept, "name": f"{name}/pref-{len(self.preferences) + 1}", "createTime": WHEN}
        return self.settle(kept, ignored)

    def patch(self, request: Request, there: dict[str, Any], ignored: set[str]) -> dict[str, Any]:
        body = request.json
        check(body, PREFERENCE)
        meets(there, body)
        for name in ("service", "quotaId", "dimensions"):
            if name in body and body[name] != there.get(name):
                raise Refused("INVALID_ARGUMENT", f"{name} is immutable.")
        new = masked(request, there, body)
        new.pop("contactEmail", None)
        return self.settle(new, ignored)

    def settle(self, one: dict[str, Any], ignored: set[str]) -> dict[str, Any]:
        wanted = int(one["quotaConfig"]["preferredValue"])
        now = self.value(one["quotaId"], one.get("dimensions", {}))
        if wanted < -1:
            raise Refused("INVALID_ARGUMENT", "preferred_value must be at least -1.")
        if 0 <= wanted < now * 0.9 and "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH" not in ignored:
            raise Refused("FAILED_PRECONDITION", "The decrease is more than 10 percent.")
        if 0 <= wanted < self.usage and "QUOTA_DECREASE_BELOW_USAGE" not in ignored:
            raise Refused("FAILED_PRECONDITION", "The decrease is below the usage.")
        one["quotaConfig"]["preferredValue"] = str(wanted)
        one["quotaConfig"]["grantedValue"] = str(now)
        one["updateTime"] = WHEN
        self.preferences[one["name"]] = one
        top = {"GenerateRequestsPerDayPerProjectPerModel": 50000}.get(one["quotaId"], 2000)
        if 0 <= wanted <= top:
            self.grant(one)
        else:
            one["reconciling"] = True
        return one

    def grant(self, one: dict[str, Any]) -> None:
        wanted, dims = int(one["quotaConfig"]["preferredValue"]), one.get("dimensions", {})
        one["quotaConfig"]["grantedValue"] = str(wanted)
        rows = [row for row in self.effective[one["quotaId"]] if row[0] != dims]
        rows.append((dims, wanted))
        self.effective[one["quotaId"]] = sorted(rows, key=lambda row: -len(row[0]))
