"""What holds for the process as a whole: private files, no core dumps, quiet libraries."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def harden() -> None:
    """Set umask 077, forbid core dumps, and let any output encoding print what it can."""
    os.umask(0o077)
    if sys.platform != "win32":  # which writes no core files by itself
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # pythonw: a program without a console
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, nowhere)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
