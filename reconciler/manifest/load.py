"""The way from a manifest's files to its nouns, with every error of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from reconciler.errors import ManifestError
from reconciler.manifest.check import SECTIONS, check
from reconciler.manifest.conditions import Decided, decide
from reconciler.manifest.document import read
from reconciler.manifest.facts import Facts
from reconciler.manifest.layers import extends
from reconciler.manifest.nouns import build
from reconciler.manifest.pointer import split
from reconciler.manifest.rules import refuse
from reconciler.manifest.stack import Whole, alone, stacked
from reconciler.manifest.syntax import MAX_BYTES, fault
from reconciler.model import Diagnostic, Position
from reconciler.spec import Manifest


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest, and the plain data it was built from: merged, and decided for one machine."""

    manifest: Manifest
    data: Mapping[str, Any]


def load(path: Path, overlays: Sequence[Path] = (), facts: Facts | None = None) -> Manifest:
    """Return what a manifest says, with all that it extends and the overlays, the last word last.

    ``facts`` judge its conditions, this machine's unless given. Raises ManifestError with every
    error of its files. ``folder`` is where the file really lies, its symbolic links followed.
    """
    return loaded(path, overlays, facts).manifest


def loaded(path: Path, overlays: Sequence[Path] = (), facts: Facts | None = None) -> Loaded:
    """Return what `load` does, and the data behind it. Raises ManifestError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        real = path.resolve()
    except OSError as error:
        what = f"cannot be read: {(error.strerror or 'it is no file').lower()}"
        way_out = "name the manifest with --manifest; byok sandbox DIR makes a sample"
        place = Position(str(path), 1, 1)
        raise ManifestError(str(path), [fault("BYOK001", what, way_out, place)]) from None
    return _loaded(raw, str(path), real, overlays, facts)


def parse(text: str | bytes, file: str, folder: Path, facts: Facts | None = None) -> Manifest:
    """Return what a manifest's text says; ``file`` is the name that errors carry.

    What it extends is read from ``folder``. Raises ManifestError with every error of the text, in
    the order of their places.
    """
    return _loaded(text, file, folder / PurePath(file).name, (), facts).manifest


def _loaded(
    raw: str | bytes, file: str, real: Path, overlays: Sequence[Path], facts: Facts | None
) -> Loaded:
    document = read(raw, file)
    try:
        layered = overlays or extends(document)
        whole = stacked(document, real, len(raw), overlays) if layered else alone(document)
        return _built(whole, real.parent, facts)
    except ManifestError as error:
        raise ManifestError(file, _ordered(error.diagnostics)) from None


def _built(whole: Whole, folder: Path, facts: Facts | None) -> Loaded:
    """Check the whole and make it nouns. Raises ManifestError."""
    document = whole.document
    found = [*document.diagnostics, *check(document)]
    if not isinstance(document.data, dict) or any(d.code == "BYOK006" for d in found):
        raise ManifestError(document.file, found)
    decided = decide(_sound(document.data, found) if found else document.data, facts)
    manifest = _noted(build(document, folder, decided.data), whole, decided)
    names = {part: _declared(document.data, part) for part in ("providers", "endpoints")}
    found.extend(refuse(manifest, names, whole.taken_back))
    if found:
        raise ManifestError(document.file, found)
    return Loaded(manifest, decided.data)


def _noted(manifest: Manifest, whole: Whole, decided: Decided) -> Manifest:
    return replace(
        manifest,
        layers=whole.layers,
        homes=whole.homes,
        left_out=decided.left_out,
        facts=decided.facts.told() if decided.facts else {},
        findings=whole.findings,
    )


def _ordered(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return findings by place, each once; of a literal secret nothing else is said."""
    literal = [finding for finding in found if finding.code == "BYOK004" and finding.path]
    secret = {_spot(finding): finding for finding in reversed(literal)}
    kept = (finding for finding in found if secret.get(_spot(finding), finding) is finding)
    return sorted(dict.fromkeys(kept), key=_place)


def _spot(found: Diagnostic) -> tuple[str, str]:
    """Return the file and the path of a finding: several layers may say the same path."""
    return found.position.file if found.position else "", found.path


def _place(found: Diagnostic) -> tuple[str, int, int, str]:
    place = found.position
    return (place.file, place.line, place.column, found.code) if place else ("", 0, 0, found.code)


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
