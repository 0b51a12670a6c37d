"""Read every system at once, compare, and put the plan together; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from reconciler import keycheck, origins, planner
from reconciler.errors import ByokError, ManifestError, SafetyStop, UsageError, loudest, worst
from reconciler.manifest.lint import lint, silence
from reconciler.model import (
    Address,
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

NAMED = 3
"""So many addresses are named before the rest is counted."""


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
        """The addresses whose key is in place as wanted and waits for Cursor's next start."""
        replaced = {
            change.address
            for change in self.verdict.changes
            if any(isinstance(edit.after, Sealed) for edit in change.edits)
        }
        return (self.actual.pending & self.desired.resources.keys()) - replaced


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
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors that only another manifest mends; what another owner holds is no such."""
        found = (d for d in self.plan.diagnostics if d.severity is Severity.ERROR)
        return tuple(d for d in found if d.code != "BYOK125")

    @property
    def exit_code(self) -> int:
        """The code that ends a command for what forbids this plan; 0 for nothing."""
        codes = [ManifestError.exit_code] if self.errors else []
        codes += [SafetyStop.exit_code] if self.held else []
        return worst([*codes, *(failure.exit_code for failure in self.failures)])


def make_plan(session: Session, scope: Scope, *, removing: bool = False) -> Planned:
    """Read every system in scope at once and compare; writes nothing.

    ``removing`` plans as though the manifest named nothing.
    Raises UsageError for a system that does not exist, CursorBusy for one that cannot be read.
    """
    if not scope.systems or len(set(scope.systems)) < len(scope.systems):
        raise UsageError("the plan's scope", "names no system, or one twice", "plan again")
    systems = [session.system(name) for name in scope.systems]
    if not removing:
        session.vault.warm(session.references())

    def read(system: System) -> tuple[Desired, Actual]:
        wanted = Desired() if removing else system.desired()
        try:
            return wanted, system.actual()
        except ByokError as error:
            raise loudest([error, *wanted.failed.values()]) from None

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
    written = _on_record(session, system, desired)
    settled = planner.settle(session.intents(system), actual.resources, written)
    written = planner.overlay(written, settled)
    everything = desired.resources.keys() | actual.resources.keys() | written.keys()
    judged = everything - desired.skipped.keys() - desired.failed.keys()
    verdict = planner.plan(
        desired.resources,
        actual.resources,
        written,
        {address for address in judged if targeted(address, scope.targets)},
    )
    return Look(system, desired, actual, written, settled, verdict)


def _on_record(session: Session, system: System, desired: Desired) -> Written:
    """Return what this team last wrote; taking over, also what the others wrote that it wants."""
    own = session.ledger.written(system.identity, session.owner)
    if not session.options.take_over:
        return own
    held = session.ledger.held(system.identity, session.owner)
    theirs = {address: held[address] for address in held.keys() & desired.resources.keys()}
    return {a: {**own.get(a, {}), **theirs.get(a, {})} for a in theirs.keys() | own.keys()}


def targeted(address: Address, targets: Sequence[str]) -> bool:
    """Tell whether an address is among the targets, shell patterns included; all without any."""
    return not targets or any(fnmatchcase(str(address), target) for target in targets)


def _assemble(session: Session, scope: Scope, looks: tuple[Look, ...]) -> Planned:
    changes = tuple(change for look in looks for change in look.verdict.changes)
    pairings = tuple(
        pair
        for look in looks
        for pair in origins.unapproved(
            session.manifest, look.desired.resources, changes, session.approvals()
        )
    )
    held = _held(session, scope, looks)
    failures = tuple(
        error
        for look in looks
        for address, error in look.desired.failed.items()
        if targeted(address, scope.targets)
    )
    observations = tuple(
        seen
        for look in looks
        for seen in _observations(look)
        if targeted(seen.address, scope.targets)
    )
    found = [
        *lint(session.manifest),
        *(d for look in looks for d in look.actual.diagnostics),
        *(d for look in looks for d in _of_keys(session, look)),
    ]
    plan = Plan(
        scope=scope,
        fingerprint_key=session.key_id,
        changes=changes,
        observations=observations,
        diagnostics=(
            *silence(found, session.manifest.policy.ignore),
            *_foreign(session, pairings),
            *_holding(held),
        ),
    )
    counts = [look.verdict.summary for look in looks]
    summary = replace(
        counts[0],
        **{
            name: sum(getattr(count, name) for count in counts)
            for name in ("create", "update", "delete", "in_sync", "unmanaged")
        },
        observed=len(observations),
        unknown=sum(count.unknown for count in counts) + len(failures),
    )
    return Planned(replace(plan, summary=summary), looks, failures, held, pairings)


def _held(session: Session, scope: Scope, looks: Sequence[Look]) -> dict[Address, str]:
    if session.options.take_over:
        return {}
    return {
        address: owner
        for look in looks
        for address, owner in session.ledger.holders(look.system.identity, session.owner).items()
        if address in look.desired.resources and targeted(address, scope.targets)
    }


def unmatched(planned: Planned) -> tuple[str, ...]:
    """Return the targets of a plan's scope that name nothing wanted, there, or on record."""
    known = [
        address
        for look in planned.looks
        for part in (
            look.desired.resources,
            look.desired.skipped,
            look.desired.failed,
            look.actual.resources,
            look.written,
        )
        for address in part
    ]
    targets = planned.plan.scope.targets
    return tuple(t for t in targets if not any(targeted(a, (t,)) for a in known))


def _observations(look: Look) -> Iterator[Observation]:
    yield from look.actual.observations
    for address, reason in look.desired.skipped.items():
        yield Observation(address, f"left alone: {reason}")
    for address, error in look.desired.failed.items():
        yield Observation(address, f"not judged: {error.what}")
    for address, reason in look.verdict.unreadable.items():
        yield Observation(address, f"cannot tell: {reason}")
    for address, names in look.verdict.left.items():
        yield Observation(
            address, f"{', '.join(names)} is no longer what we wrote: left as it is, and forgotten"
        )
    for address in sorted(look.pending):
        yield Observation(address, "the key waits for Cursor's next start")


def _of_keys(session: Session, look: Look) -> Iterator[Diagnostic]:
    wanted, today = look.desired.resources, datetime.now(UTC)
    recorded = session.ledger.since(look.system.identity, session.owner)
    ages = {
        key: (today - datetime.fromisoformat(since)).days
        for key, since in recorded.items()
        if key[0] in wanted
    }
    return keycheck.check(session.manifest, wanted, session.vault.misfits, ages)


def _foreign(session: Session, pairings: Sequence[origins.Pairing]) -> Iterator[Diagnostic]:
    for pair in pairings:
        if pair.origin in session.options.allow_origins:
            continue
        yield Diagnostic(
            "BYOK123",
            Severity.WARNING,
            pair.pointer,
            f"{pair.ref} would be joined with {pair.origin}, an origin nobody approved here",
            f"apply asks once; without a terminal give --allow-origin {pair.origin}",
            session.manifest.where(pair.pointer),
        )


def _holding(held: Mapping[Address, str]) -> Iterator[Diagnostic]:
    for owner in sorted(set(held.values())):
        names = [str(address) for address, other in sorted(held.items()) if other == owner]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield Diagnostic(
            "BYOK125",
            Severity.ERROR,
            "",
            f"{', '.join(names[:NAMED])}{more} managed by team {owner}",
            "remove them from one of the two manifests, or give --take-over once",
        )
