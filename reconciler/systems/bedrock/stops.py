"""Hard limits: a budget action that attaches a denying policy when the amount is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from reconciler.codec import nothing
from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs, Change
from reconciler.systems.account import Kind, Setting, Sight, refusal
from reconciler.systems.account.budgets import Budget, budgets_of
from reconciler.systems.bedrock.budgets import subscriber
from reconciler.systems.bedrock.codes import asked, headers, rows
from reconciler.systems.bedrock.promises import fits, missing, tellable
from reconciler.systems.bedrock.wire import BUDGETS, Aws, caller

STOP: Final = "stop"
AT, BY, ATTACH, TELL = "at ", "by ", "attach ", "tell "
WHO: Final = {"Users": "user ", "Groups": "group ", "Roles": "role "}


def kind(setting: Setting, aws: Aws) -> Kind:
    """Return the kind ``spend-limit``, named ``BUDGET/POLICY``: its one attribute is the action.

    The action's parts are one attribute because none of them can be absent by itself.
    """
    user = setting.account().get("iam_user", "")
    return Kind(
        "spend-limit",
        dict(_desired(setting)),
        lambda: {name: {STOP: _shown(action)} for name, action in _actions(aws, user).items()},
        partial(_write, aws, user),
        final=_final,
    )


def _final(change: Change) -> bool:
    """Tell whether a hard limit is changed or removed, which cannot be taken back."""
    return any(not nothing(edit.before) for edit in change.edits)


def _desired(setting: Setting) -> Iterator[tuple[str, Attrs]]:
    for budget in budgets_of(setting.manifest, setting.name):
        if budget.hard and fits(setting, budget) and not missing(setting, budget):
            yield _name(budget.name, _policy(setting)), {STOP: _wanted(setting, budget)}


def _policy(setting: Setting) -> str:
    found: str = setting.account()["budget_policy_arn"]
    return found


def _wanted(setting: Setting, budget: Budget) -> tuple[str, ...]:
    given = setting.account()
    told = sorted(next(addresses for _, addresses in tellable(budget)))
    return (
        f"{AT}100% AUTOMATIC",
        f"{ATTACH}{_policy(setting)}",
        f"{WHO['Users']}{given['iam_user']}",
        f"{BY}{given['budget_role_arn']}",
        *(f"{TELL}{address}" for address in told),
    )


def _name(budget: str, policy: str) -> str:
    return f"{budget}/{policy.partition(':policy/')[2] or policy}"


def _actions(aws: Aws, user: str) -> dict[str, Mapping[str, Any]]:
    """Return the actions that attach an IAM policy, by name.

    Of several alike, it is the one that is automatic and for our user.
    """
    body = {"AccountId": caller(aws).account}
    client = aws["budgets"]
    listed = asked(client, f"{BUDGETS}.DescribeBudgetActionsForAccount", body)
    found = [
        a for a in rows(client, listed, "Actions") if a.get("ActionType") == "APPLY_IAM_POLICY"
    ]
    found.sort(key=lambda a: (_likely(a, user), str(a.get("ActionId"))), reverse=True)
    return {_name(str(a.get("BudgetName")), _definition(a).get("PolicyArn", "")): a for a in found}


def _likely(action: Mapping[str, Any], user: str) -> tuple[bool, bool]:
    ours = user in (_definition(action).get("Users") or ())
    return not ours, action.get("ApprovalModel") != "AUTOMATIC"


def _definition(action: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (action.get("Definition") or {}).get("IamActionDefinition") or {}
    return found


def _shown(action: Mapping[str, Any]) -> tuple[str, ...]:
    at = action.get("ActionThreshold") or {}
    unit = "%" if at.get("ActionThresholdType") == "PERCENTAGE" else ""
    forecast = "forecast " if action.get("NotificationType") == "FORECASTED" else ""
    share = f"{at.get('ActionThresholdValue', 0):.12g}{unit}"
    definition = _definition(action)
    whom = [f"{w}{n}" for key, w in WHO.items() for n in sorted(definition.get(key) or ())]
    told = sorted(str(s.get("Address")) for s in action.get("Subscribers") or ())
    return (
        f"{AT}{forecast}{share} {action.get('ApprovalModel')}",
        f"{ATTACH}{definition.get('PolicyArn')}",
        *whom,
        f"{BY}{action.get('ExecutionRoleArn')}",
        *(f"{TELL}{address}" for address in told),
    )


def _write(aws: Aws, user: str, name: str, _now: Attrs, goal: Attrs) -> None:
    action = _actions(aws, user).get(name)
    wish = goal.get(STOP)
    at = {} if action is None else {"ActionId": action["ActionId"]}
    at |= {"BudgetName": action["BudgetName"] if action else name.partition("/")[0]}
    match wish, action:
        case None | (), None:
            return
        case None | (), _:
            _tell(aws, "DeleteBudgetAction", at)
        case tuple(), None:
            tags = [{"Key": "byok", "Value": aws.setting.manifest.team}]
            made = {"ActionType": "APPLY_IAM_POLICY", **_parts(wish), "ResourceTags": tags}
            _tell(aws, "CreateBudgetAction", {**at, **made})
        case tuple(), _:
            _tell(aws, "UpdateBudgetAction", {**at, **_parts(wish)})
        case _:
            raise refusal("AWS Budgets", Problem.REJECTED)


def _tell(aws: Aws, action: str, body: Mapping[str, Any]) -> None:
    whole = {"AccountId": caller(aws).account, **body}
    aws["budgets"].send("POST", "/", whole, headers=headers(f"{BUDGETS}.{action}"))


def _parts(wish: tuple[Any, ...]) -> dict[str, Any]:
    """Return an action's fields from the words of its attribute."""
    lines = [str(line) for line in wish]
    share, _, approval = _one(lines, AT).removeprefix("forecast ").partition(" ")
    whom = {key: _all(lines, word) for key, word in WHO.items() if _all(lines, word)}
    return {
        "NotificationType": "FORECASTED" if f"{AT}forecast" in lines[0] else "ACTUAL",
        "ActionThreshold": {
            "ActionThresholdValue": float(share.removesuffix("%")),
            "ActionThresholdType": "PERCENTAGE" if share.endswith("%") else "ABSOLUTE_VALUE",
        },
        "Definition": {"IamActionDefinition": {"PolicyArn": _one(lines, ATTACH), **whom}},
        "ExecutionRoleArn": _one(lines, BY),
        "ApprovalModel": approval,
        "Subscribers": [subscriber(address) for address in _all(lines, TELL)],
    }


def _all(lines: list[str], word: str) -> list[str]:
    return [line.removeprefix(word) for line in lines if line.startswith(word)]


def _one(lines: list[str], word: str) -> str:
    return next(iter(_all(lines, word)), "")


def standing(setting: Setting, aws: Aws) -> Sight:
    """Tell of hard limits that are reached, or could not be put in force."""
    sight = Sight()
    mine = {budget.name: budget for budget in budgets_of(setting.manifest, setting.name)}
    for action in _actions(aws, setting.account().get("iam_user", "")).values():
        budget = mine.get(str(action.get("BudgetName")))
        if budget is not None:
            sight += _status(setting, budget, str(action.get("Status")))
    return sight


def _status(setting: Setting, budget: Budget, status: str) -> Sight:
    match status:
        case "EXECUTION_SUCCESS" | "EXECUTION_IN_PROGRESS":
            code, what = "BYOK134", f"{budget.name} is spent: AWS attached the policy to the user"
            way_out = "raise the amount and reset the action in AWS Budgets, or wait for the month"
        case "EXECUTION_FAILURE" | "RESET_FAILURE" | "REVERSE_FAILURE":
            code, what = "BYOK139", f"{budget.name} does not stop: AWS could not attach the policy"
            way_out = "see that budget_role_arn may be assumed by AWS Budgets, and may attach it"
        case _:
            return Sight()
    return setting.found(code, what, way_out, pointer=budget.pointer)
