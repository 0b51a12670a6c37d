"""What the ledger holds: runs, their steps, keys and their ways, and how a secret is told again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model import Change, Record


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells a written secret again without decrypting: version of its source, its cell."""

    version: str | None = None
    cell: str | None = None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded step.

    ``kept`` maps an attribute to the reference of the copy it replaced, ``previous`` to the record
    held of it before this step; what had none is left out.
    """

    id: int
    run: int
    change: Change
    state: str
    note: str
    kept: Mapping[str, str]
    system: str = ""
    previous: Mapping[str, Record] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run of a command that may write."""

    id: int
    command: str
    owner: str
    started: str
    ended: str | None
    outcome: str
    steps: int


class Stage(StrEnum):
    """How far the way of one new key has come; each is recorded before what it names is done."""

    ORDERED = "ordered"
    MAKING = "making"
    MADE = "made"
    TRIED = "tried"
    STORING = "storing"
    STORED = "stored"
    PLACED = "placed"
    KEPT = "kept"
    REVOKING = "revoking"
    DONE = "done"
    DROPPED = "dropped"


ENDED = (Stage.DONE, Stage.DROPPED)


@dataclass(frozen=True, slots=True)
class Rotation:
    """The way of one new key, from its order to the old key's end; never a value.

    ``holder`` is the person an individual key is for, ``""`` for the team's. A key that is issued
    has no ``old`` one. ``refs`` maps the
    key's attributes to where they are stored; ``old`` and ``new`` map them to fingerprints, and
    ``old_id`` and ``new_id`` are the provider's names for the two keys, ``""`` where unknown.
    ``name`` is the new key's name at the provider. ``before`` holds the ids of the keys that were
    there when it was ordered. ``source`` is where a person's new key was read from, ``""`` where
    the provider makes it. ``limit`` is its own monthly limit (``50.00 USD``). ``grace`` is in
    seconds; ``until`` is when it is over. ``recipients`` are the age recipients that were named as
    the holder's, and ``digest`` is the SHA-256 of the file that was sealed for them, recorded
    before it is put in place. Times are ISO 8601 in UTC.
    """

    system: str
    owner: str
    refs: Mapping[str, str]
    id: int = 0
    stage: Stage = Stage.ORDERED
    holder: str = ""
    name: str = ""
    source: str = ""
    old: Mapping[str, str] = field(default_factory=dict)
    old_id: str = ""
    new: Mapping[str, str] = field(default_factory=dict)
    new_id: str = ""
    before: tuple[str, ...] = ()
    limit: str = ""
    grace: int = 0
    until: str = ""
    by_api: bool = True
    cursor: bool = True
    recipients: tuple[str, ...] = ()
    digest: str = ""
    started: str = ""
    moved: str = ""

    @property
    def open(self) -> bool:
        """Whether there is anything left to do."""
        return self.stage not in ENDED

    @property
    def command(self) -> str:
        """Which command goes on with it: ``rotate``, or ``issue`` for a person's first key."""
        return "rotate" if self.old or not self.holder else "issue"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key that byok made or stored: whose it is, where it lives, and since when; never a value.

    ``retired`` is when it was revoked, ``""`` while it lives.
    """

    system: str
    owner: str
    fingerprints: Mapping[str, str]
    refs: Mapping[str, str]
    key_id: str = ""
    name: str = ""
    holder: str = ""
    made: str = ""
    retired: str = ""
    id: int = 0
