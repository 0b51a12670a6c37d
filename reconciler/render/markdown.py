"""A plan as markdown for a pull request's comment: the summary first, details folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reconciler.model import Plan, Severity
from reconciler.render.text import render_text
from reconciler.render.values import clean
from reconciler.render.words import (
    SYMBOLS,
    More,
    advice,
    condense,
    headline,
    place,
    ranked,
    seen,
    why,
)

LIMIT = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""
ICONS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTE: "💡"}
ROOM = 20_000
"""Characters that each of the three parts may take at most, so that all of them are there."""

_SPECIAL = re.compile(r"[^\w\s.,;/–…→-]|_")


def escape(text: str) -> str:
    """Return foreign text that markdown and HTML show as it is, without links or mentions.

    Every sign that could mean something becomes a character reference, which CommonMark 0.31
    (6.2) takes for text only; the code element around it keeps ``@name`` and URLs from linking.
    """
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", clean(text))


def code(text: str) -> str:
    """Return foreign text as inline code."""
    return f"<code>{escape(text)}</code>"


def render_markdown(plan: Plan) -> str:
    """Return a plan as GitHub-flavoured markdown of at most 60,000 characters.

    What does not fit is cut at a line, with a note that says how much is missing.
    """
    parts = [f"### byok plan\n\n**{escape(headline(plan))}**\n"]
    parts += [_bounded(_findings(plan), "findings"), _bounded(_table(plan), "lines")]
    parts += [_details(plan), _bounded(_seen(plan), "observations", "\n</details>\n")]
    return "\n".join(part for part in parts if part)


def _bounded(lines: Iterable[str], noun: str, close: str = "") -> str:
    """Join lines up to a third of the limit; the rest becomes a count."""
    listed = list(lines)
    size, kept = 0, 0
    for line in listed:
        size += len(line) + 1
        if size > ROOM - 1_000:
            break
        kept += 1
    cut = f"\n_Cut here: {len(listed) - kept} more {noun}; `byok show` has them all._\n"
    return (
        "".join(f"{line}\n" for line in listed[:kept])
        + (cut if kept < len(listed) else "")
        + (close if listed else "")
    )


def _findings(plan: Plan) -> Iterator[str]:
    for found in ranked(plan.diagnostics):
        if found.severity is not Severity.NOTE:
            yield (
                f"- {ICONS[found.severity]} **{found.severity} {escape(found.code)}** "
                f"{code(place(found))} {escape(advice(found))}"
            )


def _table(plan: Plan) -> Iterator[str]:
    if not plan.changes:
        return
    yield "| | resource | why |\n| :-: | --- | --- |"
    for item in condense(plan.changes):
        change = item.change if isinstance(item, More) else item
        name = escape(str(item)) if isinstance(item, More) else code(str(item.address))
        mark = " **irreversible**" if change.irreversible else ""
        yield f"| `{SYMBOLS[change.action]}` | {name} | {escape(why(change))}{mark} |"


def _details(plan: Plan) -> str:
    """Return the text form in a fence that is longer than any run of backticks inside."""
    if not plan.changes and not plan.diagnostics:
        return ""
    lines = render_text(plan, width=100, detail=True).splitlines()
    inside = _bounded(lines, "lines")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", inside)), default=0))
    return f"<details><summary>Details</summary>\n\n{fence}diff\n{inside}{fence}\n\n</details>\n"


def _seen(plan: Plan) -> Iterator[str]:
    if plan.observations:
        yield f"<details><summary>Seen, and left alone: {len(plan.observations)}</summary>\n"
    for observation in plan.observations:
        address, text = seen(observation)
        yield f"- {code(address)} {escape(text)}"
