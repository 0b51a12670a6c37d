"""IAM's query API: users and their inline policies; late to show what was written."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.simulators.aws_keys import NAME, Keys
from tests.simulators.aws_wire import Fault, Principal, fields


class Iam(Keys):
    """The users of one account; for ``lag`` reads after a write it shows what stood before."""

    def __init__(
        self,
        account: str,
        region: str,
        page: int,
        principals: dict[str, Principal],
        api_keys: dict[str, str],
    ) -> None:
        super().__init__(account, region, page, principals, api_keys)
        self.lag = 0
        self.stale: list[tuple[int, str, dict[str, Any]]] = []

    def call(self, action: str, given: dict[str, str]) -> str | None:
        """Carry out one operation; return the XML of its result."""
        table = {
            "ListUserPolicies": self._list_policies,
            "GetUserPolicy": self._get_policy,
            "PutUserPolicy": self._put_policy,
            "DeleteUserPolicy": self._delete_policy,
            "ListAttachedUserPolicies": self._list_attached,
            **self.operations(),
        }
        if action not in table:
            raise Fault("InvalidAction", f"Could not find operation {action}")
        return table[action](given)

    def add(self, name: str, *keys: str) -> dict[str, Any]:
        """Make a user with these access keys."""
        made = [(key, "Active", "2026-06-01T08:00:00Z", "2026-11-20T09:30:00Z") for key in keys]
        self.users[name] = {"policies": {}, "attached": [], "keys": made, "credentials": []}
        return self.users[name]

    def _list_policies(self, given: dict[str, str]) -> str:
        fields(given, "UserName", "Marker MaxItems")
        self._of(given)
        names = [escape(name) for name in self._policies(given["UserName"])]
        return self._members("PolicyNames", names, given)

    def _policies(self, user: str) -> dict[str, Any]:
        """Return what IAM shows: for a while, what stood there before."""
        while self.stale and self.stale[0][0] <= 0:
            self.stale.pop(0)
        for at, (left, name, before) in enumerate(self.stale):
            if name == user:
                self.stale[at] = (left - 1, name, before)
                return before
        return dict(self.users[user]["policies"])

    def _get_policy(self, given: dict[str, str]) -> str:
        fields(given, "UserName PolicyName")
        self._of(given)
        name = given["PolicyName"]
        document = self._policies(given["UserName"]).get(name)
        if document is None:
            raise Fault("NoSuchEntity", f"The user policy with name {name} cannot be found.", 404)
        who = f"<UserName>{given['UserName']}</UserName><PolicyName>{name}</PolicyName>"
        return f"{who}<PolicyDocument>{quote(document, safe='')}</PolicyDocument>"

    def _put_policy(self, given: dict[str, str]) -> None:
        fields(given, "UserName PolicyName PolicyDocument")
        user, name, text = self._of(given), given["PolicyName"], given["PolicyDocument"]
        if not NAME.fullmatch(name):
            raise Fault("ValidationError", "PolicyName")
        _check_policy(text)
        others = [document for other, document in user["policies"].items() if other != name]
        if sum(len(re.sub(r"\s", "", one)) for one in [*others, text]) > 2048:
            raise Fault("LimitExceeded", "Maximum policy size of 2048 bytes exceeded", 409)
        self._remember(given["UserName"])
        user["policies"][name] = text

    def _delete_policy(self, given: dict[str, str]) -> None:
        fields(given, "UserName PolicyName")
        user = self._of(given)
        if given["PolicyName"] not in user["policies"]:
            raise Fault("NoSuchEntity", "The user policy cannot be found.", 404)
        self._remember(given["UserName"])
        del user["policies"][given["PolicyName"]]

    def _remember(self, user: str) -> None:
        if self.lag:
            self.stale.append((self.lag, user, dict(self.users[user]["policies"])))

    def _list_attached(self, given: dict[str, str]) -> str:
        fields(given, "UserName", "Marker MaxItems PathPrefix")
        names = self._of(given)["attached"]
        made = [
            f"<PolicyName>{n}</PolicyName><PolicyArn>arn:aws:iam::aws:policy/{n}</PolicyArn>"
            for n in names
        ]
        return self._members("AttachedPolicies", made, given)


def _check_policy(text: str) -> None:
    try:
        document = json.loads(text)
        statements = document["Statement"]
        listed = [statements] if isinstance(statements, dict) else statements
        good = all(_is_statement(statement) for statement in listed)
        sids = [statement["Sid"] for statement in listed if "Sid" in statement]
        good = good and document["Version"] in ("2012-10-17", "2008-10-17")
        good = (
            good and len(sids) == len(set(sids)) and not document.keys() - {"Version", "Statement"}
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        good = False
    if not good:
        raise Fault("MalformedPolicyDocument", "Syntax errors in policy.")


def _is_statement(statement: dict[str, Any]) -> bool:
    resources = statement["Resource"]
    arns = [resources] if isinstance(resources, str) else resources
    names = {"Effect", "Action", "Resource", "Sid", "Condition"}
    return (
        statement["Effect"] in ("Allow", "Deny")
        and bool(statement["Action"])
        and not statement.keys() - names
        and re.fullmatch(r"[A-Za-z0-9]*", statement.get("Sid", "")) is not None
        and bool(arns)
        and all(arn == "*" or arn.startswith("arn:") for arn in arns)
    )
