"""Azure as documented in 2026: sign-in, Resource Manager, budgets, cost, and the data plane.

Below one prefix: `/{tenant}/oauth2/...` (Microsoft Entra ID), `/subscriptions/...` (Azure Resource
Manager, Microsoft.CognitiveServices 2025-09-01, Microsoft.Consumption 2026-06-01,
Microsoft.CostManagement 2025-03-01) and `/openai/...` (an Azure OpenAI resource).
"""

from __future__ import annotations

import copy
import ipaddress
import json
import re
import secrets
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode

from tests.simulators.server import Request, Response, Simulator

VERSIONS = {
    "Microsoft.CognitiveServices": {"2024-10-01", "2025-06-01", "2025-09-01"},
    "Microsoft.Consumption": {"2023-11-01", "2024-08-01", "2026-06-01"},
    "Microsoft.CostManagement": {"2023-11-01", "2024-08-01", "2025-03-01"},
}
DATED = {"2024-06-01", "2024-10-21", "2025-04-01-preview"}
SKUS = {"Standard", "GlobalStandard", "DataZoneStandard", "ProvisionedManaged", "GlobalBatch"}
UPGRADES = {"NoAutoUpgrade", "OnceCurrentVersionExpired", "OnceNewDefaultVersionAvailable"}
PROPERTIES = {
    *("model", "raiPolicyName", "versionUpgradeOption", "capacitySettings", "parentDeploymentName"),
    *("spilloverDeploymentName", "serviceTier", "deploymentState", "routing"),
}
BUDGET = {"category", "amount", "timeGrain", "timePeriod", "filter", "notifications"}
NOTIFICATION = {
    *("enabled", "operator", "threshold", "thresholdType", "locale"),
    *("contactEmails", "contactGroups", "contactRoles"),
}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
READING = ("/oauth2/v2.0/token", "/listKeys", "/Microsoft.CostManagement/query")

MODELS = [
    ("gpt-4o", "2024-08-06", "2026-03-31", "2099-10-01"),
    ("gpt-4o", "2024-11-20", "2026-03-31", "2099-10-01"),
    ("gpt-4o-mini", "2024-07-18", "2026-03-31", "2099-10-01"),
    ("gpt-35-turbo", "0125", "2025-01-01", "2025-11-11"),
]
"""Name, version, end of fine-tuning, retirement; the last of a name is its default version."""


class Refused(Exception):
    """An error in the shape of all of Azure's APIs."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(code)
        body = {"error": {"code": code, "message": message}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = Response(status, body, named)


class Azure(Simulator):
    """One tenant, one subscription, one resource group, one account.

    ``polls`` is how often a long-running operation says that it goes on; ``lag`` is for how many
    reads a list still shows what stood before a write. ``late`` is for how many requests a key is
    refused that is made anew. ``rights`` are what the application may do; ``caller`` is the address
    that requests to the data plane come from.
    """

    prefix = "azure"

    def __init__(
        self,
        key: str = "0a1b" * 8,
        client_secret: str = "x7c8Q~" + "s3" * 17,
        *,
        tenant: str = "acme.onmicrosoft.com",
        client_id: str = "11111111-2222-3333-4444-555555555555",
        subscription: str = "00000000-1111-2222-3333-444444444444",
        group: str = "acme-rg",
        account: str = "acme-openai",
        endpoint: str = "https://acme.openai.azure.com/",
    ) -> None:
        super().__init__()
        self.keys = {"key1": key, "key2": "9f8e" * 8}
        self.client_secret, self.tenant, self.client_id = client_secret, tenant, client_id
        self.subscription, self.group_name = subscription, group
        self.group = f"/subscriptions/{subscription}/resourceGroups/{group}"
        self.id = f"{self.group}/providers/Microsoft.CognitiveServices/accounts/{account}"
        self.account: dict[str, Any] = {
            "id": self.id,
            "name": account,
            "type": "Microsoft.CognitiveServices/accounts",
            "kind": "OpenAI",
            "etag": '"1"',
            "location": "swedencentral",
            "sku": {"name": "S0"},
            "tags": {"cost-centre": "42"},
            "properties": {
                "endpoint": endpoint,
                "customSubDomainName": "acme",
                "provisioningState": "Succeeded",
                "publicNetworkAccess": "Enabled",
                "disableLocalAuth": False,
            },
        }
        self.deployments: dict[str, dict[str, Any]] = {}
        self.budgets: dict[str, dict[str, dict[str, Any]]] = {
            f"/subscriptions/{subscription}": {},
            self.group: {},
        }
        self.endpoints: list[dict[str, Any]] = []
        self.currency: str | None = "USD"
        self.cost: float | None = 12.34
        self.bill: list[tuple[date, str, float]] = []
        self.rows = 5000
        self.capacity = 1000
        self.polls, self.lag, self.page, self.late = 0, 0, 2, 0
        self.young: dict[str, int] = {}
        self.rights = {
            *("account", "keys", "deployments", "models", "endpoints"),
            *("budgets", "subscription-budgets", "cost"),
        }
        self.caller = "203.0.113.50"
        self.operations: dict[str, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.numbers = count(1)
        self.stale: tuple[int, dict[str, Any]] = (0, {})

    def snapshot(self) -> str:
        seen = [self.account, self.deployments, self.budgets, self.keys, self.endpoints]
        return json.dumps(seen, sort_keys=True)

    def writes(self) -> list[Request]:
        return [r for r in super().writes() if not r.path.endswith(READING)]

    def add_deployment(self, name: str, model: str = "gpt-4o", **more: Any) -> None:
        """Make a deployment as somebody else would, by hand."""
        version = more.pop("version", None) or default_version(model)
        self.deployments[name] = {
            "id": f"{self.id}/deployments/{name}",
            "name": name,
            "type": "Microsoft.CognitiveServices/accounts/deployments",
            "etag": f'"{next(self.numbers)}"',
            "sku": {"name": more.pop("sku", "Standard"), "capacity": more.pop("capacity", 10)},
            "properties": {
                "model": {"format": "OpenAI", "name": model, "version": version},
                "versionUpgradeOption": "OnceNewDefaultVersionAvailable",
                "raiPolicyName": "Microsoft.DefaultV2",
                "provisioningState": more.pop("state", "Succeeded"),
                "capabilities": {"chatCompletion": "true"},
                "rateLimits": [{"key": "request", "renewalPeriod": 60, "count": 60}],
                **more,
            },
        }

    def add_budget(self, name: str, amount: float, scope: str | None = None, **more: Any) -> None:
        """Make a budget as somebody else would, by hand."""
        properties = {
            "category": "Cost",
            "amount": amount,
            "timeGrain": "Monthly",
            "timePeriod": {
                "startDate": "2025-01-01T00:00:00Z",
                "endDate": "2035-01-01T00:00:00Z",
            },
            **more,
        }
        scope = scope or self.group
        self.budgets[scope][name] = self.budget(scope, name, properties)

    def budget(self, scope: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
        spend = {} if self.currency is None else {"amount": 80.89, "unit": self.currency}
        return {
            "id": f"{scope.lstrip('/')}/providers/Microsoft.Consumption/budgets/{name}",
            "name": name,
            "type": "Microsoft.Consumption/budgets",
            "eTag": f'"1d34d{next(self.numbers)}"',
            "properties": {**properties, **({"currentSpend": spend} if spend else {})},
        }

    def answer(self, request: Request) -> Response:
        try:
            if request.path.startswith("/openai/"):
                return self.data_plane(request)
            if request.path.endswith("/oauth2/v2.0/token"):
                return self.sign_in(request)
            return self.manage(request)
        except Refused as refused:
            return refused.response

    # Microsoft Entra ID

    def sign_in(self, request: Request) -> Response:
        kind = request.headers.get("content-type")
        if request.method != "POST" or kind != "application/x-www-form-urlencoded":
            return login_error(400, "invalid_request", 900144)
        given = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.path != f"/{self.tenant}/oauth2/v2.0/token":
            return login_error(400, "invalid_request", 90002)
        if given.get("grant_type") != "client_credentials":
            return login_error(400, "unsupported_grant_type", 70003)
        if given.get("client_id") != self.client_id:
            return login_error(400, "unauthorized_client", 700016)
        if given.get("client_secret") != self.client_secret:
            return login_error(401, "invalid_client", 7000215)
        if not given.get("scope", "").endswith("/.default"):
            return login_error(400, "invalid_scope", 70011)
        token = f"token-{next(self.numbers)}." + "t0" * 20
        self.tokens.add(token)
        return Response(
            200,
            {
                "token_type": "Bearer",
                "expires_in": 3599,
                "ext_expires_in": 3599,
                "access_token": token,
            },
        )

    # The data plane

    def data_plane(self, request: Request) -> Response:
        properties = self.account["properties"]
        if (properties.get("publicNetworkAccess") or "Enabled") == "Disabled":
            words = "Public access is disabled. Please configure private endpoint."
            raise Refused(403, "403", words)
        if not self.let_in(properties.get("networkAcls")):
            raise Refused(403, "403", "Access denied due to Virtual Network/Firewall rules.")
        if not self.knows(request.headers.get("api-key", "")):
            words = "Access denied due to invalid subscription key or wrong API endpoint."
            raise Refused(401, "401", words)
        if properties.get("disableLocalAuth"):
            words = "Key based authentication is disabled for this resource."
            raise Refused(403, "AuthenticationTypeDisabled", words)
        version, parts = request.one("api-version"), request.path.strip("/").split("/")
        if parts[1] == "v1":
            if version not in (None, "preview", "v1"):
                raise Refused(400, "BadRequest", "API version not supported")
        elif version not in DATED:
            raise Refused(404, "404", "Resource not found")
        match request.method, parts[1:]:
            case "GET", ["v1", "models"] | ["models"]:
                return Response(200, {"object": "list", "data": self.offered()})
            case "POST", ["v1", "chat", "completions"]:
                return self.complete(request.json.get("model"), request.json)
            case "POST", ["deployments", name, "chat", "completions"]:
                return self.complete(name, request.json)
        raise Refused(404, "404", "Resource not found")

    def knows(self, key: str) -> bool:
        """Tell whether a key is one of the two, and made long enough ago."""
        young = self.young.get(key, 0)
        self.young[key] = max(young - 1, 0)
        return key in self.keys.values() and young == 0

    def let_in(self, acls: dict[str, Any] | None) -> bool:
        if not acls or acls.get("defaultAction") != "Deny":
            return True
        networks = [ipaddress.ip_network(rule["value"]) for rule in acls.get("ipRules", [])]
        return any(ipaddress.ip_address(self.caller) in network for network in networks)

    def offered(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"{name}-{version}",
                "object": "model",
                "status": "succeeded",
                "created_at": 1722816000,
                "lifecycle_status": "generally-available",
                "capabilities": {"inference": True, "chat_completion": True},
                "deprecation": {"inference": seconds(retires), "fine_tune": seconds(tuning)},
            }
            for name, version, tuning, retires in MODELS
        ]

    def complete(self, name: str | None, body: dict[str, Any]) -> Response:
        known = {each.lower(): each for each in self.deployments}
        if (name or "").lower() not in known:
            words = "The API deployment for this resource does not exist."
            raise Refused(404, "DeploymentNotFound", words)
        if not body.get("messages") or not body.keys() <= {
            *("messages", "model", "max_tokens", "max_completion_tokens"),
        }:
            raise Refused(400, "invalid_request_error", "Unrecognized request argument supplied")
        model = self.deployments[known[(name or "").lower()]]["properties"]["model"]
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": f"{model['name']}-{model['version']}",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}}],
        }
        limits = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "9984"}
        return Response(200, answer, limits)

    # Azure Resource Manager

    def manage(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")
        version = request.one("api-version")
        if version is None:
            raise Refused(400, "MissingApiVersionParameter", "The api-version is required.")
        place = re.fullmatch(
            r"(/subscriptions/([^/]+)(?:/resourceGroups/([^/]+))?)/providers/([^/]+)/(.+)",
            request.path,
            re.IGNORECASE,
        )
        if place is None:
            raise Refused(404, "InvalidResourceType", "The resource type could not be found.")
        scope, subscription, group, provider, rest = place.groups()
        if subscription != self.subscription:
            raise Refused(404, "SubscriptionNotFound", "The subscription could not be found.")
        if group is not None and group.lower() != self.group_name.lower():
            raise Refused(404, "ResourceGroupNotFound", "Resource group could not be found.")
        if provider not in VERSIONS:
            raise Refused(409, "MissingSubscriptionRegistration", "Not registered.")
        if version not in VERSIONS[provider]:
            raise Refused(400, "NoRegisteredProviderFound", "No registered provider for it.")
        scope = f"/subscriptions/{subscription}" if group is None else self.group
        match provider:
            case "Microsoft.Consumption":
                return self.consumption(request, scope, rest.split("/"))
            case "Microsoft.CostManagement":
                return self.query(request, scope, rest)
        return self.cognitive(request, rest.split("/"))

    def allow(self, right: str) -> None:
        if right not in self.rights:
            words = "The client does not have authorization to perform action over scope."
            raise Refused(403, "AuthorizationFailed", words)

    def paged(self, request: Request, rows: list[dict[str, Any]]) -> Response:
        start = int(request.one("$skiptoken") or 0)
        body: dict[str, Any] = {"value": rows[start : start + self.page]}
        if start + self.page < len(rows):
            query = {"api-version": request.one("api-version"), "$skiptoken": start + self.page}
            body["nextLink"] = f"{self.url(request, request.path)}?{urlencode(query)}"
        return Response(200, body)

    def url(self, request: Request, path: str) -> str:
        return f"http://{request.headers['host']}/{self.prefix}{path}"

    def cognitive(self, request: Request, parts: list[str]) -> Response:
        if parts[0] == "locations":
            return self.operation(parts[-1])
        if parts[0] != "accounts" or parts[1].lower() != self.account["name"].lower():
            raise Refused(404, "ResourceNotFound", "The Resource was not found.")
        match request.method, parts[2:]:
            case "GET", []:
                self.allow("account")
                return Response(200, self.account)
            case "PATCH", []:
                self.allow("account")
                return self.patch_account(request)
            case "POST", ["listKeys"]:
                self.allow("keys")
                self.must_take_keys("list")
                return Response(200, dict(self.keys))
            case "POST", ["regenerateKey"]:
                self.allow("keys")
                return self.regenerate(request)
            case "GET", ["models"]:
                self.allow("models")
                return self.paged(request, self.catalogue())
            case "GET", ["privateEndpointConnections"]:
                self.allow("endpoints")
                return Response(200, {"value": self.endpoints})
            case "GET", ["deployments"]:
                self.allow("deployments")
                return self.paged(request, list(self.listed().values()))
            case method, ["deployments", name]:
                self.allow("deployments")
                return self.deployment(request, method, name)
        raise Refused(404, "InvalidResourceType", "The resource type could not be found.")

    def catalogue(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "version": version,
                "format": "OpenAI",
                "lifecycleStatus": "GenerallyAvailable",
                "deprecation": {
                    "fineTune": f"{tuning}T00:00:00Z",
                    "inference": f"{retires}T00:00:00Z",
                },
            }
            for name, version, tuning, retires in MODELS
        ]

    def must_take_keys(self, verb: str) -> None:
        """Refuse what is about keys where they are switched off (its words: seen since 2023)."""
        if self.account["properties"].get("disableLocalAuth"):
            words = f"Failed to {verb} key. disableLocalAuth is set to be true"
            raise Refused(400, "BadRequest", words)

    def regenerate(self, request: Request) -> Response:
        """Make one slot's value anew; the old one is dead at once, the other slot is as it was."""
        body = request.json
        if not isinstance(body, dict) or body.keys() != {"keyName"}:
            raise Refused(400, "InvalidRequestContent", "Could not find member on object.")
        slot = {"Key1": "key1", "Key2": "key2"}.get(body["keyName"])
        if slot is None:
            raise Refused(400, "InvalidKeyName", "keyName must be Key1 or Key2.")
        self.must_take_keys("regenerate")
        self.idle()
        self.keys[slot] = secrets.token_hex(16)
        self.young[self.keys[slot]] = self.late
        return Response(200, dict(self.keys))

    def patch_account(self, request: Request) -> Response:
        body = request.json or {}
        properties = body.get("properties", {})
        known = {"publicNetworkAccess", "networkAcls", "disableLocalAuth"}
        if body.keys() - {"properties", "tags", "sku"} or properties.keys() - known:
            raise Refused(400, "InvalidRequestContent", "Could not find member on object.")
        if properties.get("publicNetworkAccess", "Enabled") not in ("Enabled", "Disabled"):
            raise Refused(400, "InvalidPublicNetworkAccess", "Not a value of it.")
        acls = properties.get("networkAcls")
        if acls is not None:
            self.check_acls(acls)
        self.idle()
        self.account["properties"].update(properties)
        self.account.update({n: body[n] for n in ("tags", "sku") if n in body})
        return Response(200, self.account)

    def check_acls(self, acls: dict[str, Any]) -> None:
        if acls.keys() - {"defaultAction", "ipRules", "virtualNetworkRules", "bypass"}:
            raise Refused(400, "InvalidRequestContent", "Could not find member on object.")
        if acls.get("defaultAction") not in ("Allow", "Deny"):
            raise Refused(400, "NetworkAclsInvalid", "defaultAction must be Allow or Deny.")
        for rule in acls.get("ipRules", []):
            try:
                network = ipaddress.IPv4Network(rule["value"])
            except ValueError:
                raise Refused(400, "NetworkAclsInvalid", "IP is not valid.") from None
            if rule.keys() != {"value"}:
                raise Refused(400, "InvalidRequestContent", "Could not find member on object.")
            rule["value"] = str(network).removesuffix("/32")

    def listed(self) -> dict[str, dict[str, Any]]:
        left, before = self.stale
        if left > 0:
            self.stale = (left - 1, before)
            return before
        return self.deployments

    def idle(self) -> None:
        """Refuse while an operation on the account goes on, as Cognitive Services does."""
        if any(operation["left"] > 0 for operation in self.operations.values()):
            words = "Another operation is being performed on the parent resource."
            raise Refused(409, "RequestConflict", words)

    def deployment(self, request: Request, method: str, name: str) -> Response:
        mine = next((n for n in self.deployments if n.lower() == name.lower()), None)
        if method == "GET":
            if mine is None:
                raise Refused(404, "ResourceNotFound", "The Resource was not found.")
            self.tick(mine)
            return Response(200, self.deployments[mine])
        self.idle()
        before = copy.deepcopy(self.deployments)
        match method:
            case "PUT":
                answer = self.put_deployment(request, mine or name, new=mine is None)
            case "PATCH" if mine is not None:
                answer = self.patch_deployment(request, mine)
            case "DELETE" if mine is None:
                return Response(204)
            case "DELETE":
                answer = self.begin(request, str(mine), Response(202), gone=True)
            case _:
                raise Refused(404, "ResourceNotFound", "The Resource was not found.")
        self.stale = (self.lag, before)
        return answer

    def put_deployment(self, request: Request, name: str, *, new: bool) -> Response:
        body = request.json or {}
        properties, sku = body.get("properties", {}), body.get("sku", {})
        if body.keys() - {"properties", "sku", "tags"} or properties.keys() - PROPERTIES:
            raise Refused(400, "InvalidRequestContent", "Could not find member on object.")
        model = properties.get("model", {})
        if model.keys() - {"name", "version", "format", "publisher", "source"}:
            raise Refused(400, "InvalidRequestContent", "Could not find member on object.")
        version = model.get("version") or default_version(str(model.get("name")))
        if (model.get("name"), version) not in {(m[0], m[1]) for m in MODELS}:
            raise Refused(400, "DeploymentModelNotSupported", "The model is not supported.")
        if model.get("format") != "OpenAI":
            raise Refused(400, "InvalidResourceProperties", "The format is not supported.")
        if properties.get("versionUpgradeOption", "NoAutoUpgrade") not in UPGRADES:
            raise Refused(400, "InvalidResourceProperties", "versionUpgradeOption is invalid.")
        self.check_sku(name, sku)
        old = {} if new else self.deployments[name]
        self.add_deployment(name, model["name"], version=version)
        made = self.deployments[name]
        made["properties"] |= {n: v for n, v in properties.items() if n != "model"}
        made["sku"] = {"capacity": 1, **sku}
        made["tags"] = body.get("tags", old.get("tags", {}))
        return self.begin(request, name, Response(201 if new else 200))

    def patch_deployment(self, request: Request, name: str) -> Response:
        body = request.json or {}
        if body.keys() - {"sku", "tags"}:
            raise Refused(400, "InvalidRequestContent", "Could not find member on object.")
        made = self.deployments[name]
        self.check_sku(name, {**made["sku"], **body.get("sku", {})})
        made["sku"] = {**made["sku"], **body.get("sku", {})}
        made["tags"] = body.get("tags", made.get("tags", {}))
        return self.begin(request, name, Response(200))

    def check_sku(self, name: str, sku: dict[str, Any]) -> None:
        capacity = sku.get("capacity", 1)
        if sku.get("name") not in SKUS or sku.keys() - {"name", "capacity", "tier"}:
            raise Refused(400, "InvalidResourceProperties", "The sku is not supported.")
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
            raise Refused(400, "InvalidCapacity", "The capacity should be at least 1.")
        others = [d["sku"]["capacity"] for n, d in self.deployments.items() if n != name]
        if sum(others) + capacity > self.capacity:
            raise Refused(400, "InsufficientQuota", "This operation requires more new capacity.")

    def begin(
        self, request: Request, name: str, answer: Response, *, gone: bool = False
    ) -> Response:
        """Start a long-running operation, or finish it at once where ``polls`` is 0."""
        made = self.deployments[name]
        number = f"op{next(self.numbers)}"
        self.operations[number] = {"left": self.polls, "name": name, "gone": gone}
        if self.polls == 0:
            self.finish(number)
            return Response(204) if gone else Response(answer.status, made)
        made["properties"]["provisioningState"] = "Deleting" if gone else "Accepted"
        version = urlencode({"api-version": request.one("api-version")})
        place = (
            f"/subscriptions/{self.subscription}/providers/Microsoft.CognitiveServices/locations"
        )
        url = f"{self.url(request, place)}/swedencentral/operationResults/{number}?{version}"
        header = "location" if gone else "azure-asyncoperation"
        return Response(answer.status, None if gone else copy.deepcopy(made), {header: url})

    def finish(self, number: str) -> None:
        operation = self.operations[number]
        if operation["gone"]:
            self.deployments.pop(operation["name"], None)
        else:
            made = self.deployments[operation["name"]]
            made["properties"]["provisioningState"] = "Succeeded"

    def tick(self, name: str) -> None:
        for number, operation in self.operations.items():
            if operation["name"] == name and operation["left"] > 0:
                operation["left"] -= 1
                if operation["left"] == 0:
                    self.finish(number)

    def operation(self, number: str) -> Response:
        if number not in self.operations:
            raise Refused(404, "ResourceNotFound", "The operation was not found.")
        operation = self.operations[number]
        self.tick(operation["name"])
        going = operation["left"] > 0
        if operation["gone"]:
            return Response(202 if going else 204)
        return Response(200, {"id": number, "status": "InProgress" if going else "Succeeded"})

    # Budgets and cost

    def consumption(self, request: Request, scope: str, parts: list[str]) -> Response:
        self.allow("budgets" if scope == self.group else "subscription-budgets")
        held = self.budgets[scope]
        match request.method, parts:
            case "GET", ["budgets"]:
                return self.paged(request, list(held.values()))
            case "GET", ["budgets", name] if name in held:
                return Response(200, held[name])
            case "PUT", ["budgets", name]:
                status = 200 if name in held else 201
                held[name] = self.put_budget(scope, name, request.json or {}, held.get(name))
                return Response(status, held[name])
            case "DELETE", ["budgets", name] if name in held:
                del held[name]
                return Response(200)
        raise Refused(404, "404", "Budget not found.")

    def put_budget(
        self, scope: str, name: str, body: dict[str, Any], old: dict[str, Any] | None
    ) -> dict[str, Any]:
        properties = body.get("properties", {})
        if body.keys() - {"eTag", "properties"} or properties.keys() - BUDGET:
            raise Refused(400, "400", "Invalid budget: unknown member.")
        if old is not None and body.get("eTag") != old["eTag"]:
            raise Refused(409, "409", "The eTag does not match the latest version.")
        amount = properties.get("amount")
        if not isinstance(amount, int | float) or isinstance(amount, bool) or amount <= 0:
            raise Refused(400, "400", "Invalid budget amount.")
        start = properties.get("timePeriod", {}).get("startDate", "")
        if not re.fullmatch(r"\d{4}-\d{2}-01T00:00:00Z", start):
            raise Refused(400, "400", "Start date must be the first of a month.")
        if old is None and start[:7] < f"{datetime.now(UTC):%Y-%m}":
            raise Refused(400, "400", "Start date must be within the current time grain.")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name):
            raise Refused(400, "400", "Invalid budget name.")
        grains = ("Monthly", "Quarterly", "Annually")
        if properties.get("category") != "Cost" or properties.get("timeGrain") not in grains:
            raise Refused(400, "400", "Invalid category or time grain.")
        notifications = properties.get("notifications", {})
        if len(notifications) > 5:
            raise Refused(400, "400", "At most five notifications.")
        for notification in notifications.values():
            check_notification(notification)
        properties["timePeriod"].setdefault("endDate", f"{int(start[:4]) + 10}{start[4:]}")
        return self.budget(scope, name, properties)

    def query(self, request: Request, scope: str, rest: str) -> Response:
        self.allow("cost")
        body = request.json or {}
        if rest != "query" or request.method != "POST":
            raise Refused(404, "404", "Resource not found.")
        data = body.get("dataset", {})
        if (
            body.get("type") not in ("ActualCost", "AmortizedCost", "Usage")
            or body.get("timeframe") not in ("MonthToDate", "BillingMonthToDate", "Custom")
            or data.get("granularity") not in ("None", "Daily", "Monthly")
            or not all(a.keys() == {"name", "function"} for a in data["aggregation"].values())
        ):
            raise Refused(400, "BadRequest", "Invalid query definition.")
        for each in data.get("grouping", ()):
            if each.keys() != {"type", "name"} or each["type"] not in ("Dimension", "TagKey"):
                raise Refused(400, "BadRequest", "Invalid query definition.")
        daily = data["granularity"] == "Daily"
        grouped = [each["name"] for each in data.get("grouping", ())]
        columns = [
            {"name": "Cost", "type": "Number"},
            *([{"name": "UsageDate", "type": "Number"}] if daily else []),
            *({"name": name, "type": "String"} for name in grouped),
            {"name": "Currency", "type": "String"},
        ]
        today = datetime.now(UTC).date()
        plain = [] if self.cost is None else [(today, "gpt 4o Inp glbl Tokens", self.cost)]
        rows = [
            [cost, *([int(f"{day:%Y%m%d}")] if daily else []), *([meter] * len(grouped)), unit]
            for day, meter, cost in self.bill or plain
            for unit in (self.currency,)
        ]
        start = int(request.one("$skiptoken") or 0)
        onward = None
        if start + self.rows < len(rows):
            more = {"api-version": request.one("api-version"), "$skiptoken": start + self.rows}
            onward = f"{self.url(request, request.path)}?{urlencode(more)}"
        rows = rows[start : start + self.rows]
        return Response(
            200,
            {
                "id": f"{scope}/providers/Microsoft.CostManagement/query/1",
                "name": "1",
                "type": "Microsoft.CostManagement/query",
                "properties": {"nextLink": onward, "columns": columns, "rows": rows},
            },
        )


def check_notification(notification: dict[str, Any]) -> None:
    if notification.keys() - NOTIFICATION:
        raise Refused(400, "400", "Invalid notification: unknown member.")
    if not {"enabled", "operator", "threshold", "contactEmails"} <= notification.keys():
        raise Refused(400, "400", "Invalid notification: a member is missing.")
    if notification["operator"] not in ("EqualTo", "GreaterThan", "GreaterThanOrEqualTo"):
        raise Refused(400, "400", "Invalid operator.")
    if not 0 < notification["threshold"] <= 1000:
        raise Refused(400, "400", "Threshold must be between 0 and 1000.")
    emails = notification["contactEmails"]
    if len(emails) > 50 or not all(EMAIL.fullmatch(email) for email in emails):
        raise Refused(400, "400", "Invalid contact emails.")
    if not emails and not notification.get("contactGroups"):
        raise Refused(400, "400", "At least one contact email or contact group is needed.")
    if notification.get("thresholdType", "Actual") not in ("Actual", "Forecasted"):
        raise Refused(400, "400", "Invalid thresholdType.")


def login_error(status: int, error: str, number: int) -> Response:
    said = f"AADSTS{number}: the sign-in failed."
    return Response(status, {"error": error, "error_description": said, "error_codes": [number]})


def default_version(model: str) -> str | None:
    return next((m[1] for m in reversed(MODELS) if m[0] == model), None)


def seconds(date: str) -> int:
    return int(datetime.fromisoformat(f"{date}T00:00:00+00:00").timestamp())
