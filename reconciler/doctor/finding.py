"""What one check found: a state, what was seen, and where it is not well the cause and the fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import ByokError
from reconciler.model import Diagnostic, Severity


class State(StrEnum):
    """How one thing stands; ``skipped`` says that nobody looked, and why."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    ``check`` is ``subject/name`` (``cursor/database``). ``what`` is what was seen, ``cause`` why
    it is so or what it does, ``fix`` the way out. ``code`` (BYOKnnn) stands with a warning or a
    problem. ``where`` is a place in a file (``byok.yaml:4:3``).
    """

    check: str
    state: State
    what: str
    cause: str = ""
    fix: str = ""
    code: str = ""
    where: str = ""

    @property
    def bad(self) -> bool:
        """Whether there is something to mend."""
        return self.state in (State.WARNING, State.PROBLEM)


def well(check: str, what: str) -> Finding:
    """Say that a thing is as it should be."""
    return Finding(check, State.OK, what)


def skipped(check: str, reason: str) -> Finding:
    """Say that nobody looked, and why."""
    return Finding(check, State.SKIPPED, f"not checked, because {reason}")


def warning(check: str, code: str, what: str, cause: str, fix: str) -> Finding:
    """Say what will do harm, or looks wrong."""
    return Finding(check, State.WARNING, what, cause, fix, code)


def problem(check: str, code: str, what: str, cause: str, fix: str) -> Finding:
    """Say what does not work."""
    return Finding(check, State.PROBLEM, what, cause, fix, code)


def of_error(check: str, code: str, error: ByokError, fix: str = "") -> Finding:
    """Turn a failure into a finding: what went wrong, where, and its way out."""
    what = error.what if error.where in ("", check) else f"{error.where}: {error.what}"
    way_out = "; ".join(part for part in (error.way_out, fix) if part)
    return Finding(check, State.PROBLEM, what, "", way_out, code)


DEAD = ("BYOK130", "BYOK131", "BYOK132", "BYOK134", "BYOK136", "BYOK137", "BYOK138")
"""Findings of `plan` that stop nothing there, and mean that Cursor gets no answers."""


def of_diagnostic(check: str, found: Diagnostic) -> Finding:
    """Turn what `plan` and `validate` say into a finding; a note is well."""
    state = State.WARNING
    if found.severity is Severity.NOTE:
        state = State.OK
    elif found.severity is Severity.ERROR or found.code in DEAD:
        state = State.PROBLEM
    code = "" if state is State.OK else found.code
    where = str(found.position or "")
    return Finding(check, state, found.message, "", found.way_out, code, where)
