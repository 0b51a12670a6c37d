"""The plan as a pure function of desired, actual, last written, and scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, field, replace

from reconciler.codec import nothing, same
from reconciler.model import (
    Action,
    Address,
    Attrs,
    Cause,
    Change,
    Edit,
    Record,
    Resources,
    Sealed,
    Summary,
    Unknown,
    Value,
    Written,
)

_LOUDEST = (Cause.CONFLICT, Cause.TAKEOVER, Cause.DRIFT, Cause.MANIFEST, Cause.NEW, Cause.REMOVED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the planner found.

    ``adopt`` are records to write for values that already are as desired; ``forget`` are records
    to drop, for values that are no longer what we wrote or need nothing done; ``left`` says of
    which of those somebody else's value stays; ``unreadable`` gives the reasons of what cannot be
    told.
    """

    changes: tuple[Change, ...] = ()
    adopt: Mapping[Address, Mapping[str, Record]] = field(default_factory=dict)
    forget: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)
    left: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)
    unreadable: Mapping[Address, str] = field(default_factory=dict)
    in_sync: int = 0
    unmanaged: int = 0

    @property
    def summary(self) -> Summary:
        """Count resources by what happens to them."""
        tally = [change.action for change in self.changes]
        return Summary(
            create=tally.count(Action.CREATE),
            update=tally.count(Action.UPDATE),
            delete=tally.count(Action.DELETE),
            in_sync=self.in_sync,
            unknown=len(self.unreadable),
            unmanaged=self.unmanaged,
        )


@dataclass(slots=True)
class _Finding:
    """What one resource comes to; filled attribute by attribute."""

    edits: list[Edit] = field(default_factory=list)
    causes: set[Cause] = field(default_factory=set)
    adopt: dict[str, Record] = field(default_factory=dict)
    forget: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    removing: set[str] = field(default_factory=set)

    def edit(self, name: str, before: Value, after: Value, cause: Cause) -> None:
        self.edits.append(Edit(name, before, after))
        self.causes.add(cause)
        if cause is Cause.REMOVED:
            self.removing.add(name)


def plan(
    desired: Resources, actual: Resources, written: Written, scope: AbstractSet[Address]
) -> Verdict:
    """Compare the three for every address in scope; what is named nowhere cannot change.

    Changes come in address order, edits in name order, so equal inputs give equal plans whatever
    the order of the mappings.
    """
    findings = {
        address: _judge(desired.get(address), actual.get(address, {}), written.get(address, {}))
        for address in sorted(scope & (desired.keys() | written.keys()))
    }
    changes = (
        _change(address, found, actual.get(address, {})) for address, found in findings.items()
    )
    made = tuple(change for change in changes if change is not None)
    moved = {change.address for change in made}
    return Verdict(
        changes=made,
        adopt={a: f.adopt for a, f in findings.items() if f.adopt},
        forget={a: tuple(f.forget) for a, f in findings.items() if f.forget},
        left={a: tuple(f.left) for a, f in findings.items() if f.left},
        unreadable={a: "; ".join(f.unreadable) for a, f in findings.items() if f.unreadable},
        in_sync=sum(
            a in desired and a not in moved and not f.unreadable for a, f in findings.items()
        ),
        unmanaged=len((actual.keys() & scope) - desired.keys() - written.keys()),
    )


def _judge(wish: Attrs | None, actual: Attrs, written: Mapping[str, Record]) -> _Finding:
    found = _Finding()
    wanted = {} if wish is None else wish
    for name in sorted(wanted.keys() | written.keys()):
        if name in wanted:
            _wanted(found, name, wanted[name], actual.get(name), written.get(name))
        else:
            _unwanted(found, name, actual.get(name), written[name])
    if found.unreadable:
        _wait_whole(found)
    elif _parted(found, actual, written):
        _leave_whole(found)
    return found


def _wait_whole(found: _Finding) -> None:
    """Plan nothing for a resource of which a part cannot be read, and forget nothing of it.

    The part may be a key: another base URL beside it would send it to another origin.
    """
    found.edits.clear()
    found.forget.clear()
    found.left.clear()


def _parted(found: _Finding, actual: Attrs, written: Mapping[str, Record]) -> bool:
    """Tell whether a removal would let a key that moved, or is not ours, meet another origin."""
    values = [*actual.values(), *(record.value for record in written.values())]
    moved = [name for name in found.left if not isinstance(actual.get(name), bool)]
    old = [e for e in found.edits if e.name in found.removing and isinstance(e.after, str)]
    foreign = [v for n, v in actual.items() if isinstance(v, Sealed | Unknown) and n not in written]
    return bool(old and foreign) or (bool(moved) and any(isinstance(v, Sealed) for v in values))


def _leave_whole(found: _Finding) -> None:
    parts = [e for e in found.edits if e.name in found.removing]
    found.edits = [edit for edit in found.edits if edit not in parts]
    found.causes.discard(Cause.REMOVED)
    for names in (found.forget, found.left):
        names.extend(edit.name for edit in parts)


def _wanted(found: _Finding, name: str, wish: Value, actual: Value, record: Record | None) -> None:
    unreadable = next((v for v in (wish, actual) if isinstance(v, Unknown)), None)
    if unreadable is not None:
        found.unreadable.append(f"{name}: {unreadable.reason}")
    elif same(wish, actual):
        _agree(found, name, wish, record)
    else:
        found.edit(name, actual, wish, _cause(wish, actual, record))


def _agree(found: _Finding, name: str, wish: Value, record: Record | None) -> None:
    if record is None:
        found.adopt[name] = Record(wish, before=wish, adopted=True)
    elif not same(record.value, wish):
        found.adopt[name] = Record(wish, before=record.before, adopted=record.adopted)


def _cause(wish: Value, actual: Value, record: Record | None) -> Cause:
    if record is None:
        return Cause.NEW if nothing(actual) else Cause.TAKEOVER
    if same(record.value, actual):
        return Cause.MANIFEST
    return Cause.DRIFT if same(record.value, wish) else Cause.CONFLICT


def _unwanted(found: _Finding, name: str, actual: Value, record: Record) -> None:
    if record.adopted or same(actual, record.before):
        found.forget.append(name)
    elif isinstance(actual, Unknown):
        found.unreadable.append(f"{name}: {actual.reason}")
    elif same(actual, record.value):
        found.edit(name, actual, record.before, Cause.REMOVED)
    else:
        found.forget.append(name)
        found.left.append(name)


def _change(address: Address, found: _Finding, actual: Attrs) -> Change | None:
    if not found.edits:
        return None
    cause = next(cause for cause in _LOUDEST if cause in found.causes)
    return Change(address, action(actual, found.edits), cause, tuple(found.edits))


def action(actual: Attrs, edits: Iterable[Edit]) -> Action:
    """Name what edits do to a resource: from nothing, to nothing, or between."""
    after = {**actual, **{edit.name: edit.after for edit in edits}}
    if all(nothing(value) for value in actual.values()):
        return Action.CREATE
    return Action.DELETE if all(nothing(value) for value in after.values()) else Action.UPDATE


def record_of(change: Change, before: Mapping[str, Record]) -> dict[str, Record | None]:
    """Return what the ledger must hold after a change; None is a record to drop.

    The first value that was there before us is kept through every later change. A value that is
    put back leaves nothing to remember, also where the manifest moved other attributes of its
    resource in the same change; if the manifest wants just this value, the next plan adopts it.
    """
    removed = change.cause is Cause.REMOVED
    return {
        edit.name: None if removed else _recorded(edit, before.get(edit.name))
        for edit in change.edits
    }


def _recorded(edit: Edit, record: Record | None) -> Record | None:
    if record is not None and not record.adopted and same(edit.after, record.before):
        return None
    return Record(edit.after, _origin(edit, record))


def _origin(edit: Edit, record: Record | None) -> Value:
    """Return what a removal would bring back: never a value that we ourselves put there."""
    if record is None:
        return edit.before
    return record.before if not record.adopted else edit.before


def settle(
    intents: Iterable[Change], actual: Resources, written: Written
) -> dict[Address, dict[str, Record | None]]:
    """Decide for steps that were begun and never finished whether they happened.

    A value that now stands as the step wanted it was written by us; one that did not move was
    not; anything else is left to the comparison with the older record. Where several steps are
    open, oldest first, what a later one set out from is what stood after the earlier.
    """
    settled: dict[Address, dict[str, Record | None]] = {}
    for change in reversed(_happened(tuple(intents), actual)):
        mine = settled.setdefault(change.address, {})
        older = {**written.get(change.address, {}), **mine}
        mine.update(record_of(change, {n: r for n, r in older.items() if r is not None}))
    return settled


def _happened(intents: tuple[Change, ...], actual: Resources) -> list[Change]:
    """Return what happened of each step, newest first."""
    stood: dict[tuple[Address, str], Value] = {
        (address, name): value for address, attrs in actual.items() for name, value in attrs.items()
    }
    happened = []
    for change in reversed(intents):
        edits = tuple(e for e in change.edits if same(stood.get((change.address, e.name)), e.after))
        stood.update({(change.address, edit.name): edit.before for edit in change.edits})
        if edits:
            happened.append(replace(change, edits=edits))
    return happened


def overlay(written: Written, settled: Mapping[Address, Mapping[str, Record | None]]) -> Written:
    """Return the last-written values with settled steps folded in."""
    merged = {address: dict(records) for address, records in written.items()}
    for address, records in settled.items():
        slot = merged.setdefault(address, {})
        for name, record in records.items():
            if record is None:
                slot.pop(name, None)
            else:
                slot[name] = record
    return {address: records for address, records in merged.items() if records}


def moved(saved: Iterable[Change], fresh: Iterable[Change]) -> Iterator[str]:
    """Yield ``address name`` for each edit of the fresh plan that the saved plan does not hold.

    Compares address, name, before and after, never cause: fewer edits are progress, any other
    edit is news.
    """
    known = {(c.address, e.name): e for c in saved for e in c.edits}
    for change in fresh:
        for edit in change.edits:
            old = known.get((change.address, edit.name))
            if old is None:
                yield f"{change.address} {edit.name}: not in the saved plan"
            elif not same_edit(old, edit):
                yield f"{change.address} {edit.name}: {_which(old, edit)} moved"


def same_edit(left: Edit, right: Edit) -> bool:
    """Tell whether two edits of one attribute go from equal values to equal values."""
    return same(left.before, right.before) and same(left.after, right.after)


def _which(old: Edit, new: Edit) -> str:
    here = [] if same(old.before, new.before) else ["the value here"]
    wish = [] if same(old.after, new.after) else ["the wanted value"]
    return " and ".join(here + wish)
