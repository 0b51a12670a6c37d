"""The floor plan holds, and each of its contracts bites when somebody breaks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


@pytest.fixture
def copy(tmp_path):
    """A copy of the package that a test may spoil."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "reconciler", tmp_path / "reconciler", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def lint(folder):
    """Return the exit code and words of import-linter, run in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def broken(text):
    """Return the names of the contracts that import-linter calls broken."""
    return set(re.findall(r"^(.+) BROKEN\b", text, re.MULTILINE))


def test_every_contract_is_kept(copy):
    code, text = lint(copy)
    assert code == 0, text


FLOORS = "imports go down only"
SECRETS = "secrets stay near the wire"
PURE = "the core does no I/O, not even indirectly"
SYSTEMS = "systems do not know each other"
ACCOUNT = "what accounts are made of knows no provider"


@pytest.mark.parametrize(
    ("spoiled", "line", "contract"),
    [
        ("ledger.py", "import reconciler.engine", FLOORS),
        ("ledger.py", "import reconciler.planner", FLOORS),
        ("executor.py", "import reconciler.secrets", SECRETS),
        ("cli/__init__.py", "import reconciler.secrets", SECRETS),
        ("planner.py", "import os", PURE),
        ("codec.py", "import time", PURE),
        ("render/values.py", "import reconciler.state", PURE),
        ("systems/cursor_team.py", "import reconciler.systems.google", SYSTEMS),
        ("systems/account/news.py", "import reconciler.systems.google", ACCOUNT),
    ],
)
def test_a_broken_contract_is_named(copy, spoiled, line, contract):
    with (copy / "reconciler" / spoiled).open("a") as file:
        file.write(f"\n{line}\n")
    code, text = lint(copy)
    assert code != 0, text
    assert broken(text) == {contract}, text


def test_a_module_on_no_floor_breaks_the_build(copy):
    (copy / "reconciler/attic.py").write_text('"""A module that nobody placed."""\n')
    code, text = lint(copy)
    assert code != 0
    assert "attic" in text


def test_the_floor_plan_in_the_docs_is_the_one_that_is_held():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contract["tool"]["importlinter"]["contracts"][0]["layers"]
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = text.split("## Floors")[1].split("###")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")][2:]
    assert [re.findall(r"\w+", layer) for layer in layers] == [
        re.findall(r"`(\w+)`", row) for row in rows
    ]
