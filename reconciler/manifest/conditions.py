"""Which entries hold on this machine: `when`, and what stands and falls with such an entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.manifest.facts import Facts, machine, misfit
from reconciler.manifest.pointer import escape, shown

CONDITIONAL: Final = ("providers", "endpoints", "models")
_BOUND: Final = (
    ("models", "endpoint", "endpoints"),
    ("budgets", "endpoint", "endpoints"),
    ("budgets", "provider", "providers"),
)
"""Section, its field, and the section that the field names: no entry outlives what it names."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A manifest's data without conditions; ``left_out`` maps pointers to why they are not in it.

    ``facts`` is None where no entry asked for any.
    """

    data: Mapping[str, Any]
    left_out: Mapping[str, str] = field(default_factory=dict)
    facts: Facts | None = None


def decide(data: Mapping[str, Any], facts: Facts | None = None) -> Decided:
    """Return what of a manifest holds on a machine, on this one without ``facts``.

    An entry that does not fit is as though nobody had named it. A model of an endpoint that is
    left out goes with it; so does a budget of a provider or endpoint. A model of a provider stays:
    its key is then in the person's own hands.
    """
    marked = list(_marked(data))
    if not marked:
        return Decided(data)
    known = facts or machine()
    left: dict[str, str] = {}
    whole = {name: dict(part) if isinstance(part, dict) else part for name, part in data.items()}
    for section, name, entry in marked:
        whole[section][name] = {part: said for part, said in entry.items() if part != "when"}
        if why := misfit(entry["when"], known):
            del whole[section][name]
            left[f"/{section}/{escape(name)}"] = why
    _fell(whole, left)
    return Decided(whole, left, known)


def bound(
    data: Mapping[str, Any], section: str, name: str | None = None
) -> Iterator[tuple[str, str]]:
    """Yield section and name of what an entry, or each of a section, stands and falls with."""
    for of, part, names in _BOUND:
        entries = (data.get(section) if of == section else None) or {}
        for entry in entries.values() if name is None else [entries.get(name) or {}]:
            if entry.get(part) in (data.get(names) or {}):
                yield names, entry[part]


def _marked(data: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for section in CONDITIONAL:
        entries = data.get(section)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and "when" in entry:
                yield section, name, entry


def _fell(whole: dict[str, Any], left: dict[str, str]) -> None:
    """Leave out what names an entry that was left out."""
    for section, part, names in _BOUND:
        entries = whole.get(section) or {}
        for name, entry in list(entries.items()):
            if f"/{names}/{escape(str(entry.get(part, '')))}" in left:
                del entries[name]
                left[f"/{section}/{escape(name)}"] = f"{shown(entry[part])} is left out"
