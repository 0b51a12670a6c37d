"""The files that make an operating system do the rounds: rendered, escaped, installed, removed."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings, strategies as st

from reconciler.errors import ByokError, UsageError
from reconciler.watching.service import control, launchd, schedulers, systemd, windows
from reconciler.watching.service.job import Job, checked, marked, recorded, taken_along, values
from reconciler.watching.service.schedulers import Pulse, Ran, scheduler

JOB = Job(
    ("/opt/by ok/python", "-P", "-m", "reconciler", "watch", "--once", "--manifest", "/a/b.yaml"),
    {"PATH": "/usr/bin:/bin", "SOPS_AGE_KEY_FILE": '/home/a "b"/100%/key.txt'},
    900,
)
POSIX, WINDOWS = PurePosixPath("/home/ann/units"), PureWindowsPath("C:/Users/Ann/byok")
paths = st.text(
    st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30
) | st.sampled_from(
    ["a b", '"', "'", "\\", "%h", "%%", "$HOME", "${X}", ";", "#", "--", "-", "]]>"]
)
jobs = st.builds(
    Job,
    st.lists(paths, min_size=1, max_size=4).map(tuple),
    st.dictionaries(st.sampled_from(["PATH", "HOME"]), paths),
    st.integers(10, 86400),
)

SERVICE = r"""
[Unit]
Description=byok: put back what moved in Cursor

[Service]
Type=oneshot
ExecStart=":/opt/by ok/python" "-P" "-m" "reconciler" "watch" "--once" "--manifest" "/a/b.yaml"
Environment="PATH=/usr/bin:/bin"
Environment="SOPS_AGE_KEY_FILE=/home/a \"b\"/100%%/key.txt"
SuccessExitStatus=2
TimeoutStartSec=10min
Nice=10
NoNewPrivileges=yes
UMask=0077
LimitCORE=0
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
"""

TIMER = """
[Unit]
Description=byok: look after Cursor every 15m

[Timer]
OnCalendar=*-*-* *:00/15:00
Persistent=true
RandomizedDelaySec=90
AccuracySec=60

[Install]
WantedBy=timers.target
"""


def words(text):
    """Read the words of a unit's line as systemd.syntax tells it: quoted items, C escapes, %%."""
    found, rest = [], text
    while rest:
        assert rest[0] == '"', rest
        word, at = "", 1
        while rest[at] != '"':
            if rest[at] == "\\":
                assert rest[at + 1] in '\\"'
                at += 1
            elif rest[at] == "%":
                assert rest[at + 1] == "%"
                at += 1
            word += rest[at]
            at += 1
        found.append(word)
        assert rest[at + 1 : at + 2] in ("", " ")
        rest = rest[at + 2 :]
    return found


def arguments(line):
    """Read a command line as the C run-time of Windows does (CommandLineToArgvW)."""
    found, word, quoted, at, begun = [], "", False, 0, False
    while at < len(line):
        slashes = len(line[at:]) - len(line[at:].lstrip("\\"))
        if slashes and line[at + slashes : at + slashes + 1] == '"':
            word += "\\" * (slashes // 2)
            at += slashes
            if slashes % 2:
                word += '"'
                at += 1
            begun = True
            continue
        if slashes:
            word, at, begun = word + "\\" * slashes, at + slashes, True
            continue
        c = line[at]
        if c == '"':
            quoted, begun = not quoted, True
        elif c in " \t" and not quoted:
            if begun:
                found.append(word)
            word, begun = "", False
        else:
            word, begun = word + c, True
        at += 1
    return [*found, word] if begun else found


def head(job):
    return "".join(f"# {line}\n" for line in marked(job))


def test_a_systemd_service_and_its_timer():
    service, timer = systemd.files(JOB, POSIX)
    assert service.path == POSIX / "byok-watch.service"
    assert service.text == head(JOB) + SERVICE
    assert timer.path == POSIX / "byok-watch.timer"
    assert timer.text == head(JOB) + TIMER


def test_a_launchd_agent():
    (file,) = launchd.files(JOB, POSIX)
    assert file.path == POSIX / "byok.watch.plist"
    assert plistlib.loads(file.text.encode()) == {
        "Label": "byok.watch",
        "ProgramArguments": list(JOB.command),
        "EnvironmentVariables": JOB.environment,
        "StartInterval": 900,
        "RunAtLoad": True,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Umask": 0o077,
        "HardResourceLimits": {"Core": 0},
    }


ORDER = {
    "Task": ["RegistrationInfo", "Triggers", "Settings", "Principals", "Actions"],
    "TimeTrigger": ["Enabled", "StartBoundary", "Repetition"],
    "Repetition": ["Interval", "StopAtDurationEnd"],
    "Principal": ["UserId", "LogonType", "RunLevel"],
    "Exec": ["Command", "Arguments"],
}
"""Of the schema (MS-TSCH 2.5), as far as a task of ours has it; a trigger is a sequence."""


def task(job, user="HOME\\Ann"):
    (file,) = windows.files(job, WINDOWS, user)
    assert file.encoding == "utf-16"
    return ET.fromstring(file.text.encode(file.encoding))


def test_a_windows_task():
    root = task(JOB)
    space = f"{{{windows.NAMESPACE}}}"
    assert root.tag == f"{space}Task"
    for name, children in ORDER.items():
        node = next(root.iter(f"{space}{name}"))
        assert [child.tag.removeprefix(space) for child in node] == children
    told = {node.tag.removeprefix(space): node.text for node in root.iter()}
    assert told["Interval"] == "PT15M"
    assert told["UserId"] == "HOME\\Ann"
    assert told["LogonType"] == "InteractiveToken"
    assert told["RunLevel"] == "LeastPrivilege"
    assert told["MultipleInstancesPolicy"] == "IgnoreNew"
    assert (told["Command"], *arguments(told["Arguments"])) == JOB.command


@given(jobs)
def test_systemd_reads_the_very_words(job):
    service, _ = systemd.files(job, POSIX)
    lines = dict.fromkeys(service.text.split("\n"))  # not splitlines: U+2028 ends no line here
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    first, *rest = words(start.removeprefix("ExecStart="))
    assert (first.removeprefix(":"), *rest) == systemd.started(job.command)
    told = [
        words(line.removeprefix("Environment=")) for line in lines if "Environment=" in line[:12]
    ]
    assert dict(one.partition("=")[::2] for (one,) in told) == job.environment


@given(jobs)
def test_launchd_reads_the_very_words(job):
    try:
        (file,) = launchd.files(job, POSIX)
        read = plistlib.loads(file.text.encode())
    except ValueError:
        pytest.fail("not a property list")
    assert tuple(read["ProgramArguments"]) == job.command
    assert read["EnvironmentVariables"] == job.environment


@given(jobs)
def test_windows_reads_the_very_words(job):
    try:
        root = task(job)
    except UsageError:
        return  # a minute at least, and no variables in a path
    told = {node.tag.rpartition("}")[2]: node.text or "" for node in root.iter()}
    assert told["Command"] == job.command[0]
    assert tuple(arguments(told["Arguments"])) == job.command[1:]


@given(jobs)
@settings(max_examples=50)
def test_each_file_tells_the_job_it_was_made_for(job):
    for file in (*systemd.files(job, POSIX), *launchd.files(job, POSIX)):
        assert recorded(file.text) == job


@pytest.mark.parametrize(
    "text", ["", "[Unit]\n", "# byok-service/1 {}\n", f"# {marked(JOB)[0]}\n# byok-service/1 {{\n"]
)
def test_a_file_without_our_mark_is_not_ours(text):
    assert recorded(text) is None


@pytest.mark.parametrize("bad", ["a\nb", "a\tb", "a\x7fb", "a\x1bb", "a\udc80b"])
def test_what_no_format_can_say_is_refused(bad):
    with pytest.raises(UsageError):
        checked(Job((bad,), {}, 900))
    with pytest.raises(UsageError):
        checked(Job(("a",), {"PATH": bad}, 900))


@pytest.mark.parametrize("bad", ["C:\\%TEMP%\\x", "C:\\$(Arg0)"])
def test_task_scheduler_must_not_replace_a_part_of_a_path(bad):
    with pytest.raises(UsageError, match="variable"):
        windows.files(Job(("python", bad), {}, 900), WINDOWS, "ann")


def test_task_scheduler_has_no_interval_below_a_minute():
    with pytest.raises(UsageError, match="minute"):
        windows.files(Job(("python",), {}, 30), WINDOWS, "ann")


@pytest.mark.parametrize(
    ("seconds", "calendar"),
    [
        (30, "*-*-* *:*:00/30"),
        (900, "*-*-* *:00/15:00"),
        (3600, "*-*-* 00/1:00:00"),
        (7200, "*-*-* 00/2:00:00"),
        (86400, "*-*-* 00:00:00"),
        (25, None),
        (7 * 60, None),
        (5 * 3600, None),
        (90, None),
        (2 * 86400, None),
    ],
)
def test_an_interval_that_fits_a_day_goes_by_the_calendar(seconds, calendar):
    assert systemd.every(seconds) == calendar
    (_, timer) = systemd.files(Job(("a",), {}, seconds), POSIX)
    assert ("Persistent=true" in timer.text) is (calendar is not None)
    assert (f"OnUnitActiveSec={seconds}" in timer.text) is (calendar is None)


def test_no_secret_is_taken_along():
    env = {
        "PATH": "/bin",
        "SOPS_AGE_KEY_FILE": "/k",
        "SOPS_AGE_KEY": "AGE-SECRET-KEY-canary",
        "OPENAI_API_KEY": "canary",
        "HTTPS_PROXY": "http://user:canary@proxy",
        "GNUPGHOME": "",
    }
    assert taken_along(env) == {"PATH": "/bin", "SOPS_AGE_KEY_FILE": "/k"}


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: sh")
@pytest.mark.parametrize("name", ["it's", 'q"uote', "back\\slash", "a=b $HOME '"])
def test_a_program_that_systemd_would_not_take_is_started_by_a_shell(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    program = folder / "python"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n')
    program.chmod(0o755)
    command = (str(program), "a b", '"', "$X")
    done = subprocess.run(systemd.started(command), capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{word}\n" for word in command)


@pytest.mark.integration
@pytest.mark.parametrize("seconds", [10, 25, 900, 7200, 86400, 604800])
@pytest.mark.parametrize("name", ["a b", "q\"uo'te", "100% $HOME", "back\\slash", "ünï;#"])
def test_systemd_itself_finds_nothing_wrong(tmp_path, name, seconds):
    """systemd-analyze complains of a program that is not there, so that it must read its path."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: install systemd")
    folder = tmp_path / name
    folder.mkdir()
    program = folder / "python"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "run").mkdir()
    for file in systemd.files(
        Job((str(program), name), {"PATH": name}, seconds), PurePosixPath(tmp_path)
    ):
        Path(file.path).write_text(file.text)
    done = verify(tmp_path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    program.unlink()
    assert (
        systemd.started((str(program),))[0] == "/bin/sh" or str(program) in verify(tmp_path).stderr
    )


def verify(folder):
    units = [folder / systemd.SERVICE, folder / systemd.TIMER]
    return subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", *units],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder / "run"), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


class Host:
    """A scheduler's program: what it was asked, and what it answers."""

    def __init__(self, code=0, output="", complaint=""):
        self.answer = Ran(code, output, complaint)
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, argv):
        self.asked.append(tuple(argv))
        return self.answer


@pytest.fixture(params=["linux", "darwin", "win32"])
def where(request, tmp_path):
    env = {"USERDOMAIN": "HOME", "USERNAME": "Ann"}
    return scheduler(request.param, env, tmp_path / "home", tmp_path / "state")


@pytest.fixture
def job(tmp_path):
    manifest = tmp_path / "byok.yaml"
    program = tmp_path / "python"
    overlay = tmp_path / "laptops.yaml"
    for path in (manifest, program, overlay):
        path.touch()
    words = (str(program), "watch", "--manifest", str(manifest), "--overlay", str(overlay))
    return Job(words, {"PATH": "/bin"}, 900)


def test_installed_told_of_and_taken_away(where, job):
    host = Host()
    done = control.install(where, job, host)
    assert done.active
    assert {state for _, state in done.files} == {"written"}
    assert [path for path, _ in done.files] == list(where.paths)
    assert set(where.start) <= set(host.asked)
    assert all(path.stat().st_mode & 0o077 == 0 for path in where.paths)
    assert control.installed(where)
    found = control.standing(where, host)
    assert (found.installed, found.job, found.drifted) == (True, job, ())

    again = control.install(where, job, host)
    assert {state for _, state in again.files} == {"unchanged"}
    other = Job(job.command, job.environment, 1800)
    assert {state for _, state in control.install(where, other, host).files} == {"rewritten"}

    gone = control.uninstall(where, host)
    assert [path for path, _ in gone.files] == list(where.paths)
    assert host.asked[-len(where.stop) - len(where.after) :] == [*where.stop, *where.after]
    assert not any(path.exists() for path in where.paths)
    assert not control.installed(where)
    assert not control.standing(where, host).installed
    assert control.uninstall(where, host).notes == ("nothing was installed",)


def test_a_file_of_somebody_elses_is_neither_overwritten_nor_removed(where, job):
    path = where.paths[0]
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    host = Host()
    with pytest.raises(ByokError, match="byok did not make it"):
        control.install(where, job, host)
    assert "is not ours" in control.uninstall(where, host).notes[0]
    assert path.read_text() == "mine"
    assert host.asked == []


def test_a_link_is_not_written_through(where, job, tmp_path):
    target, path = tmp_path / "target", where.paths[0]
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    with pytest.raises(ByokError):
        control.install(where, job, Host())
    assert not target.exists()


def test_where_nobody_runs_it_that_is_said_with_what_to_run(where, job):
    for host in (Host(None), Host(1, complaint="Failed to connect to bus: No medium found\n")):
        done = control.install(where, job, host)
        assert not done.active
        (note,) = done.notes
        assert "nobody runs them" in note
        assert shlex.join(where.start[-1]) in note
        assert ("No medium found" in note) is (host.answer.code == 1)
    assert control.standing(where, Host(None)).pulse == Pulse()


def test_what_is_not_as_it_was_made_is_told(where, job):
    control.install(where, job, Host())
    path = where.paths[0]
    data = path.read_bytes()
    for told in ("put back", "Background"):
        for form in (told.encode(), told.encode("utf-16-le")):
            data = data.replace(form, form[::-1][1::2] + form[1::2])
    path.write_bytes(data)
    Path(job.command[0]).unlink()
    Path(values(job.command, "--manifest")[0]).unlink()
    Path(values(job.command, "--overlay")[0]).unlink()
    drifted = control.standing(where, Host()).drifted
    assert any("is not as byok would write it" in text for text in drifted)
    assert any(text.endswith("which is to run, is not there") for text in drifted)
    assert any("the manifest" in text for text in drifted)
    assert any("the overlay" in text for text in drifted)


def test_the_link_that_systemd_makes_goes_too(job, tmp_path):
    where = scheduler("linux", {"XDG_CONFIG_HOME": str(tmp_path / "c")}, tmp_path, tmp_path)
    control.install(where, job, Host())
    (link,) = where.links
    link.parent.mkdir()
    link.symlink_to(where.paths[1])
    control.uninstall(where, Host(None))
    assert not link.is_symlink()


@pytest.mark.parametrize(("chosen", "used"), [("", False), ("relative", False), ("/abs", True)])
def test_where_user_units_are(chosen, used, tmp_path):
    where = scheduler("linux", {"XDG_CONFIG_HOME": chosen}, tmp_path, tmp_path)
    root = Path(chosen) if used else tmp_path / ".config"
    assert where.paths[0] == root / "systemd" / "user" / "byok-watch.service"


def test_what_systemd_tells():
    def host(argv):
        if argv[-1] == systemd.TIMER:
            return Ran(
                0, "ActiveState=active\nNextElapseUSecRealtime=Mon 2026-11-23 16:30:00 UTC\n"
            )
        told = (
            "Result=success\nExecMainStatus=2\nExecMainExitTimestamp=Mon 2026-11-23 16:15:09 UTC\n"
        )
        return Ran(0, told)

    assert schedulers._ask_systemd(host) == Pulse(
        True, "2026-11-23T16:30:00+00:00", "2026-11-23T16:15:09+00:00", "success, exit 2"
    )
    assert schedulers._ask_systemd(Host(1)) == Pulse()
    never = Host(0, "ActiveState=inactive\nNextElapseUSecRealtime=\nExecMainExitTimestamp=\n")
    assert schedulers._ask_systemd(never) == Pulse(active=False)


def test_what_launchd_and_windows_tell():
    told = Host(0, "state = not running\n\tlast exit code = 2\n")
    assert schedulers._ask_launchd(told, "gui/501/byok.watch") == Pulse(True, result="exit 2")
    assert schedulers._ask_launchd(Host(113), "x") == Pulse(active=False)
    row = r'"PC","\byok\watch","23.11.2026 16:30:00","Ready","Interactive only","23.11.2026","0"'
    assert schedulers._ask_windows(Host(0, row)) == Pulse(
        True, "23.11.2026 16:30:00", "23.11.2026", "exit 0"
    )
    assert schedulers._ask_windows(Host(1)) == Pulse(active=False)


def test_a_folder_that_cannot_be_made_is_said(job, tmp_path):
    (tmp_path / ".config").symlink_to("nowhere")
    where = scheduler("linux", {}, tmp_path, tmp_path)
    with pytest.raises(ByokError, match="cannot be written"):
        control.install(where, job, Host())
