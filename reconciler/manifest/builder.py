"""YAML events to plain data and places: one pass, an explicit stack, bounded in every direction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.manifest.frames import Anchor, Frame
from reconciler.manifest.pointer import escape, shown
from reconciler.manifest.scalars import resolve
from reconciler.manifest.syntax import fault, literal
from reconciler.model import Diagnostic, Position
from reconciler.shapes import looks_like

MAX_DEPTH: Final = 40
MAX_NODES: Final = 400_000
MAX_SCALAR: Final = 64 * 1024
MAX_FAULTS: Final = 100

_SHORTEST_SECRET: Final = 16
"""No key format in use is shorter, so shorter texts need no look."""
_WITHHELD: Final = "(withheld)"


class Full(Exception):
    """Nothing more of this file is worth reading."""


@dataclass(slots=True)
class Builder:
    """The state of the one pass; lives as long as one file is read."""

    file: str
    data: Any = None
    positions: dict[str, Position] = field(default_factory=dict)
    keys: dict[str, Position] = field(default_factory=dict)
    gaps: set[str] = field(default_factory=set)
    faults: list[Diagnostic] = field(default_factory=list)
    _documents: int = 0
    _nodes: int = 0
    _stack: list[Frame] = field(default_factory=list)
    _anchors: dict[str, Anchor] = field(default_factory=dict)

    def run(self, events: Iterable[Event]) -> None:
        """Read all events. Raises Full, with the reason among the faults, to stop early."""
        steps: dict[type[Event], Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._open,
            SequenceStartEvent: self._open,
            MappingEndEvent: self._close,
            SequenceEndEvent: self._close,
            AliasEvent: self._alias,
            DocumentStartEvent: self._document,
        }
        for event in events:
            if step := steps.get(type(event)):
                step(event)
        if self.data is None:
            self._stop("BYOK001", "the manifest is empty", "write at least `version: 1`")

    def _document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            what = "a second document begins here"
            self._stop("BYOK001", what, "keep one manifest in a file", self._at(event))

    def _scalar(self, event: ScalarEvent) -> None:
        at, text = self._at(event), event.value
        self._count(1, at)
        if event.tag is not None:
            self._tagged(at)
        plain, sound = event.implicit[0] and event.tag is None, True
        if len(text) > MAX_SCALAR:
            what = f"this text is longer than {MAX_SCALAR // 1024} KiB"
            self._fault("BYOK005", what, "shorten it", at)
            text, plain, sound = _WITHHELD, False, False
        if self._names():
            self._key(text, at, plain=plain)
            self._stack[-1].drop |= not sound
            return
        if len(text) >= _SHORTEST_SECRET and (kind := looks_like(text)):
            self._add(literal(kind, at, self._pointer()))
        value: Any = text
        if plain:
            value, sound = self._resolve(text, at)
        if event.anchor is not None:
            self._anchors[event.anchor] = Anchor(value)
        self._put(value if sound else None, at, sound=sound)

    def _resolve(self, text: str, at: Position) -> tuple[Any, bool]:
        try:
            return resolve(text), True
        except ValueError:
            what = "this number is infinite, not a number, or of more than 18 digits"
            self._fault("BYOK001", what, "quote it if it is text", at)
            return None, False

    def _open(self, event: CollectionStartEvent) -> None:
        at = self._at(event)
        self._count(1, at)
        self._deepen(1, at)
        if event.tag is not None:
            self._tagged(at)
        into: Any = {} if isinstance(event, MappingStartEvent) else []
        if self._names():
            self._not_text(at)
            self._stack.append(Frame(into, self._stack[-1].slot, self._nodes, quiet=True))
            return
        frame = self._stack[-1] if self._stack else None
        quiet = frame is not None and (frame.quiet or frame.drop)
        anchor = Anchor(into, open=True) if event.anchor is not None else None
        if anchor and event.anchor:
            self._anchors[event.anchor] = anchor
        pointer = self._put(into, (frame and frame.key_at) or at)
        self._stack.append(Frame(into, pointer, self._nodes, quiet=quiet, anchor=anchor))

    def _close(self, _: Event) -> None:
        frame = self._stack.pop()
        height = frame.height + 1
        if frame.anchor is not None:
            frame.anchor.nodes = self._nodes - frame.start + 1
            frame.anchor.height, frame.anchor.open = height, False
        self._raise_to(height)

    def _alias(self, event: AliasEvent) -> None:
        at, anchor = self._at(event), self._anchors.get(event.anchor or "")
        if anchor is None or anchor.open:
            what = "this alias stands inside of what it names"
            if anchor is None:
                what = "no anchor of this alias's name stands above"
            self._fault("BYOK001", what, "write the value out, or quote it if it is text", at)
            anchor = Anchor(None, open=True)
        self._count(anchor.nodes, at)
        self._deepen(anchor.height, at)
        if self._names():
            if isinstance(anchor.value, str):
                self._key(anchor.value, at, plain=False)
            else:
                self._not_text(at)
            return
        self._put(anchor.value, at, sound=not anchor.open)
        self._raise_to(anchor.height)

    def _names(self) -> bool:
        return bool(self._stack) and self._stack[-1].names

    def _key(self, name: str, at: Position, *, plain: bool) -> None:
        frame = self._stack[-1]
        frame.key, frame.key_at, frame.drop = name, at, False
        if plain and name == "<<":
            frame.drop = True
            what = "a merge key (<<) is not part of YAML 1.2"
            self._fault("BYOK001", what, "repeat the lines, or alias a whole value", at)
        elif len(name) >= _SHORTEST_SECRET and (kind := looks_like(name)):
            frame.key, frame.drop = _WITHHELD, True
            self._add(literal(kind, at, self._pointer()))
        elif plain and not _textual(name):
            what = f"the key {shown(name)} is not text in YAML"
            self._fault("BYOK001", what, f'quote it: "{shown(name)[1:-1]}"', at)
        if not (frame.drop or frame.quiet):
            self._once(frame, name, at)

    def _once(self, frame: Frame, name: str, at: Position) -> None:
        pointer = f"{frame.pointer}/{escape(name)}"
        if name not in frame.into:
            self.keys[pointer] = at
            return
        frame.drop = True
        first = self.keys[pointer]
        what = f"the key {shown(name)} is given twice, first at line {first.line}"
        self._fault("BYOK002", f"{what}, column {first.column}", "keep one of the two", at)

    def _put(self, value: Any, at: Position, *, sound: bool = True) -> str:
        """Attach a value where it belongs and remember its place; return its pointer."""
        if not self._stack:
            self.data, self.positions[""] = value, at
            return ""
        frame = self._stack[-1]
        pointer = frame.slot
        if not (frame.quiet or frame.drop):
            self.positions[pointer] = at
        if not sound:
            self.gaps.add(pointer)
        frame.put(value)
        return pointer

    def _count(self, nodes: int, at: Position) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            what = f"the manifest has more than {MAX_NODES:,} values, aliases written out"
            self._stop("BYOK005", what, "check that this is the manifest", at)

    def _deepen(self, levels: int, at: Position) -> None:
        if len(self._stack) + levels > MAX_DEPTH:
            what = f"the manifest is more than {MAX_DEPTH} levels deep"
            self._stop("BYOK005", what, "check that this is the manifest", at)

    def _raise_to(self, height: int) -> None:
        if self._stack and self._stack[-1].height < height:
            self._stack[-1].height = height

    def _not_text(self, at: Position) -> None:
        frame = self._stack[-1]
        frame.key, frame.drop = _WITHHELD, True
        self._fault("BYOK001", "a key must be text", "write it as one plain word", at)

    def _tagged(self, at: Position) -> None:
        self._fault("BYOK001", "a tag (!) is not part of a manifest", "remove it", at)

    def _fault(self, code: str, what: str, way_out: str, at: Position) -> None:
        self._add(fault(code, what, way_out, at, self._pointer()))

    def _add(self, found: Diagnostic) -> None:
        self.faults.append(found)
        if len(self.faults) >= MAX_FAULTS:
            raise Full

    def _pointer(self) -> str:
        return self._stack[-1].slot if self._stack and not self._stack[-1].names else ""

    def _stop(self, code: str, what: str, way_out: str, at: Position | None = None) -> NoReturn:
        place = at or Position(self.file, 1, 1)
        self.faults.append(fault(code, what, way_out, place))
        raise Full

    def _at(self, event: Event) -> Position:
        mark = event.start_mark
        if mark is None:  # only events that a program made have none
            return Position(self.file, 1, 1)
        return Position(self.file, mark.line + 1, mark.column + 1)


def _textual(name: str) -> bool:
    try:
        return isinstance(resolve(name), str)
    except ValueError:
        return False
