"""What holds for the process as a whole: private files, no core dumps, quiet libraries."""

from __future__ import annotations

import os
import sys


def harden() -> None:
    """Set umask 077, forbid core dumps, and let any output encoding print what it can."""
    os.umask(0o077)
    if sys.platform != "win32":  # which writes no core files by itself
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
