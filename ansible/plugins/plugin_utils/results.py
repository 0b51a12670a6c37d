# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""The files on the controller that hold one byok.host/1 document for each host."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from tempfile import NamedTemporaryFile

from ansible.errors import AnsibleActionFail

EMPTY = dict.fromkeys(
    (
        "host",
        "user",
        "byok",
        "cursor",
        "run",
        "outcome",
        "plan",
        "apply",
        "status",
        "doctor",
        "keys",
        "error",
    )
)


def empty(host, run, outcome, why):
    """Return the document of a host of which nothing else is known."""
    return {
        **EMPTY,
        "format": "byok.host/1",
        "host": host,
        "run": run,
        "outcome": outcome,
        "why": why,
        "exit": 0,
    }


def write(folder, document):
    """Write a host's document, whole or not at all. Raises AnsibleActionFail."""
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(
            "w", dir=folder, prefix=".draft-", delete=False, encoding="utf-8"
        ) as file:
            file.write(json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n")
        os.replace(file.name, folder / file_name(document["host"]))
    except OSError as error:
        raise AnsibleActionFail(
            f"{folder}: cannot be written ({error.strerror}); name another folder in"
            " cursor_byok_results"
        ) from None


def file_name(host):
    """Return a host's file name; what is no good in one becomes _."""
    return re.sub(r"[^A-Za-z0-9._@:-]|^\.", "_", str(host)) + ".json"


def first_line(text):
    """Return the first line of a message, bounded."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return (lines[0] if lines else "")[:400]
