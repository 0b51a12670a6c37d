"""Cursor on this machine as a system: what is wanted, what is there, one change at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.codec import same
from reconciler.errors import CursorBusy, ProviderError, SecretError, SecretProblem, StalePlan
from reconciler.model import Address, Attrs, Change, Edit, Sealed, Unknown, Value
from reconciler.secrets import Secret
from reconciler.spec import Manifest, claimant
from reconciler.systems import Actual, Applied, Desired, Rules, Vault
from reconciler.systems.cursor import findings, layout, paths, slots, store, view, wishes
from reconciler.systems.cursor.keysource import key_source
from reconciler.systems.cursor.layout import Edits
from reconciler.systems.cursor.running import Running, State, refuse_to_write, running
from reconciler.systems.cursor.safestorage import KeySource, Unreadable, unseal
from reconciler.systems.cursor.slots import Held, Place
from reconciler.systems.cursor.splice import SpliceError, splice
from reconciler.systems.cursor.view import View

HANDED_OVER: Final = (
    "the key stands in clear in Cursor's database until Cursor next starts, and in its backup until"
    " Cursor next quits"
)
UNCONFIRMED: Final = "BYOK122: where Cursor 3.x keeps this secret is not confirmed"
TAKEN_BACK: Final = "a change that a killed program left half done was taken back"
OVERWRITTEN: Final = "Cursor started meanwhile: what was written may be overwritten"
NOT_KEPT: Final = "the replaced value could not be read, so no copy of it was kept"


@dataclass(slots=True)
class _Step:
    """What one change will do to the rows and leaves, gathered before the transaction."""

    edits: Edits = field(default_factory=dict, repr=False)
    rows: dict[str, str | None] = field(default_factory=dict, repr=False)
    kept: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class CursorSystem:
    """Cursor's settings in one user-data directory; ``identity`` is that directory, resolved.

    Only where ``mended`` is given, what a killed program left half done is taken back before
    anything is read, and ``mended`` is told so.
    """

    name = wishes.NAME
    rules = Rules(itself=findings.itself)

    def __init__(
        self,
        manifest: Manifest,
        vault: Vault,
        user_data: Path,
        *,
        keysource: KeySource | None = None,
        running: Callable[[Path], Running] = running,
        mended: Callable[[str], None] | None = None,
    ) -> None:
        self.identity = str(user_data.resolve())
        self._manifest, self._vault, self._user_data = manifest, vault, user_data
        self._running, self._mended = running, mended
        self._keys = keysource or key_source(user_data, platform=sys.platform, home=Path.home())
        self._seen: Mapping[Address, Attrs] | None = None

    def desired(self) -> Desired:
        """Return the manifest's wishes; providers that Cursor keeps for itself are skipped."""
        try:
            seen = self._look()
            closed = findings.closed(seen.document, seen.admin)
        except CursorBusy:
            closed = {}  # actual says so, and nothing is planned
        return wishes.desired(self._manifest, self._vault, closed)

    def actual(self) -> Actual:
        """Read what is there. Raises CursorBusy when it cannot be read; writes nothing."""
        seen = self._look()
        found = dict(view.resources(seen, self._value))
        self._seen = found
        return Actual(
            found,
            findings.observations(self._manifest, seen.document, seen.admin),
            findings.diagnostics(self._manifest, seen.rows, seen.document, seen.admin),
            frozenset(self._pending(seen)),
            dict(self._cells(seen)),
        )

    def apply(self, change: Change) -> Applied:
        """Carry out one change in one transaction and read it back; twice equals once.

        Raises CursorBusy (running, or the database refuses), StalePlan (names each field that
        moved), SecretError (a value is unreadable, and not ours to replace), ProviderError (it
        reads back different).
        """
        refuse_to_write(self._user_data, self._running)
        seen = self._look()
        todo = self._judge(change, self._attributes(seen, change.address))
        if not todo:
            return self._applied(change, seen, _Step())
        step = self._prepare(change, todo, seen)
        store.write(
            self._path(), view.KEYS, self._patch(change, seen, step), prefixes=view.PREFIXES
        )
        if self._running(self._user_data).state is not State.NO:
            step.notes.append(OVERWRITTEN)
        return self._applied(change, self._read_back(change), step)

    def _path(self) -> Path:
        return paths.database(self._user_data)

    def _look(self) -> View:
        try:
            return self._look_once()
        except store.HalfDone:
            if self._mended is None:
                raise
        refuse_to_write(self._user_data, self._running)
        store.take_back(self._path())
        self._mended(TAKEN_BACK)
        return self._look_once()

    def _look_once(self) -> View:
        return view.look(store.read(self._path(), view.KEYS, prefixes=view.PREFIXES))

    def _attributes(self, seen: View, address: Address) -> Attrs:
        return view.of_address(seen, address, self._value)

    def _value(self, held: Held) -> Value:
        """Return a held secret as a plan may know it; a recorded cell needs no decrypting."""
        match held.place:
            case Place.NOWHERE:
                return None
            case Place.STRANGE:
                return Unknown("set, in an unknown form")
            case Place.CELL:
                recorded = self._vault.recall(self._vault.digest(held.cell))
                return Sealed(recorded) if recorded else self._opened(held)
            case _:
                return Sealed(self._vault.fingerprint(held.plain))

    def _opened(self, held: Held) -> Value:
        try:
            return Sealed(self._vault.fingerprint(self._secret(held)))
        except Unreadable as error:
            return Unknown(error.reason)

    def _secret(self, held: Held) -> Secret:
        return unseal(held.cell, self._keys)[0] if held.place is Place.CELL else held.plain

    def _pending(self, seen: View) -> Iterable[Address]:
        """Return the declared providers whose plaintext row waits for Cursor's next start."""
        declared = {p.name for p in self._manifest.providers.values() if not p.absent}
        if claimant(self._manifest):
            declared.add("openai")
        for slot in slots.SLOTS:
            if slot.provider in declared and seen.held(slot).place is Place.ROW:
                yield wishes.provider(slot.provider)

    def _cells(self, seen: View) -> Iterator[tuple[tuple[Address, str], str]]:
        """Yield the digest of each encrypted cell, for apply to record once Cursor promoted it."""
        for slot in slots.SLOTS:
            held = seen.held(slot)
            if held.place is Place.CELL:
                yield (wishes.provider(slot.provider), slot.name), self._vault.digest(held.cell)

    def _judge(self, change: Change, now: Attrs) -> list[Edit]:
        """Return the edits still to do; each must find what it was planned for, else StalePlan."""
        todo = [edit for edit in change.edits if not same(now.get(edit.name), edit.after)]
        for edit in todo:
            held = now.get(edit.name)
            if isinstance(held, Unknown):
                raise self._unreadable(change.address, edit, held.reason)
        stale = [edit.name for edit in todo if not same(now.get(edit.name), edit.before)]
        stale += self._moved_beside(change, todo, now)
        if stale:
            raise _stale(change.address, stale)
        return todo

    def _moved_beside(self, change: Change, todo: list[Edit], now: Attrs) -> list[str]:
        """Name the key or origin that stands beside a change and moved since the plan was made.

        A key must never meet an origin that the plan did not see.
        """
        origin = slots.ORIGINS.get(change.address.name)
        if origin is None or change.address.kind != "provider" or self._seen is None:
            return []
        beside = {origin, "key"} - {edit.name for edit in change.edits}
        if not {origin, "key"} & {edit.name for edit in todo}:
            return []
        seen = self._seen.get(change.address, {})
        return sorted(name for name in beside if not same(seen.get(name), now.get(name)))

    def _unreadable(self, address: Address, edit: Edit, reason: str) -> SecretError:
        locked = "locked" in reason
        kind = SecretProblem.LOCKED if locked else SecretProblem.NOT_DECRYPTABLE
        way_out = "unlock the keyring" if locked else "clear it in Cursor's settings, quit Cursor"
        return SecretError(kind, f"{address} {edit.name}", reason, f"{way_out}, and apply again")

    def _prepare(self, change: Change, todo: list[Edit], seen: View) -> _Step:
        """Decide every row and leaf, keeping what is replaced, before anything is locked."""
        step, address = _Step(), change.address
        wished = {edit.name: edit.after for edit in todo}
        match address.kind:
            case "model":
                step.edits |= layout.model_edits(address.name, wished)
            case "default":
                step.edits |= layout.default_edits(seen.document, address.name, wished["model"])
            case _:
                own = {slot.name: slot for slot in slots.of(address.name)}
                plain = {name: value for name, value in wished.items() if name not in own}
                step.edits |= layout.provider_edits(seen.document, address.name, plain)
                placed = {n: self._placement(own[n], wished[n], seen) for n in wished if n in own}
                for name, placement in placed.items():
                    self._keep(step, address, own[name], seen)
                    step.rows |= placement.rows
                    step.edits |= placement.leaves
                    step.notes += [UNCONFIRMED] if placement.experimental else []
        return step

    def _placement(self, slot: slots.Slot, value: Value, seen: View) -> slots.Placement:
        if not isinstance(value, Sealed):
            return slots.clear(slot)
        try:
            return slots.place(slot, self._reveal(value), seen.rows, seen.document, self._keys)
        except Unreadable as error:
            where = f"{wishes.provider(slot.provider)} {slot.name}"
            way_out = "store the bare key on one line"
            raise SecretError(SecretProblem.UNUSABLE, where, error.reason, way_out) from None

    def _reveal(self, sealed: Sealed) -> Secret:
        if sealed.ref == wishes.PLACEHOLDER_REF:
            return Secret(wishes.PLACEHOLDER)
        return self._vault.reveal(sealed)

    def _keep(self, step: _Step, address: Address, slot: slots.Slot, seen: View) -> None:
        held = seen.held(slot)
        if held.place in (Place.NOWHERE, Place.STRANGE):
            return
        try:
            step.kept[slot.name] = self._vault.keep(address, slot.name, self._secret(held))
        except Unreadable:  # ours by its digest, or _judge had refused
            step.notes.append(NOT_KEPT)

    def _patch(self, change: Change, seen: View, step: _Step) -> store.Patch:
        """Return what is done inside the transaction: check that nothing moved, then splice."""

        def patch(rows: store.Rows) -> Mapping[str, str | None]:
            if rows != seen.rows:
                moved = view.moved(seen, view.look(rows), change.address)
                if moved:
                    raise _stale(change.address, moved)
            text = rows.get(layout.SETTINGS)
            if text is None:
                raise layout.strange("they have not been stored yet")
            try:
                return {**step.rows, layout.SETTINGS: splice(text, step.edits)}
            except SpliceError as error:
                raise layout.strange(str(error)) from None

        return patch

    def _read_back(self, change: Change) -> View:
        where = str(change.address)
        try:
            seen = self._look()
        except CursorBusy as error:
            what = f"it was written and cannot be read back ({error.what})"
            raise ProviderError(where, what, error.way_out) from error
        now = self._attributes(seen, change.address)
        wrong = [e.name for e in change.edits if not same(now.get(e.name), e.after)]
        if wrong:
            what = f"{', '.join(wrong)} reads back different from what was written"
            raise ProviderError(where, what, "plan again; if Cursor was started, quit it first")
        return seen

    def _applied(self, change: Change, seen: View, step: _Step) -> Applied:
        names = {edit.name for edit in change.edits if change.address.kind == "provider"}
        held = {s.name: seen.held(s) for s in slots.of(change.address.name) if s.name in names}
        cells = {n: self._vault.digest(h.cell) for n, h in held.items() if h.place is Place.CELL}
        pending = any(h.place is Place.ROW for h in held.values())
        notes = dict.fromkeys([*step.notes, *([HANDED_OVER] if pending else [])])
        return Applied(cells, step.kept, pending, tuple(notes))


def _stale(address: Address, names: Iterable[str]) -> StalePlan:
    fields = sorted({f"{address} {name}" for name in names})
    what = f"{', '.join(fields)} moved since the plan was made"
    return StalePlan("Cursor's settings", what, "plan again", fields)
