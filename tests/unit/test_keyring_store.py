"""What other platforms' keyrings answer, and when none answers."""

from __future__ import annotations

import threading

import keyring
import keyring.backend
import keyring.errors
import pytest

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets import keyring_store

CANARY = "canary-" + "7" * 20


class Answering(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def get_password(self, service, username):
        return self.answer()

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError


@pytest.fixture
def kind(monkeypatch):
    def kind(backend, deadline=20.0):
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
        with pytest.raises(SecretError) as caught:
            keyring_store.read("byok", "openai", "keyring://byok/openai", deadline)
        assert CANARY not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__
        return caught.value.kind

    return kind


def raising(error):
    def answer():
        raise error

    return Answering(answer)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (keyring.errors.KeyringLocked("Can't get password from keychain: (-128, 'x')"), "LOCKED"),
        (keyring.errors.KeyringError("Can't get password from keychain: (-25308, 'x')"), "LOCKED"),
        (keyring.errors.KeyringError("Can't get password from keychain: (-1, 'x')"), "NO_BACKEND"),
        (keyring.errors.InitError("Failed to create the collection"), "NO_BACKEND"),
        (keyring.errors.NoKeyringError("install keyrings.alt"), "NO_BACKEND"),
        (OSError(CANARY), "NO_BACKEND"),
    ],
)
def test_failures(kind, error, expected):
    assert kind(raising(error)) is SecretProblem[expected]


def test_a_hanging_keyring(kind):
    never = threading.Event()
    try:
        assert kind(Answering(never.wait), deadline=0.2) is SecretProblem.TIMED_OUT
    finally:
        never.set()


def test_a_chain_with_a_clear_text_backend_is_not_asked(kind):
    clear = type("Clear", (Answering,), {"__module__": "keyrings.alt.file", "priority": 0.5})
    chain = Answering(lambda: CANARY)
    chain.backends = [clear(lambda: CANARY)]
    assert kind(chain) is SecretProblem.NO_BACKEND
