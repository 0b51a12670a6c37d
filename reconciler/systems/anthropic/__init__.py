"""Anthropic's account: the ordinary key observed; workspace, limits and keys reconciled.

Read from the SDK anthropic 2.12.0, whose types and docstrings are the newest public description
of the Admin API, and from the API's pages on errors and versions (November 2026).
"""

from __future__ import annotations

from datetime import date
from functools import cache, partial

from reconciler.systems.account import Account, Setting, Sight, Spend, Untold
from reconciler.systems.anthropic import budgets, costs, key, survey
from reconciler.systems.anthropic.console import (
    Console,
    admin_key,
    identity,
    open_console,
)
from reconciler.systems.anthropic.issuer import issuer
from reconciler.systems.anthropic.keys import key_kind
from reconciler.systems.anthropic.limits import rate_limit_kind, spend_limit_kind
from reconciler.systems.anthropic.workspaces import workspace_kind


def account(setting: Setting) -> Account:
    """Open the account; with an admin key, and where it is judged, with its kinds.

    Raises SecretError or Unapproved for the admin key, ProviderError (wrong kind of key) for an
    ordinary key in its place: nothing was sent then.
    """
    look = partial(key.look, setting)
    told = [partial(budgets.promised, setting)]
    admin = admin_key(setting) if setting.judged else None
    if admin is not None:
        return _judged(setting, open_console(setting, admin))
    if setting.judged:
        told.append(partial(_observed_only, setting))
    return Account(setting, look, _nobody, survey=told)


def spent(setting: Setting, day: date | None = None) -> Spend | Untold:
    """Tell what the organisation cost in the month of a day, which is today unless said.

    Uses the admin key. Raises SecretError, Unapproved, ProviderError.
    """
    admin = admin_key(setting)
    if admin is None:
        return Untold(costs.NO_ADMIN, costs.WAY_OUT)
    return costs.read(open_console(setting, admin), day)


def _judged(setting: Setting, console: Console) -> Account:
    spending = spend_limit_kind(console)
    return Account(
        setting,
        partial(key.look, setting),
        cache(partial(identity, console)),
        kinds=(workspace_kind(console), rate_limit_kind(console), spending, key_kind(console)),
        survey=(
            partial(budgets.told, console, spending),
            partial(survey.keys, console),
            partial(survey.costs, console),
            partial(survey.overreach, console),
        ),
        forget=console.forget,
    )


def _observed_only(setting: Setting) -> Sight:
    declared = "admin_key" in setting.account()
    why = "none of the references in admin_key exists here" if declared else "it has no admin_key"
    return setting.saw("account", setting.name, f"only observed: {why}")


def _nobody() -> str:
    """Name an account of which nothing is judged, so that nothing is recorded of it."""
    return "observed"


__all__ = ["account", "issuer", "spent"]
