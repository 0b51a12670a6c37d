"""Putting values into SOPS files: sops edits a copy, which replaces the file once proved."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import replacing, sops, sops_file, sops_new
from reconciler.secrets.inside import locate, read_inside
from reconciler.secrets.process import DEADLINE
from reconciler.secrets.reference import tokens
from reconciler.secrets.secret import Secret

PARTING: Final = frozenset("[]\"'\\")
"""Characters that part the keys in the path that ``sops set`` takes (sops 3.11)."""

HARMLESS: Final = Secret("byok")


def put(
    folder: Path,
    name: str,
    values: Mapping[str, Secret],
    *,
    where: str = "",
    backends: Sequence[str] = (),
    deadline: float = DEADLINE,
) -> None:
    """Put values at JSON pointers into a SOPS file below a folder; all of them, or none.

    sops edits a copy. The copy takes the file's place, by rename, only when it decrypts with its
    MAC right, holds the new values encrypted, all others as they were, and the same recipients.
    ``where`` is what errors call it. Raises SecretError: no such item (no file), refused, not
    decryptable, timed out, or unusable where the file's own rules would leave a value in clear
    text, or where it changed meanwhile.
    """
    where = where or f"sops://{name}"
    real = locate(folder, name, where)
    before = _read(folder, real, where)
    old = _load(before, real, where, backends)
    replacing.sweep(real.parent, f".{real.stem}.", real.suffix)
    draft = real.with_name(f".{real.stem}.{secrets.token_hex(6)}{real.suffix}")
    try:
        _copy(before, real, draft, where)
        new = [p for p in values if not isinstance(sops_file.scalar(old, p), str)]
        for (
            pointer
        ) in new:  # a value of no worth shows whether the file's rules encrypt what is there
            sops.put(draft, old, _path(pointer, where), HARMLESS, where, backends, deadline)
        if new:
            _encrypted(sops_file.load(_read(folder, draft, where), real.name, where), new, where)
        for pointer, value in values.items():
            sops.put(draft, old, _path(pointer, where), value, where, backends, deadline)
        _prove(_read(folder, draft, where), old, values, where, backends, deadline)
        _replace(draft, real, _read(folder, real, where) == before, where)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def create(path: Path, recipients: Sequence[str], deadline: float = DEADLINE) -> None:
    """Make an empty SOPS file for age recipients where there is none, and its folder.

    Raises SecretError: refused where something is there, or it cannot be written.
    """
    where = f"sops://{path.name}"
    made = sops.seal({}, recipients, path.suffix.lstrip("."), where, deadline)
    sops_new.place(path.parent, path.name, made)


def _read(folder: Path, real: Path, where: str) -> bytes:
    return read_inside(folder, real, where, limit=sops_file.LIMIT, private=False)


def _load(data: bytes, real: Path, where: str, backends: Sequence[str]) -> sops_file.SopsFile:
    found = sops_file.load(data, real.name, where)
    sops_file.permit(found, backends, where)
    return found


def _copy(data: bytes, real: Path, draft: Path, where: str) -> None:
    try:
        mode = stat.S_IMODE(real.stat().st_mode)
        with os.fdopen(os.open(draft, replacing.DRAFT, 0o600), "wb") as file:
            file.write(data)
        draft.chmod(mode)
    except OSError as error:
        raise _unwritable(where, error) from None


def _path(pointer: str, where: str) -> str:
    """Write a JSON pointer as the path that ``sops set`` takes."""
    keys = tokens(pointer)
    if not all(keys) or any(PARTING & set(key) for key in keys) or keys[0] == "sops":
        what = f"sops cannot be told to write to {pointer}"
        raise SecretError(SecretProblem.REFUSED, where, what, "use keys of plain letters")
    return "".join(f"[{json.dumps(key)}]" for key in keys)


def _prove(
    data: bytes,
    old: sops_file.SopsFile,
    values: Mapping[str, Secret],
    where: str,
    backends: Sequence[str],
    deadline: float,
) -> None:
    """Refuse a copy that is not exactly the old file with the new values, all of it encrypted."""
    new = sops_file.load(data, f"copy.{old.form}", where)
    if {(r.kind, r.name) for r in new.recipients} != {(r.kind, r.name) for r in old.recipients}:
        raise _wrong(where, "sops wrote other recipients than the file had")
    _encrypted(new, values, where)
    program = sops.binary(deadline)
    was, now = (
        sops.decrypt(each, where, program=program, backends=backends, deadline=deadline)
        for each in (old, new)
    )
    if not _holds(now, {**was, **values}, set(values)):
        raise _wrong(where, "sops did not write what it was given")


def _encrypted(file: sops_file.SopsFile, pointers: Iterable[str], where: str) -> None:
    for pointer in pointers:
        if not isinstance(sops_file.scalar(file, pointer), str):
            raise _wrong(where, f"the file's own rules would leave {pointer} in clear text")


def _holds(now: sops.Values, wanted: sops.Values, new: set[str]) -> bool:
    """Tell whether a file has all that is wanted, and nothing more but maps around the new."""
    more = now.keys() - wanted.keys()
    if any(not any(each.startswith(f"{pointer}/") for each in new) for pointer in more):
        return False
    return all(_equal(now.get(p), value) for p, value in wanted.items() if p != "")


def _equal(one: Secret | str | None, other: Secret | str) -> bool:
    if isinstance(one, Secret) and isinstance(other, Secret):
        return one.expose() == other.expose()
    return isinstance(one, str) and isinstance(other, str) and one == other


def _replace(draft: Path, real: Path, unmoved: bool, where: str) -> None:  # noqa: FBT001 - told by its name
    if not unmoved:
        raise _wrong(where, "somebody changed the file meanwhile", "run again")
    try:
        replacing.replace(draft, real)
    except OSError as error:
        raise _unwritable(where, error) from None


def _unwritable(where: str, error: OSError) -> SecretError:
    what = f"the file cannot be replaced ({error.strerror})"
    return SecretError(SecretProblem.REFUSED, where, what, "make its folder writable")


def _wrong(
    where: str, what: str, way_out: str = "nothing was changed; see .sops.yaml"
) -> SecretError:
    return SecretError(SecretProblem.UNUSABLE, where, what, way_out)
