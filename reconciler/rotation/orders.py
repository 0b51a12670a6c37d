"""What is to be rotated: which key, where it lives, how its successor is made, and what is due."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler import keynames
from reconciler.entries import Rotation
from reconciler.errors import (
    SafetyStop,
    SecretError,
    SecretProblem,
    UsageError,
)
from reconciler.manifest.facts import machine
from reconciler.model import Address
from reconciler.rotation.desk import Desk
from reconciler.secrets.store import ELSEWHERE, unwritable
from reconciler.session import Session
from reconciler.spec import CURSOR, claimant
from reconciler.systems.account import Listed, Values

TEMPORARY = "session_token"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One account's key as it is before a rotation: where it lives, and what the provider knows.

    ``address`` is its place in Cursor, None where Cursor here does not hold it. ``listed`` is the
    provider's entry of it, None where it is not told.
    """

    system: str
    refs: Mapping[str, str]
    values: Values
    address: Address | None
    key_id: str = ""
    listed: Listed | None = None
    made: datetime | None = None


def groups(session: Session, name: str) -> Mapping[str, Sequence[str]]:
    """Return an account's references by attribute. Raises UsageError where it has none."""
    manifest = session.manifest
    provider, endpoint = manifest.providers.get(name), manifest.endpoints.get(name)
    found = provider.secrets if provider else {"key": endpoint.key} if endpoint else {}
    if not any(found.values()):
        raise UsageError(f"rotate {name}", "has no key in this manifest", "there is none to rotate")
    if {"key", "access_key_id"} <= found.keys():
        what = "has an access key and an API key: byok cannot tell which to rotate"
        raise UsageError(f"rotate {name}", what, "leave the one that Cursor does not use out")
    if TEMPORARY in found:
        what = "holds a session token: such keys end by themselves"
        raise UsageError(f"rotate {name}", what, "let whoever makes them make a new one")
    return found


def wanted(session: Session, name: str, desk: Desk) -> Wanted:
    """Look at an account's key before its rotation; reads only.

    Raises SecretError where it cannot be had, and ProviderError where its provider does not tell.
    """
    sealed = {attr: session.vault.seal(refs) for attr, refs in groups(session, name).items()}
    refs = {attr: one.ref or "" for attr, one in sealed.items()}
    values = {attr: session.vault.reveal(one) for attr, one in sealed.items()}
    key_id = desk.issuer.identify(values)
    listed = next((k for k in desk.issuer.listed() if k.id == key_id), None) if key_id else None
    return Wanted(
        system=name,
        refs=refs,
        values=values,
        address=slot(session, name),
        key_id=key_id,
        listed=listed,
        made=_made(session, desk, name, values, listed),
    )


def slot(session: Session, name: str) -> Address | None:
    """Return the place in Cursor that holds an account's key, None where there is none."""
    manifest = session.manifest
    if name in manifest.providers:
        taken = name == "openai" and claimant(manifest) is not None
        return None if taken else Address(CURSOR, "provider", name)
    claims = claimant(manifest)
    holds = claims is not None and claims.name == name and claims.key
    return Address(CURSOR, "provider", "openai") if holds else None


def _made(
    session: Session, desk: Desk, name: str, values: Values, listed: Listed | None
) -> datetime | None:
    """Return since when a key is in use: from its provider, else from the ledger."""
    if listed is not None and listed.made is not None:
        return listed.made
    prints = dict(desk.prints(values))
    for key in session.ledger.keys.keys(session.owner):
        if key.system == name and dict(key.fingerprints) == prints:
            return datetime.fromisoformat(key.made)
    at = slot(session, name)
    since = session.ledger.since(session.system(CURSOR).identity, session.owner)
    found = [since[at, attr] for attr in values if at is not None and (at, attr) in since]
    return datetime.fromisoformat(min(found)) if found else None


def order(
    session: Session, desk: Desk, key: Wanted, *, grace: int, source: str = "", cursor: bool = True
) -> Rotation:
    """Record that a key is to be rotated; nothing else is done yet.

    ``grace`` is in seconds. Raises SafetyStop where making a key harms somebody else's.
    """
    refuse_harm(session, desk, key)
    begun = desk.book.begin(
        Rotation(
            system=key.system,
            owner=session.owner,
            refs=key.refs,
            holder=(person := holder(session, key)),
            name=_name(session.owner, person),
            source=source,
            old=desk.prints(key.values),
            old_id=key.key_id,
            before=tuple(each.id for each in desk.issuer.listed()),
            grace=grace,
            by_api=desk.issuer.make is not None and not source,
            cursor=cursor and key.address is not None,
        )
    )
    if begun.by_api and (name := named(session, key)):
        what = f"the manifest names the old key, {name}; name the new one instead: {begun.name}"
        session.aloud.append(f"{key.system}: {what}")
    return begun


def _name(owner: str, person: str) -> str:
    """Return a name that every provider takes: letters, digits and dashes, under 50 of them."""
    if person:
        return keynames.for_person(owner, person, secrets.token_hex(2))
    plain = re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:30]
    return f"byok-{plain or 'team'}-{secrets.token_hex(4)}"


def holder(session: Session, key: Wanted) -> str:
    """Return whose individual key it is, ``""`` for the team's.

    The ledger knows where it was issued here; else its name at the provider tells, of whoever is
    logged in, that it was made for them.
    """
    known = session.ledger.keys.keys(session.owner)
    ids = {k.key_id: k.holder for k in known if k.system == key.system and k.holder}
    if key.key_id in ids:
        return ids[key.key_id]
    name = key.listed.name if key.listed is not None else ""
    people = dict.fromkeys([machine().user, *(k.holder for k in known if k.holder)])
    return next((p for p in people if p and keynames.is_of(name, session.owner, p)), "")


def refuse_harm(session: Session, desk: Desk, key: Wanted) -> None:
    """Raise SafetyStop where a new key takes the place of one that may be somebody else's.

    Where byok made the key in use, it ended the one that was in the other place.
    """
    if not desk.issuer.disturbs or session.options.allow_irreversible:
        return
    known = [k for k in session.ledger.keys.keys(session.owner) if k.system == key.system]
    if any(dict(k.fingerprints) == dict(desk.prints(key.values)) for k in known):
        return
    raise SafetyStop(
        f"rotate {key.system}",
        f"a new key cuts off {desk.issuer.disturbs}, and nobody can bring that back",
        "see that it is in nobody's use, then give --allow-irreversible once",
    )


def named(session: Session, key: Wanted) -> str:
    """Return the name by which the manifest's account fields know the old key, empty without.

    OpenRouter's ``key_name``, and ``keys`` there, at LiteLLM and at Google: a new key has another
    name.
    """
    manifest, system = session.manifest, key.system
    part = manifest.providers.get(system) or manifest.endpoints.get(system)
    name = key.listed.name if key.listed is not None else ""
    return name if part is not None and name and name in set(_words(part.account)) else ""


def _words(node: object) -> Iterator[str]:
    match node:
        case str():
            yield node
        case Mapping():
            yield from (str(word) for word in node)
            yield from (word for part in node.values() for word in _words(part))
        case tuple() | list():
            yield from (word for part in node for word in _words(part))


def refuse_storeless(session: Session, key: Wanted) -> None:
    """Raise SecretError where a new key could not be stored where the old one is."""
    for ref in key.refs.values():
        why = unwritable(ref, session.manifest.folder, session.manifest.homes)
        if why:
            what = f"{why.removeprefix(f'{ref}: ')}, so a new key has no store to go to"
            raise SecretError(SecretProblem.REFUSED, ref, what, ELSEWHERE)


def max_age(session: Session) -> int:
    """Return the days a key may get old. Raises UsageError where the manifest sets none."""
    limit = session.manifest.policy.max_key_age_days
    if limit is None:
        what, way_out = "the manifest sets no age", "set policy.max_key_age_days"
        raise UsageError("rotate --due", what, way_out)
    return limit


def age(key: Wanted) -> int:
    """Return a key's age in days; 0 where nobody knows it: `byok keys` shows that."""
    return (datetime.now(UTC) - key.made).days if key.made else 0


def has_key(session: Session, name: str) -> bool:
    """Tell whether the manifest has a key of an account that can be rotated."""
    provider, endpoint = session.manifest.providers.get(name), session.manifest.endpoints.get(name)
    found = provider.secrets if provider else {"key": endpoint.key} if endpoint else {}
    return any(found.values()) and TEMPORARY not in found
