"""What the ledger holds: runs, their steps, and how a written secret is told again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model import Change, Record


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells a written secret again without decrypting: version of its source, its cell."""

    version: str | None = None
    cell: str | None = None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded step.

    ``kept`` maps an attribute to the reference of the copy it replaced, ``previous`` to the record
    held of it before this step; what had none is left out.
    """

    id: int
    run: int
    change: Change
    state: str
    note: str
    kept: Mapping[str, str]
    system: str = ""
    previous: Mapping[str, Record] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run of a command that may write."""

    id: int
    command: str
    owner: str
    started: str
    ended: str | None
    outcome: str
    steps: int
