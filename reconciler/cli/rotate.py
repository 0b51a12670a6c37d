"""The command that gives a provider a new key: made, tried, stored, placed, proved, old revoked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.durations import Duration
from reconciler.cli.output import working
from reconciler.cli.reading import screen
from reconciler.errors import UsageError, worst
from reconciler.spans import spell

if TYPE_CHECKING:
    from reconciler.entries import Rotation
    from reconciler.rotation import Choice, Desk, Ended, Task
    from reconciler.session import Session

DONE = {
    "ordered": "ordered: nothing is made yet",
    "making": "the provider is making the new key",
    "made": "the new key is made, and kept as an encrypted copy",
    "tried": "the provider accepts the new key",
    "storing": "the new key is on its way into its store",
    "stored": "the new key is in its store, and was read back",
    "placed": "Cursor here holds the new key",
    "kept": "the new key works everywhere; the old one is kept for now",
    "revoking": "the old key is being revoked",
    "done": "done: the old key is dead, the new one lives",
    "dropped": "given up: the new key is revoked, the old one stays",
}
"""What each stage means, for people."""


@click.command()
@options.common
@options.resolving
@options.lifting
@click.argument("names", metavar="[PROVIDER]...", nargs=-1)
@click.option("--due", is_flag=True, help="All that policy.max_key_age_days says are due.")
@click.option("--grace", type=Duration(), metavar="TIME", help="The old key lives on; 24h without.")
@click.option("--new-key", metavar="REF", help="Where the new key is, if the provider makes none.")
@click.option("--without-cursor", is_flag=True, help="Leave Cursor on this machine out.")
@click.option("--abandon", is_flag=True, help="Give up what is under way; the old key stays.")
@options.waiting
def rotate(
    *,
    names: tuple[str, ...],
    due: bool,
    grace: int | None,
    new_key: str | None,
    without_cursor: bool,
    abandon: bool,
    wait: float,
) -> int:
    """Give a provider a new key: made, tried, stored, placed, proved; then revoke the old."""
    from reconciler.cli.run import run_options
    from reconciler.rotation import Choice, carry_out, tasks
    from reconciler.session import writing

    _refuse_nonsense(names, new_key, due=due)
    asks = options.interactive()
    chosen = run_options(wait=wait, interactive=asks)
    choice = Choice(grace, new_key or "", not without_cursor, abandon)
    with writing(chosen, "byok rotate") as session:
        opened = _opener(session, choice, asks=asks)
        with working("looking at keys"):
            todo = tasks(session, names, opened, only_due=due)
        if not todo:
            return _nothing_due()
        ended, signal = carry_out(
            session,
            todo,
            _confirm(choice, asks=asks),
            choice,
        )
        for note in dict.fromkeys(session.aloud):
            screen().say(f"note: {note}")
    return _report(ended, signal)


def _refuse_nonsense(names: Sequence[str], new_key: str | None, *, due: bool) -> None:
    if options.offline():
        raise UsageError("--offline", "a new key has to be tried at its provider", "leave it out")
    if new_key == "":
        raise UsageError("--new-key", "is empty", "name a reference, as keyring://byok/new")
    if new_key is not None and (len(names) != 1 or due):
        raise UsageError("--new-key", "is one provider's new key", "name that provider only")


def _opener(session: Session, choice: Choice, *, asks: bool) -> Callable[[str], Desk]:
    from reconciler.rotation import open_desk
    from reconciler.rotation.given import of_person, of_reference

    def opened(name: str) -> Desk:
        given = None
        if choice.source:
            given = of_reference(session, choice.source)
        elif asks:
            given = of_person(_prompted)
        return open_desk(session, name, given=given, told=partial(_told, cursor=choice.cursor))

    return opened


def _prompted(label: str) -> str:
    text: str = click.prompt(label, hide_input=True, err=True)
    return text


def _told(rotation: Rotation, *, cursor: bool) -> None:
    stage = rotation.stage.value
    text = DONE[stage] if cursor or stage != "placed" else "Cursor here is left out"
    screen().say(f"{rotation.system}: {text}")


def _nothing_due() -> int:
    if options.given("json"):
        screen().document({"format": "byok.rotate/1", "rotations": []})
    else:
        screen().result("No key is due.")
    return 0


def _confirm(choice: Choice, *, asks: bool) -> Callable[[Sequence[Task]], bool]:
    def ask(todo: Sequence[Task]) -> bool:
        if not options.given("json"):
            screen().lines(line for task in todo for line in _preview(task, choice))
        verb = "Give up" if choice.dropping else "Rotate"
        count = f"{len(todo)} key{'s' if len(todo) != 1 else ''}"
        return not asks or click.confirm(f"{verb} {count}?", default=False, err=True)

    return ask


def _preview(task: Task, choice: Choice) -> list[str]:
    if task.under_way is not None:
        verb = "give up" if choice.dropping else "go on"
        return [f"{task.system}: {verb}; {DONE[task.under_way.stage.value]}"]
    if task.key is None or task.desk is None:
        return [f"{task.system}: cannot be looked at"]
    from reconciler.rotation import GRACE

    key, issuer = task.key, task.desk.issuer
    since = f", in use since {key.made:%Y-%m-%d}" if key.made else ""
    named = f" ({key.listed.name})" if key.listed and key.listed.name else ""
    grace = GRACE if choice.grace is None else choice.grace
    after = f"after {spell(grace)}" if grace else "at once"
    end = f"revoked {after}, once the new one is proved"
    if issuer.revoke is None or not key.key_id:
        end = f"to be revoked by hand at {issuer.by_hand or 'its provider'}: byok then sees it dead"
    cursor = key.address or "holds no key of it here" if choice.cursor else "is left out"
    return [
        f"{task.system}",
        f"  old key  {' '.join(task.desk.prints(key.values).values())}{named}{since}",
        f"  new key  {issuer.how if issuer.make else f'by hand: {issuer.why}'}",
        f"  store    {', '.join(key.refs.values())}",
        f"  Cursor   {cursor}",
        f"  then     the old key is {end}",
    ]


def _report(ended: Sequence[Ended], signal: int | None) -> int:
    for one in ended:
        if one.error is not None:
            screen().say(f"byok: {one.error}")
    if options.given("json"):
        rows = [_row(one) for one in ended]
        screen().document({"format": "byok.rotate/1", "rotations": rows})
    else:
        screen().lines(_line(one) for one in ended)
    if signal is not None:
        return 128 + signal
    return worst([one.error.exit_code for one in ended if one.error is not None])


def _line(one: Ended) -> str:
    if one.rotation is None:
        return f"{one.system}: not begun."
    text = f"{one.system}: {DONE[one.rotation.stage.value]}"
    if one.rotation.stage.value == "kept":
        text += f" until {one.rotation.until[:16].replace('T', ' ')} UTC; run byok rotate then"
    return f"{text}. Run it again to go on." if one.error is not None else f"{text}."


def _row(one: Ended) -> dict[str, Any]:
    fields = ("refs", "old", "new", "old_id", "new_id", "until", "started", "moved")
    known = {} if one.rotation is None else {f: getattr(one.rotation, f) for f in fields}
    error = one.error
    return {
        "system": one.system,
        "stage": None if one.rotation is None else one.rotation.stage.value,
        **known,
        "error": None if error is None else {"exit": error.exit_code, "message": str(error)},
    }
