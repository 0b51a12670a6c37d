"""Reading references: each source once a run, from many threads, failures remembered too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import sops, sops_file
from reconciler.secrets.inside import locate, read_inside
from reconciler.secrets.process import DEADLINE
from reconciler.secrets.reference import Reference, Scheme, split_keyring, split_sops
from reconciler.secrets.secret import Secret
from reconciler.secrets.value import usable
from reconciler.spec import EMPTY, Homes


class Reader:
    """Reads references for one run; every source is asked at most once, whatever it answered.

    ``offline`` leaves out what may call another machine: ``op``, ``exec``, and SOPS files with
    recipients other than age and PGP. ``homes`` are the files of layers in other folders.
    ``snapshot`` gets the ID of a ``snapshot://`` reference. A SOPS file is read from disk once and
    decrypted at most once; its checked bytes are what sops gets.
    """

    def __init__(
        self,
        *,
        folder: Path,
        snapshot: Callable[[str], Secret],
        allow_exec: bool = False,
        sops_backends: Sequence[str] = (),
        deadline: float = DEADLINE,
        offline: bool = False,
        homes: Homes = EMPTY,
    ) -> None:
        self._folder, self._homes, self._snapshot = folder, homes, snapshot
        self._allow_exec, self._deadline, self._offline = allow_exec, deadline, offline
        self._backends = tuple(sops_backends)
        self._guard = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._memo: dict[tuple[str, str], Any] = {}

    def read(self, ref: Reference) -> Secret:
        """Return the value behind a reference. Raises SecretError."""
        if self._offline and ref.scheme in (Scheme.OP, Scheme.EXEC):
            raise _left_out(ref.text)
        found: Secret = self._once("ref", ref.text, lambda: self._read(ref))
        return found

    def known(self, ref: Reference) -> Secret | None:
        """Return the value of a reference that this run has read already; reads nothing."""
        found = self._memo.get(("ref", ref.text))
        return found if isinstance(found, Secret) else None

    def scalar(self, ref: Reference) -> str | None:
        """Return the encrypted text a sops reference points to, without decrypting; else None.

        Raises SecretError: the file cannot be read, is no SOPS file, or is refused.
        """
        if ref.scheme is not Scheme.SOPS:
            return None
        name, pointer = split_sops(ref.locator)
        found = sops_file.scalar(self._sealed(name, ref.text)[1], pointer)
        return found if isinstance(found, str) else None

    def sealed(self, name: str) -> sops_file.SopsFile:
        """Return what a SOPS file says of itself; decrypts nothing. Raises SecretError."""
        return self._sealed(name, f"sops://{name}")[1]

    def unlock(self, name: str) -> None:
        """Decrypt a whole SOPS file, as a first reference to it would. Raises SecretError."""
        where = f"sops://{name}"
        real, sealed = self._sealed(name, where)
        self._opened(name, real, sealed, where)

    def _read(self, ref: Reference) -> Secret:
        from reconciler.secrets import env, exec as command, file, keyring_store, onepassword

        where, locator, deadline = ref.text, ref.locator, self._deadline
        match ref.scheme:
            case Scheme.ENV:
                return env.read(locator, where)
            case Scheme.FILE:
                return file.read(*self._home(locator), where)
            case Scheme.KEYRING:
                return keyring_store.read(*split_keyring(locator), where, deadline)
            case Scheme.SOPS:
                return self._from_sops(ref)
            case Scheme.OP:
                return onepassword.read(ref.text, where, deadline)
            case Scheme.EXEC:
                allowed = self._allow_exec
                return command.read(
                    locator, self._folder, where, allowed=allowed, deadline=deadline
                )
            case Scheme.SNAPSHOT:
                return self._snapshot(locator)

    def _from_sops(self, ref: Reference) -> Secret:
        name, pointer = split_sops(ref.locator)
        real, sealed = self._sealed(name, ref.text)
        match sops_file.scalar(sealed, pointer):
            case None:
                what = f"the file has nothing at {pointer}"
                raise SecretError(SecretProblem.NO_ITEM, ref.text, what, "add it: sops edit FILE")
            case sops_file.Plain(text):
                raise SecretError(SecretProblem.UNUSABLE, ref.text, text, "encrypt it with sops")
        found = self._opened(name, real, sealed, ref.text).get(pointer, "nothing")
        if isinstance(found, str):
            what = f"there is {found} at {pointer}, not text"
            raise SecretError(SecretProblem.UNUSABLE, ref.text, what, "store the key as text")
        return usable(found, ref.text)

    def _opened(self, name: str, real: Path, sealed: sops_file.SopsFile, where: str) -> sops.Values:
        if self._offline and not sops_file.local(sealed):
            raise _left_out(where)
        values: sops.Values = self._once(
            "opened", str(real), lambda: self._decrypt(sealed, f"sops://{name}")
        )
        return values

    def _home(self, name: str) -> tuple[Path, str]:
        """Return the folder that a file must stay inside, and its name there."""
        return self._homes.get(name, (self._folder, name))

    def _sealed(self, name: str, where: str) -> tuple[Path, sops_file.SopsFile]:
        folder, inner = self._home(name)
        real = locate(folder, inner, where)
        sealed: sops_file.SopsFile = self._once(
            "sealed", str(real), lambda: self._load(folder, real, f"sops://{name}")
        )
        return real, sealed

    def _load(self, folder: Path, real: Path, where: str) -> sops_file.SopsFile:
        data = read_inside(folder, real, where, limit=sops_file.LIMIT, private=False)
        sealed = sops_file.load(data, real.name, where)
        sops_file.permit(sealed, self._backends, where)
        return sealed

    def _decrypt(self, sealed: sops_file.SopsFile, where: str) -> sops.Values:
        program: Path = self._once("program", "sops", lambda: sops.binary(self._deadline))
        return sops.decrypt(
            sealed, where, program=program, backends=self._backends, deadline=self._deadline
        )

    def _once(self, kind: str, name: str, make: Callable[[], Any]) -> Any:
        key = (kind, name)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._memo:
                try:
                    self._memo[key] = make()
                except SecretError as error:
                    self._memo[key] = error
            found = self._memo[key]
        if isinstance(found, SecretError):
            raise found.with_traceback(None)
        return found


def _left_out(where: str) -> SecretError:
    what = "reading it may need the network, which --offline leaves out"
    return SecretError(SecretProblem.OFFLINE, where, what, "run without --offline")
