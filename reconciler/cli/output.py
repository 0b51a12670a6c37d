"""What the user sees: results on stdout, messages on stderr, colours where a terminal is."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from reconciler.codec import canonical, diagnostic_to_json
from reconciler.errors import ByokError, ManifestError
from reconciler.model import Change, Diagnostic

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 0.5
"""Seconds before a spinner or a bar shows."""


@dataclass(frozen=True, slots=True)
class Screen:
    """How this run prints."""

    json: bool = False
    no_color: bool = False

    @property
    def color(self) -> bool:
        """Colours on a terminal, unless --no-color or NO_COLOR; FORCE_COLOR where asked."""
        if self.no_color or os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()

    @property
    def width(self) -> int:
        """The terminal's width in columns; 100 without a terminal."""
        return max(40, shutil.get_terminal_size((100, 24)).columns)

    @property
    def unicode(self) -> bool:
        """Whether the output's encoding has arrows and dashes."""
        try:
            "→–…".encode(sys.stdout.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def result(self, text: str) -> None:
        """Print a result to stdout."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def lines(self, texts: Iterable[str]) -> None:
        """Print a result line by line, each broken at the terminal's width."""
        folded = (
            textwrap.wrap(
                text,
                self.width,
                subsequent_indent=" " * (len(text) - len(text.lstrip()) + 4),
                break_on_hyphens=False,
            )
            for text in texts
        )
        self.result("\n".join(line for lines in folded for line in lines or [""]))

    def document(self, data: Any) -> None:
        """Print a JSON result to stdout."""
        self.result(canonical(data))

    def say(self, text: str) -> None:
        """Print a message to stderr."""
        from reconciler.render.values import clean

        sys.stderr.write(clean(text) + "\n")

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        """Print findings to stderr, one line each."""
        for finding in found:
            self.say(line_of(finding))

    def fail(self, error: ByokError) -> int:
        """Say an error, in JSON too where asked, and return its exit code."""
        if isinstance(error, ManifestError):
            self.diagnostics(error.diagnostics)
        for text in (str(error), *getattr(error, "__notes__", ())):
            self.say(f"byok: {text}")
        if self.json:
            self.document(_failure(error))
        return error.exit_code

    def misuse(self, error: click.ClickException) -> int:
        """Say what is wrong with a command line; always 64."""
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            sys.stderr.write(error.format_message() + "\n")
            return 64
        self.say(f"byok: {error.format_message()}")
        if self.json:
            self.document({"format": "byok.error/1", "exit": 64, "what": error.format_message()})
        return 64

    def crash(self, error: BaseException) -> int:
        """Name an error that byok did not foresee by its class and place, never by its text."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        self.say(
            f"byok: unforeseen {type(error).__name__} at {place};"
            " please report this line, it holds no secret"
        )
        return 1


def line_of(finding: Diagnostic) -> str:
    """Word a finding as ``file:line:column: severity code path: what; way out``."""
    place = f"{finding.position}: " if finding.position else ""
    path = f" {finding.path}" if finding.path else ""
    way_out = f"; {finding.way_out}" if finding.way_out else ""
    return f"{place}{finding.severity.value} {finding.code}{path}: {finding.message}{way_out}"


def _failure(error: ByokError) -> dict[str, Any]:
    document: dict[str, Any] = {
        "format": "byok.error/1",
        "exit": error.exit_code,
        "where": error.where,
        "what": error.what,
        "way_out": error.way_out,
    }
    if isinstance(error, ManifestError):
        document["diagnostics"] = [diagnostic_to_json(d) for d in error.diagnostics]
    moved = getattr(error, "moved", ())
    return {**document, "moved": list(moved)} if moved else document


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show a spinner on a terminal for what takes over half a second."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    spinner = threading.Thread(target=_spin, args=(text, done), daemon=True)
    spinner.start()
    try:
        yield
    finally:
        done.set()
        spinner.join()


def _spin(text: str, done: threading.Event) -> None:
    if done.wait(PATIENCE):
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        done.wait()


class Steps:
    """A progress bar over a run's steps, on a terminal, for what takes over half a second."""

    def __init__(self) -> None:
        self.total = 0
        self._begun = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, _change: Change) -> None:
        """Take note that a step is done."""
        if self._bar is None and sys.stderr.isatty() and time.monotonic() - self._begun > PATIENCE:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.add_task("applying", total=self.total)
            self._bar.start()
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
