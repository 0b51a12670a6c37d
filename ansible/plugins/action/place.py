# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Read the files of a folder on the controller and have the module place them."""

from __future__ import annotations

import base64
import fnmatch
import os
import re
from pathlib import Path

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

MOST_FILES = 500
MOST_BYTES = 4 * 1024 * 1024
IDENTITY = re.compile(b"AGE-SECRET-" + b"KEY-(PQ-)?1", re.IGNORECASE)


class ActionModule(ActionBase):
    """The part of byok.cursor.place that runs on the controller."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments.pop("files", None)
        if arguments.get("src"):
            folder = Path(self._find_needle("files", str(arguments["src"])))
            patterns = arguments.get("patterns") or ["*.yaml", "*.yml", "*.json"]
            arguments["files"] = gathered(folder, patterns)
        result.update(
            self._execute_module(
                module_name="byok.cursor.place", module_args=arguments, task_vars=task_vars
            )
        )
        return result


def gathered(folder, patterns):
    """Return the folder's files, name -> base64. Raises AnsibleActionFail."""
    if not folder.is_dir():
        raise AnsibleActionFail(f"{folder}: is no folder; name the manifest's folder in src")
    found, size = {}, 0
    for path in sorted(walk(folder)):
        name = path.relative_to(folder).as_posix()
        if not any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns):
            continue
        if path.is_symlink():
            raise AnsibleActionFail(f"{path}: is a symbolic link; put a plain file there")
        data = path.read_bytes()
        if IDENTITY.search(data):
            raise AnsibleActionFail(
                f"{path}: holds an age identity, which must not travel with the manifest;"
                " move it out of this folder, and see cursor_byok_age_key"
            )
        size += len(data)
        if len(found) >= MOST_FILES or size > MOST_BYTES:
            raise AnsibleActionFail(
                f"{folder}: holds more than {MOST_FILES} files or {MOST_BYTES} bytes of"
                f" {', '.join(patterns)}; name the manifest's own folder in src, or fewer patterns"
            )
        found[name] = base64.b64encode(data).decode("ascii")
    return found


def walk(folder):
    """Yield every file below a folder, those of version control left out."""
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".venv", "node_modules")]
        yield from (Path(here, name) for name in files)
