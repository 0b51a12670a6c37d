"""The executor: each step recorded before and after, stopped between steps, never lost."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from reconciler.errors import ByokError, ProviderError, SecretError, SecretProblem, StalePlan
from reconciler.executor import Execution, Stop, execute, interruptible
from reconciler.ledger import Ledger
from reconciler.model import Action, Address, Cause, Change, Edit, Record, Sealed
from reconciler.systems import Applied

KEY = Sealed("aaaaaaaaaaaa", "sops://f#/key")
THEIRS = Sealed("bbbbbbbbbbbb")
TEAM, HERE = "acme", "/home/me/Cursor"


def address(name):
    return Address("cursor", "provider", name)


def change(name, *edits, cause=Cause.NEW):
    edits = edits or (("enabled", None, True),)
    return Change(address(name), Action.UPDATE, cause, tuple(Edit(*edit) for edit in edits))


class System:
    """Answers each change with what it was told to: an Applied, an error, or a call."""

    name, identity = "cursor", HERE

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def apply(self, made):
        self.asked.append(made)
        answer = self.answers.get(made.address.name, Applied())
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path, write=True) as opened:
        yield opened


@pytest.fixture
def run(ledger):
    """Execute changes against a system's answers; returns the outcome."""

    def go(changes, written=None, *, answers=None, **more):
        go.number = ledger.begin_run("apply", TEAM)
        go.system = System(**(answers or {}))
        more.setdefault("version_of", lambda ref: f"version of {ref}")
        execution = Execution(go.system, ledger, go.number, TEAM, **more)
        return execute(changes, written or {}, execution)

    return go


def states(ledger, number):
    return [(s.change.address.name, s.state, s.note) for s in ledger.steps(number)]


def test_changes_are_applied_in_order_and_recorded(ledger, run):
    told = []
    changes = [change("a", ("key", THEIRS, KEY), cause=Cause.TAKEOVER), change("b")]
    outcome = run(changes, told=told.append)
    assert outcome.applied == tuple(changes) == tuple(run.system.asked) == tuple(told)
    assert (outcome.failed, outcome.signal, outcome.notes) == ((), None, ())
    assert ledger.written(HERE, TEAM) == {
        address("a"): {"key": Record(KEY, THEIRS)},
        address("b"): {"enabled": Record(True, None)},
    }
    assert states(ledger, run.number) == [("a", "finished", ""), ("b", "finished", "")]
    assert ledger.open_steps(HERE, TEAM) == ()


def test_a_step_is_recorded_before_it_happens(ledger, run):
    seen = []

    def look():
        seen.append([s.change.address.name for s in ledger.open_steps(HERE, TEAM)])
        seen.append(ledger.written(HERE, TEAM))
        return Applied()

    run([change("a")], answers={"a": look})
    assert seen == [["a"], {}]


def test_the_copy_of_what_a_step_replaces_belongs_to_that_step(ledger, run):
    numbers = []
    execution = {}

    def keep():
        numbers.append(execution["run"].current.step)
        return Applied()

    run.number = ledger.begin_run("apply", TEAM)
    execution["run"] = Execution(
        System(a=keep, b=keep), ledger, run.number, TEAM, version_of=lambda _: None
    )
    execute([change("a"), change("b")], {}, execution["run"])
    assert numbers == [s.id for s in ledger.steps(run.number)]


def test_what_was_there_first_points_to_its_copy(ledger, run):
    applied = Applied(kept={"key": "snapshot://7"})
    run([change("a", ("key", THEIRS, KEY))], answers={"a": applied})
    record = ledger.written(HERE, TEAM)[address("a")]["key"]
    assert (record.before, record.before.ref) == (THEIRS, "snapshot://7")


@pytest.mark.parametrize(
    ("replaced", "kept"), [(Sealed("cccccccccccc"), "snapshot://1"), (THEIRS, "snapshot://9")]
)
def test_a_later_copy_does_not_stand_for_the_first_value(ledger, run, replaced, kept):
    """Unless just that value was replaced again: then its newer copy is as good."""
    first = Sealed(THEIRS.fingerprint, "snapshot://1")
    written = {address("a"): {"key": Record(KEY, first)}}
    made = change("a", ("key", replaced, KEY), cause=Cause.DRIFT)
    run([made], written, answers={"a": Applied(kept={"key": "snapshot://9"})})
    assert ledger.written(HERE, TEAM)[address("a")]["key"].before.ref == kept


def test_evidence_is_recorded_for_secrets_only(ledger, run):
    made = change("a", ("enabled", None, True), ("key", None, KEY))
    applied = Applied(cells={"key": "cell one"}, pending=True, notes=("a note", "another"))
    outcome = run([made], answers={"a": applied})
    assert ledger.evidence("version") == {"version of sops://f#/key": KEY.fingerprint}
    assert ledger.evidence("cell") == {"cell one": KEY.fingerprint}
    assert (outcome.pending, outcome.notes) == ({address("a")}, ("a note", "another"))
    assert states(ledger, run.number) == [("a", "finished", "a note; another")]


def test_a_cell_never_stands_for_a_record_of_another_value(ledger, run):
    """A rollback that puts a moved key back records ours still: its cell would be taken for it."""
    back = change("a", ("key", KEY, THEIRS), cause=Cause.REMOVED)
    run(
        [back],
        answers={"a": Applied(cells={"key": "their cell"})},
        recorder=lambda _change, _records: {"key": Record(KEY, None)},
    )
    assert ledger.written(HERE, TEAM)[address("a")]["key"].value == KEY
    assert ledger.evidence("cell") == ledger.evidence("version") == {}


def test_a_removal_is_forgotten_with_its_evidence(ledger, run):
    run([change("a", ("key", None, KEY))], answers={"a": Applied(cells={"key": "cell"})})
    gone = change("a", ("key", KEY, None), cause=Cause.REMOVED)
    run([gone], ledger.written(HERE, TEAM), answers={"a": Applied(cells={"key": "cell"})})
    assert ledger.written(HERE, TEAM) == {}
    assert ledger.evidence("cell") == {}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (StalePlan("a", "moved"), "failed"),
        (SecretError(SecretProblem.LOCKED, "a", "is locked"), "failed"),
        (ByokError("a", "said no"), "failed"),
        (ProviderError("a", "timed out"), "started"),
    ],
)
def test_a_failure_ends_the_run_and_only_a_sure_one_closes_its_step(ledger, run, error, state):
    changes = [change("x"), change("a"), change("z")]
    outcome = run(changes, answers={"a": error})
    assert outcome.applied == tuple(changes[:1])
    assert [(f.change, f.error) for f in outcome.failed] == [(changes[1], error)]
    assert run.system.asked == changes[:2]
    assert [s[:2] for s in states(ledger, run.number)] == [("x", "finished"), ("a", state)]
    assert ledger.written(HERE, TEAM).keys() == {address("x")}


def test_a_death_leaves_the_step_open(ledger, run):
    with pytest.raises(KeyboardInterrupt):
        run([change("a"), change("b")], answers={"a": KeyboardInterrupt()})
    assert [s.change.address.name for s in ledger.open_steps(HERE, TEAM)] == ["a"]


def test_a_ledger_that_cannot_close_a_step_says_so_and_the_step_stays_open(
    ledger, run, monkeypatch
):
    def full(*_args):
        raise ByokError("ledger.db", "the ledger cannot be used (disk is full)")

    monkeypatch.setattr(ledger, "finish_step", full)
    outcome = run([change("a"), change("b")])
    assert (outcome.applied, len(outcome.failed)) == ((), 1)
    assert len(ledger.open_steps(HERE, TEAM)) == 1
    assert len(run.system.asked) == 1


def test_a_signal_ends_the_run_after_the_current_step(ledger, run):
    stop = Stop()

    def hit():
        stop.signal = signal.SIGTERM
        return Applied()

    changes = [change("a"), change("b")]
    outcome = run(changes, answers={"a": hit}, stop=stop)
    assert (outcome.applied, outcome.signal) == (tuple(changes[:1]), signal.SIGTERM)
    assert states(ledger, run.number) == [("a", "finished", "")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_become_a_wish_and_are_given_back(number):
    before = signal.getsignal(number)
    with interruptible() as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.signal == number
    assert signal.getsignal(number) is before
    with interruptible() as stop:
        assert stop.signal is None


def test_a_handler_that_python_does_not_know_is_no_stumbling_block(monkeypatch):
    """`signal.signal` answers None where a C library had put its own."""
    real, given = signal.signal, []

    def odd(number, handler):
        given.append(handler)
        real(number, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(signal, "signal", odd)
    try:
        with interruptible():
            pass
    finally:
        monkeypatch.undo()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert given[2:] == [signal.SIG_DFL] * 2


def test_off_the_main_thread_signals_are_left_alone():
    found = []

    def look():
        before = signal.getsignal(signal.SIGINT)
        with interruptible() as stop:
            found.append((stop.signal, signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [(None, True)]
