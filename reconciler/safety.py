"""The safety rules that stand between a plan and its execution; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from reconciler.codec import nothing
from reconciler.errors import SafetyStop
from reconciler.model import Action, Address, Change

MANY_PERCENT = 30
MANY_FROM = 10


def check(
    changes: Collection[Change],
    owned: Collection[Address],
    *,
    protect: Iterable[str] = (),
    allow_many: bool = False,
    allow_irreversible: bool = False,
) -> None:
    """Raise SafetyStop for the first rule that a plan breaks, with figures and the flag.

    Rules: `policy.protect`; irreversible steps; more than 30 % of ten or more owned resources
    updated or deleted (octoDNS's threshold: a first apply owns nothing and cannot break it).
    """
    _protected(changes, tuple(protect))
    if not allow_irreversible:
        _irreversible(changes)
    if not allow_many:
        _many(changes, owned)


def _protected(changes: Iterable[Change], patterns: tuple[str, ...]) -> None:
    for change in changes:
        name = str(change.address)
        named = next((p for p in patterns if p == name or fnmatchcase(name, p)), None)
        if named is not None and takes_away(change):
            raise SafetyStop(
                str(change.address),
                f"policy.protect names {named}, and this plan would take something away from it",
                "take it out of policy.protect first",
            )


def takes_away(change: Change) -> bool:
    """Tell whether a change deletes, or leaves an attribute without the value it had."""
    emptied = any(nothing(edit.after) and not nothing(edit.before) for edit in change.edits)
    return change.action is Action.DELETE or emptied


def _irreversible(changes: Iterable[Change]) -> None:
    final = [str(change.address) for change in changes if change.irreversible]
    if final:
        raise SafetyStop(
            final[0],
            f"{len(final)} irreversible step{'s' if len(final) > 1 else ''} in this plan",
            "look at the plan, then give --allow-irreversible once",
        )


def _many(changes: Iterable[Change], owned: Collection[Address]) -> None:
    touched = sum(c.address in owned and c.action is not Action.CREATE for c in changes)
    if len(owned) >= MANY_FROM and touched * 100 > MANY_PERCENT * len(owned):
        raise SafetyStop(
            "safety rule 'many'",
            f"{touched} of {len(owned)} owned resources would be updated or deleted"
            f" ({touched * 100 // len(owned)} %, the limit is {MANY_PERCENT} %)",
            "look at the plan, then give --allow-many once",
        )
