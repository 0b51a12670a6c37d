"""The models that the IAM user may call: one inline policy, whose models are owned one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs
from reconciler.systems.account import Kind, Named, Setting, refusal
from reconciler.systems.bedrock.codes import listed, order, query, text
from reconciler.systems.bedrock.wire import Aws, caller, partition, region

NAME: Final = "byok-models"
"""The policy's name; one for all teams, so that a fresh machine finds it, and its owner sees
whose it is. What IAM has no place for in an inline policy is a team's mark: the ledger has it."""

MODEL: Final = "model "
DIRECT: Final = "ByokModels"
ROUTED: Final = "ByokRoutes"
ACTION: Final = "bedrock:InvokeModel*"
"""InvokeModel and InvokeModelWithResponseStream; Converse asks for the same two rights."""

THROUGH: Final = "bedrock:InferenceProfileArn"
LIMIT: Final = 2048
"""Characters of all inline policies of one user, blanks not counted (IAM quotas, 2026)."""

PROFILE: Final = re.compile(r"(global|us|us-gov|eu|apac|jp|au|ca|sa|me|af|in)\.(.+\..+)")
"""A system-defined inference profile: a geography before the model's id."""


def kind(setting: Setting, aws: Aws, user: str) -> Kind:
    """Return the kind ``model-policy``: a resource for the user, an attribute for each model."""
    declared = "allow_models" in setting.account()
    allowed = setting.account().get("allow_models", ())
    exclusive = declared and setting.account().get("exclusive")
    return Kind(
        "model-policy",
        {user: {f"{MODEL}{name}": True for name in allowed}} if declared else {},
        lambda: _read(aws, user),
        lambda _name, _now, goal: _write(aws, user, goal),
        exclusive={user: MODEL} if exclusive else {},
    )


def _read(aws: Aws, user: str) -> Named:
    document = _document(aws, user)
    return {} if document is None else {user: dict.fromkeys(_models(aws, document), True)}


def _document(aws: Aws, user: str) -> Mapping[str, Any] | None:
    """Return our policy as it stands; None where there is none.

    Raises ProviderError (not there) where the user is missing: IAM says the same of both.
    """
    caller(aws)
    policies = listed(aws["iam"], "ListUserPolicies", "PolicyNames", UserName=user)
    if NAME not in [found.text for found in policies]:
        return None
    answer = query(aws["iam"], "iam", "GetUserPolicy", UserName=user, PolicyName=NAME)
    try:
        document = json.loads(unquote(text(answer, "PolicyDocument")))
    except ValueError:
        document = None
    if not isinstance(document, Mapping):
        raise refusal("AWS IAM", Problem.UNREADABLE)
    return document


def _statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = document.get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def _models(aws: Aws, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``model NAME`` for each model of which the policy has every part."""
    parts = {s.get("Sid"): s for s in _statements(document)}
    direct, routed = parts.get(DIRECT, {}), parts.get(ROUTED, {})
    have = _resources(direct) if _allows(direct) and "Condition" not in direct else []
    through = set(_resources(routed)) if _allows(routed) else set()
    for arn in have:
        name = _named(aws, arn)
        if through.issuperset(_routes(aws, name)):
            yield f"{MODEL}{name}"


def _allows(statement: Mapping[str, Any]) -> bool:
    return statement.get("Effect") == "Allow" and statement.get("Action") in (ACTION, [ACTION])


def _resources(statement: Mapping[str, Any]) -> list[str]:
    found = statement.get("Resource", [])
    return [found] if isinstance(found, str) else list(found)


def _write(aws: Aws, user: str, goal: Attrs) -> None:
    document = _document(aws, user) or {"Version": "2012-10-17"}
    theirs = [s for s in _statements(document) if s.get("Sid") not in (DIRECT, ROUTED)]
    models = sorted(name.removeprefix(MODEL) for name in goal if name.startswith(MODEL))
    statements = [*theirs, *_ours(aws, models)]
    if not statements:
        order(aws["iam"], "DeleteUserPolicy", UserName=user, PolicyName=NAME)
        return
    whole = json.dumps({**document, "Statement": statements}, separators=(",", ":"))
    if len(whole) > LIMIT:
        what = f"takes inline policies of {LIMIT} characters, and this one would have {len(whole)}"
        raise refusal("AWS IAM", Problem.REJECTED, what, "allow fewer models, or write anthropic.*")
    order(aws["iam"], "PutUserPolicy", UserName=user, PolicyName=NAME, PolicyDocument=whole)


def _ours(aws: Aws, models: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    names = list(models)
    if not names:
        return
    arns = [_arn(aws, name) for name in names]
    yield {"Sid": DIRECT, "Effect": "Allow", "Action": ACTION, "Resource": arns}
    routes = sorted({route for name in names for route in _routes(aws, name)})
    if routes:
        profiles = [_arn(aws, name) for name in names if PROFILE.fullmatch(name)]
        yield {
            "Sid": ROUTED,
            "Effect": "Allow",
            "Action": ACTION,
            "Resource": routes,
            "Condition": {"StringLike": {THROUGH: profiles}},
        }


def _beginnings(aws: Aws) -> tuple[str, str]:
    """Return how the ARNs of this region's models and inference profiles begin."""
    where = region(aws.setting)
    part = f"arn:{partition(where).name}:bedrock"
    number = caller(aws).account
    return f"{part}:{where}::foundation-model/", f"{part}:{where}:{number}:inference-profile/"


def _arn(aws: Aws, name: str) -> str:
    if name.startswith("arn:"):
        return name
    model, profile = _beginnings(aws)
    return f"{profile if PROFILE.fullmatch(name) else model}{name}"


def _named(aws: Aws, arn: str) -> str:
    model, profile = _beginnings(aws)
    name = arn.removeprefix(model).removeprefix(profile)
    return name if _arn(aws, name) == arn else arn


def _routes(aws: Aws, name: str) -> tuple[str, ...]:
    """Return the models a profile leads to: in any region, and for ``global`` in none.

    Both are asked for beside the profile itself (Bedrock User Guide, inference profiles).
    """
    found = PROFILE.fullmatch(name)
    if found is None:
        return ()
    part = f"arn:{partition(region(aws.setting)).name}:bedrock"
    everywhere = (f"{part}:*::foundation-model/{found[2]}",)
    nowhere = (f"{part}:::foundation-model/{found[2]}",) if found[1] == "global" else ()
    return everywhere + nowhere
