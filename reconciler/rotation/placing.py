"""The new key into Cursor on this machine, by the plan and apply of every day."""

from __future__ import annotations

import signal
from dataclasses import replace

from reconciler.engine import apply_plan
from reconciler.entries import Rotation
from reconciler.errors import CursorBusy, ProviderError, ProviderProblem as Problem
from reconciler.gate import refuse
from reconciler.model import Address, Scope, Sealed
from reconciler.rotation.desk import Desk, same_prints
from reconciler.rotation.orders import slot
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.survey import Planned, make_plan
from reconciler.systems.account import Values


def refuse_unplaceable(session: Session, at: Address) -> None:
    """Raise what would keep a new key out of Cursor, before one is made.

    CursorBusy while Cursor runs, unless it is to be waited for; whatever else forbids applying.
    """
    obstacle = session.obstacle()
    if obstacle is not None and not session.options.wait:
        way_out = "quit Cursor, give --wait SECONDS, or leave it out: --without-cursor"
        raise CursorBusy(obstacle.where, obstacle.what, way_out)
    refuse(session, make_plan(session, _scope(session, at), watching=False), removing=False)


def place(desk: Desk, rotation: Rotation) -> None:
    """Apply the one resource that holds the key, from stores read afresh; it reads back and proves.

    Raises CursorBusy while Cursor runs, and all else that applying raises.
    """
    at = slot(desk.session, rotation.system)
    if not rotation.cursor or at is None:
        return
    session = _fresh(desk)
    _, outcome = apply_plan(session, _scope(session, at), _agreed, command="rotate")
    for note in outcome.notes:
        session.aloud.append(note)
    if outcome.failed:
        raise outcome.failed[0].error
    if outcome.signal is not None:
        signal.raise_signal(outcome.signal)  # the whole run is to end, and not this step alone
    if not holds(desk, rotation, desk.copies(rotation, "new")):
        what = "was applied, and Cursor does not hold the new key"
        raise ProviderError(str(at), what, "run byok plan", kind=Problem.UNPROVED)


def holds(desk: Desk, rotation: Rotation, new: Values) -> bool:
    """Tell whether Cursor here holds the new key, also one that waits for its next start."""
    at = slot(desk.session, rotation.system)
    if at is None:
        return True
    attrs = _fresh(desk).system(CURSOR).actual().resources.get(at, {})
    sealed = {name: value for name, value in attrs.items() if isinstance(value, Sealed)}
    return same_prints(sealed, desk.prints(new))


def _fresh(desk: Desk) -> Session:
    session = desk.session.afresh()
    quiet = replace(session.options, interactive=False, observe=False)
    return replace(session, options=quiet, aloud=desk.session.aloud)


def _scope(session: Session, at: Address) -> Scope:
    return Scope(systems=(CURSOR,), offline=session.options.offline, targets=(str(at),))


def _agreed(_planned: Planned) -> bool:
    """Rotation was agreed to as a whole."""
    return True
