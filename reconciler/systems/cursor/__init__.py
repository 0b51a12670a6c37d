"""Cursor on this machine: find its settings, tell whether it runs, read and write them."""

from reconciler.systems.cursor.paths import locate
from reconciler.systems.cursor.running import Running, State, running, wait_until_quit
from reconciler.systems.cursor.system import CursorSystem

__all__ = ["CursorSystem", "Running", "State", "locate", "running", "wait_until_quit"]
