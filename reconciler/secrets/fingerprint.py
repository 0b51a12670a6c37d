"""Keyed fingerprints: they tell equal from different, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from reconciler.secrets.state_file import load_or_create

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.secrets.secret import Secret

KEY_BYTES = 32
KEY_FILE = "fingerprint.key"


class Fingerprinter:
    """HMAC-SHA-256 under one key; each purpose has its own prefix, so results never mix."""

    __slots__ = ("_mac", "key_id")

    def __init__(self, key: bytes) -> None:
        def mac(purpose: bytes, data: bytes) -> str:
            return _hmac(key, purpose + b"\0" + data).hex()

        self._mac = mac  # a closure, like Secret's: no attribute holds the key
        self.key_id: str = self._mac(b"byok key id", b"")[:4]
        """Four hexadecimal digits that name the key: plans under different keys do not compare."""

    def fingerprint(self, secret: Secret) -> str:
        """Return the fingerprint of a secret: 12 hexadecimal digits."""
        return self._mac(b"byok secret", secret.expose().encode("utf-8", "surrogateescape"))[:12]

    def digest(self, text: str) -> str:
        """Return the digest of an encrypted cell or scalar: 16 hexadecimal digits."""
        return self._mac(b"byok cell", text.encode("utf-8", "surrogateescape"))[:16]

    def __repr__(self) -> str:
        return f"Fingerprinter(key_id={self.key_id!r})"


def load_or_create_key(state_dir: Path) -> bytes:
    """Return this machine's key: 32 random bytes in ``fingerprint.key`` of the state directory.

    The file is made on first use, 0600, in a 0700 directory.
    Raises SecretError (refused) when it belongs to somebody else, others may read it, it is a
    symlink, or it is not 32 bytes long.
    """
    return load_or_create(state_dir, KEY_FILE, KEY_BYTES, lambda: os.urandom(KEY_BYTES))


def derive_key(secret: Secret) -> bytes:
    """Derive a key from a shared secret (``policy.fingerprint_key``): HKDF-SHA-256, 32 bytes.

    RFC 5869 with salt ``byok`` and info ``fingerprint key``.
    """
    mixed = _hmac(b"byok", secret.expose().encode("utf-8", "surrogateescape"))
    return _hmac(mixed, b"fingerprint key\x01")


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)
