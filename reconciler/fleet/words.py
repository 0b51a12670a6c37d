"""What every form of a fleet's report says alike; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from reconciler.errors import few
from reconciler.fleet.grouping import Alike, Drift, Old, Report, Trouble
from reconciler.fleet.host import Failure, Outcome
from reconciler.fleet.keys import Keyring, Print
from reconciler.model import Cause, Change
from reconciler.render.edits import Row, rows
from reconciler.render.values import clean
from reconciler.render.words import CAUSES, SYMBOLS, More, condense

LONGEST: Final = 400
"""Characters of one value that are shown."""
MOST_ROWS: Final = 500
"""Lines of one change that are shown."""
UNTOLD: Final = "untold"
"""What stands for a version, or for who moved something, where no result tells."""


def machines(count: int) -> str:
    """Return ``1 machine``, ``1,000 machines``."""
    return f"{count:,} machine{'s' if count != 1 else ''}"


def headline(found: Report) -> str:
    """Return the report's last line: how many machines stand how."""
    total = len(found.hosts)
    lost, left = len(found.unread), old(found)
    rest = f" {left:,} {'has an old result' if left == 1 else 'have old results'}." if left else ""
    rest += f" {lost:,} file{'s' if lost != 1 else ''} could not be read." if lost else ""
    if total and found.totals[Outcome.IN_SYNC] == total:
        return (
            f"{machines(total)}, all in sync.{rest}" if total > 1 else f"1 machine, in sync.{rest}"
        )
    parts = [f"{count:,} {outcome.words}" for outcome, count in found.totals.items() if count]
    return f"{machines(total)}{': ' if parts else ''}{', '.join(parts)}.{rest}"


def old(found: Report) -> int:
    """Count the machines with an old result."""
    return sum(len(one.hosts) for one in found.old)


def older(one: Old) -> str:
    """Say how old a result is."""
    return f"{one.days:,} day{'s' if one.days != 1 else ''} older than the newest result"


def title(change: Change | More) -> str:
    """Name a change by its sign and address."""
    if isinstance(change, More):
        return f"{SYMBOLS[change.change.action]} {change}"
    return f"{SYMBOLS[change.action]} {cut(clean(str(change.address)))}"


def because(change: Change | More) -> str:
    """Return why a change is there."""
    return CAUSES[change.change.cause if isinstance(change, More) else change.cause]


def done_because(change: Change | More) -> str:
    """Return why a change was made, where that is more than that it was wanted."""
    cause = change.change.cause if isinstance(change, More) else change.cause
    return "drift repaired" if cause in (Cause.DRIFT, Cause.CONFLICT) else CAUSES[cause]


def alike(group: Alike) -> Iterator[tuple[Change | More, str]]:
    """Yield a plan's changes, many alike condensed, and why each is there."""
    for change in condense(group.changes):
        yield change, done_because(change) if group.done else because(change)


def edits(change: Change | More, most: int = 0) -> tuple[Row, ...]:
    """Return a change's rows, so many and so long as a reader bears: a machine could send more."""
    found = () if isinstance(change, More) else rows(change)
    shown = tuple(map(_short, found[: most or MOST_ROWS]))
    lost = len(found) - len(shown)
    return (*shown, Row("…", f"and {lost:,} more")) if lost else shown


def _short(row: Row) -> Row:
    before = None if row.before is None else cut(row.before)
    source = cut(row.source)
    return replace(row, label=cut(row.label), after=cut(row.after), before=before, source=source)


def cut(text: str) -> str:
    """Return a text that is no longer than a report bears."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def plan_name(group: Alike) -> str:
    """Return a plan in one line: its first change, and how many more."""
    first, *others = (title(change) for change in condense(group.changes))
    more = f" and {len(others)} more" if len(others) > 1 else "".join(f", {o}" for o in others)
    return f"{first}{more}{' (done)' if group.done else ''}"


def who(drift: Drift) -> str:
    """Say who moved something, and whether it was put back."""
    by = clean(drift.by) or ("" if drift.repaired else f"by whom is {UNTOLD}")
    return ", ".join(filter(None, ["put back by this run" if drift.repaired else "", by]))


def when(drift: Drift) -> str:
    """Say when it moved, as narrowly as all machines together tell."""
    after, until = (_moment(stamp) for stamp in (drift.after, drift.until))
    if after and until:
        return f"between {after} and {until}"
    return f"after {after}" if after else f"before {until}" if until else ""


def _moment(stamp: str) -> str:
    return f"{clean(stamp)[:10]} {clean(stamp)[11:16]} UTC" if stamp else ""


def wrong(failure: Failure) -> str:
    """Say what went wrong, with its exit code."""
    code = f"exit {failure.exit}: " if failure.exit else ""
    return f"{code}{clean(failure.what) or 'it does not say why'}"


def places(trouble: Trouble, most: int = 3) -> str:
    """Name where it happened: at most so many places and a count, or all of them for 0."""
    return few(map(clean, trouble.where), most or len(trouble.where))


def slot(one: Print) -> str:
    """Name where a key stands: its address, and its part where that says more."""
    return clean(one.address if one.part == "key" else f"{one.address} ({one.part})")


def digits(ring: Keyring) -> int:
    """Return how many digits tell a ring's fingerprints apart, four at least."""
    prints = {one.fingerprint for one in ring.prints}
    return next((n for n in range(4, 12) if len({p[:n] for p in prints}) == len(prints)), 12)


def held(one: Print) -> str:
    """Say how many machines have a key, and how many are to get it."""
    here, coming = len(one.here), len(one.coming)
    has = "has" if here == 1 else "have"
    parts = [f"{here:,} still {has} it" if one.old else f"{here:,} {has} it"] if here else []
    parts += [f"{coming:,} {'is' if coming == 1 else 'are'} to get it"] if coming else []
    bad = [state for state in one.states if state in ("dead", "revoked", "in grace")]
    text = ", ".join([*parts, *map(clean, bad)])
    return f"old: {text}" if one.old else text


def apart(rings: Iterable[Keyring]) -> str:
    """Say how many machines' fingerprints cannot be compared, and the way out; else nothing."""
    listed = list(rings)
    lost = sum(len(ring.hosts) for ring in listed if not ring.shared)
    if not lost and len(listed) < 2:  # noqa: PLR2004 - two that differ
        return ""
    few = [ring for ring in listed if not ring.shared]
    noun = "key" if len(few) == 1 else "keys"
    told = f"{machines(lost)} with {len(few):,} other fingerprint {noun}" if lost else ""
    told = told or f"{len(listed)} fingerprint keys are in use"
    return f"{told}: their keys cannot be compared; set policy.fingerprint_key in the manifest"


def ring_name(ring: Keyring) -> str:
    """Name the machines whose keys are compared with each other."""
    known = clean(ring.key_id) or UNTOLD
    return f"Keys (fingerprint key {known}, {machines(len(ring.hosts))})"
