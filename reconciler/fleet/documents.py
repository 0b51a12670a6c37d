"""From the text of one result to what it tells of a machine; pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from reconciler.codec import canonical, change_from_json
from reconciler.fleet.alike import alike, keyless, unreached
from reconciler.fleet.fields import (
    Document,
    WrongField,
    list_of,
    name_of,
    number_of,
    text_of,
    texts_in,
    texts_of,
)
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

ENVELOPE: Final = "byok.host/1"
REPORT: Final = "byok.fleet/1"
FAILED: Final = "byok.error/1"
"""What any command prints instead of its own document."""
OUTCOMES: Final = ("in_sync", "pending", "changed", "skipped", "failed", "unreachable")
NO_RESULT: Final = "names no format: it is no result of byok"
SHOWN: Final = 3
"""Errors of a manifest that its failure is worded with."""
LONGEST_NAME: Final = 255


class OwnReport(Exception):
    """The file is a report of ours, not a result."""


def read(name: str, data: bytes, host: str) -> Host:
    """Return what one document tells; ``host`` names the machine where the document does not.

    Raises ValueError with the reason when it is none, and OwnReport for a fleet's report.
    """
    document = _document(data)
    form = text_of(document, "format")
    if form == REPORT:
        raise OwnReport
    if form == ENVELOPE:
        return _envelope(name, document)
    if form not in SECTIONS:
        if not form:
            raise ValueError(NO_RESULT)
        known = ", ".join((ENVELOPE, *SECTIONS))
        raise ValueError(f"its format is {_word(form)}; read are {known}")
    ending = "|".join(map(_part, SECTIONS)) if form == FAILED else _part(form)
    stem = re.sub(rf"\.({ending})$", "", host)
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
    host = _name(name_of(document, "host"))
    outcome = text_of(document, "outcome")
    if outcome not in OUTCOMES:
        raise ValueError(f"{host}: its outcome is {_word(outcome)}, none of {', '.join(OUTCOMES)}")
    user = text_of(document, "user")
    why, where = alike(text_of(document, "why"), user, host), ""
    if outcome == "unreachable":
        why, where = unreached(why)
    told = Told(
        outcome=outcome,
        user=user,
        why=why,
        where=where,
        exit=number_of(document, "exit"),
        run=text_of(document, "run"),
        byok=text_of(document, "byok"),
        cursor=text_of(document, "cursor"),
    )
    parts: dict[str, Any] = {}
    for form in SECTIONS:
        inner = document.get(_part(form))
        if inner is None:
            continue
        if not isinstance(inner, dict) or inner.get("format") != form:
            raise ValueError(f"{host}: a part of it is not the {form} that its place says")
        parts |= _section(form, inner, user)
    return Host(host, (name,), told=told, **parts)


def _part(form: str) -> str:
    """Return what a format is called in an envelope and in a file's name."""
    return form.partition("/")[0].removeprefix("byok.")


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
        key_id=text_of(document, "fingerprint_key"),
        changes=_changes(canonical(document["changes"])),
        unknown=number_of(document["summary"], "unknown") or 0,
        errors=tuple(
            Failure(3, alike(f"{text_of(d, 'code')} {text_of(d, 'message')}", user), _way(d, user))
            for d in errors
        ),
    )


def _apply(document: Document, user: str) -> Applied:
    return Applied(
        key_id=text_of(document, "fingerprint_key"),
        changes=_changes(canonical(document["applied"])),
        failed=tuple(
            Failure(
                exit=number_of(one, "exit"),
                what=alike(text_of(one, "message"), user),
                where=text_of(one, "address"),
            )
            for one in list_of(document, "failed")
        ),
        waiting=texts_of(document, "pending"),
    )


@lru_cache(maxsize=256)
def _changes(text: str) -> tuple[Change, ...]:
    """Read changes; those of a thousand machines alike are one object."""
    listed = json.loads(text)
    edits = [edit for item in listed for edit in item["edits"]]
    values = [edit[side] for edit in edits for side in ("name", "before", "after")]
    if any(keyless(told) != told for told in texts_in(values)):
        raise WrongField("a value looks like a key")
    return tuple(change_from_json(item) for item in listed)


def _status(document: Document, _user: str) -> Stands:
    systems = list_of(document, "systems")
    return Stands(
        drifted=tuple(_moved(one) for system in systems for one in list_of(system, "drifted")),
        to_apply=tuple(text for system in systems for text in texts_of(system, "to_apply")),
        waiting=tuple(text for system in systems for text in texts_of(system, "waiting")),
        unknown=tuple(text for system in systems for text in texts_of(system, "unknown")),
    )


def _moved(one: Document) -> Moved:
    by, after, until = (text_of(one, name) for name in ("by", "after", "until"))
    return Moved(text_of(one, "address"), texts_of(one, "edits"), by, after, until)


def _doctor(document: Document, user: str) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            *(text_of(one, name) for name in ("code", "check", "state")),
            *(alike(text_of(one, name), user) for name in ("what", "fix")),
        )
        for one in list_of(document, "checks")
        if one["state"] in ("warning", "problem")
    )


def _keys(document: Document, _user: str) -> Ring:
    held = (one for entry in list_of(document, "keys") for one in _held(entry))
    return Ring(text_of(document, "fingerprint_key"), tuple(held))


def _held(entry: Document) -> tuple[Held, ...]:
    prints, state = entry["fingerprints"], text_of(entry, "state")
    return tuple(
        Held(address, part, text_of(prints, part), _ref(entry, part), state)
        for address in texts_of(entry, "cursor")
        for part in prints
    )


def _ref(entry: Document, part: str) -> str:
    return next((ref for use in list_of(entry, "uses") if (ref := text_of(use["refs"], part))), "")


def _way(document: Document, user: str) -> str:
    return alike(text_of(document, "way_out"), user)


def _error(document: Document, user: str) -> Failure:
    what, where = text_of(document, "what"), text_of(document, "where")
    found = [
        text_of(d, "message") for d in document.get("diagnostics", []) if d["severity"] == "error"
    ]
    what = f"{what}: {'; '.join(found[:SHOWN])}" if found else what
    return Failure(
        number_of(document, "exit"), alike(what, user), _way(document, user), alike(where, user)
    )


SECTIONS: Final[dict[str, tuple[str, Callable[[Document, str], Any]]]] = {
    "byok.plan/1": ("planned", _plan),
    "byok.apply/1": ("applied", _apply),
    "byok.status/1": ("stands", _status),
    "byok.doctor/1": ("findings", _doctor),
    "byok.keys/1": ("ring", _keys),
    FAILED: ("error", _error),
}
"""Each format that is read: its part of a Host, and its reader."""


def _name(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_NAME:
        raise ValueError("names no host")
    return text


def _word(text: str) -> str:
    """Return a word that may be repeated: nothing that could be a value in the wrong place."""
    return text if re.fullmatch(r"[a-z_./0-9-]{1,24}", text) else "no word"
