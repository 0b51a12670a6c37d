"""What an account is opened with: the manifest's part, the way to its secrets, and the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.errors import SafetyStop, SecretError, SecretProblem
from reconciler.model import Address, Diagnostic, Observation, Sealed, Severity
from reconciler.origins import Pairing, origin
from reconciler.secrets import Secret
from reconciler.spec import Manifest, ModelEntry
from reconciler.systems import Vault
from reconciler.systems.account.door import Door


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of an account with its ordinary key."""

    observations: tuple[Observation, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    def __add__(self, other: Sight) -> Sight:
        return Sight(self.observations + other.observations, self.diagnostics + other.diagnostics)


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that may go to one base URL, and where it came from."""

    secret: Secret
    ref: str
    fingerprint: str


class Unapproved(SafetyStop):
    """A key would meet an origin that nobody approved: nothing was sent."""

    def __init__(self, pairing: Pairing) -> None:
        super().__init__(
            pairing.ref,
            f"would go to {pairing.origin}, an origin nobody approved for it here",
            f"if that is right, give --allow-origin {pairing.origin} once",
        )
        self.pairing = pairing


@dataclass(frozen=True, slots=True)
class Setting:
    """What a provider's file gets to open an account with.

    ``name`` is the system (``openai``, or an endpoint's name), ``pointer`` its place in the
    manifest (``/providers/openai``). ``judged``: the admin credential may be used. ``probes``
    holds what was asked for beyond reading: ``generate``, ``cost``. ``approved`` tells whether a
    reference may be joined with a URL that is not the provider's own. ``recorded`` holds what this
    team ever wrote there: what the manifest no longer names is found again by it.
    """

    name: str
    pointer: str
    manifest: Manifest = field(repr=False)
    vault: Vault = field(repr=False)
    door: Door = field(repr=False)
    judged: bool = False
    probes: frozenset[str] = frozenset()
    approved: Callable[[str, str], bool] = lambda _ref, _url: False
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    recorded: frozenset[Address] = field(default=frozenset(), repr=False)

    def at(self, kind: str, name: str) -> Address:
        """Return an address of this account."""
        return Address(self.name, kind, name)

    def account(self) -> Mapping[str, Any]:
        """Return the fields that the manifest has for this account only."""
        part = self.manifest.providers.get(self.name) or self.manifest.endpoints.get(self.name)
        return {} if part is None else part.account

    def models(self) -> tuple[ModelEntry, ...]:
        """Return the models that the manifest wants from this account."""
        of_provider = self.pointer.startswith("/providers/")
        return tuple(
            entry
            for entry in self.manifest.models.values()
            if not entry.absent and (entry.provider if of_provider else entry.endpoint) == self.name
        )

    def credential(
        self, refs: Sequence[str], base: str, *, own: bool, pointer: str = ""
    ) -> Credential | None:
        """Return the first secret that exists; None where there is none.

        ``own`` says that the base URL is the provider's own; any other origin must have been
        approved for this reference, else Unapproved is raised. Raises SecretError.
        """
        if not refs:
            return None
        try:
            sealed = self.vault.seal(refs)
        except SecretError as error:
            if error.kind is SecretProblem.NO_ITEM:
                return None
            raise
        if not own and not self.approved(sealed.ref or "", base):
            raise self._unapproved(sealed.ref or "", base, pointer)
        return Credential(self.vault.reveal(sealed), sealed.ref or "", sealed.fingerprint)

    def admit(self, refs: Sequence[str], base: str, *, own: bool, pointer: str = "") -> None:
        """Let a new key of these references go to a base URL; nothing of the old one is opened.

        It goes where the key it replaces may go; where there is none yet, each reference must be
        approved. Raises Unapproved, or SecretError where it cannot be told which one is in use.
        """
        if own:
            return
        held = list(refs) or [""]
        try:
            held = [self.vault.seal(refs).ref or ""] if refs else held
        except SecretError as error:
            if error.kind is not SecretProblem.NO_ITEM:
                raise
        for ref in held:
            if not self.approved(ref, base):
                raise self._unapproved(ref, base, pointer)

    def _unapproved(self, ref: str, base: str, pointer: str) -> Unapproved:
        place = pointer or f"{self.pointer}/api_base"
        return Unapproved(Pairing(self.at("key", self.name), ref, origin(base), place))

    def keyed(self, sealed: Sealed) -> Secret:
        """Return the value behind a sealed reference."""
        return self.vault.reveal(sealed)

    def saw(self, kind: str, name: str, text: str) -> Sight:
        """Return one observation."""
        return Sight((Observation(self.at(kind, name), text),))

    def found(
        self,
        code: str,
        message: str,
        way_out: str = "",
        *,
        pointer: str = "",
        severity: Severity = Severity.WARNING,
    ) -> Sight:
        """Return one finding at a place of the manifest; ``pointer`` is below the account's."""
        place = pointer if pointer.startswith("/") else f"{self.pointer}/{pointer}".rstrip("/")
        where = self.manifest.where(place)
        return Sight((), (Diagnostic(code, severity, place, message, way_out, where),))

    def judging(self, *, judged: bool) -> Setting:
        """Return the same setting, with or without the admin credential."""
        return replace(self, judged=judged)
