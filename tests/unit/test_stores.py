"""One scheme after the other, with real files and real child processes."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import Secret, env, exec as command, file, onepassword
from reconciler.secrets.value import LIMIT, usable

KEY = "key-" + "0123456789" * 3
POSIX = pytest.mark.skipif(os.name != "posix", reason="only on POSIX: modes, symlinks, scripts")


def problem(call):
    with pytest.raises(SecretError) as caught:
        call()
    assert KEY not in str(caught.value)
    return caught.value.kind


def script(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# values


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        (KEY + "\n", "newline"),
        (KEY + "\r", "newline"),
        (KEY + "\x00", "control"),
        (KEY + "\x7f", "control"),
        (KEY + "\u00a0", "printed"),
        (KEY + "\udcff", "printed"),
        ("x" * (LIMIT + 1), "64 KiB"),
        ("é" * (LIMIT // 2 + 1), "64 KiB"),
    ],
)
def test_unusable_values(text, word):
    with pytest.raises(SecretError, match=word) as caught:
        usable(Secret(text), "env://X")
    assert caught.value.kind is SecretProblem.UNUSABLE
    assert KEY not in str(caught.value)


def test_usable_values():
    for text in ("x", KEY, "x" * LIMIT, "schlüssel mit leerzeichen 🔑"):
        assert usable(Secret(text), "env://X").expose() == text


def test_a_json_object_may_have_several_lines():
    """So is a service account's key file, as Google Cloud writes it."""
    text = '{\n  "type": "service_account",\n  "private_key": "a\\nb"\n}\n'
    folded = '{"type":"service_account","private_key":"a\\nb"}'
    assert usable(Secret(text), "env://X").expose() == folded
    assert usable(Secret(folded), "env://X").expose() == folded
    for broken in ('{\n"a": 1', "{\n" * 60_000, '{\n"a": 1}' + " " * LIMIT):
        with pytest.raises(SecretError):
            usable(Secret(broken), "env://X")


# env


def test_env(monkeypatch):
    monkeypatch.setenv("BYOK_TEST_KEY", KEY)
    assert env.read("BYOK_TEST_KEY", "env://BYOK_TEST_KEY").expose() == KEY
    monkeypatch.setenv("BYOK_TEST_KEY", "")
    assert problem(lambda: env.read("BYOK_TEST_KEY", "w")) is SecretProblem.NO_ITEM
    monkeypatch.delenv("BYOK_TEST_KEY")
    assert problem(lambda: env.read("BYOK_TEST_KEY", "w")) is SecretProblem.NO_ITEM
    monkeypatch.setenv("BYOK_TEST_KEY", KEY + "\n")
    assert problem(lambda: env.read("BYOK_TEST_KEY", "w")) is SecretProblem.UNUSABLE


# file


def private(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def test_file_without_its_last_newline(tmp_path):
    for data in (KEY, KEY + "\n", KEY + "\r\n"):
        private(tmp_path / "keys" / "a.txt", data.encode())
        assert file.read(tmp_path, "keys/a.txt", "w").expose() == KEY


def test_file_by_an_absolute_path_inside(tmp_path):
    path = private(tmp_path / "a.txt", KEY.encode())
    assert file.read(tmp_path, str(path), "w").expose() == KEY


def test_absent_file(tmp_path):
    assert problem(lambda: file.read(tmp_path, "a.txt", "w")) is SecretProblem.NO_ITEM
    assert problem(lambda: file.read(tmp_path, "b/a.txt", "w")) is SecretProblem.NO_ITEM
    private(tmp_path / "b", b"x")
    assert problem(lambda: file.read(tmp_path, "b/a.txt", "w")) is SecretProblem.NO_ITEM


@pytest.mark.parametrize("data", [b"", b"\n", b"a\nb", b"\xff\xfe", b"a\n\n", b"x" * (LIMIT + 2)])
def test_file_with_an_unusable_value(tmp_path, data):
    private(tmp_path / "a.txt", data)
    assert problem(lambda: file.read(tmp_path, "a.txt", "w")) is SecretProblem.UNUSABLE


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_file_that_others_can_reach(tmp_path, mode):
    private(tmp_path / "a.txt", KEY.encode()).chmod(mode)
    assert problem(lambda: file.read(tmp_path, "a.txt", "w")) is SecretProblem.REFUSED


@POSIX
def test_file_must_stay_inside(tmp_path):
    folder = tmp_path / "team"
    folder.mkdir()
    outside = private(tmp_path / "outside.txt", KEY.encode())
    (folder / "link.txt").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to("loop")
    for name in ("../outside.txt", str(outside), "link.txt", "up/outside.txt", "loop"):
        assert problem(lambda: file.read(folder, name, "w")) is SecretProblem.REFUSED, name  # noqa: B023


@POSIX
def test_a_symlink_that_stays_inside_is_fine(tmp_path):
    private(tmp_path / "keys" / "a.txt", KEY.encode())
    (tmp_path / "link.txt").symlink_to("keys/a.txt")
    (tmp_path / "folder").symlink_to("keys")
    assert file.read(tmp_path, "link.txt", "w").expose() == KEY
    assert file.read(tmp_path, "folder/a.txt", "w").expose() == KEY


@POSIX
def test_a_manifest_folder_reached_by_a_symlink_is_fine(tmp_path):
    private(tmp_path / "real" / "a.txt", KEY.encode())
    (tmp_path / "team").symlink_to("real")
    assert file.read(tmp_path / "team", "a.txt", "w").expose() == KEY


@POSIX
def test_only_regular_files(tmp_path):
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("folder", "fifo", "."):
        assert problem(lambda: file.read(tmp_path, name, "w")) is SecretProblem.REFUSED, name  # noqa: B023


@POSIX
def test_a_folder_exchanged_for_a_symlink_after_the_check_is_not_followed(tmp_path):
    from reconciler.secrets.inside import locate, read_inside

    team, evil = tmp_path / "team", tmp_path / "evil"
    private(team / "keys" / "a.txt", KEY.encode())
    private(evil / "a.txt", b"evil")
    real = locate(team, "keys/a.txt", "w")
    (team / "keys").rename(team / "old")
    (team / "keys").symlink_to(evil)
    kind = problem(lambda: read_inside(team, real, "w", limit=LIMIT, private=True))
    assert kind in (SecretProblem.REFUSED, SecretProblem.NO_ITEM)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="only as an ordinary user: file modes"
)
def test_unreadable_file(tmp_path):
    private(tmp_path / "a.txt", KEY.encode()).chmod(0)
    assert problem(lambda: file.read(tmp_path, "a.txt", "w")) is SecretProblem.REFUSED


# exec


def run(text, folder, deadline=20.0):
    return command.read(text, folder, f"exec://{text}", allowed=True, deadline=deadline)


def test_exec_needs_leave(tmp_path):
    where = "exec://echo x"
    kind = problem(lambda: command.read("echo x", tmp_path, where, allowed=False))
    assert kind is SecretProblem.REFUSED


@POSIX
def test_exec(tmp_path):
    assert run(f"printf %s '{KEY}'", tmp_path).expose() == KEY
    assert run(f"echo {KEY}", tmp_path).expose() == KEY
    assert run("echo '$HOME; `id`'", tmp_path).expose() == "$HOME; `id`"
    script(tmp_path, "give", f"echo {KEY}")
    assert run("./give", tmp_path).expose() == KEY


@POSIX
def test_exec_failures(tmp_path):
    script(tmp_path, "fail", f"echo {KEY}; echo {KEY} >&2; exit 3")
    with pytest.raises(SecretError, match="ended with 3") as caught:
        run("./fail", tmp_path)
    assert caught.value.kind is SecretProblem.NO_BACKEND
    assert KEY not in str(caught.value)
    assert problem(lambda: run("./absent", tmp_path)) is SecretProblem.NO_BACKEND
    assert problem(lambda: run("no-such-program-of-byok", tmp_path)) is SecretProblem.NO_BACKEND
    assert problem(lambda: run("echo 'a", tmp_path)) is SecretProblem.REFUSED
    assert problem(lambda: run("true", tmp_path)) is SecretProblem.UNUSABLE
    assert problem(lambda: run("printf 'a\\nb'", tmp_path)) is SecretProblem.UNUSABLE


@POSIX
def test_a_child_gets_the_allowed_environment_only(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("VAULT_TOKEN", KEY)
    monkeypatch.setenv("LD_PRELOAD_X", KEY)
    monkeypatch.setenv("LC_TIME", "C")
    script(tmp_path, "names", "env | cut -d= -f1 | tr '\\n' ' '")
    names = set(run("./names", tmp_path).expose().split())
    assert {"PATH", "LC_TIME"} <= names
    assert not names & {"OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN", "LD_PRELOAD_X"}


@POSIX
def test_a_child_has_no_input_and_no_terminal(tmp_path):
    script(tmp_path, "ask", "read line || echo end; (exec </dev/tty) 2>/dev/null || echo none")
    with pytest.raises(SecretError, match="more than one line"):
        run("./ask", tmp_path)
    script(tmp_path, "ask", "read line || printf end; (exec </dev/tty) 2>/dev/null || echo none")
    assert run("./ask", tmp_path).expose() == "endnone"


@POSIX
def test_a_hanging_child_is_killed_with_its_children(tmp_path):
    script(tmp_path, "hang", f"sleep 600 & echo $! > {tmp_path}/pid; sleep 600")
    assert problem(lambda: run("./hang", tmp_path, 0.5)) is SecretProblem.TIMED_OUT
    pid = int((tmp_path / "pid").read_text())
    assert gone(pid)


def gone(pid):
    stop = threading.Event()
    for _ in range(200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        stop.wait(0.05)
    return False


@POSIX
def test_endless_output_is_cut_off(tmp_path):
    script(tmp_path, "yes", "exec yes")
    assert problem(lambda: run("./yes", tmp_path)) is SecretProblem.UNUSABLE
    script(tmp_path, "noise", f"yes | head -c 1000000 >&2; echo {KEY}")
    assert run("./noise", tmp_path).expose() == KEY


@POSIX
def test_programs_are_not_taken_from_the_current_folder(tmp_path, monkeypatch):
    script(tmp_path, "byok-planted", "echo evil")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}{os.environ['PATH']}")
    assert problem(lambda: run("byok-planted", tmp_path)) is SecretProblem.NO_BACKEND


# 1Password: a stand-in for `op`, because the real one needs an account


@pytest.fixture
def op(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda text: script(folder, "op", text)


def read_op(deadline=20.0):
    return onepassword.read("op://Dev/OpenAI/key", "op://Dev/OpenAI/key", deadline)


@POSIX
def test_op(op, monkeypatch):
    monkeypatch.setenv("OP_ACCOUNT", "acme")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    op(
        f'test "$OP_ACCOUNT$OPENAI_API_KEY" = acme && test "$*" = '
        f'"read --no-newline op://Dev/OpenAI/key" && printf %s {KEY}'
    )
    assert read_op().expose() == KEY


@POSIX
@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ('could not read secret op://a: "OpenAI" isn\'t an item in the "Dev" vault', "NO_ITEM"),
        ('"Dev" isn\'t a vault in this account. Specify the vault', "NO_ITEM"),
        ("item 'OpenAI' does not have a field 'key'", "NO_ITEM"),
        ("You are not currently signed in. Please run op signin --help", "LOCKED"),
        ("account is not signed in", "LOCKED"),
        ("No accounts configured for use with 1Password CLI.", "LOCKED"),
        ("authorization prompt dismissed, please try again", "LOCKED"),
        ("something new", "NO_BACKEND"),
    ],
)
def test_op_failures(op, words, kind):
    op(f"cat >&2 <<'END'\n[ERROR] 2026/01/01 00:00:00 {words} {KEY}\nEND\nexit 1")
    assert problem(read_op) is SecretProblem[kind]


@POSIX
def test_op_absent_or_hanging(op, monkeypatch):
    op("exec sleep 600")
    assert problem(lambda: read_op(0.5)) is SecretProblem.TIMED_OUT
    monkeypatch.setenv("PATH", "/nowhere")
    assert problem(read_op) is SecretProblem.NO_BACKEND


@POSIX
@pytest.mark.parametrize("keep_terminal", [True, False])
def test_only_who_needs_our_terminal_stays_in_our_session(keep_terminal):
    from reconciler.secrets.process import environment, run as run_child

    code = "import os; print(os.getsid(0), os.getpgid(0) == os.getpid())"
    argv = [sys.executable, "-c", code]
    outcome = run_child(argv, where="w", env=environment(), keep_terminal=keep_terminal)
    session, own_group = outcome.output.expose().split()
    assert (int(session) == os.getsid(0)) is keep_terminal
    assert own_group == "True"


def test_no_secret_is_an_argument():
    """`ps` shows arguments: whatever is fed to a child goes through its standard input."""
    from reconciler.secrets.process import environment, run as run_child

    code = "import sys; print(sys.stdin.read()[::-1])"
    outcome = run_child(
        [sys.executable, "-c", code], where="w", env=environment(), feed=b"abc" * 100_000
    )
    assert outcome.output.expose() == "cba" * 100_000 + "\n"
