"""OpenAI: the key observed, and the project behind it reconciled with an admin key."""

from __future__ import annotations

from functools import cache

from reconciler.systems.account import Account, Setting, Sight
from reconciler.systems.openai.admin import Admin, limits, organization, permissions, projects
from reconciler.systems.openai.costs import spent
from reconciler.systems.openai.inventory import survey
from reconciler.systems.openai.issuer import issuer
from reconciler.systems.openai.key import observe
from reconciler.systems.openai.spend import (
    organization_alerts,
    organization_limit,
    project_alerts,
    project_limit,
)
from reconciler.systems.openai.wire import admin_key, connect_admin

OBSERVED = "observed"
"""The identity of an account without an admin key: the ledger has nothing of it."""


def account(setting: Setting) -> Account:
    """Open the account; asks OpenAI nothing.

    Raises SecretError or Unapproved for the admin key, ProviderError where it is no admin key.
    """
    if not setting.judged:
        return Account(setting, lambda: observe(setting), lambda: OBSERVED)
    key = admin_key(setting)
    if key is None:
        return Account(
            setting, lambda: observe(setting) + _only_observed(setting), lambda: OBSERVED
        )
    admin = Admin(setting, connect_admin(setting, key))
    named = cache(lambda: organization(admin))
    return Account(
        setting,
        lambda: observe(setting),
        named,
        kinds=(
            projects(admin),
            permissions(admin),
            limits(admin),
            project_limit(admin),
            organization_limit(admin),
            project_alerts(admin),
            organization_alerts(admin),
        ),
        survey=survey(admin),
        forget=admin.client.forget,
    )


def _only_observed(setting: Setting) -> Sight:
    declared = "admin_key" in setting.account()
    why = "none of the references in admin_key exists here" if declared else "it has no admin_key"
    return setting.saw("account", setting.name, f"only observed: {why}")


__all__ = ["account", "issuer", "spent"]
