# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Write byok.host/1 documents on the controller; connects to nothing."""

from __future__ import annotations

from ansible_collections.byok.cursor.plugins.module_utils.documents import host_document
from ansible_collections.byok.cursor.plugins.plugin_utils import results

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """All of byok.cursor.record."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(
            argument_spec={
                "results": {"type": "str", "required": True},
                "hosts": {"type": "list", "elements": "str", "default": []},
                "documents": {"type": "list", "elements": "dict", "default": []},
                "run": {"type": "str", "choices": ["plan", "apply"], "default": "apply"},
                "outcome": {"type": "str"},
                "why": {"type": "str", "default": ""},
            }
        )
        documents = [
            host_document(host=host, run=given["run"], outcome=given["outcome"], why=given["why"])
            for host in given["hosts"]
        ]
        for known in given["documents"]:
            document = {**host_document(), **known, "format": "byok.host/1"}
            if given["outcome"]:
                document.update(run=given["run"], outcome=given["outcome"], why=given["why"])
            documents.append(document)
        for document in documents:
            results.write(given["results"], document)
        result.update(changed=False, written=len(documents))
        return result
