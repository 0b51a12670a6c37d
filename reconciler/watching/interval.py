"""The time between two rounds; pure."""

from __future__ import annotations

from typing import Final

from reconciler.errors import UsageError
from reconciler.spans import read, spell

__all__ = ["parse", "spell"]

SHORTEST: Final = 10
LONGEST: Final = 7 * 86400


def parse(text: str) -> int:
    """Return the seconds of an interval such as 15m. Raises UsageError."""
    seconds = read(text)
    if seconds is None:
        what, way_out = "is no span of time", "write it as 30s, 15m, 2h or 1d"
        raise UsageError(f"--interval {text[:40]}", what, way_out)
    if not SHORTEST <= seconds <= LONGEST:
        raise UsageError(f"--interval {text}", "is not between 10s and 7d", "15m is a good one")
    return seconds
