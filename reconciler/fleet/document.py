"""A fleet's report as JSON data (byok.fleet/1); pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.codec import change_to_json
from reconciler.fleet.grouping import OLD_WAY_OUT, Alike, Report, Standing
from reconciler.fleet.judged import moved, waiting
from reconciler.fleet.keys import Keyring, Print


def document(found: Report) -> dict[str, Any]:
    """Return a report as data: names of machines in their order, groups the largest first."""
    return {
        "format": "byok.fleet/1",
        "totals": _totals(found),
        "hosts": [_host(one) for one in found.hosts],
        "plans": [_plan(one) for one in found.plans],
        "drift": [
            {
                "address": one.address,
                "by": one.by or None,
                "edits": list(one.edits),
                "repaired": one.repaired,
                "after": one.after or None,
                "until": one.until or None,
                "hosts": list(one.hosts),
            }
            for one in found.drifts
        ],
        "troubles": [
            {
                "outcome": one.outcome.value,
                "exit": one.failure.exit,
                "what": one.failure.what,
                "way_out": one.failure.way_out,
                "where": list(one.where),
                "hosts": list(one.hosts),
            }
            for one in found.troubles
        ],
        "keyrings": [_keyring(ring) for ring in found.keyrings],
        "versions": {"cursor": _versions(found.cursor), "byok": _versions(found.byok)},
        "findings": [
            {
                "code": one.finding.code,
                "check": one.finding.check,
                "state": one.finding.state,
                "what": one.finding.what,
                "fix": one.finding.fix,
                "hosts": list(one.hosts),
            }
            for one in found.findings
        ],
        "waiting": [{"address": at, "hosts": list(hosts)} for at, hosts in found.waiting],
        "old_results": [
            {"days": one.days, "way_out": OLD_WAY_OUT, "hosts": list(one.hosts)}
            for one in found.old
        ],
        "unreadable": [{"file": one.file, "why": one.why} for one in found.unread],
    }


def _totals(found: Report) -> dict[str, int]:
    counts = {outcome.value: count for outcome, count in found.totals.items()}
    return {"hosts": len(found.hosts), **counts, "unreadable": len(found.unread)}


def _host(one: Standing) -> dict[str, Any]:
    told = one.host.told
    return {
        "host": one.host.name,
        "outcome": one.outcome.value,
        "why": [why.what for why in one.why] or ([told.why] if told and told.why else []),
        "user": (told.user if told else "") or None,
        "run": (told.run if told else "") or None,
        "exit": told.exit if told else None,
        "byok": (told.byok if told else "") or None,
        "cursor": (told.cursor if told else "") or None,
        "drifted": [each.address for each in moved(one.host) if not each.repaired],
        "waiting": list(waiting(one.host)),
        "files": list(one.host.files),
    }


def _plan(one: Alike) -> dict[str, Any]:
    changes = [change_to_json(change) for change in one.changes]
    return {"done": one.done, "changes": changes, "hosts": list(one.hosts)}


def _keyring(ring: Keyring) -> dict[str, Any]:
    return {
        "fingerprint_key": ring.key_id or None,
        "comparable": ring.shared,
        "hosts": list(ring.hosts),
        "keys": [_print(one) for one in ring.prints],
    }


def _print(one: Print) -> dict[str, Any]:
    return {
        "address": one.address,
        "part": one.part,
        "fingerprint": one.fingerprint,
        "refs": list(one.refs),
        "states": list(one.states),
        "old": one.old,
        "here": list(one.here),
        "coming": list(one.coming),
    }


def _versions(found: Iterable[tuple[str, tuple[str, ...]]]) -> list[dict[str, Any]]:
    return [{"version": version or None, "hosts": list(hosts)} for version, hosts in found]
