"""Layers laid one over the other: plain data, with the place of everything that was said; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.manifest.pointer import escape, split
from reconciler.model import Position

TAKEN_BACK: Final = (2, 3)
"""Depths at which null takes back what lower layers said: an entry, and a key of one."""


class Missing:
    """What stands where nothing is said."""


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True)
class Said:
    """What layers come to: the data, and by JSON pointer the place of each part of it."""

    data: Mapping[str, Any] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)


def over(low: Said, high: Said) -> Said:
    """Return what two layers come to, the higher one having the last word.

    Maps merge key by key; lists and scalars replace. ``absent: true`` stays, whoever says what
    above it. null takes an entry, or one key of it, back; as a section it says nothing; deeper it
    is a value.
    """
    places = dict(low.positions)
    data = _merged(low.data, high.data, "", 1, _Pen(places, high.positions))
    places.update({"": high.positions[""]} if "" in high.positions else {})
    return Said(data, places)


def settled(said: Said) -> Said:
    """Return the merged layers without what an absent model was made for in another file."""
    places, models = dict(said.positions), said.data.get("models")
    kept: dict[str, Any] = dict(models) if isinstance(models, dict) else {}
    for name, entry in kept.items():
        at = f"/models/{escape(name)}"
        if isinstance(entry, dict) and entry.get("absent") is True:
            by = places[f"{at}/absent"].file
            foreign = [n for n in ("default_for", "enabled") if _foreign(places, f"{at}/{n}", by)]
            kept[name] = {part: value for part, value in entry.items() if part not in foreign}
            for part in foreign:
                _forget(entry[part], f"{at}/{part}", places)
    return Said({**said.data, "models": kept} if kept else said.data, places)


def _foreign(places: Mapping[str, Position], pointer: str, file: str) -> bool:
    return pointer in places and places[pointer].file != file


def found(data: Any, pointer: str) -> Any:
    """Return what stands at a pointer, MISSING where nothing does."""
    for part in split(pointer):
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return MISSING
    return data


def pointers(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each part of a value with its pointer, the value itself first."""
    todo = [(pointer, value)]
    while todo:
        at, part = todo.pop()
        yield at, part
        if isinstance(part, dict):
            todo.extend((f"{at}/{escape(name)}", each) for name, each in part.items())
        elif isinstance(part, list):
            todo.extend((f"{at}/{index}", each) for index, each in enumerate(part))


def taken_back(data: Any, pointer: str = "", depth: int = 1) -> Iterator[str]:
    """Yield the pointer of each null that takes back what lower layers said."""
    for name, value in data.items() if isinstance(data, dict) else ():
        at = f"{pointer}/{escape(name)}"
        if value is None and depth in TAKEN_BACK:
            yield at
        elif depth < TAKEN_BACK[-1]:
            yield from taken_back(value, at, depth + 1)


@dataclass(frozen=True, slots=True)
class _Pen:
    """The places as they are rewritten, and those of the higher layer."""

    places: dict[str, Position]
    high: Mapping[str, Position]

    def replace(self, old: Any, new: Any, pointer: str) -> None:
        _forget(old, pointer, self.places)
        self.places.update((at, self.high[at]) for at, _ in pointers(new, pointer))


def _merged(low: Any, high: Mapping[str, Any], pointer: str, depth: int, pen: _Pen) -> Any:
    """Return one map over what stands below it; ``depth`` is that of the map's own keys."""
    out = dict(low)
    for name, value in high.items():
        at, below = f"{pointer}/{escape(name)}", out.get(name, MISSING)
        if _kept(name, value, below, depth):
            continue
        if value is None and depth in TAKEN_BACK:
            _forget(out.pop(name, None), at, pen.places)
        elif isinstance(value, dict):
            if not isinstance(below, dict):
                _forget(below, at, pen.places)
            pen.places[at] = pen.high[at]
            out[name] = _merged(below if isinstance(below, dict) else {}, value, at, depth + 1, pen)
        else:
            pen.replace(below, value, at)
            out[name] = value
    return out


def _kept(name: str, value: Any, below: Any, depth: int) -> bool:
    """Tell whether what stands below stays, whatever the higher layer says here."""
    if name == "absent" and below is True:
        return True
    if value is not None or below is MISSING:
        return False
    return depth == 1 or (isinstance(below, dict) and below.get("absent") is True)


def _forget(value: Any, pointer: str, places: dict[str, Position]) -> None:
    for at, _ in pointers(value, pointer):
        places.pop(at, None)
