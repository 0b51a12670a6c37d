"""OpenRouter's and LiteLLM's own descriptions, served by Prism: each request we make fits them."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator

from reconciler.accounts import open_issuer
from reconciler.engine import apply_plan
from reconciler.model import Scope
from reconciler.money import Money
from reconciler.session import writing
from reconciler.systems.account import Order, Trial
from tests.contract import test_endpoint_litellm as litellm, test_endpoint_openrouter as openrouter
from tests.contract.issuer_contract import setting_of
from tests.prism import prism
from tests.simulators.endpoints import LiteLLM, OpenRouter
from tests.simulators.server import serve
from tests.specs import spec
from tests.unit.accounts import options, write_manifest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

OPENROUTER = "openrouter-openapi-2026-08-22.yaml"
MADE = "GenerateKeyResponse"
ISSUED = "byok-acme-0123abcd"
LITELLM = "litellm-proxy-openapi-1.106.2.json"


def issue(chosen):
    """Make a key in another's place, with a limit of its own, and revoke it."""
    with writing(chosen, "rotate") as session:
        issuer = open_issuer(setting_of(session, "gw", judged=True))
        old = next((key.id for key in issuer.listed()), "")
        made = issuer.make(Order(ISSUED, old=old, limit=Money.of("12.5")))
        assert issuer.identify(made.values) == made.id
        assert issuer.attempt(made.values) is Trial.ALIVE
        issuer.revoke(made.id)
        assert issuer.attempt(made.values) is Trial.DEAD
        issuer.revoke(made.id)


def recorded(simulator, folder, entry, wishes, keys):
    """Apply wishes one after another, take all back; return each request with its answer."""
    said, answer = [], simulator.answer

    def told(request):
        done = answer(request)
        said.append((request, done))
        return done

    simulator.answer = told
    with serve(simulator) as base:
        for number, (fields, budgets, models) in enumerate(wishes, 1):
            data = {
                "endpoints": {"gw": {**entry(base), **fields}},
                "budgets": {n: {**b, "endpoint": "gw"} for n, b in budgets.items()},
                "models": {name: {"endpoint": "gw"} for name in models},
            }
            write_manifest(folder, data, keys)
            asked = options(folder, base, probes=frozenset({"generate"}))
            lifted = replace(asked, allow_irreversible=True, allow_many=True)
            for removing in (False, True)[: 1 + (number == len(wishes))]:
                if removing:
                    issue(asked)
                with writing(lifted, "apply") as session:
                    done = apply_plan(session, Scope(("gw",)), lambda _: True, removing=removing)
                    assert done[1].failed == ()
    return said


@pytest.fixture(scope="module")
def router_journey(tmp_path_factory):
    world = OpenRouter(openrouter.KEY, openrouter.ADMIN)
    for name in ("shared", "idle"):
        world.add_key(name, f"sk-or-v1-{name}")
        world.add_key(name, f"sk-or-v1-{name}-in-lab", workspace="lab")
    world.add_key("capped", "sk-or-v1-capped", limit=10, limit_reset="monthly")
    hard = {"m": {"monthly_usd": 500, "enforce": "hard"}}
    lab = {"workspace": "lab", "guardrails": {"g": {"allow_models": ["openai/gpt-5.2"]}}}
    return recorded(
        world,
        tmp_path_factory.mktemp("router"),
        lambda base: {
            "type": "openrouter",
            "base_url": base,
            "key": "file://keys/key",
            "admin_key": "file://keys/admin",
        },
        [
            (openrouter.FIRST, hard, ["openai/gpt-5.2"]),
            (openrouter.SECOND, hard, []),
            ({"guardrails": {"cursor": {"keys": ["shared"]}}}, {}, []),
            (lab, {}, []),
        ],
        {"key": openrouter.KEY, "admin": openrouter.ADMIN},
    )


@pytest.fixture(scope="module")
def proxy_journey(tmp_path_factory):
    world = LiteLLM(litellm.KEY, litellm.MASTER)
    for alias in ("ci", "lab"):
        world.add_key(alias, f"sk-{alias}-is-a-key")
    world.add_key("capped", "sk-capped-is-a-key", max_budget=10.0)
    return recorded(
        world,
        tmp_path_factory.mktemp("proxy"),
        lambda base: {
            "type": "litellm",
            "base_url": f"{base}/v1",
            "key": "file://keys/key",
            "admin_key": "file://keys/admin",
        },
        [
            (litellm.FIRST, litellm.BUDGETS["first"], ["acme-coder"]),
            (litellm.SECOND, litellm.BUDGETS["second"], []),
            ({"team": litellm.FIRST["team"]}, {}, []),
        ],
        {"key": litellm.KEY, "admin": litellm.MASTER},
    )


@pytest.fixture(scope="module")
def openrouter_described():
    return yaml.load(spec(OPENROUTER).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


@pytest.fixture(scope="module")
def openrouter_served():
    with prism(spec(OPENROUTER)) as base:
        yield base


@pytest.fixture(scope="module")
def litellm_served():
    with prism(spec(LITELLM)) as base:
        yield base


def unlike(said):
    """Return the requests that differ in more than their credential."""
    return {(r.method, r.path, urlencode(r.query, doseq=True), r.body): r for r, _ in said}.values()


def replay(base, request):
    """Send a request again. LiteLLM's description knows its own header only, for all keys."""
    query = urlencode(request.query, doseq=True)
    bearer = request.headers.get("authorization") or request.headers.get("x-litellm-api-key")
    return httpx.request(
        request.method,
        f"{base}{request.path}" + (f"?{query}" if query else ""),
        content=request.body or None,
        headers={
            "accept": "application/json",
            **({"authorization": bearer, "x-litellm-api-key": bearer} if bearer else {}),
            **({"content-type": request.headers["content-type"]} if request.body else {}),
        },
        timeout=60,
    )


def faults(answer):
    """Return what is wrong with a request; that an example breaks its own schema is none of it."""
    if answer.status_code in (200, 201):
        return []
    found = answer.json().get("validation", [{"status": answer.status_code}])
    return [each for each in found if each.get("location", [""])[0] != "response"]


def test_every_request_to_openrouter_fits(router_journey, openrouter_served):
    asked = unlike(router_journey)
    assert {r.method for r in asked} == {"GET", "POST", "PATCH", "DELETE"}
    assert any((r.method, r.path) == ("POST", "/keys") for r in asked)
    assert any(r.path.endswith("/assignments/keys/remove") for r in asked)
    assert any(r.path == "/chat/completions" for r in asked)
    for request in asked:
        assert faults(replay(openrouter_served, request)) == [], (request.method, request.path)


def test_every_request_to_litellm_fits(proxy_journey, litellm_served):
    asked = unlike(proxy_journey)
    posted = {r.path for r in asked if r.method == "POST"}
    assert {"/team/new", "/team/update", "/team/delete", "/key/update"} <= posted
    assert {"/key/generate", "/key/delete"} <= posted
    for request in asked:
        assert faults(replay(litellm_served, request)) == [], (request.method, request.path)


ROUTER_BAD = [
    ("PATCH", "/keys/{key}", {"limit": "fifty"}),
    ("PATCH", "/keys/{key}", {"limit_reset": "yearly"}),
    ("PATCH", "/keys/{key}", {"disabled": "yes"}),
    ("PATCH", "/keys/{key}", {"include_byok_in_limit": None}),
    ("POST", "/keys", {}),
    ("POST", "/keys", {"name": ""}),
    ("POST", "/keys", {"name": "k", "limit": "fifty"}),
    ("POST", "/keys", {"name": "k", "limit_reset": "yearly"}),
    ("POST", "/keys", {"name": "k", "workspace_id": "lab"}),
    ("POST", "/guardrails", {}),
    ("POST", "/guardrails", {"name": "g", "limit_usd": "5", "reset_interval": "daily"}),
    ("POST", "/guardrails", {"name": "g", "limit_usd": 5, "reset_interval": "hourly"}),
    ("POST", "/guardrails", {"name": "g", "allowed_models": []}),
    ("PATCH", "/guardrails/{rail}", {"allowed_models": "all"}),
    ("POST", "/guardrails/{rail}/assignments/keys", {"key_hashes": []}),
    ("POST", "/guardrails/{rail}/assignments/keys", {}),
    ("GET", "/guardrails?limit=101", None),
    ("GET", "/keys?workspace_id=lab", None),
]

PROXY_BAD = [
    ("POST", "/team/update", {"team_alias": "t"}),
    ("POST", "/team/update", {"team_id": "t", "max_budget": "lots"}),
    ("POST", "/team/update", {"team_id": "t", "metadata": []}),
    ("POST", "/team/update", {"team_id": "t", "models": "all"}),
    ("POST", "/team/new", {"tpm_limit": "many"}),
    ("POST", "/team/delete", {}),
    ("POST", "/team/delete", {"team_ids": "t"}),
    ("POST", "/key/update", {"key": "k", "blocked": []}),
    ("POST", "/key/update", {"key": "k", "rpm_limit": "9"}),
    ("POST", "/key/generate", {"max_budget": "lots"}),
    ("POST", "/key/generate", {"models": "all"}),
    ("POST", "/key/generate", {"key_alias": 7}),
    ("POST", "/key/delete", {"keys": "k"}),
    ("GET", "/key/list?size=101", None),
    ("GET", "/key/list?page=0", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTER_BAD)
def test_the_simulator_is_not_kinder_than_openrouter(method, path, body, openrouter_served):
    world = OpenRouter(openrouter.KEY, openrouter.ADMIN)
    where = path.format(key=world.keys[0]["hash"], rail=world.add_rail("g")["id"])
    headers = {"authorization": f"Bearer {openrouter.ADMIN}"}
    with serve(world) as base:
        there = [
            httpx.request(method, each + where, json=body, headers=headers)
            for each in (base, openrouter_served)
        ]
    assert [answer.status_code // 100 for answer in there] == [4, 4]


@pytest.mark.parametrize(("method", "path", "body"), PROXY_BAD)
def test_the_simulator_is_not_kinder_than_litellm(method, path, body, litellm_served):
    headers = {"x-litellm-api-key": f"Bearer {litellm.MASTER}"}
    with serve(LiteLLM(litellm.KEY, litellm.MASTER)) as base:
        there = [
            httpx.request(method, each + path, json=body, headers=headers, timeout=60)
            for each in (base, litellm_served)
        ]
    assert [answer.status_code for answer in there] == [422, 422]


def test_every_answer_of_the_simulated_openrouter_fits_its_schema(
    router_journey, openrouter_described
):
    seen = set()
    for request, answer in router_journey:
        name = operation(openrouter_described, request)
        found = openrouter_described["paths"][name][request.method.lower()]["responses"]
        schema = found[str(answer.status)]["content"]["application/json"]["schema"]
        if name.startswith("/models") or name == "/chat/completions":
            continue  # of models only the fields that byok reads are simulated
        seen.add((request.method, name))
        whole = {"components": openrouter_described["components"], **schema}
        errors = [e.message for e in Draft202012Validator(whole).iter_errors(answer.body)]
        assert errors == [], (request.method, request.path)
    assert len(seen) >= 12


def test_the_keys_of_the_simulated_proxy_fit_their_schemas(proxy_journey):
    described = json.loads(spec(LITELLM).read_text(encoding="utf-8"))
    schema = {"$ref": "#/components/schemas/KeyListResponseObject"}
    whole = {"components": described["components"], **schema}
    teams = {"$ref": "#/components/schemas/LiteLLM_TeamTable"}
    table = {"components": described["components"], "type": "array", "items": teams}
    made = {"components": described["components"], "$ref": "#/components/schemas/" + MADE}
    read = {"/key/list": whole, "/team/list": table, "/key/generate": made}
    seen = [(r.path, a.body) for r, a in proxy_journey if r.path in read]
    assert {path for path, _ in seen} == set(read)
    for path, body in seen:
        errors = [e.message for e in Draft202012Validator(read[path]).iter_errors(body)]
        assert errors == [], path


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
