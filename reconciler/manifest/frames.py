"""What the one pass over a file keeps of each open mapping or list, and of each anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.manifest.pointer import escape
from reconciler.model import Position


@dataclass(slots=True)
class Anchor:
    """What an alias stands for: a value, its nodes and levels; open while it is being read."""

    value: Any
    nodes: int = 1
    height: int = 0
    open: bool = False


@dataclass(slots=True)
class Frame:
    """One open mapping or list.

    ``key`` waits for its value, which is left out with ``drop``. All of a ``quiet`` frame is
    left out of data and places, and only checked. ``start`` counts the nodes before its own.
    """

    into: Any
    pointer: str
    start: int
    quiet: bool = False
    anchor: Anchor | None = None
    height: int = 0
    key: str | None = None
    key_at: Position | None = None
    drop: bool = False

    @property
    def names(self) -> bool:
        """Whether the next node is the key of a mapping."""
        return self.key is None and isinstance(self.into, dict)

    @property
    def slot(self) -> str:
        """The pointer of the value that comes next."""
        if isinstance(self.into, list):
            return f"{self.pointer}/{len(self.into)}"
        return f"{self.pointer}/{escape(self.key or '')}"

    def put(self, value: Any) -> None:
        """Attach the value that came, unless its key is to be left out."""
        if isinstance(self.into, list):
            self.into.append(value)
        elif not self.drop:
            self.into[self.key] = value
        self.key = self.key_at = None
        self.drop = False
