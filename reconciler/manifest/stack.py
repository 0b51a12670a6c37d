"""Layers to one document: each checked by itself, then merged, and no lock broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.errors import ManifestError
from reconciler.manifest.builder import MAX_NODES
from reconciler.manifest.check import check, version
from reconciler.manifest.document import Document
from reconciler.manifest.homes import Moving
from reconciler.manifest.layers import Finder, Layer
from reconciler.manifest.locks import Lock, broken, idle, locks
from reconciler.manifest.merging import Said, over, pointers, settled, taken_back
from reconciler.manifest.syntax import fault
from reconciler.model import Diagnostic, Position
from reconciler.spec import EMPTY, Homes


@dataclass(frozen=True, slots=True)
class Whole:
    """A manifest in one piece; ``findings`` are warnings that only its files could tell.

    ``taken_back`` has the place of each null that took something away.
    """

    document: Document
    layers: tuple[str, ...]
    homes: Homes = field(default_factory=lambda: EMPTY)
    findings: tuple[Diagnostic, ...] = ()
    taken_back: Mapping[str, Position] = field(default_factory=lambda: EMPTY)


def alone(document: Document) -> Whole:
    """Return a manifest of one file, as it is."""
    found = idle(locks(document), document.data)
    return Whole(document, (document.file,), findings=found)


def stacked(document: Document, real: Path, size: int, overlays: Sequence[Path]) -> Whole:
    """Return a manifest made of several files; ``real`` is where its own really lies.

    ``size`` is that of its own in bytes: all together are bounded.
    Raises ManifestError with every error of every file: while one is broken, nothing is said of
    what they come to.
    """
    finder = Finder(size)
    layers = [*finder.below(document, real), *finder.overlays(overlays)]
    found = [*finder.faults, *(each for layer in layers for each in _own(layer))]
    if not found:
        found = list(_at_odds(layers, document))
    if found:
        raise ManifestError(document.file, found)
    return _merged(layers, document, real.parent)


def _own(layer: Layer) -> Iterator[Diagnostic]:
    """Yield what is wrong with one file by itself; a null that takes back is of no form."""
    document = layer.document
    yield from document.diagnostics
    gaps = document.gaps.union(taken_back(document.data))
    yield from check(replace(document, gaps=gaps), part=True)


def _at_odds(layers: Sequence[Layer], document: Document) -> Iterator[Diagnostic]:
    """Yield where layers name another version or team than those below them."""
    first: dict[str, tuple[Any, Document]] = {}
    for layer in layers:
        for name, value in _names(layer):
            if name == "team" and layer.overlay:
                first.setdefault(name, ("local", document))
            known, where = first.setdefault(name, (value, layer.document))
            if known != value:
                said = where.where(f"/{name}")
                what = f"this is another {name} than at {said}; all layers have one"
                place = layer.document.where(f"/{name}")
                yield fault("BYOK007", what, "say the same, or leave it out", place, f"/{name}")


def _names(layer: Layer) -> Iterator[tuple[str, Any]]:
    data = layer.document.data
    if "version" in data:
        yield "version", version(data)
    if "team" in data:
        yield "team", data["team"]


def _merged(layers: Sequence[Layer], document: Document, folder: Path) -> Whole:
    """Lay the layers one over the other. Raises ManifestError for locks and references."""
    moving, whole, found, nodes = Moving(folder), Said(), list[Diagnostic](), 0
    held: list[Lock] = []
    for layer in layers:
        said = _said(layer, moving)
        nodes += len(said.positions)
        if nodes > MAX_NODES:
            what = f"all layers together have more than {MAX_NODES:,} values"
            place = layer.document.where("")
            error = fault("BYOK005", what, "check that these are manifests", place)
            raise ManifestError(document.file, [error])
        before, whole = whole, over(whole, said)
        found.extend(broken(held, before, whole, layer.document))
        held.extend(locks(layer.document))
    if found or moving.faults:
        raise ManifestError(document.file, [*moving.faults, *found])
    whole = settled(whole)
    return Whole(
        Document(document.file, whole.data, whole.positions, _keys(layers), frozenset(), ()),
        tuple(layer.document.file for layer in layers),
        moving.homes(),
        idle(held, whole.data),
        _taken_back(layers),
    )


def _taken_back(layers: Sequence[Layer]) -> Mapping[str, Position]:
    documents = [layer.document for layer in layers]
    return {at: said.where(at) for said in documents for at in taken_back(said.data)}


def _said(layer: Layer, moving: Moving) -> Said:
    """Return what a layer says of the manifest, the place of each part written out."""
    own = {n: part for n, part in layer.document.data.items() if n not in ("extends", "locked")}
    data = moving.move(own, layer.document, layer.folder)
    return Said(data, {at: layer.document.where(at) for at, _ in pointers(data)})


def _keys(layers: Sequence[Layer]) -> Mapping[str, Any]:
    return {at: place for layer in layers for at, place in layer.document.keys.items()}
