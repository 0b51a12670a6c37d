"""Endpoints' keys: OpenRouter and LiteLLM make and delete them, of all others a person does."""

from __future__ import annotations

import hashlib

import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.secrets import Secret
from reconciler.spec import CURSOR_TEAM
from reconciler.systems.account import Order, Trial
from tests.contract.issuer_contract import (
    NAME,
    IssuerContract,
    IssuerRig,
    TryingContract,
    changing,
    entry,
    exposed,
    made_by,
    opened,
    order,
    revoke,
    secrets,
)
from tests.simulators.cursor_team import CursorTeam
from tests.simulators.endpoints import Compatible, LiteLLM, Local, OpenRouter, Together
from tests.simulators.server import Response, serve

KEY = "sk-or-" + "v1-" + "ab" * 32
MANAGEMENT = "sk-or-" + "v1-" + "cd" * 32
VIRTUAL, MASTER = "sk-" + "v1rtual" * 4, "sk-" + "m4ster" * 5


class EndpointRig(IssuerRig):
    name = "gw"
    type = "custom"
    key = "sk-" + "0rdinary" * 4
    admin = ""
    below = "/v1"

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.more = {}

    def manifest(self, *, admin):
        given = {"type": self.type, "base_url": f"{self.base}{self.below}"}
        told = {"admin_key": "file://keys/admin"} if admin and self.admin else {}
        entry = {**given, "key": "file://keys/gw", **told, **self.more}
        return {"endpoints": {"gw": {n: v for n, v in entry.items() if v is not None}}}

    def keys(self):
        return {"gw": self.key, **({"admin": self.admin} if self.admin else {})}

    def old(self):
        return {"key": self.key}

    def wrong(self):
        return {"key": self.key[:-6] + "nobody"}

    def works(self, values):
        return self.simulator.alive(values["key"])

    def stranger(self, name):
        secret = self.key[:12] + hashlib.sha256(name.encode()).hexdigest()
        return self.simulator.add_key(name, secret)


class Router(EndpointRig):
    type, key, admin, below, limits = "openrouter", KEY, MANAGEMENT, "", True
    making = ("POST", "/keys")

    def row(self, name="cursor-team"):
        return next(row for row in self.simulator.keys if row["name"] == name)


class TestOpenRouter(IssuerContract):
    def make(self, folder):
        simulator = OpenRouter(KEY, MANAGEMENT)
        return Router(folder, simulator, self.host(simulator))

    def test_the_request_that_makes_a_key(self, rig):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer, limit=Money.of("12.5")))
        (sent,) = changing(rig)
        assert (sent.method, sent.path) == ("POST", "/keys")
        assert sent.json == {"name": NAME, "limit": 12.5, "limit_reset": "monthly"}
        assert made.id == rig.row(NAME)["hash"]

    def test_a_key_is_made_in_the_declared_workspace(self, rig):
        rig.more = {"workspace": "lab"}
        rig.write()
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            assert [key.id for key in issuer.listed()] == [made.id]
            assert issuer.identify(secrets(rig.old())) == ""
        assert rig.row(NAME)["workspace_id"] == rig.simulator.workspaces[1]["id"]

    def test_the_new_key_is_bound_as_the_old_one(self, rig):
        rig.row().update(limit=40, limit_reset="weekly", include_byok_in_limit=True)
        rail = rig.simulator.add_rail("cursor")
        rig.simulator.add_rail("other")
        rig.simulator.assigned[rig.row()["hash"]] = rail["id"]
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            made = made_by(issuer, order(issuer, old=old))
        row = rig.row(NAME)
        assert (row["limit"], row["limit_reset"]) == (40, "weekly")
        assert row["include_byok_in_limit"] is True
        assert rig.simulator.assigned[made.id] == rail["id"]

    def test_an_ordered_limit_wins_over_the_old_ones(self, rig):
        rig.row().update(limit=40, limit_reset="weekly")
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            made_by(issuer, order(issuer, old=old, limit=Money.of(5)))
        assert (rig.row(NAME)["limit"], rig.row(NAME)["limit_reset"]) == (5.0, "monthly")

    def test_a_limit_that_was_not_set_is_no_success(self, rig):
        body = {"data": {"hash": "f0" * 32, "limit": None, "limit_reset": None}, "key": KEY}
        rig.simulator.inject("answer", method="POST", response=Response(201, body))
        with opened(rig) as issuer, pytest.raises(ProviderError, match="not with the limit"):
            made_by(issuer, Order(NAME, limit=Money.of(5)))

    @pytest.mark.parametrize("body", [{}, {"key": KEY}, {"data": {"hash": "f0" * 32}}])
    def test_an_answer_without_the_key_is_no_key(self, rig, body):
        rig.simulator.inject("answer", method="POST", response=Response(201, body))
        with opened(rig) as issuer, pytest.raises(ProviderError, match="did not show it"):
            made_by(issuer, Order(NAME))

    def test_where_the_hash_is_no_sha256_the_label_tells(self, rig):
        rig.row()["hash"] = "f0" * 32
        with opened(rig, write=False) as issuer:
            assert issuer.identify(secrets(rig.old())) == "f0" * 32
            rig.simulator.add_key("twin", KEY[:12] + "x" * 40 + KEY[-3:])
            issuer.forget()
            assert issuer.identify(secrets(rig.old())) == ""

    def test_what_is_told_of_a_key(self, rig):
        rig.row().update(limit=40, limit_reset="monthly", usage_monthly=12.34)
        rig.simulator.add_key("off", "sk-or-v1-off", disabled=True, limit=9)
        rig.simulator.add_key("late", "sk-or-v1-late", expires_at="2026-01-01T00:00:00Z")
        with opened(rig, write=False) as issuer:
            found = {key.name: key for key in issuer.listed()}
        mine = found["cursor-team"]
        assert (mine.spent, mine.limit) == (Money.of("12.34"), Money.of(40))
        assert mine.made.isoformat() == "2026-11-01T10:30:00+00:00"
        assert [found[name].live for name in ("cursor-team", "off", "late")] == [True, False, False]
        assert found["off"].limit is None, "a limit for ever is not one of a month"

    @pytest.mark.parametrize("keys", ["tried", "managing"])
    def test_a_key_of_the_wrong_kind_is_told(self, rig, keys):
        if keys == "tried":
            with opened(rig, write=False) as issuer:
                assert issuer.attempt({"key": Secret(MANAGEMENT)}) is Trial.DEAD
            return
        rig.admin = KEY
        rig.write()
        with opened(rig) as issuer, pytest.raises(ProviderError) as refused:
            made_by(issuer, Order(NAME))
        assert refused.value.kind is Problem.WRONG_KIND
        assert changing(rig) == []

    def test_a_limit_in_another_currency_is_refused(self, rig):
        with opened(rig) as issuer, pytest.raises(ProviderError, match="counts in USD"):
            made_by(issuer, Order(NAME, limit=Money.of(5, "EUR")))
        assert changing(rig) == []

    def test_a_key_that_stays_listed_is_no_success(self, rig, monkeypatch):
        monkeypatch.setattr("reconciler.systems.account.issuer.LASTING", 0.3)
        done = Response(200, {"deleted": True})
        rig.simulator.inject("answer", method="DELETE", response=done)
        with opened(rig) as issuer, pytest.raises(ProviderError, match="still has it") as refused:
            revoke(issuer, rig.row()["hash"])
        assert refused.value.kind is Problem.UNPROVED

    def test_a_list_that_is_late_is_read_again(self, rig):
        late = Response(200, {"data": [rig.row()]})
        rig.simulator.inject("answer", method="GET", path="/keys", response=late)
        with opened(rig) as issuer:
            revoke(issuer, rig.row()["hash"])
        assert rig.simulator.faults[0].times == 0


class Proxy(EndpointRig):
    type, key, admin, limits = "litellm", VIRTUAL, MASTER, True
    making = ("POST", "/key/generate")

    def row(self, alias="cursor"):
        return next(row for row in self.simulator.keys if row["key_alias"] == alias)


class TestLiteLLM(IssuerContract):
    def make(self, folder):
        simulator = LiteLLM(VIRTUAL, MASTER)
        return Proxy(folder, simulator, self.host(simulator))

    def test_the_request_that_makes_a_key(self, rig):
        team = rig.simulator.add_team("cursor-byok")
        rig.more = {"team": {"name": "cursor-byok"}}
        rig.write()
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer, limit=Money.of(25)))
        (sent,) = changing(rig)
        assert sent.json == {
            "key_alias": NAME,
            "metadata": {"managed_by": "byok:acme"},
            "team_id": team["team_id"],
            "max_budget": 25.0,
            "budget_duration": "30d",
        }
        value = exposed(made)["key"]
        assert made.id == hashlib.sha256(value.encode()).hexdigest() == rig.row(NAME)["token"]

    def test_the_new_key_is_bound_as_the_old_one(self, rig):
        team = rig.simulator.add_team("lab")
        bounds = {
            "team_id": team["team_id"],
            "user_id": "ada",
            "models": ["acme-fast"],
            "rpm_limit": 9,
            "max_budget": 7.5,
            "budget_duration": "7d",
        }
        rig.row().update(bounds)
        with opened(rig) as issuer:
            made_by(issuer, order(issuer, old=issuer.identify(secrets(rig.old()))))
        assert {name: rig.row(NAME)[name] for name in bounds} == bounds

    def test_without_its_team_nothing_is_made(self, rig):
        rig.more = {"team": {"name": "cursor-byok"}}
        rig.write()
        with opened(rig) as issuer, pytest.raises(ProviderError, match="no team called"):
            made_by(issuer, Order(NAME))
        assert changing(rig) == []

    def test_an_alias_is_given_once(self, rig):
        with opened(rig) as issuer:
            made_by(issuer, order(issuer))
            with pytest.raises(ProviderError) as refused:
                made_by(issuer, order(issuer))
        assert refused.value.kind is Problem.REJECTED

    def test_a_limit_that_was_not_set_is_no_success(self, rig):
        body = {"key": VIRTUAL, "max_budget": None}
        rig.simulator.inject("answer", method="POST", response=Response(200, body))
        with opened(rig) as issuer, pytest.raises(ProviderError, match="not with the limit"):
            made_by(issuer, Order(NAME, limit=Money.of(5)))

    @pytest.mark.parametrize("body", [{}, {"key": None}, {"key": ""}])
    def test_an_answer_without_the_key_is_no_key(self, rig, body):
        rig.simulator.inject("answer", method="POST", response=Response(200, body))
        with opened(rig) as issuer, pytest.raises(ProviderError, match="did not show it"):
            made_by(issuer, Order(NAME))

    def test_without_a_database_there_are_no_keys(self, rig):
        rig.simulator.database = False
        with opened(rig) as issuer, pytest.raises(ProviderError) as refused:
            issuer.listed()
        assert refused.value.kind is Problem.UNSUPPORTED

    def test_what_is_told_of_a_key(self, rig):
        rig.row().update(max_budget=10.0, budget_duration="30d", spend=2.5)
        rig.simulator.add_key("off", "sk-" + "off" * 9, blocked=True)
        rig.simulator.add_key("late", "sk-" + "late" * 9, expires="2026-01-01T00:00:00Z")
        with opened(rig, write=False) as issuer:
            found = {key.name: key for key in issuer.listed()}
        mine = found["cursor"]
        assert (mine.spent, mine.limit) == (Money.of("2.5"), Money.of(10))
        assert mine.last_used.isoformat() == "2026-11-20T10:30:00+00:00"
        assert [found[name].live for name in ("cursor", "off", "late")] == [True, False, False]
        assert found["off"].spent is None, "what was spent ever is not of a month"

    def test_the_masters_key_is_none_of_the_listed(self, rig):
        with opened(rig, write=False) as issuer:
            assert issuer.identify({"key": Secret(MASTER)}) == ""

    def test_a_person_does_it_in_the_proxys_own_pages(self, rig):
        with opened(rig, judged=False) as issuer:
            assert issuer.by_hand == f"{rig.base}/ui"

    def test_a_key_that_stays_listed_is_no_success(self, rig, monkeypatch):
        monkeypatch.setattr("reconciler.systems.account.issuer.LASTING", 0.3)
        done = Response(200, {"deleted_keys": []})
        rig.simulator.inject("answer", method="POST", path="/key/delete", response=done)
        with opened(rig) as issuer:
            with pytest.raises(ProviderError, match="still has it"):
                revoke(issuer, rig.row()["token"])
            assert entry(issuer, rig.row()["token"]) is not None

    def test_a_list_that_is_late_is_read_again(self, rig):
        late = Response(200, {"keys": [rig.row()], "current_page": 1, "total_pages": 1})
        rig.simulator.inject("answer", method="GET", path="/key/list", response=late)
        with opened(rig) as issuer:
            revoke(issuer, rig.row()["token"])
        assert rig.simulator.faults[0].times == 0


class ByHand(EndpointRig):
    makes = revokes = False

    def works(self, values):
        return values["key"] == self.key

    def stranger(self, _name):
        return None


class TestCompatible(TryingContract):
    def make(self, folder):
        simulator = Compatible(ByHand.key)
        return ByHand(folder, simulator, self.host(simulator))


class TestTogether(TryingContract):
    def make(self, folder):
        simulator = Together(ByHand.key)
        rig = ByHand(folder, simulator, self.host(simulator))
        rig.type = "together"
        return rig

    def test_who_forbids_need_not_have_seen_a_key(self, rig):
        rig.simulator.inject("answer", times=50, response=Response(403, {"error": "forbidden"}))
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD

    def test_a_person_is_told_where(self, rig):
        with opened(rig) as issuer:
            assert "api.together.ai" in issuer.by_hand
            assert "Together has no API" in issuer.why


@pytest.mark.parametrize("kind", ["ollama", "lmstudio", "vllm", "llamacpp"])
class TestLocal:
    """Servers on one's own machine, most of which ask for no key."""

    @pytest.fixture
    def rig(self, tmp_path, kind):
        simulator = Local(kind)
        with serve(simulator) as base:
            rig = ByHand(tmp_path, simulator, base)
            rig.type = "custom" if kind == "llamacpp" else kind
            rig.write()
            yield rig

    def test_a_server_that_asks_for_no_key_proves_none(self, rig):
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD
            assert issuer.make is issuer.revoke is None
            assert issuer.why

    def test_one_that_asks_for_a_key_does(self, rig):
        rig.simulator.key = rig.key
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
            assert issuer.attempt(secrets(rig.wrong())) is Trial.DEAD

    def test_without_a_declared_key_none_is_sent(self, rig):
        rig.more = {"key": None}
        rig.write()
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD
        assert rig.simulator.log == []


class TestTeam:
    def test_the_teams_own_key_is_made_by_hand(self, tmp_path):
        contract = TryingContract()
        for _ in TryingContract._server.__wrapped__(contract):
            rig = TeamRig(tmp_path, CursorTeam("crsr_key"), contract.base)
            rig.write()
            with opened(rig) as issuer:
                assert issuer.make is issuer.revoke is None
                assert issuer.by_hand == "https://cursor.com/dashboard"
                assert "makes no keys" in issuer.why
                assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD
            assert rig.simulator.log == []


class TeamRig(ByHand):
    name = CURSOR_TEAM

    def manifest(self, *, admin):
        return {"cursor_team": {"admin_key": "file://keys/admin", "api_base": self.base}}
