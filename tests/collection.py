"""The collection as Ansible finds it, and its modules as processes, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START = """
import json, runpy, sys
from ansible.module_utils.testing import patch_module_args
name, arguments = sys.argv[1], json.load(sys.stdin)
sys.argv = sys.argv[:1]
with patch_module_args(arguments):
    runpy.run_module(f"ansible_collections.byok.cursor.plugins.modules.{name}", run_name="__main__")
"""


@dataclass(frozen=True)
class Told:
    """What a module answered."""

    code: int
    document: dict[str, Any]
    out: str
    err: str

    def __getitem__(self, name: str) -> Any:
        return self.document[name]

    @property
    def warnings(self) -> list[str]:
        return [
            text if isinstance(text, str) else text["event"]["msg"]
            for text in self.document.get("warnings", [])
        ]


def linked(folder: Path) -> Path:
    """Put the collection where Ansible looks for it below ``folder``, which is returned."""
    place = folder / "ansible_collections" / "byok"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "cursor").is_symlink():
        (place / "cursor").symlink_to(ROOT / "ansible")
    return folder


def module(
    name: str,
    arguments: Mapping[str, Any],
    *,
    collections: Path,
    check: bool = False,
    diff: bool = False,
    env: Mapping[str, str] | None = None,
) -> Told:
    """Run a module as Ansible does: a process, its arguments on stdin, JSON on stdout."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": diff}
    done = subprocess.run(
        [sys.executable, "-c", START, name],
        input=json.dumps(given),
        env={
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR")},
            "PYTHONPATH": str(linked(collections)),
            "LC_ALL": "C.UTF-8",
            **(env or {}),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    document = json.loads(lines[-1]) if lines else {}
    return Told(done.returncode, document, done.stdout, done.stderr)
