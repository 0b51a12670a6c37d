"""The one door between systems and secrets: seals, reveals, fingerprints; one per run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from reconciler.errors import SecretError, SecretProblem, StalePlan
from reconciler.model import Address, Sealed
from reconciler.secrets.fingerprint import Fingerprinter
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import Reference, Scheme, parse
from reconciler.secrets.secret import Secret
from reconciler.shapes import fits

WARMERS = 8
"""Threads that read references ahead of need."""


class Vault:
    """Seals and reveals references for one run; safe to use from many threads.

    ``versions`` maps the digest of an encrypted SOPS scalar, ``cells`` that of an encrypted cell,
    to the fingerprint that was recorded with it. ``keep`` stores a copy of a value about to be
    replaced and returns its ``snapshot://`` reference. ``reader`` holds what this run has read.
    """

    def __init__(
        self,
        *,
        fingerprinter: Fingerprinter,
        versions: Mapping[str, str],
        cells: Mapping[str, str],
        keep: Callable[[Address, str, Secret], str],
        reader: Reader,
    ) -> None:
        self._fingerprinter, self._versions, self._cells = fingerprinter, versions, cells
        self._keep, self._reader = keep, reader

    def seal(self, refs: Sequence[str]) -> Sealed:
        """Return the fingerprint and reference of the first that exists.

        A sops reference whose encrypted scalar is of a recorded version is not decrypted.
        Raises SecretError: the first failure other than "no such item"; when no reference
        exists, NO_ITEM naming all that were tried; refused for ``snapshot://``.
        """
        missing: list[SecretError] = []
        for text in refs:
            try:
                ref = _outer(parse(text))
                return Sealed(self._fingerprint(ref), ref.text)
            except SecretError as error:
                if error.kind is not SecretProblem.NO_ITEM:
                    raise
                missing.append(error)
        raise _none(missing)

    def reveal(self, sealed: Sealed) -> Secret:
        """Return the value behind a sealed reference.

        Raises SecretError, or StalePlan when the value's fingerprint is another by now.
        """
        if sealed.ref is None:
            what = "the plan does not say where the value lives"
            raise SecretError(SecretProblem.NO_ITEM, "a secret", what)
        ref = parse(sealed.ref)
        found = self._reader.read(ref)
        if self.fingerprint(found) != sealed.fingerprint:
            what = "the value has changed since the plan was made"
            raise StalePlan(ref.text, what, "plan again", moved=(ref.text,))
        return found

    def renew(self, sealed: Sealed) -> Sealed:
        """Return a copy's sealed form under today's fingerprint key, or as it is if not to be read.

        Copies outlive a change of that key, and the ledger holds the fingerprint they had.
        """
        if not (sealed.ref or "").startswith(f"{Scheme.SNAPSHOT}://"):
            return sealed
        try:
            return Sealed(self._fingerprint(parse(sealed.ref or "")), sealed.ref)
        except SecretError:
            return sealed  # the step that needs it will say so

    def fingerprint(self, secret: Secret) -> str:
        """Return the keyed fingerprint of a value: 12 hexadecimal digits."""
        return self._fingerprinter.fingerprint(secret)

    def digest(self, cell: str) -> str:
        """Return the keyed digest of an encrypted cell's text: 16 hexadecimal digits."""
        return self._fingerprinter.digest(cell)

    def recall(self, digest: str) -> str | None:
        """Return the fingerprint recorded with a cell of this digest, if we wrote it."""
        return self._cells.get(digest)

    def keep(self, address: Address, name: str, secret: Secret) -> str:
        """Store an encrypted copy of a value about to be replaced; return its reference."""
        return self._keep(address, name, secret)

    def version_of(self, ref: str) -> str | None:
        """Return the digest of the encrypted scalar a sops reference points to; nothing decrypted.

        None for other schemes, and where there is no such scalar.
        """
        try:
            parsed = parse(ref)
            scalar = self._reader.scalar(parsed)
        except SecretError:
            return None
        return None if scalar is None else self._version(parsed, scalar)

    def misfits(self, sealed: Sealed, kind: str) -> bool:
        """Tell whether a value that this run has read is no key of this kind of provider.

        False where it was not read, or where nobody can tell; reads nothing.
        """
        if sealed.ref is None or not sealed.ref.startswith(tuple(f"{each}://" for each in Scheme)):
            return False
        found = self._reader.known(parse(sealed.ref))
        return found is not None and not fits(kind, found.expose())

    def warm(self, groups: Iterable[Sequence[str]]) -> None:
        """Seal groups of references ahead of need, in parallel; failures wait for `seal`."""
        distinct = dict.fromkeys(tuple(group) for group in groups)
        if len(distinct) < 2:  # noqa: PLR2004  one is read as fast without a thread
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(WARMERS, "byok-secrets") as threads:
            list(threads.map(self._try, distinct))

    def _try(self, refs: Sequence[str]) -> None:
        try:
            self.seal(refs)
        except SecretError:
            return  # the reader remembers it

    def _version(self, ref: Reference, scalar: str) -> str:
        # With its reference: sops would not open a scalar that was copied to another place.
        return self.digest(f"{ref.text}\n{scalar}")

    def _fingerprint(self, ref: Reference) -> str:
        scalar = self._reader.scalar(ref)
        known = None if scalar is None else self._versions.get(self._version(ref, scalar))
        return known or self.fingerprint(self._reader.read(ref))


def _outer(ref: Reference) -> Reference:
    if ref.scheme is Scheme.SNAPSHOT:
        what = "copies of replaced keys cannot be used in a manifest"
        raise SecretError(SecretProblem.REFUSED, ref.text, what, "name the key's own place")
    return ref


def _none(missing: Sequence[SecretError]) -> SecretError:
    if len(missing) == 1:
        return missing[0]
    tried = "; ".join(f"{error.where}: {error.what}" for error in missing)
    what = f"none of {len(missing)} references exists ({tried})" if missing else "none is given"
    return SecretError(SecretProblem.NO_ITEM, "references", what, "store the key in one of them")
