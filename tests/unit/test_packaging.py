"""What is shipped: the lock names no machine, the wheel is whole, the tooling is all there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import reconciler

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(requirement):
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def lock():
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_the_lock_names_versions_and_hashes_and_no_host(lock):
    for line in lock.splitlines():
        assert re.fullmatch(
            r"([a-z0-9.-]+==[\w.+]+( ; .*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?)", line
        ), line


def test_every_locked_package_has_a_hash(lock):
    entries = re.split(r"\n(?=\S)", lock)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_has_everything_that_setup_needs(lock):
    locked = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["sops"]]
    wanted += PROJECT["dependency-groups"]["dev"]
    assert {name_of(w) for w in wanted} <= locked


def test_every_runtime_package_has_a_lower_bound():
    assert all(">=" in wanted for wanted in PROJECT["project"]["dependencies"])


def test_the_abandoned_sops_package_is_not_used(lock):
    assert not re.search(r"^sops==", lock, re.MULTILINE)


def test_every_ignored_rule_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split("\nignore = [\n")[1].split("\n]\n")[0]
    assert all("#" in line for line in section.splitlines())


@pytest.mark.parametrize("target", ["setup", "test", "check", "demo", "bench", "fix", "lock"])
def test_the_makefile_has_the_target(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: make and sh")
@pytest.mark.parametrize("chosen", ["", "/no/such/python"])
def test_make_says_clearly_when_there_is_no_python(tmp_path, chosen):
    for program in ("make", "sh"):
        (tmp_path / program).symlink_to(shutil.which(program) or "/missing")
    done = subprocess.run(
        [tmp_path / "make", "-C", ROOT, "setup", f"VENV={tmp_path}/venv", f"PYTHON={chosen}"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr
    assert chosen in done.stderr
    assert not (tmp_path / "venv").exists()


def test_the_wheel_holds_the_package_and_the_schemas_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "-q", "--no-isolation", "--wheel", "-o", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"byok-{reconciler.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry = next(n for n in names if n.endswith("entry_points.txt"))
        assert b"byok = reconciler.__main__:main" in archive.read(entry)
    schemas = {p.relative_to(ROOT).as_posix() for p in (ROOT / "schemas").rglob("*.json")}
    assert {n.replace("reconciler/_schemas", "schemas") for n in names} >= schemas
    assert "reconciler/py.typed" in names
    assert {n.split("/")[0] for n in names} == {
        "reconciler",
        f"byok-{reconciler.__version__}.dist-info",
    }
