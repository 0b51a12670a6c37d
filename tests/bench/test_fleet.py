"""A fleet's report of 100, 1,000 and 10,000 machines, as ratios; asserts no time.

``make bench`` runs it. With a Chromium, the page's search is measured too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import fleet_results as made
from tests.chromium import PROGRAM, browser

SIZES = (100, 1_000, 10_000)
FORMATS = ("text", "markdown", "json", "html")
ROUNDS = 3


def measured(folder: Path, form: str) -> tuple[float, int, int]:
    """Return the least seconds of a run, its peak memory in MB, and the size of what it prints."""
    times, memory, size = [], 0, 0
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "reconciler", "fleet", "report", str(folder)]
        child = subprocess.Popen(
            [*command, "--format", form],
            stdout=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "80"},
        )
        assert child.stdout is not None
        with child.stdout as out:
            size = len(out.read())
        _, status, used = os.wait4(child.pid, 0)
        times.append(time.perf_counter() - begun)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        memory = max(memory, used.ru_maxrss // 1024)
    return min(times), memory, size


def test_machines(tmp_path, capsys):
    folders = {size: made.write(tmp_path / str(size), size) for size in SIZES}
    with capsys.disabled():
        print()
        for form in FORMATS:
            base = 0.0
            for size, folder in folders.items():
                seconds, memory, out = measured(folder, form)
                base = base or seconds
                print(
                    f"fleet report {form:<9} {size:>6} machines {seconds * 1000:7.0f} ms"
                    f"  {seconds / base:5.1f} x  {memory:4} MB  {out / 1024:7.0f} kB"
                )


@pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")
def test_search(tmp_path, capsys):
    script = (
        "(() => { const q = document.getElementById('q'); const times = [];"
        " for (let n = 0; n < 40; n++) { q.value = 'gpt ' + n; const a = performance.now();"
        " q.dispatchEvent(new Event('input')); document.body.offsetHeight;"
        " times.push(performance.now() - a) } return times.sort((a, b) => a - b)[20] })()"
    )
    with browser(tmp_path / "profile") as page, capsys.disabled():
        base = 0.0
        for size in SIZES:
            folder, file = made.write(tmp_path / f"r{size}", size), tmp_path / f"{size}.html"
            command = [sys.executable, "-m", "reconciler", "fleet", "report", str(folder)]
            subprocess.run([*command, "--out", str(file)], check=True, capture_output=True)
            page.open(file.as_uri())
            middle = page.run(script)
            base = base or middle
            print(f"one search among {size:>6} machines: {middle:6.1f} ms  {middle / base:5.1f} x")
