"""Whether a manifest that was just written plans to no changes: asked of the planner itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from reconciler.errors import ByokError, SecretError, SecretProblem
from reconciler.model import Scope, Severity
from reconciler.session import Options, reading
from reconciler.spec import claimant
from reconciler.survey import Planned, make_plan


@dataclass(frozen=True, slots=True)
class Proof:
    """The planner's answer: True, False, or None where nothing differs and not all can be judged.

    ``differs`` are the changes it would make, in words; ``open`` is what cannot be judged, and
    why; ``variables`` are those that must be set first.
    """

    proved: bool | None
    in_sync: int = 0
    differs: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


def prove(options: Options) -> Proof:
    """Plan the manifest of these options, Cursor alone; writes nothing, raises nothing of ours."""
    try:
        with reading(replace(options, observe=False)) as session:
            planned = make_plan(session, Scope(offline=options.offline), watching=False)
    except ByokError as error:
        return Proof(proved=False, differs=(f"it cannot be planned: {error}",))
    declared = {*session.manifest.providers} | ({"openai"} if claimant(session.manifest) else set())
    differs, unjudged = tuple(_differs(planned)), tuple(_open(planned, declared))
    variables = tuple(sorted(_unset(planned)))
    proved = False if differs else None if unjudged or variables else True
    return Proof(proved, planned.plan.summary.in_sync, differs, unjudged, variables)


def _differs(planned: Planned) -> Iterator[str]:
    for change in planned.plan.changes:
        names = ", ".join(edit.name for edit in change.edits)
        yield f"{change.address}: {change.action} {names}"
    for finding in planned.plan.diagnostics:
        if finding.severity is Severity.ERROR:
            yield f"{finding.code} {finding.path}: {finding.message}"
    for error in (*planned.failures, *planned.lost.values()):
        if not _is_unset(error):
            yield str(error)


def _open(planned: Planned, declared: Collection[str]) -> Iterator[str]:
    """Yield what is declared and stays out of the plan, and how many values nobody can read."""
    for look in planned.looks:
        skipped = look.desired.skipped.items()
        yield from (f"{at}: {why}" for at, why in skipped if at.name in declared)
    unknown = planned.plan.summary.unknown - len(planned.failures) - len(planned.lost)
    if unknown > 0:
        yield f"{unknown} values cannot be read"


def _is_unset(error: Exception) -> bool:
    if not isinstance(error, SecretError):
        return False
    return error.kind is SecretProblem.NO_ITEM and "env://" in error.where


def _unset(planned: Planned) -> Iterator[str]:
    for error in planned.failures:
        if _is_unset(error):
            yield error.where.rpartition("env://")[2].partition(",")[0].strip()
