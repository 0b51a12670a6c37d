"""The edits of a change as rows: a label, and what was and will be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model import Action, Change, Edit, Value
from reconciler.render.values import clean, show, show_pair


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an edit. ``sign`` is ``+`` or ``-`` for a list's element, else empty.

    ``before`` is None where only one side is worth a word; ``source`` is a secret's reference.
    """

    label: str
    after: str
    before: str | None = None
    sign: str = ""
    source: str = ""


def rows(change: Change) -> tuple[Row, ...]:
    """Return every line that a change's edits take, in order."""
    return tuple(row for edit in change.edits for row in _edit(change.action, edit))


def _edit(action: Action, edit: Edit) -> Iterator[Row]:
    label = clean(edit.name)
    if _nested(edit.before) or _nested(edit.after):
        found = tuple(_differences(label, edit))
        if found:
            yield from found
            return
    before, after, source = show_pair(edit.before, edit.after)
    one_sided = action is Action.CREATE and edit.before is None
    yield Row(label, after, None if one_sided else before, source=source)


def _nested(value: Value) -> bool:
    return isinstance(value, (tuple, Mapping))


def _differences(label: str, edit: Edit) -> Iterator[Row]:
    """Compare two nested values by element; nothing when only their order differs."""
    if not all(v is None or _nested(v) for v in (edit.before, edit.after)):
        return
    sample = edit.after if edit.before is None else edit.before
    empty: Value = () if isinstance(sample, tuple) else {}
    before, after = (empty if v is None else v for v in (edit.before, edit.after))
    if isinstance(before, tuple) is not isinstance(after, tuple):
        return
    from deepdiff import DeepDiff

    found = DeepDiff(
        _plain(before),
        _plain(after),
        ignore_order=True,
        report_repetition=True,
        cutoff_distance_for_pairs=0,
        view="tree",
    )
    for kind, level in sorted(
        ((kind, level) for kind, levels in found.items() for level in levels),
        key=lambda item: (str(item[1].path()), item[0]),
    ):
        yield from _level(label, kind, level)


def _level(label: str, kind: str, level: Any) -> Iterator[Row]:
    path = level.path(output_format="list")
    keys = [str(step) for step in path if isinstance(step, str)]
    if kind.startswith("iterable_item") or kind == "repetition_change":
        where = ".".join([label, *keys])
        yield from _element(where, kind, level)
        return
    where = ".".join([label, *keys])
    if kind == "dictionary_item_added":
        yield Row(where, _say(level.t2), "absent")
    elif kind == "dictionary_item_removed":
        yield Row(where, "absent", _say(level.t1))
    else:
        yield Row(where, _say(level.t2), _say(level.t1))


def _element(where: str, kind: str, level: Any) -> Iterator[Row]:
    if kind == "iterable_item_added":
        yield Row(where, _say(level.t2), sign="+")
    elif kind == "iterable_item_removed":
        yield Row(where, _say(level.t1), sign="-")
    else:
        old, new = (
            level.additional["repetition"]["old_repeat"],
            level.additional["repetition"]["new_repeat"],
        )
        yield Row(where, f"{new} × {_say(level.t1)}", f"{old} × {_say(level.t1)}")


def _plain(value: Value) -> Any:
    """Turn a nested value into lists and dicts whose leaves are words already."""
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {clean(name): _plain(item) for name, item in value.items()}
        case _:
            return show(value)


def _say(data: Any) -> str:
    match data:
        case list():
            return "[" + ", ".join(_say(item) for item in data) + "]"
        case dict():
            return "{" + ", ".join(f"{name}: {_say(item)}" for name, item in data.items()) + "}"
        case _:
            return str(data)
