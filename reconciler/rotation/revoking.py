"""The old key's end: only what surely is the old key, only while the new one surely works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.entries import Rotation
from reconciler.errors import (
    ByokError,
    ProviderError,
    ProviderProblem as Problem,
    SafetyStop,
    SecretError,
)
from reconciler.rotation.desk import Desk, equal
from reconciler.spec import Manifest
from reconciler.systems.account import Trial, Values


def revoke(desk: Desk, rotation: Rotation, old: Values, new: Values) -> None:
    """Revoke the old key and see the provider refuse it; where a person must, see that they did.

    Raises SafetyStop where the key to revoke may be the new one, ProviderError while the old one
    is not known to be dead, ByokError while a person has not revoked it.
    """
    if equal(old, new) or (rotation.old_id and rotation.old_id == rotation.new_id):
        what = "the key to revoke is the one in use"
        raise SafetyStop(f"rotate {rotation.system}", what, "see byok keys")
    desk.issuer.forget()
    now_id = desk.issuer.identify(old) if old else ""
    if now_id and now_id == desk.issuer.identify(new):
        what = "the provider cannot tell the old key from the new one"
        raise SafetyStop(f"rotate {rotation.system}", what, f"revoke it by hand: {_place(desk)}")
    refuse_in_use(desk, rotation, old)
    target = now_id or known_id(desk, rotation, {}, rotation.old_id)
    if target and desk.issuer.revoke is not None:
        desk.issuer.revoke(target)
    _see_it_dead(desk, rotation, old, told=bool(target or rotation.old_id))


def known_id(desk: Desk, rotation: Rotation, values: Values, recorded: str) -> str:
    """Return by what a key is revoked: its id as its provider tells it, else the recorded one.

    Where ids name places, only what the provider tells: another key may be in that place by now.
    """
    found = desk.issuer.identify(values) if values else ""
    return found or ("" if _slots(rotation) else recorded)


def refuse_in_use(desk: Desk, rotation: Rotation, old: Values) -> None:
    """Raise SafetyStop while the manifest still finds the old key anywhere, for any account.

    Raises SecretError where the rotated account's own key cannot be read; what cannot be read of
    other accounts says nothing.
    """
    vault = desk.session.afresh().vault
    dead = {value.expose() for value in old.values()}
    for name, refs in _named(desk.session.manifest):
        try:
            sealed = vault.seal(refs)
            value = vault.reveal(sealed)
        except SecretError:
            if name == rotation.system:
                raise
            continue
        if value.expose() in dead:
            what = f"still holds the old key, and the manifest names it for {name}"
            way_out = "put the new key there, too, or name another place, and run it again"
            raise SafetyStop(sealed.ref or ", ".join(refs), what, way_out)


def _named(manifest: Manifest) -> Iterator[tuple[str, Sequence[str]]]:
    for name, provider in manifest.providers.items():
        found: Mapping[str, Sequence[str]] = {} if provider.absent else provider.secrets
        yield from ((name, refs) for refs in found.values() if refs)
    for name, endpoint in manifest.endpoints.items():
        if endpoint.key:
            yield name, endpoint.key


def _slots(rotation: Rotation) -> bool:
    """Tell whether ids name places, as Azure's, and not keys: the new key may be in the old's."""
    return rotation.old_id in rotation.before and rotation.new_id in rotation.before


def _see_it_dead(desk: Desk, rotation: Rotation, old: Values, *, told: bool) -> None:
    """Try the old key until it is refused. Raises ProviderError while it is not."""
    by_api = told and desk.issuer.revoke is not None
    found = desk.tried(old, Trial.DEAD) if by_api else desk.issuer.attempt(old)
    if found is Trial.DEAD:
        return
    where = f"rotate {rotation.system}"
    if not by_api and found is Trial.ALIVE:
        what = "the old key still works, and byok cannot revoke it"
        raise ByokError(where, what, f"revoke it at {_place(desk)}, and run this again")
    if found is Trial.UNTOLD:
        what = "nobody can tell whether the old key is dead"
        way_out = "see that the provider can be reached, and run it again"
    else:
        what, way_out = "the old key is revoked, and still accepted", "run it again in a while"
    raise ProviderError(where, what, way_out, kind=Problem.UNPROVED)


def _place(desk: Desk) -> str:
    return desk.issuer.by_hand or "the provider's console"
