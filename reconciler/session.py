"""One run's open things: the manifest, the ledger, the door to the secrets, and the systems."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from reconciler import accounts, state
from reconciler.approvals import Approvals
from reconciler.errors import ByokError, CursorBusy, SecretError, SecretProblem, UsageError
from reconciler.executor import Current
from reconciler.ledger import Ledger
from reconciler.manifest import load
from reconciler.model import Address, Change, Scope, Sealed
from reconciler.secrets import Secret
from reconciler.secrets.fingerprint import Fingerprinter, derive_key, load_or_create_key
from reconciler.secrets.reader import Reader
from reconciler.secrets.snapshot import open_kept, seal_copy, snapshot_key
from reconciler.secrets.vault import Vault
from reconciler.spec import CURSOR, CURSOR_TEAM, Manifest, claimant
from reconciler.systems import System
from reconciler.systems.account import Account, Door, Setting
from reconciler.systems.cursor import CursorSystem, locate, wait_until_quit


@dataclass(frozen=True, slots=True)
class Options:
    """What a command line asks of a run; the flags that lift a safety rule hold for it alone.

    ``observe``: accounts that are not judged are looked at with their ordinary key. ``probes``
    holds what costs money and was asked for: ``generate``, ``cost``.
    """

    manifest: Path = Path("byok.yaml")
    overlays: tuple[Path, ...] = ()
    cursor_dir: Path | None = None
    state_dir: Path | None = None
    wait: float = 0.0
    interactive: bool = False
    allow_many: bool = False
    allow_irreversible: bool = False
    allow_exec: bool = False
    allow_origins: tuple[str, ...] = ()
    take_over: bool = False
    offline: bool = False
    observe: bool = True
    probes: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """An open run; made by `reading` or `writing`, closed by them."""

    options: Options
    manifest: Manifest
    state_dir: Path
    user_data: Path
    ledger: Ledger
    vault: Vault
    key_id: str
    current: Current
    aloud: list[str]
    door: Door
    approvals: Approvals
    recorded: frozenset[Address]

    @property
    def owner(self) -> str:
        """The team, owner of everything its manifest manages."""
        return self.manifest.team

    def system(self, name: str) -> System:
        """Open a system to be judged, afresh, so that it reads the world as it is now.

        Raises SecretError where an admin credential is declared and cannot be had: who asked for
        an account to be judged must not take silence for success.
        """
        if name == CURSOR:
            mended = self.aloud.append if self.door.write else None
            return CursorSystem(self.manifest, self.vault, self.user_data, mended=mended)
        for refs in accounts.admin_references(self.manifest, name):
            self.vault.seal(refs)
        return self.account(name, judged=True)

    def account(self, name: str, *, judged: bool) -> Account:
        """Open a provider's account afresh; only a judged one gets the admin credential.

        Raises SecretError, or Unapproved, for the admin credential.
        """
        return accounts.open_account(self.setting(name, judged=judged))

    def setting(self, name: str, *, judged: bool) -> Setting:
        """Return what an account is opened with."""
        return Setting(
            name=name,
            pointer=accounts.pointer(self.manifest, name),
            manifest=self.manifest,
            vault=self.vault,
            door=self.door,
            judged=judged,
            probes=self.options.probes,
            approved=self.approvals.allows,
            env=self.options.env,
            recorded=frozenset(at for at in self.recorded if at.system == name),
        )

    def afresh(self) -> Session:
        """Return the same run with nothing read yet: what a store holds may have changed."""
        return _open(self.options, self.manifest, self.state_dir, self.ledger, self.door)

    def judged(self, scope: Scope) -> tuple[str, ...]:
        """Return the systems of a scope that this run may judge: off line, only this machine's.

        Raises UsageError for a system that the manifest does not declare.
        """
        known = (CURSOR, *accounts.names(self.manifest))
        for name in scope.systems:
            if name not in known:
                raise UsageError(
                    f"--system {name}", "is not in this manifest", f"name one of {', '.join(known)}"
                )
        found = tuple(n for n in scope.systems if n == CURSOR or not self.options.offline)
        if not found:
            raise UsageError(
                "--offline", "leaves out every system that was asked for", "leave one of them out"
            )
        return found

    def watched(self, scope: Scope) -> tuple[str, ...]:
        """Return the accounts that are looked at with their ordinary key only."""
        if self.options.offline or not self.options.observe:
            return ()
        keyless = (*scope.systems, CURSOR_TEAM)  # Cursor's own API has no ordinary key
        return tuple(n for n in accounts.names(self.manifest) if n not in keyless)

    def references(self, scope: Scope) -> Iterator[Sequence[str]]:
        """Yield each group of references that a plan of this scope needs."""
        for provider in self.manifest.providers.values():
            if not provider.absent:
                yield from provider.secrets.values()
        seen = {*scope.systems, *self.watched(scope)} if not self.options.offline else set()
        for endpoint in self.manifest.endpoints.values():
            if endpoint.key and (endpoint.name in seen or endpoint is claimant(self.manifest)):
                yield endpoint.key
        for name in () if self.options.offline else scope.systems:
            yield from accounts.admin_references(self.manifest, name)

    def intents(self, system: System) -> Iterator[Change]:
        """Yield the changes an earlier run began and never closed, pointing to their copies."""
        for step in self.ledger.open_steps(system.identity, self.owner):
            yield with_copies(step.change, step.kept)

    def obstacle(self) -> CursorBusy | None:
        """Return why apply would refuse to write to Cursor now, or None."""
        try:
            wait_until_quit(self.user_data, 0)
        except CursorBusy as error:
            return error
        return None

    def wait_until_writable(self) -> None:
        """Wait for Cursor to quit as long as was asked; raise CursorBusy if it does not."""
        wait_until_quit(self.user_data, self.options.wait)


def with_copies(change: Change, kept: Mapping[str, str]) -> Change:
    """Point the values a change replaced to the copies that were made of them."""
    edits = tuple(
        replace(edit, before=Sealed(edit.before.fingerprint, kept[edit.name]))
        if isinstance(edit.before, Sealed) and edit.name in kept
        else edit
        for edit in change.edits
    )
    return replace(change, edits=edits)


@contextmanager
def reading(options: Options) -> Iterator[Session]:
    """Open a run that writes nothing but, once in a machine's life, the fingerprint key."""
    manifest = load(options.manifest, options.overlays)
    state_dir = state.directory(options.state_dir, options.env)
    with Ledger(state_dir) as ledger, closing(Door(write=False)) as door:
        yield _open(options, manifest, state_dir, ledger, door)


@contextmanager
def writing(options: Options, command: str) -> Iterator[Session]:
    """Open a run that may write, alone: a second writer waits, then raises CursorBusy."""
    manifest = load(options.manifest, options.overlays)
    state_dir = state.directory(options.state_dir, options.env)
    with (
        state.single_writer(state_dir, command, max(options.wait, 5.0)),
        Ledger(state_dir, write=True) as ledger,
        closing(Door(write=True)) as door,
    ):
        yield _open(options, manifest, state_dir, ledger, door)


def _open(
    options: Options, manifest: Manifest, state_dir: Path, ledger: Ledger, door: Door
) -> Session:
    current, aloud = Current(), list[str]()

    @cache
    def copies_key() -> bytes:
        key, where = snapshot_key(state_dir, create=True)
        aloud.append(where)
        return key

    def keep(address: Address, name: str, secret: Secret) -> str:
        number = ledger.keep(current.step, address, name, seal_copy(secret, copies_key()))
        return f"snapshot://{number}"

    def snapshot(number: str) -> Secret:
        copy = ledger.copy(int(number)) if number.isdigit() else None
        if copy is None:
            where = f"snapshot://{number}"
            raise SecretError(SecretProblem.NO_ITEM, where, "there is no such copy in the ledger")
        return open_kept(copy, state_dir)

    reader = Reader(
        folder=manifest.folder,
        snapshot=snapshot,
        allow_exec=options.allow_exec,
        sops_backends=manifest.policy.sops_backends,
        offline=options.offline,
        homes=manifest.homes,
    )
    fingerprinter = _fingerprinter(manifest, state_dir, reader)
    vault = Vault(
        fingerprinter=fingerprinter,
        versions=ledger.evidence("version"),
        cells=ledger.evidence("cell"),
        keep=keep,
        reader=reader,
    )
    user_data = locate(options.cursor_dir, env=options.env, platform=sys.platform, home=Path.home())
    return Session(
        options,
        manifest,
        state_dir,
        user_data,
        ledger,
        vault,
        fingerprinter.key_id,
        current,
        aloud,
        door,
        Approvals(ledger, manifest.folder, options.allow_origins),
        ledger.recorded(manifest.team),
    )


def _fingerprinter(manifest: Manifest, state_dir: Path, reader: Reader) -> Fingerprinter:
    refs = manifest.policy.fingerprint_key
    if not refs:
        state.make_private(state_dir)
        return Fingerprinter(load_or_create_key(state_dir))
    door = Vault(
        fingerprinter=Fingerprinter(bytes(32)),
        versions={},
        cells={},
        keep=_no_copies,
        reader=reader,
    )
    return Fingerprinter(derive_key(door.reveal(door.seal(refs))))


def _no_copies(_address: Address, _name: str, _secret: Secret) -> str:
    raise ByokError("policy.fingerprint_key", "nothing is replaced while it is read")
