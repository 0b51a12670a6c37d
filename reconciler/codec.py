"""Canonical JSON, and plans to JSON and back; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reconciler.model import (
    Action,
    Address,
    Cause,
    Change,
    Diagnostic,
    Edit,
    Observation,
    Plan,
    Position,
    Scope,
    Sealed,
    Severity,
    Summary,
    Unknown,
    Value,
)

FORMAT = "byok.plan/1"
MAX_PLAN_BYTES = 64 * 1024 * 1024


def canonical(document: Any) -> str:
    """Serialise JSON data so that equal documents are equal bytes."""
    return json.dumps(
        document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


def encode(value: Value) -> Any:
    """Turn a value into JSON data; a secret becomes its fingerprint and reference."""
    match value:
        case Sealed(fingerprint, ref):
            return {"fingerprint": fingerprint, "ref": ref}
        case Unknown(reason):
            return {"unknown": reason}
        case tuple():
            return [encode(item) for item in value]
        case Mapping():
            return {"object": {name: encode(item) for name, item in value.items()}}
        case _:
            return value


def decode(data: Any) -> Value:
    """Turn what `encode` made back into a value. Raises ValueError on any other shape."""
    match data:
        case {"fingerprint": str(fingerprint), "ref": str() | None as ref, **rest} if not rest:
            return Sealed(fingerprint, ref)
        case {"unknown": str(reason), **rest} if not rest:
            return Unknown(reason)
        case {"object": dict(items), **rest} if not rest:
            return {name: decode(item) for name, item in items.items()}
        case list():
            return tuple(decode(item) for item in data)
        case None | bool() | int() | float() | str():
            return data
        case _:
            raise ValueError("not a value of a plan")


def nothing(value: Value) -> bool:
    """Tell whether a value says that nothing is there: absent, off, none, an empty list."""
    return value is None or value is False or value in ("none", ())


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are equal: by fingerprint for secrets, else by canonical JSON.

    Two forms of nothing are equal. An Unknown equals nothing else, itself included.
    """
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return False
    if nothing(left) or nothing(right):
        return nothing(left) and nothing(right)
    if isinstance(left, Sealed) or isinstance(right, Sealed):
        return left == right
    return canonical(encode(left)) == canonical(encode(right))
