# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""The files on the controller that hold one byok.host/1 document for each host."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from tempfile import NamedTemporaryFile

from ansible.errors import AnsibleActionFail


def write(folder, document):
    """Write a host's document, whole or not at all; none without a folder. Raises AnsibleActionFail."""
    if not folder:
        return
    folder = Path(folder).expanduser()
    text = json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(folder / file_name(document["host"]), text)
    except OSError as error:
        raise AnsibleActionFail(
            f"{folder}: cannot be written ({error.strerror}); name another folder in"
            " cursor_byok_results"
        ) from None


def replace(path, text):
    """Put a file in place by a draft beside it, which never stays."""
    with contextlib.ExitStack() as undone:
        with NamedTemporaryFile(
            "w", dir=path.parent, prefix=".draft-", delete=False, encoding="utf-8"
        ) as file:
            undone.callback(Path(file.name).unlink, missing_ok=True)
            file.write(text)
        os.replace(file.name, path)


def file_name(host):
    """Return a host's file name; what is no good in one becomes _, and a digest keeps two apart."""
    name = re.sub(r"[^A-Za-z0-9._@:-]|^\.", "_", host)
    if name != host:
        name += "-" + hashlib.sha256(host.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return name + ".json"


def first_line(text):
    """Return the first line of a message, bounded."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return (lines[0] if lines else "")[:400]
