"""Cursor's database under the doctor: journals, room, and a version where an installation is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from reconciler.doctor import State, cursor, database
from reconciler.doctor.ground import Ground
from reconciler.session import Options
from reconciler.systems.cursor import create_fresh_profile

MB = 1_000_000


@pytest.fixture
def ground(tmp_path):
    create_fresh_profile(tmp_path / "cursor")
    options = Options(
        manifest=tmp_path / "byok.yaml",
        cursor_dir=tmp_path / "cursor",
        state_dir=tmp_path / "state",
        env={"LOCALAPPDATA": str(tmp_path / "local")},
        offline=True,
    )
    with Ground(options, named=False, home=tmp_path, platform="linux") as made:
        yield made


def only(findings):
    (one,) = list(findings)
    return one


@pytest.mark.parametrize(
    ("free", "size", "state"),
    [
        (1 * MB, 1 * MB, State.PROBLEM),
        (100 * MB, 200 * MB, State.WARNING),
        (300 * MB, 200 * MB, State.OK),
    ],
)
def test_room_is_judged_by_the_databases_size(free, size, state):
    found = database.judged_room(free, size)
    assert found.state is state
    assert found.code == ("" if state is State.OK else "BYOK207")


def test_a_write_ahead_log_is_named_with_what_it_holds(ground):
    path = ground.user_data / "User" / "globalStorage" / "state.vscdb"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute("INSERT INTO ItemTable VALUES ('a', 'b')")
        db.commit()
        found = only(database.journal(ground))
    assert found.state is State.OK
    assert found.what.startswith("write-ahead log, 0.")


def test_a_rollback_journal_is_named(ground):
    assert only(database.journal(ground)).what == "rollback journal"


def test_a_lock_that_nobody_can_read_is_no_answer(ground):
    (ground.user_data / "code.lock").mkdir()
    found = only(cursor.running(ground))
    assert (found.state, found.code) == (State.WARNING, "BYOK210")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_the_version_is_read_off_the_installation(tmp_path, ground, platform):
    ground.platform = platform
    path = next(p for p in cursor.installed(ground) if p.is_relative_to(tmp_path))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"nameShort": "Cursor", "version": "3.18.9"}))
    assert only(cursor.version(ground)).what == f"3.18.9, by {path}"


def test_another_editors_version_is_not_taken(tmp_path, ground):
    ground.platform = "win32"
    path = cursor.installed(ground)[0]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"nameShort": "Code", "version": "1.105.1"}))
    assert only(cursor.version(ground)).state is State.SKIPPED


def test_every_place_that_was_tried_is_named(tmp_path):
    options = Options(manifest=tmp_path / "byok.yaml", env={}, offline=True)
    with Ground(options, named=False, home=tmp_path, platform="linux") as ground:
        found = only(cursor.found(ground))
    assert found.code == "BYOK201"
    for name in ("Cursor", "Cursor Nightly"):
        assert str(tmp_path / ".config" / name) in found.cause
