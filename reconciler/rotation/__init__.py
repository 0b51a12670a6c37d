"""The way of a new key: made, tried, stored, placed in Cursor, proved; then the old one revoked."""

from reconciler.rotation.desk import Desk, open_desk
from reconciler.rotation.run import GRACE, Choice, Ended, Task, carry_out, tasks

__all__ = ["GRACE", "Choice", "Desk", "Ended", "Task", "carry_out", "open_desk", "tasks"]
