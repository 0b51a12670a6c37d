"""Read and write single rows of Cursor's settings database without ever disturbing its owner."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from reconciler.errors import CursorBusy
from reconciler.systems.cursor.splice import SpliceError, check

Rows: TypeAlias = Mapping[str, str]
Patch: TypeAlias = Callable[[Rows], Mapping[str, str | None]]
_Version: TypeAlias = tuple[int, int, int, int]

BUSY_SECONDS: Final = 2.0
"""How long to wait for a lock; the editor itself waits one second (its SQLite binding)."""

_MAGIC: Final = b"SQLite format 3\x00"
_WAL_VERSION: Final = 2  # header byte 18 or 19 of a database in WAL mode (sqlite.org/fileformat2)
_HALF_DONE: Final = "a program that was killed left a change half done in it"
_TAKE_BACK: Final = "byok apply takes that back, or Cursor does: start it and quit it"
_MOST_KEYS: Final = 500
_UPSERT: Final = (
    "INSERT INTO ItemTable (key, value) VALUES (?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


class HalfDone(CursorBusy):
    """A killed program left a transaction half done (a hot journal), so nothing can be read."""


def read(
    path: Path,
    keys: Collection[str],
    *,
    prefixes: Sequence[str] = (),
    busy_seconds: float = BUSY_SECONDS,
) -> Rows:
    """Return the rows of ItemTable with these keys or key prefixes, as text, in one open.

    Writes nothing to the main file or the WAL. Measured with SQLite 3.40: opening ``mode=ro`` in
    WAL mode leaves a ``-shm`` and an empty ``-wal`` behind where there were none; so a WAL
    database without a ``-wal`` file (its whole content is in the main file) is opened
    ``immutable`` instead, and read again if it moved meanwhile. Where a ``-wal`` stands its
    ``-shm`` index may be made or refreshed; neither is ever removed, another program may have
    opened it. Raises CursorBusy, HalfDone where only a write could make it readable.
    """
    for _ in range(3):
        before = _inspect(path)
        still = before.wal and not _wal_of(path).exists()
        mode = "mode=ro&immutable=1" if still else "mode=ro"
        with _explained(path), closing(_connect(path, mode, busy_seconds)) as connection:
            connection.execute("PRAGMA query_only = ON")
            _check_form(connection, path)
            rows = _fetch(connection, path, keys, prefixes)
        if not still or (not _wal_of(path).exists() and _inspect(path) == before):
            return rows
    raise _busy(path, "it keeps changing while it is read", "quit Cursor and try again")


def write(
    path: Path,
    keys: Collection[str],
    patch: Patch,
    *,
    prefixes: Sequence[str] = (),
    busy_seconds: float = BUSY_SECONDS,
) -> None:
    """Change rows in one short transaction, in place.

    ``patch`` gets the rows as they are inside the transaction and returns new texts, or None to
    delete; what it raises rolls everything back. Rows whose text is the same are skipped. The
    journal mode stays, deleted text is overwritten with zeros. Raises CursorBusy, with nothing
    changed.
    """
    _inspect(path)
    _check_writable(path)
    with _explained(path), closing(_connect(path, "mode=rw", busy_seconds)) as connection:
        connection.execute("PRAGMA secure_delete = ON").fetchall()
        with _transaction(connection):
            _check_form(connection, path)
            rows = _fetch(connection, path, keys, prefixes)
            wanted = {k: text for k, text in patch(rows).items() if rows.get(k) != text}
            for key, text in wanted.items():
                _validate(path, rows.get(key), text)
            _store(connection, wanted)


def take_back(path: Path) -> None:
    """Let SQLite take back what a killed program left half done: the last whole state stands again.

    SQLite does so by itself before the first read of whoever may write
    (https://sqlite.org/lockingv3.html, "hot journals"). Raises CursorBusy.
    """
    _inspect(path)
    _check_writable(path)
    with _explained(path), closing(_connect(path, "mode=rw", BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA query_only = ON")
        _check_form(connection, path)


def _store(connection: sqlite3.Connection, wanted: Mapping[str, str | None]) -> None:
    for key, text in wanted.items():
        if text is None:
            connection.execute("DELETE FROM ItemTable WHERE key = ?", (key,))
        else:
            connection.execute(_UPSERT, (key, text))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has rolled back by itself after a full disk
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
    # as_uri quotes ? # % and spaces; isolation_level None: no transaction but our own
    uri = f"{path.as_uri()}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None)
    connection.text_factory = bytes
    return connection


def _fetch(
    connection: sqlite3.Connection, path: Path, keys: Collection[str], prefixes: Sequence[str]
) -> dict[str, str]:
    """Look rows up through the index on key only: the table may hold gigabytes."""
    if len(keys) > _MOST_KEYS:
        raise ValueError("too many keys for one statement")
    where = [f"key IN ({','.join('?' * len(keys))})", *("(key >= ? AND key < ?)" for _ in prefixes)]
    ranges = [end for prefix in prefixes for end in (prefix, _after(prefix))]
    query = f"SELECT key, value FROM ItemTable WHERE {' OR '.join(where)}"  # noqa: S608 (only marks)
    found = connection.execute(query, [*keys, *ranges]).fetchall()
    rows = {key.decode(): value for key, value in found if value is not None}
    # A row found by prefix may be a stranger's: what is no text is shown as one nobody can open.
    return {k: _text(path, k, v) if k in keys else _shown(v) for k, v in rows.items()}


def _after(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _text(path: Path, key: str, value: object) -> str:
    """Return a TEXT or BLOB value as text; the editor writes TEXT, some tools write BLOBs."""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    raise _unknown(path, f"the row {key!r} is not text")


def _shown(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _check_form(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != 1:
        raise _unknown(path, f"its user_version is {version}, not 1")
    names = {row[1] for row in connection.execute("PRAGMA table_info(ItemTable)")}
    if not {b"key", b"value"} <= names:
        raise _unknown(path, "its table ItemTable lacks the columns key and value")


class _Seen:
    """What a look at the file told: whether it is in WAL mode, and which version it is."""

    __slots__ = ("version", "wal")

    def __init__(self, version: _Version, *, wal: bool) -> None:
        self.version, self.wal = version, wal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Seen) and self.version == other.version

    __hash__ = None  # type: ignore[assignment]


def _inspect(path: Path) -> _Seen:
    """Look at the file before SQLite does: closing it later would drop SQLite's POSIX locks."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise _unknown(path, "it is not a regular file")
        _check_owner(path, status)
        with path.open("rb") as file:
            head = file.read(20)
    except FileNotFoundError as error:
        raise _busy(path, "there is no such database", "start Cursor once and quit it") from error
    except OSError as error:
        raise _busy(path, f"cannot be read ({error.strerror})", "check its permissions") from error
    if head[:16] != _MAGIC:
        raise _unknown(path, "it is not an SQLite database")
    version = (status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns)
    return _Seen(version, wal=_WAL_VERSION in head[18:20])


def _check_owner(path: Path, status: os.stat_result) -> None:
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise _busy(path, "it belongs to another user", "run byok as the user who runs Cursor")


def _check_writable(path: Path) -> None:
    """Refuse what the mode bits forbid, also as root, before SQLite opens anything."""
    if not path.stat().st_mode & stat.S_IWUSR:
        raise _busy(path, "it is read-only", "make it writable for its owner")


def _validate(path: Path, before: str | None, after: str | None) -> None:
    """Refuse to commit what the editor could not parse: it would lose all its settings."""
    if after is None or not (after.startswith("{") or (before or "").startswith("{")):
        return
    try:
        check(after)
    except SpliceError:
        raise _unknown(path, "the edited row would not be JSON") from None


def _wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        if name == "SQLITE_READONLY_ROLLBACK":
            raise HalfDone(str(path), _HALF_DONE, _TAKE_BACK) from error
        raise _busy(path, *_reason(name)) from error


def _reason(name: str) -> tuple[str, str]:
    """Return what is wrong and the way out for the name of an SQLite result code."""
    match name.split("_")[1:2]:
        case ["BUSY"] | ["LOCKED"]:
            return "another program holds its lock", "quit Cursor and try again"
        case ["FULL"] | ["IOERR"]:
            return f"the disk is full or failing ({name})", "free some space and try again"
        case ["READONLY"] | ["CANTOPEN"] | ["PERM"] | ["AUTH"]:
            return (
                f"it cannot be opened as needed ({name})",
                "check the permissions of file and folder",
            )
        case _:
            return f"it is damaged or of an unknown form ({name})", "start Cursor once and quit it"


def _busy(path: Path, what: str, way_out: str) -> CursorBusy:
    return CursorBusy(str(path), what, way_out)


def _unknown(path: Path, detail: str) -> CursorBusy:
    return _busy(
        path, f"it is in a form we do not know: {detail}", "check for a newer byok; nothing changed"
    )
