"""Azure Resource Manager: versions, scopes, lists, and writes that take their time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Answer, Client, Dialect
from reconciler.systems.account.answers import refusal
from reconciler.systems.account.pages import items, pages, until

WHO: Final = "Azure Resource Manager"

VERSIONS: Final[Mapping[str, str]] = {
    "Microsoft.CognitiveServices": "2025-09-01",
    "Microsoft.Consumption": "2026-06-01",
    "Microsoft.CostManagement": "2025-03-01",
}
"""The api-version of every request: what Microsoft's own SDKs and examples of 2026 send."""

OPERATION: Final = 180.0
"""Seconds that one long-running operation gets."""

GONE: Final = 404
DONE: Final = frozenset({"Succeeded", "Failed", "Canceled", "Cancelled", "Disabled"})
"""The states in which a resource or an operation stays (ARM asynchronous operations)."""

BY_CODE: Final[Mapping[str, Problem]] = {
    "AuthenticationFailed": Problem.INVALID_KEY,
    "InvalidAuthenticationToken": Problem.INVALID_KEY,
    "InvalidAuthenticationTokenTenant": Problem.INVALID_KEY,
    "ExpiredAuthenticationToken": Problem.INVALID_KEY,
    "AuthorizationFailed": Problem.NO_ACCESS,
    "LinkedAuthorizationFailed": Problem.NO_ACCESS,
    "RequestDisallowedByPolicy": Problem.NO_ACCESS,
    "ScopeLocked": Problem.NO_ACCESS,
    "SubscriptionNotFound": Problem.NOT_THERE,
    "InvalidSubscriptionId": Problem.NOT_THERE,
    "ResourceGroupNotFound": Problem.NOT_THERE,
    "ResourceNotFound": Problem.NOT_THERE,
    "ParentResourceNotFound": Problem.NOT_THERE,
    "MissingSubscriptionRegistration": Problem.UNSUPPORTED,
    "NoRegisteredProviderFound": Problem.UNSUPPORTED,
    "InvalidResourceType": Problem.UNSUPPORTED,
    "InvalidApiVersionParameter": Problem.WRONG_ENDPOINT,
    "RequestConflict": Problem.RATE_LIMITED,
    "TooManyRequests": Problem.RATE_LIMITED,
}
"""ARM's own codes; RequestConflict says that the account is busy with another change."""


def _classify(answer: Answer) -> Problem | None:
    return BY_CODE.get(str(answer.at("error", "code")))


DIALECT: Final = Dialect(
    WHO,
    _classify,
    reading=frozenset({"/listKeys", "/providers/Microsoft.CostManagement/query"}),
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One Cognitive Services account, and the scopes that it is in."""

    client: Client
    subscription_id: str
    group_name: str
    account_name: str

    @property
    def subscription(self) -> str:
        """The subscription's resource id."""
        return f"/subscriptions/{self.subscription_id}"

    @property
    def group(self) -> str:
        """The resource group's resource id."""
        return f"{self.subscription}/resourceGroups/{quote(self.group_name, safe='')}"

    @property
    def account(self) -> str:
        """The account's resource id."""
        provider = f"{self.group}/providers/Microsoft.CognitiveServices"
        return f"{provider}/accounts/{quote(self.account_name, safe='')}"

    def get(self, path: str) -> Answer:
        """Return one resource. Raises ProviderError; not there is no answer but an error."""
        return self.client.get(versioned(path))

    def properties(self) -> Mapping[str, Any]:
        """Return what the account says of itself. Raises ProviderError."""
        found = self.get(self.account).at("properties")
        if not isinstance(found, Mapping):
            raise refusal(WHO, Problem.UNREADABLE)
        return found

    def list(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield the resources of a list, page by page."""
        return items(pages(self.client, versioned(path), _next), "value")

    def write(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a change, and wait until the operation that it starts is done.

        Every change is a PUT, PATCH or DELETE of absolute values, so that twice equals once; but
        one with an eTag is sent once. Raises ProviderError.
        """
        again = not (isinstance(body, Mapping) and "eTag" in body)
        answer = self.client.send(method, versioned(path), body, again=again)
        return self._settled(answer, path, method)

    def _settled(self, answer: Answer, path: str, method: str) -> Answer:
        operation, location = (answer.headers.get(h) for h in ("azure-asyncoperation", "location"))
        if operation:
            last = self._polled(operation, lambda seen: seen.at("status") in DONE)
            _succeeded(last, last.at("status"))
        elif location and answer.status == 202:  # noqa: PLR2004  Accepted (RFC 9110)
            last = self._polled(location, lambda seen: seen.status != 202)  # noqa: PLR2004
            _succeeded(last, "Succeeded" if last.status != 202 else None)  # noqa: PLR2004
        elif method != "DELETE" and _state(answer) not in (None, *DONE):
            last = self._polled(versioned(path), lambda seen: _state(seen) in (None, *DONE))
            _succeeded(last, _state(last) or "Succeeded")
        return answer

    def _polled(self, url: str, done: Callable[[Answer], bool]) -> Answer:
        """Ask again and again; an operation's URL on another host is refused by the client."""

        def ask() -> Answer:
            self.client.forget()
            try:
                return self.client.get(url)
            except ProviderError as error:
                if error.kind is not Problem.NOT_THERE:
                    raise
                return Answer(GONE, {}, {"status": "Succeeded"})  # what is deleted is gone

        return until(ask, done, OPERATION)


def versioned(path: str) -> str:
    """Return a path with the api-version of its provider."""
    version = next(version for name, version in VERSIONS.items() if f"/{name}/" in path)
    return f"{path}?api-version={version}"


def value(resource: Any, path: tuple[str, ...]) -> Any:
    """Return what stands at a path of a resource, or None."""
    here = resource
    for part in path:
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


def named(name: str, known: Mapping[str, Any]) -> str:
    """Return a resource's name as the manifest writes it: ARM's names have no case."""
    return next((mine for mine in known if mine.lower() == name.lower()), name)


def _next(answer: Answer) -> str | None:
    link = answer.at("nextLink")
    return link if isinstance(link, str) and link else None


def _state(answer: Answer) -> str | None:
    state = answer.at("properties", "provisioningState")
    return state if isinstance(state, str) else None


def _succeeded(last: Answer, state: str | None) -> None:
    if state not in DONE:
        what = f"was not done after {OPERATION:.0f} seconds, and goes on with it"
        raise refusal(WHO, Problem.DOWN, what, "run byok plan in a while")
    if state == "Succeeded":
        return
    problem = BY_CODE.get(str(last.at("error", "code")), Problem.REJECTED)
    raise refusal(WHO, problem, "accepted the change, and then could not carry it out")
