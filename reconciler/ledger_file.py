"""The ledger's file: its tables, how it is opened to read or to write, and its errors in words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.codec import decode
from reconciler.errors import ByokError
from reconciler.model import Record
from reconciler.state import make_file

VERSION = 2
FILE = "ledger.db"
_BUSY_SECONDS = 5.0

TABLES = """
CREATE TABLE run (id INTEGER PRIMARY KEY, command TEXT NOT NULL, owner TEXT NOT NULL,
  started TEXT NOT NULL, ended TEXT, outcome TEXT NOT NULL DEFAULT 'unfinished');
CREATE TABLE step (id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(id),
  system TEXT NOT NULL, owner TEXT NOT NULL, address TEXT NOT NULL, change TEXT NOT NULL,
  previous TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL DEFAULT '',
  started TEXT NOT NULL, ended TEXT);
CREATE INDEX step_state ON step(system, owner, state);
CREATE INDEX step_run ON step(run);
CREATE TABLE written (system TEXT NOT NULL, owner TEXT NOT NULL, address TEXT NOT NULL,
  name TEXT NOT NULL, value TEXT NOT NULL, before TEXT NOT NULL, adopted INTEGER NOT NULL,
  version TEXT, cell TEXT, pending INTEGER NOT NULL DEFAULT 0, at TEXT NOT NULL,
  since TEXT NOT NULL, PRIMARY KEY (system, owner, address, name)) WITHOUT ROWID;
CREATE TABLE snapshot (id INTEGER PRIMARY KEY, step INTEGER NOT NULL REFERENCES step(id),
  address TEXT NOT NULL, name TEXT NOT NULL, copy BLOB NOT NULL);
CREATE INDEX snapshot_step ON snapshot(step);
CREATE TABLE approval (ref TEXT NOT NULL, origin TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (ref, origin)) WITHOUT ROWID;
"""

SECOND = """
CREATE TABLE rotation (id INTEGER PRIMARY KEY, system TEXT NOT NULL, owner TEXT NOT NULL,
  holder TEXT NOT NULL, stage TEXT NOT NULL, data TEXT NOT NULL, started TEXT NOT NULL,
  moved TEXT NOT NULL);
CREATE TABLE key_copy (rotation INTEGER NOT NULL REFERENCES rotation(id), role TEXT NOT NULL,
  name TEXT NOT NULL, copy BLOB NOT NULL, PRIMARY KEY (rotation, role, name)) WITHOUT ROWID;
CREATE TABLE key (id INTEGER PRIMARY KEY, system TEXT NOT NULL, owner TEXT NOT NULL,
  fingerprints TEXT NOT NULL, refs TEXT NOT NULL, key_id TEXT NOT NULL, name TEXT NOT NULL,
  holder TEXT NOT NULL, made TEXT NOT NULL, retired TEXT NOT NULL DEFAULT '');
"""
"""What version 2 added: the ways of new keys, encrypted copies on the way, and the keys."""

RECORD = """
INSERT OR REPLACE INTO written VALUES (?,?,?,?,?,?,?,?,?,?,?, coalesce(
  (SELECT since FROM written WHERE system=? AND owner=? AND address=? AND name=?
   AND json_extract(value, '$.fingerprint') = json_extract(?, '$.fingerprint')), ?))
"""
"""Record an attribute; ``since`` stays for as long as the same secret stands there."""


class Book(sqlite3.Connection):
    """A connection whose failures are ByokErrors that name the file and the way out."""

    where = FILE

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement. Raises ByokError."""
        with _worded(self.where):
            return super().execute(sql, parameters)

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query at once, so that no lock outlives the call. Raises ByokError.

        A damaged page is met while fetching, not before.
        """
        with _worded(self.where):
            return super().execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that is written inside happen, or nothing of it. Raises ByokError."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:  # SQLite itself takes some failures back, as a full disk
                self.execute("ROLLBACK")
            raise


def as_record(value: str, before: str, adopted: int) -> Record:
    """Read a record from its columns. Raises ValueError when they hold no values of ours."""
    return Record(decode(json.loads(value)), decode(json.loads(before)), bool(adopted))


def open_reader(path: Path) -> Book:
    """Open a ledger to read; one that nobody wrote to yet is empty. Raises ByokError.

    The file is opened for writing and then held to queries: what a killed writer left half done
    (a hot journal) has to be taken back before anything can be read, and SQLite refuses to do so
    under ``mode=ro`` (https://sqlite.org/lockingv3.html, "hot journals").
    """
    if path.exists():
        with _kept_if_well(_connect(path)) as db:
            db.execute("PRAGMA query_only=ON")
            if not _blank(db):
                return _completed(_checked(db))
        db.close()
    return _empty()


def open_writer(path: Path) -> Book:
    """Open a ledger to write, and make it where there is none, mode 0600. Raises ByokError."""
    make_file(path)
    with _kept_if_well(_connect(path)) as db:
        db.execute("PRAGMA synchronous=FULL")
        if _blank(db):
            with db.transaction():
                if _blank(db):  # another process may have made the tables in between
                    _make_tables(db)
        return _brought_up(_checked(db))


def _completed(db: Book) -> Book:
    """Give an older ledger, which is only read, the tables it lacks, in memory."""
    if _version(db) < VERSION:
        db.execute("PRAGMA query_only=OFF")
        _make(db, SECOND.replace("CREATE TABLE", "CREATE TEMP TABLE"))
        db.execute("PRAGMA query_only=ON")
    return db


def _brought_up(db: Book) -> Book:
    """Bring an older ledger up to this version; all that it holds stays."""
    if _version(db) < VERSION:
        with db.transaction():
            if _version(db) < VERSION:
                _make(db, SECOND)
                db.execute(f"PRAGMA user_version={VERSION}")
    return db


@contextmanager
def _kept_if_well(db: Book) -> Iterator[Book]:
    """Close a ledger that turns out to be unusable while it is opened."""
    try:
        yield db
    except BaseException:
        db.close()
        raise


def _empty() -> Book:
    db = sqlite3.connect(":memory:", isolation_level=None, factory=Book)
    _make_tables(db)
    return db


def _make(db: Book, tables: str) -> None:
    for statement in tables.split(";"):
        db.execute(statement)


def _make_tables(db: Book) -> None:
    _make(db, TABLES + SECOND)
    db.execute(f"PRAGMA user_version={VERSION}")


def _connect(path: Path) -> Book:
    with _worded(str(path)):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            factory=Book,
        )
    db.where = str(path)
    return db


def _version(db: Book) -> int:
    return int(db.rows("PRAGMA user_version")[0][0])


def _blank(db: Book) -> bool:
    """Tell whether there is nothing yet: a writer was killed between the file and its tables."""
    return _version(db) == 0 and not db.rows("SELECT 1 FROM sqlite_master LIMIT 1")


def _checked(db: Book) -> Book:
    version = _version(db)
    if 1 <= version <= VERSION:
        return db
    raise ByokError(
        db.where,
        f"the ledger is of version {version}, this byok reads {VERSION}",
        "use the byok that wrote it, or another --state-dir",
    )


@contextmanager
def _worded(where: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ByokError(
            where,
            f"the ledger cannot be used ({error})",
            "see the disk and the file's rights, restore it, or move it away:"
            " values in place are then adopted, not removed",
        ) from None
