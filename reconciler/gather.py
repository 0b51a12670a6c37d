"""Read every system at once: those to be judged, and with their ordinary key those beside."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from reconciler.errors import ByokError, loudest
from reconciler.model import Address, Observation, Scope
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.systems import Actual, Desired, System
from reconciler.systems.account import Sight, Unjudged, caught


@dataclass(frozen=True, slots=True)
class Seen:
    """One system as it was read."""

    system: System
    desired: Desired
    actual: Actual


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that was read: ``lost`` could not be judged; ``sights`` were only looked at."""

    seen: tuple[Seen, ...]
    sights: tuple[Actual, ...]
    lost: Mapping[str, ByokError]


@dataclass(frozen=True, slots=True)
class _Lost:
    """One system that could not be judged, and what was seen of it all the same."""

    error: ByokError
    sight: Actual


def gather(session: Session, scope: Scope, *, removing: bool, watching: bool) -> Gathered:
    """Read the systems of a scope, and with ``watching`` the other accounts, a thread for each.

    ``removing`` leaves the wishes out. Raises UsageError for a system that does not exist.
    """
    judged = session.judged(scope)
    watched = session.watched(scope) if watching and not removing else ()
    with ThreadPoolExecutor(max_workers=len(judged) + len(watched)) as pool:
        reads = [
            pool.submit(_read, session, name, removing=removing, watching=watching)
            for name in judged
        ]
        watches = [pool.submit(_watch, session, name) for name in watched]
        found = [future.result() for future in reads]
        sights = tuple(future.result() for future in watches)
    lost = {n: s for n, s in zip(judged, found, strict=True) if isinstance(s, _Lost)}
    return Gathered(
        seen=tuple(one for one in found if isinstance(one, Seen)),
        sights=(*sights, *(one.sight for one in lost.values())),
        lost={name: one.error for name, one in lost.items()},
    )


def _read(session: Session, name: str, *, removing: bool, watching: bool) -> Seen | _Lost:
    wanted = Desired()
    system = session.system(name) if name == CURSOR else caught(lambda: session.system(name))
    if isinstance(system, ByokError):
        return _Lost(system, _watch(session, name) if watching else Actual())
    try:
        wanted = wanted if removing else system.desired()
        actual = system.actual()
        _ = system.identity  # an account may have to be asked, and may not answer
        return Seen(system, wanted, actual)
    except Unjudged as error:
        return _Lost(error, _sighted(error.sight))
    except ByokError as error:
        return _Lost(loudest([error, *wanted.failed.values()]), Actual())


def _sighted(sight: Sight) -> Actual:
    return Actual(observations=sight.observations, diagnostics=sight.diagnostics)


def _watch(session: Session, name: str) -> Actual:
    """Look at an account with its ordinary key; what fails there is a finding, not a failure."""
    found = caught(lambda: session.account(name, judged=False).actual())
    if isinstance(found, ByokError):
        at = Address(name, "key", name)
        return Actual(observations=(Observation(at, f"not probed: {found}"),))
    return found
