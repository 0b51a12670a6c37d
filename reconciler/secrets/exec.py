"""Secrets that a command prints: ``exec://COMMAND ARGUMENTS``, only with ``--allow-exec``."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.process import DEADLINE, environment, find_program, run
from reconciler.secrets.value import one_line, usable

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.secrets.secret import Secret


def read(
    command: str, folder: Path, where: str, *, allowed: bool, deadline: float = DEADLINE
) -> Secret:
    """Return what the command prints, without its last newline.

    The command is split like a shell would, and no shell runs it. It starts in the manifest's
    folder with a chosen environment; a program named with a slash is relative to that folder.
    Raises SecretError: refused (not allowed, or not splittable), no backend, timed out,
    unusable value.
    """
    if not allowed:
        what = "running commands for secrets is not allowed"
        raise SecretError(SecretProblem.REFUSED, where, what, "allow it once with --allow-exec")
    argv = _argv(command, folder, where)
    outcome = run(argv, where=where, env=environment(), deadline=deadline, folder=folder)
    if outcome.code:
        what = f"the command ended with {outcome.code}"
        raise SecretError(SecretProblem.NO_BACKEND, where, what, "run it by hand to see why")
    return usable(one_line(outcome.output), where)


def _argv(command: str, folder: Path, where: str) -> list[str]:
    try:
        name, *arguments = shlex.split(command)
    except ValueError:
        what = "the command's quotes do not match, or it is empty"
        raise SecretError(SecretProblem.REFUSED, where, what) from None
    program = str(folder / name) if os.path.dirname(name) else find_program(name)  # noqa: PTH120  Path drops "./"
    if program is None:
        what = f"there is no program {name!r} on PATH"
        raise SecretError(SecretProblem.NO_BACKEND, where, what, "install it")
    return [program, *arguments]
