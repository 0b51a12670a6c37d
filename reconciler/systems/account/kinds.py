"""The one System that serves every provider's account: its kinds read, judged and written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TypeAlias

from reconciler.codec import nothing
from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem, StalePlan
from reconciler.model import Address, Attrs, Change, Observation
from reconciler.systems import Actual, Applied, Desired, Rules
from reconciler.systems.account.answers import caught
from reconciler.systems.account.findings import of_error
from reconciler.systems.account.kind import (
    Kind,
    Named,
    applied,
    as_planned,
    in_force,
    seen,
    stands,
)
from reconciler.systems.account.setting import Setting, Sight

SETTLING = 12.0
"""Seconds a provider gets to show what it accepted."""

CLOSED = (Problem.NO_ACCESS, Problem.UNSUPPORTED, Problem.NOT_THERE)
"""What closes one kind of resource to this credential, and says nothing against the others."""

Looked: TypeAlias = Sight | Named | ByokError


def _nothing() -> None:
    return None


class Unjudged(ProviderError):
    """An account of which a kind could not be read; ``sight`` is what was seen all the same."""

    def __init__(self, error: ProviderError, sight: Sight) -> None:
        super().__init__(error.where, error.what, error.way_out, kind=error.kind)
        self.sight = sight


@dataclass(frozen=True, slots=True)
class Account:
    """A provider's account as a System: its ordinary key observed, its kinds reconciled.

    ``observe`` looks with the ordinary key. ``survey`` returns observations of what only the
    admin credential sees. ``kinds`` are in the order in which they depend on each other.
    ``forget`` drops what was read, so that the next read is fresh.
    """

    setting: Setting
    observe: Callable[[], Sight]
    account_id: Callable[[], str]
    kinds: tuple[Kind, ...] = ()
    survey: Sequence[Callable[[], Sight]] = ()
    forget: Callable[[], None] = _nothing
    settling: float = field(default=SETTLING)

    def __post_init__(self) -> None:
        object.__setattr__(self, "account_id", cache(self.account_id))  # asked for at each step

    @property
    def name(self) -> str:
        """The system's name."""
        return self.setting.name

    @property
    def identity(self) -> str:
        """The account that the ledger's records are kept under."""
        return f"{self.setting.name}:{self.account_id()}"

    @property
    def rules(self) -> Rules:
        """What the planner must know beyond values."""
        return Rules(
            order=tuple(kind.name for kind in self.kinds),
            containers=frozenset(kind.name for kind in self.kinds if kind.container),
            exclusive={k.name: k.exclusive for k in self.kinds if k.exclusive},
            slow={kind.name: kind.slow for kind in self.kinds if kind.slow},
            final=self._final,
            kinds=frozenset(kind.name for kind in self.kinds),
        )

    def _final(self, change: Change) -> bool:
        return self._kind(change.address.kind).final(change)

    def desired(self) -> Desired:
        """Return the manifest's wishes; nothing is asked of the provider."""
        return Desired(
            {
                self.setting.at(kind.name, name): attrs
                for kind in self.kinds
                for name, attrs in kind.desired.items()
            }
        )

    def actual(self) -> Actual:
        """Read the account, its kinds at once. Raises Unjudged where one of them cannot be read.

        What this credential may not do, or the provider does not offer, closes its kind only and
        is said once.
        """
        sights, kinds = self._read()
        sight = self._seen(sights[0], sights[1:])
        resources: dict[Address, Attrs] = {}
        closed: dict[str, str] = {}
        for kind, answer in zip(self.kinds, kinds, strict=True):
            closed |= self._judged(kind, answer, sight, resources)
        sight += self._unknown(kinds)
        said = tuple(
            Observation(self._closed(place), f"not judged: {reason}")
            for place, reason in closed.items()
        )
        return Actual(
            resources=resources,
            observations=(*sight.observations, *said),
            diagnostics=sight.diagnostics,
            closed=closed,
        )

    def _read(self) -> tuple[list[Looked], list[Looked]]:
        """Ask all there is to ask at once; return what was seen, and the kinds."""
        jobs: list[Callable[[], Sight | Named]] = [self.observe, *self.survey]
        jobs += [kind.read for kind in self.kinds]
        with ThreadPoolExecutor(max_workers=min(len(jobs), 6)) as pool:
            answers = list(pool.map(caught, jobs))
        split = 1 + len(self.survey)
        return answers[:split], answers[split:]

    def _judged(
        self, kind: Kind, answer: Looked, sight: Sight, resources: dict[Address, Attrs]
    ) -> dict[str, str]:
        """Add what was read of one kind to the resources; return what is not judged, and why."""
        closed = {f"{kind.name}/{name}": reason for name, reason in kind.barred.items()}
        match answer:
            case ProviderError(kind=problem) as error if problem in CLOSED:
                closed[kind.name] = str(error)
            case ProviderError() as error:
                raise Unjudged(error, _besides(sight, error, self.setting.pointer))
            case ByokError() as error:
                raise error
            case Mapping() as named:
                resources |= {self.setting.at(kind.name, n): seen(kind, named[n]) for n in named}
                lacking = kind.desired.keys() - named.keys() if kind.missing else ()
                closed |= {f"{kind.name}/{name}": kind.missing for name in sorted(lacking)}
        return closed

    def _unknown(self, kinds: Sequence[Looked]) -> Sight:
        """Warn of wishes that cannot be judged because a name in the manifest names nothing."""
        lost = [
            (kind, answer)
            for kind, answer in zip(self.kinds, kinds, strict=True)
            if isinstance(answer, ProviderError)
            and answer.kind is Problem.NOT_THERE
            and kind.desired
        ]
        if not lost:
            return Sight()
        names = ", ".join(kind.name for kind, _ in lost)
        what = f"{lost[0][1].where} has nothing of a name given here, so byok cannot judge {names}"
        way_out = "correct the names of the account, its project or its group"
        return self.setting.found("BYOK136", what, way_out)

    def _closed(self, place: str) -> Address:
        kind, _, name = place.partition("/")
        return self.setting.at(kind, name or "*")

    def _seen(self, key: Looked, surveyed: Sequence[Looked]) -> Sight:
        """Put together what was seen; what the admin credential may not see is said once."""
        sight = of_error(self.setting, key) if isinstance(key, ByokError) else _sight(key)
        for found in surveyed:
            match found:
                case ProviderError(kind=problem) as error if problem in CLOSED:
                    sight += self.setting.saw("account", self.name, f"not seen: {error}")
                case ByokError() as error:
                    sight += of_error(self.setting, error, "")
                case _:
                    sight += _sight(found)
        once = tuple(dict.fromkeys(sight.observations)), tuple(dict.fromkeys(sight.diagnostics))
        return Sight(*once)

    def apply(self, change: Change) -> Applied:
        """Carry out one change and read it back; twice equals once.

        Raises StalePlan when the resource is no longer as the plan saw it, ProviderError when the
        provider refuses, or shows something else than it accepted.
        """
        kind, name = self._kind(change.address.kind), change.address.name
        now = self._fresh(kind, name)
        if stands(kind, now, change):
            return applied(kind, now, change)
        moved = [e.name for e in change.edits if not as_planned(kind, now.get(e.name), e)]
        if moved:
            what = f"{', '.join(moved)} moved since the plan was made"
            raise StalePlan(str(change.address), what, "plan again", moved)
        goal = {**now, **{edit.name: edit.after for edit in change.edits}}
        goal = {n: value for n, value in goal.items() if not nothing(value)}
        refused = caught(partial(kind.write, name, now, goal))
        if isinstance(refused, ByokError):
            raise refused
        late = self._prove(kind, change)
        done = applied(kind, now, change)
        return replace(done, notes=(*done.notes, *late))

    def _prove(self, kind: Kind, change: Change) -> tuple[str, ...]:
        deadline, pause = time.monotonic() + self.settling, 0.1
        while not stands(kind, self._fresh(kind, change.address.name), change):
            if kind.slow:
                return (f"{change.address}: {in_force(kind.slow)}",)
            if time.monotonic() + pause > deadline:
                what = "was accepted, but reads back different"
                where = str(change.address)
                raise ProviderError(where, what, "run byok plan in a while", kind=Problem.UNPROVED)
            time.sleep(pause)
            pause = min(pause * 2, 3.0)
        return ()

    def _fresh(self, kind: Kind, name: str) -> Attrs:
        self.forget()
        found = caught(kind.read)
        if isinstance(found, ByokError):
            raise found
        return found.get(name, {})

    def _kind(self, name: str) -> Kind:
        for kind in self.kinds:
            if kind.name == name:
                return kind
        raise ByokError(f"{self.name}/{name}", "is no kind of resource of this account")


def _besides(sight: Sight, error: ProviderError, place: str) -> Sight:
    """Leave out what the whole account's failure, told by itself, says already."""
    found = sight.diagnostics
    kept = (d for d in found if d.path != place or not d.message.endswith(error.what))
    return Sight(sight.observations, tuple(kept))


def _sight(found: Looked) -> Sight:
    return found if isinstance(found, Sight) else Sight()


__all__ = ["CLOSED", "Account", "Unjudged"]
