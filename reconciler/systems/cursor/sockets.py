"""Ask whether the editor's own socket or pipe for a user-data directory answers."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DEADLINE: Final = 1.0
_PIPES: Final = "\\\\.\\pipe\\"


def listening(user_data: Path, platform: str, runtime: str) -> bool | None:
    """Return whether one answers; None when that cannot be told.

    Names from Cursor 2.3.41, by a hash of the directory: on Linux in the runtime directory, else
    as on macOS in the directory itself; on Windows a named pipe, which is listed, not opened.
    """
    if platform == "win32":
        return _piped(user_data)
    answers = [_answers(path) for path in _candidates(user_data, runtime)]
    return True if True in answers else None if None in answers else False


def _names(user_data: Path) -> set[str]:
    return {str(user_data), str(user_data.resolve())}


def _candidates(user_data: Path, runtime: str) -> Iterator[Path]:
    yield from user_data.glob("*-main.sock")
    if not runtime:
        return
    for name in _names(user_data):
        mark = hashlib.sha256(name.encode()).hexdigest()[:8]
        yield from Path(runtime).glob(f"vscode-{mark}-*-main.sock")


def _answers(path: Path) -> bool | None:
    if sys.platform == "win32":
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(DEADLINE)
        try:
            client.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return None
    return True


def _piped(user_data: Path) -> bool | None:
    marks = {hashlib.sha256(name.encode()).hexdigest() for name in _names(user_data)}
    try:
        pipes = os.listdir(_PIPES)  # noqa: PTH208 (pathlib cannot list pipes)
    except OSError:
        return None
    return any(p.endswith("-main-sock") and p.partition("-")[0] in marks for p in pipes)
