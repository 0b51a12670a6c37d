"""Is Cursor's settings database whole, free, writable; is there room; what became of it before."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from reconciler.doctor.finding import Finding, of_error, problem, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing
from reconciler.errors import ByokError
from reconciler.systems.cursor.layout import SETTINGS
from reconciler.systems.cursor.store import HalfDone

LEAST = 16 * 1024 * 1024
"""Bytes that must be free for one small transaction, and for a journal beside it."""

CHECK = "cursor/database"
_MODE_AT = slice(18, 20)
_WAL = 2


def health(ground: Ground) -> Iterator[Finding]:
    """Open the database as `plan` does: header, form, the one settings row. Never a full scan.

    (It can be gigabytes; ``PRAGMA quick_check`` would read all of them.)
    """
    path, seen = ground.database, ground.view
    if isinstance(path, Missing):
        yield _absent(ground, path)
        return
    if isinstance(seen, Missing):
        yield _broken(path, seen)
        return
    if SETTINGS not in seen.rows:
        yield problem(
            CHECK,
            "BYOK206",
            "Cursor has stored no settings yet",
            "it was never started and quit on this profile",
            "start Cursor once and quit it",
        )
        return
    flaw = unwritable(path)
    if flaw:
        fix = "make file and folder writable for their owner (chmod u+w)"
        yield problem(CHECK, "BYOK203", "the database is read-only", flaw, fix)
        return
    size = path.stat().st_size / 1e6
    yield well(CHECK, f"opens, its form is known, its settings are JSON ({size:.1f} MB)")


def _absent(ground: Ground, missing: Missing) -> Finding:
    if missing.error is not None:
        return of_error(CHECK, "BYOK203", missing.error)
    if not ground.user_data.is_dir():
        return skipped(CHECK, missing.reason)
    return problem(
        CHECK,
        "BYOK202",
        "there is no settings database",
        f"nothing at {ground.user_data / 'User' / 'globalStorage' / 'state.vscdb'}",
        "start Cursor once and quit it, or name another --cursor-dir",
    )


def _broken(path: Path, missing: Missing) -> Finding:
    error = missing.error or ByokError(str(path), missing.reason)
    if isinstance(error, HalfDone):
        return of_error(CHECK, "BYOK209", error)
    cause = error.__cause__
    name = (getattr(cause, "sqlite_errorname", "") or "") if cause is not None else ""
    if isinstance(cause, OSError) and not isinstance(cause, sqlite3.Error):
        return of_error(CHECK, "BYOK203", error)
    match name.split("_")[1:2]:
        case ["BUSY"] | ["LOCKED"]:
            return of_error(CHECK, "BYOK204", error)
        case ["READONLY"] | ["CANTOPEN"] | ["PERM"] | ["AUTH"]:
            return of_error(CHECK, "BYOK203", error)
        case ["FULL"] | ["IOERR"]:
            return of_error(CHECK, "BYOK207", error)
    if "JSON" in error.what:
        found = of_error(CHECK, "BYOK206", error)
        why = "Cursor takes such settings for none at its next start, and all of them are lost"
        return problem(CHECK, "BYOK206", found.what, why, backup(path))
    if "another user" in error.what:
        return of_error(CHECK, "BYOK203", error)
    return problem(CHECK, "BYOK205", f"{error.where}: {error.what}", "", backup(path))


def backup(path: Path) -> str:
    """Return the way back to Cursor's own copy of its database."""
    copy = path.with_name(path.name + ".backup")
    known = f"quit Cursor and put {copy.name} in its place" if copy.exists() else "quit Cursor"
    return f"{known}; without a good copy let Cursor start once; or see for a newer byok"


def unwritable(path: Path) -> str:
    """Return why a database cannot be written, by mode bits (also as root) and by the system."""
    for each in (path, path.parent):
        if not each.stat().st_mode & stat.S_IWUSR or not os.access(each, os.W_OK):
            return f"{each} is not writable"
    return ""


def journal(ground: Ground) -> Iterator[Finding]:
    """Tell the journal mode, which byok never changes, and what a killed Cursor left behind."""
    path = ground.database
    if isinstance(path, Missing):
        yield skipped("cursor/journal", path.reason)
        return
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        yield skipped("cursor/journal", "Cursor's database cannot be read")
        return
    if isinstance(ground.view, Missing) and isinstance(ground.view.error, HalfDone):
        yield skipped("cursor/journal", "a change was left half done in Cursor's database")
        return
    hot = path.with_name(path.name + "-journal")
    if hot.exists() and hot.stat().st_size:
        yield warning(
            "cursor/journal",
            "BYOK209",
            f"{hot.name} stands beside the database",
            "Cursor is writing now, or was stopped in the middle of it",
            "start Cursor and quit it: it takes back what was half done",
        )
        return
    log = path.with_name(path.name + "-wal")
    size = log.stat().st_size if log.exists() else 0
    in_wal = _WAL in head[_MODE_AT]
    kept = f", {size / 1e6:.1f} MB of it not yet in the main file" if size else ""
    yield well("cursor/journal", f"write-ahead log{kept}" if in_wal else "rollback journal")


def room(ground: Ground) -> Iterator[Finding]:
    """Look for room: a full disk loses settings, and Cursor copies its database when it quits."""
    path = ground.database
    if isinstance(path, Missing):
        yield skipped("cursor/disk", path.reason)
        return
    free, size = shutil.disk_usage(path.parent).free, path.stat().st_size
    yield judged_room(free, size)


def judged_room(free: int, size: int) -> Finding:
    """Judge free bytes against the size of Cursor's database."""
    told = f"{free / 1e6:,.0f} MB free"
    fix = "free some space on the disk of Cursor's directory"
    if free < LEAST:
        cause = "neither Cursor nor byok can write there"
        return problem("cursor/disk", "BYOK207", told, cause, fix)
    if free < size + LEAST:
        cause = f"Cursor copies its database ({size / 1e6:,.0f} MB) each time it quits"
        return warning("cursor/disk", "BYOK207", told, cause, fix)
    return well("cursor/disk", told)


def replaced(ground: Ground) -> Iterator[Finding]:
    """Look for databases that Cursor put aside because it could not open them (2.3.41)."""
    path = ground.database
    if isinstance(path, Missing):
        yield skipped("cursor/replaced", path.reason)
        return
    aside = sorted(path.parent.glob(f"{path.name}.corrupted.*"))
    if not aside:
        yield well("cursor/replaced", "no database was put aside by Cursor")
        return
    yield warning(
        "cursor/replaced",
        "BYOK208",
        f"Cursor put {len(aside)} database{'s' if len(aside) > 1 else ''} aside as damaged",
        f"the last is {aside[-1].name}; since then an older copy, or an empty one, is in use",
        "see with byok plan what is lost, and byok apply; delete the file when all is well",
    )
