"""The nouns that every other module speaks in; standard library only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """The name of one managed thing, printed as ``system/kind/name``."""

    system: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.system}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``system/kind/name``; the name is all after the second slash.

        Raises ValueError when a part is missing.
        """
        system, _, rest = text.partition("/")
        kind, _, name = rest.partition("/")
        if not (system and kind and name):
            raise ValueError(f"{text!r} is not of the form system/kind/name")
        return cls(system, kind, name)


@dataclass(frozen=True, slots=True)
class Sealed:
    """All that a plan may know of a secret: a keyed fingerprint, and where the value lives."""

    fingerprint: str
    ref: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is there but cannot be read: neither equal nor different."""

    reason: str


Value: TypeAlias = (
    "bool | int | float | str | tuple[Value, ...] | Mapping[str, Value] | Sealed | Unknown | None"
)
Attrs: TypeAlias = Mapping[str, Value]
Resources: TypeAlias = Mapping[Address, Attrs]


class Action(StrEnum):
    """What a change does to its resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Cause(StrEnum):
    """Why a change is in the plan; shown to people, never used to decide."""

    NEW = "new"
    TAKEOVER = "takeover"
    MANIFEST = "manifest"
    DRIFT = "drift"
    CONFLICT = "conflict"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Edit:
    """One attribute's way from before to after; None is absence."""

    name: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan: the edits of one resource, in the order of their names."""

    address: Address
    action: Action
    cause: Cause
    edits: tuple[Edit, ...]
    irreversible: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Something seen and left alone, in words for people."""

    address: Address
    text: str


class Severity(StrEnum):
    """How much a diagnostic matters: only an error stops a run."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file: 1-based line and column; the file as the user named it."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding: its code, the JSON pointer it is about, what is wrong, and the way out."""

    code: str
    severity: Severity
    path: str
    message: str
    way_out: str = ""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run was asked to judge."""

    systems: tuple[str, ...] = ("cursor",)
    offline: bool = False
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts at a plan's end, in resources."""

    create: int = 0
    update: int = 0
    delete: int = 0
    in_sync: int = 0
    observed: int = 0
    unknown: int = 0
    unmanaged: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between a manifest and the world; plain data that can be saved and shown."""

    scope: Scope
    fingerprint_key: str
    changes: tuple[Change, ...] = ()
    observations: tuple[Observation, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    summary: Summary = Summary()


@dataclass(frozen=True, slots=True)
class Record:
    """What we last wrote to one attribute, and what was there before us.

    ``adopted`` marks a value that already was as desired: it is released, never removed.
    """

    value: Value
    before: Value = None
    adopted: bool = False


Written: TypeAlias = Mapping[Address, Mapping[str, Record]]
