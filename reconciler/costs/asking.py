"""Ask every account what it spent, all at once, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

from reconciler import accounts
from reconciler.errors import ByokError
from reconciler.money import Money
from reconciler.session import Session
from reconciler.systems.account import Spend, Untold, caught
from reconciler.systems.account.spend import sums


@dataclass(frozen=True, slots=True)
class Told:
    """What one account answered: its spend, why there is none, or how asking failed."""

    account: str
    answer: Spend | Untold | ByokError

    @property
    def spent(self) -> Mapping[str, Money] | None:
        """The sum in each currency; None where it is not told."""
        return sums(self.answer.lines) if isinstance(self.answer, Spend) else None


def ask(session: Session, names: Sequence[str], day: date) -> tuple[Told, ...]:
    """Return what each account spent in the month of a day; one that fails leaves the others.

    Sends reads only: the session must be one that reads. Admin credentials are used.
    """
    if not names:
        return ()
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        found = [pool.submit(_asked, session, name, day) for name in names]
        return tuple(future.result() for future in found)


def _asked(session: Session, name: str, day: date) -> Told:
    def spent() -> Spend | Untold:
        for refs in accounts.admin_references(session.manifest, name):
            session.vault.seal(refs)  # a declared credential that cannot be had is no silence
        return accounts.spent(session.setting(name, judged=True), day)

    return Told(name, caught(spent))
