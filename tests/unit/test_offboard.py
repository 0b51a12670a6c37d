"""A person's parting on the simulators: keys dead, this machine cleared, the rest told."""

from __future__ import annotations

import importlib
import re
import subprocess

import pytest

from reconciler import keynames
from reconciler.engine import apply_plan
from reconciler.entries import Stage
from reconciler.errors import CursorBusy, ProviderError, SafetyStop, SecretError
from reconciler.model import Scope
from reconciler.offboarding import Fate, carry_out as part, parting
from reconciler.rotation import open_desk
from reconciler.rotation.issue import SHARED as SHARED_SLOTS, Wish, carry_out, checked, prepared
from reconciler.secrets import sops
from tests.rotating import Bench, Killed, prepare
from tests.simulators.world import world

pyrage = pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")
try:
    sops.binary()
except SecretError:
    pytest.skip("needs the Go sops", allow_module_level=True)

TEAM = "sandbox"
SHARED = ("openai", "anthropic", "google", "azure", "bedrock", "gateway")


@pytest.fixture
def bench(tmp_path, monkeypatch):
    with world() as here:
        prepare(here)
        box = here.sandbox(tmp_path / "box")
        for name, value in box.environment.items():
            monkeypatch.setenv(name, value)
        made = Bench(here, box)
        with made.session() as session:
            apply_plan(session, Scope(), lambda _: True)
        yield made


def issue(bench, person="alice", system="openai", to="", kill=None, recipients=()):
    def told(rotation):
        if rotation.stage is kill:
            raise Killed

    with bench.session() as session:
        desk = open_desk(session, system, told=told)
        to = to or ("" if recipients else f"file://{person}-{system}.key")
        wish = checked(session, Wish(person, system, to, tuple(recipients)))
        ended, _ = carry_out(desk, prepared(desk, wish))
        assert ended.error is None
        return ended.rotation


def offboard(bench, person="alice", recipients=(), *, here=False):
    with bench.session() as session:
        plan = parting(session, person, recipients, here=here)
        return plan, part(session, plan)


def planned(bench, person="alice", recipients=(), *, here=False, **options):
    with bench.session(**options) as session:
        return parting(session, person, recipients, here=here)


def alive(bench):
    """The names of the service accounts that live at OpenAI."""
    return {row["name"] for rows in bench.here.openai.accounts.values() for row in rows}


def on_record(bench, person="alice"):
    with bench.session() as session:
        keys = session.ledger.keys.keys(session.owner)
        return [key for key in keys if key.holder == person]


def foreign(bench, name):
    """Make a key at OpenAI as another machine, or anybody, would."""
    known = bench.here.openai
    project = known.project("cursor-byok")
    known.make_account_key(project, known.make_service_account(project, name), known.value())


def test_all_of_a_persons_keys_die_and_nobody_elses(bench):
    mine = issue(bench)
    issue(bench, system="google")
    theirs = issue(bench, person="bob")
    plan, parted = offboard(bench)
    assert parted.exit_code == 0
    assert [(key.system, key.fate) for key in parted.keys] == [
        ("openai", Fate.REVOKED),
        ("google", Fate.REVOKED),
    ]
    assert mine.name not in alive(bench)
    assert theirs.name in alive(bench)
    assert all(key.retired for key in on_record(bench))
    assert not any(key.retired for key in on_record(bench, "bob"))
    assert plan.others == ("bob",)
    assert bench.here.openai.alive(bench.here.openai.key)


def test_twice_is_once_and_nothing_to_do_is_said(bench):
    issue(bench)
    offboard(bench)
    plan, parted = offboard(bench)
    assert not plan.touched
    assert (parted.keys, parted.exit_code) == ((), 0)
    assert not planned(bench, "nobody").touched


def test_keys_from_another_machine_are_found_by_their_names(bench):
    mine = keynames.for_person(TEAM, "alice", "0a1b")
    foreign(bench, mine)
    others = (
        keynames.for_person(TEAM, "alice-2", "0a1b"),
        keynames.for_person("sandbox-alice", "x", "0a1b"),
        "byok-sandbox-alice-0a1b2c3d",
        "byok-sandbox-0a1b2c3d",
        "alice",
    )
    for name in others:
        foreign(bench, name)
    _, parted = offboard(bench)
    assert [(key.name, key.fate) for key in parted.keys] == [(mine, Fate.REVOKED)]
    assert alive(bench) == set(others)


def test_a_key_that_is_gone_already_is_told_and_noted(bench):
    made = issue(bench)
    with bench.session() as session:
        open_desk(session, "openai").issuer.revoke(made.new_id)
    _, parted = offboard(bench)
    assert [key.fate for key in parted.keys] == [Fate.GONE]
    assert all(key.retired for key in on_record(bench))


STAGES = [Stage.MAKING, Stage.MADE, Stage.TRIED, Stage.STORING, Stage.STORED]


@pytest.mark.parametrize("stage", STAGES)
def test_a_key_on_its_way_is_given_up(bench, stage):
    with pytest.raises(Killed):
        issue(bench, kill=stage)
    _, parted = offboard(bench)
    assert parted.exit_code == 0
    assert alive(bench) == set()
    with bench.session() as session:
        book = session.ledger.keys
        assert book.rotations(session.owner) == ()
        assert session.ledger._db.rows("SELECT * FROM key_copy") == []
        assert all(key.retired for key in book.keys(session.owner))


def test_a_key_that_was_made_and_never_seen_is_revoked(bench):
    bench.here.openai.inject("lost", method="POST", path="*/service_accounts")
    with bench.session() as session:
        desk = open_desk(session, "openai")
        wish = checked(session, Wish("alice", "openai", "file://alice.key"))
        carry_out(desk, prepared(desk, wish))
    assert len(alive(bench)) == 1
    _, parted = offboard(bench)
    assert parted.exit_code == 0
    assert alive(bench) == set()


def test_one_account_that_is_down_keeps_no_other_back_and_is_no_success(bench):
    issue(bench)
    issue(bench, system="google")
    bench.here.openai.inject("503", path="*", times=100)
    plan, parted = offboard(bench)
    assert set(plan.search.lost) == {"openai"}
    fates = {key.system: key.fate for key in parted.keys}
    assert fates == {"openai": Fate.FAILED, "google": Fate.REVOKED}
    assert parted.exit_code == 5
    assert [key.retired != "" for key in on_record(bench)] == [False, True]
    bench.here.openai.faults.clear()
    _, parted = offboard(bench)
    assert parted.exit_code == 0
    assert alive(bench) == set()


def test_a_key_that_stays_listed_is_not_called_revoked(bench, monkeypatch):
    made = issue(bench)
    module = importlib.import_module("reconciler.systems.openai.issuer")
    monkeypatch.setattr(module, "_revoke", lambda _admin, _id: None)
    _, parted = offboard(bench)
    (key,) = parted.keys
    assert key.fate is Fate.FAILED
    assert isinstance(key.error, ProviderError)
    assert made.name in alive(bench)
    assert not on_record(bench)[0].retired


def test_an_admin_credential_that_cannot_be_had_is_no_success(bench):
    text = bench.box.manifest.read_text()
    bench.box.manifest.write_text(text.replace("#/google/admin", "#/google/nothing"))
    plan, parted = offboard(bench, "nobody")
    assert set(plan.search.lost) == {"google"}
    assert parted.exit_code == 4


def test_where_nobody_can_look_that_is_said(bench):
    text = bench.box.manifest.read_text()
    admin = "    admin_key: sops://secrets/team.enc.yaml#/openai/admin\n"
    bench.box.manifest.write_text(text.replace(admin, ""))
    plan = planned(bench)
    assert plan.search.unseen == {"openai": "it has no admin_key"}


def test_an_account_where_byok_makes_no_persons_keys_is_not_asked(bench):
    bench.here.azure.inject("503", path="*", times=100)
    bench.here.anthropic.inject("503", path="*", times=100)
    plan = planned(bench)
    assert (plan.search.lost, plan.search.unseen) == ({}, {})


def test_the_makers_are_those_that_can_make_a_persons_key(bench):
    with bench.session() as session:
        able = [
            name
            for name in ("openai", "anthropic", "google", "azure", "bedrock", "gateway")
            if open_desk(session, name).issuer.make is not None and name not in SHARED_SLOTS
        ]
    assert able == ["openai", "google", "gateway"]
    assert set(able) - {"gateway"} | {"litellm", "openrouter"} == set(keynames.MAKERS)


def test_a_key_of_an_account_that_the_manifest_dropped_is_not_forgotten(bench):
    issue(bench)
    text = bench.box.manifest.read_text()
    text = re.sub(r"  openai:\n    key(.|\n)*?  anthropic:", "  anthropic:", text, count=1)
    text = re.sub(r"  (gpt-4o|o1): .*\n", "", text)
    text = re.sub(r"  openai:\n    provider: openai\n(    .*\n)*", "", text)
    bench.box.manifest.write_text(text)
    _, parted = offboard(bench)
    (key,) = parted.keys
    assert key.fate is Fate.FAILED
    assert "revoke it at" in str(key.error)
    assert parted.exit_code == 1


def test_this_machine_is_cleared_only_where_it_is_theirs(bench):
    plan, _ = offboard(bench)
    assert (plan.here, plan.changes) == (False, 0)
    plan, parted = offboard(bench, here=True)
    assert plan.changes > 0
    assert len(parted.outcome.applied) == plan.changes
    again, _ = offboard(bench, here=True)
    assert not again.touched


def test_what_accounts_hold_of_the_teams_is_left_alone(bench):
    with bench.session(allow_irreversible=True) as session:
        apply_plan(session, Scope(systems=("cursor", "openai")), lambda _: True)
    before = bench.here.openai.snapshot()
    offboard(bench, here=True)
    assert bench.here.openai.snapshot() == before


def test_a_protected_address_stays_and_the_keys_die_all_the_same(bench):
    issue(bench)
    text = bench.box.manifest.read_text()
    rule = "policy:\n  protect: [cursor/provider/openai]"
    bench.box.manifest.write_text(text.replace("policy:", rule))
    plan, parted = offboard(bench, here=True)
    assert isinstance(plan.obstacle, SafetyStop)
    assert parted.exit_code == 8
    assert alive(bench) == set()


def test_while_cursor_runs_the_keys_die_and_the_rest_waits(bench, monkeypatch):
    import reconciler.session as module

    issue(bench)

    def running(*_):
        raise CursorBusy("Cursor", "is running", "quit it")

    with monkeypatch.context() as patched:
        patched.setattr(module, "wait_until_quit", running)
        plan, parted = offboard(bench, here=True)
    assert isinstance(plan.obstacle, CursorBusy)
    assert parted.exit_code == 7
    assert alive(bench) == set()
    _, parted = offboard(bench, here=True)
    assert parted.exit_code == 0


def test_planning_changes_nothing(bench):
    issue(bench)
    before = [one.snapshot() for one in bench.here.simulators]
    names = alive(bench)
    plan = planned(bench, here=True)
    assert plan.touched
    assert [one.snapshot() for one in bench.here.simulators] == before
    assert alive(bench) == names


def test_off_line_a_plan_says_that_nobody_was_asked(bench):
    issue(bench)
    plan = planned(bench, offline=True)
    assert [key.fate for key in plan.search.keys] == [Fate.TO_REVOKE]
    assert "openai" in plan.search.unseen
    assert plan.search.lost == {}


# Who can open which file.


def public():
    return str(pyrage.x25519.Identity.generate().to_public())


def admit(bench, recipient, *, rule=True):
    """Let a person read the team's file, as sops does it."""
    folder = bench.box.manifest.parent
    rules = folder / ".sops.yaml"
    before = rules.read_text()
    rules.write_text(before.rstrip("\n") + f",{recipient}\n")
    file = "secrets/team.enc.yaml"
    argv = [str(sops.binary()), "updatekeys", "--yes", file]
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    if not rule:
        rules.write_text(before)


def files(plan):
    return {file.name: file for file in plan.files}


def test_the_teams_file_and_what_stands_in_it(bench):
    alice = public()
    admit(bench, alice)
    file = files(planned(bench, recipients=(alice,)))["secrets/team.enc.yaml"]
    assert file.theirs == (alice,)
    assert not file.own
    assert file.rule == "rule 1 of .sops.yaml"
    assert file.command == "sops updatekeys secrets/team.enc.yaml"
    assert file.rotate == SHARED
    assert "the admin credential of openai" in file.by_hand
    assert "the admin credential of cursor-team" in file.by_hand


def test_once_the_rule_names_them_no_more_only_the_file_is_left(bench):
    alice = public()
    admit(bench, alice, rule=False)
    file = files(planned(bench, recipients=(alice,)))["secrets/team.enc.yaml"]
    assert (file.theirs, file.rule) == ((alice,), "")


def test_recipients_are_remembered_from_issuing(bench):
    alice = public()
    admit(bench, alice)
    issue(bench, recipients=(alice,))
    plan = planned(bench)
    assert plan.theirs == (alice,)
    assert files(plan)["secrets/team.enc.yaml"].theirs == (alice,)
    assert files(plan)["secrets/people/alice.enc.yaml"].own


def test_another_persons_key_in_a_file_that_they_can_open_is_named(bench):
    alice = public()
    admit(bench, alice)
    issue(bench, person="bob", to="sops://secrets/team.enc.yaml#/bob/openai")
    file = files(planned(bench, recipients=(alice,)))["secrets/team.enc.yaml"]
    assert "bob's key of openai" in file.by_hand


def test_nobody_can_tell_whose_recipients_they_are(bench):
    plan = planned(bench)
    assert plan.theirs == ()
    assert not plan.by_hand
    (file,) = plan.files
    assert file.recipients[0].startswith("age age1")


def test_a_file_that_cannot_be_read_is_told(bench):
    (bench.box.manifest.parent / "secrets" / "team.enc.yaml").write_text("- no\n")
    with pytest.raises(SecretError), bench.session() as session:
        session.vault.seal(["sops://secrets/team.enc.yaml#/openai/key"])
    plan = planned(bench, offline=True)
    assert files(plan)["secrets/team.enc.yaml"].error is not None
