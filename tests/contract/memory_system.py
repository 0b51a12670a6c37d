"""A system in memory, as harsh as a real one: it trusts no caller and forgets nothing by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reconciler.codec import nothing, same
from reconciler.errors import ByokError, ProviderError, StalePlan
from reconciler.model import Address, Attrs, Change, Sealed, Unknown, Value
from reconciler.secrets import Secret
from reconciler.systems import Actual, Applied, Desired, Rules, Vault

SECRET = "secret:"
"""How a stored secret begins: the store holds JSON only, as a real one."""

KNOWN = {
    "provider": {"enabled", "key", "base_url"},
    "model": {"override", "limits", "tags"},
    "default": {"model"},
}


class Store:
    """What outlives a process: a JSON text, changed whole or not at all."""

    def __init__(self, content: Mapping[str, Mapping[str, Any]]) -> None:
        self.text = json.dumps(content)
        self.locked = False
        self.broken: str | None = None

    def read(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self.text)
        return found

    def write(self, content: Mapping[str, Mapping[str, Any]]) -> None:
        kept = {
            at: {n: v for n, v in place.items() if v is not None} for at, place in content.items()
        }
        self.text = json.dumps({at: place for at, place in kept.items() if place})


class MemorySystem:
    """Reads and writes a store; wishes are given as attributes, secrets in them as references."""

    name = "cursor"
    rules = Rules()
    identity = "memory://store"

    def __init__(
        self,
        store: Store,
        vault: Vault,
        wishes: Mapping[Address, Mapping[str, Any]],
        *,
        keeping: bool = True,
    ) -> None:
        self._store, self._vault, self._wishes, self._keeping = store, vault, wishes, keeping

    def desired(self) -> Desired:
        return Desired(
            {
                address: {name: self._wish(value) for name, value in place.items()}
                for address, place in self._wishes.items()
            }
        )

    def _wish(self, value: Any) -> Value:
        return (
            self._vault.seal(value["refs"])
            if isinstance(value, dict) and "refs" in value
            else value
        )

    def actual(self) -> Actual:
        """Return new objects, in another order than stored; a resource of nothing is not there."""
        found = {Address.parse(at): self._attrs(place) for at, place in self._store.read().items()}
        return Actual(dict(reversed(found.items())))

    def _attrs(self, place: Mapping[str, Any]) -> Attrs:
        return {name: self._value(value) for name, value in sorted(place.items(), reverse=True)}

    def _value(self, raw: Any) -> Value:
        if isinstance(raw, str) and raw.startswith(SECRET):
            if self._store.locked:
                return Unknown("the store is locked")
            return Sealed(self._vault.fingerprint(Secret(raw.removeprefix(SECRET))))
        if isinstance(raw, list):
            return tuple(map(self._value, raw))
        if isinstance(raw, dict):
            return {name: self._value(value) for name, value in reversed(raw.items())}
        return raw

    def apply(self, change: Change) -> Applied:
        """Check everything, then write everything, then look."""
        self._refuse_nonsense(change)
        if str(change.address) == self._store.broken:
            raise ByokError(str(change.address), "said no")
        content = self._store.read()
        place = content.setdefault(str(change.address), {})
        now = self._attrs(place)
        todo = [edit for edit in change.edits if not same(now.get(edit.name), edit.after)]
        stale = [e.name for e in todo if not same(now.get(e.name), e.before)]
        if stale:
            fields = [f"{change.address} {name}" for name in stale]
            raise StalePlan("the store", f"{', '.join(fields)} moved", "plan again", fields)
        raw = {edit.name: self._raw(edit.after) for edit in todo}
        kept = {
            edit.name: self._vault.keep(
                change.address, edit.name, Secret(place[edit.name].removeprefix(SECRET))
            )
            for edit in todo
            if isinstance(edit.before, Sealed) and self._keeping
        }
        place.update(raw)
        self._store.write(content)
        back = self._attrs(self._store.read().get(str(change.address), {}))
        if not all(same(back.get(edit.name), edit.after) for edit in change.edits):
            raise ProviderError(str(change.address), "reads back different")
        return Applied(kept=kept)

    def _refuse_nonsense(self, change: Change) -> None:
        names = [edit.name for edit in change.edits]
        assert change.address.system == self.name
        assert names, "a change without edits"
        assert names == sorted(set(names)), "edits out of order, or twice"
        assert set(names) <= KNOWN[change.address.kind], "an attribute that does not exist"
        for edit in change.edits:
            assert not isinstance(edit.before, Unknown)
            assert not isinstance(edit.after, Unknown)
            assert not same(edit.before, edit.after), "an edit of nothing"

    def _raw(self, value: Value) -> Any:
        match value:
            case Sealed():
                return SECRET + self._vault.reveal(value).expose()
            case tuple():
                return list(map(self._raw, value)) or None
            case Mapping():
                return {name: self._raw(item) for name, item in value.items()}
            case _:
                return None if nothing(value) else value
