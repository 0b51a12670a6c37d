"""The options that every command takes, before and after its name, and what they come to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.errors import UsageError
from reconciler.model import Address, Scope
from reconciler.spec import CURSOR, Manifest

Command = TypeVar("Command", bound=Callable[..., Any])
_GIVEN = "reconciler.given"


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value not in (None, False, ()):
        ctx.meta.setdefault(_GIVEN, {})[param.name] = value


def _option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    return click.option(*names, expose_value=False, callback=_keep, **settings)


_PATH = click.Path(path_type=Path)
_COMMON = (
    _option("-f", "--manifest", type=_PATH, help="The manifest; byok.yaml without it."),
    _option(
        "--overlay", type=_PATH, multiple=True, help="A layer over the manifest; the last one wins."
    ),
    _option("--cursor-dir", type=_PATH, help="Cursor's user-data directory (BYOK_CURSOR_DIR)."),
    _option("--state-dir", type=_PATH, help="Where byok keeps its ledger (BYOK_STATE_DIR)."),
    _option("--offline", is_flag=True, help="Leave all network out (BYOK_OFFLINE)."),
    _option("--accounts", is_flag=True, help="Judge the provider accounts too (BYOK_ACCOUNTS)."),
    _option("--system", multiple=True, metavar="NAME", help="Judge this system only."),
    _option(
        "--target", multiple=True, metavar="ADDRESS", help="Judge this resource only; * works."
    ),
    _option("--json", is_flag=True, help="Print the result as JSON."),
    _option("--yes", is_flag=True, help="Do not ask."),
    _option("--no-color", is_flag=True, help="No colours (NO_COLOR)."),
    _option("-v", "--verbose", is_flag=True, help="Show everything, one line each."),
)
_ORIGIN = _option(
    "--allow-origin", multiple=True, metavar="URL", help="Approve an origin for its key."
)
_LIFTING = (
    _option("--allow-many", is_flag=True, help="Lift the 30 % rule once."),
    _option("--allow-irreversible", is_flag=True, help="Allow irreversible steps once."),
    _ORIGIN,
    _option("--take-over", is_flag=True, help="Take addresses over from another team."),
)
_EXEC = _option("--allow-exec", is_flag=True, help="Let exec:// references run.")


def common(command: Command) -> Command:
    """Add the common options to a command."""
    for option in reversed(_COMMON):
        command = option(command)
    return command


def resolving(command: Command) -> Command:
    """Add the options of a command that resolves secrets."""
    return _EXEC(command)


def approving(command: Command) -> Command:
    """Add the one flag that lets a command meet an origin nobody approved yet."""
    return _ORIGIN(command)


def waiting(command: Command) -> Command:
    """Add how long a command that writes to Cursor waits for it to quit, in seconds."""
    return click.option(
        "--wait",
        type=click.FloatRange(0, 86400),
        default=0,
        metavar="SECONDS",
        help="Wait this long for Cursor to quit.",
    )(command)


def lifting(command: Command) -> Command:
    """Add the flags that lift a safety rule once."""
    for option in reversed(_LIFTING):
        command = option(command)
    return command


def given(name: str, default: Any = None) -> Any:
    """Return what the command line gave for an option, before or after the command's name."""
    return click.get_current_context().meta.get(_GIVEN, {}).get(name, default)


def manifest_path() -> Path:
    """Return the manifest's path: --manifest, else byok.yaml."""
    path: Path = given("manifest", Path("byok.yaml"))
    return path


def overlays() -> tuple[Path, ...]:
    """Return the layers over the manifest, in the order of the command line."""
    return tuple(given("overlay", ()))


def manifest() -> Manifest:
    """Load the manifest and its overlays. Raises ManifestError."""
    from reconciler.manifest import load

    return load(manifest_path(), overlays())


def scope() -> Scope:
    """Return what the run is to judge. Raises UsageError.

    Reads the manifest where all its accounts are asked for: --accounts, or BYOK_ACCOUNTS.
    """
    named = tuple(dict.fromkeys(given("system", ())))
    return Scope(
        systems=named or (CURSOR, *(_accounts() if _asked("accounts") else ())),
        offline=offline(),
        targets=targets(),
    )


def targets() -> tuple[str, ...]:
    """Return the addresses, or patterns of them, that a run is held to. Raises UsageError."""
    return tuple(_target(text) for text in given("target", ()))


def offline() -> bool:
    """Tell whether all network is to be left out: --offline, or BYOK_OFFLINE."""
    return _asked("offline")


def observing() -> bool:
    """Tell whether accounts beside those asked for are looked at: not where some are named."""
    return not given("system", ())


def _asked(name: str) -> bool:
    return bool(given(name)) or os.environ.get(f"BYOK_{name.upper()}", "") not in ("", "0")


def _accounts() -> tuple[str, ...]:
    from reconciler.accounts import names

    return names(manifest())


def _target(text: str) -> str:
    try:
        return str(Address.parse(text))
    except ValueError:
        raise UsageError(
            f"--target {text[:80]}",
            "is not of the form system/kind/name",
            "take an address from byok plan, for example cursor/model/gpt-4o",
        ) from None


def interactive() -> bool:
    """Tell whether somebody is to be asked. Raises UsageError where nobody can be."""
    if given("yes"):
        return False
    if not sys.stdin.isatty():
        raise UsageError(
            "this command asks", "there is no terminal to ask on", "give --yes if you are sure"
        )
    return True
