"""Fetch the key of safeStorage from each platform's keyring, without ever asking for an unlock."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from reconciler.systems.cursor.child import output
from reconciler.systems.cursor.safestorage import (
    BASIC_PASSWORD,
    LINUX_ROUNDS,
    MACOS_ROUNDS,
    Cipher,
    KeySource,
    Mode,
    Unreadable,
    derive,
)

DEADLINE: Final = 20.0
"""Seconds a keyring may take; macOS may ask its user, a desktop bus may hang."""

SCHEMA: Final = "chrome_libsecret_os_crypt_password_v2"
_COMMENT: Final = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING: Final = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def key_source(user_data: Path, *, platform: str, home: Path) -> KeySource:
    """Return the platform's key source. Nothing is asked before a cell must be opened."""
    options = arguments(home / ".cursor" / "argv.json")
    match platform:
        case "darwin":
            return Keychain(options)
        case "win32":
            return LocalState(user_data / "Local State", options)
        case _:
            return SecretService(options)


def arguments(path: Path) -> Mapping[str, Any]:
    """Return Cursor's start options from ``argv.json`` (JSON with comments); {} when unreadable."""
    try:
        text = path.read_text("utf-8")
        plain = _TRAILING.sub(r"\1", _COMMENT.sub(r"\1", text))
        found = json.loads(plain)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_memory(options: Mapping[str, Any]) -> bool:
    return options.get("use-inmemory-secretstorage") is True


class SecretService:
    """Linux: ``v11`` by the desktop's keyring (Secret Service or KWallet), ``v10`` by a constant.

    Cells of an empty password are legacy that Chromium still reads (measured on 156).
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def ciphers(self, prefix: str) -> Sequence[Cipher]:
        """Return the ciphers for a prefix. Raises Unreadable when the keyring is locked."""
        own = [BASIC_PASSWORD] if prefix == "v10" else [self._password]
        found = [derive(prefix, password, LINUX_ROUNDS) for password in own]
        return [*found, derive(prefix, b"", LINUX_ROUNDS, legacy=True)]

    def writable(self, prefix: str) -> bool:
        """With ``password-store`` basic Cursor cannot read ``v11``; in memory it reads nothing."""
        basic = self._options.get("password-store") == "basic"
        return not _in_memory(self._options) and not (basic and prefix == "v11")

    @cached_property
    def _password(self) -> bytes:
        try:
            found = _in_time(_from_secret_service)
        except Unreadable:
            found = _from_kwallet()
            if found is None:
                raise
        return found or _from_kwallet() or _missing()


def _missing() -> bytes:
    raise Unreadable("set, unreadable: the keyring has no key of Cursor's")


def _in_time(fetch: Callable[[], bytes | None]) -> bytes | None:
    """Run a call that may hang on the desktop's bus, in a thread that nobody waits for."""
    found: list[bytes | None] = []
    failed: list[Unreadable] = []

    def run() -> None:
        try:
            found.append(fetch())
        except Unreadable as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    if failed:
        raise failed[0]
    if not found:
        raise Unreadable("set, unreadable: the keyring does not answer")
    return found[0]


def _from_secret_service() -> bytes | None:
    """Return the newest item's secret; Chromium took the newest of two (one trial)."""
    try:
        import secretstorage
        from jeepney.wrappers import DBusErrorResponse  # type: ignore[import-untyped]
        from secretstorage.exceptions import SecretStorageException
    except ImportError:
        return None
    try:
        connection = secretstorage.dbus_init()
    except (SecretStorageException, OSError):
        return None
    try:
        for application in ("Cursor", "cursor"):
            wanted = {"application": application, "xdg:schema": SCHEMA}
            items = list(secretstorage.search_items(connection, wanted))
            if items:
                newest = max(items, key=lambda item: item.get_created())
                return _unlocked(newest)
    except (SecretStorageException, DBusErrorResponse, OSError):
        return None
    finally:
        connection.close()
    return None


def _unlocked(item: Any) -> bytes:
    if item.is_locked():
        raise Unreadable("set, unreadable: the keyring is locked", locked=True)
    return bytes(item.get_secret())


def _from_kwallet() -> bytes | None:
    """Return KDE's entry (non-Google builds: ``Chromium Keys``); None where there is none."""
    entry = ["-r", "Chromium Safe Storage", "-f", "Chromium Keys", "kdewallet"]
    found = _output(["kwallet-query", *entry])
    return None if found is None or found.startswith(b"Failed") else found


def _output(command: Sequence[str]) -> bytes | None:
    """Return a command's output without its newline, None when it fails or is missing."""
    return (output(command, DEADLINE) or b"").rstrip(b"\r\n") or None


class Keychain:
    """macOS: one generic password. Electron moves the account ``Cursor`` to ``Cursor Key``."""

    def __init__(
        self,
        options: Mapping[str, Any],
        ask: Callable[[Sequence[str]], bytes | None] = _output,
    ) -> None:
        self._options, self._ask = options, ask

    def ciphers(self, prefix: str) -> Sequence[Cipher]:
        """Return the cipher for ``v10``. Raises Unreadable when the keychain does not give it."""
        return [derive("v10", self._password, MACOS_ROUNDS)] if prefix == "v10" else []

    def writable(self, prefix: str) -> bool:
        """Tell whether stored cells are read at all."""
        return prefix == "v10" and not _in_memory(self._options)

    @cached_property
    def _password(self) -> bytes:
        service = ["/usr/bin/security", "find-generic-password", "-w", "-s", "Cursor Safe Storage"]
        for account in ("Cursor Key", "Cursor"):
            if found := self._ask([*service, "-a", account]):
                return found
        raise Unreadable("set, unreadable: the keychain does not give Cursor's key", locked=True)


class LocalState:
    """Windows: a random key in ``Local State``, protected by DPAPI for the current user."""

    def __init__(
        self,
        path: Path,
        options: Mapping[str, Any],
        unprotect: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._path, self._options = path, options
        self._unprotect = unprotect or _dpapi

    def ciphers(self, prefix: str) -> Sequence[Cipher]:
        """Return the cipher for ``v10``. Raises Unreadable when the key cannot be had."""
        return [Cipher("v10", Mode.GCM, self._key)] if prefix == "v10" else []

    def writable(self, prefix: str) -> bool:
        """Tell whether stored cells are read at all."""
        return prefix == "v10" and not _in_memory(self._options)

    @cached_property
    def _key(self) -> bytes:
        try:
            state = json.loads(self._path.read_text("utf-8"))
            wrapped = base64.b64decode(state["os_crypt"]["encrypted_key"], validate=True)
            key = self._unprotect(wrapped.removeprefix(b"DPAPI"))
        except (OSError, ValueError, KeyError, TypeError):
            raise Unreadable("set, unreadable: no usable key in Cursor's Local State") from None
        if not wrapped.startswith(b"DPAPI") or len(key) != 32:  # noqa: PLR2004 (AES-256)
            raise Unreadable("set, unreadable: the key in Cursor's Local State is of another kind")
        return key


def _dpapi(data: bytes) -> bytes:
    """Return what CryptUnprotectData makes of the data, never with a prompt. Raises OSError."""
    import ctypes

    class Blob(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint32), ("data", ctypes.c_void_p))

    windll: Any = getattr(ctypes, "windll", None)
    if windll is None:
        raise OSError("not on Windows")
    held = ctypes.create_string_buffer(data, len(data))
    given, made = Blob(len(data), ctypes.addressof(held)), Blob()
    no_prompt = 1  # CRYPTPROTECT_UI_FORBIDDEN
    call = windll.crypt32.CryptUnprotectData
    if not call(ctypes.byref(given), None, None, None, None, no_prompt, ctypes.byref(made)):
        raise OSError("the data cannot be unprotected")
    try:
        return ctypes.string_at(made.data, made.size)
    finally:
        windll.kernel32.LocalFree(ctypes.c_void_p(made.data))
