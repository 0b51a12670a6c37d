"""What every form of a plan says alike: causes, symbols, the order of findings, the last line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.codec import canonical, encode
from reconciler.errors import few
from reconciler.model import (
    Action,
    Cause,
    Change,
    Diagnostic,
    Observation,
    Plan,
    Sealed,
    Severity,
    Summary,
)
from reconciler.render.values import clean

CAUSES = {
    Cause.NEW: "new",
    Cause.TAKEOVER: "replaces a value set by someone else",
    Cause.MANIFEST: "manifest changed",
    Cause.DRIFT: "moved since we wrote it (drift)",
    Cause.CONFLICT: "changed in the manifest and here (conflict)",
    Cause.REMOVED: "no longer in the manifest",
}
SYMBOLS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-"}
MANY, SHOWN = 12, 3
"""More than MANY changes alike are told by the first SHOWN and a count."""


@dataclass(frozen=True, slots=True)
class More:
    """Stands for ``count`` further changes like ``change``."""

    change: Change
    count: int

    def __str__(self) -> str:
        kind = self.change.address.kind
        if kind != "model":
            return f"{self.count} more like it ({clean(self.change.address.system)}/{clean(kind)})"
        plural = "models" if self.count != 1 else "model"
        states = [e.after for e in self.change.edits if e.name == "override"]
        state = states[0] if states and states[0] in ("enabled", "disabled") else ""
        return f"{self.count} more {plural} {state}".rstrip()


def condense(changes: Iterable[Change]) -> Iterator[Change | More]:
    """Yield changes in order; of more than MANY alike only the first SHOWN, and how many more."""
    listed = [(change, _likeness(change)) for change in changes]
    counts: dict[str, int] = {}
    for _, key in listed:
        counts[key] = counts.get(key, 0) + 1
    seen: dict[str, int] = {}
    for change, key in listed:
        seen[key] = seen.get(key, 0) + 1
        if counts[key] <= MANY or seen[key] <= SHOWN:
            yield change
        elif seen[key] == SHOWN + 1:
            yield More(change, counts[key] - SHOWN)


def _likeness(change: Change) -> str:
    """Return a text that is equal for changes that differ in name only; a secret is unlike all."""
    where = change.address
    if any(isinstance(side, Sealed) for e in change.edits for side in (e.before, e.after)):
        return canonical(str(where))
    edits = [[e.name, encode(e.before), encode(e.after)] for e in change.edits]
    return canonical(
        [where.system, where.kind, change.action, change.cause, change.irreversible, edits]
    )


def why(change: Change, removed: str | None = None) -> str:
    """Return a change's cause in words; ``removed`` are others for a removal."""
    if removed is not None and change.cause is Cause.REMOVED:
        return removed
    if change.action is Action.DELETE and change.cause is Cause.TAKEOVER:
        return "removes a value set by someone else"
    return CAUSES[change.cause]


def ranked(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return diagnostics with errors first, then warnings, then notes; else as they came."""
    order = list(Severity)
    return sorted(diagnostics, key=lambda d: order.index(d.severity))


def place(diagnostic: Diagnostic) -> str:
    """Return where a diagnostic points: ``file:line:column``, else its path in the document."""
    return clean(str(diagnostic.position) if diagnostic.position else diagnostic.path)


def advice(diagnostic: Diagnostic) -> str:
    """Return a diagnostic's message and way out."""
    text = clean(diagnostic.message)
    return f"{text}; {clean(diagnostic.way_out)}" if diagnostic.way_out else text


def gathered(observations: Iterable[Observation]) -> list[tuple[str, str, bool]]:
    """Return one line for all observations of a system and kind that say the same.

    What is not judged for one reason is one line for all kinds of the system.
    Each line is addresses, text, and whether it must not be hidden: budgets, and what was left
    out. Those come first, else as they came.
    """
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in observations:
        at = one.address
        lost = one.text.startswith(NOT_JUDGED)
        key = (at.system, "" if lost else f"{at.kind}/", one.text)
        alike.setdefault(key, []).append(f"{at.kind}/{at.name}" if lost else at.name)
    lines = [
        (clean(f"{system}/{kind}{few(names)}"), clean(text), kind == "budget/" or loud(text))
        for (system, kind, text), names in alike.items()
    ]
    return sorted(lines, key=lambda line: not line[2])


NOT_JUDGED = "not judged"
LOUD = ("not probed", NOT_JUDGED, "cannot tell", "converging", "released", "only observed")
QUIET = tuple(f"only observed: {why}" for why in ("it has no", "no admin", "neither", "byok knows"))
"""Accounts that the manifest itself declares no admin credential for."""


def loud(text: str) -> bool:
    """Tell whether an observation says that something was left out, which must not be hidden."""
    return text.startswith(LOUD) and not text.startswith(QUIET)


def seen(observation: Observation) -> tuple[str, str]:
    """Return an observation's address and text."""
    return clean(str(observation.address)), clean(observation.text)


def headline(plan: Plan) -> str:
    """Return a plan's last line: the shortest true summary."""
    return f"{_summary(plan)}{' ' + OFFLINE if plan.scope.offline else ''}"


OFFLINE = "Off line: no account was looked at."


def _summary(plan: Plan) -> str:
    counts = plan.summary
    errors = sum(d.severity is Severity.ERROR for d in plan.diagnostics)
    if errors:
        return f"{_count(errors, 'error')}: nothing can be applied. {_changes(plan)}{_rest(counts)}"
    if not plan.changes and not counts.unknown and counts.in_sync:
        verb = "matches" if counts.in_sync == 1 else "match"
        text = f"In sync. {_count(counts.in_sync, 'resource')} {verb} the manifest"
        return f"{text}{_list(', ', _unmanaged(counts))}."
    return f"{_changes(plan)}{_rest(counts)}"


def _changes(plan: Plan) -> str:
    if not plan.changes:
        return "Nothing to change."
    s = plan.summary
    return f"Plan: {s.create} to create, {s.update} to update, {s.delete} to delete."


def _rest(counts: Summary) -> str:
    parts = [f"{counts.in_sync} in sync"] if counts.in_sync else []
    parts += [f"{counts.unknown} unknown"] if counts.unknown else []
    rest = _list("", parts + _unmanaged(counts))
    return f" {rest}." if rest else ""


def _unmanaged(counts: Summary) -> list[str]:
    return [f"{counts.unmanaged} not managed"] if counts.unmanaged else []


def _list(lead: str, parts: list[str]) -> str:
    return lead + ", ".join(parts) if parts else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
