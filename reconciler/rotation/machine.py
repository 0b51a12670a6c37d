"""One stage after the other, each recorded before what it names is done: kill it anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.entries import KeyRecord, Rotation, Stage
from reconciler.errors import (
    ByokError,
    ProviderError,
    ProviderProblem as Problem,
    SafetyStop,
    SecretError,
    SecretProblem,
    UsageError,
)
from reconciler.rotation.desk import Desk, equal, ordered
from reconciler.rotation.placing import holds, place
from reconciler.rotation.revoking import refuse_in_use, revoke
from reconciler.secrets.store import store
from reconciler.systems.account import Trial, Values

Step = Callable[[Desk, Rotation], Rotation]


def advance(desk: Desk, rotation: Rotation) -> Rotation:
    """Take the next step of a rotation; return it as it is then on record.

    A step that finds itself done already, by a run that was killed, takes note of that. A store
    that was set back to the old key gets the new one again, and its grace begins anew.
    Raises whatever keeps the step from being done: nothing is lost then, and the next call takes
    it again.
    """
    if rotation.stage in AFTERWARDS and _set_back(desk, rotation):
        return desk.moved(replace(rotation, stage=Stage.STORING, until=""))
    return STEPS[rotation.stage](desk, rotation)


def finished(desk: Desk, rotation: Rotation) -> bool:
    """Tell whether there is nothing to do now: at the end, or the old key's grace lasts."""
    return not rotation.open or (
        rotation.stage is Stage.KEPT and desk.now() < datetime.fromisoformat(rotation.until)
    )


def _set_back(desk: Desk, rotation: Rotation) -> bool:
    return rotation.old != {} and dict(desk.prints(desk.stored(rotation))) == dict(rotation.old)


def _begin(desk: Desk, rotation: Rotation) -> Rotation:
    """Keep a copy of the old key; then the new one may be made, or be taken from a person."""
    if not desk.book.copies(rotation.id, "old") and rotation.old:
        stored = desk.stored(rotation)
        if dict(desk.prints(stored)) != dict(rotation.old):
            raise _another(rotation)
        desk.keep(rotation, "old", stored)
    if rotation.by_api:
        return desk.moved(replace(rotation, stage=Stage.MAKING))
    values = desk.values
    if values is None:
        raise UsageError(_where(rotation), "there is no new key yet", "give --new-key REFERENCE")
    _fits(rotation, values)
    if equal(values, desk.copies(rotation, "old")):
        raise UsageError(_where(rotation), "the new key is the old one", "make a new one")
    return _got(desk, rotation, values, desk.issuer.identify(values))


def _make(desk: Desk, rotation: Rotation) -> Rotation:
    """Have the new key made; one that a killed run made, and nobody saw, is revoked first.

    One that was seen is gone on with. Where another key is in the store by now nothing is made:
    it may be the very one that would be made anew.
    """
    if desk.issuer.make is None:
        raise UsageError(_where(rotation), desk.issuer.why, "give it back, or --abandon")
    if rotation.old and not _set_back(desk, rotation):
        raise _another(rotation)
    desk.issuer.forget()
    if desk.issuer.disturbs:
        _refuse_moved(desk, rotation)
    kept = desk.copies(rotation, "new")
    if kept and (id_ := desk.issuer.identify(kept)):
        return _got(desk, rotation, kept, id_)
    for orphan in orphans(desk, rotation):
        if desk.issuer.revoke is not None:
            desk.issuer.revoke(orphan)
    made = desk.issuer.make(ordered(rotation))
    _fits(rotation, made.values)
    return _got(desk, rotation, made.values, made.id)


def _refuse_moved(desk: Desk, rotation: Rotation) -> None:
    """Raise SafetyStop where places changed hands: the idle one may be in use by now."""
    if desk.issuer.identify(desk.copies(rotation, "old")) != rotation.old_id:
        what = "the old key no longer is in its place at the provider: somebody else made keys anew"
        way_out = "give it up with --abandon, and store a key that lives"
        raise SafetyStop(_where(rotation), what, way_out)


def orphans(desk: Desk, rotation: Rotation) -> tuple[str, ...]:
    """Return the ids of keys that a killed run had made, and did not get to see."""
    if not rotation.by_api or desk.issuer.orphans is None or rotation.stage is not Stage.MAKING:
        return ()
    desk.issuer.forget()
    known = {rotation.old_id, *rotation.before}
    return tuple(each for each in desk.issuer.orphans(ordered(rotation)) if each not in known)


def _fits(rotation: Rotation, values: Values) -> None:
    if values.keys() != rotation.refs.keys():
        names = ", ".join(sorted(rotation.refs))
        raise UsageError(_where(rotation), f"the new key needs {names}", "give all of it")


def _got(desk: Desk, rotation: Rotation, values: Values, key_id: str) -> Rotation:
    """Keep an encrypted copy of the new key at once: the provider shows it this once."""
    desk.keep(rotation, "new", values)
    new = replace(rotation, stage=Stage.MADE, new=desk.prints(values), new_id=key_id)
    return desk.moved(new)


def _try(desk: Desk, rotation: Rotation) -> Rotation:
    """Prove the new key at its provider before anything is replaced by it."""
    found = desk.tried(desk.copies(rotation, "new"), Trial.ALIVE)
    if found is not Trial.ALIVE:
        raise unproved(rotation, found)
    return desk.moved(replace(rotation, stage=Stage.TRIED))


def unproved(rotation: Rotation, found: Trial) -> ByokError:
    """Word that the new key is not known to work; nothing was replaced by it."""
    if found is Trial.DEAD:
        what = "the provider does not accept the new key"
        way_out = "run it again in a minute, or take it back with --abandon"
    else:
        what = "nobody can tell whether the new key works"
        way_out = "see that the provider can be reached, and run it again"
    return ProviderError(_where(rotation), what, way_out, kind=Problem.UNPROVED)


def _allow(desk: Desk, rotation: Rotation) -> Rotation:
    return desk.moved(replace(rotation, stage=Stage.STORING))


def _store(desk: Desk, rotation: Rotation) -> Rotation:
    """Put the new key where the old one is, unless somebody put a third one there meanwhile."""
    new, there = desk.copies(rotation, "new"), desk.stored(rotation)
    if not equal(there, new):
        _untouched(desk, rotation, new, there)
        session = desk.session
        store(
            {rotation.refs[name]: value for name, value in new.items()},
            folder=session.manifest.folder,
            backends=session.manifest.policy.sops_backends,
            homes=session.manifest.homes,
        )
        if not equal(desk.stored(rotation), new):
            where = ", ".join(rotation.refs.values())
            what = "does not give back what was written to it"
            raise SecretError(SecretProblem.UNUSABLE, where, what, "run it again")
    return desk.moved(replace(rotation, stage=Stage.STORED))


def _untouched(desk: Desk, rotation: Rotation, new: Values, there: Values) -> None:
    """Refuse where a part of what is stored is neither the old key's nor the new one's."""
    old = desk.copies(rotation, "old")
    for name, value in there.items():
        if not any(equal({name: value}, {name: k[name]}) for k in (old, new) if name in k):
            raise _another(rotation, rotation.refs[name])


def _another(rotation: Rotation, where: str = "") -> SafetyStop:
    where, what = where or ", ".join(rotation.refs.values()), "holds another key than when"
    way_out = "put the old key back, or give the rotation up with --abandon"
    return SafetyStop(where, f"{what} the rotation began", way_out)


def _place(desk: Desk, rotation: Rotation) -> Rotation:
    place(desk, rotation)
    return desk.moved(replace(rotation, stage=Stage.PLACED))


def _prove(desk: Desk, rotation: Rotation) -> Rotation:
    """See the new key work in every place; then the old one's grace begins."""
    new = proved(desk, rotation)
    desk.book.record(
        KeyRecord(
            system=rotation.system,
            owner=rotation.owner,
            fingerprints=desk.prints(new),
            refs=rotation.refs,
            key_id=rotation.new_id,
            name=rotation.name if rotation.by_api else "",
            holder=rotation.holder,
        )
    )
    until = desk.now() + timedelta(seconds=rotation.grace)
    return desk.moved(replace(rotation, stage=Stage.KEPT, until=until.isoformat()))


def proved(desk: Desk, rotation: Rotation) -> Values:
    """Return the new key once store, Cursor and provider all have it. Raises what keeps them."""
    new = desk.copies(rotation, "new")
    if not equal(desk.stored(rotation), new):
        where = ", ".join(rotation.refs.values())
        what, way_out = "no longer holds the new key", "put it, or the old one, back"
        raise SafetyStop(where, what, f"{way_out}, or give the rotation up with --abandon")
    if rotation.cursor and not holds(desk, rotation, new):
        place(desk, rotation)
    found = desk.tried(new, Trial.ALIVE)
    if found is not Trial.ALIVE:
        raise unproved(rotation, found)
    return new


def _let_go(desk: Desk, rotation: Rotation) -> Rotation:
    """Once the grace is over, and the new key is proved again, the old one may be revoked."""
    if finished(desk, rotation):
        return rotation
    if not rotation.old:
        return ended(desk, rotation, Stage.DONE)
    proved(desk, rotation)
    refuse_in_use(desk, rotation, desk.copies(rotation, "old"))
    return desk.moved(replace(rotation, stage=Stage.REVOKING))


def _revoke(desk: Desk, rotation: Rotation) -> Rotation:
    revoke(desk, rotation, desk.copies(rotation, "old"), proved(desk, rotation))
    old = KeyRecord(rotation.system, rotation.owner, rotation.old, rotation.refs, rotation.old_id)
    known = [k for k in desk.book.keys(rotation.owner) if k.fingerprints == rotation.old]
    desk.book.retire(known[0] if known else old)
    return ended(desk, rotation, Stage.DONE)


def ended(desk: Desk, rotation: Rotation, stage: Stage) -> Rotation:
    """Record the end and forget the copies at once: they are of use to nobody any more."""
    over = desk.book.end(replace(rotation, stage=stage))
    desk.told(over)
    return over


def _nothing(_desk: Desk, rotation: Rotation) -> Rotation:
    return rotation


def _where(rotation: Rotation) -> str:
    return f"{rotation.command} {rotation.system}"


AFTERWARDS: Final = (Stage.STORED, Stage.PLACED, Stage.KEPT, Stage.REVOKING)
"""The stages at which the new key has been in its store."""

STEPS: Final[Mapping[Stage, Step]] = {
    Stage.ORDERED: _begin,
    Stage.MAKING: _make,
    Stage.MADE: _try,
    Stage.TRIED: _allow,
    Stage.STORING: _store,
    Stage.STORED: _place,
    Stage.PLACED: _prove,
    Stage.KEPT: _let_go,
    Stage.REVOKING: _revoke,
    Stage.DONE: _nothing,
    Stage.DROPPED: _nothing,
}
"""What is done next at each stage."""
