"""New keys that a person made: from a reference, or typed in unseen."""

from __future__ import annotations

from collections.abc import Callable, Collection

from reconciler.errors import UsageError
from reconciler.rotation.desk import Desk, equal
from reconciler.secrets import Secret
from reconciler.secrets.value import one_line, usable
from reconciler.session import Session
from reconciler.systems.account import Values

Given = Callable[[str, Collection[str]], Values]
"""Returns the parts of an account's new key, by their names."""

PART = "{}"
"""Stands in a reference for the name of a key's part."""


def given_for(desk: Desk, system: str, names: Collection[str], old: Values) -> Values:
    """Return an account's new key that a person made.

    Raises UsageError where nobody is there to give it, or it is the old one; SecretError.
    """
    where, page = f"rotate {system}", desk.issuer.by_hand or "the provider's console"
    if desk.given is None:
        what = f"byok cannot make this key: {desk.issuer.why}"
        way_out = f"make one at {page}, and give --new-key REFERENCE"
        raise UsageError(where, what, way_out)
    new = desk.given(system, names)
    if old and equal(new, old):
        raise UsageError(where, "the new key is the old one", f"make a new one at {page}")
    return new


def of_reference(session: Session, text: str) -> Given:
    """Return what reads a new key from a reference; where it has parts, ``{}`` stands for them.

    ``file://new/{}`` is read for ``access_key_id`` and ``secret_access_key`` alike.
    It raises SecretError, and UsageError for a key of several parts without ``{}``.
    """

    def given(system: str, names: Collection[str]) -> Values:
        if len(names) > 1 and PART not in text:
            what, parts = "this key has several parts", ", ".join(sorted(names))
            raise UsageError(f"rotate {system}", what, f"put {{}} where {parts} are to stand")
        vault = session.afresh().vault
        places = {name: text.replace(PART, name) for name in names}
        return {name: vault.reveal(vault.seal([place])) for name, place in places.items()}

    return given


def of_person(prompt: Callable[[str], str]) -> Given:
    """Return what asks a person for each part of a new key, unseen."""

    def given(system: str, names: Collection[str]) -> Values:
        return {name: _asked(prompt, system, name) for name in sorted(names)}

    return given


def _asked(prompt: Callable[[str], str], system: str, name: str) -> Secret:
    label = f"New {name.replace('_', ' ')} of {system}"
    return usable(one_line(Secret(prompt(label).strip())), f"the new {name}")
