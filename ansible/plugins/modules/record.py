#!/usr/bin/python
# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: record
short_description: Write what became of hosts to files on the controller
version_added: 0.1.0
description:
  - Writes one byok.host/1 document for each host, C(<results>/<inventory_hostname>.json), which C(byok fleet report) reads.
  - What is no good in a file's name becomes C(_), and a digest is added.
  - Runs on the controller and connects to nothing, so that hosts that cannot be reached have a document too.
  - Writes in check mode too, because a report is no change to a host.
options:
  results:
    description: The folder on the controller. Nothing is written where it is empty.
    type: str
    required: true
  hosts:
    description: Hosts of which nothing is known but O(outcome) and O(why).
    type: list
    elements: str
    default: []
  documents:
    description: Documents to write, each with its C(host). O(outcome) and O(why) are put over theirs, where given.
    type: list
    elements: dict
    default: []
  run:
    description: What was asked for.
    type: str
    choices: [plan, apply]
    default: apply
  outcome:
    description: What became of it.
    type: str
  why:
    description: Why.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Changes no host.
  action:
    support: full
    description: All of it runs on the controller.
author:
  - The byok authors (@byok)
"""

EXAMPLES = r"""
- name: Write down what became of this host
  byok.cursor.record:
    results: byok-results
    documents: ["{{ reconciled.result }}"]
"""

RETURN = r"""
written:
  description: How many documents were written.
  type: int
  returned: always
"""
