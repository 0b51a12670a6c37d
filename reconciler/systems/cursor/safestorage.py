"""Open and close the cells of Electron's safeStorage, in the envelope Cursor keeps them in; pure.

Ciphers as Chromium's ``components/os_crypt`` has them (read, and tested against Chromium 156 on
Linux): ``v10``/``v11`` with AES-128-CBC on Linux and macOS, ``v10`` with AES-256-GCM on Windows.
The envelope is ``JSON.stringify`` of a Node Buffer (Cursor 2.3.41 to 3.22).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from reconciler.secrets import Secret

LINUX_ROUNDS: Final = 1
MACOS_ROUNDS: Final = 1003
BASIC_PASSWORD: Final = b"peanuts"
"""Chromium's constant for machines without a keyring: obfuscation, not protection."""

_SALT: Final = b"saltysalt"
_IV: Final = b" " * 16
_BLOCK: Final = 16
_NONCE: Final = 12
_TAG: Final = 16
_PREFIX: Final = 3


class Unreadable(Exception):
    """A cell is set and cannot be opened; the text says why and holds nothing of the cell."""

    def __init__(self, reason: str, *, locked: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.locked = reason, locked


class Mode(StrEnum):
    """The two modes of AES that safeStorage uses."""

    CBC = "AES-128-CBC"
    GCM = "AES-256-GCM"


@dataclass(frozen=True, slots=True)
class Cipher:
    """One way to open cells of a prefix; ``legacy`` ones are for reading only."""

    prefix: str
    mode: Mode
    key: bytes = field(repr=False)
    legacy: bool = False


class KeySource(Protocol):
    """Where the platform keeps the key to safeStorage."""

    def ciphers(self, prefix: str) -> Sequence[Cipher]:
        """Return the ciphers to try for a prefix, never asking for an unlock. Raises Unreadable."""
        ...

    def writable(self, prefix: str) -> bool:
        """Tell whether Cursor, as it is configured, can still read new cells of this prefix."""
        ...


def derive(prefix: str, password: bytes, rounds: int, *, legacy: bool = False) -> Cipher:
    """Return the CBC cipher for a password: PBKDF2-HMAC-SHA1, 16 bytes."""
    key = hashlib.pbkdf2_hmac("sha1", password, _SALT, rounds, _BLOCK)
    return Cipher(prefix, Mode.CBC, key, legacy)


def envelope(data: bytes) -> str:
    """Return ciphertext as the editor stores it: ``{"type":"Buffer","data":[118,49,…]}``."""
    return json.dumps({"type": "Buffer", "data": list(data)}, separators=(",", ":"))


def contents(cell: str) -> bytes:
    """Return a cell's ciphertext, empty for one that the user cleared. Raises Unreadable."""
    try:
        document = json.loads(cell)
    except (ValueError, RecursionError):
        raise Unreadable("set, in an unknown form") from None
    match document:
        case {"data": list(data), **rest} if rest in ({"type": "Buffer"}, {}):
            if all(type(byte) is int and 0 <= byte <= 255 for byte in data):  # noqa: PLR2004 (a byte)
                return bytes(data)
    raise Unreadable("set, in an unknown form")


def cleared(cell: str) -> bool:
    """Tell whether a cell says that the user emptied the field (``"data":[]``)."""
    try:
        return contents(cell) == b""
    except Unreadable:
        return False


def prefix_of(cell: str) -> str:
    """Return a cell's prefix, ``v10`` or ``v11``. Raises Unreadable for an unknown one."""
    head = contents(cell)[:_PREFIX]
    if head not in (b"v10", b"v11"):
        shown = head.decode("ascii", "replace") if head[:1] == b"v" else ""
        raise Unreadable(f"set, unreadable: unknown prefix {shown}".rstrip())
    return head.decode()


def unseal(cell: str, source: KeySource) -> tuple[Secret, Cipher]:
    """Return a cell's text and the cipher that opened it. Raises Unreadable.

    CBC has no authentication, so the padding, UTF-8 and printability are all checked.
    """
    prefix = prefix_of(cell)
    data = contents(cell)[_PREFIX:]
    for cipher in source.ciphers(prefix):
        text = _printable(_open(cipher, data))
        if text is not None:
            return text, cipher
    raise Unreadable("set, unreadable with the key of this machine")


def seal(secret: Secret, cipher: Cipher) -> str:
    """Return the text as a cell, opened again before it is handed out. Raises Unreadable."""
    data = _close(cipher, secret.expose().encode())
    again = _printable(_open(cipher, data))
    if again is None or again.expose() != secret.expose():
        raise Unreadable("our own cell would not open again")
    return envelope(cipher.prefix.encode() + data)


def prove(cells: Iterable[str], source: KeySource) -> Cipher | None:
    """Return a cipher that opened one of Cursor's own cells, the first that does, or None.

    What opens their cells is what Cursor will open ours with; a guess would lose the key, because
    the editor deletes what it cannot decrypt.
    """
    for cell in cells:
        try:
            _, cipher = unseal(cell, source)
        except Unreadable:
            continue
        if not cipher.legacy and source.writable(cipher.prefix):
            return cipher
    return None


def _printable(plain: bytes | None) -> Secret | None:
    try:
        text = (plain or b"").decode()
    except UnicodeDecodeError:
        return None
    return Secret(text) if text and text.isprintable() else None


def _open(cipher: Cipher, data: bytes) -> bytes | None:
    return _open_gcm(cipher.key, data) if cipher.mode is Mode.GCM else _open_cbc(cipher.key, data)


def _open_cbc(key: bytes, data: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.ciphers import Cipher as Aes, algorithms, modes

    if not data or len(data) % _BLOCK:
        return None
    step = Aes(algorithms.AES(key), modes.CBC(_IV)).decryptor()
    plain = step.update(data) + step.finalize()
    count = plain[-1]
    valid = 1 <= count <= _BLOCK and plain.endswith(bytes([count]) * count)
    return plain[:-count] if valid else None


def _open_gcm(key: bytes, data: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(data) < _NONCE + _TAG:
        return None
    try:
        return AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], None)
    except InvalidTag:
        return None


def _close(cipher: Cipher, plain: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher as Aes, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if cipher.mode is Mode.GCM:
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(cipher.key).encrypt(nonce, plain, None)
    count = _BLOCK - len(plain) % _BLOCK
    step = Aes(algorithms.AES(cipher.key), modes.CBC(_IV)).encryptor()
    return step.update(plain + bytes([count]) * count) + step.finalize()
