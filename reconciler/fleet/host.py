"""One machine's results: what each of its documents tells, and how several become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final

from reconciler.model import Change


class Outcome(StrEnum):
    """How a machine stands; each has exactly one."""

    IN_SYNC = "in_sync"
    CHANGED = "changed"
    PENDING = "pending"
    DRIFTED = "drifted"
    SKIPPED = "skipped"
    FAILING = "failing"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """Return it as people read it."""
        return self.value.replace("_", " ")


WELL: Final = (Outcome.IN_SYNC, Outcome.CHANGED)
"""What needs nobody: as the manifest wants it, or made so by this run."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something did not go; ``where`` is a place on that machine, or an address."""

    exit: int | None
    what: str
    way_out: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the envelope (byok.host/1) says; ``outcome`` is one of its own six words.

    ``where`` is the address that nobody answered at.
    """

    outcome: str
    user: str = ""
    why: str = ""
    where: str = ""
    exit: int | None = None
    run: str = ""
    byok: str = ""
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan (byok.plan/1); ``unknown`` counts what is neither equal nor different."""

    key_id: str
    changes: tuple[Change, ...]
    unknown: int = 0
    errors: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run did (byok.apply/1); ``waiting`` are addresses due at Cursor's next start."""

    key_id: str
    changes: tuple[Change, ...]
    failed: tuple[Failure, ...] = ()
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """A resource that moved since byok wrote it, and by whom, where that was told.

    ``after`` and ``until`` are ISO 8601 times, empty where unknown. ``repaired``: it was put back.
    """

    address: str
    edits: tuple[str, ...]
    by: str = ""
    after: str = ""
    until: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Stands:
    """How its systems stand (byok.status/1)."""

    drifted: tuple[Moved, ...] = ()
    to_apply: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend that doctor found (byok.doctor/1)."""

    code: str
    check: str
    state: str
    what: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A key that is in Cursor there: the address and part it stands at, and whether it lives."""

    address: str
    part: str
    fingerprint: str
    ref: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys of a machine (byok.keys/1)."""

    key_id: str
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """One machine by its name, the files that tell of it, and what they tell; None: nothing.

    ``written`` is when its files were, in seconds since 1970; what came in a stream has no time.
    """

    name: str
    files: tuple[str, ...]
    told: Told | None = None
    planned: Planned | None = None
    applied: Applied | None = None
    stands: Stands | None = None
    findings: tuple[Finding, ...] | None = None
    ring: Ring | None = None
    error: Failure | None = None
    written: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be read, and why."""

    file: str
    why: str


SECTIONS: Final = tuple(f.name for f in fields(Host) if f.name not in ("name", "files", "written"))
WORDS: Final = {
    "told": "envelope",
    "planned": "plan",
    "stands": "status",
    "applied": "apply",
    "findings": "doctor",
    "ring": "keys",
}


def sections(host: Host) -> frozenset[str]:
    """Name the parts that a machine's documents tell."""
    return frozenset(name for name in SECTIONS if getattr(host, name) is not None)


def joined(first: Host, other: Host) -> Host:
    """Return both as one. Raises ValueError where both tell the same part."""
    told = sections(other)
    twice = sorted(WORDS.get(name, name) for name in sections(first) & told)
    if twice:
        raise ValueError(f"tells {first.name}'s {_and(twice)} again")
    parts = {name: getattr(other, name) for name in told}
    written = (*first.written, *other.written)
    return replace(first, files=(*first.files, *other.files), written=written, **parts)


def _and(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
