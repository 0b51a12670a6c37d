"""One look at Cursor's rows, and the canonical attributes it shows; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.codec import nothing
from reconciler.errors import ByokError
from reconciler.model import Address, Attrs, Value
from reconciler.spec import PROVIDERS
from reconciler.systems.cursor import layout, slots, wishes
from reconciler.systems.cursor.slots import Held

KEYS: Final = (layout.SETTINGS, layout.ADMIN, *slots.ROWS)
PREFIXES: Final = (slots.CELLS,)

ValueOf = Callable[[Held], Value]


@dataclass(frozen=True, slots=True)
class View:
    """The rows as read, and the two documents among them, parsed."""

    rows: Mapping[str, str] = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)
    admin: Mapping[str, Any] = field(repr=False)

    def held(self, slot: slots.Slot) -> Held:
        """Return what counts in a slot."""
        return slots.held(slot, self.rows, self.document)

    def raw(self, slot: slots.Slot) -> tuple[Any, ...]:
        """Return all that stands in a slot's places."""
        return slots.raw(slot, self.rows, self.document)


def look(rows: Mapping[str, str]) -> View:
    """Parse the rows. Raises CursorBusy when the settings are not a JSON object."""
    document = layout.parse(rows.get(layout.SETTINGS), "applicationUser")
    return View(rows, document, _admin(rows.get(layout.ADMIN)))


def _admin(text: str | None) -> dict[str, Any]:
    """Return the dashboard's cache; it is only read, so a strange one counts as empty."""
    try:
        return layout.parse(text, layout.ADMIN)
    except ByokError:
        return {}


def resources(view: View, value_of: ValueOf) -> Iterator[tuple[Address, Attrs]]:
    """Yield every resource that is there, in canonical form."""
    for name in PROVIDERS:
        if attributes := provider(view, name, value_of):
            yield wishes.provider(name), attributes
    for name, attributes in layout.models(view.document).items():
        yield wishes.model(name), attributes
    for name, attributes in layout.defaults(view.document).items():
        yield wishes.default(name), attributes


def of_address(view: View, address: Address, value_of: ValueOf) -> Attrs:
    """Return one resource's attributes, {} when nothing is there. Raises ValueError."""
    match address.kind:
        case "provider" if address.name in PROVIDERS:
            return provider(view, address.name, value_of)
        case "model":
            return layout.models(view.document).get(address.name, {})
        case "default":
            return {"model": layout.default(view.document, address.name)}
        case _:
            raise ValueError(f"{address} is not an address of Cursor's")


def provider(view: View, name: str, value_of: ValueOf) -> dict[str, Value]:
    """Return a provider's attributes; ``enabled`` is said wherever a secret is.

    Bedrock under a team's IAM role is Cursor's own, and shows nothing.
    """
    if name == "bedrock" and layout.leaf(view.document, slots.IAM_ROLE) is True:
        return {}
    found = layout.settings(view.document, name)
    secrets = {slot.name: value_of(view.held(slot)) for slot in slots.of(name)}
    there = {key: value for key, value in secrets.items() if not nothing(value)}
    return ({"enabled": False} if there else {}) | found | there


def moved(before: View, now: View, address: Address) -> list[str]:
    """Return the names of one resource's attributes whose places are not as they were."""
    if address.kind != "provider":
        then, here = (of_address(view, address, _unread) for view in (before, now))
    else:
        then, here = (layout.settings(view.document, address.name) for view in (before, now))
    names = [name for name in {**then, **here} if then.get(name) != here.get(name)]
    own = slots.of(address.name) if address.kind == "provider" else ()
    return names + [slot.name for slot in own if before.raw(slot) != now.raw(slot)]


def _unread(_: Held) -> Value:
    return None
