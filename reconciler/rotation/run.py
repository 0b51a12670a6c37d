"""Several rotations one after the other: gone on with, or begun; one's failure stops itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from reconciler import accounts
from reconciler.entries import Rotation, Stage
from reconciler.errors import ByokError, Declined, SecretError, SecretProblem, UsageError
from reconciler.executor import Stop, interruptible
from reconciler.rotation.desk import Desk
from reconciler.rotation.dropping import abandon
from reconciler.rotation.given import given_for
from reconciler.rotation.machine import advance, finished
from reconciler.rotation.orders import (
    Wanted,
    age,
    has_key,
    max_age,
    order,
    refuse_harm,
    refuse_storeless,
    wanted,
)
from reconciler.rotation.placing import refuse_unplaceable
from reconciler.session import Session
from reconciler.systems.account import Values, caught

GRACE = 24 * 3600
"""Seconds the old key lives on by default: other machines still have to fetch the new one."""


@dataclass(frozen=True, slots=True)
class Task:
    """One account's rotation: the one under way, or the key that is to be rotated.

    ``values`` is the new key that a person made. ``error`` is what keeps it from being begun.
    """

    system: str
    desk: Desk | None = None
    under_way: Rotation | None = None
    key: Wanted | None = None
    values: Values | None = None
    error: ByokError | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose for all of them.

    ``grace`` is in seconds, None for what was ordered, or a day. ``source`` is the reference of a
    key that a person made. Without ``cursor``, Cursor on this machine is left out. ``dropping``
    gives up what is under way.
    """

    grace: int | None = None
    source: str = ""
    cursor: bool = True
    dropping: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How far one rotation came, and what kept it from going on; None where nothing did."""

    system: str
    rotation: Rotation | None = None
    error: ByokError | None = None


Open = Callable[[str], Desk]


def tasks(
    session: Session, names: Sequence[str], open_desk: Open, *, only_due: bool
) -> tuple[Task, ...]:
    """Return what is to be done: the named accounts, those due, or all that are under way.

    Raises UsageError where that is nothing that anybody could mean, and what keeps a named key
    from being looked at; of those that may be due it is the task's error.
    """
    open_ones = session.ledger.keys.rotations(session.owner)
    under_way = {r.system: r for r in open_ones if r.command == "rotate"}
    if not names and not under_way and not only_due:
        what, way_out = "names nothing, and no rotation is under way", "name a provider, or --due"
        raise UsageError("byok rotate", what, way_out)
    chosen = names or under_way
    found = [_task(session, name, open_desk, under_way.get(name)) for name in chosen]
    if only_due:
        return (*found, *_due(session, open_desk, set(chosen)))
    for task in found:
        if task.error is not None:
            raise task.error
        if task.key is not None:
            refuse_storeless(session, task.key)
    return tuple(found)


def _task(session: Session, name: str, open_desk: Open, under_way: Rotation | None) -> Task:
    desk = caught(partial(open_desk, name))
    if isinstance(desk, ByokError):
        return Task(name, error=desk)
    key = None if under_way else caught(partial(wanted, session, name, desk))
    if isinstance(key, ByokError):
        return Task(name, error=key)
    return Task(name, desk, under_way, key)


def _due(session: Session, open_desk: Open, known: set[str]) -> Iterator[Task]:
    """Yield the accounts whose key is too old; of what nobody has a key of here, nothing."""
    limit = max_age(session)
    names = [n for n in accounts.names(session.manifest) if n not in known]
    for name in names:
        task = _task(session, name, open_desk, None) if has_key(session, name) else None
        if task is None or _keyless(task.error):
            continue
        if task.key is not None and age(task.key) > limit:
            yield replace(task, error=caught(partial(_refuse, session, task)))
        elif task.error is not None:
            yield task


def _refuse(session: Session, task: Task) -> None:
    if task.key is not None and task.desk is not None:
        refuse_storeless(session, task.key)
        refuse_harm(session, task.desk, task.key)


def _keyless(error: ByokError | None) -> bool:
    return isinstance(error, SecretError) and error.kind is SecretProblem.NO_ITEM


def carry_out(
    session: Session,
    todo: Sequence[Task],
    confirm: Callable[[Sequence[Task]], bool],
    choice: Choice,
) -> tuple[tuple[Ended, ...], int | None]:
    """Ask once, then take each rotation as far as it goes; return them, and a signal that came.

    Raises Declined, and SafetyStop before anything is done.
    """
    for task in todo:
        if task.key is not None and task.desk is not None and task.error is None:
            refuse_harm(session, task.desk, task.key)
            if choice.cursor and task.key.address is not None:
                refuse_unplaceable(session, task.key.address)
    if not confirm(todo):
        raise Declined("rotate", "declined; nothing was changed")
    ready = [_equipped(task, choice) for task in todo]  # before a signal only is a wish to stop
    ended = []
    with interruptible() as stop:
        for task in ready:
            if stop.signal is not None:
                break
            ended.append(_taken(session, task, choice, stop))
        session.approvals.record()  # what a flag allowed on the way
    return tuple(ended), stop.signal


def _equipped(task: Task, choice: Choice) -> Task:
    """Take the new key from a person where the provider makes none, before anything is begun."""
    desk, way = task.desk, task.under_way
    if desk is None or task.error is not None or choice.dropping:
        return task
    making = way is not None and way.by_api and not choice.source
    begun = way is not None and (way.stage is not Stage.ORDERED or making)
    if begun or (desk.issuer.make is not None and not choice.source):
        return task
    refs = way.refs if way is not None else task.key.refs if task.key is not None else {}
    old = task.key.values if task.key is not None else {}
    found = caught(lambda: given_for(desk, task.system, refs, old))
    if isinstance(found, ByokError):
        return replace(task, error=found)
    return replace(task, values=found)


def _begun(session: Session, desk: Desk, task: Task, choice: Choice) -> Rotation:
    if task.under_way is None:
        if task.key is None:
            raise ByokError(f"rotate {task.system}", "there is nothing to rotate")
        grace = GRACE if choice.grace is None else choice.grace
        return order(
            session, desk, task.key, grace=grace, source=choice.source, cursor=choice.cursor
        )
    rotation = replace(task.under_way, cursor=task.under_way.cursor and choice.cursor)
    if choice.source and rotation.stage is Stage.ORDERED:
        rotation = replace(rotation, source=choice.source, by_api=False)
    if choice.grace is not None:
        until = desk.now() + timedelta(seconds=choice.grace)
        kept = rotation.stage is Stage.KEPT
        rotation = replace(rotation, grace=choice.grace, until=until.isoformat() if kept else "")
    return desk.book.move(rotation)


def _taken(session: Session, task: Task, choice: Choice, stop: Stop) -> Ended:
    """Take one rotation as far as it goes; what is on record afterwards is where it stands."""
    if task.desk is None or task.error is not None:
        return Ended(task.system, None, task.error)
    desk, rotation = replace(task.desk, values=task.values), None
    try:
        rotation = _begun(session, desk, task, choice)
        if choice.dropping:
            return Ended(task.system, abandon(desk, rotation))
        while stop.signal is None and not finished(desk, rotation):
            step = caught(partial(advance, desk, rotation))
            if isinstance(step, ByokError):
                raise step
            rotation = step
    except ByokError as error:
        return Ended(task.system, rotation and _on_record(desk, rotation), error)
    return Ended(task.system, rotation)


def _on_record(desk: Desk, rotation: Rotation) -> Rotation:
    known = desk.book.rotations(rotation.owner, ended=True)
    return next((one for one in known if one.id == rotation.id), rotation)
