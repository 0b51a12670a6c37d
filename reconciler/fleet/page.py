"""A fleet's report as one HTML page that works from a file, with search, and asks nobody."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from reconciler.codec import canonical
from reconciler.fleet import words
from reconciler.fleet.browse import data
from reconciler.fleet.grouping import Report
from reconciler.fleet.sections import sections, text, totals
from reconciler.render.values import clean


def render_html(found: Report) -> str:
    """Return a report as a whole HTML document.

    Its policy lets run our own script and style only, by their hashes, and load nothing. What
    comes from results is cleaned and escaped, or stands in a block of data that no one runs.
    """
    style, script = _own("page.css"), _own("page.js")
    last = text(words.headline(found))
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>byok fleet report: {last}</title>\n<style>{style}</style>\n</head>\n<body>",
            f'<main>\n<h1>byok fleet report</h1>\n<p class="summary">{last}',
            '<a href="#hosts">Search the machines</a></p>',
            *totals(found),
            *sections(found),
            *_browse(found),
            f'</main>\n<script type="application/json" id="data">{_embedded(found)}</script>',
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(own: str) -> str:
    return f"'sha256-{b64encode(sha256(own.encode()).digest()).decode()}'"


def _embedded(found: Report) -> str:
    """Return data as JSON that no HTML parser can take for the end of its block."""
    block = canonical(data(found))
    return re.sub("[<>&\u2028\u2029]", lambda sign: f"\\u{ord(sign[0]):04x}", block)


def _browse(found: Report) -> Iterator[str]:
    """Yield the frame of the list of machines, which the script fills."""
    states = [(each.value, each.words) for each, count in found.totals.items() if count]
    plans = [(str(n), f"{n}: {words.plan_name(one)}") for n, one in enumerate(found.plans, 1)]
    prints = [p for ring in found.keyrings if ring.shared for p in ring.prints if p.here]
    keys = [(clean(p.fingerprint), f"{clean(p.fingerprint)[:6]}… {words.slot(p)}") for p in prints]
    yield '<section id="hosts">\n<h2>Machines</h2>'
    yield '<noscript><p class="soft">The list of all machines needs JavaScript.</p></noscript>'
    yield '<div id="browse" hidden>\n<div class="find" role="search">'
    yield '<label>Search<input type="search" id="q" autocomplete="off" spellcheck="false"></label>'
    yield from _select("state", "State", states)
    yield from _select("plan", "Plan", plans)
    yield from _select("key", "Has the key", dict(keys).items())
    yield from _select("cursor", "Cursor", _choices(found.cursor))
    yield from _select("byok", "byok", _choices(found.byok))
    yield '<button type="button" id="clear">Clear</button>\n</div>'
    yield '<p id="only" hidden>Only: <span id="only-text"></span> '
    yield '<button type="button" id="drop">Show others too</button></p>'
    yield '<p id="told" class="soft" role="status" aria-live="polite"></p>'
    yield '<ul id="list" class="hosts"></ul>'
    yield '<p id="rest" class="rest" hidden><button type="button" id="all"></button></p>'
    yield "</div>\n</section>"


def _choices(versions: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[str, str]]:
    return [(told, told) for told in (clean(version) or words.UNTOLD for version, _ in versions)]


def _select(name: str, title: str, choices: Iterable[tuple[str, str]]) -> Iterator[str]:
    options = "".join(f'<option value="{text(v)}">{text(t[:120])}</option>' for v, t in choices)
    every = '<option value="">all</option>'
    yield f'<label>{title}<select id="{name}">{every}{options}</select></label>'
