"""Azure's two key slots: told apart by their values, tried, and made anew one at a time."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.origins import built_in, origin
from reconciler.secrets import Secret
from reconciler.systems.account import (
    Answer,
    Client,
    Dialect,
    Issuer,
    Listed,
    Made,
    Order,
    Setting,
    Trial,
    Values,
    refusal,
    trial,
    with_rows,
)
from reconciler.systems.account.signing import header
from reconciler.systems.azure import entra, key
from reconciler.systems.azure.admin import NAMED, administered
from reconciler.systems.azure.arm import WHO, Arm, versioned

SLOTS: Final[Mapping[str, str]] = {"key1": "Key1", "key2": "Key2"}
"""The slots as listKeys names them, and as regenerateKey does (CognitiveServices 2025-09-01)."""

HOW: Final = "makes the value of the idle key slot anew; what was in that slot is dead at once"
BY_HAND: Final = "a person makes a key slot anew in the portal"
DISTURBS: Final = "whoever uses the other key slot of this account"
CLOSED: Final = "takes no keys: disableLocalAuth is set on the account"
WHICH: Final = (
    "has two key slots, and byok cannot tell which of them is in use: making the wrong one anew"
    " would end the key that works"
)
PORTALS: Final[Mapping[str, str]] = {
    "https://management.usgovcloudapi.net": "https://portal.azure.us",
    "https://management.chinacloudapi.cn": "https://portal.azure.cn",
}


def issuer(setting: Setting) -> Issuer:
    """Open what makes a slot's key anew. Raises SecretError, Unapproved, ProviderError."""

    def attempt(values: Values) -> Trial:
        return _tried(setting, values)

    page = _page(setting)
    arm = administered(setting) if setting.judged else "the admin credential is not used here"
    if isinstance(arm, str):
        return Issuer(BY_HAND, attempt, by_hand=page, why=arm)
    return Issuer(
        HOW,
        attempt,
        listed=lambda: _listed(arm),
        identify=lambda values: _identified(arm, values),
        make=lambda order: _made(arm, order),
        orphans=_none,
        revoke=lambda id_: _revoke(arm, id_),
        disturbs=DISTURBS,
        by_hand=page,
        forget=arm.client.forget,
    )


def _none(_order: Order) -> tuple[str, ...]:
    """Return nothing: a slot of which nobody saw the value is simply made anew."""
    return ()


def _page(setting: Setting) -> str:
    """Return where the portal shows the account."""
    given = setting.account()
    base = PORTALS.get(origin(entra.management(given)), "https://portal.azure.com")
    named = [given.get(name) for name in NAMED]
    if not all(named):
        return f"{base}/"
    subscription, group, name = named
    place = f"/subscriptions/{subscription}/resourceGroups/{group}"
    return f"{base}/#resource{place}/providers/Microsoft.CognitiveServices/accounts/{name}"


# Trying a key.


def _classify(answer: Answer) -> Problem | None:
    """As for every use; a switched-off account says nothing of a key, and is no missing right."""
    if answer.at("error", "code") == "AuthenticationTypeDisabled":
        return Problem.UNSUPPORTED
    return key.DIALECT.classify(answer)


DIALECT: Final = Dialect(key.WHO, _classify)


def _tried(setting: Setting, values: Values) -> Trial:
    """List the models at the endpoint: free, and refused to a key that is dead."""
    provider = setting.manifest.providers[setting.name]
    endpoint, secret = provider.settings.get("endpoint"), values.get("key")
    if endpoint is None or secret is None:
        return Trial.UNTOLD
    place = f"{setting.pointer}/endpoint"
    refs = provider.secrets.get("key", ())
    setting.admit(refs, endpoint, own=built_in("azure", endpoint), pointer=place)
    path, params = key.listing(provider.settings.get("api_version"))

    def client() -> Client:
        return setting.door.connect(endpoint, DIALECT, header("api-key", secret))

    return trial(lambda: with_rows(client().get(path, params), "data"))


# The slots.


def _must_take_keys(arm: Arm) -> None:
    if arm.properties().get("disableLocalAuth"):
        way_out = "allow keys on the account's page, or leave its keys alone"
        raise refusal(WHO, Problem.UNSUPPORTED, CLOSED, way_out)


def _listed(arm: Arm) -> tuple[Listed, ...]:
    """List the slots; they have no dates. Where the account takes no keys, neither is live."""
    live = not arm.properties().get("disableLocalAuth")
    return tuple(Listed(slot, slot, live=live) for slot in SLOTS)


def _identified(arm: Arm, values: Values) -> str:
    """Return the slot that holds a value; both are read, compared, and dropped."""
    secret = values.get("key")
    if secret is None:
        return ""
    _must_take_keys(arm)
    answer = arm.client.ask(versioned(f"{arm.account}/listKeys"), None, remember=False)
    held = {slot: _value(answer, slot) for slot in SLOTS}
    found = [slot for slot, other in held.items() if _same(secret, other)]
    return found[0] if len(found) == 1 else ""


def _value(answer: Answer, slot: str) -> Secret:
    value = answer.at(slot)
    if not isinstance(value, str) or not value:
        raise refusal(WHO, Problem.UNREADABLE, "does not show the values of its key slots")
    return Secret(value)


def _same(one: Secret, other: Secret) -> bool:
    return hmac.compare_digest(one.expose().encode(), other.expose().encode())


def _made(arm: Arm, order: Order) -> Made:
    """Make the slot anew that does not hold the old key. Raises ProviderError."""
    if order.limit is not None:
        raise refusal(WHO, Problem.UNSUPPORTED, "has no limit for a single key")
    if order.old not in SLOTS:
        way_out = "store the value of key1 or of key2 where the manifest's key points"
        raise refusal(WHO, Problem.REJECTED, WHICH, way_out)
    _must_take_keys(arm)
    slot = next(each for each in SLOTS if each != order.old)
    return Made(slot, {"key": _value(_regenerate(arm, slot), slot)})


def _revoke(arm: Arm, id_: str) -> None:
    """Make a slot's value anew and drop the answer: nobody has what is in the slot then.

    From a slot's name alone nobody can tell whether this was done before, so it is done again:
    the caller sees to it that the slot holds the key that is to go.
    """
    if id_ not in SLOTS:
        raise refusal(WHO, Problem.NOT_THERE, "has the key slots key1 and key2, and no other")
    _regenerate(arm, id_)


def _regenerate(arm: Arm, slot: str) -> Answer:
    path = versioned(f"{arm.account}/regenerateKey")
    return arm.client.send("POST", path, {"keyName": SLOTS[slot]})
