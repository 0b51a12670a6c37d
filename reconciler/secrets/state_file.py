"""Small private key files of the state directory: made once, atomically; read with suspicion."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from typing import TYPE_CHECKING

from reconciler.errors import SecretError, SecretProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ELSEWHERE = "make it writable, or name another state directory with --state-dir"

_CLOSED = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _CLOSED
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSED


def load(state_dir: Path, name: str, size: int) -> bytes | None:
    """Return the bytes of a private file of exactly ``size`` bytes, or None when it is absent.

    Raises SecretError (refused): other owner, mode wider than 0600, symlink, other size.
    """
    path = state_dir / name
    try:
        number = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError:
        raise _refused(path, "it cannot be opened, or is a symlink") from None
    try:
        _judge(path, os.fstat(number), size)
        return os.read(number, size)
    finally:
        os.close(number)


def load_or_create(state_dir: Path, name: str, size: int, make: Callable[[], bytes]) -> bytes:
    """Return the bytes of a private file, made by ``make`` when absent; two makers agree on one.

    The directory is made 0700. Raises SecretError (refused) as `load` does, and for a directory
    of somebody else or one that others may write to.
    """
    found = load(state_dir, name, size)
    if found is not None:
        return found
    _prepare(state_dir)
    _create(state_dir, name, make())
    found = load(state_dir, name, size)
    if found is None:
        raise _refused(state_dir / name, "it vanished while it was being made")
    return found


def _prepare(state_dir: Path) -> None:
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = state_dir.stat()
    except OSError:
        raise _refused(state_dir, "the directory cannot be made", ELSEWHERE) from None
    if _foreign(status):
        raise _refused(state_dir, "the directory belongs to another user")
    if os.name == "posix" and status.st_mode & 0o022:
        raise _refused(state_dir, "others may write to the directory", "chmod 700 it")


def _create(state_dir: Path, name: str, data: bytes) -> None:
    # Written under another name and then linked: a link never replaces what is already there.
    draft = state_dir / f".{name}.{secrets.token_hex(8)}"
    try:
        _write(draft, data)
        os.link(draft, state_dir / name)
    except FileExistsError:
        pass
    except OSError:
        _write_directly(state_dir / name, data)
    finally:
        with contextlib.suppress(OSError):  # a read-only file system refuses that, too
            draft.unlink(missing_ok=True)


def _write_directly(path: Path, data: bytes) -> None:
    # For file systems without hard links.
    try:
        _write(path, data)
    except FileExistsError:
        pass
    except OSError:
        raise _refused(path, "it cannot be written", ELSEWHERE) from None


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, _MAKE, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _judge(path: Path, status: os.stat_result, size: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "it is not a regular file")
    if _foreign(status):
        raise _refused(path, "it belongs to another user")
    if os.name == "posix" and status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise _refused(path, f"others may read it (mode {mode:04o})", "chmod 600 it")
    if status.st_size != size:
        what = f"it has {status.st_size} bytes instead of {size}"
        raise _refused(path, what, "restore it, or move it away: then all fingerprints change")


def _foreign(status: os.stat_result) -> bool:
    if sys.platform == "win32":
        return False
    return status.st_uid != os.geteuid()


def _refused(path: Path, what: str, way_out: str = "") -> SecretError:
    return SecretError(SecretProblem.REFUSED, str(path), what, way_out)
