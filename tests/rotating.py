"""What the tests of rotation share: a sandbox with accounts, whose keys are in their accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.entries import Rotation
from reconciler.origins import origin
from reconciler.rotation import Choice, Desk, Ended, carry_out, open_desk, tasks
from reconciler.rotation.given import Given
from reconciler.sandbox import Sandbox
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import parse
from reconciler.session import Options, Session, writing
from tests.simulators.world import World


class Killed(BaseException):
    """Stands for kill -9: nobody may catch it and go on."""


@dataclass
class Clock:
    """A clock that goes on when somebody waits."""

    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pause(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass
class Bench:
    """One machine with Cursor, a manifest in git, and accounts."""

    here: World
    box: Sandbox
    clock: Clock = field(default_factory=Clock)
    given: Given | None = None
    told: list[str] = field(default_factory=list)

    def options(self, **more: Any) -> Options:
        return Options(
            manifest=self.box.manifest,
            cursor_dir=self.box.cursor,
            state_dir=self.box.folder / "state",
            env=dict(self.box.environment),
            allow_origins=(
                origin(self.here.base),
                origin(self.here.base.replace("http:", "https:")),
            ),
            **more,
        )

    def desk(self, session: Session, kill: Callable[[Rotation], None]) -> Callable[[str], Desk]:
        def told(rotation: Rotation) -> None:
            self.told.append(rotation.stage.value)
            kill(rotation)

        def opened(name: str) -> Desk:
            desk = open_desk(session, name, given=self.given, told=told)
            return replace(desk, now=self.clock.now, pause=self.clock.pause, patience=4)

        return opened

    def rotate(
        self,
        *names: str,
        due: bool = False,
        kill: Callable[[Rotation], None] = lambda _: None,
        allow_irreversible: bool = True,
        **more: Any,
    ) -> Sequence[Ended]:
        """Do what ``byok rotate`` does, in this process."""
        with self.session(allow_irreversible=allow_irreversible) as session:
            todo = tasks(session, names, self.desk(session, kill), only_due=due)
            ended, _ = carry_out(session, todo, lambda _: True, Choice(**more))
            return ended

    @contextmanager
    def session(self, **more: Any) -> Iterator[Session]:
        with writing(self.options(**more), "byok rotate") as session:
            yield session

    def stored(self, refs: Mapping[str, str]) -> dict[str, str]:
        reader = Reader(folder=self.box.manifest.parent, snapshot=_none)
        return {name: reader.read(parse(ref)).expose() for name, ref in refs.items()}

    def open_rotations(self) -> tuple[Rotation, ...]:
        with self.session() as session:
            return session.ledger.keys.rotations(session.owner)


def _none(_number: str) -> Any:
    raise AssertionError("no copy is asked for")


def prepare(here: World) -> None:
    """Put OpenAI's key into the project that the manifest names."""
    project = here.openai.make_project("cursor-byok")
    here.openai.make_key(project, "team", here.openai.key)
