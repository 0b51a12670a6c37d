"""The command that makes one report of many machines' results: fleet report."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from reconciler.cli import options
from reconciler.cli.keeping import keep, refuse_place
from reconciler.cli.output import working
from reconciler.cli.reading import FORMATS, screen
from reconciler.codec import canonical
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.fleet import Collected, Report

ENDINGS: Final = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json"}
"""The form that a file's name asks for."""

NOT_IN_SYNC: Final = 2


@click.group()
@options.common
def fleet() -> None:
    """Tell how many machines stand, from the results that were collected of them."""


@fleet.command()
@options.common
@click.argument(
    "results", metavar="RESULTS...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to print; text without.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the report to this file.")
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit 2 when any machine is not in sync, or its result is old.",
)
def report(
    *, results: tuple[Path, ...], form: str | None, out: Path | None, detailed_exitcode: bool
) -> int:
    """Make one report of files, folders and, for -, a stream of results. Off line."""
    from reconciler.fleet import collect, report as grouped

    with working("reading"):
        collected = collect(results, _stdin())
    _refuse(collected, results, out)
    found = grouped(collected.hosts, collected.unread)
    for name in collected.reports:
        screen().say(f"note: {name} is a report itself, and was left out")
    if out is None:
        screen().result(_rendered(found, form or _form(None), kept=False))
    else:
        keep(out, _rendered(found, form or _form(out), kept=True), "the report")
        screen().say(f"{out} is written: {_headline(found)}")
    return NOT_IN_SYNC if detailed_exitcode and not found.well else 0


def _stdin() -> BinaryIO:
    """Return what ``-`` reads: nothing where this process was started without a stdin."""
    return sys.stdin.buffer if sys.stdin else io.BytesIO()


def _refuse(collected: Collected, results: tuple[Path, ...], out: Path | None) -> None:
    if not collected.anything:
        named = ", ".join(map(str, results))[:200]
        what = "there is no result: neither a file nor a folder with *.json in it"
        raise UsageError(named, what, "name what the playbook collected")
    if out is None:
        return
    refuse_place(out)
    try:
        seen = out.stat()
    except OSError:
        return
    if (seen.st_dev, seen.st_ino) in collected.identities:
        raise UsageError(f"--out {out}", "is one of the results", "name another file")


def _form(out: Path | None) -> str:
    if options.given("json"):
        return "json"
    return ENDINGS.get(out.suffix.lower(), "text") if out is not None else "text"


def _rendered(found: Report, form: str, *, kept: bool) -> str:
    """Render a report in one of the four formats; what is kept in a file is never coloured."""
    if form == "json":
        from reconciler.fleet.document import document

        return canonical(document(found)) + "\n"
    if form == "markdown":
        from reconciler.fleet.markdown import render_markdown

        return render_markdown(found)
    if form == "html":
        from reconciler.fleet.page import render_html

        return render_html(found)
    from reconciler.fleet.text import render_text

    how, detail = screen(), bool(options.given("verbose"))
    if kept:
        return render_text(found, width=100, detail=detail)
    return render_text(found, width=how.width, color=how.color, unicode=how.unicode, detail=detail)


def _headline(found: Report) -> str:
    from reconciler.fleet.words import headline

    return headline(found)
