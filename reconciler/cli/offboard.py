"""The command that takes one person out: keys revoked, this machine cleared, the rest told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from getpass import getuser
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.output import working
from reconciler.cli.reading import REMOVED, rendered, screen
from reconciler.codec import change_to_json
from reconciler.errors import Declined, UsageError

if TYPE_CHECKING:
    from reconciler.offboarding import OpenFile, Parted, Parting, Theirs


@click.command()
@options.common
@options.resolving
@options.approving
@click.option("--for", "person", metavar="USER", help="Who leaves; you without it.")
@click.option("--here", is_flag=True, help="Also clear this machine, whoever is signed in.")
@click.option("--recipient", multiple=True, metavar="AGE1…", help="An age key of the person's.")
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--detailed-exitcode", is_flag=True, help="With --plan: exit 2 when there is any.")
@options.waiting
def offboard(
    *,
    person: str | None,
    here: bool,
    recipient: tuple[str, ...],
    only_plan: bool,
    detailed_exitcode: bool,
    wait: float,
) -> int:
    """Revoke one person's keys, clear this machine if it is theirs, and say what is left to do."""
    from reconciler.cli.run import run_options
    from reconciler.offboarding import Parted, carry_out, parting
    from reconciler.rotation.delivery import recipient as checked
    from reconciler.rotation.issue import person as named
    from reconciler.session import reading, writing

    if options.offline() and not only_plan:
        raise UsageError("--offline", "keys are revoked on line", "leave it out, or give --plan")
    asks = not only_plan and options.interactive()
    login = _login()
    who = named(login if person is None else person)
    theirs = [checked(each) for each in recipient]
    chosen = run_options(wait=wait)
    with reading(chosen) if only_plan else writing(chosen, "byok offboard") as session:
        with working("looking at keys"):
            plan = parting(session, who, theirs, here=here or who == login)
        if not options.given("json"):
            _show(plan)
        if only_plan:
            return _planned(plan, detailed=detailed_exitcode)
        parted = Parted(lost=plan.search.lost)
        if plan.touched:
            if asks and not click.confirm(_question(plan), default=False, err=True):
                raise Declined("offboard", "declined; nothing was changed")
            parted = carry_out(session, plan)
        for note in (*session.aloud, *(parted.outcome.notes if parted.outcome else ())):
            screen().say(f"note: {note}")
    return _report(plan, parted)


def _login() -> str:
    try:
        return getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        return ""


def _planned(plan: Parting, *, detailed: bool) -> int:
    from reconciler.offboarding import Parted

    for name, error in plan.search.lost.items():
        screen().say(f"byok: {name} could not be asked: {error}")
    if options.given("json"):
        screen().document(_document(plan, Parted(keys=plan.search.keys), done=False))
    code = Parted(lost=plan.search.lost).exit_code
    return code or (2 if detailed and (plan.touched or plan.by_hand) else 0)


def _question(plan: Parting) -> str:
    keys, changes = len(plan.search.keys), plan.changes
    parts = [f"revoke {keys} key{'s' if keys != 1 else ''} for good"] if keys else []
    parts += [f"remove {changes} resource{'s' if changes != 1 else ''} here"] if plan.here else []
    text = " and ".join(parts)
    return f"{text[:1].upper()}{text[1:]}?"


# The plan.


def _show(plan: Parting) -> None:
    screen().lines([f"Off-boarding {plan.person}", "", *_keys(plan), "", *_machine(plan)])
    if plan.removal is not None and plan.changes:
        screen().result(rendered(plan.removal.plan, "text", REMOVED))
    lines = list(_files(plan))
    if lines:
        screen().lines(["", *lines])


def _keys(plan: Parting) -> Iterator[str]:
    yield "Keys"
    for key in plan.search.keys:
        yield f"  {key.system}: {_name(key)}, {key.fate.value}"
        if key.refs:
            yield f"    its value stays in {', '.join(key.refs.values())}, and opens nothing then"
    if not plan.search.keys:
        others = f"; keys on record are for {', '.join(plan.others)}" if plan.others else ""
        yield f"  none of {plan.person}'s was found{others}"
    for name, why in plan.search.unseen.items():
        yield f"  {name} was not searched: {why}"
    for name in plan.search.lost:
        yield f"  {name} could not be asked"


def _name(key: Theirs) -> str:
    said = key.name or key.id
    return f"{said} (still on its way)" if key.way is not None else said


def _machine(plan: Parting) -> Iterator[str]:
    yield "This machine"
    if not plan.here:
        yield f"  stays as it is: you are not {plan.person}; --here clears it all the same"
        yield f"  on {plan.person}'s machines: byok destroy"
    elif plan.obstacle is not None:
        yield f"  is to be cleared, and cannot be now: {plan.obstacle}"
    elif not plan.changes:
        yield "  holds nothing that byok wrote"
    else:
        yield "  is cleared, as byok destroy does:"


def _files(plan: Parting) -> Iterator[str]:
    """Say what a person has to do about SOPS files; byok does not edit .sops.yaml."""
    for file in plan.files:
        if file.error is not None:
            yield f"{file.error.where} cannot be looked at: {file.error.what}"
    if plan.files and not plan.theirs:
        yield f"Nobody can tell which recipients are {plan.person}'s: give --recipient age1…"
        for file in plan.files:
            yield from (f"  {file.name}: {each}" for each in file.recipients)
    opened = [file for file in plan.files if file.theirs]
    if opened:
        yield f"Left to do by hand: {plan.person} can open"
    for file in opened:
        yield f"  {file.name}"
        yield from (f"    {number}. {text}" for number, text in enumerate(_steps(file), 1))


def _steps(file: OpenFile) -> Iterator[str]:
    if file.own:
        yield "nobody else can: delete it"
        return
    if len(file.theirs) == len(file.recipients):
        yield "add somebody else to .sops.yaml first: nobody else can open it"
    if file.rule:
        yield f"take {', '.join(file.theirs)} out of {file.rule}"
    yield file.command
    if file.rotate:
        yield f"byok rotate {' '.join(file.rotate)}"
    if file.by_hand:
        yield f"make anew, for they stand in it too: {', '.join(_gathered(file.by_hand))}"


def _gathered(words: Sequence[str]) -> Iterator[str]:
    """Say all admin credentials in one."""
    begins = "the admin credential of "
    admins = [each.removeprefix(begins) for each in words if each.startswith(begins)]
    if admins:
        yield f"the admin credential{'s' if len(admins) > 1 else ''} of {', '.join(admins)}"
    yield from (each for each in words if not each.startswith(begins))


# What became of it.


def _report(plan: Parting, parted: Parted) -> int:
    for error in _errors(parted):
        screen().say(f"byok: {error}")
    if options.given("json"):
        screen().document(_document(plan, parted, done=True))
    else:
        screen().lines(_closing(plan, parted))
    return parted.exit_code


def _errors(parted: Parted) -> Iterator[str]:
    for key in parted.keys:
        if key.error is not None:
            yield str(key.error)
    for name, error in parted.lost.items():
        yield f"{name} could not be asked: {error}"
    if parted.error is not None:
        yield str(parted.error)
    for failure in parted.outcome.failed if parted.outcome else ():
        yield f"{failure.change.address}: {failure.error}"


def _closing(plan: Parting, parted: Parted) -> Iterator[str]:
    if not plan.touched:
        yield f"Nothing to revoke or to remove for {plan.person}."
    else:
        dead = sum(key.fate.value in ("revoked", "gone already") for key in parted.keys)
        gone = len(parted.outcome.applied) if parted.outcome else 0
        noun = "key" if len(parted.keys) == 1 else "keys"
        cleared = f", {gone} resources removed here" if plan.here else ""
        yield f"Done: {dead} of {len(parted.keys)} {noun} dead{cleared}."
    if parted.exit_code:
        yield "Not all of it was done: run it again."
    if plan.by_hand:
        yield "The SOPS files above are left to do by hand."


def _document(plan: Parting, parted: Parted, *, done: bool) -> dict[str, Any]:
    removal = plan.removal.plan.changes if plan.removal is not None else ()
    outcome = parted.outcome
    return {
        "format": "byok.offboard/1",
        "person": plan.person,
        "done": done,
        "here": plan.here,
        "keys": [_key(key) for key in parted.keys],
        "remove": [change_to_json(change) for change in removal],
        "removed": [str(change.address) for change in outcome.applied] if outcome else [],
        "not_searched": dict(plan.search.unseen),
        "failed": list(_errors(parted)) or ([str(plan.obstacle)] if plan.obstacle else []),
        "recipients": list(plan.theirs),
        "files": [_file(file) for file in plan.files],
    }


def _key(key: Theirs) -> dict[str, Any]:
    error = key.error
    return {
        "system": key.system,
        "id": key.id or None,
        "name": key.name or None,
        "fingerprints": dict(key.prints),
        "refs": dict(key.refs),
        "fate": key.fate.value,
        "error": None if error is None else {"exit": error.exit_code, "message": str(error)},
    }


def _file(file: OpenFile) -> dict[str, Any]:
    return {
        "file": file.name,
        "recipients": list(file.recipients),
        "theirs": list(file.theirs),
        "own": file.own,
        "rule": file.rule or None,
        "command": file.command if file.theirs and not file.own else None,
        "rotate": list(file.rotate) if file.theirs else [],
        "by_hand": list(file.by_hand) if file.theirs else [],
        "error": None if file.error is None else str(file.error),
    }
