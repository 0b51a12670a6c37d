"""Carry out a plan one step at a time, each recorded before and after."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from reconciler.errors import ByokError, ProviderError
from reconciler.ledger import Evidence, Ledger
from reconciler.model import Address, Change, Record, Sealed, Value, Written
from reconciler.planner import record_of
from reconciler.systems import Applied, System


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that did not happen, and why."""

    change: Change
    error: ByokError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of executing a plan; ``signal`` is set when one ended it early."""

    applied: tuple[Change, ...] = ()
    failed: tuple[Failure, ...] = ()
    pending: frozenset[Address] = frozenset()
    notes: tuple[str, ...] = ()
    signal: int | None = None


@dataclass(slots=True)
class Stop:
    """Set by a signal; the executor looks at it between two steps."""

    signal: int | None = None


@dataclass(slots=True)
class Current:
    """The step being executed, for copies of what it replaces."""

    step: int = 0


Recorder = Callable[[Change, Mapping[str, Record]], dict[str, Record | None]]


def silent(_change: Change) -> None:
    """Tell nobody that a step is done."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What the executor needs beside the changes.

    ``version_of`` tells a source's version, ``told`` hears of each step that is done.
    """

    system: System
    ledger: Ledger
    run: int
    owner: str
    version_of: Callable[[str], str | None]
    current: Current = field(default_factory=Current)
    stop: Stop = field(default_factory=Stop)
    recorder: Recorder = record_of
    told: Callable[[Change], None] = silent


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a wish to stop after the current step."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def wish(number: int, _frame: object) -> None:
        stop.signal = number

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)


def execute(changes: Iterable[Change], written: Written, run: Execution) -> Outcome:
    """Apply the changes in order; the first failure, or a signal, ends this system's part."""
    done: list[Change] = []
    notes: list[str] = []
    pending: set[Address] = set()
    for change in changes:
        if run.stop.signal is not None:
            break
        try:
            applied = _step(change, written.get(change.address, {}), run)
        except ByokError as error:
            return Outcome(tuple(done), (Failure(change, error),), frozenset(pending), tuple(notes))
        done.append(change)
        run.told(change)
        notes.extend(applied.notes)
        if applied.pending:
            pending.add(change.address)
    return Outcome(tuple(done), (), frozenset(pending), tuple(notes), run.stop.signal)


def _step(change: Change, records: Mapping[str, Record], run: Execution) -> Applied:
    step = run.ledger.begin_step(run.run, run.system.identity, run.owner, change)
    run.current.step = step
    try:
        applied = run.system.apply(change)
    except ProviderError:
        raise  # it may have happened: the step stays open until a later run has looked
    except ByokError as error:
        run.ledger.fail_step(step, str(error))
        raise
    done = _with_copies(change, run.recorder(change, records), applied.kept)
    done |= _as_found(done, records, applied.found)
    proof = _evidence(change, done, applied, run)
    run.ledger.finish_step(step, done, proof, "; ".join(applied.notes))
    return applied


def _with_copies(
    change: Change, records: Mapping[str, Record | None], kept: Mapping[str, str]
) -> dict[str, Record | None]:
    """Point the value that a removal brings back to the copy that was made of it."""
    copied = {
        edit.name: Sealed(edit.before.fingerprint, kept[edit.name])
        for edit in change.edits
        if isinstance(edit.before, Sealed) and edit.name in kept
    }
    return {
        name: replace(record, before=copied[name])
        if record is not None and name in copied and record.before == copied[name]
        else record
        for name, record in records.items()
    }


def _as_found(
    done: Mapping[str, Record | None], old: Mapping[str, Record], found: Mapping[str, Value]
) -> dict[str, Record | None]:
    """Let a removal bring back what stood there in truth, where the plan saw nothing yet."""
    return {
        name: replace(record, before=found[name])
        for name, record in done.items()
        if record is not None and name in found and name not in old
    }


def _evidence(
    change: Change, records: Mapping[str, Record | None], applied: Applied, run: Execution
) -> dict[str, Evidence]:
    """Return how to tell the written secrets again.

    A rollback may record another value than it put back; that one's cell would stand for it.
    """
    return {
        edit.name: Evidence(
            version=run.version_of(edit.after.ref or ""),
            cell=applied.cells.get(edit.name),
            pending=applied.pending and edit.name not in applied.cells,
        )
        for edit in change.edits
        if isinstance(edit.after, Sealed) and _stands(records.get(edit.name), edit.after)
    }


def _stands(record: Record | None, value: Sealed) -> bool:
    return record is not None and record.value == value
