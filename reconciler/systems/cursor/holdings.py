"""All that one Cursor profile holds of providers and models, keys included, for who adopts it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model import Attrs
from reconciler.secrets import Secret
from reconciler.spec import PROVIDERS
from reconciler.systems.cursor import findings, layout, paths, slots, store, view
from reconciler.systems.cursor.keysource import key_source
from reconciler.systems.cursor.safestorage import KeySource, Unreadable, unseal
from reconciler.systems.cursor.slots import Held, Place
from reconciler.systems.cursor.wishes import PLACEHOLDER


@dataclass(frozen=True, slots=True)
class Holdings:
    """What was found; ``settings`` holds each provider's attributes without its secrets.

    ``secrets`` and ``unreadable`` are by provider and attribute; ``unreadable`` says why.
    ``keyless`` are the providers that hold byok's own placeholder in place of a key. ``defaults``
    maps a feature to its default model. ``catalog`` has every name that Cursor's own models go by.
    ``closed`` maps a provider that Cursor keeps for itself to the reason.
    """

    settings: Mapping[str, Attrs] = field(default_factory=dict)
    secrets: Mapping[tuple[str, str], Secret] = field(default_factory=dict)
    unreadable: Mapping[tuple[str, str], str] = field(default_factory=dict)
    keyless: frozenset[str] = frozenset()
    models: Mapping[str, Attrs] = field(default_factory=dict)
    defaults: Mapping[str, Attrs] = field(default_factory=dict)
    catalog: frozenset[str] = frozenset()
    closed: Mapping[str, str] = field(default_factory=dict)


def read_holdings(user_data: Path, *, keysource: KeySource | None = None) -> Holdings:
    """Read one profile; writes nothing, also while Cursor runs.

    Raises CursorBusy: there is no database, it is locked, or in a form we do not know.
    """
    path = paths.database(user_data)
    seen = view.look(store.read(path, view.KEYS, prefixes=view.PREFIXES))
    source = keysource or key_source(user_data, platform=sys.platform, home=Path.home())
    secrets: dict[tuple[str, str], Secret] = {}
    unreadable: dict[tuple[str, str], str] = {}
    for slot in slots.SLOTS:
        try:
            found = _secret(seen.held(slot), source)
        except Unreadable as error:
            unreadable[slot.provider, slot.name] = error.reason
        else:
            if found is not None:
                secrets[slot.provider, slot.name] = found
    keyless = {at for at, secret in secrets.items() if secret.expose() == PLACEHOLDER}
    return Holdings(
        {name: layout.settings(seen.document, name) for name in PROVIDERS},
        {at: secret for at, secret in secrets.items() if at not in keyless},
        unreadable,
        frozenset(provider for provider, _ in keyless),
        layout.models(seen.document),
        layout.defaults(seen.document),
        frozenset(findings.shown(seen.document)),
        {at.name: why for at, why in findings.closed(seen.document, seen.admin).items()},
    )


def _secret(held: Held, source: KeySource) -> Secret | None:
    match held.place:
        case Place.NOWHERE:
            return None
        case Place.STRANGE:
            raise Unreadable("set, in an unknown form")
        case Place.CELL:
            return unseal(held.cell, source)[0]
        case _:
            return held.plain
