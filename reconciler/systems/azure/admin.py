"""Who administers an Azure account, and the account as that administrator reaches it."""

from __future__ import annotations

from typing import Final

from reconciler.systems.account import Setting
from reconciler.systems.azure import entra
from reconciler.systems.azure.arm import DIALECT, Arm

NAMED: Final = ("subscription", "resource_group", "account")


def administered(setting: Setting) -> Arm | str:
    """Return the account as its administrator sees it, or why nobody administers it.

    Asks nothing. Raises SecretError, Unapproved, ProviderError for the admin credential.
    """
    given = setting.account()
    missing = [name for name in NAMED if name not in given]
    if missing:
        return f"the manifest does not say {', '.join(missing)}"
    sign = entra.signed(setting)
    if isinstance(sign, str):
        return sign
    client = setting.door.connect(entra.management(given), DIALECT, sign)
    return Arm(client, given["subscription"], given["resource_group"], given["account"])
