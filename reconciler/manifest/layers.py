"""The files that a manifest is made of, from the lowest to the one with the last word."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Final

from reconciler.errors import ManifestError
from reconciler.manifest.document import Document, read
from reconciler.manifest.syntax import MAX_BYTES, fault
from reconciler.model import Diagnostic, Position

MAX_DEPTH: Final = 8
MAX_LAYERS: Final = 64
_ENDINGS: Final = (".yaml", ".yml")

_WAY_OUT: Final = "name a manifest, relative to this file: ../base.yaml"


class Unusable(Exception):
    """Why a file cannot be a layer: what is wrong, and the way out."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One file: what it says, the folder where it really lies, and whether it is an overlay's."""

    document: Document
    folder: Path
    overlay: bool = False


@dataclass(slots=True)
class Finder:
    """Finds and reads layers; lives as long as one manifest is read.

    ``trail`` are the files that lead to the one being read, each by its real path; ``known`` are
    all that were seen, with their names. ``faults`` are of all files, and ``size`` is what they
    have in bytes, so far.
    """

    size: int
    faults: list[Diagnostic] = field(default_factory=list)
    _known: dict[Path, str] = field(default_factory=dict)
    _trail: list[Path] = field(default_factory=list)

    def below(self, document: Document, real: Path, *, overlay: bool = False) -> Iterator[Layer]:
        """Yield a file's layers: all that it extends, each after its own, and itself last."""
        self._known.setdefault(real, document.file)
        self._trail.append(real)
        for name, place, pointer in _extended(document):
            yield from self._named(name, place, pointer, overlay=overlay)
        self._trail.pop()
        yield Layer(document, real.parent, overlay)

    def overlays(self, paths: Sequence[Path]) -> Iterator[Layer]:
        """Yield the layers that the command line names, in its order."""
        for path in paths:
            try:
                real = self._admitted(_real(path), str(path))
                document = self._read(real, str(path))
            except Unusable as error:
                self._fault(error, Position(str(path), 1, 1), "")
                continue
            if document is not None:
                yield from self.below(document, real, overlay=True)

    def _named(self, name: str, place: Position, pointer: str, *, overlay: bool) -> Iterator[Layer]:
        try:
            real = self._admitted(_relative(name, self._trail[-1].parent), name)
            document = self._read(real, _shown(name, place.file, real))
        except Unusable as error:
            self._fault(error, place, pointer)
            return
        if document is not None:
            yield from self.below(document, real, overlay=overlay)

    def _admitted(self, real: Path, name: str) -> Path:
        """Return a file that may be read as a layer. Raises Unusable."""
        if real in self._trail:
            what = f"this leads round in a circle, back to {self._known[real]}"
            raise Unusable(what, "take it out of one of the two")
        if real in self._known:
            what = f"this file is a layer already, as {self._known[real]}"
            raise Unusable(what, "name each file once")
        if len(self._trail) > MAX_DEPTH:
            raise Unusable(f"the files lead more than {MAX_DEPTH} deep", "extend fewer in a row")
        if len(self._known) >= MAX_LAYERS:
            raise Unusable(f"there are more than {MAX_LAYERS} layers", "put some of them together")
        if not stat.S_ISREG(_status(real).st_mode):
            raise Unusable("this is no plain file", "name a YAML file")
        self._known[real] = name
        return real

    def _read(self, real: Path, file: str) -> Document | None:
        """Read a file, None where it is no YAML; its faults are remembered."""
        try:
            with real.open("rb") as opened:
                raw = opened.read(MAX_BYTES + 1)
        except OSError as error:
            raise _unreadable(error) from None
        self.size += len(raw)
        if len(raw) <= MAX_BYTES < self.size:
            megabytes = MAX_BYTES // 1024**2
            raise Unusable(f"all layers together are larger than {megabytes} MB", "split them")
        self._known[real] = file
        try:
            return read(raw, file)
        except ManifestError as error:
            self.faults.extend(error.diagnostics)
            return None

    def _fault(self, error: Unusable, place: Position, pointer: str) -> None:
        what, way_out = error.args
        self.faults.append(fault("BYOK007", what, way_out, place, pointer))


def extends(document: Document) -> bool:
    """Tell whether a file names others that it stands on."""
    return isinstance(document.data, dict) and "extends" in document.data


def _extended(document: Document) -> Iterator[tuple[str, Position, str]]:
    """Yield each file that a file extends, with the place and pointer of its name."""
    said = document.data.get("extends") if isinstance(document.data, dict) else None
    if isinstance(said, str):
        yield said, document.where("/extends"), "/extends"
    for at, name in enumerate(said if isinstance(said, list) else ()):
        if isinstance(name, str):
            pointer = f"/extends/{at}"
            yield name, document.where(pointer), pointer


def _relative(name: str, folder: Path) -> Path:
    """Return the real path of a name in `extends`. Raises Unusable."""
    if "://" in name:
        raise Unusable("this is a URL, and layers are files", "keep a copy beside the manifest")
    if name.startswith(("/", "~")) or PureWindowsPath(name).drive or "\\" in name:
        raise Unusable("this is not a path relative to this file, with slashes", _WAY_OUT)
    real = _real(folder / name)
    if not real.is_dir() and not (name.endswith(_ENDINGS) and real.name.endswith(_ENDINGS)):
        raise Unusable("this is no YAML file by its name, or by that of what it links to", _WAY_OUT)
    return real


def _real(path: Path) -> Path:
    """Return where a file really lies. Raises Unusable."""
    try:
        return path.resolve(strict=True)
    except RuntimeError:
        raise Unusable("this is a symbolic link to itself", _WAY_OUT) from None
    except (OSError, ValueError) as error:
        raise _unreadable(error) from None


def _status(real: Path) -> os.stat_result:
    try:
        return real.stat()
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> Unusable:
    why = (getattr(error, "strerror", None) or "it is no file").lower()
    return Unusable(f"this file cannot be read: {why}", "correct its name, or its rights")


def _shown(name: str, beside: str, real: Path) -> str:
    """Return a file's name as seen from where the run began; in full where links mislead."""
    short = os.path.normpath(Path(beside).parent / name)
    try:
        return short if Path(short).resolve() == real else str(real)
    except (OSError, RuntimeError):
        return str(real)
