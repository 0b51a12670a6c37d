"""What one session would cost with each model; off line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.errors import UsageError
from reconciler.money import Money
from reconciler.pricing import Price, Tokens, of_model, of_name
from reconciler.spec import Manifest

PARTS: Final = {"in": "sent", "out": "answered", "cache": "cached"}
SIZES: Final = {"": 1, "k": 1_000, "m": 1_000_000}
TYPICAL: Final = "in=15k,out=5k"
"""A session of Composer over several files: 5K to 20K tokens, by the guide to own keys (2026)."""

MOST: Final = 10**12
FORM: Final = "write it like in=20k,out=5k,cache=100k"
_NUMBER: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([km]?)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a session costs with one model; both are None where nobody knows its price."""

    model: str
    price: Price | None
    cost: Money | None


def read_tokens(text: str) -> Tokens:
    """Read ``in=20k,out=5k,cache=100k``; each part once, at least one of them.

    Raises UsageError.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        match = _NUMBER.fullmatch(number)
        if name not in PARTS or not equals:
            raise _misread(f"{part.strip()[:40]!r} is none of in=, out= and cache=")
        if PARTS[name] in found:
            raise _misread(f"{name}= is given twice")
        if match is None:
            raise _misread(f"{number[:40]!r} is no number of tokens")
        count = round(float(match[1]) * SIZES[match[2].lower()])
        if count > MOST:
            raise _misread(f"{number[:40]!r} is more than any session has")
        found[PARTS[name]] = count
    if not any(found.values()):
        raise _misread("a session of no tokens costs nothing")
    return Tokens(**found)


def _misread(what: str) -> UsageError:
    return UsageError("--session", what, FORM)


def estimates(manifest: Manifest, tokens: Tokens, names: Sequence[str] = ()) -> list[Estimate]:
    """Return what a session costs with each named model, or each declared one, cheapest first.

    Different currencies are not compared: each is in order for itself. Unknown prices come last.
    """
    declared = [one.id for one in manifest.models.values() if not one.absent]
    found = [_estimate(manifest, tokens, name) for name in dict.fromkeys(names or declared)]
    return sorted(found, key=_rank)


def _estimate(manifest: Manifest, tokens: Tokens, name: str) -> Estimate:
    entry = manifest.models.get(name)
    price = of_name(manifest, name) if entry is None else of_model(manifest, entry)
    return Estimate(name, price, None if price is None else price.of(tokens))


def _rank(one: Estimate) -> tuple[object, ...]:
    if one.cost is None:
        return (True, "", 0, one.model)
    return (False, one.cost.currency, one.cost.amount, one.model)
