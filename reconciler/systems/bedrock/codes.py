"""What AWS answers: its error codes in JSON and XML, XML read safely, and lists in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.systems.account import Answer, Client, refusal
from reconciler.systems.account.pages import BREAKS_OFF, PAGES, pages

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

VERSIONS: Final = {"sts": "2011-06-15", "iam": "2010-05-08"}
"""The versions of AWS's query APIs (botocore 1.44's service models)."""

BY_CODE: Final[Mapping[Problem, tuple[str, ...]]] = {
    Problem.INVALID_KEY: (
        "UnrecognizedClient",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignature",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "ExpiredToken",
        "InvalidToken",
    ),
    Problem.CLOCK: ("RequestTimeTooSkewed", "RequestExpired"),
    Problem.NO_ACCESS: ("AccessDenied", "NotAuthorized", "OptInRequired"),
    Problem.RATE_LIMITED: ("Throttling", "TooManyRequests", "RequestLimitExceeded"),
    Problem.NOT_THERE: ("NoSuchEntity", "NotFound", "ResourceNotFound"),
    Problem.UNSUPPORTED: ("NotSupportedService", "ServiceNotSupported", "DataUnavailable"),
    Problem.MOVED: (
        "DuplicateRecord",
        "EntityAlreadyExists",
        "ConcurrentModification",
        "ResourceLocked",
    ),
    Problem.WRONG_ENDPOINT: ("UnknownOperation", "InvalidAction", "InvalidEndpoint"),
    Problem.DOWN: (
        "InternalFailure",
        "InternalError",
        "InternalServer",
        "ServiceFailure",
        "ServiceUnavailable",
        "ModelNotReady",
        "ModelTimeout",
    ),
    Problem.REJECTED: (
        "LimitExceeded",
        "CreationLimitExceeded",
        "ServiceQuotaExceeded",
        "InvalidParameter",
        "MalformedPolicyDocument",
        "Validation",
    ),
}
"""Codes without the ending ``Exception``, which some services add and others do not: from the
service models of botocore 1.44, and the common errors of the IAM and STS references."""

_TABLE: Final = {code: problem for problem, codes in BY_CODE.items() for code in codes}
_EXPIRED: Final = ("signature expired", "signature not yet current")
_BAD_BEARER: Final = ("authentication failed", "bearer token")
_DENIED: Final = "explicit deny in an identity-based policy"
_NO_MODEL: Final = ("on-demand throughput", "model identifier is invalid")


def classify(answer: Answer, *, stopped: bool = False) -> Problem | None:
    """Return what an AWS error means: by code, and where one code has two meanings by its words.

    ``stopped``: a hard budget is declared, so that an explicit deny of the user's own policies is
    a reached limit, and not a missing right.
    """
    code = code_of(answer)
    plain = code.removesuffix("Exception")
    problem = _TABLE.get(plain) or _TABLE.get(plain.removesuffix("Error"))
    words = _words(answer)
    match problem:
        case Problem.INVALID_KEY if any(said in words for said in _EXPIRED):
            return Problem.CLOCK
        case Problem.NO_ACCESS if stopped and _DENIED in words:
            return Problem.SPENT
        case Problem.REJECTED if any(said in words for said in _NO_MODEL):
            return Problem.NO_MODEL
        case Problem.NO_ACCESS | None if any(words.startswith(said) for said in _BAD_BEARER):
            return Problem.INVALID_KEY
        case _:
            return problem


def code_of(answer: Answer) -> str:
    """Return the error's code: in a header, in JSON, or in XML; empty where there is none."""
    if code := answer.headers.get("x-amzn-errortype", ""):
        return code.partition(":")[0]
    if isinstance(answer.body, str):
        return _xml_error(answer.body, "Code")
    return str(answer.at("__type") or answer.at("code") or "").rpartition("#")[2]


def _words(answer: Answer) -> str:
    """Return the error's message, to tell meanings apart; it is never shown."""
    if isinstance(answer.body, str):
        return _xml_error(answer.body, "Message").lower()
    return str(answer.at("message") or answer.at("Message") or "").lower()


def _xml_error(text: str, name: str) -> str:
    root = _parsed(text)
    return "" if root is None else (root.findtext(f".//{{*}}{name}") or "")


def _parsed(text: str) -> Element | None:
    """Parse XML; None for what is none, or brings definitions of its own (entities grow)."""
    from xml.etree.ElementTree import ParseError, fromstring

    if "<!" in text:
        return None
    try:
        return fromstring(text)  # noqa: S314  without a DTD there is nothing to expand or fetch
    except (ParseError, ValueError):
        return None


def tree(client: Client, answer: Answer) -> Element:
    """Return an answer's XML. Raises ProviderError (unreadable) for anything else."""
    root = _parsed(answer.body) if isinstance(answer.body, str) else None
    if root is None or not root.tag.endswith("Response"):
        what = "answered with a page that is not its own XML"
        raise refusal(client.who, Problem.UNREADABLE, what)
    return root


def text(element: Element, name: str) -> str:
    """Return the text of the first element of this name below another, or an empty text."""
    return element.findtext(f".//{{*}}{name}") or ""


def query(client: Client, service: str, action: str, **fields: str) -> Element:
    """Ask one of AWS's query APIs by GET, which its references allow for every action."""
    return tree(client, client.get("/", _fields(service, action, fields)))


def listed(client: Client, action: str, path: str, **fields: str) -> Iterator[Element]:
    """Yield the members of an IAM list; its pages go on by ``Marker`` while ``IsTruncated``."""

    def onward(answer: Answer) -> Mapping[str, str] | None:
        page = tree(client, answer)
        if text(page, "IsTruncated") != "true":
            return None
        marker = text(page, "Marker")
        if not marker:
            raise refusal(client.who, Problem.UNREADABLE, BREAKS_OFF)
        return {"Marker": marker}

    for answer in pages(client, "/", onward, _fields("iam", action, fields)):
        yield from tree(client, answer).iterfind(f".//{{*}}{path}/{{*}}member")


def order(client: Client, action: str, **fields: str) -> Answer:
    """Have IAM change something, once; the fields travel in the body, as a form."""
    from urllib.parse import quote, urlencode

    form = urlencode(_fields("iam", action, fields), quote_via=quote).encode()
    kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    return client.send("POST", "/", form, headers=kind)


def _fields(service: str, action: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {"Action": action, "Version": VERSIONS[service], **fields}


def headers(target: str) -> dict[str, str]:
    """Return the headers of AWS's JSON 1.1 protocol, which names the operation in one."""
    return {"x-amz-target": target, "content-type": "application/x-amz-json-1.1"}


def asked(
    client: Client, target: str, body: Mapping[str, Any], *, onward: str = "NextToken"
) -> Iterator[Answer]:
    """Yield the pages of a JSON 1.1 read. Raises ProviderError for a list that never ends."""
    page, seen = dict(body), set[str]()
    for _ in range(PAGES):
        answer = client.ask("/", page, headers(target))
        yield answer
        following = answer.at(onward)
        if not following:
            return
        if following in seen:
            break
        seen.add(following)
        page = {**body, onward: following}
    raise refusal(client.who, Problem.UNREADABLE, "gives a list that never ends")


def rows(client: Client, answers: Iterator[Answer], name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of every page's list; a page may leave an empty list out."""
    for answer in answers:
        found = answer.at(name, default=[]) or []
        if not isinstance(answer.body, Mapping) or not isinstance(found, list):
            raise refusal(client.who, Problem.UNREADABLE)
        yield from (row for row in found if isinstance(row, Mapping))
