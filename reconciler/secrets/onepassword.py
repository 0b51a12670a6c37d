"""Secrets in 1Password, by its command line: ``op://VAULT/ITEM/[SECTION/]FIELD``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.process import DEADLINE, environment, find_program, run
from reconciler.secrets.value import one_line, usable

if TYPE_CHECKING:
    from reconciler.secrets.secret import Secret

_SIGN_IN = "sign in (op signin), unlock the app, or set OP_SERVICE_ACCOUNT_TOKEN"

_LOCKED = (
    r"not (currently )?signed in|no accounts? configured|session expired|unauthori[sz]ed"
    r"|authorization (prompt )?(dismissed|denied|timeout)|locked|invalid .*token"
)
_ABSENT = (
    r"isn't an? (item|vault|field|section)|could ?n.t (be found|find)|could not find"
    r"|does not (have|exist)|not found|no item (found|matching)"
)
_CLASSES: tuple[tuple[SecretProblem, str, str, str], ...] = (
    (
        SecretProblem.LOCKED,
        _LOCKED,
        "1Password is locked or not signed in",
        _SIGN_IN,
    ),
    (
        SecretProblem.NO_ITEM,
        _ABSENT,
        "1Password has no such vault, item or field",
        "check the three names of the reference",
    ),
)
"""Kinds of failure by what ``op`` 2.x writes to standard error; it ends with 1 in every case."""


def read(text: str, where: str, deadline: float = DEADLINE) -> Secret:
    """Return what ``op read`` gives for the reference.

    Raises SecretError: no backend (no ``op``, or it failed in a way not known), locked,
    no such item, timed out, unusable value.
    """
    program = find_program("op")
    if program is None:
        what = "the 1Password command line (op) is not installed"
        raise SecretError(SecretProblem.NO_BACKEND, where, what, "install it, or use another store")
    argv = (program, "read", "--no-newline", text)
    env = environment(("OP_",))
    outcome = run(argv, where=where, env=env, deadline=deadline, keep_terminal=True)
    if outcome.code:
        raise _explain(outcome.code, outcome.complaint, where)
    return usable(one_line(outcome.output), where)


def _explain(code: int, complaint: Secret, where: str) -> SecretError:
    for kind, pattern, what, way_out in _CLASSES:
        if re.search(pattern, complaint.expose(), re.IGNORECASE):
            return SecretError(kind, where, what, way_out)
    what = f"op ended with {code} for a reason that byok does not know"
    return SecretError(SecretProblem.NO_BACKEND, where, what, "run op read by hand to see why")
