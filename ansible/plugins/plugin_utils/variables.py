# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Values that travel without standing in a task: callbacks are shown a task's arguments."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase


def value(templar, task_vars, name):
    """Return what a variable comes to. Raises AnsibleActionFail where there is none."""
    if name not in task_vars:
        raise AnsibleActionFail(f"{name}: there is no such variable; name one")
    return templar.template(task_vars[name])


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
            arguments["environment"] = {**known, **(arguments.get("environment") or {})}
        result.update(
            self._execute_module(
                module_name=self.module, module_args=arguments, task_vars=task_vars
            )
        )
        return result
