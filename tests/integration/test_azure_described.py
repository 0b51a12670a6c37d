"""Our requests to Azure, and our simulator's answers, against Microsoft's own example payloads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.engine import apply_plan
from reconciler.model import Scope
from reconciler.session import writing
from tests.simulators.azure import Azure
from tests.simulators.server import Request, serve
from tests.specs import spec
from tests.unit.accounts import options, write_manifest

pytestmark = pytest.mark.integration

FREE = ("notifications", "tags")
"""Objects whose keys are whatever their owner calls them."""


@pytest.fixture
def examples():
    found = json.loads(spec("azure-arm-examples.json").read_text(encoding="utf-8"))
    return {name.split(" ")[0]: example for name, example in found.items() if name != "_note"}


def foreign(data: Any, example: Any, at: str = "") -> Iterator[str]:
    """Yield each key that an example does not have, and each value of another type."""
    match data, example:
        case dict(), dict():
            named = at.rpartition("/")[2] in FREE and example
            model = next(iter(example.values())) if named else None
            for name, value in data.items():
                if model is None and name not in example:
                    yield f"{at}/{name}"
                else:
                    yield from foreign(value, model or example[name], f"{at}/{name}")
        case list(), list():
            for value in data:
                yield from foreign(value, example[0], f"{at}/0")
        case ((int() | float()), (int() | float())):
            return
        case _ if type(data) is not type(example):
            yield f"{at}: {type(data).__name__}, not {type(example).__name__}"


def lacking(data: Any, example: Any, at: str = "") -> Iterator[str]:
    """Yield each key that an example has and the data lacks."""
    if not isinstance(example, dict) or at.rpartition("/")[2] in FREE:
        return
    for name, value in example.items():
        if name not in data:
            yield f"{at}/{name}"
        else:
            yield from lacking(data[name], value, f"{at}/{name}")


@pytest.fixture
def applied(tmp_path):
    """A simulator to which one manifest was applied twice, with what each step sent."""
    sim = Azure()
    alert = {"provider": "azure", "monthly_usd": 100.65, "alert_at": [80]}
    with serve(sim) as base:
        for capacity, mail in ((1, "a@contoso.com"), (2, "b@contoso.com")):
            azure = {
                "key": "file://keys/key",
                "endpoint": base,
                "deployment": "ada",
                "subscription": sim.subscription,
                "resource_group": sim.group_name,
                "account": sim.account["name"],
                "tenant": sim.tenant,
                "client_id": sim.client_id,
                "admin_key": "file://keys/admin",
                "api_base": base,
                "login_base": base,
                "deployments": {"ada": {"model": "gpt-4o", "capacity": capacity}},
                "network": {"ip_rules": [f"203.0.113.{capacity}"]},
            }
            data = {
                "providers": {"azure": azure},
                "budgets": {"cursor": {**alert, "notify": [mail]}},
            }
            write_manifest(tmp_path, data, {"key": sim.keys["key1"], "admin": sim.client_secret})
            with writing(options(tmp_path, base), "apply") as session:
                assert apply_plan(session, Scope(("azure",)), lambda _: True)[1].failed == ()
    return sim


def sent(sim: Azure, method: str, part: str) -> list[Any]:
    return [r.json for r in sim.writes() if r.method == method and part in r.path]


def ask(sim: Azure, method: str, path: str, body: Any = None, version: str = "2025-09-01") -> Any:
    sim.tokens.add("t")
    data = json.dumps(body).encode() if body is not None else b""
    head = {"authorization": "Bearer t", "host": "127.0.0.1"}
    return sim.answer(Request(method, path, {"api-version": [version]}, head, data))


def test_what_we_send_of_a_budget_has_the_examples_form(applied, examples):
    example = examples["Budgets_CreateOrUpdate"]["parameters"]
    bodies = sent(applied, "PUT", "/budgets/")
    assert len(bodies) == 2
    assert [body for body in bodies if list(foreign(body, example["parameters"]))] == []
    assert "eTag" in bodies[1]
    versions = {r.one("api-version") for r in applied.log if "/budgets" in r.path}
    assert versions == {example["api-version"]}


def test_what_we_send_of_a_deployment_has_the_examples_form(applied, examples):
    example = examples["Deployments_CreateOrUpdate"]["parameters"]["deployment"]
    (put,), (patch,) = (sent(applied, method, "/deployments/") for method in ("PUT", "PATCH"))
    described = {**example, "tags": {"any": "text"}}  # Deployment.tags: in the SDK's models
    assert list(foreign(put, described)) == []
    assert list(foreign(patch, described)) == []


def test_a_simulated_budget_has_the_examples_form(applied, examples):
    path = f"{applied.group}/providers/Microsoft.Consumption/budgets/cursor"
    example = examples["Budgets_CreateOrUpdate"]["responses"]["200/201"]["body"]
    body = ask(applied, "GET", path, version="2026-06-01").body
    assert list(foreign(body, example)) == []
    assert list(lacking(body, example)) == []


def test_the_simulator_takes_the_example_of_a_budget(applied, examples):
    example = examples["Budgets_CreateOrUpdate"]["parameters"]
    applied.add_budget("TestBudget", 5)
    held = applied.budgets[applied.group]["TestBudget"]
    path = f"{applied.group}/providers/Microsoft.Consumption/budgets/TestBudget"
    body = {**example["parameters"], "eTag": held["eTag"]}
    assert ask(applied, "PUT", path, body, example["api-version"]).status == 200
    assert ask(applied, "PUT", path, body, example["api-version"]).status == 409


def test_a_simulated_deployment_has_the_examples_form(applied, examples):
    described = examples["Deployments_CreateOrUpdate"]
    example = described["responses"]["200"]["body"]
    body = dict(described["parameters"]["deployment"])
    body["properties"] |= {"model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}}
    path = f"{applied.id}/deployments/deploymentName"
    applied.polls = 1
    first = ask(applied, "PUT", path, body)
    accepted = described["responses"]["201"]["body"]["properties"]["provisioningState"]
    assert (first.status, first.body["properties"]["provisioningState"]) == (201, accepted)
    made = ask(applied, "GET", path).body
    assert list(lacking(made, example)) == []
    ours = {"etag": "", "tags": {"a": ""}}
    extra = {
        "versionUpgradeOption": "",
        "raiPolicyName": "",
        "rateLimits": [{}],
        "capabilities": {},
    }
    whole = {**example, **ours, "properties": {**example["properties"], **extra}}
    whole["properties"]["rateLimits"] = made["properties"]["rateLimits"]
    whole["properties"]["capabilities"] = made["properties"]["capabilities"]
    assert list(foreign(made, whole)) == []


def test_simulated_keys_and_account_have_the_examples_form(applied, examples):
    keys = ask(applied, "POST", f"{applied.id}/listKeys").body
    example = examples["Accounts_ListKeys"]["responses"]["200"]["body"]
    assert [*foreign(keys, example), *lacking(keys, example)] == []
    listed = examples["Accounts_ListByResourceGroup"]["responses"]["200"]["body"]["value"][0]
    before = dict(applied.keys)
    new = ask(applied, "POST", f"{applied.id}/regenerateKey", {"keyName": "Key2"}).body
    assert [*foreign(new, example), *lacking(new, example)] == []
    assert (new["key1"], new["key2"]) == (before["key1"], applied.keys["key2"])
    account = ask(applied, "GET", applied.id).body
    assert list(lacking(account, listed)) == []
    shared = {name: account[name] for name in listed if name != "properties"}
    assert list(foreign(shared, listed)) == []
