#!/usr/bin/python
# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: reach
short_description: Connect to a host, and write down why where that fails
version_added: 0.1.0
description:
  - Connects to the host. Where that fails, a byok.host/1 document on the controller says why, and the host is unreachable for Ansible.
options:
  results:
    description: The folder on the controller. Nothing is written where it is empty.
    type: str
    required: true
  run:
    description: What was asked for.
    type: str
    choices: [plan, apply]
    default: apply
attributes:
  check_mode:
    support: full
    description: Changes no host.
  action:
    support: full
    description: Needs no Python on the host.
author:
  - The byok authors (@byok)
"""

EXAMPLES = r"""
- name: Connect to every host of the batch
  byok.cursor.reach:
    results: byok-results
"""

RETURN = r""" # """
