"""What a scheduler is to run, and the mark by which its files are known as ours; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import Any, Final
from unicodedata import category

from reconciler.errors import UsageError

MARK: Final = "Made by byok service install; byok service uninstall takes it away."
_FORM: Final = "byok-service/1 "

PASSED: Final = (
    *("PATH", "LANG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
    *("SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "GNUPGHOME"),
    *("PYTHON_KEYRING_BACKEND", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("VSCODE_PORTABLE", "VSCODE_APPDATA"),
)
"""The variables that a job takes along: places and names. No value of them is a secret."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run every so many seconds; all its paths are absolute."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    every: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of a scheduler, as it is to be."""

    path: PurePath
    text: str
    encoding: str = "utf-8"


def checked(job: Job) -> Job:
    """Return a job that can be written down. Raises UsageError for what no format can say."""
    for text in (*job.command, *job.environment.values()):
        if not text.isascii() and not _encodable(text):
            raise UsageError("service", "a path is not valid Unicode", "use another folder")
        if any(category(c) == "Cc" for c in text):
            raise UsageError("service", "a path holds a control character", "use another folder")
    return job


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def marked(job: Job) -> tuple[str, str]:
    """Return the two lines that stand in each file of a job: what it is, and the job itself.

    ASCII without a double hyphen, so that they may stand in a comment of INI and of XML.
    """
    data = {"command": list(job.command), "environment": dict(job.environment), "every": job.every}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return MARK, _FORM + text.replace("--", "-\\u002d")


def recorded(text: str) -> Job | None:
    """Return the job that a file of ours was made for; None for a file that bears no mark."""
    line = next((line for line in text.splitlines() if _FORM in line), None)
    if MARK not in text or line is None:
        return None
    try:
        data: Any = json.JSONDecoder().raw_decode(line.partition(_FORM)[2])[0]
        return Job(tuple(data["command"]), dict(data["environment"]), int(data["every"]))
    except (ValueError, KeyError, TypeError):
        return None


def taken_along(env: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that a job needs, and that may be written down."""
    return {name: env[name] for name in PASSED if env.get(name)}


def values(command: Sequence[str], name: str) -> list[str]:
    """Return the values that a job's command gives for an option."""
    return [value for flag, value in pairwise(command) if flag == name]
