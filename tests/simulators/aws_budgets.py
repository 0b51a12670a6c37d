"""AWS Budgets (JSON 1.1): budgets, their alerts, and who is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulators.aws_actions import Actions
from tests.simulators.aws_wire import Fault, fields, paged

BUDGET = "BudgetName TimeUnit BudgetType"
OPTIONAL = (
    "BudgetLimit PlannedBudgetLimits CostFilters CostTypes TimePeriod AutoAdjustData"
    " FilterExpression Metrics BillingViewArn"
)
UNITS = ("DAILY", "MONTHLY", "QUARTERLY", "ANNUALLY", "CUSTOM")
TYPES = ("USAGE", "COST", "RI_UTILIZATION", "RI_COVERAGE")
COST_TYPES = dict.fromkeys(
    (
        *("IncludeTax", "IncludeSubscription", "IncludeRefund", "IncludeCredit", "IncludeUpfront"),
        *("IncludeRecurring", "IncludeOtherSubscription", "IncludeSupport", "IncludeDiscount"),
    ),
    True,
)
MONTH = 1_793_491_200.0


class Budgets(Actions):
    """The budgets of one account, in the state that the API has them in."""

    def __init__(self, account: str, *, unit: str = "USD", page: int = 2) -> None:
        super().__init__(account, unit=unit, page=page)
        self.alerts: dict[str, list[dict[str, Any]]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}

    def state(self) -> dict[str, Any]:
        return {"budgets": self.budgets, "alerts": self.alerts, "actions": self.actions}

    def call(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one operation."""
        table: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "DescribeBudgets": self._describe,
            "CreateBudget": self._create,
            "UpdateBudget": self._update,
            "DeleteBudget": self._delete,
            "DescribeNotificationsForBudget": self._describe_alerts,
            "DescribeSubscribersForNotification": self._describe_subscribers,
            "CreateNotification": self._create_alert,
            "DeleteNotification": self._delete_alert,
            "CreateSubscriber": self._subscribe,
            "DeleteSubscriber": self._unsubscribe,
            "DescribeBudgetActionsForAccount": self._describe_actions,
            "CreateBudgetAction": self._create_action,
            "UpdateBudgetAction": self._update_action,
            "DeleteBudgetAction": self._delete_action,
        }
        if action not in table:
            raise Fault("UnknownOperationException")
        if body.get("AccountId") != self.account:
            raise Fault("AccessDeniedException", "not the account of the caller")
        return table[action](body)

    def _describe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId", "MaxResults NextToken ShowFilterExpression")
        hidden = () if body.get("ShowFilterExpression") else ("FilterExpression", "Metrics")
        found = [
            {k: v for k, v in self._shown(budget).items() if k not in hidden}
            for budget in self.budgets.values()
        ]
        return paged("Budgets", found, body, self.page)

    def _shown(self, budget: Mapping[str, Any]) -> dict[str, Any]:
        spend = {"Amount": "12.34", "Unit": self.unit}
        new = "FilterExpression" in budget
        limit = budget.get("BudgetLimit")
        shown = {"BudgetLimit": {**limit, "Amount": f"{float(limit['Amount'])}"}} if limit else {}
        return {
            **({} if new else {"CostFilters": {}, "CostTypes": COST_TYPES}),
            "TimePeriod": {"Start": MONTH, "End": 3706473600.0},
            **budget,
            **shown,
            "CalculatedSpend": {"ActualSpend": spend},
            "LastUpdatedTime": MONTH,
        }

    def _checked(self, budget: Mapping[str, Any]) -> dict[str, Any]:
        fields(budget, BUDGET, OPTIONAL)
        name = budget["BudgetName"]
        if not re.fullmatch(r"[^:\\]{1,100}", name) or "/action/" in name:
            raise Fault("InvalidParameterException", "BudgetName")
        if budget["TimeUnit"] not in UNITS or budget["BudgetType"] not in TYPES:
            raise Fault("InvalidParameterException", "TimeUnit or BudgetType")
        if "AutoAdjustData" not in budget:
            if ("BudgetLimit" in budget) == ("PlannedBudgetLimits" in budget):
                raise Fault("InvalidParameterException", "one of the two limits")
            for limit in (
                budget.get("BudgetLimit"),
                *budget.get("PlannedBudgetLimits", {}).values(),
            ):
                self._amount(limit)
        old, new = {"CostFilters", "CostTypes"}, {"FilterExpression", "Metrics"}
        if budget.keys() & old and budget.keys() & new:
            raise Fault("InvalidParameterException", "both sets of filters")
        for values in budget.get("CostFilters", {}).values():
            if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
                raise Fault("InvalidParameterException", "CostFilters")
        return dict(budget)

    def _amount(self, limit: Any) -> None:
        if limit is None:
            return
        fields(limit, "Amount Unit")
        if not isinstance(limit["Amount"], str) or not re.fullmatch(
            r"(\d*\.)?\d+", limit["Amount"]
        ):
            raise Fault("InvalidParameterException", "Amount")
        if limit["Unit"] != self.unit:
            raise Fault("InvalidParameterException", "Unit must be the currency of the account")

    def _create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId Budget", "NotificationsWithSubscribers ResourceTags")
        budget = self._checked(body["Budget"])
        name = budget["BudgetName"]
        if name in self.budgets:
            raise Fault("DuplicateRecordException", "the budget already exists")
        alerts = body.get("NotificationsWithSubscribers", [])
        if len(alerts) > 10:
            raise Fault("CreationLimitExceededException")
        made = [self._alert(a["Notification"], a["Subscribers"]) for a in alerts]
        self.budgets[name], self.alerts[name] = budget, made
        self.tags[name] = body.get("ResourceTags", [])
        return {}

    def _update(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId NewBudget")
        budget = self._checked(body["NewBudget"])
        self._budget(budget)
        self.budgets[budget["BudgetName"]] = budget
        return {}

    def _delete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName")
        name = self._budget(body)
        del self.budgets[name]
        self.alerts.pop(name, None)
        self.actions = {k: a for k, a in self.actions.items() if a["BudgetName"] != name}
        return {}

    def _alert(self, notification: Any, subscribers: Any) -> dict[str, Any]:
        fields(notification, "NotificationType ComparisonOperator Threshold", "ThresholdType")
        if (
            notification["NotificationType"] not in ("ACTUAL", "FORECASTED")
            or notification["ComparisonOperator"] not in ("GREATER_THAN", "LESS_THAN", "EQUAL_TO")
            or notification.get("ThresholdType", "PERCENTAGE")
            not in ("PERCENTAGE", "ABSOLUTE_VALUE")
            or isinstance(notification["Threshold"], bool)
            or not isinstance(notification["Threshold"], int | float)
        ):
            raise Fault("InvalidParameterException", "Notification")
        full = {"ThresholdType": "PERCENTAGE", **notification}
        full["Threshold"] = float(full["Threshold"])
        return {"notification": full, "subscribers": self._people(subscribers)}

    def _find(self, body: Mapping[str, Any]) -> dict[str, Any]:
        name = self._budget(body)
        wanted = self._alert(
            body["Notification"], [{"SubscriptionType": "EMAIL", "Address": "a@b.c"}]
        )
        for alert in self.alerts[name]:
            if alert["notification"] == wanted["notification"]:
                return alert
        raise Fault("NotFoundException", "the notification doesn't exist")

    def _describe_alerts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName", "MaxResults NextToken")
        alerts = self.alerts[self._budget(body)]
        found = [{**alert["notification"], "NotificationState": "OK"} for alert in alerts]
        return paged("Notifications", found, body, self.page)

    def _describe_subscribers(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName Notification", "MaxResults NextToken")
        return paged("Subscribers", self._find(body)["subscribers"], body, self.page)

    def _create_alert(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName Notification Subscribers")
        name = self._budget(body)
        made = self._alert(body["Notification"], body["Subscribers"])
        if any(made["notification"] == a["notification"] for a in self.alerts[name]):
            raise Fault("DuplicateRecordException")
        if len(self.alerts[name]) >= 10:
            raise Fault("CreationLimitExceededException")
        self.alerts[name].append(made)
        return {}

    def _delete_alert(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName Notification")
        alert = self._find(body)
        self.alerts[body["BudgetName"]].remove(alert)
        return {}

    def _subscribe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName Notification Subscriber")
        alert = self._find(body)
        alert["subscribers"] = self._people([*alert["subscribers"], body["Subscriber"]])
        return {}

    def _unsubscribe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        fields(body, "AccountId BudgetName Notification Subscriber")
        alert = self._find(body)
        if body["Subscriber"] not in alert["subscribers"]:
            raise Fault("NotFoundException", "the subscriber doesn't exist")
        alert["subscribers"].remove(body["Subscriber"])
        if not alert["subscribers"]:
            self.alerts[body["BudgetName"]].remove(alert)
        return {}
