"""The command line: finds a command, runs it, and turns every error into words and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from reconciler.cli import process
from reconciler.cli.options import common
from reconciler.cli.output import Screen
from reconciler.errors import ByokError

COMMANDS: dict[str, str] = {
    "init": "init",
    "validate": "reading",
    "plan": "reading",
    "show": "reading",
    "status": "status",
    "history": "status",
    "doctor": "doctor",
    "cost": "cost",
    "apply": "writing",
    "watch": "watch",
    "service": "service",
    "destroy": "writing",
    "rollback": "writing",
    "rotate": "rotate",
    "keys": "keys",
    "issue": "issue",
    "offboard": "offboard",
    "fleet": "fleet",
    "schema": "printing",
    "completion": "printing",
    "sandbox": "sandbox",
}
"""Each command and the module that has it; imported only when it is asked for."""

SUMMARIES: dict[str, str] = {
    "init": "Write a first manifest, also of what Cursor holds.",
    "validate": "Check the manifest: schema, references, lint; off line.",
    "plan": "Show what would change; writes nothing.",
    "show": "Render a saved plan, also a stale one.",
    "status": "One line per system: in sync, pending, drifted.",
    "history": "List the runs that wrote something.",
    "doctor": "Find what is wrong, with cause and fix.",
    "cost": "Spend and forecast against budgets; what a session costs.",
    "apply": "Plan, ask, apply, read back and prove.",
    "watch": "Put back what moved in Cursor, while it is closed.",
    "service": "Have the system's scheduler run watch.",
    "destroy": "Remove everything this team's manifest wrote.",
    "rollback": "Undo a run.",
    "rotate": "New key, store, Cursor, verify; then revoke the old one.",
    "keys": "List every key: where it is, how old, whether it lives.",
    "issue": "Make a key for one person, and deliver it.",
    "offboard": "Take one person out: keys revoked, this machine cleared.",
    "fleet": "One report of many machines' results.",
    "schema": "Print a JSON schema.",
    "completion": "Print shell completion.",
    "sandbox": "Make a throw-away Cursor profile with manifest and secrets.",
}


class Commands(click.Group):
    """The group of all commands; a command's module is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """Name the commands in the order of a first use."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - Click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import the module of a command and return it."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"reconciler.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - Click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for an unknown one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {near[0]}?" if near else " See byok --help."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 2 changes pending, 3 manifest, 4 secret, 5 provider, 6 stale plan,"
    " 7 Cursor busy, 8 safety rule, 64 wrong command line.",
)
@click.version_option(package_name="byok", message="%(prog)s %(version)s", prog_name="byok")
@common
def cli() -> None:
    """Reconcile a team's Bring-Your-Own-Key set-up of Cursor with a manifest in git."""


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; the only place that catches everything."""
    process.harden()
    screen = Screen(json="--json" in arguments, no_color="--no-color" in arguments)
    try:
        code = _invoke(arguments)
    except ByokError as error:
        return screen.fail(error)
    except click.ClickException as error:
        return screen.misuse(error)
    except (click.Abort, KeyboardInterrupt):
        screen.say("interrupted; nothing more was changed")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001 - the last door: a text we did not write may hold a secret
        return screen.crash(error)
    return code


def _invoke(arguments: list[str]) -> int:
    result: Any = cli.main(arguments, prog_name="byok", standalone_mode=False)
    sys.stdout.flush()
    return result if isinstance(result, int) else 0
