"""Giving a rotation up: the new key goes, wherever nobody has it yet; the old one stays."""

from __future__ import annotations

from typing import Final

from reconciler.entries import Rotation, Stage
from reconciler.errors import SafetyStop, SecretError
from reconciler.rotation.desk import Desk
from reconciler.rotation.machine import ended, orphans
from reconciler.rotation.placing import holds
from reconciler.rotation.revoking import known_id
from reconciler.systems.account import Values

UNSTORED: Final = (Stage.ORDERED, Stage.MAKING, Stage.MADE, Stage.TRIED)
"""The stages at which the new key cannot be in its store, nor in Cursor."""


def abandon(desk: Desk, rotation: Rotation) -> Rotation:
    """Give a rotation up while neither store nor Cursor has the new key: that one is revoked.

    Raises SafetyStop where the new key is in use already, or the old one is being revoked.
    """
    where = f"rotate {rotation.system}"
    if rotation.stage is Stage.REVOKING:
        what, way_out = "the old key is being revoked already", "let it finish"
        raise SafetyStop(where, what, f"{way_out}, then rotate once more")
    new = _new(desk, rotation)
    if rotation.stage not in UNSTORED:
        _refuse_used(desk, rotation, new, where)
    target = known_id(desk, rotation, new, rotation.new_id) if rotation.by_api else ""
    for key_id in (*orphans(desk, rotation), target):
        if key_id and key_id != rotation.old_id and desk.issuer.revoke is not None:
            desk.issuer.revoke(key_id)
    return ended(desk, rotation, Stage.DROPPED)


def _new(desk: Desk, rotation: Rotation) -> Values:
    """Return the new key; nothing where its copies cannot be opened, and nobody needs them."""
    try:
        return desk.copies(rotation, "new")
    except SecretError:
        if rotation.stage in UNSTORED:
            return {}
        if dict(desk.prints(desk.stored(rotation))) == dict(rotation.old) and not rotation.cursor:
            return {}
        raise


def _refuse_used(desk: Desk, rotation: Rotation, new: Values, where: str) -> None:
    stored = desk.stored(rotation)
    if any(n in new and new[n].expose() == value.expose() for n, value in stored.items()):
        what = "the new key is in its store already"
        raise SafetyStop(where, what, "let it finish, then rotate once more")
    if rotation.cursor and rotation.stage is not Stage.STORING and holds(desk, rotation, new):
        what, way_out = "Cursor here holds the new key already", "byok apply puts the store's there"
        raise SafetyStop(where, what, f"{way_out}: then give it up")
