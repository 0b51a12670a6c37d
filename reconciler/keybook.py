"""The ledger's pages on keys: the way of each new key, its encrypted copies, and whose it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from reconciler.codec import canonical
from reconciler.entries import ENDED, KeyRecord, Rotation, Stage
from reconciler.ledger_file import Book

DROP_COPIES = """
DELETE FROM snapshot WHERE EXISTS (
  SELECT 1 FROM step, json_each(step.change, '$.edits') AS edit WHERE step.id=snapshot.step
  AND json_extract(edit.value, '$.name')=snapshot.name
  AND json_extract(edit.value, '$.before.fingerprint') IN (SELECT value FROM json_each(?)))
"""
DROP_BEFORE = """
UPDATE written SET before='null'
WHERE json_extract(before, '$.fingerprint') IN (SELECT value FROM json_each(?))
"""
"""What a removal would bring back of keys, by fingerprint: nothing of a revoked one."""

_COLUMNS = ("id", "system", "owner", "holder", "stage", "started", "moved")


class KeyBook:
    """Rotations and keys in an open ledger. Raises ByokError as the ledger does."""

    def __init__(self, db: Book) -> None:
        self._db = db

    def begin(self, rotation: Rotation) -> Rotation:
        """Record that a new key is ordered; return it with its number and time."""
        at = _now()
        made = replace(rotation, started=at, moved=at)
        cursor = self._db.execute(
            "INSERT INTO rotation (system, owner, holder, stage, data, started, moved)"
            " VALUES (?,?,?,?,?,?,?)",
            (made.system, made.owner, made.holder, made.stage.value, _data(made), at, at),
        )
        return replace(made, id=int(cursor.lastrowid or 0))

    def move(self, rotation: Rotation) -> Rotation:
        """Record how far a new key has come; return it with the time."""
        moved = replace(rotation, moved=_now())
        self._db.execute(
            "UPDATE rotation SET stage=?, data=?, moved=? WHERE id=?",
            (moved.stage.value, _data(moved), moved.moved, moved.id),
        )
        return moved

    def end(self, rotation: Rotation) -> Rotation:
        """Record a new key's end and forget all copies, both or neither; return it."""
        with self._db.transaction():
            ended = self.move(rotation)
            self._db.execute("DELETE FROM key_copy WHERE rotation=?", (ended.id,))
        return ended

    def rotations(self, owner: str, *, ended: bool = False) -> tuple[Rotation, ...]:
        """Return the ways that are not at their end, or with ``ended`` all, oldest first."""
        rows = self._db.rows(
            f"SELECT {', '.join(_COLUMNS)}, data FROM rotation WHERE owner=? ORDER BY id",  # noqa: S608 - names of our own
            (owner,),
        )
        found = (_rotation(dict(zip(_COLUMNS, row, strict=False)), row[-1]) for row in rows)
        return tuple(one for one in found if ended or one.stage not in ENDED)

    def keep(self, rotation: int, role: str, copies: Mapping[str, bytes]) -> None:
        """Store encrypted copies of the ``old`` or the ``new`` key, all of its parts at once."""
        with self._db.transaction():
            for name, copy in copies.items():
                self._db.execute(
                    "INSERT OR REPLACE INTO key_copy VALUES (?,?,?,?)", (rotation, role, name, copy)
                )

    def copies(self, rotation: int, role: str) -> Mapping[str, bytes]:
        """Return the encrypted copies of one key, by attribute."""
        rows = self._db.rows(
            "SELECT name, copy FROM key_copy WHERE rotation=? AND role=?", (rotation, role)
        )
        return {name: bytes(copy) for name, copy in rows}

    def drop(self, rotation: int, role: str) -> None:
        """Forget the encrypted copies of one key."""
        self._db.execute("DELETE FROM key_copy WHERE rotation=? AND role=?", (rotation, role))

    def record(self, key: KeyRecord) -> None:
        """Record a key that byok made or stored; one with the same fingerprints is replaced."""
        prints = canonical(dict(key.fingerprints))
        with self._db.transaction():
            self._db.execute(
                "DELETE FROM key WHERE system=? AND owner=? AND fingerprints=?",
                (key.system, key.owner, prints),
            )
            self._db.execute(
                "INSERT INTO key (system, owner, fingerprints, refs, key_id, name, holder, made,"
                " retired) VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    *(key.system, key.owner, prints, canonical(dict(key.refs)), key.key_id),
                    *(key.name, key.holder, key.made or _now(), key.retired),
                ),
            )

    def retire(self, key: KeyRecord) -> None:
        """Record that a key is revoked, and drop its copies: nothing may bring it back."""
        self.record(replace(key, retired=key.retired or _now()))
        dead = canonical(list(key.fingerprints.values()))
        with self._db.transaction():
            for statement in (DROP_COPIES, DROP_BEFORE):
                self._db.execute(statement, (dead,))

    def keys(self, owner: str) -> tuple[KeyRecord, ...]:
        """Return the keys that this owner's runs made or stored, oldest first."""
        rows = self._db.rows(
            "SELECT system, owner, fingerprints, refs, key_id, name, holder, made, retired, id"
            " FROM key WHERE owner=? ORDER BY id",
            (owner,),
        )
        return tuple(
            KeyRecord(system, owner_, json.loads(prints), json.loads(refs), *rest)
            for system, owner_, prints, refs, *rest in rows
        )

    def revoked(self) -> frozenset[str]:
        """Return the fingerprints of all keys, of whatever owner, that are or get revoked."""
        rows = self._db.rows(
            "SELECT fingerprints FROM key WHERE retired<>'' UNION ALL"
            " SELECT json_extract(data, '$.old') FROM rotation WHERE stage=?",
            (Stage.REVOKING.value,),
        )
        return frozenset(each for (text,) in rows for each in json.loads(text).values())


def _data(rotation: Rotation) -> str:
    return canonical({k: v for k, v in asdict(rotation).items() if k not in _COLUMNS})


def _rotation(columns: Mapping[str, Any], data: str) -> Rotation:
    fields = {**json.loads(data), **columns}
    for name in ("before", "recipients"):
        fields[name] = tuple(fields.get(name, ()))
    fields["stage"] = Stage(fields["stage"])
    return Rotation(**fields)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
