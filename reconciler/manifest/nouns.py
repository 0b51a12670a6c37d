"""A checked document to the nouns of `spec`; copies nothing that it need not change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.manifest.document import Document
from reconciler.spec import ADMIN_KEYS, Endpoint, Manifest, ModelEntry, Policy, Provider

_SECRETS: Final = ("key", "access_key_id", "secret_access_key", "session_token")
_SETTINGS: Final = ("endpoint", "deployment", "region", "api_version")
_SWITCHES: Final = ("enabled", "absent", "optional")
_SLOT: Final = ("type", "base_url", "key", "active")
_BUILT_IN: Final = ("openai", "anthropic", "google")
"""Providers whose models Cursor knows; every other model is custom unless said."""


def build(document: Document, folder: Path, data: Mapping[str, Any]) -> Manifest:
    """Return what a document's data says; ``data`` is that part of it which fits the schema.

    References are tuples of text and stay as written.
    """
    return Manifest(
        file=document.file,
        folder=folder,
        team=data.get("team", "local"),
        providers={n: _provider(n, e) for n, e in _entries(data, "providers")},
        endpoints={n: _endpoint(n, e) for n, e in _entries(data, "endpoints")},
        models={n: _model(n, e) for n, e in _entries(data, "models")},
        budgets={n: _plain(e) for n, e in _entries(data, "budgets")},
        cursor_team=_plain(data.get("cursor_team") or {}),
        prices=dict(_entries(data, "prices")),
        policy=_policy(data.get("policy") or {}),
        positions=document.positions,
    )


def _entries(data: Mapping[str, Any], section: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    entries: Mapping[str, Any] = data.get(section) or {}
    return entries.items()


def references(value: str | list[str]) -> tuple[str, ...]:
    """Return one reference or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)


def _provider(name: str, entry: Mapping[str, Any]) -> Provider:
    own = (*_SECRETS, *_SETTINGS, *_SWITCHES)
    return Provider(
        name=name,
        enabled=entry.get("enabled", True),
        absent=entry.get("absent", False),
        optional=entry.get("optional", False),
        secrets={part: references(entry[part]) for part in _SECRETS if part in entry},
        settings={part: entry[part] for part in _SETTINGS if part in entry},
        account=_plain({part: value for part, value in entry.items() if part not in own}),
    )


def _endpoint(name: str, entry: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        name=name,
        type=entry["type"],
        base_url=entry["base_url"],
        key=references(entry.get("key", [])),
        active=entry.get("active", True),
        account=_plain({part: value for part, value in entry.items() if part not in _SLOT}),
    )


def _model(id_: str, entry: Mapping[str, Any]) -> ModelEntry:
    provider = entry.get("provider")
    return ModelEntry(
        id=id_,
        provider=provider,
        endpoint=entry.get("endpoint"),
        enabled=entry.get("enabled", True),
        absent=entry.get("absent", False),
        custom=entry.get("custom", provider not in _BUILT_IN),
        default_for=tuple(entry.get("default_for", ())),
    )


def _policy(entry: Mapping[str, Any]) -> Policy:
    return Policy(
        max_key_age_days=entry.get("max_key_age_days"),
        ignore=tuple(entry.get("ignore", ())),
        protect=tuple(entry.get("protect", ())),
        sops_backends=tuple(entry.get("sops_backends", ())),
        fingerprint_key=references(entry.get("fingerprint_key", [])),
    )


def _plain(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an entry with tuples for its lists, and references in one form."""
    return {name: _value(name, value) for name, value in entry.items()}


def _value(name: str, value: Any) -> Any:
    if name in ADMIN_KEYS:
        return references(value)
    return tuple(value) if isinstance(value, list) else value
