"""Look at the machine's processes for Cursor: /proc on Linux, ps on macOS, tasklist on Windows."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from reconciler.systems.cursor.child import output
from reconciler.systems.cursor.paths import candidates

DEADLINE: Final = 5.0
_DIR_FLAG: Final = "--user-data-dir"
_BUNDLE: Final = re.compile(r"/Cursor( Nightly)?\.app/Contents/MacOS/Cursor( Nightly)?(?= |$)")
_DIR_IN_LINE: Final = re.compile(r" --user-data-dir[= ](.+?)(?= --?[a-z]|$)")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: whether it is any part of Cursor, its main process, and on which directories.

    ``folders`` is None when that cannot be told; then it counts for every directory.
    """

    pid: int
    cursor: bool
    main: bool = False
    folders: tuple[Path, ...] | None = field(default=())

    def uses(self, user_data: Path) -> bool:
        """Tell whether it works on this directory, or may."""
        if self.folders is None:
            return True
        return user_data.resolve() in {folder.resolve() for folder in self.folders}


def listed(platform: str) -> Callable[[], Iterable[Process] | None]:
    """Return the platform's way of listing processes; it returns None when it fails."""
    match platform:
        case "darwin":
            return lambda: of_ps(_run(["/bin/ps", "-axww", "-o", "pid=,command="]), Path.home())
        case "win32":
            tasks = ["tasklist", "/FO", "CSV", "/NH"]
            return lambda: of_tasklist(_run(tasks), os.environ, Path.home())
        case _:
            return lambda: of_proc(Path("/proc"))


def alive(pid: int, found: Iterable[Process] | None) -> bool:
    """Tell whether a process id is in use; by the list where there is one on Windows."""
    if os.name == "nt":  # there, os.kill would end it
        return found is None or any(process.pid == pid for process in found)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _run(command: Sequence[str]) -> str | None:
    printed = output(command, DEADLINE)
    return None if printed is None else printed.decode(errors="replace")


def of_proc(proc: Path) -> list[Process] | None:
    """Return every process of a Linux /proc that can be looked at, None when there is no /proc."""
    try:
        entries = [entry for entry in proc.iterdir() if entry.name.isdigit()]
    except OSError:
        return None
    if not entries:
        return None
    return list(_of_entries(entries))


def _of_entries(entries: Iterable[Path]) -> Iterator[Process]:
    for entry in entries:
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        yield _of_arguments(entry, [part for part in line.split("\0") if part])


def _of_arguments(entry: Path, arguments: Sequence[str]) -> Process:
    pid, first = int(entry.name), (arguments or [""])[0]
    # Chromium rewrites its helpers' titles into one argument with spaces.
    name = PurePosixPath(first.split(" --", 1)[0]).name.lower()
    cursor = name in ("cursor", "cursor-nightly")
    helper = " --type=" in first or any(a.startswith("--type=") for a in arguments)
    script = any(a.endswith("/cli.js") for a in arguments)  # the shell command, not the editor
    if not cursor or helper or script:
        return Process(pid, cursor)
    return Process(pid, cursor, main=True, folders=_folders(entry, arguments))


def _folders(entry: Path, arguments: Sequence[str]) -> tuple[Path, ...] | None:
    """Return the user-data directories a main process may use: its flag's, or the usual ones."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == _DIR_FLAG:
            value = value if equals else "".join(arguments[index + 1 : index + 2])
            return (Path(value),) if Path(value).is_absolute() else None
    try:
        pairs = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        env = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        home = Path(env["HOME"])
    except (OSError, KeyError):
        return _foreign(entry)
    return candidates(env=env, platform="linux", home=home)


def _foreign(entry: Path) -> tuple[Path, ...] | None:
    """Return no directory for another user's Cursor, whose home is not ours; else: cannot tell."""
    if sys.platform == "win32":
        return None
    try:
        return None if entry.stat().st_uid == os.geteuid() else ()
    except OSError:
        return ()  # it has ended


def of_ps(output: str | None, home: Path) -> list[Process] | None:
    """Return the processes of ``ps -axww -o pid=,command=`` on macOS."""
    if output is None:
        return None
    lines = (line.strip().partition(" ") for line in output.splitlines())
    return [_of_command(int(p), command.strip(), home) for p, _, command in lines if p.isdigit()]


def _of_command(pid: int, command: str, home: Path) -> Process:
    found = _BUNDLE.search(command)
    if not found or " --type=" in command or "/cli.js" in command:
        return Process(pid, cursor=".app/Contents/" in command and "/Cursor" in command)
    flag = _DIR_IN_LINE.search(command)
    default = candidates(env={}, platform="darwin", home=home)
    return Process(pid, cursor=True, main=True, folders=(Path(flag[1]),) if flag else default)


def of_tasklist(output: str | None, env: Mapping[str, str], home: Path) -> list[Process] | None:
    """Return the processes of ``tasklist /FO CSV /NH``: it shows no arguments.

    A Cursor.exe counts for the usual directories; one on another directory is seen by its pipe.
    """
    if output is None:
        return None
    rows = [row for row in csv.reader(output.splitlines()) if len(row) > 1 and row[1].isdigit()]
    if not rows:
        return None
    default = candidates(env=env, platform="win32", home=home)
    return [_of_image(int(row[1]), row[0].lower(), default) for row in rows]


def _of_image(pid: int, image: str, default: tuple[Path, ...]) -> Process:
    cursor = image in ("cursor.exe", "cursor nightly.exe")
    return Process(pid, cursor, main=cursor, folders=default if cursor else ())
