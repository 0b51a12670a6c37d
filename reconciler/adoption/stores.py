"""The store that keys go to: what it is called, what its references look like, and moving in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, NoReturn

from reconciler.adoption import presets
from reconciler.errors import SafetyStop, SecretError, SecretProblem, UsageError
from reconciler.secrets import Secret
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import parse
from reconciler.secrets.store import store

KINDS: Final = ("sops", "keyring", "env")
FILE: Final = "secrets/team.enc.yaml"
"""Where a SOPS file is made unless another is named."""

VARIABLES: Final[Mapping[tuple[str, str], str]] = {
    ("openai", "key"): "OPENAI_API_KEY",
    ("anthropic", "key"): "ANTHROPIC_API_KEY",
    ("google", "key"): "GEMINI_API_KEY",
    ("azure", "key"): "AZURE_OPENAI_API_KEY",
    ("bedrock", "access_key_id"): "AWS_ACCESS_KEY_ID",
    ("bedrock", "secret_access_key"): "AWS_SECRET_ACCESS_KEY",
    ("bedrock", "session_token"): "AWS_SESSION_TOKEN",
}
"""The variable that each provider's own tools read."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where keys live; ``file`` is a SOPS file's path, relative to the manifest's folder."""

    kind: str
    file: str = ""

    def reference(self, owner: str, field: str) -> str:
        """Return the reference of a provider's or endpoint's key, or of a part of it."""
        match self.kind:
            case "sops":
                return f"sops://{self.file}#/{owner}/{field}"
            case "keyring":
                return f"keyring://byok/{owner}" + ("" if field == "key" else f"-{field}")
            case _:
                return f"env://{VARIABLES.get((owner, field)) or _variable(owner)}"


def _variable(endpoint: str) -> str:
    known = presets.everything().get(endpoint)
    own = re.sub(r"[^A-Z0-9]", "_", endpoint.upper())
    return known.key_env if known and known.key_env else f"{own}_API_KEY"


def read(text: str) -> Store:
    """Read what ``--secrets`` names: ``sops[:FILE]``, ``keyring`` or ``env``. Raises UsageError."""
    kind, _, file = text.partition(":")
    if kind not in KINDS or (file and kind != "sops"):
        _unknown()
    if kind != "sops":
        return Store(kind)
    path = PurePosixPath(file or FILE)
    if path.is_absolute() or ".." in path.parts or not re.fullmatch(r"[\w./@+-]+", str(path)):
        raise UsageError(
            "--secrets", "a SOPS file lies below the manifest's folder", f"write sops:{FILE}"
        )
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise UsageError("--secrets", "a SOPS file ends in .yaml or .json", f"write sops:{FILE}")
    return Store(kind, str(path))


def _unknown() -> NoReturn:
    raise UsageError(
        "--secrets", "is no store that byok knows", "give sops:FILE, keyring or env, never a key"
    )


def reader(folder: Path) -> Reader:
    """Open a reader of what the store holds now."""
    return Reader(folder=folder, snapshot=_no_snapshot)


def _no_snapshot(_number: str) -> Secret:
    raise SecretError(SecretProblem.NO_ITEM, "snapshot://", "a new manifest names no copies")


def missing(values: Mapping[str, Secret], folder: Path) -> dict[str, Secret]:
    """Return the values that the store does not hold yet; what is there already may stay.

    Raises SafetyStop where another value stands at a reference, SecretError where one cannot be
    read. Writes nothing.
    """
    look, found = reader(folder), dict[str, Secret]()
    for text, value in values.items():
        try:
            there = look.read(parse(text))
        except SecretError as error:
            if error.kind is not SecretProblem.NO_ITEM:
                raise
            found[text] = value
        else:
            if there.expose() != value.expose():
                raise _taken(text)
    return found


def _taken(text: str) -> SafetyStop:
    return SafetyStop(
        text,
        "another value stands there than Cursor holds, and byok does not choose between them",
        "remove one of the two, or name another store with --secrets; nothing was written",
    )


def move(values: Mapping[str, Secret], folder: Path) -> None:
    """Write values to their references and read them back through a new reader.

    Raises SecretError where a place cannot be written, or does not give back what it was given.
    """
    store(values, folder=folder)
    again = missing(values, folder)
    if again:
        where = next(iter(again))
        raise SecretError(SecretProblem.UNUSABLE, where, "what was written is gone", "try again")
