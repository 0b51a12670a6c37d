"""A launchd agent as a property list; pure (macOS: launchd.plist(5))."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from reconciler.watching.service.job import File, Job, marked

LABEL: Final = "byok.watch"
_UMASK: Final = 0o077


def files(job: Job, folder: PurePath) -> tuple[File, ...]:
    """Render the agent of a job for a folder of launch agents."""
    import plistlib

    agent = {
        "Label": LABEL,
        "ProgramArguments": list(job.command),
        "EnvironmentVariables": dict(job.environment),
        "StartInterval": job.every,
        "RunAtLoad": True,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Umask": _UMASK,
        "HardResourceLimits": {"Core": 0},
    }
    text = plistlib.dumps(agent, sort_keys=False).decode()
    comment = "".join(f"<!-- {line} -->\n" for line in marked(job))
    return (File(folder / f"{LABEL}.plist", text.replace("<plist ", f"{comment}<plist ", 1)),)
