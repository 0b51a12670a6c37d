"""Replace single leaves in the text of a JSON document and leave every other character alone; pure.

Parsing and dumping a document again changes what it does not own: 1e21 becomes 1e+21, an escaped
lone surrogate a character that UTF-8 cannot carry, a duplicate key disappears. So values that are
not ours are only skipped, with the C scanner of the standard library, and never written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

Path: TypeAlias = tuple[str, ...]


class SpliceError(ValueError):
    """The text is not strict JSON, or its shape leaves no place for the leaf."""


@dataclass(frozen=True, slots=True)
class Put:
    """Set the leaf to this JSON value; missing parents are made."""

    value: Any


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove the leaf with its name; nothing happens where there is none."""


@dataclass(frozen=True, slots=True)
class Elements:
    """Own single strings of a list: drop these, append those that are not there."""

    add: Path = ()
    drop: frozenset[str] = frozenset()


Leaf: TypeAlias = Put | Drop | Elements
_Tree: TypeAlias = dict[str, "_Tree | Leaf"]
_Member: TypeAlias = tuple[str, int, int, int]  # name, start of name, start and end of value

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _refuse(name: str) -> NoReturn:
    raise SpliceError(f"{name} is not JSON")


# Numbers stay text: they are only skipped, and Python refuses integers of over 4300 digits.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str)


def dump(value: Any) -> str:
    """Serialise as JavaScript's well-formed ``JSON.stringify`` does: compact, own order, UTF-8."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def check(text: str) -> None:
    """Raise SpliceError unless the text is one strict JSON object, as ``JSON.parse`` takes it."""
    try:
        start = _skip(text, 0)
        document, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        raise SpliceError("not strict JSON") from None  # the error would carry the text
    if not isinstance(document, dict) or _skip(text, end) != len(text):
        raise SpliceError("not one JSON object")


def load(text: str) -> dict[str, Any]:
    """Return one strict JSON object as Python data. Raises SpliceError."""
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise SpliceError("not strict JSON") from None
    if not isinstance(document, dict):
        raise SpliceError("not one JSON object")
    return document


def splice(text: str, edits: Mapping[Path, Leaf]) -> str:
    """Return the document with these leaves changed and all other text as it was.

    Of a duplicate name the last counts, as in JavaScript. Raises SpliceError when the text is not
    one strict JSON object, or when a parent of a leaf is there and is not an object (for Elements:
    the leaf is there and not a list; null counts as not there).
    """
    check(text)
    changes = sorted(_object(text, _skip(text, 0), _tree(edits)))
    parts, at = [], 0
    for start, end, new in changes:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def _tree(edits: Mapping[Path, Leaf]) -> _Tree:
    tree: _Tree = {}
    for path, leaf in edits.items():
        node = tree
        for name in path[:-1]:
            below = node.setdefault(name, {})
            if not isinstance(below, dict):
                raise SpliceError("one leaf is the parent of another")
            node = below
        node[path[-1]] = leaf
    return tree


def _skip(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yield each member of the object whose brace stands at start."""
    at = _skip(text, start + 1)
    while text[at] == '"':
        name, end = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, end) + 1)
        stop = _DECODER.raw_decode(text, value)[1]
        yield name, at, value, stop
        at = _skip(text, stop)
        if text[at] == "}":
            return
        at = _skip(text, at + 1)


def _object(text: str, start: int, tree: _Tree) -> Iterator[tuple[int, int, str]]:
    """Yield the replacements (start, end, new text) for one object; they never overlap."""
    members = list(_members(text, start))
    last = {name: index for index, (name, *_) in enumerate(members)}
    gone = {i for i, (name, *_) in enumerate(members) if isinstance(tree.get(name), Drop)}
    yield from _cuts(members, gone)
    for name, below in tree.items():
        if name in last and not isinstance(below, Drop):
            _, _, value, end = members[last[name]]
            yield from _value(text, value, end, below)
    fresh = [
        dump(name) + ":" + new for name, b in tree.items() if name not in last and (new := _new(b))
    ]
    if fresh:
        kept = [member for i, member in enumerate(members) if i not in gone]
        # Behind the last member, or right behind the brace where every member goes or none is.
        at = members[-1][3] if members else start + 1
        yield at, at, ("," if kept else "") + ",".join(fresh)


def _cuts(members: list[_Member], gone: set[int]) -> Iterator[tuple[int, int, str]]:
    """Cut members out, each with the comma that parted it from its kept neighbour."""
    first_kept = next((i for i in range(len(members)) if i not in gone), len(members))
    for index in sorted(gone):
        _, at, _, end = members[index]
        if index > first_kept:
            yield members[index - 1][3], end, ""
        elif index + 1 < len(members):
            yield at, members[index + 1][1], ""
        else:
            yield at, end, ""


def _value(text: str, start: int, end: int, below: _Tree | Leaf) -> Iterator[tuple[int, int, str]]:
    match below:
        case Put(value):
            yield start, end, dump(value)
        case Elements():
            yield start, end, _list(text, start, end, below)
        case dict() if text[start] == "{":
            yield from _object(text, start, below)
        case dict() if text[start:end] == "null":
            yield start, end, _new(below) or "null"
        case _:
            raise SpliceError("a parent of the leaf is not an object")


def _list(text: str, start: int, end: int, wish: Elements) -> str:
    """Return the text of the list with single strings dropped and appended, others verbatim."""
    if text[start:end] == "null":
        return _new(wish) or "null"
    if text[start] != "[":
        raise SpliceError("not a list")
    items, at = [], _skip(text, start + 1)
    while text[at] != "]":
        value, stop = _DECODER.raw_decode(text, at)
        # A number came back as text: only what is written with quotes is a string.
        items.append((value if text[at] == '"' else None, text[at:stop]))
        at = _skip(text, stop)
        at = _skip(text, at + 1) if text[at] == "," else at
    there = {value for value, _ in items}
    kept = [raw for value, raw in items if value is None or value not in wish.drop]
    fresh = [dump(name) for name in wish.add if name not in there]
    return (
        text[start:end]
        if len(kept) == len(items) and not fresh
        else f"[{','.join([*kept, *fresh])}]"
    )


def _new(below: _Tree | Leaf) -> str:
    """Return the text of something that was not there, or the empty text for nothing to write."""
    match below:
        case Put(value):
            return dump(value)
        case Elements(add=add):
            return dump(list(add)) if add else ""
        case dict():
            inner = [f"{dump(name)}:{new}" for name, b in below.items() if (new := _new(b))]
            return f"{{{','.join(inner)}}}" if inner else ""
        case _:
            return ""
