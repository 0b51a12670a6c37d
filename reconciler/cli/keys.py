"""The command that lists every key by its fingerprint; writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler.cli import options
from reconciler.cli.output import working
from reconciler.cli.reading import screen
from reconciler.spec import CURSOR

if TYPE_CHECKING:
    from reconciler.inventory import Entry, Inventory
    from reconciler.render.layout import Line

STYLES: Final = {
    "live": "green",
    "waiting": "yellow",
    "in grace": "yellow",
    "dead": "red",
    "revoked": "dim",
    "unknown": "",
}
HEAD: Final = ("key", "account", "state", "age", "last used")
GAP: Final = 2
INDENT: Final = 7


@click.command()
@options.common
@options.resolving
@options.approving
def keys() -> int:
    """List every key by fingerprint: where it is from and used, how old, and whether it lives."""
    from reconciler import accounts
    from reconciler.cli.run import run_options
    from reconciler.inventory import take
    from reconciler.session import reading

    scope = options.scope()
    with reading(run_options()) as session, working("asking the accounts"):
        judged = session.judged(scope)
        named = [name for name in options.given("system", ()) if name != CURSOR]
        names = [n for n in accounts.names(session.manifest) if not named or n in named]
        found = take(session, names, judged, cursor=CURSOR in judged)
        limit = session.manifest.policy.max_key_age_days
    shown = [k for k in found.keys if options.given("verbose") or k.state != "revoked" or k.uses]
    if options.given("json"):
        rows = [_row(key, limit) for key in shown]
        head = {"format": "byok.keys/1", "fingerprint_key": session.key_id}
        screen().document({**head, "keys": rows})
    else:
        _show(shown, limit)
    _say(found)
    return found.exit_code


def _say(found: Inventory) -> None:
    for key in found.keys:
        if key.error is not None:
            screen().say(f"byok: {key.account}: {key.error}")
    for name, error in found.lost.items():
        screen().say(f"byok: {name} could not be asked: {error}")


def _row(key: Entry, limit: int | None) -> dict[str, Any]:
    error = key.error
    return {
        "account": key.account,
        "fingerprints": dict(key.prints),
        "uses": [{"account": use.account, "refs": dict(use.refs)} for use in key.uses],
        "cursor": list(key.cursor),
        "holder": key.holder or None,
        "delivered": dict(key.refs) if key.holder else {},
        "id": key.id or None,
        "name": key.name or None,
        "made": _iso(key.made),
        "made_by": key.made_by or None,
        "age_days": key.age(),
        "last_used": _iso(key.last_used),
        "rotated": _iso(key.rotated),
        "limit": None if key.limit is None else str(key.limit),
        "spent": None if key.spent is None else str(key.spent),
        "state": key.state,
        "until": _iso(key.until),
        "retired": _iso(key.retired),
        "due": key.due(limit),
        "note": key.note or None,
        "error": None if error is None else {"exit": error.exit_code, "message": str(error)},
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


# For people.


def _show(shown: Sequence[Entry], limit: int | None) -> None:
    from reconciler.render.layout import paint

    lines = [*_table(shown, limit), *_summary(shown, limit)]
    to = screen()
    to.result(paint(lines, width=to.width, color=to.color, unicode=to.unicode))


def _table(shown: Sequence[Entry], limit: int | None) -> Iterator[Line]:
    from reconciler.render.layout import Line, Span, cells

    digits = _digits(shown)
    rows = [_cells(key, digits, limit) for key in shown]
    widths = [max(map(cells, column)) for column in zip(HEAD, *rows, strict=True)]
    if sum(widths) + GAP * (len(HEAD) - 1) > screen().width:
        widths[1] = widths[2] = 0  # too narrow for columns: each line says as much as it can
    if rows:
        yield Line((Span(_padded(HEAD, widths), "dim"),), INDENT)
    for key, row in zip(shown, rows, strict=True):
        before, state, after = row[:2], row[2], row[3:]
        spans = (
            Span(_padded(before, widths) + " " * GAP),
            Span(state + " " * (max(widths[2] - cells(state), 0) + GAP), STYLES[key.state]),
            Span(_padded(after, widths[3:])),
        )
        yield Line(spans, INDENT)
        for text in _below(key):
            yield Line((Span(" " * INDENT), Span(text, "dim")), INDENT + 4)


def _padded(texts: Sequence[str], widths: Sequence[int]) -> str:
    from reconciler.render.layout import cells

    columns = zip(texts, widths, strict=False)
    return (" " * GAP).join(text + " " * max(w - cells(text), 0) for text, w in columns)


def _digits(shown: Sequence[Entry]) -> int:
    """Return how much of the fingerprints tells them all apart; four at least."""
    prints = {one for key in shown for one in key.prints.values()}
    fits = (n for n in range(4, 12) if len({one[:n] for one in prints}) == len(prints))
    return next(fits, 12)


def _cells(key: Entry, digits: int, limit: int | None) -> tuple[str, ...]:
    from reconciler.render.values import clean

    first = next(iter(sorted(key.prints.items())), ("", ""))[1]
    names = ", ".join(dict.fromkeys(use.account for use in key.uses)) or key.account
    state = f"in grace until {_day(key.until)}" if key.until else key.state
    age = key.age()
    return (
        f"{first[:digits]}…" if first else "–",
        clean(f"{names} ({key.holder})" if key.holder else names),
        f"{state}, due" if key.due(limit) else state,
        "unknown" if age is None else f"{age} d",
        "untold" if key.last_used is None else _day(key.last_used),
    )


def _below(key: Entry) -> Iterator[str]:
    """Say where a key is from, who has it, and what is not as it should be."""
    from reconciler.render.values import clean

    refs = list(dict.fromkeys(ref for use in key.uses for ref in use.refs.values()))
    for ref in refs or list(dict.fromkeys(key.refs.values())):
        yield clean(ref)
    waits = key.state == "waiting" and bool(key.cursor)
    if key.cursor:
        start = ", from Cursor's next start" if waits else ""
        yield f"in {', '.join(map(clean, key.cursor))}{start}"
    if key.uses and key.holder:
        yield clean(f"delivered to {key.holder}: {', '.join(key.refs.values())}")
    if key.error is not None or (key.note and not waits):
        yield clean(key.error.what if key.error is not None else key.note)
    if options.given("verbose"):
        yield from map(clean, _more(key))


def _more(key: Entry) -> Iterator[str]:
    parts = {part: one for part, one in key.prints.items() if len(key.prints) > 1}
    if parts:
        yield ", ".join(f"{part} {one}" for part, one in sorted(parts.items()))
    called = list(dict.fromkeys(each for each in (key.name, key.id) if each))
    if called:
        yield f"there it is called {', '.join(called)}"
    if key.made:
        yield f"since {_day(key.made)}, by the {key.made_by}"
    if key.rotated:
        yield f"last rotated {_day(key.rotated)}"
    if key.retired:
        yield f"revoked {_day(key.retired)}"
    if key.limit or key.spent:
        yield f"spent {key.spent or 'untold'} this month, limit {key.limit or 'none'}"


def _day(moment: datetime | None) -> str:
    return "" if moment is None else moment.date().isoformat()


def _summary(shown: Sequence[Entry], limit: int | None) -> Iterator[Line]:
    from reconciler.render.layout import Line, Span

    if not shown:
        yield Line((Span("No key: this manifest names none, and Cursor here holds none."),))
        return
    tally = Counter(key.state for key in shown)
    states = ", ".join(f"{tally[state]} {state}" for state in STYLES if tally[state])
    count = f"{len(shown)} key{'s' if len(shown) != 1 else ''}"
    yield Line()
    yield Line((Span(f"{count}: {states}."),))
    due = dict.fromkeys(use.account for key in shown if key.due(limit) for use in key.uses)
    if due:
        yield Line((Span(f"Older than {limit} days: byok rotate {' '.join(due)}"),))
