"""Which changes of a plan only put back what is on record as ours, and why the rest stays; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler import safety
from reconciler.codec import same
from reconciler.errors import SafetyStop
from reconciler.model import Address, Cause, Change, Written

FIGHTS: Final = 3
"""An address that was put back so often and moved once more is another writer's as well."""

WINDOW: Final = 7 * 86400.0
"""Seconds within which those times must lie to be a fight."""

History = Mapping[Address, Sequence[float]]
"""When each address was put back since the last apply: POSIX seconds, oldest first."""

_WHY: Final = {
    Cause.CONFLICT: "moved here, and the manifest moved too: byok apply decides",
    Cause.TAKEOVER: "pending: it would replace a value of somebody else's; byok apply asks",
    Cause.DRIFT: "moved here, and the manifest moved beside it: byok apply decides",
    Cause.MANIFEST: "pending: the manifest changed; byok apply applies it",
    Cause.NEW: "pending: new in the manifest; byok apply applies it",
    Cause.REMOVED: "pending: the manifest dropped it; byok apply takes it back",
}


@dataclass(frozen=True, slots=True)
class Left:
    """A change that is not made, and why; ``fought``: because another writer keeps undoing it."""

    address: Address
    why: str
    fought: bool = False


@dataclass(frozen=True, slots=True)
class Healing:
    """The changes to make, and those to leave; each change of the plan is in one of the two."""

    to_do: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()


def _not_itself(_change: Change) -> str:
    return ""


def heal(
    changes: Iterable[Change],
    written: Written,
    history: History,
    *,
    protect: Sequence[str] = (),
    barred: Mapping[Address, str] | None = None,
    itself: Callable[[Change], str] = _not_itself,
) -> Healing:
    """Part a plan's changes into those that restore what is on record, and the rest with reasons.

    A change is made whole or not at all: a resource's key, origin and switch belong together.
    ``protect`` is `policy.protect`; ``barred`` says of addresses why they may not be written now;
    ``itself`` is `Rules.itself`.
    """
    barred = barred or {}
    to_do, left = list[Change](), list[Left]()
    for change in changes:
        at = change.address
        why = (
            _not_ours(change, written)
            or _moved_by_itself(itself(change))
            or _unsafe(change, protect)
            or barred.get(at, "")
        )
        if why:
            left.append(Left(at, why))
        elif fought(history.get(at, ())):
            left.append(Left(at, _gave_up(len(history[at])), fought=True))
        else:
            to_do.append(change)
    return Healing(tuple(to_do), tuple(left))


def fought(moments: Sequence[float]) -> bool:
    """Tell whether an address was put back three times within a week: once, and it stays told."""
    pairs = zip(moments, moments[FIGHTS - 1 :], strict=False)
    return any(last - first <= WINDOW for first, last in pairs)


def _not_ours(change: Change, written: Written) -> str:
    """Say why a change is not just putting back what is on record; empty if it is.

    A change is named by the loudest of its edits' causes, so that one called drift may hold more.
    """
    records = written.get(change.address, {})
    on_record = (
        edit.name in records and same(records[edit.name].value, edit.after) for edit in change.edits
    )
    if change.cause is Cause.DRIFT and all(on_record):
        return ""
    return _WHY[change.cause]


def _moved_by_itself(by: str) -> str:
    return f"moved, probably by {by}: byok apply switches it on again" if by else ""


def _unsafe(change: Change, protect: Sequence[str]) -> str:
    try:
        safety.check((change,), (), protect=protect)
    except SafetyStop as stop:
        return stop.what
    return ""


def _gave_up(times: int) -> str:
    return f"put back {times} times and moved again: somebody else sets it; byok apply starts anew"
