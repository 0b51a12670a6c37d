"""A plan as one HTML page that asks nothing of the network, light or dark as the reader likes."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from reconciler.model import Action, Change, Diagnostic, Plan, Severity
from reconciler.render.edits import Row, rows
from reconciler.render.values import clean
from reconciler.render.words import SYMBOLS, advice, headline, place, ranked, seen, why

VERBS = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #57606a; --line: #d0d7de; --page: #fff;
  --card: #f6f8fa; --create: #116329; --update: #7d4e00; --delete: #b3261e; --note: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --line: #30363d;
  --page: #0d1117; --card: #161b22; --create: #56d364; --update: #e3b341; --delete: #ff8078;
  --note: #79c0ff; } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 62rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.summary { font-size: 1.1rem; margin: .25rem 0 1.5rem }
code, .address, td { font-family: ui-monospace, monospace; font-size: .9rem;
  overflow-wrap: anywhere }
article { border: 1px solid var(--line); border-left-width: 4px; border-radius: 6px;
  padding: .6rem .9rem; margin: .5rem 0; background: var(--card) }
article h3 { display: flex; flex-wrap: wrap; gap: 0 .8rem; align-items: baseline;
  margin: 0; font-size: 1rem }
.why { color: var(--soft); font-weight: normal; font-size: .9rem }
.create { border-left-color: var(--create) } .create .address, .plus { color: var(--create) }
.update { border-left-color: var(--update) } .update .address { color: var(--update) }
.delete { border-left-color: var(--delete) } .delete .address, .minus { color: var(--delete) }
.stop { background: var(--delete); color: var(--page); border-radius: 4px; padding: 0 .4rem;
  font-size: .85rem }
table { border-collapse: collapse; margin-top: .35rem }
td { padding: .1rem 1.2rem .1rem 0; vertical-align: top }
td:first-child { overflow-wrap: break-word; max-width: 40vw }
td:first-child, .old, .source { color: var(--soft) } .source { display: block }
.error { border-left-color: var(--delete) } .warning { border-left-color: var(--update) }
.note { border-left-color: var(--note) } article p { margin: .2rem 0 0 }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render_html(plan: Plan) -> str:
    """Return a plan as a whole HTML document: no script, no link, no image, no font."""
    last = _text(headline(plan))
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>byok plan: {last}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
            f'<h1>byok plan</h1>\n<p class="summary">{last}</p>',
            *_section("Findings", map(_finding, ranked(plan.diagnostics))),
            *_section("Changes", map(_change, plan.changes)),
            *_section("Seen beside it", _seen(plan)),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _text(text: str) -> str:
    return escape(clean(text))


def _section(title: str, body: Iterator[str]) -> Iterator[str]:
    parts = list(body)
    if parts:
        yield f"<section>\n<h2>{title}</h2>"
        yield from parts
        yield "</section>"


def _change(change: Change) -> str:
    stop = '<span class="stop">irreversible</span>' if change.irreversible else ""
    verb = VERBS[change.action]
    return (
        f'<article class="{verb}"><h3><span class="address">{SYMBOLS[change.action]} '
        f'{_text(str(change.address))}</span>{stop}<span class="why">{verb}: '
        f"{_text(why(change))}</span></h3>{_table(rows(change))}</article>"
    )


def _table(found: tuple[Row, ...]) -> str:
    body = "\n".join(f"<tr><td>{_text(row.label)}</td><td>{_cell(row)}</td></tr>" for row in found)
    return f"\n<table>\n{body}\n</table>\n" if body else ""


def _cell(row: Row) -> str:
    if row.sign:
        side = "plus" if row.sign == "+" else "minus"
        return f'<span class="{side}">{row.sign} {_text(row.after)}</span>'
    old = f'<span class="old">{_text(row.before)} →</span> ' if row.before is not None else ""
    return f"{old}{_text(row.after)}" + (
        f'<span class="source">{_text(row.source)}</span>' if row.source else ""
    )


def _finding(found: Diagnostic) -> str:
    tone = Severity(found.severity).value
    return (
        f'<article class="{tone}"><h3>{tone} {_text(found.code)}'
        f'<code class="why">{_text(place(found))}</code></h3>'
        f"<p>{_text(advice(found))}</p></article>"
    )


def _seen(plan: Plan) -> Iterator[str]:
    pairs = [seen(observation) for observation in plan.observations]
    body = "\n".join(
        f"<tr><td>{_text(name)}</td><td>{_text(text)}</td></tr>" for name, text in pairs
    )
    if body:
        yield f"<table>\n{body}\n</table>"
