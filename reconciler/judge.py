"""Judge one system: what was read of it against the manifest and the ledger, by its own rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from reconciler import planner
from reconciler.codec import nothing
from reconciler.model import (
    Action,
    Address,
    Attrs,
    Cause,
    Change,
    Edit,
    Record,
    Resources,
    Scope,
    Sealed,
    Written,
)
from reconciler.planner import Verdict
from reconciler.session import Session
from reconciler.systems import Actual, Desired, Rules, System


@dataclass(frozen=True, slots=True)
class Look:
    """One system, read and compared; ``converging`` says what is written and not yet in force."""

    system: System
    desired: Desired
    actual: Actual
    written: Written
    settled: Mapping[Address, Mapping[str, Record | None]]
    verdict: Verdict
    converging: Mapping[Address, str] = field(default_factory=dict)

    @property
    def pending(self) -> frozenset[Address]:
        """The addresses whose key is in place as wanted and waits for Cursor's next start."""
        replaced = {
            change.address
            for change in self.verdict.changes
            if any(isinstance(edit.after, Sealed) for edit in change.edits)
        }
        return (self.actual.pending & self.desired.resources.keys()) - replaced


def compare(
    session: Session,
    system: System,
    desired: Desired,
    actual: Actual,
    scope: Scope,
    *,
    removing: bool = False,
) -> Look:
    """Plan one system from what was read of it; reads only the ledger.

    ``removing`` plans as though the manifest named nothing.
    """
    rules = system.rules
    written = _on_record(session, system, desired, rules)
    begun = (c for c in session.intents(system) if not closed(c.address, actual, rules))
    settled = planner.settle(begun, actual.resources, written)
    written = planner.overlay(written, settled)
    if not removing:
        wished = whole(desired.resources, actual.resources, written, rules)
        desired = replace(desired, resources=wished)
    everything = desired.resources.keys() | actual.resources.keys() | written.keys()
    judged = everything - desired.skipped.keys() - desired.failed.keys()
    verdict = planner.plan(
        desired.resources,
        actual.resources,
        written
        if removing and session.options.allow_irreversible
        else released(written, desired.resources, rules),
        {a for a in judged if targeted(a, scope.targets) and not closed(a, actual, rules)},
    )
    awaited = _awaited(session, system)
    parted = [
        (c, _without(c, awaited.get(c.address, {}), actual.resources.get(c.address, {})))
        for c in verdict.changes
    ]
    waiting = {c.address: _told(c.address, rules) for c, rest in parted if rest is not c}
    changes = ordered((rest for _, rest in parted if rest is not None), rules)
    final = tuple(replace(c, irreversible=rules.final(c)) for c in changes)
    verdict = replace(verdict, changes=final)
    return Look(system, desired, actual, written, settled, verdict, waiting)


def closed(address: Address, actual: Actual, rules: Rules) -> bool:
    """Tell whether nobody can say what is at an address: its kind, or it alone, is closed to us."""
    unknown = rules.kinds is not None and address.kind not in rules.kinds
    shut = actual.closed.keys() & {address.kind, f"{address.kind}/{address.name}"}
    return unknown or bool(shut)


def targeted(address: Address, targets: Sequence[str]) -> bool:
    """Tell whether an address is among the targets, shell patterns included; all without any."""
    return not targets or any(fnmatchcase(str(address), target) for target in targets)


def whole(desired: Resources, actual: Resources, written: Written, rules: Rules) -> Resources:
    """Add what must go because the manifest has the whole list; see `Rules.exclusive`.

    What we took away stays unwanted as long as that is said, and is not given back.
    """
    extra: dict[Address, Attrs] = {}
    for address in actual.keys() | written.keys():
        begins, mine = _begins(address, rules), desired.get(address, {})
        if begins is not None:
            there = {n for n, value in actual.get(address, {}).items() if not nothing(value)}
            taken = {n for n, record in written.get(address, {}).items() if nothing(record.value)}
            surplus = {n: None for n in there | taken if n.startswith(begins) and n not in mine}
            extra |= {address: {**mine, **surplus}} if surplus else {}
    return {**desired, **extra}


def _begins(address: Address, rules: Rules) -> str | None:
    table = rules.exclusive.get(address.kind, {})
    return table.get(address.name, table.get("*"))


def claimed(address: Address, desired: Resources, rules: Rules) -> bool:
    """Tell whether a manifest has a say in an address: it names it, or has its whole list."""
    return address in desired or _begins(address, rules) is not None


def released(written: Written, desired: Resources, rules: Rules) -> Written:
    """Treat containers that the manifest dropped as adopted: the planner forgets, never deletes."""
    return {
        address: {name: replace(record, adopted=True) for name, record in records.items()}
        if address.kind in rules.containers and address not in desired
        else records
        for address, records in written.items()
    }


def ordered(changes: Iterable[Change], rules: Rules) -> tuple[Change, ...]:
    """Put changes in the order of their kinds; what is deleted or given back goes last, in reverse.

    Given back, a container may lose the mark by which its parts are found.
    """
    rank = {kind: place for place, kind in enumerate(rules.order, 1)}

    def place(change: Change) -> tuple[bool, int]:
        at = rank.get(change.address.kind, 0)
        given_back = change.cause is Cause.REMOVED and change.action is Action.UPDATE
        gone = bool(rank) and (change.action is Action.DELETE or given_back)
        return gone, -at if gone else at

    return tuple(sorted(changes, key=place))


def _awaited(session: Session, system: System) -> dict[Address, dict[str, Edit]]:
    """Return the last write to each attribute of a slow kind that need not be in force yet.

    Where a later step was begun and never finished, nothing is awaited: it is planned anew.
    """
    found: dict[Address, dict[str, Edit]] = {}
    for kind, seconds in system.rules.slow.items():
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        for step in session.ledger.finished(system.identity, session.owner, since):
            if step.change.address.kind == kind:
                wrote = {edit.name: edit for edit in step.change.edits}
                found.setdefault(step.change.address, {}).update(wrote)
    for begun in session.intents(system):
        for edit in begun.edits:
            found.get(begun.address, {}).pop(edit.name, None)
    return found


def _without(change: Change, wrote: Mapping[str, Edit], now: Attrs) -> Change | None:
    """Take out of a change what is no drift: what still stands is what our last write replaced."""
    edits = tuple(
        edit
        for edit in change.edits
        if edit.name not in wrote or not planner.same_edit(edit, wrote[edit.name])
    )
    if len(edits) == len(change.edits):
        return change
    return replace(change, edits=edits, action=planner.action(now, edits)) if edits else None


def _told(address: Address, rules: Rules) -> str:
    until = f"within {max(rules.slow[address.kind] // 60, 1)} minutes of our write"
    return f"converging: the provider puts it in force {until}"


def _on_record(session: Session, system: System, desired: Desired, rules: Rules) -> Written:
    """Return what this team last wrote; taking over, also what the others wrote that it wants."""
    own = session.ledger.written(system.identity, session.owner)
    if not session.options.take_over:
        return own
    held = session.ledger.held(system.identity, session.owner)
    theirs = {a: records for a, records in held.items() if claimed(a, desired.resources, rules)}
    return {a: {**own.get(a, {}), **theirs.get(a, {})} for a in theirs.keys() | own.keys()}
