"""Whom a new SOPS file is encrypted for: its rule in ``.sops.yaml``, else an age key at hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import SecretError, SecretProblem, UsageError
from reconciler.secrets import sops_rules
from reconciler.secrets.value import from_bytes

CONFIG: Final = sops_rules.NAME
_SHORT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Chosen:
    """The recipients, where they come from in words, and whether a rule names them already."""

    recipients: tuple[str, ...]
    source: str
    ruled: bool = False


def given(text: str) -> str:
    """Return a recipient from the command line. Raises UsageError for what is none."""
    if sops_rules.AGE.fullmatch(text):
        return text
    raise UsageError("--recipient", "is no age recipient", "give the public part: age1…")


def choose(
    folder: Path,
    file: str,
    asked: Sequence[str],
    *,
    env: Mapping[str, str],
    platform: str,
    home: Path,
) -> Chosen:
    """Return whom a SOPS file below the manifest's folder is for; reads files, starts nothing.

    A rule of ``.sops.yaml`` comes first, then ``asked``, then the age key that sops itself would
    use. Raises SecretError where there is none, or a rule names more than age recipients.
    """
    real = folder.resolve() / file
    config = sops_rules.configuration(real)
    ruled = _ruled(config, real) if config else ()
    if ruled and config:
        return Chosen(ruled, f"its rule in {config.name}", ruled=True)
    if asked:
        return Chosen(tuple(asked), "--recipient")
    where, own = _own(env, platform, home)
    if len(own) == 1:
        return Chosen(own, f"the age key in {where}")
    what = f"{where} holds several age keys" if own else "there is no age key on this machine"
    way_out = "name one with --recipient age1…"
    if not own:
        way_out = f"make one (mkdir -p {where.parent} && age-keygen -o {where}), or {way_out}"
    raise SecretError(SecretProblem.NO_BACKEND, f"sops://{file}", what, way_out)


def rules(recipients: Sequence[str]) -> str:
    """Return the text of a new ``.sops.yaml``."""
    return (
        "# Whom `sops edit FILE` encrypts new files for. To let somebody else read one, add the\n"
        "# recipient here, separated by a comma, and run `sops updatekeys FILE`.\n"
        f"creation_rules:\n  - age: {','.join(recipients)}\n"
    )


def exists(folder: Path) -> bool:
    """Tell whether sops finds a configuration from this folder."""
    return sops_rules.configuration(folder.resolve() / CONFIG) is not None


def _ruled(config: Path, file: Path) -> tuple[str, ...]:
    try:
        wish = sops_rules.wish(config, file)
    except sops_rules.UnreadableRules as error:
        raise SecretError(SecretProblem.REFUSED, str(config), str(error), "mend it") from None
    if wish is None:
        return ()
    if not wish.simple:
        raise SecretError(
            SecretProblem.REFUSED,
            str(config),
            "its rule names recipients other than age, which byok makes no files for",
            "make the file yourself (sops edit FILE), then run byok init again",
        )
    return tuple(sorted(wish.age))


def _own(env: Mapping[str, str], platform: str, home: Path) -> tuple[Path, tuple[str, ...]]:
    """Return where sops looks for age keys, and the recipients of those that are there."""
    where = Path(env.get("SOPS_AGE_KEY_FILE") or _default(env, platform, home))
    try:
        with where.open("rb") as file:
            text = from_bytes(file.read(_SHORT))
    except OSError:
        return where, ()
    found = (_public(line) for line in text.expose().splitlines())
    return where, tuple(dict.fromkeys(each for each in found if each))


def _default(env: Mapping[str, str], platform: str, home: Path) -> Path:
    """Return sops' own place (3.11: Go's ``os.UserConfigDir``, with XDG first on macOS)."""
    if platform == "win32":
        parent = Path(env.get("APPDATA") or home / "AppData" / "Roaming")
    elif env.get("XDG_CONFIG_HOME"):
        parent = Path(env["XDG_CONFIG_HOME"])
    else:
        parent = home / ("Library/Application Support" if platform == "darwin" else ".config")
    return parent / "sops" / "age" / "keys.txt"


def _public(line: str) -> str:
    """Return the recipient of a line of an age key file, empty where it has none."""
    if line.startswith("#"):
        found = re.search(
            rf"(?:public key|recipient): ({sops_rules.AGE.pattern})", line, re.IGNORECASE
        )
        return found[1] if found else ""
    if not line.startswith("AGE-SECRET-KEY-1"):
        return ""
    try:
        from pyrage import x25519

        return str(x25519.Identity.from_str(line.strip()).to_public())
    except Exception:  # noqa: BLE001 - pyrage is missing, or its own errors: the comment tells it
        return ""
