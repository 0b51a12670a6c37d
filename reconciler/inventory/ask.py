"""What an account says of its keys: with the admin credential its list, else whether they work."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from reconciler import accounts
from reconciler.errors import ByokError
from reconciler.inventory.entry import DEAD, LIVE, Entry
from reconciler.model import Sealed
from reconciler.session import Session
from reconciler.systems.account import Issuer, Listed, Trial, Unapproved, Values, caught

THREADS = 8


@dataclass(frozen=True, slots=True)
class Told:
    """One account's answer: its keys as they were found, those it lists, and what it did not say.

    ``complete`` says that a key that is not among ``listed`` is not there.
    """

    keys: tuple[Entry, ...]
    listed: tuple[Listed, ...] = ()
    complete: bool = False
    error: ByokError | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One account, its keys, and whether its admin credential may be used."""

    account: str
    keys: tuple[Entry, ...]
    judged: bool = False


def ask_all(session: Session, questions: Sequence[Question]) -> list[Told]:
    """Ask every account at once; an account that fails keeps no other from being asked."""
    with ThreadPoolExecutor(THREADS, "byok-keys") as threads:
        return list(threads.map(partial(_asked, session), questions))


def _asked(session: Session, question: Question) -> Told:
    if not question.judged:
        return Told(_tried(session, question))
    found = caught(partial(_listed, session, question))
    if isinstance(found, ByokError):
        return Told(_tried(session, question), error=found)
    return found


def _listed(session: Session, question: Question) -> Told:
    """Match the keys with the provider's list. Raises what keeps it from being had."""
    for refs in accounts.admin_references(session.manifest, question.account):
        session.vault.seal(refs)
    issuer = accounts.open_issuer(session.setting(question.account, judged=True))
    if issuer.revoke is None:  # whoever cannot revoke has no list either
        keys = _tried(session, question)
        note = f"not listed: {issuer.why}" if issuer.why else ""
        return Told(tuple(k if k.note else replace(k, note=note) for k in keys))
    listed = issuer.listed()
    keys = tuple(_matched(session, issuer, entry, listed) for entry in question.keys)
    return Told(keys, listed, complete=True)


def _matched(session: Session, issuer: Issuer, entry: Entry, listed: Sequence[Listed]) -> Entry:
    values = _values(session, entry)
    if values is None:
        return entry
    key_id = issuer.identify(values)
    found = next((each for each in listed if each.id == key_id), None) if key_id else None
    if found is not None and found.live:
        return entry.told(found)
    tried = _attempted(issuer, entry, values)
    if found is not None:
        return replace(entry.told(found), state=tried.state)
    return tried if tried.note else replace(tried, note="not among the keys its account lists")


def _tried(session: Session, question: Question) -> tuple[Entry, ...]:
    if session.options.offline or not session.options.observe:
        why = "off line" if session.options.offline else "see --system"
        return tuple(replace(k, note=k.note or f"not asked: {why}") for k in question.keys)
    issuer = caught(lambda: accounts.open_issuer(session.setting(question.account, judged=False)))
    if isinstance(issuer, ByokError):
        return tuple(replace(k, note=f"not asked: {issuer}") for k in question.keys)
    return tuple(_try(session, issuer, entry) for entry in question.keys)


def _try(session: Session, issuer: Issuer, entry: Entry) -> Entry:
    values = _values(session, entry)
    return entry if values is None else _attempted(issuer, entry, values)


def _attempted(issuer: Issuer, entry: Entry, values: Values) -> Entry:
    """Ask whether a key works, by the smallest free request."""
    found = caught(lambda: issuer.attempt(values))
    match found:
        case Unapproved():
            return replace(entry, note=f"not asked: {found.what}")
        case ByokError():
            return replace(entry, note=f"not told: {found.what}")
        case Trial.ALIVE:
            return replace(entry, state=LIVE)
        case Trial.DEAD:
            return replace(entry, state=DEAD, note="its provider does not accept it")
        case _:
            return replace(entry, note="its provider does not tell whether it works")


def _values(session: Session, entry: Entry) -> Values | None:
    """Return a key's values, None where they cannot be had: the entry says why."""
    if not entry.prints or not entry.uses:
        return None
    refs = entry.uses[0].refs
    try:
        return {n: session.vault.reveal(Sealed(p, refs[n])) for n, p in entry.prints.items()}
    except ByokError:
        return None
