"""Every key by its fingerprint: where it is from and used, how old, and whether it lives."""

from reconciler.inventory.entry import DEAD, GRACE, LIVE, REVOKED, UNKNOWN, WAITING, Entry, Use
from reconciler.inventory.take import Inventory, take

__all__ = [
    "DEAD",
    "GRACE",
    "LIVE",
    "REVOKED",
    "UNKNOWN",
    "WAITING",
    "Entry",
    "Inventory",
    "Use",
    "take",
]
