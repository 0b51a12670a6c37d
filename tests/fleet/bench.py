"""Figures of a large fleet: ``python -m tests.fleet.bench [--hosts 1000] [--forks 5,20,50]``.

Every host is a local connection with a home, a Cursor and a state directory of its own. CPU time is
what counts: it is the same on a busy machine, wall time is not. The interpreter and the program
that Ansible starts on a host are wrapped, so that three shares can be told apart: byok's, that of
Ansible's modules on the host, and the controller's, which is all the rest.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.ground import Ground, link, made

WRAPPER = """\
#!/bin/sh
# keeps what its child took: the shell's own times, then its children's
{program} "$@"
code=$?
times >>{log}/$$
exit $code
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One play: CPU seconds by share, wall seconds, peak memory in MiB, bytes of results."""

    what: str
    hosts: int
    controller: float
    modules: float
    byok: float
    wall: float
    memory: float
    results: int
    code: int

    def row(self) -> str:
        share = [
            f"{each / self.hosts:.2f} s" for each in (self.controller, self.modules, self.byok)
        ]
        size = f"{self.results / self.hosts / 1024:.1f} KiB"
        if self.code:
            return f"| {self.what} | {self.hosts} | no figures: it ended with {self.code} |"
        cells = [self.what, str(self.hosts), *share, f"{self.wall:.0f} s", f"{self.memory:.0f} MiB"]
        return f"| {' | '.join([*cells, size])} |"


NOTHING_MORE = ("-e", '{"cursor_byok_collect": []}')
"""What the report needs beside the plan is left out: it costs what the first table says."""

HEAD = (
    "| play | hosts | controller, CPU a host | modules, CPU a host | byok, CPU a host | wall |"
    " controller's memory | a result |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def wrapped(ground: Ground, name: str, program: Path) -> tuple[Path, Path]:
    """Write a wrapper for a program; return it, and the folder it leaves its times in."""
    log, place = ground.folder / f"{name}-times", ground.folder / f"{name}-timed"
    log.mkdir()
    place.write_text(WRAPPER.format(program=shlex.quote(str(program)), log=shlex.quote(str(log))))
    place.chmod(0o755)
    return place, log


def taken(log: Path) -> float:
    """Add up the children's times of a wrapper's log, and empty it."""
    total = 0.0
    for path in log.iterdir():
        for line in path.read_text().splitlines()[1::2]:
            for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", line):
                total += 60 * int(minutes) + float(seconds)
        path.unlink()
    return total


class Memory(threading.Thread):
    """Watch what this process's ansible-playbook and its forks take together, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.done = 0.0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(1.0):
            found = (self.proportional(entry) for entry in Path("/proc").glob("[0-9]*"))
            self.peak = max(self.peak, sum(found) / 1024)

    @staticmethod
    def proportional(entry: Path) -> int:
        try:
            if b"ansible-playbook" not in (entry / "cmdline").read_bytes():
                return 0
            return int(
                re.search(r"^Pss:\s+(\d+)", (entry / "smaps_rollup").read_text(), re.MULTILINE)[1]
            )
        except (OSError, TypeError):
            return 0


def measured(
    ground: Ground, what: str, play: Callable[[], int], logs: Sequence[Path], hosts: int
) -> Figures:
    """Run a play and return its figures; ``logs`` are those of byok's and of Python's wrapper."""
    for log in logs:
        taken(log)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    memory = Memory()
    memory.start()
    code = play()
    memory.done.set()
    memory.join()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    byok, host = (taken(log) for log in logs)
    size = sum(path.stat().st_size for path in ground.results.glob("*.json"))
    shares = (total - host, host - byok, byok)
    return Figures(what, hosts, *shares, wall, memory.peak, size, code)


def alone(ground: Ground) -> None:
    """Print what single commands of byok cost on the last host, which no play has touched."""
    person = ground.people[-1]
    env = {**os.environ, "BYOK_OFFLINE": "1", "SOPS_AGE_KEY_FILE": str(person.age_keys)}
    places = ["--cursor-dir", str(person.cursor), "--state-dir", str(person.home / "alone")]
    manifest = ["-f", str(ground.ops / "manifests/data.yaml")]
    print("| byok, off line, one host | CPU |\n| --- | --- |")
    for words in ("plan", "apply --yes", "apply --yes", "plan", "status", "keys"):
        argv = [str(ground.folder / "byok/bin/byok"), *words.split(), "--json"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*argv, *places, *manifest], env=env, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"| {words} | {cpu:.2f} s |", flush=True)


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--hosts", type=int, default=1000)
    given.add_argument("--forks", default="20", help="of the runs over all hosts")
    given.add_argument("--plays", default="plan", help="what is run over all hosts: plan,apply")
    given.add_argument("--few", type=int, default=100, help="hosts of the other runs; 0: none")
    given.add_argument("--programs", type=Path, default=Path(sys.executable).parent)
    asked = given.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    with made(asked.hosts, remote=False, programs=asked.programs.absolute(), team_key=True) as g:
        return bench(g, asked.few, asked.forks, asked.plays)


def bench(ground: Ground, few: int, forks: str, plays: str) -> int:
    """Print byok's own figures, then those of plays over few hosts and over all."""
    alone(ground)
    byok, byok_log = wrapped(ground, "byok", ground.folder / "byok/bin/byok")
    python, python_log = wrapped(ground, "python", Path(sys.executable))
    for person in ground.people:
        link(person, None)
        ground.set(
            person,
            cursor_byok_source="installed",
            cursor_byok_executable=str(byok),
            ansible_python_interpreter=str(python),
        )
    logs, hosts = (byok_log, python_log), len(ground.people)
    print(HEAD, flush=True)

    def play(name: str, count: int, fork: str) -> Figures:
        chosen = ["--limit", f"all[0:{count - 1}]"] if count < hosts else []

        def run() -> int:
            words = ("-f", fork, *NOTHING_MORE, *chosen)
            return ground.play(name, *words, capture_output=True).returncode

        figures = measured(ground, f"{name}, forks {fork}", run, logs, count)
        print(figures.row(), flush=True)
        return figures

    found = [play("plan", few, fork) for fork in ("5", "20", "50") if few]
    found += [play("apply", few, "20") for _ in ("first", "second") if few]
    for fork in forks.split(","):
        found += [play(name, hosts, fork) for name in plays.split(",")]
    return max(figures.code for figures in found)


if __name__ == "__main__":
    sys.exit(main())
