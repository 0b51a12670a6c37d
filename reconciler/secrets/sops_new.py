"""New SOPS files for somebody's recipients: sealed, proved, put in place whole, never over another.

byok need not be able to decrypt them: what is proved is that all is encrypted, and for whom.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import replacing, sops, sops_file
from reconciler.secrets.inside import locate, read_inside
from reconciler.secrets.process import DEADLINE
from reconciler.secrets.secret import Secret


def digest(data: bytes) -> str:
    """Return what tells a sealed file again: SHA-256 of its bytes, which are all ciphertext."""
    return hashlib.sha256(data).hexdigest()


def there(folder: Path, name: str) -> str:
    """Return the digest of what stands where a file is to be, empty where there is nothing.

    Raises SecretError for what is no file below the folder.
    """
    where = f"sops://{name}"
    real = locate(folder, name, where)
    if not os.path.lexists(real):
        return ""
    return digest(read_inside(folder, real, where, limit=sops_file.LIMIT, private=False))


def seal(
    name: str, values: Mapping[str, Secret], recipients: Sequence[str], deadline: float = DEADLINE
) -> bytes:
    """Return a new file's bytes: values at JSON pointers, encrypted for age recipients.

    Raises SecretError where sops refuses, wrote it for others, or left a value in clear text.
    """
    where = f"sops://{name}"
    form = "json" if name.lower().endswith(".json") else "yaml"
    data = sops.seal(values, recipients, form, where, deadline)
    found = sops_file.load(data, name, where)
    if {(each.kind, each.name) for each in found.recipients} != {("age", r) for r in recipients}:
        raise _wrong(where, "sops encrypted it for others than it was told")
    for pointer in values:
        if not isinstance(sops_file.scalar(found, pointer), str):
            raise _wrong(where, f"sops would leave {pointer} in clear text")
    return data


def place(folder: Path, name: str, data: bytes) -> None:
    """Put a sealed file where there is none, whole or not at all, and read it back.

    Raises SecretError: refused where something is there by now, or the disk does not take it.
    """
    where = f"sops://{name}"
    real = locate(folder, name, where)
    draft = real.with_name(f".{real.stem}.{digest(data)[:12]}{real.suffix}")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        _write(draft, data)
        _name(draft, real)
        replacing.settle(real.parent)
    except FileExistsError:
        raise taken(where) from None
    except OSError as error:
        what = f"the file cannot be made ({error.strerror})"
        way_out = "make its folder writable, or name another --to"
        raise SecretError(SecretProblem.REFUSED, where, what, way_out) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    if there(folder, name) != digest(data):
        raise _wrong(where, "the file does not give back what was written to it")


def _name(draft: Path, real: Path) -> None:
    """Give a draft its name; a link, unlike a rename, never takes another's place."""
    try:
        os.link(draft, real)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(real):
            raise FileExistsError from None
        draft.replace(real)


def forget(folder: Path, name: str, sealed: str) -> None:
    """Remove the draft that a killed run may have left of a file with this digest."""
    real = locate(folder, name, f"sops://{name}")
    with contextlib.suppress(OSError):
        real.with_name(f".{real.stem}.{sealed[:12]}{real.suffix}").unlink(missing_ok=True)


def taken(where: str) -> SecretError:
    """Word that something else stands where a new file was to be."""
    what = "is another file, which byok did not make and does not replace"
    return SecretError(SecretProblem.REFUSED, where, what, "name another --to")


def _write(draft: Path, data: bytes) -> None:
    with os.fdopen(os.open(draft, replacing.DRAFT, 0o644), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(0o644)  # for git and for its reader: all of it is ciphertext


def _wrong(where: str, what: str) -> SecretError:
    return SecretError(SecretProblem.UNUSABLE, where, what, "nothing was kept; see sops --version")
