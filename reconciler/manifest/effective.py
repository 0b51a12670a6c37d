"""A manifest in one piece, as YAML and JSON: merged, decided for a machine, each value's origin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.manifest.load import Loaded
from reconciler.manifest.merging import pointers
from reconciler.manifest.pointer import escape
from reconciler.manifest.scalars import resolve
from reconciler.model import Position
from reconciler.spec import Manifest

FORMAT: Final = "byok.effective/1"
_PLAIN: Final = re.compile(r"[A-Za-z0-9~][A-Za-z0-9._/:#@+~-]*(?<!:)")
_LONGEST_KEY: Final = 1_000
"""YAML allows 1,024 characters before the colon; a name has up to 256, escaped ten times that."""

_UNSAID: Final = ("extends", "locked")


def document(found: Loaded) -> dict[str, Any]:
    """Return the manifest as JSON data, with the place of each of its parts by pointer."""
    data, manifest = _said(found), found.manifest
    return {
        "format": FORMAT,
        "manifest": data,
        "origins": {at: str(manifest.where(at)) for at, _ in pointers(data) if at},
        "facts": dict(manifest.facts),
        "left_out": dict(manifest.left_out),
        "layers": list(manifest.layers),
    }


def text(found: Loaded) -> str:
    """Return the manifest as YAML that loads again and means the same.

    Each value has its file and line as a comment; what conditions left out is told at the end.
    """
    data, manifest = _said(found), found.manifest
    lines = [*_head(data, manifest), *_map(data, "", "", manifest)]
    for at, why in manifest.left_out.items():
        lines.append(f"# left out here: {_safe(at)}, {_safe(why)} ({_place(manifest.where(at))})")
    return "\n".join(lines)


def _said(found: Loaded) -> dict[str, Any]:
    return {name: part for name, part in found.data.items() if name not in _UNSAID}


def _head(data: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    yield f"# What {' + '.join(map(_safe, manifest.layers))} come{_s(manifest)} to"
    if manifest.facts:
        told = ", ".join(f"{name} {_safe(fact)}" for name, fact in manifest.facts.items())
        yield f"# Decided for {told}"
    if any(isinstance(part, str) and "://../" in part for _, part in pointers(data)):
        yield "# References that begin with ../ are read through the layers that say them only"


def _s(manifest: Manifest) -> str:
    return "s" if len(manifest.layers) == 1 else ""


def _map(data: Mapping[str, Any], at: str, indent: str, manifest: Manifest) -> Iterator[str]:
    for name, value in data.items():
        yield from _pair(_key(name, indent), value, f"{at}/{escape(name)}", indent, manifest)


def _key(name: str, indent: str) -> str:
    """Return a name as a key; YAML wants a mark and a line of its own for a long one."""
    key = scalar(name)
    return key if len(key) <= _LONGEST_KEY else f"? {key}\n{indent}"


def _pair(name: str, value: Any, at: str, indent: str, manifest: Manifest) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield f"{indent}{name}:"
        yield from _map(value, at, f"{indent}  ", manifest)
    elif isinstance(value, list) and value:
        yield f"{indent}{name}:"
        for number, each in enumerate(value):
            origin = _place(manifest.where(f"{at}/{number}"))
            yield f"{indent}  - {_flow(each)}  # {origin}"
    else:
        yield f"{indent}{name}: {_flow(value)}  # {_place(manifest.where(at))}"


def _flow(value: Any) -> str:
    match value:
        case str():
            return scalar(value)
        case dict():
            inside = (f"{_quoted(name)}: {_flow(each)}" for name, each in value.items())
            return f"{{{', '.join(inside)}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
    return json.dumps(value)


def scalar(value: str) -> str:
    """Return a text as one YAML scalar: plain where it reads back as itself, else in quotes."""
    try:
        plain = bool(_PLAIN.fullmatch(value)) and resolve(value) == value
    except ValueError:
        plain = False
    return value if plain else _quoted(value)


def _quoted(value: str) -> str:
    """Return a text in double quotes; what does not print is escaped, as YAML 1.2 has it."""
    body = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_safe(body)}"'


def _safe(value: str) -> str:
    return "".join(s if s.isprintable() else f"\\U{ord(s):08x}" for s in value)


def _place(place: Position) -> str:
    return _safe(f"{place.file}:{place.line}")
