"""The contract, held by AWS Bedrock's account against its simulator."""

from __future__ import annotations

import json

import pytest

from tests.aws_models import check
from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import mortality
from tests.simulators.bedrock import ADMIN, API_KEY, CLAUDE, KEY, NOVA, Bedrock

__all__ = ["mortality"]

USER = "byok-cursor"
OURS = "byok-models"
ROLE = "arn:aws:iam::111122223333:role/byok-budget"
POLICY = "arn:aws:iam::111122223333:policy/DenyBedrock"
OTHER = "arn:aws:iam::111122223333:policy/DenyAll"
BEFORE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "ByokModels",
            "Effect": "Allow",
            "Action": "bedrock:InvokeModel*",
            "Resource": ["arn:aws:bedrock:us-east-1::foundation-model/cohere.command-r-v1:0"],
        }
    ],
}
TALK = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"},
}


def spend(amount: str) -> dict[str, str]:
    return {"Amount": amount, "Unit": "USD"}


def notice(share: float) -> dict[str, object]:
    return {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": share,
        "ThresholdType": "PERCENTAGE",
    }


def told(address: str) -> dict[str, str]:
    return {"SubscriptionType": "EMAIL", "Address": address}


def furnish(simulator: Bedrock) -> None:
    """Put there what others made: some of it in our way, most of it none of our business."""
    user = simulator.iam.users[USER]
    user["policies"] = {OURS: json.dumps(BEFORE), "talk": json.dumps(TALK), "zoo": json.dumps(TALK)}
    call = simulator.money.call
    for name, kind in (("taken", "COST"), ("stranger", "COST"), ("hours", "USAGE")):
        budget = {"BudgetName": name, "BudgetType": kind, "TimeUnit": "MONTHLY"}
        body = {"AccountId": simulator.account, "Budget": {**budget, "BudgetLimit": spend("100")}}
        told_at = [{"Notification": notice(90.0), "Subscribers": [told(f"boss@{name}.example")]}]
        call("CreateBudget", {**body, "NotificationsWithSubscribers": told_at})
    action = {
        "AccountId": simulator.account,
        "BudgetName": "stranger",
        "ActionType": "APPLY_IAM_POLICY",
        "NotificationType": "ACTUAL",
        "ActionThreshold": {"ActionThresholdValue": 120.0, "ActionThresholdType": "PERCENTAGE"},
        "Definition": {"IamActionDefinition": {"PolicyArn": OTHER, "Users": ["somebody"]}},
        "ExecutionRoleArn": ROLE,
        "ApprovalModel": "MANUAL",
        "Subscribers": [told("boss@stranger.example")],
    }
    call("CreateBudgetAction", action)


class BedrockRig(AccountRig):
    name = "bedrock"
    secrets = (KEY[0], KEY[1], ADMIN[0], ADMIN[1], API_KEY)

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        names = ("id", "secret", "admin-id", "admin-secret", "api")
        for name, value in zip(names, self.secrets, strict=True):
            self.secret(name, value)

    def manifests(self, which):
        account = {
            "access_key_id": "file://keys/id",
            "secret_access_key": "file://keys/secret",
            "key": "file://keys/api",
            "region": "us-east-1",
            "account_id": "111122223333",
            "admin_access_key_id": "file://keys/admin-id",
            "admin_secret_access_key": "file://keys/admin-secret",
            "iam_user": USER,
            "api_base": self.base,
        }
        stop = {"budget_role_arn": ROLE, "budget_policy_arn": POLICY}
        match which:
            case "first":
                nothing = {"allow_models": [], "exclusive": True}
                return {
                    "providers": {"bedrock": {**account, **stop, **nothing}},
                    "budgets": {
                        "taken": self._budget(500, alert_at=[50], exclusive=True),
                        "made": self._budget(300, alert_at=[50, 80], enforce="hard"),
                    },
                }
            case "second":
                allowed = {"allow_models": [NOVA, f"us.{CLAUDE}", f"global.{CLAUDE}"]}
                return {
                    "providers": {"bedrock": {**account, **stop, **allowed, "exclusive": True}},
                    "budgets": {
                        "made": self._budget(350, alert_at=[80, 90], scope="organization"),
                        "whole": self._budget(900, notify=["a@acme.example"]),
                    },
                }
            case _:
                return {"providers": {"bedrock": account}}

    def _budget(self, amount, **more):
        notify = ["finops@acme.example", "lead@acme.example"]
        return {"provider": "bedrock", "monthly_usd": amount, "notify": notify, **more}

    def sense(self):
        money = self.simulator.money
        found = {}
        for name, text in self.simulator.iam.users[USER]["policies"].items():
            for statement in json.loads(text)["Statement"] if name == OURS else ():
                for arn in statement["Resource"]:
                    found[f"{statement['Sid']} {arn}"] = statement.get("Condition", True)
        for name, budget in money.budgets.items():
            filters = {k: v for k, v in budget.get("CostFilters", {}).items() if v}
            found[f"limit {name}"] = (float(budget["BudgetLimit"]["Amount"]), budget["TimeUnit"])
            found |= {f"filter {name}": filters} if filters else {}
            for alert in money.alerts[name]:
                at = json.dumps(alert["notification"], sort_keys=True)
                found |= {f"{name} {at} {s['Address']}": True for s in alert["subscribers"]}
        for action in money.actions.values():
            iam = action["Definition"]["IamActionDefinition"]
            at = action["ActionThreshold"]["ActionThresholdValue"]
            told = sorted(s["Address"] for s in action["Subscribers"])
            rest = (at, action["ApprovalModel"], iam.get("Users"), action["ExecutionRoleArn"], told)
            found[f"stop {action['BudgetName']} {iam['PolicyArn']}"] = rest
        return found

    def strangers(self):
        policies = self.simulator.iam.users[USER]["policies"]
        others = {f"policy {name}": text for name, text in policies.items() if name != OURS}
        mine = ("made", "taken", "whole")
        sensed = self.sense().items()
        rest = {
            k: v for k, v in sensed if not k.startswith("Byok") and not any(m in k for m in mine)
        }
        return {**others, **rest}

    def disturb(self):
        money = self.simulator.money
        money.budgets["made"]["BudgetLimit"]["Amount"] = "77.5"
        for action in money.actions.values():
            if action["BudgetName"] == "made":
                action["ActionThreshold"]["ActionThresholdValue"] = 90.0


class TestBedrock(AccountContract):
    def make(self, folder):
        simulator = Bedrock()
        furnish(simulator)
        return BedrockRig(folder, simulator, self.host(simulator))

    @pytest.fixture(autouse=True)
    def _as_aws_has_it(self, _server):
        """Hold every request that was sent, and every answer, against AWS's own models."""
        yield
        for simulator in self.simulators:
            check(simulator.answers[:400])
