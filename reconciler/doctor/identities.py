"""Where age keeps this person's identities, and which recipients they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.doctor.ground import Ground, plain
from reconciler.secrets.secret import Secret
from reconciler.secrets.value import from_bytes

LIMIT: Final = 1024 * 1024
_LINE: Final = re.compile(r"^(AGE-SECRET-KEY-1|AGE-PLUGIN-)[A-Z0-9-]+\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """One place where sops looks for age identities; ``asked`` says that somebody named it.

    ``path`` is None where it is no file (``SOPS_AGE_KEY``, ``SOPS_AGE_KEY_CMD``).
    """

    name: str
    path: Path | None = None
    asked: bool = True


def sources(ground: Ground) -> Iterator[Source]:
    """Yield where sops 3.11 looks (getsops.io, "Encrypting using age"): variables, then its file.

    SSH keys are looked at last, and only for recipients that are SSH keys.
    """
    env = ground.env
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_KEY_CMD"):
        if env.get(name):
            yield Source(name)
    if env.get("SOPS_AGE_KEY_FILE"):
        yield Source("SOPS_AGE_KEY_FILE", Path(env["SOPS_AGE_KEY_FILE"]).expanduser())
    yield Source("its usual place", usual(ground), asked=False)
    if env.get("SOPS_AGE_SSH_PRIVATE_KEY_FILE"):
        name = "SOPS_AGE_SSH_PRIVATE_KEY_FILE"
        yield Source(name, Path(env[name]).expanduser())


def usual(ground: Ground) -> Path:
    """Return where sops looks without being told: ``sops/age/keys.txt`` by platform."""
    env, end = ground.env, Path("sops", "age", "keys.txt")
    if env.get("XDG_CONFIG_HOME") and ground.platform != "win32":
        return Path(env["XDG_CONFIG_HOME"]) / end
    match ground.platform:
        case "darwin":
            return ground.home / "Library" / "Application Support" / end
        case "win32":
            return Path(env.get("APPDATA", ground.home / "AppData" / "Roaming")) / end
        case _:
            return ground.home / ".config" / end


def content(path: Path) -> Secret | None:
    """Return a file of identities, None where it is no plain file or cannot be read."""
    if not plain(path):
        return None
    try:
        with path.open("rb") as file:
            return from_bytes(file.read(LIMIT))
    except OSError:
        return None


def holds(secret: Secret) -> bool:
    """Tell whether a text has an identity of age's in it, or is an SSH private key."""
    text = secret.expose()
    return _LINE.search(text) is not None or "PRIVATE KEY-----" in text


def recipients(ground: Ground) -> frozenset[str] | None:
    """Return the recipients that this person's identities are; None where nobody can tell.

    Only plain X25519 identities can be turned into recipients without asking anything else.
    """
    found: set[str] = set()
    for source in sources(ground):
        if source.name in ("SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"):
            return None
        told: Secret | None = Secret(ground.env.get(source.name, ""))
        if source.path is not None:
            told = content(source.path)
        public = set[str]() if told is None else _public(told)
        if public is None:
            return None
        found |= public
    return frozenset(found)


def _public(secret: Secret) -> set[str] | None:
    lines = [line.strip() for line in secret.expose().splitlines()]
    keys = [Secret(line) for line in lines if line.startswith("AGE-")]
    if any(key.expose().startswith("AGE-PLUGIN-") for key in keys):
        return None
    try:
        from pyrage import x25519

        return {str(x25519.Identity.from_str(key.expose()).to_public()) for key in keys}
    except ImportError:
        return None if keys else set()
    except Exception:  # noqa: BLE001  pyrage has its own error, whose text may hold the line
        return None


def loose(path: Path) -> bool:
    """Tell whether others may read a file."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)
