"""The state directory and its one writer's place, with real second and killed processes."""

from __future__ import annotations

import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.errors import ByokError, CursorBusy
from reconciler.state import LOCK, directory, make_file, make_private, single_writer

HOLD = """
import sys
from pathlib import Path
from reconciler.state import single_writer
with single_writer(Path(sys.argv[1]), "apply", float(sys.argv[2])):
    print("in", flush=True)
    sys.stdin.readline()
"""

COUNT = """
import sys
from pathlib import Path
from reconciler.state import single_writer
for _ in range(25):
    with single_writer(Path(sys.argv[1]), "apply", 60):
        file = Path(sys.argv[1]) / "figure"
        file.write_text(str(int(file.read_text()) + 1))
"""


@pytest.fixture
def holder():
    """Start processes that hold the writer's place until their input ends."""
    started = []

    def start(folder, seconds=5):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_the_directory_is_the_option_then_the_variable_then_the_platforms(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {"BYOK_STATE_DIR": "named"}
    assert directory(Path("chosen"), env) == tmp_path / "chosen"
    assert directory(None, env) == tmp_path / "named"
    assert directory(None, {"BYOK_STATE_DIR": ""}).name == "byok"


def test_the_directory_is_made_private(tmp_path):
    made = make_private(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    assert make_private(made) == made


def test_a_directory_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ByokError, match=r"cannot be made.*--state-dir"):
            make_private(path)


@pytest.mark.skipif(os.name != "posix", reason="only on POSIX: modes and owners")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path, mode):
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ByokError, match=r"others may write.*chmod 700"):
        make_private(folder)
    folder.chmod(0o755)
    make_private(folder)


def test_the_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ByokError, match="belongs to another user"):
        make_private(tmp_path)


def test_a_file_is_made_private_and_a_wide_one_is_narrowed(tmp_path):
    path = tmp_path / "file"
    before = os.umask(0)
    try:
        make_file(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("kept")
    path.chmod(0o644)
    make_file(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("kept", 0o600)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "loose").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "loose", "folder", "pipe"):
        with pytest.raises(ByokError, match="is not a plain file"):
            make_file(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ByokError, match="cannot be opened"):
        make_file(tmp_path / "none" / "file")


def test_a_second_writer_waits_and_comes_in(tmp_path, holder):
    first = holder(tmp_path)
    assert first.stdout.readline() == "in\n"
    second = holder(tmp_path, 60)
    came_in, _, _ = select.select([second.stdout], [], [], 0.5)
    assert not came_in
    first.communicate("\n")
    assert second.stdout.readline() == "in\n"
    assert second.poll() is None


def test_a_second_writer_that_waited_names_the_first(tmp_path, holder):
    first = holder(tmp_path)
    first.stdout.readline()
    with pytest.raises(CursorBusy) as busy, single_writer(tmp_path, "rotate", 0.05):
        pytest.fail("there were two writers")
    pattern = rf"another byok is writing: process {first.pid} \(apply, since [\d:]{{8}} UTC\)"
    assert re.search(pattern, str(busy.value))
    assert "--wait SECONDS" in str(busy.value)
    assert busy.value.exit_code == 7


def test_a_killed_writer_leaves_nothing_behind(tmp_path, holder):
    first = holder(tmp_path)
    first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.wait()
    with single_writer(tmp_path, "apply", 0.0):
        pass


def test_a_writer_leaves_its_place_when_it_fails(tmp_path):
    with pytest.raises(KeyError), single_writer(tmp_path, "apply", 0.0):
        raise KeyError
    with single_writer(tmp_path, "apply", 0.0):
        pass


def test_another_try_in_the_same_process_does_not_free_the_place(tmp_path, holder):
    """Closing any descriptor of a file frees this process's POSIX locks on it; SQLite knows."""
    with single_writer(tmp_path, "watch", 0.0):
        with pytest.raises(CursorBusy), single_writer(tmp_path, "apply", 0.0):
            pytest.fail("there were two writers")
        other = holder(tmp_path, 0.05)
        assert other.communicate(timeout=60)[0] == ""
        assert other.returncode != 0


def test_processes_that_push_never_write_at_the_same_time(tmp_path):
    (tmp_path / "figure").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0] * 4, errors
    assert (tmp_path / "figure").read_text() == "100"


def test_who_slips_in_between_is_not_named_in_our_stead(tmp_path, monkeypatch):
    """Between saying our name and holding the place, another may come, write its own, and die."""
    connect, slipped = sqlite3.connect, []

    class Slow(sqlite3.Connection):
        def execute(self, sql, *values):
            found = super().execute(sql, *values)
            if sql == "COMMIT" and not slipped:
                slipped.append(1)
                other = connect(tmp_path / LOCK)
                other.execute("UPDATE holder SET what='process 1 (gone)'")
                other.commit()
                other.close()
            return found

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Slow))
    with single_writer(tmp_path, "apply", 0.0):
        assert slipped
        named = pytest.raises(CursorBusy, match=f"process {os.getpid()} ")
        with named, single_writer(tmp_path, "rotate", 0.0):
            pytest.fail("there were two writers")


def test_a_damaged_lock_file_is_said_with_its_way_out(tmp_path):
    (tmp_path / LOCK).write_bytes(b"not a database at all" * 100)
    said = pytest.raises(ByokError, match="is damaged; delete this file")
    with said, single_writer(tmp_path, "apply", 0.0):
        pytest.fail("it was not noticed")


def test_the_lock_file_is_private(tmp_path):
    with single_writer(tmp_path / "state", "apply", 0.0):
        assert (tmp_path / "state" / LOCK).stat().st_mode & 0o777 == 0o600
