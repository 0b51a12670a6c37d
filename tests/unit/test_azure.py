"""Azure OpenAI's account: what a key proves, what is planned, and what goes wrong there."""

from __future__ import annotations

import dataclasses
import json
import sys
from types import SimpleNamespace

import pytest

from reconciler.engine import apply_plan
from reconciler.errors import ByokError, ManifestError, ProviderError
from reconciler.model import Action, Scope
from reconciler.session import reading, writing
from reconciler.survey import make_plan
from reconciler.systems.account import transport
from tests.simulators.azure import Azure
from tests.simulators.server import Response, serve
from tests.unit.accounts import options, write_manifest

SCOPE = Scope(("azure",))
FIRST = {"gpt-4o-prod": {"model": "gpt-4o", "version": "2024-08-06", "capacity": 50}}
TIMED = Response(429, {"error": {"code": "429", "message": "m"}}, {"retry-after": "0"})


@pytest.fixture
def sim():
    return Azure()


@pytest.fixture
def rig(sim, tmp_path):
    with serve(sim) as base:
        sim.account["properties"]["endpoint"] = base
        yield Bench(sim, tmp_path, base)


class Bench:
    """One manifest in a folder, and the simulator that it is served by."""

    def __init__(self, sim, folder, base):
        self.sim, self.folder, self.base = sim, folder, base
        self.write()

    def write(self, budgets=None, models=None, *, admin=True, **azure):
        """Write the manifest; a field of None is left out."""
        sim = self.sim
        fields = {
            "key": "file://keys/key",
            "endpoint": self.base,
            "deployment": "gpt-4o-prod",
            "subscription": sim.subscription,
            "resource_group": sim.group_name,
            "account": sim.account["name"],
            "api_base": self.base,
            "login_base": self.base,
        }
        if admin:
            fields |= {
                "tenant": sim.tenant,
                "client_id": sim.client_id,
                "admin_key": "file://keys/admin",
            }
        fields = {name: v for name, v in {**fields, **azure}.items() if v is not None}
        named = {f"{n}": {"provider": "azure", **b} for n, b in (budgets or {}).items()}
        declared = {name: {"provider": "azure"} for name in models or ()}
        data = {"providers": {"azure": fields}, "models": declared, "budgets": named}
        keys = {"key": sim.keys["key1"], "admin": sim.client_secret}
        write_manifest(self.folder, data, keys)

    def key(self, name, text):
        (self.folder / "keys" / name).write_text(text)

    def options(self, **more):
        return options(self.folder, self.base, **more)

    def look(self, *, judged=False, **more):
        with reading(self.options(**more)) as session:
            return session.account("azure", judged=judged).actual()

    def plan(self, **more):
        with reading(self.options(**more)) as session:
            return make_plan(session, SCOPE).plan

    def apply(self, **more):
        chosen = self.options(**{"allow_irreversible": True, **more})
        with writing(chosen, "apply") as session:
            return apply_plan(session, SCOPE, lambda _: True)[1]


def said(seen):
    """Map each address to all that was observed there."""
    found = {}
    for one in seen.observations:
        found.setdefault(str(one.address), []).append(one.text)
    return {address: "; ".join(texts) for address, texts in found.items()}


def codes(seen):
    return sorted(d.code for d in seen.diagnostics if d.code in RELEVANT)


RELEVANT = {f"BYOK{number}" for number in range(130, 141)}


def edits(plan):
    return {(str(c.address), e.name): (e.before, e.after) for c in plan.changes for e in c.edits}


# The ordinary key


@pytest.mark.parametrize("version", [None, "v1", "preview", "latest", "2024-10-21"])
def test_a_good_key_is_alive_and_proves_no_deployment(rig, sim, version):
    rig.write(api_version=version, models=["gpt-4o"])
    seen = rig.look()
    assert codes(seen) == []
    assert "does not prove that deployment gpt-4o-prod exists" in said(seen)["azure/key/azure"]
    assert "answered by deployment gpt-4o-prod" in said(seen)["azure/model/gpt-4o"]
    request = sim.log[0]
    assert request.headers["api-key"] == sim.keys["key1"]
    sent = request.one("api-version")
    assert sent == (version if version in ("preview", "2024-10-21") else None)
    assert request.path == ("/openai/models" if version == "2024-10-21" else "/openai/v1/models")
    assert sim.writes() == []


@pytest.mark.parametrize(
    ("status", "code", "words", "found"),
    [
        (401, "401", "invalid subscription key", "BYOK131"),
        (403, "403", "Access denied due to Virtual Network/Firewall rules.", "BYOK137"),
        (403, "403", "Public access is disabled. Please configure it.", "BYOK137"),
        (403, "AuthenticationTypeDisabled", "Key based authentication is disabled", "BYOK132"),
        (403, "403", "Out of call volume quota.", "BYOK134"),
        (429, "insufficient_quota", "You exceeded your current quota", "BYOK134"),
        (404, "404", "Resource not found", "BYOK136"),
        (400, "BadRequest", "API version not supported", "BYOK136"),
        (307, "x", "", "BYOK136"),
    ],
)
def test_each_refusal_is_told_by_its_code_and_words(rig, sim, status, code, words, found):
    secretly = f"{words} sent {sim.keys['key1']}"
    body = {"error": {"code": code, "message": secretly}}
    sim.inject("answer", response=Response(status, body, {"retry-after": "0"}), times=9)
    seen = rig.look()
    assert codes(seen) == [found]
    assert sim.keys["key1"] not in repr(seen)
    if status == 404:
        assert "api-version" in repr(seen)


def test_a_busy_and_a_broken_service_are_asked_again(rig, sim, monkeypatch):
    monkeypatch.setattr(transport, "_pause", lambda _state: 0.0)
    sim.inject("answer", response=TIMED, times=2)
    sim.inject("drop", times=1)
    assert codes(rig.look()) == []


@pytest.mark.parametrize(
    ("how", "found"),
    [("half", "BYOK138"), ("html", "BYOK137"), ("redirect", "BYOK136"), ("slow", "BYOK138")],
)
def test_a_broken_line_is_a_finding(rig, sim, monkeypatch, how, found):
    monkeypatch.setattr(transport, "_pause", lambda _state: 0.0)
    monkeypatch.setattr(transport, "READ", 0.1)
    sim.inject(how, times=9, seconds=0.3)
    assert codes(rig.look()) == [found]


def test_keys_of_the_wrong_kind_are_not_sent(rig, sim):
    rig.key("key", sim.client_secret)
    assert codes(rig.look()) == ["BYOK130"]
    rig.key("admin", "a1B2" * 13 + "JQQJ99" + "BC" + "x" * 12 + "AAABACOG" + "abcd")
    with pytest.raises(ProviderError, match="key of the resource"):
        rig.look(judged=True)
    assert sim.log == []


def test_an_endpoint_nobody_approved_gets_no_key(rig, sim):
    with reading(options(rig.folder)) as session:
        seen = session.account("azure", judged=False).actual()
    assert "not probed" in said(seen)["azure/key/azure"]
    assert sim.log == []


def test_what_is_retired_is_told(rig, sim):
    rig.write(models=["gpt-3.5-turbo"])
    assert codes(rig.look()) == ["BYOK133"]


def test_a_real_request_proves_the_deployment_and_tells_its_model(rig, sim):
    probes = frozenset({"generate"})
    rig.write(models=["gpt-4o", "azure-own-name"])
    assert codes(rig.look(probes=probes)) == ["BYOK136", "BYOK136"]
    sim.add_deployment("gpt-4o-prod", "gpt-4o-mini")
    sim.log.clear()
    seen = rig.look(probes=probes)
    assert codes(seen) == ["BYOK140"]
    assert "answered a real request" in said(seen)["azure/model/azure-own-name"]
    assert len(sim.writes()) == 1
    assert sim.writes()[0].json["model"] == "gpt-4o-prod"
    rig.write(api_version="2024-06-01")
    seen = rig.look(probes=probes)
    assert "answered a real request" in said(seen)["azure/deployment/gpt-4o-prod"]
    assert sim.writes()[-1].json["max_tokens"] == 16


# Signing in


def test_without_an_admin_credential_the_account_is_only_observed(rig, sim):
    rig.write(admin=False, deployments=FIRST)
    seen = rig.look(judged=True)
    assert "no admin credential" in said(seen)["azure/account/azure"]
    assert "alive" in said(seen)["azure/key/azure"]
    rig.write(tenant=None)
    assert "belong together" in said(rig.look(judged=True))["azure/account/azure"]
    rig.write(account=None)
    assert "does not say account" in said(rig.look(judged=True))["azure/account/azure"]
    (rig.folder / "keys" / "admin").unlink()
    rig.write()
    (rig.folder / "keys" / "admin").unlink()
    assert "admin_key exists" in said(rig.look(judged=True))["azure/account/azure"]


def test_a_dead_client_secret_is_tried_once(rig, sim):
    rig.key("admin", sim.client_secret + "x")
    with pytest.raises(ProviderError, match="does not accept the client secret"):
        rig.look(judged=True)
    assert [r.path for r in sim.log].count(f"/{sim.tenant}/oauth2/v2.0/token") == 1


@pytest.mark.parametrize("field", ["tenant", "client_id"])
def test_an_unknown_tenant_or_application_is_told(rig, field):
    rig.write(**{field: "99999999-2222-3333-4444-555555555555"})
    with pytest.raises(ProviderError, match="no such tenant or application"):
        rig.look(judged=True)


def test_one_sign_in_serves_a_run_and_the_secret_goes_in_its_body_only(rig, sim):
    rig.look(judged=True)
    logins = [r for r in sim.log if r.path.endswith("/token")]
    assert len(logins) == 1
    for request in sim.log:
        head = f"{request.path}{request.query}{request.headers}"
        assert sim.client_secret not in head
        if request not in logins:
            assert sim.client_secret.encode() not in request.body
    managed = [r for r in sim.log if r.path.startswith("/subscriptions")]
    assert managed
    assert all("api-key" not in request.headers for request in managed)


def test_a_token_that_ends_is_asked_for_anew(monkeypatch):
    from reconciler.secrets import Secret
    from reconciler.systems.azure.entra import _Bearer

    given = iter([(Secret("t" + "1"), 60.0), (Secret("t" + "2"), 3600.0)])
    sign = _Bearer(lambda: next(given)).sign
    heads = [dict(sign(None))["authorization"] for _ in range(3)]
    assert heads == ["Bearer t1", "Bearer t2", "Bearer t2"]


def test_the_login_host_must_be_approved(rig, sim):
    chosen = dataclasses.replace(rig.options(), allow_origins=())
    with reading(chosen) as session, pytest.raises(ByokError, match="nobody approved"):
        session.account("azure", judged=True)
    assert sim.log == []


class Chain:
    """azure-identity's chain as far as it is used."""

    def __init__(self, **given):
        self.given = given

    def get_token(self, scope):
        assert scope.endswith("/.default")
        return SimpleNamespace(token="ambient" + "0" * 9, expires_on=9e9)


def test_this_machines_own_credential_is_used_where_that_is_said(rig, sim, monkeypatch):
    identity = pytest.importorskip("azure.identity", reason="only with byok[azure]")
    monkeypatch.setattr(identity, "DefaultAzureCredential", Chain)
    sim.tokens.add("ambient" + "0" * 9)
    rig.write(admin=False, credentials="default", deployments=FIRST)
    assert [str(c.address) for c in rig.plan().changes] == ["azure/deployment/gpt-4o-prod"]
    chosen = dataclasses.replace(rig.options(), allow_origins=())
    with reading(chosen) as session, pytest.raises(ByokError, match="nobody approved"):
        session.account("azure", judged=True)


def test_without_the_extra_the_way_out_is_told(rig, monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    rig.write(admin=False, credentials="default")
    assert "its extra [azure]" in said(rig.look(judged=True))["azure/account/azure"]


# Deployments


def test_a_deployment_is_made_scaled_and_let_go(rig, sim):
    sim.polls = 1
    rig.write(deployments=FIRST)
    assert edits(rig.plan())["azure/deployment/gpt-4o-prod", "capacity"] == (None, 50)
    assert sim.writes() == []
    rig.apply()
    made = sim.deployments["gpt-4o-prod"]
    assert made["sku"] == {"name": "GlobalStandard", "capacity": 50}
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert made["tags"] == {"byok": "acme"}
    assert rig.plan().changes == ()
    rig.write(deployments={"gpt-4o-prod": {**FIRST["gpt-4o-prod"], "capacity": 80}})
    rig.apply()
    assert made["sku"]["capacity"] == 80
    assert [r.method for r in sim.writes()] == ["PUT", "PATCH"]
    rig.write()
    assert rig.plan().changes == ()
    rig.apply()
    assert "gpt-4o-prod" in sim.deployments


def test_what_is_not_said_of_a_deployment_is_left_as_it_is(rig, sim):
    sim.add_deployment("gpt-4o-prod", sku="Standard", capacity=7)
    rig.write(deployments={"gpt-4o-prod": {"model": "gpt-4o", "version": "2024-08-06"}})
    assert set(edits(rig.plan())) == {("azure/deployment/gpt-4o-prod", "version")}
    rig.apply()
    made = sim.deployments["gpt-4o-prod"]
    assert made["properties"]["model"]["version"] == "2024-08-06"
    assert made["sku"] == {"name": "Standard", "capacity": 7}
    assert made["properties"]["raiPolicyName"] == "Microsoft.DefaultV2"


def test_a_deployment_is_deleted_only_where_it_says_absent(rig, sim):
    sim.add_deployment("old", "gpt-35-turbo")
    sim.polls = 1
    rig.write(deployments={"old": {"absent": True}})
    change = rig.plan().changes[0]
    assert (change.action, change.irreversible) == (Action.DELETE, True)
    with pytest.raises(ByokError, match="irreversible"):
        rig.apply(allow_irreversible=False)
    rig.apply()
    assert sim.deployments == {}
    assert rig.plan().changes == ()


def test_destroying_shows_a_deployment_of_ours_as_deleted_and_leaves_what_was_there(rig, sim):
    sim.add_deployment("there", version="2024-08-06")
    rig.write(deployments={**FIRST, "there": {"model": "gpt-4o"}})
    rig.apply()
    with reading(rig.options(allow_irreversible=True)) as session:
        gone = make_plan(session, SCOPE, removing=True).plan.changes
    assert [(c.address.name, c.action, c.irreversible) for c in gone] == [
        ("gpt-4o-prod", Action.DELETE, True)
    ]
    with reading(rig.options()) as session:
        assert make_plan(session, SCOPE, removing=True).plan.changes == ()


def test_names_have_no_case_in_azure(rig, sim):
    sim.add_deployment("GPT-4o-Prod", version="2024-08-06", capacity=10)
    rig.write(deployments=FIRST)
    assert set(edits(rig.plan())) == {("azure/deployment/gpt-4o-prod", "capacity")}
    rig.apply()
    assert list(sim.deployments) == ["GPT-4o-Prod"]


def test_a_list_of_many_pages_is_read_to_its_end(rig, sim):
    for number in range(7):
        sim.add_deployment(f"d{number}", capacity=1)
    assert rig.plan().summary.unmanaged == 8  # and the account's network
    pages = [r for r in sim.log if r.path.endswith("/deployments")]
    assert [r.one("$skiptoken") for r in pages] == [None, "2", "4", "6"]
    assert {r.one("api-version") for r in pages} == {"2025-09-01"}


def test_an_empty_ledger_makes_nothing_twice(rig, sim):
    rig.write({"cursor": {"monthly_usd": 50}}, deployments=FIRST, network={"ip_rules": ["1.2.3.4"]})
    rig.apply()
    before = sim.snapshot()
    sim.log.clear()
    for path in (rig.folder / "state").glob("ledger*"):
        path.unlink()
    rig.apply()
    assert sim.writes() == []
    assert sim.snapshot() == before
    rig.write()
    rig.apply()  # all of it was adopted: it is released
    assert sim.snapshot() == before


def test_a_failed_deployment_is_told_and_made_anew(rig, sim):
    sim.add_deployment("gpt-4o-prod", state="Failed")
    rig.write(deployments=FIRST)
    planned = rig.plan()
    assert planned.changes[0].action is Action.CREATE
    assert "Failed" in said(planned)["azure/deployment/gpt-4o-prod"]
    rig.apply()
    assert sim.deployments["gpt-4o-prod"]["properties"]["provisioningState"] == "Succeeded"


def test_quota_that_is_used_up_is_told_in_our_words(rig, sim):
    sim.capacity = 10
    rig.write(deployments=FIRST)
    error = rig.apply().failed[0].error
    assert "quota" in str(error)


def test_an_account_that_is_busy_is_waited_for(rig, sim, monkeypatch):
    monkeypatch.setattr(transport, "_pause", lambda _state: 0.0)
    busy = Response(409, {"error": {"code": "RequestConflict", "message": "Another operation"}})
    sim.inject("answer", method="PUT", response=busy, times=2)
    rig.write(deployments=FIRST)
    assert rig.apply().failed == ()


def test_an_operation_that_ends_badly_fails_its_step(rig, sim):
    sim.polls = 1
    rig.write(deployments=FIRST)
    bad = Response(200, {"status": "Failed", "error": {"code": "InsufficientQuota"}})
    sim.inject("answer", method="GET", path="*operationResults*", response=bad)
    assert "quota" in str(rig.apply().failed[0].error)
    assert rig.plan().changes == ()  # the simulator made it all the same


def test_an_operation_on_another_host_is_not_followed(rig, sim):
    rig.write(deployments=FIRST)
    elsewhere = {"azure-asyncoperation": "http://127.0.0.1:9/steal"}
    sim.inject("answer", method="PUT", response=Response(201, {}, elsewhere))
    assert "another host" in str(rig.apply().failed[0].error)


@pytest.mark.parametrize("how", ["lost", "drop"])
def test_a_write_whose_answer_is_lost_is_repeated(rig, sim, monkeypatch, how):
    monkeypatch.setattr(transport, "_pause", lambda _state: 0.0)
    rig.write(deployments=FIRST)
    sim.inject(how, method="PUT")
    assert rig.apply().failed == ()
    assert rig.plan().changes == ()


def test_a_write_that_is_seen_late_is_waited_for(rig, sim):
    sim.lag = 2
    rig.write(deployments=FIRST)
    assert rig.apply().failed == ()


def test_what_serves_another_model_is_told(rig, sim):
    rig.write(models=["gpt-4o", "azure-gpt-4o"])
    seen = rig.look(judged=True)
    assert codes(seen) == ["BYOK136"]
    sim.add_deployment("gpt-4o-prod", "gpt-4o-mini")
    seen = rig.look(judged=True)
    assert codes(seen) == ["BYOK140"]
    assert "serves gpt-4o-mini 2024-07-18" in said(seen)["azure/deployment/gpt-4o-prod"]
    sim.deployments.clear()
    sim.add_deployment("gpt-4o-prod", "gpt-35-turbo")
    assert codes(rig.look(judged=True)) == ["BYOK133", "BYOK140"]


def test_a_deployment_that_is_to_serve_the_model_is_no_finding(rig, sim):
    sim.add_deployment("gpt-4o-prod", "gpt-4o-mini")
    rig.write(models=["gpt-4o"], deployments=FIRST)
    assert codes(rig.plan()) == []


# Network rules


def test_addresses_are_owned_one_by_one(rig, sim):
    theirs = {"id": "/subnet", "state": "Succeeded"}
    sim.account["properties"]["networkAcls"] = {
        "defaultAction": "Deny",
        "bypass": "AzureServices",
        "ipRules": [{"value": "192.0.2.9"}],
        "virtualNetworkRules": [theirs],
    }
    rules = ["203.0.113.50/32", "198.51.100.0/24"]
    rig.write(network={"ip_rules": rules})
    rig.apply()
    acls = sim.account["properties"]["networkAcls"]
    assert {r["value"] for r in acls["ipRules"]} == {"192.0.2.9", "203.0.113.50", rules[1]}
    assert (acls["defaultAction"], acls["bypass"]) == ("Deny", "AzureServices")
    assert acls["virtualNetworkRules"] == [theirs]
    rig.write(network={"ip_rules": rules, "exclusive": True})
    assert set(edits(rig.plan())) == {("azure/network/acme-openai", "ip 192.0.2.9")}
    rig.write(network={"ip_rules": rules[:1]})
    rig.apply()
    acls = sim.account["properties"]["networkAcls"]
    assert {r["value"] for r in acls["ipRules"]} == {"192.0.2.9", "203.0.113.50"}


def test_public_access_alone_leaves_the_rules_alone(rig, sim):
    rig.write(network={"public_access": "Disabled"})
    rig.apply()
    assert sim.writes()[0].json == {"properties": {"publicNetworkAccess": "Disabled"}}
    seen = rig.look(judged=True)
    assert codes(seen) == ["BYOK136", "BYOK137"]
    assert "Cursor's servers" in said(seen)["azure/network/acme-openai"]


# Budgets


def budget(sim, name="cursor", scope=None):
    return sim.budgets[scope or sim.group][name]["properties"]


def test_every_budget_says_that_it_only_tells(rig, sim):
    rig.write({"cursor": {"monthly_usd": 500, "enforce": "hard"}}, admin=False)
    seen = rig.look()
    assert "500.00 USD a month: alert only" in said(seen)["azure/budget/cursor"]
    assert codes(seen) == ["BYOK139"]


def test_a_budget_is_made_with_its_thresholds_and_recipients(rig, sim):
    wish = {"monthly_usd": 500.5, "alert_at": [50, 99.5], "notify": ["a@a.example", "b@a.example"]}
    rig.write({"cursor": wish})
    rig.apply()
    assert rig.plan().changes == ()
    made = budget(sim)
    assert made["amount"] == 500.5
    assert made["timePeriod"]["startDate"].endswith("-01T00:00:00Z")
    told = {a["threshold"]: a["contactEmails"] for a in made["notifications"].values()}
    assert told == {50: ["a@a.example", "b@a.example"], 99.5: ["a@a.example", "b@a.example"]}
    rig.write()
    rig.apply()
    assert sim.budgets[sim.group] == {}


def test_recipients_and_filters_of_others_stay(rig, sim):
    alert = {
        "enabled": True,
        "operator": "GreaterThanOrEqualTo",
        "threshold": 100,
        "thresholdType": "Actual",
        "contactEmails": ["eve@a.example"],
        "contactGroups": ["/their/group"],
    }
    only = {"dimensions": {"name": "ResourceId", "operator": "In", "values": ["/x"]}}
    sim.add_budget("cursor", 30, notifications={"theirs": alert}, filter=only)
    wish = {"monthly_usd": 30, "notify": ["a@a.example"]}
    rig.write({"cursor": wish})
    rig.apply()
    assert sim.writes()[0].json["eTag"]
    made = budget(sim)
    assert made["notifications"]["theirs"]["contactEmails"] == ["eve@a.example", "a@a.example"]
    assert made["filter"] == only
    assert made["timePeriod"]["startDate"] == "2025-01-01T00:00:00Z"
    rig.write({"cursor": {**wish, "exclusive": True}})
    rig.apply()
    assert budget(sim)["notifications"]["theirs"]["contactEmails"] == ["a@a.example"]
    rig.write({"cursor": {"monthly_usd": 30}})
    rig.apply()
    assert budget(sim)["notifications"]["theirs"]["contactGroups"] == ["/their/group"]


def test_the_whole_subscription_must_be_asked_for(rig, sim):
    rig.write({"cursor": {"monthly_usd": 5, "scope": "organization"}})
    assert {str(c.address) for c in rig.plan().changes} == {"azure/subscription-budget/cursor"}
    rig.apply()
    assert budget(sim, scope=f"/subscriptions/{sim.subscription}")["amount"] == 5


def test_a_budget_of_another_period_is_taken_over_as_a_monthly_one(rig, sim):
    sim.add_budget("cursor", 900)
    budget(sim)["timeGrain"] = "Quarterly"
    rig.write({"cursor": {"monthly_usd": 900}})
    seen = edits(rig.plan())["azure/budget/cursor", "amount"]
    assert seen == ("900.00 USD Quarterly", "900.00 USD")
    rig.apply()
    assert budget(sim)["timeGrain"] == "Monthly"
    rig.write()
    rig.apply()
    assert budget(sim)["timeGrain"] == "Quarterly"


@pytest.mark.parametrize("there", [True, False])
def test_a_budget_in_another_currency_is_not_written(rig, sim, there):
    sim.currency = "EUR"
    if there:
        sim.add_budget("cursor", 5)
    rig.write({"cursor": {"monthly_usd": 50}})
    planned = rig.plan()
    assert planned.changes == ()
    assert "BYOK139" in codes(planned)
    assert "billed in EUR" in said(planned)["azure/budget/cursor"]
    assert rig.apply().applied == ()
    rig.write({"cursor": {"monthly_usd": 50, "currency": "EUR"}})
    assert edits(rig.plan())["azure/budget/cursor", "amount"][1] == "50.00 EUR"


def test_a_currency_that_shows_only_afterwards_takes_the_budget_back(rig, sim):
    sim.cost, sim.currency = None, "EUR"
    rig.write({"cursor": {"monthly_usd": 50}})
    assert "bills this account in EUR" in str(rig.apply().failed[0].error)
    assert sim.budgets[sim.group] == {}


def test_what_azure_does_not_take_is_told_and_not_sent(rig, sim):
    rig.write({"my.budget": {"monthly_usd": 5}})
    seen = rig.plan()
    assert (codes(seen), seen.changes) == (["BYOK136", "BYOK139"], ())
    rig.write({"cursor": {"monthly_usd": 5, "alert_at": [1, 2, 3, 4, 5, 6], "notify": ["a@a.io"]}})
    assert codes(rig.plan()) == ["BYOK136", "BYOK139"]
    rig.write({"cursor": {"monthly_usd": 5, "alert_at": [80]}})
    seen = rig.plan()
    assert codes(seen) == ["BYOK136", "BYOK139"]
    assert [e.name for c in seen.changes for e in c.edits] == ["amount"]


def test_a_budget_that_moves_while_we_write_is_left(rig, sim):
    sim.add_budget("cursor", 5)
    rig.write({"cursor": {"monthly_usd": 50}})
    moved = Response(409, {"error": {"code": "409", "message": "eTag"}})
    sim.inject("answer", method="PUT", response=moved)
    assert "changed while we worked on it" in str(rig.apply().failed[0].error)


# What only the management API tells


def test_the_slot_in_use_is_told_and_the_values_are_nowhere(rig, sim):
    seen = rig.look(judged=True)
    assert said(seen)["azure/key/slots"] == "the key in use is key1; key2 is idle"
    assert not any(key in repr(seen) for key in sim.keys.values())
    rig.key("key", sim.keys["key2"])
    assert said(rig.look(judged=True))["azure/key/slots"] == "the key in use is key2; key1 is idle"
    rig.key("key", "b" * 32)
    assert codes(rig.look(judged=True)) == ["BYOK131", "BYOK131", "BYOK136"]


def test_the_account_is_told_and_held_against_the_endpoint(rig, sim):
    sim.endpoints.append(
        {
            "name": "pe1",
            "properties": {"privateLinkServiceConnectionState": {"status": "Approved"}},
        }
    )
    sim.add_deployment("gpt-4o-prod")
    seen = rig.look(judged=True)
    assert codes(seen) == []
    assert said(seen)["azure/account/acme-openai"] == "OpenAI in swedencentral"
    assert "pe1 (Approved)" in said(seen)["azure/network/acme-openai"]
    assert "12.34 USD this month" in said(seen)["azure/cost/acme-openai"]
    sim.account["properties"] |= {
        "endpoint": "https://x.openai.azure.com",
        "disableLocalAuth": True,
    }
    found = rig.look(judged=True)
    assert codes(found) == ["BYOK131", "BYOK132", "BYOK136"]


def test_the_cost_is_asked_once_and_a_refusal_is_no_failure(rig, sim):
    rig.write({"cursor": {"monthly_usd": 5}})
    waits = {
        "x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after": "1",
        "x-ms-ratelimit-microsoft.costmanagement-tenant-retry-after": "600",
    }
    busy = Response(429, {"error": {"code": "429", "message": "m"}}, waits)
    sim.inject("answer", path="*CostManagement/query", response=busy, times=9)
    planned = rig.plan()
    assert "not available now" in said(planned)["azure/cost/acme-openai"]
    assert [str(c.address) for c in planned.changes] == ["azure/budget/cursor"]
    asked = [r for r in sim.log if r.path.endswith("/query")]
    assert len(asked) == 1


def test_the_cost_is_asked_once_for_each_reading_of_the_account(rig, sim):
    rig.write({name: {"monthly_usd": 5} for name in ("a", "b", "c")})
    rig.apply()
    assert len([r for r in sim.log if r.path.endswith("/query")]) == 2  # the plan, and its proof


@pytest.mark.parametrize(
    ("right", "closed"),
    [
        ("deployments", "azure/deployment/*"),
        ("budgets", "azure/budget/*"),
        ("account", "azure/network/*"),
    ],
)
def test_what_the_credential_may_not_do_closes_that_alone(rig, sim, right, closed):
    sim.rights.remove(right)
    rig.write({"cursor": {"monthly_usd": 5}}, deployments=FIRST, network={"ip_rules": ["1.2.3.4"]})
    planned = rig.plan()
    assert "not judged" in said(planned)[closed]
    assert len(planned.changes) == 2


@pytest.mark.parametrize("right", ["keys", "models", "endpoints", "cost"])
def test_what_the_credential_may_not_see_fails_nothing(rig, sim, right):
    sim.rights.remove(right)
    rig.write(deployments=FIRST)
    assert len(rig.plan().changes) == 1


def test_an_offer_without_budgets_closes_them_alone(rig, sim):
    refused = Response(400, {"error": {"code": "400", "message": "Offer is not supported"}})
    sim.inject("answer", path="*Microsoft.Consumption*", response=refused, times=99)
    rig.write({"cursor": {"monthly_usd": 5}}, deployments=FIRST)
    planned = rig.plan()
    assert "no budgets" in said(planned)["azure/budget/*"]
    assert [str(c.address) for c in planned.changes] == ["azure/deployment/gpt-4o-prod"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subscription", "99999999-1111-2222-3333-444444444444"),
        ("resource_group", "nowhere"),
        ("account", "nobody"),
    ],
)
def test_a_name_that_is_not_there_is_said_and_fails_nothing(rig, field, value):
    rig.write(deployments=FIRST, **{field: value})
    planned = rig.plan()
    assert planned.changes == ()
    told = [d.code for d in planned.diagnostics if "cannot judge deployment" in d.message]
    assert told == ["BYOK136"]
    assert "has no such thing" in said(planned)["azure/deployment/*"]


def test_a_resource_group_may_have_any_name(rig, sim, tmp_path):
    other = Azure(group="Ümläut (prod)")
    with serve(other) as base:
        other.account["properties"]["endpoint"] = base
        bench = Bench(other, tmp_path, base)
        bench.write({"cursor": {"monthly_usd": 5}}, deployments=FIRST)
        bench.apply()
        assert bench.plan().changes == ()


ODD = [
    [],
    "text",
    {"value": [1, {}, {"name": 5, "properties": [], "sku": "x"}]},
    {"properties": []},
    {"properties": {"networkAcls": "x", "endpoints": 1, "columns": 1, "rows": [[1]]}},
    {"properties": {"columns": [{"name": "Cost"}, 1], "rows": [["x", 1]]}, "data": [3, {"id": 5}]},
    {"value": [{"name": "cursor", "properties": {"amount": "x", "notifications": {"a": 1}}}]},
    {"key1": 5, "status": 7, "data": {}, "endpoint": {}},
]


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("path", ["/subscriptions/*", "/openai/*", "*/accounts/acme-openai"])
def test_an_answer_of_another_form_is_an_error_of_ours(rig, sim, body, path):
    rig.write({"cursor": {"monthly_usd": 5}}, ["gpt-4o"], deployments=FIRST)
    sim.inject("answer", path=path, response=Response(200, body), times=99)
    try:
        rig.plan()
    except ByokError as error:
        assert "own format" in str(error)


def test_planning_sends_no_write_and_leaks_no_secret(rig, sim, caplog, capfd):
    caplog.set_level("DEBUG")
    sim.add_deployment("gpt-4o-prod")
    sim.add_budget("cursor", 5)
    rig.write({"cursor": {"monthly_usd": 50}}, models=["gpt-4o"], deployments=FIRST)
    planned = rig.plan()
    assert sim.writes() == []
    rig.apply()
    told = f"{planned}{caplog.text}{capfd.readouterr()}"
    told += "".join(
        path.read_bytes().decode("latin-1")
        for path in (rig.folder / "state").rglob("*")
        if path.is_file()
    )
    for secret in (*sim.keys.values(), sim.client_secret, *sim.tokens):
        assert secret not in told
    assert json.loads(sim.snapshot())


@pytest.mark.parametrize(
    ("azure", "words"),
    [
        ({"network": {"ip_rules": ["300.1.1.1"]}}, "203.0.113.7"),
        ({"network": {"ip_rules": ["2001:db8::/32"]}}, "203.0.113.7"),
        ({"deployments": {"d": {"capacity": 5}}}, "needs its model"),
        ({"credentials": "mine"}, "default"),
        ({"client_id": "byok"}, "UUID"),
        ({"tenant": "a b"}, "domain"),
    ],
)
def test_a_field_that_cannot_be_is_told_with_its_way_out(rig, azure, words):
    rig.write(**azure)
    with pytest.raises(ManifestError) as refused:
        rig.plan()
    assert any(words in f"{d.message} {d.way_out}" for d in refused.value.diagnostics)
