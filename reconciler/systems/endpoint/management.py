"""Where an endpoint's management API is, and the credential that it takes."""

from __future__ import annotations

from typing import Final

from reconciler.origins import built_in
from reconciler.spec import Endpoint
from reconciler.systems.account import Credential, Setting
from reconciler.systems.endpoint.sight import api, root

MANAGED: Final = ("openrouter", "litellm")
"""The types whose management API byok knows (November 2026)."""


def place(endpoint: Endpoint) -> str:
    """Return where the management API is, unless the manifest says: LiteLLM's is beside /v1."""
    own = root(api(endpoint)) if endpoint.type == "litellm" else api(endpoint)
    return str(endpoint.account.get("api_base") or own)


def admin(setting: Setting, endpoint: Endpoint) -> tuple[str, Credential] | str:
    """Return the management API and its credential, or why there is nothing to judge with.

    Raises SecretError or Unapproved.
    """
    if endpoint.type not in MANAGED:
        return f"byok knows no management API of type {endpoint.type}"
    refs, api = endpoint.account.get("admin_key", ()), place(endpoint)
    if not refs:
        return "no admin_key is declared"
    field = "api_base" if "api_base" in endpoint.account else "base_url"
    pointer, own = f"{setting.pointer}/{field}", built_in(endpoint.type, api)
    found = setting.credential(refs, api, own=own, pointer=pointer)
    return "none of the references in admin_key exists here" if found is None else (api, found)
