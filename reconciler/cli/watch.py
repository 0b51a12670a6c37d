"""The command that keeps Cursor as it was applied: watch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.reading import screen
from reconciler.codec import canonical
from reconciler.errors import UsageError
from reconciler.spec import CURSOR

if TYPE_CHECKING:
    from reconciler.model import Scope
    from reconciler.watching.events import Event

EVERY = "15m"
MEGABYTE = 1 << 20
KEPT = 3


@click.command()
@options.common
@options.resolving
@click.option("--interval", default=EVERY, show_default=True, help="Time between two rounds.")
@click.option("--once", is_flag=True, help="One round, for timers and cron.")
@click.option("--log", type=click.Path(path_type=Path), help="Write the lines to this file.")
def watch(*, interval: str, once: bool, log: Path | None) -> int:
    """Put back what moved in Cursor since byok wrote it, while Cursor is closed; log JSON lines."""
    from dataclasses import replace

    from reconciler.cli.run import run_options
    from reconciler.watching import interval as span
    from reconciler.watching.loop import watch as rounds

    every, scope = span.parse(interval), watched()
    chosen = replace(run_options(), observe=False)
    with _lines(log) as write:

        def tell(event: Event) -> None:
            write(line_of(event))

        return rounds(chosen, scope, every, tell, once=once)


def watched() -> Scope:
    """Return what is watched: Cursor, or the targets in it. Raises UsageError for accounts."""
    from reconciler.model import Scope

    named = set(options.given("system", ())) - {CURSOR}
    if named or options.given("accounts"):
        name = f"--system {min(named)}" if named else "--accounts"
        raise UsageError(name, "accounts are not watched, only Cursor", "leave it out")
    return Scope(systems=(CURSOR,), offline=options.offline(), targets=options.targets())


def line_of(event: Event) -> str:
    """Return an event as one line of JSON."""
    from reconciler.ledger import now
    from reconciler.render.values import clean

    return canonical(
        {
            "format": "byok.watch/1",
            "at": now(),
            "event": event.event.value,
            "address": event.address,
            "why": clean(event.why),
        }
    )


@contextmanager
def _lines(log: Path | None) -> Iterator[Callable[[str], None]]:
    """Open where the lines go: stdout, or a private file that is rotated at a megabyte."""
    if log is None:
        yield screen().result
        return
    import logging
    from logging.handlers import RotatingFileHandler

    from reconciler.state import make_file

    class Private(RotatingFileHandler):
        """A log that goes on without its file, and says so, where the disk fails."""

        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
            """Say the class of the failure, never a traceback."""
            kind = sys.exc_info()[0]
            name = kind.__name__ if kind else "?"
            screen().say(f"byok: {log}: a line was not written ({name})")
            screen().say(record.getMessage())

    make_file(log.absolute())
    file = Private(log.absolute(), maxBytes=MEGABYTE, backupCount=KEPT, encoding="utf-8")

    def write(line: str) -> None:
        file.handle(logging.makeLogRecord({"msg": line}))

    try:
        yield write
    finally:
        file.close()
