"""OpenAI's account: what the key shows, what the admin key reconciles, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from reconciler.engine import apply_plan
from reconciler.errors import ProviderError, ProviderProblem, StalePlan
from reconciler.model import Action, Cause, Scope
from reconciler.session import reading, writing
from reconciler.survey import make_plan
from reconciler.systems.account import transport
from reconciler.systems.openai import wire
from tests.simulators.openai import ADMIN_KEY, KEY, MADE, RATES, OpenAI
from tests.simulators.server import Response, serve
from tests.unit.accounts import options, write_manifest

PROJECT = "cursor-byok"
ADA, EVE = "ada@acme.example", "eve@acme.example"
MONTHLY = {"provider": "openai", "monthly_usd": 500, "alert_at": [50, 80], "notify": [ADA]}
HARD = {**MONTHLY, "enforce": "hard"}
SCOPE = Scope(("openai",))


class Bench:
    """One folder with a manifest, one simulator, and the runs between them."""

    def __init__(self, folder):
        self.folder, self.simulator, self.base = folder, OpenAI(), ""
        self.keys = {"openai": KEY, "openai-admin": ADMIN_KEY}
        self.simulator.make_project(PROJECT)

    @property
    def id(self):
        return self.simulator.project(PROJECT)

    def write(self, *, models=(), budgets=(), policy=(), team="acme", **account):
        given = {
            "key": "file://keys/openai",
            "admin_key": "file://keys/openai-admin",
            "api_base": self.base,
            "project": PROJECT,
        }
        document = {
            "team": team,
            "providers": {"openai": {n: v for n, v in (given | account).items() if v is not None}},
            "models": {model: {"provider": "openai"} for model in models},
            "budgets": dict(budgets),
            "policy": dict(policy),
        }
        write_manifest(self.folder, document, self.keys)

    def options(self, **more):
        chosen = options(self.folder, self.base, **more)
        return replace(chosen, allow_many=True) if "allow_many" not in more else chosen

    def look(self, *, judged=False, **more):
        with reading(self.options(**more)) as session:
            return session.account("openai", judged=judged).actual()

    def plan(self, **more):
        with reading(self.options(**more)) as session:
            return make_plan(session, SCOPE)

    def apply(self, *, removing=False, **more):
        chosen = self.options(**{"allow_irreversible": True, **more})
        with writing(chosen, "apply") as session:
            return apply_plan(session, SCOPE, lambda _: True, removing=removing)[1]

    def edits(self, **more):
        changes = self.plan(**more).plan.changes
        return {
            f"{c.address.kind}/{c.address.name}": {e.name: (e.before, e.after) for e in c.edits}
            for c in changes
        }


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    with serve(made.simulator) as made.base:
        yield made


def said(actual):
    found = {}
    for seen in actual.observations:
        at = f"{seen.address.kind}/{seen.address.name}"
        found[at] = f"{found[at]}; {seen.text}" if at in found else seen.text
    return found


def codes(actual):
    return sorted(finding.code for finding in actual.diagnostics)


# The ordinary key.


def test_a_live_key_and_its_models_are_seen(bench):
    bench.simulator.models["gpt-3.5-turbo"] = "2026-01-05"
    bench.simulator.headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
    }
    bench.write(models=["gpt-4o", "o1", "gpt-3.5-turbo", "gpt-9"])
    actual = bench.look()
    seen = said(actual)
    assert seen["key/openai"] == "alive; it may use 5 models; 499 of 500 requests left"
    assert seen["model/gpt-4o"] == "available to this key"
    assert "retires on 2027-07-23" in seen["model/o1"]
    assert codes(actual) == ["BYOK132", "BYOK133"]
    assert [finding.path for finding in actual.diagnostics if finding.code == "BYOK132"] == [
        "/models/gpt-9"
    ]
    assert [request.path for request in bench.simulator.log] == ["/models"]


def test_a_dead_key_is_told(bench):
    bench.keys["openai"] = KEY[:-1] + "x"
    bench.write(models=["gpt-4o"])
    actual = bench.look()
    assert codes(actual) == ["BYOK131"]
    assert actual.diagnostics[0].path == "/providers/openai/key"


def test_without_any_key_nothing_is_asked(bench):
    bench.write(key="env://NOT_SET_ANYWHERE")
    assert "not probed" in said(bench.look())["key/openai"]
    assert bench.simulator.log == []


def test_an_admin_key_in_the_ordinary_slot_is_never_sent(bench):
    bench.keys["openai"] = ADMIN_KEY
    bench.write()
    assert codes(bench.look()) == ["BYOK130"]
    assert bench.simulator.log == []


def test_an_ordinary_key_in_the_admin_slot_is_never_sent(bench):
    bench.keys["openai-admin"] = KEY
    bench.write()
    with pytest.raises(ProviderError, match="was not sent") as found:
        bench.look(judged=True)
    assert found.value.kind is ProviderProblem.WRONG_KIND
    assert bench.simulator.log == []


def test_a_legacy_key_in_the_admin_slot_closes_what_it_may_not_do(bench):
    """Its shape tells nothing, so OpenAI is asked: it may do nothing there."""
    bench.keys["openai-admin"] = bench.simulator.key = "sk-" + "legacy" * 6
    bench.keys["openai"] = bench.simulator.key
    bench.write()
    assert "may not do this" in said(bench.look(judged=True))["project/*"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_restricted_by_scopes_is_alive(bench, status):
    bench.simulator.scoped, bench.simulator.unscoped_status = True, status
    bench.write(models=["gpt-4o"])
    actual = bench.look()
    assert codes(actual) == []
    assert said(actual)["key/openai"].startswith("alive, and restricted")


def test_a_key_of_another_organisation_is_told(bench):
    bench.write(organization="org-other")
    actual = bench.look()
    assert codes(actual) == ["BYOK131"]
    assert "another organisation" in actual.diagnostics[0].message
    with pytest.raises(ProviderError, match="another organisation"):
        bench.look(judged=True)


def test_the_organisation_is_named_where_the_manifest_names_it(bench):
    bench.write(organization="org-acme")
    bench.look(judged=True)
    assert {r.headers["openai-organization"] for r in bench.simulator.log} == {"org-acme"}


def test_an_origin_that_nobody_approved_gets_nothing(bench):
    bench.write()
    with reading(replace(bench.options(), allow_origins=())) as session:
        actual = session.account("openai", judged=False).actual()
    assert "an origin nobody approved" in said(actual)["key/openai"]
    assert bench.simulator.log == []


def test_a_probe_generates_once_for_each_model_and_only_where_asked(bench):
    bench.write(models=["gpt-4o", "gpt-9"])
    bench.look()
    assert "/chat/completions" not in [r.path for r in bench.simulator.log]
    actual = bench.look(probes=frozenset({"generate"}))
    assert "answered a real request" in said(actual)["model/gpt-4o"]
    assert codes(actual) == ["BYOK132", "BYOK132"]
    body = next(r.json for r in bench.simulator.log if r.path == "/chat/completions")
    assert set(body) == {"model", "messages", "max_completion_tokens"}
    assert bench.simulator.writes() == []


@pytest.mark.parametrize(
    "code",
    ["organization_spend_limit_exceeded", "project_spend_limit_exceeded", "insufficient_quota"],
)
def test_a_reached_limit_is_no_dead_key(bench, code, monkeypatch):
    bench.simulator.spent = code
    bench.write(models=["gpt-4o"])
    actual = bench.look(probes=frozenset({"generate"}))
    assert codes(actual) == ["BYOK134"]
    assert "the key itself is good" in actual.diagnostics[0].message
    spent = [r for r in bench.simulator.log if r.path == "/chat/completions"]
    assert len(spent) == 1, "asked again, as if it were too many requests"


@pytest.mark.parametrize(
    ("status", "error", "problem"),
    [
        (429, {"code": "rate_limit_exceeded"}, ProviderProblem.RATE_LIMITED),
        (429, {"code": None, "type": "insufficient_quota"}, ProviderProblem.SPENT),
        (404, {"code": "unknown_url"}, ProviderProblem.WRONG_ENDPOINT),
        (403, {"code": "unsupported_country_region_territory"}, ProviderProblem.NETWORK_REFUSED),
        (401, {"code": "ip_not_authorized"}, ProviderProblem.NETWORK_REFUSED),
        (401, {"code": None, "message": "Incorrect"}, None),
        (401, {"code": 7, "message": ["odd"]}, None),
    ],
)
def test_errors_are_told_by_code(status, error, problem):
    assert wire.classify(wire.Answer(status, {}, {"error": error})) is problem


# Budgets.


def test_what_openai_makes_of_a_budget_is_said_without_an_admin_key(bench):
    budgets = {
        "soft": MONTHLY,
        "hard": HARD,
        "all": {**HARD, "scope": "organization"},
        "mute": {"provider": "openai", "monthly_usd": 9},
        "whole": {"provider": "openai", "monthly_usd": 9, "notify": [ADA]},
    }
    bench.write(budgets=budgets | {"hard": {**HARD, "alert_at": []}})
    seen = said(bench.look())
    assert seen["budget/soft"] == "500.00 USD a month: alert only, alerts at 50%, 80%"
    assert seen["budget/hard"] == "500.00 USD a month: hard limit"
    assert "hard limit, for the whole organisation, alerts at" in seen["budget/all"]
    assert "nobody is told" in seen["budget/mute"]
    assert seen["budget/whole"].endswith("alerts at 100%")


def test_a_budget_in_another_currency_is_not_written_and_not_taken_away(bench):
    bench.write(budgets={"monthly": HARD})
    bench.apply()
    before = bench.simulator.snapshot()
    bench.write(budgets={"monthly": {**HARD, "currency": "EUR"}})
    planned = bench.plan()
    assert planned.plan.changes == ()
    assert "BYOK139" in [finding.code for finding in planned.plan.diagnostics]
    assert bench.apply().applied == ()
    assert bench.simulator.snapshot() == before


def test_a_budget_without_a_project_says_so(bench):
    bench.write(project=None, budgets={"monthly": HARD})
    assert codes(bench.look()) == ["BYOK139"]
    assert bench.plan().plan.changes == ()


# What the admin key reconciles.


def everything(bench, **more):
    bench.write(
        budgets={"monthly": HARD, "all": {**HARD, "scope": "organization"}},
        allow_models=["gpt-4o"],
        rate_limits={"gpt-4o": {"requests_per_minute": 300}},
        **more,
    )


def test_one_apply_makes_a_project_and_all_that_is_in_it(bench):
    everything(bench, project="fresh")
    planned = bench.plan()
    assert {c.address.kind for c in planned.plan.changes} == {
        "project",
        "model-permissions",
        "rate-limit",
        "spend-limit",
        "organization-spend-limit",
        "spend-alert",
        "organization-spend-alert",
    }
    assert {c.action for c in planned.plan.changes} == {Action.CREATE}
    assert bench.simulator.writes() == []
    assert bench.apply().failed == ()
    assert bench.plan().plan.changes == ()
    id_ = bench.simulator.project("fresh")
    assert bench.simulator.limits[id_]["threshold_amount"] == 50_000
    assert bench.simulator.limits[""]["threshold_amount"] == 50_000
    assert bench.simulator.rates[id_]["rl-gpt-4o"]["max_requests_per_1_minute"] == 300
    alert, _ = bench.simulator.alerts[id_].values()
    assert alert["threshold_amount"] == 25_000
    assert alert["notification_channel"]["subject_prefix"] == "[byok:acme monthly/50]"


def test_a_rate_limit_of_a_project_made_here_goes_back_to_what_openai_gave_it(bench):
    everything(bench, project="fresh")
    bench.apply()
    bench.write(project="fresh")
    assert bench.edits()["rate-limit/fresh/gpt-4o"] == {
        "requests_per_minute": (300, RATES["max_requests_per_1_minute"])
    }
    bench.apply()
    assert bench.simulator.rates[bench.simulator.project("fresh")]["rl-gpt-4o"]["model"] == "gpt-4o"
    assert bench.plan().plan.changes == ()


def test_a_run_undone_leaves_a_rate_limit_of_which_nobody_knows_what_was_there(bench):
    from reconciler.rollback import roll_back

    everything(bench, project="fresh")
    bench.apply()
    with writing(bench.options(allow_irreversible=True), "rollback") as session:
        _, outcome = roll_back(session, None, lambda _: True, scope=SCOPE)
    assert outcome.failed == ()
    assert any("nobody knows" in note for note in outcome.notes)
    assert [p["status"] for p in bench.simulator.projects.values()] == [
        "active",
        "active",
        "archived",
    ]


def test_of_a_rate_limit_only_what_differs_is_sent(bench):
    bench.write(rate_limits={"gpt-4o": {"requests_per_minute": 300}})
    bench.apply()
    (sent,) = bench.simulator.writes()
    assert sent.json == {"max_requests_per_1_minute": 300}


def test_a_model_that_openai_has_no_row_for_is_not_judged(bench):
    bench.write(rate_limits={"gpt-9": {"requests_per_minute": 3}})
    planned = bench.plan()
    assert planned.plan.changes == ()
    seen = {str(o.address): o.text for o in planned.plan.observations}
    assert "byok cannot make one" in seen[f"openai/rate-limit/{PROJECT}/gpt-9"]


def test_an_empty_ledger_creates_nothing_twice(bench):
    everything(bench, project="fresh")
    bench.apply()
    before = bench.simulator.snapshot()
    shutil.rmtree(bench.folder / "state")
    bench.simulator.log.clear()
    assert bench.apply().applied == ()
    assert bench.simulator.writes() == []
    assert bench.simulator.snapshot() == before


def test_a_create_whose_answer_is_lost_is_found_again(bench):
    everything(bench, project="fresh")
    lost = {
        "/organization/projects": 1,
        "/organization/projects/*/spend_alerts": 1,
        "/organization/spend_alerts": 1,
    }
    for path in lost:
        bench.simulator.inject("lost", method="POST", path=path)
    for _ in lost:
        assert len(bench.apply().failed) == 1
    bench.apply()
    names = [p["name"] for p in bench.simulator.projects.values()]
    assert names.count("fresh") == 1
    assert len(bench.simulator.alerts[bench.simulator.project("fresh")]) == 2
    assert len(bench.simulator.alerts[""]) == 2
    assert bench.plan().plan.changes == ()


def test_a_list_of_many_pages_is_read_to_its_end(bench):
    bench.simulator.page = 1
    for number in range(5):
        bench.simulator.make_project(f"p{number}")
    everything(bench, project="p4")
    bench.apply()
    bench.simulator.log.clear()
    assert bench.plan().plan.changes == ()
    asked = [r.one("after") for r in bench.simulator.log if r.path == "/organization/projects"]
    assert len(asked) == len(set(asked)) == 7


@pytest.mark.parametrize("absent", ["404", "empty"])
def test_both_forms_of_an_absent_document_are_none(bench, absent):
    bench.simulator.absent = absent
    everything(bench)
    bench.apply()
    assert bench.plan().plan.changes == ()
    bench.write()
    bench.apply()
    assert bench.simulator.limits == bench.simulator.permissions == {}
    assert bench.simulator.alerts == {"proj_0001": {}, bench.id: {}, "": {}}


def test_drift_shows_and_is_repaired(bench):
    everything(bench)
    bench.apply()
    bench.simulator.limit(bench.id, 99_900)
    (change,) = bench.plan().plan.changes
    assert (str(change.address), change.cause) == (f"openai/spend-limit/{PROJECT}", Cause.DRIFT)
    assert not change.irreversible
    bench.apply()
    assert bench.simulator.limits[bench.id]["threshold_amount"] == 50_000


def test_raising_and_removing_a_limit_and_archiving_are_irreversible(bench):
    everything(bench, project="fresh")
    assert not any(c.irreversible for c in bench.plan().plan.changes)
    bench.apply()
    bench.write(project="fresh", budgets={"monthly": {**HARD, "monthly_usd": 600}})
    final = {str(c.address): c.irreversible for c in bench.plan().plan.changes}
    assert final["openai/spend-limit/fresh"]
    assert final["openai/organization-spend-limit/organization"]
    assert not final["openai/spend-alert/fresh/monthly/50"]
    bench.write(project="fresh", budgets={"monthly": {**HARD, "monthly_usd": 400}})
    final = {str(c.address): c.irreversible for c in bench.plan().plan.changes}
    assert not final["openai/spend-limit/fresh"]
    with reading(bench.options(allow_irreversible=True)) as session:
        gone = make_plan(session, SCOPE, removing=True).plan.changes
    assert {str(c.address): c.irreversible for c in gone}["openai/project/fresh"]


def test_a_project_is_released_and_only_destroyed_when_that_is_allowed(bench):
    everything(bench, project="fresh")
    bench.apply()
    bench.write(project=None)
    bench.apply()
    id_ = bench.simulator.project("fresh")
    assert bench.simulator.projects[id_]["status"] == "active"
    assert bench.simulator.limits == {}
    bench.write(project="made")
    bench.apply()
    made = bench.simulator.project("made")
    bench.apply(removing=True)
    assert bench.simulator.projects[made]["status"] == "archived"
    assert bench.simulator.projects[bench.id]["status"] == "active"


def test_a_project_that_was_there_before_is_never_archived(bench):
    everything(bench)
    bench.apply()
    bench.apply(removing=True)
    assert bench.simulator.projects[bench.id]["status"] == "active"


def test_a_project_that_the_manifest_renames_is_emptied(bench):
    everything(bench)
    bench.apply()
    everything(bench, project="fresh")
    bench.apply()
    assert bench.id not in bench.simulator.limits
    assert bench.id not in bench.simulator.permissions
    assert bench.simulator.alerts[bench.id] == {}
    assert bench.simulator.rates[bench.id]["rl-gpt-4o"]["max_requests_per_1_minute"] == 10_000
    assert bench.plan().plan.changes == ()


@pytest.mark.parametrize("status", ["archived", "active"])
def test_an_archived_project_is_none(bench, status):
    """Also where a list has it all the same."""
    bench.simulator.projects[bench.id] |= {"status": status, "archived_at": MADE}
    bench.write()
    assert bench.edits() == {f"project/{PROJECT}": {"status": (None, "active")}}


def test_two_projects_of_one_name_are_not_guessed_at(bench):
    bench.simulator.make_project(PROJECT)
    everything(bench)
    planned = bench.plan()
    kinds = {change.address.kind for change in planned.plan.changes}
    assert kinds == {"organization-spend-limit", "organization-spend-alert"}
    seen = {str(o.address): o.text for o in planned.plan.observations}
    assert "two projects" in seen["openai/spend-limit/*"]


# Lists, element by element.


def allowed(bench, mode="allow_list"):
    document = bench.simulator.permissions.get(bench.id)
    return document and (document["mode"] == mode, document["model_ids"])


def test_models_are_owned_one_by_one(bench):
    bench.write(allow_models=["gpt-4o"])
    bench.apply()
    bench.simulator.permissions[bench.id]["model_ids"].append("o1")
    bench.write(allow_models=["gpt-4o-mini"])
    bench.apply()
    assert allowed(bench) == (True, ["gpt-4o-mini", "o1"])


def test_an_exclusive_list_removes_what_others_added(bench):
    bench.write(allow_models=["gpt-4o"], exclusive=True)
    bench.apply()
    bench.simulator.permissions[bench.id]["model_ids"].append("o1")
    assert bench.edits() == {f"model-permissions/{PROJECT}": {"model o1": (True, None)}}
    bench.apply()
    assert allowed(bench) == (True, ["gpt-4o"])


def test_an_allow_list_takes_the_place_of_a_deny_list_and_gives_it_back(bench):
    """A denied model is never let in because the list changed its meaning."""
    denied = {"object": "project.model_permissions", "mode": "deny_list", "model_ids": ["o1"]}
    bench.simulator.permissions[bench.id] = denied
    bench.write(allow_models=["gpt-4o"])
    bench.apply()
    assert allowed(bench) == (True, ["gpt-4o"])
    assert bench.plan().plan.changes == ()
    bench.write()
    bench.apply()
    assert allowed(bench, "deny_list") == (True, ["o1"])


def test_a_deny_list_of_nothing_is_none(bench):
    denied = {"object": "project.model_permissions", "mode": "deny_list", "model_ids": []}
    bench.simulator.permissions[bench.id] = denied
    bench.write(allow_models=["gpt-4o"])
    assert bench.edits()[f"model-permissions/{PROJECT}"]["mode"] == (None, "allow_list")


def test_an_empty_allow_list_allows_nothing(bench):
    bench.write(allow_models=[])
    bench.apply()
    assert allowed(bench) == (True, [])


def test_recipients_are_owned_one_by_one_unless_exclusive(bench):
    bench.write(budgets={"monthly": MONTHLY})
    bench.apply()
    first = next(iter(bench.simulator.alerts[bench.id].values()))
    first["notification_channel"]["recipients"].append(EVE)
    assert bench.plan().plan.changes == ()
    bench.write(budgets={"monthly": {**MONTHLY, "notify": ["bob@acme.example"]}})
    bench.apply()
    assert sorted(first["notification_channel"]["recipients"]) == ["bob@acme.example", EVE]
    bench.write(budgets={"monthly": {**MONTHLY, "exclusive": True}})
    bench.apply()
    assert first["notification_channel"]["recipients"] == [ADA]


def test_alerts_of_others_are_left_alone_and_doubles_of_ours_go(bench):
    theirs = bench.simulator.alert(bench.id, 25_000, [ADA], "Mind: ")
    for _ in range(2):
        bench.simulator.alert(bench.id, 100, [EVE], "[byok:acme monthly/50]")
    bench.write(budgets={"monthly": MONTHLY})
    bench.apply()
    assert len(bench.simulator.alerts[bench.id]) == 3
    assert theirs in bench.simulator.alerts[bench.id]
    assert bench.plan().plan.changes == ()


def test_a_step_whose_ground_moved_is_stale(bench):
    bench.write(budgets={"monthly": HARD})
    with writing(bench.options(allow_irreversible=True), "apply") as session:
        changes = make_plan(session, SCOPE).plan.changes
        bench.simulator.limit(bench.id, 123)
        limit = next(c for c in changes if c.address.kind == "spend-limit")
        with pytest.raises(StalePlan):
            session.account("openai", judged=True).apply(limit)
    assert bench.simulator.limits[bench.id]["threshold_amount"] == 123


# What is only looked at.


def test_keys_service_accounts_and_costs_are_told(bench):
    bench.simulator.make_key(bench.id, "ours", KEY, last_used_at=MADE)
    bench.simulator.make_key(
        bench.id, "left", "sk-proj-" + "z" * 40, owner_project_access="inactive"
    )
    owner = {"type": "service_account", "service_account": {"id": "s", "name": "ci"}}
    bench.simulator.make_key(bench.id, "bot", "sk-svcacct-" + "b" * 40, owner=owner)
    bench.simulator.make_service_account(bench.id, "ci")
    bench.simulator.costs = {bench.id: 12.345, "proj_0001": 99.0}
    bench.simulator.usage = {bench.id: (1200, 5_000_000, 300_000), "proj_0001": (1, 1, 1)}
    bench.write(policy={"max_key_age_days": 90})
    actual = bench.look(judged=True)
    seen = said(actual)
    assert seen["key/ours"].startswith("the one in use here, of ours@acme.example, made on")
    assert "no access any more" in seen["key/left"]
    assert "of ci" in seen["key/bot"]
    assert seen[f"service-account/{PROJECT}"] == "ci"
    assert seen[f"costs/{PROJECT}"].startswith("12.34 USD this month")
    used = "1,200 requests this month, 5,000,000 tokens in, 300,000 tokens out"
    assert seen[f"usage/{PROJECT}"] == used
    assert codes(actual) == ["BYOK116"]
    assert bench.simulator.writes() == []


def test_only_costs_of_this_project_are_counted(bench):
    """A bucket may hold results of other kinds, and a host may not know the filter."""
    costs = "organization.costs.result"
    rows = [
        {"object": costs, "project_id": bench.id, "amount": {"value": 0.1, "currency": "usd"}},
        {"object": costs, "project_id": bench.id, "amount": {"value": 0.2, "currency": "usd"}},
        {"object": costs, "project_id": "proj_9", "amount": {"value": 5, "currency": "usd"}},
        {"object": costs, "project_id": None, "amount": {"value": 7, "currency": "usd"}},
        {"object": "organization.usage.completions.result", "project_id": bench.id},
    ]
    bucket = {"object": "bucket", "results": rows}
    page = {"object": "page", "data": [bucket], "has_more": False, "next_page": None}
    bench.simulator.inject("answer", response=Response(200, page), path="/organization/costs")
    bench.write()
    assert said(bench.look(judged=True))[f"costs/{PROJECT}"].startswith("0.30 USD")


def test_a_key_of_another_project_is_told(bench):
    bench.simulator.make_key(bench.id, "other", "sk-proj-" + "z" * 40)
    bench.write()
    assert "not among its keys" in said(bench.look(judged=True))[f"project/{PROJECT}"]


def test_a_reached_hard_limit_is_found(bench):
    bench.simulator.limit(bench.id, 100, "enforcing")
    bench.simulator.limit("", 900)
    bench.write()
    actual = bench.look(judged=True)
    assert codes(actual) == ["BYOK134"]
    assert "not reached" in said(actual)["organization-spend-limit/organization"]


# What may go wrong.


def test_without_an_admin_key_the_account_is_only_observed(bench):
    bench.write(admin_key=None, budgets={"monthly": HARD})
    actual = bench.look(judged=True)
    assert actual.resources == {}
    assert said(actual)["account/openai"] == "only observed: it has no admin_key"
    bench.write(admin_key="env://NOT_SET_ANYWHERE")
    assert "none of the references" in said(bench.look(judged=True))["account/openai"]


def test_dropping_the_admin_key_forgets_nothing(bench):
    everything(bench)
    bench.apply()
    everything(bench, admin_key=None)
    assert bench.apply().applied == ()
    everything(bench)
    assert bench.plan().plan.changes == ()
    bench.write()
    assert f"spend-limit/{PROJECT}" in bench.edits()


def test_an_account_is_known_by_its_organisation(bench):
    bench.write()
    with reading(bench.options()) as session:
        assert session.account("openai", judged=True).identity == "openai:acme"
    bench.simulator.slug = ""
    bench.write(organization="org-acme")
    with reading(bench.options()) as session:
        assert session.account("openai", judged=True).identity == "openai:org-acme"


@pytest.mark.parametrize(
    "pattern", ["/spend_limit$", "/model_permissions$", "^/organization/spend"]
)
def test_what_the_admin_key_may_not_do_closes_its_kind_only(bench, pattern):
    everything(bench)
    bench.apply()
    bench.simulator.closed = [pattern]
    bench.simulator.rates[bench.id]["rl-gpt-4o"]["max_requests_per_1_minute"] = 7
    planned = bench.plan()
    assert [c.address.kind for c in planned.plan.changes] == ["rate-limit"]
    assert planned.lost == {}
    assert any(o.text.startswith("not judged") for o in planned.plan.observations)
    bench.apply()
    bench.simulator.closed = []
    assert bench.plan().plan.changes == ()


def test_a_host_without_the_route_closes_its_kind_only(bench):
    everything(bench)
    gone = Response(404, {"error": {"code": "unknown_url", "message": "", "type": "x"}})
    bench.simulator.inject("answer", response=gone, path="*/spend_limit", times=9)
    kinds = {change.address.kind for change in bench.plan().plan.changes}
    assert kinds
    assert not kinds & {"spend-limit", "organization-spend-limit"}


def test_a_busy_or_broken_api_is_asked_again(bench, monkeypatch):
    monkeypatch.setattr(transport.random, "uniform", lambda *_: 0.0)
    everything(bench)
    bench.apply()
    busy = Response(429, {"error": {"code": "rate_limit_exceeded"}}, {"retry-after": "0"})
    bench.simulator.inject("answer", response=busy, times=2, path="/organization/projects")
    bench.simulator.inject("answer", response=Response(500, {}), path="*/rate_limits")
    bench.simulator.inject("half", path="*/spend_limit")
    bench.simulator.inject("drop", path="*/spend_alerts")
    assert bench.plan().plan.changes == ()


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"how": "html"}, ProviderProblem.UNREADABLE),
        ({"how": "redirect"}, ProviderProblem.WRONG_ENDPOINT),
        ({"how": "answer", "response": Response(503, {})}, ProviderProblem.DOWN),
        ({"how": "answer", "response": Response(200, [])}, ProviderProblem.UNREADABLE),
        ({"how": "answer", "response": Response(200, {"data": 3})}, ProviderProblem.UNREADABLE),
    ],
)
def test_what_is_not_openai_is_an_error_of_this_account(bench, how, kind, monkeypatch):
    monkeypatch.setattr(transport.random, "uniform", lambda *_: 0.0)
    bench.write()
    bench.simulator.inject(**how, times=99, path="/organization/projects")
    with pytest.raises(ProviderError) as found:
        bench.look(judged=True)
    assert found.value.kind is kind


@pytest.mark.parametrize(
    "document",
    [[], {"threshold_amount": None}, {"threshold_amount": "much"}, {"threshold_amount": True}],
)
def test_an_odd_limit_is_unreadable_and_not_nothing(bench, document):
    bench.write()
    bench.simulator.inject(
        "answer", response=Response(200, document), times=9, path="*/spend_limit"
    )
    with pytest.raises(ProviderError) as found:
        bench.look(judged=True)
    assert found.value.kind is ProviderProblem.UNREADABLE


def test_a_refused_write_fails_its_step_and_says_nothing_of_the_body(bench):
    everything(bench)
    told = {"error": {"code": "x", "message": f"no, {ADMIN_KEY}"}}
    bench.simulator.inject("answer", response=Response(400, told), method="POST", times=9)
    (failure,) = bench.apply().failed
    assert "rejects the request" in str(failure.error)
    assert ADMIN_KEY not in repr(failure)


def test_a_limit_that_reads_back_different_is_found_out(bench):
    bench.write(budgets={"monthly": {**HARD, "alert_at": [], "notify": []}})
    answered = Response(200, {"object": "project.spend_limit", "threshold_amount": 50_000})
    bench.simulator.inject("answer", response=answered, method="POST", path="*/spend_limit")
    with writing(bench.options(), "apply") as session:
        (change,) = make_plan(session, SCOPE).plan.changes
        account = replace(session.account("openai", judged=True), settling=0.0)
        with pytest.raises(ProviderError) as found:
            account.apply(change)
    assert found.value.kind is ProviderProblem.UNPROVED


def test_planning_writes_nothing_and_shows_no_key(bench):
    everything(bench, models=["gpt-4o"])
    before = bench.simulator.snapshot()
    planned = bench.plan()
    assert bench.simulator.writes() == []
    assert bench.simulator.snapshot() == before
    text = repr(planned) + json.dumps([r.path for r in bench.simulator.log])
    assert KEY not in text
    assert ADMIN_KEY not in text


def test_an_object_that_is_no_list_does_not_prove_that_there_is_no_project(bench):
    bench.simulator.projects.clear()
    odd = Response(200, {"message": "log in to the guest network"})
    bench.simulator.inject("answer", path="/organization/projects", times=9, response=odd)
    bench.write()
    with pytest.raises(ProviderError) as error:
        bench.plan()
    assert error.value.kind is ProviderProblem.UNREADABLE


def test_a_page_that_is_not_openais_is_no_absent_limit(bench):
    """A proxy's own 404 would else read as "no limit", and a plan would set one again."""
    bench.write(budgets={"monthly": HARD})
    page = Response(404, b"<html>nothing here</html>", {"content-type": "text/html"})
    bench.simulator.inject("answer", response=page, path="*/spend_limit", times=9)
    with pytest.raises(ProviderError) as refused:
        bench.look(judged=True)
    assert refused.value.kind in (ProviderProblem.WRONG_ENDPOINT, ProviderProblem.NETWORK_REFUSED)
