"""To be written: one provider's account."""

from __future__ import annotations

from reconciler.systems.account import Account, Setting, Sight


def account(setting: Setting) -> Account:
    """Open the account."""
    return Account(setting=setting, observe=Sight, account_id=lambda: "")
