# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""The one place that runs the byok executable and reads what it prints."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

LIMIT = 32 * 1024 * 1024
"""Bytes that are read of what byok prints; a plan of 100,000 resources is smaller."""

GRACE = 20
"""Seconds between asking byok to end and killing it; it ends after the step it is at."""

NOTES = 20
"""Messages of byok that are passed on; the rest is counted."""


class Failure(Exception):
    """Byok could not be run, or its answer cannot be understood; worded for the user."""


class Answer:
    """What one run of byok said: exit code, JSON document, messages."""

    def __init__(self, code, document, notes):
        self.code, self.document, self.notes = code, document, notes

    @property
    def error(self):
        """The byok.error/1 document, or None."""
        return self.document if self.document.get("format") == "byok.error/1" else None


def default_home():
    """Return where the role puts byok for this user."""
    return os.path.join(os.path.expanduser("~"), ".local", "share", "byok", "fleet")


def find(executable, path):
    """Return the byok to run: the one that is named, else the role's, else the one in PATH."""
    if executable:
        named = os.path.expanduser(executable)
        if not os.path.isfile(named):
            raise Failure(
                named + ": there is no such program; install byok with the role"
                " byok.cursor.cursor_byok, or name it in executable"
            )
        return named
    own = os.path.join(default_home(), "venv", "bin", "byok")
    for folder in [os.path.dirname(own)] + [f for f in path.split(os.pathsep) if os.path.isabs(f)]:
        found = os.path.join(folder, "byok")
        if os.path.isfile(found) and os.access(found, os.X_OK):
            return found
    raise Failure(
        "byok: it is neither at " + own + " nor in PATH; install it with the role"
        " byok.cursor.cursor_byok, or name it in executable"
    )


def call(words, env, deadline, expected):
    """Run byok with --json and return its Answer.

    words: the command line, the program first. deadline: seconds. expected: the formats that the
    answer may have. Raises Failure.
    """
    if any(word.startswith("--accounts") for word in words):
        raise Failure(
            "byok: accounts are written from one place, never from a fleet; leave --accounts out"
        )
    code, out, err = run(words, env, deadline)
    notes = messages(err)
    if code < 0:
        raise Failure(
            f"{words[0]}: was killed ({signal_name(-code)}); run the play again, byok goes on where it was"
        )
    try:
        document = json.loads(out.decode("utf-8"))
    except ValueError:
        raise Failure(no_result(words[0], code, out, notes)) from None
    form = document.get("format") if isinstance(document, dict) else None
    if form not in (*expected, "byok.error/1"):
        raise Failure(
            f"{words[0]}: printed {brief(form)} where {expected[0]} was expected; use a byok and a collection of"
            " the same version"
        )
    return Answer(code, document, notes)


def no_result(program, code, out, notes):
    """Word the failure of a program that printed no JSON; its output itself is not repeated."""
    what = "no result" if not out.strip() else f"{len(out)} bytes that are not JSON"
    said = "" if not notes else ", and said: " + notes[-1]
    return (
        f"{program}: ended with exit {code}, printed {what}{said}; run it by hand on that machine, or install"
        " it anew with the role (it needs Python 3.11 or newer)"
    )


def version(executable, env):
    """Return byok's version, or None where it does not say it."""
    try:
        code, out, _err = run([executable, "--version"], env, 60)
    except Failure:
        return None
    words = out.decode("utf-8", "replace").split()
    return words[1] if code == 0 and len(words) == 2 and words[0] == "byok" else None


def run(words, env, deadline):
    """Run a program with no stdin; return exit code, stdout, stderr. Raises Failure."""
    try:
        child = subprocess.Popen(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            close_fds=True,
            cwd=env["HOME"] if os.path.isdir(env.get("HOME", "")) else "/",
        )
    except OSError as error:
        raise Failure(
            f"{words[0]}: cannot be started ({error.strerror}); install it anew with the role"
        ) from None
    taken = [Taken(child.stdout), Taken(child.stderr)]
    late = not ended(child, deadline)
    if late:
        stop(child)
    for reader in taken:
        reader.join(GRACE)
    if late:
        raise Failure(
            f"{words[0]}: did not end within {deadline} seconds and was stopped; look at that machine,"
            " or raise timeout"
        )
    if taken[0].over:
        raise Failure(
            f"{words[0]}: printed more than {LIMIT} bytes; it is not byok, or not this version"
        )
    return child.returncode, taken[0].data, taken[1].data


class Taken(threading.Thread):
    """Read a pipe to its end, and keep no more than LIMIT bytes of it."""

    def __init__(self, pipe):
        threading.Thread.__init__(self)
        self.daemon = True
        self.pipe, self.data, self.over = pipe, b"", False
        self.start()

    def run(self):
        parts, size = [], 0
        while True:
            part = self.pipe.read1(65536)
            if not part:
                break
            size += len(part)
            self.over = size > LIMIT
            if not self.over:
                parts.append(part)
        self.data = b"".join(parts)
        self.pipe.close()


def ended(child, seconds):
    """Wait for a process; tell whether it ended in time."""
    until = time.monotonic() + seconds
    try:
        child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def stop(child):
    """End a process and all it started: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.killpg(child.pid, number)
        if ended(child, GRACE):
            return


def signal_name(number):
    """Name a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def messages(err):
    """Return the lines of stderr, cleaned and bounded."""
    lines = [clean(line) for line in err.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line]
    left = len(lines) - NOTES
    return lines if left <= 0 else [*lines[:NOTES], f"and {left} messages more"]


def clean(text, width=400):
    """Return foreign text without control characters, on one line, bounded."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+", " ", text)
    text = " ".join(text.split())
    return text if len(text) <= width else text[:width] + "..."


def brief(value):
    """Return a foreign value's name in a few characters."""
    return clean(value, 40) if isinstance(value, str) else "something without a format"
