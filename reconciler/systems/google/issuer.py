"""Google's API keys: made with the old one's restrictions, told apart, tried, and deleted."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import (
    Answer,
    Issuer,
    Listed,
    Made,
    Order,
    Setting,
    Trial,
    Values,
    must_be_gone,
    refusal,
    trial,
    with_id,
    with_rows,
)
from reconciler.systems.account.findings import moment
from reconciler.systems.account.signing import header
from reconciler.systems.google import key
from reconciler.systems.google.cloud import GEMINI, Cloud, connect, finish
from reconciler.systems.google.credentials import NOT_FOUND, admin, lacking
from reconciler.systems.google.restrictions import every_key, key_string, services

HOW: Final = "makes an API key restricted as the old one is, else to the Gemini API alone"
BY_HAND: Final = "a person makes the key in Google's console"
UNUSED: Final = "the admin credential is not used here"
STUDIO: Final = "https://aistudio.google.com/apikey"
CONSOLE: Final = "https://console.cloud.google.com/apis/credentials?project="

NAME: Final = re.compile(r"projects/[^/]+/locations/global/keys/[^/]+")
"""A key's resource name, by which it is revoked (API Keys v2)."""

LONGEST: Final = 63
"""Characters of a display name, and of the id that ends a resource name (API Keys v2)."""

TIMES: Final = 9
"""How often one order's key can be deleted, and made again, in 30 days."""

READ_AT_MOST: Final = 100
"""Keys whose value is read to find one: only such as may be used for the Gemini API."""


def issuer(setting: Setting) -> Issuer:
    """Open what makes and deletes keys. Raises SecretError, or Unapproved for the admin credential.

    Deleting one can be undone at Google for 30 days (``keys.undelete``); byok never does.
    """
    why = lacking(setting) if setting.judged else UNUSED
    sign = None if why else admin(setting)
    project = setting.account().get("cloud_project")
    page = f"{CONSOLE}{project}" if project else STUDIO
    attempt = partial(_tried, setting)
    if sign is None:
        return Issuer(BY_HAND, attempt, by_hand=page, why=why or NOT_FOUND)
    cloud = connect(setting, sign)
    return Issuer(
        HOW,
        attempt,
        listed=lambda: tuple(_listed(each) for each in _for_gemini(cloud)),
        identify=partial(_identified, cloud),
        make=partial(_made, cloud),
        orphans=partial(_orphans, cloud),
        revoke=partial(_revoke, cloud, page),
        by_hand=page,
        forget=cloud.forget,
    )


def _tried(setting: Setting, values: Values) -> Trial:
    """Ask for one model. Raises Unapproved where the key in use may not go there either.

    Google forbids it to a key that is restricted to other APIs, too: that one is of no use.
    """
    secret, given = values.get("key"), setting.account()
    if secret is None:
        return Trial.UNTOLD
    base = given.get("api_base", key.BASE)
    setting.admit(key.references(setting), base, own="api_base" not in given)
    return trial(lambda: _model(setting, base, secret), forbidden=Trial.UNTOLD)


def _model(setting: Setting, base: str, secret: Secret) -> Answer:
    key.must_fit(secret)
    client = setting.door.connect(base, key.DIALECT, header("x-goog-api-key", secret))
    return with_rows(client.get("/v1beta/models", {"pageSize": 1}), "models")


def _for_gemini(cloud: Cloud) -> list[Mapping[str, Any]]:
    """Return the keys that may be used for the Gemini API; others are none of our business."""
    return [each for each in every_key(cloud) if GEMINI in (services(each) or [GEMINI])]


def _listed(found: Mapping[str, Any]) -> Listed:
    return Listed(
        id=str(found.get("name")),
        name=str(found.get("displayName") or found.get("uid") or ""),
        made=moment(found.get("createTime")),
        owner=str(found.get("serviceAccountEmail") or ""),
        live="deleteTime" not in found,
    )


def _identified(cloud: Cloud, values: Values) -> str:
    """Return the key with a value, by reading the keys' values one after the other.

    ``keys:lookupKey`` would answer at once, but takes the value in its URL.
    """
    secret = values.get("key")
    if secret is None:
        return ""
    bound = secret.expose().startswith("AQ.")
    candidates = sorted(_for_gemini(cloud), key=lambda one: _unlikely(one, bound=bound))
    for found in candidates[:READ_AT_MOST]:
        name = str(found.get("name"))
        if _same(secret, key_string(cloud, name)):
            return name
    return ""


def _unlikely(found: Mapping[str, Any], *, bound: bool) -> tuple[bool, bool]:
    return bool(found.get("serviceAccountEmail")) != bound, services(found) != [GEMINI]


def _same(one: Secret, other: Secret) -> bool:
    return hmac.compare_digest(one.expose().encode(), other.expose().encode())


def _made(cloud: Cloud, order: Order) -> Made:
    """Make a key, and read its value. Raises ProviderError; the key may be there all the same.

    One that this order made before is not made twice: its id says so, and its value can be read.
    """
    if order.limit is not None:
        raise refusal(cloud.keys.who, Problem.UNSUPPORTED, "has no limit for a single key")
    wish = {"displayName": _shown(order.name), **_as_old(cloud, order.old)}
    for id_ in _ids(order.name):
        name = _standing(cloud, id_, wish)
        if name:
            return Made(name, {"key": key_string(cloud, name)})
    raise refusal(cloud.keys.who, Problem.MOVED, "deleted too many keys of this order already")


def _standing(cloud: Cloud, id_: str, wish: Mapping[str, Any]) -> str:
    """Have a key of this id; return its resource name, or nothing where one was deleted."""
    parent = f"/v2/projects/{cloud.project}/locations/global/keys"
    taken = False
    try:
        finish(cloud.keys, "/v2", cloud.keys.send("POST", parent, wish, params={"keyId": id_}))
    except ProviderError as error:
        taken = error.kind is Problem.MOVED
        if not taken:
            raise
    found = _read(cloud, f"{parent}/{id_}", taken=taken)
    if "deleteTime" in found:
        return ""
    name = str(found.get("name", ""))
    if not NAME.fullmatch(name) or found.get("displayName") != wish["displayName"]:
        raise refusal(cloud.keys.who, Problem.UNREADABLE)
    return name


def _read(cloud: Cloud, path: str, *, taken: bool) -> Mapping[str, Any]:
    """Read a key; one whose id is taken, and that is not there, is in the making."""
    try:
        found: Mapping[str, Any] = cloud.keys.get(path).body or {}
    except ProviderError as error:
        if not taken or error.kind not in (Problem.NOT_THERE, Problem.NO_ACCESS):
            raise
        what = "is still making a key for this order"
        raise refusal(cloud.keys.who, Problem.DOWN, what, "run it again in a while") from None
    return found


def _as_old(cloud: Cloud, old: str) -> dict[str, Any]:
    """Return the restrictions, and the service account, of the key that is to be replaced.

    A key without any is restricted to the Gemini API: Google refuses unrestricted ones there.
    """
    cloud.keys.forget()
    found: Mapping[str, Any] = next((e for e in every_key(cloud) if old and e["name"] == old), {})
    known = dict(found.get("restrictions") or {})
    known["apiTargets"] = known.get("apiTargets") or [{"service": GEMINI}]
    bound = found.get("serviceAccountEmail")
    return {"restrictions": known, **({"serviceAccountEmail": bound} if bound else {})}


def _ids(name: str) -> Iterator[str]:
    """Yield ids for a new key, in RFC 1034's letters: that of a deleted key is taken for 30 days.

    They come from the name alone, so that one order has one key.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: LONGEST - 18].rstrip("-")
    lettered = plain if plain[:1].isalpha() else f"byok-{plain}".rstrip("-")
    plainly = lettered == name and name.startswith("byok-")  # and surely no UUID
    yield (first := name if plainly else f"{lettered}-{_hash(name)}")
    yield from (f"{first}-{number}" for number in range(2, TIMES + 1))


def _hash(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:8]


def _shown(name: str) -> str:
    """Return a name as a display name: one that is too long is told by its hash."""
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}-{_hash(name)}"


def _orphans(cloud: Cloud, order: Order) -> tuple[str, ...]:
    """Return the keys of an order's name that were not there before."""
    cloud.keys.forget()
    mine = [str(e["name"]) for e in every_key(cloud) if e.get("displayName") == _shown(order.name)]
    return tuple(name for name in mine if name not in (*order.before, order.old))


def _revoke(cloud: Cloud, page: str, id_: str) -> None:
    """Delete a key, and read back that it is. Raises ProviderError."""
    if not NAME.fullmatch(with_id(cloud.keys.who, id_)):
        raise refusal(cloud.keys.who, Problem.REJECTED, "has no key of such a name")
    if _there(cloud, id_):
        finish(cloud.keys, "/v2", cloud.keys.send("DELETE", f"/v2/{id_}"))
    must_be_gone(cloud.keys.who, partial(_there, cloud, id_), page)


def _there(cloud: Cloud, name: str) -> bool:
    """Tell whether a key is there and not deleted.

    Of a key that never was, Google says what it says to those without the right to look: a list
    tells the two apart.
    """
    cloud.keys.forget()
    try:
        return "deleteTime" not in cloud.keys.get(f"/v2/{name}").body
    except ProviderError as error:
        if error.kind is Problem.NOT_THERE:
            return False
        if error.kind is not Problem.NO_ACCESS or any(e["name"] == name for e in every_key(cloud)):
            raise
        return False
