"""What watching puts back and what it leaves, as laws; when it pauses, and how the loop ends."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from reconciler.errors import CursorBusy, UsageError
from reconciler.model import Action, Address, Cause, Change, Edit, Record, Scope, Sealed
from reconciler.planner import plan
from reconciler.session import Options
from reconciler.systems.cursor.findings import itself
from reconciler.watching.events import Event, Kind, Round
from reconciler.watching.healing import FIGHTS, WINDOW, Healing, fought, heal
from reconciler.watching.interval import parse, spell
from reconciler.watching.loop import DAY, pause, watch

OPENAI = Address("cursor", "provider", "openai")
AZURE = Address("cursor", "provider", "azure")
MODEL = Address("cursor", "model", "a/b")
ADDRESSES = [OPENAI, AZURE, MODEL]
NAMES = ["base_url", "enabled", "key"]

values = st.sampled_from([None, False, True, "a", "b", Sealed("aaaa"), Sealed("bbbb")])
attrs = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
resources = st.dictionaries(st.sampled_from(ADDRESSES), attrs, max_size=3)
records = st.builds(Record, values, values, st.booleans())
writtens = st.dictionaries(
    st.sampled_from(ADDRESSES), st.dictionaries(st.sampled_from(NAMES), records, max_size=3)
)
moments = st.lists(st.floats(0, 4 * WINDOW), max_size=6).map(sorted)
histories = st.dictionaries(st.sampled_from(ADDRESSES), moments)


def drift(address=MODEL, name="override", before="none", after="enabled", **more):
    return Change(address, Action.UPDATE, Cause.DRIFT, (Edit(name, before, after),), **more)


def on_record(*changes):
    return {c.address: {e.name: Record(e.after) for e in c.edits} for c in changes}


def healed(*changes, **more) -> Healing:
    given_ = {"written": on_record(*changes), "history": {}, **more}
    return heal(changes, given_.pop("written"), given_.pop("history"), **given_)


@given(resources, resources, writtens, histories, st.lists(st.sampled_from(["*", str(AZURE)])))
def test_what_is_put_back_is_what_is_on_record(desired, actual, written, history, protect):
    """For any world, record and manifest: nothing new, nothing of the manifest's, nothing lost."""
    changes = plan(desired, actual, written, frozenset(ADDRESSES)).changes

    found = heal(changes, written, history, protect=protect, itself=itself)

    assert {c.address for c in found.to_do} | {one.address for one in found.left} == {
        c.address for c in changes
    }
    assert len(found.to_do) + len(found.left) == len(changes)
    for change in found.to_do:
        assert change in changes
        assert change.cause is Cause.DRIFT
        assert not fought(history.get(change.address, ()))
        for edit in change.edits:
            assert written[change.address][edit.name].value == edit.after
            assert desired[change.address][edit.name] == edit.after
        if change.address == OPENAI:
            assert all(e.after is not True for e in change.edits if e.name == "enabled")


@given(resources, resources, writtens)
def test_once_put_back_nothing_more_is_put_back(desired, actual, written):
    scope = frozenset(ADDRESSES)
    first = heal(plan(desired, actual, written, scope).changes, written, {})
    world = {at: dict(named) for at, named in actual.items()}
    for change in first.to_do:
        world.setdefault(change.address, {}).update({e.name: e.after for e in change.edits})

    again = heal(plan(desired, world, written, scope).changes, written, {})

    assert again.to_do == ()


def test_drift_is_put_back():
    change = drift()
    assert healed(change) == Healing(to_do=(change,))


@pytest.mark.parametrize(
    ("cause", "word"),
    [
        (Cause.NEW, "new in the manifest"),
        (Cause.MANIFEST, "the manifest changed"),
        (Cause.REMOVED, "the manifest dropped it"),
        (Cause.TAKEOVER, "somebody else's"),
        (Cause.CONFLICT, "the manifest moved too"),
    ],
)
def test_every_other_cause_is_left_and_named(cause, word):
    (left,) = healed(replace(drift(), cause=cause)).left
    assert word in left.why
    assert "byok apply" in left.why


def test_a_change_called_drift_that_holds_more_is_left_whole():
    change = replace(drift(), edits=(*drift().edits, Edit("custom", None, True)))
    (left,) = healed(change, written=on_record(drift())).left
    assert "manifest moved beside it" in left.why


@pytest.mark.parametrize(
    ("edits", "left"),
    [
        ((Edit("enabled", False, True),), 1),
        ((Edit("enabled", None, True),), 1),
        ((Edit("enabled", False, True), Edit("key", None, Sealed("aaaa"))), 1),
        ((Edit("enabled", True, False),), 0),
        ((Edit("key", Sealed("bbbb"), Sealed("aaaa")),), 0),
    ],
)
def test_the_switch_that_cursor_turns_off_stays_off(edits, left):
    change = replace(drift(OPENAI), edits=edits)
    found = healed(change, itself=itself)
    assert len(found.left) == left
    assert all("Cursor itself" in one.why for one in found.left)
    assert healed(replace(change, address=AZURE), itself=itself).left == ()


def test_the_irreversible_and_the_protected_are_left_alone_and_the_rest_is_put_back():
    final, taken = drift(AZURE, irreversible=True), drift(OPENAI, "base_url", "a", None)
    found = healed(final, taken, drift(), protect=[str(OPENAI)])
    assert found.to_do == (drift(),)
    assert [one.address for one in found.left] == [AZURE, OPENAI]
    assert "policy.protect" in found.left[1].why


def test_what_may_not_be_written_now_is_left_with_its_reason():
    (left,) = healed(drift(), barred={MODEL: "managed by team other"}).left
    assert left.why == "managed by team other"


def test_after_three_times_it_is_another_writers_too():
    times = [float(n) for n in range(FIGHTS)]
    assert healed(drift(), history={MODEL: times[:-1]}).to_do
    (left,) = healed(drift(), history={MODEL: times}).left
    assert left.fought
    assert "3 times" in left.why


def test_three_times_in_a_long_while_are_no_fight_and_a_fight_stays_one():
    slow = [0.0, WINDOW, 2 * WINDOW + 1]
    assert not fought(slow)
    assert fought([*slow, 2 * WINDOW + 2, 2 * WINDOW + 3])
    assert fought([0.0, 1.0, 2.0, 9 * WINDOW])


@given(st.integers(10, 7 * 86400))
def test_an_interval_is_read_as_it_is_written(seconds):
    assert parse(spell(seconds)) == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "m", "9s", "0s", "-15m", "1.5h", "15 m", "8d", "15M", "٣m"]
)
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(UsageError):
        parse(text)


@given(st.integers(10, 86400), st.integers(0, 400), st.floats(0, 1))
def test_pauses_double_up_to_a_day(every, strain, jitter):
    assert pause(every, 0, 0) == every
    assert pause(every, strain, jitter) >= every
    assert pause(every, strain, 0) <= pause(every, strain + 1, 0) <= DAY
    assert pause(every, strain, jitter) <= DAY * 1.1 + 1


def test_an_interval_longer_than_a_day_stays_as_long():
    assert pause(2 * DAY, 5, 0) == 2 * DAY


class Script:
    """Rounds as written down, and the pauses between them; a signal ends the last."""

    def __init__(self, monkeypatch, *rounds, ended=signal.SIGTERM):
        self.rounds, self.ended = list(rounds), ended
        self.slept: list[float] = []
        self.told: list[Event] = []
        monkeypatch.setattr("reconciler.watching.loop.select.select", self.select)

    def select(self, _r, _w, _x, seconds):
        self.slept.append(seconds)

    def __call__(self, _options, _scope, _stopping):
        found = self.rounds.pop(0)
        if not self.rounds:
            os.kill(os.getpid(), self.ended)
        return found

    def run(self, folder: Path, **more) -> int:
        options = Options(state_dir=folder)
        return watch(
            options, Scope(), 10, self.told.append, make_round=self, jitter=lambda: 0.0, **more
        )


CALM = Round((Event(Kind.IN_SYNC, "all is well"),))
STRAINED = Round((Event(Kind.FAILED, "locked", code=4),), strained=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_loop_tells_every_event_and_ends_by_a_signal(tmp_path, monkeypatch, number):
    script = Script(monkeypatch, CALM, CALM, CALM, ended=number)
    before = signal.getsignal(number)

    assert script.run(tmp_path) == 128 + number

    assert [event.event.value for event in script.told] == ["in_sync"] * 3 + ["stopped"]
    assert script.slept == [10, 10]
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_the_loop_looks_less_often_while_it_fails(tmp_path, monkeypatch):
    script = Script(monkeypatch, STRAINED, STRAINED, STRAINED, CALM, CALM)

    script.run(tmp_path)

    assert script.slept == [20, 40, 80, 10]


def test_one_round_gives_its_own_exit_code(tmp_path, monkeypatch):
    script = Script(monkeypatch, STRAINED, CALM)

    assert script.run(tmp_path, once=True) == 4
    assert script.slept == []


def test_one_watcher_at_a_time(tmp_path, monkeypatch):
    def second(*_):
        with pytest.raises(CursorBusy, match=r"another byok is watching: process \d+ \(byok watch"):
            Script(monkeypatch, CALM).run(tmp_path, once=True)
        return CALM

    options = Options(state_dir=tmp_path)
    assert watch(options, Scope(), 10, lambda _: None, once=True, make_round=second) == 0


@pytest.mark.parametrize(
    ("codes", "code"), [([0], 0), ([0, 2], 2), ([2, 4], 4), ([2, 8, 7], 7), ([1, 2], 1), ([64], 64)]
)
def test_a_failure_is_louder_than_what_was_left(codes, code):
    assert Round(tuple(Event(Kind.LEFT, "", code=c) for c in codes)).code == code
