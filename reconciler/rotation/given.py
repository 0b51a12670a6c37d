"""New keys that a person made: from a reference, or typed in unseen."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.entries import Rotation
from reconciler.errors import UsageError
from reconciler.secrets import Secret
from reconciler.secrets.value import one_line, usable
from reconciler.session import Session
from reconciler.systems.account import Values

Given = Callable[[Rotation], Values]

JOINED = "{}"


def of_reference(session: Session, text: str) -> Given:
    """Return what reads a new key from a reference; where it has parts, ``{}`` stands for them.

    ``file://new/{}`` is read for ``access_key_id`` and ``secret_access_key`` alike.
    Raises SecretError when it is called.
    """

    def given(rotation: Rotation) -> Values:
        if len(rotation.refs) > 1 and JOINED not in text:
            what, names = "this key has several parts", ", ".join(sorted(rotation.refs))
            raise UsageError("--new-key", what, f"put {{}} where {names} are to stand")
        vault = session.afresh().vault
        places = {name: text.replace(JOINED, name) for name in rotation.refs}
        return {name: vault.reveal(vault.seal([place])) for name, place in places.items()}

    return given


def of_person(prompt: Callable[[str], str]) -> Given:
    """Return what asks a person for each part of a new key, unseen."""

    def given(rotation: Rotation) -> Values:
        return {name: _asked(prompt, rotation, name) for name in sorted(rotation.refs)}

    return given


def _asked(prompt: Callable[[str], str], rotation: Rotation, name: str) -> Secret:
    label = f"New {name.replace('_', ' ')} of {rotation.system}"
    return usable(one_line(Secret(prompt(label).strip())), f"the new {name}")
