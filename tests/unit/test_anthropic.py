"""Anthropic's account: what its keys show, and what byok makes of a Console organisation."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.engine import apply_plan
from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.model import Action, Cause, Scope
from reconciler.session import reading, writing
from reconciler.survey import make_plan
from reconciler.systems.account import transport
from tests.simulators.anthropic import ADMIN_KEY, KEY, Anthropic
from tests.simulators.server import Response, serve
from tests.unit.accounts import options, write_manifest

SCOPE = Scope(("anthropic",))
HARD = {"provider": "anthropic", "monthly_usd": 500, "enforce": "hard"}
SONNET = {"claude-sonnet-4-5": {"requests_per_minute": 40}}


class World:
    """A simulator, a manifest and its keys; every run opens all of it afresh."""

    def __init__(self, folder, simulator, base):
        self.folder, self.simulator, self.base = folder, simulator, base
        self.keys = {"main": KEY, "admin": ADMIN_KEY}
        self.write()

    def write(self, *, budgets=None, models=(), policy=None, admin=True, **entry):
        key = {"key": "file://keys/main", "api_base": self.base, **entry}
        key |= {"admin_key": "file://keys/admin"} if admin else {}
        data = {
            "providers": {"anthropic": key},
            "models": {name: {"provider": "anthropic"} for name in models},
            "budgets": budgets or {},
            "policy": policy or {},
        }
        write_manifest(self.folder, data, self.keys)

    def options(self, **more):
        return options(self.folder, self.base, observe=False, **more)

    def look(self, *, judged=False, **more):
        with reading(self.options(**more)) as session:
            return session.account("anthropic", judged=judged).actual()

    def plan(self, **more):
        with reading(self.options(**more)) as session:
            return make_plan(session, SCOPE).plan

    def apply(self, *, removing=False, **more):
        with writing(self.options(allow_many=True, **more), "apply") as session:
            return apply_plan(session, SCOPE, lambda _: True, removing=removing)[1]

    def sent(self, method="*", begins=""):
        log = self.simulator.log
        return [
            r for r in log if method in ("*", r.method) and r.path[len("/v1/") :].startswith(begins)
        ]


@pytest.fixture
def simulator():
    return Anthropic()


@pytest.fixture
def world(simulator, tmp_path):
    with serve(simulator) as base:
        yield World(tmp_path, simulator, base)


@pytest.fixture
def once(monkeypatch):
    """Let every request be sent once only, so that a fault is met at once."""
    monkeypatch.setattr(transport, "ATTEMPTS", 1)


def said(seen):
    lines = {}
    for each in seen.observations:
        lines.setdefault(str(each.address), []).append(each.text)
    return {at: " | ".join(texts) for at, texts in lines.items()}


def codes(seen):
    return sorted(finding.code for finding in seen.diagnostics if finding.code >= "BYOK130")


def changes(plan):
    return {str(c.address): {e.name: e.after for e in c.edits} for c in plan.changes}


def days(count):
    return (datetime.now(UTC) + timedelta(days=count)).isoformat().replace("+00:00", "Z")


# The ordinary key.


def test_a_good_key_is_told_with_its_limits_and_models(world):
    world.write(models=("claude-opus-4-5-20251101", "claude-haiku-4-5-20251001"))
    seen = world.look()
    told = said(seen)
    assert told["anthropic/key/anthropic"].startswith("accepted: 3999 of 4000 requests left, ")
    assert told["anthropic/model/claude-haiku-4-5-20251001"] == "available to this key"
    assert codes(seen) == []
    assert {r.path for r in world.simulator.log} == {"/v1/models"}
    assert len(world.sent("GET", "models")) == 2, "in pages of two"
    assert {r.headers["anthropic-version"] for r in world.simulator.log} == {"2026-10-21"}
    assert {r.headers["x-api-key"] for r in world.simulator.log} == {KEY}


def test_a_model_may_be_named_by_its_alias(world):
    world.write(models=("claude-sonnet-4-5", "claude-nine"))
    seen = world.look()
    assert said(seen)["anthropic/model/claude-sonnet-4-5"] == "available to this key"
    assert [(d.code, d.path) for d in seen.diagnostics] == [("BYOK132", "/models/claude-nine")]


def test_stages_of_a_models_life_are_told(world):
    sonnet, opus, haiku = world.simulator.models
    sonnet.update(lifecycle="deprecated", retires_at=days(400))
    opus.update(lifecycle="deprecated", retires_at=days(-9))
    haiku.update(lifecycle="retired", retires_at=days(-2))
    world.write(models=[m["id"] for m in world.simulator.models])
    seen = world.look()
    assert "deprecated" in said(seen)[f"anthropic/model/{sonnet['id']}"]
    found = {d.path.split("/")[-1]: d.message for d in seen.diagnostics}
    assert f"{opus['id']} was to be retired on" in found[opus["id"]]
    assert f"{haiku['id']} was retired on" in found[haiku["id"]]
    assert codes(seen) == ["BYOK133", "BYOK133"]
    assert f"anthropic/model/{haiku['id']}" not in said(seen)


def test_a_model_without_stages_is_taken_as_it_is(world):
    for each in world.simulator.models:
        for name in ("lifecycle", "retires_at", "deprecated_at"):
            del each[name]
    world.write(models=("claude-sonnet-4-5",))
    assert codes(world.look()) == []


@pytest.mark.parametrize("how", ["wrong", "switched off"])
def test_a_dead_key_is_told(world, how):
    if how == "wrong":
        world.keys["main"] = KEY[:-3] + "xAA"
        world.write()
    else:
        next(iter(world.simulator.keys.values()))["status"] = "inactive"
    seen = world.look()
    assert codes(seen) == ["BYOK131"]
    assert "does not accept the key" in seen.diagnostics[0].message


def test_an_admin_key_in_the_ordinary_place_is_not_even_sent(world):
    world.keys["main"] = ADMIN_KEY
    world.write()
    seen = world.look()
    assert codes(seen) == ["BYOK130"]
    assert "admin key" in seen.diagnostics[0].message
    assert world.simulator.log == []


def test_an_ordinary_key_in_the_admin_place_is_not_even_sent(world):
    world.keys["admin"] = KEY
    world.write()
    with pytest.raises(ProviderError) as refused:
        world.plan()
    assert refused.value.kind is Problem.WRONG_KIND
    assert "admin_key needs an admin key" in str(refused.value)
    assert world.sent(begins="organizations") == []


def test_an_oauth_token_goes_as_a_bearer(world):
    token = "sk-ant-" + "oat01-" + "t9" * 40
    world.simulator.admin_key = world.keys["admin"] = token
    world.write()
    world.look(judged=True)
    asked = world.sent("GET", "organizations")[0]
    assert (asked.headers["authorization"], "x-api-key" in asked.headers) == (
        f"Bearer {token}",
        False,
    )


def test_an_origin_that_nobody_approved_gets_no_key(world):
    with reading(options(world.folder, observe=False)) as session:
        seen = session.account("anthropic", judged=False).actual()
    assert "not probed" in said(seen)["anthropic/key/anthropic"]
    assert world.simulator.log == []


def test_without_any_key_it_is_said(world):
    world.write(key="env://NOT_SET_ANYWHERE")
    assert "none of the references" in said(world.look())["anthropic/key/anthropic"]


GENERATE = frozenset({"generate"})


def test_a_probe_that_generates_is_sent_only_when_asked_for(world):
    world.write(models=("claude-sonnet-4-5", "claude-haiku-4-5"))
    world.look()
    assert world.sent("POST") == []
    told = said(world.look(probes=GENERATE))
    assert told["anthropic/model/claude-haiku-4-5"].endswith("answered a real request")
    assert [r.json["max_tokens"] for r in world.sent("POST", "messages")] == [16, 16]


@pytest.mark.parametrize("spent", ["limit", "tier", "credit"])
def test_a_reached_limit_is_not_a_dead_key(world, spent):
    world.simulator.spent = spent
    world.write(models=("claude-sonnet-4-5",))
    seen = world.look(probes=GENERATE)
    assert codes(seen) == ["BYOK134"]
    assert "the key itself is good" in seen.diagnostics[0].message
    assert "regain" not in repr(seen)
    assert "You have" not in repr(seen)
    assert len(world.sent("POST", "messages")) == 1, "asking again cannot help"


def error(status, kind, message="said no", headers=None, **details):
    body = {"type": "error", "error": {"type": kind, "message": message, **details}}
    return Response(status, body, headers or {})


@pytest.mark.parametrize(
    ("how", "response", "code"),
    [
        ("answer", error(401, "authentication_error"), "BYOK131"),
        ("answer", error(403, "permission_error"), "BYOK132"),
        ("answer", error(400, "invalid_request_error"), "BYOK138"),
        ("answer", error(400, "invalid_request_error", "You have reached your specified"), "34"),
        ("answer", error(400, "invalid_request_error", "Your credit balance is too low"), "34"),
        ("answer", error(400, "x", details={"error_code": "organization_on_hold"}), "BYOK132"),
        ("answer", error(404, ""), "BYOK136"),
        ("answer", error(409, "conflict_error"), "BYOK138"),
        ("answer", error(429, "rate_limit_error", headers={"retry-after": "0"}), "BYOK135"),
        ("answer", error(429, "rate_limit_error"), "BYOK134"),
        ("answer", Response(429, b"slow down"), "BYOK135"),
        ("answer", error(500, "api_error"), "BYOK138"),
        ("answer", error(529, "overloaded_error"), "BYOK138"),
        ("answer", Response(200, {"data": "not a list"}), "BYOK137"),
        ("answer", Response(200, ["a list"]), "BYOK137"),
        ("half", None, "BYOK138"),
        ("drop", None, "BYOK138"),
        ("html", None, "BYOK137"),
        ("huge", None, "BYOK137"),
        ("redirect", None, "BYOK136"),
    ],
)
def test_every_fault_is_a_finding_of_its_row(world, once, how, response, code):
    world.simulator.inject(how, response=response, path="/v1/models")
    seen = world.look()
    assert codes(seen) == [code if code.startswith("BYOK") else f"BYOK1{code}"]
    assert "said no" not in repr(seen)


def test_a_slow_answer_is_a_finding(world, once, monkeypatch):
    monkeypatch.setattr(transport, "READ", 0.05)
    world.simulator.inject("slow", seconds=0.3)
    assert codes(world.look()) == ["BYOK138"]


def test_a_busy_api_is_asked_again(world):
    busy = error(529, "overloaded_error", headers={"retry-after": "0"})
    world.simulator.inject("answer", response=busy, times=2)
    assert codes(world.look()) == []


# Budgets in words.


def test_budgets_are_promised_without_an_admin_key(world):
    told = {"provider": "anthropic", "monthly_usd": 10}
    world.write(budgets={"hard": HARD, "told": told}, admin=False)
    seen = said(world.look())
    assert "500.00 USD a month: hard limit, where" in seen["anthropic/budget/hard"]
    assert "no API for alerts" in seen["anthropic/budget/told"]


def test_judged_without_an_admin_key_the_account_is_only_observed(world):
    world.write(workspace="cursor-byok", admin=False)
    plan = world.plan()
    seen = said(plan)
    assert seen["anthropic/account/anthropic"] == "only observed: it has no admin_key"
    assert "accepted" in seen["anthropic/key/anthropic"]
    assert plan.changes == ()


@pytest.mark.parametrize("preview", ["off", "reads"])
def test_a_preview_that_is_not_enabled_closes_one_kind(world, preview):
    world.simulator.preview = preview
    world.simulator.add_limit({"type": "organization"}, "90000")
    world.write(workspace="cursor-byok", rate_limits=SONNET, budgets={"hard": HARD})
    plan = world.plan()
    seen = said(plan)
    assert "early access preview" in seen["anthropic/budget/hard"]
    assert seen["anthropic/budget/hard"].startswith("500.00 USD a month: observed only")
    assert "not judged" in seen["anthropic/spend-limit/*"]
    assert changes(plan).keys() == {
        "anthropic/workspace/cursor-byok",
        "anthropic/rate-limit/cursor-byok/claude-sonnet-4-5",
    }
    assert world.apply().failed == ()
    assert world.plan().changes == ()


def test_a_preview_without_writing_is_told_at_the_write_at_the_latest(world):
    world.simulator.preview = "reads"
    world.write(workspace="cursor-byok", budgets={"hard": HARD})
    failed = world.apply().failed
    assert [str(f.change.address) for f in failed] == ["anthropic/spend-limit/cursor-byok"]
    assert failed[0].error.kind is Problem.UNSUPPORTED


def test_a_budget_in_another_currency_is_not_written(world):
    for row in world.simulator.spend.values():
        row["currency"] = "EUR"
    euro = {**HARD, "currency": "EUR", "scope": "organization"}
    world.write(workspace="cursor-byok", budgets={"dollar": HARD, "euro": euro})
    plan = world.plan()
    assert [d.message for d in plan.diagnostics if d.code == "BYOK139"] == [
        "dollar is in USD, and the account is billed in EUR"
    ]
    planned = changes(plan)
    assert planned["anthropic/spend-limit/organization"] == {"amount": "500.00 EUR"}
    assert "anthropic/spend-limit/cursor-byok" not in planned


def test_a_hard_budget_needs_a_workspace_or_asks_for_the_organisation(world):
    world.write(budgets={"hard": HARD})
    found = [d for d in world.plan().diagnostics if d.code == "BYOK139"]
    assert [d.way_out for d in found] == ["declare workspace, or say scope: organization"]


def test_a_limit_that_is_switched_off_is_told(world):
    id_ = world.simulator.add_limit({"type": "organization"}, "50000")
    world.simulator.spend[id_]["is_enabled"] = False
    world.write(budgets={"hard": {**HARD, "scope": "organization", "alert_at": [50]}})
    told = said(world.plan())["anthropic/budget/hard"]
    assert "not in force" in told
    assert told.endswith("alerts are set in the Console")


# The Console, reconciled.


def everything(world, **more):
    world.write(
        **{
            "workspace": "cursor-byok",
            "rate_limits": {**SONNET, "batch": {"requests_per_minute": 5}},
            "keys": {"cursor": {"status": "active"}},
            "budgets": {"hard": HARD},
            **more,
        }
    )


def test_one_apply_makes_all_of_it_and_the_second_plan_is_empty(world):
    everything(world)
    plan = world.plan()
    assert world.simulator.writes() == []
    assert changes(plan) == {
        "anthropic/workspace/cursor-byok": {"owner": "acme", "status": "active"},
        "anthropic/rate-limit/cursor-byok/batch": {"requests_per_minute": 5},
        "anthropic/rate-limit/cursor-byok/claude-sonnet-4-5": {"requests_per_minute": 40},
        "anthropic/spend-limit/cursor-byok": {"amount": "500.00 USD"},
    }
    assert {c.action for c in plan.changes} == {Action.CREATE}
    assert not any(c.irreversible for c in plan.changes)
    assert world.apply().failed == ()
    assert world.plan().changes == ()
    space = world.simulator.workspaces[world.simulator.named("cursor-byok")]
    assert space["tags"] == {"byok": "acme"}
    assert [row["amount"] for row in world.simulator.spend.values()] == ["100000", "50000"]
    assert "hard limit" in said(world.plan())["anthropic/budget/hard"]


def test_an_empty_ledger_creates_nothing_twice(world):
    everything(world)
    world.apply()
    state = world.simulator.snapshot()
    shutil.rmtree(world.folder / "state")
    world.simulator.log.clear()
    assert world.plan().changes == ()
    assert world.apply().applied == ()
    assert world.simulator.writes() == []
    assert world.simulator.snapshot() == state


def test_a_create_whose_answer_was_lost_is_found_again(world, once):
    everything(world)
    world.simulator.inject("lost", method="POST", path="/v1/organizations/workspaces")
    assert world.apply().failed
    world.apply()
    names = [space["name"] for space in world.simulator.workspaces.values()]
    assert names == ["Default", "cursor-byok"]
    assert world.plan().changes == ()


def test_of_two_workspaces_of_one_name_the_marked_one_is_meant(world):
    world.simulator.add_workspace("cursor-byok")
    ours = world.simulator.add_workspace("cursor-byok", byok="acme")
    everything(world)
    world.apply()
    assert f"{ours}/rl_sonnet" in world.simulator.overrides
    world.simulator.workspaces[ours]["tags"].clear()
    with pytest.raises(ByokError, match="two workspaces of the declared name"):
        world.plan()


def test_an_archived_workspace_is_not_there(world):
    old = world.simulator.add_workspace("cursor-byok", byok="acme")
    world.simulator.workspaces[old]["archived_at"] = days(-1)
    everything(world)
    assert "anthropic/workspace/cursor-byok" in changes(world.plan())


def test_a_container_is_released_and_only_destroy_archives_it(world):
    everything(world)
    world.apply()
    world.write()
    world.apply(allow_irreversible=True)
    space = world.simulator.workspaces[world.simulator.named("cursor-byok")]
    assert space["archived_at"] is None
    everything(world, workspace="made")
    world.apply(allow_irreversible=True)
    world.apply(removing=True, allow_irreversible=True)
    with pytest.raises(StopIteration):
        world.simulator.named("made")


def test_other_tags_of_an_adopted_workspace_stay(world):
    there = world.simulator.add_workspace("cursor-byok", cost_center="12")
    everything(world)
    assert changes(world.plan())["anthropic/workspace/cursor-byok"] == {"owner": "acme"}
    world.apply()
    tags = world.simulator.workspaces[there]["tags"]
    assert tags == {"cost_center": "12", "byok": "acme"}
    world.apply(removing=True, allow_irreversible=True)
    assert world.simulator.workspaces[there]["tags"] == {"cost_center": "12"}
    assert world.simulator.workspaces[there]["archived_at"] is None


@pytest.mark.parametrize(
    ("amount", "irreversible"), [(400, False), (500.01, True), (None, True), (500, None)]
)
def test_raising_or_removing_a_hard_limit_cannot_be_taken_back(world, amount, irreversible):
    everything(world)
    world.apply()
    budgets = {} if amount is None else {"hard": {**HARD, "monthly_usd": amount}}
    everything(world, budgets=budgets)
    marks = [c.irreversible for c in world.plan().changes]
    assert marks == ([] if irreversible is None else [irreversible])


def test_rate_limits_are_owned_one_by_one(world):
    space = world.simulator.add_workspace("cursor-byok", byok="acme")
    world.simulator.override(space, "rl_sonnet", tokens_per_day=9, requests_per_minute=50)
    everything(world, rate_limits=SONNET)
    assert changes(world.plan())["anthropic/rate-limit/cursor-byok/claude-sonnet-4-5"] == {
        "requests_per_minute": 40
    }
    world.apply()
    place = f"{space}/rl_sonnet"
    assert world.simulator.overrides[place] == {"tokens_per_day": 9, "requests_per_minute": 40}
    world.write(workspace="cursor-byok")
    world.apply(allow_irreversible=True)
    assert world.simulator.overrides[place] == {"tokens_per_day": 9, "requests_per_minute": 50}


def test_null_clears_a_limit(world):
    space = world.simulator.add_workspace("cursor-byok", byok="acme")
    world.simulator.override(space, "rl_opus", requests_per_minute=50)
    limits = {"Claude Opus 4.x": {"requests_per_minute": None}}
    everything(world, rate_limits=limits, budgets={})
    (change,) = world.plan().changes
    assert (change.action, change.cause) == (Action.DELETE, Cause.TAKEOVER)
    world.apply()
    sent = world.sent("POST", "organizations")[-1]
    assert sent.json == {"limits": [{"type": "requests_per_minute", "value": None}]}
    assert world.plan().changes == ()


def test_a_group_is_named_once_and_must_be_there(world):
    world.simulator.add_workspace("cursor-byok", byok="acme")
    limits = {**SONNET, "Claude Sonnet 4.x": {"requests_per_minute": 7}, "gpt-4o": {}}
    limits["gpt-4o"] = {"requests_per_minute": 3}
    everything(world, rate_limits=limits, budgets={})
    plan = world.plan()
    assert changes(plan).keys() == {"anthropic/rate-limit/cursor-byok/claude-sonnet-4-5"}
    seen = said(plan)
    for name in ("Claude Sonnet 4.x", "gpt-4o"):
        assert "no group of models" in seen[f"anthropic/rate-limit/cursor-byok/{name}"]


def test_a_limit_above_the_organisations_is_told(world):
    everything(world, rate_limits={"batch": {"requests_per_minute": 5000}})
    world.apply()
    told = said(world.plan())["anthropic/rate-limit/cursor-byok/batch"]
    assert told == "requests_per_minute: above the organisation's, which holds"


def test_a_closed_door_closes_one_kind(world):
    world.simulator.add_workspace("cursor-byok", byok="acme")
    everything(world)
    no = error(403, "permission_error")
    world.simulator.inject("answer", response=no, path="*/rate_limits", times=99)
    plan = world.plan()
    assert "not judged" in said(plan)["anthropic/rate-limit/*"]
    assert changes(plan).keys() == {"anthropic/spend-limit/cursor-byok"}


def test_an_organisation_that_cannot_be_read_fails_alone(world, once):
    everything(world)
    world.simulator.inject("answer", response=error(500, "api_error"), path="*/me", times=99)
    with pytest.raises(ProviderError) as failed:
        world.plan()
    assert failed.value.kind is Problem.DOWN


def test_a_plan_sends_nothing_but_gets(world):
    everything(world)
    world.plan()
    world.apply()
    world.simulator.log.clear()
    everything(world, rate_limits={"batch": {"requests_per_minute": 9}}, budgets={})
    world.plan()
    assert {request.method for request in world.simulator.log} == {"GET"}


# An hour until a rate limit is in force.


@pytest.fixture
def slow(world):
    space = world.simulator.add_workspace("cursor-byok", byok="acme")
    world.simulator.override(space, "rl_sonnet", requests_per_minute=50, tokens_per_day=9)
    world.simulator.slow = True
    limits = {"claude-sonnet-4-5": {"requests_per_minute": 40, "tokens_per_day": 20}}
    everything(world, rate_limits=limits, budgets={})
    world.at = "anthropic/rate-limit/cursor-byok/claude-sonnet-4-5"
    world.place = f"{space}/rl_sonnet"
    return world


def test_a_limit_that_is_not_yet_in_force_is_converging_and_written_once(slow):
    outcome = slow.apply()
    assert "up to 1 hour" in " ".join(outcome.notes)
    assert slow.simulator.overrides[slow.place]["requests_per_minute"] == 50
    plan = slow.plan()
    assert plan.changes == ()
    assert "converging" in said(plan)[slow.at]
    slow.simulator.log.clear()
    assert slow.apply().applied == ()
    assert slow.simulator.writes() == []
    slow.simulator.settle()
    plan = slow.plan()
    assert (plan.changes, slow.at in said(plan)) == ((), False)
    assert slow.simulator.overrides[slow.place] == {"requests_per_minute": 40, "tokens_per_day": 20}


def test_a_third_value_within_the_hour_is_drift_and_only_that(slow):
    slow.apply()
    slow.simulator.overrides[slow.place]["requests_per_minute"] = 77
    (change,) = slow.plan().changes
    assert change.cause is Cause.DRIFT
    assert [(e.name, e.before, e.after) for e in change.edits] == [("requests_per_minute", 77, 40)]


def test_after_the_hour_what_never_came_into_force_is_drift(slow, monkeypatch):
    slow.apply()

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=61)

    monkeypatch.setattr("reconciler.judge.datetime", Later)
    assert changes(slow.plan())[slow.at] == {"requests_per_minute": 40, "tokens_per_day": 20}


def test_another_wish_within_the_hour_is_written(slow):
    slow.apply()
    limits = {"claude-sonnet-4-5": {"requests_per_minute": 45, "tokens_per_day": 20}}
    everything(slow, rate_limits=limits, budgets={})
    assert changes(slow.plan())[slow.at] == {"requests_per_minute": 45}


# Keys and costs.


@pytest.mark.parametrize("shape", [None, "2023-06-01"])
def test_keys_are_listed_in_the_forms_of_both_versions(world, shape):
    world.simulator.shape = shape
    space = world.simulator.add_workspace("cursor-byok", byok="acme")
    other = world.simulator.add_workspace("gone")
    world.simulator.workspaces[other]["archived_at"] = days(-1)
    value = "sk-ant-" + "api03-" + "z8" * 40 + "AA"
    until = "2027-01-01T00:00:00Z"
    world.simulator.add_key("ci", value, space, expires_at=until)
    world.simulator.add_key("old", value[::-1], other, status="expired")
    world.simulator.add_key("never seen", value[::-1], other, status="archived")
    seen = said(world.look(judged=True))
    assert seen["anthropic/key/new"].startswith("Anthropic's API cannot create keys")
    assert seen["anthropic/key/cursor"].startswith("the one in use here, active")
    assert "active until 2027-01-01, of workspace cursor-byok" in seen["anthropic/key/ci"]
    assert seen["anthropic/key/old"].startswith("expired, of the default or an archived workspace")
    assert "anthropic/key/never seen" not in seen
    where = "the default workspace" if shape else "the default or an archived workspace"
    assert where in seen["anthropic/key/cursor"]


def test_a_key_of_the_whole_organisation_is_told(world):
    personal = "sk-ant-" + "p" * 40
    world.simulator.add_key("mine", personal, scope={"type": "organization"})
    assert "of the whole organisation" in said(world.look(judged=True))["anthropic/key/mine"]


def test_a_key_of_another_organisation_is_told(world):
    for key in world.simulator.keys.values():
        key["partial_key_hint"] = "sk-ant-api03-XYZ...0000"
    told = said(world.look(judged=True))["anthropic/key/anthropic"]
    assert "may be of another organisation" in told


def test_an_old_key_is_found(world):
    world.simulator.keys[next(iter(world.simulator.keys))]["created_at"] = days(-200)
    world.write(policy={"max_key_age_days": 90})
    found = world.look(judged=True).diagnostics
    assert [(d.code, d.path) for d in found] == [("BYOK116", "/providers/anthropic/key")]


def test_a_key_is_switched_off_and_on(world):
    id_ = world.simulator.add_key("ci", "sk-ant-" + "api03-" + "c4" * 40)
    world.write(keys={"ci": {"status": "inactive"}})
    world.apply()
    assert world.simulator.keys[id_]["status"] == "inactive"
    assert world.sent("POST", "organizations")[-1].json == {"status": "inactive"}
    world.write()
    world.apply()
    assert world.simulator.keys[id_]["status"] == "active"


def test_a_name_that_several_keys_have_names_none(world):
    for char in "45":
        world.simulator.add_key("twin", "sk-ant-" + "api03-" + f"c{char}" * 40)
    world.write(keys={"twin": {"status": "inactive"}})
    plan = world.plan()
    assert plan.changes == ()
    assert "or several are" in said(plan)["anthropic/key/twin"]


def test_a_key_goes_by_its_id_too_and_is_renamed(world):
    id_ = world.simulator.add_key("twin", "sk-ant-" + "api03-" + "c4" * 40)
    world.write(keys={id_: {"name": "ci"}})
    assert changes(world.plan()) == {f"anthropic/key/{id_}": {"name": "ci"}}
    world.apply()
    assert world.simulator.keys[id_]["name"] == "ci"
    world.write()
    world.apply()
    assert world.simulator.keys[id_]["name"] == "twin"


def test_a_key_that_is_not_there_is_not_made(world):
    world.write(keys={"nobody": {"status": "active"}})
    plan = world.plan()
    assert plan.changes == ()
    assert "makes no keys" in said(plan)["anthropic/key/nobody"]


def test_a_full_quota_of_keys_is_told(world):
    world.simulator.add_key("ci", "sk-ant-" + "api03-" + "c4" * 40, status="inactive")
    world.simulator.quota = 1
    world.write(keys={"ci": {"status": "active"}})
    (failed,) = world.apply().failed
    assert "number of active keys" in str(failed.error)


@pytest.mark.parametrize("report", ["analytics", "legacy", None])
def test_the_months_costs_are_told_from_either_report(world, report):
    space = world.simulator.add_workspace("cursor-byok", byok="acme")
    world.simulator.costs.append((space, "250.5"))
    world.simulator.report = report
    world.write(workspace="cursor-byok")
    told = said(world.look(judged=True))["anthropic/cost/month"]
    spent = "15.50 USD this month so far, 2.50 USD of it in workspace cursor-byok"
    assert told == (spent if report else "not shown to this admin key")


def test_a_list_that_breaks_off_does_not_prove_that_there_is_no_workspace(world, simulator):
    short = Response(200, {"data": [], "has_more": True, "last_id": None})
    simulator.inject("answer", path="*/workspaces", times=9, response=short)
    world.write(workspace="cursor-byok")
    with pytest.raises(ProviderError, match="breaks off"):
        world.plan()


def test_a_first_limit_in_a_currency_nobody_knew_is_taken_back(world, simulator):
    simulator.spend.clear()
    simulator.currency = lambda: "EUR"
    world.write(workspace="cursor-byok", budgets={"m": HARD})
    (failure,) = world.apply().failed
    assert "bills this account in EUR" in str(failure.error)
    assert simulator.spend == {}
