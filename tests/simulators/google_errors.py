"""Google's error bodies, field masks, pages and types, as its JSON APIs have them in 2026."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.simulators.server import Request, Response

STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}


class Refused(Exception):
    """A refused request: its response."""

    def __init__(self, status: str, message: str, reason: str = "", service: str = "") -> None:
        super().__init__(message)
        self.response = failure(status, message, reason, service)


def failure(status: str, message: str, reason: str = "", service: str = "") -> Response:
    """Make an error's response: google.rpc.Status, with an ErrorInfo where there is a reason."""
    code = STATUSES[status]
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    if reason:
        info = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": {"service": service},
        }
        error["details"] = [info]
    return Response(code, {"error": error})


def check(value: Any, shape: Any, path: str = "") -> None:
    """Refuse a body that is not of a shape: unknown names, wrong types, bad enumerations.

    A shape is a type, a set of words, a list with the shape of its items, or a mapping; the
    mapping ``{str: shape}`` is one with free names.
    """
    match shape:
        case type():
            fine = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
        case set():
            fine = isinstance(value, str) and value in shape
        case [item]:
            fine = isinstance(value, list)
            for number, each in enumerate(value if fine else ()):
                check(each, item, f"{path}[{number}]")
        case dict():
            fine = isinstance(value, dict)
            for name, each in value.items() if fine else ():
                inner = shape.get(name, shape.get(str))
                if inner is None:
                    what = f'Invalid JSON payload received. Unknown name "{name}"'
                    raise Refused("INVALID_ARGUMENT", f'{what} at "{path}": Cannot find field.')
                check(each, inner, f"{path}.{name}".lstrip("."))
        case tuple():
            fine = isinstance(value, shape) and not isinstance(value, bool)
        case _:
            raise AssertionError(shape)
    if not fine:
        raise Refused("INVALID_ARGUMENT", f"Invalid value at '{path}'")


def params(request: Request, *known: str) -> None:
    """Refuse query parameters that a method does not have."""
    if strange := set(request.query) - set(known):
        what = f'Invalid JSON payload received. Unknown name "{min(strange)}"'
        raise Refused("INVALID_ARGUMENT", f"{what}: Cannot bind query parameter.")


def etag(thing: Mapping[str, Any]) -> str:
    """Return a checksum of a resource as it is."""
    text = json.dumps({k: v for k, v in thing.items() if k != "etag"}, sort_keys=True)
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def meets(there: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Refuse a change of a resource that has moved since it was read."""
    if body.get("etag") and body["etag"] != etag(there):
        raise Refused("ABORTED", "The etag does not match the current state of the resource.")


def page(
    request: Request, name: str, found: Sequence[Mapping[str, Any]], most: int
) -> dict[str, Any]:
    """Return one page of a list; an empty list and the last token are left out."""
    size = min(int(request.one("pageSize") or most), most)
    token = request.one("pageToken") or ""
    if token and not token.startswith("p-"):
        raise Refused("INVALID_ARGUMENT", "The page token is not valid.")
    start = int(token[2:] or 0)
    here = [{**each, "etag": etag(each)} if "name" in each else each for each in found]
    body: dict[str, Any] = {name: here[start : start + size]} if here[start:] else {}
    if len(here) > start + size:
        body["nextPageToken"] = f"p-{start + size}"
    return body


def masked(request: Request, there: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource with the fields of ``updateMask`` taken from a body, or taken away."""
    mask = request.one("updateMask")
    paths = mask.split(",") if mask else [name for name in body if name not in ("name", "etag")]
    new: dict[str, Any] = json.loads(json.dumps(there))
    for path in paths:
        *outer, last = path.split(".")
        into, out = new, body
        for part in outer:
            into, out = into.setdefault(part, {}), out.get(part, {})
        if last in out:
            into[last] = out[last]
        else:
            into.pop(last, None)
    return new
