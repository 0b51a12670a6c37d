"""A manifest's text as plain data with the place of everything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from reconciler.errors import ManifestError
from reconciler.manifest.builder import Builder, Full
from reconciler.manifest.syntax import decode, literal, reword
from reconciler.model import Diagnostic, Position
from reconciler.shapes import looks_like

_COMMENT: Final = re.compile(r"(?:^|[ \t])#(.*)")


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data and places, by JSON pointer.

    ``positions`` is where a text or number stands, and where the name of a mapping or list
    stands; ``keys`` is where each name stands. What an alias brings has the alias's place.
    ``gaps`` are pointers whose value a diagnostic already refuses: None stands there instead.
    """

    file: str
    data: Any
    positions: Mapping[str, Position]
    keys: Mapping[str, Position]
    gaps: frozenset[str]
    diagnostics: tuple[Diagnostic, ...]

    def where(self, pointer: str) -> Position:
        """Return the place of a pointer, or of the nearest parent that has one."""
        while pointer and pointer not in self.positions:
            pointer = pointer.rpartition("/")[0]
        return self.positions.get(pointer, Position(self.file, 1, 1))


def read(source: str | bytes, file: str) -> Document:
    """Return a file's data and places, with every fault of its YAML that leaves data to check.

    Bounds: 8 MB of bytes, 40 levels, 400,000 nodes (an alias counts as what it stands for) and
    64 KiB a scalar. Raises ManifestError (BYOK001, BYOK005) when there is no data to check.
    """
    raw = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    text = decode(raw, file)
    if isinstance(text, Diagnostic):
        raise ManifestError(file, [text])
    builder = Builder(file)
    try:
        builder.run(yaml.parse(text, Loader=_loader()))
    except yaml.YAMLError as error:
        raise ManifestError(file, [*builder.faults, reword(error, text, file)]) from None
    except Full:
        raise ManifestError(file, builder.faults) from None
    literals = _in_comments(text, file)
    return Document(
        file,
        builder.data,
        builder.positions,
        builder.keys,
        frozenset(builder.gaps),
        (*builder.faults, *literals),
    )


def _loader() -> Any:
    """Return libyaml's loader, else PyYAML's own, which takes ten times as long."""
    return getattr(yaml, "CLoader", yaml.Loader)


def _in_comments(text: str, file: str) -> Iterator[Diagnostic]:
    """Yield each comment that holds a key: git keeps it as well as any other line."""
    for number, line in enumerate(text.split("\n"), 1):
        if "#" not in line:
            continue
        comment = _COMMENT.search(line)
        if comment and (kind := looks_like(comment[1])):
            yield literal(kind, Position(file, number, comment.start(1)))
