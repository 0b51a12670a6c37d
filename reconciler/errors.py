"""The error tree: one class for each exit code, and texts of the form ``where: what; way out``.

ByokError
 ├─ UsageError          64   wrong command line
 ├─ Declined             1   the user said no
 ├─ ManifestError        3   the manifest is invalid; carries every diagnostic of the file
 ├─ SecretError          4   a secret cannot be had; ``kind`` says which way
 ├─ ProviderError        5   a provider refused or failed; ``kind`` says which way
 ├─ StalePlan            6   a saved plan no longer fits; names each field that moved
 ├─ CursorBusy           7   Cursor runs, its database is busy, missing, or of an unknown form
 └─ SafetyStop           8   a safety rule stopped the run; names the flag that lifts it once
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.model import Diagnostic, Plan


def few(names: Iterable[str], most: int = 3) -> str:
    """Name a few, and count the rest: a message stays a line, however large the team."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


class ByokError(Exception):
    """Any failure that byok explains; ``exit_code`` is what the command ends with."""

    exit_code: ClassVar[int] = 1

    def __init__(self, where: str, what: str, way_out: str = "") -> None:
        super().__init__(where, what, way_out)
        self.where, self.what, self.way_out = where, what, way_out

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.way_out}" if self.way_out else text


class UsageError(ByokError):
    """The command line asks for something that cannot be."""

    exit_code: ClassVar[int] = 64


class Declined(ByokError):
    """The person at the prompt said no."""


class ManifestError(ByokError):
    """The manifest is invalid; every diagnostic of the file at once."""

    exit_code: ClassVar[int] = 3

    def __init__(self, where: str, diagnostics: Sequence[Diagnostic]) -> None:
        count = len(diagnostics)
        super().__init__(where, f"{count} error{'s' if count != 1 else ''} in the manifest")
        self.diagnostics = tuple(diagnostics)


class SecretProblem(StrEnum):
    """Why a secret cannot be had. Only ``no such item`` lets the next reference be tried.

    ``off line`` is no failure: what needs it is out of scope in an off-line run.
    """

    NO_ITEM = "no such item"
    LOCKED = "locked"
    NO_BACKEND = "no backend"
    TIMED_OUT = "timed out"
    NOT_DECRYPTABLE = "not decryptable"
    REFUSED = "refused"
    UNUSABLE = "unusable value"
    OFFLINE = "off line"


class SecretError(ByokError):
    """A secret cannot be had; ``kind`` tells the classes of failure apart."""

    exit_code: ClassVar[int] = 4

    def __init__(self, kind: SecretProblem, where: str, what: str, way_out: str = "") -> None:
        super().__init__(where, what, way_out)
        self.kind = kind


class ProviderProblem(StrEnum):
    """Why a provider did not do what was asked: the rows of the guide's troubleshooting table."""

    INVALID_KEY = "invalid key"
    WRONG_KIND = "wrong kind of key"
    ELSEWHERE = "key of another account"
    NO_ACCESS = "no access"
    NO_MODEL = "no such model"
    RATE_LIMITED = "rate limited"
    SPENT = "spend limit reached"
    WRONG_ENDPOINT = "wrong endpoint or api-version"
    NETWORK_REFUSED = "network refused"
    DOWN = "provider down"
    UNREADABLE = "unreadable answer"
    NOT_THERE = "not there"
    UNSUPPORTED = "not supported"
    MOVED = "changed meanwhile"
    REJECTED = "request rejected"
    CLOCK = "clock is wrong"
    UNPROVED = "reads back different"


class ProviderError(ByokError):
    """A provider, or a system's read-back, did not do what was asked."""

    exit_code: ClassVar[int] = 5

    def __init__(
        self, where: str, what: str, way_out: str = "", *, kind: ProviderProblem | None = None
    ) -> None:
        super().__init__(where, what, way_out)
        self.kind = kind


class StalePlan(ByokError):
    """A saved plan no longer describes the world; ``moved`` names each field that moved."""

    exit_code: ClassVar[int] = 6

    def __init__(self, where: str, what: str, way_out: str = "", moved: Sequence[str] = ()) -> None:
        super().__init__(where, what, way_out)
        self.moved = tuple(moved)


class CursorBusy(ByokError):
    """Cursor's settings cannot be touched now: running, busy, missing, or of an unknown form."""

    exit_code: ClassVar[int] = 7


class SafetyStop(ByokError):
    """A safety rule stopped the run before anything was written; ``plan`` is what it stopped."""

    exit_code: ClassVar[int] = 8
    plan: Plan | None = None


PRECEDENCE: tuple[int, ...] = (3, 4, 7, 8, 5)
"""Where several exit codes apply, the first of these wins."""


def worst(codes: Sequence[int]) -> int:
    """Return the exit code that stands for several: 3, 4, 7, 8, 5, then the largest."""
    for code in PRECEDENCE:
        if code in codes:
            return code
    return max(codes, default=0)


def loudest(failures: Sequence[ByokError]) -> ByokError:
    """Return the failure whose exit code stands for all, with the others as its notes."""
    code = worst([failure.exit_code for failure in failures])
    first = next(failure for failure in failures if failure.exit_code == code)
    for other in failures:
        if other is not first:
            first.add_note(str(other))
    return first
