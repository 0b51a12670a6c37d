"""Google's account: the Gemini key observed, the Cloud project behind it reconciled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from reconciler.systems.account import Account, Setting, Sight, Untold
from reconciler.systems.google import budgets, key, quotas, restrictions
from reconciler.systems.google.cloud import Cloud, connect
from reconciler.systems.google.credentials import NOT_FOUND, admin, lacking
from reconciler.systems.google.issuer import issuer

__all__ = ["account", "issuer", "spent"]


NO_REPORT: Final = Untold(
    "Google has no API that tells costs",
    "see the billing account's reports, or export billing to BigQuery",
)


def account(setting: Setting) -> Account:
    """Open the account; with an admin credential and a project, all that the Cloud APIs allow.

    Raises SecretError or Unapproved for the admin credential.
    """
    why = lacking(setting)
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


def spent(_setting: Setting, _day: date | None = None) -> Untold:
    """Say why nobody can tell: costs are exported to BigQuery, and no API reports them."""
    return NO_REPORT


def _said(setting: Setting, why: str) -> Sight:
    if not setting.judged:
        return Sight()
    reason = why or NOT_FOUND
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
