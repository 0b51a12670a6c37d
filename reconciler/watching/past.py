"""What the ledger says of earlier rounds: a rollback that pauses them, and what was put back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Final

from reconciler.ledger import Run
from reconciler.model import Address
from reconciler.session import Session
from reconciler.survey import Planned
from reconciler.watching.healing import History, fought

COMMAND: Final = "watch"
LOCK: Final = "watcher.db"
"""The one watcher's place in the state directory."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next round will do: nothing while ``paused``, and nothing to what it gave up."""

    paused: str | None = None
    gave_up: tuple[Address, ...] = ()
    last: str | None = None


def since_apply(session: Session) -> tuple[Run, ...]:
    """Return this team's runs since its last apply, newest first."""
    runs = session.ledger.runs(session.owner)
    return tuple(takewhile(lambda run: run.command != "apply", runs))


def paused(session: Session) -> str | None:
    """Say which rollback forbids to put anything back, until somebody applies again."""
    undone = next((run for run in since_apply(session) if run.command == "rollback"), None)
    if undone is None:
        return None
    return f"paused: run {undone.id} was a rollback; byok apply resumes"


def history(session: Session, identity: str) -> History:
    """Return when each address of a system was put back since the last apply, oldest first."""
    found: dict[Address, list[float]] = {}
    for address, moment in _healed(session, identity):
        found.setdefault(address, []).append(moment)
    return found


def _healed(session: Session, identity: str) -> Iterator[tuple[Address, float]]:
    for run in reversed(since_apply(session)):
        if run.command == COMMAND:
            for step in session.ledger.steps(run.id):
                if step.state == "finished" and step.system == identity:
                    yield step.change.address, datetime.fromisoformat(run.started).timestamp()


def outlook(session: Session, planned: Planned, *, served: bool) -> Outlook | None:
    """Tell what watching would do next; None where nobody watches.

    ``served``: somebody watched here, or has it installed.
    """
    rounds = [run for run in session.ledger.runs(session.owner) if run.command == COMMAND]
    if not (rounds or served):
        return None
    moved = {change.address for change in planned.plan.changes}
    told = (
        address
        for look in planned.looks
        for address, moments in history(session, look.system.identity).items()
        if fought(moments) and address in moved
    )
    return Outlook(paused(session), tuple(sorted(told)), rounds[0].started if rounds else None)
