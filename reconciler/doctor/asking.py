"""Plan as `byok plan` does, once, for all checks that judge what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.doctor.finding import Finding, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing
from reconciler.errors import ByokError, UsageError, few
from reconciler.gather import gather
from reconciler.manifest.lint import lint, silence
from reconciler.model import Address, Cause, Change, Diagnostic, Observation
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.survey import make_plan

CHECK = "plan/cursor"
MOVED = (Cause.DRIFT, Cause.CONFLICT)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan said; ``offered`` are pairs of reference and origin that nobody approved.

    ``changes`` is None where Cursor could not be read, so that nobody knows.
    """

    changes: tuple[Change, ...] | None
    observations: tuple[Observation, ...]
    diagnostics: tuple[Diagnostic, ...]
    pending: frozenset[Address] = frozenset()
    lost: Mapping[str, ByokError] = field(default_factory=dict)
    failures: tuple[ByokError, ...] = ()
    offered: frozenset[tuple[str, str]] = frozenset()


def asked(ground: Ground) -> Asked | Missing:
    """Plan; where Cursor cannot be read, look at the accounts alone. Raises UsageError."""
    return ground.once("asked", lambda: _asked(ground))


def _asked(ground: Ground) -> Asked | Missing:
    session, seen = ground.session, ground.view
    if isinstance(session, Missing):
        return session
    if isinstance(seen, Missing) and CURSOR in ground.scope.systems:
        return _accounts_alone(session, ground)
    try:
        planned = make_plan(session, ground.scope)
    except UsageError:
        raise
    except ByokError as error:
        return Missing(f"no plan could be made ({error.what})", error)
    return Asked(
        planned.plan.changes if CURSOR in ground.scope.systems else None,
        planned.plan.observations,
        planned.plan.diagnostics,
        planned.pending,
        planned.lost,
        planned.failures,
        planned.offered,
    )


def _accounts_alone(session: Session, ground: Ground) -> Asked:
    manifest = session.manifest
    found = gather(session, ground.scope, removing=False, watching=True)
    acts = [*(seen.actual for seen in found.seen), *found.sights]
    told = [*lint(manifest), *(d for actual in acts for d in actual.diagnostics)]
    return Asked(
        None,
        tuple(each for actual in acts for each in actual.observations),
        silence(told, manifest.policy.ignore),
        lost={name: error for name, error in found.lost.items() if name != CURSOR},
        offered=frozenset(session.approvals.offered),
    )


def declared(ground: Ground) -> Iterator[Finding]:
    """Tell whether Cursor is as the manifest says: a key that is not there shows no model."""
    found = asked(ground)
    if isinstance(found, Missing):
        yield skipped(CHECK, found.reason)
        return
    if found.changes is None:
        reason = "Cursor's database cannot be read"
        yield skipped(CHECK, reason if CURSOR in ground.scope.systems else "--system leaves it out")
        return
    mine = [change for change in found.changes if change.address.system == CURSOR]
    moved = [str(change.address) for change in mine if change.cause in MOVED]
    new = [str(change.address) for change in mine if change.cause not in MOVED]
    if moved:
        cause = "a hand, or Cursor itself on sign-in and plan changes: byok status tells"
        what = f"moved since byok wrote it: {few(moved)}"
        yield warning(CHECK, "BYOK213", what, cause, "byok plan shows it, byok apply sets it right")
    if new:
        cause = "what is not in Cursor does not work there, nor appear in its model list"
        what = f"not there as declared: {few(new)}"
        yield warning(CHECK, "BYOK213", what, cause, "quit Cursor, then byok apply")
    yield from _dark(found)
    if not mine:
        wait = [str(address) for address in sorted(found.pending)]
        more = (
            f"; {few(wait)} wait{'s' if len(wait) == 1 else ''} for Cursor's next start"
            if wait
            else ""
        )
        yield well(CHECK, f"Cursor is as the manifest says{more}")


def _dark(found: Asked) -> Iterator[Finding]:
    """Say what of Cursor could not be compared."""
    for each in found.observations:
        if each.address.system == CURSOR and each.text.startswith(("cannot tell:", "not judged:")):
            reason = each.text.partition(": ")[2]
            yield skipped(CHECK, f"{each.address} cannot be compared: {reason}")
