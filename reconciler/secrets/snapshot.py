"""Encrypted copies of keys that byok replaces, so that a rollback can bring them back."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import keyring_store
from reconciler.secrets.process import DEADLINE
from reconciler.secrets.secret import Secret
from reconciler.secrets.state_file import load, load_or_create

KEY_BYTES = 32
KEY_FILE = "snapshot.key"
SERVICE = "byok"
_ID = 8


def seal_copy(secret: Secret, key: bytes) -> bytes:
    """Encrypt a secret: eight hexadecimal digits that name the key, a dot, and a Fernet token."""
    from cryptography.fernet import Fernet

    token = Fernet(base64.urlsafe_b64encode(key)).encrypt(secret.expose().encode())
    return _key_id(key).encode() + b"." + token


def open_copy(blob: bytes, key: bytes) -> Secret:
    """Decrypt what `seal_copy` made.

    Raises SecretError (not decryptable): another key, or damaged.
    """
    from cryptography.fernet import Fernet, InvalidToken

    name, _, token = blob.partition(b".")
    if name != _key_id(key).encode():
        raise _closed("the copy of the replaced key was encrypted under another key")
    try:
        return Secret(Fernet(base64.urlsafe_b64encode(key)).decrypt(token).decode())
    except InvalidToken:
        raise _closed("the copy of the replaced key is damaged") from None


def open_kept(blob: bytes, state_dir: Path, deadline: float = DEADLINE) -> Secret:
    """Decrypt a copy with whichever of this machine's two possible keys it was made under.

    Raises SecretError: not decryptable, or what kept the keyring's key from being read.
    """
    filed = load(state_dir, KEY_FILE, KEY_BYTES)
    if filed is not None and blob.startswith(_key_id(filed).encode()):
        return open_copy(blob, filed)
    return open_copy(blob, _from_keyring(_user(state_dir), deadline))


def snapshot_key(state_dir: Path, *, create: bool, deadline: float = DEADLINE) -> tuple[bytes, str]:
    """Return the key for copies, and a sentence that says where it is kept.

    The file ``snapshot.key`` (0600) of the state directory counts if it is there; else the OS
    keyring's item ``byok`` / ``snapshot-key:HASH``, HASH naming the state directory. With
    ``create`` a new key goes into the keyring and is read back; a keyring that does not answer,
    is locked or does not keep it gives way to the file.
    Raises SecretError: without ``create`` whatever kept the key from being read.
    """
    filed = load(state_dir, KEY_FILE, KEY_BYTES)
    if filed is not None:
        return filed, _in_file(state_dir, "")
    user = _user(state_dir)
    try:
        return _from_keyring(user, deadline), _IN_KEYRING
    except SecretError as error:
        if not create:
            raise
        return _made(state_dir, user, error, deadline)


_IN_KEYRING = "copies of replaced keys are encrypted; their key is in this machine's keyring"


def _made(state_dir: Path, user: str, error: SecretError, deadline: float) -> tuple[bytes, str]:
    reason = error.what
    if error.kind is SecretProblem.NO_ITEM:
        key = os.urandom(KEY_BYTES)
        try:
            keyring_store.write(
                SERVICE, user, Secret(key.hex()), f"keyring://{SERVICE}/{user}", deadline
            )
        except SecretError as failure:
            reason = failure.what
        else:
            return key, _IN_KEYRING
    key = load_or_create(state_dir, KEY_FILE, KEY_BYTES, lambda: os.urandom(KEY_BYTES))
    return key, _in_file(state_dir, reason)


def _in_file(state_dir: Path, reason: str) -> str:
    why = f" ({reason})" if reason else ""
    place = state_dir / KEY_FILE
    return (
        f"copies of replaced keys are encrypted, but their key is in the file {place}, "
        f"not in a keyring{why}: who can read that file can read them"
    )


def _from_keyring(user: str, deadline: float) -> bytes:
    where = f"keyring://{SERVICE}/{user}"
    found = keyring_store.read(SERVICE, user, where, deadline)
    key = _unhex(found)
    if len(key) != KEY_BYTES:
        what = "the keyring's item is not a key of byok"
        raise SecretError(SecretProblem.UNUSABLE, where, what, "delete it, or restore it")
    return key


def _unhex(secret: Secret) -> bytes:
    try:
        return bytes.fromhex(secret.expose())
    except ValueError:
        return b""


def _user(state_dir: Path) -> str:
    name = hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:12]
    return f"snapshot-key:{name}"


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"byok snapshot key id\0" + key).hexdigest()[:_ID]


def _closed(what: str) -> SecretError:
    way_out = "set the key by hand; the copy cannot be used"
    return SecretError(SecretProblem.NOT_DECRYPTABLE, "snapshot", what, way_out)
