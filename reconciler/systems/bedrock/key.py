"""What the ordinary key tells: whose it is, which models it may use, what its budgets become."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, quote

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.spec import ModelEntry
from reconciler.systems.account import Answer, Client, Setting, Sight, refusal
from reconciler.systems.account.findings import not_probed, of_error
from reconciler.systems.account.probe import PROMPT, TOKENS, generated
from reconciler.systems.account.signing import bearer
from reconciler.systems.bedrock import models
from reconciler.systems.bedrock.wire import (
    EXTRA,
    Aws,
    Caller,
    caller,
    dialect,
    held,
    installed,
    region,
    root,
)

PARTS: Final = ("access_key_id", "secret_access_key", "session_token")
CONVERSE: Final = ("/converse",)
ACCESS_KEY: Final = re.compile(r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}")
TEMPORARY: Final = "ASIA"
LONG: Final = "ABSK"
SERVICE: Final = "bedrock.amazonaws.com"
"""What IAM calls the service that Bedrock API keys are for."""

SHORT: Final = "bedrock-api-key-"
API_KEY: Final = (LONG, SHORT)


def look(setting: Setting) -> Sight:
    """Look at the account with each ordinary key that the manifest names."""
    secrets = setting.manifest.providers[setting.name].secrets
    sight = Sight()
    if "access_key_id" in secrets or "secret_access_key" in secrets:
        sight += _kept(setting, "access_key_id", _with_access_key)
    if "key" in secrets:
        sight += _kept(setting, "key", _with_api_key)
    return sight


def _kept(setting: Setting, pointer: str, job: Callable[[Setting], Sight]) -> Sight:
    try:
        return job(setting)
    except ProviderError as error:
        where = "region" if error.kind is Problem.WRONG_ENDPOINT else pointer
        return of_error(setting, error, where)
    except ByokError as error:
        return of_error(setting, error, pointer)


def _with_access_key(setting: Setting) -> Sight:
    found = access_key(setting, PARTS, setting.manifest.providers[setting.name].secrets)
    if isinstance(found, str):
        return not_probed(setting, found)
    if not installed():
        return not_probed(setting, EXTRA)
    aws = Aws(setting, held(*found), probe=_asked(setting))
    who = caller(aws)
    words = f"alive; AWS account {who.account}, {who.principal}"
    sight = setting.saw("key", setting.name, words) + _suspect(setting, who)
    sight += _kept(setting, "access_key_id", lambda _: _in_region(setting, aws["bedrock"]))
    return sight + _generated(setting, aws["bedrock-runtime"])


def _in_region(setting: Setting, client: Client) -> Sight:
    try:
        return models.look(setting, client)
    except ProviderError as error:
        if error.kind is not Problem.INVALID_KEY:
            raise
        what = f"does not know in {region(setting)} a key that AWS STS accepts"
        way_out = "enable the region for this AWS account, or correct region"
        raise refusal("AWS Bedrock", Problem.WRONG_ENDPOINT, what, way_out) from None


def access_key(
    setting: Setting, names: tuple[str, str, str], refs: Mapping[str, Any]
) -> tuple[Secret, Secret, Secret | None] | str:
    """Return an access key's parts, or why there is none.

    ``names`` are the manifest's fields for id, secret and token. Raises SecretError, Unapproved,
    and ProviderError (wrong kind) for an id that is none.
    """
    base, own = root(setting, "sts")
    key, secret, token = (setting.credential(refs.get(name, ()), base, own=own) for name in names)
    if key is None or secret is None:
        return f"none of the references in {names[0]} and {names[1]} exists here"
    must_be_access_key(key.secret, names, temporary=token is not None)
    return key.secret, secret.secret, token.secret if token else None


def must_be_access_key(key: Secret, names: tuple[str, str, str], *, temporary: bool) -> None:
    """Refuse what is no lasting access key. Raises ProviderError (wrong kind); nothing is sent."""
    value = key.expose()
    if value.startswith(API_KEY):
        what = f"was given a Bedrock API key in {names[0]}"
        raise refusal("AWS", Problem.WRONG_KIND, what, "put it in key, or put an access key here")
    if value.startswith(TEMPORARY) and not temporary and ACCESS_KEY.fullmatch(value):
        what = f"was given temporary credentials in {names[0]}, and no session token"
        raise refusal("AWS", Problem.WRONG_KIND, what, f"name {names[2]} too, or a lasting key")


def _suspect(setting: Setting, who: Caller) -> Sight:
    """Warn of a key that is another's than the manifest's policy and limits are for."""
    wanted = setting.account().get("iam_user")
    if who.principal == "root":
        return setting.found(
            "BYOK130",
            "this is a key of the AWS account's root user: it may do everything, and no policy or"
            " budget stops it",
            "make an IAM user for Cursor, and delete this key",
            pointer="access_key_id",
        )
    if wanted and who.user != wanted:
        return setting.found(
            "BYOK130",
            f"this key is of {who.principal}, and iam_user is {wanted}: allow_models and a hard"
            " budget hold for that user, not for this key",
            "name the key's own user in iam_user, or use a key of that user",
            pointer="access_key_id",
        )
    return Sight()


def _with_api_key(setting: Setting) -> Sight:
    refs = setting.manifest.providers[setting.name].secrets["key"]
    base, own = root(setting, "bedrock")
    key = setting.credential(refs, base, own=own)
    if key is None:
        return not_probed(setting, "none of the references in key exists here")
    must_be_api_key(setting, key.secret)
    spoken = dialect(setting, "bedrock")
    sight = _listed(setting, setting.door.connect(base, spoken, bearer(key.secret)))
    alive = setting.saw("key", setting.name, f"alive; a Bedrock API key{_until(key.secret)}")
    base, _ = root(setting, "bedrock-runtime")
    runtime = setting.door.connect(base, spoken, bearer(key.secret), also=_asked(setting))
    return alive + sight + _generated(setting, runtime)


def _listed(setting: Setting, client: Client) -> Sight:
    """Look at the models with the API key, unless the access key does: Cursor uses that one."""
    if "access_key_id" not in setting.manifest.providers[setting.name].secrets:
        return models.look(setting, client)
    try:
        client.get("/foundation-models")
    except ProviderError as error:
        if error.kind is not Problem.NO_ACCESS:
            raise
    return Sight()


def short_lived(key: Secret) -> tuple[str, datetime] | None:
    """Return region and end of a short-term API key: it is a request signed beforehand.

    None for every other key (aws-bedrock-token-generator 1.1 makes them; 12 hours at most).
    """
    value = key.expose()
    if not value.startswith(SHORT):
        return None
    try:
        signed = b64decode(value.removeprefix(SHORT), validate=False).decode("ascii", "ignore")
        fields = parse_qs(signed.partition("?")[2])
        made = datetime.strptime(fields["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        end = made + timedelta(seconds=int(fields["X-Amz-Expires"][0]))
        return fields["X-Amz-Credential"][0].split("/")[2], end
    except (ValueError, KeyError, IndexError, OverflowError):
        return None


def alias_of(key: Secret | None) -> str:
    """Return the alias inside a long-term API key: ABSK, then base64 of ``ALIAS:secret``."""
    if key is None or not key.expose().startswith(LONG):
        return ""
    try:
        inside = b64decode(key.expose().removeprefix(LONG) + "==").decode("utf-8", "replace")
    except ValueError:
        return ""
    return inside.partition(":")[0] if ":" in inside else ""


def must_be_api_key(setting: Setting, key: Secret) -> None:
    """Refuse what is no Bedrock API key, or is over. Raises ProviderError; nothing is sent."""
    if ACCESS_KEY.fullmatch(key.expose()):
        what = "was given an access key's id in key"
        way_out = "put it in access_key_id, and its secret in secret_access_key"
        raise refusal("AWS", Problem.WRONG_KIND, what, way_out)
    short = short_lived(key)
    if short is None:
        return
    made_for, end = short
    if end <= datetime.now(UTC):
        what = "was given a short-term API key whose time is over: it lasts 12 hours at most"
        raise refusal("AWS Bedrock", Problem.INVALID_KEY, what, "use a long-term key in Cursor")
    if made_for != region(setting):
        what = f"was given a short-term API key for another region than {region(setting)}"
        raise refusal("AWS Bedrock", Problem.WRONG_ENDPOINT, what, "correct region, or the key")


def _until(key: Secret) -> str:
    short = short_lived(key)
    return f", short-term: it ends on {short[1]:%Y-%m-%d at %H:%M} UTC" if short else ""


def _asked(setting: Setting) -> tuple[str, ...]:
    return CONVERSE if "generate" in setting.probes else ()


def _generated(setting: Setting, client: Client) -> Sight:
    def complete(entry: ModelEntry) -> Answer:
        body = {
            "messages": [{"role": "user", "content": [{"text": PROMPT}]}],
            "inferenceConfig": {"maxTokens": TOKENS},
        }
        return client.send("POST", f"/model/{quote(entry.id, safe='')}/converse", body)

    return generated(setting, complete)
