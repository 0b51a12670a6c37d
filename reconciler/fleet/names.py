"""Many machines' names in few words: numbers folded to ranges; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TypeAlias

from reconciler.render.values import clean

Parts: TypeAlias = tuple[str, str, str]
"""What stands before a name's last number, the number, and what stands after it."""


def order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts ``dev-9`` before ``dev-10``, and unlike names apart."""
    pieces = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return (*((0, int(p), p) if p.isascii() and p.isdigit() else (1, 0, p) for p in pieces),)


def folded(names: Iterable[str], most: int = 0) -> str:
    """Return names as ``dev-[001-312], lab-7``; with ``most``, so many ranges and a count."""
    texts, left, room = [], 0, most or 10**9
    for before, after, runs in _groups(names):
        shown = [text for text, _ in runs[:room]]
        left += sum(count for _, count in runs[len(shown) :])
        room -= len(shown)
        if shown:
            many = len(runs) > 1 or runs[0][1] > 1
            texts.append(
                f"{before}[{','.join(shown)}]{after}" if many else before + shown[0] + after
            )
    more = f" and {left} more" if left else ""
    return ", ".join(texts) + more


def _groups(names: Iterable[str]) -> Iterator[tuple[str, str, list[tuple[str, int]]]]:
    """Yield names that differ in their number only as what stands around it, and its ranges."""
    split = sorted((_split(clean(name)) for name in names), key=_order)
    for (before, after), group in groupby(split, key=lambda parts: (parts[0], parts[2])):
        numbers = [number for _, number, _ in group]
        if not numbers[0]:
            yield from ((before, after, [("", 1)]) for _ in numbers)
        else:
            yield before, after, list(_runs(numbers))


def _split(name: str) -> Parts:
    found = re.fullmatch(r"(.*?)([0-9]{1,18})([^0-9]*)", name, re.ASCII | re.DOTALL)
    return (found[1], found[2], found[3]) if found else (name, "", "")


def _order(parts: Parts) -> tuple[object, ...]:
    before, number, after = parts
    return order(before), before, after, len(number), number


def _runs(numbers: list[str]) -> Iterator[tuple[str, int]]:
    """Yield ``001-312`` and a count for numbers of one width that follow each other."""
    first, last, count = numbers[0], numbers[0], 1
    for number in numbers[1:]:
        if len(number) == len(last) and int(number) == int(last) + 1:
            last, count = number, count + 1
            continue
        yield (first if first == last else f"{first}-{last}"), count
        first, last, count = number, number, 1
    yield (first if first == last else f"{first}-{last}"), count
