"""Tell whether Cursor runs on a user-data directory; whoever cannot tell must not write."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.errors import CursorBusy
from reconciler.systems.cursor.paths import forbidden
from reconciler.systems.cursor.processes import Process, alive, listed
from reconciler.systems.cursor.sockets import listening

Listing = Callable[[], Iterable[Process] | None]


class State(StrEnum):
    """Whether Cursor runs."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Running:
    """The answer, and what it rests on, in words."""

    state: State
    evidence: str


def running(
    user_data: Path,
    *,
    platform: str = sys.platform,
    processes: Listing | None = None,
    runtime_dir: str | None = None,
) -> Running:
    """Return whether a Cursor uses this directory.

    First its own lock file and socket, then the process list as a second opinion. A Cursor on
    another ``--user-data-dir`` does not count where that can be told. ``runtime_dir`` stands for
    ``XDG_RUNTIME_DIR``. (Names: Cursor 2.3.41, main.js; it takes no Chromium SingletonLock.)
    """
    if not user_data.is_dir():
        return Running(State.NO, "there is no such directory")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "") if runtime_dir is None else runtime_dir
    found = None if (fetched := (processes or listed(platform))()) is None else list(fetched)
    opinions = [
        _lock(user_data, found),
        _socket(user_data, platform, runtime),
        _processes(user_data, found),
    ]
    for state in (State.YES, State.UNKNOWN):
        for opinion in opinions:
            if opinion.state is state:
                return opinion
    return Running(State.NO, "no lock, no socket and no process of it")


def _lock(user_data: Path, found: list[Process] | None) -> Running:
    """Judge ``code.lock``: it holds the main process's id and is left behind by a crash."""
    path = user_data / "code.lock"
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        return Running(State.NO, "no code.lock")
    except (OSError, UnicodeDecodeError):
        return Running(State.UNKNOWN, f"{path} cannot be read")
    if not (text.isdigit() and 0 < int(text) < 1 << 31):
        return Running(State.UNKNOWN, f"{path} holds no process id")
    pid = int(text)
    if not alive(pid, found):
        return Running(State.NO, "code.lock is stale")
    match = next((p for p in found or () if p.pid == pid), None)
    if match is None:
        return Running(State.UNKNOWN, f"process {pid} of code.lock runs and cannot be looked at")
    if match.cursor:
        return Running(State.YES, f"process {pid}, by code.lock")
    return Running(State.NO, "code.lock is stale: its process is another program now")


def _socket(user_data: Path, platform: str, runtime: str) -> Running:
    answer = listening(user_data, platform, runtime)
    if answer is None:
        return Running(State.UNKNOWN, "Cursor's socket can neither be reached nor ruled out")
    state = State.YES if answer else State.NO
    return Running(state, "it answers on its socket" if answer else "no socket answers")


def _processes(user_data: Path, found: list[Process] | None) -> Running:
    if found is None:
        return Running(State.UNKNOWN, "the list of processes cannot be had")
    for process in found:
        if process.main and process.uses(user_data):
            return Running(State.YES, f"process {process.pid}")
    return Running(State.NO, "no process of Cursor's")


def wait_until_quit(
    user_data: Path, seconds: float, *, probe: Callable[[Path], Running] = running
) -> None:
    """Return as soon as Cursor does not run on this directory. Raises CursorBusy after seconds."""
    seen = probe(user_data)
    if seen.state is State.NO:
        return
    if seconds <= 0:
        raise _busy(user_data, seen)
    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda seen: seen.state is not State.NO),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(0.5),
    )
    with suppress(tenacity.RetryError):
        retrying(probe, user_data)
        return
    raise _busy(user_data, probe(user_data))


def refuse_to_write(user_data: Path, probe: Callable[[Path], Running]) -> None:
    """Raise CursorBusy where Cursor runs, may run, or where byok never writes."""
    reason = forbidden(user_data, env=os.environ, platform=sys.platform)
    if reason:
        raise CursorBusy(str(user_data), "it must not be written", reason)
    answer = probe(user_data)
    if answer.state is not State.NO:
        raise _busy(user_data, answer)


def _busy(user_data: Path, seen: Running) -> CursorBusy:
    """Return the error for a Cursor that runs, or may run."""
    what = "Cursor is running" if seen.state is State.YES else "cannot tell whether Cursor runs"
    return CursorBusy(
        str(user_data), f"{what} ({seen.evidence})", "quit Cursor, or use --wait SECONDS"
    )
