# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""The user's own session, as byok is to find it: home, bus, environment, versions."""

from __future__ import annotations

import json
import os
import pwd
import stat
import sys

from ansible.module_utils.common.parameters import remove_values

PLAIN = frozenset(
    (
        "BYOK_CURSOR_DIR",
        "BYOK_OFFLINE",
        "BYOK_STATE_DIR",
        "DBUS_SESSION_BUS_ADDRESS",
        "GNUPGHOME",
        "HOME",
        "LANG",
        "LC_ALL",
        "NO_PROXY",
        "PATH",
        "SOPS_AGE_KEY_FILE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TMPDIR",
        "TZ",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    )
)
"""Variables that hold places, never secrets: masking them would mask every path in the result."""

SHORTEST = 8
"""Characters from which a value may be a secret; masking shorter ones would mask half the text."""


def session(given, offline=False, age_key_file=None):
    """Return the environment of a byok that runs for this user, never with accounts.

    given: what the play adds. Raises ValueError where that asks for accounts.
    """
    if "BYOK_ACCOUNTS" in given:
        raise ValueError(
            "environment: BYOK_ACCOUNTS is not for a fleet: accounts are written from"
            " one place; leave it out"
        )
    env = dict(os.environ)
    env["HOME"] = home(env)
    env.update(bus(env))
    env.update((str(name), str(value)) for name, value in given.items())
    if age_key_file:
        env["SOPS_AGE_KEY_FILE"] = os.path.expanduser(age_key_file)
    if offline:
        env["BYOK_OFFLINE"] = "1"
    env.update(BYOK_ACCOUNTS="0", NO_COLOR="1", PYTHONUTF8="1")
    return {name: value for name, value in env.items() if value is not None}


def home(env):
    """Return this user's home: HOME, unless it is somebody else's, as after sudo without -H."""
    named = env.get("HOME", "")
    if named and owner(named) == os.geteuid():
        return named
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return named or "/"


def bus(env):
    """Return the variables of this user's session bus, None for what is somebody else's.

    A login over ssh has no DBUS_SESSION_BUS_ADDRESS; systemd's is at $XDG_RUNTIME_DIR/bus.
    """
    found = {"XDG_RUNTIME_DIR": None}
    for folder in (env.get("XDG_RUNTIME_DIR"), f"/run/user/{os.geteuid()}"):
        if folder and owner(folder) == os.geteuid():
            found["XDG_RUNTIME_DIR"] = folder
            break
    address = env.get("DBUS_SESSION_BUS_ADDRESS", "")
    if address.startswith("unix:path="):
        place = address[len("unix:path=") :].split(",")[0]
        if owner(place) == os.geteuid():
            return found
    elif address:
        return found
    found["DBUS_SESSION_BUS_ADDRESS"] = None
    place = os.path.join(found["XDG_RUNTIME_DIR"] or "/nowhere", "bus")
    if owner(place, stat.S_ISSOCK) == os.geteuid():
        found["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=" + place
    return found


def owner(path, kind=None):
    """Return who owns a path, None where it is not there or not of that kind."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_uid if kind is None or kind(found.st_mode) else None


def unmask(module, names_and_values):
    """Let values that are no secrets be seen: of variables that hold places, and very short ones."""
    shown = {str(value) for name, value in names_and_values.items() if name in PLAIN}
    module.no_log_values = {
        value
        for value in module.no_log_values
        if value not in shown and len(str(value)) >= SHORTEST
    }


def warn(module, notes):
    """Pass messages on; Ansible masks what a module returns, but not its warnings."""
    for note in notes:
        module.warn(remove_values(note, module.no_log_values))


def user():
    """Return this user's name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def cursor_version():
    """Return the version of the installed Cursor, None where none is where they usually are.

    (``product.json``: ``version`` and ``nameShort``; an AppImage keeps it inside.)
    """
    for path in installed():
        try:
            with open(path, "rb") as file:
                told = json.loads(file.read(1 << 20).decode("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(told, dict) and str(told.get("nameShort", "")).startswith("Cursor"):
            number = told.get("version")
            return number[:20] if isinstance(number, str) else None
    return None


def installed():
    """Return where an installation's product.json may be."""
    if sys.platform == "darwin":
        folders = ("/Applications", os.path.expanduser("~/Applications"))
        return [folder + "/Cursor.app/Contents/Resources/app/product.json" for folder in folders]
    folders = ("/usr/share/cursor", "/opt/Cursor", "/opt/cursor", "/usr/lib/cursor")
    return [folder + "/resources/app/product.json" for folder in folders]
