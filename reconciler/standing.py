"""How each system stands: what waits to be applied, what moved, since when, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.judge import Look
from reconciler.model import Cause, Change
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.survey import Planned
from reconciler.systems.cursor import database


@dataclass(frozen=True, slots=True)
class Drift:
    """A resource that moved since we wrote it: between ``after`` and ``until``, as far as known."""

    address: str
    edits: tuple[str, ...]
    after: str | None
    until: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One system's state in a word, and the addresses behind it."""

    system: str
    in_sync: int
    to_apply: tuple[str, ...]
    drifted: tuple[Drift, ...]
    waiting: tuple[str, ...]
    unknown: tuple[str, ...]
    left_alone: tuple[str, ...]
    converging: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Return drifted, pending, unknown, waiting, converging or in sync: first that applies."""
        for word, here in (
            ("drifted", self.drifted),
            ("pending", self.to_apply),
            ("unknown", self.unknown),
            ("waiting", self.waiting),
            ("converging", self.converging),
        ):
            if here:
                return word
        return "in sync"

    @property
    def sentence(self) -> str:
        """Say the state in one line."""
        parts = [f"{self.in_sync} in sync"]
        for count, word in (
            (len(self.to_apply), "pending"),
            (len(self.drifted), "drifted"),
            (len(self.waiting), "waiting for Cursor's next start"),
            (len(self.converging), "converging"),
            (len(self.unknown), "unknown"),
            (len(self.left_alone), "left alone"),
        ):
            if count:
                parts.append(f"{count} {word}")
        if parts == ["0 in sync"]:
            parts = ["nothing there is judged"]
        return f"{self.state} ({', '.join(parts)})"


def standings(session: Session, planned: Planned) -> tuple[Standing, ...]:
    """Tell how each system of a plan stands."""
    return tuple(_standing(session, look) for look in planned.looks)


def _standing(session: Session, look: Look) -> Standing:
    moved = [c for c in look.verdict.changes if c.cause in (Cause.DRIFT, Cause.CONFLICT)]
    rest = [c for c in look.verdict.changes if c not in moved]
    return Standing(
        system=look.system.name,
        in_sync=look.verdict.in_sync,
        to_apply=tuple(str(change.address) for change in rest),
        drifted=tuple(_drifts(session, look, moved)),
        waiting=tuple(sorted(map(str, look.pending))),
        unknown=tuple(map(str, [*look.verdict.unreadable, *look.desired.failed])),
        converging=tuple(map(str, look.converging)),
        left_alone=tuple(f"{a} left alone: {why}" for a, why in look.desired.skipped.items()),
    )


def _drifts(session: Session, look: Look, moved: list[Change]) -> Iterator[Drift]:
    wrote = session.ledger.written_at(look.system.identity, session.owner)
    until = _touched(session) if look.system.name == CURSOR else None
    for change in moved:
        names = tuple(edit.name for edit in change.edits)
        yield Drift(str(change.address), names, wrote.get(change.address), until, _by(change))


def _touched(session: Session) -> str | None:
    """Return when Cursor's database was last written; no account tells when it was."""
    try:
        stamp = database(session.user_data).stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds")


def _by(change: Change) -> str:
    """Name who moved it: Cursor's own account events switch its OpenAI key off (Cursor 2.4+)."""
    switched_off = [(e.name, e.before) for e in change.edits] == [("enabled", False)]
    if switched_off and (change.address.system, change.address.name) == (CURSOR, "openai"):
        return "probably by Cursor itself, which switches this off on sign-in and plan changes"
    return "not by byok"
