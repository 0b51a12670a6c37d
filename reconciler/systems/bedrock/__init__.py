"""AWS Bedrock: the account behind Cursor's access key; IAM policy, budgets and hard limits."""

from __future__ import annotations

from functools import partial

from reconciler.systems.account import Account, Setting, Sight
from reconciler.systems.bedrock import budgets, key, policy, promises, stops, survey
from reconciler.systems.bedrock.admin import administered
from reconciler.systems.bedrock.costs import spent
from reconciler.systems.bedrock.issuer import issuer
from reconciler.systems.bedrock.wire import Aws, caller


def account(setting: Setting) -> Account:
    """Open the account; with an administrator's credential, and where it is judged, its kinds.

    Raises SecretError or Unapproved for that credential, ProviderError where it is of a wrong
    kind: nothing was sent then.
    """
    observe = partial(key.look, setting)
    told = [partial(promises.words, setting)]
    aws = administered(setting) if setting.judged else None
    if isinstance(aws, Aws):
        return _judged(setting, aws)
    if aws is not None:
        told.append(partial(_observed_only, setting, aws))
    return Account(setting, observe, _nobody, survey=told)


def _judged(setting: Setting, aws: Aws) -> Account:
    user = setting.account().get("iam_user")
    kinds = [policy.kind(setting, aws, user)] if user else []
    looks = [partial(promises.words, setting)]
    if promises.offered(setting):
        kinds += [budgets.kind(setting, aws), stops.kind(setting, aws)]
        looks.append(partial(survey.limits, setting, aws))
    if "cost" in setting.probes:
        looks.append(partial(survey.costs, setting, aws))
    return Account(
        setting,
        partial(key.look, setting),
        lambda: caller(aws).account,
        kinds=tuple(kinds),
        survey=(*looks, *(survey.of_user(setting, aws, user) if user else ())),
        forget=aws.forget,
    )


def _observed_only(setting: Setting, why: str) -> Sight:
    return setting.saw("account", setting.name, f"only observed: {why}")


def _nobody() -> str:
    """Name an account of which nothing is judged, so that nothing is recorded of it."""
    return "observed"


__all__ = ["account", "issuer", "spent"]
