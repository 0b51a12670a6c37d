"""The order of events: read, compare, plan; then record, apply, read back, and prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from reconciler import origins, planner, safety
from reconciler.errors import (
    ByokError,
    Declined,
    ManifestError,
    ProviderError,
    SafetyStop,
    StalePlan,
    worst,
)
from reconciler.executor import Execution, Outcome, Recorder, execute, interruptible, silent
from reconciler.ledger import Evidence
from reconciler.manifest.lint import lint, silence
from reconciler.model import (
    Address,
    Change,
    Diagnostic,
    Observation,
    Plan,
    Record,
    Scope,
    Sealed,
    Severity,
    Written,
)
from reconciler.planner import Verdict
from reconciler.session import Session
from reconciler.systems import Actual, Desired, System


@dataclass(frozen=True, slots=True)
class Look:
    """One system, read and compared."""

    system: System
    desired: Desired
    actual: Actual
    written: Written
    settled: Mapping[Address, Mapping[str, Record | None]]
    verdict: Verdict

    @property
    def pending(self) -> frozenset[Address]:
        """The addresses in place as wanted, whose key waits for Cursor's next start."""
        changing = {change.address for change in self.verdict.changes}
        return (self.actual.pending & self.desired.resources.keys()) - changing


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made from; ``held`` are addresses that another owner manages."""

    plan: Plan
    looks: tuple[Look, ...]
    failures: tuple[ByokError, ...] = ()
    held: Mapping[Address, str] = field(default_factory=dict)
    pairings: tuple[origins.Pairing, ...] = ()

    @property
    def pending(self) -> frozenset[Address]:
        """The addresses whose key waits for Cursor's next start."""
        return frozenset().union(*(look.pending for look in self.looks))

    @property
    def exit_code(self) -> int:
        """The code that this plan's failures end a command with; 0 without any."""
        return worst([failure.exit_code for failure in self.failures])


Confirm = Callable[[Planned], bool]


def make_plan(session: Session, scope: Scope, *, removing: bool = False) -> Planned:
    """Read every system in scope at once and compare; writes nothing.

    ``removing`` plans as though the manifest named nothing.
    Raises UsageError for a system that does not exist, CursorBusy for one that cannot be read.
    """
    systems = [session.system(name) for name in scope.systems]
    if not removing:
        session.vault.warm(session.references())

    def read(system: System) -> tuple[Desired, Actual]:
        return Desired() if removing else system.desired(), system.actual()

    with ThreadPoolExecutor(max_workers=len(systems)) as pool:
        seen = list(pool.map(read, systems))
    looks = tuple(
        _compare(session, system, desired, actual, scope)
        for system, (desired, actual) in zip(systems, seen, strict=True)
    )
    return _assemble(session, scope, looks)


def _compare(
    session: Session, system: System, desired: Desired, actual: Actual, scope: Scope
) -> Look:
    written = session.ledger.written(system.identity, session.owner)
    settled = planner.settle(session.intents(system), actual.resources, written)
    written = planner.overlay(written, settled)
    everything = desired.resources.keys() | actual.resources.keys() | written.keys()
    judged = everything - desired.skipped.keys() - desired.failed.keys()
    verdict = planner.plan(
        desired.resources, actual.resources, written, _targeted(judged, scope.targets)
    )
    return Look(system, desired, actual, written, settled, verdict)


def _targeted(addresses: set[Address], targets: Sequence[str]) -> set[Address]:
    if not targets:
        return addresses
    return {a for a in addresses if any(fnmatchcase(str(a), target) for target in targets)}


def _assemble(session: Session, scope: Scope, looks: tuple[Look, ...]) -> Planned:
    changes = tuple(change for look in looks for change in look.verdict.changes)
    pairings = tuple(
        pair
        for look in looks
        for pair in origins.unapproved(
            session.manifest, look.desired.resources, changes, session.approvals()
        )
    )
    held = _held(session, looks)
    failures = tuple(error for look in looks for error in look.desired.failed.values())
    observations = tuple(seen for look in looks for seen in _observations(look))
    found = [*lint(session.manifest), *(d for look in looks for d in look.actual.diagnostics)]
    plan = Plan(
        scope=scope,
        fingerprint_key=session.key_id,
        changes=changes,
        observations=observations,
        diagnostics=(
            *silence([*found, *map(_foreign, pairings)], session.manifest.policy.ignore),
            *(_holding(address, owner) for address, owner in held.items()),
        ),
    )
    counts = [look.verdict.summary for look in looks]
    summary = replace(
        counts[0],
        **{
            name: sum(getattr(count, name) for count in counts)
            for name in ("create", "update", "delete", "in_sync", "unknown", "unmanaged")
        },
        observed=len(observations),
    )
    return Planned(replace(plan, summary=summary), looks, failures, held, pairings)


def _held(session: Session, looks: Sequence[Look]) -> dict[Address, str]:
    if session.options.take_over:
        return {}
    return {
        address: owner
        for look in looks
        for address, owner in session.ledger.holders(look.system.identity, session.owner).items()
        if address in look.desired.resources
    }


def _observations(look: Look) -> Iterator[Observation]:
    yield from look.actual.observations
    for address, reason in look.desired.skipped.items():
        yield Observation(address, f"left alone: {reason}")
    for address, error in look.desired.failed.items():
        yield Observation(address, f"not judged: {error}")
    for address, reason in look.verdict.unreadable.items():
        yield Observation(address, f"cannot tell: {reason}")
    for address, names in look.verdict.left.items():
        yield Observation(
            address, f"{', '.join(names)} is no longer what we wrote: left as it is, and forgotten"
        )
    for address in sorted(look.pending):
        yield Observation(address, "the key waits for Cursor's next start")


def _foreign(pair: origins.Pairing) -> Diagnostic:
    return Diagnostic(
        "BYOK123",
        Severity.WARNING,
        pair.pointer,
        f"{pair.ref} would be joined with {pair.origin}, an origin nobody approved here",
        f"apply asks once; without a terminal give --allow-origin {pair.origin}",
    )


def _holding(address: Address, owner: str) -> Diagnostic:
    return Diagnostic(
        "BYOK125",
        Severity.ERROR,
        "",
        f"{address} is managed by team {owner}",
        "remove it from one of the two manifests, or give --take-over once",
    )


def apply_plan(
    session: Session,
    scope: Scope,
    confirm: Confirm,
    *,
    saved: Plan | None = None,
    removing: bool = False,
    told: Callable[[Change], None] = silent,
) -> tuple[Planned, Outcome]:
    """Plan, let ``confirm`` ask, apply, read back, and prove that nothing is left to do.

    A saved plan is applied while the fresh plan of its scope is a subset of it.
    Raises StalePlan, SafetyStop, SecretError, ManifestError, CursorBusy or Declined with nothing
    written, and ProviderError when the proof fails.
    """
    planned = make_plan(session, scope, removing=removing)
    _refuse(session, planned, removing=removing)
    if saved is not None:
        _fresh(saved, planned.plan)
    if not planned.plan.changes:
        _settle(session, planned)
        return planned, Outcome()
    session.wait_until_writable()
    if not confirm(planned):
        raise Declined("apply", "declined; nothing was changed")
    for pair in planned.pairings:
        session.ledger.approve(pair.ref, pair.origin)
    _settle(session, planned)
    command = "destroy" if removing else "apply"
    outcome = run_changes(session, command, planned.looks, planned.plan.changes, told=told)
    if not outcome.failed and outcome.signal is None:
        _prove(session, scope, removing=removing)
    return planned, outcome


def _refuse(session: Session, planned: Planned, *, removing: bool) -> None:
    options = session.options
    errors = [d for d in planned.plan.diagnostics if d.severity is Severity.ERROR]
    manifest_errors = [d for d in errors if d.code != "BYOK125"]
    if manifest_errors and not removing:
        raise ManifestError(session.manifest.file, manifest_errors)
    for failure in planned.failures:
        if failure.exit_code == planned.exit_code:
            raise failure
    if planned.held:
        address, owner = next(iter(planned.held.items()))
        raise SafetyStop(
            str(address),
            f"managed by team {owner}, and {len(planned.held)} such in all",
            "remove it from one of the two manifests, or give --take-over once",
        )
    if removing:
        return
    allowed = {origins.origin(url) for url in options.allow_origins}
    for pair in planned.pairings:
        if pair.origin not in allowed and not options.interactive:
            raise SafetyStop(
                pair.ref,
                f"would be joined with {pair.origin}, an origin nobody approved here",
                f"if that is right, give --allow-origin {pair.origin} once",
            )
    safety.check(
        planned.plan.changes,
        {address for look in planned.looks for address in look.written},
        protect=session.manifest.policy.protect,
        allow_many=options.allow_many,
        allow_irreversible=options.allow_irreversible,
    )


def _fresh(saved: Plan, fresh: Plan) -> None:
    if saved.fingerprint_key != fresh.fingerprint_key:
        raise StalePlan(
            "the saved plan",
            f"was made with fingerprint key {saved.fingerprint_key},"
            f" this machine has {fresh.fingerprint_key}",
            "plan again on this machine",
        )
    news = sorted(planner.moved(saved.changes, fresh.changes))
    if news:
        raise StalePlan(
            "the saved plan", f"no longer fits: {'; '.join(news)}", "plan again and review", news
        )


def _settle(session: Session, planned: Planned) -> None:
    """Record what needs no write: settled steps, adopted values, forgotten ones, evidence."""
    ledger, owner = session.ledger, session.owner
    for look in planned.looks:
        identity = look.system.identity
        for step in ledger.open_steps(identity, owner):
            ledger.settle_step(step.id, look.settled.get(step.change.address, {}))
        if session.options.take_over:
            for address in ledger.holders(identity, owner).keys() & look.desired.resources.keys():
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
        if address in changed or address not in look.actual.resources:
            continue
        for name, value in attrs.items():
            if isinstance(value, Sealed):
                proof = Evidence(
                    version=session.vault.version_of(value.ref or ""),
                    cell=look.actual.cells.get((address, name)),
                    pending=address in look.actual.pending,
                )
                session.ledger.seen(look.system.identity, session.owner, address, name, proof)


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
            own = [change for change in changes if change.address.system == look.system.name]
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
    outcome = _together(outcomes)
    session.ledger.end_run(run, _word(outcome))
    return outcome


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        applied=tuple(change for one in outcomes for change in one.applied),
        failed=tuple(failure for one in outcomes for failure in one.failed),
        pending=frozenset().union(*(one.pending for one in outcomes)),
        notes=tuple(dict.fromkeys(note for one in outcomes for note in one.notes)),
        signal=next((one.signal for one in outcomes if one.signal is not None), None),
    )


def _word(outcome: Outcome) -> str:
    if outcome.failed:
        return "failed"
    return "applied" if outcome.signal is None else "interrupted"


def _prove(session: Session, scope: Scope, *, removing: bool) -> None:
    again = make_plan(session, scope, removing=removing)
    _settle(session, again)
    if again.plan.changes:
        names = ", ".join(str(change.address) for change in again.plan.changes[:5])
        raise ProviderError(
            names,
            "applied, but it reads back different",
            "see that Cursor is closed, then run byok plan",
        )
