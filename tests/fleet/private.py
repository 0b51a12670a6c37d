"""Run a command where sshd serves a fleet's users, in namespaces of its own; needs root.

``python -m tests.fleet.private FOLDER COMMAND…`` enters a mount, network and process namespace:
users are in a copy of /etc/passwd that is seen only there, sshd listens on a loopback that is
reached only from there, and with the command everything that was started ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fleet.people import CURSOR
from tests.secret_service import LOCKED, UNLOCKED, plain_bus

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
_INSIDE = "--inside"
_CONFIG = """\
HostKey {folder}/ssh/host
AuthorizedKeysFile {folder}/ssh/authorized
UsePAM no
StrictModes no
PasswordAuthentication no
PrintLastLog no
PidFile none
MaxStartups 500
Subsystem sftp internal-sftp
"""


def why_not() -> str:
    """Return why no such place can be made on this machine, empty when it can."""
    if sys.platform != "linux":
        return "needs Linux"
    if os.geteuid() != 0:
        return "only as root"
    missing = [p for p in ("unshare", "mount", "ssh", "ssh-keygen") if not shutil.which(p)]
    missing += [] if Path(SSHD).is_file() else ["sshd"]
    if missing:
        return (
            f"{', '.join(missing)} not installed (Debian, Ubuntu: apt-get install openssh-server)"
        )
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "only as root that may make namespaces"


def _unshare() -> list[str]:
    spaces = ("--mount", "--net", "--pid")
    return [
        "unshare",
        *spaces,
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]


def command(folder: Path, argv: Sequence[str]) -> list[str]:
    """Return the command that runs ``argv`` inside."""
    return [*_unshare(), sys.executable, "-m", __spec__.name, _INSIDE, str(folder), *argv]


def write_accounts(folder: Path, people: Sequence[tuple[str, int, Path]]) -> None:
    """Write sshd's configuration, its keys and the copies of /etc/passwd and its like."""
    place = folder / "ssh"
    place.mkdir()
    for name in ("id", "host"):
        key = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "fleet",
            "-f",
            str(place / name),
        ]
        subprocess.run(key, check=True)
    shutil.copy(place / "id.pub", place / "authorized")
    (place / "authorized").chmod(0o644)
    (place / "config").write_text(_CONFIG.format(folder=folder))
    lines: dict[str, list[str]] = {"passwd": [], "group": [], "shadow": []}
    for name, uid, home in people:
        lines["passwd"].append(f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n")
        lines["group"].append(f"{name}:x:{uid}:\n")
        lines["shadow"].append(f"{name}:*:19000:0:99999:7:::\n")
    for file, added in lines.items():
        before = Path("/etc", file).read_text()
        copy = place / file
        copy.touch(mode=0o640 if file == "shadow" else 0o644)
        copy.write_text(before + ("" if before.endswith("\n") else "\n") + "".join(added))


def inside(folder: Path, argv: Sequence[str]) -> int:
    """Mount, start sshd and what ``mishaps.json`` asks for, run the command; return its exit."""
    place = folder / "ssh"
    _loopback_up()
    for file in ("passwd", "group", "shadow"):
        _mount("--bind", str(place / file), f"/etc/{file}")
    _mount("-t", "tmpfs", "tmpfs", "/run")
    open_way(Path(sys.base_prefix), folder)
    Path("/run/sshd").mkdir()
    mishaps: dict[str, Any] = {}
    if (folder / "mishaps.json").exists():
        mishaps = json.loads((folder / "mishaps.json").read_text())
    for home in mishaps.get("read_only", ()):
        _mount("--bind", home, home)
        _mount("-o", "remount,bind,ro", home)
    for uid, home in mishaps.get("running", ()):
        start_cursor(Path(home), uid=uid)
    for uid, home, unlocked in mishaps.get("keyrings", ()):
        start_keyring(folder, Path(home), uid, unlocked=unlocked)
    with (place / "log").open("a") as log:
        daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(place / "config")], stderr=log)
        _wait_for_sshd(daemon)
        return subprocess.run(argv, check=False).returncode


def start_cursor(home: Path, *, uid: int | None = None) -> subprocess.Popen[bytes]:
    """Start what looks like a Cursor on this home's profile: a shell that waits for its input."""
    named = ["/usr/share/cursor/cursor", "-c", "read _", f"--user-data-dir={home / CURSOR}"]
    account = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    return subprocess.Popen(
        named, executable="/bin/sh", env={"HOME": str(home)}, stdin=subprocess.PIPE, **account
    )


def start_keyring(folder: Path, home: Path, uid: int, *, unlocked: bool) -> None:
    """Start this person's session bus where systemd has it, with the real GNOME Keyring on it."""
    runtime, config = Path(f"/run/user/{uid}"), plain_bus(folder / "ssh")
    for place in (runtime, runtime / "earlier"):
        place.mkdir(parents=True, mode=0o700)
        os.chown(place, uid, uid)
    config.chmod(0o644)
    address = f"unix:path={runtime}/bus"
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}
    on_bus = env | {"DBUS_SESSION_BUS_ADDRESS": address}

    def run(*argv: str, env: dict[str, str]) -> None:
        subprocess.run(argv, env=env, user=uid, group=uid, extra_groups=[], check=True)

    if not unlocked:  # there is one, made in an earlier session, and nobody opened it in this
        before = env | {"XDG_RUNTIME_DIR": str(runtime / "earlier")}
        run(
            "dbus-run-session", "--config-file", str(config), "--", "sh", "-c", UNLOCKED, env=before
        )
    run("dbus-daemon", "--config-file", str(config), "--fork", f"--address={address}", env=env)
    run("sh", "-c", UNLOCKED if unlocked else LOCKED, env=on_bus)


def open_way(python: Path, folder: Path) -> None:
    """Let everybody reach this Python where it is in somebody's closed home, as pyenv's are.

    Over the closed folder comes an open one that holds only this Python and the checkout.
    """
    closed = [p for p in reversed(python.parents) if not p.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return
    checkout = Path(__file__).resolve().parents[2]
    kept = [path for path in (python, checkout) if path.is_relative_to(closed[0])]
    for number, path in enumerate(kept):
        (folder / f"way-{number}").mkdir(exist_ok=True)
        _mount("--rbind", str(path), str(folder / f"way-{number}"))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed[0]))
    for number, path in enumerate(kept):
        path.mkdir(parents=True)
        _mount("--move", str(folder / f"way-{number}"), str(path))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _loopback_up() -> None:
    """Set IFF_UP on lo: a new network namespace has it down (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up = struct.pack("16sh", b"lo", 0x1 | 0x40)
        fcntl.ioctl(any_socket, 0x8914, up)


def _wait_for_sshd(daemon: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if daemon.poll() is not None:
            raise SystemExit(f"sshd ended with {daemon.returncode}; see its log")
        try:
            socket.create_connection(("127.0.0.1", 22), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("sshd does not answer")


if __name__ == "__main__":
    if sys.argv[1:2] == [_INSIDE]:
        sys.exit(inside(Path(sys.argv[2]), sys.argv[3:]))
    if reason := why_not():
        sys.exit(reason)
    sys.exit(subprocess.run(command(Path(sys.argv[1]), sys.argv[2:]), check=False).returncode)
