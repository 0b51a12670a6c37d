"""Secrets in environment variables: ``env://NAME``."""

from __future__ import annotations

import os

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.secret import Secret
from reconciler.secrets.value import usable


def read(name: str, where: str) -> Secret:
    """Return the variable's value; an empty one counts as unset.

    Raises SecretError: no such item, unusable value.
    """
    found = Secret(os.environ.get(name, ""))
    if not found.expose():
        what = f"the environment variable {name} is not set, or empty"
        raise SecretError(SecretProblem.NO_ITEM, where, what, f"set {name}")
    return usable(found, where)
