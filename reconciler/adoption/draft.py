"""A manifest before it is text: parts, the remarks beside them, and what was left out, with why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from reconciler.adoption.text import rendered
from reconciler.errors import ManifestError
from reconciler.manifest import parse
from reconciler.manifest.pointer import shown, split
from reconciler.render.values import clean
from reconciler.shapes import looks_like

Said: TypeAlias = "str | bool | tuple[str, ...]"
SECTIONS = ("providers", "endpoints", "models")


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a section: fields in their order, and remarks that stand above it."""

    fields: Mapping[str, Said]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """Something that the manifest cannot say, or must not: what, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Draft:
    """All of a manifest to be; ``head`` are the remarks at its top.

    ``foot`` are those at its end. ``sections`` maps providers, endpoints and models to their
    entries by name.
    """

    team: str
    head: tuple[str, ...] = ()
    sections: Mapping[str, Mapping[str, Part]] = field(default_factory=dict)
    foot: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()

    @property
    def text(self) -> str:
        """The manifest's YAML."""
        left = [clean(str(each)) for each in self.left]
        return rendered(self.team, self.head, self.sections, self.foot, left)

    def section(self, name: str) -> Mapping[str, Part]:
        """Return one section by its name; empty where there is none."""
        return self.sections.get(name, {})

    def references(self) -> tuple[str, ...]:
        """Return every secret reference that the draft names, each once."""
        parts = [*self.section("providers").values(), *self.section("endpoints").values()]
        said = (value for part in parts for value in part.fields.values())
        return tuple(
            dict.fromkeys(text for text in said if isinstance(text, str) and _reference(text))
        )

    def without(self, name: str, entries: Mapping[str, str]) -> Draft:
        """Return the draft without some entries of a section, and with the reasons why."""
        kept = {key: part for key, part in self.section(name).items() if key not in entries}
        named = called if name == "models" else str
        left = tuple(Left(f"{name[:-1]} {named(key)}", why) for key, why in entries.items())
        return replace(self, sections={**self.sections, name: kept}, left=(*self.left, *left))


def _reference(text: str) -> bool:
    return text.startswith(("sops://", "keyring://", "env://"))


def called(name: str) -> str:
    """Return a foreign name for messages; one that looks like a key is not repeated."""
    return "(withheld: it looks like a key)" if looks_like(name) else shown(name)


def fitting(draft: Draft, file: str, folder: Path) -> Draft:
    """Return the draft without the entries that no manifest can hold, each with what is wrong.

    Raises ManifestError where what is wrong is no entry's.
    """
    while True:
        try:
            parse(draft.text, file, folder)
        except ManifestError as error:
            draft = _without_faulty(draft, error)
        else:
            return draft


def _without_faulty(draft: Draft, error: ManifestError) -> Draft:
    found = False
    for name in SECTIONS:
        entries = dict(_faulty(name, error))
        known = {key: why for key, why in entries.items() if key in draft.section(name)}
        if known:
            draft, found = draft.without(name, known), True
    if not found:
        raise error
    return draft


def _faulty(section: str, error: ManifestError) -> Iterable[tuple[str, str]]:
    for each in reversed(error.diagnostics):
        path = split(each.path)
        if len(path) > 1 and path[0] == section:
            yield path[1], f"{'.'.join(path[2:]) or 'it'}: {each.message}"
