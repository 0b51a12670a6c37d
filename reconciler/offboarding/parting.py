"""One person's parting as one plan, and its carrying out: keys first, then this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.engine import apply_plan
from reconciler.entries import Rotation
from reconciler.errors import ByokError, worst
from reconciler.executor import Outcome, Stop, interruptible
from reconciler.gate import refuse
from reconciler.model import Scope
from reconciler.offboarding.files import OpenFile, open_files
from reconciler.offboarding.keys import Search, Theirs, revoked, search
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.survey import Planned, make_plan
from reconciler.systems.account import caught


@dataclass(frozen=True, slots=True)
class Parting:
    """All that is to be done about one person.

    ``here``: what byok wrote on this machine goes, by ``removal``, which is None where there is
    nothing; ``obstacle`` is what forbids it now. ``theirs`` are the person's age recipients as far
    as known, ``others`` the people that keys on record are for.
    """

    person: str
    here: bool
    search: Search
    removal: Planned | None = None
    obstacle: ByokError | None = None
    theirs: tuple[str, ...] = ()
    files: tuple[OpenFile, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def changes(self) -> int:
        """How many resources of this machine go."""
        return len(self.removal.plan.changes) if self.removal is not None else 0

    @property
    def touched(self) -> bool:
        """Whether byok itself has anything to do."""
        return bool(self.search.keys or self.changes or self.obstacle)

    @property
    def by_hand(self) -> bool:
        """Whether a person has anything to do."""
        return any(file.theirs for file in self.files)


@dataclass(frozen=True, slots=True)
class Parted:
    """What became of it; ``signal`` is one that came meanwhile."""

    keys: tuple[Theirs, ...] = ()
    outcome: Outcome | None = None
    error: ByokError | None = None
    signal: int | None = None
    lost: Mapping[str, ByokError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The code that ends a command; 0 where all was done."""
        if self.signal is not None:
            return 128 + self.signal
        errors = [key.error for key in self.keys if key.error is not None]
        errors += [*self.lost.values(), *([self.error] if self.error else [])]
        errors += [failure.error for failure in (self.outcome.failed if self.outcome else ())]
        return worst([error.exit_code for error in errors])


def parting(
    session: Session, person: str, recipients: Collection[str] = (), *, here: bool
) -> Parting:
    """Look at everything of one person; changes nothing."""
    book = session.ledger.keys
    named = [r for w in book.rotations(session.owner, ended=True) for r in _named(w, person)]
    theirs = tuple(dict.fromkeys((*recipients, *named)))
    holders = dict.fromkeys(k.holder for k in book.keys(session.owner) if k.holder)
    planned, obstacle = _removal(session) if here else (None, None)
    return Parting(
        person=person,
        here=here,
        search=search(session, person),
        removal=planned,
        obstacle=obstacle,
        theirs=theirs,
        files=open_files(session, person, theirs),
        others=tuple(name for name in holders if name != person),
    )


def _named(way: Rotation, person: str) -> tuple[str, ...]:
    """Return the recipients that were named as the person's when a key was issued."""
    return way.recipients if way.holder == person else ()


def _removal(session: Session) -> tuple[Planned | None, ByokError | None]:
    """Plan what byok destroy does to Cursor here; None where nothing of ours is in it."""
    identity = session.system(CURSOR).identity
    ledger, owner = session.ledger, session.owner
    if not ledger.written(identity, owner) and not ledger.open_steps(identity, owner):
        return None, None
    planned = caught(lambda: make_plan(session, _scope(session), removing=True, watching=False))
    if isinstance(planned, ByokError):
        return None, planned
    refused = caught(lambda: refuse(session, planned, removing=True))
    return planned, refused


def _scope(session: Session) -> Scope:
    """Return Cursor alone: what accounts hold of the team's is not one person's."""
    return Scope(systems=(CURSOR,), offline=session.options.offline)


def carry_out(session: Session, plan: Parting) -> Parted:
    """Revoke the keys, then clear this machine; a failure in one does not keep the other back."""
    with interruptible() as stop:
        keys = tuple(_each(session, plan, stop))
        outcome, error = None, None
        if stop.signal is None and plan.here:
            outcome, error = _cleared(session, plan)
    return Parted(keys, outcome, error, _signal(stop, outcome), plan.search.lost)


def _each(session: Session, plan: Parting, stop: Stop) -> Iterator[Theirs]:
    for key in plan.search.keys:
        over = stop.signal is not None
        yield key if over else revoked(session, key, plan.search.issuers.get(key.system))


def _cleared(session: Session, plan: Parting) -> tuple[Outcome | None, ByokError | None]:
    if plan.removal is None:
        return None, plan.obstacle
    saved = plan.removal.plan
    done = caught(
        lambda: apply_plan(session, _scope(session), lambda _: True, saved=saved, removing=True)
    )
    return (None, done) if isinstance(done, ByokError) else (done[1], None)


def _signal(stop: Stop, outcome: Outcome | None) -> int | None:
    return stop.signal if outcome is None or outcome.signal is None else outcome.signal
