"""What the manifest wants of Cursor, in canonical form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from reconciler.errors import ByokError, SecretError, SecretProblem
from reconciler.model import Address, Sealed, Value
from reconciler.secrets import Secret
from reconciler.spec import Endpoint, Manifest, ModelEntry, Provider, claimant
from reconciler.systems import Desired, Vault
from reconciler.systems.cursor import slots
from reconciler.systems.cursor.layout import canonical_url

NAME: Final = "cursor"
PLACEHOLDER_REF: Final = "placeholder://no-key"
PLACEHOLDER: Final = "no-key"
"""What stands in the key field for an endpoint that asks for none: Cursor (3.20) uses the override
only with a key that is not empty."""

CUSTOM_ONLY: Final = ("azure", "bedrock")
_CREDENTIAL: Final[Mapping[str, str]] = {"session_token": "access_key_id"}

Wish = Callable[[], Mapping[str, Value]]


def provider(name: str) -> Address:
    """Return the address of a provider's slot."""
    return Address(NAME, "provider", name)


def model(name: str) -> Address:
    """Return the address of a model."""
    return Address(NAME, "model", name)


def default(feature: str) -> Address:
    """Return the address of a feature's default model."""
    return Address(NAME, "default", feature)


def desired(manifest: Manifest, vault: Vault, closed: Mapping[Address, str]) -> Desired:
    """Return the wishes; ``closed`` are provider addresses out of bounds, with the reason.

    Only secrets of addresses that are open are sealed.
    """
    resources = {**_models(manifest), **_defaults(manifest)}
    skipped = dict(closed)
    failed: dict[Address, ByokError] = {}
    for address, wish, optional in _providers(manifest, vault):
        if address in closed:
            continue
        if _without_place(manifest, address):
            skipped[address] = "Cursor has no place for a Bedrock API key, only for a pair of keys"
            continue
        try:
            resources[address] = wish()
        except SecretError as error:
            if error.kind is SecretProblem.OFFLINE:
                skipped[address] = error.what
            elif optional and error.kind is SecretProblem.NO_ITEM:
                skipped[address] = "optional, and there is no key"
            else:
                failed[address] = error
    return Desired(resources, skipped, failed)


def _without_place(manifest: Manifest, address: Address) -> bool:
    entry = manifest.providers.get(address.name)
    if entry is None or entry.name != "bedrock" or entry.absent:
        return False
    return "access_key_id" not in entry.secrets


def custom(entry: ModelEntry) -> bool:
    """Tell whether a model is one that Cursor's catalog does not have."""
    return entry.custom or entry.endpoint is not None or entry.provider in CUSTOM_ONLY


def _models(manifest: Manifest) -> dict[Address, Mapping[str, Value]]:
    found: dict[Address, Mapping[str, Value]] = {}
    for name, entry in manifest.models.items():
        if entry.absent:
            found[model(name)] = {"override": None, "custom": None}
            continue
        override = "enabled" if entry.enabled else "disabled"
        found[model(name)] = {"override": override} | ({"custom": True} if custom(entry) else {})
    return found


def _defaults(manifest: Manifest) -> dict[Address, Mapping[str, Value]]:
    return {
        default(feature): {"model": name}
        for name, entry in manifest.models.items()
        if not entry.absent
        for feature in entry.default_for
    }


def _providers(manifest: Manifest, vault: Vault) -> Iterator[tuple[Address, Wish, bool]]:
    """Yield each provider's address, how to make its wish, and whether it is optional."""
    endpoint = claimant(manifest)
    if endpoint is not None:
        yield provider("openai"), lambda: _of_endpoint(endpoint, vault), False
    for entry in manifest.providers.values():
        if endpoint is None or entry.name != "openai":
            yield provider(entry.name), _wish(entry, vault), entry.optional


def _wish(entry: Provider, vault: Vault) -> Wish:
    return lambda: _of_provider(entry, vault)


def placeholder(vault: Vault) -> Sealed:
    """Return the sealed form of the public value for endpoints without a key."""
    return Sealed(vault.fingerprint(Secret(PLACEHOLDER)), PLACEHOLDER_REF)


def _of_endpoint(endpoint: Endpoint, vault: Vault) -> Mapping[str, Value]:
    key = vault.seal(endpoint.key) if endpoint.key else placeholder(vault)
    return {"enabled": True, "key": key, "base_url": canonical_url("openai", endpoint.base_url)}


def _of_provider(entry: Provider, vault: Vault) -> Mapping[str, Value]:
    names = [slot.name for slot in slots.of(entry.name)]
    if entry.absent:
        return {"enabled": None, **dict.fromkeys(names)}
    wish: dict[str, Value] = {"enabled": entry.enabled}
    for name in names:
        if refs := entry.secrets.get(name):
            wish[name] = vault.seal(refs)
        elif _CREDENTIAL.get(name) in wish:
            wish[name] = None  # an old session token would spoil the new pair of keys
    return wish | _settings(entry)


def _settings(entry: Provider) -> dict[str, Value]:
    names: tuple[str, ...] = ()
    match entry.name:
        case "openai":
            return {"base_url": None}  # said, so that the key never meets another origin
        case "azure":
            names = ("endpoint", "deployment")
        case "bedrock":
            names = ("region",)
    given = {name: entry.settings[name] for name in names if entry.settings.get(name)}
    if "endpoint" in given:
        given["endpoint"] = canonical_url("azure", given["endpoint"])
    return dict(given)
