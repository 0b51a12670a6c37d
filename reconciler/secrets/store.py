"""Where new keys go: each value to the place its reference names, read back from there."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import file as files, keyring_store, replacing, sops_writer
from reconciler.secrets.inside import locate
from reconciler.secrets.process import DEADLINE
from reconciler.secrets.reference import Reference, Scheme, parse, split_keyring, split_sops
from reconciler.secrets.secret import Secret
from reconciler.secrets.sops_writer import create
from reconciler.spec import EMPTY, Homes

__all__ = ["create", "store", "unwritable"]

_REASONS: Final = {
    Scheme.ENV: "an environment variable belongs to whoever sets it",
    Scheme.OP: "byok reads from 1Password, and does not write there",
    Scheme.EXEC: "a command gives values, and takes none",
    Scheme.SNAPSHOT: "copies of replaced keys are byok's own",
}
ELSEWHERE: Final = "keep the key in sops://, keyring:// or file://"


def unwritable(text: str, folder: Path, homes: Homes = EMPTY) -> str:
    """Return why nothing can be written where a reference points, empty where it can.

    Writes nothing. A SOPS file must be there, and its folder writable. Raises SecretError for a
    text that is no reference, or whose file lies outside the manifest's folder.
    """
    ref = parse(text)
    match ref.scheme:
        case Scheme.KEYRING:
            return ""
        case Scheme.SOPS | Scheme.FILE:
            name = split_sops(ref.locator)[0] if ref.scheme is Scheme.SOPS else ref.locator
            real = locate(*homes.get(name, (folder, name)), ref.text)
            if ref.scheme is Scheme.SOPS and not real.is_file():
                return f"{ref.text}: there is no such file"
            return "" if _writable(real.parent) else f"{ref.text}: its folder is read-only"
        case other:
            return f"{ref.text}: {_REASONS[other]}"


def _writable(folder: Path) -> bool:
    """Tell whether a folder can be written to, or made in the nearest one above that is there."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def store(
    values: Mapping[str, Secret],
    *,
    folder: Path,
    backends: Sequence[str] = (),
    deadline: float = DEADLINE,
    homes: Homes = EMPTY,
) -> None:
    """Write each value to the place its reference names, and read it back.

    ``values`` maps references to values; those of one SOPS file are written in one replacement.
    ``folder`` is the manifest's, ``homes`` its files elsewhere, ``backends`` its
    ``policy.sops_backends``.
    Raises SecretError where a place cannot be written, or does not give back what it was given;
    places written before that keep their new value: store again.
    """
    sealed: dict[str, dict[str, Secret]] = {}
    for text, value in values.items():
        ref = parse(text)
        match ref.scheme:
            case Scheme.SOPS:
                name, pointer = split_sops(ref.locator)
                sealed.setdefault(name, {})[pointer] = value
            case Scheme.KEYRING:
                keyring_store.write(*split_keyring(ref.locator), value, ref.text, deadline)
            case Scheme.FILE:
                _write_file(*homes.get(ref.locator, (folder, ref.locator)), ref, value)
            case other:
                raise SecretError(SecretProblem.REFUSED, ref.text, _REASONS[other], ELSEWHERE)
    for name, pointers in sealed.items():
        home, inner = homes.get(name, (folder, name))
        where = f"sops://{name}"
        sops_writer.put(home, inner, pointers, where=where, backends=backends, deadline=deadline)


def _write_file(folder: Path, name: str, ref: Reference, value: Secret) -> None:
    """Write a private file, whole or not at all."""
    real = locate(folder, name, ref.text)
    draft = real.with_name(f".{real.name}.{secrets.token_hex(6)}")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        replacing.sweep(real.parent, f".{real.name}.")
        with os.fdopen(os.open(draft, replacing.DRAFT, 0o600), "w", encoding="utf-8") as out:
            out.write(value.expose())
        replacing.replace(draft, real)
    except OSError as error:
        what = f"the file cannot be written ({error.strerror})"
        raise SecretError(
            SecretProblem.REFUSED, ref.text, what, "make its folder writable"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    if files.read(folder, name, ref.text).expose() != value.expose():
        what = "the file did not give back what was written to it"
        raise SecretError(SecretProblem.UNUSABLE, ref.text, what, "see the disk")
