"""How byok signs in to Azure Resource Manager: an application's secret, or this machine's own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.origins import Pairing, origin
from reconciler.secrets import Secret
from reconciler.shapes import looks_like
from reconciler.systems.account import Answer, Credential, Dialect, Setting, Sign, Unapproved
from reconciler.systems.account.answers import refusal
from reconciler.systems.account.signing import bearer, form, keyless

if TYPE_CHECKING:
    import httpx

WHO: Final = "Microsoft Entra ID"
LOGIN: Final = "https://login.microsoftonline.com"
MANAGEMENT: Final = "https://management.azure.com"
OWN: Final = frozenset(
    {
        LOGIN,
        MANAGEMENT,
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "https://login.partner.microsoftonline.cn",
        "https://management.chinacloudapi.cn",
    }
)
"""Microsoft's own origins: the public cloud, Azure Government, Azure operated by 21Vianet."""

AMBIENT: Final = "credentials: default"
"""What stands for this machine's own credential where an origin is approved."""

MARGIN: Final = 120.0
"""Seconds before its end from which a token is not used any more."""

BY_CODE: Final[Mapping[str, Problem]] = {
    "invalid_client": Problem.INVALID_KEY,
    "invalid_grant": Problem.INVALID_KEY,
    "unauthorized_client": Problem.REJECTED,
    "invalid_request": Problem.REJECTED,
}
WORDS: Final[Mapping[Problem, tuple[str, str]]] = {
    Problem.INVALID_KEY: (
        "does not accept the client secret: it is wrong, or has expired",
        "make a new client secret for the application, and store its value (not its id)",
    ),
    Problem.REJECTED: (
        "knows no such tenant or application",
        "compare tenant and client_id with the application's page in the portal",
    ),
}

Token = tuple[Secret, float]
"""An access token, and the seconds for which it holds."""


def management(given: Mapping[str, Any]) -> str:
    """Return the base URL of the management API."""
    return str(given.get("api_base", MANAGEMENT))


def signed(setting: Setting) -> Sign | str:
    """Return how requests to the management API are signed, or why they cannot be.

    Raises SecretError, Unapproved, or ProviderError for a key of the wrong kind.
    """
    given = setting.account()
    named = [name for name in ("tenant", "client_id", "admin_key") if name in given]
    if named and len(named) < 3:  # noqa: PLR2004  the three belong together
        return "tenant, client_id and admin_key belong together, and one of them is missing"
    if named:
        credential = _secret(setting, given)
        if credential is None:
            return "none of the references in admin_key exists here"
        return _Bearer(lambda: _granted(setting, given, credential.secret)).sign
    if given.get("credentials") == "default":
        return _ambient(setting, given)
    return "no admin credential is declared: tenant, client_id and admin_key, or credentials"


def _secret(setting: Setting, given: Mapping[str, Any]) -> Credential | None:
    """Resolve the client secret; it may meet the login host, and its token the management API."""
    login, api = given.get("login_base", LOGIN), management(given)
    place = f"{setting.pointer}/login_base"
    refs = given["admin_key"]
    found = setting.credential(refs, login, own=origin(login) in OWN, pointer=place)
    if found is None:
        return None
    setting.credential(refs, api, own=origin(api) in OWN)
    if looks_like(found.secret.expose(), "azure") == "azure":
        what = "was given a key of the resource, and not an application's client secret"
        raise refusal(WHO, Problem.WRONG_KIND, what)
    return found


def _granted(setting: Setting, given: Mapping[str, Any], secret: Secret) -> Token:
    """Ask for a token: the client-credentials grant (OAuth 2.0 on the Microsoft identity platform).

    A documented POST that changes nothing. Raises ProviderError.
    """
    client = setting.door.connect(given.get("login_base", LOGIN), DIALECT, keyless)
    fields = {
        "grant_type": "client_credentials",
        "client_id": given["client_id"],
        "scope": f"{management(given).rstrip('/')}/.default",
    }
    path = f"/{given['tenant']}/oauth2/v2.0/token"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    try:
        answer = client.ask(path, form(fields, "client_secret", secret), kind, remember=False)
    except ProviderError as error:
        if error.kind is None or error.kind not in WORDS:
            raise
        raise refusal(WHO, error.kind, *WORDS[error.kind]) from None
    return _token(answer)


def _token(answer: Answer) -> Token:
    token, seconds = answer.at("access_token"), answer.at("expires_in", default=0)
    if not isinstance(token, str) or not isinstance(seconds, int):
        raise refusal(WHO, Problem.UNREADABLE)
    return Secret(token), float(seconds)


def _classify(answer: Answer) -> Problem | None:
    return BY_CODE.get(str(answer.at("error")))


DIALECT: Final = Dialect(WHO, _classify, reading=frozenset({"/oauth2/v2.0/token"}))


def _ambient(setting: Setting, given: Mapping[str, Any]) -> Sign | str:
    """Sign with azure-identity's chain: environment, workload and managed identity, az, azd."""
    for base in (given.get("login_base", LOGIN), management(given)):
        if origin(base) not in OWN and not setting.approved(AMBIENT, base):
            at = setting.at("key", setting.name)
            place = f"{setting.pointer}/{'login_base' if 'login_base' in given else 'api_base'}"
            raise Unapproved(Pairing(at, AMBIENT, origin(base), place))
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        return "credentials: default needs azure-identity; install byok with its extra [azure]"
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # it would log what it tried, and where
    where = {"authority": origin(given["login_base"])} if "login_base" in given else {}
    try:
        chain = DefaultAzureCredential(**where)
    except ValueError:
        what = "is not asked for a token over plain http by azure-identity"
        raise refusal(WHO, Problem.WRONG_ENDPOINT, what, "write login_base with https://") from None
    scope = f"{management(given).rstrip('/')}/.default"
    return _Bearer(lambda: _chained(chain, scope)).sign


def _chained(chain: Any, scope: str) -> Token:
    from azure.core.exceptions import AzureError

    try:
        found = chain.get_token(scope)
    except AzureError:
        what = "gives no token: nothing on this machine is signed in to Azure"
        way_out = "run az login, or give tenant, client_id and admin_key"
        raise refusal(WHO, Problem.INVALID_KEY, what, way_out) from None
    return Secret(found.token), found.expires_on - time.time()


class _Bearer:
    """A token for as long as it holds: fetched when first needed, by one thread for all.

    A failed sign-in is remembered: asking again with a dead secret locks accounts out.
    """

    def __init__(self, fetch: Callable[[], Token]) -> None:
        self._fetch, self._guard = fetch, threading.Lock()
        self._held: tuple[Secret, float] | ByokError | None = None

    def sign(self, request: httpx.Request) -> Mapping[str, str]:
        """Return the header for one request. Raises ProviderError where there is no token."""
        with self._guard:
            if self._held is None or (
                isinstance(self._held, tuple) and time.monotonic() > self._held[1]
            ):
                self._held = self._fresh()
            held = self._held
        if isinstance(held, ByokError):
            raise held
        return bearer(held[0])(request)

    def _fresh(self) -> tuple[Secret, float] | ByokError:
        try:
            secret, seconds = self._fetch()
        except ByokError as error:
            return error
        return secret, time.monotonic() + max(seconds - MARGIN, 0.0)
