"""One file in another's place: whole, its owner's as before, and still so after a power cut."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Final

DRAFT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

STALE: Final = 600
"""Seconds after which a copy is a killed run's: no run takes so long."""


def replace(draft: Path, real: Path) -> None:
    """Give a finished draft a file's name, and that file's owner where we may. Raises OSError."""
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    _give(draft, real)
    draft.replace(real)
    settle(real.parent)


def _give(draft: Path, real: Path) -> None:
    if sys.platform != "win32" and real.exists():
        was, now = real.stat(), draft.stat()
        if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
            with contextlib.suppress(OSError):  # only root may give a file away
                os.chown(draft, was.st_uid, was.st_gid)


def settle(folder: Path) -> None:
    """Have the disk keep a new name, too; where folders cannot be opened, it keeps it by itself."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def sweep(folder: Path, begin: str, end: str = "") -> None:
    """Remove the copies that killed runs left: nobody's, named by twelve digits in between."""
    ours = re.compile(re.escape(begin) + "[0-9a-f]{12}" + re.escape(end))
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if ours.fullmatch(path.name) and time.time() - path.lstat().st_mtime > STALE:
                path.unlink()
