"""AWS's account against moto's server: its IAM, STS, Budgets and bill, and its own refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import httpx
import pytest

from reconciler.errors import ProviderError
from reconciler.systems.account import Trial, transport
from tests.contract.issuer_contract import made_by, opened, order, orphans, revoke, secrets
from tests.unit.bedrock_bench import Bench, codes, said, told

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

boto3 = pytest.importorskip("boto3", reason="needs moto[server], with boto3")
pytest.importorskip("flask_cors", reason="needs moto[server]")

ALERT = {"monthly_usd": 500, "alert_at": [50, 80], "notify": ["finops@acme.example"]}
NOVA = "amazon.nova-pro-v1:0"
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ALLOWED = {"Version": "2012-10-17", "Statement": ALL}


@dataclass
class Account:
    """What is known of moto's account, for the bench."""

    user: str = "byok-cursor"
    account: str = "123456789012"


@pytest.fixture(scope="module")
def server():
    """A moto server in a thread of this process, on loopback."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def furnished(server, monkeypatch):
    """A user for Cursor and an administrator; from here on moto checks who signs."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    httpx.post(f"{server}/moto-api/reset")
    iam = boto3.client("iam", endpoint_url=server, region_name="us-east-1")
    keys = {}
    for name in ("byok-cursor", "admin"):
        iam.create_user(UserName=name)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        keys[name] = (made["AccessKeyId"], made["SecretAccessKey"])
    document = json.dumps(ALLOWED)
    iam.put_user_policy(UserName="admin", PolicyName="all", PolicyDocument=document)
    httpx.post(f"{server}/moto-api/reset-auth", content=b"0")
    yield iam, keys
    httpx.post(f"{server}/moto-api/reset-auth", content=b"inf")


@pytest.fixture
def bench(server, furnished, tmp_path, monkeypatch):
    """The bench, with moto in the simulator's place.

    What moto lacks answers from moto's own state. And moto 5.2 hashes the query of a signed GET as
    though it were a body: here, an empty body is an empty body.
    """
    from moto.budgets.responses import BudgetsResponse
    from moto.iam.access_control import IAMRequestBase

    made_request = IAMRequestBase._create_aws_request

    def without_body(self):
        self._data = b"" if self._method == "GET" else self._data
        return made_request(self)

    monkeypatch.setattr(IAMRequestBase, "_create_aws_request", without_body)

    def subscribers(self):
        name, wanted = self._get_param("BudgetName"), self._get_param("Notification")
        found = self.backend.budgets[self._get_param("AccountId")][name].notifications
        people = [n.subscribers for n in found if n.details == wanted]
        return json.dumps({"Subscribers": people[0]})

    lacking = {
        "describe_subscribers_for_notification": subscribers,
        "describe_budget_actions_for_account": lambda _: json.dumps({"Actions": []}),
    }
    for name, stand_in in lacking.items():
        monkeypatch.setattr(BudgetsResponse, name, stand_in, raising=False)
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    made = Bench(Account(), tmp_path, server)
    use(made, furnished[1])
    return made


def use(bench, keys):
    for name, user in (("id", "byok-cursor"), ("admin-id", "admin")):
        bench.key(name, keys[user][0])
        bench.key(name.replace("id", "secret"), keys[user][1])


def write(bench, keys, *args, **more):
    bench.write(*args, **more)
    use(bench, keys)


def test_moto_knows_the_caller(bench):
    seen = bench.look()
    assert said(seen)["key/bedrock"] == "alive; AWS account 123456789012, user/byok-cursor"


def test_policy_and_budget_are_made_changed_and_taken_away(bench, furnished):
    _, keys = furnished
    write(bench, keys, {"told": ALERT}, allow_models=[NOVA, f"us.{NOVA}"])
    assert len(bench.apply().applied) == 2
    assert bench.plan().changes == ()
    document = boto(bench, keys).get_user_policy(UserName="byok-cursor", PolicyName="byok-models")
    assert len(document["PolicyDocument"]["Statement"]) == 2
    budgets = boto(bench, keys, "budgets")
    (budget,) = budgets.describe_budgets(AccountId="123456789012")["Budgets"]
    assert budget["BudgetLimit"] == {"Amount": "500.00", "Unit": "USD"}
    assert budget["CostFilters"] == {"Service": ["Amazon Bedrock"]}
    write(bench, keys, {"told": {**ALERT, "alert_at": [90]}}, allow_models=[NOVA])
    assert bench.apply().failed == ()
    assert bench.plan().changes == ()
    write(bench, keys)
    assert bench.apply().failed == ()
    assert budgets.describe_budgets(AccountId="123456789012").get("Budgets", []) == []
    assert boto(bench, keys).list_user_policies(UserName="byok-cursor")["PolicyNames"] == []


def boto(bench, keys, service="iam"):
    key, secret = keys["admin"]
    return boto3.client(
        service,
        endpoint_url=bench.base,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def test_an_empty_ledger_creates_nothing_twice(bench, furnished):
    write(bench, furnished[1], {"told": ALERT}, allow_models=[NOVA])
    bench.apply()
    shutil.rmtree(bench.folder / "state")
    assert bench.apply().applied == ()


@pytest.mark.parametrize(("part", "text"), [("id", "AKIA" + "Z" * 16), ("secret", "x" * 40)])
def test_moto_refuses_an_unknown_key_and_a_wrong_secret(bench, part, text):
    bench.key(part, text)
    assert codes(bench.look()) == ["BYOK131"]
    assert "does not accept the key" in told(bench.look(), "BYOK131")


def test_moto_refuses_what_a_user_may_not_do(bench, furnished):
    keys = furnished[1]
    document = json.dumps({**ALLOWED, "Statement": {**ALL, "Action": "budgets:*"}})
    boto(bench, keys).put_user_policy(
        UserName="byok-cursor", PolicyName="budgets", PolicyDocument=document
    )
    write(bench, keys, {"told": ALERT}, allow_models=[NOVA])
    bench.key("admin-id", keys["byok-cursor"][0])
    bench.key("admin-secret", keys["byok-cursor"][1])
    seen = bench.look(judged=True)
    assert seen.closed.keys() == {"model-policy"}
    assert [str(c.address) for c in bench.apply().applied] == ["bedrock/budget/told"]


def test_motos_two_keys_are_listed(bench, furnished):
    _, keys = furnished
    boto(bench, keys).create_access_key(UserName="byok-cursor")
    texts = said(bench.look(judged=True))
    ours = texts[f"key/access key …{keys['byok-cursor'][0][-4:]}"]
    assert ours.startswith("the one in use here, active")
    assert "has 2 access keys" in texts["key/byok-cursor"]


def test_moto_makes_lists_and_revokes_keys(bench, furnished):
    _, keys = furnished
    old = dict(zip(("access_key_id", "secret_access_key"), keys["byok-cursor"], strict=True))
    account = SimpleNamespace(folder=bench.folder, base=bench.base, name="bedrock")
    with opened(account) as issuer:
        assert issuer.identify(secrets(old)) == old["access_key_id"]
        asked = order(issuer, old=old["access_key_id"])
        assert orphans(issuer, asked) == ()
        made = made_by(issuer, asked)
        assert orphans(issuer, asked) == (made.id,)
        assert issuer.attempt(made.values) is Trial.ALIVE
        with pytest.raises(ProviderError, match="has two access keys already"):
            made_by(issuer, asked)
        revoke(issuer, old["access_key_id"])
        revoke(issuer, old["access_key_id"])
        assert issuer.attempt(secrets(old)) is Trial.DEAD
        assert [key.id for key in issuer.listed()] == [made.id]
    listed = boto(bench, keys).list_access_keys(UserName="byok-cursor")["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == [made.id]


def test_motos_own_limit_is_two_keys(bench, furnished):
    _, keys = furnished
    boto(bench, keys).create_access_key(UserName="byok-cursor")
    refused = boto(bench, keys).exceptions.LimitExceededException
    with pytest.raises(refused):
        boto(bench, keys).create_access_key(UserName="byok-cursor")


def test_motos_bill_is_read(bench, server):
    group = {
        "Keys": ["Amazon Bedrock"],
        "Metrics": {"UnblendedCost": {"Amount": "12.34", "Unit": "USD"}},
    }
    span = {"Start": "2026-11-01", "End": "2026-11-24"}
    row = {"TimePeriod": span, "Total": {}, "Groups": [group], "Estimated": True}
    seeded = {"results": [{"ResultsByTime": [row], "DimensionValueAttributes": []}]}
    httpx.post(f"{server}/moto-api/static/ce/cost-and-usage-results", json=seeded)
    texts = said(bench.look(judged=True, probes=frozenset({"cost"})))
    month = next(text for at, text in texts.items() if at.startswith("cost/"))
    assert month.startswith("12.34 USD so far")
