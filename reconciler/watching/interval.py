"""Reading and writing the time between two rounds: 30s, 15m, 2h, 1d; pure."""

from __future__ import annotations

import re
from typing import Final

from reconciler.errors import UsageError

SHORTEST: Final = 10
LONGEST: Final = 7 * 86400
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse(text: str) -> int:
    """Return the seconds of an interval such as 15m. Raises UsageError."""
    found = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    if found is None:
        raise UsageError(
            f"--interval {text[:40]}", "is no span of time", "write it as 30s, 15m, 2h or 1d"
        )
    seconds = int(found[1]) * _UNITS[found[2]]
    if not SHORTEST <= seconds <= LONGEST:
        raise UsageError(f"--interval {text}", "is not between 10s and 7d", "15m is a good one")
    return seconds


def spell(seconds: int) -> str:
    """Write an interval in the largest unit that it is a whole number of."""
    unit = next(unit for unit, length in _UNITS.items() if seconds % length == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
