#!/usr/bin/python
# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: deliver
short_description: Send one secret value to the stdin of a Python script on the target
version_added: 0.1.0
description:
  - The value is named, not given. So it is in no task, no argument of a process, no result and no log, at any verbosity.
  - The script prints C(changed) where it changed something. Its last words on stderr are told when they begin with C(byok).
  - Nothing is delivered in check mode.
options:
  variable:
    description: The variable that holds the value. What is no text is sent as JSON.
    type: str
    required: true
  python:
    description: The Python on the target.
    type: str
    required: true
  script:
    description: The script, as text.
    type: str
    required: true
  arguments:
    description: The script's arguments. They are no secrets.
    type: list
    elements: str
    default: []
  session:
    description: Variables of the user's session. They are no secrets.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Delivers nothing.
  action:
    support: full
    description: Needs no temporary file on the target.
author:
  - The byok authors (@byok)
"""

EXAMPLES = r"""
- name: Put the age identity in its place
  byok.cursor.deliver:
    variable: cursor_byok_age_key
    python: /usr/bin/python3
    script: "{{ lookup('ansible.builtin.file', 'age_identity.py') }}"
    arguments: [/home/ann/.config/sops/age/keys.txt]
"""

RETURN = r""" # """
