"""OpenAI's own truth: its description served by Prism, its schemas, and its SDK."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
from jsonschema import Draft202012Validator

from reconciler.accounts import open_issuer
from reconciler.engine import apply_plan
from reconciler.model import Scope
from reconciler.money import Money
from reconciler.secrets import Secret
from reconciler.session import reading, writing
from reconciler.systems.account import Order, Trial
from tests.contract.issuer_contract import setting_of
from tests.prism import prism
from tests.simulators.openai import ADMIN_KEY, KEY, OpenAI
from tests.simulators.server import Request, serve
from tests.specs import spec
from tests.unit.accounts import options, write_manifest

pytestmark = pytest.mark.integration

DESCRIPTION = "openai-admin-subset-2026-08-21.json"
PROJECT = "cursor-byok"
ISSUED = "byok-acme-0123abcd"
INFERENCE = "/chat/completions"
BUDGET = {
    "provider": "openai",
    "enforce": "hard",
    "alert_at": [50, 80],
    "notify": ["a@acme.example"],
}


class Recording(OpenAI):
    """Keeps what it answered, beside what it was asked."""

    def __init__(self):
        super().__init__()
        self.page = 2
        self.said = []

    def answer(self, request):
        done = super().answer(request)
        self.said.append((request, done))
        return done


def manifest(folder, base, **changes):
    account = {
        "key": "file://keys/openai",
        "admin_key": "file://keys/openai-admin",
        "api_base": base,
        "project": PROJECT,
        "allow_models": ["gpt-4o"],
        "rate_limits": {"gpt-4o": {"requests_per_minute": 300, "tokens_per_minute": 40_000}},
        **changes,
    }
    document = {
        "providers": {"openai": account},
        "models": {"gpt-4o": {"provider": "openai"}},
        "budgets": {
            "monthly": {**BUDGET, "monthly_usd": 500},
            "all": {**BUDGET, "monthly_usd": 2000, "scope": "organization"},
        },
    }
    write_manifest(folder, document, {"openai": KEY, "openai-admin": ADMIN_KEY})


def run(folder, base, *, removing=False):
    chosen = replace(
        options(folder, base, probes=frozenset({"generate"})),
        allow_irreversible=True,
        allow_many=True,
    )
    with writing(chosen, "apply") as session:
        return apply_plan(session, Scope(("openai",)), lambda _: True, removing=removing)[1]


def issue(folder, base):
    """Make a key and revoke it; revoke a person's key, too."""
    with writing(options(folder, base), "rotate") as session:
        issuer = open_issuer(setting_of(session, "openai", judged=True))
        made = issuer.make(Order(ISSUED))
        assert issuer.attempt(made.values) is Trial.ALIVE
        assert issuer.orphans(Order(ISSUED)) == (made.id,)
        issuer.revoke(made.id)
        assert issuer.attempt(made.values) is Trial.DEAD
        issuer.revoke(next(key.id for key in issuer.listed() if key.name == "bob"))


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    """Every request a team's year makes: made, changed, removed, archived; with all answers."""
    folder, simulator = tmp_path_factory.mktemp("journey"), Recording()
    for number in range(3):
        simulator.make_service_account(simulator.project("Default project"), f"bot {number}")
    with serve(simulator) as base:
        manifest(folder, base)
        assert run(folder, base).failed == ()
        simulator.make_key(simulator.project(PROJECT), "ada", KEY)
        simulator.make_key(simulator.project(PROJECT), "bob", "sk-proj-" + "b0b" * 12)
        simulator.make_service_account(simulator.project(PROJECT), "bot")
        manifest(folder, base, allow_models=["o1"], rate_limits={})
        assert run(folder, base).failed == ()
        manifest(folder, base)
        assert run(folder, base).applied
        issue(folder, base)
        assert run(folder, base, removing=True).failed == ()
    assert {p["status"] for p in simulator.projects.values()} == {"active", "archived"}
    return simulator.said


@pytest.fixture(scope="module")
def described():
    return json.loads(spec(DESCRIPTION).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def served():
    with prism(spec(DESCRIPTION)) as base:
        yield base


def replay(base, request):
    query = urlencode(request.query, doseq=True)
    return httpx.request(
        request.method,
        f"{base}{request.path}" + (f"?{query}" if query else ""),
        content=request.body or None,
        headers={
            "authorization": request.headers["authorization"],
            **({"content-type": request.headers["content-type"]} if request.body else {}),
        },
    )


def test_every_request_fits_the_description(journey, served):
    asked = {
        (r.method, r.path, urlencode(r.query, doseq=True), r.body): r
        for r, _ in journey
        if r.path != INFERENCE
    }
    assert {method for method, *_ in asked} == {"GET", "POST", "DELETE"}
    assert any("archive" in path for _, path, *_ in asked)
    for key, request in asked.items():
        assert replay(served, request).status_code == 200, key


BAD = [
    ("POST", "", {}),
    ("POST", "", {"name": 7}),
    ("POST", "/{id}/model_permissions", {"mode": "some_list", "model_ids": []}),
    ("POST", "/{id}/model_permissions", {"mode": "allow_list"}),
    ("POST", "/{id}/model_permissions", {"mode": "allow_list", "model_ids": [1]}),
    ("POST", "/{id}/rate_limits/rl-gpt-4o", {"max_requests_per_1_minute": "9"}),
    ("POST", "/{id}/spend_limit", {"threshold_amount": 0, "currency": "USD", "interval": "month"}),
    ("POST", "/{id}/spend_limit", {"threshold_amount": 5, "currency": "EUR", "interval": "month"}),
    ("POST", "/{id}/spend_limit", {"threshold_amount": 5, "currency": "USD", "interval": "day"}),
    (
        "POST",
        "/{id}/spend_limit",
        {"threshold_amount": 5.5, "currency": "USD", "interval": "month"},
    ),
    ("POST", "/{id}/spend_alerts", {"threshold_amount": 5, "currency": "USD", "interval": "month"}),
    ("GET", "/{id}/api_keys?owner_project_access=some", None),
    ("POST", "/{id}/service_accounts", {}),
    ("POST", "/{id}/service_accounts", {"name": 7}),
]


@pytest.mark.parametrize("method, path, body", BAD)
def test_the_simulator_is_not_kinder_than_the_description(method, path, body, served):
    simulator = OpenAI()
    url = "/organization/projects" + path.format(id=simulator.project("Default project"))
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with serve(simulator) as base:
        there = [httpx.request(method, b + url, json=body, headers=headers) for b in (base, served)]
    assert [answer.status_code // 100 for answer in there] == [4, 4]


def test_every_answer_of_the_simulator_fits_its_schema(journey, described):
    schema = strict(described)
    seen = set()
    for request, answer in journey:
        if request.path == INFERENCE or answer.status != 200:
            continue
        name = operation(described, request)
        seen.add((request.method, name))
        found = described["paths"][name][request.method.lower()]["responses"]["200"]
        (content,) = found["content"].values()
        whole = {"components": schema["components"], **strict(content["schema"])}
        errors = [e.message for e in Draft202012Validator(whole).iter_errors(answer.body)]
        assert errors == [], (request.method, request.path)
    assert len(seen) > 20


def test_every_error_of_the_simulator_is_of_the_described_form(journey, described):
    simulator = OpenAI()
    wrong = {"authorization": "Bearer sk-" + "nobody's"}
    refused = [answer.body for _, answer in journey if answer.status >= 400]
    refused.append(simulator.answer(Request("GET", "/models", {}, wrong)).body)
    whole = {"components": described["components"], "$ref": "#/components/schemas/ErrorResponse"}
    for body in refused:
        assert list(Draft202012Validator(whole).iter_errors(body)) == []
    assert len(refused) > 3


def operation(described, request):
    """Find the path of a description that a request meets, the one with fewest variables."""
    parts = request.path.split("/")
    fitting = [
        path
        for path in described["paths"]
        if len(path.split("/")) == len(parts)
        and all(a == b or a.startswith("{") for a, b in zip(path.split("/"), parts, strict=True))
    ]
    return min(fitting, key=lambda path: path.count("{"))


def strict(part):
    """Refuse, in every object of a description, what it does not describe."""
    match part:
        case {"type": "object", "properties": dict()}:
            closed = {name: strict(value) for name, value in part.items()}
            return {"additionalProperties": False, **closed}
        case dict():
            return {name: strict(value) for name, value in part.items()}
        case list():
            return [strict(each) for each in part]
        case _:
            return part


def sdk(base):
    from openai import OpenAI as Sdk

    return Sdk(api_key=KEY, admin_api_key=ADMIN_KEY, base_url=base, max_retries=0)


@pytest.fixture
def world():
    simulator = Recording()
    id_ = simulator.make_project(PROJECT)
    for number in range(3):
        simulator.make_project(f"other {number}")
        simulator.make_key(id_, f"key {number}", f"sk-proj-{number}" * 4)
    simulator.models["gpt-3.5-turbo"] = "2026-01-05"
    simulator.permissions[id_] = {
        "object": "project.model_permissions",
        "mode": "deny_list",
        "model_ids": ["o1", "gpt-4.1"],
    }
    simulator.limit(id_, 12_345, "enforcing")
    simulator.limit("", 99_900)
    simulator.alert(id_, 5_000, ["a@acme.example"], "[byok:acme monthly/50]")
    simulator.costs[id_] = 12.34
    return simulator


def test_the_real_sdk_reads_what_we_read(world, tmp_path):
    with serve(world) as base:
        manifest(tmp_path, base)
        with reading(options(tmp_path, base)) as session:
            actual = session.account("openai", judged=True).actual()
        ours = {f"{a.kind}/{a.name}": attrs for a, attrs in actual.resources.items()}
        said = {str(seen.address): seen.text for seen in actual.observations}
        client = sdk(base)
        of = client.admin.organization.projects
        projects = {p.name: p.id for p in of.list()}
        assert {n.removeprefix("project/") for n in ours if n.startswith("project/")} == set(
            projects
        )
        limit = of.spend_limit.retrieve(projects[PROJECT])
        amount = str(Money.of_minor(limit.threshold_amount, limit.currency))
        assert ours[f"spend-limit/{PROJECT}"] == {"amount": amount}
        assert limit.enforcement.status == "enforcing"
        assert any(finding.code == "BYOK134" for finding in actual.diagnostics)
        policy = of.model_permissions.retrieve(projects[PROJECT])
        denied = {f"denied {model}": True for model in policy.api_model_ids}
        assert ours[f"model-permissions/{PROJECT}"] == {"mode": policy.mode, **denied}
        (alert,) = of.spend_alerts.list(projects[PROJECT])
        assert ours[f"spend-alert/{PROJECT}/monthly/50"] == {
            "amount": str(Money.of_minor(alert.threshold_amount, alert.currency)),
            **{f"notify {to}": True for to in alert.notification_channel.recipients},
        }
        for row in of.rate_limits.list_rate_limits(projects[PROJECT]):
            attrs = ours[f"rate-limit/{PROJECT}/{row.model}"]
            assert attrs["requests_per_minute"] == row.max_requests_per_1_minute
            assert attrs["batch_input_tokens_per_day"] == row.batch_1_day_max_input_tokens
        keys = [key.name for key in of.api_keys.list(projects[PROJECT], owner_project_access="any")]
        assert {n for n in keys if f"openai/key/{n}" in said} == set(keys)
        models = client.models.list().data
        assert said["openai/key/openai"].startswith(f"alive; it may use {len(models)} models")


def test_the_real_sdk_asks_for_costs_as_we_do(world, tmp_path):
    id_ = world.project(PROJECT)
    with serve(world) as base:
        manifest(tmp_path, base)
        with reading(options(tmp_path, base)) as session:
            actual = session.account("openai", judged=True).actual()
        (ours,) = [r for r, _ in world.said if r.path == "/organization/costs"]
        sdk(base).admin.organization.usage.costs(
            start_time=int(ours.one("start_time")),
            limit=int(ours.one("limit")),
            project_ids=[id_],
            group_by=["project_id"],
        )
        theirs = [r for r, _ in world.said if r.path == "/organization/costs"][-1]
    assert ours.query == theirs.query
    assert any(seen.text.startswith("12.34 USD this month") for seen in actual.observations)


def test_what_the_real_sdk_writes_is_in_sync_for_us(world, tmp_path):
    id_ = world.project(PROJECT)
    world.alerts[id_].clear()
    with serve(world) as base:
        manifest(tmp_path, base)
        of = sdk(base).admin.organization
        terms = {"currency": "USD", "interval": "month"}
        of.projects.spend_limit.update(id_, threshold_amount=50_000, **terms)
        of.spend_limit.update(threshold_amount=200_000, **terms)
        of.projects.model_permissions.update(id_, mode="allow_list", model_ids=["gpt-4o"])
        of.projects.rate_limits.update_rate_limit(
            "rl-gpt-4o",
            project_id=id_,
            max_requests_per_1_minute=300,
            max_tokens_per_1_minute=40_000,
        )
        for mark, cents in (("monthly/50", 25_000), ("monthly/80", 40_000)):
            of.projects.spend_alerts.create(id_, threshold_amount=cents, **terms, **told(mark))
        for mark, cents in (("all/50", 100_000), ("all/80", 160_000)):
            of.spend_alerts.create(threshold_amount=cents, **terms, **told(mark))
        assert run(tmp_path, base).applied == ()


def test_the_real_sdk_makes_and_deletes_keys_as_we_do(world, tmp_path):
    id_ = world.project(PROJECT)
    with serve(world) as base:
        manifest(tmp_path, base)
        with writing(options(tmp_path, base), "rotate") as session:
            issuer = open_issuer(setting_of(session, "openai", judged=True))
            issuer.revoke(issuer.make(Order(ISSUED)).id)
            ours = [(r.method, r.path, r.json) for r in world.writes()]
            of = sdk(base).admin.organization.projects
            made = of.service_accounts.create(id_, name=ISSUED)
            (found,) = issuer.orphans(Order(ISSUED))
            assert found == f"{made.id}/{made.api_key.id}"
            assert issuer.identify({"key": Secret(made.api_key.value)}) == found
            of.service_accounts.delete(made.id, project_id=id_)
            assert issuer.orphans(Order(ISSUED)) == ()
        theirs = [(r.method, r.path, r.json) for r in world.writes()][len(ours) :]
    assert ours[0] == theirs[0]
    assert [each[0] for each in ours] == [each[0] for each in theirs] == ["POST", "DELETE"]
    assert all(
        each[1].rpartition("/")[0].endswith("/service_accounts") for each in (ours[1], theirs[1])
    )


def told(mark):
    channel = {"type": "email", "recipients": ["a@acme.example"]}
    return {"notification_channel": {**channel, "subject_prefix": f"[byok:acme {mark}]"}}
