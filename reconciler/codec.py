"""Canonical JSON, and plans to JSON and back; pure."""

from __future__ import annotations

import json
import re
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
_HALVES = re.compile("[\ud800-\udfff]")


def canonical(document: Any) -> str:
    """Serialise JSON data so that equal documents are equal bytes, in UTF-8 on any road.

    Half a surrogate pair, which JSON can hold and UTF-8 cannot, stays an escape.
    """
    text = json.dumps(
        document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


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
    if nothing(left) or nothing(right):
        return nothing(left) and nothing(right)
    return _equal(left, right)


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, Sealed) and isinstance(right, Sealed):
        return left == right
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_equal(left[name], right[name]) for name in left)
    if isinstance(left, Unknown):  # deep inside an object or a list, too
        return False
    return canonical(encode(left)) == canonical(encode(right))


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Turn a plan into its public document (`schemas/plan.schema.json`, byok.plan/1)."""
    scope = plan.scope
    return {
        "format": FORMAT,
        "scope": {
            "systems": list(scope.systems),
            "offline": scope.offline,
            "targets": list(scope.targets),
        },
        "fingerprint_key": plan.fingerprint_key,
        "changes": [change_to_json(change) for change in plan.changes],
        "observations": [
            {"address": str(seen.address), "text": seen.text} for seen in plan.observations
        ],
        "diagnostics": [diagnostic_to_json(finding) for finding in plan.diagnostics],
        "summary": {name: getattr(plan.summary, name) for name in SUMMARY_FIELDS},
    }


SUMMARY_FIELDS = ("create", "update", "delete", "in_sync", "observed", "unknown", "unmanaged")


def change_to_json(change: Change) -> dict[str, Any]:
    """Turn one change into JSON data."""
    return {
        "address": str(change.address),
        "action": change.action.value,
        "cause": change.cause.value,
        "irreversible": change.irreversible,
        "edits": [
            {"name": edit.name, "before": encode(edit.before), "after": encode(edit.after)}
            for edit in change.edits
        ],
    }


def diagnostic_to_json(finding: Diagnostic) -> dict[str, Any]:
    """Turn one finding into JSON data; the file is named without its folder."""
    place = finding.position
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "path": finding.path,
        "file": place.file.replace("\\", "/").rpartition("/")[2] if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "message": finding.message,
        "way_out": finding.way_out,
    }


def dump_plan(plan: Plan) -> str:
    """Return the canonical text of a plan: equal plans are equal bytes, one newline at the end."""
    return canonical(plan_to_json(plan)) + "\n"


def load_plan(text: str) -> Plan:
    """Read what `dump_plan` wrote.

    Raises ValueError with the reason when the text is no plan, or of another major format.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    form = document.get("format") if isinstance(document, dict) else None
    if form != FORMAT:
        named = f"its format is {form!r}" if isinstance(form, str) else "it names no format"
        raise ValueError(f"{named[:80]}, this byok reads {FORMAT}")
    try:
        return _plan_from(document)
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("a field of the plan is missing or of another type") from None


def _plan_from(document: dict[str, Any]) -> Plan:
    scope = document["scope"]
    return Plan(
        scope=Scope(
            tuple(map(_text, _list(scope["systems"]))),
            _flag(scope["offline"]),
            tuple(map(_text, _list(scope["targets"]))),
        ),
        fingerprint_key=_text(document["fingerprint_key"]),
        changes=tuple(change_from_json(item) for item in _list(document["changes"])),
        observations=tuple(
            Observation(Address.parse(item["address"]), _text(item["text"]))
            for item in _list(document["observations"])
        ),
        diagnostics=tuple(_diagnostic_from(item) for item in _list(document["diagnostics"])),
        summary=Summary(**{name: _count(document["summary"][name]) for name in SUMMARY_FIELDS}),
    )


def change_from_json(item: Mapping[str, Any]) -> Change:
    """Read one change. Raises KeyError, TypeError or ValueError on another shape."""
    return Change(
        address=Address.parse(_text(item["address"])),
        action=Action(item["action"]),
        cause=Cause(item["cause"]),
        irreversible=_flag(item["irreversible"]),
        edits=tuple(
            Edit(_text(edit["name"]), decode(edit["before"]), decode(edit["after"]))
            for edit in _list(item["edits"])
        ),
    )


def _diagnostic_from(item: Mapping[str, Any]) -> Diagnostic:
    line, column = item["line"], item["column"]
    place = None if line is None else Position(_text(item["file"]), _count(line), _count(column))
    return Diagnostic(
        code=_text(item["code"]),
        severity=Severity(item["severity"]),
        path=_text(item["path"]),
        message=_text(item["message"]),
        way_out=_text(item["way_out"]),
        position=place,
    )


def _text(data: Any) -> str:
    if not isinstance(data, str):
        raise TypeError
    return data


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError
    return data


def _count(data: Any) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise TypeError
    return data


def _flag(data: Any) -> bool:
    if not isinstance(data, bool):
        raise TypeError
    return data
