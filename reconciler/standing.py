"""How each system stands: what waits to be applied, what moved, since when, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler.judge import Look
from reconciler.model import Cause, Change
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.survey import Planned
from reconciler.systems import Rules
from reconciler.systems.cursor import database


@dataclass(frozen=True, slots=True)
class Drift:
    """A resource that moved since we wrote it: between ``after`` and ``until``, as far as known.

    ``cause`` is ``drift``, or ``conflict`` where the manifest moved too.
    """

    address: str
    edits: tuple[str, ...]
    after: str | None
    until: str | None
    by: str
    cause: str = Cause.DRIFT.value


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


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that was cut off, or is still at work, and the addresses it was in the middle of."""

    run: int
    command: str
    started: str
    addresses: tuple[str, ...]


def unfinished(session: Session, planned: Planned) -> tuple[Unfinished, ...]:
    """Return this team's runs that left something undone, newest first.

    One without an open step counts only as the last, and while something is to be done.
    """
    begun: dict[int, list[str]] = {}
    for look in planned.looks:
        for step in session.ledger.open_steps(look.system.identity, session.owner):
            begun.setdefault(step.run, []).append(str(step.change.address))
    runs = session.ledger.runs(session.owner)
    last = [run.id for run in runs[:1] if run.ended is None and planned.plan.changes]
    return tuple(
        Unfinished(run.id, run.command, run.started, tuple(begun.get(run.id, ())))
        for run in runs
        if run.id in begun or run.id in last
    )


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
        cause = change.cause.value
        by = _by(change, look.system.rules)
        yield Drift(str(change.address), names, wrote.get(change.address), until, by, cause)


def _touched(session: Session) -> str | None:
    """Return when Cursor's database was last written; no account tells when it was."""
    path = database(session.user_data)
    stamps = [_stamp(each) for each in (path, path.with_name(f"{path.name}-wal"))]
    latest = max((stamp for stamp in stamps if stamp is not None), default=None)
    if latest is None:
        return None
    return datetime.fromtimestamp(latest, UTC).isoformat(timespec="milliseconds")


def _stamp(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _by(change: Change, rules: Rules) -> str:
    """Name who moved it, as far as anybody can know: the system itself, or somebody who is not us.

    No account tells who changed a setting by the means that byok reads it with.
    """
    itself = rules.itself(change)
    if not itself:
        return "not by byok"
    rest = ", the rest not by byok" if len(change.edits) > 1 else ""
    return f"probably by {itself}{rest}"
