"""The keys an account lists, in words for people: how old, whose, and which one is ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from reconciler.secrets import Secret
from reconciler.systems.account.setting import Setting, Sight

NAMED: Final = 10
"""Keys that are named one by one; of the others only the number is told."""

TELLING: Final = 3
"""Characters that a hint must show of a key's end: fewer are those of many keys."""

_MASK: Final = re.compile(r"\.{2,}|…+|[*•]+")


@dataclass(frozen=True, slots=True)
class KeyFact:
    """What a provider says of one key, never its value; empty where it says nothing.

    ``ours`` marks the key that the manifest's reference holds.
    """

    name: str
    made: date | None = None
    last_used: date | None = None
    owner: str = ""
    status: str = ""
    ours: bool = False


def listed(setting: Setting, keys: Iterable[KeyFact], *, pointer: str = "key") -> Sight:
    """Tell of keys, one observation each: ours first, then from the oldest, ten at most.

    ``pointer`` is our key's place below the account's; a finding (BYOK116) goes there where it is
    older than ``policy.max_key_age_days``.
    """
    ranked = sorted(keys, key=_rank)
    sight = Sight()
    for fact in ranked[:NAMED]:
        sight += setting.saw("key", fact.name or "unnamed", _words(fact))
    if len(ranked) > NAMED:
        sight += setting.saw("key", "*", f"and {len(ranked) - NAMED} more")
    for fact in ranked:
        sight += _aged(setting, fact, pointer) if fact.ours else Sight()
    return sight


def ours_by_hint(secret: Secret, hint: str) -> bool:
    """Tell whether a provider's printed hint (``sk-proj-…abcd``) is one of this key.

    The hidden middle is dots, an ellipsis, stars or bullets. A hint that shows fewer than three
    characters of the key's end tells nothing, and is nobody's.
    """
    return _meets(secret.expose(), _MASK.split(hint.strip()))


def _meets(value: str, parts: list[str]) -> bool:
    if len(parts) == 1:
        return value == parts[0] != ""
    begin, end = parts[0], parts[-1]
    long_enough = len(end) >= TELLING and len(value) > len(begin) + len(end)
    return long_enough and value.startswith(begin) and value.endswith(end)


def _rank(fact: KeyFact) -> tuple[bool, bool, date, str]:
    return not fact.ours, fact.made is None, fact.made or date.max, fact.name


def _words(fact: KeyFact) -> str:
    parts = [
        "the one in use here" if fact.ours else "",
        fact.status,
        f"of {fact.owner}" if fact.owner else "",
        f"made on {fact.made.isoformat()}" if fact.made else "",
        f"last used on {fact.last_used.isoformat()}" if fact.last_used else "",
    ]
    return ", ".join(part for part in parts if part) or "listed, and nothing is said of it"


def _aged(setting: Setting, fact: KeyFact, pointer: str) -> Sight:
    limit = setting.manifest.policy.max_key_age_days
    if limit is None or fact.made is None:
        return Sight()
    days = (datetime.now(UTC).date() - fact.made).days
    if days <= limit:
        return Sight()
    return setting.found(
        "BYOK116",
        f"this key was made {days} days ago, policy.max_key_age_days is {limit}",
        f"byok rotate {setting.name}",
        pointer=pointer,
    )
