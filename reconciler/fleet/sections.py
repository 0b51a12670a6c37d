"""The parts of a fleet's page that stand without a script: totals, and all groups of machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Final, TypeVar
from urllib.parse import urlencode

from reconciler.fleet import words
from reconciler.fleet.grouping import OLD_WAY_OUT, Alike, Drift, Found, Old, Report, Trouble
from reconciler.fleet.host import Outcome, Unread
from reconciler.fleet.keys import Keyring
from reconciler.fleet.names import folded
from reconciler.model import Change
from reconciler.render.edits import Row
from reconciler.render.values import clean
from reconciler.render.words import More

Group = TypeVar("Group")
SIGNS: Final = {"+": "plus", "~": "tilde", "-": "minus"}
RANGES: Final = 24
"""Ranges of machines' names that a group shows; the list below has them all."""
OPEN: Final = 6
"""Groups of one sort that are in sight at once."""
MOST: Final = 40
"""Groups of one sort that are there at all."""


def text(foreign: str) -> str:
    """Return foreign text, cleaned and escaped."""
    return escape(clean(foreign))


def _link(label: str, **asked: str) -> str:
    return f'<a href="#{escape(urlencode(asked))}">{text(label)}</a>'


def totals(found: Report) -> Iterator[str]:
    """Yield a bar and a box for each outcome; a box leads to its machines."""
    total, begin = len(found.hosts), 0.0
    bar, boxes = [], []
    for outcome, count in found.totals.items():
        if not count:
            continue
        size = 1000 * count / total
        bar.append(f'<rect class="{outcome}" x="{begin:.2f}" width="{size:.2f}" height="10"/>')
        begin += size
        inside = f"<b>{count:,}</b>{outcome.words}"
        boxes.append(f'<li class="{outcome}"><a href="#state={outcome}">{inside}</a></li>')
    if old := words.old(found):
        inside = f"<b>{old:,}</b>old result{'s' if old > 1 else ''}"
        boxes.append(f'<li class="old_result"><a href="#old">{inside}</a></li>')
    if found.unread:
        inside = f"<b>{len(found.unread):,}</b>could not be read"
        boxes.append(f'<li class="unreadable"><a href="#unreadable">{inside}</a></li>')
    if bar:
        yield '<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none"'
        yield from (' role="presentation">', *bar, "</svg>")
    yield from ('<ul class="totals">', *boxes, "</ul>")


def sections(found: Report) -> Iterator[str]:
    """Yield every part of a report that has something to tell."""
    yield from _section("Identical plans", _first(found.plans, _plan))
    yield from _section("Drift", _first(found.drifts, _drift))
    yield from _section("Troubles", _first(found.troubles, _trouble))
    for ring in found.keyrings:
        if ring.shared:
            yield from _section(words.ring_name(ring), _keys(ring))
    if lost := words.apart(found.keyrings):
        yield f'<p class="soft">{text(lost)}</p>'
    yield from _section("Versions", _versions(found))
    yield from _section("Doctor", _first(found.findings, _finding))
    yield from _section("Waiting for Cursor's next start", _first(found.waiting, _waiting))
    yield from _section("Old results", _old(found.old), "old")
    yield from _section("Could not be read", _unread(found.unread), "unreadable")


def _first(groups: Sequence[Group], draw: Callable[[Group, int], str]) -> Iterator[str]:
    """Draw the largest groups, fold away the next ones, and count the others."""
    drawn = [draw(group, number) for number, group in enumerate(groups[:MOST], 1)]
    yield from drawn[:OPEN]
    if drawn[OPEN:]:
        more = len(drawn) - OPEN
        yield f"<details><summary>{more} smaller one{'s' if more > 1 else ''}</summary>"
        yield from (*drawn[OPEN:], "</details>")
    if len(groups) > MOST:
        yield f'<p class="soft">and {len(groups) - MOST:,} more: search the list below.</p>'


def _section(title: str, body: Iterable[str], name: str = "") -> Iterator[str]:
    parts = list(body)
    if parts:
        mark = f' id="{name}"' if name else ""
        yield f"<section{mark}>\n<h2>{text(title)}</h2>"
        yield from parts
        yield "</section>"


def _article(tone: str, head: str, count: str, *below: str) -> str:
    inside = "\n".join(filter(None, below))
    title = f'<h3>{head}<span class="count">{count}</span></h3>'
    return f'<article class="{tone}">{title}\n{inside}</article>'


def _which(hosts: Iterable[str]) -> str:
    names = text(folded(hosts, RANGES)).replace(",", ",<wbr>")
    return f'<p class="names">{names}</p>'


def _plan(one: Alike, number: int) -> str:
    count = _link(words.machines(len(one.hosts)), plan=str(number))
    tone = Outcome.CHANGED if one.done else Outcome.PENDING
    head = f"<span>Plan {number}{', done' if one.done else ''}</span>"
    return _article(
        tone, head, count, *(_change(*each) for each in words.alike(one)), _which(one.hosts)
    )


def _change(change: Change | More, why: str) -> str:
    title, stop = words.title(change), ""
    if isinstance(change, Change) and change.irreversible:
        stop = ' <span class="irreversible">irreversible</span>'
    body = "".join(map(_row, words.edits(change)))
    table = f'<table class="rows"><tbody>{body}</tbody></table>' if body else ""
    name = f'<code class="{SIGNS[title[0]]}">{text(title)}</code>'
    told = f'<div>{name}{stop} <span class="soft">{text(why)}</span></div>'
    return f'<div class="change">{told}{table}</div>'


def _row(row: Row) -> str:
    after = f"{row.sign} {row.after}" if row.sign else row.after
    tone = f' class="{SIGNS[row.sign]}"' if row.sign else ""
    before = f'<span class="old">{text(row.before)} →</span> ' if row.before is not None else ""
    source = f'<div class="old">{text(row.source)}</div>' if row.source else ""
    cell = f"{before}<span{tone}>{text(after)}</span>{source}"
    return f"<tr><td>{text(row.label)}</td><td>{cell}</td></tr>"


def _drift(one: Drift, number: int) -> str:
    about = ", ".join(filter(None, [words.who(one), words.when(one)]))
    names = f'<span class="soft">{text(", ".join(one.edits))}</span>'
    head = f"<code>{text(one.address)}</code>{names}"
    count = _link(words.machines(len(one.hosts)), group=f"d{number}")
    tone = Outcome.CHANGED if one.repaired else Outcome.DRIFTED
    return _article(tone, head, count, f"<p>{text(about)}</p>" if about else "", _which(one.hosts))


def _trouble(one: Trouble, number: int) -> str:
    state = f'<span class="state">{one.outcome.words}</span>'
    head = f"{state}<span>{text(words.wrong(one.failure))}</span>"
    where = f'<p class="soft">at <code>{text(words.places(one))}</code></p>' if one.where else ""
    fix = f"<p>Fix: {text(one.failure.way_out)}</p>" if one.failure.way_out else ""
    count = _link(words.machines(len(one.hosts)), group=f"t{number}")
    return _article(one.outcome, head, count, where, fix, _which(one.hosts))


def _keys(ring: Keyring) -> Iterator[str]:
    digits = words.digits(ring)
    head = "<tr><th>Key</th><th>At</th><th>Machines</th></tr>"
    yield f'<table class="wide keys stack"><thead>{head}</thead>'
    yield "<tbody>"
    for one in ring.prints:
        mark = f"{clean(one.fingerprint)[:digits]}…"
        key = _link(mark, key=clean(one.fingerprint)) if one.here else text(mark)
        refs = "".join(f'<div class="old"><code>{text(ref)}</code></div>' for ref in one.refs)
        still = _which(one.here) if one.old else ""
        yield f'<tr><td><span class="mark">{key}</span>{refs}</td>'
        yield f"<td><code>{text(words.slot(one))}</code></td>"
        yield f"<td>{text(words.held(one))}{still}</td></tr>"
    yield "</tbody></table>"


def _versions(found: Report) -> Iterator[str]:
    if not found.hosts:
        return
    yield '<div class="columns">'
    for name, field, versions in (("Cursor", "cursor", found.cursor), ("byok", "byok", found.byok)):
        if versions:
            yield f'<table class="wide"><thead><tr><th>{name}</th><th></th></tr></thead><tbody>'
        for version, hosts in versions:
            told = clean(version) or words.UNTOLD
            count = _link(words.machines(len(hosts)), **{field: told})
            yield f'<tr><td>{text(told)}</td><td class="number">{count}</td></tr>'
        if versions:
            yield "</tbody></table>"
    yield "</div>"


def _finding(one: Found, number: int) -> str:
    found = one.finding
    tone = Outcome.FAILING if found.state == "problem" else Outcome.PENDING
    head = f"<span>{text(found.code)} {text(found.check)}</span>"
    fix = f"<p>Fix: {text(found.fix)}</p>" if found.fix else ""
    count = _link(words.machines(len(one.hosts)), group=f"f{number}")
    return _article(tone, head, count, f"<p>{text(found.what)}</p>", fix, _which(one.hosts))


def _waiting(one: tuple[str, tuple[str, ...]], number: int) -> str:
    count = _link(words.machines(len(one[1])), group=f"w{number}")
    return _article("", f"<code>{text(one[0])}</code>", count, _which(one[1]))


def _old(old: Sequence[Old]) -> Iterator[str]:
    yield from _first(old, _aged)
    if old:
        yield f"<p>Fix: {text(OLD_WAY_OUT)}</p>"


def _aged(one: Old, number: int) -> str:
    count = _link(words.machines(len(one.hosts)), group=f"o{number}")
    head = f"<span>{text(words.older(one))}</span>"
    return _article("old_result", head, count, _which(one.hosts))


def _unread(unread: Iterable[Unread]) -> Iterator[str]:
    lines = [f"<tr><td><code>{text(u.file)}</code></td><td>{text(u.why)}</td></tr>" for u in unread]
    if lines:
        head = "<tr><th>File</th><th>Why</th></tr>"
        yield f'<table class="wide files stack"><thead>{head}</thead><tbody>'
        yield from (*lines, "</tbody></table>")
