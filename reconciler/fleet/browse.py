"""What the page's list of machines is made of: groups told once, machines naming them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from reconciler.fleet import words
from reconciler.fleet.grouping import (
    OLD_WAY_OUT,
    Alike,
    Drift,
    Found,
    Old,
    Report,
    Standing,
    Trouble,
)
from reconciler.fleet.host import Outcome
from reconciler.model import Change
from reconciler.render.values import clean
from reconciler.render.words import More

Group: TypeAlias = Alike | Drift | Trouble | Found | Old | tuple[str, tuple[str, ...]]


def groups(found: Report) -> Mapping[str, Group]:
    """Name every group as links and machines do: ``p1``, ``d1``, ``t1``, ``f1``, ``w1``, ``o1``."""
    kinds: Mapping[str, Sequence[Group]] = {
        "p": found.plans,
        "d": found.drifts,
        "t": found.troubles,
        "f": found.findings,
        "w": found.waiting,
        "o": found.old,
    }
    return {f"{kind}{n}": one for kind, some in kinds.items() for n, one in enumerate(some, 1)}


def data(found: Report) -> dict[str, Any]:
    """Return what the script shows, as JSON data; every text in it is clean."""
    named = groups(found)
    cursor = {version: index for index, (version, _) in enumerate(found.cursor)}
    byok = {version: index for index, (version, _) in enumerate(found.byok)}
    members, keys = _members(named), _keys(found)
    return {
        "states": [[outcome.value, outcome.words] for outcome in found.totals],
        "cursor": [clean(version) or words.UNTOLD for version in cursor],
        "byok": [clean(version) or words.UNTOLD for version in byok],
        "groups": {name: _group(one) for name, one in named.items()},
        "keys": _prints(found),
        "hosts": [
            _host(one, cursor, byok, members.get(one.host.name, []), keys.get(one.host.name, []))
            for one in found.hosts
        ],
    }


def _host(
    one: Standing,
    cursor: Mapping[str, int],
    byok: Mapping[str, int],
    members: list[str],
    keys: list[str],
) -> list[Any]:
    """Return one machine as a row; page.js names its columns."""
    told = one.host.told
    return [
        clean(one.host.name),
        clean(told.user) if told else "",
        list(Outcome).index(one.outcome),
        cursor[told.cursor if told else ""],
        byok[told.byok if told else ""],
        members,
        keys,
        "; ".join(clean(why.what) for why in one.why) or clean(told.why if told else ""),
        [clean(why.where) for why in one.why if why.where],
        [clean(file) for file in one.host.files],
    ]


def _members(named: Mapping[str, Group]) -> Mapping[str, list[str]]:
    members: dict[str, list[str]] = {}
    for name, group in named.items():
        for host in group[1] if isinstance(group, tuple) else group.hosts:
            members.setdefault(host, []).append(name)
    return members


def _keys(found: Report) -> Mapping[str, list[str]]:
    held: dict[str, list[str]] = {}
    for ring in found.keyrings:
        for one in ring.prints:
            for host in one.here:
                marks = held.setdefault(host, [])
                if (mark := clean(one.fingerprint)) not in marks:
                    marks.append(mark)
    return held


def _prints(found: Report) -> dict[str, str]:
    """Return each key that somebody has, and all places where it stands."""
    places: dict[str, list[str]] = {}
    for one in (one for ring in found.keyrings for one in ring.prints if one.here):
        told = f"{words.slot(one)}{' (old)' if one.old else ''}"
        places.setdefault(clean(one.fingerprint), []).append(told)
    return {mark: f"{mark[:12]} {', '.join(dict.fromkeys(at))}" for mark, at in places.items()}


def _group(one: Group) -> dict[str, Any]:
    """Return a group: what it is called, what is shown of it, and the words that find it."""
    match one:
        case Alike():
            addresses = [clean(str(change.address)) for change in one.changes]
            changes = [_change(*each) for each in words.alike(one)]
            name = words.plan_name(one)
            kind = "Done" if one.done else "To do"
            return {"kind": kind, "title": name, "search": addresses, "changes": changes}
        case Drift():
            about = [words.who(one), words.when(one)]
            lines = [f"{clean(one.address)} ({', '.join(map(clean, one.edits))})", *about]
            return _lines("Drift", lines)
        case Trouble():
            fix = clean(one.failure.way_out)
            return _lines("Trouble", [words.wrong(one.failure), fix and f"Fix: {fix}"])
        case Found(finding):
            name = clean(f"{finding.code} {finding.check}: {finding.what}".strip())
            return _lines("Doctor", [name, finding.fix and f"Fix: {clean(finding.fix)}"])
        case Old():
            return _lines("Old result", [words.older(one), f"Fix: {OLD_WAY_OUT}"])
        case (address, _):
            return _lines("Waiting for Cursor's next start", [clean(address)])


def _lines(kind: str, lines: Iterable[str]) -> dict[str, Any]:
    told = [line for line in lines if line] or [words.UNTOLD]
    return {"kind": kind, "title": f"{kind}: {told[0]}", "search": told, "lines": told}


def _change(change: Change | More, why: str) -> list[Any]:
    stop = isinstance(change, Change) and change.irreversible
    found = words.edits(change)
    edits = [[row.label, row.before, row.after, row.sign, row.source] for row in found]
    return [words.title(change), why, stop, edits]
