# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""The options that reconcile and info share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  executable:
    description: The byok to run. Without it the one of the role's own environment, else the one in PATH.
    type: path
  cursor_dir:
    description: Cursor's user-data directory. Its usual place without it.
    type: path
  state_dir:
    description: Where byok keeps its ledger. Its usual place without it.
    type: path
  age_key_file:
    description: The file of this user's age identity, where it is not at its usual place.
    type: path
  environment:
    description:
      - Variables for byok, over those of the session. They are not logged.
      - A value of less than 8 characters is not masked, nor is that of a variable that holds a place, as HOME or BYOK_STATE_DIR.
      - BYOK_ACCOUNTS is refused.
    type: dict
    default: {}
  environment_from:
    description:
      - The name of a variable that holds such an environment.
      - Callback plugins are shown a task's arguments. With this they are shown the name.
      - Fails where pipelining is not possible, or Ansible logs for debugging, unless all variables in it hold places.
    type: str
  offline:
    description: Leave all network out.
    type: bool
    default: false
  allow_exec:
    description: Let C(exec://) references run.
    type: bool
    default: false
  timeout:
    description: Seconds after which byok is stopped.
    type: int
    default: 600
requirements:
  - byok on the target, which brings its own Python 3.11 or newer. The module itself runs on Python 3.8.
"""
