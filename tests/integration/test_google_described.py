"""What byok sends to Google's Cloud APIs, and what the simulator answers, by the descriptions."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

from tests.contract.contract import apply, plan
from tests.contract.issuer_contract import made_by, opened, order, revoke, secrets
from tests.contract.test_google import TestGoogle as World
from tests.simulators.google import Google
from tests.simulators.server import Request, serving
from tests.specs import spec
from tests.unit.test_issuer_google import Rig

APIS = {
    "apikeys": "google-discovery-apikeys.v2.json",
    "billingbudgets": "google-discovery-billingbudgets.v1.json",
    "serviceusage": "google-discovery-serviceusage.v1beta1.json",
}

pytestmark = pytest.mark.integration


def methods(resources):
    """Yield every method of a discovery document, however deep."""
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from methods(resource.get("resources", {}))


class Described:
    """One API as its discovery document has it: a path, parameters and bodies are held to it."""

    def __init__(self, document):
        self.schemas, self.common = document["schemas"], document.get("parameters", {})
        self.methods = list(methods(document["resources"]))

    def method(self, request: Request, path: str):
        for method in self.methods:
            pattern = re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(method["flatPath"]))
            if method["httpMethod"] == request.method and re.fullmatch(pattern, path):
                return method
        raise AssertionError(f"{request.method} {path} is not described")

    def hold(self, request: Request, path: str, response) -> str:
        """Check one exchange; return the method's id."""
        method = self.method(request, path)
        for name, values in request.query.items():
            parameter = {**self.common, **method["parameters"]}[name]
            assert parameter["location"] == "query"
            assert len(values) == 1 or parameter.get("repeated"), name
            for value in values:
                self.parameter(parameter, value)
        for name, parameter in method["parameters"].items():
            if parameter.get("required") and parameter["location"] == "query":
                assert name in request.query
        if "request" in method:
            self.body(request.json, method["request"], "request", reading=False)
        else:
            assert not request.body
        if response.status == 200:
            self.body(response.body, method["response"], "response", reading=True)
        return method["id"]

    @staticmethod
    def parameter(parameter, value):
        match parameter["type"]:
            case "integer":
                assert value.isdecimal()
            case "boolean":
                assert value in ("true", "false")
        assert value in parameter.get("enum", [value])
        if parameter.get("format") == "google-fieldmask":
            assert re.fullmatch(r"[a-zA-Z]+(\.[a-zA-Z]+)*(,[a-zA-Z]+(\.[a-zA-Z]+)*)*", value)

    def body(self, value, schema, path, *, reading):
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"]]
        match schema["type"]:
            case "object":
                assert isinstance(value, dict), path
                self.object(value, schema, path, reading=reading)
            case "array":
                assert isinstance(value, list), path
                for item in value:
                    self.body(item, schema["items"], f"{path}[]", reading=reading)
            case "string":
                assert isinstance(value, str), path
                assert value in schema.get("enum", [value]), path
                if schema.get("format") == "int64":
                    int(value)
                if schema.get("format") == "google-datetime":
                    datetime.fromisoformat(value)
            case "boolean":
                assert isinstance(value, bool), path
            case "integer":
                assert isinstance(value, int), path
                assert not isinstance(value, bool), path
            case "number":
                assert isinstance(value, int | float), path
            case "any":
                pass
            case other:
                raise AssertionError(f"{path}: {other}")

    def object(self, value, schema, path, *, reading):
        named, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, part in value.items():
            assert name in named or more is not None, f"{path}.{name} is not described"
            inner = named.get(name, more)
            assert reading or not inner.get("readOnly"), f"{path}.{name} is read only"
            self.body(part, inner, f"{path}.{name}", reading=reading)


@pytest.fixture
def heard(monkeypatch):
    """Keep all that goes over the wire, with its answers."""
    kept = []

    def recorded(self, request):
        response = respond(self, request)
        kept.append((request, response))
        return response

    respond = Google.respond
    monkeypatch.setattr(Google, "respond", recorded)
    return kept


@pytest.fixture
def exchanges(tmp_path, heard):
    """Live through a team's two manifests and the removal of all; return what went over the wire.

    A cap is reached on the way, raised, and taken away.
    """
    world, simulators = World(), []
    world.simulators, world.numbers = simulators, iter(range(9))
    with serving(simulators) as world.base:
        rig = world.make(tmp_path)
        rig.simulator.keys.polls = 1
        for which in ("first", "second", "first"):
            rig.wish(which)
            apply(rig)
            assert plan(rig).changes == ()
            rig.simulator.billing.enforce() if which == "second" else None
        rig.wish("none")
        apply(rig, allow_many=True)
    return heard


def described(exchanges):
    """Hold each exchange with a described API to its description; return the methods' names."""
    apis = {name: Described(json.loads(spec(file).read_text())) for name, file in APIS.items()}
    seen = set()
    for request, response in exchanges:
        api, _, path = request.path.removeprefix("/cloud/").partition("/")
        if request.path.startswith("/cloud/") and api in apis:
            seen.add(apis[api].hold(request, path, response))
    return {name.partition(".")[2] for name in seen}


def test_every_exchange_is_as_described(exchanges):
    assert described(exchanges) == {
        "projects.locations.keys.list",
        "projects.locations.keys.getKeyString",
        "projects.locations.keys.patch",
        "operations.get",
        "billingAccounts.budgets.list",
        "billingAccounts.budgets.get",
        "billingAccounts.budgets.create",
        "billingAccounts.budgets.patch",
        "billingAccounts.budgets.delete",
        "services.get",
    }


def test_keys_are_made_and_deleted_as_described(tmp_path, heard):
    simulator = Google()
    simulator.keys.polls = 1
    with serving([simulator]) as base:
        rig = Rig(tmp_path, simulator, f"{base}/google")
        rig.write()
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            made = made_by(issuer, order(issuer, old=old))
            revoke(issuer, old)
            assert issuer.identify(made.values) == made.id
    assert described(heard) == {
        "projects.locations.keys.create",
        "projects.locations.keys.delete",
        "projects.locations.keys.get",
        "projects.locations.keys.list",
        "projects.locations.keys.getKeyString",
        "operations.get",
    }


def test_the_descriptions_hold_something():
    """A body that is wrong in one place is found out."""
    api = Described(json.loads(spec(APIS["billingbudgets"]).read_text()))
    for flaw in (
        {"displayname": "x"},
        {"displayName": 7},
        {"spendCap": {"inputState": "ON"}},
        {"spendCap": {"outputState": "CONFIGURED"}},
        {"thresholdRules": {"thresholdPercent": 0.5}},
        {"amount": {"specifiedAmount": {"units": 5}}},
        {"name": "billingAccounts/a/budgets/b"},
    ):
        with pytest.raises(AssertionError):
            api.body(flaw, {"$ref": "GoogleCloudBillingBudgetsV1Budget"}, "request", reading=False)
    with pytest.raises(AssertionError, match="not described"):
        api.method(Request("PUT", "", {}, {}), "v1/billingAccounts/a/budgets/b")
