"""What a layer has locked, no later one may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.manifest.document import Document
from reconciler.manifest.merging import MISSING, Said, found
from reconciler.manifest.pointer import join, shown, split
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
    """Yield an error for each lock that a layer does not heed; ``before`` is without the layer.

    It counts as a change, too, to take away what is above the locked place: by saying null,
    ``absent: true``, or a condition there.
    """
    for lock in held:
        for pointer in _guarded(lock.pointer):
            old, new = found(before.data, pointer), found(after.data, pointer)
            if old != new:
                yield _error(lock, pointer, before, document)
                break


def _guarded(pointer: str) -> Iterator[str]:
    yield pointer
    parts = split(pointer)
    for count in range(2, len(parts)):
        yield from (join((*parts[:count], name)) for name in ("absent", "when"))


def _error(lock: Lock, pointer: str, before: Said, document: Document) -> Diagnostic:
    place = before.positions.get(pointer)
    stands = f", and stands at {place}" if place else ", where nothing is said of it"
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
