"""Anthropic's own SDK against our simulator: its types read the answers that our code reads.

Held to `anthropic` 2.12, whose typed models and parameters are the public description of the
Admin API: answers are validated strictly, our requests are those that the SDK sends.
"""

from __future__ import annotations

import typing
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from reconciler.engine import apply_plan
from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Scope
from reconciler.money import Money
from reconciler.session import reading, writing
from reconciler.systems.account import Answer
from reconciler.systems.anthropic.console import COSTS_BETA, SPENDING_BETA
from reconciler.systems.anthropic.wire import CODES, VERSION, classify
from tests.simulators.anthropic import ADMIN_KEY, KEY, Anthropic
from tests.simulators.server import serve
from tests.unit.accounts import options, write_manifest

HERE = find_spec("anthropic") is not None
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not HERE, reason="needs the anthropic SDK (dependency group dev)"),
]

MODELS = ("claude-opus-4-5", "claude-haiku-4-5-20251001")
PREFIX = "/v1/organizations"
ALL = Scope(("anthropic",))
MONTH = datetime.now(UTC).strftime("%Y-%m-01T00:00:00Z")


def make_world(*, adopted: bool = False) -> Anthropic:
    """Return a world whose ids are the same each time."""
    world = Anthropic()
    research = world.add_workspace("research", team="x")
    world.override(research, "rl_sonnet", requests_per_minute=9)
    world.add_limit({"type": "workspace", "workspace_id": research}, "4200")
    world.add_key("ci", "sk-ant-" + "api03-" + "c1" * 40, research)
    world.add_key("person", "sk-ant-" + "p2" * 40, scope={"type": "organization"})
    if adopted:
        there = world.add_workspace("cursor-byok", cost_center="12")
        world.override(there, "rl_sonnet", requests_per_minute=50, tokens_per_day=7)
    return world


@pytest.fixture
def simulator():
    return make_world()


@pytest.fixture
def base(simulator):
    with serve(simulator) as url:
        yield url


def of_sdk(path: str) -> Any:
    """Return a type of the SDK: it takes seconds to import, and only these tests need it."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"anthropic.types.{module}".rstrip(".")), name)


def parameters(module: str) -> Any:
    """Return the one typed dictionary of a module of parameters."""
    *_, last = module.split(".")
    names = import_module(f"anthropic.types.{module}").__all__
    wanted = last.replace("_", "")
    return of_sdk(f"{module}.{next(n for n in names if n.lower() == wanted)}")


def refused() -> Any:
    """Expect an answer that the SDK raises."""
    return pytest.raises(import_module("anthropic").APIStatusError)


def client(base: str, key: str) -> Any:
    """Return the SDK, strict about every answer, and asking once only."""
    return import_module("anthropic").Anthropic(
        api_key=key, base_url=base, max_retries=0, _strict_response_validation=True
    )


@pytest.fixture
def sdk(base):
    with client(base, ADMIN_KEY) as opened:
        yield opened


@pytest.fixture
def ours(base, simulator, tmp_path):
    """Run byok on a manifest that touches every kind."""
    ci = next(i for i, key in simulator.keys.items() if key["name"] == "ci")
    hard = {"provider": "anthropic", "enforce": "hard", "monthly_usd": 500}
    entry = {
        "key": "file://keys/main",
        "admin_key": "file://keys/admin",
        "api_base": base,
        "workspace": "cursor-byok",
        "rate_limits": {
            "claude-sonnet-4-5": {"requests_per_minute": 40, "tokens_per_day": None},
            "batch": {"requests_per_minute": 5},
        },
        "keys": {ci: {"name": "robot", "status": "inactive"}},
    }
    data = {
        "providers": {"anthropic": entry},
        "models": {name: {"provider": "anthropic"} for name in MODELS},
        "budgets": {"space": hard, "whole": {**hard, "scope": "organization"}},
    }
    write_manifest(tmp_path, data, {"main": KEY, "admin": ADMIN_KEY})
    probes = frozenset({"generate"})
    chosen = options(tmp_path, base, observe=False, probes=probes, allow_irreversible=True)

    def run(what):
        if what in ("apply", "destroy"):
            with writing(chosen, what) as session:
                removing = what == "destroy"
                return apply_plan(session, ALL, lambda _: True, removing=removing)[1]
        with reading(chosen) as session:
            return session.account("anthropic", judged=True).actual()

    return run


def by_address(actual, kind):
    return {a.name: dict(attrs) for a, attrs in actual.resources.items() if a.kind == kind}


def texts(actual):
    return [f"{seen.address}: {seen.text}" for seen in actual.observations]


def test_both_name_the_same_organisation_and_pin_the_same_version(ours, sdk, simulator):
    ours("look")
    assert {r.headers["anthropic-version"] for r in simulator.log} == {VERSION}
    simulator.log.clear()
    organization = sdk.organization.retrieve()
    assert (organization.id, organization.name) == (simulator.organization["id"], "Acme")
    assert {r.headers["anthropic-version"] for r in simulator.log} == {VERSION}


def test_both_read_the_same_models(ours, base):
    seen = texts(ours("look"))
    with client(base, KEY) as sdk:
        listed = [model.id for model in sdk.models.list(limit=1000)]
        found = [sdk.models.retrieve(name) for name in MODELS]
    assert MODELS[0] not in listed, "an alias"
    assert [model.lifecycle for model in found] == ["active", "active"]
    for name in MODELS:
        assert f"anthropic/model/{name}: available to this key" in seen


def test_both_read_the_same_workspaces(ours, sdk):
    ours("apply")
    theirs = {space.name: space.tags.get("byok") for space in sdk.organization.workspaces.list()}
    mine = by_address(ours("look"), "workspace")
    assert mine == {n: {"status": "active", "owner": team} for n, team in theirs.items()}
    assert theirs == {"research": None, "cursor-byok": "acme"}


def test_both_read_the_same_rate_limits(ours, sdk):
    ours("apply")
    space = next(s for s in sdk.organization.workspaces.list() if s.name == "cursor-byok")
    theirs: dict[str, dict[str, int]] = {}
    for row in sdk.organization.workspaces.rate_limits.list(space.id, include_inherited=True):
        own = {limit.type: limit.value for limit in row.limits if limit.source.type == "workspace"}
        if own:
            theirs[(row.models or [row.group.type])[-1]] = own
    assert theirs == {
        "claude-sonnet-4-0": {"requests_per_minute": 40},
        "batch": {"requests_per_minute": 5},
    }
    mine = by_address(ours("look"), "rate-limit")
    assert mine["cursor-byok/claude-sonnet-4-5"] == theirs["claude-sonnet-4-0"]
    assert mine["cursor-byok/batch"] == theirs["batch"]
    ids = {entry.id for entry in sdk.organization.rate_limits.list()}
    rows = sdk.organization.workspaces.rate_limits.list(space.id)
    assert {row.rate_limit_id for row in rows} < ids


def test_both_read_the_same_spend_limits(ours, sdk):
    ours("apply")
    names = {space.id: space.name for space in sdk.organization.workspaces.list()}
    theirs = {
        names.get(getattr(row.scope, "workspace_id", ""), row.scope.type): {
            "amount": str(Money.of_minor(row.amount, row.currency))
        }
        for row in sdk.beta.organization.spend_limits.list()
    }
    assert theirs.pop("usage_tier") == {"amount": "1000.00 USD"}
    assert by_address(ours("look"), "spend-limit") == theirs
    assert theirs["cursor-byok"] == theirs["organization"] == {"amount": "500.00 USD"}


def test_both_read_the_same_keys(ours, sdk):
    ours("apply")
    listed = list(sdk.organization.api_keys.list())
    theirs = {key.id: {"name": key.name, "status": key.status} for key in listed}
    mine = by_address(ours("look"), "key")
    assert {id_: mine[id_] for id_ in theirs} == theirs
    assert {"name": "robot", "status": "inactive"} in theirs.values()


def test_both_read_the_same_costs(ours, sdk):
    rows = list(sdk.beta.organization.analytics.cost.list(starting_at=MONTH))
    total = sum((Money.of_minor(row.cost.amount).amount for row in rows), Money.of(0).amount)
    assert any(f"cost/month: {Money(total)} this month" in text for text in texts(ours("look")))


# What we send is what the SDK sends.


def sent(simulator):
    writes = [r for r in simulator.log if r.method != "GET" and r.path.startswith(PREFIX)]
    return [(r.method, r.path.removeprefix(f"{PREFIX}/"), r.json) for r in writes]


@pytest.mark.parametrize("adopted", [False, True])
def test_the_sdk_sends_the_very_requests_that_we_send(ours, simulator, adopted):
    """Ours are played again by the SDK, in a world that began as ours did, and compared."""
    simulator.__dict__.update(make_world(adopted=adopted).__dict__)
    for job in ("apply", "destroy"):
        assert ours(job).failed == ()
    mine = sent(simulator)
    assert {path.partition("/")[0] for _, path, _ in mine} == {
        *("workspaces", "spend_limits", "api_keys"),
    }
    assert any("rate_limits" in path for _, path, _ in mine)
    again = make_world(adopted=adopted)
    with serve(again) as base, client(base, ADMIN_KEY) as sdk:
        for method, path, body in mine:
            play(sdk, method, path.split("/"), body or {})
    assert sent(again) == mine
    assert again.snapshot() == simulator.snapshot()


def play(sdk, method, parts, body):
    """Send a request with the SDK, its body first held to the SDK's typed parameters."""
    organization, beta = sdk.organization, sdk.beta.organization
    match method, parts:
        case "POST", ["workspaces"]:
            organization.workspaces.create(**fits("organization.workspace_create_params", body))
        case "POST", ["workspaces", id_]:
            organization.workspaces.update(
                id_, **fits("organization.workspace_update_params", body)
            )
        case "POST", ["workspaces", id_, "archive"]:
            organization.workspaces.archive(id_)
        case "POST", ["workspaces", id_, "rate_limits", limit]:
            fits(
                "organization.workspaces.rate_limit_update_params",
                {"workspace_id": id_, **body},
            )
            organization.workspaces.rate_limits.update(limit, workspace_id=id_, **body)
        case "POST", ["spend_limits"]:
            beta.spend_limits.set(**fits("beta.organization.spend_limit_set_params", body))
        case "DELETE", ["spend_limits", id_]:
            beta.spend_limits.delete(id_)
        case "POST", ["api_keys", id_]:
            organization.api_keys.update(id_, **fits("organization.api_key_update_params", body))
        case _:
            raise AssertionError((method, parts))


def fits(module: str, body: dict[str, Any]) -> dict[str, Any]:
    """Hold a body to a typed dictionary: no unknown name, and every value of its type."""
    from pydantic import TypeAdapter  # comes with the SDK

    params = parameters(module)
    assert body.keys() <= params.__annotations__.keys()
    checked = TypeAdapter(params).validate_python(body, strict=True)
    assert list(checked.get("limits", ())) == body.get("limits", [])
    return body


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v1/models", "model_list_params"),
        (f"{PREFIX}/workspaces", "organization.workspace_list_params"),
        (f"{PREFIX}/api_keys", "organization.api_key_list_params"),
        (
            f"{PREFIX}/spend_limits",
            "beta.organization.spend_limit_list_params",
        ),
        (f"{PREFIX}/analytics/cost", "beta.organization.analytics.cost_list_params"),
        (
            f"{PREFIX}/workspaces/*/rate_limits",
            "organization.workspaces.rate_limit_list_params",
        ),
    ],
)
def test_our_queries_ask_for_nothing_unknown(ours, simulator, path, params):
    ours("apply")
    asked = [r for r in simulator.log if r.method == "GET" and fnmatchcase(r.path, path)]
    assert asked
    for request in asked:
        names = {name.removesuffix("[]") for name in request.query}
        assert names <= parameters(params).__annotations__.keys()


def test_the_beta_headers_are_those_that_the_sdk_knows():
    path = "anthropic_beta_param.AnthropicBetaParam"
    known = set(typing.get_args(typing.get_args(of_sdk(path))[1]))
    assert {SPENDING_BETA, COSTS_BETA} <= known


def test_a_probe_is_a_message_that_the_sdk_would_send(ours, simulator, base):
    ours("look")
    mine = [r.json for r in simulator.log if r.path == "/v1/messages"]
    assert [body["model"] for body in mine] == list(MODELS)
    simulator.log.clear()
    with client(base, KEY) as sdk:
        answers = [sdk.messages.create(**body) for body in mine]
    assert [answer.content[0].text for answer in answers] == ["ok", "ok"]
    assert [r.json for r in simulator.log] == mine


# What is refused.


def test_every_code_that_we_know_is_one_of_the_sdks():
    union, *_ = typing.get_args(of_sdk("shared.error_details.ErrorDetails"))
    names = {
        typing.get_args(details.model_fields["error_code"].annotation)[0]
        for details in typing.get_args(union)
    }
    assert CODES.keys() <= names


@pytest.mark.parametrize(
    ("spent", "kind", "code"),
    [
        ("limit", "BadRequestError", None),
        ("tier", "EnforcedSpendLimitReachedError", "enforced_spend_limit_reached"),
        ("credit", "PaymentRequiredError", None),
    ],
)
def test_a_reached_limit_is_the_same_to_both(simulator, base, spent, kind, code):
    simulator.spent = spent
    said = [{"role": "user", "content": "hi"}]
    with client(base, KEY) as sdk, refused() as error:
        sdk.messages.create(model=MODELS[0], max_tokens=16, messages=said)
    assert (type(error.value).__name__, error.value.error_code) == (kind, code)
    assert classify(answer_of(error.value)) is Problem.SPENT


@pytest.mark.parametrize(
    ("preview", "kind"),
    [
        ("off", "BetaOrganizationNotEnrolledInBetaError"),
        ("reads", "BetaSpendLimitsAdminAPIWritesNotEnabledError"),
    ],
)
def test_a_closed_preview_is_the_same_to_both(simulator, sdk, preview, kind):
    simulator.preview = preview
    with refused() as error:
        sdk.beta.organization.spend_limits.set(
            amount="100", scope={"type": "organization"}, period="monthly"
        )
    assert type(error.value).__name__ == kind
    assert classify(answer_of(error.value)) is Problem.UNSUPPORTED


@pytest.mark.parametrize("key", [KEY, "sk-ant-" + "admin01-" + "x" * 40])
def test_a_wrong_key_is_the_same_to_both(base, key):
    with client(base, key) as sdk, refused() as error:
        sdk.organization.retrieve()
    assert classify(answer_of(error.value)) is Problem.INVALID_KEY


def answer_of(error: Any) -> Answer:
    return Answer(error.status_code, dict(error.response.headers), error.body)
