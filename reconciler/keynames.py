"""What byok calls the keys that it makes for one person, and whose a key is by such a name; pure.

The last eight digits are four at random and four that only this team and person fit, so that
nobody's key is taken for another's whose name looks alike.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 16
"""Letters of a team, or of a person, that a name has room for: providers take 50 in all."""

MAKERS = ("openai", "google", "openrouter", "litellm")
"""The providers, and types of endpoints, where byok can make a key that is one person's."""


def for_person(team: str, person: str, draw: str) -> str:
    """Return the name of a person's new key: ``byok-TEAM-PERSON-`` and eight digits.

    ``draw`` is four hexadecimal digits at random.
    """
    return f"byok-{plain(team)}-{plain(person)}-{draw}{_proof(team, person, draw)}"


def is_of(name: str, team: str, person: str) -> bool:
    """Tell whether `for_person` gave this name to a key of this very person."""
    match = re.fullmatch(rf"{re.escape(begins(team, person))}([0-9a-f]{{4}})([0-9a-f]{{4}})", name)
    return match is not None and match[2] == _proof(team, person, match[1])


def begins(team: str, person: str) -> str:
    """Return how the names of a person's keys begin."""
    return f"byok-{plain(team)}-{plain(person)}-"


def plain(text: str) -> str:
    """Return a name in what every provider takes: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:LONGEST].strip("-") or "x"


def _proof(team: str, person: str, draw: str) -> str:
    return hashlib.sha256(f"{team}\0{person}\0{draw}".encode()).hexdigest()[:4]
