"""The command that finds what is wrong, and says cause and fix."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.output import Screen, working
from reconciler.cli.reading import screen
from reconciler.errors import ManifestError

if TYPE_CHECKING:
    from reconciler.doctor import Finding
    from reconciler.model import Scope
    from reconciler.render.layout import Line

FINDINGS = 2
"""The exit where there is something to mend."""

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
INDENT, STATE = 2, 9


@click.command()
@options.common
@options.resolving
@options.approving
@click.option("--explain", metavar="CODE", help="Print what is said of a code, as BYOK104.")
def doctor(*, explain: str | None) -> int:
    """Find what is wrong, in the order a person would look, with cause and fix. Writes nothing."""
    if explain is not None:
        return _explain(explain)
    from reconciler.cli.run import run_options
    from reconciler.doctor import Ground, examine

    named = options.given("manifest") is not None
    with Ground(run_options(), _scope(), named=named) as ground, working("looking"):
        found = list(examine(ground))
    how = screen()
    if how.json:
        how.document(_document(found))
    elif sys.stdout.isatty():
        how.result(_table(found, how))
    else:
        how.result("\n".join([*_plain(found), _summary(found)]))
    return FINDINGS if any(one.bad for one in found) else 0


def _scope() -> Scope:
    """Return what to look at; a manifest that cannot be read is a finding, not a failure."""
    from reconciler.model import Scope

    path = options.manifest_path()
    if path.exists() and not path.is_file():  # a pipe would be waited for
        return Scope(offline=options.offline())
    try:
        return options.scope()
    except ManifestError:
        return Scope(offline=options.offline())


def _explain(code: str) -> int:
    from reconciler.doctor.explain import explain

    section, how = explain(code), screen()
    if how.json:
        fields = {"code": section.code, "title": section.title, "text": section.text}
        how.document({"format": "byok.explain/1", **fields})
        return 0
    parts = [f"{section.code}: {section.title}"]
    for block in section.text.split("\n\n"):
        verbatim = block.startswith(("```", "|"))
        parts.append(block if verbatim else textwrap.fill(" ".join(block.split()), how.width))
    how.result("\n\n".join(parts))
    return 0


def _document(found: list[Finding]) -> dict[str, Any]:
    names = ("check", "state", "what", "cause", "fix", "code", "where")
    checks = [{name: str(getattr(one, name)) for name in names} for one in found]
    summary = dict.fromkeys(STYLES, 0) | Counter(one.state.value for one in found)
    return {"format": "byok.doctor/1", "checks": checks, "summary": summary}


def _plain(found: list[Finding]) -> Iterator[str]:
    """Yield one line for each check, for other programs and for logs."""
    from reconciler.render.values import clean

    for one in found:
        place = f"{one.where}: " if one.where else ""
        code = f" {one.code}" if one.code else ""
        parts = [f"{place}{one.state.value}{code} {one.check}: {one.what}"]
        if one.bad:
            parts += [f"cause: {one.cause}"] if one.cause else []
            parts += [f"fix: {one.fix}"] if one.fix else []
        yield clean("; ".join(parts))


def _summary(found: list[Finding]) -> str:
    counts = Counter(one.state.value for one in found)
    parts = [_counted(counts["problem"], "problem")]
    parts += [_counted(counts["warning"], "warning")] if counts["warning"] else []
    parts += [f"{counts['ok']} ok"]
    parts += [f"{counts['skipped']} not checked"] if counts["skipped"] else []
    return ", ".join(parts)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


def _table(found: list[Finding], how: Screen) -> str:
    from reconciler.render.layout import paint

    text = paint(_lines(found), width=how.width, color=how.color, unicode=how.unicode)
    return text + _summary(found)


def _lines(found: list[Finding]) -> Iterator[Line]:
    """Yield the table: a heading for each subject, a line for each check, cause and fix below."""
    from reconciler.render.layout import Line, Span

    subject, verbose = "", bool(options.given("verbose"))
    for one in found if verbose else _shortened(found):
        head, _, name = one.check.partition("/")
        if head != subject:
            subject = head
            yield Line((Span(subject, "bold"),))
        state = one.state.value
        spans = [Span(" " * INDENT), Span(f"{state:<{STATE}}", STYLES[state])]
        told = f"{name}: {one.what}"
        code = [Span(f" ({one.code})", "dim")] if one.bad and one.code else []
        yield Line((*spans, *_clean(told), *code), hang=INDENT + STATE)
        if one.bad:
            yield from _below(one)


def _shortened(found: list[Finding]) -> Iterator[Finding]:
    """Keep of what is well the first sentence of each check, and count the rest."""
    for _, group in groupby(found, lambda one: (one.check, one.state)):
        first, *others = group
        if first.state.value != "ok":
            yield from (first, *others)
            continue
        more = f" (and {len(others)} more, -v)" if others else ""
        yield replace(first, what=first.what.partition("; ")[0] + more)


def _below(one: Finding) -> Iterator[Line]:
    from reconciler.render.layout import Line, Span

    for title, text in (("at", one.where), ("cause", one.cause), ("fix", one.fix)):
        if text:
            spans = (Span(" " * (INDENT + STATE)), Span(f"{title}: ", "dim"), *_clean(text))
            yield Line(spans, hang=INDENT + STATE + 2)


def _clean(text: str) -> tuple[Any, ...]:
    from reconciler.render.layout import Span
    from reconciler.render.values import clean

    return (Span(clean(text)),)
