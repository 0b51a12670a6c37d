"""Reading files that must lie inside the manifest's folder, whatever symlinks say."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import SecretError, SecretProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FILE = _FLAGS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FOLDER = _FLAGS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0)


def locate(folder: Path, name: str, where: str) -> Path:
    """Return the real path of a file named relative to the folder, symlinks resolved.

    Raises SecretError: refused when the real path is outside the folder.
    """
    try:
        root, real = folder.resolve(), (folder / name).resolve()
    except (OSError, RuntimeError):
        raise _error(SecretProblem.REFUSED, where, "its path cannot be resolved") from None
    if not real.is_relative_to(root):
        what = "the file lies outside the manifest's folder, or a symlink leads there"
        raise _error(SecretProblem.REFUSED, where, what, "move it beside the manifest")
    return real


def read_inside(folder: Path, real: Path, where: str, *, limit: int, private: bool) -> bytes:
    """Return the bytes of a regular file at a path that `locate` gave.

    Each folder on the way is opened without following symlinks, so that nothing can be exchanged
    between check and use. ``private`` refuses a file that group or others may read.
    Raises SecretError: no such item, refused, unusable value (more than ``limit`` bytes).
    """
    try:
        with _opened(folder.resolve(), real) as number:
            _judge(os.fstat(number), where, private=private)
            data = _read(number, limit + 1)
    except OSError as error:
        raise _explain(error, where) from None
    if len(data) > limit:
        raise _error(SecretProblem.UNUSABLE, where, f"the file is larger than {limit:,} bytes")
    return data


@contextmanager
def _opened(root: Path, real: Path) -> Iterator[int]:
    opened: list[int] = []
    try:
        if os.open in os.supports_dir_fd:
            opened.append(os.open(root, _FOLDER))
            *folders, last = real.relative_to(root).parts or (".",)
            for part in folders:
                opened.append(os.open(part, _FOLDER, dir_fd=opened[-1]))
            opened.append(os.open(last, _FILE, dir_fd=opened[-1]))
        else:
            opened.append(os.open(real, _FILE))
        yield opened[-1]
    finally:
        for number in reversed(opened):
            os.close(number)


def _judge(status: os.stat_result, where: str, *, private: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _error(SecretProblem.REFUSED, where, "it is not a regular file")
    if private and os.name == "posix" and status.st_mode & 0o077:
        what = f"others may read the file (mode {stat.S_IMODE(status.st_mode):04o})"
        raise _error(SecretProblem.REFUSED, where, what, "take that away: chmod 600")


def _read(number: int, most: int) -> bytes:
    parts: list[bytes] = []
    while most > 0 and (part := os.read(number, most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _explain(error: OSError, where: str) -> SecretError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _error(SecretProblem.NO_ITEM, where, "there is no such file")
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return _error(SecretProblem.REFUSED, where, "the file turned into a symlink meanwhile")
    return _error(SecretProblem.REFUSED, where, "the file cannot be read", "check its permissions")


def _error(kind: SecretProblem, where: str, what: str, way_out: str = "") -> SecretError:
    return SecretError(kind, where, what, way_out)
