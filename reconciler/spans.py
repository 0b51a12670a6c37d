"""Spans of time as people write them: 30s, 15m, 24h, 7d; pure."""

from __future__ import annotations

import re
from typing import Final

UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def read(text: str) -> int | None:
    """Return the seconds of a span, None for what is none."""
    found = re.fullmatch(r"([0-9]{1,8})([smhd])", text.strip(), re.ASCII)
    return int(found[1]) * UNITS[found[2]] if found else None


def spell(seconds: int) -> str:
    """Write a span in the largest unit that it is a whole number of."""
    unit = next(unit for unit, length in UNITS.items() if seconds % length == 0)
    return f"{seconds // UNITS[unit]}{unit}"
