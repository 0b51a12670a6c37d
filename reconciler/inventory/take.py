"""Taking the inventory: the manifest's keys, the accounts, the ledger's pages, Cursor's slots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler import accounts, keynames
from reconciler.entries import KeyRecord, Rotation, Stage
from reconciler.errors import ByokError, SecretError, SecretProblem, worst
from reconciler.inventory.ask import Question, Told, ask_all
from reconciler.inventory.entry import (
    DEAD,
    GRACE,
    LIVE,
    REVOKED,
    UNKNOWN,
    WAITING,
    Entry,
    Use,
    merged,
)
from reconciler.model import Address, Attrs, Sealed
from reconciler.session import Session
from reconciler.spec import CURSOR, CURSOR_TEAM
from reconciler.systems import Actual
from reconciler.systems.account import caught

IN_GRACE = (Stage.KEPT, Stage.REVOKING)
REPLACING = (Stage.STORED, Stage.PLACED)
NOT_YET = (Stage.MADE, Stage.TRIED, Stage.STORING, Stage.STORED)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All keys; ``lost`` are the systems that could not be asked, ``cursor`` among them."""

    keys: tuple[Entry, ...]
    lost: Mapping[str, ByokError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The code that ends a command for what could not be had; 0 for nothing."""
        errors = [key.error for key in self.keys if key.error is not None]
        return worst([error.exit_code for error in (*errors, *self.lost.values())])


def take(
    session: Session, names: Sequence[str], judged: Sequence[str], *, cursor: bool = True
) -> Inventory:
    """Return every key of some accounts, with what is known of it; writes nothing.

    Those of ``judged`` are asked with their admin credential, the others whether their key works.
    ``cursor``: look at what Cursor holds here, too.
    """
    chosen = [n for n in names if n != CURSOR_TEAM]
    session.vault.warm(
        refs for name in chosen for group in _groups(session, name) for refs in group.values()
    )
    found = {name: tuple(_wanted(session, name)) for name in chosen}
    told = dict(
        zip(
            chosen,
            ask_all(session, [Question(n, found[n], n in judged) for n in chosen]),
            strict=True,
        )
    )
    entries = merged([entry for name in chosen for entry in told[name].keys])
    lost = {name: one.error for name, one in told.items() if one.error is not None}
    seen = caught(session.system(CURSOR).actual) if cursor else None
    if isinstance(seen, ByokError):
        lost[CURSOR] = seen
    ledger = [*_under_way(session, chosen), *_recorded(session, chosen)]
    entries = _joined(entries, ledger, told)
    if isinstance(seen, Actual):
        entries = _held(session, entries, seen, chosen)
    return Inventory((*entries, *_elsewhere(session, entries, told)), lost)


def _groups(session: Session, name: str) -> Iterator[Mapping[str, Sequence[str]]]:
    """Yield each key that an account has in the manifest, as references by part."""
    provider, endpoint = session.manifest.providers.get(name), session.manifest.endpoints.get(name)
    parts = provider.secrets if provider else {"key": endpoint.key} if endpoint else {}
    pair = {part: refs for part, refs in parts.items() if part != "key" and refs}
    if parts.get("key"):
        yield {"key": parts["key"]}
    if pair:
        yield pair


def _wanted(session: Session, name: str) -> Iterator[Entry]:
    provider = session.manifest.providers.get(name)
    for group in _groups(session, name):
        try:
            sealed = {part: session.vault.seal(refs) for part, refs in group.items()}
        except SecretError as error:
            if error.kind is SecretProblem.NO_ITEM and provider is not None and provider.optional:
                continue
            use = Use(name, {part: ", ".join(refs) for part, refs in group.items()})
            left_out = error.kind is SecretProblem.OFFLINE
            yield Entry(name, uses=(use,), note=error.what, error=None if left_out else error)
        else:
            refs = {part: one.ref or "" for part, one in sealed.items()}
            prints = {part: one.fingerprint for part, one in sealed.items()}
            yield Entry(name, prints, (Use(name, refs),))


# The ledger's pages.


def _under_way(session: Session, names: Sequence[str]) -> Iterator[Entry]:
    """Yield the old and the new key of each rotation, and each key that is being issued."""
    for way in session.ledger.keys.rotations(session.owner):
        if way.system in names:
            yield from _of_way(way)


def _of_way(way: Rotation) -> Iterator[Entry]:
    verb = f"byok {way.command}"
    if way.old and way.stage in IN_GRACE:
        until = datetime.fromisoformat(way.until) if way.until else None
        note = f"replaced; {verb} {way.system} revokes it then"
        yield Entry(way.system, way.old, id=way.old_id, state=GRACE, until=until, note=note)
    elif way.old and way.stage in REPLACING:
        note = f"is being replaced; {verb} {way.system} goes on"
        yield Entry(way.system, way.old, id=way.old_id, note=note)
    if way.new and way.stage in NOT_YET:
        note = f"{verb} is under way: {way.stage.value}; run it again"
        yield Entry(
            way.system,
            *(way.new, (), (), way.refs, way.holder, way.new_id, way.name),
            state=WAITING,
            note=note,
        )


def _recorded(session: Session, names: Sequence[str]) -> Iterator[Entry]:
    """Yield the keys that byok made or stored; of those with holders, whom they are for."""
    for key in session.ledger.keys.keys(session.owner):
        if key.system in names:
            yield _of_record(key)


def _of_record(key: KeyRecord) -> Entry:
    made = datetime.fromisoformat(key.made) if key.made else None
    retired = datetime.fromisoformat(key.retired) if key.retired else None
    return Entry(
        key.system,
        *(key.fingerprints, (), (), key.refs, key.holder, key.key_id, key.name),
        made=made,
        made_by="ledger" if made else "",
        rotated=None if key.holder or key.retired else made,
        state=REVOKED if retired else UNKNOWN,
        retired=retired,
    )


def _joined(entries: list[Entry], ledger: Iterable[Entry], told: Mapping[str, Told]) -> list[Entry]:
    """Add what the ledger knows: to the entry that is the same key, else as one of its own."""
    joined = list(entries)
    for page in ledger:
        at = next((i for i, entry in enumerate(joined) if entry.alike(page)), None)
        if at is None:
            joined.append(_looked_up(page, told[page.account]))
        else:
            joined[at] = _with(joined[at], page)
    return joined


def _with(entry: Entry, page: Entry) -> Entry:
    """Return an entry with what a page of the ledger has of it; what is surer stays."""
    over = page.state in (GRACE, REVOKED) or (page.state == WAITING and not entry.uses)
    return replace(
        entry,
        refs=page.refs if page.holder else entry.refs,
        holder=entry.holder or page.holder,
        id=entry.id or page.id,
        name=entry.name or page.name,
        made=entry.made or page.made,
        made_by=entry.made_by or page.made_by,
        rotated=entry.rotated or page.rotated,
        state=page.state if over else entry.state,
        until=entry.until or page.until,
        retired=entry.retired or page.retired,
        note=page.note if over else entry.note or page.note,
    )


def _looked_up(page: Entry, told: Told) -> Entry:
    """Return a key of the ledger with what its account says of it, by its id."""
    found = next((each for each in told.listed if page.id and each.id == page.id), None)
    if page.state == REVOKED or not told.complete:
        unasked = page.state == UNKNOWN and not page.note
        return replace(page, note="not asked: see --accounts") if unasked else page
    if found is None:
        gone = "its account does not list it any more"
        return replace(page, state=DEAD, note=gone) if page.id else page
    known = page.told(found)
    over = page.state in (GRACE, WAITING)
    return replace(known, state=page.state if over else known.state, note=known.note or page.note)


# What Cursor holds.


def _held(
    session: Session, entries: list[Entry], seen: Actual, chosen: Sequence[str]
) -> list[Entry]:
    """Add the addresses that hold each key; a key that only Cursor has is an entry of its own."""
    left_out = set(accounts.names(session.manifest)) - set(chosen)
    wish = session.system(CURSOR).desired().resources
    since = session.ledger.since(session.system(CURSOR).identity, session.owner)
    found = list(entries)
    for at, attrs in seen.resources.items():
        prints = _prints(attrs)
        if at.kind != "provider" or not prints or prints == _placeholder(wish.get(at, {})):
            continue
        mine = next((i for i, e in enumerate(found) if _shares(e, prints)), None)
        if mine is None and at.name in left_out:
            continue
        if mine is None:
            note = "this manifest does not give it to Cursor"
            found.append(Entry(at.name, prints, cursor=(str(at),), note=note))
            continue
        stamps = [since[at, part] for part in prints if (at, part) in since]
        waits = at in seen.pending
        found[mine] = _placed(found[mine], at, min(stamps, default=""), waits=waits)
    return found


def _prints(attrs: Attrs) -> dict[str, str]:
    return {name: value.fingerprint for name, value in attrs.items() if isinstance(value, Sealed)}


def _placeholder(attrs: Attrs) -> dict[str, str] | None:
    """Return what stands in Cursor where a key is not needed: that is none."""
    key = attrs.get("key")
    alone = isinstance(key, Sealed) and (key.ref or "").startswith("placeholder:")
    return _prints(attrs) if alone else None


def _shares(entry: Entry, prints: Mapping[str, str]) -> bool:
    return not set(entry.prints.values()).isdisjoint(prints.values())


def _placed(entry: Entry, at: Address, since: str, *, waits: bool) -> Entry:
    waiting = waits and entry.state in (LIVE, UNKNOWN)
    note = f"{at} takes it at Cursor's next start" if waiting else entry.note
    return replace(
        entry,
        cursor=(*entry.cursor, str(at)),
        made=entry.made or (datetime.fromisoformat(since) if since else None),
        made_by=entry.made_by or ("ledger" if since else ""),
        state=WAITING if waiting else entry.state,
        note=note,
    )


# What accounts list and nothing here knows.


def _elsewhere(
    session: Session, entries: Sequence[Entry], told: Mapping[str, Told]
) -> Iterator[Entry]:
    """Yield the keys that this team's byok made on another machine, by their names."""
    known = {(entry.account, entry.id) for entry in entries}
    begins = f"byok-{keynames.plain(session.owner)}"
    for name, answer in told.items():
        for each in answer.listed:
            if each.name.startswith(begins) and (name, each.id) not in known:
                note = "by its name, byok made it for this team on another machine"
                yield replace(Entry(name).told(each), note=note)
