"""From the text of one result to what it tells of a machine; pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from reconciler.codec import canonical, change_from_json
from reconciler.fleet.host import (
    Applied,
    Failure,
    Finding,
    Held,
    Host,
    Moved,
    Planned,
    Ring,
    Stands,
    Told,
)
from reconciler.model import Change

Document: TypeAlias = Mapping[str, Any]

ENVELOPE: Final = "byok.host/1"
REPORT: Final = "byok.fleet/1"
OUTCOMES: Final = ("in_sync", "pending", "changed", "skipped", "failed", "unreachable")
NO_RESULT: Final = "names no format: it is no result of byok"
SHOWN: Final = 3
"""Errors of a manifest that its failure is worded with."""
LONGEST_NAME: Final = 255
LONGEST_TEXT: Final = 2000
"""Characters of one foreign text that are kept."""


class OwnReport(Exception):
    """The file is a report of ours, not a result."""


class WrongField(ValueError):
    """A field is not what it should be; its text names the field, never its value."""


def read(name: str, data: bytes, host: str) -> Host:
    """Return what one document tells; ``host`` names the machine where the document does not.

    Raises ValueError with the reason when it is none, and OwnReport for a fleet's report.
    """
    document = _document(data)
    form = _text(document, "format")
    if form == REPORT:
        raise OwnReport
    if form == ENVELOPE:
        return _envelope(name, document)
    if form not in SECTIONS:
        if not form:
            raise ValueError(NO_RESULT)
        known = ", ".join((ENVELOPE, *SECTIONS))
        raise ValueError(f"its format is {_word(form)}; read are {known}")
    stem = re.sub(rf"\.{form.partition('/')[0].removeprefix('byok.')}$", "", host)
    return Host(_name(stem), (name,), **_section(form, document, ""))


def _document(data: bytes) -> Document:
    if not data.strip():
        raise ValueError("is empty")
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("is not JSON, or only the beginning of it") from None
    if isinstance(document, dict):
        return document
    raise ValueError(NO_RESULT)


def _refuse(_text: str) -> float:
    raise ValueError


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _envelope(name: str, document: Document) -> Host:
    host = _name(_text(document, "host"))
    outcome = _text(document, "outcome")
    if outcome not in OUTCOMES:
        raise ValueError(f"{host}: its outcome is {_word(outcome)}, none of {', '.join(OUTCOMES)}")
    user = _text(document, "user")
    told = Told(
        outcome=outcome,
        user=user,
        why=_homeless(_text(document, "why"), user),
        exit=_number(document, "exit"),
        run=_text(document, "run"),
        byok=_text(document, "byok"),
        cursor=_text(document, "cursor"),
    )
    parts: dict[str, Any] = {}
    for form in SECTIONS:
        inner = document.get(form.partition("/")[0].removeprefix("byok."))
        if inner is None:
            continue
        if not isinstance(inner, dict) or inner.get("format") != form:
            raise ValueError(f"{host}: a part of it is not the {form} that its place says")
        parts |= _section(form, inner, user)
    return Host(host, (name,), told=told, **parts)


def _section(form: str, document: Document, user: str) -> dict[str, Any]:
    part, parse = SECTIONS[form]
    try:
        return {part: parse(document, user)}
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"a field of the {form} is missing or of another type") from None
    except WrongField as error:
        raise ValueError(f"a field of the {form} is not as it should be: {error}") from None
    except ValueError:  # its text may repeat a value
        raise ValueError(f"a field of the {form} is not as it should be") from None


def _plan(document: Document, user: str) -> Planned:
    errors = [d for d in document.get("diagnostics", []) if d["severity"] == "error"]
    return Planned(
        key_id=_text(document, "fingerprint_key"),
        changes=_changes(canonical(document["changes"])),
        unknown=_number(document["summary"], "unknown") or 0,
        errors=tuple(
            Failure(3, _homeless(f"{_text(d, 'code')} {_text(d, 'message')}", user), _way(d))
            for d in errors
        ),
    )


def _apply(document: Document, user: str) -> Applied:
    return Applied(
        key_id=_text(document, "fingerprint_key"),
        changes=_changes(canonical(document["applied"])),
        failed=tuple(
            Failure(_number(one, "exit"), _homeless(_text(one, "message"), user), "", _at(one))
            for one in _list(document, "failed")
        ),
        waiting=_texts(document, "pending"),
    )


@lru_cache(maxsize=256)
def _changes(text: str) -> tuple[Change, ...]:
    """Read changes; those of a thousand machines alike are one object."""
    return tuple(change_from_json(item) for item in json.loads(text))


def _status(document: Document, _user: str) -> Stands:
    systems = _list(document, "systems")
    return Stands(
        drifted=tuple(_moved(one) for system in systems for one in _list(system, "drifted")),
        to_apply=tuple(text for system in systems for text in _texts(system, "to_apply")),
        waiting=tuple(text for system in systems for text in _texts(system, "waiting")),
        unknown=tuple(text for system in systems for text in _texts(system, "unknown")),
    )


def _moved(one: Document) -> Moved:
    after, until = _text(one, "after"), _text(one, "until")
    return Moved(_at(one), _texts(one, "edits"), _text(one, "by"), after, until)


def _doctor(document: Document, user: str) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            *(_text(one, name) for name in ("code", "check", "state")),
            *(_homeless(_text(one, name), user) for name in ("what", "fix")),
        )
        for one in _list(document, "checks")
        if one["state"] in ("warning", "problem")
    )


def _keys(document: Document, _user: str) -> Ring:
    held = (one for entry in _list(document, "keys") for one in _held(entry))
    return Ring(_text(document, "fingerprint_key"), tuple(held))


def _held(entry: Document) -> tuple[Held, ...]:
    prints = entry["fingerprints"]
    return tuple(
        Held(address, part, _text(prints, part), _ref(entry, part), _text(entry, "state"))
        for address in _texts(entry, "cursor")
        for part in prints
    )


def _ref(entry: Document, part: str) -> str:
    return next((ref for use in _list(entry, "uses") if (ref := _text(use["refs"], part))), "")


def _error(document: Document, user: str) -> Failure:
    what, where = _text(document, "what"), _text(document, "where")
    found = [
        _text(d, "message") for d in document.get("diagnostics", []) if d["severity"] == "error"
    ]
    what = f"{what}: {'; '.join(found[:SHOWN])}" if found else what
    return Failure(
        _number(document, "exit"), _homeless(what, user), _way(document), _homeless(where, user)
    )


SECTIONS: Final[dict[str, tuple[str, Callable[[Document, str], Any]]]] = {
    "byok.plan/1": ("planned", _plan),
    "byok.apply/1": ("applied", _apply),
    "byok.status/1": ("stands", _status),
    "byok.doctor/1": ("findings", _doctor),
    "byok.keys/1": ("ring", _keys),
    "byok.error/1": ("error", _error),
}
"""Each format that is read: its part of a Host, and its reader."""


def _name(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_NAME:
        raise ValueError("names no host")
    return text


def _word(text: str) -> str:
    """Return a word that may be repeated: nothing that could be a value in the wrong place."""
    return text if re.fullmatch(r"[a-z_./0-9-]{1,24}", text) else "no word"


def _text(document: Document, name: str) -> str:
    """Return a text, empty where there is none. Raises TypeError."""
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise WrongField(f"{name} is no text")
    return (value or "")[:LONGEST_TEXT]


def _at(document: Document) -> str:
    return _text(document, "address")


def _way(document: Document) -> str:
    return _text(document, "way_out")


def _number(document: Document, name: str) -> int | None:
    value = document.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise WrongField(f"{name} is no number")
    return value


def _list(document: Document, name: str) -> list[Any]:
    value = document[name]
    if isinstance(value, list):
        return value
    raise WrongField(f"{name} is no list")


def _texts(document: Document, name: str) -> tuple[str, ...]:
    values = _list(document, name)
    if not all(isinstance(value, str) for value in values):
        raise WrongField(f"{name} holds more than texts")
    return tuple(value[:LONGEST_TEXT] for value in values)


def _homeless(text: str, user: str) -> str:
    """Put ``~`` for the user's home, so that one failure of many people reads alike."""
    if not user or user not in text:
        return text
    home = rf"(/home/|/Users/|[A-Za-z]:\\Users\\){re.escape(user)}(?![\w.-])"
    return re.sub(home, "~", text)
