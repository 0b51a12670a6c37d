"""What a rotation works with: the run, the account's issuer, the key book, and encrypted copies."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reconciler import accounts
from reconciler.entries import Rotation
from reconciler.errors import SecretError, SecretProblem, UsageError
from reconciler.keybook import KeyBook
from reconciler.model import Sealed
from reconciler.secrets import Secret
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import parse
from reconciler.secrets.snapshot import open_kept, seal_copy, snapshot_key
from reconciler.session import Session
from reconciler.spec import CURSOR_TEAM
from reconciler.systems.account import Issuer, Order, Trial, Values

PATIENCE = 14
"""Times a provider is asked, over some 90 s, until it accepts a new key, or refuses a dead one."""


def _silent(_rotation: Rotation) -> None:
    return None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """One account's keys in hand.

    ``given`` returns a key that a person made, where the provider cannot make one; ``values`` is
    one that was given. ``told`` hears of each stage once it is recorded. ``now`` and ``pause``
    (seconds) are the clock. ``patience`` is how often a provider is asked until it agrees.
    """

    session: Session
    issuer: Issuer
    given: Callable[[str, Collection[str]], Values] | None = None
    values: Values | None = None
    told: Callable[[Rotation], None] = _silent
    now: Callable[[], datetime] = _now
    pause: Callable[[float], None] = field(default=time.sleep)
    patience: int = PATIENCE

    @property
    def book(self) -> KeyBook:
        """The ledger's pages on keys."""
        return self.session.ledger.keys

    def moved(self, rotation: Rotation) -> Rotation:
        """Record how far the rotation has come, and tell."""
        recorded = self.book.move(rotation)
        self.told(recorded)
        return recorded

    def keep(self, rotation: Rotation, role: str, values: Values) -> None:
        """Store encrypted copies of a key, so that no kill can lose it."""
        key, where = snapshot_key(self.session.state_dir, create=True)
        if where not in self.session.aloud:
            self.session.aloud.append(where)
        self.book.keep(rotation.id, role, {n: seal_copy(v, key) for n, v in values.items()})

    def copies(self, rotation: Rotation, role: str) -> Values:
        """Return a key from its encrypted copies, empty without any. Raises SecretError."""
        found = self.book.copies(rotation.id, role)
        return {name: open_kept(copy, self.session.state_dir) for name, copy in found.items()}

    def stored(self, rotation: Rotation) -> Values:
        """Read what the stores hold now, past everything this run has read. Raises SecretError.

        A place that is empty is left out.
        """
        return dict(self._stored(rotation))

    def _stored(self, rotation: Rotation) -> Iterator[tuple[str, Secret]]:
        policy, options = self.session.manifest.policy, self.session.options
        reader = Reader(
            folder=self.session.manifest.folder,
            snapshot=_no_snapshot,
            sops_backends=policy.sops_backends,
            offline=options.offline,
            homes=self.session.manifest.homes,
        )
        for name, ref in rotation.refs.items():
            try:
                yield name, reader.read(parse(ref))
            except SecretError as error:
                if error.kind is not SecretProblem.NO_ITEM:
                    raise

    def prints(self, values: Values) -> Mapping[str, str]:
        """Return the fingerprints of a key's parts."""
        return {name: self.session.vault.fingerprint(value) for name, value in values.items()}

    def tried(self, values: Values, wanted: Trial) -> Trial:
        """Try a key until the provider says what is wanted of it, with growing pauses."""
        from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

        found: list[Trial] = []

        def ask() -> Trial:
            found.append(self.issuer.attempt(values))
            return found[-1]

        asking = Retrying(
            retry=retry_if_result(lambda answer: answer is not wanted),
            stop=stop_after_attempt(self.patience),
            wait=wait_exponential(multiplier=0.2, max=10),
            sleep=self.pause,
            retry_error_callback=lambda _: found[-1],
        )
        return asking(ask)


def open_desk(
    session: Session,
    name: str,
    *,
    given: Callable[[str, Collection[str]], Values] | None = None,
    told: Callable[[Rotation], None] = _silent,
) -> Desk:
    """Open the keys of one account. Raises UsageError for an account that is not there."""
    if name not in accounts.names(session.manifest):
        known = ", ".join(n for n in accounts.names(session.manifest) if n != CURSOR_TEAM)
        raise UsageError(f"rotate {name}", "is not in this manifest", f"name one of {known}")
    issuer = accounts.open_issuer(session.setting(name, judged=True))
    return Desk(session, issuer, given, told=told)


def equal(one: Values, other: Values) -> bool:
    """Tell whether two keys are one."""
    return one.keys() == other.keys() and all(
        value.expose() == other[name].expose() for name, value in one.items()
    )


def ordered(rotation: Rotation) -> Order:
    """Return what the issuer was, or is to be, asked for."""
    from reconciler.money import Money

    amount, _, currency = rotation.limit.partition(" ")
    return Order(
        name=rotation.name,
        before=rotation.before,
        since=datetime.fromisoformat(rotation.started),
        old=rotation.old_id,
        limit=Money.of(amount, currency) if amount else None,
    )


def _no_snapshot(number: str) -> Secret:
    where = f"snapshot://{number}"
    raise SecretError(SecretProblem.REFUSED, where, "copies of replaced keys are no store")


def same_prints(sealed: Mapping[str, Sealed], prints: Mapping[str, str]) -> bool:
    """Tell whether Cursor's values are a key of these fingerprints."""
    return all(
        name in sealed and sealed[name].fingerprint == print_ for name, print_ in prints.items()
    )
