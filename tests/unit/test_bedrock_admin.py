"""AWS Bedrock administered: the IAM policy, budgets, hard limits, and what only it can see."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from reconciler.errors import ByokError, ProviderError, SecretError
from reconciler.model import Action
from reconciler.session import reading
from reconciler.systems.account import Unapproved
from tests.aws_models import check
from tests.simulators.bedrock import ADMIN, CLAUDE, KEY, NOVA, Bedrock
from tests.simulators.server import Fault, Request, Response, serve
from tests.unit.bedrock_bench import POLICY, ROLE, STOP, TEAM, Bench, codes, edits, said, told

ALERT = {"monthly_usd": 500, "alert_at": [50, 80], "notify": TEAM}
CREATE = "AWSBudgetServiceGateway.CreateBudget"
HARD = {"monthly_usd": 500, "enforce": "hard", "notify": TEAM}


@pytest.fixture
def sim():
    return Bedrock()


@pytest.fixture
def bench(sim, tmp_path):
    with serve(sim) as base:
        yield Bench(sim, tmp_path, base)
    check(sim.answers)


def everything(bench):
    budgets = {"told": ALERT, "stop": HARD}
    bench.write(budgets, allow_models=[NOVA, f"us.{CLAUDE}", f"global.{CLAUDE}"], **STOP)


def document(sim):
    return json.loads(sim.iam.users[sim.user]["policies"]["byok-models"])


def put(sim, statements):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    sim.iam.users[sim.user]["policies"]["byok-models"] = text


def allowing(*models):
    arns = [f"arn:aws:bedrock:us-east-1::foundation-model/{name}" for name in models]
    return {
        "Sid": "ByokModels",
        "Effect": "Allow",
        "Action": "bedrock:InvokeModel*",
        "Resource": arns,
    }


def test_one_apply_does_all_and_a_second_plan_is_empty(bench):
    everything(bench)
    made = bench.apply()
    assert [str(change.address) for change in made.applied] == [
        "bedrock/model-policy/byok-cursor",
        "bedrock/budget/stop",
        "bedrock/budget/told",
        "bedrock/spend-limit/stop/DenyBedrock",
    ]
    after = bench.plan()
    assert after.changes == ()
    assert after.summary.in_sync == 4


def test_the_policy_says_exactly_this(bench):
    everything(bench)
    bench.apply()
    part = "arn:aws:bedrock:us-east-1"
    profiles = [
        f"{part}:111122223333:inference-profile/global.{CLAUDE}",
        f"{part}:111122223333:inference-profile/us.{CLAUDE}",
    ]
    assert document(bench.sim) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ByokModels",
                "Effect": "Allow",
                "Action": "bedrock:InvokeModel*",
                "Resource": [f"{part}::foundation-model/{NOVA}", *profiles],
            },
            {
                "Sid": "ByokRoutes",
                "Effect": "Allow",
                "Action": "bedrock:InvokeModel*",
                "Resource": [
                    f"arn:aws:bedrock:*::foundation-model/{CLAUDE}",
                    f"arn:aws:bedrock:::foundation-model/{CLAUDE}",
                ],
                "Condition": {"StringLike": {"bedrock:InferenceProfileArn": profiles}},
            },
        ],
    }


def test_the_budget_and_its_action_say_exactly_this(bench):
    everything(bench)
    bench.apply()
    money = bench.sim.money
    assert money.budgets["told"] == {
        "BudgetName": "told",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "500.00", "Unit": "USD"},
        "CostFilters": {"Service": ["Amazon Bedrock"]},
    }
    assert [a["notification"]["Threshold"] for a in money.alerts["told"]] == [50.0, 80.0]
    assert [a["notification"]["Threshold"] for a in money.alerts["stop"]] == [100.0]
    assert money.tags["told"] == [{"Key": "byok", "Value": "acme"}]
    (action,) = money.actions.values()
    assert action["ActionThreshold"]["ActionThresholdValue"] == 100.0
    assert action["Definition"]["IamActionDefinition"] == {
        "PolicyArn": POLICY,
        "Users": ["byok-cursor"],
    }
    assert (action["ApprovalModel"], action["ExecutionRoleArn"]) == ("AUTOMATIC", ROLE)


def test_planning_sends_reads_only(bench):
    everything(bench)
    bench.plan()
    bench.apply()
    bench.sim.log.clear()
    bench.plan()
    bench.write({"told": HARD}, **STOP)
    bench.plan()
    assert bench.sim.log
    assert bench.sim.writes() == []


def test_an_empty_ledger_creates_nothing_twice(bench):
    everything(bench)
    bench.apply()
    shutil.rmtree(bench.folder / "state")
    bench.sim.log.clear()
    assert bench.apply().applied == ()
    assert bench.sim.writes() == []
    assert bench.plan().summary.in_sync == 4


def test_a_change_behind_our_back_is_drift(bench):
    everything(bench)
    bench.apply()
    bench.sim.money.budgets["told"]["BudgetLimit"]["Amount"] = "9000"
    (change,) = bench.plan().changes
    assert (change.cause.value, edits(bench.plan())["budget/told", "amount"]) == (
        "drift",
        ("9000.00 USD", "500.00 USD"),
    )


def test_a_policy_somebody_spoiled_is_put_right(bench):
    everything(bench)
    bench.apply()
    good = document(bench.sim)
    for spoil in (
        lambda s: s[0].update(Effect="Deny"),
        lambda s: s[0].update(Action="bedrock:Get*"),
        lambda s: s[0].update(Condition={"Bool": {"aws:SecureTransport": "true"}}),
        lambda s: s.pop(1),
    ):
        statements = json.loads(json.dumps(good["Statement"]))
        spoil(statements)
        put(bench.sim, statements)
        assert bench.plan().changes != ()
        bench.apply()
        assert document(bench.sim) == good


def test_models_others_allowed_stay_unless_the_list_is_exclusive(bench):
    put(bench.sim, [allowing("cohere.x-v1:0")])
    bench.write(allow_models=[NOVA])
    bench.apply()
    assert document(bench.sim)["Statement"] == [allowing(NOVA, "cohere.x-v1:0")]
    bench.write(allow_models=[NOVA], exclusive=True)
    assert edits(bench.plan())["model-policy/byok-cursor", "model cohere.x-v1:0"] == (True, None)
    bench.apply()
    assert document(bench.sim)["Statement"] == [allowing(NOVA)]


def test_statements_and_policies_of_others_are_left_alone(bench):
    theirs = {"Sid": "Talk", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    put(bench.sim, [theirs, allowing("cohere.x-v1:0")])
    policies = bench.sim.iam.users[bench.sim.user]["policies"]
    policies["other"] = policies["byok-models"]
    before = policies["other"]
    bench.write(allow_models=[], exclusive=True)
    bench.apply()
    assert document(bench.sim)["Statement"] == [theirs]
    assert policies["other"] == before


def test_a_policy_with_nothing_left_in_it_is_deleted(bench):
    bench.write(allow_models=[NOVA])
    bench.apply()
    bench.write()
    bench.apply()
    assert bench.sim.iam.users[bench.sim.user]["policies"] == {}


def test_arns_and_patterns_may_be_allowed_too(bench):
    arn = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc"
    bench.write(allow_models=[arn, "anthropic.*"])
    bench.apply()
    assert document(bench.sim)["Statement"][0]["Resource"] == [
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.*",
        arn,
    ]
    assert bench.plan().changes == ()


def test_more_models_than_iam_takes_are_refused_before_they_are_sent(bench):
    bench.write(allow_models=[f"vendor.model-{n:02}-{'x' * 40}" for n in range(30)])
    outcome = bench.apply()
    assert "2048" in str(outcome.failed[0].error)
    assert bench.sim.writes() == []


def test_a_policy_that_iam_shows_late_is_waited_for(bench):
    bench.sim.iam.lag = 3
    bench.write(allow_models=[NOVA])
    assert bench.apply().failed == ()


def test_no_such_user_closes_the_policy_only(bench):
    bench.write({"told": ALERT}, iam_user="nobody", allow_models=[NOVA])
    seen = bench.look(judged=True)
    assert seen.closed.keys() == {"model-policy"}
    assert [str(c.address) for c in bench.plan().changes] == ["bedrock/budget/told"]


@pytest.mark.parametrize(
    ("operation", "closed"),
    [
        ("ListUserPolicies", {"model-policy"}),
        ("DescribeBudgets", {"budget"}),
        ("DescribeNotificationsForBudget", {"budget"}),
        ("DescribeBudgetActionsForAccount", {"spend-limit"}),
    ],
)
def test_what_the_administrator_may_not_see_closes_one_kind(bench, operation, closed):
    everything(bench)
    bench.apply()
    bench.sim.closed = {operation}
    seen = bench.look(judged=True)
    assert seen.closed.keys() == closed
    assert {address.kind for address in seen.resources} == {
        "model-policy",
        "budget",
        "spend-limit",
    } - closed
    assert all("not judged" in said(seen)[f"{kind}/*"] for kind in closed)


def test_keys_the_administrator_may_not_list_are_no_failure(bench):
    bench.sim.closed = {"ListAccessKeys", "ListServiceSpecificCredentials"}
    seen = bench.look(judged=True)
    assert "not listed" in said(seen)["key/*"]
    assert codes(seen) == []


def test_recipients_are_owned_one_by_one_unless_exclusive(bench):
    bench.write({"told": ALERT})
    bench.apply()
    boss = {"SubscriptionType": "EMAIL", "Address": "boss@acme.example"}
    topic = {"SubscriptionType": "SNS", "Address": "arn:aws:sns:us-east-1:111122223333:spend"}
    bench.sim.money.alerts["told"][0]["subscribers"] += [boss, topic]
    assert bench.plan().changes == ()
    bench.write({"told": {**ALERT, "notify": ["lead@acme.example"], "exclusive": True}})
    planned = edits(bench.plan())
    assert planned["budget/told", "notify boss@acme.example at 50%"] == (True, None)
    assert planned["budget/told", f"notify {topic['Address']} at 50%"] == (True, None)
    bench.apply()
    people = [s["Address"] for a in bench.sim.money.alerts["told"] for s in a["subscribers"]]
    assert people == ["lead@acme.example"] * 2


def test_other_kinds_of_alert_are_seen_and_kept(bench):
    bench.write({"told": ALERT})
    bench.apply()
    kinds = [("FORECASTED", 120.0, "PERCENTAGE"), ("ACTUAL", 99.5, "ABSOLUTE_VALUE")]
    for kind, at, unit in kinds:
        notification = {
            "NotificationType": kind,
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": at,
            "ThresholdType": unit,
        }
        people = [{"SubscriptionType": "EMAIL", "Address": "boss@acme.example"}]
        made = {"notification": notification, "subscribers": people}
        bench.sim.money.alerts["told"].append(made)
    assert bench.plan().changes == ()
    bench.write({"told": {**ALERT, "exclusive": True}})
    names = {name for _, name in edits(bench.plan())}
    assert names == {
        "notify boss@acme.example at forecast 120%",
        "notify boss@acme.example at 99.5",
    }
    bench.apply()
    assert len(bench.sim.money.alerts["told"]) == 2


@pytest.mark.parametrize(
    "theirs",
    [
        {"TimeUnit": "QUARTERLY", "BudgetLimit": {"Amount": "70.0", "Unit": "USD"}},
        {"PlannedBudgetLimits": {"1793491200": {"Amount": "70", "Unit": "USD"}}},
        {"AutoAdjustData": {"AutoAdjustType": "FORECAST"}},
        {
            "CostFilters": {"Region": ["us-east-1"]},
            "BudgetLimit": {"Amount": "7.00", "Unit": "USD"},
        },
        {
            "FilterExpression": {"Not": {"Dimensions": {"Key": "AZ", "Values": ["a"]}}},
            "Metrics": ["UnblendedCost"],
            "BudgetLimit": {"Amount": "7.00", "Unit": "USD"},
        },
    ],
)
def test_a_budget_of_another_form_is_taken_over_and_given_back(bench, theirs):
    budget = {"BudgetName": "told", "BudgetType": "COST", "TimeUnit": "MONTHLY", **theirs}
    body = {"AccountId": bench.sim.account, "Budget": budget}
    bench.sim.money.call("CreateBudget", body)
    bench.write({"told": ALERT})
    bench.apply()
    assert bench.plan().changes == ()
    assert bench.sim.money.budgets["told"]["BudgetLimit"]["Amount"] == "500.00"
    bench.write()
    bench.apply()
    left = bench.sim.money.budgets["told"]
    assert {k: v for k, v in left.items() if k not in ("CostTypes", "TimePeriod")} == budget


def test_a_filter_that_is_written_the_new_way_is_the_same_filter(bench):
    by_service = {"Dimensions": {"Key": "SERVICE", "Values": ["Amazon Bedrock"]}}
    budget = {
        "BudgetName": "told",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "500", "Unit": "USD"},
        "FilterExpression": by_service,
    }
    bench.sim.money.call("CreateBudget", {"AccountId": bench.sim.account, "Budget": budget})
    bench.write({"told": {"monthly_usd": 500}})
    assert bench.plan().changes == ()


def test_what_else_a_budget_has_stays_when_its_amount_moves(bench):
    bench.write({"told": ALERT})
    bench.apply()
    bench.sim.money.budgets["told"]["CostTypes"] = {"IncludeCredit": False}
    bench.write({"told": {**ALERT, "monthly_usd": 600}})
    bench.apply()
    assert bench.sim.money.budgets["told"]["CostTypes"] == {"IncludeCredit": False}


def test_a_budget_of_another_type_in_the_way_is_told(bench):
    budget = {
        "BudgetName": "told",
        "BudgetType": "USAGE",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "5", "Unit": "USD"},
    }
    bench.sim.money.call("CreateBudget", {"AccountId": bench.sim.account, "Budget": budget})
    bench.write({"told": ALERT})
    assert "another type" in str(bench.apply().failed[0].error)
    assert bench.sim.money.budgets["told"] == budget


def test_the_whole_account_and_other_services_are_counted_where_asked_for(bench):
    edition = "Claude 3.5 Sonnet (Amazon Bedrock Edition)"
    budgets = {"all": {**ALERT, "scope": "organization"}, "told": ALERT}
    bench.write(budgets, budget_services=["Amazon Bedrock", edition])
    bench.apply()
    money = bench.sim.money.budgets
    assert "CostFilters" not in money["all"]
    assert money["told"]["CostFilters"] == {"Service": ["Amazon Bedrock", edition]}


def test_an_account_in_another_currency_gets_no_budget(bench):
    bench.write({"told": {**ALERT, "currency": "EUR"}})
    assert bench.plan().changes == ()


def test_a_hard_limit_without_its_fields_is_an_alert(bench):
    bench.write({"stop": HARD})
    assert [str(c.address) for c in bench.plan().changes] == ["bedrock/budget/stop"]


def irreversible(plan):
    return {str(c.address).removeprefix("bedrock/"): c.irreversible for c in plan.changes}


def test_lowering_is_free_and_raising_or_removing_a_hard_limit_is_final(bench):
    bench.write({"stop": HARD, "told": ALERT}, **STOP)
    assert not any(irreversible(bench.plan()).values())
    bench.apply()
    lower = {"stop": {**HARD, "monthly_usd": 400}, "told": {**ALERT, "monthly_usd": 9000}}
    bench.write(lower, **STOP)
    assert irreversible(bench.plan()) == {"budget/stop": False, "budget/told": False}
    bench.write({"stop": {**HARD, "monthly_usd": 600}, "told": ALERT}, **STOP)
    assert irreversible(bench.plan()) == {"budget/stop": True}
    bench.write({"stop": HARD, "told": ALERT}, budget_services=["Amazon S3"], **STOP)
    assert irreversible(bench.plan()) == {"budget/stop": True, "budget/told": False}
    bench.write({"stop": {**HARD, "enforce": "alert"}, "told": ALERT}, **STOP)
    assert irreversible(bench.plan()) == {"spend-limit/stop/DenyBedrock": True}
    assert bench.apply().failed == ()


def test_an_action_of_others_on_our_budget_is_not_ours(bench):
    bench.write({"stop": HARD}, **STOP)
    bench.apply()
    (action,) = bench.sim.money.actions.values()
    other = json.loads(json.dumps(action))
    other["ActionId"] = "ffffffff-0000-4000-8000-000000000000"
    other["Definition"]["IamActionDefinition"]["Users"] = ["somebody"]
    bench.sim.money.actions[other["ActionId"]] = other
    assert bench.plan().changes == ()
    bench.write({"stop": {**HARD, "notify": ["lead@acme.example"]}}, **STOP)
    bench.apply()
    assert bench.sim.money.actions[other["ActionId"]] == other


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("STANDBY", None, ""),
        ("EXECUTION_SUCCESS", "BYOK134", "is spent"),
        ("EXECUTION_FAILURE", "BYOK139", "budget_role_arn"),
    ],
)
def test_a_hard_limit_says_whether_it_stands(bench, status, code, words):
    bench.write({"stop": HARD}, **STOP)
    bench.apply()
    (action,) = bench.sim.money.actions.values()
    action["Status"] = status
    seen = bench.look(judged=True)
    assert codes(seen) == ([code] if code else [])
    assert words in (told(seen, code) if code else "")


def test_keys_are_listed_by_their_ends_and_ours_is_known(bench):
    user = bench.sim.iam.users[bench.sim.user]
    user["keys"].append(("AKIA" + "OTHERKEY" * 2, "Inactive", "2025-01-01T00:00:00Z", ""))
    bench.write(key="file://keys/api", policy={"max_key_age_days": 90})
    seen = bench.look(judged=True)
    texts = said(seen)
    ours = texts[f"key/access key …{KEY[0][-4:]}"]
    assert ours == "the one in use here, active, made on 2026-06-01, last used on 2026-11-20"
    assert "inactive, made on 2025-01-01" in texts["key/access key …RKEY"]
    assert "has 2 access keys" in texts["key/byok-cursor"]
    api = texts["key/Bedrock API key …SPEC"]
    assert "the one in use here, active, expires on 2027-03-01" in api
    aged = [d.path for d in seen.diagnostics if d.code == "BYOK116"]
    assert "/providers/bedrock/access_key_id" in aged
    assert KEY[0] not in repr(seen)


def test_other_policies_are_named_beside_an_allow_list(bench):
    user = bench.sim.iam.users[bench.sim.user]
    user["attached"] = ["AmazonBedrockFullAccess", "ReadOnlyAccess", "IAMFullAccess"]
    bench.write(allow_models=[NOVA])
    assert "3 other policies" in said(bench.look(judged=True))["policies/byok-cursor"]


def test_the_bill_is_asked_for_only_on_request(bench):
    bench.sim.money.costs = [
        ("Amazon Bedrock", "12.345"),
        ("Amazon S3", "99"),
        ("Claude 3.5 Sonnet (Amazon Bedrock Edition)", "30.1"),
    ]
    assert not any(at.startswith("cost") for at in said(bench.look(judged=True)))
    assert "GetCostAndUsage" not in bench.sent()
    texts = said(bench.look(judged=True, probes=frozenset({"cost"})))
    (month,) = [text for at, text in texts.items() if at.startswith("cost/20")]
    assert month.startswith("42.4")
    assert "0.01 USD a page, 2 pages" in month
    assert "Claude 3.5 Sonnet (Amazon Bedrock Edition) (30.10 USD)" in texts["cost/elsewhere"]


def test_without_an_administrator_the_account_is_only_observed(bench):
    bench.write({"told": ALERT}, admin=False)
    seen = bench.look(judged=True)
    assert seen.resources == {}
    assert "admin_access_key_id" in said(seen)["account/bedrock"]
    assert "alert only" in said(seen)["budget/told"]
    bench.write()
    (bench.folder / "keys" / "admin-id").unlink()
    assert "references in admin_access_key_id" in said(bench.look(judged=True))["account/bedrock"]


def test_a_dead_administrator_stops_the_account_not_the_look(bench):
    bench.write({"told": ALERT})
    bench.key("admin-secret", "x" * 40)
    with pytest.raises(ProviderError, match="does not accept the key"):
        bench.look(judged=True)
    assert bench.sim.writes() == []


def test_an_administrator_of_another_account_writes_nothing(bench):
    bench.write({"told": ALERT}, account_id="999988887777")
    with pytest.raises(ByokError, match="999988887777"):
        bench.look(judged=True)
    assert bench.sim.writes() == []


def test_the_ordinary_key_cannot_administer(bench):
    bench.write({"told": ALERT}, allow_models=[NOVA])
    bench.key("admin-id", KEY[0])
    bench.key("admin-secret", KEY[1])
    seen = bench.look(judged=True)
    assert seen.closed.keys() == {"model-policy", "budget", "spend-limit"}
    assert codes(seen) == []


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """An AWS configuration with the administrator as profile ``ops``, and as environment."""
    (tmp_path / "credentials").write_text(
        f"[ops]\naws_access_key_id = {ADMIN[0]}\naws_secret_access_key = {ADMIN[1]}\n"
    )
    (tmp_path / "config").write_text("[profile ops]\nregion = us-east-1\n")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def test_a_profile_administers(bench, configured):
    bench.write({"told": ALERT}, admin=False, profile="ops")
    assert bench.apply().failed == ()
    assert "told" in bench.sim.money.budgets


def test_the_default_chain_administers_where_asked_for(bench, configured):
    configured.setenv("AWS_ACCESS_KEY_ID", ADMIN[0])
    configured.setenv("AWS_SECRET_ACCESS_KEY", ADMIN[1])
    bench.write({"told": ALERT}, admin=False, credentials="default")
    assert bench.apply().failed == ()


@pytest.mark.parametrize("account", [{"profile": "none"}, {"credentials": "default"}])
def test_credentials_that_are_not_there_are_told(bench, configured, account):
    bench.write({"told": ALERT}, admin=False, **account)
    with pytest.raises(SecretError, match="no credentials here"):
        bench.look(judged=True)
    assert bench.sim.log == []


def test_a_profile_meets_no_origin_that_nobody_approved(bench, configured):
    bench.write({"told": ALERT}, admin=False, profile="ops")
    with (
        reading(replace(bench.options(), allow_origins=())) as session,
        pytest.raises(Unapproved, match="the AWS profile ops"),
    ):
        session.account("bedrock", judged=True)


def test_a_list_that_never_ends_is_given_up(bench):
    page = {"Budgets": [], "NextToken": "again"}
    bench.write({"told": ALERT})
    bench.sim.inject("answer", method="POST", times=99, response=Response(200, page))
    with pytest.raises(ProviderError, match="never ends"):
        bench.look(judged=True)


def test_a_write_that_was_lost_is_found_again(bench):
    bench.write({"told": ALERT})
    lost = [Fault("lost")]

    def take_fault(request):
        return lost.pop() if lost and request.headers.get("x-amz-target") == CREATE else None

    bench.sim.take_fault = take_fault
    assert bench.apply().failed
    assert bench.apply().failed == ()
    assert [r.headers.get("x-amz-target") for r in bench.sim.writes()] == [CREATE]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"__type": "ThrottlingException", "Message": "m"}),
        (400, {"__type": "CreationLimitExceededException", "Message": "m"}),
        (500, {"__type": "InternalErrorException", "Message": "m"}),
        (409, {}),
        (403, b"<html>"),
    ],
)
def test_a_refused_write_is_told_and_sent_once(bench, status, body):
    bench.write({"told": ALERT})
    answered = bench.sim._answered

    def refuse(service, request):
        if request.headers.get("x-amz-target") == CREATE:
            return Response(status, body)
        return answered(service, request)

    bench.sim._answered = refuse
    (failure,) = bench.apply().failed
    assert isinstance(failure.error, ProviderError)
    assert sum(r.headers.get("x-amz-target") == CREATE for r in bench.sim.log) == 1


def test_the_models_would_notice_a_wrong_request():
    def budgets(action, **body):
        target = {"x-amz-target": f"AWSBudgetServiceGateway.{action}"}
        return Request("POST", "/", {}, target, json.dumps(body).encode())

    good = budgets("DescribeBudgets", AccountId="111122223333")
    assert check([(good, Response(200, {"Budgets": []}))]) == 1
    budget = {"BudgetName": "b", "BudgetType": "COST", "TimeUnit": "WEEKLY"}
    for request, answer in (
        (budgets("DescribeBudgets", AccountId="1"), {}),
        (budgets("DescribeBudgets", AccountId="111122223333", Page=1), {}),
        (budgets("CreateBudget", AccountId="111122223333", Budget=budget), {}),
        (good, {"Budgets": [{"BudgetName": "b"}]}),
        (good, {"Budget": []}),
    ):
        with pytest.raises(AssertionError):
            check([(request, Response(200, answer))])


def test_a_takeover_shows_what_is_replaced(bench):
    put(bench.sim, [allowing(NOVA)])
    bench.write({"told": ALERT}, allow_models=[NOVA])
    plan = bench.plan()
    assert [c.action for c in plan.changes] == [Action.CREATE]
    assert plan.summary.in_sync == 1
