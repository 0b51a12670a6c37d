"""A fleet's report as markdown for a pull request or a chat: tables, the summary first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.fleet import words
from reconciler.fleet.grouping import OLD_WAY_OUT, Alike, Drift, Found, Old, Report, Trouble
from reconciler.fleet.host import Unread
from reconciler.fleet.keys import Keyring
from reconciler.fleet.names import folded
from reconciler.model import Change
from reconciler.render.edits import Row
from reconciler.render.markdown import code, escape
from reconciler.render.values import clean
from reconciler.render.words import More

ROOM: Final = 5_400
"""Characters that each section may take; ten of them stay below what GitHub takes (65,536)."""

PLAN: Final = 2_500
"""Characters that the changes of one plan may take."""
RANGES: Final = 8
"""Ranges of names that a line shows."""
KEYRINGS: Final = 2
"""Fingerprint keys whose keys are shown."""


def render_markdown(found: Report) -> str:
    """Return a report as GitHub-flavoured markdown of less than 60,000 characters."""
    rings = [ring for ring in found.keyrings if ring.shared]
    parts = [
        f"### byok fleet report\n\n**{escape(words.headline(found))}**\n",
        _table("Identical plans", "machines | plan | which", map(_plan, found.plans)),
        _table("Drift", "machines | moved | by whom | which", map(_drift, found.drifts)),
        _table("Troubles", "machines | | why | way out | which", map(_trouble, found.troubles)),
        *(
            _table(words.ring_name(ring), "key | at | machines | who has it yet", _keys(ring))
            for ring in rings[:KEYRINGS]
        ),
        escape(words.apart(found.keyrings)),
        _table("Versions", "machines | version", _versions(found)),
        _table("Doctor", "machines | finding | fix | which", map(_finding, found.findings)),
        _table("Waiting for Cursor's next start", "machines | address", _waiting(found)),
        _table("Old results", "machines | how old | which", map(_old, found.old)),
        f"Fix: {escape(OLD_WAY_OUT)}" if found.old else "",
        _table("Could not be read", "file | why", map(_unread, found.unread)),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def _table(title: str, head: str, lines: Iterable[str]) -> str:
    """Return a section with a table; what its room does not hold is counted."""
    listed = list(lines)
    if not listed:
        return ""
    kept = _fitting(listed, ROOM)
    cut = [f"\n{len(listed) - len(kept):,} more: byok fleet report has them all."]
    rule = "|".join(" --- " for _ in head.split("|"))
    table = [f"| {head} |", f"|{rule}|", *kept, *(cut if len(kept) < len(listed) else [])]
    return f"#### {escape(title)}\n\n" + "\n".join(table) + "\n"


def _fitting(lines: Iterable[str], room: int) -> list[str]:
    """Return the lines that a room holds; one that is too long for it hides no other."""
    kept = []
    for line in lines:
        if len(line) < room:
            kept.append(line)
            room -= len(line) + 1
    return kept


def _row(*texts: str) -> str:
    return f"| {' | '.join(texts)} |"


def _which(hosts: Iterable[str]) -> str:
    return code(_cut(folded(hosts, RANGES)))


def _cut(text: str, room: int = 300) -> str:
    return text if len(text) <= room else f"{text[:room]}…"


def _plan(one: Alike) -> str:
    changes = list(words.alike(one))
    lines = _fitting((_change(change, why) for change, why in changes[:RANGES]), PLAN)
    lines += [f"and {len(changes) - len(lines)} more"] if len(changes) > len(lines) else []
    done = "**done** " if one.done else ""
    return _row(f"{len(one.hosts):,}", done + "<br>".join(lines), _which(one.hosts))


def _change(change: Change | More, why: str) -> str:
    edits = "; ".join(map(_edit, words.edits(change)))
    told = f" ({_cut(edits)})" if edits else ""
    return f"{code(_cut(words.title(change)))} {escape(_cut(why) + told)}"


def _edit(row: Row) -> str:
    before = f"{row.before} → " if row.before is not None else ""
    source = f" {row.source}" if row.source else ""
    return f"{row.label} {before}{f'{row.sign} ' if row.sign else ''}{row.after}{source}"


def _drift(one: Drift) -> str:
    what = f"{code(_cut(one.address))} {escape(_cut(', '.join(one.edits)))}"
    about = ", ".join(filter(None, [words.who(one), words.when(one)]))
    return _row(f"{len(one.hosts):,}", what, escape(_cut(about)), _which(one.hosts))


def _trouble(one: Trouble) -> str:
    why = escape(_cut(words.wrong(one.failure)))
    why += f"<br>{code(_cut(words.places(one)))}" if one.where else ""
    fix = escape(_cut(one.failure.way_out))
    return _row(f"{len(one.hosts):,}", one.outcome.words, why, fix, _which(one.hosts))


def _keys(ring: Keyring) -> Iterator[str]:
    digits = words.digits(ring)
    for one in ring.prints:
        refs = "".join(f"<br>{code(_cut(ref))}" for ref in one.refs[:2])
        key = f"{code(f'{clean(one.fingerprint)[:digits]}…')}{refs}"
        still = _which(one.here) if one.old else ""
        yield _row(key, code(_cut(words.slot(one))), escape(words.held(one)), still)


def _versions(found: Report) -> Iterator[str]:
    for name, versions in (("Cursor", found.cursor), ("byok", found.byok)):
        for version, hosts in versions:
            text = escape(_cut(f"{name} {clean(version) or words.UNTOLD}"))
            yield _row(f"{len(hosts):,}", text)


def _finding(one: Found) -> str:
    found = one.finding
    name = f"{found.code} {found.check}".strip()
    what, fix = escape(_cut(f"{name}: {found.what}")), escape(_cut(found.fix))
    return _row(f"{len(one.hosts):,}", what, fix, _which(one.hosts))


def _waiting(found: Report) -> Iterator[str]:
    yield from (_row(f"{len(hosts):,}", code(_cut(at))) for at, hosts in found.waiting)


def _old(one: Old) -> str:
    return _row(f"{len(one.hosts):,}", words.older(one), _which(one.hosts))


def _unread(one: Unread) -> str:
    return _row(code(_cut(one.file)), escape(_cut(one.why)))
