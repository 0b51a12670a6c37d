# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Connect to a host; write down why where that fails, so that the report can name it."""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.byok.cursor.plugins.module_utils.documents import host_document
from ansible_collections.byok.cursor.plugins.plugin_utils import results

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """All of byok.cursor.reach."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(
            argument_spec={
                "results": {"type": "str", "required": True},
                "run": {"type": "str", "choices": ["plan", "apply"], "default": "apply"},
            }
        )
        document = host_document(host=task_vars["inventory_hostname"], run=given["run"])
        try:
            if task_vars.get("ansible_connection") not in ("winrm", "psrp"):
                self._low_level_execute_command("true", sudoable=False)
        except AnsibleError as error:
            why = "did not answer: " + results.first_line(error.message)
            results.write(given["results"], {**document, "outcome": "unreachable", "why": why})
            # as a failure it would count towards the end of the run, and this host would end others
            raise AnsibleConnectionFailure(error.message) from None
        why = "stopped answering, or the run was ended, before it was through"
        results.write(given["results"], {**document, "outcome": "unreachable", "why": why})
        result.update(changed=False)
        return result
