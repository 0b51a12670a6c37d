"""Figures as ratios measured in one run; prints a table, asserts no time.

``make bench`` runs it. BYOK_BENCH_GB sets the size of the large Cursor database (2), and a
``terraform`` or ``tofu`` on PATH is measured beside us.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.sandbox import Sandbox, make

ROUNDS = 7
PYTHON = sys.executable
BYOK = [PYTHON, "-m", "reconciler"]


def best(argv: list[str], env: dict[str, str], cwd: Path) -> tuple[float, float]:
    """Return the least and the median wall time of a command, in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(argv, env=env, cwd=cwd, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times)


def row(what: str, seconds: tuple[float, float], note: str) -> None:
    print(f"{what:<46} {seconds[0] * 1000:8.0f} ms  {seconds[1] * 1000:8.0f} ms  {note}")


def environment(box: Sandbox) -> dict[str, str]:
    return {**os.environ, **box.environment, "PYTHONDONTWRITEBYTECODE": ""}


def with_models(box: Sandbox, count: int) -> None:
    lines = [f"  acme-{n}: {{ provider: openai, custom: true }}" for n in range(count)]
    box.manifest.write_text("\n".join(["version: 1", "team: bench", "models:", *lines, ""]))


def applied(box: Sandbox, count: int) -> None:
    """Put the models in Cursor by hand, and let apply adopt them: one step, not thousands."""
    with_models(box, count)
    database = box.cursor / "User/globalStorage/state.vscdb"
    with closing(sqlite3.connect(database)) as db, db:
        key, text = db.execute(
            "SELECT key, value FROM ItemTable WHERE key LIKE '%applicationUser'"
        ).fetchone()
        document = json.loads(text)
        names = [f"acme-{n}" for n in range(count)]
        document["aiSettings"]["userAddedModels"] = names
        document["aiSettings"]["modelOverrideEnabled"] = names
        db.execute(
            "UPDATE ItemTable SET value=? WHERE key=?",
            (json.dumps(document, separators=(",", ":")), key),
        )
    done = subprocess.run(
        [*BYOK, "apply", "--yes"],
        cwd=box.manifest.parent,
        env=environment(box),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return make(tmp_path / "box")


def test_start(box):
    cwd, env = box.folder, environment(box)
    bare = best([PYTHON, "-c", "pass"], env, cwd)
    version = best([*BYOK, "--version"], env, cwd)
    print()
    row("python -c pass", bare, "")
    row("byok --version", version, f"{version[0] / bare[0]:.1f} x python -c pass (goal: 4)")


def test_plan_grows_linearly(box):
    env, cwd = environment(box), box.manifest.parent
    print()
    for count, goal in ((100, "goal: 0.4 s"), (1000, ""), (10000, "goal: 4 s")):
        applied(box, count)
        taken = best([*BYOK, "plan", "--offline"], env, cwd)
        row(f"plan --offline, {count} models in sync", taken, goal)
    done = subprocess.run(
        [*BYOK, "plan", "--offline", "--json"], env=env, cwd=cwd, check=True, capture_output=True
    )
    assert json.loads(done.stdout)["summary"]["in_sync"] == 10000
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{'peak memory of the largest child':<46} {peak:8.0f} MB  (goal: 200)")


@pytest.mark.skipif(
    not (shutil.which("terraform") or shutil.which("tofu")),
    reason="only with Terraform or OpenTofu",
)
def test_against_terraform(box, tmp_path):
    program = shutil.which("terraform") or shutil.which("tofu")
    folder = tmp_path / "terraform"
    folder.mkdir()
    blocks = (f'resource "terraform_data" "r{n}" {{ input = "{n}" }}' for n in range(1000))
    (folder / "main.tf").write_text("\n".join(blocks))
    env = dict(os.environ)
    for command in (["init"], ["apply", "-auto-approve"]):
        subprocess.run([program, *command], cwd=folder, env=env, check=True, capture_output=True)
    theirs = best([program, "plan"], env, folder)
    applied(box, 1000)
    ours = best([*BYOK, "plan", "--offline"], environment(box), box.manifest.parent)
    print()
    row(f"{Path(program).name} plan, 1000 resources in sync", theirs, "")
    ratio = ours[0] / theirs[0]
    row("byok plan --offline, 1000 models in sync", ours, f"{ratio:.2f} x (goal: 0.25)")


def test_size_of_cursors_database(box):
    env, cwd = environment(box), box.manifest.parent
    applied(box, 100)
    small = best([*BYOK, "plan", "--offline"], env, cwd)
    size = float(os.environ.get("BYOK_BENCH_GB", "2"))
    with closing(sqlite3.connect(box.cursor / "User/globalStorage/state.vscdb")) as db, db:
        db.execute("PRAGMA synchronous=OFF")
        for n in range(int(size * 20)):
            db.execute("INSERT INTO cursorDiskKV VALUES (?, randomblob(50000000))", (f"chat:{n}",))
    large = best([*BYOK, "plan", "--offline"], env, cwd)
    print()
    row("plan, Cursor's database of 1 MB", small, "")
    row(
        f"plan, Cursor's database of {size:g} GB",
        large,
        f"+ {(large[0] - small[0]) * 1000:.0f} ms (goal: 20)",
    )


def test_lock_on_cursors_database(box):
    """Watch from outside how long a writer is kept out while byok plans and applies."""
    env, cwd = environment(box), box.manifest.parent
    print()
    for command, goal in ((["plan"], 20), (["apply", "--yes"], 100)):
        held = longest_lock(box.cursor / "User/globalStorage/state.vscdb", command, env, cwd)
        print(f"{'longest lock during ' + command[0]:<46} {held * 1000:8.1f} ms  (goal: {goal})")


def longest_lock(database: Path, command: list[str], env: dict[str, str], cwd: Path) -> float:
    ended, longest = threading.Event(), 0.0

    def watch() -> None:
        nonlocal longest
        since = None
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as db:
            while not ended.is_set():
                try:
                    db.execute("BEGIN EXCLUSIVE")
                    db.execute("ROLLBACK")
                    since = None
                except sqlite3.OperationalError:
                    since = since or time.perf_counter()
                    longest = max(longest, time.perf_counter() - since)
                time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    subprocess.run([*BYOK, *command], env=env, cwd=cwd, check=True, capture_output=True)
    ended.set()
    watcher.join()
    return longest
