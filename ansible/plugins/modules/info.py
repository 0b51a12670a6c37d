#!/usr/bin/python
# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: info
short_description: Tell how byok and Cursor stand on a machine
version_added: 0.1.0
description:
  - Asks byok for its status, what its doctor finds and where each key is, all off line. Changes nothing.
  - Also tells what a roll-out needs to know, such as versions, the user's home and a Python that byok can run on.
options:
  manifest:
    description: The manifest's path on the target. Needed for everything in O(gather).
    type: path
  overlays:
    description: Paths of overlays on the target, the later ones over the earlier ones.
    type: list
    elements: path
    default: []
  gather:
    description: What to ask byok for.
    type: list
    elements: str
    choices: [status, doctor, keys]
    default: [status, doctor, keys]
  user:
    description: Fail when this is not the session of that user.
    type: str
  home:
    description: Where the role puts byok. C(~/.local/share/byok/fleet) without it.
    type: path
  python:
    description: Look for a Python that byok can run on, first at this path.
    type: path
  find_python:
    description: Whether to look for a Python that byok can run on.
    type: bool
    default: false
extends_documentation_fragment:
  - byok.cursor.common
attributes:
  check_mode:
    support: full
    description: It changes nothing.
  diff_mode:
    support: none
    description: It changes nothing.
author:
  - The byok authors (@byok)
"""

EXAMPLES = r"""
- name: Ask how it stands
  byok.cursor.info:
    manifest: ~/.local/share/byok/fleet/manifest/byok.yaml
    gather: [status, keys]
  register: standing
"""

RETURN = r"""
status:
  description: The document byok.status/1.
  type: dict
  returned: when asked for
doctor:
  description: The document byok.doctor/1, off line.
  type: dict
  returned: when asked for
keys:
  description: The document byok.keys/1.
  type: dict
  returned: when asked for
failures:
  description: Why a document that was asked for cannot be had.
  type: list
  elements: str
  returned: always
machine:
  description:
    - User, home, system, the versions of byok and Cursor, what the role installed, a Python for byok.
    - C(interpreter) is the Python that byok runs on, or the module's own where that cannot be told.
  type: dict
  returned: always
"""

import os
import platform
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.byok.cursor.plugins.module_utils import (
    asking,
    byok,
    pythons,
    surroundings,
)

QUESTIONS = sorted(asking.QUESTIONS)
SESSION = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


def main():
    os.environ["HOME"] = surroundings.home(os.environ)
    module = AnsibleModule(
        argument_spec=dict(
            asking.COMMON,
            manifest={"type": "path"},
            gather={
                "type": "list",
                "elements": "str",
                "choices": QUESTIONS,
                "default": ["status", "doctor", "keys"],
                "no_log": False,
            },
            user={"type": "str"},
            home={"type": "path"},
            python={"type": "path"},
            find_python={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    params = module.params
    surroundings.unmask(module, params["environment"])
    if params["user"] not in (None, surroundings.user()):
        module.fail_json(
            msg="{}: the session is {}'s, not {}'s; let the login become {}, or log in as {}".format(
                platform.node(), surroundings.user(), *[params["user"]] * 3
            )
        )
    home = params["home"] or byok.default_home()
    try:
        env = asking.environment(params)
        found, failures, program = answers(params, env, home)
    except byok.Failure as failure:
        module.fail_json(msg=str(failure), failures=[str(failure)])
    surroundings.warn(module, failures)
    machine = {
        "user": surroundings.user(),
        "uid": os.geteuid(),
        "user_home": os.environ["HOME"],
        "home": home,
        "system": platform.system(),
        "node": platform.node(),
        "cursor": surroundings.cursor_version(),
        "executable": program,
        "interpreter": interpreter(program),
        "byok": byok.version(program, env) if program else None,
        "installed": marker(home),
        "identity": identity(env),
        "session": {name: env[name] for name in SESSION if env.get(name)},
        "python": pythons.usable(params["python"], env) if params["find_python"] else None,
    }
    module.exit_json(changed=False, failures=failures, machine=machine, **found)


def answers(params, env, home):
    """Return documents, failures and the byok that gave them. Raises byok.Failure."""
    own = os.path.join(home, "venv", "bin", "byok")
    try:
        named = params["executable"] or (own if params["home"] and os.path.isfile(own) else None)
        program = byok.find(named, env.get("PATH", ""))
    except byok.Failure:
        if params["gather"]:
            raise
        return {}, [], None
    if not params["gather"]:
        return {}, [], program
    if not params["manifest"]:
        raise byok.Failure(
            "manifest: it is needed for "
            + ", ".join(params["gather"])
            + "; name it, or leave gather empty"
        )
    asking.check_manifest(params)
    found, failures = asking.ask(program, params, env, params["gather"])
    return found, failures, program


def interpreter(program):
    """Return the Python beside the real program: one in PATH may be a link into an environment."""
    folder = os.path.dirname(os.path.realpath(program)) if program else "/nowhere"
    found = [os.path.join(folder, name) for name in ("python", "python3")]
    return next((path for path in found if os.access(path, os.X_OK)), sys.executable)


def marker(home):
    """Return what the role wrote down after it installed byok, "" where it did not."""
    try:
        with open(os.path.join(home, "venv", "installed-by-role"), "rb") as file:
            return file.read(4096).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def identity(env):
    """Return where sops looks for this user's age identity."""
    if env.get("SOPS_AGE_KEY_FILE"):
        return env["SOPS_AGE_KEY_FILE"]
    folder = env.get("XDG_CONFIG_HOME")
    if not folder:
        own = ("Library/Application Support",) if sys.platform == "darwin" else (".config",)
        folder = os.path.join(env["HOME"], *own)
    return os.path.join(folder, "sops", "age", "keys.txt")


if __name__ == "__main__":
    main()
