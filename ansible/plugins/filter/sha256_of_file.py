# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""The digest of a file on the controller, without a task."""

from __future__ import annotations

import hashlib
from pathlib import Path

DOCUMENTATION = r"""
name: sha256_of_file
short_description: The SHA-256 of a file on the controller
version_added: 0.1.0
description:
  - The SHA-256 of a file on the controller, in hexadecimal digits. Empty where there is no such file.
options:
  _input:
    description: The file's path.
    type: path
    required: true
author:
  - The byok authors (@byok)
"""

EXAMPLES = r"""
- name: Tell a wheel's hash
  ansible.builtin.debug:
    msg: "{{ 'dist/byok-0.1.0-py3-none-any.whl' | byok.cursor.sha256_of_file }}"
"""

RETURN = r"""
_value:
  description: 64 hexadecimal digits, or nothing.
  type: str
"""


def sha256_of_file(path):
    """Return a file's SHA-256, "" where there is none."""
    try:
        return hashlib.sha256(Path(str(path)).expanduser().read_bytes()).hexdigest()
    except OSError:
        return ""


class FilterModule:
    """The filter."""

    def filters(self):
        return {"sha256_of_file": sha256_of_file}
