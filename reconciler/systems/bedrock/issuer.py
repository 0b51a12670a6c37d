"""What makes, tries and revokes the keys of Bedrock: a user's access keys, or its API keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import (
    Answer,
    Issuer,
    Setting,
    Trial,
    Values,
    refusal,
    trial,
    with_rows,
)
from reconciler.systems.account.signing import bearer
from reconciler.systems.bedrock import iam_keys
from reconciler.systems.bedrock.admin import administered
from reconciler.systems.bedrock.iam_keys import ACCESS, API, Keys, Sort
from reconciler.systems.bedrock.key import (
    PARTS,
    access_key,
    must_be_access_key,
    must_be_api_key,
)
from reconciler.systems.bedrock.wire import (
    Aws,
    Caller,
    caller,
    dialect,
    held,
    installed,
    partition,
    region,
    root,
)

BY_HAND: Final = "a person makes the key in the console of AWS"
UNUSED: Final = "the admin credential is not used here"
TEMPORARY: Final = "session_token is declared: temporary credentials are not made by IAM"
WHOSE: Final = "iam_user is not declared, and a Bedrock API key does not tell whose it is"
CONSOLES: Final = {
    "aws": "https://console.aws.amazon.com",
    "aws-cn": "https://console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}


def issuer(setting: Setting) -> Issuer:
    """Open what makes and revokes keys of the sort that the manifest has; asks AWS nothing.

    Raises SecretError, Unapproved or ProviderError for the admin credential.
    """
    sort, page, attempt = _sort(setting), _page(setting), partial(_tried, setting)
    aws = _lacks(setting, sort) or administered(setting)
    if isinstance(aws, str):
        return Issuer(BY_HAND, attempt, by_hand=page, why=aws)
    keys = Keys(aws, sort, _user(setting), page)
    return Issuer(
        how=f"makes a second {sort.what} of the same IAM user",
        attempt=attempt,
        listed=partial(iam_keys.all_of, keys),
        identify=partial(iam_keys.identified, keys),
        make=partial(iam_keys.made, keys),
        orphans=partial(iam_keys.orphans, keys),
        revoke=partial(iam_keys.revoke, keys),
        by_hand=page,
        forget=aws.forget,
    )


def _refs(setting: Setting, part: str) -> Sequence[str]:
    return setting.manifest.providers[setting.name].secrets.get(part, ())


def _sort(setting: Setting) -> Sort:
    """Return the sort of key that Cursor has; the access key where both are declared."""
    return API if _refs(setting, "key") and not _refs(setting, PARTS[0]) else ACCESS


def _lacks(setting: Setting, sort: Sort) -> str:
    if not setting.judged:
        return UNUSED
    if sort is ACCESS:
        return TEMPORARY if _refs(setting, "session_token") else ""
    return "" if setting.account().get("iam_user") else WHOSE


def _page(setting: Setting) -> str:
    """Return where the console shows the keys of the user."""
    home = f"{CONSOLES[partition(region(setting)).name]}/iam/home#/users"
    user = setting.account().get("iam_user")
    return f"{home}/details/{user}?section=security_credentials" if user else home


def _user(setting: Setting) -> Callable[[], str]:
    """Return what tells whose the keys are: the manifest, else the key in use itself, asked once.

    Raises SecretError, Unapproved, and ProviderError where it is not a user's.
    """

    @cache
    def user() -> str:
        return str(setting.account().get("iam_user") or _owner(setting))

    return user


def _owner(setting: Setting) -> str:
    way_out = "make an IAM user for Cursor, and name it in iam_user"
    refs = setting.manifest.providers[setting.name].secrets
    found = access_key(setting, PARTS, refs)
    if isinstance(found, str):
        what = f"cannot be asked whose keys these are: {found}"
        raise refusal("AWS STS", Problem.NOT_THERE, what, way_out)
    who = caller(Aws(setting, held(*found)))
    if not who.user:
        what = f"makes lasting keys for IAM users only, and this key is of {who.principal}"
        raise refusal(iam_keys.WHO, Problem.REJECTED, what, way_out)
    return who.user


# Trying a key.


def _tried(setting: Setting, values: Values) -> Trial:
    """Ask whose an access key is, or what an API key may see. Raises Unapproved as for the old."""
    match dict(values):
        case {"access_key_id": id_, "secret_access_key": secret, **rest}:
            if not installed():
                return Trial.UNTOLD
            base, own = root(setting, "sts")
            for part in PARTS[:2]:
                setting.admit(_refs(setting, part), base, own=own)
            return trial(lambda: _whose(setting, id_, secret, rest.get("session_token")))
        case {"key": key}:
            base, own = root(setting, "bedrock")
            setting.admit(_refs(setting, "key"), base, own=own)
            return trial(lambda: _models(setting, base, key))
        case _:
            return Trial.UNTOLD


def _whose(setting: Setting, id_: Secret, secret: Secret, token: Secret | None) -> Caller:
    must_be_access_key(id_, PARTS, temporary=token is not None)
    return caller(Aws(setting, held(id_, secret, token)))


def _models(setting: Setting, base: str, key: Secret) -> Answer:
    must_be_api_key(setting, key)
    client = setting.door.connect(base, dialect(setting, "bedrock"), bearer(key))
    return with_rows(client.get("/foundation-models"), "modelSummaries")
