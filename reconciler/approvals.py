"""Which reference may be joined with which origin on this machine, beyond the vendors' own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reconciler.ledger import Ledger
from reconciler.origins import Pairing, origin

RELATIVE = ("sops://", "file://")
"""References that mean another secret beside another manifest."""


class Approvals:
    """The approvals of one run: what the ledger has, and what this run's flags and people add.

    A relative reference is approved for one manifest's folder only. Read once at the start, in
    the thread that owns the ledger; `allows` is safe in any thread. ``offered`` collects the pairs
    that were asked for and not allowed.
    """

    def __init__(self, ledger: Ledger, folder: Path, flags: Iterable[str]) -> None:
        self._ledger, self._here, self._flags = ledger, f" of {folder}", frozenset(flags)
        self._granted = {
            (name.removesuffix(self._here), where)
            for name, where in ledger.approvals()
            if name.endswith(self._here) or not name.startswith(RELATIVE)
        }
        self._flagged: set[tuple[str, str]] = set()
        self.offered: set[tuple[str, str]] = set()

    def granted(self) -> frozenset[tuple[str, str]]:
        """Return the pairs of reference and origin on record."""
        return frozenset(self._granted)

    def allows(self, ref: str, url: str) -> bool:
        """Tell whether a reference may be joined with the origin of a URL, by record or flag."""
        pair = (ref, origin(url))
        if pair[1] in self._flags:
            self._flagged.add(pair)
        allowed = pair in self._granted or pair in self._flagged
        if not allowed:
            self.offered.add(pair)
        return allowed

    def record(self, pairings: Iterable[Pairing] = (), *, agreed: bool = False) -> None:
        """Record as approved what a flag allows, and, where agreed to, all that was offered."""
        asked = {(pair.ref, pair.origin) for pair in pairings}
        flagged = {pair for pair in asked if pair[1] in self._flags} | self._flagged
        for ref, where in sorted(flagged | (asked | self.offered if agreed else set())):
            here = self._here if ref.startswith(RELATIVE) else ""
            self._ledger.approve(ref + here, where)
            self._granted.add((ref, where))
        self.offered.clear()
