"""What a value must be like before anyone may use it as a key."""

from __future__ import annotations

import json

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.secret import Secret

LIMIT = 64 * 1024
"""The most bytes of UTF-8 a secret may have."""


def usable(secret: Secret, where: str) -> Secret:
    """Return the secret if it can be a key: one line of 1 to 65,536 printable bytes.

    A JSON object, which a service account's key is, may have several lines: they become one.
    Raises SecretError (unusable value); its text never repeats the value.
    """
    secret = _folded(secret)
    flaw = _flaw(secret.expose())
    if flaw:
        raise SecretError(SecretProblem.UNUSABLE, where, flaw, "store the bare key on one line")
    return secret


def _folded(secret: Secret) -> Secret:
    text = secret.expose()
    if not text.startswith("{") or "\n" not in text or len(text) > LIMIT:
        return secret
    try:
        return Secret(json.dumps(json.loads(text), separators=(",", ":")))
    except (ValueError, RecursionError):  # its text may hold a part of the value
        return secret


def _flaw(text: str) -> str:
    if not text:
        return "the value is empty"
    if len(text.encode("utf-8", "surrogateescape")) > LIMIT:
        return "the value is larger than 64 KiB"
    if "\n" in text or "\r" in text:
        return "the value has more than one line, or ends with a newline"
    if not text.isprintable():
        return "the value has a control character or another that cannot be printed"
    return ""


def one_line(secret: Secret) -> Secret:
    """Return the secret without the one newline that editors and commands put at the end."""
    return Secret(secret.expose().removesuffix("\n").removesuffix("\r"))


def from_bytes(data: bytes) -> Secret:
    """Wrap bytes as text; bytes that are not UTF-8 become characters that `usable` refuses.

    No decoding error is raised, because it would carry the bytes.
    """
    return Secret(data.decode("utf-8", "surrogateescape"))
