"""Each reference of the manifest: is it there, which one wins, does its value fit, how old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler import accounts
from reconciler.doctor.finding import Finding, problem, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing
from reconciler.errors import SecretError, SecretProblem as Problem
from reconciler.ledger import Ledger
from reconciler.model import Address, Sealed
from reconciler.secrets.reference import Scheme, parse, split_sops
from reconciler.spec import CURSOR, Manifest, claimant

CODES = {
    Problem.NO_ITEM: "BYOK240",
    Problem.LOCKED: "BYOK241",
    Problem.NO_BACKEND: "BYOK241",
    Problem.TIMED_OUT: "BYOK241",
    Problem.NOT_DECRYPTABLE: "BYOK234",
    Problem.REFUSED: "BYOK242",
    Problem.UNUSABLE: "BYOK242",
}
"""The code of each way in which a secret cannot be had."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One value that the manifest refers to.

    ``refs`` are in order of preference. ``kind`` is whose key it should look like, ``""`` for
    none; ``slot`` its place in Cursor, where it has one.
    """

    name: str
    pointer: str
    refs: Sequence[str]
    kind: str = ""
    optional: bool = False
    slot: tuple[Address, str] | None = None


def wanted(manifest: Manifest, *, admin: bool) -> Iterator[Wanted]:
    """Yield all that a manifest refers to; what administers accounts only with ``admin``."""
    for one in manifest.providers.values():
        for name, refs in one.secrets.items() if not one.absent else ():
            slot = (Address(CURSOR, "provider", one.name), name)
            place = f"/providers/{one.name}/{name}"
            yield Wanted(f"{one.name} {name}", place, refs, one.name, one.optional, slot)
    for endpoint in manifest.endpoints.values():
        if endpoint.key:
            mine = endpoint is claimant(manifest)
            slot_ = (Address(CURSOR, "provider", "openai"), "key") if mine else None
            place = f"/endpoints/{endpoint.name}/key"
            yield Wanted(f"{endpoint.name} key", place, endpoint.key, endpoint.type, slot=slot_)
    for account in accounts.names(manifest) if admin else ():
        for group in accounts.admin_references(manifest, account):
            yield Wanted(f"{account} admin key", accounts.pointer(manifest, account), group)
    if manifest.policy.fingerprint_key:
        place = "/policy/fingerprint_key"
        yield Wanted("fingerprint key", place, manifest.policy.fingerprint_key)


def schemes(manifest: Manifest, *, admin: bool) -> frozenset[Scheme]:
    """Return the kinds of stores that a manifest refers to."""
    texts = (ref for one in wanted(manifest, admin=admin) for ref in one.refs)
    return frozenset(parse(text).scheme for text in texts)


def sops_files(manifest: Manifest, *, admin: bool) -> tuple[str, ...]:
    """Return the SOPS files that a manifest refers to, each once, as it names them."""
    refs = (parse(ref) for one in wanted(manifest, admin=admin) for ref in one.refs)
    names = (split_sops(ref.locator)[0] for ref in refs if ref.scheme is Scheme.SOPS)
    return tuple(dict.fromkeys(names))


def judging(ground: Ground) -> bool:
    """Tell whether accounts are judged in this run: then their admin credentials matter."""
    return any(name != CURSOR for name in ground.scope.systems)


def each(ground: Ground) -> Iterator[Finding]:
    """Resolve every value that the manifest refers to, and judge it without showing it."""
    manifest, vault = ground.manifest, ground.vault
    if not isinstance(manifest, Manifest) or isinstance(vault, Missing):
        reason = manifest.reason if isinstance(manifest, Missing) else "there is no vault"
        yield skipped("secrets/references", reason)
        return
    every = list(wanted(manifest, admin=judging(ground)))
    vault.warm(one.refs for one in every)
    ages = _ages(ground, manifest)
    for one in every:
        try:
            sealed = vault.seal(one.refs)
        except SecretError as error:
            yield _failed(ground, manifest, one, error)
            continue
        yield _had(one, sealed, ages)
        if one.kind and vault.misfits(sealed, one.kind):
            yield _misfit(manifest, one, sealed)
    if not every:
        yield well("secrets/references", "the manifest refers to no secret")


def _had(one: Wanted, sealed: Sealed, ages: dict[tuple[Address, str], int]) -> Finding:
    rank = 1 + list(map(_bare, one.refs)).index(_bare(sealed.ref or ""))
    which = f", number {rank} of {len(one.refs)}" if len(one.refs) > 1 else ""
    days = ages.get(one.slot) if one.slot else None
    age = f", on record here for {days} day{'s' if days != 1 else ''}" if days is not None else ""
    return well(f"secrets/{one.name}", f"{sealed.ref}{which}{age}")


def _bare(text: str) -> str:
    return text.removeprefix("ref+")


def _misfit(manifest: Manifest, one: Wanted, sealed: Sealed) -> Finding:
    found = warning(
        f"secrets/{one.name}",
        "BYOK111",
        f"the value of {sealed.ref} does not look like a key of {one.kind}",
        "its shape is known, and is another's",
        "see that the reference names the right item",
    )
    return _at(found, manifest, one)


def _failed(ground: Ground, manifest: Manifest, one: Wanted, error: SecretError) -> Finding:
    check = f"secrets/{one.name}"
    if error.kind is Problem.OFFLINE:
        return skipped(check, "--offline leaves out what may need the network")
    if _barred(ground, one):
        return skipped(check, "exec:// runs only with --allow-exec")
    if error.kind is Problem.NOT_DECRYPTABLE and error.where.startswith("sops://"):
        return skipped(check, f"{error.where.removeprefix('sops://')} cannot be decrypted")
    if error.kind is Problem.NO_BACKEND and error.where == "sops":
        return skipped(check, "there is no sops to ask")
    if error.kind is Problem.NO_ITEM and one.optional:
        return well(check, "none of its references exists, and it is optional: left alone")
    what = f"{error.kind.value}: {error.where}" if error.where else error.kind.value
    fix = error.way_out or "store the key where the reference points, or correct the reference"
    found = problem(check, CODES.get(error.kind, "BYOK241"), what, error.what, fix)
    return _at(found, manifest, one)


def _barred(ground: Ground, one: Wanted) -> bool:
    """Tell whether a value may only come from a command that this run must not start."""
    kinds = {parse(ref).scheme for ref in one.refs}
    return kinds == {Scheme.EXEC} and not ground.options.allow_exec


def _at(found: Finding, manifest: Manifest, one: Wanted) -> Finding:
    return replace(found, where=str(manifest.where(one.pointer)))


def _ages(ground: Ground, manifest: Manifest) -> dict[tuple[Address, str], int]:
    ledger = ground.ledger
    if not isinstance(ledger, Ledger):
        return {}
    since = ledger.since(str(ground.user_data.resolve()), manifest.team)
    return {at: (ground.now() - datetime.fromisoformat(when)).days for at, when in since.items()}
