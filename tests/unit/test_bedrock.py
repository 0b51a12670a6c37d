"""AWS Bedrock with the ordinary key: whose it is, what it may use, and every way to fail."""

from __future__ import annotations

import socket
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Answer, transport
from reconciler.systems.bedrock import codes as aws_codes, wire
from tests.aws_models import check
from tests.simulators.bedrock import API_KEY, CLAUDE, KEY, NOVA, TITAN, Bedrock
from tests.simulators.server import Response, serve
from tests.unit.bedrock_bench import STOP, TEAM, Bench, codes, said, told

HARD = {"monthly_usd": 500, "enforce": "hard", "notify": TEAM}
TEMPORARY = "ASIA" + KEY[0][4:]


@pytest.fixture
def sim():
    return Bedrock()


@pytest.fixture
def bench(sim, tmp_path):
    with serve(sim) as base:
        yield Bench(sim, tmp_path, base)
    check(sim.answers)


@pytest.fixture
def brisk(monkeypatch):
    """Ask again at once, and twice only."""
    monkeypatch.setattr(transport, "ATTEMPTS", 2)
    monkeypatch.setattr(transport.random, "uniform", lambda *_: 0.0)


def test_a_good_key_says_whose_it_is(bench):
    seen = bench.look()
    assert said(seen)["key/bedrock"] == "alive; AWS account 111122223333, user/byok-cursor"
    assert codes(seen) == []
    assert bench.sim.writes() == []


def test_models_are_told_with_the_way_they_can_be_called(bench):
    names = [NOVA, f"us.{CLAUDE}", TITAN, CLAUDE, "anthropic.claude-9"]
    bench.write(models=names)
    seen = bench.look()
    assert said(seen)[f"model/{NOVA}"] == "available to this key"
    assert said(seen)[f"model/us.{CLAUDE}"].endswith("through an inference profile")
    assert "legacy" in said(seen)[f"model/{TITAN}"]
    assert "retires on 2027-06-30" in said(seen)[f"model/{TITAN}"]
    assert "but it cannot be called by this id" in said(seen)[f"model/{CLAUDE}"]
    found = {d.path: f"{d.message}; {d.way_out}" for d in seen.diagnostics if d.code == "BYOK132"}
    assert found.keys() == {f"/models/{CLAUDE}", "/models/anthropic.claude-9"}
    assert "needs an inference profile" in found[f"/models/{CLAUDE}"]
    assert f"global.{CLAUDE} or us.{CLAUDE}" in found[f"/models/{CLAUDE}"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"agreementAvailability": {"status": "PENDING"}}, "agreement"),
        ({"authorizationStatus": "NOT_AUTHORIZED"}, "not authorised"),
        ({"entitlementAvailability": "NOT_AVAILABLE"}, "not open to this account"),
        ({"regionAvailability": "NOT_AVAILABLE"}, "not offered in this region"),
    ],
)
def test_a_model_that_is_not_available_says_why(bench, state, words):
    bench.sim.unavailable[NOVA] = state
    bench.write(models=[NOVA, f"us.{NOVA}"])
    found = [d for d in bench.look().diagnostics if d.code == "BYOK132"]
    assert [d.path for d in found] == [f"/models/{NOVA}", f"/models/us.{NOVA}"]
    assert words in found[0].message


def test_an_arn_is_not_looked_up_and_no_failure(bench):
    arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abc"
    bench.write(models=[arn])
    assert "not looked up" in said(bench.look())[f"model/{arn}"]


def test_a_key_that_may_not_list_models_is_still_alive(bench):
    bench.sim.closed = {"ListFoundationModels"}
    seen = bench.look()
    assert "alive" in said(seen)["key/bedrock"]
    assert "may not list" in said(seen)["model/*"]
    assert codes(seen) == []


@pytest.mark.parametrize(("name", "text"), [("id", "AKIA" + "Z" * 16), ("secret", "x" * 40)])
def test_a_dead_key_is_told(bench, name, text):
    bench.key(name, text)
    assert codes(bench.look()) == ["BYOK131"]


def test_an_inactive_key_is_dead(bench):
    bench.sim.keys[KEY[0]].active = False
    assert codes(bench.look()) == ["BYOK131"]


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_wrong_clock_is_no_dead_key(bench, monkeypatch, minutes):
    import botocore.auth

    now = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now)
    (found,) = bench.look().diagnostics
    assert "clock" in found.message
    assert "NTP" in found.way_out


def test_a_key_of_another_account_is_refused(bench):
    bench.write(models=[NOVA], account_id="999988887777")
    seen = bench.look()
    assert "account 111122223333, and account_id is 999988887777" in told(seen, "BYOK131")
    assert bench.sent() == ["GetCallerIdentity"]


def test_a_key_of_another_user_than_declared_is_told(bench):
    bench.write(iam_user="somebody")
    assert "user/byok-cursor, and iam_user is somebody" in told(bench.look(), "BYOK130")


def test_a_key_of_the_root_user_is_warned_of(bench):
    bench.sim.keys[KEY[0]].arn = "root"
    assert "root user" in told(bench.look(), "BYOK130")


def test_a_role_is_told_without_its_session(bench):
    bench.sim.keys[KEY[0]].arn = "assumed-role/Developer/ada@acme.example"
    bench.write(iam_user=None)
    assert said(bench.look())["key/bedrock"].endswith("role/Developer")


@pytest.mark.parametrize("text", [API_KEY, TEMPORARY])
def test_a_key_in_the_wrong_slot_is_not_sent(bench, text):
    bench.key("id", text)
    assert codes(bench.look()) == ["BYOK130"]
    assert bench.sim.log == []


def test_an_access_key_as_api_key_is_not_sent(bench):
    bench.write(access_key_id=None, secret_access_key=None, key="file://keys/id")
    assert "access_key_id" in told(bench.look(), "BYOK130")
    assert bench.sim.log == []


def test_temporary_credentials_need_their_token(bench):
    sim = bench.sim
    sim.keys[TEMPORARY] = sim.keys.pop(KEY[0])
    sim.keys[TEMPORARY].token = "t0ken/" * 20
    bench.key("id", TEMPORARY)
    bench.key("token", "t0ken/" * 20)
    bench.write(session_token="file://keys/token")
    bench.key("id", TEMPORARY)
    assert "alive" in said(bench.look())["key/bedrock"]
    bench.key("token", "other")
    assert codes(bench.look()) == ["BYOK131"]


def only_api_key(bench, **more):
    bench.write(access_key_id=None, secret_access_key=None, key="file://keys/api", **more)


def test_a_bedrock_api_key_is_tried_with_the_models(bench):
    only_api_key(bench, models=[NOVA])
    seen = bench.look()
    assert said(seen)["key/bedrock"] == "alive; a Bedrock API key"
    assert said(seen)[f"model/{NOVA}"] == "available to this key"
    assert "GetCallerIdentity" not in bench.sent()


def test_beside_an_access_key_an_api_key_is_only_tried(bench):
    bench.write(models=[CLAUDE], key="file://keys/api")
    seen = bench.look()
    assert "an API key" in said(seen)["key/bedrock"].replace("a Bedrock", "an")
    assert codes(seen) == ["BYOK132"]
    bench.key("api", API_KEY[:-8] + "AAAAAAA=")
    assert codes(bench.look()) == ["BYOK131", "BYOK132"]


def test_a_bedrock_api_key_that_is_dead_is_told(bench):
    only_api_key(bench)
    bench.key("api", API_KEY[:-8] + "AAAAAAA=")
    assert codes(bench.look()) == ["BYOK131"]


def short_term(region, made, seconds=43200):
    query = (
        "bedrock.amazonaws.com/?Action=CallWithBearerToken"
        f"&X-Amz-Credential={KEY[0]}%2F{made:%Y%m%d}%2F{region}%2Fbedrock%2Faws4_request"
        f"&X-Amz-Date={made:%Y%m%dT%H%M%SZ}&X-Amz-Expires={seconds}"
    )
    return "bedrock-api-key-" + b64encode(query.encode()).decode()


@pytest.mark.parametrize(
    ("region", "hours", "code", "words"),
    [
        ("us-east-1", 13, "BYOK131", "12 hours"),
        ("eu-west-1", 1, "BYOK136", "another region than us-east-1"),
    ],
)
def test_a_short_term_key_says_its_end_and_region_itself(bench, region, hours, code, words):
    only_api_key(bench)
    bench.key("api", short_term(region, datetime.now(UTC) - timedelta(hours=hours)))
    assert words in told(bench.look(), code)
    assert bench.sim.log == []


def test_a_short_term_key_tells_when_it_ends(bench):
    only_api_key(bench)
    key = short_term("us-east-1", datetime(2099, 1, 1, tzinfo=UTC))
    bench.sim.api_keys[key] = "short"
    bench.key("api", key)
    assert "2099-01-01 at 12:00 UTC" in said(bench.look())["key/bedrock"]


def test_a_key_that_only_looks_short_term_is_simply_tried(bench):
    only_api_key(bench)
    bench.key("api", "bedrock-api-key-" + "????")
    assert codes(bench.look()) == ["BYOK131"]


def test_a_spent_hard_budget_is_no_dead_key(bench):
    bench.sim.spent = True
    bench.write({"b": HARD}, models=[NOVA], **STOP)
    seen = bench.look()
    assert "alive" in said(seen)["key/bedrock"]
    assert codes(seen) == ["BYOK134"]
    bench.write(models=[NOVA])
    assert codes(bench.look()) == []


def test_a_region_without_bedrock_is_told(bench, monkeypatch):
    ask = socket.getaddrinfo

    def away(host, *args, **kwargs):
        if "mars" in str(host):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return ask(host, *args, **kwargs)

    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    monkeypatch.setattr(socket, "getaddrinfo", away)
    own = wire.root
    nowhere = ("https://bedrock.mars-west-1.amazonaws.com", False)
    monkeypatch.setattr(wire, "root", lambda s, n: nowhere if n == "bedrock" else own(s, n))
    assert "there is no such host" in told(bench.look(), "BYOK136")


def test_a_name_server_that_is_away_is_no_wrong_region():
    def failed(number):
        error = httpx.ConnectError("x")
        error.__cause__ = socket.gaierror(number, "x")
        return transport.unheard("AWS", error).what

    assert failed(socket.EAI_NONAME) == transport.NO_HOST
    assert failed(socket.EAI_AGAIN) == "cannot be reached from here"


def test_a_region_that_is_not_enabled_is_told(bench):
    unknown = Response(403, {"message": "m"}, {"x-amzn-errortype": "UnrecognizedClientException"})
    bench.sim.inject("answer", path="/foundation-models", response=unknown)
    assert "enable the region" in told(bench.look(), "BYOK136")


def test_without_botocore_the_way_out_is_named(bench, monkeypatch):
    monkeypatch.setattr(wire, "find_spec", lambda _: None)
    seen = bench.look()
    assert "install byok with its extra [aws]" in said(seen)["key/bedrock"]
    assert "install byok with its extra [aws]" in said(bench.look(judged=True))["account/bedrock"]
    assert bench.sim.log == []
    only_api_key(bench)
    assert "alive" in said(bench.look())["key/bedrock"]


def test_an_origin_nobody_approved_gets_nothing(bench):
    from dataclasses import replace

    from reconciler.session import reading

    bench.write(admin=False, key="file://keys/api")
    with reading(replace(bench.options(), allow_origins=())) as session:
        seen = session.account("bedrock", judged=False).actual()
    assert "not probed" in said(seen)["key/bedrock"]
    assert bench.sim.log == []


def test_missing_keys_are_told(bench):
    (bench.folder / "keys" / "id").unlink()
    assert "access_key_id" in said(bench.look())["key/bedrock"]
    only_api_key(bench)
    (bench.folder / "keys" / "api").unlink()
    assert "references in key" in said(bench.look())["key/bedrock"]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"how": "html"}, "BYOK137", "captive portal"),
        ({"how": "redirect"}, "BYOK136", ""),
        ({"how": "drop"}, "BYOK138", ""),
        ({"how": "half"}, "BYOK138", ""),
        ({"how": "huge"}, "BYOK137", "end"),
        ({"how": "answer", "response": Response(500, {})}, "BYOK138", ""),
        ({"how": "answer", "response": Response(503, b"<html>")}, "BYOK138", ""),
        ({"how": "answer", "response": Response(200, b"<!DOCTYPE a><aResponse/>")}, "BYOK137", ""),
        ({"how": "answer", "response": Response(429, {}, {"retry-after": "0"})}, "BYOK135", ""),
        ({"how": "answer", "response": Response(401, {})}, "BYOK131", ""),
    ],
)
def test_every_fault_of_the_wire_is_told(bench, brisk, fault, code, words):
    bench.sim.inject(times=9, **fault)
    seen = bench.look()
    assert words in told(seen, code)
    assert codes(seen) == [code]


def test_a_slow_answer_ends(bench, monkeypatch):
    monkeypatch.setattr(transport, "READ", 0.05)
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    bench.sim.inject("slow", seconds=0.5)
    assert "in time" in told(bench.look(), "BYOK138")


def test_a_throttled_read_is_asked_again(bench, brisk):
    busy = Response(400, {"__type": "ThrottlingException", "message": "m"})
    bench.sim.inject("answer", path="/foundation-models", response=busy)
    assert codes(bench.look()) == []


@pytest.mark.parametrize(
    ("budget", "account", "words"),
    [
        ({"notify": TEAM}, {}, "500.00 USD a month: alert only"),
        ({"notify": TEAM, "enforce": "hard"}, STOP, "500.00 USD a month: hard limit"),
        ({"notify": TEAM, "enforce": "hard"}, {}, "500.00 USD a month: alert only"),
        ({"notify": TEAM}, {"region": "us-gov-west-1"}, "observed only"),
    ],
)
def test_a_budget_says_what_becomes_of_it(bench, budget, account, words):
    bench.write({"b": {"monthly_usd": 500, **budget}}, **account)
    bench.sim.regions |= {"sts": account.get("region", "us-east-1")}
    assert words in said(bench.look())["budget/b"]
    assert bench.sim.writes() == []


def test_a_hard_limit_names_the_fields_it_needs(bench):
    bench.write(
        {"b": {"monthly_usd": 5, "enforce": "hard"}}, budget_role_arn=STOP["budget_role_arn"]
    )
    words = told(bench.look(), "BYOK139")
    assert "add budget_policy_arn, notify to budgets.b" in words


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"alert_at": [50]}, "nobody to tell"),
        ({"notify": [f"a{n}@acme.example" for n in range(11)]}, "10 recipients"),
        ({"currency": "EUR", "notify": TEAM}, "billed in USD"),
    ],
)
def test_a_budget_that_aws_cannot_have_is_warned_of(bench, budget, words):
    bench.write({"b": {"monthly_usd": 5, **budget}})
    assert words in told(bench.look(), "BYOK139")


def test_generating_is_asked_for_and_nothing_else_is_let_through(bench):
    names = [NOVA, CLAUDE, f"us.{CLAUDE}", "anthropic.none"]
    bench.write(models=names)
    assert not any("converse" in r.path for r in bench.sim.log)
    seen = bench.look(probes=frozenset({"generate"}))
    assert "answered a real request" in said(seen)[f"model/{NOVA}"]
    assert "answered a real request" in said(seen)[f"model/us.{CLAUDE}"]
    assert codes(seen) == ["BYOK132"] * 4
    only_api_key(bench, models=[NOVA])
    seen = bench.look(probes=frozenset({"generate"}))
    assert "answered a real request" in said(seen)[f"model/{NOVA}"]
    sent = [r for r in bench.sim.log if r.path.endswith("/converse")]
    assert [r.json["inferenceConfig"] for r in sent] == [{"maxTokens": 16}] * 5


@pytest.mark.parametrize(
    ("status", "headers", "body", "problem"),
    [
        (403, {"x-amzn-errortype": "UnrecognizedClientException:x"}, {}, Problem.INVALID_KEY),
        (400, {}, {"__type": "com.amazon.coral#UnrecognizedClientException"}, Problem.INVALID_KEY),
        (403, {}, "<E><Code>InvalidClientTokenId</Code></E>", Problem.INVALID_KEY),
        (403, {}, "<E><Code>SignatureDoesNotMatch</Code></E>", Problem.INVALID_KEY),
        (403, {}, {"__type": "RequestTimeTooSkewed"}, Problem.CLOCK),
        (403, {}, "<E><Code>RequestExpired</Code></E>", Problem.CLOCK),
        (403, {}, {"Message": "Authentication failed: Please"}, Problem.INVALID_KEY),
        (403, {}, {"message": "Bearer Token has expired"}, Problem.INVALID_KEY),
        (400, {}, {"__type": "AccessDeniedException"}, Problem.NO_ACCESS),
        (400, {}, {"__type": "ThrottlingException"}, Problem.RATE_LIMITED),
        (400, {}, "<E><Code>Throttling</Code></E>", Problem.RATE_LIMITED),
        (404, {}, "<E><Code>NoSuchEntity</Code></E>", Problem.NOT_THERE),
        (409, {}, "<E><Code>LimitExceeded</Code></E>", Problem.REJECTED),
        (400, {}, {"__type": "DuplicateRecordException"}, Problem.MOVED),
        (400, {}, {"__type": "DataUnavailableException"}, Problem.UNSUPPORTED),
        (404, {}, {"__type": "UnknownOperationException"}, Problem.WRONG_ENDPOINT),
        (500, {}, {"__type": "InternalErrorException"}, Problem.DOWN),
        (403, {}, "<html>portal", None),
        (418, {}, None, None),
    ],
)
def test_codes_are_read_in_every_protocol(status, headers, body, problem):
    assert aws_codes.classify(Answer(status, headers, body)) is problem


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><aResponse>&x;</aResponse>',
        "<aResponse",
        "<html></html>",
        "",
    ],
)
def test_xml_that_is_not_awss_is_refused(text):
    class Client:
        who = "AWS STS"

    with pytest.raises(ProviderError) as caught:
        aws_codes.tree(Client(), Answer(200, {}, text))
    assert caught.value.kind is Problem.UNREADABLE


@pytest.mark.parametrize(
    ("service", "region", "url", "signed_for"),
    [
        ("iam", "eu-west-1", "https://iam.amazonaws.com", "us-east-1"),
        ("sts", "eu-west-1", "https://sts.eu-west-1.amazonaws.com", "eu-west-1"),
        ("bedrock", "cn-north-1", "https://bedrock.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("budgets", "cn-north-1", "https://budgets.amazonaws.com.cn", "cn-northwest-1"),
        ("ce", "us-west-2", "https://ce.us-east-1.amazonaws.com", "us-east-1"),
        ("iam", "us-gov-east-1", "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
    ],
)
def test_each_service_is_where_aws_has_it(service, region, url, signed_for):
    assert wire.place(service, region) == (url, signed_for)


def test_hosts_are_those_of_awss_own_list():
    from botocore.loaders import Loader
    from botocore.regions import EndpointResolver

    resolver = EndpointResolver(Loader().load_data("endpoints"))
    for part, region in (("aws", "eu-west-1"), ("aws-cn", "cn-north-1")):
        for service in ("iam", "sts", "budgets", "ce", "bedrock", "bedrock-runtime"):
            known = resolver.construct_endpoint(service, region, partition_name=part)
            signed_for = known.get("credentialScope", {}).get("region", region)
            assert wire.place(service, region) == (f"https://{known['hostname']}", signed_for)


def test_no_text_of_an_error_repeats_what_was_sent(bench):
    echo = Response(403, {"message": f"key {KEY[1]} of {KEY[0]}", "__type": "AccessDenied"})
    bench.sim.inject("answer", response=echo, times=9)
    seen = bench.look()
    assert codes(seen)
    for secret in KEY:
        assert secret not in repr(seen)
