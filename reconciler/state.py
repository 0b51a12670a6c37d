"""The state directory: private files of ours, and the lock that lets one writer in at a time."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from reconciler.errors import ByokError, CursorBusy

LOCK = "writer.db"


def directory(chosen: Path | None, env: Mapping[str, str]) -> Path:
    """Return the state directory: the option, ``BYOK_STATE_DIR``, else the platform's own."""
    if chosen is not None:
        return chosen.absolute()
    if named := env.get("BYOK_STATE_DIR"):
        return Path(named).absolute()
    from platformdirs import user_state_path

    return user_state_path("byok", appauthor=False)


def make_private(path: Path) -> Path:
    """Make the state directory, mode 0700, or check the one that is there.

    Raises ByokError when it is no directory, belongs to somebody else, or others may write to it:
    they could put another ledger in place of ours.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise ByokError(
            str(path),
            f"the state directory cannot be made ({error.strerror})",
            "name another with --state-dir",
        ) from None
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise ByokError(str(path), "the state directory belongs to another user", "use your own")
    if os.name == "posix" and found.st_mode & 0o022:
        raise ByokError(str(path), "others may write to the state directory", "chmod 700 it")
    return path


def make_file(path: Path) -> None:
    """Make an empty file of ours, mode 0600, or check that the one there is a plain file of ours.

    The one there is not opened: closing any descriptor of a file takes away the locks that this
    process holds on it (POSIX fcntl), and SQLite's are of that kind.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        _check_file(path)
    except OSError as error:
        raise _unusable(path, error) from None


def _check_file(path: Path) -> None:
    try:
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and os.name == "posix" and found.st_mode & 0o077:
            path.chmod(0o600)  # a restored backup, perhaps
    except OSError as error:
        raise _unusable(path, error) from None
    if not stat.S_ISREG(found.st_mode):
        raise ByokError(str(path), "is not a plain file", "move it away")


def _unusable(path: Path, error: OSError) -> ByokError:
    return ByokError(
        str(path),
        f"cannot be opened ({error.strerror})",
        "see that it is a plain file of yours and that the disk has room",
    )


@contextmanager
def single_writer(
    state_dir: Path, command: str, seconds: float, *, lock: str = LOCK, doing: str = "writing"
) -> Iterator[None]:
    """Hold the one writer's place; a second writer waits for this many seconds.

    The lock is SQLite's own, so a killed process leaves nothing behind. Another ``lock`` is
    another place, for what its holder is ``doing``.
    Raises CursorBusy naming the process that holds it.
    """
    path = make_private(state_dir) / lock
    make_file(path)
    db = sqlite3.connect(path, timeout=seconds, isolation_level=None)
    try:
        _enter(db, path, command, doing)
        yield
    finally:
        db.close()


def _enter(db: sqlite3.Connection, path: Path, command: str, doing: str) -> None:
    since = datetime.now(UTC).strftime("%H:%M:%S UTC")
    name = f"process {os.getpid()} ({command}, since {since})"
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("CREATE TABLE IF NOT EXISTS holder (what TEXT NOT NULL)")
        while db.execute("SELECT what FROM holder").fetchall() != [(name,)]:
            db.execute("DELETE FROM holder")
            db.execute("INSERT INTO holder VALUES (?)", (name,))
            db.execute("COMMIT")  # now others can read the name; one may slip in and write its own
            db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise _refusal(db, path, error, doing) from None
    except sqlite3.DatabaseError:
        raise ByokError(str(path), "is damaged", "delete this file, it holds nothing") from None


def _refusal(
    db: sqlite3.Connection, path: Path, error: sqlite3.OperationalError, doing: str
) -> ByokError:
    if "locked" not in str(error):
        return ByokError(str(path), f"cannot be written ({error})", "see the disk and its rights")
    return CursorBusy(
        str(path.parent),
        f"another byok is {doing}: {_holder(db)}",
        "wait for it to end, or give --wait SECONDS" if doing == "writing" else "one is enough",
    )


def _holder(db: sqlite3.Connection) -> str:
    try:
        row = db.execute("SELECT what FROM holder").fetchone()
    except sqlite3.Error:
        row = None
    return str(row[0]) if row else "a process that does not say its name"
