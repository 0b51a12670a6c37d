"""Plain YAML scalars to values, by the core schema of YAML 1.2."""

from __future__ import annotations

import re
from typing import Final

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_FIRST: Final = frozenset("-+.0123456789")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DIGITS: Final = 18
"""Longer integers are past 64 bits, or so near that no field of ours means them."""

_BASES: Final = {"0o": 8, "0x": 16}

Scalar = str | int | float | bool | None


def resolve(text: str) -> Scalar:
    """Return the value of a plain scalar; ``on``, ``off``, ``yes``, ``no`` and dates are text.

    YAML 1.2.2, section 10.3.2. Raises ValueError for a number that JSON cannot carry exactly:
    infinite, not a number, or of more than 18 digits.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _FIRST:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(float(text))
    if _SPECIAL.fullmatch(text):
        raise ValueError("not finite")
    return text


def _integer(text: str) -> int:
    if len(text) > _DIGITS + 2:
        raise ValueError("too many digits")
    number = int(text[2:], _BASES[text[:2]]) if text[:2] in _BASES else int(text)
    if abs(number) >= 10**_DIGITS:
        raise ValueError("too many digits")
    return number


def _finite(number: float) -> float:
    if number in (float("inf"), float("-inf")):
        raise ValueError("not finite")
    return number
