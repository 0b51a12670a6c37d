# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""What reconcile and info have in common: options, and questions that write nothing."""

from __future__ import annotations

import os

from ansible_collections.byok.cursor.plugins.module_utils import byok, surroundings

COMMON = {
    "executable": {"type": "path"},
    "overlays": {"type": "list", "elements": "path", "default": []},
    "cursor_dir": {"type": "path"},
    "state_dir": {"type": "path"},
    "age_key_file": {"type": "path", "no_log": False},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "environment_from": {"type": "str"},
    "offline": {"type": "bool", "default": False},
    "allow_exec": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 600},
}

QUESTIONS = {
    "status": (["status"], "byok.status/1"),
    "doctor": (["doctor", "--offline"], "byok.doctor/1"),
    "keys": (["keys", "--offline"], "byok.keys/1"),
}


def common_words(params):
    """Return the part of a command line that every command of byok takes."""
    words = ["--json", "--manifest", params["manifest"]]
    for overlay in params["overlays"]:
        words += ["--overlay", overlay]
    for name in ("cursor_dir", "state_dir"):
        if params[name]:
            words += ["--" + name.replace("_", "-"), params[name]]
    return words + (["--offline"] if params["offline"] else [])


def environment(params):
    """Return the environment for byok. Raises byok.Failure."""
    try:
        return surroundings.session(
            params["environment"], params["offline"], params["age_key_file"]
        )
    except ValueError as error:
        raise byok.Failure(str(error)) from None


def check_manifest(params):
    """Raise byok.Failure where the manifest is not there: clearer than any later word."""
    for path in [params["manifest"]] + params["overlays"]:
        if not os.path.isfile(path):
            raise byok.Failure(
                f"{path}: there is no such file for {surroundings.user()} on this machine; place it there"
                " first, or name another (with the role in cursor_byok_manifest, cursor_byok_overlays)"
            )


def ask(executable, params, env, names):
    """Return the documents that were asked for, and the failures of those that cannot be had."""
    found, failures = dict.fromkeys(QUESTIONS), []
    for name in names:
        words, form = QUESTIONS[name]
        extra = ["--allow-exec"] if params["allow_exec"] else []
        try:
            answer = byok.call(
                [executable, *words, *common_words(dict(params, offline=False)), *extra],
                env,
                params["timeout"],
                (form,),
            )
        except byok.Failure as failure:
            failures.append(str(failure))
            continue
        if answer.error is None:
            found[name] = answer.document
        else:
            failures.append(
                "{}: {}: {}".format(
                    name, answer.error.get("where", ""), answer.error.get("what", "")
                )
            )
    return found, failures
