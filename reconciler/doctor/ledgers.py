"""byok's own state: its directory and modes, its ledger, what was left unfinished, its key."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from reconciler.doctor.finding import Finding, of_error, problem, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing, plain
from reconciler.entries import Rotation, Stage
from reconciler.errors import few
from reconciler.ledger import Ledger
from reconciler.ledger_file import FILE
from reconciler.secrets.fingerprint import KEY_FILE
from reconciler.spec import Manifest

CHECK = "byok/state directory"


def directory(ground: Ground) -> Iterator[Finding]:
    """Look at the state directory: that it is ours, private, and can be written."""
    path = ground.state_dir
    try:
        found = path.stat()
    except FileNotFoundError:
        yield well(CHECK, f"{path} is not there yet; the first plan makes it")
        return
    except OSError as error:
        what, fix = f"{path} cannot be looked at", "name another with --state-dir"
        yield problem(CHECK, "BYOK220", what, str(error.strerror), fix)
        return
    flaw, fix = _flaw(path, found)
    if flaw:
        cause = "byok refuses to keep anything there"
        yield problem(CHECK, "BYOK220", f"{path} {flaw}", cause, fix)
        return
    yield well(CHECK, str(path))
    yield from _modes(path, found)


def _flaw(path: Path, found: os.stat_result) -> tuple[str, str]:
    if not stat.S_ISDIR(found.st_mode):
        return "is no directory", "move it away, or name another with --state-dir"
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        return "belongs to another user", "use your own: --state-dir, or BYOK_STATE_DIR"
    if os.name == "posix" and found.st_mode & 0o022:
        return "can be written by others", f"chmod 700 {path}"
    if not found.st_mode & stat.S_IWUSR or not os.access(path, os.W_OK | os.X_OK):
        return "cannot be written", f"chmod 700 {path}, or name another with --state-dir"
    return "", ""


def _modes(path: Path, found: os.stat_result) -> Iterator[Finding]:
    """Name what others may read or change; byok's own files are 0600 in a directory of 0700."""
    if os.name != "posix":
        return
    loose = [path.name] if found.st_mode & 0o077 else []
    for each in sorted(path.iterdir()):
        status = each.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
            loose.append(each.name)
    if loose:
        what = f"others may read {few(loose)}"
        cause = "it tells what was written where, and which values are equal"
        fix = f"chmod 700 {path}; chmod 600 {path}/*"
        yield warning(CHECK, "BYOK221", what, cause, fix)


def ledger(ground: Ground) -> Iterator[Finding]:
    """Open the ledger to read."""
    found = ground.ledger
    path = ground.state_dir / FILE
    if isinstance(found, Ledger):
        runs = len(found.runs()) if path.exists() else 0
        what = f"{runs} run{'s' if runs != 1 else ''} on record" if runs else "nothing written yet"
        yield well("byok/ledger", what)
    elif found.error is not None:
        yield of_error("byok/ledger", "BYOK222", found.error)
    else:
        yield warning(
            "byok/ledger",
            "BYOK222",
            found.reason,
            f"{FILE}-journal stands beside it; the doctor writes nothing, not even to mend that",
            "if no byok is running, byok status takes back what was half done",
        )


def unfinished(ground: Ground) -> Iterator[Finding]:
    """Look for steps that were begun and never closed, and for rotations on their way."""
    found = ground.ledger
    if isinstance(found, Missing):
        yield skipped("byok/unfinished", found.reason)
        return
    broken = [run for run in found.runs() if run.outcome == "unfinished"]
    steps = [s for run in broken for s in found.steps(run.id) if s.state == "started"]
    if steps:
        names = few([str(step.change.address) for step in steps])
        yield warning(
            "byok/unfinished",
            "BYOK223",
            f"a run was ended in the middle: {names}",
            f"run {steps[-1].run} began {len(steps)} steps that were never closed",
            "byok apply goes on where it was",
        )
    yield from _rotations(ground, found)
    if not steps:
        yield well("byok/unfinished", "no run was ended in the middle")


def _rotations(ground: Ground, found: Ledger) -> Iterator[Finding]:
    manifest = ground.manifest
    if isinstance(manifest, Manifest):
        yield from (_rotation(one) for one in found.keys.rotations(manifest.team))


def _rotation(one: Rotation) -> Finding:
    """Judge a new key on its way; an old one that lives on for its grace is as it should be."""
    who, command = "", f"byok rotate {one.system}"
    if one.command == "issue":
        who, command = (
            f" for {one.holder}",
            f"byok issue --for {one.holder} --provider {one.system}",
        )
    until = f"{one.until[:16].replace('T', ' ')} UTC"
    if one.stage is Stage.KEPT and datetime.now(UTC) < datetime.fromisoformat(one.until):
        return well("byok/unfinished", f"{one.system} is rotated; its old key lives until {until}")
    kept = one.stage is Stage.KEPT
    return warning(
        "byok/unfinished",
        "BYOK224",
        f"a new key of {one.system}{who} is on its way since {one.started[:10]}",
        f"the old one was to live until {until}"
        if kept
        else f"it came as far as {one.stage.value}",
        f"{command} goes on where it was",
    )


def fingerprint_key(ground: Ground) -> Iterator[Finding]:
    """Look at the key that fingerprints are made with."""
    check, found = "byok/fingerprint key", ground.fingerprint_key
    if isinstance(found, Missing):
        if found.error is None:
            yield skipped(check, found.reason)
        else:
            yield of_error(check, "BYOK225", found.error)
        return
    manifest = ground.manifest
    if isinstance(manifest, Manifest) and manifest.policy.fingerprint_key:
        yield well(check, "the manifest's own, shared by every machine that has it")
    elif found is not None:
        yield well(check, f"{KEY_FILE} is 32 bytes, and yours alone")
    elif plain(ground.state_dir / FILE):
        yield warning(
            check,
            "BYOK225",
            f"{KEY_FILE} is gone, and the ledger is not",
            "every fingerprint on record was made with it: all keys look changed",
            "restore it from a backup of the state directory; else byok apply records them anew",
        )
    else:
        yield well(check, "not there yet; the first plan makes it")
