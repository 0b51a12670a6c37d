"""One kind of resource of an account: its wishes, how it is read and written, and its rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.codec import nothing, same
from reconciler.model import Attrs, Change, Edit, Value
from reconciler.systems import Applied

HOUR = 3600
Named = Mapping[str, Attrs]


def _never(_change: Change) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource: what is wanted and what is there, by natural name.

    ``read`` returns all that is there and may be judged. ``write`` carries one resource from its
    attributes ``now`` to ``goal`` (name, now, goal); an empty goal takes it away; it may send
    only what differs. ``final`` tells a change that cannot be taken back. A ``container`` is
    released on removal. ``exclusive`` maps a resource's name, or ``*`` for all, to how the
    attributes begin of which the manifest has the whole list (``""``: the resource itself).
    ``slow`` is the number of seconds after which a write is in force, where the provider says so.
    ``missing`` is said of a wanted resource that is not there and that byok does not make; it is
    then not judged. ``barred`` maps what is not judged, whatever is there, to the reason.
    ``supplied``: the provider fills the attributes itself as soon as the container is made, and
    none can be taken away: what the plan saw nothing of may have a value by now, and one of which
    nobody knows what was there before stays.
    """

    name: str
    desired: Named
    read: Callable[[], Named]
    write: Callable[[str, Attrs, Attrs], None]
    final: Callable[[Change], bool] = _never
    container: bool = False
    exclusive: Mapping[str, str] = field(default_factory=dict)
    slow: int = 0
    missing: str = ""
    barred: Mapping[str, str] = field(default_factory=dict)
    supplied: bool = False


def seen(kind: Kind, attrs: Attrs) -> Attrs:
    """Return what stands for a resource that is there: keys are made elsewhere.

    What is first set on one is an update, so one without anything must not look like nothing.
    """
    bare = kind.name == "key" and all(nothing(value) for value in attrs.values())
    return {**attrs, "exists": True} if bare else attrs


def in_force(seconds: int) -> str:
    """Say how long the provider takes to put a change in force."""
    count, unit = (
        (seconds // 3600, "hour") if seconds >= HOUR else (max(seconds // 60, 1), "minute")
    )
    span = f"{count} {unit}{'s' if count != 1 else ''}"
    return f"accepted; the provider takes up to {span} to put it in force"


def stands(kind: Kind, now: Attrs, change: Change) -> bool:
    """Tell whether a change is done, as far as its kind lets it be."""
    return all(same(now.get(e.name), e.after) or _stays(kind, e) for e in change.edits)


def _stays(kind: Kind, edit: Edit) -> bool:
    """Tell whether a value is left where it is: it cannot be taken away, nor put back."""
    return kind.supplied and nothing(edit.after)


def as_planned(kind: Kind, value: Value, edit: Edit) -> bool:
    """Tell whether a value is as the plan saw it, or already as it is to be."""
    unseen = kind.supplied and nothing(edit.before)
    return unseen or same(value, edit.before) or same(value, edit.after)


def applied(kind: Kind, now: Attrs, change: Change) -> Applied:
    """Tell what the plan could not know of attributes that the provider fills itself."""
    if not kind.supplied:
        return Applied()
    found = {e.name: now.get(e.name) for e in change.edits if nothing(e.before)}
    left = [e.name for e in change.edits if nothing(e.after) and not nothing(now.get(e.name))]
    what = "stays: nobody knows what the provider had there before"
    return Applied(
        found={name: value for name, value in found.items() if not nothing(value)},
        notes=tuple(f"{change.address}: {name} {what}" for name in left),
    )
