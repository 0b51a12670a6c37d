"""The way from a manifest's file to its nouns, with every error of the file at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.errors import ManifestError
from reconciler.manifest.check import SECTIONS, check
from reconciler.manifest.document import read
from reconciler.manifest.nouns import build
from reconciler.manifest.pointer import split
from reconciler.manifest.rules import refuse
from reconciler.manifest.syntax import MAX_BYTES, fault
from reconciler.model import Diagnostic, Position
from reconciler.spec import Manifest


def load(path: Path) -> Manifest:
    """Return what a manifest file says. Raises ManifestError with every error of the file.

    ``folder`` is where the file really lies, its symbolic links followed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        folder = path.resolve().parent
    except OSError as error:
        what = f"cannot be read: {(error.strerror or 'it is no file').lower()}"
        way_out = "name the manifest with --manifest; byok sandbox DIR makes a sample"
        place = Position(str(path), 1, 1)
        raise ManifestError(str(path), [fault("BYOK001", what, way_out, place)]) from None
    return parse(raw, str(path), folder)


def parse(text: str | bytes, file: str, folder: Path) -> Manifest:
    """Return what a manifest's text says; ``file`` is the name that errors carry.

    Raises ManifestError with every error of the text, in the order of their places.
    """
    document = read(text, file)
    found = [*document.diagnostics, *check(document)]
    if not isinstance(document.data, dict) or any(d.code == "BYOK006" for d in found):
        raise ManifestError(file, _ordered(found))
    manifest = build(document, folder, _sound(document.data, found) if found else document.data)
    names = {part: _declared(document.data, part) for part in ("providers", "endpoints")}
    found.extend(refuse(manifest, names))
    if found:
        raise ManifestError(file, _ordered(found))
    return manifest


def _ordered(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return findings by place, each once; of a literal secret nothing else is said."""
    literal = [finding for finding in found if finding.code == "BYOK004" and finding.path]
    secret = {finding.path: finding for finding in reversed(literal)}
    kept = (finding for finding in found if secret.get(finding.path, finding) is finding)
    return sorted(dict.fromkeys(kept), key=_place)


def _place(found: Diagnostic) -> tuple[int, int, str]:
    place = found.position
    return (place.line, place.column, found.code) if place else (0, 0, found.code)


def _sound(data: Mapping[str, Any], found: Iterable[Diagnostic]) -> dict[str, Any]:
    """Return the part of a document that no finding is about: what the rules can still judge."""
    sound = {name: dict(part) if isinstance(part, dict) else part for name, part in data.items()}
    for parts in (split(finding.path) for finding in found):
        section = sound.get(parts[0]) if parts else None
        if len(parts) > 1 and parts[0] in SECTIONS and isinstance(section, dict):
            section.pop(parts[1], None)
        elif parts:
            sound.pop(parts[0], None)
    return sound


def _declared(data: Mapping[str, Any], section: str) -> frozenset[str]:
    entries = data.get(section)
    return frozenset(entries) if isinstance(entries, dict) else frozenset()
