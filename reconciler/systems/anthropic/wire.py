"""How Anthropic's API is spoken: version, pages, and which error is which row of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import Answer, Dialect, Setting, Sign
from reconciler.systems.account.pages import after_last
from reconciler.systems.account.signing import bearer, header

BASE: Final = "https://api.anthropic.com"
WHO: Final = "Anthropic"

VERSION: Final = "2026-10-21"
"""The version every request pins: the newest, which the API's page on versions recommends, and the
one the SDK's types describe, so that tests can hold our reading to them. Nothing we send differs
between it and 2023-06-01, and answers of both forms are read: a gateway may speak the older."""

MODELS: Final = "/v1/models"
MESSAGES: Final = "/v1/messages"
ORGANIZATION: Final = "/v1/organizations"

ORDINARY: Final = "sk-ant-api03-"
ADMIN: Final = "sk-ant-admin01-"
OAUTH: Final = "sk-ant-oat01-"
"""How keys begin (gitleaks and trufflehog rules, 2026); those of persons and service accounts are
documented only as ``sk-ant-`` and are taken in either place."""

CODES: Final[Mapping[str, Problem]] = {
    "contract_spend_limit_reached": Problem.SPENT,
    "enforced_spend_limit_reached": Problem.SPENT,
    "linked_organization_billing_unavailable": Problem.SPENT,
    "linked_organization_spend_limit_reached": Problem.SPENT,
    "ramp_limit_exceeded": Problem.RATE_LIMITED,
    "organization_on_hold": Problem.NO_ACCESS,
    "organization_not_enrolled_in_beta": Problem.UNSUPPORTED,
    "organization_type_not_supported": Problem.UNSUPPORTED,
    "parent_organization_required": Problem.UNSUPPORTED,
    "spend_limits_admin_api_writes_not_enabled": Problem.UNSUPPORTED,
}
"""``error.details.error_code``: the stable names of causes (SDK 2.12.0, types/shared)."""

TYPES: Final[Mapping[str, Problem]] = {
    "authentication_error": Problem.INVALID_KEY,
    "billing_error": Problem.SPENT,
    "permission_error": Problem.NO_ACCESS,
    "overloaded_error": Problem.DOWN,
    "api_error": Problem.DOWN,
    "timeout_error": Problem.DOWN,
}

SPENT_BEGINS: Final = ("You have reached your specified", "Your credit balance is too low")
"""A limit of one's own comes as 400 ``invalid_request_error`` without a code: only the beginning of
its text tells it from a request that is wrong (page on errors, November 2026)."""


def classify(answer: Answer) -> Problem | None:
    """Tell a reached limit from a dead key, and a closed preview from a missing right."""
    code = answer.at("error", "details", "error_code")
    if isinstance(code, str) and code in CODES:
        return CODES[code]
    kind = answer.at("error", "type")
    text = answer.at("error", "message")
    match kind:
        case "invalid_request_error" if isinstance(text, str) and text.startswith(SPENT_BEGINS):
            return Problem.SPENT
        case "rate_limit_error":  # the tier's cap comes without a time to wait
            return Problem.RATE_LIMITED if "retry-after" in answer.headers else Problem.SPENT
        case str():
            return TYPES.get(kind)
        case _:
            return None


def _classify_inference(answer: Answer) -> Problem | None:
    if answer.at("error", "type") == "not_found_error":
        return Problem.NO_MODEL
    return classify(answer)


def dialect(beta: str = "") -> Dialect:
    """Return the Admin API's dialect; ``beta`` is one value of ``anthropic-beta``."""
    pinned = {"anthropic-version": VERSION}
    return Dialect(WHO, classify, {**pinned, "anthropic-beta": beta} if beta else pinned)


INFERENCE: Final = Dialect(WHO, _classify_inference, {"anthropic-version": VERSION})
"""The dialect of the ordinary key: there, what is not found is a model."""


def sign(secret: Secret) -> Sign:
    """Send a key in ``x-api-key``; an OAuth token as a bearer, which is its only way."""
    is_token = secret.expose().startswith(OAUTH)
    return bearer(secret) if is_token else header("x-api-key", secret)


def base_of(setting: Setting) -> tuple[str, bool]:
    """Return the base URL, and whether it is Anthropic's own."""
    declared = setting.account().get("api_base")
    return (BASE, True) if declared is None else (str(declared), False)


def after_id(answer: Answer) -> Mapping[str, Any] | None:
    """Follow models, workspaces and keys: ``has_more``, then ``after_id`` the ``last_id``."""
    return after_last(answer, "after_id")
