"""Ask a program of the platform one question, with the chosen environment and a deadline."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from reconciler.secrets.process import environment


def output(command: Sequence[str], seconds: float) -> bytes | None:
    """Return what a command prints, None when it fails, takes longer, or is missing."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
