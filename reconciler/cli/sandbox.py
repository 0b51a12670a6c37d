"""The command that makes a sandbox and, with --demo, tells the whole story in it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.reading import screen
from reconciler.errors import ByokError

if TYPE_CHECKING:
    from reconciler.sandbox import Sandbox

STORY: tuple[tuple[str, str], ...] = (
    ("The manifest is checked off line.", "validate"),
    ("What would change on this fresh Cursor profile?", "plan"),
    ("Make it so. Every step is recorded, then read back.", "apply --yes"),
    ("Twice equals once.", "plan --detailed-exitcode"),
    ("Now somebody changes things by hand in Cursor: OpenAI off, o1 back on.", "(drift)"),
    ("byok tells what moved since it wrote it.", "plan"),
    ("And who, as far as can be known.", "status"),
    ("Put it right.", "apply --yes"),
    ("In sync again.", "status"),
    (
        "What Cursor holds can become a manifest too: it plans to no changes, its keys in a store.",
        "init --from-cursor --secrets sops --team sandbox -f adopted.yaml",
    ),
    ("Every run is on record, and can be rolled back.", "history"),
)


@click.command()
@options.common
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--demo", is_flag=True, help="Run the whole story in it; DIR is made anew.")
def sandbox(*, folder: Path, demo: bool) -> int:
    """Make a throw-away Cursor profile with a manifest, an age key and encrypted secrets."""
    from reconciler.sandbox import make

    if demo:
        _clear(folder)
    box = make(folder)
    if demo:
        return _tell(box)
    screen().result(
        f"A sandbox is in {folder}. Try:\n"
        f"  . {shlex.quote(str(box.folder / 'env.sh'))}\n"
        f"  cd {shlex.quote(str(box.manifest.parent))}\n"
        "  byok plan"
    )
    return 0


def _clear(folder: Path) -> None:
    """Remove an earlier sandbox, and only that: a folder with anything else stays."""
    if not folder.exists():
        return
    if not (folder / "env.sh").is_file() or not (folder / "age.txt").is_file():
        raise ByokError(str(folder), "is not a sandbox", "name a folder that can be made anew")
    shutil.rmtree(folder)


def _tell(box: Sandbox) -> int:
    from reconciler.sandbox import drift

    env = {**os.environ, **box.environment}
    if screen().color:
        env["FORCE_COLOR"] = "1"
    for sentence, command in STORY:
        screen().result(f"\n# {sentence}")
        if command == "(drift)":
            drift(box)
            continue
        screen().result(f"$ byok {command}")
        argv = [sys.executable, "-m", "reconciler", *command.split()]
        code = subprocess.run(argv, cwd=box.manifest.parent, env=env, check=False).returncode
        if code != 0:
            screen().say(f"byok {command} ended with {code}")
            return code
    screen().result(f"\nLook around: . {shlex.quote(str(box.folder / 'env.sh'))}")
    return 0
