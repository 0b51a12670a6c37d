"""A systemd user service and its timer, as text; pure (systemd.syntax, .exec, .timer of 252)."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from reconciler.watching.interval import spell
from reconciler.watching.service.job import File, Job, marked

NAME: Final = "byok-watch"
TIMER: Final = f"{NAME}.timer"
SERVICE: Final = f"{NAME}.service"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

HARDENING: Final = (
    "NoNewPrivileges=yes",
    "UMask=0077",
    "LimitCORE=0",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
)
"""What works in a user's manager; no mount namespace: keyring and gpg agent stay in reach."""


def files(job: Job, folder: PurePath) -> tuple[File, ...]:
    """Render the service and the timer of a job for a folder of user units."""
    return (File(folder / SERVICE, _service(job)), File(folder / TIMER, _timer(job)))


def _service(job: Job) -> str:
    variables = (f"Environment={word(f'{k}={v}')}" for k, v in sorted(job.environment.items()))
    first, *rest = started(job.command)
    return _unit(
        job,
        ("Unit", "Description=byok: put back what moved in Cursor"),
        (
            "Service",
            "Type=oneshot",
            f"ExecStart={' '.join([word(f':{first}'), *map(word, rest)])}",
            *variables,
            "SuccessExitStatus=2",
            "TimeoutStartSec=10min",
            "Nice=10",
            *HARDENING,
        ),
    )


def _timer(job: Job) -> str:
    calendar = every(job.every)
    when = (
        (f"OnCalendar={calendar}", "Persistent=true")
        if calendar
        else (f"OnActiveSec={job.every}", f"OnUnitActiveSec={job.every}")
    )
    spread = f"RandomizedDelaySec={max(job.every // 10, 1)}"
    exact = f"AccuracySec={min(max(job.every // 10, 1), _MINUTE)}"
    return _unit(
        job,
        ("Unit", f"Description=byok: look after Cursor every {spell(job.every)}"),
        ("Timer", *when, spread, exact),
        ("Install", "WantedBy=timers.target"),
    )


def _unit(job: Job, *sections: tuple[str, ...]) -> str:
    head = "".join(f"# {line}\n" for line in marked(job))
    return head + "".join(f"\n[{name}]\n" + "\n".join(lines) + "\n" for name, *lines in sections)


def started(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command that systemd starts: its program's own path may hold no quote or backslash.

    (systemd's string_is_safe; its arguments may.) A shell that knows it as $0 starts such a one.
    """
    if any(c in command[0] for c in "\"'\\"):
        return ("/bin/sh", "-c", 'exec "$0" "$@"', *command)
    return command


def word(text: str) -> str:
    """Quote one word of a unit: a quoted item, C escapes, and no specifiers.

    Variables need no escape where the command begins with a colon.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def every(seconds: int) -> str | None:
    """Return the calendar expression of an interval that fits a day evenly, else None.

    Only a timer by the calendar catches up on what it missed (Persistent=, systemd.timer).
    """
    if seconds < _MINUTE:
        return f"*-*-* *:*:00/{seconds}" if _MINUTE % seconds == 0 else None
    if seconds < _HOUR:
        return f"*-*-* *:00/{seconds // _MINUTE}:00" if _whole(seconds, _MINUTE, _HOUR) else None
    if seconds < _DAY:
        return f"*-*-* 00/{seconds // _HOUR}:00:00" if _whole(seconds, _HOUR, _DAY) else None
    return "*-*-* 00:00:00" if seconds == _DAY else None


def _whole(seconds: int, unit: int, span: int) -> bool:
    return seconds % unit == 0 and span % seconds == 0
