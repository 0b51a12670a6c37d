"""OpenAI's keys: service accounts made and deleted, older keys deleted, others left alone."""

from __future__ import annotations

import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import Order, Trial
from tests.contract.issuer_contract import (
    NAME,
    TWIN,
    IssuerContract,
    IssuerRig,
    changing,
    entry,
    exposed,
    made_by,
    opened,
    order,
    orphans,
    revoke,
    secrets,
)
from tests.simulators.openai import ADMIN_KEY, KEY, MADE, OpenAI
from tests.simulators.server import Response

PROJECT = "cursor-byok"


class Rig(IssuerRig):
    name = "openai"
    making = ("POST", "*/service_accounts")

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.id = simulator.make_project(PROJECT)
        self.account = {"project": PROJECT}
        simulator.page = 2
        simulator.make_key(self.id, "cursor", KEY)

    def manifest(self, *, admin):
        given = {"key": "file://keys/openai", "api_base": self.base, **self.account}
        told = {"admin_key": "file://keys/admin"} if admin else {}
        return {"providers": {"openai": {**given, **told}}}

    def keys(self):
        return {"openai": KEY, "admin": ADMIN_KEY}

    def old(self):
        return {"key": KEY}

    def wrong(self):
        return {"key": KEY[:-4] + "none"}

    def works(self, values):
        return self.simulator.alive(values["key"])

    def stranger(self, name):
        account = self.simulator.make_service_account(self.id, name)
        return self.simulator.make_account_key(self.id, account, self.simulator.value())


class TestContract(IssuerContract):
    def make(self, folder):
        simulator = OpenAI()
        return Rig(folder, simulator, self.host(simulator))

    def test_the_request_that_makes_a_key(self, rig):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
        (sent,) = changing(rig)
        assert (sent.method, sent.json) == ("POST", {"name": NAME})
        assert sent.path == f"/organization/projects/{rig.id}/service_accounts"
        assert made.id == "/".join(
            (rig.simulator.accounts[rig.id][-1]["id"], rig.simulator.api_keys[rig.id][-1]["id"])
        )

    def test_what_is_told_of_a_key(self, rig):
        row = rig.simulator.api_keys[rig.id][0]
        row |= {"last_used_at": MADE + 60}
        rig.simulator.make_key(rig.id, "left", "sk-" + "l" * 40, owner_project_access="inactive")
        rig.simulator.make_key(rig.id, "late", "sk-" + "e" * 40, expires_at=MADE)
        with opened(rig, write=False) as issuer:
            mine, left, late = issuer.listed()
        assert (mine.name, mine.owner, mine.live) == ("cursor", "cursor@acme.example", True)
        assert mine.made.timestamp() == MADE
        assert mine.last_used.timestamp() == MADE + 60
        assert (left.live, late.live) == (False, False)

    def test_of_two_keys_of_one_hint_neither_is_ours(self, rig):
        rig.simulator.make_key(rig.id, "twin", KEY[:20] + "x" * 20 + KEY[-4:])
        with opened(rig, write=False) as issuer:
            assert issuer.identify({"key": Secret(KEY)}) == ""

    def test_our_service_account_goes_with_its_key(self, rig):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            revoke(issuer, made.id)
        assert rig.simulator.accounts[rig.id] == []
        assert [r.method for r in changing(rig)] == ["POST", "DELETE"]

    def test_a_key_that_joined_our_service_account_stays(self, rig):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            (account,) = rig.simulator.accounts[rig.id]
            joined = rig.simulator.value()
            rig.simulator.make_account_key(rig.id, account, joined)
            revoke(issuer, made.id)
            assert issuer.attempt(secrets({"key": joined})) is Trial.ALIVE
        assert rig.simulator.accounts[rig.id] == [account]
        assert not rig.works(exposed(made))

    def test_of_a_strangers_service_account_only_the_key_goes(self, rig):
        row = rig.stranger("ci-bot")
        with opened(rig) as issuer:
            (listed,) = (key for key in issuer.listed() if key.name == "ci-bot")
            revoke(issuer, listed.id)
            assert entry(issuer, listed.id) is None
        assert [each["name"] for each in rig.simulator.accounts[rig.id]] == ["ci-bot"]
        assert row["id"] not in rig.simulator.values

    def test_where_the_older_api_refuses_that_it_is_said(self, rig):
        rig.simulator.older = True
        rig.stranger("ci-bot")
        before = rig.simulator.snapshot()
        with opened(rig) as issuer:
            (listed,) = (key for key in issuer.listed() if key.name == "ci-bot")
            with pytest.raises(ProviderError, match="byok did not make it") as refused:
                revoke(issuer, listed.id)
        assert refused.value.kind is Problem.UNSUPPORTED
        assert "platform.openai.com" in refused.value.way_out
        assert rig.simulator.snapshot() == before

    def test_a_service_account_without_a_listed_key_is_an_orphan_too(self, rig):
        rig.simulator.make_service_account(rig.id, NAME)
        rig.simulator.make_service_account(rig.id, TWIN)
        with opened(rig) as issuer:
            (found,) = orphans(issuer, Order(NAME))
            revoke(issuer, found)
            assert orphans(issuer, Order(NAME)) == ()
        assert [each["name"] for each in rig.simulator.accounts[rig.id]] == [TWIN]

    def test_a_key_that_stays_listed_is_no_success(self, rig, monkeypatch):
        monkeypatch.setattr("reconciler.systems.account.issuer.LASTING", 0.3)
        path = f"/organization/projects/{rig.id}/api_keys/*"
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            done = Response(200, {"object": "organization.project.api_key.deleted"})
            rig.simulator.inject("answer", method="DELETE", path=path, response=done)
            with pytest.raises(ProviderError, match="still has it") as refused:
                revoke(issuer, old)
        assert refused.value.kind is Problem.UNPROVED

    def test_a_list_that_is_late_is_read_again(self, rig):
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            late = {"object": "list", "data": list(rig.simulator.api_keys[rig.id])}
            shown = Response(200, {**late, "has_more": False})
            rig.simulator.inject("answer", method="GET", path="*/api_keys", response=shown)
            revoke(issuer, old)
        assert rig.simulator.faults[0].times == 0

    @pytest.mark.parametrize("key", [None, {}, {"value": ""}, {"id": "key_1"}])
    def test_an_answer_without_the_key_is_no_key(self, rig, key):
        body = {"object": "x", "id": "svc_acct_1", "name": NAME, "api_key": key}
        rig.simulator.inject("answer", method="POST", response=Response(200, body))
        with opened(rig) as issuer, pytest.raises(ProviderError, match="did not show its key"):
            made_by(issuer, Order(NAME))

    def test_without_a_project_it_is_said(self, rig):
        rig.account = {}
        rig.write()
        with opened(rig) as issuer:
            assert issuer.make is issuer.revoke is None
            assert "project" in issuer.why

    def test_in_a_project_that_is_not_there_nothing_is_made(self, rig):
        rig.account = {"project": "elsewhere"}
        rig.write()
        with opened(rig) as issuer, pytest.raises(ProviderError) as refused:
            made_by(issuer, Order(NAME))
        assert refused.value.kind is Problem.NOT_THERE
        assert changing(rig) == []

    def test_an_admin_key_is_never_tried(self, rig):
        with opened(rig, write=False) as issuer:
            assert issuer.attempt({"key": Secret(ADMIN_KEY)}) is Trial.DEAD
        assert rig.simulator.log == []

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_restricted_key_is_alive(self, rig, status):
        rig.simulator.scoped, rig.simulator.unscoped_status = True, status
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
