"""One run's open things: the manifest, the ledger, the door to the secrets, and the systems."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler import origins, state
from reconciler.errors import ByokError, CursorBusy, SecretError, SecretProblem, UsageError
from reconciler.executor import Current
from reconciler.ledger import Ledger
from reconciler.manifest import load
from reconciler.model import Address, Change, Sealed
from reconciler.secrets import Secret
from reconciler.secrets.fingerprint import Fingerprinter, derive_key, load_or_create_key
from reconciler.secrets.reader import Reader
from reconciler.secrets.snapshot import open_kept, seal_copy, snapshot_key
from reconciler.secrets.vault import Vault
from reconciler.spec import Manifest, claimant
from reconciler.systems import System
from reconciler.systems.cursor import CursorSystem, locate, wait_until_quit

RELATIVE = ("sops://", "file://")
"""References that mean another secret beside another manifest."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a command line asks of a run; the flags that lift a safety rule hold for it alone."""

    manifest: Path = Path("byok.yaml")
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
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


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

    @property
    def owner(self) -> str:
        """The team, owner of everything its manifest manages."""
        return self.manifest.team

    def system(self, name: str) -> System:
        """Open a system afresh, so that it reads the world as it is now."""
        if name != "cursor":
            raise UsageError(
                f"--system {name}",
                "this version reconciles Cursor's settings only",
                "use --system cursor",
            )
        return CursorSystem(self.manifest, self.vault, self.user_data)

    def references(self) -> Iterator[Sequence[str]]:
        """Yield each group of references that Cursor's side of the manifest needs."""
        for provider in self.manifest.providers.values():
            if not provider.absent:
                yield from provider.secrets.values()
        endpoint = claimant(self.manifest)
        if endpoint is not None and endpoint.key:
            yield endpoint.key

    def approvals(self) -> frozenset[tuple[str, str]]:
        """Return the pairs of reference and origin approved for this manifest's folder."""
        here = self._approved_here()
        return frozenset(
            (name.removesuffix(here), origin)
            for name, origin in self.ledger.approvals()
            if name.endswith(here) or not name.startswith(RELATIVE)
        )

    def approve(self, pairings: Iterable[origins.Pairing]) -> None:
        """Record pairs as approved; a relative reference for this manifest's folder only."""
        for pair in pairings:
            here = self._approved_here() if pair.ref.startswith(RELATIVE) else ""
            self.ledger.approve(pair.ref + here, pair.origin)

    def _approved_here(self) -> str:
        return f" of {self.manifest.folder}"

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
    manifest = load(options.manifest)
    state_dir = state.directory(options.state_dir, options.env)
    with Ledger(state_dir) as ledger:
        yield _open(options, manifest, state_dir, ledger)


@contextmanager
def writing(options: Options, command: str) -> Iterator[Session]:
    """Open a run that may write, alone: a second writer waits, then raises CursorBusy."""
    manifest = load(options.manifest)
    state_dir = state.directory(options.state_dir, options.env)
    with (
        state.single_writer(state_dir, command, max(options.wait, 5.0)),
        Ledger(state_dir, write=True) as ledger,
    ):
        yield _open(options, manifest, state_dir, ledger)


def _open(options: Options, manifest: Manifest, state_dir: Path, ledger: Ledger) -> Session:
    current, aloud = Current(), list[str]()

    def keep(address: Address, name: str, secret: Secret) -> str:
        key, where = snapshot_key(state_dir, create=True)
        if not aloud:
            aloud.append(where)
        number = ledger.keep(current.step, address, name, seal_copy(secret, key))
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
