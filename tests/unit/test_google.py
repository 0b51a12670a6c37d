"""Google's account: the Gemini key observed, the Cloud project behind it reconciled."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys

import pytest

from reconciler.codec import dump_plan
from reconciler.engine import apply_plan
from reconciler.errors import ProviderError, SecretError, SecretProblem, StalePlan
from reconciler.model import Action, Scope
from reconciler.session import reading, writing
from reconciler.survey import make_plan
from reconciler.systems.account import Unapproved, transport
from reconciler.systems.google import cloud as wire
from tests.simulators.google import Google
from tests.simulators.google_cloud import GEMINI
from tests.simulators.google_errors import failure
from tests.simulators.server import Response, serve
from tests.unit.accounts import options, write_manifest

KEY = "AQ." + "Ab8RN6" + "q7" * 20
OLD = "AIza" + "d4" * 17 + "x"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel"
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel"
MONTHLY = {"provider": "google", "monthly_usd": 500, "alert_at": [50, 100]}
CAP = {"provider": "google", "monthly_usd": 300, "enforce": "hard"}
SCOPE = Scope(("google",))


class World:
    """A simulator that is served, and a manifest about it in a folder."""

    def __init__(self, simulator, folder, base):
        self.simulator, self.folder, self.base = simulator, folder, base
        self.key, self.admin = simulator.key, simulator.service_account(base)
        self.entry = {
            "key": "file://keys/ordinary",
            "admin_key": "file://keys/admin",
            "cloud_project": "acme-cursor",
            "billing_account": "012345-6789AB-CDEF01",
            "api_base": base,
            "cloud_api_base": f"{base}/cloud",
        }
        self.rest = {}
        self.probes = frozenset()
        self.origins = (base,)

    def options(self, **more):
        data = {"providers": {"google": self.entry}, **self.rest}
        write_manifest(self.folder, data, {"ordinary": self.key, "admin": self.admin})
        return options(self.folder, *self.origins, probes=self.probes, **more)

    def look(self, *, judged=True):
        with reading(self.options()) as session:
            return session.account("google", judged=judged).actual()

    def plan(self):
        with reading(self.options()) as session:
            return make_plan(session, SCOPE).plan

    def apply(self, **more):
        with writing(self.options(**more), "apply") as session:
            outcome = apply_plan(session, SCOPE, lambda _: True)[1]
        for failed in outcome.failed:
            raise failed.error
        return outcome

    def manage(self, budgets=None, **fields):
        self.entry |= fields
        self.rest["budgets"] = budgets or {}
        return self


@pytest.fixture
def simulator():
    return Google(KEY)


@pytest.fixture
def world(simulator, tmp_path):
    with serve(simulator) as base:
        yield World(simulator, tmp_path, base)


@pytest.fixture(autouse=True)
def _swift(monkeypatch):
    monkeypatch.setattr(transport, "PATIENCE", 0.3)
    monkeypatch.setattr(transport, "ATTEMPTS", 2)


def said(actual):
    return {str(seen.address): seen.text for seen in actual.observations}


def codes(actual):
    return sorted(f.code for f in actual.diagnostics if f.code not in ("BYOK113", "BYOK114"))


def sent(simulator, method):
    return [r for r in simulator.log if r.method == method and not r.path.endswith("/token")]


# the ordinary key


@pytest.mark.parametrize("key", [KEY, OLD])
def test_a_good_key_is_alive_and_its_models_are_told(key, tmp_path):
    simulator = Google(key)
    with serve(simulator) as base:
        world = World(simulator, tmp_path, base)
        world.rest["models"] = {
            "gemini-2.5-pro": {"provider": "google"},
            "text-embedding-004": {"provider": "google"},
            "gemini-9": {"provider": "google"},
        }
        seen = world.look(judged=False)
    kind = "standard" if key == OLD else "authorization"
    assert f"alive: {'a' if key == OLD else 'an'} {kind} key" in said(seen)["google/key/google"]
    assert "4 models" in said(seen)["google/key/google"]
    assert said(seen)["google/model/gemini-2.5-pro"] == "available to this key"
    assert "does not generate content" in said(seen)["google/model/text-embedding-004"]
    assert [(f.code, f.path) for f in seen.diagnostics] == [("BYOK132", "/models/gemini-9")]
    assert all(request.headers["x-goog-api-key"] == key for request in simulator.log)
    assert all("key" not in request.query for request in simulator.log)
    assert len(simulator.log) == 2  # pages


@pytest.mark.parametrize("key", ["AQ." + "Ab8RN6" + "z9" * 20, "AIza" + "z9" * 17 + "x"])
def test_a_dead_key_is_told_with_its_way_out(world, key):
    world.key = key
    assert codes(world.look(judged=False)) == ["BYOK131"]


@pytest.mark.parametrize(
    "key",
    [
        json.dumps({"type": "service_account"}),
        "sk-" + "proj-" + "a1" * 40,
        "sk-ant-" + "admin01-" + "a1" * 30,
    ],
)
def test_a_key_of_another_kind_is_not_even_sent(world, key):
    world.key = key
    assert codes(world.look(judged=False)) == ["BYOK130"]
    assert world.simulator.log == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (failure("PERMISSION_DENIED", "no", "API_KEY_SERVICE_BLOCKED"), "BYOK132"),
        (failure("PERMISSION_DENIED", "no", "API_KEY_HTTP_REFERRER_BLOCKED"), "BYOK132"),
        (failure("PERMISSION_DENIED", "no", "SERVICE_DISABLED"), "BYOK132"),
        (failure("PERMISSION_DENIED", "no", "API_KEY_IP_ADDRESS_BLOCKED"), "BYOK137"),
        (failure("PERMISSION_DENIED", "no", "BILLING_DISABLED"), "BYOK134"),
        (failure("PERMISSION_DENIED", "Your API key was reported as leaked."), "BYOK131"),
        (failure("PERMISSION_DENIED", "no"), "BYOK132"),
        (failure("FAILED_PRECONDITION", "free tier is not available in your country"), "BYOK132"),
        (failure("RESOURCE_EXHAUSTED", "exceeded its monthly spending cap."), "BYOK134"),
        (failure("RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), "BYOK134"),
        (failure("RESOURCE_EXHAUSTED", "You exceeded your current quota"), "BYOK135"),
        (failure("UNAVAILABLE", "overloaded"), "BYOK138"),
        (failure("NOT_FOUND", "no such thing"), "BYOK132"),
        (Response(404, b"<title>404</title>", {"content-type": "text/html"}), "BYOK136"),
        (Response(401, {"error": "unauthorized"}), "BYOK131"),
        (Response(200, ["no", "object"]), "BYOK137"),
    ],
)
def test_every_refusal_has_its_row_of_the_table(world, answer, code):
    world.simulator.inject("answer", response=answer, times=9)
    assert codes(world.look(judged=False)) == [code]


@pytest.mark.parametrize(
    ("how", "code"),
    [("html", "BYOK137"), ("half", "BYOK138"), ("drop", "BYOK138"), ("redirect", "BYOK136")],
)
def test_a_broken_line_is_a_finding(world, how, code):
    world.simulator.inject(how, times=9)
    assert codes(world.look(judged=False)) == [code]


def test_a_busy_api_is_asked_again_after_the_time_it_names(world):
    busy = failure("RESOURCE_EXHAUSTED", "You exceeded your current quota")
    again = Response(busy.status, busy.body, {"retry-after": "0"})
    world.simulator.inject("answer", response=again)
    assert "alive" in said(world.look(judged=False))["google/key/google"]


def test_a_key_meets_no_origin_that_nobody_approved(world):
    world.origins = ()
    seen = world.look(judged=False)
    assert "nobody approved" in said(seen)["google/key/google"]
    assert world.simulator.log == []


def test_a_missing_key_is_not_probed(world):
    world.entry["key"] = "env://BYOK_TEST_NO_SUCH_VARIABLE"
    assert "not probed" in said(world.look(judged=False))["google/key/google"]


def test_a_real_request_is_sent_only_where_asked_for(world):
    world.rest["models"] = {
        "gemini-2.5-pro": {"provider": "google"},
        "odd/name": {"provider": "google", "custom": True},
        "off": {"provider": "google", "enabled": False},
    }
    world.look(judged=False)
    assert sent(world.simulator, "POST") == []
    world.probes = frozenset({"generate"})
    seen = world.look(judged=False)
    assert said(seen)["google/model/gemini-2.5-pro"].endswith("answered a real request") or (
        "answered a real request" in [o.text for o in seen.observations]
    )
    posts = sent(world.simulator, "POST")
    assert [p.path.rpartition(":")[2] for p in posts] == ["generateContent"] * 2
    assert "BYOK132" in codes(seen)
    assert world.simulator.writes() == []


def test_a_spend_cap_that_is_reached_shows_when_generating(world):
    world.rest["models"] = {"gemini-2.5-pro": {"provider": "google"}}
    world.probes = frozenset({"generate"})
    world.simulator.spent = "Your project has exceeded its monthly spending cap."
    seen = world.look(judged=False)
    assert codes(seen) == ["BYOK134"]
    assert "alive" in said(seen)["google/key/google"]


# what is said of budgets


def test_what_google_has_for_each_budget_is_said_without_accounts_too(world):
    world.manage(
        {
            "tell": {**MONTHLY, "notify": ["finops@acme.example"]},
            "stop": {**CAP, "alert_at": [42]},
            "all": {**CAP, "scope": "organization"},
            "a-name-of-many-letters-that-no-budget-of-googles-can-bear-x": MONTHLY,
        }
    )
    seen = world.look(judged=False)
    assert said(seen)["google/budget/tell"] == "500.00 USD a month: alert only"
    assert "hard limit" in said(seen)["google/budget/stop"]
    assert "observed only" in said(seen)["google/budget/all"]
    findings = {(f.path, f.code) for f in seen.diagnostics}
    assert {path for path, code in findings if code == "BYOK139"} == {
        "/budgets/tell",
        "/budgets/stop",
        "/budgets/all",
        "/budgets/a-name-of-many-letters-that-no-budget-of-googles-can-bear-x",
    }
    assert {(f.path, f.code) for f in world.look().diagnostics} == findings
    assert all(change.address.name != "all" for change in world.plan().changes)


def test_a_billing_account_that_is_not_declared_is_missed(world):
    world.manage({"tell": MONTHLY})
    del world.entry["billing_account"]
    seen = world.look()
    assert "once billing_account is declared" in said(seen)["google/budget/tell"]
    assert world.plan().changes == ()


# the admin credential


def test_without_an_admin_credential_the_account_is_only_observed(world):
    del world.entry["admin_key"]
    assert "only observed" in said(world.look())["google/account/google"]
    world.entry |= {"admin_key": "env://BYOK_TEST_NO_SUCH_VARIABLE"}
    assert "admin_key exists here" in said(world.look())["google/account/google"]
    world.entry |= {"admin_key": "file://keys/admin"}
    del world.entry["cloud_project"]
    assert "cloud_project" in said(world.look())["google/account/google"]
    assert all("/cloud/" not in request.path for request in world.simulator.log)


def test_the_admin_key_is_not_touched_without_accounts(world):
    world.admin = "rubbish"
    world.look(judged=False)
    assert all(request.path.startswith("/v1beta/") for request in world.simulator.log)


@pytest.mark.parametrize(
    ("admin", "word"),
    [
        ("AQ." + "Ab8RN6" + "k1" * 20, "Gemini API key"),
        ("ya29.token", "no key file"),
        ("{]", "no key file"),
        ('{"type": "authorized_user", "client_id": "x"}', "no key file"),
        ('["service_account"]', "no key file"),
    ],
)
def test_an_admin_key_that_is_none_is_told_without_repeating_it(world, admin, word):
    world.admin = admin
    with pytest.raises(SecretError, match=word) as caught:
        world.look()
    assert caught.value.kind is SecretProblem.UNUSABLE
    assert admin not in str(caught.value)
    assert world.simulator.log == []


def with_password(pem):
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(pem.encode(), None)
    shut = form.BestAvailableEncryption(b"password")
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, shut).decode()


@pytest.mark.parametrize("spoil", [lambda _: "not a PEM", with_password])
def test_a_private_key_that_cannot_be_read_is_told(world, spoil):
    info = json.loads(world.admin)
    world.admin = json.dumps({**info, "private_key": spoil(info["private_key"])})
    with pytest.raises(SecretError, match="private key"):
        world.look()


def test_an_assertion_goes_to_no_token_endpoint_that_nobody_approved(world):
    """Google's own endpoint would take it, wherever it was sent."""
    elsewhere = {**json.loads(world.admin), "token_uri": "https://oauth2.evil.example/token"}
    world.admin = json.dumps(elsewhere)
    with pytest.raises(Unapproved, match=r"oauth2\.evil\.example"):
        world.look()
    assert world.simulator.log == []


@pytest.mark.parametrize("uri", ["http://oauth2.googleapis.com/token", "file:///etc/passwd", "x"])
def test_a_token_endpoint_over_plain_http_is_none(world, uri):
    world.admin = json.dumps({**json.loads(world.admin), "token_uri": uri})
    with pytest.raises((Unapproved, SecretError)):
        world.look()


def test_the_clock_is_told_from_a_bad_key(world):
    world.simulator.skew = 7200
    with pytest.raises(ProviderError, match="clock"):
        world.look()
    world.simulator.skew = 0
    info = json.loads(world.admin)
    world.admin = json.dumps({**info, "client_email": "who@acme.iam.gserviceaccount.com"})
    with pytest.raises(ProviderError, match="does not accept the key"):
        world.look()


def test_one_token_serves_a_whole_run(world):
    world.manage({"tell": MONTHLY}, quotas={PER_DAY: {"value": 40000}})
    world.look()
    tokens = [r for r in world.simulator.log if r.path == "/token"]
    assert len(tokens) == 1
    assert tokens[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_without_google_auth_the_extra_is_named(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.oauth2.service_account", None)
    with pytest.raises(SecretError, match=r"its extra \[gcp\]") as caught:
        world.look()
    assert caught.value.kind is SecretProblem.NO_BACKEND


@pytest.fixture
def machine(world, monkeypatch, tmp_path):
    """Give this machine application default credentials of its own."""
    path = tmp_path / "adc.json"
    path.write_text(world.admin)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "acme-cursor")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    del world.entry["admin_key"]
    return path


def test_the_machines_credentials_are_used_only_where_said(world, machine):
    assert "only observed" in said(world.look())["google/account/google"]
    world.manage({"tell": MONTHLY}, credentials="default")
    assert [str(c.address) for c in world.plan().changes] == ["google/budget/tell"]
    clouds = [r for r in world.simulator.log if r.path.startswith("/cloud/")]
    assert {r.headers["x-goog-user-project"] for r in clouds} == {"acme-cursor"}


def test_the_machines_credentials_meet_no_origin_that_nobody_approved(world, machine):
    world.manage(credentials="default")
    world.origins = ()
    with pytest.raises(Unapproved, match="application default credentials"):
        world.look()
    assert world.simulator.log == []


def test_a_machine_without_credentials_is_told(world, machine, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(machine.parent / "none.json"))
    world.entry["credentials"] = "default"
    with pytest.raises(SecretError, match="gcloud auth application-default login"):
        world.look()


# keys


def test_keys_are_listed_and_ours_is_found_by_its_value(world):
    for number in range(12):
        world.simulator.keys.add(f"spare-{number:02d}", f"AIza{number:035d}")
    seen = said(world.look())
    assert seen["google/key/cursor"].startswith("the one in use here, for generativelanguage")
    assert seen["google/key/*"] == "and 3 more"
    assert "restrict it" in seen["google/key/spare-00"]
    strings = [r for r in world.simulator.log if r.path.endswith("/keyString")]
    assert len(strings) == 1


def test_at_most_ten_values_are_read_and_none_of_a_key_for_more_than_gemini(world):
    only = {"apiTargets": [{"service": GEMINI}]}
    both = {"apiTargets": [{"service": GEMINI}, {"service": "storage.googleapis.com"}]}
    world.simulator.keys.keys.clear()
    world.simulator.keys.add("wide", OLD, restrictions=both)
    for number in range(14):
        world.simulator.keys.add(f"k{number}", f"AIza{number:035d}", restrictions=only)
    world.look()
    strings = [r for r in world.simulator.log if r.path.endswith("/keyString")]
    assert len(strings) == 10
    assert all(not r.path.endswith("000000000001/keyString") for r in strings)


def test_an_old_key_is_found(world):
    world.rest["policy"] = {"max_key_age_days": 30}
    assert "BYOK116" in codes(world.look())


def test_a_key_is_restricted_one_permission_at_a_time(world):
    keys = world.simulator.keys
    site = {"service": "storage.googleapis.com", "methods": ["Get*"]}
    keys.add("build", OLD, restrictions={"apiTargets": [site]})
    keys.polls = 2
    world.manage(keys={"build": {"services": [GEMINI], "ips": ["203.0.113.0/24"]}})
    [change] = world.plan().changes
    assert change.action is Action.UPDATE
    world.apply()
    assert keys.named("build")["restrictions"] == {
        "apiTargets": [{"service": GEMINI}, site],
        "serverKeyRestrictions": {"allowedIps": ["203.0.113.0/24"]},
    }
    [patch] = sent(world.simulator, "PATCH")
    assert patch.query["updateMask"] == ["restrictions"]
    assert patch.json["etag"]
    world.manage(keys={"build": {"services": [GEMINI], "exclusive": True}})
    world.apply()
    assert keys.named("build")["restrictions"] == {"apiTargets": [{"service": GEMINI}]}
    assert world.plan().changes == ()
    world.manage(keys={})
    world.apply()
    assert keys.named("build")["restrictions"] == {"apiTargets": [site]}


def test_what_google_shows_late_is_waited_for(world):
    world.simulator.keys.add("build", OLD)
    world.simulator.keys.lag = 2
    world.manage(keys={"build": {"services": [GEMINI]}})
    world.apply()
    assert world.plan().changes == ()


def test_all_forms_of_restriction_survive_a_change(world):
    app = {"packageName": "com.acme.app", "sha1Fingerprint": "DA39A3EE5E6B4B0D3255BFEF95601890AFD8"}
    for shown, part in (
        ("android", {"androidKeyRestrictions": {"allowedApplications": [app]}}),
        ("ios", {"iosKeyRestrictions": {"allowedBundleIds": ["com.acme"]}}),
        ("site", {"browserKeyRestrictions": {"allowedReferrers": ["https://acme.example/*"]}}),
    ):
        world.simulator.keys.add(shown, f"AIza{shown:x>35}", restrictions=part)
        world.manage(keys={shown: {"services": [GEMINI]}})
        world.apply()
        wanted = {**part, "apiTargets": [{"service": GEMINI}]}
        assert world.simulator.keys.named(shown)["restrictions"] == wanted
        world.manage(keys={shown: {"ips": ["192.0.2.1"]}})
        with pytest.raises(ProviderError, match="another kind already"):
            world.apply()


def test_a_key_that_is_not_there_or_not_the_only_one_is_not_judged(world):
    world.simulator.keys.add("twin", OLD)
    world.simulator.keys.add("twin", OLD[:-1] + "y")
    world.manage(keys={"twin": {"services": [GEMINI]}, "absent": {"services": [GEMINI]}})
    seen = world.look()
    assert "byok makes none" in said(seen)["google/key/absent"]
    assert "not judged" in "".join(o.text for o in seen.observations if o.address.name == "twin")
    assert world.plan().changes == ()


def test_an_operation_that_fails_or_never_ends_is_told(world, monkeypatch):
    monkeypatch.setattr(wire, "DEADLINE", 0.1)
    world.simulator.keys.add("build", OLD)
    world.manage(keys={"build": {"services": [GEMINI]}})
    world.simulator.keys.polls = 1000
    with pytest.raises(ProviderError, match="did not finish"):
        world.apply()
    world.simulator.keys.operations.clear()
    failed = {"name": "operations/x", "done": True, "error": {"code": 10, "message": "etag"}}
    world.simulator.inject("answer", method="PATCH", response=Response(200, failed))
    with pytest.raises(ProviderError, match="changed while"):
        world.apply()
    elsewhere = {"name": "https://evil.example/operations/x"}
    world.simulator.inject("answer", method="PATCH", response=Response(200, elsewhere))
    with pytest.raises(ProviderError, match="its own format"):
        world.apply()


# quotas


def test_a_quota_is_lowered_and_put_back(world):
    quotas = world.simulator.quotas
    name = f"{PER_MINUTE} model=gemini-2.5-pro"
    world.manage(quotas={name: {"value": 100}, PER_DAY: {"value": 50000}})
    [change] = world.plan().changes
    assert str(change.address) == f"google/quota/{name}"
    assert [(e.before, e.after) for e in change.edits] == [(1000, 100)]
    world.apply()
    assert quotas.value(PER_MINUTE, {"model": "gemini-2.5-pro"}) == 100
    assert quotas.value(PER_MINUTE, {"model": "gemini-2.5-flash"}) == 2000
    [made] = quotas.preferences.values()
    assert made["quotaConfig"]["annotations"] == {"byok": "acme"}
    assert world.plan().changes == ()
    world.manage(quotas={})
    world.apply()
    assert quotas.value(PER_MINUTE, {"model": "gemini-2.5-pro"}) == 1000


def test_a_quota_that_is_raised_waits_for_google(world):
    world.manage(quotas={PER_DAY: {"value": 90000, "contact": "ops@acme.example"}})
    world.apply()
    [made] = sent(world.simulator, "POST")
    assert made.json["contactEmail"] == "ops@acme.example"
    seen = [o.text for o in world.look().observations if o.address.kind == "quota"]
    assert seen == ["asked for 90000, granted 50000: waits for Google's approval"]
    assert world.plan().changes == ()
    world.simulator.quotas.approve()
    assert all(o.address.kind != "quota" for o in world.look().observations)


def test_a_quota_below_what_is_used_is_refused_by_google(world):
    world.manage(quotas={"BatchRequestsPerProject": {"value": 5}})
    with pytest.raises(ProviderError, match="rejects"):
        world.apply()


@pytest.mark.parametrize(
    "name", ["NoSuchQuota", f"{PER_DAY} region=eu", "BatchRequestsPerProject model=x"]
)
def test_a_quota_that_does_not_exist_is_not_judged(world, name):
    world.manage(quotas={name: {"value": 5}})
    assert "no quota of this id" in said(world.look())[f"google/quota/{name}"]
    assert world.plan().changes == ()


# budgets


def test_a_budget_is_made_changed_and_taken_away(world):
    world.manage({"monthly": MONTHLY})
    world.apply()
    [made] = world.simulator.billing.budgets.values()
    assert made["displayName"] == "byok:acme/monthly"
    assert made["budgetFilter"]["projects"] == ["projects/123456789012"]
    assert made["budgetFilter"]["services"] == ["services/AEFD-7695-64FA"]
    assert made["amount"]["specifiedAmount"] == {"currencyCode": "USD", "units": "500"}
    assert sorted(r["thresholdPercent"] for r in made["thresholdRules"]) == [0.5, 1.0]
    world.manage({"monthly": {**MONTHLY, "monthly_usd": 12.34, "alert_at": [29, 100]}})
    world.apply()
    [made] = world.simulator.billing.budgets.values()
    assert made["amount"]["specifiedAmount"]["nanos"] == 340_000_000
    assert sorted(r["thresholdPercent"] for r in made["thresholdRules"]) == [0.29, 1.0]
    [patch] = sent(world.simulator, "PATCH")
    assert patch.query["updateMask"] == ["amount,thresholdRules"]
    assert world.plan().changes == ()
    world.manage({})
    world.apply()
    assert world.simulator.billing.budgets == {}


def test_a_budget_without_alerts_tells_at_its_amount(world):
    world.manage({"monthly": {"provider": "google", "monthly_usd": 5}})
    world.apply()
    [made] = world.simulator.billing.budgets.values()
    assert [r["thresholdPercent"] for r in made["thresholdRules"]] == [1.0]


def test_an_empty_ledger_makes_nothing_twice(world):
    world.simulator.keys.add("build", OLD)
    world.manage(
        {"monthly": MONTHLY, "cap": CAP},
        keys={"build": {"services": [GEMINI]}},
        quotas={PER_DAY: {"value": 40000}},
    )
    world.apply()
    writes = len(world.simulator.writes())
    shutil.rmtree(world.folder / "state")
    assert world.plan().changes == ()
    world.apply()
    assert len(world.simulator.writes()) == writes
    world.manage({}, keys={}, quotas={})
    world.apply(allow_irreversible=True)
    assert len(world.simulator.billing.budgets) == 2, "what was adopted is released"


def test_another_teams_budget_of_the_same_name_elsewhere_is_no_business_of_ours(world):
    amount = {"specifiedAmount": {"units": "7"}}
    for shown, project in (
        ("byok:other/monthly", "other-project"),
        ("monthly", "other-project"),
    ):
        scope = {"projects": [f"projects/{project}"]}
        world.simulator.billing.add(displayName=shown, amount=amount, budgetFilter=scope)
    world.manage({"monthly": MONTHLY})
    [change] = world.plan().changes
    assert change.action is Action.CREATE
    world.apply()
    names = [b["displayName"] for b in world.simulator.billing.budgets.values()]
    assert names == ["byok:other/monthly", "monthly", "byok:acme/monthly"]


def test_a_budget_of_ones_own_making_is_taken_over_by_its_name(world):
    last = {"amount": {"lastPeriodAmount": {}}, "displayName": "monthly"}
    budget = world.simulator.billing.add(
        **last, budgetFilter={"projects": ["projects/acme-cursor"]}
    )
    world.manage({"monthly": MONTHLY})
    [change] = world.plan().changes
    assert change.action is Action.UPDATE
    world.apply()
    world.manage({})
    world.apply()
    [after] = world.simulator.billing.budgets.values()
    assert after["amount"] == budget["amount"]


def test_a_budget_with_a_period_of_its_own_is_not_touched(world):
    start = {"customPeriod": {"startDate": {"year": 2026, "month": 1, "day": 1}}}
    world.simulator.billing.add(
        displayName="monthly",
        amount={"specifiedAmount": {"units": "7"}},
        budgetFilter={"projects": ["projects/acme-cursor"], **start},
    )
    world.manage({"monthly": MONTHLY})
    with pytest.raises(ProviderError, match="period of its own"):
        world.apply()
    assert sent(world.simulator, "PATCH") == []


def test_an_organisations_budget_counts_every_project(world):
    world.manage({"monthly": {**MONTHLY, "scope": "organization"}})
    world.apply()
    [made] = world.simulator.billing.budgets.values()
    assert "projects" not in made["budgetFilter"]
    assert world.plan().changes == ()
    world.manage({"monthly": MONTHLY})
    world.apply()
    [made] = world.simulator.billing.budgets.values()
    assert made["budgetFilter"]["projects"] == ["projects/123456789012"]


def test_another_currency_is_told_and_nothing_written(world):
    world.simulator.billing.currency = "EUR"
    world.manage({"monthly": MONTHLY, "cap": CAP})
    seen = world.look()
    assert codes(seen) == ["BYOK139", "BYOK139"]
    assert "EUR" in said(seen)["google/budget/*"]
    assert world.plan().changes == ()
    euro = {"currency": "EUR"}
    world.manage({"monthly": {**MONTHLY, **euro}, "cap": {**CAP, **euro}})
    world.apply()
    amounts = [b["amount"] for b in world.simulator.billing.budgets.values()]
    assert {a["specifiedAmount"]["currencyCode"] for a in amounts} == {"EUR"}
    assert world.plan().changes == ()


# the spend cap


def test_a_hard_budget_is_a_spend_cap_by_googles_rules(world):
    world.manage({"cap": CAP})
    [change] = world.plan().changes
    assert str(change.address) == "google/spend-limit/acme-cursor"
    assert not change.irreversible
    world.apply()
    [made] = world.simulator.billing.budgets.values()
    assert made["spendCap"]["inputState"] == "CONFIGURED"
    assert made["displayName"] == "byok:acme/cap"
    assert world.plan().changes == ()


def test_raising_and_removing_a_cap_cannot_be_taken_back(world):
    world.manage({"cap": CAP})
    world.apply()
    for budgets, final in (
        ({"cap": {**CAP, "monthly_usd": 299}}, False),
        ({"cap": {**CAP, "monthly_usd": 301}}, True),
        ({}, True),
    ):
        world.manage(budgets)
        [change] = world.plan().changes
        assert change.irreversible is final
    world.apply(allow_irreversible=True)
    assert world.simulator.billing.budgets == {}


def test_a_cap_that_google_does_not_take_is_told(world):
    world.simulator.billing.eligible.clear()
    world.manage({"cap": CAP})
    with pytest.raises(ProviderError, match="takes no spend cap here") as caught:
        world.apply()
    assert "enforce: alert" in caught.value.way_out


def test_a_cap_in_force_is_lifted_before_it_is_raised_or_removed(world):
    world.manage({"cap": CAP})
    world.apply()
    world.simulator.billing.enforce()
    seen = world.look()
    assert codes(seen) == ["BYOK134"]
    world.manage({"cap": {**CAP, "monthly_usd": 100}})
    with pytest.raises(ProviderError, match="does not lower"):
        world.apply()
    world.manage({"cap": {**CAP, "monthly_usd": 400}})
    world.apply(allow_irreversible=True)
    [cap] = world.simulator.billing.budgets.values()
    assert cap["amount"]["specifiedAmount"]["units"] == "400"
    assert cap["spendCap"]["outputState"] == "CONFIGURED"
    masks = [r.query["updateMask"][0] for r in sent(world.simulator, "PATCH")]
    assert masks == ["spendCap.inputState", "amount,spendCap.inputState"]
    world.simulator.billing.enforce()
    world.manage({})
    world.apply(allow_irreversible=True)
    assert world.simulator.billing.budgets == {}


def test_somebody_elses_cap_is_taken_over_and_given_back(world):
    world.manage({"cap": {**CAP, "monthly_usd": 900}})
    world.apply()
    for budget in world.simulator.billing.budgets.values():
        budget["displayName"] = "by hand"
    shutil.rmtree(world.folder / "state")
    world.manage({"cap": CAP})
    world.apply()
    assert len(world.simulator.billing.budgets) == 1
    world.manage({})
    world.apply(allow_irreversible=True)
    [cap] = world.simulator.billing.budgets.values()
    assert cap["amount"]["specifiedAmount"]["units"] == "900"


# what this credential may not do


@pytest.mark.parametrize(
    ("api", "kinds"),
    [
        ("apikeys", {"key"}),
        ("cloudquotas", {"quota"}),
        ("billingbudgets", {"budget", "spend-limit"}),
        ("serviceusage", {"budget", "spend-limit"}),
        ("cloudbilling", set()),
    ],
)
@pytest.mark.parametrize("how", ["denied", "disabled"])
def test_what_is_closed_closes_its_kind_only(world, api, kinds, how):
    world.simulator.keys.add("build", OLD)
    world.manage(
        {"monthly": MONTHLY, "cap": CAP},
        keys={"build": {"services": [GEMINI]}},
        quotas={PER_DAY: {"value": 40000}},
    )
    getattr(world.simulator, how).add(api)
    seen = world.look()
    assert set(seen.closed) == kinds
    planned = {change.address.kind for change in world.plan().changes}
    assert planned == {"key", "quota", "budget", "spend-limit"} - kinds
    assert "alive" in said(seen)["google/key/google"]


def test_a_gemini_api_that_is_switched_off_is_found(world):
    world.simulator.gemini_state = "DISABLED"
    findings = [(f.code, f.path) for f in world.look().diagnostics]
    assert ("BYOK132", "/providers/google/cloud_project") in findings


@pytest.mark.parametrize("how", ["html", "half", "drop"])
def test_a_broken_line_to_the_cloud_loses_this_account_only(world, how):
    world.manage({"monthly": MONTHLY})
    world.simulator.inject(how, path="/cloud/billingbudgets/*", times=20)
    with pytest.raises(ProviderError):
        world.look()


def test_a_change_behind_our_back_is_stale(world):
    world.manage({"monthly": MONTHLY})
    world.apply()
    world.manage({"monthly": {**MONTHLY, "monthly_usd": 9}})
    world.simulator.inject(
        "answer", method="PATCH", response=failure("ABORTED", "The etag does not match")
    )
    with pytest.raises((ProviderError, StalePlan), match="changed while"):
        world.apply()
    world.apply()
    assert world.plan().changes == ()


def test_a_lost_answer_makes_no_second_budget(world):
    world.simulator.inject("lost", method="POST", path="*/budgets")
    world.manage({"monthly": MONTHLY})
    with pytest.raises(ProviderError):
        world.apply()
    world.apply()
    assert len(world.simulator.billing.budgets) == 1
    world.manage({})
    world.apply()
    assert world.simulator.billing.budgets == {}


# planning, and secrets


def test_planning_writes_nothing_and_asks_for_no_key_in_a_url(world):
    world.simulator.keys.add("build", OLD)
    world.manage(
        {"monthly": MONTHLY, "cap": CAP},
        keys={"build": {"services": [GEMINI]}},
        quotas={PER_DAY: {"value": 40000}},
    )
    before = world.simulator.snapshot()
    assert len(world.plan().changes) == 4
    assert world.simulator.snapshot() == before
    assert world.simulator.writes() == []
    assert all("lookupKey" not in request.path for request in world.simulator.log)


def test_every_list_is_read_to_its_end(world):
    world.simulator.most = 1
    for number in range(5):
        amount = {"specifiedAmount": {"units": str(number + 1)}}
        world.simulator.billing.add(displayName=f"hand-{number}", amount=amount)
    world.manage({"monthly": MONTHLY})
    world.apply()
    assert world.plan().changes == ()
    tokens = {r.one("pageToken") for r in world.simulator.log if r.path.endswith("/budgets")}
    assert len(tokens) > 2


def test_no_secret_is_shown(world, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    world.manage({"monthly": MONTHLY}, keys={"cursor": {"services": [GEMINI]}})
    shown = [dump_plan(world.plan()), repr(world.look()), repr(world.apply())]
    text = "".join([*shown, caplog.text, *capfd.readouterr()])
    pem = json.loads(world.admin)["private_key"].splitlines()[3]
    tokens = [*world.simulator.tokens]
    assert len(tokens) >= 3
    for secret in (KEY, pem, *tokens):
        assert secret not in text
        for path in (world.folder / "state").rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes()
    assert not re.search(r"ya29\.|BEGIN PRIVATE", text)
