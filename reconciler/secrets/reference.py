"""Secret references: where a secret lives, as one line of text with a plain prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import SecretError, SecretProblem


class Scheme(StrEnum):
    """The kinds of places a secret can live in; ``snapshot`` is our own copy of a replaced key."""

    SOPS = "sops"
    KEYRING = "keyring"
    ENV = "env"
    FILE = "file"
    OP = "op"
    EXEC = "exec"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Reference:
    """One parsed reference: ``text`` is ``scheme://locator``, case kept, without ``ref+``."""

    scheme: Scheme
    locator: str
    text: str


ALLOWED = tuple(f"{scheme}://" for scheme in Scheme if scheme is not Scheme.SNAPSHOT)

_FORMS: dict[Scheme, tuple[str, str]] = {
    Scheme.SOPS: (r"(?:(?!#/).)+#(?:/(?:[^~]|~[01])*)", "sops://FILE#/json/pointer"),
    Scheme.KEYRING: (r"[^/]+/.+", "keyring://SERVICE/USER"),
    Scheme.ENV: (r"[A-Za-z_][A-Za-z0-9_]*", "env://NAME"),
    Scheme.FILE: (r".+", "file://PATH"),
    Scheme.OP: (r"[^/]+/[^/]+(/[^/]+){1,2}", "op://VAULT/ITEM/[SECTION/]FIELD"),
    Scheme.EXEC: (r".*\S.*", "exec://COMMAND ARGUMENTS"),
    Scheme.SNAPSHOT: (r"[A-Za-z0-9_.-]+", "snapshot://ID"),
}


def parse(text: str) -> Reference:
    """Read ``[ref+]SCHEME://LOCATOR``: a plain prefix, no URL decoding, case kept.

    Raises SecretError (refused). A text of no known scheme may be a key that somebody pasted,
    so the error never repeats it; a well-formed foreign scheme is named.
    """
    plain = text.removeprefix("ref+")
    name, separator, locator = plain.partition("://")
    if not separator or name not in _FORMS:
        raise _unknown(name if separator else "")
    scheme = Scheme(name)
    pattern, form = _FORMS[scheme]
    if not plain.isprintable() or not re.fullmatch(pattern, locator):
        way_out = f"write it as {form}"
        raise SecretError(
            SecretProblem.REFUSED, f"a {name}:// reference", "it is not well formed", way_out
        )
    return Reference(scheme, locator, plain)


def _unknown(name: str) -> SecretError:
    known = ", ".join(ALLOWED)
    named = f"no scheme {name}:// is known" if re.fullmatch(r"[a-z][a-z0-9]{0,15}", name) else ""
    return SecretError(
        SecretProblem.REFUSED,
        "a secret reference",
        named or "it begins with no known scheme",
        f"begin it with one of {known}",
    )


def split_sops(locator: str) -> tuple[str, str]:
    """Split a sops locator at its first ``#/`` into the file and the JSON pointer."""
    file, _, pointer = locator.partition("#/")
    return file, "/" + pointer


def split_keyring(locator: str) -> tuple[str, str]:
    """Split a keyring locator at its first slash into service and user."""
    service, _, user = locator.partition("/")
    return service, user


def tokens(pointer: str) -> tuple[str, ...]:
    """Split a JSON pointer into its keys; ``~1`` is a slash, ``~0`` a tilde (RFC 6901)."""
    parts = pointer.split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def pointer_to(keys: tuple[str, ...]) -> str:
    """Join keys into a JSON pointer, the inverse of `tokens`."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
