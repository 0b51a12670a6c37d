"""AWS's edge, written from its references: Signature Version 4, and errors in three protocols."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from tests.simulators.server import Request, Response

SKEW = timedelta(minutes=5)
SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
XML = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}


class Fault(Exception):
    """An error as AWS answers it, whatever the protocol."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


@dataclass
class Principal:
    """Who signs: an access key's secret, its owner's ARN below the account, perhaps a token.

    For ``young`` requests more AWS does not know the key yet that IAM made.
    """

    secret: str
    arn: str
    token: str = ""
    active: bool = True
    admin: bool = False
    denied: set[str] = field(default_factory=set)
    young: int = 0


def service_of(request: Request) -> str:
    """Tell the service that a request is for: from its scope, its target, or its path."""
    found = SCOPE.fullmatch(request.headers.get("authorization", ""))
    if found:
        return found[4]
    if request.path.startswith(("/foundation-model", "/inference-profiles", "/model/")):
        return "bedrock"
    return "budgets" if "x-amz-target" in request.headers else "sts"


def authenticate(
    request: Request, keys: Mapping[str, Principal], regions: Mapping[str, str]
) -> Principal:
    """Check a signature for real: the key, the scope, the time, each signed part."""
    found = SCOPE.fullmatch(request.headers.get("authorization", ""))
    service = service_of(request)
    query = service in XML
    if not found:
        raise Fault("MissingAuthenticationToken" + ("" if query else "Exception"), "Missing", 403)
    key, day, region, _, signed, signature = found.groups()
    who = keys.get(key)
    if (
        who is None
        or not who.active
        or request.headers.get("x-amz-security-token", "") != who.token
        or _young(who)
    ):
        message = "The security token included in the request is invalid."
        code = "InvalidClientTokenId" if query else "UnrecognizedClientException"
        raise Fault(code, message, 403 if query or service == "bedrock" else 400)
    bad = "SignatureDoesNotMatch" if query else "InvalidSignatureException"
    status = 403 if query or service == "bedrock" else 400
    when = request.headers.get("x-amz-date", "")
    made = datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    now = datetime.now(UTC)
    if abs(now - made) > SKEW:
        early = "not yet current" if made > now else "expired"
        raise Fault(bad, f"Signature {early}: {when} is now another time", status)
    wanted = regions.get(service)
    if region != wanted or day != when[:8]:
        raise Fault(bad, f"Credential should be scoped to a valid region, not {region!r}.", status)
    names = signed.split(";")
    must = {"host", *(n for n in request.headers if n.startswith("x-amz-"))}
    if "content-type" in request.headers:
        must.add("content-type")
    if not must <= set(names):
        raise Fault(bad, "Headers that must be signed are not.", status)
    if not hmac.compare_digest(_signature(request, who.secret, names, found), signature):
        raise Fault(bad, "The request signature we calculated does not match.", status)
    return who


def _young(who: Principal) -> bool:
    young, who.young = who.young, max(who.young - 1, 0)
    return young > 0


def _signature(request: Request, secret: str, names: list[str], found: re.Match[str]) -> str:
    _, day, region, service, signed, _ = found.groups()
    path, _, query = request.target.partition("?")
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = sorted((_aws(unquote(k)), _aws(unquote(v))) for k, _, v in pairs)
    canonical = "\n".join(
        [
            request.method,
            quote(path, safe="/-_.~"),
            "&".join(f"{k}={v}" for k, v in encoded),
            *(f"{n}:{' '.join(request.headers[n].split())}" for n in names),
            "",
            signed,
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest])
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def _aws(text: str) -> str:
    return quote(text, safe="-_.~")


def form(request: Request) -> dict[str, str]:
    """Return the fields of a query API's request: of its query, or of its form."""
    if request.method == "GET":
        return {name: values[0] for name, values in request.query.items()}
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def failed(service: str, fault: Fault) -> Response:
    """Write an error in the service's protocol."""
    if service in XML:
        body = (
            f'<ErrorResponse xmlns="{XML[service]}"><Error><Type>Sender</Type>'
            f"<Code>{fault.code}</Code><Message>{escape(fault.message)}</Message></Error>"
            "<RequestId>0a1b2c3d-0000-4000-8000-000000000000</RequestId></ErrorResponse>"
        )
        return Response(fault.status, body.encode(), {"content-type": "text/xml"})
    if service == "bedrock":
        kind = {"x-amzn-errortype": f"{fault.code}:http://internal.amazon.com/coral/"}
        return Response(fault.status, {"message": fault.message}, kind)
    body = {"__type": fault.code, "Message": fault.message}
    return Response(fault.status, body, {"content-type": "application/x-amz-json-1.1"})


def xml(service: str, action: str, result: str | None) -> Response:
    """Write a query API's answer around its result."""
    inner = "" if result is None else f"<{action}Result>{result}</{action}Result>"
    body = (
        f'<{action}Response xmlns="{XML[service]}">{inner}<ResponseMetadata>'
        "<RequestId>0a1b2c3d-0000-4000-8000-000000000000</RequestId>"
        f"</ResponseMetadata></{action}Response>"
    )
    return Response(200, body.encode(), {"content-type": "text/xml"})


def fields(data: Mapping[str, Any], required: str, optional: str = "") -> None:
    """Refuse a body that lacks a field, or has one that nobody knows."""
    must, may = set(required.split()), set(optional.split())
    lacking, strange = must - data.keys(), data.keys() - must - may
    if lacking or strange:
        raise Fault("ValidationException", f"missing {sorted(lacking)}, unknown {sorted(strange)}")


def denied(arn: str, action: str, *, explicit: bool = False) -> Fault:
    """Return the error of who may not do something; ``explicit``: a policy of theirs denies it."""
    why = "with an explicit deny in an identity-based policy" if explicit else (
        f"because no identity-based policy allows the {action} action"
    )  # fmt: skip
    return Fault("AccessDenied", f"User: {arn} is not authorized to perform: {action} {why}", 403)


def paged(
    name: str, found: list[Any], given: Mapping[str, Any], size: int, token: str = "NextToken"
) -> dict[str, Any]:
    """Return one page of a list under its name; tokens are opaque and run out with the list."""
    most = given.get("MaxResults", size)
    if not isinstance(most, int) or not 1 <= most <= 1000:
        raise Fault("InvalidParameterException", "MaxResults")
    start, size = 0, min(most, size)
    if token in given:
        try:
            start = int(b64decode(given[token]).decode())
        except ValueError:
            raise Fault("InvalidNextTokenException") from None
    page: dict[str, Any] = {name: found[start : start + size]}
    if start + size < len(found):
        page[token] = b64encode(str(start + size).encode()).decode()
    return page
