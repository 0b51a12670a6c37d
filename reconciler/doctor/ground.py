"""What the checks stand on: each thing is had once, when first asked for, or its lack is said."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from reconciler import state
from reconciler.approvals import Approvals
from reconciler.errors import ByokError, CursorBusy, ManifestError, SecretError, SecretProblem
from reconciler.executor import Current
from reconciler.ledger import Ledger
from reconciler.ledger_file import FILE
from reconciler.manifest import load
from reconciler.model import Address, Scope
from reconciler.secrets import Secret
from reconciler.secrets.fingerprint import KEY_BYTES, KEY_FILE, Fingerprinter, derive_key
from reconciler.secrets.reader import Reader
from reconciler.secrets.state_file import load as load_private
from reconciler.secrets.vault import Vault
from reconciler.session import Options, Session
from reconciler.spec import Manifest
from reconciler.systems.account import Door
from reconciler.systems.cursor import locate, paths, store, view
from reconciler.systems.cursor.view import View

T = TypeVar("T")

DEADLINE = 10.0
"""Seconds that one store, program or keyring gets to answer."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a thing that checks stand on is not there, as the end of "not checked, because …"."""

    reason: str
    error: ByokError | None = None


class Ground:
    """One look at this machine; writes nothing, and closes what it opened.

    ``named`` says that somebody named the manifest: then it must be there. ``accounts`` that the
    provider accounts are to be judged with their admin credentials.
    """

    def __init__(
        self,
        options: Options,
        scope: Scope | None = None,
        *,
        named: bool = True,
        platform: str = sys.platform,
        home: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.options, self.scope = options, scope or Scope(offline=options.offline)
        self.named, self.platform, self.now = named, platform, now
        self.home = home or Path.home()
        self.env = options.env
        self.door = Door(write=False)
        self._open: list[Ledger] = []
        self._had: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.door.close()
        for ledger in self._open:
            ledger.__exit__()

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what several checks share; made when the first of them asks."""
        if name not in self._had:
            self._had[name] = make()
        had: T = self._had[name]
        return had

    @property
    def offline(self) -> bool:
        """Whether the network is left out."""
        return self.options.offline

    @cached_property
    def manifest(self) -> Manifest | Missing:
        """The manifest; Missing has the ManifestError of a broken one."""
        path = self.options.manifest
        if not self.named and not os.path.lexists(path):
            return Missing(f"there is no {path} in this folder")
        if path.exists() and not plain(path) and not path.is_dir():
            return Missing(f"{path} is no plain file")
        try:
            return load(path, self.options.overlays)
        except ManifestError as error:
            return Missing("the manifest is invalid", error)

    @cached_property
    def user_data(self) -> Path:
        """Cursor's user-data directory, there or not."""
        asked = self.options.cursor_dir
        return locate(asked, env=self.env, platform=self.platform, home=self.home)

    @cached_property
    def database(self) -> Path | Missing:
        """The path of Cursor's database, which is there."""
        if not self.user_data.is_dir():
            return Missing("there is no Cursor here")
        try:
            path = paths.database(self.user_data)
        except CursorBusy as error:
            return Missing("Cursor's database cannot be found", error)
        return path if path.exists() else Missing("Cursor has no database here")

    @cached_property
    def view(self) -> View | Missing:
        """What Cursor's rows say."""
        path = self.database
        if isinstance(path, Missing):
            return path
        try:
            return view.look(store.read(path, view.KEYS, prefixes=view.PREFIXES))
        except CursorBusy as error:
            return Missing("Cursor's database cannot be read", error)

    @cached_property
    def state_dir(self) -> Path:
        """Where byok keeps its state, there or not."""
        return state.directory(self.options.state_dir, self.env)

    @cached_property
    def ledger(self) -> Ledger | Missing:
        """The ledger, open to read; an absent one is empty.

        One beside which a journal lies is left alone: opening it would write to it.
        """
        path = self.state_dir / FILE
        try:
            if path.with_name(FILE + "-journal").exists():
                return Missing("somebody is writing to the ledger, or was stopped in the middle")
            ledger = Ledger(self.state_dir)
        except (ByokError, OSError) as error:
            known = error if isinstance(error, ByokError) else _unopened(path, error)
            return Missing("the ledger cannot be read", known)
        self._open.append(ledger)
        return ledger

    @cached_property
    def reader(self) -> Reader | Missing:
        """What reads references: each once, within the deadline."""
        manifest = self.manifest
        if isinstance(manifest, Missing):
            return manifest
        return Reader(
            folder=manifest.folder,
            snapshot=_no_snapshot,
            allow_exec=self.options.allow_exec,
            sops_backends=manifest.policy.sops_backends,
            deadline=DEADLINE,
            offline=self.offline,
            homes=manifest.homes,
        )

    @cached_property
    def vault(self) -> Vault | Missing:
        """A vault that knows of no earlier run, and so reads what it is asked for."""
        reader = self.reader
        if isinstance(reader, Missing):
            return reader
        return Vault(
            fingerprinter=Fingerprinter(os.urandom(KEY_BYTES)),
            versions={},
            cells={},
            keep=_no_copies,
            reader=reader,
        )

    @cached_property
    def fingerprint_key(self) -> bytes | Missing | None:
        """This machine's fingerprint key, or the manifest's; None where none was made yet."""
        manifest, vault = self.manifest, self.vault
        try:
            if isinstance(manifest, Manifest) and manifest.policy.fingerprint_key:
                if isinstance(vault, Missing):
                    return vault
                sealed = vault.seal(manifest.policy.fingerprint_key)
                return derive_key(vault.reveal(sealed))
            return load_private(self.state_dir, KEY_FILE, KEY_BYTES)
        except (SecretError, OSError) as error:
            known = error if isinstance(error, SecretError) else None
            return Missing("the fingerprint key cannot be used", known)

    @cached_property
    def session(self) -> Session | Missing:
        """A run that writes nothing at all: a passing fingerprint key stands for a missing one."""
        manifest, ledger, reader = self.manifest, self.ledger, self.reader
        key = self.fingerprint_key
        for each in (manifest, ledger, reader, key):
            if isinstance(each, Missing):
                return each
        if not (
            isinstance(manifest, Manifest)
            and isinstance(ledger, Ledger)
            and isinstance(reader, Reader)
        ):
            raise TypeError("what is not missing is there")
        own = key if isinstance(key, bytes) else os.urandom(KEY_BYTES)
        return self._session(manifest, ledger, reader, Fingerprinter(own))

    def _session(
        self, manifest: Manifest, ledger: Ledger, reader: Reader, prints: Fingerprinter
    ) -> Session:
        vault = Vault(
            fingerprinter=prints,
            versions=ledger.evidence("version"),
            cells=ledger.evidence("cell"),
            keep=_no_copies,
            reader=reader,
        )
        return Session(
            options=self.options,
            manifest=manifest,
            state_dir=self.state_dir,
            user_data=self.user_data,
            ledger=ledger,
            vault=vault,
            key_id=prints.key_id,
            current=Current(),
            aloud=[],
            door=self.door,
            approvals=Approvals(ledger, manifest.folder, self.options.allow_origins),
            recorded=ledger.recorded(manifest.team),
        )


def plain(path: Path) -> bool:
    """Tell whether a path leads to a plain file: reading anything else may wait for ever."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _unopened(path: Path, error: OSError) -> ByokError:
    what = f"cannot be looked at ({error.strerror})"
    return ByokError(str(path), what, "see the rights of its folder")


def _no_snapshot(number: str) -> Secret:
    where = f"snapshot://{number}"
    raise SecretError(SecretProblem.REFUSED, where, "copies of replaced keys are not read here")


def _no_copies(_address: Address, _name: str, _secret: Secret) -> str:
    raise ByokError("the doctor", "replaces nothing, so it keeps no copy")
