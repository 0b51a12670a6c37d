"""The commands that tell how things stand and what was done: status, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.output import working
from reconciler.cli.reading import screen
from reconciler.codec import change_to_json
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.standing import Standing


@click.command()
@options.common
@options.resolving
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when anything is to be done.")
def status(*, detailed_exitcode: bool) -> int:
    """One line per system: in sync, pending, drifted, or waiting for Cursor's next start."""
    from reconciler.cli.run import run_options
    from reconciler.session import reading
    from reconciler.standing import standings
    from reconciler.survey import make_plan

    scope = options.scope()
    with reading(run_options()) as session, working("reading"):
        planned = make_plan(session, scope, watching=False)
        found = standings(session, planned)
    if options.given("json"):
        screen().document({"format": "byok.status/1", "systems": [_status(one) for one in found]})
    else:
        screen().lines(line for one in found for line in _lines(one))
    for failure in (*planned.failures, *planned.lost.values()):
        screen().say(f"byok: {failure}")
    for pair in planned.strangers:
        what = f"{pair.ref} would go to {pair.origin}, an origin nobody approved for it here"
        screen().say(f"byok: {pair.address.system} was left out: {what}; byok apply asks once")
    changed = any(one.drifted or one.to_apply for one in found)
    return planned.exit_code or (2 if detailed_exitcode and changed else 0)


def _status(one: Standing) -> dict[str, Any]:
    return {
        "system": one.system,
        "state": one.state,
        "in_sync": one.in_sync,
        "to_apply": list(one.to_apply),
        "drifted": [
            {
                "address": d.address,
                "edits": list(d.edits),
                "after": d.after,
                "until": d.until,
                "by": d.by,
            }
            for d in one.drifted
        ],
        "waiting": list(one.waiting),
        "converging": list(one.converging),
        "left_alone": list(one.left_alone),
        "unknown": list(one.unknown),
    }


def _lines(one: Standing) -> list[str]:
    lines = [f"{one.system}: {one.sentence}"]
    for drift in one.drifted:
        since = f" after {_moment(drift.after)}" if drift.after else ""
        lines.append(f"  {drift.address} ({', '.join(drift.edits)}) moved{since}, {drift.by}")
    shown = one.to_apply if options.given("verbose") else one.to_apply[:10]
    lines.extend(f"  {address} is pending" for address in shown)
    if len(shown) < len(one.to_apply):
        lines.append(f"  and {len(one.to_apply) - len(shown)} more pending (-v shows all)")
    lines.extend(f"  {address} waits for Cursor's next start" for address in one.waiting)
    lines.extend(f"  {address} cannot be told" for address in one.unknown)
    lines.extend(f"  {text}" for text in one.left_alone)
    return lines


def _moment(stamp: str) -> str:
    """Shorten an ISO 8601 time in UTC to what a person reads."""
    return f"{stamp[:10]} {stamp[11:16]} UTC"


@click.command()
@options.common
@click.argument("run", metavar="[RUN]", required=False, type=click.IntRange(1))
def history(*, run: int | None) -> int:
    """List the runs that wrote something, newest first; with RUN, the steps of one."""
    import os

    from reconciler import state
    from reconciler.ledger import Ledger

    with Ledger(state.directory(options.given("state_dir"), os.environ)) as ledger:
        runs = ledger.runs()
        if run is not None:
            if run not in {one.id for one in runs}:
                raise UsageError("history", f"there is no run {run}", "see byok history")
            return _steps(ledger.steps(run), run)
    if options.given("json"):
        fields = ("id", "command", "owner", "started", "ended", "outcome", "steps")
        rows = [{name: getattr(one, name) for name in fields} for one in runs]
        screen().document({"format": "byok.history/1", "runs": rows})
    elif runs:
        rows_text = (
            f"{one.id:>5}  {_moment(one.started)}  {one.command.removeprefix('byok '):<8}  "
            f"{one.outcome:<11}  {one.steps:>4} step{'s' if one.steps != 1 else ' '}  {one.owner}"
            for one in runs
        )
        screen().result("\n".join(rows_text))
    else:
        screen().result("No runs yet.")
    return 0


def _steps(steps: Any, run: int) -> int:
    if options.given("json"):
        rows = [
            {"id": s.id, "state": s.state, "note": s.note, "change": change_to_json(s.change)}
            for s in steps
        ]
        screen().document({"format": "byok.history/1", "run": run, "steps": rows})
    else:
        lines = [
            f"{s.state:<9} {s.change.action.value} {s.change.address}"
            f" ({', '.join(e.name for e in s.change.edits)}), {s.change.cause.value}"
            for s in steps
        ]
        screen().result("\n".join(lines) or f"Run {run} took no steps.")
    return 0
