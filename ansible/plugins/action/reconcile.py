# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Run byok.cursor.reconcile with an environment that does not stand in the task."""

from __future__ import annotations

from ansible_collections.byok.cursor.plugins.plugin_utils.variables import WithEnvironment


class ActionModule(WithEnvironment):
    """The part of byok.cursor.reconcile that runs on the controller."""

    module = "byok.cursor.reconcile"
