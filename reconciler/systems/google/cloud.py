"""Google's HTTP: its errors, its pages, its operations, and one client for each Cloud API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.systems.account import Answer, Client, Dialect, Setting, Sign, refusal
from reconciler.systems.account.pages import items, pages, until

GEMINI: Final = "generativelanguage.googleapis.com"
"""The Gemini API's name as a service."""

DEADLINE: Final = 60.0
"""Seconds that a long-running operation gets."""

REASONS: Final[Mapping[str, Problem]] = {
    "API_KEY_INVALID": Problem.INVALID_KEY,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": Problem.INVALID_KEY,  # of a deleted or cut-off AQ. key
    "ACCESS_TOKEN_EXPIRED": Problem.INVALID_KEY,
    "CREDENTIALS_MISSING": Problem.INVALID_KEY,
    "ACCOUNT_STATE_INVALID": Problem.INVALID_KEY,
    "API_KEY_IP_ADDRESS_BLOCKED": Problem.NETWORK_REFUSED,
    "SECURITY_POLICY_VIOLATED": Problem.NETWORK_REFUSED,
    "API_KEY_SERVICE_BLOCKED": Problem.NO_ACCESS,
    "API_KEY_HTTP_REFERRER_BLOCKED": Problem.NO_ACCESS,
    "API_KEY_ANDROID_APP_BLOCKED": Problem.NO_ACCESS,
    "API_KEY_IOS_APP_BLOCKED": Problem.NO_ACCESS,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": Problem.NO_ACCESS,
    "SERVICE_DISABLED": Problem.NO_ACCESS,
    "BILLING_DISABLED": Problem.SPENT,
    "RATE_LIMIT_EXCEEDED": Problem.RATE_LIMITED,
}
"""``google.rpc.ErrorInfo.reason`` (google.api.ErrorReason, 2026) as a row of the table."""

SPENT: Final = ("spending cap", "spend cap", "prepayment credits", "credit balance is depleted")
"""What the message of a 429 says where money is the reason: there is no code of its own."""

CODES: Final[Mapping[int, Problem]] = {
    3: Problem.REJECTED,
    5: Problem.NOT_THERE,
    7: Problem.NO_ACCESS,
    8: Problem.RATE_LIMITED,
    9: Problem.REJECTED,
    10: Problem.MOVED,
}
"""``google.rpc.Code`` of an operation that failed."""


def reason(answer: Answer) -> str:
    """Return the machine-readable reason of an error, or an empty text."""
    details = answer.at("error", "details", default=())
    found = (d.get("reason") for d in details if isinstance(d, Mapping))
    return next((each for each in found if isinstance(each, str)), "")


def classify(answer: Answer) -> Problem | None:
    """Read an error of any Google API. A bad API key is a 400, and a spent budget a 429."""
    message = str(answer.at("error", "message", default="")).lower()
    match answer.at("error", "status"):
        case "RESOURCE_EXHAUSTED" if any(word in message for word in SPENT):
            return Problem.SPENT
        case "PERMISSION_DENIED" if "reported as leaked" in message:
            return Problem.INVALID_KEY
        case "ABORTED":
            return Problem.MOVED
        case _:
            return REASONS.get(reason(answer))


def of_cloud(answer: Answer) -> Problem | None:
    """As `classify`; an API that is not enabled in the project is one that is not offered."""
    if reason(answer) == "SERVICE_DISABLED":
        return Problem.UNSUPPORTED
    return classify(answer)


def following(answer: Answer) -> Mapping[str, Any] | None:
    """Follow ``nextPageToken``."""
    token = answer.at("nextPageToken")
    return {"pageToken": token} if token else None


def every(
    client: Client, path: str, name: str, params: Mapping[str, Any] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list, page by page. Raises ProviderError."""
    return items(pages(client, path, following, params), name, omitted=True)


def finish(client: Client, path: str, answer: Answer) -> None:
    """Wait for an operation, which is asked for below a path. Raises ProviderError."""
    name = str(answer.at("name", default=""))
    if answer.at("done") is not True:
        if not re.fullmatch(r"operations/[\w.-]+", name):
            raise refusal(client.who, Problem.UNREADABLE)
        answer = until(lambda: _afresh(client, f"{path}/{name}"), _done, DEADLINE)
    if not _done(answer):
        what = f"did not finish the change within {DEADLINE:g} seconds"
        raise refusal(client.who, Problem.DOWN, what, "run byok plan in a while")
    code = answer.at("error", "code", default=0)
    if code:
        raise refusal(client.who, CODES.get(code, Problem.DOWN))


def _afresh(client: Client, path: str) -> Answer:
    client.forget()
    return client.get(path)


def _done(answer: Answer) -> bool:
    return answer.at("done") is True


@dataclass(frozen=True, slots=True)
class Cloud:
    """The Cloud project behind a Gemini key, and a client for each API that rules it.

    ``strings`` is for secret-returning reads alone: nothing that it reads is remembered.
    """

    setting: Setting
    keys: Client
    strings: Client
    quotas: Client
    budgets: Client
    billing: Client
    services: Client

    @property
    def project(self) -> str:
        """The project's id."""
        return str(self.setting.account()["cloud_project"])

    @property
    def billing_account(self) -> str:
        """The billing account's id, or an empty text."""
        return str(self.setting.account().get("billing_account", ""))

    def gemini(self) -> Answer:
        """Return the Gemini API as a service of the project (Service Usage v1beta1)."""
        return self.services.get(f"/v1beta1/projects/{self.project}/services/{GEMINI}")

    def number(self) -> str:
        """Return the project as budgets name it: ``projects/NUMBER``, whatever id they are given.

        Raises ProviderError.
        """
        parent = str(self.gemini().at("parent", default=""))
        if not re.fullmatch(r"projects/\d+", parent):
            raise refusal(self.services.who, Problem.UNREADABLE)
        return parent

    def forget(self) -> None:
        """Read afresh from now on."""
        for client in (self.keys, self.quotas, self.budgets, self.billing, self.services):
            client.forget()


APIS: Final = {
    "apikeys": "Google's API Keys API",
    "cloudquotas": "Google's Cloud Quotas API",
    "billingbudgets": "Google's Budget API",
    "cloudbilling": "Google's Cloud Billing API",
    "serviceusage": "Google's Service Usage API",
}
"""The Cloud APIs by the first part of their host."""


def base_of(setting: Setting, api: str) -> str:
    """Return an API's base URL: Google's host, or a part of ``cloud_api_base``."""
    given = setting.account().get("cloud_api_base")
    return f"{given.rstrip('/')}/{api}" if given else f"https://{api}.googleapis.com"


def connect(setting: Setting, sign: Sign) -> Cloud:
    """Open the clients; nothing is asked."""

    def to(api: str) -> Client:
        return setting.door.connect(base_of(setting, api), Dialect(APIS[api], of_cloud), sign)

    return Cloud(
        setting,
        keys=to("apikeys"),
        strings=to("apikeys"),
        quotas=to("cloudquotas"),
        budgets=to("billingbudgets"),
        billing=to("cloudbilling"),
        services=to("serviceusage"),
    )
