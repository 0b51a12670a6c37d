"""What a provider answered, and which row of the troubleshooting table it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, read to its end: ``body`` is JSON data, or None where there is none.

    ``headers`` have lower-case names. Never printed: a body may repeat what was sent.
    """

    status: int
    headers: Mapping[str, str]
    body: Any = None

    def __repr__(self) -> str:
        return f"Answer({self.status})"

    def at(self, *path: str | int, default: Any = None) -> Any:
        """Return what stands at a path of names and indices of the body, or the default."""
        here = self.body
        for part in path:
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                return default
        return here


Classify = Callable[[Answer], Problem | None]

FORBIDDEN = 403

BY_STATUS: Mapping[int, Problem] = {
    401: Problem.INVALID_KEY,
    402: Problem.SPENT,
    403: Problem.NO_ACCESS,
    404: Problem.NOT_THERE,
    405: Problem.UNSUPPORTED,
    407: Problem.NETWORK_REFUSED,
    408: Problem.DOWN,
    409: Problem.MOVED,
    412: Problem.MOVED,
    429: Problem.RATE_LIMITED,
    501: Problem.UNSUPPORTED,
    511: Problem.NETWORK_REFUSED,
}
"""What a status means where the provider's own code says nothing else (RFC 9110, RFC 6585)."""

WORDS: Mapping[Problem, tuple[str, str]] = {
    Problem.INVALID_KEY: (
        "does not accept the key: it is wrong, revoked or expired",
        "make a new key there and store it where the reference points",
    ),
    Problem.WRONG_KIND: (
        "was given a key of the wrong kind: an admin key for an ordinary one, or the reverse",
        "put the ordinary key in key, and the admin key in admin_key",
    ),
    Problem.ELSEWHERE: (
        "says that the key is of another organisation, or another project, than the manifest names",
        "correct the name in the manifest, or store a key of that organisation",
    ),
    Problem.NO_ACCESS: (
        "says that this key may not do this",
        "give the key the right, or the model, at the provider",
    ),
    Problem.NO_MODEL: (
        "does not know this model, or the key may not use it",
        "correct the model's id, or give the key access to it",
    ),
    Problem.RATE_LIMITED: (
        "says that there were too many requests",
        "wait and try again, or ask for a higher rate limit",
    ),
    Problem.SPENT: (
        "says that the spend limit is reached, or the credit used up: the key itself is good",
        "raise the limit, add credit, or wait for the next period",
    ),
    Problem.WRONG_ENDPOINT: (
        "has nothing of the kind there: the address, the deployment or the api-version is wrong",
        "compare them with the provider's page",
    ),
    Problem.NETWORK_REFUSED: (
        "cannot be reached from here: a network rule, a proxy or a certificate is in the way",
        "check the resource's network rules, the proxy and the certificates of this machine",
    ),
    Problem.DOWN: (
        "does not answer, or answers with an error of its own",
        "try again later; see the provider's status page, and whether this machine is on line",
    ),
    Problem.UNREADABLE: (
        "did not answer in its own format",
        "see whether a proxy or a captive portal answers in its place, and check the base URL",
    ),
    Problem.NOT_THERE: ("has no such thing", "check the names in the manifest"),
    Problem.UNSUPPORTED: (
        "does not offer this here",
        "leave it out of the manifest, or ask the provider to enable it",
    ),
    Problem.MOVED: ("changed while we worked on it", "run byok plan again"),
    Problem.REJECTED: (
        "rejects the request as it is",
        "check the values in the manifest against the provider's rules",
    ),
    Problem.CLOCK: (
        "refuses the signature because this machine's clock is wrong",
        "set the clock (NTP), then try again",
    ),
}
"""Cause and fix of each problem, in one place for all providers; `{}` is nowhere in them."""


def by_status(answer: Answer) -> Problem | None:
    """Return the problem a status stands for by itself; None for 200 to 299.

    A web page that forbids is a proxy's or a firewall's: APIs forbid in JSON.
    """
    if answer.status == FORBIDDEN and "html" in answer.headers.get("content-type", "").lower():
        return Problem.NETWORK_REFUSED
    if answer.status in BY_STATUS:
        return BY_STATUS[answer.status]
    match answer.status // 100:
        case 2:
            return None
        case 3:
            return Problem.WRONG_ENDPOINT
        case 5:
            return Problem.DOWN
        case _:
            return Problem.REJECTED


def refused(who: str, problem: Problem, answer: Answer) -> ProviderError:
    """Make the error for an answer; a redirect is told as one."""
    if problem is Problem.WRONG_ENDPOINT and answer.status // 100 == 3:  # noqa: PLR2004
        return refusal(who, problem, *REDIRECT)
    return refusal(who, problem)


REDIRECT = (
    "answers with a redirect to another address, and no key follows one",
    "correct the base URL, or see whether a proxy or a captive portal answers in its place",
)


def refusal(who: str, problem: Problem, what: str = "", way_out: str = "") -> ProviderError:
    """Make the error for a problem; ``what`` and ``way_out`` are said instead of the usual words.

    Takes our own words only: a provider's message may repeat the key.
    """
    usual, fix = WORDS[problem]
    return ProviderError(who, what or usual, way_out or fix, kind=problem)


T = TypeVar("T")


def caught(job: Callable[[], T]) -> T | ByokError:
    """Do a job, and return its failure; an answer of a shape that nobody foresaw is one, too."""
    try:
        return job()
    except ByokError as error:
        return error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return _unforeseen(error)


def _unforeseen(error: Exception) -> ProviderError:
    """Say where an answer was not as expected; the error's own text may hold a part of it."""
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {PurePath(last.filename).name}:{last.lineno}"
    what = f"answered in a form that this byok does not know ({where})"
    return refusal("the provider", Problem.UNREADABLE, what, "see whether there is a newer byok")
