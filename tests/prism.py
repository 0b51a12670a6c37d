"""Prism serves an official API description, and refuses a request that does not fit it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START = 90.0
"""Seconds to wait for it: a small description takes three, a large one forty where it is busy."""

CHECKOUT = Path(__file__).resolve().parents[1]


def prism_binary() -> str | None:
    """Return the program: BYOK_PRISM, one on PATH, or the checkout's own from npm; else None."""
    own = CHECKOUT / "node_modules" / ".bin" / "prism"
    return os.environ.get("BYOK_PRISM") or shutil.which("prism") or shutil.which(str(own))


@contextmanager
def prism(description: Path) -> Iterator[str]:
    """Serve a description; yields the base URL. Skips the test where the program is missing.

    Answers 422 to a request that does not fit, and 404 to a path that it does not know. Stateless:
    its lists go on for ever, and what was created is not found again.
    """
    program = prism_binary()
    if program is None:
        pytest.skip("needs prism (npm): npm i @stoplight/prism-cli, on PATH or in BYOK_PRISM")
    port = _free_port()
    where = ["-h", "127.0.0.1", "-p", str(port)]
    running = subprocess.Popen(
        [program, "mock", *where, "--errors", str(description)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(running, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(running: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if running.poll() is not None:
            pytest.fail(f"prism ended with {running.returncode} before it was ready")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail("prism was not ready in time")
