"""Which provider accounts a manifest names, and how each is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from importlib import import_module
from typing import Any, Final

from reconciler.errors import ByokError, ProviderError
from reconciler.spec import ADMIN_KEYS, CURSOR_TEAM, Manifest
from reconciler.systems.account import Account, Issuer, Setting, Spend, Untold
from reconciler.systems.account.answers import caught
from reconciler.systems.account.kinds import CLOSED


def names(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the accounts that a manifest declares, in its order."""
    providers = [p.name for p in manifest.providers.values() if not p.absent]
    team = [CURSOR_TEAM] if manifest.cursor_team.get("admin_key") else []
    return (*providers, *manifest.endpoints, *team)


def pointer(manifest: Manifest, name: str) -> str:
    """Return an account's place in the manifest, as a JSON pointer."""
    if name == CURSOR_TEAM:
        return "/cursor_team"
    return f"/endpoints/{name}" if name in manifest.endpoints else f"/providers/{name}"


def admin_references(manifest: Manifest, name: str) -> Iterator[Sequence[str]]:
    """Yield the references of each part of an account's admin credential; none of an optional one.

    Each must exist where the account is to be judged.
    """
    provider = manifest.providers.get(name)
    part = provider or manifest.endpoints.get(name)
    account = manifest.cursor_team if name == CURSOR_TEAM else part.account if part else {}
    if provider is None or not provider.optional:
        yield from (account[field] for field in ADMIN_KEYS if field in account)


def open_account(setting: Setting) -> Account:
    """Open one account; a provider is one file.

    Asks the provider nothing. What goes wrong, foreseen or not, is this account's failure.
    With ``setting.judged`` the admin credential is resolved: raises SecretError where it cannot be
    had, Unapproved where it would meet an origin nobody approved.
    """
    opened: Account = _opened(setting, "account")
    return opened


def open_issuer(setting: Setting) -> Issuer:
    """Open what makes and revokes an account's keys; asks the provider nothing. Raises as above."""
    opened: Issuer = _opened(setting, "issuer")
    return opened


def spent(setting: Setting, day: date | None = None) -> Spend | Untold:
    """Ask an account what it spent in the month of a day, which is today unless said.

    What its credential may not be told is untold. Raises as `open_account`, and ProviderError.
    """
    try:
        found: Spend | Untold = _opened(setting, "spent", day)
    except ProviderError as error:
        if error.kind not in CLOSED:
            raise
        return Untold(f"{error.where} {error.what}", error.way_out)
    return found


HOMES: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "azure": "azure",
    "bedrock": "bedrock",
    CURSOR_TEAM: "cursor_team",
}
"""Where each account is at home in `systems`; every other name is an endpoint's."""


def _opened(setting: Setting, what: str, *more: Any) -> Any:
    """Call one function of an account's own file; what goes wrong is this account's failure."""
    home = import_module(f"reconciler.systems.{HOMES.get(setting.name, 'endpoint')}")
    opened = caught(partial(getattr(home, what), setting, *more))
    if isinstance(opened, ByokError):
        raise opened
    return opened
