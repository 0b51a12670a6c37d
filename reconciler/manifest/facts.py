"""What a manifest's conditions are judged by: this machine's system, its name, and who is on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

_SYSTEMS: Final = {"linux": "linux", "darwin": "macos", "win32": "windows", "cygwin": "windows"}
SYSTEMS: Final = tuple(dict.fromkeys(_SYSTEMS.values()))
"""What a condition may ask ``os`` to be."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``os`` is linux, macos, windows or what Python calls another; ``host`` as the machine says.

    ``user`` is the login name, empty where nobody knows it.
    """

    os: str
    host: str
    user: str

    def told(self) -> Mapping[str, str]:
        """Return the facts by their names in ``when:``."""
        return {"os": self.os, "host": self.host, "user": self.user}


def machine() -> Facts:
    """Return the facts of this machine; asks no name server."""
    import socket

    return Facts(_SYSTEMS.get(sys.platform, sys.platform), socket.gethostname(), _user())


def _user() -> str:
    """Return whose rights we have; the environment may name another, and is asked last."""
    try:
        if sys.platform == "win32":
            import getpass

            return getpass.getuser()
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (KeyError, OSError, ImportError):
        return ""


def misfit(when: Mapping[str, Any], facts: Facts) -> str:
    """Return which key of a condition does not fit these facts, and why; empty where all do."""
    for name, fact in facts.told().items():
        wanted = when.get(name)
        if wanted is not None and not _fits(name, wanted, facts):
            return f"when.{name} does not fit {fact or 'a user without a name'}"
    return ""


def _fits(name: str, wanted: str | list[str], facts: Facts) -> bool:
    fold = name == "host" or facts.os == "windows"  # whose names come in any case
    known = {"os": (facts.os,), "host": (facts.host, facts.host.partition(".")[0])}
    return any(
        fnmatchcase(*((fact.casefold(), pattern.casefold()) if fold else (fact, pattern)))
        for fact in known.get(name, (facts.user,))
        for pattern in ([wanted] if isinstance(wanted, str) else wanted)
    )
