"""Running another program for a secret: chosen environment, deadline, bounded output, no shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import IO, Any

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.secret import Secret
from reconciler.secrets.value import from_bytes

DEADLINE = 30.0
"""Seconds a child may take."""

OUTPUT_LIMIT = 16 * 1024 * 1024
_COMPLAINT_LIMIT = 64 * 1024
_GRACE = 1.0

_NAMES = """
    PATH HOME USER LOGNAME LANG LANGUAGE TZ TERM TMPDIR TEMP TMP DBUS_SESSION_BUS_ADDRESS
    DISPLAY WAYLAND_DISPLAY XAUTHORITY GPG_TTY GNUPGHOME SSL_CERT_FILE SSL_CERT_DIR
    HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy
    SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT APPDATA LOCALAPPDATA PROGRAMDATA
    PROGRAMFILES USERPROFILE USERNAME HOMEDRIVE HOMEPATH
"""
_PASSED = frozenset(_NAMES.split())
_PASSED_PREFIXES = ("LC_", "XDG_")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended: exit code (negative: the signal), standard output, standard error."""

    code: int
    output: Secret
    complaint: Secret


def environment(prefixes: Iterable[str] = ()) -> dict[str, str]:
    """Return the part of our environment a child may have, plus all names with these prefixes."""
    wanted = (*_PASSED_PREFIXES, *prefixes)
    items = os.environ.items()
    return {name: text for name, text in items if name in _PASSED or name.startswith(wanted)}


def find_program(name: str) -> str | None:
    """Return a program's path from the absolute entries of PATH; never from the current folder."""
    names = (name, f"{name}.exe") if sys.platform == "win32" else (name,)
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    paths = (os.path.join(folder, each) for folder in folders for each in names)  # noqa: PTH118  hot path, no Path objects
    return next((found for path in paths if (found := which(path))), None)


def run(
    argv: Sequence[str],
    *,
    where: str,
    env: Mapping[str, str],
    deadline: float = DEADLINE,
    feed: bytes = b"",
    folder: Path | None = None,
    keep_terminal: bool = False,
) -> Outcome:
    """Run a program to its end; ``feed`` is its whole standard input.

    Past ``deadline`` seconds its whole process group is killed. ``keep_terminal`` leaves it in our
    session, for programs that tie a sign-in to it; others get a session without a terminal, so
    that a prompt fails at once instead of hanging.
    Raises SecretError: no backend (cannot be started), timed out, unusable value (output > 16 MiB).
    """
    child = _start(argv, where, env, folder, fed=bool(feed), keep_terminal=keep_terminal)
    try:
        ended, output, complaint = _converse(child, feed, time.monotonic() + deadline)
    finally:
        _end(child)
    if output.overflowed:
        raise SecretError(
            SecretProblem.UNUSABLE, where, "the program's output is larger than 16 MiB"
        )
    if not ended:
        what = f"{Path(argv[0]).name} gave no answer within {deadline:g} s"
        raise SecretError(SecretProblem.TIMED_OUT, where, what)
    return Outcome(child.returncode, from_bytes(output.data), from_bytes(complaint.data))


def _start(
    argv: Sequence[str],
    where: str,
    env: Mapping[str, str],
    folder: Path | None,
    *,
    fed: bool,
    keep_terminal: bool,
) -> subprocess.Popen[bytes]:
    group: dict[str, Any] = {"start_new_session": True}
    if keep_terminal and os.name == "posix":
        group = {"process_group": 0}
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=folder,
            bufsize=0,
            **group,
        )
    except (OSError, ValueError):
        what = f"{Path(argv[0]).name} cannot be started"
        raise SecretError(SecretProblem.NO_BACKEND, where, what, "install or repair it") from None


class _Drain:
    """One pipe read to its end in a thread; past the limit it kills the writer or drops it."""

    def __init__(self, pipe: IO[bytes], limit: int, child: subprocess.Popen[bytes] | None) -> None:
        self.overflowed = False
        self._parts: list[bytes] = []
        self._pipe, self._limit, self._child = pipe, limit, child
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    @property
    def data(self) -> bytes:
        return b"".join(self._parts)

    def _read(self) -> None:
        size = 0
        with self._pipe:
            while part := self._pipe.read(65536):
                size += len(part)
                if size <= self._limit:
                    self._parts.append(part)
                elif self._child is not None and not self.overflowed:
                    self.overflowed = True
                    _kill(self._child)


def _converse(
    child: subprocess.Popen[bytes], feed: bytes, until: float
) -> tuple[bool, _Drain, _Drain]:
    # The pipe is waited for first, because waiting for a process with a timeout is polling.
    output = _Drain(_pipe(child.stdout), OUTPUT_LIMIT, child)
    complaint = _Drain(_pipe(child.stderr), _COMPLAINT_LIMIT, None)
    if child.stdin is not None:
        threading.Thread(target=_feed, args=(child.stdin, feed), daemon=True).start()
    output.thread.join(max(0.0, until - time.monotonic()))
    try:
        child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False, output, complaint
    complaint.thread.join(_GRACE)
    return True, output, complaint


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("every child is started with pipes")
    return pipe


def _feed(pipe: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    try:
        with pipe:
            while view:
                view = view[pipe.write(view) or 0 :]
    except OSError:  # the child closed its end; its exit code tells why
        pass


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        _kill(child)
        child.wait()


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.returncode is not None:
        return
    try:
        if sys.platform != "win32":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    except (ProcessLookupError, PermissionError):
        pass
