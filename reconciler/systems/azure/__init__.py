"""Azure OpenAI's account: its key observed; deployments, network rules, budgets reconciled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from reconciler.errors import ByokError
from reconciler.systems.account import Account, Setting, Sight, Spend, Untold
from reconciler.systems.account.findings import of_error
from reconciler.systems.azure import budget, costs, deployment, key, network, survey
from reconciler.systems.azure.admin import administered
from reconciler.systems.azure.issuer import issuer

__all__ = ["account", "issuer", "spent"]


def account(setting: Setting) -> Account:
    """Open the account. Raises SecretError, Unapproved, ProviderError for the admin credential."""
    if not setting.judged:
        return _observed(setting)
    arm = administered(setting)
    if isinstance(arm, str):
        return _observed(setting, arm)
    spending = costs.spending(arm)
    return Account(
        setting,
        lambda: _observe(setting),
        arm.account.lower,
        kinds=(
            network.kind(setting, arm),
            deployment.kind(setting, arm),
            *budget.kinds(setting, arm, spending.currency),
        ),
        survey=survey.looks(setting, arm, spending),
        forget=arm.client.forget,
    )


def spent(setting: Setting, day: date | None = None) -> Spend | Untold:
    """Tell what the account cost in this month, by Azure's clock; ``day`` is a day of it.

    Uses the admin credential. Raises SecretError, Unapproved, ProviderError.
    """
    arm = administered(setting)
    if isinstance(arm, str):
        return Untold(f"only its administrator is told costs: {arm}", "see docs/accounts.md")
    return costs.read(arm, day)


def _observe(setting: Setting) -> Sight:
    """Tell of budgets also where the key itself cannot be looked at."""
    try:
        seen = key.look(setting)
    except ByokError as error:
        seen = of_error(setting, error)
    return seen + budget.told(setting)


def _observed(setting: Setting, reason: str = "") -> Account:
    """Only observe; where the account was to be judged, say why it is not."""

    def why() -> Sight:
        return setting.saw("account", setting.name, f"only observed: {reason}")

    looks: tuple[Callable[[], Sight], ...] = (why,) if reason else ()
    identity = _host(setting.manifest.providers[setting.name].settings)
    return Account(setting, lambda: _observe(setting), lambda: identity, survey=looks)


def _host(settings: Mapping[str, Any]) -> str:
    return urlsplit(settings.get("endpoint", "")).hostname or "azure"
