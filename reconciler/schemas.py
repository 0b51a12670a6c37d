"""Finds the JSON schemas and makes one of them from its fragments."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_SUFFIX = ".schema.json"
_INSTALLED = Path(__file__).with_name("_schemas")
_CHECKOUT = Path(__file__).parent.parent / "schemas"


def folder() -> Path:
    """Return the folder of the schemas: the package's own from a wheel, else the checkout's."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def names() -> tuple[str, ...]:
    """Return the names that `read` knows: ``manifest``, ``providers/openai``, …, sorted."""
    root = folder()
    found = (path.relative_to(root).as_posix() for path in root.rglob(f"*{_SUFFIX}"))
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found))


def read(name: str) -> dict[str, Any]:
    """Return one schema as it stands in its file. Raises KeyError for an unknown name."""
    if not re.fullmatch(r"[a-z]+(/[a-z]+)?", name):
        raise KeyError(name)
    try:
        text = (folder() / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KeyError(name) from None
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def bundle(name: str = "manifest") -> dict[str, Any]:
    """Return a schema with the files it refers to as ``$defs``: self-contained, for validators.

    A file's definitions stand under its own last name: ``providers/openai`` is ``#/$defs/openai``.
    Do not change what is returned: it is made once. Raises KeyError for an unknown name.
    """
    root = read(name)
    inlined: dict[str, Any] = {}
    schema: dict[str, Any] = _inline(root, name, "", inlined)
    return {**schema, "$defs": {**schema.get("$defs", {}), **inlined}}


def _inline(node: Any, name: str, base: str, into: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, name, base, into) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {key: _inline(item, name, base, into) for key, item in node.items()}
    if isinstance(node.get("$ref"), str):
        copied["$ref"] = _refer(node["$ref"], name, base, into)
    return copied


def _refer(ref: str, name: str, base: str, into: dict[str, Any]) -> str:
    file, _, pointer = ref.partition("#")
    if not file:
        return f"#{base}{pointer}"
    target = _beside(name, file)
    short = target.rpartition("/")[2]
    if short not in into:
        into[short] = {}  # taken, while its own references are followed
        fragment = _inline(read(target), target, f"/$defs/{short}", into)
        fragment.pop("$schema", None)
        into[short] = fragment
    return f"#/$defs/{short}{pointer}"


def _beside(name: str, file: str) -> str:
    parts = name.split("/")[:-1]
    for part in file.removesuffix(_SUFFIX).split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
