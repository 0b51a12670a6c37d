"""What every system must do, driven through the real order of events; subclass and give a `rig`."""

from __future__ import annotations

import dataclasses
import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.codec import dump_plan, load_plan, same
from reconciler.engine import apply_plan
from reconciler.errors import ByokError, ProviderError, StalePlan
from reconciler.executor import Outcome
from reconciler.ledger import Ledger
from reconciler.model import Action, Cause, Edit, Plan, Scope, Sealed
from reconciler.render import render_html, render_markdown, render_text
from reconciler.rollback import roll_back
from reconciler.session import Options, Session, reading, writing
from reconciler.survey import make_plan
from reconciler.systems import System

WRITES = (
    *("begin_run", "end_run", "begin_step", "finish_step", "fail_step", "settle_step"),
    *("record", "seen", "keep", "approve", "take_over"),
)
"""The ledger's methods that write: a process can die before and after each."""


class Killed(BaseException):
    """The process died here; nothing after this line was run."""


@dataclasses.dataclass
class Fate:
    """Counts the moments at which a process can die, and kills it at one of them."""

    at: int | None = None
    moments: list[str] = dataclasses.field(default_factory=list)

    def strike(self, moment: str) -> None:
        self.moments.append(moment)
        if len(self.moments) - 1 == self.at:
            raise Killed(moment)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(*args: Any, **kwargs: Any) -> Any:
            self.strike(f"before {name}")
            found = call(*args, **kwargs)
            self.strike(f"after {name}")
            return found

        return mortal


class Rig(ABC):
    """One system in a world of its own, and what a test has to know of it.

    The world lives outside of the objects that read it: every run opens a new system, as a new
    process would. ``secrets`` are all secret texts in play.
    """

    name = "cursor"
    secrets: tuple[str, ...] = ()
    fate = Fate()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "team" / "byok.yaml"
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        (self.state / "snapshot.key").write_bytes(bytes(range(32)))  # leaves the keyring in peace
        (self.state / "snapshot.key").chmod(0o600)

    def options(self) -> Options:
        return Options(
            manifest=self.manifest,
            state_dir=self.state,
            cursor_dir=self.folder,
            env={},
            observe=False,
        )

    def secret(self, name: str, text: str) -> None:
        """Put a secret where ``file://keys/NAME`` finds it."""
        path = self.manifest.parent / "keys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    @abstractmethod
    def system(self, session: Session) -> System:
        """Open the system afresh."""

    @abstractmethod
    def wish(self, which: str) -> None:
        """Make the manifest ``first``, ``second``, or ``none`` (it names nothing)."""

    @abstractmethod
    def world(self) -> object:
        """Return all bytes that are there."""

    @abstractmethod
    def sense(self) -> Mapping[str, object]:
        """Return what is there, by what it means: secrets opened, forms of nothing left out."""

    @abstractmethod
    def strangers(self) -> Mapping[str, object]:
        """Return that part of the world which no manifest of this rig names."""

    @abstractmethod
    def disturb(self) -> None:
        """Move two values that the first manifest manages, one of them a secret, by hand."""


class Stage(Session):
    """A session whose system is a rig's."""

    rig: Rig

    def system(self, name: str) -> System:
        assert name == self.rig.name
        opened = self.rig.system(self)
        if self.rig.fate.at is not None or self.rig.fate.moments:
            return Mortal(opened, self.rig.fate)
        return opened

    def wait_until_writable(self) -> None:
        return


class Mortal:
    """A system that can die before and after it applied a change."""

    def __init__(self, system: System, fate: Fate) -> None:
        self.name, self.identity, self.rules = system.name, system.identity, system.rules
        self.desired, self.actual = system.desired, system.actual
        self.apply = fate.around("apply", system.apply)


@contextmanager
def stage(rig: Rig, *, write: bool = True, **options: Any) -> Iterator[Stage]:
    """Open what one process opens."""
    chosen = dataclasses.replace(rig.options(), **options)
    with writing(chosen, "apply") if write else reading(chosen) as session:
        staged = Stage(*(getattr(session, part.name) for part in dataclasses.fields(Session)))
        object.__setattr__(staged, "rig", rig)
        yield staged


def scope(rig: Rig) -> Scope:
    return Scope((rig.name,))


def plan(rig: Rig) -> Plan:
    with stage(rig, write=False) as session:
        return make_plan(session, scope(rig)).plan


def apply(rig: Rig, *, saved: Plan | None = None, **options: Any) -> Outcome:
    with stage(rig, **options) as session:
        return apply_plan(session, scope(rig), lambda _: True, saved=saved)[1]


def remove(rig: Rig) -> Outcome:
    """Take everything back, as ``byok destroy`` does."""
    with stage(rig) as session:
        return apply_plan(session, scope(rig), lambda _: True, removing=True)[1]


def undo(rig: Rig, run: int | None = None) -> Outcome:
    with stage(rig) as session:
        return roll_back(session, run, lambda _: True, scope=scope(rig))[1]


@pytest.fixture
def mortality(monkeypatch):
    """Let a rig's runs be killed: call with the moment's number, or None to count them."""

    def arm(rig: Rig, at: int | None) -> Fate:
        rig.fate = Fate(at, [] if at is not None else ["armed"])
        monkeypatch.undo()
        for name in WRITES:
            monkeypatch.setattr(Ledger, name, doomed(rig.fate, name, getattr(Ledger, name)))
        return rig.fate

    def disarm(rig: Rig) -> None:
        monkeypatch.undo()
        rig.fate = Fate()

    arm.off = disarm
    return arm


def doomed(fate: Fate, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method, so that it stays one."""

    def method(self: Ledger, *args: Any, **kwargs: Any) -> Any:
        return fate.around(name, call)(self, *args, **kwargs)

    return method


def moments(rig: Rig, job: Callable[[Rig], object], mortality: Any) -> list[str]:
    """Do a job once, and return the moments at which it could have died."""
    fate = mortality(rig, None)
    job(rig)
    mortality.off(rig)
    return fate.moments[1:]


def killed(rig: Rig, job: Callable[[Rig], object], at: int, mortality: Any) -> bool:
    """Do a job and kill it at this moment; tell whether it lived that long."""
    mortality(rig, at)
    try:
        job(rig)
    except Killed:
        return True
    finally:
        mortality.off(rig)
    return False


class SystemContract:
    """The contract. ``make()`` makes a rig in a folder, a new world at each call.

    ``actions`` are what a first plan must ask for.
    Every ``stride``-th moment is one to die at; variants of a slow system share them out.
    """

    offset, stride = 0, 1
    holds_secrets = True
    actions: Collection[Action] = tuple(Action)

    def make(self, folder: Path) -> Rig:
        raise NotImplementedError

    @pytest.fixture
    def rig(self, tmp_path):
        return self.fresh(tmp_path)

    def fresh(self, folder: Path) -> Rig:
        rig = self.make(folder)
        rig.wish("first")
        return rig

    @pytest.fixture
    def rigs(self, tmp_path):
        """Make as many worlds as asked for."""
        count = iter(range(100_000))

        def another() -> Rig:
            folder = tmp_path / f"world{next(count)}"
            folder.mkdir()
            return self.fresh(folder)

        return another

    def test_the_world_is_worth_testing(self, rig):
        """A kind world lets any system pass: this one must ask for every kind of change."""
        found = plan(rig)
        actions = {change.action for change in found.changes}
        assert actions >= set(self.actions)
        assert {change.cause for change in found.changes} >= {Cause.NEW, Cause.TAKEOVER}
        assert found.summary.in_sync or found.summary.unmanaged
        assert rig.strangers()
        if not self.holds_secrets:
            return
        edits = [edit for change in found.changes for edit in change.edits]
        sealed = [e for e in edits if isinstance(e.after, Sealed)]
        assert any(e.before is None for e in sealed), "a new secret"
        assert any(isinstance(e.before, Sealed) for e in sealed), "a secret that is taken over"
        assert any(isinstance(e.before, Sealed) and e.after is None for e in edits), "a lost one"

    def test_the_second_manifest_moves_and_removes(self, rig):
        apply(rig)
        rig.wish("second")
        again = {change.cause for change in plan(rig).changes}
        assert {Cause.MANIFEST, Cause.REMOVED} <= again

    def test_planning_writes_nothing(self, rig):
        before = rig.world()
        plan(rig)
        assert rig.world() == before
        apply(rig)
        before, ledger = rig.world(), (rig.state / "ledger.db").read_bytes()
        plan(rig)
        rig.wish("second")
        plan(rig)
        assert rig.world() == before
        assert (rig.state / "ledger.db").read_bytes() == ledger

    def test_planning_twice_gives_equal_bytes(self, rig):
        assert dump_plan(plan(rig)) == dump_plan(plan(rig))

    def test_apply_converges_and_does_what_the_plan_said(self, rig):
        shown = plan(rig)
        outcome = apply(rig)
        assert outcome.applied == shown.changes
        assert outcome.failed == ()
        after = plan(rig)
        assert after.changes == ()
        assert after.summary.in_sync > 0

    def test_twice_equals_once(self, rig):
        apply(rig)
        once = rig.world()
        assert apply(rig) == Outcome()
        assert rig.world() == once

    def test_one_step_twice_equals_once(self, rig):
        changes = plan(rig).changes
        with stage(rig) as session:
            run = session.ledger.begin_run("apply", session.owner)
            system = rig.system(session)
            for change in changes:
                session.current.step = session.ledger.begin_step(
                    run, system.identity, session.owner, change
                )
                system.apply(change)
                once = rig.sense()
                rig.system(session).apply(change)
                assert rig.sense() == once

    def test_a_saved_plan_survives_a_restart_and_is_done_to_the_letter(self, rigs):
        here, there = rigs(), rigs()
        text = dump_plan(plan(here))
        outcome = apply(here, saved=load_plan(text))
        assert dump_plan(load_plan(text)) == text
        assert outcome.applied == load_plan(text).changes
        apply(there)
        assert here.sense() == there.sense()

    def test_a_saved_plan_for_another_world_is_stale_and_nothing_is_written(self, rig):
        apply(rig)
        rig.wish("second")
        saved = plan(rig)
        rig.disturb()
        before = rig.world()
        with pytest.raises(StalePlan) as stale:
            apply(rig, saved=saved)
        assert stale.value.moved
        assert rig.world() == before

    def test_a_step_whose_ground_moved_is_stale_and_nothing_is_written(self, rig):
        apply(rig)
        rig.wish("second")
        changes = plan(rig).changes
        rig.disturb()
        before = rig.sense()
        moved = 0
        with stage(rig) as session:
            session.current.step = session.ledger.begin_step(
                session.ledger.begin_run("apply", session.owner), "x", session.owner, changes[0]
            )
            for change in changes:
                now = rig.system(session).actual().resources.get(change.address, {})
                if all(same(now.get(edit.name), edit.before) for edit in change.edits):
                    continue
                with pytest.raises(StalePlan):
                    rig.system(session).apply(change)
                moved += 1
                assert rig.sense() == before
        assert moved, "disturb() moved nothing that the second manifest changes"

    def test_strangers_are_untouched(self, rig):
        before = rig.strangers()
        for which in ("first", "second", "first"):
            rig.wish(which)
            apply(rig)
            assert rig.strangers() == before
        remove(rig)
        assert rig.strangers() == before

    @pytest.mark.parametrize(
        "way", [("first",), ("first", "second"), ("second", "first", "second")]
    )
    def test_removal_brings_the_world_back(self, rig, way):
        before = rig.sense()
        for which in way:
            rig.wish(which)
            apply(rig)
            assert rig.sense() != before
        rig.wish("none")
        outcome = apply(rig, allow_many=True)
        assert {change.cause for change in outcome.applied} == {Cause.REMOVED}
        assert rig.sense() == before
        with stage(rig, write=False) as session:
            assert session.ledger.written(rig.system(session).identity, session.owner) == {}
        assert remove(rig) == Outcome()

    def test_repaired_drift_does_not_lose_what_was_there_first(self, rig):
        before = rig.sense()
        apply(rig)
        wanted = rig.sense()
        rig.disturb()
        outcome = apply(rig)
        assert {change.cause for change in outcome.applied} == {Cause.DRIFT}
        assert rig.sense() == wanted
        remove(rig)
        assert rig.sense() == before

    def test_what_others_moved_is_left_on_removal(self, rig):
        apply(rig)
        rig.disturb()
        moved = rig.sense()
        planned = self.removal(rig)
        remove(rig)
        after = rig.sense()
        touched = {change.address for change in planned.changes}
        assert {at for at in moved if moved[at] != after.get(at)}
        assert touched
        with stage(rig, write=False) as session:
            assert session.ledger.written(rig.system(session).identity, session.owner) == {}

    def removal(self, rig):
        with stage(rig, write=False) as session:
            return make_plan(session, scope(rig), removing=True).plan

    def test_killed_at_any_moment_the_next_run_converges(self, rigs, mortality):
        """And the ledger knows what is ours: removal brings back what was there first."""
        first = rigs()
        before = first.sense()
        lives = moments(first, apply, mortality)
        wanted = first.sense()
        assert {"before apply", "after apply", "after finish_step"} <= set(lives)
        assert "before keep" in lives or not self.holds_secrets
        for at in range(self.offset, len(lives), self.stride):
            rig = rigs()
            assert killed(rig, apply, at, mortality), lives[at]
            plan(rig)
            apply(rig)
            assert (plan(rig).changes, rig.sense()) == ((), wanted), lives[at]
            remove(rig)
            assert rig.sense() == before, lives[at]

    def test_killed_while_the_manifest_moves_on_or_while_removing(self, rigs, mortality):
        """A second manifest, then removal, each killed at any moment, and killed again."""
        first = rigs()
        before = first.sense()
        apply(first)
        first.wish("second")
        lives = moments(first, apply, mortality)
        wanted = first.sense()
        ends = moments(first, remove, mortality)
        assert first.sense() == before
        for at in range(self.offset, len(lives), self.stride):
            rig = rigs()
            apply(rig)
            rig.wish("second")
            assert killed(rig, apply, at, mortality), lives[at]
            killed(rig, apply, at * 7 % len(lives), mortality)
            apply(rig)
            assert (plan(rig).changes, rig.sense()) == ((), wanted), lives[at]
            end = at * len(ends) // len(lives)
            assert killed(rig, remove, end, mortality)
            killed(rig, remove, (end + 3) % len(ends), mortality)
            remove(rig)
            assert rig.sense() == before, (lives[at], ends[end])

    def test_killed_with_one_manifest_and_resumed_with_another(self, rigs, mortality):
        first = rigs()
        before = first.sense()
        lives = moments(first, apply, mortality)
        apply(first)
        first.wish("second")
        apply(first)
        wanted = first.sense()
        for at in range(self.offset, len(lives), self.stride):
            rig = rigs()
            assert killed(rig, apply, at, mortality), lives[at]
            rig.wish("second")
            apply(rig)
            assert rig.sense() == wanted, lives[at]
            remove(rig)
            assert rig.sense() == before, lives[at]

    def test_rollback_brings_the_world_before_a_run_back(self, rig):
        before = rig.sense()
        apply(rig)
        first = rig.sense()
        rig.wish("second")
        apply(rig)
        undo(rig)
        assert rig.sense() == first
        apply(rig)
        remove(rig)
        assert rig.sense() == before
        undo(rig)
        assert plan(rig).changes == ()
        remove(rig)
        assert rig.sense() == before

    def test_rolling_back_a_repaired_drift_makes_nothing_ours_that_is_not(self, rig):
        """Then the moved values stand again, and are somebody else's: removal leaves them."""
        apply(rig)
        rig.disturb()
        moved = rig.sense()
        causes = {change.address: change.cause for change in plan(rig).changes}
        assert set(causes.values()) == {Cause.DRIFT}
        apply(rig)
        undo(rig)
        assert rig.sense() == moved
        again = {change.address: change.cause for change in plan(rig).changes}
        assert again == causes
        planned = self.removal(rig)
        edited = {(c.address, e.name) for c in planned.changes for e in c.edits}
        drifted = {(c.address, e.name) for c in plan(rig).changes for e in c.edits}
        assert not edited & drifted

    def test_killed_while_rolling_back(self, rigs, mortality):
        def job(rig: Rig) -> Outcome:
            return undo(rig, 2)

        first = rigs()
        before = first.sense()
        apply(first)
        first.wish("second")
        apply(first)
        wanted = first.sense()
        lives = moments(first, job, mortality)
        for at in range(self.offset, len(lives), self.stride):
            rig = rigs()
            apply(rig)
            rig.wish("second")
            apply(rig)
            assert killed(rig, job, at, mortality), lives[at]
            apply(rig)
            assert rig.sense() == wanted, lives[at]
            remove(rig)
            assert rig.sense() == before, lives[at]

    def test_a_failing_step_ends_the_run_and_the_next_one_resumes(self, rig, monkeypatch):
        class Broken:
            def __init__(self, system, counts):
                self.name, self.identity, self.rules = system.name, system.identity, system.rules
                self.desired, self.actual, self._apply = system.desired, system.actual, system.apply
                self.counts = counts

            def apply(self, change):
                self.counts.append(change)
                if len(self.counts) > 1:
                    raise ProviderError(str(change.address), "said no")
                return self._apply(change)

        counts, opened = [], rig.system
        monkeypatch.setattr(rig, "system", lambda session: Broken(opened(session), counts))
        shown = plan(rig).changes
        outcome = apply(rig)
        assert outcome.applied == shown[:1]
        assert [failure.change for failure in outcome.failed] == [shown[1]]
        monkeypatch.undo()
        assert apply(rig).applied == shown[1:]
        assert plan(rig).changes == ()

    def test_a_system_that_lies_about_its_write_is_found_out(self, rig, monkeypatch):
        class Liar:
            def __init__(self, system):
                self.name, self.identity, self.rules = system.name, system.identity, system.rules
                self.desired, self.actual = system.desired, system.actual

            def apply(self, _change):
                from reconciler.systems import Applied

                return Applied()

        opened = rig.system
        monkeypatch.setattr(rig, "system", lambda session: Liar(opened(session)))
        with pytest.raises(ProviderError, match="reads back different"):
            apply(rig)

    def test_two_teams_of_one_world_do_not_undo_each_other(self, rig):
        """The other's addresses are refused until taken over; then what was there first is kept."""
        before = rig.sense()
        apply(rig)
        mine = rig.sense()
        text = rig.manifest.read_text()
        rig.manifest.write_text(text.replace("team: acme", "team: other"))
        with pytest.raises(ByokError, match="acme"):
            apply(rig)
        assert rig.sense() == mine
        remove(rig)
        assert rig.sense() == mine
        apply(rig, take_over=True)
        assert rig.sense() == mine
        remove(rig)
        assert rig.sense() == before

    def test_taking_over_with_other_wishes_keeps_what_was_there_first(self, rig):
        before = rig.sense()
        apply(rig)
        rig.wish("second")
        text = rig.manifest.read_text()
        rig.manifest.write_text(text.replace("team: acme", "team: other"))
        apply(rig, take_over=True)
        remove(rig)
        rig.manifest.write_text(text)
        remove(rig)
        assert rig.sense() == before

    def test_no_secret_in_any_output(self, rig, caplog, capfd):
        """Plans in all forms, ledger and state files, logs at DEBUG, objects, and exceptions."""
        caplog.set_level(logging.DEBUG)
        told: list[object] = []

        def tell(job, *args, **kwargs):
            try:
                found = job(rig, *args, **kwargs)
            except ByokError as error:
                told.extend(traceback.format_exception(error))
                told.extend((repr(error), error.args))
                return
            told.extend((repr(found), str(found)))

        def show(shown):
            told.append(dump_plan(shown))
            told.extend(render(shown) for render in (render_markdown, render_html))
            told.append(render_text(shown))
            told.append(repr(shown))

        for which in ("first", "second"):
            rig.wish(which)
            saved = plan(rig)
            show(saved)
            tell(apply)
            rig.disturb()
            show(plan(rig))
            tell(apply, saved=saved)
            tell(apply)
        with stage(rig, write=False) as session:
            system = rig.system(session)
            told.extend((repr(session), repr(system), system.desired(), system.actual()))
            told.extend((repr(session.vault), session.ledger.runs()))
            told.extend(s for r in session.ledger.runs() for s in session.ledger.steps(r.id))
        tell(undo)
        tell(remove)
        told.extend((caplog.text, *capfd.readouterr()))
        text = "\n".join(map(str, told))
        files = {path: path.read_bytes() for path in rig.state.rglob("*") if path.is_file()}
        assert len(rig.secrets) >= (4 if self.holds_secrets else 2)
        assert any(b"sealed" in data or b"." in data for data in files.values())
        for secret in rig.secrets:
            assert secret not in text
            for path, data in files.items():
                for form in (
                    secret.encode(),
                    secret.encode("utf-16-le"),
                    secret.encode().hex().encode(),
                ):
                    assert form not in data, f"a secret in {path.name}"

    def test_a_copy_of_every_replaced_secret_can_be_opened(self, rig):
        if not self.holds_secrets:
            return
        apply(rig)
        rig.disturb()
        apply(rig)
        with stage(rig, write=False) as session:
            steps = [s for r in session.ledger.runs() for s in session.ledger.steps(r.id)]
            lost = [
                (step, edit)
                for step in steps
                for edit in step.change.edits
                if isinstance(edit.before, Sealed)
            ]
            assert lost
            for step, edit in lost:
                copy = Sealed(edit.before.fingerprint, step.kept[edit.name])
                assert session.vault.reveal(copy).expose() in rig.secrets


__all__ = ["Edit", "Rig", "Stage", "SystemContract", "mortality"]
