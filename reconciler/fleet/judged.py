"""What a machine's documents come to: its one outcome, what is to do, what moved, why; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler.fleet.host import Failure, Host, Moved, Outcome
from reconciler.model import Cause, Change

_FROM_ENVELOPE = {
    "failed": Outcome.FAILING,
    "unreachable": Outcome.UNREACHABLE,
    "skipped": Outcome.SKIPPED,
    "changed": Outcome.CHANGED,
}
BUSY: Final = 7
"""The exit of what goes away by itself. With any other error no machine is left alone on purpose,
whatever a roll-out that stopped says of its whole batch."""
_DRIFT = (Cause.DRIFT, Cause.CONFLICT)


def outcome(host: Host) -> Outcome:
    """Return how a machine stands: what its envelope says, made exact by its documents."""
    told = _FROM_ENVELOPE.get(host.told.outcome) if host.told else None
    if told is Outcome.CHANGED:
        return _after(host)
    if told is Outcome.SKIPPED and host.error and host.error.exit != BUSY:
        return Outcome.FAILING
    if told is not None:
        return told
    if failures(host):
        return Outcome.FAILING
    return _standing(host)


def _after(host: Host) -> Outcome:
    """Return how a machine stands that a run changed: what was asked for later may be worse."""
    if host.applied and host.applied.failed:
        return Outcome.FAILING
    stood = _standing(host)
    return stood if stood in (Outcome.DRIFTED, Outcome.PENDING) else Outcome.CHANGED


def _standing(host: Host) -> Outcome:
    stands = host.stands
    if any(not one.repaired for one in moved(host)):
        return Outcome.DRIFTED
    if todo(host) or (stands and stands.to_apply) or (host.told and host.told.outcome == "pending"):
        return Outcome.PENDING
    if unknown(host):
        return Outcome.UNKNOWN
    if host.told is None and host.applied and host.applied.changes:
        return Outcome.CHANGED
    if any(part is not None for part in (host.told, host.planned, host.applied, stands)):
        return Outcome.IN_SYNC
    return Outcome.UNKNOWN


def todo(host: Host) -> tuple[Change, ...]:
    """Return what its plan would change, without what a run beside it has done.

    After a run that went through there is nothing left, whatever the plan before it said.
    """
    if host.planned is None or _through(host):
        return ()
    done = {change.address for change in host.applied.changes} if host.applied else set()
    if not done:
        return host.planned.changes
    return tuple(change for change in host.planned.changes if change.address not in done)


def _through(host: Host) -> bool:
    told, applied = host.told, host.applied
    well = told is not None and told.run == "apply" and told.outcome in ("in_sync", "changed")
    return well and not (applied and applied.failed)


def done(host: Host) -> tuple[Change, ...]:
    """Return what a run changed there."""
    return host.applied.changes if host.applied else ()


def unknown(host: Host) -> int:
    """Return how many of its resources are neither equal nor different."""
    counted = len(host.stands.unknown) if host.stands else 0
    return max(counted, host.planned.unknown if host.planned else 0)


def moved(host: Host) -> tuple[Moved, ...]:
    """Return what moved since byok wrote it, and what a run has put back of it.

    A status tells who moved it; what only the plan tells was moved by nobody that is known.
    """
    back = tuple(_moved(change, repaired=True) for change in done(host) if change.cause in _DRIFT)
    gone = {one.address for one in back}
    now = host.stands.drifted if host.stands else ()
    by_status = {one.address for one in now}
    now += tuple(
        _moved(change)
        for change in todo(host)
        if change.cause in _DRIFT and str(change.address) not in by_status
    )
    return (*(one for one in now if one.address not in gone), *back)


def _moved(change: Change, *, repaired: bool = False) -> Moved:
    names = tuple(edit.name for edit in change.edits)
    return Moved(str(change.address), names, repaired=repaired)


def waiting(host: Host) -> tuple[str, ...]:
    """Name what is written there and in force from Cursor's next start."""
    found = host.applied.waiting if host.applied else ()
    return tuple(dict.fromkeys((*found, *(host.stands.waiting if host.stands else ()))))


def failures(host: Host) -> tuple[Failure, ...]:
    """Return everything that went wrong there, as its documents word it."""
    found: tuple[Failure, ...] = (host.error,) if host.error else ()
    found += host.applied.failed if host.applied else ()
    return found + (host.planned.errors if host.planned else ())


def reasons(host: Host, stood: Outcome) -> tuple[Failure, ...]:
    """Say why a machine is skipped, failing, unreachable, unknown, or pending without a plan."""
    match stood:
        case Outcome.FAILING:
            return failures(host) or (_why(host),)
        case Outcome.SKIPPED | Outcome.UNREACHABLE:
            return (_why(host),)
        case Outcome.PENDING if host.told and host.told.why and not todo(host):
            return (_why(host),)
        case Outcome.UNKNOWN:
            count = unknown(host)
            text = f"{count} resource{'s' if count != 1 else ''} cannot be told"
            return (Failure(None, text if count else "no result tells how it stands"),)
        case _:
            return ()


def _why(host: Host) -> Failure:
    """Return the envelope's reason; where it repeats the error, that, with what is said before."""
    told, error = host.told, host.error
    if error and (not told or not told.why):
        return error
    if error and told and error.what and error.what in told.why:
        begin = error.where if error.where and error.where in told.why else error.what
        return replace(error, what=told.why.partition(begin)[0] + error.what)
    code = told.exit if told else None
    text, where = (told.why, told.where) if told else ("", "")
    return Failure(code, text or "it does not say why", where=where)
