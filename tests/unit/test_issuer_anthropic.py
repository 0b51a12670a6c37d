"""Anthropic's keys: made by hand, told apart by their hint, switched off and archived by API."""

from __future__ import annotations

import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import Trial
from tests.contract.issuer_contract import (
    IssuerRig,
    RevokingContract,
    changing,
    entry,
    opened,
    revoke,
    secrets,
)
from tests.simulators.anthropic import ADMIN_KEY, KEY, Anthropic
from tests.simulators.server import Response


class Rig(IssuerRig):
    name = "anthropic"
    makes = False

    def manifest(self, *, admin):
        given = {"key": "file://keys/main", "api_base": self.base}
        told = {"admin_key": "file://keys/admin"} if admin else {}
        return {"providers": {"anthropic": {**given, **told}}}

    def keys(self):
        return {"main": KEY, "admin": ADMIN_KEY}

    def old(self):
        return {"key": KEY}

    def wrong(self):
        return {"key": KEY[:-5] + "noneA"}

    def works(self, values):
        return self.simulator.alive(values["key"])

    def stranger(self, name):
        return self.simulator.add_key(name, KEY[:16] + "s" * 80 + "rngr")

    def status(self):
        return next(iter(self.simulator.keys.values()))["status"]


class TestContract(RevokingContract):
    def make(self, folder):
        simulator = Anthropic()
        return Rig(folder, simulator, self.host(simulator))

    def test_a_person_is_told_where_keys_are_made(self, rig):
        with opened(rig) as issuer:
            assert "makes no keys" in issuer.why
            assert issuer.by_hand.startswith("https://platform.claude.com/")
            assert "person" in issuer.how

    def test_a_key_is_switched_off_before_it_is_archived(self, rig):
        with opened(rig) as issuer:
            revoke(issuer, issuer.identify(secrets(rig.old())))
        assert [r.json for r in changing(rig)] == [{"status": "inactive"}, {"status": "archived"}]
        assert rig.status() == "archived"

    def test_an_inactive_key_is_archived(self, rig):
        key = rig.simulator.keys[next(iter(rig.simulator.keys))]
        key["status"] = "inactive"
        with opened(rig) as issuer:
            (listed,) = issuer.listed()
            assert not listed.live
            revoke(issuer, listed.id)
        assert [r.json for r in changing(rig)] == [{"status": "archived"}]

    @pytest.mark.parametrize("state", ["expired", "archived"])
    def test_what_is_over_is_left_as_it_is(self, rig, state):
        id_ = next(iter(rig.simulator.keys))
        rig.simulator.keys[id_]["status"] = state
        with opened(rig) as issuer:
            revoke(issuer, id_)
            revoke(issuer, "apikey_nobody")
        assert changing(rig) == []

    def test_a_key_that_stays_active_is_no_success(self, rig, monkeypatch):
        monkeypatch.setattr("reconciler.systems.account.issuer.LASTING", 0.3)
        with opened(rig) as issuer:
            id_ = issuer.identify(secrets(rig.old()))
            done = Response(200, {"id": id_, "type": "api_key", "status": "archived"})
            rig.simulator.inject("answer", method="POST", times=2, response=done)
            with pytest.raises(ProviderError, match="still has it") as refused:
                revoke(issuer, id_)
        assert refused.value.kind is Problem.UNPROVED
        assert rig.status() == "active"

    def test_a_state_that_is_late_is_read_again(self, rig):
        with opened(rig) as issuer:
            id_ = issuer.identify(secrets(rig.old()))
            late = Response(200, rig.simulator.keys[id_] | {"status": "active"})
            rig.simulator.inject(
                "answer", method="GET", path="*/api_keys/*", times=2, response=late
            )
            revoke(issuer, id_)
        assert rig.simulator.faults[0].times == 0
        assert rig.status() == "archived"

    def test_a_kill_between_the_two_steps_is_mended_by_the_next(self, rig):
        with opened(rig) as issuer:
            id_ = issuer.identify(secrets(rig.old()))
            full = Response(500, {"type": "error", "error": {"type": "api_error", "message": "x"}})
            rig.simulator.keys[id_]["status"] = "inactive"
            rig.simulator.inject("answer", method="POST", times=10, response=full)
            with pytest.raises(ProviderError):
                revoke(issuer, id_)
            rig.simulator.faults.clear()
            revoke(issuer, id_)
        assert rig.status() == "archived"

    def test_what_is_told_of_a_key(self, rig):
        lab = rig.simulator.add_workspace("Lab")
        rig.simulator.add_key("bot", "sk-" + "b" * 40, workspace=lab)
        rig.simulator.add_key("late", "sk-" + "l" * 40, expires_at="2026-01-01T00:00:00Z")
        rig.simulator.add_key("gone", "sk-" + "g" * 40, status="archived")
        with opened(rig, write=False) as issuer:
            found = {key.name: key for key in issuer.listed()}
        assert found.keys() == {"cursor", "bot", "late"}
        assert found["bot"].owner == "workspace Lab"
        assert found["bot"].made.isoformat() == "2026-11-01T09:30:00.123456+00:00"
        assert (found["bot"].live, found["late"].live) == (True, False)

    def test_of_two_keys_of_one_hint_neither_is_ours(self, rig):
        rig.simulator.add_key("twin", KEY[:16] + "x" * 20 + KEY[-4:])
        with opened(rig, write=False) as issuer:
            assert issuer.identify({"key": Secret(KEY)}) == ""

    def test_an_admin_key_is_never_tried(self, rig):
        with opened(rig, write=False) as issuer:
            assert issuer.attempt({"key": Secret(ADMIN_KEY)}) is Trial.DEAD
        assert rig.simulator.log == []

    def test_a_key_that_is_made_by_hand_and_not_in_force_yet(self, rig):
        rig.simulator.late = 1
        value = KEY[:16] + "n" * 80 + "newA"
        id_ = rig.simulator.add_key("new", value)
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets({"key": value})) is Trial.DEAD
            assert issuer.attempt(secrets({"key": value})) is Trial.ALIVE
            assert issuer.identify(secrets({"key": value})) == id_
            assert entry(issuer, id_).name == "new"

    def test_a_spent_limit_is_a_live_key(self, rig):
        error = {"type": "invalid_request_error"}
        text = "You have reached your specified workspace API usage limits."
        body = {"type": "error", "error": {**error, "message": text}}
        rig.simulator.inject("answer", response=Response(400, body))
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
