"""Results of a made-up fleet as the playbooks collect them: one envelope for each machine."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OLD, NEW, ROGUE = "1a2b3c4d5e6f", "9f2c61d0a4b1", "77aa00bb11cc"
REF = "sops://secrets/team.enc.yaml#/openai/key"
SHARES = (
    ("in_sync", 60),
    ("model", 17),
    ("key", 6),
    ("drift", 4),
    ("changed", 4),
    ("running", 4),
    ("locked", 2),
    ("disk", 1),
    ("unreachable", 2),
)
"""What becomes of a hundred machines."""


def edit(name: str, before: Any, after: Any) -> dict[str, Any]:
    return {"name": name, "before": before, "after": after}


def change(address: str, action: str, cause: str, *edits: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": address,
        "action": action,
        "cause": cause,
        "irreversible": False,
        "edits": list(edits),
    }


def sealed(fingerprint: str, ref: str | None = REF) -> dict[str, Any]:
    return {"fingerprint": fingerprint, "ref": ref}


MODEL = change("cursor/model/gpt-4o", "create", "new", edit("override", "none", "enabled"))
KEY = change(
    "cursor/provider/openai", "update", "manifest", edit("key", sealed(OLD, None), sealed(NEW))
)
DRIFT = change("cursor/provider/openai", "update", "drift", edit("enabled", False, True))
BY = "probably by Cursor itself, which switches this off on sign-in and plan changes"


def plan(*changes: dict[str, Any], key_id: str = "cb72", unknown: int = 0) -> dict[str, Any]:
    actions = [one["action"] for one in changes]
    return {
        "format": "byok.plan/1",
        "scope": {"systems": ["cursor"], "offline": False, "targets": []},
        "fingerprint_key": key_id,
        "changes": list(changes),
        "observations": [],
        "diagnostics": [],
        "summary": {
            **{name: actions.count(name) for name in ("create", "update", "delete")},
            "in_sync": 12,
            "observed": 0,
            "unknown": unknown,
            "unmanaged": 3,
        },
    }


def applied(*changes: dict[str, Any], key_id: str = "cb72", **more: Any) -> dict[str, Any]:
    return {
        "format": "byok.apply/1",
        "changed": bool(changes),
        "fingerprint_key": key_id,
        "applied": list(changes),
        "failed": [],
        "pending": [],
        "diagnostics": [],
        **more,
    }


def status(*drifted: dict[str, Any]) -> dict[str, Any]:
    one = {
        "system": "cursor",
        "state": "drifted" if drifted else "in sync",
        "in_sync": 12 - len(drifted),
        **{name: [] for name in ("to_apply", "waiting", "converging", "left_alone", "unknown")},
        "drifted": list(drifted),
    }
    return {
        "format": "byok.status/1",
        "systems": [one],
        "unfinished": [],
        "rotations": [],
        "watch": None,
    }


def moved(until: str) -> dict[str, Any]:
    return {
        "address": "cursor/provider/openai",
        "edits": ["enabled"],
        "after": "2026-11-20T08:00:00.000+00:00",
        "until": until,
        "by": BY,
        "cause": "drift",
    }


def doctor(*checks: tuple[str, str, str, str]) -> dict[str, Any]:
    rows = [
        {"check": check, "state": state, "code": code, "what": what}
        | {"cause": "", "fix": "give it back to its owner", "where": ""}
        for code, check, state, what in checks
    ]
    return {"format": "byok.doctor/1", "checks": rows, "summary": {}}


def keys(fingerprint: str, key_id: str = "cb72", state: str = "live") -> dict[str, Any]:
    entry = {
        "account": "openai",
        "fingerprints": {"key": fingerprint},
        "uses": [{"account": "openai", "refs": {"key": REF}}],
        "cursor": ["cursor/provider/openai"],
        "state": state,
    }
    return {"format": "byok.keys/1", "fingerprint_key": key_id, "keys": [entry]}


def failed(code: int, where: str, what: str, way_out: str) -> dict[str, Any]:
    return {"format": "byok.error/1", "exit": code, "where": where, "what": what} | {
        "way_out": way_out
    }


def envelope(host: str, outcome: str, **more: Any) -> dict[str, Any]:
    """Return one machine's result (byok.host/1)."""
    return {
        "format": "byok.host/1",
        "host": host,
        "user": "ann",
        "byok": "0.1.0",
        "cursor": "2.6.1",
        "run": "plan",
        "outcome": outcome,
        "why": "",
        "exit": 0,
        **dict.fromkeys(("plan", "apply", "status", "doctor", "keys", "error")),
        **more,
    }


def _of(kind: str, host: str, user: str, turn: random.Random) -> dict[str, Any]:
    state = f"/home/{user}/.config/Cursor/User/globalStorage/state.vscdb"
    match kind:
        case "in_sync":
            return envelope(host, "in_sync", plan=plan(), status=status(), keys=keys(NEW))
        case "model":
            extra = [f"cursor/model/claude-{turn.randint(1, 6)}"] if turn.random() < 0.1 else []
            more = [
                change(at, "create", "new", edit("override", "none", "enabled")) for at in extra
            ]
            return envelope(host, "pending", plan=plan(MODEL, *more), keys=keys(NEW))
        case "key":
            return envelope(host, "pending", plan=plan(KEY), keys=keys(OLD))
        case "drift":
            until = f"2026-11-2{turn.randint(1, 3)}T12:10:44.120+00:00"
            told = status(moved(until)) if turn.random() < 0.8 else None
            return envelope(host, "pending", plan=plan(DRIFT), status=told, keys=keys(NEW))
        case "changed":
            done = applied(MODEL, KEY, pending=["cursor/provider/openai"])
            return envelope(host, "changed", run="apply", apply=done)
        case "running":
            error = failed(7, state, "Cursor is running", "quit it, or add --wait 60")
            why = f"{state}: Cursor is running; quit it, or add --wait 60"
            return envelope(host, "skipped", run="apply", why=why, exit=7, error=error)
        case "locked":
            error = failed(4, "keyring://byok/openai", "the keyring is locked", "unlock it")
            return envelope(host, "failed", exit=4, error=error)
        case "disk":
            error = failed(1, state, "no space left on device", "free some room")
            return envelope(host, "failed", exit=1, error=error)
        case _:
            why = "Failed to connect to the host via ssh: connection timed out"
            return envelope(host, "unreachable", why=why, exit=None, byok=None, cursor=None)


def results(count: int, seed: int = 5) -> Iterator[dict[str, Any]]:
    """Yield so many machines' results, the same for the same seed."""
    turn = random.Random(seed)
    kinds, shares = zip(*SHARES, strict=True)
    for number in range(1, count + 1):
        kind = turn.choices(kinds, shares)[0]
        host, user = f"dev-{number:0{len(str(count))}d}", f"u{number % 97}"
        one = _of(kind, host, user, turn)
        one["user"] = user
        if one["byok"] is not None:
            one["cursor"] = turn.choices(["2.6.1", "2.5.9", None], [85, 13, 2])[0]
            one["byok"] = turn.choices(["0.1.0", "0.0.9"], [97, 3])[0]
            bad = ("BYOK203", "cursor/database", "problem", "cannot be opened (permission denied)")
            one["doctor"] = doctor(*[bad] * (turn.random() < 0.05))
        yield one


def write(folder: Path, count: int, seed: int = 5) -> Path:
    """Write so many results into a folder, one file each, as the playbooks do."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in results(count, seed):
        (folder / f"{one['host']}.json").write_text(json.dumps(one), encoding="utf-8")
    return folder


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
