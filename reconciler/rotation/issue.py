"""A key for one person: made, tried, delivered, on record; kill it anywhere, and run it again."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler import accounts, keynames
from reconciler.entries import KeyRecord, Rotation, Stage
from reconciler.errors import ByokError, SafetyStop, UsageError
from reconciler.executor import interruptible
from reconciler.money import Money
from reconciler.rotation.delivery import (
    Whom,
    is_there,
    new_file,
    places,
    pointers,
    recipient,
    refuse_undeliverable,
    whom,
)
from reconciler.rotation.desk import Desk
from reconciler.rotation.machine import STEPS, Step, ended, orphans
from reconciler.rotation.run import Ended
from reconciler.secrets import sops_new
from reconciler.session import Session
from reconciler.spec import CURSOR_TEAM

SHARED: Final[Mapping[str, str]] = {
    "azure": "an Azure account has two key slots for everybody: no key of it is one person's",
    "bedrock": "an IAM user has two keys at most, and rotation needs the second one",
}
"""Accounts whose keys cannot be one person's, and why."""

LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose key is wanted, and where it is to go; what is empty was not said.

    ``limit`` is a monthly limit in US dollars. ``another`` allows a second key of one person.
    """

    person: str
    system: str
    to: str = ""
    recipients: tuple[str, ...] = ()
    limit: str = ""
    another: bool = False


def checked(session: Session, wish: Wish) -> Wish:
    """Return a wish in one spelling. Raises UsageError for what cannot be meant."""
    known = [name for name in accounts.names(session.manifest) if name != CURSOR_TEAM]
    if wish.system not in known:
        what, way_out = "is not in this manifest", f"name one of {', '.join(known)}"
        raise UsageError(f"--provider {wish.system[:80]}", what, way_out)
    return replace(
        wish,
        person=person(wish.person),
        recipients=tuple(dict.fromkeys(recipient(each) for each in wish.recipients)),
        limit=_limit(wish.limit) if wish.limit else "",
    )


def person(text: str) -> str:
    """Return a person's name in one spelling. Raises UsageError for what is none."""
    name = text.strip()
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        what = f"is no name: 1 to {LONGEST_NAME} printable characters"
        raise UsageError("--for", what, "name the person as they sign in")
    return name


def _limit(text: str) -> str:
    """Return dollars as a rotation records them; to the cent, and not nothing."""
    try:
        found = Money.of(text.strip())
        cents = found.minor
    except ValueError:
        cents = 0
    if cents <= 0:
        raise UsageError("--limit", "is no amount of dollars", "give it as 50 or 49.50")
    return str(Money.of_minor(cents))


def under_way(session: Session, wish: Wish) -> Rotation | None:
    """Return the person's key of this account that an earlier run began."""
    found = session.ledger.keys.rotations(session.owner)
    issued = (r for r in found if r.command == "issue")
    mine = (r for r in issued if (r.holder, r.system) == (wish.person, wish.system))
    return next(mine, None)


def prepared(desk: Desk, wish: Wish) -> Rotation:
    """Return what is to be done, not yet on record; asks the provider, and writes nothing.

    Raises UsageError where no such key can be made, SafetyStop where the person has one already,
    and what would keep the key from its place.
    """
    session = desk.session
    _refuse_impossible(desk, wish)
    listed = desk.issuer.listed()
    if not wish.another:
        _refuse_second(desk, wish, [k.name for k in listed if k.live])
    rotation = Rotation(
        system=wish.system,
        owner=session.owner,
        refs=places(wish.person, wish.system, _parts(session, wish.system), wish.to),
        holder=wish.person,
        name=keynames.for_person(session.owner, wish.person, secrets.token_hex(2)),
        before=tuple(each.id for each in listed),
        limit=wish.limit,
        cursor=False,
        recipients=wish.recipients,
    )
    refuse_undeliverable(desk, rotation)
    return rotation


def _parts(session: Session, system: str) -> Collection[str]:
    provider = session.manifest.providers.get(system)
    return tuple(provider.secrets) if provider is not None and provider.secrets else ("key",)


def _refuse_impossible(desk: Desk, wish: Wish) -> None:
    where, issuer, manifest = f"issue {wish.system}", desk.issuer, desk.session.manifest
    if wish.system in SHARED:
        way_out = "make an account of their own for the person, or let them use the team's key"
        raise UsageError(where, SHARED[wish.system], way_out)
    if issuer.make is None:
        place = issuer.by_hand or "the provider's console"
        way_out = f"make it by hand at {place}, and put it where the person's manifest reads it"
        raise UsageError(where, f"byok cannot make this key: {issuer.why}", way_out)
    if wish.limit and not issuer.limits:
        what = "has no limits for single keys"
        raise UsageError(where, what, "limit the project instead (budgets), and leave --limit out")
    endpoint = manifest.endpoints.get(wish.system)
    if endpoint is not None and not endpoint.key:
        what = "the manifest has no key at this endpoint, so that a new one could not be tried"
        raise UsageError(where, what, f"give endpoints.{wish.system} a key first")


def _refuse_second(desk: Desk, wish: Wish, names: Collection[str]) -> None:
    """Raise SafetyStop where the person has a live key: on record, or made on another machine."""
    owner = desk.session.owner
    known = desk.book.keys(owner)
    mine = [k for k in known if (k.holder, k.system) == (wish.person, wish.system)]
    live = [k.name for k in mine if not k.retired]
    gone = {k.name for k in mine if k.retired}
    live += [n for n in names if n not in gone and keynames.is_of(n, owner, wish.person)]
    if live:
        what = f"{wish.person} has a key of it already: {live[0]}"
        way_out = f"byok offboard --for {wish.person} revokes it; --another makes one more"
        raise SafetyStop(f"issue {wish.system}", what, way_out)


def redirected(desk: Desk, rotation: Rotation, wish: Wish) -> Rotation:
    """Return an unfinished one with what was said anew; only where it goes may change.

    Raises UsageError for another limit, or a key that is in its place already.
    """
    where = f"issue {wish.system}"
    if wish.limit and wish.limit != rotation.limit:
        what = f"one is under way with a limit of {rotation.limit or 'nothing'}"
        raise UsageError(where, what, "let it finish, or give it up with --abandon")
    refs = places(wish.person, wish.system, tuple(rotation.refs), wish.to) if wish.to else {}
    moved = replace(
        rotation,
        refs=refs or rotation.refs,
        recipients=wish.recipients or rotation.recipients,
        digest="",
    )
    if replace(moved, digest=rotation.digest) == rotation:
        return rotation
    if is_there(desk, rotation):
        what = f"the key is in {', '.join(rotation.refs.values())} already"
        raise UsageError(where, what, "run it again without --to and --recipient")
    refuse_undeliverable(desk, moved)
    return moved


def readers(desk: Desk, rotation: Rotation) -> Whom | None:
    """Return whom a new file is for; None where the key goes into a store that is there.

    Raises SecretError.
    """
    name = new_file(rotation, desk.session.manifest.folder)
    return whom(desk.session, rotation, name) if name else None


def carry_out(
    desk: Desk, rotation: Rotation, *, dropping: bool = False
) -> tuple[Ended, int | None]:
    """Take a person's key as far as it goes, or give it up; return that, and a signal that came."""
    with interruptible() as stop:
        try:
            at = desk.book.move(rotation) if rotation.id else desk.book.begin(rotation)
            if dropping:
                return Ended(at.system, give_up(desk, at)), stop.signal
            while at.open and stop.signal is None:
                at = advance(desk, at)
        except ByokError as error:
            return Ended(rotation.system, _on_record(desk, rotation), error), stop.signal
    return Ended(at.system, at), stop.signal


def _on_record(desk: Desk, rotation: Rotation) -> Rotation:
    known = desk.book.rotations(rotation.owner, ended=True)
    mine = (r for r in known if r.name == rotation.name)
    return next(mine, rotation)


def advance(desk: Desk, rotation: Rotation) -> Rotation:
    """Take the next step of a person's key; return it as it is then on record.

    The steps up to a proven key are a rotation's. Raises whatever keeps the step from being done:
    nothing is lost then, and the next call takes it again.
    """
    return OWN.get(rotation.stage, STEPS[rotation.stage])(desk, rotation)


def _deliver(desk: Desk, rotation: Rotation) -> Rotation:
    """Put the key where it goes: a new file whole, any other store as a rotation does."""
    folder = desk.session.manifest.folder
    name = new_file(rotation, folder)
    if not name:
        return STEPS[Stage.STORING](desk, rotation)
    sops_new.forget(folder, name, rotation.digest)
    found = sops_new.there(folder, name)
    if not found:
        rotation = _filed(desk, rotation, name)
    elif found != rotation.digest:
        raise sops_new.taken(f"sops://{name}")
    return desk.moved(replace(rotation, stage=Stage.STORED))


def _filed(desk: Desk, rotation: Rotation, name: str) -> Rotation:
    """Seal the person's file; record what tells it again; then put it in place."""
    for_whom = whom(desk.session, rotation, name).recipients
    data = sops_new.seal(name, pointers(rotation, desk.copies(rotation, "new")), for_whom)
    recorded = desk.book.move(replace(rotation, digest=sops_new.digest(data)))
    sops_new.place(desk.session.manifest.folder, name, data)
    return recorded


def _note(desk: Desk, rotation: Rotation) -> Rotation:
    """Take the key into the inventory; the copies of it are of use to nobody any more."""
    desk.book.record(
        KeyRecord(
            system=rotation.system,
            owner=rotation.owner,
            fingerprints=rotation.new,
            refs=rotation.refs,
            key_id=rotation.new_id,
            name=rotation.name,
            holder=rotation.holder,
            made=rotation.started,
        )
    )
    desk.book.drop(rotation.id, "new")
    return ended(desk, rotation, Stage.DONE)


OWN: Final[Mapping[Stage, Step]] = {Stage.STORING: _deliver, Stage.STORED: _note}
"""The steps that are not a rotation's."""


def give_up(desk: Desk, rotation: Rotation) -> Rotation:
    """Revoke a person's key that did not get to its place. Raises SafetyStop where it did."""
    if rotation.stage is Stage.STORED or is_there(desk, rotation):
        what = f"{rotation.holder}'s key is in its place already"
        way_out = (
            f"run it again without --abandon; byok offboard --for {rotation.holder} revokes it"
        )
        raise SafetyStop(f"issue {rotation.system}", what, way_out)
    for key_id in (*orphans(desk, rotation), rotation.new_id):
        if key_id and desk.issuer.revoke is not None:
            desk.issuer.revoke(key_id)
    return ended(desk, rotation, Stage.DROPPED)
