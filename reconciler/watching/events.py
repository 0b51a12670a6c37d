"""What a round of watching tells: one event for each thing it did, left or met."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import worst

SOMETHING_LEFT = 2
"""The exit code of a round that left something to do."""


class Kind(StrEnum):
    """What happened."""

    HEALED = "healed"
    LEFT = "left"
    PAUSED = "paused"
    WAITING = "waiting"
    FOUGHT = "fought"
    STOPPED = "stopped"
    FAILED = "failed"
    IN_SYNC = "in_sync"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log; ``code`` is the exit code that it comes to."""

    event: Kind
    why: str
    address: str | None = None
    code: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """One look at Cursor, and what came of it; after a ``strained`` one the next comes later."""

    events: tuple[Event, ...]
    strained: bool = False

    @property
    def code(self) -> int:
        """The exit code of a single round: a failure's own, else 2 if something was left."""
        codes = [event.code for event in self.events]
        return worst([code for code in codes if code != SOMETHING_LEFT]) or max(codes, default=0)
