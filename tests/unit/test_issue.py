"""A key for one person on the simulators and the real sops: killed at every step, and refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from reconciler import keynames
from reconciler.engine import apply_plan
from reconciler.entries import Stage
from reconciler.errors import (
    ProviderError,
    SafetyStop,
    SecretError,
    UsageError,
)
from reconciler.keybook import KeyBook
from reconciler.model import Scope
from reconciler.rotation import open_desk
from reconciler.rotation.issue import Wish, carry_out, checked, prepared, redirected, under_way
from reconciler.secrets import Secret, sops, sops_file, sops_new, store as stores
from tests.rotating import Bench, Killed, prepare
from tests.simulators.world import world

pyrage = pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")
try:
    sops.binary()
except SecretError:
    pytest.skip("needs the Go sops", allow_module_level=True)

TEAM = "sandbox"
OWN = "secrets/people/alice.enc.yaml"


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


@pytest.fixture
def alice():
    return pyrage.x25519.Identity.generate()


def issue(bench, *, kill=lambda _: None, dropping=False, **wish):
    """Do what ``byok issue`` does, in this process."""
    with bench.session() as session:
        asked = checked(session, Wish(**{"person": "alice", "system": "openai", **wish}))
        desk = desk_of(bench, session, asked.system, kill)
        known = under_way(session, asked)
        rotation = known if dropping else None
        if rotation is None:
            rotation = prepared(desk, asked) if known is None else redirected(desk, known, asked)
        ended, _ = carry_out(desk, rotation, dropping=dropping)
        return ended


def desk_of(bench, session, name, kill=lambda _: None):
    def told(rotation):
        bench.told.append(rotation.stage.value)
        kill(rotation)

    desk = open_desk(session, name, told=told)
    return replace(desk, now=bench.clock.now, pause=bench.clock.pause, patience=4)


def names(bench):
    """The names of the service accounts that live at OpenAI."""
    return [row["name"] for rows in bench.here.openai.accounts.values() for row in rows]


def values(bench):
    """The values of the service accounts' keys that live at OpenAI."""
    known = bench.here.openai
    rows = [row for rows in known.api_keys.values() for row in rows]
    return {known.values[row["id"]] for row in rows if row["owner"]["type"] == "service_account"}


def opened(bench, identity, name=OWN, pointer="/openai/key"):
    """Read a person's file with that person's identity, as the person would."""
    folder = bench.box.manifest.parent
    file = sops_file.load((folder / name).read_bytes(), name, name)
    with pytest.MonkeyPatch.context() as patched:
        key = bench.box.folder / "person.txt"
        key.write_text(str(identity))
        patched.setenv("SOPS_AGE_KEY_FILE", str(key))
        found = sops.decrypt(file, name, program=sops.binary())
        key.unlink()
    return found[pointer].expose()


def public(identity):
    return str(identity.to_public())


def test_a_key_goes_into_a_new_file_that_only_its_person_can_read(bench, alice):
    ended = issue(bench, recipients=(public(alice),))
    assert ended.error is None
    assert ended.rotation.stage is Stage.DONE
    assert bench.told == ["making", "made", "tried", "storing", "stored", "done"]
    (name,) = names(bench)
    assert name.startswith("byok-sandbox-alice-")
    assert keynames.is_of(name, TEAM, "alice")
    assert {opened(bench, alice)} == values(bench)
    folder = bench.box.manifest.parent / "secrets" / "people"
    assert [path.name for path in folder.iterdir()] == ["alice.enc.yaml"]
    data = (folder / "alice.enc.yaml").read_bytes()
    assert ended.rotation.digest == hashlib.sha256(data).hexdigest()
    with pytest.raises(SecretError, match="no age key here is one of"):
        bench.stored({"key": f"sops://{OWN}#/openai/key"})


def test_it_is_on_record_as_the_persons(bench, alice):
    ended = issue(bench, recipients=(public(alice),))
    with bench.session() as session:
        (key,) = session.ledger.keys.keys(session.owner)
        assert session.ledger.keys.copies(ended.rotation.id, "new") == {}
    assert (key.holder, key.name, key.key_id) == ("alice", *ended_names(ended))
    assert key.refs == {"key": f"sops://{OWN}#/openai/key"}
    assert not key.retired


def ended_names(ended):
    return ended.rotation.name, ended.rotation.new_id


STAGES = ["making", "made", "tried", "storing", "stored", "done"]


@pytest.mark.parametrize("stage", STAGES)
def test_killed_once_a_stage_is_on_record(bench, alice, stage):
    def kill(rotation):
        if rotation.stage.value == stage:
            raise Killed

    with pytest.raises(Killed):
        issue(bench, recipients=(public(alice),), kill=kill)
    if stage != "done":
        ended = issue(bench)
        assert ended.error is None
        assert ended.rotation.stage is Stage.DONE
    assert_one(bench, alice)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_when_a_stage_is_done_and_not_yet_on_record(bench, alice, stage, monkeypatch):
    move = KeyBook.move

    def killed(self, rotation):
        if rotation.stage.value == stage and (stage != "storing" or not rotation.digest):
            raise Killed
        return move(self, rotation)

    monkeypatch.setattr(KeyBook, "move", killed)
    with pytest.raises(Killed):
        issue(bench, recipients=(public(alice),))
    monkeypatch.setattr(KeyBook, "move", move)
    ended = issue(bench)
    assert ended.error is None
    assert ended.rotation.stage is Stage.DONE
    assert_one(bench, alice)


@pytest.mark.parametrize("point", ["before its digest", "before the link", "before the draft goes"])
def test_killed_while_the_file_is_made(bench, alice, point, monkeypatch):
    def dead(*_args, **_more):
        raise Killed

    with monkeypatch.context() as patched:
        match point:
            case "before its digest":
                patched.setattr(sops_new, "digest", dead)
            case "before the link":
                patched.setattr(sops_new.os, "link", dead)
            case _:
                patched.setattr(sops_new.replacing, "settle", dead)
        patched.setattr(sops_new.Path, "unlink", lambda *_a, **_m: None)
        with pytest.raises(Killed):
            issue(bench, recipients=(public(alice),))
    assert issue(bench).error is None
    assert_one(bench, alice)


def assert_one(bench, identity):
    """One key lives, in the person's file, which has its folder to itself; one is on record."""
    assert {opened(bench, identity)} == values(bench)
    folder = bench.box.manifest.parent / "secrets" / "people"
    assert [path.name for path in folder.iterdir()] == ["alice.enc.yaml"]
    with bench.session() as session:
        assert len(session.ledger.keys.keys(session.owner)) == 1
        assert session.ledger.keys.rotations(session.owner) == ()
        assert session.ledger._db.rows("SELECT * FROM key_copy") == []


def test_a_key_that_was_made_and_never_seen_is_revoked_by_the_next_run(bench, alice):
    bench.here.openai.inject("lost", method="POST", path="*/service_accounts")
    ended = issue(bench, recipients=(public(alice),))
    assert isinstance(ended.error, ProviderError)
    assert len(names(bench)) == 1
    assert issue(bench).error is None
    assert_one(bench, alice)


def test_a_key_that_does_not_work_is_never_delivered_and_can_be_given_up(bench, alice):
    bench.here.openai.late = 10_000
    ended = issue(bench, recipients=(public(alice),))
    assert "does not accept the new key" in str(ended.error)
    assert not (bench.box.manifest.parent / OWN).exists()
    ended = issue(bench, dropping=True)
    assert ended.rotation.stage is Stage.DROPPED
    assert names(bench) == []
    with bench.session() as session:
        assert session.ledger.keys.keys(session.owner) == ()


def test_what_is_delivered_cannot_be_given_up(bench, alice):
    def kill(rotation):
        if rotation.stage is Stage.STORED:
            raise Killed

    with pytest.raises(Killed):
        issue(bench, recipients=(public(alice),), kill=kill)
    ended = issue(bench, dropping=True)
    assert isinstance(ended.error, SafetyStop)
    assert len(names(bench)) == 1


def test_another_file_in_its_place_is_never_replaced(bench, alice):
    path = bench.box.manifest.parent / OWN

    def meddle(rotation):
        if rotation.stage is Stage.STORING:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("theirs\n")

    ended = issue(bench, recipients=(public(alice),), kill=meddle)
    assert ended.error is not None
    assert path.read_text() == "theirs\n"
    ended = issue(bench, to="sops://secrets/people/alice-2.enc.yaml#/openai/key")
    assert ended.error is None
    assert {opened(bench, alice, "secrets/people/alice-2.enc.yaml")} == values(bench)
    assert path.read_text() == "theirs\n"


def test_another_file_that_came_while_ours_was_put_in_place(bench, alice, monkeypatch):
    path = bench.box.manifest.parent / OWN
    link = sops_new.os.link

    def late(source, target):
        path.write_text("theirs\n")
        link(source, target)

    monkeypatch.setattr(sops_new.os, "link", late)
    ended = issue(bench, recipients=(public(alice),))
    assert "is another file" in str(ended.error)
    assert "--to" in str(ended.error)
    ended = issue(bench)
    assert "is another file" in str(ended.error)
    assert path.read_text() == "theirs\n"


def test_a_file_of_the_teams_that_can_be_decrypted_takes_it_too(bench):
    to = "sops://secrets/team.enc.yaml#/alice/openai"
    before = bench.stored({"key": "sops://secrets/team.enc.yaml#/openai/key"})
    ended = issue(bench, to=to)
    assert ended.error is None
    assert {bench.stored({"key": to})["key"]} == values(bench)
    assert bench.stored({"key": "sops://secrets/team.enc.yaml#/openai/key"}) == before


def test_a_file_that_is_not_for_the_named_recipient_is_refused(bench, alice):
    with pytest.raises(SecretError, match="is not encrypted for age1"):
        issue(bench, to="sops://secrets/team.enc.yaml#/alice", recipients=(public(alice),))
    assert names(bench) == []


def test_a_file_that_cannot_be_decrypted_here_is_refused_before_a_key_is_made(bench, alice):
    issue(bench, recipients=(public(alice),))
    with pytest.raises(SecretError, match="name a new file with --to"):
        issue(bench, system="google", to=f"sops://{OWN}#/google/key")
    assert len(names(bench)) == 1


def test_a_private_file_takes_it(bench):
    ended = issue(bench, to="file://people/alice.key")
    path = bench.box.manifest.parent / "people" / "alice.key"
    assert ended.error is None
    assert {path.read_text()} == values(bench)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("to", ["file://people/alice.key", "sops://secrets/team.enc.yaml#/a/b"])
def test_a_value_that_stands_there_is_not_replaced(bench, to):
    stores.store({to: Secret("x" * 20)}, folder=bench.box.manifest.parent)
    with pytest.raises(SafetyStop, match="holds a value already"):
        issue(bench, to=to)
    assert names(bench) == []
    assert bench.stored({"key": to})["key"] == "x" * 20


@pytest.mark.parametrize(
    ("to", "kind"),
    [
        ("env://ALICE", SecretError),
        ("op://team/alice/key", SecretError),
        ("exec://pass alice", SecretError),
        ("sops://../x.enc.yaml#/a", SecretError),
        ("sops://secrets/alice.env#/a", SecretError),
        ("snapshot://1", SecretError),
        ("alice", UsageError),
        ("vault://alice", UsageError),
    ],
)
def test_what_can_take_no_key_is_told_before_one_is_made(bench, alice, to, kind):
    with pytest.raises(kind):
        issue(bench, to=to, recipients=(public(alice),))
    assert names(bench) == []


def test_a_pointer_that_sops_leaves_in_clear_text_never_reaches_the_disk(bench, alice):
    to = f"sops://{OWN}#/openai/key_unencrypted"
    ended = issue(bench, to=to, recipients=(public(alice),))
    assert "clear text" in str(ended.error)
    assert not (bench.box.manifest.parent / OWN).exists()
    assert issue(bench, to=f"sops://{OWN}#/openai/key").error is None
    assert_one(bench, alice)


def test_without_a_recipient_a_rule_for_every_file_is_not_the_persons(bench):
    with pytest.raises(SecretError, match="nobody can tell for whom"):
        issue(bench)
    assert names(bench) == []


def test_a_rule_for_the_persons_files_says_for_whom(bench, alice):
    rules = bench.box.manifest.parent / ".sops.yaml"
    rule = f"  - path_regex: secrets/people/alice\n    age: {public(alice)}\n"
    rules.write_text(rules.read_text().replace("creation_rules:\n", f"creation_rules:\n{rule}"))
    assert issue(bench).error is None
    assert_one(bench, alice)


def test_a_rule_with_other_recipients_than_age_is_refused(bench, alice):
    rules = bench.box.manifest.parent / ".sops.yaml"
    rules.write_text(
        "creation_rules:\n  - path_regex: people\n    pgp: " + "A" * 40 + f"\n"
        f"    age: {public(alice)}\n"
    )
    with pytest.raises(SecretError, match="more than age recipients"):
        issue(bench)


def test_two_people_have_keys_of_their_own(bench, alice):
    bob = pyrage.x25519.Identity.generate()
    assert issue(bench, recipients=(public(alice),)).error is None
    assert issue(bench, person="bob", recipients=(public(bob),)).error is None
    theirs = {opened(bench, alice), opened(bench, bob, "secrets/people/bob.enc.yaml")}
    assert theirs == values(bench)
    assert len(theirs) == 2


def test_a_second_key_only_where_it_is_asked_for(bench, alice):
    issue(bench, recipients=(public(alice),))
    more = {"to": "sops://secrets/people/laptop.enc.yaml#/key", "recipients": (public(alice),)}
    with pytest.raises(SafetyStop, match="--another"):
        issue(bench, **more)
    assert issue(bench, **more, another=True).error is None
    assert len(values(bench)) == 2


def test_a_key_made_on_another_machine_counts(bench, alice):
    project = bench.here.openai.project("cursor-byok")
    name = keynames.for_person(TEAM, "alice", "0a1b")
    account = bench.here.openai.make_service_account(project, name)
    bench.here.openai.make_account_key(project, account, bench.here.openai.value())
    with pytest.raises(SafetyStop, match=name):
        issue(bench, recipients=(public(alice),))
    assert issue(bench, person="ali", recipients=(public(alice),)).error is None


def test_a_limit_goes_where_keys_have_limits(bench, alice):
    bench.here.gateway.add_team("cursor-byok")
    ended = issue(bench, system="gateway", limit="25", recipients=(public(alice),))
    assert ended.error is None
    (row,) = [r for r in bench.here.gateway.keys if r.get("key_alias") == ended_name(ended)]
    assert row["max_budget"] == 25


def ended_name(ended):
    return ended.rotation.name


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"limit": "20"}, "limit the project instead"),
        ({"limit": "0"}, "no amount"),
        ({"limit": "-3"}, "no amount"),
        ({"limit": "1.001"}, "no amount"),
        ({"limit": "ten"}, "no amount"),
        ({"system": "anthropic"}, "make it by hand at"),
        ({"system": "azure"}, "two key slots"),
        ({"system": "bedrock"}, "two keys at most"),
        ({"system": "nobody"}, "name one of openai"),
        ({"system": "cursor-team"}, "name one of openai"),
        ({"person": "  "}, "is no name"),
        ({"person": "a\nb"}, "is no name"),
        ({"person": "a" * 65}, "is no name"),
        ({"person": "///"}, "--to"),
        ({"recipients": ("ssh-ed25519 AAAA",)}, "no age recipient"),
        ({"recipients": ("age1x --pgp y",)}, "no age recipient"),
    ],
)
def test_what_cannot_be_is_refused_with_its_way_out(bench, wish, words):
    with pytest.raises(UsageError, match=words):
        issue(bench, **wish)
    assert names(bench) == []


@pytest.mark.parametrize(
    "person", ["j.doe@acme.example", "Zoë Müller", "王小明", "../../etc", "a b'\"$(x)"]
)
def test_odd_names_make_good_files_and_names(bench, alice, person):
    ended = issue(bench, person=person, recipients=(public(alice),))
    assert ended.error is None
    assert ended.rotation.holder == person
    assert keynames.is_of(ended.rotation.name, TEAM, person)
    assert len(ended.rotation.name) < 50
    assert ended.rotation.name.isascii()
    folder = bench.box.manifest.parent / "secrets" / "people"
    assert len(list(folder.iterdir())) == 1


def test_people_whose_names_look_alike_have_names_of_their_own():
    name = keynames.for_person("acme", "j.doe", "0a1b")
    assert keynames.begins("acme", "j.doe") == keynames.begins("acme", "j-doe")
    assert keynames.is_of(name, "acme", "j.doe")
    assert not keynames.is_of(name, "acme", "j-doe")
    assert not keynames.is_of(keynames.for_person("acme", "dev", "0a1b"), "acme-dev", "x")
    assert not keynames.is_of("byok-acme-dev-1a2b3c4d", "acme", "dev")


def test_what_is_under_way_keeps_its_limit(bench, alice):
    bench.here.gateway.add_team("cursor-byok")

    def kill(rotation):
        if rotation.stage is Stage.MADE:
            raise Killed

    with pytest.raises(Killed):
        issue(bench, system="gateway", limit="25", recipients=(public(alice),), kill=kill)
    with pytest.raises(UsageError, match="under way with a limit of"):
        issue(bench, system="gateway", limit="50")
    assert issue(bench, system="gateway", limit="25").error is None


def test_a_rotation_of_the_teams_key_leaves_it_alone(bench, alice):
    issue(bench, recipients=(public(alice),))
    mine = opened(bench, alice)
    (ended,) = bench.rotate("openai", grace=0)
    assert ended.error is None
    assert mine in values(bench)
