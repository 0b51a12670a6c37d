"""An account that kills its client, as it gets a request, or once the work is done."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.simulators.server import Request, Response, Simulator

Meets = Callable[[Request], bool]


def asks(word: str) -> Meets:
    """Meet the request that names an operation in its path, or in its form (AWS)."""
    return lambda r: r.method == "POST" and word in f"{r.path} {r.body!r}"


def kill_at(simulator: Simulator, pid: int, meets: Meets, *, after: bool) -> None:
    """Have a process killed by the first request that meets, before its work or after it."""
    answer = simulator.answer
    done: list[Request] = []

    def deadly(request: Request) -> Response:
        if done or not meets(request):
            return answer(request)
        done.append(request)
        response = answer(request) if after else Response(503)
        os.kill(pid, signal.SIGKILL)
        return response

    simulator.answer = deadly  # type: ignore[method-assign]
