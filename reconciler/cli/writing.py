"""The commands that write: apply, destroy, rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.output import Steps
from reconciler.cli.reading import REMOVED, read_plan, rendered, screen
from reconciler.codec import change_to_json, diagnostic_to_json
from reconciler.errors import SafetyStop, worst
from reconciler.model import Action
from reconciler.spec import CURSOR

if TYPE_CHECKING:
    from reconciler.executor import Outcome
    from reconciler.session import Session
    from reconciler.survey import Planned


@click.command()
@options.common
@options.resolving
@options.lifting
@options.waiting
@click.argument("file", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
def apply(*, file: Path | None, wait: float) -> int:
    """Plan, ask, apply, read back and prove. With a saved PLAN it does not ask."""
    from reconciler.engine import apply_plan

    saved = read_plan(file) if file is not None else None
    asks = saved is None and options.interactive()
    scope = saved.scope if saved is not None else options.scope()
    with _stopped("Apply"), _session("apply", wait, asks=asks) as session, Steps() as steps:
        confirm = _confirm(steps, asks=asks, verb="Apply")
        planned, outcome = apply_plan(session, scope, confirm, saved=saved, told=steps)
        return _report(session, planned, outcome)


@click.command()
@options.common
@options.resolving
@options.lifting
@options.waiting
def destroy(*, wait: float) -> int:
    """Remove everything this team's manifest wrote; what it adopted is released."""
    from reconciler.engine import apply_plan

    asks = options.interactive()
    scope = options.scope()
    with _stopped("Remove"), _session("destroy", wait, asks=asks) as session, Steps() as steps:
        confirm = _confirm(steps, asks=asks, verb="Remove")
        planned, outcome = apply_plan(session, scope, confirm, removing=True, told=steps)
        return _report(session, planned, outcome)


@click.command()
@options.common
@options.resolving
@options.lifting
@options.waiting
@click.argument("run", metavar="[RUN]", required=False, type=click.IntRange(1))
def rollback(*, run: int | None, wait: float) -> int:
    """Undo a run: the last one that changed something, or the one of this number."""
    from reconciler.rollback import roll_back

    asks = options.interactive()
    scope = options.scope()
    with _stopped("Undo"), _session("rollback", wait, asks=asks) as session, Steps() as steps:
        confirm = _confirm(steps, asks=asks, verb="Undo")
        planned, outcome = roll_back(session, run, confirm, scope=scope, told=steps)
        return _report(session, planned, outcome)


REASONS = {
    "Remove": REMOVED,
    "Undo": "put back as it was before that run",
}
"""Why something is taken away, by what is asked for."""


@contextmanager
def _stopped(verb: str) -> Iterator[None]:
    """Show the plan that a safety rule stopped: of a removal no command shows it beforehand."""
    try:
        yield
    except SafetyStop as stop:
        if stop.plan is not None and stop.plan.changes and not options.given("json"):
            screen().result(rendered(stop.plan, "text", REASONS.get(verb)))
        raise


def _session(command: str, wait: float, *, asks: bool) -> AbstractContextManager[Session]:
    from reconciler.cli.run import run_options
    from reconciler.session import writing

    return writing(run_options(wait=wait, interactive=asks), f"byok {command}")


def _confirm(steps: Steps, *, asks: bool, verb: str) -> Callable[[Planned], bool]:
    def ask(planned: Planned) -> bool:
        steps.total = len(planned.plan.changes)
        if not options.given("json"):
            screen().result(rendered(planned.plan, "text", REASONS.get(verb)))
        if not asks:
            return True
        pairs = {(pair.ref, pair.origin) for pair in planned.pairings} | planned.offered
        for ref, origin in sorted(pairs):
            screen().say(f"{ref} will go to {origin}: approved for good if you go on.")
        count = len(planned.plan.changes)
        noun = "change" if count == 1 else "changes"
        return click.confirm(f"{verb} {count} {noun}?", default=False, err=True)

    return ask


def _report(session: Session, planned: Planned, outcome: Outcome) -> int:
    pending = sorted({*map(str, outcome.pending), *map(str, planned.pending)})
    for note in (*session.aloud, *outcome.notes):
        screen().say(f"note: {note}")
    if options.given("json") or not planned.plan.changes:  # else the plan that was shown has them
        _say_what_was_seen(planned)
    for name, error in planned.lost.items():
        screen().say(f"byok: {name} was left out: {error}")
    for failure in outcome.failed:
        screen().say(f"byok: {failure.change.address}: {failure.error}")
    if options.given("json"):
        screen().document(_document(planned, outcome, pending))
    else:
        screen().lines(_closing(planned, outcome, pending).splitlines())
    if outcome.signal is not None:
        return 128 + outcome.signal
    errors = [*planned.lost.values(), *(failure.error for failure in outcome.failed)]
    return worst([error.exit_code for error in errors])


def _say_what_was_seen(planned: Planned) -> None:
    """Say what matters to whoever applies: what was left out, and all of Cursor's own."""
    from reconciler.render.words import gathered, loud

    for address, text, _ in gathered(planned.plan.observations):
        if loud(text) or address.startswith("cursor/"):
            screen().say(f"note: {address}: {text}")


def _document(planned: Planned, outcome: Outcome, pending: list[str]) -> dict[str, Any]:
    return {
        "format": "byok.apply/1",
        "changed": bool(outcome.applied),
        "fingerprint_key": planned.plan.fingerprint_key,
        "applied": [change_to_json(change) for change in outcome.applied],
        "failed": [
            {"address": address, "exit": error.exit_code, "message": str(error)}
            for address, error in (
                *planned.lost.items(),
                *((str(failure.change.address), failure.error) for failure in outcome.failed),
            )
        ],
        "pending": pending,
        "diagnostics": [diagnostic_to_json(finding) for finding in planned.plan.diagnostics],
    }


def _closing(planned: Planned, outcome: Outcome, pending: list[str]) -> str:
    from reconciler.render.words import OFFLINE

    tally = [change.action for change in outcome.applied]
    if not tally and not outcome.failed:
        count = planned.plan.summary.in_sync
        noun = "resource matches" if count == 1 else "resources match"
        text = f"Nothing to change. {count} {noun} the manifest."
    else:
        words = {Action.CREATE: "created", Action.UPDATE: "updated", Action.DELETE: "deleted"}
        parts = [f"{tally.count(action)} {word}" for action, word in words.items()]
        proof = "" if outcome.failed or outcome.signal is not None else " Read back and proved."
        text = f"Done: {', '.join(parts)}.{proof}"
    left = len(planned.plan.changes) - len(outcome.applied)
    if left:
        text += f" {left} not done."
    scope = planned.plan.scope
    if scope.offline and set(scope.systems) - {CURSOR}:
        text += f" {OFFLINE}"
    if pending:
        text += f"\nWaiting for Cursor's next start: {', '.join(pending)}."
    return text
