"""Our own record of what we wrote, when, and what was there before; SQLite, never a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from reconciler.codec import canonical, change_from_json, change_to_json, decode, encode
from reconciler.entries import Evidence, Run, Step
from reconciler.keybook import KeyBook
from reconciler.ledger_file import FILE, RECORD, as_record, open_reader, open_writer
from reconciler.model import Address, Change, Record, Sealed, Written

__all__ = ["Evidence", "Ledger", "Run", "Step", "now"]


class Ledger:
    """An open ledger, for reading or for writing; use it as a context manager.

    A ledger that does not exist reads as empty and is made by the first writer, mode 0600.
    """

    def __init__(self, state_dir: Path, *, write: bool = False) -> None:
        self.path = state_dir / FILE
        self._db = open_writer(self.path) if write else open_reader(self.path)
        self.keys = KeyBook(self._db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def written(self, system: str, owner: str) -> Written:
        """Return what this owner last wrote to a system, by address and attribute."""
        return self._written("owner=?", (system, owner))

    def held(self, system: str, owner: str) -> Written:
        """Return what other owners last wrote to a system, by address and attribute."""
        return self._written("owner<>?", (system, owner))

    def written_at(self, system: str, owner: str) -> Mapping[Address, str]:
        """Return when each address was last recorded, as ISO 8601 in UTC."""
        rows = self._db.rows(
            "SELECT address, max(at) FROM written WHERE system=? AND owner=? GROUP BY address",
            (system, owner),
        )
        return {Address.parse(address): at for address, at in rows}

    def holders(self, system: str, owner: str) -> Mapping[Address, str]:
        """Return the addresses that other owners hold on a system, with their names."""
        rows = self._db.rows(
            "SELECT DISTINCT address, owner FROM written WHERE system=? AND owner<>?",
            (system, owner),
        )
        return {Address.parse(address): other for address, other in rows}

    def recorded(self, owner: str) -> frozenset[Address]:
        """Return the addresses in accounts, of whatever identity, that this owner ever wrote to."""
        rows = self._db.rows(
            "SELECT address FROM written WHERE owner=?1 AND address NOT LIKE 'cursor/%'"
            " UNION SELECT address FROM step WHERE owner=?1 AND address NOT LIKE 'cursor/%'",
            (owner,),
        )
        return frozenset(Address.parse(address) for (address,) in rows)

    def evidence(self, column: str) -> Mapping[str, str]:
        """Map recorded source versions or cell digests to the fingerprint they stand for."""
        query = {
            "version": "SELECT version, value FROM written WHERE version IS NOT NULL",
            "cell": "SELECT cell, value FROM written WHERE cell IS NOT NULL",
        }[column]
        found = ((key, decode(json.loads(value))) for key, value in self._db.rows(query))
        return {key: value.fingerprint for key, value in found if isinstance(value, Sealed)}

    def since(self, system: str, owner: str) -> Mapping[tuple[Address, str], str]:
        """Return since when each secret now on record is, by address and attribute, ISO 8601."""
        rows = self._db.rows(
            "SELECT address, name, since FROM written WHERE system=? AND owner=?"
            " AND json_extract(value, '$.fingerprint') IS NOT NULL",
            (system, owner),
        )
        return {(Address.parse(address), name): since for address, name, since in rows}

    def approvals(self) -> frozenset[tuple[str, str]]:
        """Return the approved pairs of reference and origin."""
        rows = self._db.rows("SELECT ref, origin FROM approval")
        return frozenset((ref, origin) for ref, origin in rows)

    def approve(self, ref: str, origin: str) -> None:
        """Record that a key of this reference may go to this origin."""
        self._db.execute("INSERT OR IGNORE INTO approval VALUES (?,?,?)", (ref, origin, now()))

    def begin_run(self, command: str, owner: str) -> int:
        """Record that a run starts; return its number."""
        cursor = self._db.execute(
            "INSERT INTO run (command, owner, started) VALUES (?,?,?)", (command, owner, now())
        )
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, outcome: str) -> None:
        """Record how a run ended."""
        self._db.execute("UPDATE run SET ended=?, outcome=? WHERE id=?", (now(), outcome, run))

    def begin_step(self, run: int, system: str, owner: str, change: Change) -> int:
        """Record that a step is about to happen; return its number."""
        key = (system, owner, str(change.address))
        text = canonical(change_to_json(change))
        with self._db.transaction():
            cursor = self._db.execute(
                "INSERT INTO step (run, system, owner, address, change, previous, state, started)"
                " VALUES (?,?,?,?,?,?,'started',?)",
                (run, *key, text, self._previous(key, {e.name for e in change.edits}), now()),
            )
        return int(cursor.lastrowid or 0)

    def finish_step(
        self,
        step: int,
        records: Mapping[str, Record | None],
        evidence: Mapping[str, Evidence],
        note: str = "",
    ) -> None:
        """Record in one transaction that a step is done and what now is ours."""
        ((system, owner, address),) = self._db.rows(
            "SELECT system, owner, address FROM step WHERE id=?", (step,)
        )
        with self._db.transaction():
            self._store(system, owner, address, records, evidence)
            self._close_step(step, "finished", note)

    def fail_step(self, step: int, note: str) -> None:
        """Record that a step did not happen, and why."""
        self._close_step(step, "failed", note)

    def settle_step(self, step: int, records: Mapping[str, Record | None]) -> None:
        """Close a step that an earlier run left open; without records it had not happened."""
        if records:
            self.finish_step(step, records, {}, "settled by a later run")
        else:
            self.fail_step(step, "did not happen, as a later run saw")

    def record(
        self, system: str, owner: str, records: Mapping[Address, Mapping[str, Record | None]]
    ) -> None:
        """Record adopted, moved and forgotten values in one transaction."""
        with self._db.transaction():
            for address, named in records.items():
                self._store(system, owner, str(address), named, {})

    def seen(
        self, system: str, owner: str, address: Address, name: str, proof: Evidence, known: int = 1
    ) -> None:
        """Record the evidence by which a written secret is told again; no secret gets none.

        A cell nobody could open (not ``known``) counts only as what became of a handed-over key.
        """
        self._db.execute(
            "UPDATE written SET version=coalesce(?,version), cell=?, pending=?"
            " WHERE system=? AND owner=? AND address=? AND name=? AND (? OR pending)"
            " AND value LIKE '{\"fingerprint\":%'",
            (proof.version, proof.cell, proof.pending, system, owner, str(address), name, known),
        )

    def take_over(self, system: str, owner: str, address: Address) -> None:
        """Move another owner's records of an address to this owner."""
        self._db.execute(
            "UPDATE OR REPLACE written SET owner=? WHERE system=? AND address=?",
            (owner, system, str(address)),
        )

    def open_steps(self, system: str, owner: str) -> tuple[Step, ...]:
        """Return the steps that were begun and never closed, oldest first."""
        return self._steps("system=? AND owner=? AND state='started'", (system, owner))

    def finished(self, system: str, owner: str, since: datetime) -> tuple[Step, ...]:
        """Return the steps done since a moment, oldest first."""
        moment = since.isoformat(timespec="milliseconds")
        where = "system=? AND owner=? AND state='finished' AND ended>=?"
        return self._steps(where, (system, owner, moment))

    def steps(self, run: int) -> tuple[Step, ...]:
        """Return the steps of one run in the order they were taken."""
        return self._steps("run=?", (run,))

    def runs(self, owner: str | None = None) -> tuple[Run, ...]:
        """Return all runs, newest first."""
        rows = self._db.rows(
            "SELECT id, command, owner, started, ended, outcome,"
            " (SELECT count(*) FROM step WHERE step.run=run.id AND state='finished')"
            " FROM run WHERE ?1 IS NULL OR owner=?1 ORDER BY id DESC",
            (owner,),
        )
        return tuple(Run(*row) for row in rows)

    def keep(self, step: int, address: Address, name: str, copy: bytes) -> int:
        """Store the encrypted copy of a value about to be replaced; return its number."""
        cursor = self._db.execute(
            "INSERT INTO snapshot (step, address, name, copy) VALUES (?,?,?,?)",
            (step, str(address), name, copy),
        )
        return int(cursor.lastrowid or 0)

    def copy(self, number: int) -> bytes | None:
        """Return the encrypted copy of this number, or None."""
        rows = self._db.rows("SELECT copy FROM snapshot WHERE id=?", (number,))
        return bytes(rows[0][0]) if rows else None

    def _written(self, where: str, values: tuple[str, str]) -> Written:
        query = "SELECT address, name, value, before, adopted FROM written WHERE system=? AND "
        found: dict[str, dict[str, Record]] = {}
        for address, name, *columns in self._db.rows(query + where, values):
            found.setdefault(address, {})[name] = as_record(*columns)
        return {Address.parse(address): records for address, records in found.items()}

    def _steps(self, where: str, values: tuple[Any, ...]) -> tuple[Step, ...]:
        rows = self._db.rows(
            f"SELECT id, run, change, state, note, system, previous FROM step"  # noqa: S608 - where is one of three literals above
            f" WHERE {where} ORDER BY id",
            values,
        )
        return tuple(
            Step(
                *(id_, run, change_from_json(json.loads(text)), state, note),
                self._kept(id_),
                system,
                {name: as_record(*columns) for name, columns in json.loads(previous).items()},
            )
            for id_, run, text, state, note, system, previous in rows
        )

    def _kept(self, step: int) -> Mapping[str, str]:
        rows = self._db.rows("SELECT name, id FROM snapshot WHERE step=? ORDER BY id", (step,))
        return {name: f"snapshot://{number}" for name, number in rows}

    def _previous(self, key: tuple[str, str, str], names: set[str]) -> str:
        rows = self._db.rows(
            "SELECT name, value, before, adopted FROM written"
            " WHERE system=? AND owner=? AND address=?",
            key,
        )
        return canonical({name: columns for name, *columns in rows if name in names})

    def _store(
        self,
        system: str,
        owner: str,
        address: str,
        records: Mapping[str, Record | None],
        evidence: Mapping[str, Evidence],
    ) -> None:
        for name, record in records.items():
            key = (system, owner, address, name)
            if record is None:
                self._db.execute(
                    "DELETE FROM written WHERE system=? AND owner=? AND address=? AND name=?", key
                )
                continue
            proof = evidence.get(name, Evidence())
            values = (canonical(encode(record.value)), canonical(encode(record.before)))
            proofs = (record.adopted, proof.version, proof.cell, proof.pending)
            self._db.execute(RECORD, (*key, *values, *proofs, now(), *key, values[0], now()))

    def _close_step(self, step: int, state: str, note: str) -> None:
        self._db.execute(
            "UPDATE step SET state=?, note=?, ended=? WHERE id=?", (state, note, now(), step)
        )


def now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
