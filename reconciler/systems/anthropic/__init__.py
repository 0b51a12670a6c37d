"""Anthropic's account: the ordinary key observed; workspace, limits and keys reconciled.

Read from the SDK anthropic 2.12.0, whose types and docstrings are the newest public description
of the Admin API, and from the API's pages on errors and versions (November 2026).
"""

from __future__ import annotations

from functools import cache, partial

from reconciler.errors import ProviderProblem as Problem
from reconciler.systems.account import Account, Credential, Setting, Sight, refusal
from reconciler.systems.anthropic import budgets, key, survey
from reconciler.systems.anthropic.console import Console, identity, open_console
from reconciler.systems.anthropic.keys import key_kind
from reconciler.systems.anthropic.limits import rate_limit_kind, spend_limit_kind
from reconciler.systems.anthropic.wire import ADMIN, ORDINARY, base_of
from reconciler.systems.anthropic.workspaces import workspace_kind


def account(setting: Setting) -> Account:
    """Open the account; with an admin key, and where it is judged, with its kinds.

    Raises SecretError or Unapproved for the admin key, ProviderError (wrong kind of key) for an
    ordinary key in its place: nothing was sent then.
    """
    look = partial(key.look, setting)
    told = [partial(budgets.promised, setting)]
    admin = _admin(setting) if setting.judged else None
    if admin is not None:
        return _judged(setting, open_console(setting, admin))
    if setting.judged:
        told.append(partial(_observed_only, setting))
    return Account(setting, look, _nobody, survey=told)


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


def _admin(setting: Setting) -> Credential | None:
    base, own = base_of(setting)
    refs = setting.account().get("admin_key", ())
    found = setting.credential(refs, base, own=own)
    if found is not None and found.secret.expose().startswith(ORDINARY):
        what = "is an ordinary key, and admin_key needs an admin key: it was not sent"
        way_out = f"make one in the Console (it begins with {ADMIN}) and store it there"
        raise refusal(found.ref, Problem.WRONG_KIND, what, way_out)
    return found


def _observed_only(setting: Setting) -> Sight:
    declared = "admin_key" in setting.account()
    why = "none of the references in admin_key exists here" if declared else "it has no admin_key"
    return setting.saw("account", setting.name, f"only observed: {why}")


def _nobody() -> str:
    """Name an account of which nothing is judged, so that nothing is recorded of it."""
    return "observed"
