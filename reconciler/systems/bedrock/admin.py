"""Who administers the account: an access key, a profile, or AWS's default chain."""

from __future__ import annotations

from typing import Any, Final

from reconciler.errors import SecretError, SecretProblem
from reconciler.origins import Pairing, origin
from reconciler.systems.account import Setting, Unapproved
from reconciler.systems.bedrock.key import access_key
from reconciler.systems.bedrock.wire import EXTRA, Aws, Keys, held, installed, root

PARTS: Final = ("admin_access_key_id", "admin_secret_access_key", "admin_session_token")
UNDECLARED: Final = (
    "it has no admin credential; name admin_access_key_id and admin_secret_access_key, profile, or"
    " credentials: default"
)


def administered(setting: Setting) -> Aws | str:
    """Return the account as its administrator sees it, or why nobody administers it.

    Raises SecretError, Unapproved, and ProviderError (wrong kind) for the credential.
    """
    given = setting.account()
    if not given.keys() & {*PARTS, "profile", "credentials"}:
        return UNDECLARED
    if not installed():
        return EXTRA
    if PARTS[0] in given:
        found = access_key(setting, PARTS, given)
        return found if isinstance(found, str) else Aws(setting, held(*found))
    return Aws(setting, _chain(setting, given.get("profile")))


def _chain(setting: Setting, profile: str | None) -> Keys:
    """Find credentials as the AWS tools do: a profile, or the whole default chain.

    Where ``api_base`` names another host, the profile must have been approved for it: a session
    token travels with each request.
    """
    ref = f"the AWS profile {profile}" if profile else "the AWS default chain"
    base, own = root(setting, "sts")
    if not own and not setting.approved(ref, base):
        at = setting.at("key", setting.name)
        raise Unapproved(Pairing(at, ref, origin(base), f"{setting.pointer}/api_base"))
    found = _found(profile, ref)
    return lambda: _frozen(found, ref)


def _found(profile: str | None, ref: str) -> Any:
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    from botocore.session import Session  # type: ignore[import-untyped]

    try:
        found = Session(profile=profile).get_credentials()
    except BotoCoreError:  # its text may hold what the configuration says
        found = None
    if found is None:
        what, way_out = "has no credentials here", "see `aws configure list`, or `aws sso login`"
        raise SecretError(SecretProblem.NO_ITEM, ref, what, way_out)
    _frozen(found, ref)
    return found


def _frozen(found: Any, ref: str) -> Any:
    """Return the credentials of this moment; temporary ones are renewed first."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return found.get_frozen_credentials()
    except (BotoCoreError, ClientError):
        what = "cannot renew its credentials"
        raise SecretError(SecretProblem.LOCKED, ref, what, "run `aws sso login`") from None
