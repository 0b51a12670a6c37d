"""One round: plan Cursor, put back what is ours and moved, tell of the rest."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.engine import apply_plan, settle_steps
from reconciler.errors import ByokError, CursorBusy, Declined, ManifestError
from reconciler.executor import Outcome
from reconciler.gate import refuse_unmatched
from reconciler.model import Address, Change, Scope
from reconciler.session import Options, Session, reading, writing
from reconciler.spec import CURSOR
from reconciler.survey import Planned, make_plan
from reconciler.systems.cursor import HalfDone
from reconciler.watching import past
from reconciler.watching.events import SOMETHING_LEFT, Event, Kind, Round
from reconciler.watching.healing import Healing, History, heal


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found: ``unsettled`` if an earlier run was cut off in the middle of a step."""

    planned: Planned
    healing: Healing
    history: History
    unsettled: bool

    @property
    def told(self) -> tuple[Event, ...]:
        """What there is to tell beside what is put back."""
        return (*_failures(self.planned), *_left(self.healing), *_unreadable(self.planned))


def make_round(options: Options, scope: Scope, stopping: Callable[[], bool]) -> Round:
    """Look once, and put back what can be put back unless ``stopping``; raises no ByokError.

    Without anything to put back nothing is written and no lock is taken.
    """
    try:
        with reading(options) as session:
            why = past.paused(session)
            if why is not None:
                return Round((Event(Kind.PAUSED, why, code=SOMETHING_LEFT),))
            seen = _look(session, make_plan(session, scope, watching=False))
            obstacle = session.obstacle() if seen.healing.to_do else None
    except HalfDone:
        return _taken_back(options, scope, stopping)
    except ByokError as error:
        return _failed(error)
    if obstacle is not None:
        return _told(seen, _waiting(seen.healing.to_do, obstacle))
    if stopping() or not (seen.healing.to_do or seen.unsettled):
        return _told(seen)
    return _put_back(options, scope, seen)


def _taken_back(options: Options, scope: Scope, stopping: Callable[[], bool]) -> Round:
    """Have taken back what keeps Cursor's settings from being read, then make the round."""
    try:
        with writing(options, "byok watch") as session:
            session.system(CURSOR).actual()
            told = [
                Event(Kind.HEALED, note, f"{CURSOR}/database/settings") for note in session.aloud
            ]
    except ByokError as error:
        return _failed(error)
    rest = make_round(options, scope, stopping)
    return replace(rest, events=(*told, *rest.events))


def _look(session: Session, planned: Planned) -> _Seen:
    """Judge what a plan of Cursor found.

    Raises ManifestError for what lint calls an error, UsageError for a target that names nothing.
    """
    refuse_unmatched(planned)
    if planned.errors:
        raise ManifestError(session.manifest.file, planned.errors)
    (look,) = planned.looks
    history = past.history(session, look.system.identity)
    healing = heal(
        planned.plan.changes,
        look.written,
        history,
        protect=session.manifest.policy.protect,
        barred=_barred(planned),
        itself=look.system.rules.itself,
    )
    begun = session.ledger.open_steps(look.system.identity, session.owner)
    return _Seen(planned, healing, history, bool(begun))


def _barred(planned: Planned) -> dict[Address, str]:
    strangers = {
        pair.address: f"{pair.ref} would go to {pair.origin}, not approved yet: byok apply asks"
        for pair in planned.pairings
    }
    return strangers | {at: f"managed by team {owner}" for at, owner in planned.held.items()}


def _put_back(options: Options, scope: Scope, seen: _Seen) -> Round:
    done: list[Change] = []
    try:
        with writing(options, "byok watch") as session:
            seen = _settled(session, scope)
            outcome = _apply(session, scope, seen.healing.to_do, done)
            notes = (*session.aloud, *outcome.notes)
    except ByokError as error:
        return _cut_off(seen, done, error)
    failures = [
        Event(Kind.FAILED, str(one.error), str(one.change.address), one.error.exit_code)
        for one in outcome.failed
    ]
    return _told(seen, (*_healed(seen, done, notes), *failures), strained=_again(seen, done))


def _settled(session: Session, scope: Scope) -> _Seen:
    """Look anew, as the one writer, and record what became of steps that were cut off."""
    planned = make_plan(session, scope, watching=False)
    for look in planned.looks:
        settle_steps(session, look)
    return _look(session, planned)


def _apply(
    session: Session, scope: Scope, changes: tuple[Change, ...], done: list[Change]
) -> Outcome:
    """Apply just these changes, through every gate that apply goes through.

    Raises Declined where by now something else would be done.
    """
    if not changes:
        return Outcome()
    targets = tuple(glob.escape(str(change.address)) for change in changes)
    return apply_plan(
        session,
        replace(scope, targets=targets),
        lambda fresh: fresh.plan.changes == changes,
        told=done.append,
        command=past.COMMAND,
    )[1]


def _cut_off(seen: _Seen, done: list[Change], error: ByokError) -> Round:
    """Tell of a round that an error ended, after all that it had done."""
    rest = tuple(change for change in seen.healing.to_do if change not in done)
    match error:
        case CursorBusy():
            ended = _waiting(rest, error)
        case Declined():
            why = "it moved once more while it was to be put back; the next round looks again"
            ended = tuple(Event(Kind.LEFT, why, str(c.address), SOMETHING_LEFT) for c in rest)
        case _:
            ended = _failed(error).events
    again = _again(seen, done) or not isinstance(error, CursorBusy | Declined)
    return _told(seen, (*_healed(seen, done, ()), *ended), strained=again)


def _told(seen: _Seen, events: Iterable[Event] = (), *, strained: bool = False) -> Round:
    found = (*events, *seen.told)
    strained = strained or any(event.event is Kind.FAILED for event in found)
    return Round(found or (_in_sync(seen),), strained)


def _in_sync(seen: _Seen) -> Event:
    count = seen.planned.plan.summary.in_sync
    noun = "resource is" if count == 1 else "resources are"
    return Event(Kind.IN_SYNC, f"{count} {noun} as applied")


def _healed(seen: _Seen, done: Iterable[Change], notes: Iterable[str]) -> Iterator[Event]:
    """Yield what was put back; what must be said aloud stands with the first."""
    aloud = "".join(f"; {note}" for note in notes)
    for change in done:
        names = ", ".join(edit.name for edit in change.edits)
        times = len(seen.history.get(change.address, ())) + 1
        count = "" if times == 1 else f", for the {times}. time since the last apply"
        yield Event(Kind.HEALED, f"{names} put back{count}{aloud}", str(change.address))
        aloud = ""


def _again(seen: _Seen, done: Iterable[Change]) -> bool:
    return any(change.address in seen.history for change in done)


def _waiting(changes: Iterable[Change], obstacle: CursorBusy) -> tuple[Event, ...]:
    return tuple(
        Event(Kind.WAITING, obstacle.what, str(change.address), SOMETHING_LEFT)
        for change in changes
    )


def _failures(planned: Planned) -> Iterator[Event]:
    for look in planned.looks:
        for address, error in look.desired.failed.items():
            yield Event(Kind.FAILED, str(error), str(address), error.exit_code)


def _left(healing: Healing) -> Iterator[Event]:
    for one in healing.left:
        kind = Kind.FOUGHT if one.fought else Kind.LEFT
        yield Event(kind, one.why, str(one.address), SOMETHING_LEFT)


def _unreadable(planned: Planned) -> Iterator[Event]:
    for look in planned.looks:
        for address, reason in look.verdict.unreadable.items():
            yield Event(Kind.LEFT, f"cannot tell: {reason}", str(address), SOMETHING_LEFT)


def _failed(error: ByokError) -> Round:
    """Tell of a failure. A broken manifest is no reason to look less often: saving it ends it."""
    why = str(error)
    if isinstance(error, ManifestError) and error.diagnostics:
        first = error.diagnostics[0]
        why = f"{why}: {first.position or first.path}: {first.message}"
    event = Event(Kind.FAILED, why, code=error.exit_code)
    return Round((event,), strained=not isinstance(error, ManifestError))
