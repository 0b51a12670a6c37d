# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Send one value to the stdin of a script on the target; the value stands in no task."""

from __future__ import annotations

import json
import shlex

from ansible_collections.byok.cursor.plugins.module_utils.byok import clean
from ansible_collections.byok.cursor.plugins.plugin_utils import variables

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """All of byok.cursor.deliver."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(
            argument_spec={
                "variable": {"type": "str", "required": True},
                "python": {"type": "str", "required": True},
                "script": {"type": "str", "required": True},
                "arguments": {"type": "list", "elements": "str", "default": []},
                "session": {"type": "dict", "default": {}},
            }
        )
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "not delivered in check mode"}
        known = variables.value(self._templar, task_vars, given["variable"])
        words = ["env", *(f"{name}={text}" for name, text in given["session"].items())]
        words += [given["python"], "-I", "-c", given["script"], *given["arguments"]]
        # The words are seen by who looks at processes, the value is not.
        done = self._low_level_execute_command(
            " ".join(map(shlex.quote, words)),
            in_data=(known if isinstance(known, str) else json.dumps(known)).encode(),
        )
        if done["rc"] != 0:
            # Not raised: ansible-core before 2.19 would take the target's words for a template.
            msg = (
                f"{given['variable']}: was not delivered (exit {done['rc']}):"
                f" {told(done.get('stderr', ''))}; see that user's disk, rights and keyring"
            )
            return {**result, "failed": True, "msg": msg}
        return {**result, "changed": done["stdout"].strip().endswith("changed")}


def told(stderr):
    """Return the script's own last words; a traceback's could hold anything."""
    lines = stderr.strip().splitlines()
    return clean(
        lines[-1][len("byok: ") :] if lines and lines[-1].startswith("byok: ") else "no reason"
    )
