"""Where each provider's secrets stand in Cursor's rows, in both eras, and how to place new ones.

Up to 2.3 a key is a plaintext row, or for Azure and Bedrock a leaf of the settings. From 3.12 on it
is an encrypted ``secret://`` row, which wins over the others even when it is cleared; a plaintext
row is then an input that Cursor promotes and deletes at its next start. The era is read off the
rows, never off a version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from reconciler.secrets import Secret
from reconciler.systems.cursor.layout import Document, Edits, leaf
from reconciler.systems.cursor.safestorage import (
    Cipher,
    KeySource,
    Unreadable,
    cleared,
    prefix_of,
    prove,
    seal,
)
from reconciler.systems.cursor.splice import Drop, Path, Put

ORIGINS: Final[Mapping[str, str]] = {"openai": "base_url", "azure": "endpoint"}
"""The attribute that says where a provider's key is sent."""

SCHEME: Final = "secret://"
CELLS: Final = "secret://cursorAuth/"
"""The key prefix of Cursor's own encrypted rows; its sign-in tokens are among them."""

EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Slot:
    """The places of one secret: its row (encrypted under ``secret://`` + row), its JSON leaf."""

    provider: str
    name: str
    row: str | None
    leaf: Path | None = None


SLOTS: Final = (
    Slot("openai", "key", "cursorAuth/openAIKey"),
    Slot("anthropic", "key", "cursorAuth/claudeKey"),
    Slot("google", "key", "cursorAuth/googleKey"),
    Slot("azure", "key", "cursorAuth/azureApiKey", ("azureState", "apiKey")),
    Slot("bedrock", "access_key_id", "cursorAuth/bedrockAccessKey", ("bedrockState", "accessKey")),
    Slot(
        "bedrock", "secret_access_key", "cursorAuth/bedrockSecretKey", ("bedrockState", "secretKey")
    ),
    Slot("bedrock", "session_token", None, ("bedrockState", "sessionToken")),
)
ROWS: Final = tuple(slot.row for slot in SLOTS if slot.row)
IAM_ROLE: Final[Path] = ("bedrockState", "hasBedrockIamRole")
"""True where the team's IAM role answers; then Bedrock's fields are Cursor's own."""


class Place(StrEnum):
    """Where a secret that counts was found."""

    NOWHERE = "nowhere"
    CELL = "an encrypted row"
    ROW = "a plaintext row"
    LEAF = "the settings"
    STRANGE = "a form we do not know"


@dataclass(frozen=True, slots=True)
class Held:
    """What a slot holds: the place that counts, with a cell's text or the plain secret."""

    place: Place
    cell: str = ""
    plain: Secret = field(default=Secret(""), compare=False)


def of(provider: str) -> Iterator[Slot]:
    """Yield the slots of a provider."""
    return (slot for slot in SLOTS if slot.provider == provider)


def secret_era(rows: Mapping[str, str]) -> bool:
    """Tell whether this database has seen a Cursor that encrypts (any ``secret://cursorAuth/``)."""
    return any(key.startswith(CELLS) for key in rows)


def held(slot: Slot, rows: Mapping[str, str], document: Document) -> Held:
    """Return what counts in a slot: encrypted row, plaintext row, leaf, in this order."""
    if slot.row:
        cell = rows.get(SCHEME + slot.row)
        if cell is not None:
            return Held(Place.NOWHERE) if cleared(cell) else Held(Place.CELL, cell)
        if rows.get(slot.row):
            return Held(Place.ROW, plain=Secret(rows[slot.row]))
    value = leaf(document, slot.leaf) if slot.leaf else None
    if isinstance(value, str) and value:
        return Held(Place.LEAF, plain=Secret(value))
    return Held(Place.NOWHERE if value in (None, "", False) else Place.STRANGE)


def raw(slot: Slot, rows: Mapping[str, str], document: Document) -> tuple[Any, ...]:
    """Return all that stands in a slot's places, to tell whether it moved; never shown."""
    places = (rows.get(SCHEME + slot.row), rows.get(slot.row)) if slot.row else ()
    return (*places, leaf(document, slot.leaf) if slot.leaf else None)


def proven(slot: Slot, rows: Mapping[str, str], source: KeySource) -> Cipher | None:
    """Return the cipher of an existing cell that we can open: the slot's own, else keyring first.

    Without such a cell nothing is known of what this Cursor can open, and None is returned.
    """
    own = rows.get(SCHEME + slot.row) if slot.row else None
    others = [cell for key, cell in rows.items() if key.startswith(CELLS)]
    ranked = sorted(others, key=_rank)
    return prove(([own] if own else []) + ranked, source)


def _rank(cell: str) -> int:
    try:
        return {"v11": 0, "v10": 1}[prefix_of(cell)]
    except Unreadable:
        return 2


@dataclass(frozen=True, slots=True)
class Placement:
    """How a slot gets its value: rows to set or delete, and leaves to edit.

    ``pending``: handed over in plaintext for Cursor's next start. ``experimental``: the place is
    not confirmed.
    """

    rows: Mapping[str, str | None] = field(default_factory=lambda: EMPTY, repr=False)
    leaves: Edits = field(default_factory=dict, repr=False)
    pending: bool = False
    experimental: bool = False


def clear(slot: Slot) -> Placement:
    """Return the placement that leaves no trace of a secret in any of its places."""
    return Placement(_rows(slot, None, None), _no_leaf(slot))


def place(
    slot: Slot, secret: Secret, rows: Mapping[str, str], document: Document, source: KeySource
) -> Placement:
    """Return where a new value goes. Never plaintext in a ``secret://`` row. Raises Unreadable.

    An encrypted row where the cipher is proven; else the plaintext row, with the encrypted one
    deleted because it would win: right for the old era, promoted in the new one. Azure and Bedrock
    keep their leaf before the secret era, or where it holds the value that counts.
    """
    if not secret.expose().isprintable():
        raise Unreadable("the new value cannot be a key: it has characters that cannot be printed")
    era = secret_era(rows)
    unconfirmed = era and slot.leaf is not None
    if _stays_leaf(slot, rows, document, era=era):
        leaves: Edits = {slot.leaf: Put(secret.expose())} if slot.leaf else {}
        return Placement(_rows(slot, None, None), leaves, experimental=unconfirmed)
    cipher = proven(slot, rows, source)
    if cipher is not None:
        cell = seal(secret, cipher)
        return Placement(_rows(slot, cell, None), _no_leaf(slot), experimental=unconfirmed)
    handed = _rows(slot, None, secret.expose())
    return Placement(handed, _no_leaf(slot), pending=True, experimental=unconfirmed)


def _stays_leaf(slot: Slot, rows: Mapping[str, str], document: Document, *, era: bool) -> bool:
    if slot.leaf is None:
        return False
    if slot.row is None:
        return True
    if SCHEME + slot.row in rows or slot.row in rows:
        return False
    return not era or bool(leaf(document, slot.leaf))


def _rows(slot: Slot, cell: str | None, plain: str | None) -> dict[str, str | None]:
    return {SCHEME + slot.row: cell, slot.row: plain} if slot.row else {}


def _no_leaf(slot: Slot) -> Edits:
    return {slot.leaf: Drop()} if slot.leaf else {}
