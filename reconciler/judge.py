"""Judge one system: what was read of it against the manifest and the ledger, by its own rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from reconciler import planner
from reconciler.codec import same
from reconciler.model import (
    Action,
    Address,
    Attrs,
    Cause,
    Change,
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
    written = _on_record(session, system, desired)
    settled = planner.settle(session.intents(system), actual.resources, written)
    written = planner.overlay(written, settled)
    if not removing:
        desired = replace(desired, resources=whole(desired.resources, actual.resources, rules))
    everything = desired.resources.keys() | actual.resources.keys() | written.keys()
    judged = everything - desired.skipped.keys() - desired.failed.keys()
    verdict = planner.plan(
        desired.resources,
        actual.resources,
        written
        if removing and session.options.allow_irreversible
        else released(written, desired.resources, rules),
        {a for a in judged if targeted(a, scope.targets) and not _closed(a, actual)},
    )
    waiting = dict(_converging(session, system, verdict.changes))
    changes = ordered((c for c in verdict.changes if c.address not in waiting), rules)
    final = tuple(replace(c, irreversible=rules.final(c)) for c in changes)
    verdict = replace(verdict, changes=final)
    return Look(system, desired, actual, written, settled, verdict, waiting)


def _closed(address: Address, actual: Actual) -> bool:
    return address.kind in actual.closed or f"{address.kind}/{address.name}" in actual.closed


def targeted(address: Address, targets: Sequence[str]) -> bool:
    """Tell whether an address is among the targets, shell patterns included; all without any."""
    return not targets or any(fnmatchcase(str(address), target) for target in targets)


def whole(desired: Resources, actual: Resources, rules: Rules) -> Resources:
    """Add what must go because the manifest has the whole list; see `Rules.exclusive`."""
    extra: dict[Address, Attrs] = {}
    for address, attrs in actual.items():
        table = rules.exclusive.get(address.kind, {})
        begins = table.get(address.name, table.get("*"))
        mine = desired.get(address, {})
        if begins is not None:
            surplus = {n: None for n in attrs if n.startswith(begins) and n not in mine}
            extra |= {address: {**mine, **surplus}} if surplus else {}
    return {**desired, **extra}


def released(written: Written, desired: Resources, rules: Rules) -> Written:
    """Treat containers that the manifest dropped as adopted: the planner forgets, never deletes."""
    return {
        address: {name: replace(record, adopted=True) for name, record in records.items()}
        if address.kind in rules.containers and address not in desired
        else records
        for address, records in written.items()
    }


def ordered(changes: Iterable[Change], rules: Rules) -> tuple[Change, ...]:
    """Put changes in the order of their kinds; what is deleted goes last, and in reverse."""
    rank = {kind: place for place, kind in enumerate(rules.order, 1)}

    def place(change: Change) -> tuple[bool, int]:
        at = rank.get(change.address.kind, 0)
        gone = bool(rank) and change.action is Action.DELETE
        return gone, -at if gone else at

    return tuple(sorted(changes, key=place))


def _converging(
    session: Session, system: System, changes: Sequence[Change]
) -> Iterator[tuple[Address, str]]:
    """Yield the drifts that are no drift: what still stands is what our last write replaced."""
    for kind, seconds in system.rules.slow.items():
        drifts = {c.address: c for c in changes if c.address.kind == kind and _drift(c)}
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        for step in session.ledger.finished(system.identity, session.owner, since):
            drift = drifts.get(step.change.address)
            if drift is not None and _undone(drift, step.change):
                until = f"within {seconds // 60} minutes of our write"
                yield drift.address, f"converging: the provider puts it in force {until}"


def _drift(change: Change) -> bool:
    return change.cause is Cause.DRIFT


def _undone(drift: Change, write: Change) -> bool:
    wrote = {edit.name: edit for edit in write.edits}
    return all(
        edit.name in wrote
        and same(edit.before, wrote[edit.name].before)
        and same(edit.after, wrote[edit.name].after)
        for edit in drift.edits
    )


def _on_record(session: Session, system: System, desired: Desired) -> Written:
    """Return what this team last wrote; taking over, also what the others wrote that it wants."""
    own = session.ledger.written(system.identity, session.owner)
    if not session.options.take_over:
        return own
    held = session.ledger.held(system.identity, session.owner)
    theirs = {address: held[address] for address in held.keys() & desired.resources.keys()}
    return {a: {**own.get(a, {}), **theirs.get(a, {})} for a in theirs.keys() | own.keys()}
