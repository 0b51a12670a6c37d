"""A person's own keys: found on record and by their names, revoked, and seen to be gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from reconciler import accounts, keynames
from reconciler.entries import KeyRecord, Rotation, Stage
from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.session import Session
from reconciler.spec import CURSOR_TEAM
from reconciler.systems.account import Issuer, Listed, Order, caught


class Fate(StrEnum):
    """What becomes of a key."""

    TO_REVOKE = "to revoke"
    GONE = "gone already"
    REVOKED = "revoked"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Theirs:
    """One key of a person: on record, by its name at the provider, or still on its way.

    ``fate`` is ``gone already`` where its account does not list it as live any more.
    """

    system: str
    id: str
    name: str = ""
    prints: Mapping[str, str] = field(default_factory=dict)
    refs: Mapping[str, str] = field(default_factory=dict)
    fate: Fate = Fate.TO_REVOKE
    record: KeyRecord | None = None
    way: Rotation | None = None
    error: ByokError | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, by account; ``unseen`` says of whom nobody can tell here, ``lost`` failed."""

    keys: tuple[Theirs, ...] = ()
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, ByokError] = field(default_factory=dict)


def search(session: Session, person: str) -> Search:
    """Look for a person's keys in the ledger and in every account that can list; reads only."""
    found: list[Theirs] = []
    issuers: dict[str, Issuer] = {}
    unseen: dict[str, str] = {}
    lost: dict[str, ByokError] = {}
    names = [n for n in accounts.names(session.manifest) if n != CURSOR_TEAM]
    for name in names:
        known = list(_known(session, name, person))
        if not known and not _possible(session, name):
            continue
        if session.options.offline:
            found += known
            unseen[name] = "it is not asked off line"
            continue
        issuer = caught(lambda name=name: _issuer(session, name))  # type: ignore[misc]
        listed = issuer if isinstance(issuer, ByokError) else caught(issuer.listed)
        if isinstance(issuer, Issuer):
            issuers[name] = issuer
            if issuer.revoke is None:
                unseen[name] = issuer.why
        if isinstance(listed, ByokError):
            lost[name] = listed
            found += known
        else:
            complete = isinstance(issuer, Issuer) and issuer.revoke is not None
            found += _compared(session, person, name, known, listed if complete else None)
    for name in _dropped(session, person, names):
        found += _known(session, name, person)
    return Search(tuple(found), issuers, unseen, lost)


def _possible(session: Session, name: str) -> bool:
    """Tell whether byok, on any machine, can have made a person's key there."""
    endpoint = session.manifest.endpoints.get(name)
    return (name if endpoint is None else endpoint.type) in keynames.MAKERS


def _dropped(session: Session, person: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the accounts that this manifest names no more, and the person has a key of."""
    book, owner = session.ledger.keys, session.owner
    found = [k.system for k in book.keys(owner) if k.holder == person and not k.retired]
    found += [way.system for way in book.rotations(owner) if way.holder == person]
    return tuple(name for name in dict.fromkeys(found) if name not in names)


def _issuer(session: Session, name: str) -> Issuer:
    for refs in accounts.admin_references(session.manifest, name):
        session.vault.seal(refs)
    return accounts.open_issuer(session.setting(name, judged=True))


def _known(session: Session, name: str, person: str) -> Iterator[Theirs]:
    book = session.ledger.keys
    for key in book.keys(session.owner):
        if (key.holder, key.system) == (person, name) and not key.retired:
            yield Theirs(name, key.key_id, key.name, key.fingerprints, key.refs, record=key)
    for way in book.rotations(session.owner):
        if (way.holder, way.system) == (person, name):
            yield Theirs(name, way.new_id, way.name, way.new, way.refs, way=way)


def _compared(
    session: Session,
    person: str,
    system: str,
    known: Sequence[Theirs],
    listed: Sequence[Listed] | None,
) -> Iterator[Theirs]:
    """Yield the known keys, gone ones told as such, and those that only their names give away."""
    live = {each.id: each for each in listed or () if each.live}
    for key in known:
        gone = listed is not None and key.way is None and key.id not in live
        yield replace(key, fate=Fate.GONE) if gone else key
    ids, names = {key.id for key in known}, {key.name for key in known if key.way is not None}
    for each in live.values():
        mine = keynames.is_of(each.name, session.owner, person)
        if mine and each.id not in ids and each.name not in names:
            yield Theirs(system, each.id, each.name)


def revoked(session: Session, key: Theirs, issuer: Issuer | None) -> Theirs:
    """Revoke a key at its provider, see that it is gone, and record that; return what became of it.

    Keys that are on their way are given up: what a killed run may have made is revoked, too.
    """
    done = caught(lambda: _revoke(session, key, issuer))
    if isinstance(done, ByokError):
        return replace(key, fate=Fate.FAILED, error=done)
    return replace(key, fate=Fate.GONE if key.fate is Fate.GONE else Fate.REVOKED)


def _revoke(session: Session, key: Theirs, issuer: Issuer | None) -> None:
    if key.fate is not Fate.GONE:
        _end(key, issuer)
    book = session.ledger.keys
    if key.record is not None:
        book.retire(key.record)
    if key.way is not None:
        way = key.way
        if way.new:
            made = (way.system, way.owner, way.new, way.refs, way.new_id, way.name, way.holder)
            book.retire(KeyRecord(*made, made=way.started))
        book.move(replace(way, stage=Stage.DROPPED))
        for role in ("old", "new"):
            book.drop(way.id, role)


def _end(key: Theirs, issuer: Issuer | None) -> None:
    if issuer is None or issuer.revoke is None:
        place = (issuer.by_hand if issuer else "") or "the provider's console"
        why = issuer.why if issuer else "this manifest opens no such account"
        what = f"byok cannot revoke {key.name or key.id}: {why}"
        raise ByokError(key.system, what, f"revoke it at {place}, and run this again")
    ids = dict.fromkeys((key.id, *_unseen(key, issuer)))
    for each in filter(None, ids):
        issuer.revoke(each)
    issuer.forget()
    left = [each.id for each in issuer.listed() if each.live and each.id in ids]
    if left:
        what = f"accepted that {key.name or key.id} is to go, and lists it as live"
        raise ProviderError(key.system, what, "run this again in a while", kind=Problem.UNPROVED)


def _unseen(key: Theirs, issuer: Issuer) -> tuple[str, ...]:
    """Return the keys that a killed run had made, and did not get to see."""
    way = key.way
    if way is None or issuer.orphans is None or way.stage is not Stage.MAKING:
        return ()
    since = datetime.fromisoformat(way.started)
    issuer.forget()
    found = issuer.orphans(Order(name=way.name, before=way.before, since=since))
    return tuple(each for each in found if each not in way.before)
