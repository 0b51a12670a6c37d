"""How an account's keys are made, told apart, tried and revoked; one issuer per account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.secrets import Secret
from reconciler.systems.account.answers import Answer, refusal
from reconciler.systems.account.pages import until

Values = Mapping[str, Secret]
"""A key by its attributes in Cursor: ``key``; or ``access_key_id`` and ``secret_access_key``."""


class Trial(StrEnum):
    """What became of trying a key at its provider."""

    ALIVE = "alive"
    DEAD = "dead"
    UNTOLD = "cannot be told"


@dataclass(frozen=True, slots=True)
class Listed:
    """One key as its provider lists it, never its value.

    ``id`` is what the provider revokes it by. ``live`` is false for one that is listed and does
    not work (inactive, expired, deleted). ``made`` and ``last_used`` are None where it says
    nothing. ``spent`` and ``limit`` are this month's, where each key has its own.
    """

    id: str
    name: str
    made: datetime | None = None
    last_used: datetime | None = None
    owner: str = ""
    live: bool = True
    spent: Money | None = None
    limit: Money | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A new key; the provider shows its values this once."""

    id: str
    values: Values = field(repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of an issuer, recorded before it is asked.

    ``name`` is the new key's name at the provider, unlike any other, so that one that a killed
    run made can be found again. ``before`` holds the ids of the keys that were there: where keys
    have no names, only what is not among them, is unused, and is not older than ``since`` (the
    moment of the order) can be ours. ``old`` is the id of the key to be replaced, ``""`` where it
    is unknown or there is none. ``limit`` is the new key's own monthly limit.
    """

    name: str
    before: tuple[str, ...] = ()
    since: datetime | None = None
    old: str = ""
    limit: Money | None = None


def _untold(_values: Values) -> Trial:
    return Trial.UNTOLD


def _none_listed() -> tuple[Listed, ...]:
    return ()


def _not_ours(_values: Values) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """What can be done about the keys of one account; what cannot is None, with its reason.

    ``attempt`` asks the provider whether a key works, with the smallest free request; UNTOLD where
    it does not answer or the answer proves nothing. ``listed`` lists the account's keys.
    ``identify`` returns the id of the listed key with these values, ``""`` where none or more than
    one may be it. ``make`` makes a key: it is called once per order, and never retried by itself.
    ``orphans`` returns the ids of keys that an order made and nobody got to see: a killed run's.
    ``revoke`` takes a key's id and makes it useless for good; one that is gone already is done.
    ``limits`` tells whether a key can have a limit of its own. ``disturbs`` says whom making a key
    harms (Azure: whoever uses the idle slot), empty for nobody.
    ``by_hand`` is where a person makes and revokes keys, and ``why`` is why an API cannot.
    ``how`` says in one line what `make` does. ``forget`` drops what was read.
    """

    how: str
    attempt: Callable[[Values], Trial] = _untold
    listed: Callable[[], tuple[Listed, ...]] = _none_listed
    identify: Callable[[Values], str] = _not_ours
    make: Callable[[Order], Made] | None = None
    orphans: Callable[[Order], tuple[str, ...]] | None = None
    revoke: Callable[[str], None] | None = None
    limits: bool = False
    disturbs: str = ""
    by_hand: str = ""
    why: str = ""
    forget: Callable[[], None] = lambda: None


def with_rows(answer: Answer, name: str) -> Answer:
    """Return a list's answer. Raises ProviderError for another shape: it is somebody else's."""
    if not isinstance(answer.at(name), list):
        raise refusal("the provider", Problem.UNREADABLE)
    return answer


LASTING = 12.0
"""Seconds a provider gets to stop listing a key that it revoked."""


def must_be_gone(who: str, there: Callable[[], bool], by_hand: str = "") -> None:
    """Read back until a revoked key is not ``there`` any more; ``there`` must ask afresh.

    Raises ProviderError (reads back different) where it stays.
    """
    seen = until(lambda: Answer(200, {}, there()), lambda answer: not answer.body, LASTING)
    if seen.body:
        what = "accepted that the key is to go, and still has it"
        way_out = f"look again in a while{f', at {by_hand}' if by_hand else ''}"
        raise ProviderError(who, what, way_out, kind=Problem.UNPROVED)


def with_id(who: str, id_: str) -> str:
    """Return a key's id. Raises ProviderError for none: nothing may be revoked by a guess."""
    if not id_:
        raise refusal(who, Problem.REJECTED, "was to revoke a key, and nobody said which")
    return id_


DEAD = (Problem.INVALID_KEY, Problem.WRONG_KIND)
"""What no key that works here is told; one of another account may work there."""

ALIVE = (Problem.SPENT, Problem.NO_MODEL)
"""What only a key that works is told. Too many requests may be an address's, whatever the key."""


def trial(ask: Callable[[], object], *, forbidden: Trial = Trial.ALIVE) -> Trial:
    """Try a key by one request; its problem, by provider and code, tells a dead one.

    ``forbidden`` is what it means that the request is not allowed: of a provider that says so to
    a living key alone, that it lives.
    """
    try:
        ask()
    except ProviderError as error:
        if error.kind in DEAD:
            return Trial.DEAD
        if error.kind is Problem.NO_ACCESS:
            return forbidden
        return Trial.ALIVE if error.kind in ALIVE else Trial.UNTOLD
    return Trial.ALIVE
