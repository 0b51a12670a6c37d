"""An OpenAI-compatible endpoint: observed by its type's own quirks; two gateways reconciled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from reconciler.origins import built_in
from reconciler.spec import Endpoint
from reconciler.systems.account import Account, Credential, Setting, Sight
from reconciler.systems.endpoint.litellm import opened as open_litellm
from reconciler.systems.endpoint.openrouter import opened as open_openrouter
from reconciler.systems.endpoint.sight import observe, root

Opened = Callable[[Setting, Endpoint, str, Credential, Callable[[], Sight]], Account]

MANAGED: Final[Mapping[str, Opened]] = {
    "openrouter": open_openrouter,
    "litellm": open_litellm,
}
"""The types whose management API byok reconciles (November 2026)."""


def account(setting: Setting) -> Account:
    """Open the account. Raises SecretError or Unapproved for the admin key of a managed type."""
    endpoint = setting.manifest.endpoints[setting.name]
    given = endpoint.account
    api = str(given.get("api_base") or _management(endpoint))

    def look() -> Sight:
        return observe(setting, endpoint)

    if not setting.judged:
        return Account(setting, look, lambda: api)
    credential = _admin(setting, endpoint, api)
    if isinstance(credential, str):
        reason = f"only observed: {credential}"
        return Account(
            setting, lambda: look() + setting.saw("account", setting.name, reason), lambda: api
        )
    return MANAGED[endpoint.type](setting, endpoint, api, credential, look)


def _management(endpoint: Endpoint) -> str:
    """Return where the management API is, unless the manifest says: LiteLLM's is beside /v1."""
    return root(endpoint.base_url) if endpoint.type == "litellm" else endpoint.base_url


def _admin(setting: Setting, endpoint: Endpoint, api: str) -> Credential | str:
    """Return the admin credential, or why there is nothing to judge with."""
    if endpoint.type not in MANAGED:
        return f"byok knows no management API of type {endpoint.type}"
    refs = endpoint.account.get("admin_key", ())
    if not refs:
        return "no admin_key is declared"
    field = "api_base" if "api_base" in endpoint.account else "base_url"
    own = built_in(endpoint.type, api)
    pointer = f"{setting.pointer}/{field}"
    found = setting.credential(refs, api, own=own, pointer=pointer)
    return found or "none of the references in admin_key exists here"


__all__ = ["account"]
