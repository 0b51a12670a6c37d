# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""Find a Python that byok can run on."""

from __future__ import annotations

import os
import subprocess

PYTHONS = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")
PLACES = (
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/local/bin",
    "/Library/Frameworks/Python.framework/Versions/Current/bin",
    "~/.local/bin",
    "~/.pyenv/shims",
)
FITS = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"


def usable(first, env):
    """Return the path of a Python >= 3.11 that can make environments, None where there is none."""
    folders = [f for f in env.get("PATH", "").split(os.pathsep) if os.path.isabs(f)]
    folders += [os.path.expanduser(place) for place in PLACES]
    seen = [first] if first else [os.path.join(f, name) for name in PYTHONS for f in folders]
    for path in dict.fromkeys(seen):
        if os.path.isfile(path) and os.access(path, os.X_OK) and fits(path, env):
            return path
    return None


def fits(path, env):
    """Tell whether a Python is new enough and whole."""
    try:
        return (
            subprocess.call(
                [path, "-c", FITS],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=20,
            )
            == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False
