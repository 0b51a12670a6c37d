"""The command that makes a key for one person, and delivers it where that person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.output import working
from reconciler.cli.reading import screen
from reconciler.errors import Declined, UsageError

if TYPE_CHECKING:
    from reconciler.entries import Rotation
    from reconciler.rotation import Desk, Ended
    from reconciler.rotation.issue import Wish

DONE = {
    "ordered": "ordered: nothing is made yet",
    "making": "the provider is making the key",
    "made": "the key is made, and kept as an encrypted copy",
    "tried": "the provider accepts the key",
    "storing": "the key is on its way to its place",
    "stored": "the key is in its place",
    "done": "done: the key works, and is where it was to go",
    "dropped": "given up: the key is revoked",
}
"""What each stage means, for people."""


@click.command()
@options.common
@options.resolving
@options.approving
@click.option("--for", "person", required=True, metavar="USER", help="Whose key it is.")
@click.option("--provider", required=True, metavar="NAME", help="The provider or endpoint.")
@click.option("--to", default="", metavar="REF", help="Where it goes; a SOPS file of the person's.")
@click.option(
    "--recipient", multiple=True, metavar="AGE1…", help="The person's age key, for a new file."
)
@click.option("--limit", default="", metavar="USD", help="The key's own monthly limit.")
@click.option("--another", is_flag=True, help="Also where the person has a key of it already.")
@click.option("--abandon", is_flag=True, help="Give up what is under way: the key is revoked.")
def issue(
    *,
    person: str,
    provider: str,
    to: str,
    recipient: tuple[str, ...],
    limit: str,
    another: bool,
    abandon: bool,
) -> int:
    """Make a key for one person, with a name and a limit of its own, and deliver it."""
    from reconciler.cli.run import run_options
    from reconciler.rotation import open_desk
    from reconciler.rotation.issue import Wish, carry_out, checked
    from reconciler.session import writing

    if options.offline():
        raise UsageError("--offline", "a new key is made and tried on line", "leave it out")
    asks = options.interactive()
    asked = Wish(person, provider, to, recipient, limit, another)
    with writing(run_options(interactive=asks), "byok issue") as session:
        wish = checked(session, asked)
        desk = open_desk(session, wish.system, told=_told)
        rotation = _found(desk, wish, dropping=abandon)
        if not _agreed(desk, rotation, asks=asks, dropping=abandon):
            raise Declined("issue", "declined; nothing was changed")
        ended, signal = carry_out(desk, rotation, dropping=abandon)
        session.approvals.record()
        for note in dict.fromkeys(session.aloud):
            screen().say(f"note: {note}")
    return _report(ended, signal)


def _found(desk: Desk, wish: Wish, *, dropping: bool) -> Rotation:
    """Return the person's key that is under way, or what is to be begun."""
    from reconciler.rotation.issue import prepared, redirected, under_way

    with working("looking at keys"):
        known = under_way(desk.session, wish)
        if dropping:
            if known is None:
                what = f"no key for {wish.person} is under way"
                raise UsageError(f"issue {wish.system}", what, "there is nothing to give up")
            return known
        return prepared(desk, wish) if known is None else redirected(desk, known, wish)


def _agreed(desk: Desk, rotation: Rotation, *, asks: bool, dropping: bool) -> bool:
    if not options.given("json"):
        screen().lines(_preview(desk, rotation, dropping=dropping))
    verb = "Give up the key" if dropping else "Go on with the key" if rotation.id else "Make a key"
    question = f"{verb} for {rotation.holder}?"
    return not asks or click.confirm(question, default=False, err=True)


def _preview(desk: Desk, rotation: Rotation, *, dropping: bool) -> list[str]:
    from reconciler.rotation.issue import readers

    lines = [f"{rotation.system}: a key for {rotation.holder}"]
    if rotation.id:
        lines.append(f"  so far   {DONE[rotation.stage.value]}")
    lines.append(f"  name     {rotation.name}")
    if dropping:
        return lines
    lines += [
        f"  made     {desk.issuer.how}",
        f"  limit    {f'{rotation.limit} a month' if rotation.limit else 'none of its own'}",
        f"  goes to  {', '.join(rotation.refs.values())}",
    ]
    found = readers(desk, rotation)
    if found is not None:
        lines += [
            "           a new file, which these alone can read:",
            *(f"           {each} ({found.source})" for each in found.recipients),
        ]
    return lines


def _told(rotation: Rotation) -> None:
    screen().say(f"{rotation.system}: {DONE[rotation.stage.value]}")


def _report(ended: Ended, signal: int | None) -> int:
    at, error = ended.rotation, ended.error
    if error is not None:
        screen().say(f"byok: {error}")
    if at is not None:
        if options.given("json"):
            screen().document(_document(at, ended))
        else:
            screen().lines([_closing(at, unfinished=error is not None or at.open)])
    if signal is not None:
        return 128 + signal
    return 0 if error is None else error.exit_code


def _closing(at: Rotation, *, unfinished: bool) -> str:
    if unfinished:
        return f"{at.system}: {DONE[at.stage.value]}. Run it again to go on."
    if at.stage.value == "dropped":
        return f"{at.system}: {DONE['dropped']}."
    where = ", ".join(at.refs.values())
    return f"{at.holder}'s key of {at.system} works, and is in {where}."


def _document(at: Rotation, ended: Ended) -> dict[str, Any]:
    error = ended.error
    return {
        "format": "byok.issue/1",
        "person": at.holder,
        "system": at.system,
        "stage": at.stage.value,
        "name": at.name,
        "id": at.new_id,
        "refs": dict(at.refs),
        "fingerprints": dict(at.new),
        "limit": at.limit or None,
        "recipients": list(at.recipients),
        "error": None if error is None else {"exit": error.exit_code, "message": str(error)},
    }
