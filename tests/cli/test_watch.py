"""Watching as a user meets it: what moved is put back, what is not ours to put back is told."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from datetime import datetime

import pytest
from jsonschema import Draft202012Validator

from reconciler.state import single_writer
from reconciler.watching.events import Kind
from tests.cursor_editor import FakeCursor, tear

from .conftest import plan_or_half_done

LINE = {
    "type": "object",
    "required": ["format", "at", "event", "address", "why"],
    "additionalProperties": False,
    "properties": {
        "format": {"const": "byok.watch/1"},
        "at": {"type": "string"},
        "event": {"enum": [kind.value for kind in Kind]},
        "address": {"type": ["string", "null"], "pattern": "^cursor/[a-z]+/."},
        "why": {"type": "string", "minLength": 1},
    },
}
O1 = "cursor/model/o1"
OPENAI = "cursor/provider/openai"


def events(text):
    """The events of a log, each line checked against the schema."""
    found = [json.loads(line) for line in text.splitlines()]
    for one in found:
        Draft202012Validator(LINE).validate(one)
        assert datetime.fromisoformat(one["at"]).tzinfo is not None
    return found


def once(byok, *args, code, **env):
    """One round: the event and address of each line."""
    done = byok("watch", "--once", *args, **env)
    assert done.code == code, (done.code, done.out, done.err)
    return {(one["event"], one["address"]): one["why"] for one in events(done.out)}


def models(byok):
    return byok.document()["aiSettings"]


def drift(byok, model="o1"):
    """Switch a model on by hand."""
    ai = models(byok)
    ai["modelOverrideDisabled"] = [m for m in ai["modelOverrideDisabled"] if m != model]
    byok.change(aiSettings={**ai, "modelOverrideEnabled": [*ai["modelOverrideEnabled"], model]})


def off(byok, model="o1"):
    return model in models(byok)["modelOverrideDisabled"]


@contextmanager
def cursor_open(byok, folder):
    """A process by Cursor's name whose id is in its lock file."""
    program = folder / "cursor"
    program.symlink_to("/bin/sleep")
    editor = subprocess.Popen([program, "300"])
    lock = byok.box.cursor / "code.lock"
    lock.write_text(str(editor.pid))
    try:
        yield
    finally:
        editor.kill()
        editor.wait()
        lock.unlink()


def test_nothing_moved_and_nothing_is_written(applied):
    before = applied.bytes()
    history = applied("history").out

    assert once(applied, code=0) == {("in_sync", None): "11 resources are as applied"}

    assert applied.bytes() == before
    assert applied("history").out == history


def test_what_moved_is_put_back_and_proved(applied):
    drift(applied)

    found = once(applied, code=0)

    assert list(found) == [("healed", O1)]
    assert off(applied)
    assert applied("plan", "--detailed-exitcode").code == 0
    assert applied("history", "--json").document["runs"][0]["command"] == "watch"
    assert list(once(applied, code=0)) == [("in_sync", None)]


def test_a_name_that_looks_like_a_pattern_is_only_a_name(byok):
    byok.edit(
        "o1: { provider: openai, enabled: false }",
        '"*[o]1": { provider: openai, custom: true, enabled: false }',
    )
    assert byok("apply", "--yes").code == 0
    drift(byok, "*[o]1")

    assert list(once(byok, code=0)) == [("healed", "cursor/model/*[o]1")]


def test_the_switch_that_cursor_turns_off_is_told_and_left(applied):
    editor = FakeCursor(applied.box.cursor, era="plain").start()
    editor.log_in()
    editor.quit()
    drift(applied)

    found = once(applied, code=2)

    assert {address for event, address in found if event == "left"} == {OPENAI}
    assert ("healed", O1) in found
    assert "Cursor itself" in found["left", OPENAI]
    assert applied.document()["useOpenAIKey"] is False
    assert applied("apply", "--yes").code == 0
    assert applied.document()["useOpenAIKey"] is True


def test_what_is_new_in_the_manifest_waits_for_apply(applied):
    applied.edit("gemini-2.5-pro: { provider: google }", "gemini-2.5-flash: { provider: google }")
    applied.edit("o1: { provider: openai, enabled: false }", "o1: { provider: openai }")
    before = applied.bytes()

    found = once(applied, code=2)

    assert {address for event, address in found if event == "left"} == {
        "cursor/model/gemini-2.5-flash",
        "cursor/model/gemini-2.5-pro",
        O1,
    }
    assert all("byok apply" in why for why in found.values())
    assert applied.bytes() == before


def test_where_both_moved_nobody_decides_but_a_person(applied):
    applied.sql("UPDATE ItemTable SET value='sk-ant-mine' WHERE key='cursorAuth/claudeKey'")
    applied.edit("#/anthropic/key", "#/gateway/key")

    found = once(applied, code=2)

    assert "the manifest moved too" in found["left", "cursor/provider/anthropic"]
    assert applied.rows()["cursorAuth/claudeKey"] == "sk-ant-mine"


def test_a_key_typed_by_hand_is_put_back_and_can_be_had_again(applied):
    """What watching replaces is kept like all that apply replaces; rollback brings it back."""
    applied.sql("UPDATE ItemTable SET value='sk-ant-by-hand' WHERE key='cursorAuth/claudeKey'")

    found = once(applied, code=0)

    assert "put back" in found["healed", "cursor/provider/anthropic"]
    assert applied.rows()["cursorAuth/claudeKey"] == applied.keys()[1]
    assert applied("rollback", "--yes").code == 0
    assert applied.rows()["cursorAuth/claudeKey"] == "sk-ant-by-hand"
    assert list(once(applied, code=2)) == [("paused", None)]


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: reads a process's name")
def test_while_cursor_runs_it_waits(applied, tmp_path):
    drift(applied)
    with cursor_open(applied, tmp_path):
        before = applied.bytes()

        found = once(applied, code=2)

        assert list(found) == [("waiting", O1)]
        assert "Cursor is running" in found["waiting", O1]
        assert applied.bytes() == before
    assert list(once(applied, code=0)) == [("healed", O1)]


def test_while_another_byok_writes_it_waits(applied):
    drift(applied)
    with single_writer(applied.box.folder / "state", "byok apply", 5):
        found = once(applied, code=2)
    assert "another byok is writing: process" in found["waiting", O1]
    assert not off(applied)


def test_after_a_rollback_it_pauses_until_somebody_applies(applied):
    drift(applied)
    assert applied("apply", "--yes").code == 0
    assert applied("rollback", "--yes").code == 0
    before = applied.bytes()

    found = once(applied, code=2)

    assert list(found) == [("paused", None)]
    assert "byok apply resumes" in found["paused", None]
    assert applied.bytes() == before
    assert "paused" in json.dumps(applied("status", "--json").document["watch"])
    assert applied("apply", "--yes").code == 0
    assert list(once(applied, code=0)) == [("in_sync", None)]


def test_an_apply_that_finds_nothing_to_do_resumes_too(applied):
    assert applied("rollback", "--yes").code == 0
    kept = applied.box.manifest.read_text()
    applied.box.manifest.write_text("version: 1\nteam: sandbox\n")
    assert list(once(applied, code=2)) == [("paused", None)]

    assert applied("apply", "--yes").code == 0

    assert list(once(applied, code=0)) == [("in_sync", None)]
    applied.box.manifest.write_text(kept)
    assert {event for event, _ in once(applied, code=2)} == {"left"}


def test_who_fights_back_three_times_is_left_in_peace(applied):
    for _ in range(3):
        drift(applied)
        assert list(once(applied, code=0)) == [("healed", O1)]
    drift(applied)

    found = once(applied, code=2)

    assert list(found) == [("fought", O1)]
    assert "3 times" in found["fought", O1]
    assert not off(applied)
    told = applied("status")
    assert O1 in told.out
    assert "gave up" in told.out
    assert applied("apply", "--yes").code == 0
    drift(applied)
    assert list(once(applied, code=0)) == [("healed", O1)]


def test_many_at_once_are_not_put_back(applied):
    """The rule of 30 % holds here too: so much does not move by accident."""
    applied.change(useClaudeKey=False, useGoogleKey=False)
    drift(applied)
    drift(applied, "acme-coder")
    before = applied.bytes()

    found = once(applied, code=8)

    assert "safety rule 'many'" in found["failed", None]
    assert applied.bytes() == before


def test_another_origin_in_the_manifest_waits_for_apply_which_asks(applied):
    applied.edit(
        "endpoint: https://byok-sandbox.openai.azure.com", "endpoint: https://elsewhere.example.com"
    )
    found = once(applied, code=2)
    assert "left" in {event for event, _ in found}
    assert applied.document()["azureState"]["baseUrl"] == "https://byok-sandbox.openai.azure.com/"


def test_a_broken_manifest_is_told_with_its_line(applied):
    applied.edit("version: 1", "version: 1\nproviderz: {}")

    found = once(applied, code=3)

    assert re.search(r"byok.yaml:\d+:\d+: .*providerz", found["failed", None])


def test_without_the_age_identity_the_rest_is_still_put_back(applied):
    """The key's record tells that it stands as it was, so that nothing need be decrypted."""
    drift(applied)

    found = once(applied, code=0, SOPS_AGE_KEY_FILE="/nonexistent", HOME=str(applied.box.folder))

    assert list(found) == [("healed", O1)]


def test_a_key_that_cannot_be_had_is_told_and_kills_nothing(applied):
    applied.sql("UPDATE ItemTable SET value='sk-ant-mine' WHERE key='cursorAuth/claudeKey'")
    applied.edit("#/openai/key", "#/openai/nokey")

    found = once(applied, code=4)

    assert "#/openai/nokey" in found["failed", OPENAI]
    assert ("healed", "cursor/provider/anthropic") in found


def test_killed_in_the_middle_the_next_round_converges(applied):
    """As a kill -9 leaves it: the step was begun, once before the write and once after it."""
    for wrote in (False, True):
        drift(applied)
        before = applied.document()
        once(applied, code=0)
        with closing(sqlite3.connect(applied.box.folder / "state" / "ledger.db")) as db, db:
            for table, state in (("step", "state='started'"), ("run", "outcome='unfinished'")):
                last = f"(SELECT max(id) FROM {table})"
                db.execute(f"UPDATE {table} SET {state}, ended=NULL WHERE id={last}")
        if not wrote:
            applied.change(**before)
        assert applied("status", "--json").document["unfinished"]

        found = once(applied, code=0)

        assert list(found) == [("in_sync", None) if wrote else ("healed", O1)]
        assert off(applied)
        assert applied("status", "--json").document["unfinished"] == []


def test_killed_between_two_pages_the_next_round_converges(applied):
    drift(applied)
    tear(applied.box.cursor)
    database = ("healed", "cursor/database/settings")
    assert list(once(applied, code=0)) == [database, ("healed", O1)]
    assert off(applied)
    assert list(once(applied, code=0)) == [("in_sync", None)]


@pytest.mark.parametrize("delay", [0.2, 0.3, 0.4, 0.5, 0.6])
def test_killed_at_any_time_the_next_rounds_converge(applied, delay):
    drift(applied)
    with watching(applied, "--once") as child, suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=delay)
    plan_or_half_done(applied)

    assert {event for event, _ in once(applied, code=0)} <= {"healed", "in_sync"}
    assert off(applied)
    assert list(once(applied, code=0)) == [("in_sync", None)]


@contextmanager
def watching(byok, *args):
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "watch", *args],
        cwd=byok.box.manifest.parent,
        env=byok.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_its_sleep_at_once(applied, number):
    drift(applied)
    with watching(applied, "--interval", "1d") as child:
        (first,) = events(child.stdout.readline())
        child.send_signal(number)
        out, err = child.communicate(timeout=60)

    assert first["event"] == "healed"
    assert [one["event"] for one in events(out)] == ["stopped"]
    assert child.returncode == 128 + number
    assert err == ""


def test_a_second_watcher_names_the_first(applied):
    with watching(applied) as child:
        child.stdout.readline()

        second = applied("watch", "--once")

        assert second.code == 7
        assert f"another byok is watching: process {child.pid} (byok watch, since" in second.err
        assert applied("apply", "--yes").code == 0, "a sleeping watcher keeps nobody from writing"


@pytest.mark.skipif(
    os.geteuid() == 0, reason="only as an ordinary user: root writes read-only files"
)
def test_a_read_only_state_directory_is_said(applied):
    state = applied.box.folder / "state"
    state.chmod(0o500)
    try:
        done = applied("watch", "--once")
    finally:
        state.chmod(0o700)
    assert done.code == 1
    assert str(state) in done.err


def test_a_state_directory_that_cannot_be_made_is_said(applied):
    done = applied("watch", "--once", "--state-dir", str(applied.box.manifest / "state"))
    assert done.code == 1
    assert "state directory cannot be made" in done.err


def test_a_state_directory_others_may_write_to_is_refused(applied):
    (applied.box.folder / "state").chmod(0o777)
    done = applied("watch", "--once")
    assert done.code == 1
    assert "others may write" in done.err


def test_the_log_is_private_appended_and_followed_through_no_link(applied, tmp_path):
    log = tmp_path / "a log" / "watch.log"
    log.parent.mkdir()
    for _ in range(2):
        assert applied("watch", "--once", "--log", str(log)).out == ""
    assert [one["event"] for one in events(log.read_text())] == ["in_sync"] * 2
    assert stat.S_IMODE(log.stat().st_mode) == 0o600 or os.name == "nt"
    link = tmp_path / "link.log"
    link.symlink_to(log)
    done = applied("watch", "--once", "--log", str(link))
    assert done.code == 1
    assert "not a plain file" in done.err


def test_a_full_log_is_rotated(applied, tmp_path):
    log = tmp_path / "watch.log"
    log.write_text("x" * (1 << 20))
    assert applied("watch", "--once", "--log", str(log)).code == 0
    assert len(events(log.read_text())) == 1
    assert (tmp_path / "watch.log.1").stat().st_size == 1 << 20


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--interval", "5s"), "10s"),
        (("--interval", "soon"), "15m"),
        (("--accounts",), "only Cursor"),
        (("--system", "openai"), "only Cursor"),
        (("--allow-many",), "--allow-many"),
        (("--take-over",), "--take-over"),
    ],
)
def test_what_makes_no_sense_is_a_wrong_command_line(applied, args, says):
    done = applied("watch", "--once", *args)
    assert done.code == 64
    assert says in done.err


def test_a_target_holds_it_to_that(applied):
    drift(applied)
    ai = models(applied)
    applied.change(aiSettings={**ai, "modelConfig": {"composer": {"modelName": "default"}}})

    found = once(applied, "--target", O1, code=0)

    assert list(found) == [("healed", O1)]
    assert once(applied, "--target", "cursor/model/none", code=64)


def test_it_never_looks_at_an_account(applied):
    applied.env["BYOK_OFFLINE"] = "0"
    done = applied("watch", "--once", BYOK_ACCOUNTS="1", PYTHONPROFILEIMPORTTIME="1")
    assert done.code == 0
    assert "httpx" not in done.err
    assert "reconciler.systems.openai" not in done.err
