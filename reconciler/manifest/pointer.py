"""JSON pointers, and how a name from the file is shown."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 64


def escape(name: str) -> str:
    """Return a name as one part of a JSON pointer (RFC 6901)."""
    if "~" in name or "/" in name:
        return name.replace("~", "~0").replace("/", "~1")
    return name


def join(parts: Iterable[str | int]) -> str:
    """Return the JSON pointer of a path of names and indexes."""
    return "".join(f"/{escape(str(part))}" for part in parts)


def split(pointer: str) -> tuple[str, ...]:
    """Return the names of a JSON pointer, the inverse of `join`; indexes stay text."""
    parts = pointer.split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def shown(name: str) -> str:
    """Return a name in quotes, for messages: shortened, nothing in it that moves a terminal."""
    short = name if len(name) <= _LONGEST else name[:_LONGEST] + "…"
    return "'" + "".join(_visible(sign) for sign in short) + "'"


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else f"\\u{ord(sign):04x}"
