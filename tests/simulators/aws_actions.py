"""Budget actions and Cost Explorer (JSON 1.1): what AWS does, and tells, of what is spent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.simulators.aws_wire import Fault, fields, paged

POLICY = re.compile(r"arn:aws:iam::(\d{12}|aws):policy/([!-~]+/)?[\w+=,.@-]+")
ROLE = re.compile(r"arn:aws:iam::\d{12}:role/([!-~]+/)?[\w+=,.@-]+")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Actions:
    """The actions of one account's budgets, and its bill of this month."""

    def __init__(self, account: str, *, unit: str = "USD", page: int = 2) -> None:
        self.account, self.unit, self.page = account, unit, page
        self.budgets: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, dict[str, Any]] = {}
        self.costs: list[tuple[str, str]] = []
        self.bill: list[tuple[str, str, str]] = []
        self.made = 0

    def _budget(self, body: Mapping[str, Any]) -> str:
        name = body["BudgetName"]
        if name not in self.budgets:
            raise Fault("NotFoundException", "the budget doesn't exist")
        return str(name)

    def _people(self, subscribers: Any) -> list[dict[str, str]]:
        if not isinstance(subscribers, list) or not 1 <= len(subscribers) <= 11:
            raise Fault("InvalidParameterException", "Subscribers")
        for one in subscribers:
            fields(one, "SubscriptionType Address")
            email = one["SubscriptionType"] == "EMAIL"
            if one["SubscriptionType"] not in ("EMAIL", "SNS"):
                raise Fault("InvalidParameterException", "SubscriptionType")
            if email != bool(EMAIL.fullmatch(one["Address"])):
                raise Fault("InvalidParameterException", "Address")
        if len({str(one) for one in subscribers}) != len(subscribers):
            raise Fault("DuplicateRecordException", "a subscriber twice")
        if sum(one["SubscriptionType"] == "EMAIL" for one in subscribers) > 10:
            raise Fault("CreationLimitExceededException", "more than ten addresses")
        return [dict(one) for one in subscribers]

    def _describe_actions(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId", "MaxResults NextToken")
        return paged("Actions", list(self.actions.values()), body, self.page)

    def _parts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        at = body["ActionThreshold"]
        fields(at, "ActionThresholdValue ActionThresholdType")
        if at["ActionThresholdType"] not in ("PERCENTAGE", "ABSOLUTE_VALUE"):
            raise Fault("InvalidParameterException", "ActionThresholdType")
        fields(
            body["Definition"], "", "IamActionDefinition ScpActionDefinition SsmActionDefinition"
        )
        iam = body["Definition"]["IamActionDefinition"]
        fields(iam, "PolicyArn", "Users Groups Roles")
        if not POLICY.fullmatch(iam["PolicyArn"]) or not ROLE.fullmatch(body["ExecutionRoleArn"]):
            raise Fault("InvalidParameterException", "an ARN")
        if not any(iam.get(name) for name in ("Users", "Groups", "Roles")):
            raise Fault("InvalidParameterException", "nobody to attach the policy to")
        if body["ApprovalModel"] not in ("AUTOMATIC", "MANUAL"):
            raise Fault("InvalidParameterException", "ApprovalModel")
        if body["NotificationType"] not in ("ACTUAL", "FORECASTED"):
            raise Fault("InvalidParameterException", "NotificationType")
        self._people(body["Subscribers"])
        names = "NotificationType ActionThreshold Definition ExecutionRoleArn ApprovalModel"
        return {name: body[name] for name in [*names.split(), "Subscribers"]}

    def _create_action(self, body: Mapping[str, Any]) -> dict[str, Any]:
        parts = "NotificationType ActionThreshold Definition ExecutionRoleArn ApprovalModel"
        fields(body, f"AccountId BudgetName ActionType {parts} Subscribers", "ResourceTags")
        name = self._budget(body)
        if body["ActionType"] != "APPLY_IAM_POLICY":
            raise Fault("InvalidParameterException", "ActionType")
        if sum(a["BudgetName"] == name for a in self.actions.values()) >= 5:
            raise Fault("CreationLimitExceededException")
        self.made += 1
        number = str(UUID(int=self.made))
        made = {"ActionId": number, "BudgetName": name, "ActionType": body["ActionType"]}
        self.actions[number] = {**made, **self._parts(body), "Status": "STANDBY"}
        return {"AccountId": self.account, "BudgetName": name, "ActionId": number}

    def _action(self, body: Mapping[str, Any]) -> dict[str, Any]:
        found = self.actions.get(body["ActionId"])
        if found is None or found["BudgetName"] != body["BudgetName"]:
            raise Fault("NotFoundException", "the action doesn't exist")
        if found["Status"].endswith("IN_PROGRESS"):
            raise Fault("ResourceLockedException")
        return found

    def _update_action(self, body: Mapping[str, Any]) -> dict[str, Any]:
        parts = "NotificationType ActionThreshold Definition ExecutionRoleArn ApprovalModel"
        fields(body, "AccountId BudgetName ActionId", f"{parts} Subscribers")
        old = self._action(body)
        new = {**old, **self._parts({**old, **body})}
        self.actions[body["ActionId"]] = new
        both = {"OldAction": old, "NewAction": new}
        return {"AccountId": self.account, "BudgetName": body["BudgetName"], **both}

    def _delete_action(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName ActionId")
        gone = self._action(body)
        del self.actions[body["ActionId"]]
        return {"AccountId": self.account, "BudgetName": body["BudgetName"], "Action": gone}

    def cost_and_usage(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer Cost Explorer's one question here: this month, by service."""
        fields(body, "TimePeriod Granularity Metrics", "GroupBy Filter NextPageToken")
        span = body["TimePeriod"]
        fields(span, "Start End")
        if not span["Start"] < span["End"] or body["Granularity"] not in ("MONTHLY", "DAILY"):
            raise Fault("ValidationException", "TimePeriod")
        if body["Metrics"] != ["UnblendedCost"] or body["GroupBy"] != [
            {"Type": "DIMENSION", "Key": "SERVICE"}
        ]:
            raise Fault("ValidationException", "this stand-in knows one question")
        if self.bill:
            return self._daily(body, span)
        page = paged("costs", self.costs, body, self.page, "NextPageToken")
        groups = [
            {"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": self.unit}}}
            for name, amount in page["costs"]
        ]
        row = {"TimePeriod": dict(span), "Total": {}, "Groups": groups, "Estimated": True}
        more = {k: v for k, v in page.items() if k != "costs"}
        return {"ResultsByTime": [row], "GroupDefinitions": body["GroupBy"], **more}

    def _daily(self, body: Mapping[str, Any], span: Mapping[str, str]) -> dict[str, Any]:
        """Answer with one row for each day of the page, as the bill has them."""
        if body["Granularity"] != "DAILY":
            raise Fault("ValidationException", "this bill has days")
        rows = [row for row in self.bill if span["Start"] <= row[0] < span["End"]]
        page = paged("rows", rows, body, self.page, "NextPageToken")
        days: dict[str, list[dict[str, Any]]] = {}
        for day, name, amount in page["rows"]:
            cost = {"UnblendedCost": {"Amount": amount, "Unit": self.unit}}
            days.setdefault(day, []).append({"Keys": [name], "Metrics": cost})
        results = [
            {"TimePeriod": {"Start": day, "End": day}, "Total": {}, "Groups": groups}
            for day, groups in days.items()
        ]
        more = {k: v for k, v in page.items() if k != "rows"}
        return {"ResultsByTime": results, "GroupDefinitions": body["GroupBy"], **more}
