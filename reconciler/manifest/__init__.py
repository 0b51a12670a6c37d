"""From a manifest's YAML to nouns: read, check, lint."""

from __future__ import annotations

from reconciler.manifest.load import load, loaded, parse

__all__ = ["load", "loaded", "parse"]
