"""The command that has the operating system make the rounds: service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.reading import screen
from reconciler.cli.watch import EVERY, watched
from reconciler.errors import Declined

if TYPE_CHECKING:
    from reconciler.spec import Manifest
    from reconciler.watching.service.control import Done, Standing
    from reconciler.watching.service.job import File, Job
    from reconciler.watching.service.schedulers import Scheduler

NOTHING = 2
"""The exit code of a status that finds something to do: not there, not running, not as made."""


@click.command()
@options.common
@options.resolving
@click.argument("action", type=click.Choice(("install", "uninstall", "status")))
@click.option("--interval", default=EVERY, show_default=True, help="Time between two rounds.")
@click.option("--print", "show", is_flag=True, help="Show the files and write nothing.")
def service(*, action: str, interval: str, show: bool) -> int:
    """Have systemd, launchd or Windows run byok watch --once every 15 minutes, for you alone."""
    from reconciler.watching.service import control

    where = scheduler()
    match action:
        case "uninstall":
            return _report(action, where, control.uninstall(where))
        case "status":
            return _standing(where, control.standing(where))
        case _:
            return _install(where, interval, show=show)


def scheduler() -> Scheduler:
    """Return the scheduler of this machine."""
    from reconciler import state
    from reconciler.watching.service import schedulers

    folder = state.directory(options.given("state_dir"), os.environ)
    return schedulers.scheduler(sys.platform, os.environ, Path.home(), folder)


def _install(where: Scheduler, interval: str, *, show: bool) -> int:
    from reconciler.watching.service import control

    manifest = options.manifest()
    job = _job(where, interval)
    files = where.render(job)
    notes = _notes(where, manifest)
    if show:
        return _print(where, files, notes)
    asks = options.interactive()
    names = ", ".join(str(file.path) for file in files)
    if asks and not click.confirm(f"Write {names}, and start it?", default=False, err=True):
        raise Declined("service", "declined; nothing was written")
    done = control.install(where, job)
    return _report("install", where, done, notes)


def _job(where: Scheduler, interval: str) -> Job:
    """Return what is to run: this byok, on this manifest, profile and state, by absolute paths."""
    from reconciler import state
    from reconciler.systems.cursor import locate
    from reconciler.watching import interval as span
    from reconciler.watching.service.job import Job, checked, taken_along

    scope, env = watched(), os.environ
    folder = state.directory(options.given("state_dir"), env)
    cursor = locate(options.given("cursor_dir"), env=env, platform=sys.platform, home=Path.home())
    command = [
        *(_python(), "-P", "-m", "reconciler", "watch", "--once"),
        *("--manifest", str(options.manifest_path().absolute())),
        *(word for path in options.overlays() for word in ("--overlay", str(path.absolute()))),
        *("--cursor-dir", str(cursor.absolute()), "--state-dir", str(folder)),
        *(("--offline",) if scope.offline else ()),
        *(("--allow-exec",) if options.given("allow_exec") else ()),
        *(word for target in scope.targets for word in ("--target", target)),
        *(() if where.keeps_output else ("--log", str(folder / "watch.log"))),
    ]
    variables = taken_along(env) if where.takes_environment else {}
    return checked(Job(tuple(command), variables, span.parse(interval)))


def _python() -> str:
    """Return this interpreter; on Windows the one that opens no console window.

    -P keeps the current folder, which may be a checkout of somebody else's, off the import path.
    """
    here = Path(sys.executable).absolute()
    windowless = here.with_name("pythonw.exe")
    return str(windowless if sys.platform == "win32" and windowless.exists() else here)


def _notes(where: Scheduler, manifest: Manifest) -> tuple[str, ...]:
    """Say what a job will not have that this shell has."""
    from reconciler.watching.service.job import taken_along

    refs = (
        ref
        for noun in (*manifest.providers.values(), *manifest.endpoints.values())
        for group in _groups(noun)
        for ref in group
    )
    names = sorted({ref.removeprefix("ref+") for ref in refs if "env://" in ref})
    found = [f"{ref} will not be there for it: no secret is written down" for ref in names]
    if os.environ.get("SOPS_AGE_KEY"):
        what = "SOPS_AGE_KEY is a secret and is not written down"
        found.append(f"{what}: put the identity into a file, and name it in SOPS_AGE_KEY_FILE")
    if not where.takes_environment:
        own = sorted(taken_along(os.environ).keys() - {"PATH", "LANG"})
        found += [f"{name} is not taken along: set it for your user with setx" for name in own]
    return tuple(found)


def _groups(noun: Any) -> tuple[Any, ...]:
    return tuple(noun.secrets.values()) if hasattr(noun, "secrets") else (noun.key or (),)


def _print(where: Scheduler, files: tuple[File, ...], notes: tuple[str, ...]) -> int:
    if options.given("json"):
        told = [{"path": str(file.path), "text": file.text} for file in files]
        screen().document(_document("print", where, files=told, notes=list(notes)))
        return 0
    for file in files:
        screen().result(f"# {file.path}\n{file.text}")
    _say(notes)
    return 0


def _report(action: str, where: Scheduler, done: Done, notes: tuple[str, ...] = ()) -> int:
    said = (*notes, *done.notes)
    if options.given("json"):
        told = [{"path": str(path), "state": state} for path, state in done.files]
        fields = {"files": told, "active": done.active, "notes": list(said)}
        screen().document(_document(action, where, **fields))
    elif done.files:
        screen().lines([f"{path}: {state}" for path, state in done.files])
        if done.active:
            screen().result(f"{where.name} runs it. See byok service status.")
    _say(said)
    return 0


def _standing(where: Scheduler, found: Standing) -> int:
    from dataclasses import asdict

    pulse = asdict(found.pulse)
    every = found.job.every if found.job else None
    if options.given("json"):
        fields = {"installed": found.installed, "every": every, "drifted": list(found.drifted)}
        screen().document(_document("status", where, **fields, **pulse))
    else:
        screen().lines(_lines(where, found))
    well = found.installed and found.pulse.active and not found.drifted
    return 0 if well else NOTHING


def _lines(where: Scheduler, found: Standing) -> list[str]:
    if found.job is None:
        return [f"{where.name}: not installed; byok service install does it"]
    from reconciler.watching.interval import spell

    active = {True: "active", False: "not running", None: "nobody can tell whether it runs"}
    pulse = found.pulse
    words = [active[pulse.active], f"every {spell(found.job.every)}"]
    words += [f"next {pulse.next}"] if pulse.next else []
    last = " ".join(filter(None, (pulse.last, f"({pulse.result})" if pulse.result else "")))
    words += [f"last {last}"] if last else []
    return [
        f"{where.name}: installed, {', '.join(words)}",
        *(f"  {text}" for text in found.drifted),
    ]


def _document(action: str, where: Scheduler, **fields: Any) -> dict[str, Any]:
    return {
        "format": "byok.service/1",
        "action": action,
        "scheduler": where.name,
        **fields,
    }


def _say(notes: tuple[str, ...]) -> None:
    for note in notes:
        screen().say(f"note: {note}")
