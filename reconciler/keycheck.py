"""What lint can say only with fingerprints and dates in hand: shape, reuse, age; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from reconciler.model import Address, Diagnostic, Resources, Sealed, Severity
from reconciler.spec import Manifest, claimant

Misfits = Callable[[Sealed, str], bool]


def check(
    manifest: Manifest,
    desired: Resources,
    misfits: Misfits,
    ages: Mapping[tuple[Address, str], int],
) -> Iterator[Diagnostic]:
    """Yield BYOK111, BYOK112 and BYOK116 for the keys a manifest wants in Cursor.

    ``misfits`` tells whether a value read in this run has another provider's shape; ``ages`` maps
    address and attribute to the days that this very key has been on record.
    """
    keys = dict(_keys(desired))
    yield from _shapes(manifest, keys, misfits)
    yield from _reused(manifest, keys)
    yield from _aged(manifest, ages)


def _keys(desired: Resources) -> Iterator[tuple[Address, Sealed]]:
    for address, attrs in desired.items():
        key = attrs.get("key")
        if isinstance(key, Sealed) and not (key.ref or "").startswith("placeholder:"):
            yield address, key


def _shapes(
    manifest: Manifest, keys: Mapping[Address, Sealed], misfits: Misfits
) -> Iterator[Diagnostic]:
    endpoint = claimant(manifest)
    for address, key in keys.items():
        kind = endpoint.type if endpoint and address.name == "openai" else address.name
        if misfits(key, kind):
            yield _warning(
                manifest,
                "BYOK111",
                _pointer(manifest, address),
                f"the value of {key.ref} does not look like a key of {kind}",
                "see that the reference names the right item",
            )


def _reused(manifest: Manifest, keys: Mapping[Address, Sealed]) -> Iterator[Diagnostic]:
    first: dict[str, Address] = {}
    for address, key in sorted(keys.items()):
        other = first.setdefault(key.fingerprint, address)
        if other != address:
            yield _warning(
                manifest,
                "BYOK112",
                _pointer(manifest, address),
                f"{other.name} and {address.name} are given one and the same key",
                "one of the two references names the wrong item",
            )


def _aged(manifest: Manifest, ages: Mapping[tuple[Address, str], int]) -> Iterator[Diagnostic]:
    limit = manifest.policy.max_key_age_days
    if limit is None:
        return
    for (address, _), days in sorted(ages.items()):
        if days > limit:
            yield _warning(
                manifest,
                "BYOK116",
                _pointer(manifest, address),
                f"this key is on record here for {days} days, policy.max_key_age_days is {limit}",
                f"byok rotate {_pointer(manifest, address).split('/')[2]}",
            )


def _pointer(manifest: Manifest, address: Address) -> str:
    endpoint = claimant(manifest)
    if endpoint is not None and address.name == "openai":
        return f"/endpoints/{endpoint.name}/key"
    return f"/providers/{address.name}/key"


def _warning(manifest: Manifest, code: str, path: str, what: str, way_out: str) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, path, what, way_out, manifest.where(path))
