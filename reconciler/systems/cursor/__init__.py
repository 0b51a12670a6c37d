"""Cursor on this machine: find its settings, tell whether it runs, read and write them."""

from reconciler.systems.cursor.fresh import create_fresh_profile
from reconciler.systems.cursor.holdings import Holdings, read_holdings
from reconciler.systems.cursor.layout import SETTINGS
from reconciler.systems.cursor.paths import database, locate
from reconciler.systems.cursor.running import Running, State, running, wait_until_quit
from reconciler.systems.cursor.store import HalfDone
from reconciler.systems.cursor.system import CursorSystem

__all__ = [
    "SETTINGS",
    "CursorSystem",
    "HalfDone",
    "Holdings",
    "Running",
    "State",
    "create_fresh_profile",
    "database",
    "locate",
    "read_holdings",
    "running",
    "wait_until_quit",
]
