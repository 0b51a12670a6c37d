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
    from reconciler.entries import Rotation
    from reconciler.standing import Drift, Standing, Unfinished
    from reconciler.watching.past import Outlook


@click.command()
@options.common
@options.resolving
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when anything is to be done.")
def status(*, detailed_exitcode: bool) -> int:
    """One line per system: in sync, pending, drifted, or waiting for Cursor's next start."""
    from reconciler.cli.run import run_options
    from reconciler.cli.service import scheduler
    from reconciler.session import reading
    from reconciler.standing import standings, unfinished
    from reconciler.survey import make_plan
    from reconciler.watching.past import LOCK, outlook
    from reconciler.watching.service.control import installed

    scope = options.scope()
    with reading(run_options()) as session, working("reading"):
        planned = make_plan(session, scope, watching=False)
        found = standings(session, planned)
        cut_off = unfinished(session, planned)
        turning = session.ledger.keys.rotations(session.owner)
        served = installed(scheduler()) or (session.state_dir / LOCK).exists()
        ahead = outlook(session, planned, served=served)
    if options.given("json"):
        screen().document(_document(found, cut_off, turning, ahead))
    else:
        lines = (line for one in found for line in _lines(one))
        ways = map(_turning, turning)
        screen().lines([*lines, *map(_cut_off, cut_off), *ways, *_ahead(ahead)])
    for failure in (*planned.failures, *planned.lost.values()):
        screen().say(f"byok: {failure}")
    for pair in planned.strangers:
        what = f"{pair.ref} would go to {pair.origin}, an origin nobody approved for it here"
        screen().say(f"byok: {pair.address.system} was left out: {what}; byok apply asks once")
    changed = any(one.drifted or one.to_apply for one in found)
    return planned.exit_code or (2 if detailed_exitcode and changed else 0)


def _document(
    found: tuple[Standing, ...],
    cut_off: tuple[Unfinished, ...],
    turning: tuple[Rotation, ...],
    ahead: Outlook | None,
) -> dict[str, Any]:
    from dataclasses import asdict

    watch = None
    if ahead is not None:
        gave_up = [str(address) for address in ahead.gave_up]
        watch = {"paused": ahead.paused, "gave_up": gave_up, "last": ahead.last}
    return {
        "format": "byok.status/1",
        "systems": [_status(one) for one in found],
        "unfinished": [asdict(one) for one in cut_off],
        "rotations": [
            {"system": r.system, "for": r.holder, "stage": r.stage.value, "until": r.until}
            for r in turning
        ],
        "watch": watch,
    }


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
                "cause": d.cause,
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
    lines.extend(f"  {d.address} ({', '.join(d.edits)}) {_moved(d)}" for d in one.drifted)
    shown = one.to_apply if options.given("verbose") else one.to_apply[:10]
    lines.extend(f"  {address} is pending" for address in shown)
    if len(shown) < len(one.to_apply):
        lines.append(f"  and {len(one.to_apply) - len(shown)} more pending (-v shows all)")
    lines.extend(f"  {address} waits for Cursor's next start" for address in one.waiting)
    lines.extend(f"  {address} cannot be told" for address in one.unknown)
    lines.extend(f"  {text}" for text in one.left_alone)
    return lines


def _moved(drift: Drift) -> str:
    """Say when somebody moved it, as narrowly as is known, and who."""
    since = f" after {_moment(drift.after)}" if drift.after else ""
    if drift.after and drift.until and _moment(drift.after) < _moment(drift.until):
        since = f" between {_moment(drift.after)} and {_moment(drift.until)}"
    both = "; the manifest moved too" if drift.cause == "conflict" else ""
    return f"moved{since}, {drift.by}{both}"


def _cut_off(one: Unfinished) -> str:
    where = f" in the middle of {', '.join(one.addresses)}" if one.addresses else ""
    what = f"run {one.run} ({one.command}, {_moment(one.started)}) was cut off{where}"
    return f"{what}, or is still at work; byok apply goes on from there"


def _turning(one: Rotation) -> str:
    """Tell of a new key on its way, or of an old one that lives on for now."""
    whose = f" for {one.holder}" if one.holder else ""
    if one.stage.value == "kept":
        return f"{one.system}: rotated; the old key is to be revoked after {_moment(one.until)}"
    what = f"a new key{whose} is on its way (stage {one.stage.value})"
    return f"{one.system}: {what}; byok {one.command} goes on from there"


def _ahead(ahead: Outlook | None) -> list[str]:
    if ahead is None:
        return []
    lines = [f"watch: {ahead.paused}"] if ahead.paused else []
    return lines + [
        f"watch: gave up on {address}: somebody else sets it; byok apply starts anew"
        for address in ahead.gave_up
    ]


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
