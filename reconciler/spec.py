"""What a validated manifest says, as nouns; made by `manifest`, read by every system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from reconciler.model import Diagnostic, Position

EMPTY: Mapping[str, Any] = MappingProxyType({})

Homes: TypeAlias = Mapping[str, tuple[Path, str]]
"""Names of files in references, as the manifest's folder sees them, to the folder that each must
stay inside and its name there: those that layers in other folders wrote."""

CURSOR = "cursor"
CURSOR_TEAM = "cursor-team"
PROVIDERS = ("openai", "anthropic", "google", "azure", "bedrock")
ADMIN_KEYS = ("admin_key", "admin_access_key_id", "admin_secret_access_key", "admin_session_token")
"""The fields of an account that hold references to what administers it."""

FEATURES = (
    "composer",
    "cmd-k",
    "background-composer",
    "composer-ensemble",
    "plan-execution",
    "spec",
    "deep-search",
    "quick-agent",
)
"""Cursor's features that have a default model (``aiSettings.modelConfig``, Cursor 2.4 to 2.6)."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of ``providers:``.

    ``secrets`` maps an attribute of the Cursor resource (``key``, or ``access_key_id``,
    ``secret_access_key``, ``session_token``) to its references, first that exists wins.
    ``settings`` holds the plain strings Cursor keeps (``endpoint``, ``deployment``, ``region``,
    ``api_version``). ``account`` holds all that concerns the provider's account only.
    """

    name: str
    enabled: bool = True
    absent: bool = False
    optional: bool = False
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EMPTY)
    settings: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    account: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One entry of ``endpoints:``; ``key`` is empty where the endpoint asks for none."""

    name: str
    type: str
    base_url: str
    key: tuple[str, ...] = ()
    active: bool = True
    account: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One entry of ``models:``; exactly one of provider and endpoint is set."""

    id: str
    provider: str | None = None
    endpoint: str | None = None
    enabled: bool = True
    absent: bool = False
    custom: bool = False
    default_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The ``policy:`` section."""

    max_key_age_days: int | None = None
    ignore: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    sops_backends: tuple[str, ...] = ()
    fingerprint_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole manifest; ``positions`` maps JSON pointers (``/models/gpt-4o``) to places.

    ``cursor_team`` holds what is said of the team's account at Cursor itself (``admin_key``,
    ``api_base``). ``prices`` holds prices of a million tokens by model (``input``, ``output``,
    ``cache_read``, ``currency``). ``layers`` are the files it was made of, the last word last.
    ``homes`` are the files of references that layers in other folders wrote; ``left_out`` maps
    the pointer of each entry that does not hold on this machine to why; ``facts`` are what that
    was judged by, empty where nothing asked for them. ``findings`` are warnings that only the
    files could tell.
    """

    file: str
    folder: Path
    team: str = "local"
    providers: Mapping[str, Provider] = field(default_factory=lambda: EMPTY)
    endpoints: Mapping[str, Endpoint] = field(default_factory=lambda: EMPTY)
    models: Mapping[str, ModelEntry] = field(default_factory=lambda: EMPTY)
    budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    cursor_team: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    policy: Policy = Policy()
    positions: Mapping[str, Position] = field(default_factory=lambda: EMPTY)
    layers: tuple[str, ...] = ()
    homes: Homes = field(default_factory=lambda: EMPTY)
    left_out: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    facts: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    findings: tuple[Diagnostic, ...] = ()

    def home(self, name: str) -> tuple[Path, str]:
        """Return the folder that a reference's file must stay inside, and its name there."""
        return self.homes.get(name, (self.folder, name))

    def where(self, pointer: str) -> Position:
        """Return the place of a pointer, or of the nearest parent that has one."""
        while pointer and pointer not in self.positions:
            pointer = pointer.rpartition("/")[0]
        return self.positions.get(pointer, Position(self.file, 1, 1))


def claimant(manifest: Manifest) -> Endpoint | None:
    """Return the endpoint that fills Cursor's one OpenAI slot, or None.

    An active endpoint with a key claims it (lint BYOK117 refuses a second claim). One without a
    key gives way to an enabled OpenAI provider, because that key must not meet its origin.
    """
    openai = manifest.providers.get("openai")
    own_key = openai is not None and openai.enabled and not openai.absent and openai.secrets
    active = [e for e in manifest.endpoints.values() if e.active]
    return next((e for e in active if e.key or not own_key), None)
