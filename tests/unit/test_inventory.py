"""The inventory on the simulators: where each key is, how old, does it live, what is not told."""

from __future__ import annotations

import pytest

from reconciler import keynames
from reconciler.engine import apply_plan
from reconciler.entries import Stage
from reconciler.errors import SecretError
from reconciler.inventory import take
from reconciler.model import Scope
from reconciler.rotation import open_desk
from reconciler.rotation.issue import Wish, carry_out, checked, prepared
from reconciler.secrets import Secret, sops, store as stores
from reconciler.session import reading
from tests.rotating import Bench, Killed, prepare
from tests.simulators.world import world

pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")
try:
    sops.binary()
except SecretError:
    pytest.skip("needs the Go sops", allow_module_level=True)

NAMES = ("openai", "anthropic", "google", "azure", "bedrock", "gateway")
TEAM_FILE = "sops://secrets/team.enc.yaml#"


@pytest.fixture
def bare(tmp_path, monkeypatch):
    with world() as here:
        prepare(here)
        box = here.sandbox(tmp_path / "box")
        for name, value in box.environment.items():
            monkeypatch.setenv(name, value)
        yield Bench(here, box)


@pytest.fixture
def bench(bare):
    with bare.session() as session:
        apply_plan(session, Scope(), lambda _: True)
    return bare


def taken(bench, *names, judged=False, cursor=True, **options):
    chosen = names or NAMES
    with reading(bench.options(**options)) as session:
        return take(session, chosen, chosen if judged else (), cursor=cursor)


def by_account(found):
    return {key.account: key for key in found.keys}


def issue(bench, to, person="alice", system="openai", limit=""):
    with bench.session() as session:
        desk = open_desk(session, system)
        wish = checked(session, Wish(person, system, to, limit=limit))
        ended, _ = carry_out(desk, prepared(desk, wish))
        assert ended.error is None
        return ended.rotation


def test_every_key_of_the_manifest_with_its_place_and_what_cursor_holds(bench):
    found = taken(bench)
    keys = by_account(found)
    assert found.exit_code == 0
    assert set(keys) == set(NAMES)
    openai = keys["openai"]
    assert openai.uses[0].refs == {"key": f"{TEAM_FILE}/openai/key"}
    assert openai.cursor == ("cursor/provider/openai",)
    assert keys["gateway"].cursor == ()
    assert set(keys["bedrock"].prints) == {"access_key_id", "secret_access_key"}
    assert {key.state for key in found.keys} <= {"live", "waiting"}


def test_without_accounts_only_the_key_in_use_is_tried_and_nothing_written(bench):
    before = [one.snapshot() for one in bench.here.simulators]
    count = len(bench.here.openai.log)
    taken(bench, "openai")
    asked = bench.here.openai.log[count:]
    assert [request.path for request in asked] == ["/models"]
    assert bench.here.openai.admin_key not in str([r.headers for r in asked])
    assert [one.snapshot() for one in bench.here.simulators] == before


def test_off_line_nobody_is_asked_and_that_is_said(bench):
    count = len(bench.here.openai.log)
    (key,) = taken(bench, "openai", offline=True, cursor=False).keys
    assert (key.state, key.note) == ("unknown", "not asked: off line")
    assert len(bench.here.openai.log) == count


def test_with_accounts_the_provider_tells_age_and_name(bench):
    keys = by_account(taken(bench, judged=True))
    assert (keys["openai"].made_by, keys["openai"].name) == ("provider", "team")
    assert keys["bedrock"].last_used is not None
    assert keys["azure"].made_by == "ledger"
    assert keys["openai"].due(90)
    assert not keys["gateway"].due(90)
    assert not keys["openai"].due(None)


def test_an_age_that_nobody_knows_is_not_guessed(bare):
    keys = by_account(taken(bare))
    assert keys["azure"].made is None
    assert keys["azure"].age() is None
    assert not keys["azure"].due(1)


def test_one_key_under_two_providers_is_one_entry_with_both(bench):
    same = bench.stored({"key": f"{TEAM_FILE}/openai/key"})["key"]
    stores.store({f"{TEAM_FILE}/gateway/key": Secret(same)}, folder=bench.box.manifest.parent)
    found = taken(bench, "openai", "gateway")
    (key,) = [key for key in found.keys if key.uses]
    assert [use.account for use in key.uses] == ["openai", "gateway"]


def test_a_dead_key_is_told_as_dead(bench):
    bench.here.openai.revoked.add(bench.here.openai.key)
    (key,) = taken(bench, "openai", cursor=False).keys
    assert key.state == "dead"


def test_a_key_that_cannot_be_had_is_an_entry_that_says_why(bench):
    text = bench.box.manifest.read_text()
    bench.box.manifest.write_text(text.replace("#/anthropic/key", "#/anthropic/nothing"))
    found = taken(bench, cursor=False)
    keys = by_account(found)
    assert isinstance(keys["anthropic"].error, SecretError)
    assert keys["anthropic"].prints == {}
    assert keys["openai"].state == "live"
    assert found.exit_code == 4


def test_who_has_no_optional_key_is_left_out(bench):
    text = bench.box.manifest.read_text()
    text = text.replace("#/anthropic/key", "#/anthropic/nothing\n    optional: true")
    bench.box.manifest.write_text(text)
    found = taken(bench, cursor=False)
    assert "anthropic" not in by_account(found)
    assert found.exit_code == 0


def test_an_admin_credential_that_cannot_be_had_is_told_and_the_rest_shown(bench):
    text = bench.box.manifest.read_text()
    bench.box.manifest.write_text(text.replace("#/openai/admin", "#/openai/nothing"))
    found = taken(bench, judged=True)
    assert set(found.lost) == {"openai"}
    assert found.exit_code == 4
    assert by_account(found)["openai"].state in ("live", "waiting")


def test_an_account_that_is_down_loses_only_itself(bench):
    bench.here.openai.inject("503", path="*", times=50)
    found = taken(bench, "openai", "anthropic", cursor=False)
    keys = by_account(found)
    assert keys["openai"].state == "unknown"
    assert "not told" in keys["openai"].note or keys["openai"].note
    assert keys["anthropic"].state == "live"


def test_without_cursor_the_rest_is_shown(bench):
    (bench.box.cursor / "User" / "globalStorage" / "state.vscdb").unlink()
    found = taken(bench)
    assert set(found.lost) == {"cursor"}
    assert found.exit_code == 7
    assert len(found.keys) == len(NAMES)


def test_a_key_that_somebody_put_into_cursor_is_told(bench):
    folder = bench.box.manifest.parent
    other = "sk-proj-" + "typed" * 9
    stores.store({f"{TEAM_FILE}/openai/key": Secret(other)}, folder=folder)
    found = taken(bench, "openai")
    mine, theirs = found.keys
    assert mine.cursor == ()
    assert theirs.cursor == ("cursor/provider/openai",)
    assert theirs.uses == ()
    assert "does not give it" in theirs.note


def test_in_grace_until_then_revoked(bench):
    bench.rotate("openai", grace=3600)
    found = taken(bench, "openai", judged=True, cursor=False)
    new, old = found.keys
    assert new.rotated is not None
    assert (old.state, old.uses) == ("in grace", ())
    assert old.until is not None
    bench.clock.pause(4000)
    bench.rotate()
    states = [key.state for key in taken(bench, "openai", judged=True, cursor=False).keys]
    assert states == ["live", "revoked"]


@pytest.mark.parametrize("stage", ["made", "tried", "storing", "stored", "placed"])
def test_while_a_rotation_is_under_way_both_keys_are_there(bench, stage):
    def kill(rotation):
        if rotation.stage.value == stage:
            raise Killed

    with pytest.raises(Killed):
        bench.rotate("openai", grace=0, kill=kill)
    found = taken(bench, "openai")
    prints = [tuple(key.prints.values()) for key in found.keys]
    assert len(prints) == len(set(prints)) == 2
    assert any("byok rotate" in key.note for key in found.keys)


def test_a_revoked_key_that_is_back_in_its_store_is_told_as_revoked(bench):
    old = bench.stored({"key": f"{TEAM_FILE}/openai/key"})["key"]
    bench.rotate("openai", grace=0)
    stores.store({f"{TEAM_FILE}/openai/key": Secret(old)}, folder=bench.box.manifest.parent)
    (key,) = [k for k in taken(bench, "openai", cursor=False).keys if k.uses]
    assert key.state == "revoked"


def test_a_persons_key_is_told_with_its_place(bench):
    made = issue(bench, "file://alice.key")
    known = {key.holder: key for key in taken(bench, "openai", judged=True).keys}
    mine = known["alice"]
    assert mine.refs == {"key": "file://alice.key"}
    assert (mine.name, mine.state) == (made.name, "live")
    assert dict(mine.prints) == dict(made.new)
    unasked = {key.holder: key for key in taken(bench, "openai").keys}["alice"]
    assert (unasked.state, unasked.note) == ("unknown", "not asked: see --accounts")


def test_a_limit_and_what_is_spent_of_it_are_told_where_a_key_has_its_own(bench):
    bench.here.gateway.add_team("cursor-byok")
    issue(bench, "file://alice.key", system="gateway", limit="25")
    known = {key.holder: key for key in taken(bench, "gateway", judged=True).keys}
    assert str(known["alice"].limit) == "25.00 USD"
    assert str(known["alice"].spent) == "0.00 USD"


def test_a_persons_key_that_somebody_deleted_is_dead(bench):
    made = issue(bench, "file://alice.key")
    with bench.session() as session:
        open_desk(session, "openai").issuer.revoke(made.new_id)
    known = {key.holder: key for key in taken(bench, "openai", judged=True).keys}
    assert known["alice"].state == "dead"


def test_a_persons_key_on_its_way_is_waiting(bench):
    with pytest.raises(Killed), bench.session() as session:

        def told(rotation):
            if rotation.stage is Stage.TRIED:
                raise Killed

        desk = open_desk(session, "openai", told=told)
        wish = checked(session, Wish("alice", "openai", "file://alice.key"))
        carry_out(desk, prepared(desk, wish))
    known = {key.holder: key for key in taken(bench, "openai").keys}
    assert known["alice"].state == "waiting"
    assert "byok issue" in known["alice"].note


def test_a_key_that_byok_made_elsewhere_is_told_by_its_name(bench):
    known = bench.here.openai
    project = known.project("cursor-byok")
    name = keynames.for_person("sandbox", "bob", "0a1b")
    known.make_account_key(project, known.make_service_account(project, name), known.value())
    found = taken(bench, "openai", judged=True, cursor=False)
    (theirs,) = [key for key in found.keys if key.name == name]
    assert theirs.prints == {}
    assert "another machine" in theirs.note


def test_nothing_is_written(bench):
    state = bench.box.folder / "state"
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    taken(bench, judged=True)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before
