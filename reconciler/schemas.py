"""Finds the JSON schemas and makes one of them from its fragments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

_SUFFIX = ".schema.json"
_INSTALLED = Path(__file__).with_name("_schemas")
_CHECKOUT = Path(__file__).parent.parent / "schemas"
_MAPS: Final = ("properties", "$defs")
_TOGETHER: Final = (
    "required",
    "if",
    "then",
    "else",
    "allOf",
    "dependentRequired",
    "minProperties",
)
"""What a schema asks to be there, or to go together."""

_SECTIONS: Final = ("providers", "endpoints", "models", "budgets", "prices", "cursor_team")
_ENTRIES: Final = ("openai", "anthropic", "google", "azure", "bedrock", "endpoint", "model")
_MORE: Final = ("budget", "price", "policy")


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


def relaxed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that asks for nothing to be there, nor for keys to go together.

    That is for the whole to be asked, once all layers are merged.
    """
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _MAPS:
            kept[name] = {each: relaxed(below) for each, below in value.items()}
        elif name not in _TOGETHER:
            kept[name] = relaxed(value) if isinstance(value, dict) else value
    return kept


def layer() -> dict[str, Any]:
    """Return the schema of one layer, for editors: incomplete, and null may take back.

    What is taken back is an entry, or a key of one.
    """
    schema = relaxed(bundle())
    sections = [schema["properties"][name] for name in _SECTIONS]
    for node in (*sections, *(schema["$defs"][name] for name in (*_ENTRIES, *_MORE))):
        named = node.get("properties", {})
        node.update(
            {"properties": {n: _or_null(each) for n, each in named.items()}} if named else {}
        )
        if isinstance(node.get("additionalProperties"), dict):
            node["additionalProperties"] = _or_null(node["additionalProperties"])
    return {**schema, "title": "byok manifest, version 1: one layer of several"}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    said = {"description": schema["description"]} if "description" in schema else {}
    return {**said, "anyOf": [dict(schema), {"type": "null"}]}


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
