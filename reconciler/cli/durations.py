"""Spans of time on the command line: 30s, 15m, 24h, 7d."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    Seconds = click.ParamType[int]
else:
    Seconds = click.ParamType  # it takes no parameter before Click 8.5

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 366 * 86400


class Duration(Seconds):
    """A span of time, in seconds; a number without a unit is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number and its unit. Fails with words for what is neither."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,8})([smhd]?)", str(value).strip().lower(), re.ASCII)
        seconds = int(match[1]) * UNITS[match[2]] if match else -1
        if not 0 <= seconds <= LONGEST:
            self.fail(
                f"{str(value)[:20]!r} is no span of time: say 30s, 15m, 24h or 7d", param, ctx
            )
        return seconds


def spoken(seconds: float) -> str:
    """Say a span in its largest whole unit: ``24 h``, ``90 s``."""
    for unit in ("d", "h", "m"):
        if seconds >= UNITS[unit] and seconds % UNITS[unit] == 0:
            return f"{int(seconds // UNITS[unit])} {'min' if unit == 'm' else unit}"
    return f"{int(seconds)} s"
