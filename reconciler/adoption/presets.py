"""The endpoints that byok knows by name: base URL, key, where keys are made, and known traps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from reconciler import schemas
from reconciler.errors import UsageError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Trap:
    """What goes wrong, and the page that says so."""

    says: str
    source: str


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of endpoint; None stands for what is not known.

    ``base_url`` is None where it is the operator's own; ``example`` shows one then. ``checked`` is
    the day the facts were last read, as 2026-11-23. ``key_shape`` is a regular expression.
    """

    name: str
    title: str
    type: str
    base_url: str | None
    example: str | None
    keyed: bool
    key_env: str | None
    key_shape: str | None
    key_shape_source: str | None
    keys_at: str | None
    source: str
    checked: str
    traps: tuple[Trap, ...]


def document() -> dict[str, Any]:
    """Return the presets as they stand in ``schemas/presets.json``."""
    text = (schemas.folder() / "presets.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def everything() -> Mapping[str, Preset]:
    """Return every preset by its name, in the file's order."""
    return {name: _preset(name, data) for name, data in document()["presets"].items()}


@cache
def everywhere() -> tuple[Trap, ...]:
    """Return the traps of every endpoint behind Cursor's override."""
    return tuple(Trap(**trap) for trap in document()["everywhere"])


def _preset(name: str, data: Mapping[str, Any]) -> Preset:
    traps = tuple(Trap(**trap) for trap in data["traps"])
    return Preset(name=name, traps=traps, **{k: v for k, v in data.items() if k != "traps"})


def named(name: str) -> Preset:
    """Return a preset by its name. Raises UsageError for one that there is not."""
    found = everything().get(name)
    if found is None:
        from difflib import get_close_matches

        near = get_close_matches(name, everything(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"--preset {name[:40]}", "there is no such preset", f"{hint}see byok init --preset list"
        )
    return found


def recognised(base_url: str) -> Preset | None:
    """Return the preset that a base URL belongs to, or None.

    A vendor's is known by its host, whatever the path; a local one by port and this machine.
    """
    where = _place(base_url)
    known = (each for each in everything().values() if each.base_url)
    return next((each for each in known if where and _place(each.base_url) == where), None)


def _place(url: str | None) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    return ("localhost" if host in _LOOPBACK else host, port) if host else None
