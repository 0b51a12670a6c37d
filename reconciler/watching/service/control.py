"""Install a job with a scheduler, take it away again, and tell how it stands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join

from reconciler.errors import ByokError
from reconciler.watching.service.job import File, Job, recorded, values
from reconciler.watching.service.schedulers import Pulse, Ran, Run, Scheduler

DEADLINE = 30.0
_PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"),
    *("DBUS_SESSION_BUS_ADDRESS", "SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "TEMP", "TMP"),
)


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to each file, and what is to be said; ``active``: the scheduler runs it now."""

    files: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...] = ()
    active: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands: its files, why they are not as they would be rendered, and its pulse."""

    installed: bool
    job: Job | None = None
    drifted: tuple[str, ...] = ()
    pulse: Pulse = field(default_factory=Pulse)


def run(argv: Sequence[str]) -> Ran:
    """Run a scheduler's own command, in English and UTC, with a chosen environment."""
    env = {name: os.environ[name] for name in _PASSED if name in os.environ}
    env |= {"LC_ALL": "C", "TZ": "UTC", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        done = subprocess.run(
            list(argv),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Ran(None)
    return Ran(done.returncode, done.stdout, done.stderr)


def install(where: Scheduler, job: Job, run: Run = run) -> Done:
    """Write a job's files and have the scheduler start it. Raises ByokError for a foreign file."""
    files = where.render(job)
    for file in files:
        _refuse_foreign(Path(file.path))
    states = tuple((Path(file.path), _write(file)) for file in files)
    if where.name == "launchd":
        run(where.stop[0])  # what is loaded keeps its old definition until it is taken out
    for argv in where.start:
        ran = run(argv)
        if ran.code != 0:
            return Done(states, (_unreached(where, ran),))
    return Done(states, active=True)


def uninstall(where: Scheduler, run: Run = run) -> Done:
    """Stop a job and remove its files; a file that does not bear our mark is left, and said."""
    found = [(path, _marked(path)) for path in where.paths]
    notes = [f"{path} is not ours: left as it is" for path, job in found if job is False]
    ours = [path for path, job in found if job]
    if not ours:
        return Done((), (*notes, "nothing was installed"))
    ran = [run(argv) for argv in where.stop]
    links = [link for link in where.links if link.is_symlink()]
    for path in (*ours, *links):
        path.unlink()
    for argv in where.after:
        run(argv)
    if any(one.code is None for one in ran):
        notes.append(f"{where.name} could not be reached: nothing had to be stopped")
    return Done(tuple((path, "removed") for path in ours), tuple(notes))


def standing(where: Scheduler, run: Run = run) -> Standing:
    """Tell how a job stands; writes nothing."""
    texts = {path: _text(path) for path in where.paths}
    jobs = [recorded(text) for text in texts.values() if text is not None]
    job = next((one for one in jobs if one is not None), None)
    if job is None:
        return Standing(installed=False)
    drifted = tuple(_drift(where, job, texts))
    return Standing(installed=True, job=job, drifted=drifted, pulse=where.ask(run))


def installed(where: Scheduler) -> bool:
    """Tell whether a job of ours is installed; asks nobody."""
    return any(_marked(path) for path in where.paths)


def _drift(where: Scheduler, job: Job, texts: dict[Path, str | None]) -> Iterator[str]:
    for file in where.render(job):
        text = texts.get(Path(file.path))
        if text is None:
            yield f"{file.path} is missing"
        elif text != file.text:
            yield f"{file.path} is not as byok would write it"
    if not Path(job.command[0]).exists():
        yield f"{job.command[0]}, which is to run, is not there"
    for name in ("manifest", "overlay"):
        for path in values(job.command, f"--{name}"):
            if not Path(path).exists():
                yield f"the {name} {path} is not there"


def _unreached(where: Scheduler, ran: Ran) -> str:
    said = next((line.strip() for line in ran.complaint.splitlines() if line.strip()), "")
    why = f" ({said[:160]})" if said else ""
    missing = "is not there" if ran.code is None else "cannot be reached"
    todo = "; ".join(join(argv) for argv in where.start)
    return f"the files are written, but nobody runs them: {where.name} {missing}{why}. Run: {todo}"


def _marked(path: Path) -> bool | None:
    """Tell whether a file is ours; None where there is none."""
    text = _text(path)
    return None if text is None else recorded(text) is not None


def _text(path: Path) -> str | None:
    """Return a file's text, empty where it cannot be one of ours; None where there is none."""
    try:
        if path.is_symlink():
            return ""
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return ""
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError:
        return ""


def _refuse_foreign(path: Path) -> None:
    """Refuse a file that is there and is not ours. Raises ByokError."""
    if _marked(path) is False:
        raise ByokError(str(path), "is there already, and byok did not make it", "move it away")


def _write(file: File) -> str:
    """Write a file whole or not at all; return what became of it. Raises ByokError."""
    path = Path(file.path)
    before = _text(path)
    if before == file.text:
        return "unchanged"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as out:
            out.write(file.text.encode(file.encoding))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        what = f"cannot be written ({error.strerror})"
        raise ByokError(str(path), what, "see the folder and its rights") from None
    return "written" if before is None else "rewritten"
