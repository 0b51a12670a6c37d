"""Read every system at once, compare, and put the plan together; writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from reconciler import accounts, keycheck, origins
from reconciler.errors import ByokError, ManifestError, SafetyStop, UsageError, few, loudest, worst
from reconciler.gather import gather
from reconciler.judge import Look, compare, targeted
from reconciler.manifest.lint import lint, silence
from reconciler.model import (
    Address,
    Change,
    Diagnostic,
    Observation,
    Plan,
    Scope,
    Severity,
    Summary,
)
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.systems import Actual
from reconciler.systems.account import Unapproved

NAMED = 3
"""So many addresses are named before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made from.

    ``held`` are addresses that another owner manages; ``lost`` are the systems that could not be
    read, which the others' plan goes on without. ``offered`` are pairs of reference and origin
    that were not joined, to look at an account, because nobody approved them yet.
    """

    plan: Plan
    looks: tuple[Look, ...]
    failures: tuple[ByokError, ...] = ()
    held: Mapping[Address, str] = field(default_factory=dict)
    pairings: tuple[origins.Pairing, ...] = ()
    lost: Mapping[str, ByokError] = field(default_factory=dict)
    offered: frozenset[tuple[str, str]] = frozenset()

    @property
    def pending(self) -> frozenset[Address]:
        """The addresses whose key waits for Cursor's next start."""
        return frozenset().union(*(look.pending for look in self.looks))

    @property
    def strangers(self) -> tuple[origins.Pairing, ...]:
        """The pairs that nobody approved yet, and without which an account was not read."""
        read = {look.system.name for look in self.looks}
        return tuple(pair for pair in self.pairings if pair.address.system not in read)

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
        failures = (*self.failures, *self.lost.values())
        return worst([*codes, *(failure.exit_code for failure in failures)])


def make_plan(
    session: Session, scope: Scope, *, removing: bool = False, watching: bool = True
) -> Planned:
    """Read every system in scope at once and compare; writes nothing.

    Accounts that are not judged are looked at with their ordinary key, at the same time, unless
    ``watching`` is off.
    ``removing`` plans as though the manifest named nothing. A system that cannot be read is left
    out, with its error. Raises UsageError for a system that does not exist, and the error of a
    system that cannot be read where no other was.
    """
    if not scope.systems or len(set(scope.systems)) < len(scope.systems):
        raise UsageError("the plan's scope", "names no system, or one twice", "plan again")
    if not removing:
        session.vault.warm(session.references(scope))
    gathered = gather(session, scope, removing=removing, watching=watching)
    lost = gathered.lost
    if not gathered.seen and not any(isinstance(e, Unapproved) for e in lost.values()):
        raise loudest(list(lost.values()))
    looks = tuple(
        compare(session, one.system, one.desired, one.actual, scope, removing=removing)
        for one in gathered.seen
    )
    return _assemble(session, scope, looks, gathered.sights, lost)


def _assemble(
    session: Session,
    scope: Scope,
    looks: tuple[Look, ...],
    sights: tuple[Actual, ...],
    lost: Mapping[str, ByokError],
) -> Planned:
    changes = tuple(change for look in looks for change in look.verdict.changes)
    pairings = (*_pairings(session, looks, changes), *_unapproved(lost))
    held = _held(session, scope, looks)
    failures = tuple(
        error
        for look in looks
        for address, error in look.desired.failed.items()
        if targeted(address, scope.targets)
    )
    observations = tuple(
        seen
        for seen in (*_told(looks), *_left_out(lost), *_watched(sights), *_dropped(session, scope))
        if targeted(seen.address, scope.targets)
    )
    found = [
        *lint(session.manifest),
        *(d for look in looks for d in look.actual.diagnostics),
        *(d for sight in sights for d in sight.diagnostics),
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
        summary=_summary(looks, len(observations), len(failures) + len(lost)),
    )
    down = {n: error for n, error in lost.items() if not isinstance(error, Unapproved)}
    offered = frozenset(session.approvals.offered)
    return Planned(plan, looks, failures, held, pairings, down, offered)


def _summary(looks: Sequence[Look], observed: int, unknown: int) -> Summary:
    counts = [look.verdict.summary for look in looks]
    names = ("create", "update", "delete", "in_sync", "unmanaged")
    sums = {name: sum(getattr(count, name) for count in counts) for name in names}
    unread = sum(count.unknown for count in counts) + unknown
    return Summary(**sums, observed=observed, unknown=unread)


def _pairings(
    session: Session, looks: Sequence[Look], changes: tuple[Change, ...]
) -> Iterator[origins.Pairing]:
    approved = session.approvals.granted()
    for look in looks:
        wanted = look.desired.resources
        yield from origins.unapproved(session.manifest, wanted, changes, approved)


def _unapproved(lost: Mapping[str, ByokError]) -> Iterator[origins.Pairing]:
    for error in lost.values():
        if isinstance(error, Unapproved):
            yield error.pairing


def _told(looks: Sequence[Look]) -> Iterator[Observation]:
    for look in looks:
        yield from _observations(look)


def _left_out(lost: Mapping[str, ByokError]) -> Iterator[Observation]:
    for name, error in lost.items():
        yield Observation(Address(name, "account", name), f"not judged: {error}")


def _dropped(session: Session, scope: Scope) -> Iterator[Observation]:
    """Tell of accounts that are on record and that the manifest no longer declares."""
    if scope.systems == (CURSOR,):
        return
    on_record = Counter(address.system for address in session.recorded)
    for name in sorted(on_record.keys() - {CURSOR, *accounts.names(session.manifest)}):
        what = f"{on_record[name]} on record, and the manifest no longer declares this account"
        way_out = "to take them back, declare it with its admin credential and nothing else"
        yield Observation(Address(name, "account", name), f"not judged: {what}; {way_out}")


def _watched(sights: Sequence[Actual]) -> Iterator[Observation]:
    for sight in sights:
        yield from sight.observations


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
    """Return the targets of a plan's scope that name nothing wanted, there, or on record.

    Of a system that was not read nobody can tell.
    """
    dark = {*planned.lost, *(pair.address.system for pair in planned.strangers)}
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
    told = [t for t in targets if not any(fnmatchcase(n, t.partition("/")[0]) for n in dark)]
    return tuple(t for t in told if not any(targeted(a, (t,)) for a in known))


def _observations(look: Look) -> Iterator[Observation]:
    yield from look.actual.observations
    for address, reason in look.desired.skipped.items():
        yield Observation(address, f"left alone: {reason}")
    for address, error in look.desired.failed.items():
        yield Observation(address, f"not judged: {error.what}")
    for address, reason in look.verdict.unreadable.items():
        yield Observation(address, f"cannot tell: {reason}")
    for address in sorted(_released(look)):
        yield Observation(address, "released: it stays as it is, and byok forgets it")
    for address, names in look.verdict.left.items():
        yield Observation(
            address, f"{', '.join(names)} is no longer what we wrote: left as it is, and forgotten"
        )
    for address, reason in look.converging.items():
        yield Observation(address, reason)
    for address in sorted(look.pending):
        yield Observation(address, "the key waits for Cursor's next start")


def _released(look: Look) -> set[Address]:
    """Return the containers that the manifest dropped, and that are still there."""
    forgotten = look.verdict.forget.keys() & look.actual.resources.keys()
    dropped = forgotten - look.desired.resources.keys()
    return {address for address in dropped if address.kind in look.system.rules.containers}


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
            f"{pair.ref} would go to {pair.origin}, an origin nobody approved for it here",
            f"apply asks once; without a terminal give --allow-origin {pair.origin}",
            session.manifest.where(pair.pointer),
        )


def _holding(held: Mapping[Address, str]) -> Iterator[Diagnostic]:
    for owner in sorted(set(held.values())):
        names = [str(address) for address, other in sorted(held.items()) if other == owner]
        yield Diagnostic(
            "BYOK125",
            Severity.ERROR,
            "",
            f"{few(names, NAMED)} managed by team {owner}",
            "remove them from one of the two manifests, or give --take-over once",
        )
