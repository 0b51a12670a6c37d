"""What administers a Cloud project: a service account's key, or this machine's credentials."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from reconciler.errors import ProviderError, ProviderProblem as Problem, SecretError, SecretProblem
from reconciler.origins import Pairing, origin
from reconciler.secrets import Secret
from reconciler.shapes import looks_like
from reconciler.systems.account import (
    Answer,
    Client,
    Credential,
    Dialect,
    Door,
    Setting,
    Sign,
    Unapproved,
    refusal,
)
from reconciler.systems.account.signing import keyless
from reconciler.systems.google.cloud import base_of

if TYPE_CHECKING:
    import httpx

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
"""All five APIs take it (discovery documents, 2026)."""

TOKEN_HOSTS: Final = ("oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com")
METADATA: Final = ("metadata.google.internal", "169.254.169.254")
MACHINE: Final = "application default credentials"
EXTRA: Final = "install byok with its extra [gcp]"
WHO: Final = "Google's token endpoint"
NO_FILE: Final = "is no key file of a service account"
NOT_FOUND: Final = "none of the references in admin_key exists here"
NEEDED: Final = ("client_email", "private_key", "token_uri")


def lacking(setting: Setting) -> str:
    """Return what the manifest does not say and administration needs, or an empty text."""
    given = setting.account()
    if not (given.get("admin_key") or given.get("credentials")):
        return "neither admin_key nor credentials is declared"
    if not given.get("cloud_project"):
        return "cloud_project is not declared"
    return ""


def admin(setting: Setting) -> Sign | None:
    """Return what signs requests to the Cloud APIs; None where no reference exists here.

    The machine's own credentials are used only where the manifest says ``credentials: default``.
    Raises SecretError, or Unapproved where an assertion or a token would meet another origin than
    Google's: an assertion is good at Google's own endpoint, wherever it was sent.
    """
    given = setting.account()
    base, own = base_of(setting, "apikeys"), "cloud_api_base" not in given
    pointer = f"{setting.pointer}/cloud_api_base"
    if not given.get("admin_key"):
        if not own and not setting.approved(MACHINE, base):
            raise _stranger(setting, MACHINE, base, pointer)
        return _signer(setting.door, _of_machine())
    found = setting.credential(given["admin_key"], base, own=own, pointer=pointer)
    if found is None:
        return None
    info = _document(found)
    if not _googles(info["token_uri"]) and not setting.approved(found.ref, info["token_uri"]):
        raise _stranger(setting, found.ref, info["token_uri"], f"{setting.pointer}/admin_key")
    return _signer(setting.door, _of_key(found, info))


def _stranger(setting: Setting, ref: str, url: str, pointer: str) -> Unapproved:
    return Unapproved(Pairing(setting.at("key", setting.name), ref, origin(url), pointer))


def _googles(url: str) -> bool:
    return url.startswith("https://") and origin(url).removeprefix("https://") in TOKEN_HOSTS


def _document(found: Credential) -> Mapping[str, Any]:
    """Read a service account's key file; nothing of it is repeated."""
    if not found.secret.expose().lstrip().startswith("{"):
        gemini = looks_like(found.secret.expose()) == "google"
        what = "is a Gemini API key, and those administer nothing" if gemini else NO_FILE
        raise _unusable(found.ref, what)
    try:
        info = json.loads(found.secret.expose())
        texts = all(isinstance(info[name], str) for name in NEEDED)
        _ = origin(info["token_uri"])
    except (ValueError, KeyError, TypeError, RecursionError):
        texts = False
    if not texts or info.get("type") != "service_account":
        raise _unusable(found.ref, NO_FILE)
    return dict(info)


def _unusable(ref: str, what: str) -> SecretError:
    way_out = "store the JSON file that Google Cloud makes for a service account"
    return SecretError(SecretProblem.UNUSABLE, ref, what, way_out)


def _of_key(found: Credential, info: Mapping[str, Any]) -> Any:
    try:
        from google.oauth2.service_account import Credentials
    except ImportError:
        raise _no_extra(found.ref) from None
    try:
        made = Credentials.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):  # TypeError: it has a password; a text may hold parts of it
        raise _unusable(found.ref, "holds a private key that cannot be read") from None
    return made


def _of_machine() -> Any:
    try:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
    except ImportError:
        raise _no_extra(MACHINE) from None
    try:
        return google.auth.default(scopes=SCOPES)[0]
    except GoogleAuthError:
        what = "are not set up on this machine"
        way_out = "run gcloud auth application-default login, or declare admin_key"
        raise SecretError(SecretProblem.NO_ITEM, MACHINE, what, way_out) from None


def _no_extra(where: str) -> SecretError:
    return SecretError(SecretProblem.NO_BACKEND, where, "needs google-auth to be used", EXTRA)


def _signer(door: Door, credentials: Any) -> Sign:
    """Send a bearer token, got anew when it is about to end."""
    guard, request = threading.Lock(), _Request(door)

    def sign(_request: httpx.Request) -> Mapping[str, str]:
        with guard:
            if not credentials.valid:
                _refresh(credentials, request)
            token = Secret(credentials.token)
        payer = getattr(credentials, "quota_project_id", None)
        bills = {"x-goog-user-project": payer} if payer else {}
        return {"authorization": f"Bearer {token.expose()}", **bills}

    return sign


def _refresh(credentials: Any, request: _Request) -> None:
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials.refresh(request)
    except ProviderError:
        raise
    except (GoogleAuthError, ValueError):  # their texts repeat what was answered
        raise refusal(WHO, Problem.UNREADABLE, "gave no token that can be used") from None


@dataclass(frozen=True, slots=True)
class _Response:
    """What google-auth reads of an answer (google.auth.transport.Response)."""

    data: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class _Request:
    """Carries google-auth's requests (google.auth.transport.Request) over this run's door.

    So they have its deadlines and retries, follow no redirect, and need no other HTTP library.
    """

    def __init__(self, door: Door) -> None:
        self._door = door

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_more: object,
    ) -> _Response:
        del timeout  # the door has its own
        if urlsplit(url).hostname in METADATA:
            return _from_metadata(url, headers or {})
        path = urlsplit(url).path or "/"
        client = self._door.connect(origin(url), DIALECT, keyless, also=(path,))
        return _said(client, method, url, body, headers or {})


def _said(
    client: Client, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
) -> _Response:
    sent = {name.lower(): value for name, value in headers.items()}
    answer = client.send(method, url, body, headers=sent, again=True)
    return _Response(json.dumps(answer.body).encode(), answer.status, answer.headers)


def _from_metadata(url: str, headers: Mapping[str, str]) -> _Response:
    """Ask the machine's own metadata server, which speaks plain http, and is told no secret."""
    import httpx

    try:
        answer = httpx.get(url, headers=dict(headers), timeout=5, trust_env=False)
    except httpx.HTTPError:
        raise refusal("Google's metadata server", Problem.DOWN) from None
    return _Response(answer.content, answer.status_code, answer.headers)


def _classify(answer: Answer) -> Problem | None:
    """Read an error of OAuth 2.0 (RFC 6749): a bad clock looks like a bad key."""
    code = answer.at("error")
    told = str(answer.at("error_description", default="")).lower()
    if code == "invalid_grant" and ("timeframe" in told or "short-lived" in told):
        return Problem.CLOCK
    return Problem.INVALID_KEY if isinstance(code, str) and answer.status in (400, 401) else None


DIALECT: Final = Dialect(WHO, _classify)
