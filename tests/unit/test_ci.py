"""What decides whether a change lands: it ends well when everything did, and only then."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
STAND_IN = '#!/bin/sh\n[ "${0##*/} $1" != "$FAILING" ] || exit 3\n'
PYTHON = """#!/bin/sh
case "$2 $1" in
    "venv -m") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/byok" ;;
    "build -m") for last; do :; done; mkdir -p "$last" && : >"$last/byok.whl" ;;
esac
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="only where bash is")
@pytest.mark.parametrize(
    ("failing", "ends"),
    [("nothing", 0), ("make setup", 3), ("make lint", 3), ("make test", 3), ("ansible ", 1)],
)
def test_it_ends_as_its_parts_did_and_leaves_nothing_behind(tmp_path, failing, ends):
    programs = tmp_path / "programs"
    stand_ins = [programs / name for name in ("make", "npm", "git", "apt-get")]
    python, ansible = tmp_path / ".venv/bin/python", tmp_path / ".ci/ansible"
    for path in (*stand_ins, python, ansible):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PYTHON if path == python else STAND_IN)
        path.chmod(0o755)
    shutil.copy(RUN, tmp_path / ".ci/run")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(scratch), "FAILING": failing}

    done = subprocess.run(
        [tmp_path / ".ci/run"], env=env, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == ends, done.stderr
    assert list(scratch.iterdir()) == []
