"""The database: read without a trace, written in place or not at all."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.errors import CursorBusy
from reconciler.systems.cursor import store
from reconciler.systems.cursor.paths import database as resolved
from tests.cursor_editor import SETTINGS, database, image, profile, put_rows, rows, tear

WAL = pytest.mark.parametrize("wal", [False, True], ids=["rollback journal", "wal"])


@pytest.fixture
def home(tmp_path):
    return profile(tmp_path / "Cur sor?#%41")


def journal(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("PRAGMA journal_mode").fetchone()[0])


@WAL
def test_reading_leaves_every_byte_and_no_new_file(tmp_path, wal):
    home = profile(tmp_path / "c", wal=wal)
    put_rows(
        home,
        {"secret://cursorAuth/a": "1", "secret://cursorAuth0": "2", "cursorAuth/openAIKey": "k"},
    )
    before = image(home)
    found = store.read(
        database(home), [SETTINGS, "cursorAuth/openAIKey"], prefixes=["secret://cursorAuth/"]
    )
    assert image(home) == before
    assert list(database(home).parent.iterdir()) == [database(home)]
    assert set(found) == {SETTINGS, "cursorAuth/openAIKey", "secret://cursorAuth/a"}


def test_wal_content_of_an_open_editor_is_seen_and_left(tmp_path):
    home = profile(tmp_path / "c", wal=True)
    with closing(sqlite3.connect(database(home))) as editor:
        editor.execute("INSERT INTO ItemTable VALUES ('k', 'in the wal')")
        editor.commit()
        before = image(home)
        assert store.read(database(home), ["k"]) == {"k": "in the wal"}
        assert image(home) == before


def test_wal_content_after_a_crash_is_seen_and_left(tmp_path):
    home, copy = profile(tmp_path / "c", wal=True), tmp_path / "copy"
    with closing(sqlite3.connect(database(home))) as editor:
        editor.execute("INSERT INTO ItemTable VALUES ('k', 'in the wal')")
        editor.commit()
        copy.mkdir()
        for name in ("state.vscdb", "state.vscdb-wal"):
            (copy / name).write_bytes((database(home).parent / name).read_bytes())
    before = image(copy)
    assert store.read(copy / "state.vscdb", ["k"]) == {"k": "in the wal"}
    assert image(copy) == before


def test_what_a_killed_program_left_half_done_is_told_to_readers_and_taken_back_for_writers(home):
    put_rows(home, {"k": "whole"})
    tear(home)
    before = image(home)
    with pytest.raises(store.HalfDone, match="half done in it; byok apply takes that back"):
        store.read(database(home), ["k"])
    assert image(home) == before

    store.take_back(database(home))

    assert store.read(database(home), ["k", "torn1"]) == {"k": "whole"}
    assert [path.name for path in database(home).parent.iterdir()] == ["state.vscdb"]


def test_a_half_done_change_in_a_read_only_database_stays(home):
    tear(home)
    database(home).chmod(0o400)
    before = image(home)
    with pytest.raises(CursorBusy, match="read-only"):
        store.take_back(database(home))
    assert image(home) == before


def test_blobs_are_read_as_text_and_other_types_refused(home):
    put_rows(home, {"blob": "é".encode(), "null": None, "number": 7, "bytes": b"\xff"})
    assert store.read(database(home), ["blob", "null"]) == {"blob": "é"}
    for key in ("number", "bytes"):
        with pytest.raises(CursorBusy, match="form we do not know"):
            store.read(database(home), [key])


@WAL
def test_writing_changes_the_asked_rows_and_keeps_the_journal_mode(tmp_path, wal):
    home = profile(tmp_path / "c", wal=wal)
    put_rows(home, {"blob": b"old", "gone": "x", "same": "s", "stranger": b"\x00\xff"})
    before, inode = rows(home), database(home).stat().st_ino
    patch = {"blob": "new", "gone": None, "same": "s", "fresh": "f", "never": None}
    store.write(database(home), list(patch), lambda _: patch)
    after = rows(home)
    assert after == {k: v for k, v in before.items() if k != "gone"} | {"blob": "new", "fresh": "f"}
    assert database(home).stat().st_ino == inode
    assert journal(database(home)) == ("wal" if wal else "delete")
    assert not database(home).with_name("state.vscdb-wal").exists()


def test_a_write_of_the_same_changes_no_byte(home):
    before = image(home)
    store.write(database(home), [SETTINGS], dict)
    assert image(home) == before


def test_deleted_text_is_not_left_in_free_pages(home):
    put_rows(home, {"k": "FINDME" * 3000})
    store.write(database(home), ["k"], lambda _: {"k": None})
    assert b"FINDMEFINDME" not in database(home).read_bytes()


@pytest.mark.parametrize("after", ['{"a":NaN}', "", "[]", '{"a":'])
def test_json_that_the_editor_could_not_parse_is_never_committed(home, after):
    before = image(home)
    with pytest.raises(CursorBusy, match="would not be JSON"):
        store.write(database(home), [SETTINGS], lambda _: {"k": "v", SETTINGS: after})
    assert image(home) == before


def test_what_the_patch_raises_rolls_back(home):
    before = image(home)
    with pytest.raises(KeyError):
        store.write(database(home), [SETTINGS], lambda _: {}["no"])
    assert image(home) == before


def _spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "missing":
            path.unlink()
        case "directory":
            path.unlink()
            path.mkdir()
        case "zero length":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"no database" * 1000)
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "corrupt":
            path.write_bytes(data[:100] + b"\xff" * (len(data) - 100))
        case "read-only":
            path.chmod(0o400)
        case statement:
            with closing(sqlite3.connect(path)) as db, db:
                db.executescript(statement)


REFUSALS = {
    "missing": "no such database",
    "directory": "not a regular file",
    "zero length": "not an SQLite database",
    "garbage": "not an SQLite database",
    "truncated": "damaged|disk|form",
    "corrupt": "damaged|form",
    "PRAGMA user_version = 2": "user_version is 2",
    "PRAGMA user_version = 0": "user_version is 0",
    "DROP TABLE ItemTable": "lacks the columns",
    "ALTER TABLE ItemTable RENAME COLUMN value TO v": "lacks the columns",
}


@pytest.mark.parametrize("how", [*REFUSALS, "read-only"])
def test_refusals_leave_every_byte(home, how):
    _spoil(database(home), how)
    before = image(home)
    path = resolved(home)
    if how != "read-only":
        with pytest.raises(CursorBusy, match=REFUSALS[how]) as caught:
            store.read(path, [SETTINGS])
        assert caught.value.way_out
    with pytest.raises(CursorBusy, match=REFUSALS.get(how, "read-only")):
        store.write(path, [SETTINGS], lambda _: {"k": "v"})
    assert image(home) == before


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_locked_database_is_busy_and_unchanged(home, mode):
    with closing(sqlite3.connect(database(home), isolation_level=None)) as editor:
        editor.execute(f"BEGIN {mode}")
        before = image(home)
        with pytest.raises(CursorBusy, match="holds its lock"):
            store.write(database(home), ["k"], lambda _: {"k": "v"}, busy_seconds=0.05)
        editor.execute("ROLLBACK")
        assert image(home) == before


def test_a_symlinked_folder_is_written_where_it_lies(home, tmp_path):
    other = tmp_path / "other"
    (other / "User").mkdir(parents=True)
    (other / "User" / "globalStorage").symlink_to(database(home).parent)
    assert resolved(other) == database(home).resolve()
    store.write(resolved(other), ["k"], lambda _: {"k": "v"})
    assert rows(home)["k"] == "v"


def test_another_users_database_is_refused(home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(CursorBusy, match="another user"):
        store.read(database(home), [SETTINGS])


def test_two_writers_lose_nothing(home):
    def editor():
        for number in range(40):
            with closing(sqlite3.connect(database(home), timeout=30)) as db, db:
                db.execute("INSERT INTO ItemTable VALUES (?, 'theirs')", (f"theirs{number}",))

    thread = threading.Thread(target=editor)
    thread.start()
    for number in range(40):
        key = f"ours{number}"
        store.write(database(home), [key], lambda _, k=key: {k: "v"}, busy_seconds=30)
    thread.join()
    assert sum(key.startswith(("ours", "theirs")) for key in rows(home)) == 80


FULL = """
import resource, signal, sys
from pathlib import Path
from reconciler.errors import CursorBusy
from reconciler.systems.cursor import store
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4096, resource.RLIM_INFINITY))
try:
    store.write(path, ["k"], lambda _: {"k": "v" * 1_000_000})
except CursorBusy as error:
    sys.exit(int("disk is full" in str(error)) * 7)
"""


@WAL
@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: needs RLIMIT_FSIZE")
def test_a_full_disk_changes_nothing(tmp_path, wal):
    import subprocess
    import sys

    home = profile(tmp_path / "c", wal=wal)
    before = rows(home)
    done = subprocess.run([sys.executable, "-c", FULL, str(database(home))], check=False)
    assert done.returncode == 7
    assert rows(home) == before
