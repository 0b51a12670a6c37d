"""Finds results in files, folders and a stream, and reads them one at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

Identity: TypeAlias = tuple[int, int]
"""A file's device and number, which tell it from every other however it is called."""

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of one document."""

GONE: Final = "is not there"
BARE: Final = "holds no result: no *.json is in this folder"
SILENT: Final = "brought no line"
NOTHING: Final = frozenset({GONE, BARE, SILENT})
"""Why there is nothing at all to read."""
LINK: Final = "is a symbolic link, which is not followed"
LARGE: Final = f"is larger than {LARGEST // 1024 // 1024} MB"
STREAM: Final = "stdin"


@dataclass(frozen=True, slots=True)
class Found:
    """One document's bytes, or why there are none; ``host`` is what its file is called.

    ``path`` is its real path where it has several names; ``written`` is when, in whole seconds
    since 1970, and empty for a stream.
    """

    name: str
    host: str
    data: bytes = b""
    problem: str = ""
    identity: Identity | None = None
    path: str = ""
    written: tuple[int, ...] = ()

    @property
    def key(self) -> Identity | str | None:
        """What it is read by once: two machines' files that are alike may be one by hard links."""
        return self.path or self.identity


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    path: Path
    problem: str = ""


def documents(paths: Sequence[Path], stream: BinaryIO) -> Iterator[Found]:
    """Yield every document of files, folders (their ``*.json``) and ``-``, in order of names.

    The order of the arguments does not matter, and a file that is named twice is read once.
    A link is followed only where it is a folder that an argument names.
    """
    read: set[Identity | str] = set()
    places = {place.name: place for path in paths if str(path) != "-" for place in _places(path)}
    for _, place in sorted(places.items()):
        found = _read(place)
        if found.key is None or found.key not in read:
            yield found
        if found.key is not None:
            read.add(found.key)
    if Path("-") in paths:
        lines = _lines(stream)
        silent = Found(STREAM, STREAM, problem=SILENT)
        yield from [next(lines, silent)] if len(paths) > 1 else []
        yield from lines


def _places(path: Path) -> Iterator[_Place]:
    if not os.path.isdir(path):  # noqa: PTH112 - a Path's own raises where it may not look
        yield _Place(str(path), path)
        return
    inside = list(_below(path))
    yield from inside or [_Place(str(path), path, BARE)]


def _below(path: Path) -> Iterator[_Place]:
    lost: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=lost.append):
        for name in folders:
            if os.path.islink(below := os.path.join(folder, name)):  # noqa: PTH114,PTH118 - many
                yield _Place(below, Path(below), LINK)
        for name in files:
            if name.lower().endswith(".json"):
                yield _Place(str(Path(folder, name)), Path(folder, name))
    for error in lost:
        yield _Place(str(error.filename), Path(error.filename), _why(error))


def _read(place: _Place) -> Found:
    problem, data, identity, path = place.problem, b"", None, ""
    written: tuple[int, ...] = ()
    if not problem:
        try:
            data, seen = _contents(place.path)
            identity, written = (seen.st_dev, seen.st_ino), (int(seen.st_mtime),)
            path = os.path.realpath(place.path) if seen.st_nlink > 1 else ""
        except FileNotFoundError:
            problem = GONE
        except OSError as error:
            linked = os.path.islink(place.path)  # noqa: PTH114 - a Path's own may raise again
            problem = LINK if linked else _why(error)
        except ValueError as error:
            problem = str(error)
    return Found(place.name, place.path.stem, data, problem, identity, path, written)


def _contents(path: Path) -> tuple[bytes, os.stat_result]:
    """Read an ordinary file; nothing that would block or that another name leads to."""
    if path.is_symlink():
        raise ValueError(LINK)
    wanted = ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in wanted)
    with os.fdopen(os.open(path, flags), "rb") as file:
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode):
            raise ValueError("is no ordinary file")
        data = b"" if seen.st_size > LARGEST else file.read(LARGEST + 1)
    if max(seen.st_size, len(data)) > LARGEST:
        raise ValueError(LARGE)
    return data, seen


def _why(error: OSError) -> str:
    return f"cannot be read ({error.strerror or type(error).__name__})"


def _lines(stream: BinaryIO) -> Iterator[Found]:
    """Yield each line of a stream; one that is too long is passed over to its end."""
    number = 0
    while line := stream.readline(LARGEST + 1):
        number += 1
        name, problem = f"{STREAM}:{number}", ""
        if len(line) > LARGEST:
            line, problem = _skipped(stream, line), LARGE
        if problem or line.strip():
            yield Found(name, name, b"" if problem else line, problem)


def _skipped(stream: BinaryIO, line: bytes) -> bytes:
    while line and not line.endswith(b"\n"):
        line = stream.readline(LARGEST)
    return line
