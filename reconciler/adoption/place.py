"""Making the place that keys go to: ``.sops.yaml`` and an empty SOPS file, where there is none."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.adoption import files, recipients
from reconciler.adoption.stores import Store
from reconciler.secrets.store import create


@dataclass(frozen=True, slots=True)
class Placed:
    """The files that were made, and whom they are for, in words."""

    written: tuple[Path, ...] = ()
    source: str = ""


def prepared(store: Store, folder: Path, asked: Sequence[str], env: Mapping[str, str]) -> Placed:
    """Make an empty SOPS file and its rule, each where there is none; nothing for other stores.

    Raises SecretError where nobody is there to encrypt for, or sops is missing.
    """
    file = folder / store.file
    if store.kind != "sops" or file.exists():
        return Placed()
    chosen = choose(store, folder, asked, env)
    create(file, chosen.recipients)
    return Placed((*ruled(folder, chosen), file), chosen.source)


def choose(
    store: Store, folder: Path, asked: Sequence[str], env: Mapping[str, str]
) -> recipients.Chosen:
    """Return whom a store's SOPS file is for. Raises SecretError where nobody is there."""
    return recipients.choose(
        folder, store.file, asked, env=env, platform=sys.platform, home=Path.home()
    )


def ruled(folder: Path, chosen: recipients.Chosen) -> tuple[Path, ...]:
    """Write ``.sops.yaml`` where sops finds none; return what was written."""
    if recipients.exists(folder):
        return ()
    path = folder / recipients.CONFIG
    files.write_new(path, recipients.rules(chosen.recipients))
    return (path,)
