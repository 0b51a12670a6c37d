"""A plan as markdown for a pull request's comment: the summary first, details folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate

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
ROOM = 14_000
"""Characters that each of the four parts may take, so that each has its say below LIMIT."""

_SPECIAL = re.compile(r"[^\w\s.,;/()'–…→-]|_")


def escape(text: str) -> str:
    """Return foreign text that markdown and HTML show as it is, without links or mentions.

    Every sign that could mean something becomes a character reference, which CommonMark 0.31
    (6.2) takes for text only. GitHub looks for ``@name`` later, so an empty character parts them.
    """
    return _entities(text).replace("&#64;", "&#64;&#8203;")


def _entities(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", clean(text))


def code(text: str) -> str:
    """Return foreign text as inline code, where GitHub looks for no names and no links."""
    return f"<code>{_entities(text)}</code>"


def render_markdown(plan: Plan) -> str:
    """Return a plan as GitHub-flavoured markdown of at most 60,000 characters.

    What does not fit is cut at a line, with a note that says how much is missing.
    """
    parts = [f"### byok plan\n\n**{escape(headline(plan))}**\n"]
    parts += [_bounded(_findings(plan), "findings"), _bounded(_table(plan), "changes")]
    parts += [_details(plan), _observations(plan)]
    return "\n".join(part for part in parts if part)


def _bounded(lines: Iterable[str], noun: str) -> str:
    """Join lines up to a part's room; the rest becomes a count."""
    listed = list(lines)
    ends = accumulate(len(line) + 1 for line in listed)
    kept = sum(end <= ROOM for end in ends)
    missing = len(listed) - kept
    cut = [f"\nCut here: {missing} more {noun}; byok show has them all."] if missing else []
    return "".join(f"{line}\n" for line in [*listed[:kept], *cut])


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
    return _folded("Details", f"{fence}diff\n{inside}{fence}\n")


def _observations(plan: Plan) -> str:
    if not plan.observations:
        return ""
    pairs = [seen(observation) for observation in plan.observations]
    body = _bounded((f"- {code(name)} {escape(text)}" for name, text in pairs), "observations")
    return _folded(f"Seen beside it: {len(pairs)}", body)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n</details>\n"
