"""Spans of time on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.spans import read

if TYPE_CHECKING:
    Seconds = click.ParamType[int]
else:
    Seconds = click.ParamType  # it takes no parameter before Click 8.5

LONGEST = 366 * 86400


class Duration(Seconds):
    """A span of time, in seconds; 0 needs no unit."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number and its unit. Fails with words for what is neither."""
        if isinstance(value, int):
            return value
        seconds = 0 if value == "0" else read(str(value))
        if seconds is None or seconds > LONGEST:
            what = f"{str(value)[:20]!r} is no span of time: say 30s, 15m, 24h or 7d"
            self.fail(what, param, ctx)
        return seconds
