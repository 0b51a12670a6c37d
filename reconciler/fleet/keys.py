"""Where each key is and who still has an old one, by fingerprints that can be compared; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from reconciler.fleet.host import Host
from reconciler.fleet.judged import done, todo
from reconciler.model import Change, Sealed

Slot: TypeAlias = tuple[str, str]
"""The address and the part of it that a key stands at."""

Place: TypeAlias = tuple[str, str, str]
"""A slot, and the fingerprint of the key that stands there."""

SHARE: Final = 10
"""A fingerprint key counts as shared where every tenth machine has it. Its four digits alone may
agree by chance: of a thousand machines with keys of their own some two do."""


@dataclass(frozen=True, slots=True)
class Print:
    """One key by its fingerprint: the machines that have it, and those that are to get it.

    ``old``: somewhere something else stands in its place now, or is to, and nowhere it is to come.
    """

    address: str
    part: str
    fingerprint: str
    refs: tuple[str, ...]
    here: tuple[str, ...]
    coming: tuple[str, ...]
    states: tuple[str, ...]
    old: bool


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of all machines that have one fingerprint key; ``shared``: they can be compared."""

    key_id: str
    hosts: tuple[str, ...]
    shared: bool
    prints: tuple[Print, ...]


@dataclass(slots=True)
class _Seen:
    refs: set[str] = field(default_factory=set)
    here: list[str] = field(default_factory=list)
    coming: list[str] = field(default_factory=list)
    states: set[str] = field(default_factory=set)


def key_id(host: Host) -> str:
    """Name the key that a machine's fingerprints are made with, empty where nothing tells."""
    parts = (host.planned, host.applied, host.ring)
    return next((part.key_id for part in parts if part and part.key_id), "")


def shared(hosts: Iterable[Host]) -> frozenset[str]:
    """Return the fingerprint keys that so many machines have that theirs can be compared."""
    counts = Counter(known for host in hosts if (known := key_id(host)))
    enough = max(2, -(-counts.total() // SHARE))
    return frozenset(k for k, count in counts.items() if count >= enough or len(counts) == 1)


def keyrings(hosts: Iterable[Host]) -> tuple[Keyring, ...]:
    """Return all keys by fingerprint key, the one that most machines have first."""
    listed = list(hosts)
    common = shared(listed)
    by_id: dict[str, list[Host]] = defaultdict(list)
    for host in listed:
        if _slots(host):
            by_id[key_id(host)].append(host)
    rings = [_keyring(known, group, known in common) for known, group in by_id.items()]
    return tuple(sorted(rings, key=lambda ring: (-len(ring.hosts), ring.key_id)))


def _slots(host: Host) -> bool:
    return bool(_here(host) or _coming(host))


def _keyring(known: str, hosts: list[Host], common: bool) -> Keyring:  # noqa: FBT001 - told once
    seen: dict[Place, _Seen] = defaultdict(_Seen)
    gone = {place for host in hosts for place in _gone(host)}
    for host in hosts:
        here, coming = _here(host), _coming(host)
        for slot, sealed in here.items():
            one = seen[*slot, sealed.fingerprint]
            one.here.append(host.name)
            one.refs |= {sealed.ref} if sealed.ref else set()
        for slot, sealed in coming.items():
            one = seen[*slot, sealed.fingerprint]
            one.coming.append(host.name)
            one.refs |= {sealed.ref} if sealed.ref else set()
        for held in host.ring.held if host.ring and host.ring.key_id in ("", known) else ():
            place = (held.address, held.part, held.fingerprint)
            if place in seen and held.state:
                seen[place].states.add(held.state)
    return Keyring(known, tuple(h.name for h in hosts), common, tuple(_prints(seen, gone)))


def _prints(seen: Mapping[Place, _Seen], gone: Container[Place]) -> Iterable[Print]:
    prints = [
        Print(
            *place,
            refs=tuple(sorted(one.refs)),
            here=tuple(one.here),
            coming=tuple(one.coming),
            states=tuple(sorted(one.states)),
            old=place in gone and not one.coming,
        )
        for place, one in seen.items()
    ]
    return sorted(prints, key=lambda p: (p.address, p.part, p.old, -len(p.here), p.fingerprint))


def _here(host: Host) -> Mapping[Slot, Sealed]:
    """Return the keys that are on a machine now: a run's word, then a plan's, then the list's."""
    known = key_id(host)
    found: dict[Slot, Sealed | None] = {}
    if host.ring and host.ring.key_id in ("", known):
        for held in host.ring.held:
            if held.fingerprint:
                found[held.address, held.part] = Sealed(held.fingerprint, held.ref or None)
    found |= {slot: before for slot, (before, _) in _sealed(todo(host)).items()}
    if host.applied and host.applied.key_id in ("", known):
        found |= {slot: after for slot, (_, after) in _sealed(done(host)).items()}
    return {slot: sealed for slot, sealed in found.items() if sealed is not None}


def _coming(host: Host) -> Mapping[Slot, Sealed]:
    found = _sealed(todo(host)).items()
    return {slot: after for slot, (_, after) in found if after is not None}


def _gone(host: Host) -> Iterator[Place]:
    """Yield the keys that a run took away there, or is to take away."""
    made = done(host) if host.applied and host.applied.key_id in ("", key_id(host)) else ()
    for slot, (before, _) in (*_sealed(todo(host)).items(), *_sealed(made).items()):
        if before is not None:
            yield (*slot, before.fingerprint)


def _sealed(changes: Iterable[Change]) -> Mapping[Slot, tuple[Sealed | None, Sealed | None]]:
    return {
        (str(change.address), edit.name): (_secret(edit.before), _secret(edit.after))
        for change in changes
        for edit in change.edits
        if isinstance(edit.before, Sealed) or isinstance(edit.after, Sealed)
    }


def _secret(value: object) -> Sealed | None:
    return value if isinstance(value, Sealed) else None
