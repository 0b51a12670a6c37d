"""YAML or JSON bytes as a plain tree, read so strictly that no parser can see another tree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree]"
"""Scalars are their text as written; nothing is resolved."""

DEPTH = 64


class MalformedError(ValueError):
    """The bytes are not a document that we are willing to read; the text says why, without them."""


def parse(data: bytes, form: str) -> dict[str, Tree]:
    """Read one mapping from ``json`` or ``yaml`` bytes.

    Refused, because parsers disagree about them: duplicate keys, YAML anchors, aliases, tags,
    merge keys, several documents, keys that are no scalars, bytes that are not UTF-8.
    Raises MalformedError.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("it is not UTF-8 text") from None
    tree = _from_json(text) if form == "json" else _from_yaml(text)
    if not isinstance(tree, dict):
        raise MalformedError("its top level is not a mapping")
    return tree


def _from_json(text: str) -> Tree:
    try:
        tree: Tree = json.loads(
            text,
            object_pairs_hook=_mapping,
            parse_int=str,
            parse_float=str,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise MalformedError(f"JSON syntax error in line {error.lineno}") from None
    except RecursionError:
        raise MalformedError("it is nested too deeply") from None
    return _texts(tree, DEPTH)


def _constant(name: str) -> str:
    raise MalformedError(f"{name} is not JSON")


def _texts(value: Any, depth: int) -> Tree:
    if depth == 0:
        raise MalformedError("it is nested too deeply")
    if isinstance(value, dict):
        return {key: _texts(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item, depth - 1) for item in value]
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("a key stands twice in one mapping")
    return found


def _from_yaml(text: str) -> Tree:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = list(_shallow(yaml.parse(text, loader)))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise MalformedError(f"YAML syntax error in line {line}") from None
    except yaml.YAMLError:
        raise MalformedError("it has characters that YAML does not allow") from None
    if not events:
        raise MalformedError("it is empty")
    rest = iter(events)
    tree = _node(next(rest), rest, DEPTH)
    if next(rest, None) is not None:
        raise MalformedError("it has more than one YAML document")
    return tree


def _shallow(events: Iterator[Any]) -> Iterator[Any]:
    # libyaml takes a time that grows with the square of the depth: stop while it is small.
    depth = 0
    for event in events:
        depth += _turn(event)
        if depth > DEPTH:
            raise MalformedError("it is nested too deeply")
        if not _frame(event):
            yield event


def _turn(event: Any) -> int:
    """Return 1 for an event that opens a map or a list, -1 for one that closes it, else 0."""
    name = type(event).__name__
    if not name.startswith(("Mapping", "Sequence")):
        return 0
    return 1 if name.endswith("StartEvent") else -1


def _frame(event: Any) -> bool:
    return type(event).__name__ in {
        "StreamStartEvent",
        "StreamEndEvent",
        "DocumentStartEvent",
        "DocumentEndEvent",
    }


def _node(event: Any, rest: Iterator[Any], depth: int) -> Tree:
    kind = type(event).__name__
    if kind == "AliasEvent" or event.anchor or event.tag:
        line = event.start_mark.line + 1
        raise MalformedError(f"a YAML anchor, alias or tag in line {line}; sops writes none")
    if depth == 0:
        raise MalformedError("it is nested too deeply")
    if kind == "ScalarEvent":
        return str(event.value)
    if kind == "SequenceStartEvent":
        return _items(rest, depth - 1)
    return _mapping(list(_pairs(rest, depth - 1)))


def _items(rest: Iterator[Any], depth: int) -> list[Tree]:
    items: list[Tree] = []
    while type(event := next(rest)).__name__ != "SequenceEndEvent":
        items.append(_node(event, rest, depth))
    return items


def _pairs(rest: Iterator[Any], depth: int) -> Iterator[tuple[str, Tree]]:
    while type(event := next(rest)).__name__ != "MappingEndEvent":
        key = _node(event, rest, depth)
        if not isinstance(key, str) or key == "<<":
            raise MalformedError("a key that is not plain text, or a merge key")
        yield key, _node(next(rest), rest, depth)
