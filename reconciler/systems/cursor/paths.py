"""Find Cursor's user-data directory and its settings database on each platform."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import CursorBusy

NAMES = ("Cursor", "Cursor Nightly")
"""``nameShort`` of the builds we know (product.json of Cursor 2.3.41; Nightly: usage tools)."""

PRIVATE = "Private Inference"
"""Part of the name of the separate build for self-hosted gateways (3.18.25, 3.22.7)."""


def candidates(*, env: Mapping[str, str], platform: str, home: Path) -> tuple[Path, ...]:
    """Return where Cursor may keep its user data, most likely first, existing or not.

    Order as in Cursor's main.js (2.3.41, 0.48.8): portable mode, ``VSCODE_APPDATA``, then the
    platform's place. ``platform`` is a value of ``sys.platform``.
    """
    if portable := env.get("VSCODE_PORTABLE"):
        return (Path(portable) / "user-data",)
    parent = Path(env["VSCODE_APPDATA"]) if env.get("VSCODE_APPDATA") else None
    parent = parent or _parent(env, platform, home)
    return tuple(parent / name for name in NAMES)


def _parent(env: Mapping[str, str], platform: str, home: Path) -> Path:
    match platform:
        case "darwin":
            return home / "Library" / "Application Support"
        case "win32":
            roaming = env.get("APPDATA")
            return Path(roaming) if roaming else home / "AppData" / "Roaming"
        case _:
            xdg = env.get("XDG_CONFIG_HOME", "")
            return Path(xdg) if xdg.startswith("/") else home / ".config"


def locate(cursor_dir: Path | None, *, env: Mapping[str, str], platform: str, home: Path) -> Path:
    """Return the user-data directory: the one asked for, ``BYOK_CURSOR_DIR``, else Cursor's own.

    Of Cursor's own places the first that exists is taken, else the first. Nothing is opened.
    """
    if asked := cursor_dir or env.get("BYOK_CURSOR_DIR"):
        return Path(asked).expanduser().absolute()
    found = candidates(env=env, platform=platform, home=home)
    return next((path for path in found if _there(path)), found[0]).absolute()


def _there(path: Path) -> bool:
    """Tell whether this is a directory; in somebody else's closed folder nothing is."""
    try:
        return path.is_dir()
    except PermissionError:
        return False


def database(user_data: Path) -> Path:
    """Return the settings database with symbolic links resolved.

    Repackaged Cursors link ``globalStorage`` between versions, and SQLite names its lock and
    journal files after the path it is given. Raises CursorBusy for a loop of links.
    """
    path = user_data / "User" / "globalStorage" / "state.vscdb"
    try:
        return path.resolve(strict=True)
    except FileNotFoundError:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise CursorBusy(str(path), *_astray(error)) from error


def _astray(error: OSError | RuntimeError) -> tuple[str, str]:
    """Say what is wrong with a path; until Python 3.13 a loop of links is a RuntimeError."""
    if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
        return "its symbolic links lead nowhere", "mend the links"
    return f"cannot be reached ({error.strerror})", "run byok as the user who runs Cursor"


def forbidden(user_data: Path, *, env: Mapping[str, str], platform: str) -> str | None:
    """Return why this directory must never be written, or None.

    From WSL a Windows drive has no shared SQLite locks and Windows processes cannot be seen. The
    Private Inference build keeps its providers elsewhere.
    """
    wsl = env.get("WSL_DISTRO_NAME") or env.get("WSL_INTEROP")
    resolved = user_data.resolve()
    if platform == "linux" and wsl and re.match(r"/mnt/[a-z](/|$)", str(resolved)):
        return "it lies on a Windows drive and this is WSL; run byok on the Windows side"
    if any(PRIVATE in part for part in (*user_data.parts, *resolved.parts)):
        return "Cursor Private Inference is not supported; use its own settings"
    return None
