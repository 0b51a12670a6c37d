"""All machines' results as one report: alike with alike, the largest group first; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final, TypeVar

from reconciler.codec import canonical, change_to_json
from reconciler.fleet.host import WELL, Failure, Finding, Host, Outcome, Unread
from reconciler.fleet.judged import done, moved, outcome, reasons, todo, waiting
from reconciler.fleet.keys import Keyring, key_id, keyrings, shared
from reconciler.fleet.names import order
from reconciler.model import Change, Sealed, Value

WORDINGS: Final = 3
"""Words for one finding that are told."""

DAY: Final = 24 * 60 * 60
"""Seconds that a result may be older than the newest: one run's results are of one day."""
OLD_WAY_OUT: Final = "run the plan on them, or remove the files of machines that are gone"

Key = TypeVar("Key", bound=Hashable)
One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class Alike:
    """Machines with the same plan, or with ``done`` the same changes made.

    Where their fingerprints cannot be compared, these are left out.
    """

    changes: tuple[Change, ...]
    done: bool
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """One resource that moved on so many machines: by whom, and when, as far as was told."""

    address: str
    by: str
    repaired: bool
    edits: tuple[str, ...]
    after: str
    until: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason for which machines are not as they should be; ``where`` are its places."""

    outcome: Outcome
    failure: Failure
    where: tuple[str, ...]
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One finding of doctor, in its most frequent words; several are parted by `` / ``."""

    finding: Finding
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Old:
    """Machines that an earlier run told of, so many whole days before the newest result."""

    days: int
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One machine, judged."""

    host: Host
    outcome: Outcome
    why: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What all results say; ``totals`` counts every machine once."""

    totals: Mapping[Outcome, int]
    hosts: tuple[Standing, ...]
    plans: tuple[Alike, ...]
    drifts: tuple[Drift, ...]
    troubles: tuple[Trouble, ...]
    keyrings: tuple[Keyring, ...]
    cursor: tuple[tuple[str, tuple[str, ...]], ...]
    byok: tuple[tuple[str, tuple[str, ...]], ...]
    findings: tuple[Found, ...]
    waiting: tuple[tuple[str, tuple[str, ...]], ...]
    old: tuple[Old, ...]
    unread: tuple[Unread, ...]

    @property
    def well(self) -> bool:
        """Whether every machine is in sync, by no old result, and every file could be read."""
        told = not self.unread and not self.old
        return told and all(one.outcome in WELL for one in self.hosts)


def report(hosts: Iterable[Host], unread: Iterable[Unread]) -> Report:
    """Group all results; the order in which they come does not matter."""
    ordered = sorted(hosts, key=lambda host: (order(host.name), host.name))
    judged = [(host, outcome(host)) for host in ordered]
    standings = tuple(Standing(host, stood, reasons(host, stood)) for host, stood in judged)
    counts = Counter(one.outcome for one in standings)
    return Report(
        totals={each: counts[each] for each in Outcome},
        hosts=standings,
        plans=_plans(ordered),
        drifts=_drifts(ordered),
        troubles=_troubles(standings),
        keyrings=keyrings(ordered),
        cursor=_versions(ordered, lambda host: host.told.cursor if host.told else ""),
        byok=_versions(ordered, lambda host: host.told.byok if host.told else ""),
        findings=_findings(ordered),
        waiting=_waiting(ordered),
        old=_old(ordered),
        unread=tuple(sorted(unread, key=lambda one: (one.file, one.why))),
    )


def signature(changes: Iterable[Change]) -> str:
    """Return a text that is equal for equal changes."""
    return canonical([change_to_json(change) for change in changes])


def comparable(
    changes: tuple[Change, ...], known: str, common: frozenset[str]
) -> tuple[Change, ...]:
    """Return changes without fingerprints where those of other machines are of another key."""
    return changes if known in common else tuple(map(_blurred, changes))


def _blurred(change: Change) -> Change:
    if not any(isinstance(v, Sealed) for e in change.edits for v in (e.before, e.after)):
        return change
    edits = (replace(e, before=_blank(e.before), after=_blank(e.after)) for e in change.edits)
    return replace(change, edits=tuple(edits))


def _blank(value: Value) -> Value:
    return Sealed("", value.ref) if isinstance(value, Sealed) else value


def _plans(hosts: Sequence[Host]) -> tuple[Alike, ...]:
    common = shared(hosts)
    rows = (
        ((made, signature(told)), host.name, told)
        for host in hosts
        for made, changes in ((False, todo(host)), (True, done(host)))
        if changes and (told := comparable(changes, key_id(host), common))
    )
    return tuple(Alike(told[0], key[0], names) for key, names, told in _grouped(rows))


def _drifts(hosts: Sequence[Host]) -> tuple[Drift, ...]:
    rows = (((m.address, m.by, m.repaired), h.name, m) for h in hosts for m in moved(h))
    return tuple(
        Drift(
            *key,
            edits=tuple(sorted({name for one in some for name in one.edits})),
            after=min((one.after for one in some if one.after), default=""),
            until=max((one.until for one in some if one.until), default=""),
            hosts=names,
        )
        for key, names, some in _grouped(rows)
    )


def _troubles(standings: Iterable[Standing]) -> tuple[Trouble, ...]:
    rows = (
        ((one.outcome, why.exit, why.what, why.way_out), one.host.name, why)
        for one in standings
        for why in one.why
    )
    return tuple(
        Trouble(
            outcome=stood,
            failure=Failure(code, what, way_out),
            where=tuple(sorted({why.where for why in some if why.where})),
            hosts=names,
        )
        for (stood, code, what, way_out), names, some in _grouped(rows)
    )


def _findings(hosts: Iterable[Host]) -> tuple[Found, ...]:
    rows = (
        ((f.code, f.check, f.state), host.name, f) for host in hosts for f in host.findings or ()
    )
    return tuple(Found(_summed(some), names) for _, names, some in _grouped(rows))


def _summed(findings: Iterable[Finding]) -> Finding:
    """Return findings of one code as one, which says of no machine what only another has."""
    listed = list(findings)
    what, fix = (_several(map(attrgetter(name), listed)) for name in ("what", "fix"))
    return replace(listed[0], what=what, fix=fix)


def _several(texts: Iterable[str]) -> str:
    """Return the most frequent texts, and how many more there are."""
    counts = Counter(filter(None, texts))
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    more = f" and {len(ranked) - WORDINGS:,} more" if len(ranked) > WORDINGS else ""
    return " / ".join(ranked[:WORDINGS]) + more


def _versions(
    standings: Iterable[Host], version: Callable[[Host], str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = ((version(host), host.name, None) for host in standings)
    return tuple((key, names) for key, names, _ in _grouped(rows))


def _waiting(hosts: Iterable[Host]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = ((address, host.name, None) for host in hosts for address in waiting(host))
    return tuple((key, names) for key, names, _ in _grouped(rows))


def _old(hosts: Sequence[Host]) -> tuple[Old, ...]:
    """Return who is told of by an old result, against the newest and never against a clock."""
    newest = max((at for host in hosts for at in host.written), default=0)
    ages = ((newest - min(host.written), host.name) for host in hosts if host.written)
    rows = ((age // DAY, name, None) for age, name in ages if age > DAY)
    found = (Old(days, names) for days, names, _ in _grouped(rows))
    return tuple(sorted(found, key=lambda one: (-len(one.hosts), -one.days)))


def _grouped(rows: Iterable[tuple[Key, str, One]]) -> list[tuple[Key, tuple[str, ...], list[One]]]:
    """Put rows of one key together with their machines, the largest group first."""
    groups: dict[Key, list[One]] = defaultdict(list)
    names: dict[Key, dict[str, None]] = defaultdict(dict)
    for key, name, one in rows:
        groups[key].append(one)
        names[key][name] = None
    ranked = sorted(groups, key=lambda key: (-len(names[key]), repr(key)))
    return [(key, tuple(names[key]), groups[key]) for key in ranked]
