"""Round after round until a signal ends it; one watcher for each state directory."""

from __future__ import annotations

import random
import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from reconciler import state
from reconciler.model import Scope
from reconciler.session import Options
from reconciler.watching.events import Event, Kind, Round
from reconciler.watching.past import LOCK
from reconciler.watching.round import make_round

DAY: Final = 86400.0
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_DOUBLINGS: Final = 20

Rounds = Callable[[Options, Scope, Callable[[], bool]], Round]


class Signals:
    """The signals that came: read from a socket, so that none is lost between a look and a sleep.

    Python writes each signal's number there, whoever's handler is set (signal.set_wakeup_fd), so
    the one that ends a step early is seen here too.
    """

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._first: int | None = None

    def sleep(self, seconds: float) -> int | None:
        """Wait until a signal ends us or the time is over; return the signal's number, or None."""
        if self.number() is None:
            select.select([self._door], [], [], max(seconds, 0.0))
        return self.number()

    def number(self) -> int | None:
        """Return the first signal that is to end us, or None."""
        if self._first is None:
            self._first = next((n for n in self._came() if n in _ENDING), None)
        return self._first

    def stopping(self) -> bool:
        """Tell whether such a signal came."""
        return self.number() is not None

    def _came(self) -> bytes:
        try:
            return self._door.recv(64)
        except BlockingIOError:
            return b""


@contextmanager
def signalled() -> Iterator[Signals]:
    """Turn SIGINT and SIGTERM into a number to be asked for, for as long as this is open."""
    inner, outer = socket.socketpair()
    with inner, outer:
        inner.settimeout(0)
        outer.settimeout(0)
        wakeup = signal.set_wakeup_fd(outer.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, _noted) for number in _ENDING}
        try:
            yield Signals(inner)
        finally:
            for number, old in before.items():
                signal.signal(number, old if old is not None else signal.SIG_DFL)
            signal.set_wakeup_fd(wakeup)


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: the number is in the socket already."""


def watch(
    options: Options,
    scope: Scope,
    every: float,
    tell: Callable[[Event], None],
    *,
    once: bool = False,
    make_round: Rounds = make_round,
    jitter: Callable[[], float] = random.random,
) -> int:
    """Make rounds until a signal comes, or just one; return the exit code.

    ``every`` is the seconds from one round to the next. After strained rounds the pauses double,
    up to a day; up to a tenth is added, so that a fleet does not act as one.
    Raises CursorBusy where another process watches already, ByokError where there is no place
    for the lock.
    """
    folder = state.directory(options.state_dir, options.env)
    strain = 0
    with (
        state.single_writer(folder, "byok watch", 0, lock=LOCK, doing="watching"),
        signalled() as signals,
    ):
        while True:
            found = make_round(options, scope, signals.stopping)
            for event in found.events:
                tell(event)
            number = signals.number()
            if number is None and once:
                return found.code
            strain = strain + 1 if found.strained else 0
            number = signals.sleep(pause(every, strain, jitter())) if number is None else number
            if number is not None:
                tell(Event(Kind.STOPPED, f"signal {number}"))
                return 128 + number


def pause(every: float, strain: int, jitter: float) -> float:
    """Return the seconds to the next round after so many strained ones; jitter from 0 to 1."""
    doubled = every * (1 << min(strain, _DOUBLINGS))
    return min(doubled, max(every, DAY)) * (1 + jitter / 10)
