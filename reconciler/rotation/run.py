"""Several rotations one after the other: gone on with, or begun; one's failure stops itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler import accounts
from reconciler.entries import Rotation, Stage
from reconciler.errors import ByokError, Declined, UsageError
from reconciler.executor import Stop, interruptible
from reconciler.rotation.desk import Desk
from reconciler.rotation.machine import abandon, advance, finished
from reconciler.rotation.orders import Wanted, due, order, refuse_harm, wanted
from reconciler.session import Session

GRACE = 24 * 3600
"""Seconds the old key lives on by default: other machines still have to fetch the new one."""


@dataclass(frozen=True, slots=True)
class Task:
    """One account's rotation: the one under way, or the key that is to be rotated."""

    desk: Desk
    system: str
    under_way: Rotation | None = None
    key: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How far one rotation came, and what kept it from going on; None where nothing did."""

    rotation: Rotation
    error: ByokError | None = None


Open = Callable[[str], Desk]


def tasks(
    session: Session, names: Sequence[str], open_desk: Open, *, only_due: bool
) -> tuple[Task, ...]:
    """Return what is to be done: the named accounts, those due, or all that are under way.

    Raises UsageError where that is nothing that anybody could mean, and what keeps a key from
    being looked at.
    """
    under_way = {r.system: r for r in session.ledger.keys.rotations(session.owner) if not r.holder}
    found = [Task(open_desk(name), name, under_way.get(name)) for name in names or under_way]
    if only_due:
        return (*found, *_due(session, open_desk, set(under_way) if not names else set(names)))
    if not found:
        what, way_out = "names nothing, and no rotation is under way", "name a provider, or --due"
        raise UsageError("byok rotate", what, way_out)
    return tuple(
        task if task.under_way else replace(task, key=wanted(session, task.system, task.desk))
        for task in found
    )


def _due(session: Session, open_desk: Open, known: set[str]) -> Iterable[Task]:
    manifest = session.manifest
    names = [n for n in accounts.names(manifest) if n not in known and _has_key(session, n)]
    looked = {
        name: (desk, wanted(session, name, desk)) for name in names for desk in [open_desk(name)]
    }
    for key, _ in due(session, [key for _, key in looked.values()]):
        yield Task(looked[key.system][0], key.system, key=key)


def _has_key(session: Session, name: str) -> bool:
    provider, endpoint = session.manifest.providers.get(name), session.manifest.endpoints.get(name)
    return bool(provider.secrets if provider else endpoint.key if endpoint else ())


def carry_out(
    session: Session,
    todo: Sequence[Task],
    confirm: Callable[[Sequence[Task]], bool],
    *,
    grace: int | None = None,
    source: str = "",
    cursor: bool = True,
    dropping: bool = False,
) -> tuple[tuple[Ended, ...], int | None]:
    """Ask once, then take each rotation as far as it goes; return them, and a signal that came.

    ``grace`` is in seconds, None for what was ordered, or a day. ``source`` is the reference of a
    key that a person made. ``dropping`` gives up what is under way.
    Raises Declined, and SafetyStop before anything is done.
    """
    for task in todo:
        if task.key is not None:
            refuse_harm(session, task.desk, task.key)
    if not confirm(todo):
        raise Declined("rotate", "declined; nothing was changed")
    ended = []
    with interruptible() as stop:
        for task in todo:
            if stop.signal is not None:
                break
            rotation = _begun(session, task, grace, source, cursor=cursor)
            ended.append(_taken(task.desk, rotation, stop, dropping=dropping))
    return tuple(ended), stop.signal


def _begun(
    session: Session, task: Task, grace: int | None, source: str, *, cursor: bool
) -> Rotation:
    if task.under_way is None:
        if task.key is None:
            raise ByokError(f"rotate {task.system}", "there is nothing to rotate")
        chosen = GRACE if grace is None else grace
        return order(session, task.desk, task.key, grace=chosen, source=source, cursor=cursor)
    rotation = task.under_way
    if not cursor:
        rotation = replace(rotation, cursor=False)
    if source and rotation.stage is Stage.ORDERED:
        rotation = replace(rotation, source=source, by_api=False)
    if grace is not None:
        until = task.desk.now() + timedelta(seconds=grace)
        kept = rotation.stage is Stage.KEPT
        rotation = replace(rotation, grace=grace, until=until.isoformat() if kept else "")
    return task.desk.book.move(rotation)


def _taken(desk: Desk, rotation: Rotation, stop: Stop, *, dropping: bool) -> Ended:
    try:
        if dropping:
            return Ended(abandon(desk, rotation))
        while stop.signal is None and not finished(desk, rotation):
            rotation = advance(desk, rotation)
    except ByokError as error:
        return Ended(_on_record(desk, rotation), error)
    return Ended(rotation)


def _on_record(desk: Desk, rotation: Rotation) -> Rotation:
    known = desk.book.rotations(rotation.owner, ended=True)
    return next((one for one in known if one.id == rotation.id), rotation)
