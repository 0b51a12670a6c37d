"""The codes of every finding about a manifest, each with its title."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "BYOK001": "not readable as YAML",
        "BYOK002": "a key given twice",
        "BYOK003": "not of the manifest's form",
        "BYOK004": "a literal secret",
        "BYOK005": "too large or too deep",
        "BYOK006": "another version of the format",
        "BYOK007": "a layer that cannot be used",
        "BYOK008": "a locked value",
        "BYOK009": "a reference that leaves its file's folder",
        "BYOK101": "the override is global",
        "BYOK102": "claude- and gemini- ids never go to the override",
        "BYOK103": "Cursor's servers cannot reach the address",
        "BYOK104": "the base URL names no API version",
        "BYOK105": "two active endpoints",
        "BYOK106": "a custom id that Cursor already has",
        "BYOK107": "a default model that is not enabled",
        "BYOK108": "an id that Cursor's catalogue does not know",
        "BYOK109": "one provider answers every request",
        "BYOK110": "a key over plain http",
        "BYOK111": "a key of another provider's shape",
        "BYOK112": "one key in two places",
        "BYOK113": "Tab and Apply never use own keys",
        "BYOK114": "requests and keys pass Cursor's servers",
        "BYOK115": "own keys are switched off by an administrator",
        "BYOK116": "an old key",
        "BYOK117": "two claims on one slot",
        "BYOK118": "an endpoint without a key gives way",
        "BYOK119": "two default models for one feature",
        "BYOK120": "a name that is not declared",
        "BYOK121": "Cursor keeps no api_version",
        "BYOK122": "secret storage not confirmed",
        "BYOK123": "an origin that nobody approved",
        "BYOK124": "reserved for the details of gateway models",
        "BYOK125": "managed by another team",
        "BYOK126": "an endpoint with a system's name",
        "BYOK127": "two hard limits for one account",
        "BYOK128": "a lock on nothing",
        "BYOK130": "a key of the wrong kind",
        "BYOK131": "a key that the provider does not accept",
        "BYOK132": "a model that the key may not use",
        "BYOK133": "a model that is retired, or will be",
        "BYOK134": "the spend limit is reached",
        "BYOK135": "too many requests",
        "BYOK136": "the wrong endpoint, deployment or api-version",
        "BYOK137": "the network refuses, or answers in the provider's place",
        "BYOK138": "the provider is down, or out of reach",
        "BYOK139": "a budget the account cannot have as asked",
        "BYOK140": "a deployment of another model",
    }
)
"""Code to title. BYOK0xx: the file itself, always errors. BYOK1xx: what it asks for."""
