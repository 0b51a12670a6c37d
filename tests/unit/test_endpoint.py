"""Endpoints: what each type's key shows, what the gateways' admin keys reconcile, what is said."""

from __future__ import annotations

import json
import re
import shutil
import socket
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.codec import dump_plan
from reconciler.engine import apply_plan
from reconciler.errors import ByokError, ManifestError, ProviderError, ProviderProblem, SafetyStop
from reconciler.model import Action, Scope, Severity
from reconciler.rollback import roll_back
from reconciler.session import reading, writing
from reconciler.survey import make_plan
from tests.simulators.endpoints import Compatible, LiteLLM, Local, OpenRouter, Together
from tests.simulators.server import Response, serve
from tests.unit.accounts import options, write_manifest

ROUTER = "sk-or-" + "v1-" + "ab" * 32
MANAGER = "sk-or-" + "v1-" + "cd" * 32
VIRTUAL = "sk-" + "virtual0cursor7key"
MASTER = "sk-" + "master9of4the2proxy"
PLAIN = "gsk" + "_" + "some0thing1like2that"
SCOPE = Scope(("gw",))


class World:
    """One endpoint called ``gw`` in front of a simulator, and runs over it."""

    def __init__(self, folder, simulator, base, entry, **keys):
        self.folder, self.simulator, self.base = folder, simulator, base
        self.entry, self.keys = entry, keys

    def write(self, *, models=(), budgets=None, policy=None, **fields):
        entry = {**self.entry, **fields}
        entry = {name: value for name, value in entry.items() if value is not None}
        data = {
            "endpoints": {"gw": entry},
            "models": {name: {"endpoint": "gw"} for name in models},
            "budgets": {n: {"endpoint": "gw", **b} for n, b in (budgets or {}).items()},
            "policy": policy or {},
        }
        write_manifest(self.folder, data, self.keys)
        return self

    def options(self, **more):
        return options(self.folder, self.base, **more)

    def look(self, *, judged=False, **more):
        with reading(self.options(**more)) as session:
            return session.account("gw", judged=judged).actual()

    def plan(self, **more):
        with reading(self.options(**more)) as session:
            return make_plan(session, SCOPE)

    def apply(self, **more):
        with writing(self.options(**more), "apply") as session:
            return apply_plan(session, SCOPE, lambda _: True)[1]


def said(actual):
    return {str(seen.address): seen.text for seen in actual.observations}


def codes(actual):
    return [finding.code for finding in actual.diagnostics]


def asked(simulator):
    return [request.path for request in simulator.log]


@pytest.fixture
def world(tmp_path):
    """Make a world of a simulator; the endpoint's fields and keys as told."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(simulator, type_, path="", **keys):
            base = stack.enter_context(serve(simulator))
            entry = {"type": type_, "base_url": base + path}
            fields = {"key": "key", "admin": "admin_key"}
            entry |= {fields[name]: f"file://keys/{name}" for name in keys}
            return World(tmp_path, simulator, base, entry, **keys)

        yield make


@pytest.fixture
def router(world):
    return world(OpenRouter(ROUTER, MANAGER), "openrouter", key=ROUTER, admin=MANAGER)


@pytest.fixture
def proxy(world):
    return world(LiteLLM(VIRTUAL, MASTER), "litellm", "/v1", key=VIRTUAL, admin=MASTER)


# The ordinary key, type by type.


def test_ollama_without_a_key_tells_version_and_models(world):
    found = world(Local("ollama", None, "qwen3", "llama4:8b"), "ollama", "/v1")
    found.write(models=["qwen3", "llama4:8b", "absent:1b"])
    seen = found.look()
    assert "Ollama 0.13.1 answers without a key: 3 models" in said(seen)["gw/key/gw"]
    assert {"gw/model/qwen3", "gw/model/llama4:8b"} <= said(seen).keys()
    assert codes(seen) == ["BYOK132"]
    assert asked(found.simulator) == ["/api/version", "/api/tags"]
    assert all("authorization" not in request.headers for request in found.simulator.log)


def test_ollama_in_the_cloud_takes_a_bearer(world):
    found = world(Local("ollama", PLAIN), "ollama", "/v1", key=PLAIN).write()
    assert "accepts the key" in said(found.look())["gw/key/gw"]


def test_lmstudio_tells_what_is_loaded(world):
    simulator = Local("lmstudio", None, "a", "b")
    simulator.loaded = {"a"}
    seen = said(world(simulator, "lmstudio", "/v1").write(models=["a", "b"]).look())
    assert seen["gw/model/a"].endswith("; loaded")
    assert seen["gw/model/b"].endswith("; the first request loads it")


def test_an_older_lmstudio_is_asked_the_old_way(world):
    found = world(Local("lmstudio", None, "a", native=False), "lmstudio", "/v1").write(models=["a"])
    assert "gw/model/a" in said(found.look())
    assert asked(found.simulator) == ["/api/v1/models", "/v1/models"]


def test_vllm_is_asked_for_its_health_and_its_key_apart(world):
    found = world(Local("vllm", PLAIN, "m"), "vllm", "/v1", key=PLAIN).write(models=["m"])
    assert "gw/model/m" in said(found.look())
    assert asked(found.simulator) == ["/health", "/v1/models"]


def test_a_server_that_asks_for_a_key_nobody_named(world):
    seen = world(Local("vllm", PLAIN), "vllm", "/v1").write().look()
    assert codes(seen) == ["BYOK131"]
    assert "none is named" in seen.diagnostics[0].message


def test_a_list_of_llama_cpp_proves_little_and_that_is_said(world):
    seen = world(Local("llamacpp", None, "m"), "custom", "/v1").write(models=["any"]).look()
    assert "answers to any model's name" in said(seen)["gw/model/any"]
    assert codes(seen) == []


def test_together_has_a_bare_array_and_tells_who_a_key_is(world):
    found = world(Together(PLAIN), "together", "/v1", key=PLAIN).write(models=["Qwen/Qwen3-Coder"])
    assert "gw/model/Qwen/Qwen3-Coder" in said(found.look())
    assert asked(found.simulator) == ["/v3/whoami", "/v1/models"]


@pytest.mark.parametrize("type_", ["groq", "fireworks", "deepseek", "mistral", "xai", "custom"])
def test_all_others_list_their_models(world, type_):
    simulator = Compatible(PLAIN, "fast-1")
    simulator.headers = {"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "9"}
    seen = said(world(simulator, type_, "/v1", key=PLAIN).write(models=["fast-1"]).look())
    assert seen["gw/model/fast-1"] == "available to this key"
    assert seen["gw/rate-limit/gw"] == "9 of 10 requests left"


def test_a_model_that_will_be_retired_is_warned_about(world):
    simulator = Compatible(PLAIN, "old")
    simulator.rows[0]["deprecation"] = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    assert codes(world(simulator, "mistral", "/v1", key=PLAIN).write(models=["old"]).look()) == [
        "BYOK133"
    ]


@pytest.mark.parametrize(
    ("type_", "refusal", "code"),
    [
        ("groq", Response(400, {"error": {"code": "blocked_api_access"}}), "BYOK134"),
        ("fireworks", Response(412, {"error": {"message": "suspended"}}), "BYOK134"),
        ("deepseek", Response(402, {"error": {"message": "Insufficient Balance"}}), "BYOK134"),
        ("custom", Response(429, {"error": {"code": "insufficient_quota"}}), "BYOK134"),
        ("custom", Response(404, {"error": {"code": "model_not_found"}}), "BYOK132"),
        ("custom", Response(400, {"error": {"code": "invalid_api_key"}}), "BYOK131"),
        ("xai", Response(400, {"code": "x", "error": "Incorrect API key provided"}), "BYOK131"),
        ("custom", Response(401, {"detail": "Invalid API key"}), "BYOK131"),
        ("custom", Response(403, {"error": {"message": "no"}}), "BYOK132"),
        ("custom", Response(404, b"nothing here"), "BYOK136"),
        ("custom", Response(200, {"models": []}), "BYOK137"),
        ("custom", Response(200, b"<html>"), "BYOK137"),
        ("custom", Response(301, b"", {"location": "http://127.0.0.1:9/"}), "BYOK136"),
    ],
)
def test_a_refusal_is_told_by_type_and_code(world, type_, refusal, code):
    found = world(Compatible(PLAIN), type_, "/v1", key=PLAIN).write()
    found.simulator.refuse = refusal
    assert codes(found.look()) == [code]


@pytest.mark.parametrize("how", ["half", "drop", "html", "huge", "redirect"])
def test_a_broken_line_is_a_finding_and_no_more(world, how, monkeypatch):
    monkeypatch.setattr("reconciler.systems.account.transport.ATTEMPTS", 1)
    found = world(Compatible(PLAIN), "custom", "/v1", key=PLAIN).write()
    found.simulator.inject(how, times=9)
    assert set(codes(found.look())) <= {"BYOK136", "BYOK137", "BYOK138"}
    assert codes(found.look())


def test_a_busy_server_is_asked_again(world):
    found = world(Compatible(PLAIN), "custom", "/v1", key=PLAIN).write()
    found.simulator.inject("answer", response=Response(429, {}, {"retry-after": "0"}), times=2)
    assert "accepts the key" in said(found.look())["gw/key/gw"]


def test_a_local_server_that_does_not_run_is_a_note(world):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = world(Local("ollama"), "ollama", "/v1")
    found.entry["base_url"] = f"http://127.0.0.1:{port}/v1"
    seen = found.write().look()
    assert [(f.code, f.severity) for f in seen.diagnostics] == [("BYOK138", Severity.NOTE)]


def test_plain_http_to_another_machine_is_not_spoken(world):
    found = world(Local("ollama"), "ollama")
    found.entry["base_url"] = "http://192.168.7.7:11434/v1"
    assert "plain http" in said(found.write().look())["gw/key/gw"]


@pytest.mark.parametrize("type_", ["openrouter", "litellm", "together", "groq"])
def test_without_a_key_nothing_is_asked_where_one_is_needed(world, type_):
    found = world(Compatible(PLAIN), type_, "/v1").write()
    assert "not probed" in said(found.look())["gw/key/gw"]
    assert found.simulator.log == []


def test_a_reference_to_nothing_is_not_probed(world):
    found = world(Compatible(PLAIN), "groq", "/v1", key=PLAIN)
    seen = found.write(key="env://NOT_SET_ANYWHERE").look()
    assert "none of the references" in said(seen)["gw/key/gw"]


def test_an_origin_nobody_approved_gets_nothing(world):
    found = world(Compatible(PLAIN), "groq", "/v1", key=PLAIN).write()
    found.base = "https://elsewhere.example"
    assert "nobody approved" in said(found.look())["gw/key/gw"]
    assert found.simulator.log == []


# OpenRouter's key.


def test_openrouter_tells_of_the_key_itself(router):
    router.simulator.keys[0] |= {
        "limit": 100,
        "limit_reset": "monthly",
        "expires_at": "2031-12-31T23:59:59Z",
    }
    seen = said(router.write(models=["openai/gpt-5.2"]).look())
    text = "alive, 25.50 USD used this month, limit 100.00 USD monthly, 74.50 USD left"
    assert seen["gw/key/gw"] == f"{text}, expires on 2031-12-31"
    assert seen["gw/model/openai/gpt-5.2"] == "available to this key"
    assert asked(router.simulator) == ["/key", "/models/user"]


def test_what_lies_beside_a_gateways_own_path_for_cursor_is_found(router, proxy):
    router.entry["base_url"] += "/cursor"
    assert said(router.write().look())["gw/key/gw"].startswith("alive")
    assert asked(router.simulator)[0] == "/key"
    proxy.entry["base_url"] = proxy.entry["base_url"].removesuffix("/v1") + "/cursor"
    assert "accepts the key" in said(proxy.write().look())["gw/key/gw"]
    assert "/v1/models" in asked(proxy.simulator)


def test_a_model_the_key_may_not_use(router):
    router.simulator.hidden = {"openai/gpt-5.2"}
    assert codes(router.write(models=["openai/gpt-5.2"]).look()) == ["BYOK132"]


def test_the_public_catalogue_is_only_a_catalogue(router):
    router.simulator.user_models = False
    seen = said(router.write(models=["openai/gpt-5.2"]).look())
    assert "says nothing of this key" in seen["gw/model/openai/gpt-5.2"]


def test_a_reached_limit_is_no_dead_key(router):
    router.simulator.keys[0]["limit"] = 25.5
    assert codes(router.write().look()) == ["BYOK134"]


@pytest.mark.parametrize("source", ["openrouter_key_limit", "openrouter_guardrail_budget"])
def test_a_403_with_a_limit_source_is_a_reached_limit(router, source):
    error = {"error": {"code": 403, "message": "no", "metadata": {"limit_source": source}}}
    router.simulator.inject("answer", path="/key", response=Response(403, error))
    assert codes(router.write().look()) == ["BYOK134"]


def test_a_dead_key_is_a_dead_key(router):
    router.simulator.keys.clear()
    assert codes(router.write().look()) == ["BYOK131"]


def test_a_management_key_in_the_ordinary_slot(router):
    router.keys = {"key": MANAGER, "admin": MANAGER}
    assert codes(router.write().look()) == ["BYOK130"]


def test_an_ordinary_key_in_the_admin_slot_is_an_error(router):
    router.keys = {"key": ROUTER, "admin": ROUTER}
    with pytest.raises(ProviderError) as error:
        router.write().look(judged=True)
    assert error.value.kind is ProviderProblem.WRONG_KIND


# LiteLLM's key.


def test_litellm_tells_what_a_virtual_key_has_left(proxy):
    proxy.simulator.keys[0] |= {"max_budget": 10.0, "expires": "2031-01-02T00:00:00Z"}
    seen = said(proxy.write(models=["acme-coder"]).look())
    assert seen["gw/usage/gw"] == "1.50 USD spent of 10.00 USD, expires on 2031-01-02"
    assert seen["gw/model/acme-coder"] == "available to this key"
    assert asked(proxy.simulator)[0] == "/health/liveliness"


def test_a_spent_virtual_key_is_no_dead_key(proxy):
    proxy.simulator.keys[0] |= {"max_budget": 1.5}
    assert codes(proxy.write().look()) == ["BYOK134"]


def test_a_dead_virtual_key(proxy):
    proxy.simulator.keys.clear()
    assert codes(proxy.write().look()) == ["BYOK131"]


def test_the_master_key_in_the_ordinary_slot(proxy):
    proxy.keys = {"key": MASTER, "admin": MASTER}
    seen = proxy.write().look()
    assert codes(seen) == ["BYOK130"]
    assert "master key" in seen.diagnostics[0].message


def test_without_a_database_only_the_master_key_lives(world):
    found = world(LiteLLM(VIRTUAL, MASTER, database=False), "litellm", "/v1", key=MASTER).write()
    assert "without a database" in said(found.look())["gw/server/gw"]
    found.keys = {"key": VIRTUAL}
    assert codes(found.write().look()) == ["BYOK131"]


def test_without_a_database_nothing_is_judged_and_nothing_fails(world):
    simulator = LiteLLM(VIRTUAL, MASTER, database=False)
    found = world(simulator, "litellm", "/v1", key=MASTER, admin=MASTER)
    seen = found.write(team={"name": "a"}, keys={"b": {"limit_usd": 5}}).look(judged=True)
    assert set(seen.closed) == {"team", "spend-limit", "key"}
    assert codes(seen) == []


def test_a_virtual_key_in_the_admin_slot_is_an_error(proxy):
    proxy.keys = {"key": VIRTUAL, "admin": VIRTUAL}
    with pytest.raises(ProviderError) as error:
        proxy.write(team={"name": "a"}).look(judged=True)
    assert error.value.kind is ProviderProblem.WRONG_KIND


def test_the_admin_key_goes_in_the_header_of_the_description(proxy):
    proxy.write().look(judged=True)
    used = {r.path: r.headers for r in proxy.simulator.log}
    assert used["/team/list"]["x-litellm-api-key"] == f"Bearer {MASTER}"
    assert "authorization" not in used["/team/list"]
    assert used["/v1/models"]["authorization"] == f"Bearer {VIRTUAL}"


# Who may be judged.


@pytest.mark.parametrize(
    ("type_", "words"),
    [("openrouter", "no admin_key"), ("litellm", "no admin_key"), ("groq", "no management API")],
)
def test_who_has_no_admin_key_is_only_observed(world, type_, words):
    found = world(Compatible(PLAIN), type_, "/v1", key=PLAIN).write()
    seen = found.look(judged=True)
    assert words in said(seen)["gw/account/gw"]
    assert seen.resources == {}


def test_an_admin_key_of_a_type_without_a_management_api_goes_nowhere(world):
    found = world(Compatible(PLAIN), "groq", "/v1", key=PLAIN, admin=MASTER).write()
    found.look(judged=True)
    assert {r.headers.get("authorization") for r in found.simulator.log} == {f"Bearer {PLAIN}"}


def test_the_admin_key_is_left_alone_without_accounts(router):
    router.keys = {"key": ROUTER}
    assert "gw/account/gw" not in said(router.write().look())


@pytest.mark.parametrize(
    ("type_", "fields", "place"),
    [
        ("openrouter", {"team": {"name": "t"}}, "/endpoints/gw/team"),
        ("litellm", {"key_name": "k"}, "/endpoints/gw/key_name"),
        ("litellm", {"workspace": "w"}, "/endpoints/gw/workspace"),
        ("groq", {"guardrails": {}}, "/endpoints/gw/guardrails"),
        ("groq", {"keys": {"k": {"limit_usd": 1}}}, "/endpoints/gw/keys"),
        (
            "litellm",
            {"keys": {"k": {"include_byok_in_limit": True}}},
            "/endpoints/gw/keys/k/include_byok_in_limit",
        ),
        (
            "openrouter",
            {"keys": {"k": {"requests_per_minute": 1}}},
            "/endpoints/gw/keys/k/requests_per_minute",
        ),
        ("litellm", {"team": {}}, "/endpoints/gw/team"),
        ("litellm", {"keys": {"k": {}}}, "/endpoints/gw/keys/k"),
        (
            "litellm",
            {"keys": {"k": {"limit_reset": "yearly"}}},
            "/endpoints/gw/keys/k/limit_reset",
        ),
        (
            "openrouter",
            {"guardrails": {"g": {"limit_usd": -1}}},
            "/endpoints/gw/guardrails/g/limit_usd",
        ),
    ],
)
def test_what_a_type_does_not_have_is_refused_at_its_place(world, type_, fields, place):
    with pytest.raises(ManifestError) as error:
        world(Compatible(PLAIN), type_, "/v1").write(**fields).look()
    assert [finding.path for finding in error.value.diagnostics] == [place]


# Budgets, in words.


@pytest.mark.parametrize(
    ("type_", "fields", "budget", "words", "found"),
    [
        ("ollama", {}, {}, "observed only", []),
        ("groq", {}, {"enforce": "hard"}, "observed only", ["BYOK139"]),
        ("openrouter", {}, {}, "observed only", []),
        ("openrouter", {}, {"enforce": "hard"}, "observed only", ["BYOK139"]),
        ("openrouter", {"key_name": "k"}, {"enforce": "hard"}, "hard limit, of the key k", []),
        (
            "openrouter",
            {"key_name": "k"},
            {"enforce": "hard", "scope": "organization"},
            "observed only",
            ["BYOK139"],
        ),
        (
            "openrouter",
            {"key_name": "k"},
            {"enforce": "hard", "currency": "EUR"},
            "observed only",
            ["BYOK139"],
        ),
        ("litellm", {}, {"enforce": "hard"}, "observed only", ["BYOK139"]),
        ("litellm", {"team": {"name": "t"}}, {"enforce": "hard"}, "hard limit", []),
        ("litellm", {"team": {"name": "t"}}, {"currency": "EUR"}, "observed only", ["BYOK139"]),
        ("litellm", {"team": {"name": "t"}}, {"scope": "organization"}, "observed only", []),
        (
            "litellm",
            {"team": {"name": "t"}},
            {"alert_at": [80, 50], "notify": ["a@b.example"]},
            "alert only, at 50%",
            [],
        ),
        ("litellm", {"team": {"name": "t"}}, {}, "nobody is told without notify", []),
        (
            "litellm",
            {"team": {"name": "t"}},
            {"enforce": "hard", "alert_at": [80], "notify": ["a@b.example"]},
            "hard limit, with an alert at 80%",
            [],
        ),
        (
            "litellm",
            {"team": {"name": "t"}},
            {"enforce": "hard", "alert_at": [100]},
            "hard limit",
            ["BYOK139"],
        ),
    ],
)
def test_every_budget_is_told_what_it_comes_to(world, type_, fields, budget, words, found):
    made = world(Compatible(PLAIN), type_, "/v1").write(
        budgets={"m": {"monthly_usd": 50, **budget}}, **fields
    )
    seen = made.look()
    assert words in said(seen)["gw/budget/m"]
    assert said(seen)["gw/budget/m"].startswith("50.00 ")
    assert [code for code in codes(seen) if code == "BYOK139"] == found


def test_a_team_has_one_alert(proxy):
    budgets = {"a": {"monthly_usd": 50}, "b": {"monthly_usd": 60}}
    seen = proxy.write(team={"name": "t"}, budgets=budgets).look()
    assert codes(seen) == ["BYOK139"]


# Reconciling.


def test_one_apply_does_all_and_a_second_plan_is_empty(proxy):
    """Also where the team is made in the same run as its budget."""
    proxy.write(
        team={"name": "t", "allow_models": ["acme-fast"]},
        keys={"cursor": {"limit_usd": 5, "tokens_per_minute": 1000}},
        budgets={"m": {"monthly_usd": 50, "enforce": "hard"}},
    )
    outcome = proxy.apply()
    assert [str(c.address) for c in outcome.applied] == [
        "gw/team/t",
        "gw/spend-limit/t",
        "gw/key/cursor",
    ]
    assert proxy.plan().plan.changes == ()
    (team,) = proxy.simulator.teams
    assert (team["max_budget"], team["budget_duration"]) == (50.0, "30d")
    assert team["metadata"] == {"managed_by": "byok:acme"}


def test_planning_sends_no_write(router, proxy):
    router.write(keys={"cursor-team": {"limit_usd": 5}}, guardrails={"g": {"limit_usd": 1}})
    assert router.plan().plan.changes
    assert router.simulator.writes() == []


def test_planning_a_proxy_sends_no_write(proxy):
    proxy.write(team={"name": "t"}, keys={"cursor": {"limit_usd": 5}})
    assert proxy.plan().plan.changes
    assert proxy.simulator.writes() == []


@pytest.mark.parametrize("which", ["router", "proxy"])
def test_an_empty_ledger_makes_nothing_twice(which, request, tmp_path):
    found = request.getfixturevalue(which)
    if which == "router":
        found.write(guardrails={"g": {"limit_usd": 1, "keys": ["cursor-team"]}})
    else:
        found.write(team={"name": "t"}, budgets={"m": {"monthly_usd": 5, "enforce": "hard"}})
    found.apply()
    shutil.rmtree(tmp_path / "state")
    before, count = found.simulator.snapshot(), len(found.simulator.writes())
    assert found.apply().applied == ()
    assert found.simulator.snapshot() == before
    assert len(found.simulator.writes()) == count


def test_a_create_whose_answer_was_lost_is_found_by_name(proxy):
    proxy.write(team={"name": "t"})
    proxy.simulator.inject("lost", path="/team/new")
    assert proxy.apply().failed
    assert len(proxy.simulator.teams) == 1
    proxy.apply()
    assert len(proxy.simulator.teams) == 1
    assert proxy.plan().plan.changes == ()


def test_a_deletion_whose_answer_was_lost_is_done(router):
    router.write(guardrails={"g": {}}).apply()
    router.simulator.inject("lost", method="DELETE")
    assert router.write().apply(allow_irreversible=True).failed == ()
    assert router.simulator.rails == []


def test_credits_that_this_key_may_not_see_are_left_out(router):
    refused = Response(403, {"error": {"code": 403, "message": "owner only"}})
    router.simulator.inject("answer", path="/credits", response=refused)
    seen = router.write().look(judged=True)
    assert codes(seen) == []
    assert "gw/credits/gw" not in said(seen)


def test_of_two_teams_of_one_alias_ours_is_the_marked_one(proxy):
    proxy.simulator.add_team("t", tpm_limit=5)
    proxy.simulator.add_team("t", metadata={"managed_by": "byok:acme"})
    proxy.write(team={"name": "t", "tokens_per_minute": 9}).apply()
    assert [team["tpm_limit"] for team in proxy.simulator.teams] == [5, 9]


def test_of_two_unmarked_teams_nobody_knows(proxy):
    proxy.simulator.add_team("t")
    proxy.simulator.add_team("t")
    seen = proxy.write(team={"name": "t"}, keys={"cursor": {"limit_usd": 3}}).look(judged=True)
    assert set(seen.closed) == {"team", "spend-limit"}
    assert "several teams" in seen.closed["team"]


def test_of_two_unmarked_guardrails_nobody_knows(router):
    router.simulator.add_rail("g")
    router.simulator.add_rail("g")
    assert set(router.write(guardrails={"g": {}}).look(judged=True).closed) == {"guardrail"}


@pytest.mark.parametrize("which", ["router", "proxy"])
def test_a_key_that_is_not_there_is_not_made(which, request):
    found = request.getfixturevalue(which).write(keys={"nobody": {"limit_usd": 5}})
    planned = found.plan()
    assert planned.plan.changes == ()
    assert found.look(judged=True).closed.keys() == {"key/nobody"}


def test_two_keys_of_one_name_are_left_alone(router):
    router.simulator.add_key("cursor-team", "sk-or-v1-second")
    router.write(keys={"cursor-team": {"limit_usd": 5}})
    assert router.plan().plan.changes == ()


def test_all_pages_are_read(router, proxy):
    for number in range(7):
        router.simulator.add_key(f"k{number}", f"sk-or-v1-{number}", disabled=number % 2 == 0)
    seen = router.write(keys={"k6": {"limit_usd": 5}}).look(judged=True)
    assert len([a for a in seen.resources if a.kind == "key"]) == 8
    assert router.plan().plan.changes


def test_all_pages_of_a_proxy_are_read(proxy):
    for number in range(7):
        proxy.simulator.add_key(f"k{number}", f"sk-{number}")
    seen = proxy.write().look(judged=True)
    assert len([a for a in seen.resources if a.kind == "key"]) == 8


def test_a_list_without_an_end_is_an_error(router, monkeypatch):
    monkeypatch.setattr("reconciler.systems.account.pages.PAGES", 5)
    rows = {"data": [{"name": "k", "hash": "1"}]}
    router.simulator.inject("answer", path="/keys", times=99, response=Response(200, rows))
    with pytest.raises(ProviderError, match="never ends"):
        router.write().look(judged=True)


def test_keys_of_another_workspace(router):
    router.simulator.add_key("lab key", "sk-or-v1-lab", workspace="lab")
    router.write(workspace="Lab", keys={"lab key": {"limit_usd": 5}}, guardrails={"g": {}}).apply()
    row = next(k for k in router.simulator.keys if k["name"] == "lab key")
    assert row["limit"] == 5
    assert router.simulator.rails[0]["workspace_id"] == row["workspace_id"]


def test_a_workspace_that_is_not_there_closes_what_is_in_it(router):
    seen = router.write(workspace="nowhere").look(judged=True)
    assert set(seen.closed) == {"key", "guardrail", "spend-limit"}
    assert "no workspace" in seen.closed["key"]


def test_one_closed_kind_leaves_the_others(router):
    refused = Response(403, {"error": {"code": 403, "message": "plan"}})
    router.simulator.inject("answer", path="/guardrails", times=9, response=refused)
    router.write(keys={"cursor-team": {"limit_usd": 5}}, guardrails={"g": {}})
    planned = router.plan()
    assert [str(c.address) for c in planned.plan.changes] == ["gw/key/cursor-team"]
    assert set(router.look(judged=True).closed) == {"guardrail"}


def test_a_failing_api_is_an_error_of_this_account(router, monkeypatch):
    monkeypatch.setattr("reconciler.systems.account.transport.ATTEMPTS", 1)
    router.simulator.inject("answer", path="/keys", times=9, response=Response(500, b"oops"))
    with pytest.raises(ProviderError) as error:
        router.write().look(judged=True)
    assert error.value.kind is ProviderProblem.DOWN


def irreversible(planned):
    return {str(change.address) for change in planned.plan.changes if change.irreversible}


HARD = {"monthly_usd": 50, "enforce": "hard"}


@pytest.mark.parametrize(
    ("limit", "reset", "amount", "final"),
    [
        (None, None, 50, False),
        (40, "monthly", 50, True),
        (60, "monthly", 50, False),
        (50, "weekly", 50, False),
        (50, None, 50, True),
    ],
)
def test_raising_a_hard_limit_is_marked(router, limit, reset, amount, final):
    router.simulator.keys[0] |= {"limit": limit, "limit_reset": reset}
    router.write(key_name="cursor-team", budgets={"m": {**HARD, "monthly_usd": amount}})
    expected = {"gw/spend-limit/cursor-team"} if final else set()
    assert irreversible(router.plan()) == expected


def test_a_limit_that_is_to_count_less_is_marked(router):
    router.simulator.add_key("k", "sk-or-v1-k", limit=10, include_byok_in_limit=True)
    router.write(keys={"k": {"include_byok_in_limit": False}})
    assert irreversible(router.plan()) == {"gw/key/k"}


def test_removing_a_hard_limit_is_marked(router):
    router.write(key_name="cursor-team", budgets={"m": HARD}).apply()
    router.write()
    assert irreversible(router.plan()) == {"gw/spend-limit/cursor-team"}


def test_a_team_is_released_and_only_destroy_deletes_it_with_its_keys(proxy):
    proxy.write(team={"name": "t"}).apply()
    proxy.write()
    assert proxy.plan().plan.changes == ()
    proxy.write(team={"name": "t"}).apply()
    with reading(proxy.options(allow_irreversible=True)) as session:
        planned = make_plan(session, SCOPE, removing=True)
    (change,) = planned.plan.changes
    assert (change.action, change.irreversible) == (Action.DELETE, True)


def test_a_team_in_which_others_set_something_is_not_deleted_unasked(proxy):
    proxy.write(team={"name": "t"}).apply()
    proxy.simulator.teams[0]["tpm_limit"] = 5
    with writing(proxy.options(), "rollback") as session, pytest.raises(SafetyStop):
        roll_back(session, None, lambda _: True, scope=SCOPE)
    assert proxy.simulator.teams


def test_a_guardrail_that_others_limited_goes_only_with_the_flag(router):
    router.write(guardrails={"g": {"allow_models": ["openai/gpt-5.2"]}}).apply()
    router.simulator.rails[0]["limit_usd"] = 5
    assert irreversible(router.write().plan()) == {"gw/guardrail/g"}
    with pytest.raises(SafetyStop):
        router.apply()
    assert router.simulator.rails


def test_lists_are_owned_per_element(router):
    router.simulator.add_rail("g", allowed_models=["meta-llama/llama-4"])
    router.write(guardrails={"g": {"allow_models": ["openai/gpt-5.2"]}}).apply()
    rail = router.simulator.rails[0]
    assert sorted(rail["allowed_models"]) == ["meta-llama/llama-4", "openai/gpt-5.2-20251211"]
    router.write(guardrails={"g": {"allow_models": []}}).apply()
    assert rail["allowed_models"] == ["meta-llama/llama-4"]
    entry = {"allow_models": ["openai/gpt-5.2"], "exclusive": True}
    router.write(guardrails={"g": entry}).apply()
    assert rail["allowed_models"] == ["openai/gpt-5.2-20251211"]


def test_an_alert_keeps_whom_others_told_unless_exclusive(proxy):
    told = {"soft_budget_alerting_emails": "bob@acme.example, eve@acme.example", "cost": "42"}
    proxy.simulator.add_team("t", soft_budget=20.0, metadata=told)
    budget = {"monthly_usd": 50, "alert_at": [50], "notify": ["ada@acme.example"]}
    proxy.write(team={"name": "t"}, budgets={"m": budget})
    assert irreversible(proxy.plan()) == {"gw/spend-limit/t"}, "a limit may stand there, too"
    proxy.apply(allow_irreversible=True)
    (team,) = proxy.simulator.teams
    everyone = ["ada@acme.example", "bob@acme.example", "eve@acme.example"]
    assert team["metadata"] == {"soft_budget_alerting_emails": everyone, "cost": "42"}
    assert (team["soft_budget"], team["budget_duration"]) == (25.0, "30d")
    proxy.write(team={"name": "t"}, budgets={"m": {**budget, "exclusive": True}}).apply()
    assert team["metadata"]["soft_budget_alerting_emails"] == ["ada@acme.example"]


def test_an_alert_of_others_above_our_limit_is_refused_in_our_words(proxy):
    proxy.simulator.add_team("t", soft_budget=80.0)
    proxy.write(team={"name": "t"}, budgets={"m": HARD})
    (failure,) = proxy.apply().failed
    assert "it must be below" in str(failure.error)
    assert proxy.simulator.teams[0]["max_budget"] is None


def test_a_guardrail_with_a_key_that_is_not_there_is_not_half_made(router):
    (failure,) = router.write(guardrails={"g": {"keys": ["nobody"]}}).apply().failed
    assert "nobody" in str(failure.error)
    assert router.simulator.rails == []


def test_a_budget_goes_before_the_keys_own_limit(router):
    keys = {"cursor-team": {"limit_usd": 7, "disabled": False}}
    router.write(key_name="cursor-team", keys=keys, budgets={"m": HARD}).apply()
    assert router.simulator.keys[0]["limit"] == 50
    assert router.plan().plan.changes == ()


# What the admin key shows besides.


def test_the_key_in_use_is_found_by_its_hint_and_its_age_told(router):
    router.simulator.keys[0]["created_at"] = "2020-01-01T00:00:00Z"
    seen = router.write(policy={"max_key_age_days": 90}).look(judged=True)
    assert said(seen)["gw/key/cursor-team"].startswith("the one in use here")
    assert codes(seen) == ["BYOK116"]
    assert said(seen)["gw/credits/gw"] == "25.75 USD used of 100.50 USD bought, ever"


def test_another_key_than_the_one_named_is_told(router):
    router.simulator.add_key("other", "sk-or-v1-other")
    assert codes(router.write(key_name="other").look(judged=True)) == ["BYOK139"]


def test_keys_and_spend_of_a_proxy_are_told(proxy):
    team = proxy.simulator.add_team("t", spend=12.345, max_budget=50.0, budget_duration="1mo")
    proxy.simulator.add_key("ci", "sk-ci-is-a-key", team_id=team["team_id"], blocked=True)
    seen = said(proxy.write(team={"name": "t"}).look(judged=True))
    assert seen["gw/usage/t"].endswith("spent in this period (monthly) of 50.00 USD")
    assert seen["gw/key/cursor"].startswith("the one in use here")
    assert "disabled" in seen["gw/key/ci"]
    assert "of t" in seen["gw/key/ci"]
    assert seen["gw/shared-budgets/gw"] == "free-tier"


# The probe that costs money.


def test_a_probe_generates_once_for_each_model_and_only_when_asked(proxy):
    proxy.write(models=["acme-coder"])
    proxy.look()
    assert proxy.simulator.writes() == []
    seen = said(proxy.look(probes=frozenset({"generate"})))
    assert seen["gw/model/acme-coder"]
    (sent,) = proxy.simulator.writes()
    assert json.loads(sent.body)["max_tokens"] == 16


def test_a_probe_tells_a_model_that_only_seems_to_be_there(world):
    simulator = Local("ollama", None, "m")
    found = world(simulator, "ollama", "/v1").write(models=["m"])
    refused = Response(404, {"error": {"message": "model 'm' not found"}})
    simulator.inject("answer", method="POST", response=refused)
    assert codes(found.look(probes=frozenset({"generate"}))) == ["BYOK132"]


def test_a_probe_of_a_spent_key(proxy):
    proxy.write(models=["acme-coder"])
    proxy.simulator.keys[0] |= {"max_budget": 1.0}
    seen = proxy.look(probes=frozenset({"generate"}))
    assert codes(seen) == ["BYOK134", "BYOK134"]


def test_a_success_without_an_answer_is_none(world):
    found = world(Compatible(PLAIN), "custom", "/v1", key=PLAIN).write(models=["fast-1"])
    odd = Response(200, {"error": {"code": 502}})
    found.simulator.inject("answer", method="POST", response=odd)
    assert codes(found.look(probes=frozenset({"generate"}))) == ["BYOK137"]


# Nothing odd from outside breaks a run; nothing secret leaves it.


@pytest.mark.parametrize("odd", ["text", True, {}, [1]])
def test_an_amount_that_is_none_is_a_finding(router, odd):
    body = {"data": {"limit": odd, "usage_monthly": 1}}
    router.simulator.inject("answer", path="/key", response=Response(200, body))
    assert codes(router.write().look()) == ["BYOK137"]


@pytest.mark.parametrize("body", [[], {}, {"data": None}, {"data": [1, None]}, "text", 7])
@pytest.mark.parametrize("which", ["router", "proxy"])
def test_odd_bodies_break_nothing_but_their_account(which, body, request):
    found = request.getfixturevalue(which).write(models=["m"])
    found.simulator.inject("answer", times=99, response=Response(200, body))
    found.look()
    try:
        found.look(judged=True)
    except ByokError as error:
        assert error.exit_code == 5


def test_no_secret_is_said_anywhere(router, proxy, caplog):
    for found in (router, proxy):
        field = (
            {"guardrails": {"g": {"limit_usd": 3}}} if found is router else {"team": {"name": "t"}}
        )
        found.write(models=["m"], **field)
        planned = found.plan()
        text = dump_plan(planned.plan) + repr(planned) + repr(found.apply()) + caplog.text
        for secret in (ROUTER, MANAGER, VIRTUAL, MASTER):
            assert secret not in text
        shutil.rmtree(found.folder / "state")


def test_hashes_and_ids_are_no_attributes(router, proxy):
    for found in (router, proxy):
        text = repr(found.write().look(judged=True).resources)
        assert not re.search(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}", text)
