"""Google as a team sees it: the Gemini API, OAuth 2.0 for service accounts, and the Cloud APIs."""

from __future__ import annotations

import base64
import functools
import ipaddress
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.simulators.google_billing import Billing
from tests.simulators.google_cloud import GEMINI, Keys, Quotas
from tests.simulators.google_errors import Refused, failure, page, params
from tests.simulators.server import Request, Response, Simulator

AUDIENCE = "https://oauth2.googleapis.com/token"
MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.5-flash", "text-embedding-004")
CALLER = ipaddress.ip_address("127.0.0.1")


@functools.cache
def private_key() -> rsa.RSAPrivateKey:
    """Return one key for all simulators of a process: making one takes its time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Google(Simulator):
    """One project, one billing account, one service account.

    ``api_base`` is where the simulator is served, ``cloud_api_base`` that and ``/cloud``, and the
    token endpoint that and ``/token``. ``key`` is the value of the API key "cursor". A service in
    ``disabled`` is not enabled, one in ``denied`` not permitted.
    """

    prefix = "google"

    def __init__(
        self,
        key: str = "",
        *,
        project: str = "acme-cursor",
        number: str = "123456789012",
        billing_account: str = "012345-6789AB-CDEF01",
        currency: str = "USD",
        most: int = 2,
    ) -> None:
        super().__init__()
        self.key = key or "AQ." + "Ab8RN6" + secrets.token_urlsafe(32)
        self.project, self.number, self.most = project, number, most
        self.email = f"byok@{project}.iam.gserviceaccount.com"
        self.keys = Keys(number, project, most, self.email)
        self.quotas = Quotas(number, project, most)
        projects = {project: number, "other-project": "999999999999"}
        self.billing = Billing(billing_account, currency, projects, most)
        self.models = list(MODELS)
        self.tokens: dict[str, float] = {}
        self.disabled: set[str] = set()
        self.denied: set[str] = set()
        self.gemini_state, self.spent, self.skew = "ENABLED", "", 0
        bound = {"serviceAccountEmail": self.email} if self.key.startswith("AQ.") else {}
        only = {"restrictions": {"apiTargets": [{"service": GEMINI}]}}
        self.keys.add("cursor", self.key, **only, **bound)

    @property
    def late(self) -> int:
        """For how many requests a new key is refused."""
        return self.keys.late

    @late.setter
    def late(self, requests: int) -> None:
        self.keys.late = requests

    def service_account(self, base: str) -> str:
        """Return the service account's key file, as Google Cloud writes it."""
        pem = private_key().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        info = {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "0" * 40,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": f"{base}/token",
            "universe_domain": "googleapis.com",
        }
        return json.dumps(info, indent=2) + "\n"

    def snapshot(self) -> str:
        state = [
            *(self.keys.keys, self.keys.strings, self.quotas.effective),
            *(self.quotas.preferences, self.billing.budgets, self.models),
        ]
        return json.dumps(state, sort_keys=True)

    def writes(self) -> list[Request]:
        """Return what could have changed something: neither tokens nor completions do."""
        reads = ("/token", ":generateContent")
        return [r for r in super().writes() if not r.path.endswith(reads)]

    def answer(self, request: Request) -> Response:
        try:
            if request.path == "/token":
                return self.token(request)
            if request.path.startswith("/cloud/"):
                api, _, path = request.path.removeprefix("/cloud/").partition("/")
                return self.cloud(request, api, path)
            if request.path.startswith("/v1beta/models"):
                return self.gemini(request)
        except Refused as refused:
            return refused.response
        except json.JSONDecodeError:
            return failure("INVALID_ARGUMENT", "Invalid JSON payload received.")
        return Response(
            404, b"<title>Error 404 (Not Found)!!1</title>", {"content-type": "text/html"}
        )

    # the Gemini API

    def gemini(self, request: Request) -> Response:
        self.admitted(request)
        if request.path == "/v1beta/models" and request.method == "GET":
            params(request, "pageSize", "pageToken")
            return Response(
                200, page(request, "models", [*map(self.model, self.models)], self.most)
            )
        name, _, verb = request.path.removeprefix("/v1beta/models/").partition(":")
        if name not in self.models:
            raise Refused("NOT_FOUND", f"models/{name} is not found for API version v1beta")
        if not verb and request.method == "GET":
            return Response(200, self.model(name))
        if verb == "generateContent" and request.method == "POST":
            return self.generated(request)
        raise Refused("NOT_FOUND", "Method not found.")

    def admitted(self, request: Request) -> None:
        """Refuse a caller without a good key, each as Google does."""
        assert "key" not in request.query, "a key in a URL lands in logs"
        given = request.headers.get("x-goog-api-key")
        if given is None:
            what = "Method doesn't allow unregistered callers."
            raise Refused("PERMISSION_DENIED", what)
        name = next((n for n, value in self.keys.strings.items() if value == given), None)
        key = self.keys.keys.get(name or "")
        if key is None or not self.keys.works(given):
            if given.startswith("AQ."):
                what = "Request had invalid authentication credentials."
                raise Refused("UNAUTHENTICATED", what, "ACCESS_TOKEN_TYPE_UNSUPPORTED", GEMINI)
            what = "API key not valid. Please pass a valid API key."
            raise Refused("INVALID_ARGUMENT", what, "API_KEY_INVALID", GEMINI)
        allowed = key.get("restrictions", {})
        targets = {t["service"].lower() for t in allowed.get("apiTargets", ())}
        if targets and GEMINI not in targets:
            what = "Requests to this API are blocked."
            raise Refused("PERMISSION_DENIED", what, "API_KEY_SERVICE_BLOCKED", GEMINI)
        ips = allowed.get("serverKeyRestrictions", {}).get("allowedIps", ())
        if ips and not any(CALLER in ipaddress.ip_network(ip, strict=False) for ip in ips):
            what = "The provided API key has an IP address restriction."
            raise Refused("PERMISSION_DENIED", what, "API_KEY_IP_ADDRESS_BLOCKED", GEMINI)
        if self.gemini_state != "ENABLED":
            what = "Generative Language API has not been used in project before or it is disabled."
            raise Refused("PERMISSION_DENIED", what, "SERVICE_DISABLED", GEMINI)

    @staticmethod
    def model(name: str) -> dict[str, Any]:
        speaks = "embedContent" if "embedding" in name else "generateContent"
        return {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": [speaks, "countTokens"],
        }

    def generated(self, request: Request) -> Response:
        body = request.json
        if not isinstance(body, dict) or not body.get("contents"):
            raise Refused("INVALID_ARGUMENT", "contents is not specified")
        if self.spent:
            raise Refused("RESOURCE_EXHAUSTED", self.spent)
        said = {"role": "model", "parts": [{"text": "ok"}]}
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
        candidate = {"content": said, "finishReason": "STOP", "index": 0}
        return Response(200, {"candidates": [candidate], "usageMetadata": usage})

    # OAuth 2.0: a service account's assertion for a token (RFC 7523)

    def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return Response(400, {"error": "unsupported_grant_type"})
        flaw = self.flaw(form.get("assertion", ""))
        if flaw:
            return Response(400, {"error": "invalid_grant", "error_description": flaw})
        token = "ya29." + secrets.token_urlsafe(24)
        self.tokens[token] = time.time() + 3599
        return Response(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def flaw(self, assertion: str) -> str:
        """Return what is wrong with an assertion, in Google's words."""
        signed, _, signature = assertion.rpartition(".")
        try:
            head, claims = (json.loads(_decoded(part)) for part in signed.split("."))
            private_key().public_key().verify(
                _decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, InvalidSignature):
            return "Invalid JWT Signature."
        now = time.time() + self.skew
        if head.get("alg") != "RS256" or claims.get("aud") != AUDIENCE:
            return "Invalid JWT: Failed audience check."
        if claims.get("iss") != self.email:
            return "Invalid grant: account not found"
        if claims["exp"] - claims["iat"] > 3600 or not claims["iat"] - 60 < now < claims["exp"]:
            return (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                "timeframe. Check your iat and exp values in the JWT claim."
            )
        return "" if claims.get("scope") else "Invalid OAuth scope or ID token audience provided."

    # the Cloud APIs

    def cloud(self, request: Request, api: str, path: str) -> Response:
        host = f"{api}.googleapis.com"
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if "x-goog-api-key" in request.headers or not given:
            what = "API keys are not supported by this API. Expected OAuth2 access token."
            raise Refused("UNAUTHENTICATED", what, "CREDENTIALS_MISSING", host)
        if self.tokens.get(given, 0) < time.time():
            what = "Request had invalid authentication credentials."
            raise Refused("UNAUTHENTICATED", what, "ACCESS_TOKEN_TYPE_UNSUPPORTED", host)
        if api in self.disabled:
            what = f"{api} API has not been used in project before or it is disabled."
            raise Refused("PERMISSION_DENIED", what, "SERVICE_DISABLED", host)
        if api in self.denied:
            what = "The caller does not have permission"
            raise Refused("PERMISSION_DENIED", what, "IAM_PERMISSION_DENIED", host)
        match api:
            case "apikeys":
                return self.keys.answer(request, path)
            case "cloudquotas":
                return self.quotas.answer(request, path)
            case "billingbudgets":
                return self.billing.answer(request, path)
            case "cloudbilling":
                return self.billing.account_answer(request, path)
            case "serviceusage":
                return self.service(request, path)
        raise Refused("NOT_FOUND", "Method not found.")

    def service(self, request: Request, path: str) -> Response:
        params(request)
        for project in (self.project, self.number):
            if path == f"v1beta1/projects/{project}/services/{GEMINI}" and request.method == "GET":
                parent = f"projects/{self.number}"
                named = {"name": f"{parent}/services/{GEMINI}", "parent": parent}
                config = {"name": GEMINI, "title": "Generative Language API"}
                return Response(200, {**named, "config": config, "state": self.gemini_state})
        raise Refused("PERMISSION_DENIED", "Permission denied on resource project.")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


__all__ = ["Google"]
