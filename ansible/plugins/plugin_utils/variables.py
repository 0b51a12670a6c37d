# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Values that travel without standing in a task: callbacks are shown a task's arguments."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleActionFail
from ansible_collections.byok.cursor.plugins.module_utils.surroundings import PLAIN

from ansible import constants
from ansible.plugins.action import ActionBase


def value(templar, task_vars, name):
    """Return what a variable comes to. Raises AnsibleActionFail where there is none."""
    if name not in task_vars:
        raise AnsibleActionFail(f"{name}: there is no such variable; name one")
    return plain(templar.template(task_vars[name]))


def plain(known):
    """Return a value without Ansible's own types: older ones keep what is in a vault in one."""
    if isinstance(known, Mapping):
        return {str(name): plain(one) for name, one in known.items()}
    if isinstance(known, (list, tuple)):
        return [plain(one) for one in known]
    if isinstance(known, str) or getattr(known, "__ENCRYPTED__", False):
        return str(known)
    return known


class WithEnvironment(ActionBase):
    """Run a module with an environment that is named in the task, not shown."""

    TRANSFERS_FILES = False
    module = ""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        name = arguments.pop("environment_from", None)
        if name:
            known = value(self._templar, task_vars, name)
            if set(known) - PLAIN and self.would_show():
                return {
                    **result,
                    "failed": True,
                    "msg": f"{name}: is not sent: its values would be in a file on the target, or in"
                    " Ansible's debug log; leave out ANSIBLE_KEEP_REMOTE_FILES and ANSIBLE_DEBUG,"
                    " and use a connection and a become plugin that can pipeline (su cannot)",
                }
            arguments["environment"] = {**known, **(arguments.get("environment") or {})}
        result.update(
            self._execute_module(
                module_name=self.module, module_args=arguments, task_vars=task_vars
            )
        )
        return result

    def would_show(self):
        """Tell whether a module's arguments would be seen on their way."""
        return constants.DEFAULT_DEBUG or not self._is_pipelining_enabled("new")
