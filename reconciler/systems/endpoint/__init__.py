"""An OpenAI-compatible endpoint: observed by its type's own quirks; two gateways reconciled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from reconciler.spec import Endpoint
from reconciler.systems.account import Account, Credential, Setting, Sight
from reconciler.systems.endpoint.costs import spent
from reconciler.systems.endpoint.issuer import issuer
from reconciler.systems.endpoint.litellm import opened as open_litellm
from reconciler.systems.endpoint.management import admin, place
from reconciler.systems.endpoint.openrouter import opened as open_openrouter
from reconciler.systems.endpoint.sight import observe

Opened = Callable[[Setting, Endpoint, str, Credential, Callable[[], Sight]], Account]

MANAGED: Final[Mapping[str, Opened]] = {
    "openrouter": open_openrouter,
    "litellm": open_litellm,
}
"""The types whose management API byok reconciles (November 2026)."""


def account(setting: Setting) -> Account:
    """Open the account. Raises SecretError or Unapproved for the admin key of a managed type."""
    endpoint = setting.manifest.endpoints[setting.name]
    api = place(endpoint)

    def look() -> Sight:
        return observe(setting, endpoint)

    if not setting.judged:
        return Account(setting, look, lambda: api)
    found = admin(setting, endpoint)
    if isinstance(found, str):
        reason = f"only observed: {found}"
        return Account(
            setting, lambda: look() + setting.saw("account", setting.name, reason), lambda: api
        )
    return MANAGED[endpoint.type](setting, endpoint, *found, look)


__all__ = ["account", "issuer", "spent"]
