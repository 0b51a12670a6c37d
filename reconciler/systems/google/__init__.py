"""Google's account: the Gemini key observed, the Cloud project behind it reconciled."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.systems.account import Account, Setting, Sight
from reconciler.systems.google import budgets, key, quotas, restrictions
from reconciler.systems.google.cloud import Cloud, connect
from reconciler.systems.google.credentials import admin


def account(setting: Setting) -> Account:
    """Open the account; with an admin credential and a project, all that the Cloud APIs allow.

    Raises SecretError or Unapproved for the admin credential.
    """
    why = _only_observed(setting)
    sign = admin(setting) if setting.judged and not why else None
    if sign is None:
        return Account(setting, lambda: key.observe(setting) + _said(setting, why), _id(setting))
    cloud = connect(setting, sign)
    billed = budgets.kinds(cloud) if cloud.billing_account else ()
    return Account(
        setting,
        lambda: key.observe(setting),
        _id(setting),
        kinds=(restrictions.kind(cloud), quotas.kind(cloud), *billed),
        survey=(
            lambda: restrictions.survey(cloud),
            lambda: quotas.survey(cloud),
            lambda: budgets.survey(cloud),
            lambda: _service(cloud),
        ),
        forget=cloud.forget,
    )


def _only_observed(setting: Setting) -> str:
    given = setting.account()
    if not (given.get("admin_key") or given.get("credentials")):
        return "neither admin_key nor credentials is declared"
    if not given.get("cloud_project"):
        return "cloud_project is not declared"
    return ""


def _said(setting: Setting, why: str) -> Sight:
    if not setting.judged:
        return Sight()
    reason = why or "none of the references in admin_key exists here"
    return setting.saw("account", setting.name, f"only observed: {reason}")


def _id(setting: Setting) -> Callable[[], str]:
    return lambda: str(setting.account().get("cloud_project", ""))


def _service(cloud: Cloud) -> Sight:
    """Tell where the Gemini API itself is switched off in the project."""
    if cloud.gemini().at("state") != "DISABLED":
        return Sight()
    return cloud.setting.found(
        "BYOK132",
        f"the Gemini API is not enabled in {cloud.project}",
        "enable generativelanguage.googleapis.com there",
        pointer="cloud_project",
    )
