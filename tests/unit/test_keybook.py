"""The ledger's pages on keys, and a ledger of the version before that had none."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from reconciler.entries import KeyRecord, Rotation, Stage
from reconciler.errors import ByokError
from reconciler.ledger import Ledger
from reconciler.ledger_file import FILE, TABLES, VERSION
from reconciler.model import Action, Address, Cause, Change, Edit, Record, Sealed

TEAM, HERE = "acme", "/home/me/.config/Cursor"
OPENAI = Address("cursor", "provider", "openai")
REFS = {"key": "sops://secrets/team.enc.yaml#/openai/key"}
FULL = Rotation(
    system="openai",
    owner=TEAM,
    refs=REFS,
    holder="alice",
    name="byok-acme-0123abcd",
    source="file://new",
    old={"key": "aaaaaaaaaaaa"},
    old_id="svc/key",
    new={"key": "bbbbbbbbbbbb"},
    new_id="svc2/key2",
    before=("svc/key", "other"),
    limit="50.00 USD",
    grace=3600,
    until="2026-11-23T00:00:00+00:00",
    by_api=False,
    cursor=False,
    recipients=("age1first", "age1second"),
    digest="0" * 64,
)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path, write=True) as opened:
        yield opened


def test_a_rotation_comes_back_as_it_was(ledger):
    made = ledger.keys.begin(FULL)
    assert ledger.keys.rotations(TEAM) == (made,)
    assert replace(made, id=0, started="", moved="") == FULL
    moved = ledger.keys.move(replace(made, stage=Stage.KEPT, new_id="third"))
    assert ledger.keys.rotations(TEAM) == (moved,)
    assert ledger.keys.rotations("other") == ()


@pytest.mark.parametrize("stage", [Stage.DONE, Stage.DROPPED])
def test_what_is_at_its_end_is_told_only_where_asked_for(ledger, stage):
    made = ledger.keys.begin(FULL)
    ended = ledger.keys.move(replace(made, stage=stage))
    assert ledger.keys.rotations(TEAM) == ()
    assert ledger.keys.rotations(TEAM, ended=True) == (ended,)


def test_copies_are_kept_by_role_and_dropped(ledger):
    id_ = ledger.keys.begin(FULL).id
    ledger.keys.keep(id_, "old", {"key": b"1"})
    ledger.keys.keep(id_, "new", {"key": b"2", "more": b"3"})
    ledger.keys.keep(id_, "new", {"key": b"4"})
    assert ledger.keys.copies(id_, "new") == {"key": b"4", "more": b"3"}
    ledger.keys.drop(id_, "new")
    assert ledger.keys.copies(id_, "new") == {}
    assert ledger.keys.copies(id_, "old") == {"key": b"1"}


def test_a_key_is_recorded_once_and_retired(ledger):
    key = KeyRecord("openai", TEAM, {"key": "aaaaaaaaaaaa"}, REFS, "id", "name", "alice")
    ledger.keys.record(key)
    ledger.keys.record(key)
    (found,) = ledger.keys.keys(TEAM)
    assert found.made
    assert replace(found, id=0, made="") == key
    assert ledger.keys.revoked() == frozenset()
    ledger.keys.retire(found)
    (found,) = ledger.keys.keys(TEAM)
    assert found.retired
    assert ledger.keys.revoked() == {"aaaaaaaaaaaa"}


def test_no_copy_of_a_revoked_key_stays_and_no_removal_brings_it_back(ledger):
    dead, alive = Sealed("aaaaaaaaaaaa", "snapshot://1"), Sealed("cccccccccccc", "snapshot://2")
    for before in (dead, alive):
        edits = (Edit("key", before, Sealed("bbbbbbbbbbbb")), Edit("enabled", None, True))
        change = Change(OPENAI, Action.UPDATE, Cause.MANIFEST, edits)
        step = ledger.begin_step(ledger.begin_run("apply", TEAM), HERE, TEAM, change)
        ledger.keep(step, OPENAI, "key", b"copy")
    ledger.record(HERE, TEAM, {OPENAI: {"key": Record(Sealed("bbbbbbbbbbbb"), dead)}})
    other = Address("cursor", "provider", "google")
    ledger.record(HERE, TEAM, {other: {"key": Record(Sealed("dddddddddddd"), alive)}})
    ledger.keys.retire(KeyRecord("openai", TEAM, {"key": "aaaaaaaaaaaa"}, REFS))
    assert (ledger.copy(1), ledger.copy(2)) == (None, b"copy")
    written = ledger.written(HERE, TEAM)
    assert written[OPENAI]["key"].before is None
    assert written[other]["key"].before == alive


@pytest.fixture
def first_version(tmp_path):
    db = sqlite3.connect(tmp_path / FILE)
    with db:
        db.executescript(TABLES)
        db.execute("INSERT INTO run (command, owner, started) VALUES ('apply', 'acme', '2026')")
        db.execute("PRAGMA user_version=1")
    db.close()
    return tmp_path


def test_a_ledger_of_the_first_version_is_read_as_it_is(first_version):
    before = (first_version / FILE).read_bytes()
    with Ledger(first_version) as ledger:
        assert [run.command for run in ledger.runs()] == ["apply"]
        assert ledger.keys.rotations(TEAM) == ()
        assert ledger.keys.keys(TEAM) == ()
        with pytest.raises(ByokError, match="readonly"):
            ledger.begin_run("apply", TEAM)
        with pytest.raises(ByokError, match="readonly"):
            ledger.keys.begin(FULL)
    assert (first_version / FILE).read_bytes() == before


def test_a_writer_brings_a_ledger_of_the_first_version_up(first_version):
    with Ledger(first_version, write=True) as ledger:
        ledger.keys.begin(FULL)
    with Ledger(first_version) as ledger:
        assert [run.command for run in ledger.runs()] == ["apply"]
        assert len(ledger.keys.rotations(TEAM)) == 1
    db = sqlite3.connect(first_version / FILE)
    assert db.execute("PRAGMA user_version").fetchall() == [(VERSION,)]
    db.close()
