"""Whether Cursor runs: yes and cannot-tell both forbid writing."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from reconciler.errors import CursorBusy
from reconciler.systems.cursor import Running, State, running, wait_until_quit
from reconciler.systems.cursor.paths import candidates, database, forbidden, locate
from reconciler.systems.cursor.processes import Process, of_proc, of_ps, of_tasklist
from reconciler.systems.cursor.sockets import listening

HOME = Path("/home/u")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Cursor").mkdir()
    return tmp_path / "Cursor"


def ask(folder, processes=(), runtime=""):
    return running(folder, platform="linux", processes=lambda: processes, runtime_dir=runtime)


def test_nothing_runs(folder):
    assert ask(folder).state is State.NO
    assert ask(folder / "missing").state is State.NO


def test_a_lock_of_a_living_cursor(folder):
    (folder / "code.lock").write_text(str(os.getpid()))
    answer = ask(folder, [Process(os.getpid(), cursor=True)])
    assert answer.state is State.YES
    assert str(os.getpid()) in answer.evidence


def test_a_lock_of_a_reused_process_id_is_stale(folder):
    (folder / "code.lock").write_text(str(os.getpid()))
    assert ask(folder, [Process(os.getpid(), cursor=False)]).state is State.NO


def test_a_lock_of_a_dead_process_is_stale(folder):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (folder / "code.lock").write_text(str(child.pid))
    assert ask(folder).state is State.NO


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "9" * 30, "\uff11"])
def test_a_lock_that_makes_no_sense_forbids(folder, text):
    (folder / "code.lock").write_text(text, encoding="utf-8")
    assert ask(folder).state is State.UNKNOWN


def test_a_living_process_that_cannot_be_looked_at_forbids(folder):
    (folder / "code.lock").write_text(str(os.getpid()))
    assert ask(folder, []).state is State.UNKNOWN


def test_no_list_of_processes_forbids(folder):
    assert (
        running(folder, platform="linux", processes=lambda: None, runtime_dir="").state
        is State.UNKNOWN
    )


def test_a_socket_that_answers_and_a_stale_one():
    with tempfile.TemporaryDirectory(prefix="b") as short:
        folder, runtime = Path(short, "c"), Path(short, "r")
        folder.mkdir()
        runtime.mkdir()
        mark = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(runtime / f"vscode-{mark}-3.22-main.sock"))
        server.listen()
        assert ask(folder, runtime=str(runtime)).state is State.YES
        assert listening(folder, "linux", "") is False
        server.close()
        assert ask(folder, runtime=str(runtime)).state is State.NO
        (folder / "3.22-main.sock").write_text("not a socket")
        assert listening(folder, "darwin", "") is False
        (folder / "loop-main.sock").symlink_to(folder / "loop-main.sock")
        assert ask(folder).state is State.UNKNOWN


def test_a_cursor_on_another_directory_is_harmless(folder, tmp_path):
    def main(*folders):
        return [Process(7, cursor=True, main=True, folders=folders)]

    assert ask(folder, main(folder)).state is State.YES
    assert ask(folder, main(tmp_path / "other")).state is State.NO
    assert ask(folder, [Process(7, cursor=True, main=True, folders=None)]).state is State.YES
    assert ask(folder, [Process(7, cursor=True)]).state is State.NO
    (tmp_path / "link").symlink_to(folder)
    assert ask(tmp_path / "link", main(folder)).state is State.YES
    assert ask(folder, main(tmp_path / "link")).state is State.YES


def proc(tmp_path, *arguments, env=(), raw=None):
    entry = tmp_path / "proc" / "12"
    entry.mkdir(parents=True)
    (entry / "cmdline").write_bytes(raw or "\0".join([*arguments, ""]).encode())
    (entry / "environ").write_bytes("\0".join(env).encode())
    found = of_proc(tmp_path / "proc")
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("arguments", "main"),
    [
        (["/usr/share/cursor/cursor"], True),
        (["/tmp/.mount_Cursor1/usr/share/cursor/cursor", "--no-sandbox"], True),
        (["/usr/share/cursor/cursor", "--type=renderer"], False),
        (["/usr/share/cursor/cursor --type=gpu-process --x"], False),
        (["/usr/share/cursor/cursor", "/usr/share/cursor/resources/app/out/cli.js"], False),
        (["/usr/bin/vim", "cursor"], False),
        (["/usr/bin/cursor-agent"], False),
    ],
)
def test_main_processes_on_linux(tmp_path, arguments, main):
    assert proc(tmp_path, *arguments, env=["HOME=/home/u"]).main is main


@pytest.mark.parametrize(
    ("arguments", "env", "folders"),
    [
        (["--user-data-dir=/x y"], [], (Path("/x y"),)),
        (["--user-data-dir", "/x"], [], (Path("/x"),)),
        (["--user-data-dir=rel"], ["HOME=/home/u"], None),
        ([], [], None),
        ([], ["HOME=/home/u", "VSCODE_PORTABLE=/p"], (Path("/p/user-data"),)),
        ([], ["HOME=/home/u"], candidates(env={}, platform="linux", home=HOME)),
    ],
)
def test_the_directories_of_a_process(tmp_path, arguments, env, folders):
    assert proc(tmp_path, "/opt/cursor/cursor", *arguments, env=env).folders == folders


def test_no_proc_is_no_list(tmp_path):
    assert of_proc(tmp_path / "none") is None
    assert of_proc(tmp_path) is None


def test_the_list_of_macos():
    found = of_ps(
        "  11 /Applications/Cursor.app/Contents/MacOS/Cursor\n"
        "12 /Applications/Cursor.app/Contents/MacOS/Cursor --user-data-dir=/Users/u/a b --wait\n"
        "13 /Applications/Cursor.app/Contents/Frameworks/Cursor Helper.app/Contents/MacOS/"
        "Cursor Helper --type=gpu\n"
        "14 /usr/bin/vim Cursor\n",
        HOME,
    )
    assert found is not None
    assert [p.main for p in found] == [True, True, False, False]
    assert found[0].folders == candidates(env={}, platform="darwin", home=HOME)
    assert found[1].folders == (Path("/Users/u/a b"),)
    assert of_ps(None, HOME) is None


def test_the_list_of_windows():
    text = '"Cursor.exe","11","Console","1","100 K"\n"System","4","Services","0","1 K"\n'
    found = of_tasklist(text, {"APPDATA": "/roaming"}, HOME)
    assert found is not None
    assert [(p.pid, p.main) for p in found] == [(11, True), (4, False)]
    assert found[0].uses(Path("/roaming/Cursor"))
    assert not found[0].uses(Path("/elsewhere"))
    assert of_tasklist("INFO: none", {}, HOME) is None
    assert of_tasklist(None, {}, HOME) is None


def test_waiting_ends_when_cursor_does(folder, monkeypatch):
    import tenacity.nap

    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda _: None)
    answers = iter([State.YES, State.UNKNOWN, State.NO])
    wait_until_quit(folder, 60, probe=lambda _: Running(next(answers), "x"))
    with pytest.raises(CursorBusy, match="Cursor is running"):
        wait_until_quit(folder, 0, probe=lambda _: Running(State.YES, "x"))


@pytest.mark.parametrize(
    ("platform", "env", "expected"),
    [
        ("darwin", {}, "/home/u/Library/Application Support/Cursor"),
        ("linux", {}, "/home/u/.config/Cursor"),
        ("linux", {"XDG_CONFIG_HOME": "/x"}, "/x/Cursor"),
        ("linux", {"XDG_CONFIG_HOME": "relative"}, "/home/u/.config/Cursor"),
        ("win32", {"APPDATA": "/r"}, "/r/Cursor"),
        ("win32", {}, "/home/u/AppData/Roaming/Cursor"),
        ("linux", {"VSCODE_APPDATA": "/a"}, "/a/Cursor"),
        ("linux", {"VSCODE_PORTABLE": "/p", "VSCODE_APPDATA": "/a"}, "/p/user-data"),
        ("linux", {"BYOK_CURSOR_DIR": "/b", "VSCODE_PORTABLE": "/p"}, "/b"),
    ],
)
def test_where_cursor_keeps_its_data(platform, env, expected):
    assert locate(None, env=env, platform=platform, home=HOME) == Path(expected)
    assert locate(Path("/asked"), env=env, platform=platform, home=HOME) == Path("/asked")


def test_nightly_is_taken_where_it_is_alone(tmp_path):
    nightly = tmp_path / ".config" / "Cursor Nightly"
    nightly.mkdir(parents=True)
    assert locate(None, env={}, platform="linux", home=tmp_path) == nightly
    (tmp_path / ".config" / "Cursor").mkdir()
    assert locate(None, env={}, platform="linux", home=tmp_path).name == "Cursor"


def test_a_loop_of_links_is_explained(tmp_path):
    (tmp_path / "User").symlink_to(tmp_path / "User")
    with pytest.raises(CursorBusy, match="lead nowhere"):
        database(tmp_path)


def test_somebody_elses_closed_folder_is_named_for_what_it_is(tmp_path, monkeypatch):
    def closed(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "resolve", closed)
        with pytest.raises(CursorBusy, match=r"cannot be reached \(Permission denied\)"):
            database(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", closed)
        found = locate(None, env={}, platform="linux", home=tmp_path)
    assert found == tmp_path / ".config/Cursor"


def test_what_must_never_be_written():
    wsl = {"WSL_DISTRO_NAME": "Debian"}
    assert "WSL" in str(forbidden(Path("/mnt/c/Users/u/Cursor"), env=wsl, platform="linux"))
    assert forbidden(Path("/mnt/c/Users/u/Cursor"), env={}, platform="linux") is None
    assert forbidden(Path("/home/u/Cursor"), env=wsl, platform="linux") is None
    private = Path("/home/u/.config/Cursor Private Inference")
    assert "Private" in str(forbidden(private, env={}, platform="linux"))
