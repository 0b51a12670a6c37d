"""Where the providers' official API descriptions are; what needs one is skipped where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get("BYOK_SPECS") or Path(__file__).resolve().parents[2] / "shared" / "specs"
)


def spec(name: str) -> Path:
    """Return the file of a description, or skip the test."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip("only with the official API descriptions (BYOK_SPECS names their folder)")
    return path
