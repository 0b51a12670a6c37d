"""Lines of styled spans that fit a width in terminal cells, to text with or without colour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ASCII = str.maketrans({"→": "->", "…": "...", "–": "-", "×": "x", "\N{REPLACEMENT CHARACTER}": "?"})


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text and the name of its style: ``green``, ``bold red``, ``dim``, or empty.

    A ``brief`` span is shortened in its middle when it does not fit a line of its own.
    """

    text: str
    style: str = ""
    brief: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line; ``hang`` is how many cells its continuation lines are indented."""

    spans: tuple[Span, ...] = ()
    hang: int = 0


def cells(text: str) -> int:
    """Return how many terminal cells a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def plain_ascii(text: str) -> str:
    """Return a text in ASCII only: our signs by their old spelling, foreign letters escaped."""
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode("ascii")


def middle(text: str, room: int, mark: str = "…") -> str:
    """Shorten a text to at most ``room`` cells by putting ``mark`` in place of its middle."""
    if cells(text) <= room:
        return text
    keep = room - cells(mark)
    return _first(text, keep - keep // 2) + mark + _first(text[::-1], keep // 2)[::-1]


def _first(text: str, room: int) -> str:
    from rich.cells import chop_cells

    return chop_cells(text, room)[0]


def paint(lines: Iterable[Line], *, width: int, color: bool, unicode: bool) -> str:
    """Break lines to ``width`` cells and join them; each ends with a newline."""
    out = [
        _ink(row, color=color)
        for line in lines
        for row in _wrap([_fit(span, width, unicode=unicode) for span in line.spans], width, line)
    ]
    return "".join(f"{text}\n" for text in out)


def _fit(span: Span, width: int, *, unicode: bool) -> Span:
    text = span.text if unicode else plain_ascii(span.text)
    if span.brief:
        text = middle(text, width - 2, "…" if unicode else "...")
    return Span(text, span.style)


def _ink(row: list[Span], *, color: bool) -> str:
    while row and not row[-1].text.strip():
        row.pop()
    if not color:
        return "".join(span.text for span in row)
    from rich.color import ColorSystem
    from rich.style import Style

    return "".join(
        Style.parse(span.style).render(span.text, color_system=ColorSystem.STANDARD) for span in row
    )


def _wrap(spans: list[Span], width: int, line: Line) -> Iterator[list[Span]]:
    """Break one line at spaces; a word that fits on no line is folded."""
    hang = min(line.hang, width // 2)
    indent = [Span(" " * hang)]
    row: list[Span] = []
    used = 0
    for word in _words(spans, width - hang):
        size = cells(word.text)
        if used + size > width:
            yield row
            row, used = [*indent], hang
        if row != indent or not word.text.isspace():
            row.append(word)
            used += size
    yield row


def _words(spans: list[Span], room: int) -> Iterator[Span]:
    """Split spans into words and gaps of at most ``room`` cells."""
    from rich.cells import chop_cells

    for span in spans:
        for word in re.findall(r" +|[^ ]+", span.text):
            fits = len(word) * 2 <= room or cells(word) <= room
            for piece in [word] if fits else chop_cells(word, room):
                yield Span(piece, span.style)
