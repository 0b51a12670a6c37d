"""How OpenAI is spoken to: its base URL and headers, its error codes, the shapes of its keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import Answer, Client, Credential, Dialect, Setting, refusal
from reconciler.systems.account.signing import bearer

BASE: Final = "https://api.openai.com/v1"
WHO: Final = "OpenAI"
WHO_ADMIN: Final = "OpenAI's administration"

CODES: Final[Mapping[str, Problem]] = {
    "organization_spend_limit_exceeded": Problem.SPENT,
    "project_spend_limit_exceeded": Problem.SPENT,
    "insufficient_quota": Problem.SPENT,
    "billing_hard_limit_reached": Problem.SPENT,
    "billing_not_active": Problem.SPENT,
    "invalid_api_key": Problem.INVALID_KEY,
    "account_deactivated": Problem.INVALID_KEY,
    "mismatched_organization": Problem.ELSEWHERE,
    "invalid_organization": Problem.ELSEWHERE,
    "mismatched_project": Problem.ELSEWHERE,
    "invalid_project": Problem.ELSEWHERE,
    "missing_scope": Problem.NO_ACCESS,
    "model_not_found": Problem.NO_MODEL,
    "rate_limit_exceeded": Problem.RATE_LIMITED,
    "unsupported_country_region_territory": Problem.NETWORK_REFUSED,
    "ip_not_authorized": Problem.NETWORK_REFUSED,
    "unknown_url": Problem.WRONG_ENDPOINT,
}
"""OpenAI's error codes (error guide and spend-limit guide, November 2026)."""

MISSING: Final = 404
UNSCOPED: Final = "You have insufficient permissions"
"""How the text of a 401 begins where a live key lacks a scope; its code is then null."""

ADMIN_BEGINS: Final = "sk-admin-"
ORDINARY_BEGINS: Final = ("sk-proj-", "sk-svcacct-", "sk-service-")


def classify(answer: Answer) -> Problem | None:
    """Tell what an error is by its code, then by its type; None where neither says it."""
    for name in ("code", "type"):
        code = answer.at("error", name)
        if isinstance(code, str) and code in CODES:
            return CODES[code]
    if answer.status == MISSING and not isinstance(answer.body, Mapping):
        return Problem.WRONG_ENDPOINT  # OpenAI's own 404 is JSON: this is somebody else's page
    text = answer.at("error", "message")
    return Problem.NO_ACCESS if isinstance(text, str) and text.startswith(UNSCOPED) else None


def _classify_admin(answer: Answer) -> Problem | None:
    """Take a route that is not there for one that this host does not offer: it closes a kind."""
    found = classify(answer)
    unknown = answer.at("error", "code") is not None
    return Problem.UNSUPPORTED if found is Problem.WRONG_ENDPOINT and unknown else found


def ordinary_key(setting: Setting) -> Credential | None:
    """Return the ordinary key; None where no reference exists.

    Raises SecretError, Unapproved, or ProviderError where it is an admin key by its shape.
    """
    refs = setting.manifest.providers[setting.name].secrets.get("key", ())
    key = setting.credential(refs, base(setting), own=own(setting))
    if key is not None and begins(key.secret, (ADMIN_BEGINS,)):
        what = "was to be given an admin key in key: it was not sent"
        raise refusal(WHO, Problem.WRONG_KIND, what)
    return key


def admin_key(setting: Setting) -> Credential | None:
    """Return the admin key; None where no reference exists.

    Raises SecretError, Unapproved, or ProviderError where it is an ordinary key by its shape.
    """
    refs = setting.account().get("admin_key", ())
    key = setting.credential(refs, base(setting), own=own(setting))
    if key is not None and begins(key.secret, ORDINARY_BEGINS):
        what = "was to be given an ordinary key in admin_key: it was not sent"
        raise refusal(WHO_ADMIN, Problem.WRONG_KIND, what)
    return key


def connect(setting: Setting, key: Credential, also: Iterable[str]) -> Client:
    """Return a client for the ordinary key; ``also`` names what a probe may POST to."""
    dialect = Dialect(WHO, classify, _headers(setting))
    return setting.door.connect(base(setting), dialect, bearer(key.secret), also=also)


def connect_admin(setting: Setting, key: Credential) -> Client:
    """Return a client for the admin key."""
    dialect = Dialect(WHO_ADMIN, _classify_admin, _headers(setting))
    return setting.door.connect(base(setting), dialect, bearer(key.secret))


def base(setting: Setting) -> str:
    """Return the base URL, which the manifest's ``api_base`` replaces."""
    return str(setting.account().get("api_base", BASE))


def own(setting: Setting) -> bool:
    """Tell whether the base URL is OpenAI's own."""
    return "api_base" not in setting.account()


def _headers(setting: Setting) -> Mapping[str, str]:
    organization = setting.account().get("organization")
    return {"openai-organization": organization} if organization else {}


def begins(secret: Secret, beginnings: tuple[str, ...]) -> bool:
    """Tell a key's kind by how it begins."""
    return secret.expose().lstrip().startswith(beginnings)
