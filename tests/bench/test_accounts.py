"""Planning on line against the slowest account alone; seven simulators of known latency."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.simulators.world import World, world

ROUNDS = 5
LATENCY = (0.30, 0.25, 0.20, 0.15, 0.10, 0.05, 0.05)
"""Seconds that each simulator waits before it answers, in the order of `World.simulators`."""


def planned(here: World, folder: Path, env: dict[str, str], *args: str) -> float:
    """Return the median wall time of a plan, in seconds."""
    origins = (here.base, here.base.replace("http:", "https:"))
    allowed = [part for origin in origins for part in ("--allow-origin", origin)]
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        argv = [sys.executable, "-m", "reconciler", "plan", "--json", *args, *allowed]
        subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def test_plan_on_line(tmp_path):
    with world() as here:
        box = here.sandbox(tmp_path / "box")
        env, folder = {**os.environ, **box.environment}, box.manifest.parent
        print()
        for latency in (0.0, 1.0):
            for simulator, seconds in zip(here.simulators, LATENCY, strict=True):
                simulator.latency = seconds * latency
            for how in ((), ("--accounts",)):
                report(here, folder, env, how)


def report(here: World, folder: Path, env: dict[str, str], how: tuple[str, ...]) -> None:
    names = ("openai", "anthropic", "google", "azure", "bedrock", "gateway")
    offline = planned(here, folder, env, "--offline")
    together = planned(here, folder, env, *how)
    slowest, name = max((alone(here, folder, env, name, how), name) for name in names)
    latency = max(simulator.latency for simulator in here.simulators)
    what = f"plan {' '.join(how) or 'with ordinary keys'}, latency to {latency * 1000:.0f} ms"
    over = together - slowest
    print(
        f"{what:<52} {together * 1000:6.0f} ms; slowest alone {slowest * 1000:6.0f} ms ({name});"
        f" + {over * 1000:.0f} ms (goal: 300); off line {offline * 1000:.0f} ms"
    )


def alone(here: World, folder: Path, env: dict[str, str], name: str, how: tuple[str, ...]) -> float:
    """Return the time of a plan of Cursor and one account."""
    if how:
        return planned(here, folder, env, "--system", "cursor", "--system", name)
    text = (folder / "byok.yaml").read_text()
    only = folder / "only.yaml"
    only.write_text(_only(text, name))
    return planned(here, folder, env, "-f", str(only))


def _only(text: str, name: str) -> str:
    """Return the manifest with one account: the others keep their keys in Cursor only."""
    import yaml

    data = yaml.safe_load(text)
    for section in ("providers", "endpoints"):
        data[section] = {n: entry for n, entry in data[section].items() if n == name}
    data["budgets"] = {}
    data["models"] = {n: entry for n, entry in data["models"].items() if name in entry.values()}
    data.pop("cursor_team")
    return yaml.safe_dump(data)
