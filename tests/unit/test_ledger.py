"""The ledger: what goes in comes out, through kills, damage, other owners and other versions."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest

from reconciler.errors import ByokError
from reconciler.ledger import Evidence, Ledger
from reconciler.ledger_file import FILE, VERSION
from reconciler.model import Action, Address, Cause, Change, Edit, Record, Sealed, Unknown

OPENAI = Address("cursor", "provider", "openai")
MODEL = Address("cursor", "model", "a/b")
KEY = Sealed("9f2c61d0a4b1", "sops://secrets/team.enc.yaml#/openai/key")
THEIRS = Sealed("0123456789ab")
HERE, TEAM = "/home/me/.config/Cursor", "acme"


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path, write=True) as opened:
        yield opened


def change(*edits, address=OPENAI, cause=Cause.NEW, action=Action.CREATE):
    return Change(address, action, cause, tuple(Edit(*edit) for edit in edits))


def begin(ledger, made, *, owner=TEAM, run=None):
    number = ledger.begin_run("apply", owner) if run is None else run
    return ledger.begin_step(number, HERE, owner, made)


def write(ledger, records, *, address=OPENAI, owner=TEAM, evidence=None):
    ledger.finish_step(begin(ledger, change(address=address), owner=owner), records, evidence or {})


def sql(folder, text, *values):
    db = sqlite3.connect(folder / FILE)
    with db:
        found = db.execute(text, values).fetchall()
    db.close()
    return found


def test_a_ledger_that_nobody_wrote_reads_as_empty_and_is_not_made(tmp_path):
    with Ledger(tmp_path / "none") as ledger:
        assert ledger.written(HERE, TEAM) == {}
        assert ledger.runs() == ()
        assert ledger.open_steps(HERE, TEAM) == ()
        assert ledger.approvals() == frozenset()
        assert ledger.evidence("cell") == {}
    assert list(tmp_path.iterdir()) == []


def test_reading_leaves_the_bytes_alone_and_cannot_write(tmp_path):
    with Ledger(tmp_path, write=True) as ledger:
        write(ledger, {"key": Record(KEY, THEIRS)})
    before = (tmp_path / FILE).read_bytes()
    with Ledger(tmp_path) as ledger:
        assert ledger.written(HERE, TEAM)
        with pytest.raises(ByokError, match="readonly"):
            ledger.begin_run("apply", TEAM)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {FILE: before}


def test_the_file_is_private(ledger):
    assert ledger.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "record",
    [
        Record(None, None),
        Record(True, False, adopted=True),
        Record(KEY, THEIRS),
        Record(KEY, Sealed("aa", "snapshot://7")),
        Record(("a", 1, None), {"x": {"y": 1.5}}),
        Record("half \ud800 a pair", "ü\n\x00"),
        Record(2**60, -0.5),
    ],
    ids=repr,
)
def test_a_record_comes_back_as_it_was(ledger, record):
    write(ledger, {"it": record})
    (back,) = ledger.written(HERE, TEAM)[OPENAI].values()
    assert back == record
    for one, two in ((back.value, record.value), (back.before, record.before)):
        assert type(one) is type(two)
        assert getattr(one, "ref", None) == getattr(two, "ref", None)


def test_records_are_kept_apart_by_system_owner_and_address(ledger):
    write(ledger, {"key": Record(KEY)})
    write(ledger, {"key": Record("theirs")}, owner="other", address=MODEL)
    assert ledger.written(HERE, TEAM) == {OPENAI: {"key": Record(KEY)}}
    assert ledger.written(HERE, "other") == {MODEL: {"key": Record("theirs")}}
    assert ledger.written("/elsewhere", TEAM) == {}
    assert ledger.holders(HERE, TEAM) == {MODEL: "other"}
    assert ledger.holders(HERE, "third") == {OPENAI: TEAM, MODEL: "other"}
    assert ledger.holders("/elsewhere", TEAM) == {}
    assert ledger.held(HERE, TEAM) == {MODEL: {"key": Record("theirs")}}
    assert ledger.held("/elsewhere", TEAM) == {}
    assert ledger.written_at(HERE, TEAM).keys() == {OPENAI}


def test_none_drops_a_record_and_what_is_not_named_stays(ledger):
    write(ledger, {"key": Record(KEY), "enabled": Record(True)})
    write(ledger, {"key": None, "gone": None})
    assert ledger.written(HERE, TEAM) == {OPENAI: {"enabled": Record(True)}}
    ledger.record(HERE, TEAM, {OPENAI: {"enabled": None}, MODEL: {"x": Record(1)}})
    assert ledger.written(HERE, TEAM) == {MODEL: {"x": Record(1)}}
    assert ledger.holders(HERE, "other") == {MODEL: TEAM}


def test_a_step_is_open_until_it_is_closed(ledger):
    run = ledger.begin_run("apply", TEAM)
    made = change(("enabled", None, True), ("key", THEIRS, KEY), cause=Cause.TAKEOVER)
    first, second, third = (begin(ledger, made, run=run) for _ in range(3))
    ledger.finish_step(first, {"key": Record(KEY, THEIRS)}, {}, "a note")
    ledger.fail_step(second, "it said no")
    (still,) = ledger.open_steps(HERE, TEAM)
    assert (still.id, still.run, still.system, still.change) == (third, run, HERE, made)
    assert [(s.state, s.note) for s in ledger.steps(run)] == [
        ("finished", "a note"),
        ("failed", "it said no"),
        ("started", ""),
    ]
    assert ledger.open_steps(HERE, "other") == ledger.open_steps("/elsewhere", TEAM) == ()
    ledger.settle_step(third, {"key": Record(KEY)})
    assert ledger.open_steps(HERE, TEAM) == ()
    assert ledger.runs()[0].steps == 2


def test_a_step_that_turned_out_not_to_have_happened_is_no_step_of_its_run(ledger):
    run = ledger.begin_run("apply", TEAM)
    step = begin(ledger, change(("x", None, 1)), run=run)
    ledger.settle_step(step, {})
    assert ledger.open_steps(HERE, TEAM) == ()
    assert ledger.steps(run)[0].state == "failed"
    assert ledger.runs()[0].steps == 0


def test_a_step_remembers_the_records_it_found(ledger):
    found = {"key": Record(KEY, Sealed("aa", "snapshot://1")), "base_url": Record("u", "v", True)}
    write(ledger, found | {"other": Record(1)})
    step = begin(ledger, change(("key", KEY, None), ("base_url", 1, 2), ("enabled", None, True)))
    write(ledger, {"key": None, "base_url": Record("w")})
    (now,) = [s for s in ledger.open_steps(HERE, TEAM) if s.id == step]
    assert now.previous == found
    assert now.previous["key"].before.ref == "snapshot://1"


def test_runs_come_newest_first_with_what_came_of_them(ledger):
    first = ledger.begin_run("apply", TEAM)
    ledger.end_run(first, "applied")
    second = ledger.begin_run("rollback", "other")
    runs = ledger.runs()
    assert [(r.id, r.command, r.owner, r.outcome) for r in runs] == [
        (second, "rollback", "other", "unfinished"),
        (first, "apply", TEAM, "applied"),
    ]
    assert runs[0].ended is None
    assert runs[1].started <= runs[1].ended
    assert [r.id for r in ledger.runs(TEAM)] == [first]


def test_approvals_are_pairs(ledger):
    for _ in range(2):
        ledger.approve("env://A", "https://a.example")
    ledger.approve("env://A", "https://b.example")
    assert ledger.approvals() == {
        ("env://A", "https://a.example"),
        ("env://A", "https://b.example"),
    }


def test_copies_belong_to_their_step(ledger):
    run = ledger.begin_run("apply", TEAM)
    one, two = (begin(ledger, change(("key", THEIRS, KEY)), run=run) for _ in range(2))
    first = ledger.keep(one, OPENAI, "key", b"sealed one")
    second = ledger.keep(two, OPENAI, "key", b"sealed two")
    again = ledger.keep(two, OPENAI, "key", b"sealed again")
    assert [ledger.copy(n) for n in (first, second, again, 99)] == [
        b"sealed one",
        b"sealed two",
        b"sealed again",
        None,
    ]
    assert [dict(s.kept) for s in ledger.steps(run)] == [
        {"key": f"snapshot://{first}"},
        {"key": f"snapshot://{again}"},
    ]


def test_evidence_stands_for_the_fingerprint_it_was_written_with(ledger):
    write(ledger, {"key": Record(KEY)}, evidence={"key": Evidence("v1", "c1", pending=True)})
    assert ledger.evidence("version") == {"v1": KEY.fingerprint}
    assert ledger.evidence("cell") == {"c1": KEY.fingerprint}
    assert sql(ledger.path.parent, "SELECT pending FROM written") == [(1,)]
    with pytest.raises(KeyError):
        ledger.evidence("value")


def test_what_was_seen_later_is_added_and_an_unknown_version_does_not_wipe_a_known_one(ledger):
    write(ledger, {"key": Record(KEY)}, evidence={"key": Evidence("v1", None, pending=True)})
    ledger.seen(HERE, TEAM, OPENAI, "key", Evidence(None, "c2"))
    assert ledger.evidence("version") == {"v1": KEY.fingerprint}
    assert ledger.evidence("cell") == {"c2": KEY.fingerprint}
    assert sql(ledger.path.parent, "SELECT pending FROM written") == [(0,)]
    ledger.seen(HERE, TEAM, OPENAI, "key", Evidence("v3", None))
    assert ledger.evidence("version") == {"v3": KEY.fingerprint}
    assert ledger.evidence("cell") == {}


def test_a_new_value_does_not_inherit_the_evidence_of_the_old(ledger):
    write(ledger, {"key": Record(KEY)}, evidence={"key": Evidence("v1", "c1", pending=True)})
    write(ledger, {"key": Record(THEIRS)})
    assert ledger.evidence("version") == ledger.evidence("cell") == {}
    assert sql(ledger.path.parent, "SELECT pending FROM written") == [(0,)]


@pytest.mark.parametrize("value", [None, True, "text", {"fingerprint": "x"}, Unknown("?")])
def test_evidence_of_what_is_no_secret_is_not_kept(ledger, value):
    write(ledger, {"key": Record(value)})
    ledger.seen(HERE, TEAM, OPENAI, "key", Evidence("v", "c"))
    assert ledger.evidence("version") == ledger.evidence("cell") == {}
    write(ledger, {"key": Record(value)}, evidence={"key": Evidence("v", "c")})
    assert ledger.evidence("version") == ledger.evidence("cell") == {}


def test_a_secret_is_as_old_as_its_fingerprint(ledger, monkeypatch):
    """Another reference, a repaired drift: the same key is no younger for it."""
    days = iter("abcdefghijkl")
    monkeypatch.setattr("reconciler.ledger.now", lambda: f"day {next(days)}")
    moment = lambda: ledger.since(HERE, TEAM).get((OPENAI, "key"))  # noqa: E731
    put = lambda value: ledger.record(HERE, TEAM, {OPENAI: {"key": value}})  # noqa: E731
    put(Record(KEY))
    first = moment()
    put(Record(Sealed(KEY.fingerprint, "env://MOVED"), THEIRS))
    assert moment() == first
    put(Record(THEIRS))
    assert moment() != first
    put(Record("no secret"))
    assert moment() is None


def test_seeing_what_is_not_ours_records_nothing(ledger):
    ledger.seen(HERE, TEAM, OPENAI, "key", Evidence("v", "c"))
    assert ledger.written(HERE, TEAM) == {}


def test_taking_over_keeps_what_was_there_before_the_other_team(ledger):
    copy = Sealed(THEIRS.fingerprint, "snapshot://1")
    write(ledger, {"key": Record(KEY, copy), "enabled": Record(True)}, owner="other")
    write(ledger, {"x": Record(1)}, owner="other", address=MODEL)
    ledger.take_over(HERE, TEAM, OPENAI)
    mine = ledger.written(HERE, TEAM)
    assert mine == {OPENAI: {"key": Record(KEY, copy), "enabled": Record(True)}}
    assert mine[OPENAI]["key"].before.ref == "snapshot://1"
    assert ledger.holders(HERE, TEAM) == {MODEL: "other"}
    ledger.take_over("/elsewhere", TEAM, MODEL)
    assert ledger.holders(HERE, TEAM) == {MODEL: "other"}


def test_taking_over_what_one_also_held_leaves_one_record(ledger):
    write(ledger, {"key": Record(KEY, None), "mine": Record(1)})
    write(ledger, {"key": Record(KEY, THEIRS)}, owner="other")
    ledger.take_over(HERE, TEAM, OPENAI)
    assert ledger.written(HERE, TEAM) == {OPENAI: {"key": Record(KEY, THEIRS), "mine": Record(1)}}
    assert ledger.written(HERE, "other") == {}


def test_closing_a_step_is_all_or_nothing(ledger, monkeypatch):
    step = begin(ledger, change(("a", None, 1), ("b", None, 1)))
    with pytest.raises(ValueError):
        ledger.finish_step(step, {"a": Record(1), "b": Record(float("nan"))}, {})
    assert ledger.written(HERE, TEAM) == {}
    assert [s.id for s in ledger.open_steps(HERE, TEAM)] == [step]
    ledger.finish_step(step, {"a": Record(1)}, {})
    assert ledger.open_steps(HERE, TEAM) == ()


KILLED = """
import os, sys
from pathlib import Path
from reconciler.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), write=True)
ledger.approve("env://KEPT", "https://kept.example")
ledger._db.execute("PRAGMA cache_size=1")
ledger._db.execute("BEGIN IMMEDIATE")
for n in range(2000):
    ledger._db.execute("INSERT INTO approval VALUES (?,?,?)", (f"env://LOST{n}", "x" * 200, "t"))
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_writer_left_half_done_is_taken_back_by_the_next_reader(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert (tmp_path / f"{FILE}-journal").stat().st_size > 0, "the kill came too early to matter"
    with Ledger(tmp_path) as ledger:
        assert ledger.approvals() == {("env://KEPT", "https://kept.example")}
        with pytest.raises(ByokError):
            ledger.approve("env://A", "https://a.example")
    with Ledger(tmp_path, write=True) as ledger:
        assert len(ledger.approvals()) == 1


def test_a_file_without_tables_is_an_empty_ledger(tmp_path):
    """A writer killed between making the file and filling it."""
    (tmp_path / FILE).touch()
    with Ledger(tmp_path) as ledger:
        assert ledger.runs() == ()
    assert (tmp_path / FILE).stat().st_size == 0
    with Ledger(tmp_path, write=True) as ledger:
        ledger.begin_run("apply", TEAM)
    with Ledger(tmp_path) as ledger:
        assert len(ledger.runs()) == 1


WRITES = """
import sys
from pathlib import Path
from reconciler.ledger import Ledger
for _ in range(5):
    with Ledger(Path(sys.argv[1]), write=True) as ledger:
        ledger.begin_run("apply", "x")
"""


def test_a_second_writer_that_comes_while_tables_are_made_makes_none(tmp_path):
    command = [sys.executable, "-c", WRITES, str(tmp_path)]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0] * 4, errors
    with Ledger(tmp_path) as ledger:
        assert len(ledger.runs()) == 20


def test_a_reader_sees_a_live_writers_last_whole_step(tmp_path):
    with Ledger(tmp_path, write=True) as writer:
        write(writer, {"x": Record(1)})
        with Ledger(tmp_path) as reader:
            assert reader.written(HERE, TEAM) == {OPENAI: {"x": Record(1)}}
            write(writer, {"x": Record(2)})
            assert reader.written(HERE, TEAM) == {OPENAI: {"x": Record(2)}}


@pytest.mark.parametrize("write_", [False, True])
@pytest.mark.parametrize("version", [VERSION + 1, -1])
def test_another_version_is_refused_untouched(tmp_path, write_, version):
    with Ledger(tmp_path, write=True):
        pass
    sql(tmp_path, f"PRAGMA user_version={version}")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ByokError, match=f"is of version {version}, this byok reads {VERSION}"):
        Ledger(tmp_path, write=write_)
    assert (tmp_path / FILE).read_bytes() == before


def test_somebody_elses_database_is_not_taken_for_an_empty_ledger(tmp_path):
    sql(tmp_path, "CREATE TABLE strange (x)")
    for write_ in (False, True):
        with pytest.raises(ByokError, match="is of version 0"):
            Ledger(tmp_path, write=write_)


@pytest.mark.parametrize("write_", [False, True])
def test_what_is_no_database_is_said_with_a_way_out(tmp_path, write_):
    (tmp_path / FILE).write_bytes(b"certainly no database" * 200)
    with pytest.raises(ByokError, match=r"ledger\.db: the ledger cannot be used.*move it away"):
        Ledger(tmp_path, write=write_)


def test_damage_that_shows_late_is_said_too(tmp_path):
    with Ledger(tmp_path, write=True) as ledger:
        for n in range(300):
            ledger.approve(f"env://{n}", "https://a.example/" + "x" * 100)
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096 * 9)
        file.write(b"\xff" * 4096 * 8)
    with Ledger(tmp_path) as ledger, pytest.raises(ByokError, match="cannot be used"):
        ledger.approvals()


def test_a_full_disk_is_said_and_nothing_is_half_recorded(ledger):
    step = begin(ledger, change(("x", None, "y")))
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(ByokError, match=r"the ledger cannot be used.*full"):
        ledger.finish_step(step, {f"x{n}": Record("y" * 5000) for n in range(9)}, {})
    ledger._db.execute("PRAGMA max_page_count=100000")
    assert ledger.written(HERE, TEAM) == {}
    ledger.finish_step(step, {"x": Record("y")}, {})
    assert ledger.written(HERE, TEAM) == {OPENAI: {"x": Record("y")}}


def test_a_folder_with_odd_characters_is_found_again(tmp_path):
    folder = tmp_path / "a?b=c#d %20 ü"
    folder.mkdir()
    with Ledger(folder, write=True) as ledger:
        ledger.begin_run("apply", TEAM)
    with Ledger(folder) as ledger:
        assert len(ledger.runs()) == 1
    assert [p.name for p in folder.iterdir()] == [FILE]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only on POSIX: symlinks")
def test_a_symlink_is_not_written_through(tmp_path):
    (tmp_path / "elsewhere").touch()
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ByokError, match="is not a plain file"):
        Ledger(tmp_path, write=True)
    assert (tmp_path / "elsewhere").stat().st_size == 0
