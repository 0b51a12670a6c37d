"""Adopting a Cursor profile, in order: read, draft, keys into their store, manifest, proof."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.adoption import files, found, place, stores
from reconciler.adoption.draft import Draft, Left, fitting
from reconciler.adoption.proof import Proof, prove
from reconciler.adoption.stores import Store
from reconciler.errors import ByokError, SecretError
from reconciler.secrets import Secret
from reconciler.session import Options
from reconciler.systems.cursor import Holdings, locate, read_holdings


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was written, moved and left out, and the planner's answer to it.

    ``locked`` tells that a key was left out because it cannot be read. ``source`` says in words
    whom a new SOPS file is for.
    """

    manifest: Path
    draft: Draft
    written: tuple[Path, ...]
    moved: tuple[str, ...]
    proof: Proof
    locked: bool
    source: str = ""

    @property
    def left(self) -> tuple[Left, ...]:
        """What the manifest does not say, and why."""
        return self.draft.left


def adopt(
    options: Options,
    store: Store,
    team: str,
    recipients: Sequence[str] = (),
    *,
    look: Callable[[Path], Holdings] = read_holdings,
) -> Adopted:
    """Write a manifest of what this machine's Cursor holds, its keys in the named store.

    Keys come first, then the manifest: killed in between, the next run finds the same values in
    their places and goes on. Cursor is only read. Raises ByokError where the manifest is there
    already or there is nothing to adopt, CursorBusy where Cursor's settings cannot be read,
    SafetyStop where the store holds another value, SecretError where it cannot be written.
    """
    path = options.manifest
    files.refuse_existing(path)
    home = Path.home()
    seen = look(locate(options.cursor_dir, env=options.env, platform=sys.platform, home=home))
    first, values = found.drafted(seen, store, team)
    draft = fitting(first, str(path), path.resolve().parent)
    _refuse_nothing(draft)
    named = draft.references()
    wanted = {text: value for text, value in values.items() if text in named}
    placed = place.Placed()
    if store.kind != "env":
        folder = path.resolve().parent
        missing = stores.missing(wanted, folder)
        if missing:
            placed = place.prepared(store, folder, recipients, options.env)
            _moved(missing, folder, placed)
    schema = files.write_schema(path.parent)
    files.write_new(path, draft.text)
    written = (*placed.written, *([schema] if schema else []), path)
    moved = tuple(wanted) if store.kind != "env" else ()
    return Adopted(
        path, draft, written, moved, prove(options), bool(seen.unreadable), placed.source
    )


def _moved(values: Mapping[str, Secret], folder: Path, placed: place.Placed) -> None:
    """Put keys into their store; where that fails, take back the files just made for it."""
    try:
        stores.move(values, folder)
    except SecretError:
        for path in placed.written:
            path.unlink(missing_ok=True)
        raise


def _refuse_nothing(draft: Draft) -> None:
    if not (draft.left or any(draft.sections.values())):
        raise ByokError(
            "Cursor",
            "nothing of what a manifest says is set in it",
            "begin with byok init --provider openai",
        )
