"""Google's Budget API v1 (revision 20261011) with the rules of its spend caps, and the account."""

from __future__ import annotations

import json
from typing import Any

from tests.simulators.google_errors import Refused, check, etag, masked, meets, page, params
from tests.simulators.server import Request, Response

NUMBER = (int, float)
MONEY = {"currencyCode": str, "units": (str, int), "nanos": int}
DATE = {"year": int, "month": int, "day": int}
STATES = {"STATE_UNSPECIFIED", "CONFIGURED", "ENFORCED", "AWAITING_NEXT_PERIOD"}
CREDITS = {"INCLUDE_ALL_CREDITS", "EXCLUDE_ALL_CREDITS", "INCLUDE_SPECIFIED_CREDITS"}
BUDGET = {
    "name": str,
    "displayName": str,
    "etag": str,
    "ownershipScope": {"OWNERSHIP_SCOPE_UNSPECIFIED", "ALL_USERS", "BILLING_ACCOUNT"},
    "amount": {"specifiedAmount": MONEY, "lastPeriodAmount": {}},
    "budgetFilter": {
        "projects": [str],
        "services": [str],
        "subaccounts": [str],
        "resourceAncestors": [str],
        "creditTypes": [str],
        "creditTypesTreatment": CREDITS,
        "calendarPeriod": {"MONTH", "QUARTER", "YEAR"},
        "customPeriod": {"startDate": DATE, "endDate": DATE},
        "labels": {str: [str]},
    },
    "thresholdRules": [
        {"thresholdPercent": NUMBER, "spendBasis": {"CURRENT_SPEND", "FORECASTED_SPEND"}}
    ],
    "notificationsRule": {
        "disableDefaultIamRecipients": bool,
        "enableProjectLevelRecipients": bool,
        "monitoringNotificationChannels": [str],
        "pubsubTopic": str,
        "schemaVersion": str,
    },
    "spendCap": {"inputState": STATES, "outputState": STATES, "reconciling": bool},
}
CAPPED = {(0.5, "CURRENT_SPEND"), (0.8, "CURRENT_SPEND"), (1.0, "CURRENT_SPEND")}


def wrong(message: str) -> Refused:
    return Refused("INVALID_ARGUMENT", message)


class Billing:
    """One billing account. ``eligible`` holds the services that take a spend cap."""

    def __init__(self, account: str, currency: str, projects: dict[str, str], most: int) -> None:
        self.account, self.currency, self.most = account, currency, most
        self.projects = projects
        self.eligible = {"services/AEFD-7695-64FA"}
        self.budgets: dict[str, dict[str, Any]] = {}
        self.made = 0

    def add(self, **budget: Any) -> dict[str, Any]:
        """Put a budget there as somebody else would in the console; return it."""
        return self.create(budget)

    def enforce(self) -> None:
        """Let every spend cap be reached."""
        for budget in self.budgets.values():
            if "spendCap" in budget:
                budget["spendCap"]["outputState"] = "ENFORCED"

    def account_answer(self, request: Request, path: str) -> Response:
        params(request)
        if request.method != "GET" or path != f"v1/billingAccounts/{self.account}":
            raise Refused("NOT_FOUND", "Requested entity was not found.")
        shown = {"name": f"billingAccounts/{self.account}", "displayName": "Acme", "open": True}
        return Response(200, {**shown, "currencyCode": self.currency})

    def answer(self, request: Request, path: str) -> Response:
        parent = f"v1/billingAccounts/{self.account}/budgets"
        if path == parent and request.method == "GET":
            params(request, "pageSize", "pageToken", "scope")
            return Response(200, page(request, "budgets", [*self.budgets.values()], self.most))
        if path == parent and request.method == "POST":
            params(request)
            return self.shown(self.create(request.json))
        there = self.budgets.get(path.removeprefix("v1/"))
        if there is None:
            raise Refused("NOT_FOUND", "Requested entity was not found.")
        match request.method:
            case "GET":
                params(request)
                shown = self.shown(there)
                there.get("spendCap", {}).pop("reconciling", None)
                return shown
            case "PATCH":
                params(request, "updateMask")
                return self.shown(self.patch(request, there))
            case "DELETE":
                params(request)
                if there.get("spendCap", {}).get("outputState") == "ENFORCED":
                    raise Refused("FAILED_PRECONDITION", "The spend cap is enforced.")
                del self.budgets[there["name"]]
                return Response(200, {})
        raise Refused("NOT_FOUND", "Requested entity was not found.")

    @staticmethod
    def shown(budget: dict[str, Any]) -> Response:
        return Response(200, json.loads(json.dumps({**budget, "etag": etag(budget)})))

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        check(body, BUDGET)
        self.made += 1
        name = f"billingAccounts/{self.account}/budgets/0000-{self.made:04d}"
        given = {k: v for k, v in body.items() if k not in ("name", "etag")}
        if "spendCap" in given:
            given["spendCap"] = {**given["spendCap"], "outputState": "CONFIGURED"}
        budget = self.normal({**given, "name": name})
        self.budgets[name] = budget
        return budget

    def patch(self, request: Request, there: dict[str, Any]) -> dict[str, Any]:
        body = request.json
        check(body, BUDGET)
        meets(there, body)
        mask = (request.one("updateMask") or "").split(",")
        if "spendCap" in there:
            self.capped(there, body, mask)
        new = masked(request, there, body)
        if "spendCap" in new:
            was = there.get("spendCap", {}).get("outputState", "CONFIGURED")
            new["spendCap"]["outputState"] = new["spendCap"].get("inputState", was)
            new["spendCap"]["reconciling"] = True
        new = self.normal({**new, "name": there["name"]})
        self.budgets[there["name"]] = new
        return new

    @staticmethod
    def capped(there: dict[str, Any], body: dict[str, Any], mask: list[str]) -> None:
        """Hold a change of a spend cap to the rules of its state."""
        wanted = body.get("spendCap", {}).get("inputState")
        lifts = ("spendCap", "spendCap.inputState")
        if mask != [""] and not set(mask) & set(lifts):
            raise wrong("spend_cap must be specified in the update mask.")
        match there["spendCap"]["outputState"]:
            case "ENFORCED":
                if not set(mask) <= set(lifts) or wanted != "AWAITING_NEXT_PERIOD":
                    raise Refused("FAILED_PRECONDITION", "Only input_state may change.")
            case "AWAITING_NEXT_PERIOD" if wanted != "CONFIGURED":
                raise wrong("input_state must be CONFIGURED.")
            case "CONFIGURED" if wanted not in ("CONFIGURED", None):
                raise wrong("The spend cap is not enforced.")

    def normal(self, budget: dict[str, Any]) -> dict[str, Any]:
        """Return a budget as it is kept: numbers for projects, defaults filled in; or refuse it."""
        if len(budget.get("displayName", "")) > 60:
            raise wrong("display_name must be at most 60 characters.")
        scope = dict(budget.get("budgetFilter", {}))
        scope["projects"] = [self.number(name) for name in scope.get("projects", ())]
        if not {"calendarPeriod", "customPeriod"} & set(scope):
            scope["calendarPeriod"] = "MONTH"
        if {"calendarPeriod", "customPeriod"} <= set(scope):
            raise wrong("usage_period is a oneof.")
        if any(not name.startswith("services/") for name in scope.get("services", ())):
            raise wrong("Invalid service.")
        scope.setdefault("creditTypesTreatment", "INCLUDE_ALL_CREDITS")
        rules = [{"spendBasis": "CURRENT_SPEND", **r} for r in budget.get("thresholdRules", ())]
        if any(r.get("thresholdPercent", -1) < 0 for r in rules):
            raise wrong("threshold_percent must not be negative.")
        if "customPeriod" in scope and any(r["spendBasis"] != "CURRENT_SPEND" for r in rules):
            raise wrong("FORECASTED_SPEND needs a calendar period.")
        kept = {
            **budget,
            "amount": self.money(budget.get("amount", {})),
            "budgetFilter": {name: value for name, value in scope.items() if value != []},
            "thresholdRules": rules,
            "ownershipScope": budget.get("ownershipScope", "ALL_USERS"),
        }
        if "spendCap" in kept:
            self.may_cap(kept)
        return {name: value for name, value in kept.items() if value not in ([], {})}

    def number(self, name: str) -> str:
        found = {**self.projects, **{n: n for n in self.projects.values()}}
        if name.removeprefix("projects/") not in found or not name.startswith("projects/"):
            raise wrong("Request contains an invalid argument.")
        return f"projects/{found[name.removeprefix('projects/')]}"

    def money(self, amount: dict[str, Any]) -> dict[str, Any]:
        if len(amount) != 1:
            raise wrong("amount is required.")
        if "lastPeriodAmount" in amount:
            return amount
        given = amount["specifiedAmount"]
        if given.get("currencyCode", self.currency) != self.currency:
            raise wrong("The currency code must match the billing account's currency.")
        units, nanos = int(given.get("units", 0)), given.get("nanos", 0)
        kept = {"currencyCode": self.currency, "units": str(units), "nanos": nanos}
        return {"specifiedAmount": {k: v for k, v in kept.items() if v not in (0, "0")}}

    def may_cap(self, budget: dict[str, Any]) -> None:
        """Refuse a spend cap that breaks one of its rules."""
        scope, told = budget["budgetFilter"], budget.get("notificationsRule", {})
        rules = {(r["thresholdPercent"], r["spendBasis"]) for r in budget["thresholdRules"]}
        fine = (
            len(scope.get("projects", ())) == 1
            and len(scope.get("services", ())) == 1
            and set(scope.get("services", ())) <= self.eligible
            and scope.get("calendarPeriod") == "MONTH"
            and scope["creditTypesTreatment"] == "EXCLUDE_ALL_CREDITS"
            and not {"labels", "subaccounts", "resourceAncestors", "creditTypes"} & set(scope)
            and "specifiedAmount" in budget["amount"]
            and len(budget["thresholdRules"]) == 3
            and rules == CAPPED
            and told.get("enableProjectLevelRecipients") is True
            and not told.get("disableDefaultIamRecipients")
            and not told.get("pubsubTopic")
            and not told.get("monitoringNotificationChannels")
            and budget["ownershipScope"] != "BILLING_ACCOUNT"
            and budget["spendCap"].get("inputState") in ("CONFIGURED", "AWAITING_NEXT_PERIOD")
        )
        if not fine:
            raise wrong("Request contains an invalid argument.")
