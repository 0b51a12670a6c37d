"""Secrets in the operating system's keyring: ``keyring://SERVICE/USER``."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.process import DEADLINE
from reconciler.secrets.secret import Secret
from reconciler.secrets.value import usable

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

_UNLOCK = "unlock the keyring (sign in to the desktop), then run again"
_NO_BACKEND = (
    "start a keyring (GNOME Keyring, KWallet, KeePassXC), name another reference, or set "
    "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring to say that there is none"
)
_MACOS_LOCKED = ("-25308", "-25293", "-128")
"""Security framework: interaction not allowed, authentication failed, cancelled by the user."""


def read(service: str, user: str, where: str, deadline: float = DEADLINE) -> Secret:
    """Return an item of the keyring, within ``deadline`` seconds.

    The null backend holds nothing: no such item. A backend of keyrings.alt is never used, because
    most of them keep values in clear text.
    Raises SecretError: no such item, locked, no backend, timed out, unusable value.
    """
    found = _within(deadline, where, lambda: _get(service, user, where))
    if found is None:
        what = f"the keyring has no item for {user!r} of {service!r}"
        way_out = f"store it: keyring set {service} {user}"
        raise SecretError(SecretProblem.NO_ITEM, where, what, way_out)
    return usable(found, where)


def write(service: str, user: str, secret: Secret, where: str, deadline: float = DEADLINE) -> None:
    """Store an item, replacing one of the same name, and read it back.

    Raises SecretError: locked, no backend (also when it does not give the value back), timed out.
    """
    kept = _within(deadline, where, lambda: _set(service, user, secret, where))
    if not kept:
        what = "the keyring did not give back what was written to it"
        raise SecretError(SecretProblem.NO_BACKEND, where, what, _NO_BACKEND)


def _get(service: str, user: str, where: str) -> Secret | None:
    found = _backend(where).get_password(service, user)
    return None if found is None else Secret(found)


def _set(service: str, user: str, secret: Secret, where: str) -> bool:
    backend = _backend(where)
    backend.set_password(service, user, secret.expose())
    return backend.get_password(service, user) == secret.expose()


def _backend(where: str) -> KeyringBackend:
    import keyring

    backend = keyring.get_keyring()
    chained = getattr(backend, "backends", ())
    for each in (backend, *chained):
        module = type(each).__module__
        if module.startswith("keyrings.alt"):
            what = f"the keyring backend is {module}, which may keep values in clear text"
            raise SecretError(SecretProblem.NO_BACKEND, where, what, _NO_BACKEND)
    return backend


def _within(deadline: float, where: str, ask: Callable[[], T]) -> T:
    # The thread is left behind when it hangs: D-Bus and Keychain calls cannot be interrupted.
    answers: queue.SimpleQueue[tuple[T] | SecretError] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((ask(),))
        except SecretError as error:
            answers.put(error)
        except Exception as error:  # noqa: BLE001  backends raise whatever their platform raises
            answers.put(_explain(error, where))

    threading.Thread(target=work, name="byok-keyring", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline)
    except queue.Empty:
        what = f"the keyring gave no answer within {deadline:g} s"
        raise SecretError(SecretProblem.TIMED_OUT, where, what, _UNLOCK) from None
    if isinstance(answer, SecretError):
        raise answer
    return answer[0]


def _explain(error: Exception, where: str) -> SecretError:
    names = {each.__name__ for each in type(error).__mro__}
    if names & {"KeyringLocked", "LockedException", "PromptDismissedException"}:
        return SecretError(SecretProblem.LOCKED, where, "the keyring is locked", _UNLOCK)
    if "KeyringError" in names and any(code in str(error) for code in _MACOS_LOCKED):
        return SecretError(SecretProblem.LOCKED, where, "the keychain is locked", _UNLOCK)
    if "NoKeyringError" in names:
        what = "this machine has no keyring that answers"
        return SecretError(SecretProblem.NO_BACKEND, where, what, _NO_BACKEND)
    if "InitError" in names:
        what = "the keyring has no default collection, and none could be made"
        return SecretError(SecretProblem.NO_BACKEND, where, what, _NO_BACKEND)
    what = f"the keyring failed ({type(error).__name__})"
    return SecretError(SecretProblem.NO_BACKEND, where, what, _NO_BACKEND)
