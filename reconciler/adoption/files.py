"""New files of ours beside the manifest: whole or not at all, never in place of another."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from reconciler import schemas
from reconciler.adoption.text import SCHEMA
from reconciler.errors import ByokError

_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def refuse_existing(path: Path) -> None:
    """Raise ByokError where a file is there already, or nothing can be written beside it."""
    if path.exists() or path.is_symlink():
        raise ByokError(str(path), "is there already", "name another with -f, or move it away")
    folder = path.parent
    if not folder.is_dir():
        raise ByokError(str(folder), "is no folder", "make it first")
    probe = folder / f".byok.{secrets.token_hex(6)}"
    try:
        os.close(os.open(probe, _DRAFT, 0o600))
        probe.unlink()
    except OSError as error:
        what = f"nothing can be written here ({error.strerror})"
        raise ByokError(str(folder), what, "name another place with -f") from None


def write_new(path: Path, text: str) -> None:
    """Write a file that was not there, in one step. Raises ByokError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with os.fdopen(os.open(draft, _DRAFT, 0o644), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)  # it holds no secret, and a team reads it
        _name(draft, path)
    except FileExistsError:
        raise ByokError(str(path), "is there already", "name another with -f") from None
    except OSError as error:
        what = f"it cannot be written ({error.strerror})"
        raise ByokError(str(path), what, "name another place with -f") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _name(draft: Path, path: Path) -> None:
    """Give a finished draft its name; unlike a rename, a link replaces nothing."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError from None
        draft.replace(path)


def make_folder(path: Path) -> None:
    """Make a folder where there is none. Raises ByokError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder cannot be made ({error.strerror})"
        raise ByokError(str(path), what, "name another place") from None


def write_schema(folder: Path) -> Path | None:
    """Write the manifest's schema for editors where there is none; return where, None if not."""
    path = folder / SCHEMA
    if path.exists() or path.is_symlink():
        return None
    write_new(path, json.dumps(schemas.bundle(), indent=2) + "\n")
    return path
