"""One value in words that fit on a line, with nothing in it that could move a cursor."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.model import Sealed, Unknown, Value

MARK = "\N{REPLACEMENT CHARACTER}"
ABSENT = "absent"
SHORT = 4
"""Digits of a fingerprint that are shown; more only where two differ later than that."""

_AMBIGUOUS = re.compile(
    r"on|off|absent|unknown.*|[-+]?[0-9][0-9._]*|[\[{\"'].*|\s.*|.*\s|", re.DOTALL
)


def clean(text: str) -> str:
    """Make foreign text safe to show: white space becomes a space, the unprintable a mark.

    Unprintable are control characters (C0, C1), bidirectional and invisible formatting, lone
    surrogates, private and unassigned code points: a terminal would obey or hide them.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else MARK for c in text)


def show(value: Value) -> str:
    """Return a value in words: ``off``, ``absent``, ``9f2c…  sops://…``, ``[a, b]``."""
    match value:
        case None:
            return ABSENT
        case bool():
            return "on" if value else "off"
        case str():
            return f'"{clean(value)}"' if _AMBIGUOUS.fullmatch(value) else clean(value)
        case Sealed(fingerprint, ref):
            return f"{clean(fingerprint)[:SHORT]}…" + (f"  {clean(ref)}" if ref else "")
        case Unknown(reason):
            return f"unknown ({clean(reason)})"
        case tuple():
            return "[" + ", ".join(show(item) for item in value) + "]"
        case Mapping():
            return "{" + ", ".join(f"{clean(k)}: {show(v)}" for k, v in value.items()) + "}"
        case _:
            return str(value)


def show_pair(before: Value, after: Value) -> tuple[str, str, str]:
    """Return both sides of an edit, and where a new secret comes from (else empty).

    Of two secrets so much of the fingerprints is shown as tells them apart.
    """
    match before, after:
        case Sealed(old), Sealed(new):
            alike = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
            digits = max(SHORT, alike + 1)
        case _:
            digits = SHORT
    source = after.ref if isinstance(after, Sealed) else None
    return _side(before, digits), _side(after, digits), clean(source or "")


def _side(value: Value, digits: int) -> str:
    if isinstance(value, Sealed):
        return f"{clean(value.fingerprint)[:digits]}…"
    return show(value)
