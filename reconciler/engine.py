"""The order of events: plan, refuse what is not safe, ask, record, apply, read back, prove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from reconciler import planner
from reconciler.codec import same
from reconciler.errors import (
    Declined,
    ProviderError,
    loudest,
)
from reconciler.executor import Execution, Outcome, Recorder, execute, interruptible, silent
from reconciler.gate import refuse, refuse_stale, refuse_unmatched, touches_cursor
from reconciler.judge import Look, claimed, closed, targeted
from reconciler.ledger import Evidence
from reconciler.model import (
    Address,
    Change,
    Plan,
    Record,
    Scope,
    Sealed,
    Unknown,
)
from reconciler.session import Session
from reconciler.survey import Planned, make_plan

Confirm = Callable[[Planned], bool]


def apply_plan(
    session: Session,
    scope: Scope,
    confirm: Confirm,
    *,
    saved: Plan | None = None,
    removing: bool = False,
    told: Callable[[Change], None] = silent,
    command: str = "",
) -> tuple[Planned, Outcome]:
    """Plan, let ``confirm`` ask, apply, read back, and prove that nothing is left to do.

    A saved plan is applied while the fresh plan of its scope is a subset of it. ``command`` is
    what the ledger calls the run, if not apply or destroy.
    Raises StalePlan, SafetyStop, SecretError, ManifestError, CursorBusy or Declined with nothing
    written, and ProviderError when the proof fails.
    """
    command = command or ("destroy" if removing else "apply")
    asked = session.options.interactive  # only who is asked reads what is seen beside the plan
    planned = make_plan(session, scope, removing=removing, watching=asked)
    while planned.strangers and asked:  # an account may need several origins, one behind the other
        planned = _approved(session, scope, planned, confirm, removing=removing)
    refuse(session, planned, removing=removing)
    if saved is not None:
        refuse_stale(saved, planned.plan)
    else:
        refuse_unmatched(planned)
    if not planned.plan.changes:
        _settle(session, planned)
        _resume(session, command)
        return planned, Outcome()
    if touches_cursor(planned.plan.changes):
        session.wait_until_writable()
    if not confirm(planned):
        raise Declined("apply", "declined; nothing was changed")
    session.approvals.record(planned.pairings, agreed=session.options.interactive)
    _settle(session, planned)
    outcome = run_changes(session, command, planned.looks, planned.plan.changes, told=told)
    if not outcome.failed and outcome.signal is None:
        _prove(session, planned, removing=removing)
    return planned, outcome


def _approved(
    session: Session, scope: Scope, planned: Planned, confirm: Confirm, *, removing: bool
) -> Planned:
    """Ask for the origins of accounts that nothing was sent to yet, and plan again with them."""
    if not confirm(planned):
        raise Declined("apply", "declined; nothing was changed")
    session.approvals.record(planned.pairings, agreed=True)
    return make_plan(session, scope, removing=removing)


def _resume(session: Session, command: str) -> None:
    """Record an apply with nothing to do where watch waits for one, or has given up on something.

    Other runs that change nothing are not worth a line of the history.
    """
    last = next(iter(session.ledger.runs(session.owner)), None)
    if command == "apply" and last is not None and last.command in ("rollback", "watch"):
        session.ledger.end_run(session.ledger.begin_run(command, session.owner), "applied")


def settle_steps(session: Session, look: Look) -> None:
    """Record what became of steps that a killed run left open, as far as it can be read."""
    for step in session.ledger.open_steps(look.system.identity, session.owner):
        if closed(step.change.address, look.actual, look.system.rules):
            continue
        now = look.actual.resources.get(step.change.address, {})
        if not any(isinstance(now.get(edit.name), Unknown) for edit in step.change.edits):
            session.ledger.settle_step(step.id, look.settled.get(step.change.address, {}))


def _settle(session: Session, planned: Planned) -> None:
    """Record what needs no write: settled steps, adopted values, forgotten ones, evidence."""
    ledger, owner = session.ledger, session.owner
    for look in planned.looks:
        identity = look.system.identity
        settle_steps(session, look)
        if session.options.take_over:
            for address in ledger.holders(identity, owner):
                wanted = claimed(address, look.desired.resources, look.system.rules)
                if wanted and targeted(address, planned.plan.scope.targets):
                    ledger.take_over(identity, owner, address)
        changed = {change.address for change in look.verdict.changes}
        records: dict[Address, dict[str, Record | None]] = {
            address: dict(named) for address, named in look.verdict.adopt.items()
        }
        for address, names in look.verdict.forget.items():
            records.setdefault(address, {}).update(dict.fromkeys(names))
        ledger.record(identity, owner, records)
        _note_evidence(session, look, changed)


def _note_evidence(session: Session, look: Look, changed: set[Address]) -> None:
    for address, attrs in look.desired.resources.items():
        for name, value in attrs.items():
            record = _on_record(look, address, name)
            if address in changed or record is None or not isinstance(value, Sealed):
                continue
            now = look.actual.resources.get(address, {}).get(name)
            if not isinstance(now, Unknown) and not same(now, record.value):
                continue  # out of target, and moved: what stands there is not what is on record
            proof = Evidence(
                version=_version(session, value) if same(value, record.value) else None,
                cell=look.actual.cells.get((address, name)),
                pending=address in look.actual.pending,
            )
            known = not isinstance(now, Unknown)
            session.ledger.seen(
                look.system.identity, session.owner, address, name, proof, known=known
            )


def _on_record(look: Look, address: Address, name: str) -> Record | None:
    adopted = look.verdict.adopt.get(address, {}).get(name)
    return adopted or look.written.get(address, {}).get(name)


def _version(session: Session, value: Sealed) -> str | None:
    return session.vault.version_of(value.ref or "")


def run_changes(
    session: Session,
    command: str,
    looks: Sequence[Look],
    changes: Sequence[Change],
    recorder: Recorder = planner.record_of,
    *,
    told: Callable[[Change], None] = silent,
) -> Outcome:
    """Execute changes as one recorded run; a failing system stops itself, not the others."""
    run = session.ledger.begin_run(command, session.owner)
    outcomes: list[Outcome] = []
    with interruptible() as stop:
        for look in looks:
            own = [_renewed(session, c) for c in changes if c.address.system == look.system.name]
            execution = Execution(
                look.system,
                session.ledger,
                run,
                session.owner,
                session.vault.version_of,
                session.current,
                stop,
                recorder,
                told,
            )
            outcomes.append(execute(own, look.written, execution))
    outcome = replace(_together(outcomes), signal=stop.signal)
    session.ledger.end_run(run, _word(outcome))
    return outcome


def _renewed(session: Session, change: Change) -> Change:
    edits = (
        replace(edit, after=session.vault.renew(edit.after))
        if isinstance(edit.after, Sealed)
        else edit
        for edit in change.edits
    )
    return replace(change, edits=tuple(edits))


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        applied=tuple(change for one in outcomes for change in one.applied),
        failed=tuple(failure for one in outcomes for failure in one.failed),
        pending=frozenset().union(*(one.pending for one in outcomes)),
        notes=tuple(dict.fromkeys(note for one in outcomes for note in one.notes)),
    )


def _word(outcome: Outcome) -> str:
    if outcome.failed:
        return "failed"
    return "applied" if outcome.signal is None else "interrupted"


def _prove(session: Session, planned: Planned, *, removing: bool) -> None:
    """Read the systems that were changed once more; nothing may be left to do."""
    changed = {change.address.system for change in planned.plan.changes}
    systems = tuple(name for name in planned.plan.scope.systems if name in changed)
    scope = replace(planned.plan.scope, systems=systems)
    again = make_plan(session, scope, removing=removing, watching=False)
    _settle(session, again)
    if again.plan.changes:
        names = ", ".join(str(change.address) for change in again.plan.changes[:5])
        raise ProviderError(
            names,
            "applied, but it reads back different",
            "see that Cursor is closed, then run byok plan",
        )
    if again.lost:
        raise loudest(list(again.lost.values()))
