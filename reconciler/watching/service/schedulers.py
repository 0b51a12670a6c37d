"""The three schedulers: where their files are, what starts and stops a job, what they tell."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler.watching.service import launchd, systemd, windows
from reconciler.watching.service.job import File, Job

Run = Callable[[Sequence[str]], "Ran"]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a scheduler's own command ended; no ``code`` where it could not be started."""

    code: int | None
    output: str = ""
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a scheduler tells of our job; None is what it does not tell.

    ``next`` and ``last`` are ISO 8601 in UTC, or as the scheduler spells them.
    """

    active: bool | None = None
    next: str | None = None
    last: str | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A scheduler for one user; ``links`` are what starting a job leaves beside its files."""

    name: str
    paths: tuple[Path, ...]
    render: Callable[[Job], tuple[File, ...]]
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]
    ask: Callable[[Run], Pulse]
    after: tuple[tuple[str, ...], ...] = ()
    links: tuple[Path, ...] = ()
    keeps_output: bool = False
    takes_environment: bool = True


def scheduler(platform: str, env: Mapping[str, str], home: Path, state_dir: Path) -> Scheduler:
    """Return the scheduler of a platform (as `sys.platform` names it)."""
    if platform == "darwin":
        return _launchd(home)
    return _windows(env, state_dir) if platform == "win32" else _systemd(env, home)


def _systemd(env: Mapping[str, str], home: Path) -> Scheduler:
    chosen = Path(env.get("XDG_CONFIG_HOME", ""))
    folder = (chosen if chosen.is_absolute() else home / ".config") / "systemd" / "user"
    control = ("systemctl", "--user")
    reload = (*control, "daemon-reload")
    return Scheduler(
        name="systemd",
        paths=(folder / systemd.SERVICE, folder / systemd.TIMER),
        render=lambda job: systemd.files(job, folder),
        start=(reload, (*control, "enable", systemd.TIMER), (*control, "restart", systemd.TIMER)),
        stop=((*control, "disable", "--now", systemd.TIMER),),
        ask=_ask_systemd,
        after=(reload,),
        links=(folder / "timers.target.wants" / systemd.TIMER,),
        keeps_output=True,
    )


def _ask_systemd(run: Run) -> Pulse:
    show = ("systemctl", "--user", "show", "-p")
    timer = run((*show, "ActiveState,NextElapseUSecRealtime", systemd.TIMER))
    if timer.code != 0:
        return Pulse()
    told = _properties(timer.output)
    service = run((*show, "Result,ExecMainStatus,ExecMainExitTimestamp", systemd.SERVICE))
    of_service = _properties(service.output)
    last = _moment(of_service.get("ExecMainExitTimestamp", ""))
    result = f"{of_service.get('Result', '?')}, exit {of_service.get('ExecMainStatus', '?')}"
    return Pulse(
        active=told.get("ActiveState") == "active",
        next=_moment(told.get("NextElapseUSecRealtime", "")),
        last=last,
        result=result if last else None,
    )


def _properties(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}


def _moment(text: str) -> str | None:
    """Read ``Mon 2026-11-23 16:30:00 UTC``, as systemd spells a moment under TZ=UTC."""
    found = re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?= UTC)", text)
    if found is None:
        return None
    moment = datetime.strptime(found[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return moment.isoformat(timespec="seconds")


def _launchd(home: Path) -> Scheduler:
    folder = home / "Library" / "LaunchAgents"
    path = folder / f"{launchd.LABEL}.plist"
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    here = f"{domain}/{launchd.LABEL}"
    return Scheduler(
        name="launchd",
        paths=(path,),
        render=lambda job: launchd.files(job, folder),
        start=(("launchctl", "enable", here), ("launchctl", "bootstrap", domain, str(path))),
        stop=(("launchctl", "bootout", here),),
        ask=lambda run: _ask_launchd(run, here),
    )


def _ask_launchd(run: Run, here: str) -> Pulse:
    told = run(("launchctl", "print", here))
    if told.code is None:
        return Pulse()
    code = re.search(r"last exit code = (\d+)", told.output)
    return Pulse(active=told.code == 0, result=f"exit {code[1]}" if code else None)


def _windows(env: Mapping[str, str], state_dir: Path) -> Scheduler:
    path = state_dir / windows.FILE
    user = "\\".join(filter(None, (env.get("USERDOMAIN"), env.get("USERNAME"))))
    named = ("/TN", windows.TASK)
    return Scheduler(
        name="windows",
        paths=(path,),
        render=lambda job: windows.files(job, state_dir, user),
        start=(("schtasks", "/Create", *named, "/XML", str(path), "/F"),),
        stop=(("schtasks", "/Delete", *named, "/F"),),
        ask=_ask_windows,
        takes_environment=False,
    )


_NEXT, _LAST, _RESULT = 2, 5, 6


def _ask_windows(run: Run) -> Pulse:
    """Read the columns by their place: their names and dates are in the language of the machine."""
    told = run(("schtasks", "/Query", "/TN", windows.TASK, "/V", "/FO", "CSV", "/NH"))
    if told.code is None:
        return Pulse()
    row = next(csv.reader(told.output.splitlines()), [])
    if told.code != 0 or len(row) <= _RESULT:
        return Pulse(active=False)
    return Pulse(active=True, next=row[_NEXT], last=row[_LAST], result=f"exit {row[_RESULT]}")
