"""What a layer has locked, no later one may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.manifest.conditions import bound
from reconciler.manifest.document import Document
from reconciler.manifest.merging import MISSING, Said, found
from reconciler.manifest.pointer import escape, join, shown, split
from reconciler.manifest.syntax import fault
from reconciler.model import Diagnostic, Position, Severity


@dataclass(frozen=True, slots=True)
class Lock:
    """A pointer that is locked, and where that is said."""

    pointer: str
    place: Position
    path: str


def locks(document: Document) -> tuple[Lock, ...]:
    """Return the locks that a file sets; one that does not fit the schema may set none."""
    said = document.data.get("locked") if isinstance(document.data, dict) else None
    named = enumerate(said if isinstance(said, list) else ())
    paths = [(pointer, f"/locked/{at}") for at, pointer in named if isinstance(pointer, str)]
    return tuple(Lock(pointer, document.where(path), path) for pointer, path in paths)


def broken(
    held: Iterable[Lock], before: Said, after: Said, document: Document
) -> Iterator[Diagnostic]:
    """Yield each change of a layer that a lock forbids; ``before`` is without the layer.

    It counts as a change, too, to take away what is above the locked place, by saying null,
    ``absent: true``, or a condition there, or what a locked model or budget stands and falls with.
    """
    for lock in held:
        old, new = found(before.data, lock.pointer), found(after.data, lock.pointer)
        changed = [*_changes(old, new, lock.pointer)] or [*_lost(lock.pointer, before, after)][:1]
        yield from (_error(lock, at, before, document) for at in changed)


def _lost(pointer: str, before: Said, after: Said) -> Iterator[str]:
    """Yield where a layer takes away, from elsewhere, what stands at a locked pointer."""
    parts = split(pointer)
    needed = [*bound(before.data, *parts[:2])]
    yield from (at for at in map(join, needed) if found(after.data, at) is MISSING)
    for entry in (*(parts[:count] for count in range(2, len(parts))), *needed):
        for at in (join((*entry, name)) for name in ("absent", "when")):
            yield from _changes(found(before.data, at), found(after.data, at), at)


def _changes(old: Any, new: Any, pointer: str) -> Iterator[str]:
    """Yield the pointer of each difference, as deep as both sides have a map."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)) if old != new else ():
            at = f"{pointer}/{escape(name)}"
            yield from _changes(old.get(name, MISSING), new.get(name, MISSING), at)
    elif old != new:
        yield pointer


def _error(lock: Lock, pointer: str, before: Said, document: Document) -> Diagnostic:
    place, entry = before.positions.get(pointer), split(pointer)[:2]
    stands = f", and stands at {place}" if place else ", where nothing is said of it"
    if split(lock.pointer)[:2] != entry[: len(split(lock.pointer))]:
        stands = f", and goes where {shown(join(entry))} goes"
    what = f"{shown(lock.pointer)} is locked at {lock.place}{stands}"
    way_out = "leave it out here, or have the lock taken away there"
    return fault("BYOK008", what, way_out, document.where(pointer), pointer)


def idle(held: Iterable[Lock], data: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """Return a warning for each lock on what no layer says."""
    return tuple(
        Diagnostic(
            "BYOK128",
            Severity.WARNING,
            lock.path,
            f"{shown(lock.pointer)} is locked, and no layer says anything there",
            "see how it is written; to forbid it on purpose, silence this in policy.ignore",
            lock.place,
        )
        for lock in held
        if found(data, lock.pointer) is MISSING
    )
