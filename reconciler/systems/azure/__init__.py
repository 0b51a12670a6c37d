"""Azure OpenAI's account: its key observed; deployments, network rules, budgets reconciled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from reconciler.errors import ByokError
from reconciler.systems.account import Account, Setting, Sight
from reconciler.systems.account.findings import of_error
from reconciler.systems.azure import budget, deployment, entra, key, network, survey
from reconciler.systems.azure.arm import DIALECT, Arm

NAMED = ("subscription", "resource_group", "account")


def account(setting: Setting) -> Account:
    """Open the account. Raises SecretError, Unapproved, ProviderError for the admin credential."""
    if not setting.judged:
        return _observed(setting)
    given = setting.account()
    missing = [name for name in NAMED if name not in given]
    if missing:
        return _observed(setting, f"the manifest does not say {', '.join(missing)}")
    sign = entra.signed(setting)
    if isinstance(sign, str):
        return _observed(setting, sign)
    client = setting.door.connect(entra.management(given), DIALECT, sign)
    arm = Arm(client, given["subscription"], given["resource_group"], given["account"])
    spent = survey.spending(arm)
    return Account(
        setting,
        lambda: _observe(setting),
        arm.account.lower,
        kinds=(
            network.kind(setting, arm),
            deployment.kind(setting, arm),
            *budget.kinds(setting, arm, spent.currency),
        ),
        survey=survey.looks(setting, arm, spent),
        forget=client.forget,
    )


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
