"""One key of the inventory, and how two finds of one key become one entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from reconciler.errors import ByokError
from reconciler.money import Money
from reconciler.systems.account import Listed

LIVE: Final = "live"
WAITING: Final = "waiting"
GRACE: Final = "in grace"
DEAD: Final = "dead"
REVOKED: Final = "revoked"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Use:
    """Where the manifest wants a key: its account, and the reference that each part is from."""

    account: str
    refs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key; ``prints`` maps its parts to fingerprints, empty where the value cannot be had.

    ``account`` is where it was found first. ``uses`` are all places of the manifest that it is
    given to, ``cursor`` the addresses here that hold it. ``refs`` is where byok delivered it, and
    ``holder`` whom it is for, ``""`` for the team. ``made`` is since when it is there, told by
    ``made_by`` (``provider``; ``ledger``: on record here since). ``rotated`` is when byok made it
    in the place of another. ``until`` is the end of its grace, ``retired`` when it was revoked.
    ``note`` says what else there is to know of its state, ``error`` why it cannot be had.
    """

    account: str
    prints: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[Use, ...] = ()
    cursor: tuple[str, ...] = ()
    refs: Mapping[str, str] = field(default_factory=dict)
    holder: str = ""
    id: str = ""
    name: str = ""
    made: datetime | None = None
    made_by: str = ""
    last_used: datetime | None = None
    rotated: datetime | None = None
    limit: Money | None = None
    spent: Money | None = None
    state: str = UNKNOWN
    until: datetime | None = None
    retired: datetime | None = None
    note: str = ""
    error: ByokError | None = None

    def age(self, now: datetime | None = None) -> int | None:
        """Return its age in days, None where nobody knows."""
        return None if self.made is None else ((now or datetime.now(UTC)) - self.made).days

    def due(self, days: int | None) -> bool:
        """Tell whether it is older than a policy allows."""
        age = self.age()
        over = self.state in (DEAD, REVOKED, GRACE)
        return days is not None and age is not None and age > days and not over

    def alike(self, other: Entry) -> bool:
        """Tell whether two finds are one key."""
        return bool(self.prints) and dict(self.prints) == dict(other.prints)

    def told(self, found: Listed) -> Entry:
        """Return it with what its provider says of it."""
        return replace(
            self,
            id=found.id,
            name=found.name or self.name,
            made=found.made or self.made,
            made_by="provider" if found.made else self.made_by,
            last_used=found.last_used,
            limit=found.limit,
            spent=found.spent,
            state=LIVE if found.live else DEAD,
            note="" if found.live else "its provider has switched it off",
        )


def merged(entries: list[Entry]) -> list[Entry]:
    """Return each key once: one that is given to two accounts is one entry with both."""
    found: list[Entry] = []
    for entry in entries:
        at = next((i for i, other in enumerate(found) if other.alike(entry)), None)
        if at is None:
            found.append(entry)
        else:
            found[at] = replace(found[at], uses=found[at].uses + entry.uses)
    return found
