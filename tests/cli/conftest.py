"""The command line as a user meets it: a process, a sandbox, an exit code."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox import Sandbox, make

HALF_DONE = "left a change half done in it; byok apply takes that back"
USER_ROW = (
    "src.vs.platform.reactivestorage.browser.reactiveStorageServiceImpl"
    ".persistentStorage.applicationUser"
)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass
class Bench:
    """One sandbox and the byok that runs in it."""

    box: Sandbox
    env: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.box.cursor / "User" / "globalStorage" / "state.vscdb"

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        return {**kept, "PYTHONUTF8": "1", **self.box.environment, **self.env, **extra}

    def __call__(self, *args: str, stdin: str = "", **extra: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *args],
            cwd=self.box.manifest.parent,
            env=self.environment(extra),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def edit(self, old: str, new: str) -> None:
        text = self.box.manifest.read_text()
        assert old in text
        self.box.manifest.write_text(text.replace(old, new))

    def rows(self) -> dict[str, Any]:
        with closing(sqlite3.connect(self.database)) as db:
            return dict(db.execute("SELECT key, value FROM ItemTable"))

    def sql(self, text: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.database)) as db, db:
            db.execute(text, values)

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.rows()[USER_ROW])
        return document

    def change(self, **leaves: Any) -> None:
        """Change Cursor's settings as a hand, or Cursor itself, would."""
        text = json.dumps({**self.document(), **leaves}, separators=(",", ":"))
        self.sql("UPDATE ItemTable SET value=? WHERE key=?", text, USER_ROW)

    def bytes(self) -> dict[str, bytes]:
        """Every file below Cursor's directory, byte for byte."""
        found = (path for path in self.box.cursor.rglob("*") if path.is_file())
        return {str(path.relative_to(self.box.cursor)): path.read_bytes() for path in found}

    def keys(self) -> list[str]:
        """The decrypted keys of the sandbox, for canaries."""
        from reconciler.secrets.sops import binary

        file = self.box.manifest.parent / "secrets" / "team.enc.yaml"
        done = subprocess.run(
            [str(binary()), "decrypt", "--output-type", "json", str(file)],
            env=self.environment({}),
            capture_output=True,
            check=True,
        )
        return [text for group in json.loads(done.stdout).values() for text in group.values()]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("template") / "box").folder


@pytest.fixture
def byok(template: Path, tmp_path: Path) -> Bench:
    """A fresh sandbox; nothing is applied in it yet."""
    shutil.copytree(template, tmp_path / "box")
    return Bench(Sandbox(tmp_path / "box"))


@pytest.fixture
def applied(byok: Bench) -> Bench:
    """A sandbox with its manifest applied."""
    done = byok("apply", "--yes")
    assert done.code == 0, done.err
    return byok


def plan_or_half_done(byok):
    """A plan comes out, or the one reason why a command that only reads cannot make it."""
    done = byok("plan")
    assert done.code == 0 or (done.code == 7 and HALF_DONE in done.err), (done.code, done.err)
