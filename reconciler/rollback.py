"""Undo one recorded run: put back what each step replaced, where its value still stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.codec import same
from reconciler.engine import Confirm, run_changes, settle_steps
from reconciler.errors import Declined, UsageError
from reconciler.executor import Outcome, silent
from reconciler.gate import refuse_unread, refuse_unsafe, touches_cursor
from reconciler.judge import Look, closed, ordered
from reconciler.ledger import Run, Step
from reconciler.model import (
    Address,
    Attrs,
    Cause,
    Change,
    Edit,
    Observation,
    Record,
    Scope,
    Sealed,
    Unknown,
)
from reconciler.planner import Verdict, action
from reconciler.session import Session, with_copies
from reconciler.survey import Planned, make_plan

UNDOABLE = ("apply", "destroy", "rollback", "rotate", "watch")


def roll_back(
    session: Session,
    number: int | None,
    confirm: Confirm,
    *,
    scope: Scope | None = None,
    told: Callable[[Change], None] = silent,
) -> tuple[Planned, Outcome]:
    """Undo the run of this number, or the last that changed something, on the systems in scope.

    Touches only values that still are what that run wrote; the rest is left and said.
    Raises UsageError for a run that is not there, Declined, and all that applying raises.
    """
    run = _find(session, number)
    seen = make_plan(session, scope or Scope(), removing=True)
    refuse_unread(seen)
    steps = [step for step in session.ledger.steps(run.id) if step.state != "failed"]
    undone = [_taken_back(session, look, steps, run) for look in seen.looks]
    changes = tuple(change for found, _ in undone for change in found)
    notes = (*(note for _, found in undone for note in found), *_elsewhere(seen, steps))
    planned = replace(
        seen,
        plan=replace(
            seen.plan,
            changes=changes,
            observations=notes,
            summary=replace(Verdict(changes).summary, observed=len(notes)),
            diagnostics=(),
        ),
    )
    if not changes:
        return planned, Outcome()
    refuse_unsafe(session, planned, removing=True)
    if touches_cursor(changes):
        session.wait_until_writable()
    if not confirm(planned):
        raise Declined("rollback", "declined; nothing was changed")
    for look in seen.looks:
        settle_steps(session, look)
    previous = {(step.system, step.change.address): step.previous for step in steps}
    identities = {look.system.name: look.system.identity for look in seen.looks}

    def recorder(change: Change, _records: Mapping[str, Record]) -> dict[str, Record | None]:
        before = previous[identities[change.address.system], change.address]
        return {edit.name: before.get(edit.name) for edit in change.edits}

    return planned, run_changes(session, "rollback", seen.looks, changes, recorder, told=told)


def _taken_back(
    session: Session, look: Look, steps: Sequence[Step], run: Run
) -> tuple[list[Change], list[Observation]]:
    """Return the changes that take a run's steps on one system back, and what is left of them."""
    rules = look.system.rules
    undone = [
        (None, Observation(step.change.address, "left as it is: nobody can tell what is there"))
        if closed(step.change.address, look.actual, rules)
        else _undo(
            step,
            look.actual.resources.get(step.change.address, {}),
            _there_before(session, look, step.change.address, run),
            session.ledger.keys.revoked(),
        )
        for step in reversed(steps)
        if step.system == look.system.identity
    ]
    changes = ordered((change for change, _ in undone if change is not None), rules)
    final = [replace(change, irreversible=rules.final(change)) for change in changes]
    return final, [note for _, note in undone if note is not None]


def _elsewhere(seen: Planned, steps: Sequence[Step]) -> Iterator[Observation]:
    known = {look.system.identity for look in seen.looks}
    for step in steps:
        if step.system not in known:
            at = step.change.address
            what = f"left as it is: give --system {at.system} to take it back too"
            yield Observation(at, what)


def _find(session: Session, number: int | None) -> Run:
    runs = [run for run in session.ledger.runs(session.owner) if run.command in UNDOABLE]
    chosen = next(
        (run for run in runs if (run.steps if number is None else run.id == number)), None
    )
    if chosen is None:
        what = "nothing was applied yet" if number is None else f"there is no run {number}"
        raise UsageError("rollback", f"{what} for team {session.owner}", "see byok history")
    return chosen


def _there_before(session: Session, look: Look, address: Address, run: Run) -> frozenset[str]:
    """Return the names of those secrets that stand now as they stood when a run began."""
    now, records = look.actual.resources.get(address, {}), look.written.get(address, {})
    since = session.ledger.since(look.system.identity, session.owner)
    return frozenset(
        name
        for name, record in records.items()
        if same(now.get(name), record.value) and since.get((address, name), "~") <= run.started
    )


def _undo(
    step: Step, now: Attrs, there_before: frozenset[str], revoked: frozenset[str]
) -> tuple[Change | None, Observation | None]:
    """Return the change that takes a step back, or the reason why it stays."""
    change = with_copies(step.change, step.kept)
    open_edits = [edit for edit in change.edits if not same(now.get(edit.name), edit.before)]
    dead = [
        e.name
        for e in open_edits
        if isinstance(e.before, Sealed) and e.before.fingerprint in revoked
    ]
    if dead:
        what = f"left as it is: {', '.join(dead)} would be a revoked key again"
        return None, Observation(change.address, what)
    stuck = [edit for edit in open_edits if not _reversible(edit, now)]
    whole = any(isinstance(value, Sealed) for value in now.values())
    if stuck and (whole or len(stuck) == len(open_edits)):
        names = ", ".join(edit.name for edit in stuck)
        return None, Observation(change.address, f"left as it is: {names} {_why(stuck, now)}")
    edits = tuple(Edit(e.name, now.get(e.name), e.before) for e in open_edits if e not in stuck)
    if not edits:
        return None, None
    known = there_before | {edit.name for edit in edits}
    newer = [n for n, v in now.items() if isinstance(v, Sealed | Unknown) and n not in known]
    if newer and any(isinstance(edit.after, str) for edit in edits):
        names = ", ".join(newer)
        return None, Observation(change.address, f"left as it is: its {names} came after that run")
    return Change(change.address, action(now, edits), _cause(edits, step.previous), edits), None


def _cause(edits: Iterable[Edit], previous: Mapping[str, Record]) -> Cause:
    """Return the cause by which a killed rollback is settled: does it bring back our own value.

    What it brings back of somebody else's is nobody's to remember (`planner.record_of`).
    """
    records = ((edit, previous.get(edit.name)) for edit in edits)
    ours = (r is not None and not r.adopted and same(r.value, e.after) for e, r in records)
    return Cause.MANIFEST if any(ours) else Cause.REMOVED


def _reversible(edit: Edit, now: Attrs) -> bool:
    lost = isinstance(edit.before, Sealed) and edit.before.ref is None
    return same(now.get(edit.name), edit.after) and not lost


def _why(stuck: Iterable[Edit], now: Attrs) -> str:
    if any(isinstance(now.get(edit.name), Unknown) for edit in stuck):
        return "cannot be read now"
    moved = any(not same(now.get(edit.name), edit.after) for edit in stuck)
    return "is no longer what that run wrote" if moved else "replaced a value no copy was made of"
