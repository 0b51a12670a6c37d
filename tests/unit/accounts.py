"""What the tests of accounts share: a manifest with keys in a folder, and how a run is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reconciler.origins import origin
from reconciler.session import Options


def write_manifest(folder: Path, data: Mapping[str, Any], keys: Mapping[str, str]) -> Path:
    """Write ``byok.yaml`` and its keys, which ``file://keys/NAME`` finds; return its path."""
    for name, value in keys.items():
        path = folder / "keys" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(value)
        path.chmod(0o600)
    manifest = folder / "byok.yaml"
    manifest.write_text(yaml.safe_dump({"version": 1, "team": "acme", **data}, sort_keys=False))
    return manifest


def options(folder: Path, *origins: str, **more: Any) -> Options:
    """Return the options of a run in a folder of its own, with these origins approved."""
    return Options(
        manifest=folder / "byok.yaml",
        state_dir=folder / "state",
        cursor_dir=folder / "cursor",
        env={},
        allow_origins=tuple(origin(url) for url in origins),
        **more,
    )
