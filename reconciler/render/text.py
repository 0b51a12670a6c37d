"""A plan as text for a terminal: one screen for a typical change."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Action, Change, Diagnostic, Plan, Severity
from reconciler.render.edits import Row, rows
from reconciler.render.layout import Line, Span, cells, paint
from reconciler.render.values import clean
from reconciler.render.words import (
    MANY,
    SYMBOLS,
    More,
    advice,
    condense,
    gathered,
    headline,
    place,
    ranked,
    seen,
    why,
)

# No colour is bold: terminals brighten bold colours, and bright ones vanish on a light ground.
HUES = {Action.CREATE: "green", Action.UPDATE: "yellow", Action.DELETE: "red"}
SIGNS = {"+": "green", "-": "red", "": ""}
TONES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
NARROWEST = 20
LABEL_ROOM = 24
"""Widest column of attribute names; a longer name pushes its own line only."""
SHOWN_OBSERVATIONS = 6


def render_text(
    plan: Plan,
    *,
    width: int = 80,
    color: bool = False,
    unicode: bool = True,
    detail: bool = False,
    removed: str | None = None,
) -> str:
    """Return a plan as lines of at most ``width`` cells (20 at least), the summary last.

    ``color`` adds ANSI codes of the terminal's own sixteen colours; without ``unicode`` the
    result is ASCII only; ``detail`` lists what is condensed otherwise; ``removed`` says why
    something is removed, where it is not for the manifest.
    """
    lines = _page(plan, removed, detail=detail)
    return paint(lines, width=max(width, NARROWEST), color=color, unicode=unicode)


def _page(plan: Plan, removed: str | None, *, detail: bool) -> Iterator[Line]:
    for section in (
        _changes(plan, removed, detail=detail),
        _observations(plan, detail=detail),
        _diagnostics(plan, detail=detail),
    ):
        lines = list(section)
        yield from lines
        if lines:
            yield Line()
    yield Line((Span(headline(plan), "bold"),))


def _changes(plan: Plan, removed: str | None, *, detail: bool) -> Iterator[Line]:
    for item in plan.changes if detail else condense(plan.changes):
        if isinstance(item, More):
            yield _title(item.change, str(item), removed)
        else:
            yield _title(item, clean(str(item.address)), removed)
            yield from _edits(rows(item), detail=detail)


def _title(change: Change, name: str, removed: str | None) -> Line:
    hue = HUES[change.action]
    spans = [Span(SYMBOLS[change.action], hue), Span(" ")]
    spans += [Span(name, "bold", brief=True), Span("  ")]
    if change.irreversible:
        spans += [Span("irreversible", "reverse red"), Span("  ")]
    return Line((*spans, Span(why(change, removed), "dim")), hang=4)


def _edits(found: tuple[Row, ...], *, detail: bool) -> Iterator[Line]:
    column = min(max((cells(row.label) for row in found), default=0), LABEL_ROOM)
    shown = found if detail or len(found) <= MANY + 1 else found[:MANY]
    label = ""
    for row in shown:
        yield _row(row, "" if row.sign and row.label == label else row.label, column)
        label = row.label
    if len(shown) < len(found):
        yield Line((Span(f"    {len(found) - len(shown)} more (-v shows them)", "dim"),), hang=4)


def _row(row: Row, label: str, column: int) -> Line:
    gap = max(column - cells(label), 0) + 2
    spans = [Span("    "), Span(label), Span(" " * gap)]
    if row.sign:
        spans.append(Span(f"{row.sign} {row.after}", SIGNS[row.sign]))
    else:
        spans += [Span(f"{row.before} → ", "dim")] if row.before is not None else []
        spans += [Span(row.after), Span("  "), Span(row.source, "dim")]
    return Line(tuple(spans), hang=4 + column + 2)


def _observations(plan: Plan, *, detail: bool) -> Iterator[Line]:
    lines = [(*seen(one), True) for one in plan.observations]
    shown = lines if detail else gathered(plan.observations)
    hidden = 0
    if not detail and len(shown) > MANY:
        kept = max(SHOWN_OBSERVATIONS, sum(loud for _, _, loud in shown))
        shown, hidden = shown[:kept], len(shown) - kept
    if shown:
        yield Line((Span("Seen beside it", "bold"),))
    for address, text, _ in shown:
        yield Line((Span("  "), Span(address), Span("  "), Span(text, "dim")), hang=4)
    if hidden:
        yield Line((Span(f"  {hidden} more (-v shows them)", "dim"),), hang=4)


def _diagnostics(plan: Plan, *, detail: bool) -> Iterator[Line]:
    notes = []
    for diagnostic in ranked(plan.diagnostics):
        if diagnostic.severity is Severity.NOTE and not detail:
            notes.append(clean(diagnostic.code))
        else:
            yield from _diagnostic(diagnostic)
    if notes:
        codes = ", ".join(dict.fromkeys(notes))
        plural = "s" if len(notes) != 1 else ""
        yield Line(
            (
                Span(f"{len(notes)} note{plural}", TONES[Severity.NOTE]),
                Span(f": {codes} "),
                Span("(-v shows them)", "dim"),
            ),
            hang=2,
        )


def _diagnostic(found: Diagnostic) -> Iterator[Line]:
    spans = (Span(found.severity, TONES[found.severity]), Span(f" {clean(found.code)}", "bold"))
    yield Line((*spans, Span("  "), Span(place(found), "dim")), hang=2)
    yield Line((Span("  "), Span(advice(found))), hang=2)
