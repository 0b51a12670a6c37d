"""Rotation on the simulators, the real sops and Cursor's database: killed at every step."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

import pytest

from reconciler.engine import apply_plan
from reconciler.entries import KeyRecord, Stage
from reconciler.errors import (
    ByokError,
    CursorBusy,
    ProviderError,
    SafetyStop,
    SecretError,
    SecretProblem,
    UsageError,
)
from reconciler.model import Scope
from reconciler.rotation import Choice, Desk, carry_out, tasks
from reconciler.secrets import Secret, sops
from reconciler.survey import make_plan
from reconciler.systems.account import Trial
from tests.rotating import Bench, Killed, prepare
from tests.simulators.server import Response
from tests.simulators.world import world

pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")
try:
    sops.binary()
except SecretError:
    pytest.skip("needs the Go sops", allow_module_level=True)

FILE = "sops://secrets/team.enc.yaml#"
HOUR = 3600


@dataclass(frozen=True)
class Case:
    """One account to rotate, and how many keys live there as its simulator has it."""

    name: str
    refs: dict[str, str]

    def live(self, bench):
        """The values that the account accepts now."""
        here = bench.here
        match self.name:
            case "openai":
                return set(self._openai(here))
            case "azure":
                return set(here.azure.keys.values())
            case _:
                return {
                    (id_, row["SecretAccessKey"]) for id_, row in here.bedrock.access_keys.items()
                }

    def _openai(self, here):
        rows = [row["id"] for rows in here.openai.api_keys.values() for row in rows]
        return [here.openai.values[id_] for id_ in rows if id_ in here.openai.values]


OPENAI = Case("openai", {"key": f"{FILE}/openai/key"})


@pytest.fixture
def bench(tmp_path, monkeypatch):
    with world() as here:
        prepare(here)
        box = here.sandbox(tmp_path / "box")
        for name, value in box.environment.items():
            monkeypatch.setenv(name, value)
        made = Bench(here, box)
        with made.session() as session:
            apply_plan(session, Scope(("cursor", "gateway")), lambda _: True)
        yield made


def settled(bench):
    """Cursor is as the manifest wants it: nothing to change."""
    with bench.session() as session:
        return make_plan(session, Scope(), watching=False).plan.changes == ()


def test_the_whole_way(bench):
    old = bench.stored(OPENAI.refs)["key"]
    (ended,) = bench.rotate("openai", grace=0)
    new = bench.stored(OPENAI.refs)["key"]
    assert ended.error is None
    assert ended.rotation.stage is Stage.DONE
    assert new != old
    assert OPENAI.live(bench) == {new}
    assert settled(bench)
    assert bench.told == [
        *("making", "made", "tried", "storing", "stored", "placed", "kept", "revoking", "done")
    ]
    assert bench.open_rotations() == ()


def test_the_old_key_lives_on_for_its_grace_and_dies_after_it(bench):
    old = bench.stored(OPENAI.refs)["key"]
    (ended,) = bench.rotate("openai", grace=24 * HOUR)
    new = bench.stored(OPENAI.refs)["key"]
    assert ended.rotation.stage is Stage.KEPT
    assert OPENAI.live(bench) == {old, new}
    (again,) = bench.rotate("openai")
    assert again.rotation.stage is Stage.KEPT
    assert OPENAI.live(bench) == {old, new}
    bench.clock.pause(25 * HOUR)
    (over,) = bench.rotate()
    assert over.rotation.stage is Stage.DONE
    assert OPENAI.live(bench) == {new}


def test_grace_can_be_cut_short(bench):
    bench.rotate("openai", grace=24 * HOUR)
    (ended,) = bench.rotate("openai", grace=0)
    assert ended.rotation.stage is Stage.DONE
    assert len(OPENAI.live(bench)) == 1


STAGES = ["making", "made", "tried", "storing", "stored", "placed", "kept", "revoking", "done"]


@pytest.mark.parametrize("stage", STAGES)
def test_killed_once_a_stage_is_on_record(bench, stage):
    """Wherever it ends, a working key is in its store; the next run finishes with one live key."""

    def kill(rotation):
        if rotation.stage.value == stage:
            raise Killed

    with pytest.raises(Killed):
        bench.rotate("openai", grace=0, kill=kill)
    assert bench.stored(OPENAI.refs)["key"] in OPENAI.live(bench)
    if stage != "done":
        (ended,) = bench.rotate("openai")
        assert ended.error is None
        assert ended.rotation.stage is Stage.DONE
    assert OPENAI.live(bench) == {bench.stored(OPENAI.refs)["key"]}
    assert settled(bench)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_when_a_stage_is_done_and_not_yet_on_record(bench, stage, monkeypatch):
    from reconciler.keybook import KeyBook

    move = KeyBook.move

    def killed(self, rotation):
        if rotation.stage.value == stage:
            raise Killed
        return move(self, rotation)

    monkeypatch.setattr(KeyBook, "move", killed)
    with pytest.raises(Killed):
        bench.rotate("openai", grace=0)
    monkeypatch.setattr(KeyBook, "move", move)
    assert bench.stored(OPENAI.refs)["key"] in OPENAI.live(bench)
    (ended,) = bench.rotate("openai", grace=0)
    assert ended.error is None
    assert ended.rotation.stage is Stage.DONE
    assert OPENAI.live(bench) == {bench.stored(OPENAI.refs)["key"]}
    assert settled(bench)


def test_a_key_that_was_made_and_never_seen_is_revoked_by_the_next_run(bench):
    bench.here.openai.inject("lost", method="POST", path="*/service_accounts")
    (ended,) = bench.rotate("openai", grace=0)
    assert isinstance(ended.error, ProviderError)
    assert len(OPENAI.live(bench)) == 2
    (ended,) = bench.rotate("openai")
    assert ended.rotation.stage is Stage.DONE
    assert OPENAI.live(bench) == {bench.stored(OPENAI.refs)["key"]}


def test_a_new_key_gets_time_to_be_in_force(bench):
    bench.here.openai.late = 2
    (ended,) = bench.rotate("openai", grace=0)
    assert ended.rotation.stage is Stage.DONE


def test_a_key_that_never_works_replaces_nothing_and_can_be_given_up(bench):
    old = bench.stored(OPENAI.refs)["key"]
    bench.here.openai.late = 10_000
    (ended,) = bench.rotate("openai", grace=0)
    assert isinstance(ended.error, ProviderError)
    assert "does not accept the new key" in str(ended.error)
    assert ended.rotation.stage is Stage.MADE
    assert bench.stored(OPENAI.refs)["key"] == old
    (ended,) = bench.rotate("openai", dropping=True)
    assert ended.rotation.stage is Stage.DROPPED
    assert OPENAI.live(bench) == {old}
    assert bench.open_rotations() == ()


def test_what_is_in_use_cannot_be_given_up(bench):
    bench.rotate("openai", grace=24 * HOUR)
    (ended,) = bench.rotate("openai", dropping=True)
    assert isinstance(ended.error, SafetyStop)
    assert len(OPENAI.live(bench)) == 2


def test_somebody_elses_new_key_in_the_store_is_not_overwritten(bench):
    from reconciler.secrets.store import store

    theirs = "sk-proj-" + "theirs" * 9

    def meddle(rotation):
        if rotation.stage is Stage.STORING:
            folder = bench.box.manifest.parent
            store({OPENAI.refs["key"]: Secret(theirs)}, folder=folder)

    (ended,) = bench.rotate("openai", grace=0, kill=meddle)
    assert isinstance(ended.error, SafetyStop)
    assert bench.stored(OPENAI.refs)["key"] == theirs


def test_a_store_that_loses_the_new_key_keeps_the_old_one_alive(bench):
    from reconciler.secrets.store import store

    old = bench.stored(OPENAI.refs)["key"]
    bench.rotate("openai", grace=HOUR)
    store({OPENAI.refs["key"]: Secret(old)}, folder=bench.box.manifest.parent)
    bench.clock.pause(2 * HOUR)
    (ended,) = bench.rotate("openai")
    assert (ended.error, ended.rotation.stage) == (None, Stage.KEPT)  # for another hour
    assert OPENAI.live(bench) == {old, bench.stored(OPENAI.refs)["key"]} != {old}


def test_a_dead_new_key_keeps_the_old_one_alive(bench):
    old = bench.stored(OPENAI.refs)["key"]
    (ended,) = bench.rotate("openai", grace=HOUR)
    bench.clock.pause(2 * HOUR)
    new_id = ended.rotation.new_id.rpartition("/")[2]
    bench.here.openai.revoked.add(bench.here.openai.values[new_id])
    (ended,) = bench.rotate("openai")
    assert isinstance(ended.error, ProviderError)
    assert old in OPENAI.live(bench)


def running(*_):
    raise CursorBusy("Cursor", "is running", "quit it")


def test_while_cursor_runs_no_key_is_made(bench, monkeypatch):
    import reconciler.session as module

    monkeypatch.setattr(module, "wait_until_quit", running)
    with pytest.raises(CursorBusy, match="--without-cursor"):
        bench.rotate("openai", grace=0)
    assert bench.told == []
    assert bench.open_rotations() == ()
    (ended,) = bench.rotate("openai", grace=0, cursor=False)
    assert ended.rotation.stage is Stage.DONE
    assert len(OPENAI.live(bench)) == 1


def test_where_cursor_is_opened_meanwhile_the_new_key_waits_in_its_store(bench, monkeypatch):
    import reconciler.session as module

    with monkeypatch.context() as patched:

        def opens(rotation):
            if rotation.stage is Stage.TRIED:
                patched.setattr(module, "wait_until_quit", running)

        (ended,) = bench.rotate("openai", grace=0, kill=opens)
    assert isinstance(ended.error, CursorBusy)
    assert ended.rotation.stage is Stage.STORED
    assert len(OPENAI.live(bench)) == 2
    (ended,) = bench.rotate("openai")
    assert ended.rotation.stage is Stage.DONE
    assert settled(bench)


def test_rollback_never_brings_a_revoked_key_back(bench):
    from reconciler.rollback import roll_back

    bench.rotate("openai", grace=0)
    with bench.session() as session:
        number = next(
            run.id for run in session.ledger.runs() if run.command == "rotate" and run.steps
        )
        planned, _ = roll_back(session, number, lambda _: True)
    told = [seen.text for seen in planned.plan.observations]
    assert any("revoked key" in text for text in told)
    assert settled(bench)


CASES = {
    "azure": {"key": f"{FILE}/azure/key"},
    "bedrock": {
        "access_key_id": f"{FILE}/bedrock/access_key_id",
        "secret_access_key": f"{FILE}/bedrock/secret_access_key",
    },
    "google": {"key": f"{FILE}/google/key"},
    "gateway": {"key": f"{FILE}/gateway/key"},
}


@pytest.fixture(params=CASES)
def case(request, bench):
    """One account, with what its own API says before anything is done."""
    return Account(bench, request.param, CASES[request.param])


class Account:
    """An account as its API tells of it: which keys work, and how many live."""

    def __init__(self, bench, name, refs):
        self.bench, self.name, self.refs = bench, name, refs
        self.old, self.count = self.stored(), self.living()

    def stored(self):
        return self.bench.stored(self.refs)

    def issuer(self, session):
        return self.bench.desk(session, lambda _: None)(self.name).issuer

    def works(self, values):
        with self.bench.session() as session:
            found = self.issuer(session).attempt({n: Secret(v) for n, v in values.items()})
        return found is Trial.ALIVE

    def living(self):
        with self.bench.session() as session:
            return len([key for key in self.issuer(session).listed() if key.live])

    def rotate(self, **more):
        (ended,) = self.bench.rotate(self.name, **more)
        return ended

    def check_the_end(self):
        new = self.stored()
        assert new != self.old
        assert self.works(new)
        assert not self.works(self.old)
        assert self.living() == self.count
        assert settled(self.bench)
        assert self.bench.open_rotations() == ()


def test_every_provider_ends_with_one_live_key(case):
    ended = case.rotate(grace=0)
    assert (ended.error, ended.rotation.stage) == (None, Stage.DONE)
    case.check_the_end()


def test_every_provider_can_be_rotated_again(case):
    case.rotate(grace=0)
    assert case.rotate(grace=0, allow_irreversible=False).error is None
    case.check_the_end()


def test_every_provider_may_take_its_time(case):
    simulator = getattr(case.bench.here, case.name)
    simulator.late = 2
    assert case.rotate(grace=0).error is None
    simulator.late = 0
    case.check_the_end()


DEADLY = ["making", "made", "stored", "revoking", "done"]


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "not recorded"])
@pytest.mark.parametrize("stage", DEADLY)
@pytest.mark.parametrize("name", ["azure", "bedrock"])
def test_killed_at_the_deadliest_stages(bench, name, stage, recorded, monkeypatch):
    from reconciler.keybook import KeyBook

    case, move = Account(bench, name, CASES[name]), KeyBook.move

    def killed(self, rotation):
        moved = move(self, rotation) if recorded else None
        if rotation.stage.value == stage:
            raise Killed
        return moved or move(self, rotation)

    with monkeypatch.context() as patched:
        patched.setattr(KeyBook, "move", killed)
        with pytest.raises(Killed):
            case.rotate(grace=0)
    assert case.works(case.stored())
    if case.bench.open_rotations():
        assert case.rotate(grace=0).error is None
    case.check_the_end()


@pytest.mark.parametrize("name", ["bedrock", "google", "gateway"])
def test_an_answer_that_never_came_leaves_no_key_behind(bench, name):
    case = Account(bench, name, CASES[name])
    simulator = getattr(bench.here, name)
    making = {"bedrock": "*", "google": "*/keys", "gateway": "*/key/generate"}[name]
    simulator.inject("lost", method="POST", path=making)
    ended = case.rotate(grace=0)
    if ended.error is not None:
        assert case.works(case.old)
        assert case.rotate(grace=0).error is None
    case.check_the_end()


def test_the_inventory_knows_both_keys(bench):
    bench.rotate("openai", grace=0)
    with bench.session() as session:
        old, new = session.ledger.keys.keys(session.owner)
    by_life = sorted((old, new), key=lambda key: key.retired)
    assert [bool(key.retired) for key in by_life] == [False, True]
    assert by_life[0].refs == OPENAI.refs


def test_no_copy_outlives_the_rotation(bench):
    bench.rotate("openai", grace=0)
    with bench.session() as session:
        db = session.ledger._db
        assert db.rows("SELECT * FROM key_copy") == []


def test_due_by_age(bench):
    with pytest.raises(ByokError):
        bench.rotate()
    ended = bench.rotate(due=True, grace=0)
    assert "openai" in [one.rotation.system for one in ended]


def test_a_provider_with_two_kinds_of_keys_is_not_guessed_at(bench):
    text = bench.box.manifest.read_text()
    more = text.replace(
        "    region: us-east-1\n", f"    region: us-east-1\n    key: {OPENAI.refs['key']}\n"
    )
    bench.box.manifest.write_text(more)
    with pytest.raises(ByokError, match="cannot tell which to rotate"):
        bench.rotate("bedrock")


def test_the_manifest_names_the_old_key(bench):
    text = bench.box.manifest.read_text()
    more = text.replace(
        "    cloud_project: acme-cursor\n",
        "    cloud_project: acme-cursor\n"
        "    keys: {cursor: {services: [generativelanguage.googleapis.com]}}\n",
    )
    bench.box.manifest.write_text(more)
    with bench.session(allow_irreversible=True) as session:
        todo = tasks(session, ["google"], bench.desk(session, lambda _: None), only_due=False)
        carry_out(session, todo, lambda _: True, Choice(grace=0))
        assert any("names the old key, cursor" in note for note in session.aloud)


def test_a_persons_own_key_stays_hers(bench):
    """What `byok issue` made for her bears her name for good, so that she can be off-boarded."""
    from reconciler.keynames import for_person, is_of
    from reconciler.manifest.facts import machine
    from reconciler.secrets.store import store

    me, project = machine().user, bench.here.openai.project("cursor-byok")
    account = bench.here.openai.make_service_account(project, for_person("sandbox", me, "0123"))
    value = bench.here.openai.value()
    bench.here.openai.make_account_key(project, account, value)
    store({OPENAI.refs["key"]: Secret(value)}, folder=bench.box.manifest.parent)
    (ended,) = bench.rotate("openai", grace=0)
    assert ended.error is None
    assert is_of(ended.rotation.name, "sandbox", me)
    with bench.session() as session:
        live = [key for key in session.ledger.keys.keys(session.owner) if not key.retired]
    assert [key.holder for key in live] == [me]


def test_nothing_else_in_the_store_moves(bench):
    refs = {name: f"{FILE}/{name}/key" for name in ("anthropic", "google", "azure")}
    before = bench.stored(refs)
    bench.rotate("openai", grace=0)
    assert bench.stored(refs) == before


def put(bench, ref, value):
    """Change what is stored as somebody else does: another machine's rotation, come by git."""
    from reconciler.secrets.store import store

    store({ref: Secret(value)}, folder=bench.box.manifest.parent)


def killed_at(bench, name, stage, **more):
    def kill(rotation):
        if rotation.stage.value == stage:
            raise Killed

    with pytest.raises(Killed):
        bench.rotate(name, grace=0, kill=kill, **more)


def killed_once_ordered(bench, name, monkeypatch):
    with monkeypatch.context() as patched:

        def kill(*_):
            raise Killed

        patched.setattr(Desk, "keep", kill)
        with pytest.raises(Killed):
            bench.rotate(name, grace=0)


@pytest.mark.parametrize("stage", ["ordered", "making"])
def test_a_key_that_came_into_the_store_before_ours_was_made_is_not_cut_off(
    bench, stage, monkeypatch
):
    """Of Azure's slots the idle one is made anew: by now it may be the one that all others use."""
    case = Account(bench, "azure", CASES["azure"])
    if stage == "ordered":
        killed_once_ordered(bench, "azure", monkeypatch)
    else:
        killed_at(bench, "azure", stage)
    theirs = bench.here.azure.keys["key2"]
    put(bench, case.refs["key"], theirs)
    ended = case.rotate()
    assert isinstance(ended.error, SafetyStop)
    assert bench.here.azure.keys["key2"] == theirs
    assert case.rotate(dropping=True).rotation.stage is Stage.DROPPED
    assert bench.here.azure.keys["key2"] == theirs


def test_where_a_third_key_came_into_the_store_the_rotation_can_be_given_up(bench):
    old, theirs = bench.stored(OPENAI.refs)["key"], "sk-proj-" + "theirs" * 9
    killed_at(bench, "openai", "storing")
    put(bench, OPENAI.refs["key"], theirs)
    (ended,) = bench.rotate("openai")
    assert "--abandon" in str(ended.error)
    (ended,) = bench.rotate("openai", dropping=True)
    assert (ended.error, ended.rotation.stage) == (None, Stage.DROPPED)
    assert bench.stored(OPENAI.refs)["key"] == theirs
    assert OPENAI.live(bench) == {old}


def test_giving_up_leaves_a_slot_alone_that_is_somebody_elses_by_now(bench):
    killed_at(bench, "azure", "made")
    bench.here.azure.keys["key2"] = theirs = "theirs" * 8
    (ended,) = bench.rotate("azure", dropping=True)
    assert ended.rotation.stage is Stage.DROPPED
    assert bench.here.azure.keys["key2"] == theirs


def test_a_rotation_whose_copies_nobody_can_open_can_be_given_up(bench, monkeypatch):
    import reconciler.rotation.desk as module

    old = bench.stored(OPENAI.refs)["key"]
    killed_at(bench, "openai", "made")

    def closed(*_):
        raise SecretError(SecretProblem.NOT_DECRYPTABLE, "snapshot", "is closed")

    monkeypatch.setattr(module, "open_kept", closed)
    (ended,) = bench.rotate("openai", dropping=True)
    assert (ended.error, ended.rotation.stage) == (None, Stage.DROPPED)
    assert OPENAI.live(bench) == {old}


def test_a_rotation_that_stored_its_key_is_not_given_up_unseen(bench, monkeypatch):
    import reconciler.rotation.desk as module
    from reconciler.keybook import KeyBook

    move = KeyBook.move

    def killed(self, rotation):
        if rotation.stage is Stage.STORED:
            raise Killed
        return move(self, rotation)

    def closed(*_):
        raise SecretError(SecretProblem.NOT_DECRYPTABLE, "snapshot", "is closed")

    with monkeypatch.context() as patched:
        patched.setattr(KeyBook, "move", killed)
        with pytest.raises(Killed):
            bench.rotate("openai", grace=0)
    for broken in (False, True):
        if broken:
            monkeypatch.setattr(module, "open_kept", closed)
        (ended,) = bench.rotate("openai", dropping=True)
        assert ended.error is not None
        assert bench.stored(OPENAI.refs)["key"] in OPENAI.live(bench)


def test_a_key_that_the_manifest_has_under_another_reference_is_not_revoked(bench):
    """The manifest was moved to another place, with the old key, while the grace lasted."""
    old, moved = bench.stored(OPENAI.refs)["key"], f"{FILE}/elsewhere/key"
    bench.rotate("openai", grace=HOUR, cursor=False)
    put(bench, moved, old)
    text = bench.box.manifest.read_text()
    bench.box.manifest.write_text(text.replace(OPENAI.refs["key"], moved))
    bench.clock.pause(2 * HOUR)
    (ended,) = bench.rotate("openai")
    assert isinstance(ended.error, SafetyStop)
    assert moved in str(ended.error)
    assert old in OPENAI.live(bench)
    put(bench, moved, bench.stored(OPENAI.refs)["key"])
    (ended,) = bench.rotate("openai")
    assert ended.rotation.stage is Stage.DONE


def test_a_key_that_another_account_of_the_manifest_uses_is_not_revoked(bench):
    old, other = bench.stored(OPENAI.refs)["key"], CASES["gateway"]["key"]
    put(bench, other, old)
    (ended,) = bench.rotate("openai", grace=0)
    assert isinstance(ended.error, SafetyStop)
    assert other in str(ended.error)
    assert old in OPENAI.live(bench)


@pytest.mark.parametrize("stage", ["stored", "placed", "kept", "revoking"])
def test_a_store_that_was_set_back_gets_the_new_key_again(bench, stage):
    """As by git checkout: nobody else has the new key, and the old one may be dead by now."""
    old = bench.stored(OPENAI.refs)["key"]
    killed_at(bench, "openai", stage)
    put(bench, OPENAI.refs["key"], old)
    (ended,) = bench.rotate("openai", grace=0)
    assert (ended.error, ended.rotation.stage) == (None, Stage.DONE)
    assert OPENAI.live(bench) == {bench.stored(OPENAI.refs)["key"]} != {old}
    assert settled(bench)


def test_what_is_set_back_can_be_given_up_once_cursor_is_too(bench):
    old = bench.stored(OPENAI.refs)["key"]
    bench.rotate("openai", grace=HOUR)
    put(bench, OPENAI.refs["key"], old)
    (ended,) = bench.rotate("openai", dropping=True)
    assert isinstance(ended.error, SafetyStop)
    assert "Cursor" in str(ended.error)
    with bench.session() as session:
        apply_plan(session, Scope(("cursor",)), lambda _: True)
    (ended,) = bench.rotate("openai", dropping=True)
    assert ended.rotation.stage is Stage.DROPPED
    assert OPENAI.live(bench) == {old}


def test_rollback_brings_no_key_back_that_is_being_revoked(bench, monkeypatch):
    from reconciler.keybook import KeyBook
    from reconciler.rollback import roll_back

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(KeyBook, "retire", kill)
        with pytest.raises(Killed):
            bench.rotate("openai", grace=0)
    with bench.session() as session:
        planned, _ = roll_back(session, None, lambda _: True)
    assert any("revoked key" in seen.text for seen in planned.plan.observations)
    assert settled(bench)


def test_keys_of_another_account_do_not_make_azures_idle_slot_ours(bench):
    with bench.session() as session:
        for slot in ("key1", "key2"):
            session.ledger.keys.record(
                KeyRecord("azure", session.owner, {"key": slot * 3}, CASES["azure"], slot)
            )
    before = dict(bench.here.azure.keys)
    with pytest.raises(SafetyStop, match="cuts off"):
        bench.rotate("azure", allow_irreversible=False, grace=0)
    assert bench.here.azure.keys == before


def test_a_new_key_that_was_kept_is_gone_on_with(bench, monkeypatch):
    from reconciler.keybook import KeyBook

    move, made = KeyBook.move, set()

    def killed(self, rotation):
        if rotation.stage is Stage.MADE:
            raise Killed
        return move(self, rotation)

    with monkeypatch.context() as patched:
        patched.setattr(KeyBook, "move", killed)
        with pytest.raises(Killed):
            bench.rotate("openai", grace=0)
    made = OPENAI.live(bench) - {bench.stored(OPENAI.refs)["key"]}
    (ended,) = bench.rotate("openai", grace=0)
    assert ended.error is None
    assert OPENAI.live(bench) == made


def test_a_new_key_can_be_given_where_making_one_never_began(bench, monkeypatch):
    killed_once_ordered(bench, "openai", monkeypatch)
    project = bench.here.openai.make_project("another")
    mine = "sk-proj-" + "mine" * 11 + "T3BlbkFJ" + "own" * 5
    bench.here.openai.make_key(project, "mine", mine)
    bench.given = lambda _system, _names: {"key": Secret(mine)}
    (ended,) = bench.rotate("openai", grace=0, source="file://mine")
    assert ended.error is None
    assert bench.stored(OPENAI.refs)["key"] == mine


def test_the_old_key_is_no_new_one_on_the_way_either(bench, monkeypatch):
    killed_once_ordered(bench, "openai", monkeypatch)
    old = bench.stored(OPENAI.refs)["key"]
    bench.given = lambda _system, _names: {"key": Secret(old)}
    (ended,) = bench.rotate("openai", grace=0, source="file://mine")
    assert isinstance(ended.error, UsageError)
    assert ended.rotation.stage is Stage.ORDERED


def test_a_slot_is_left_alone_where_the_old_key_is_in_none_by_now(bench):
    """Another controller, with a ledger and a store of its own, has its key in the idle slot."""
    killed_at(bench, "azure", "making")
    theirs = {"key1": "made" * 8, "key2": "anew" * 8}
    bench.here.azure.keys.update(theirs)
    (ended,) = bench.rotate("azure")
    assert isinstance(ended.error, SafetyStop)
    assert bench.here.azure.keys == theirs


def test_one_key_that_may_not_be_made_anew_keeps_no_other_from_its_turn(bench, monkeypatch):
    import reconciler.rotation.run as module

    monkeypatch.setattr(module, "age", lambda _: 1000)
    ended = {one.system: one for one in bench.rotate(due=True, grace=0, allow_irreversible=False)}
    assert ended["openai"].rotation.stage is Stage.DONE
    assert isinstance(ended["azure"].error, SafetyStop)


def test_an_answer_that_nobody_foresaw_stops_its_own_rotation_only(bench):
    def strange(rotation):
        if rotation.stage is Stage.MAKING and rotation.system == "google":
            body = {"keys": [{"displayName": "without a name"}]}
            bench.here.google.inject(
                "answer", method="GET", path="*/keys", times=9, response=Response(200, body)
            )

    google, openai = bench.rotate("google", "openai", grace=0, kill=strange)
    assert isinstance(google.error, ProviderError)
    assert openai.rotation.stage is Stage.DONE


def test_copies_that_nobody_can_open_keep_both_keys_alive(bench, monkeypatch):
    import reconciler.rotation.desk as module

    bench.rotate("openai", grace=HOUR)

    def closed(*_):
        raise SecretError(SecretProblem.NOT_DECRYPTABLE, "snapshot", "is closed")

    monkeypatch.setattr(module, "open_kept", closed)
    bench.clock.pause(2 * HOUR)
    (ended,) = bench.rotate("openai")
    assert isinstance(ended.error, SecretError)
    assert len(OPENAI.live(bench)) == 2


def test_a_signal_that_comes_while_cursor_is_written_ends_the_run_after_that(bench, monkeypatch):
    import reconciler.rotation.placing as module

    apply = module.apply_plan

    def interrupted(*args, **more):
        planned, outcome = apply(*args, **more)
        return planned, replace(outcome, signal=signal.SIGTERM)

    monkeypatch.setattr(module, "apply_plan", interrupted)
    ended = bench.rotate("openai", "gateway", grace=0)
    assert [one.system for one in ended] == ["openai"]
    assert (ended[0].error, ended[0].rotation.stage) == (None, Stage.PLACED)
