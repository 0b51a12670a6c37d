#!/usr/bin/python
# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: place
short_description: Place a manifest, its overlays and its SOPS files on a machine
version_added: 0.1.0
description:
  - Brings the files of a folder on the controller to a folder on the target in one step, each 0600 in a folder 0700.
  - Files that it placed before and that are gone from the source are removed. Other files are left alone.
  - A file that holds an age identity is refused, and so is a folder on the target that belongs to another user.
options:
  src:
    description: The folder on the controller.
    type: path
    required: true
  dest:
    description: The folder on the target.
    type: path
    required: true
  patterns:
    description: Names of files to bring along, from every level of the folder.
    type: list
    elements: str
    default: ["*.yaml", "*.yml", "*.json"]
  stage:
    description:
      - Leave O(dest) alone. Where it would change, put the files into a temporary folder and name it in RV(path).
      - This is how a plan can be made, in check mode too, of what is not in place yet.
    type: bool
    default: false
  files:
    description: What is to be placed, filled in by the controller.
    type: dict
attributes:
  check_mode:
    support: full
    description: Writes nothing to O(dest). With O(stage) it fills a temporary folder, in check mode too.
  diff_mode:
    support: full
    description: Names, sizes and digests of files, never their content.
author:
  - The byok authors (@byok)
"""

EXAMPLES = r"""
- name: Place the team's manifest
  byok.cursor.place:
    src: "{{ playbook_dir }}/team"
    dest: ~/.local/share/byok/fleet/manifest
"""

RETURN = r"""
path:
  description: The folder that holds the files now.
  type: str
  returned: always
staged:
  description: Whether that is a temporary folder, which is the caller's to remove.
  type: bool
  returned: always
differs:
  description: The files that differ, or differed.
  type: list
  elements: str
  returned: always
"""

import base64
import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.byok.cursor.plugins.module_utils import surroundings

INDEX = ".placed-by-role.json"
DRAFT = ".draft"
STAGE = "byok-stage-"
OLD = 24 * 3600
"""Seconds after which a stage belongs to no play any more."""


def main():
    os.environ["HOME"] = surroundings.home(os.environ)
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "patterns": {
                "type": "list",
                "elements": "str",
                "default": ["*.yaml", "*.yml", "*.json"],
            },
            "stage": {"type": "bool", "default": False},
            "files": {"type": "dict", "no_log": True},
        },
        supports_check_mode=True,
    )
    surroundings.unmask(module, {})
    os.umask(0o077)
    dest = module.params["dest"]
    if module.params["files"] is None:
        module.fail_json(
            msg="files: is filled in by the controller; call byok.cursor.place as a task"
        )
    wanted = {name: base64.b64decode(text) for name, text in module.params["files"].items()}
    try:
        told = put(module, dest, wanted)
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename or dest}: cannot be written ({error.strerror}); see the disk and its rights"
        )
    module.exit_json(**told)


def put(module, dest, wanted):
    """Compare, then place, stage, or only tell."""
    refuse_anothers(dest)
    present = {name: content(os.path.join(dest, name)) for name in set(wanted) | placed(dest)}
    differs = sorted(name for name, data in present.items() if data != wanted.get(name))
    staged = bool(module.params["stage"] and differs)
    path = dest
    if staged:
        path = stage(wanted)
    elif differs and not module.check_mode and not module.params["stage"]:
        write(dest, wanted, differs)
    return {
        "changed": bool(differs) and not module.params["stage"],
        "path": path,
        "staged": staged,
        "differs": differs,
        "diff": {
            "before_header": dest,
            "after_header": dest,
            "before": listing({name: present[name] for name in differs}),
            "after": listing({name: wanted.get(name) for name in differs}),
        },
    }


def refuse_anothers(folder):
    """Raise OSError where a folder is another user's, who could change what is placed there."""
    if os.path.isdir(folder) and os.stat(folder).st_uid != os.geteuid():
        raise OSError(errno.EPERM, "it belongs to another user", folder)


def stage(wanted):
    """Write all files to a new temporary folder, which is returned; none stays on failure."""
    prune()
    folder = tempfile.mkdtemp(prefix=STAGE)
    try:
        write(folder, wanted, sorted(wanted))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def prune():
    """Remove the stages of plays that were killed: this user's, and older than a day."""
    place = tempfile.gettempdir()
    for name in os.listdir(place):
        path = os.path.join(place, name)
        if not name.startswith(STAGE) or os.path.islink(path):
            continue
        with contextlib.suppress(OSError):  # another run took it away meanwhile
            seen = os.stat(path)
            if seen.st_uid == os.geteuid() and seen.st_mtime < time.time() - OLD:
                shutil.rmtree(path, ignore_errors=True)


def placed(dest):
    """Return the names of the files that this module placed there before."""
    try:
        with open(os.path.join(dest, INDEX), "rb") as file:
            names = json.loads(file.read(1 << 20).decode("utf-8"))
    except (OSError, ValueError):
        return set()
    return {name for name in names if isinstance(name, str) and inside(name)}


def inside(name):
    """Tell whether a relative name stays in its folder."""
    return not os.path.isabs(name) and ".." not in name.split("/")


def content(path):
    """Return a plain file's bytes, None where there is none."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def write(folder, wanted, names):
    """Write drafts of all files, then put each in place: a full disk leaves the old ones."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    index = {INDEX: json.dumps(sorted(wanted)).encode("utf-8")}
    new = dict({name: wanted[name] for name in names if name in wanted}, **index)
    try:
        for name, data in new.items():
            draft(os.path.join(folder, name) + DRAFT, data)
    except OSError:
        for name in new:
            forget(os.path.join(folder, name) + DRAFT)
        with contextlib.suppress(OSError):  # one that was there has files in it
            os.rmdir(folder)
        raise
    for name in new:
        os.replace(os.path.join(folder, name) + DRAFT, os.path.join(folder, name))
    for name in set(names) - set(wanted):
        os.unlink(os.path.join(folder, name))


def forget(path):
    """Remove a file that may be there."""
    with contextlib.suppress(OSError):  # the first error is the one to tell
        os.unlink(path)


def draft(path, data):
    """Write a new file, 0600, down to the disk."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def listing(files):
    """Return one line for each file that is there: name, size, digest."""
    return "".join(
        f"{name} {len(data)} bytes sha256:{hashlib.sha256(data).hexdigest()[:16]}\n"
        for name, data in sorted(files.items())
        if data is not None
    )


if __name__ == "__main__":
    main()
