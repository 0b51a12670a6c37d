"""The System protocol: one thing that can be read and written, by three methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from reconciler.errors import ByokError
from reconciler.model import Address, Change, Diagnostic, Observation, Resources, Sealed, Value
from reconciler.secrets import Secret

EMPTY: Mapping[Any, Any] = MappingProxyType({})


class Vault(Protocol):
    """The one door between systems and secrets; made by the engine, once a run."""

    def seal(self, refs: Sequence[str]) -> Sealed:
        """Return the fingerprint and winning reference of the first that exists.

        Decrypts only where no recorded version tells the fingerprint.
        Raises SecretError; its kind is NO_ITEM when none of the references exists.
        """
        ...

    def reveal(self, sealed: Sealed) -> Secret:
        """Return the value behind a sealed reference.

        Raises SecretError, or StalePlan when the value's fingerprint is another by now.
        """
        ...

    def fingerprint(self, secret: Secret) -> str:
        """Return the keyed fingerprint of a value: 12 hexadecimal digits."""
        ...

    def digest(self, cell: str) -> str:
        """Return the keyed digest of an encrypted cell's text: 16 hexadecimal digits."""
        ...

    def recall(self, digest: str) -> str | None:
        """Return the fingerprint recorded with a cell of this digest, if we wrote it."""
        ...

    def keep(self, address: Address, name: str, secret: Secret) -> str:
        """Store an encrypted copy of a value about to be replaced; return its ``snapshot://`` ref.

        Called only from `System.apply`, before the write.
        """
        ...


@dataclass(frozen=True, slots=True)
class Desired:
    """What the manifest wants of one system, in canonical form.

    An attribute of None must be absent. ``skipped`` is out of scope with its reason (optional
    and without a key); ``failed`` is out of scope because a secret cannot be had.
    """

    resources: Resources = field(default_factory=lambda: EMPTY)
    skipped: Mapping[Address, str] = field(default_factory=lambda: EMPTY)
    failed: Mapping[Address, ByokError] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Actual:
    """What one system holds now, in the same canonical form; ``pending`` waits for Cursor.

    ``cells`` maps an address and attribute to the digest of the encrypted cell that stands there.
    ``closed`` maps a kind of resource, or ``kind/name``, to the reason why it cannot be judged.
    """

    resources: Resources = field(default_factory=lambda: EMPTY)
    observations: tuple[Observation, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    pending: frozenset[Address] = frozenset()
    cells: Mapping[tuple[Address, str], str] = field(default_factory=lambda: EMPTY)
    closed: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def _never(_change: Change) -> bool:
    return False


def _nobody(_change: Change) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What must be known of a system's kinds of resource to plan them, beyond their values.

    ``kinds`` are all that can be judged now (None: every one): what is on record of another kind
    is neither gone nor forgotten.
    ``order``: kinds in the order in which they depend on each other; others come first.
    ``containers``: kinds that are released, not deleted, when the manifest drops them.
    ``exclusive``: by kind and name (``*`` for all), how the attributes begin of which the manifest
    has the whole list. ``slow``: by kind, the seconds a write may take to be in force.
    ``final`` tells a change that cannot be taken back. ``itself`` says in words why the system
    may itself have moved what a change would put back; empty where it does not do so.
    """

    order: tuple[str, ...] = ()
    containers: frozenset[str] = frozenset()
    exclusive: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: EMPTY)
    slow: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    final: Callable[[Change], bool] = _never
    kinds: frozenset[str] | None = None
    itself: Callable[[Change], str] = _nobody


@dataclass(frozen=True, slots=True)
class Applied:
    """What the ledger must know of one applied change.

    ``cells`` maps an attribute to the digest of the encrypted cell written (absent when handed
    over); ``kept`` maps an attribute to the ``snapshot://`` reference of what it replaced;
    ``found`` maps an attribute to what stood there where the plan could not see anything yet.
    """

    cells: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    kept: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    pending: bool = False
    notes: tuple[str, ...] = ()
    found: Mapping[str, Value] = field(default_factory=lambda: EMPTY)


class System(Protocol):
    """One thing that can be read and written: Cursor on this machine, or a provider account."""

    @property
    def name(self) -> str:
        """What the system is called in addresses and on the command line."""
        ...

    @property
    def identity(self) -> str:
        """What the ledger's records are kept under: a folder, or an account's id.

        Raises ProviderError where only the account itself can tell, and does not.
        """
        ...

    @property
    def rules(self) -> Rules:
        """What must be known of its kinds of resource to plan them."""
        ...

    def desired(self) -> Desired:
        """Return the manifest's wishes in canonical form; touches nothing but the vault."""
        ...

    def actual(self) -> Actual:
        """Read what is there; writes nothing, not even a lock file or a WAL."""
        ...

    def apply(self, change: Change) -> Applied:
        """Carry out one change and read it back; twice equals once.

        Each edit's ``before`` must still hold inside the write transaction, else StalePlan.
        """
        ...
