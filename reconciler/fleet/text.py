"""A fleet's report as text for a terminal, the summary last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from reconciler.fleet import words
from reconciler.fleet.grouping import OLD_WAY_OUT, Alike, Drift, Found, Old, Report, Trouble
from reconciler.fleet.host import Outcome, Unread
from reconciler.fleet.keys import Keyring, Print
from reconciler.fleet.names import folded
from reconciler.model import Change
from reconciler.render.edits import Row
from reconciler.render.layout import Line, Span, paint
from reconciler.render.text import HUES
from reconciler.render.values import clean
from reconciler.render.words import More

Item = TypeVar("Item")
Draw: TypeAlias = Callable[[Item, int], Iterator[Line]]

TONES: Final = {
    Outcome.IN_SYNC: "green",
    Outcome.CHANGED: "green",
    Outcome.PENDING: "yellow",
    Outcome.DRIFTED: "magenta",
    Outcome.SKIPPED: "cyan",
    Outcome.FAILING: "red",
    Outcome.UNREACHABLE: "red",
    Outcome.UNKNOWN: "cyan",
}
NARROWEST: Final = 20
FEW: Final = 10
"""Groups of one sort, and ranges of machines' names, that are shown without -v."""


def render_text(
    found: Report,
    *,
    width: int = 80,
    color: bool = False,
    unicode: bool = True,
    detail: bool = False,
) -> str:
    """Return a report as lines of at most ``width`` cells (20 at least).

    ``detail`` shows every group, every machine and every edit.
    """
    lines = _page(found, 0 if detail else FEW)
    return paint(lines, width=max(width, NARROWEST), color=color, unicode=unicode)


def _page(found: Report, most: int) -> Iterator[Line]:
    yield from _section("Identical plans", found.plans, _plan, most)
    yield from _section("Drift", found.drifts, _drift, most)
    yield from _section("Troubles", found.troubles, _trouble, most)
    for ring in found.keyrings:
        if ring.shared:
            yield from _section(words.ring_name(ring), ring.prints, _keys(ring), most)
    if lost := words.apart(found.keyrings):
        yield from (Line((Span(lost, "yellow"),), hang=2), Line())
    versions = [
        (f"{name} {version or words.UNTOLD}", hosts) for name, version, hosts in _all(found)
    ]
    yield from _section("Versions", versions, _named, most)
    yield from _section("Doctor", found.findings, _finding, most)
    yield from _section("Waiting for Cursor's next start", found.waiting, _named, most)
    yield from _section("Old results", found.old, _old, most, OLD_WAY_OUT)
    yield from _section("Could not be read", found.unread, _unread, most)
    yield Line((Span(words.headline(found), "bold"),))


def _section(
    title: str, items: Sequence[Item], draw: Draw[Item], most: int, way_out: str = ""
) -> Iterator[Line]:
    if not items:
        return
    yield Line((Span(title, "bold"),))
    shown = items[:most] if most else items
    for one in shown:
        yield from draw(one, most)
    if len(shown) < len(items):
        yield Line((Span(f"  and {len(items) - len(shown)} more (-v shows them)", "dim"),), hang=4)
    if way_out:
        yield _below(f"fix: {way_out}", "", 2)
    yield Line()


def _head(count: int, text: str, style: str = "", beside: str = "") -> Line:
    spans = (Span("  "), Span(words.machines(count), "bold"), Span("  "), Span(text, style))
    return Line((*spans, Span("  "), Span(beside, "dim")), hang=4)


def _below(text: str, style: str = "dim", indent: int = 4) -> Line:
    return Line((Span(" " * indent), Span(text, style)), hang=indent + 2)


def _names(hosts: Iterable[str], most: int) -> Line:
    return _below(folded(hosts, most))


def _plan(one: Alike, most: int) -> Iterator[Line]:
    done = "done: " if one.done else ""
    (change, why), *others = words.alike(one)
    yield _head(len(one.hosts), f"{done}{words.title(change)}", _hue(change), why)
    yield from _edits(change, most)
    for change, why in others:
        spans = (Span("    "), Span(words.title(change), _hue(change)), Span("  "))
        yield Line((*spans, Span(why, "dim")), hang=6)
        yield from _edits(change, most)
    yield _names(one.hosts, most)


def _beside(*texts: str) -> str:
    return ", ".join(filter(None, texts))


def _hue(change: Change | More) -> str:
    return HUES[change.change.action if isinstance(change, More) else change.action]


def _edits(change: Change | More, most: int) -> Iterator[Line]:
    for row in words.edits(change, most):
        yield _row(row)


def _row(row: Row) -> Line:
    before = f"{row.before} → " if row.before is not None else ""
    after = f"{row.sign} {row.after}" if row.sign else row.after
    spans = (Span(f"      {row.label}  "), Span(before, "dim"), Span(after), Span("  "))
    return Line((*spans, Span(row.source, "dim")), hang=8)


def _drift(one: Drift, most: int) -> Iterator[Line]:
    names = ", ".join(map(clean, one.edits))
    yield _head(len(one.hosts), clean(one.address), "magenta", f"({names})" if names else "")
    if about := _beside(words.who(one), words.when(one)):
        yield _below(about, "")
    yield _names(one.hosts, most)


def _trouble(one: Trouble, most: int) -> Iterator[Line]:
    tone = TONES[one.outcome]
    yield _head(len(one.hosts), f"{one.outcome.words}: {words.wrong(one.failure)}", tone)
    if one.where:
        yield _below(f"at {words.places(one, most)}")
    if one.failure.way_out:
        yield _below(f"fix: {clean(one.failure.way_out)}", "")
    yield _names(one.hosts, most)


def _keys(ring: Keyring) -> Draw[Print]:
    digits = words.digits(ring)

    def draw(one: Print, most: int) -> Iterator[Line]:
        mark = f"{clean(one.fingerprint)[:digits]}…"
        spans = (Span("  "), Span(mark, "bold"), Span("  "), Span(words.slot(one)), Span("  "))
        yield Line((*spans, Span(words.held(one), "yellow" if one.old else "")), hang=4)
        for ref in one.refs[:most] if most else one.refs:
            yield _below(clean(ref))
        if one.here and (one.old or not most):
            yield _names(one.here, most)

    return draw


def _all(found: Report) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for name, versions in (("Cursor", found.cursor), ("byok", found.byok)):
        yield from ((name, clean(version), hosts) for version, hosts in versions)


def _named(one: tuple[str, tuple[str, ...]], most: int) -> Iterator[Line]:
    name, hosts = one
    yield _head(len(hosts), clean(name))
    if not most:
        yield _names(hosts, most)


def _finding(one: Found, most: int) -> Iterator[Line]:
    found = one.finding
    name = f"{found.code} {found.check}".strip()
    tone = "red" if found.state == "problem" else "yellow"
    yield _head(len(one.hosts), f"{clean(name)}: {clean(found.what)}", tone)
    if found.fix:
        yield _below(f"fix: {clean(found.fix)}", "")
    yield _names(one.hosts, most)


def _old(one: Old, most: int) -> Iterator[Line]:
    yield _head(len(one.hosts), words.older(one), "yellow")
    yield _names(one.hosts, most)


def _unread(one: Unread, _most: int) -> Iterator[Line]:
    yield Line((Span("  "), Span(clean(one.file), "bold"), Span(f": {clean(one.why)}")), hang=4)
