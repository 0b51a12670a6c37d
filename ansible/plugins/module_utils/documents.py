# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0
"""What byok's documents come to for Ansible: outcome, why, diff, and one document per host."""

from __future__ import annotations

import json

MOST = 1000
"""Changes that a diff shows; the rest is counted."""

BUSY = ("Cursor is running", "cannot tell whether Cursor runs", "another byok is ")
"""How byok words what goes away by itself (exit 7)."""

MISSING = "there is no such database"
"""How byok words that this user has no Cursor, or never started it (exit 7)."""

REFUSE = "; apply would refuse"
"""What ends byok's note that a plan could not be applied right now."""


def judge(answer, run, on_running, on_missing):
    """Return (outcome, why) of a plan or an apply."""
    if answer.code == 0:
        return fine(answer, run)
    why = reason(answer)
    document = answer.document
    if answer.code == 7 and not document.get("changed"):
        text = (answer.error or {}).get("what") or why
        if on_missing == "skip" and MISSING in text:
            return "skipped", "no Cursor here, or it was never started: " + why
        if on_running == "skip" and any(words in text for words in BUSY):
            return "skipped", why
    return "failed", why


def fine(answer, run):
    """Return (outcome, why) of a run that ended well."""
    if run == "apply":
        return ("changed" if answer.document.get("changed") else "in_sync"), ""
    if not answer.document.get("changes"):
        return "in_sync", ""
    held = [
        note[len("note: ") : note.index(REFUSE)]
        for note in answer.notes
        if note.startswith("note: ") and REFUSE in note
    ]
    return "pending", held[0] if held else ""


def reason(answer):
    """Return why a run did not end well, as ``where: what; way out``."""
    error = answer.error
    if error is not None:
        words = ": ".join(str(error[name]) for name in ("where", "what") if error.get(name))
        found = [
            located(finding)
            for finding in error.get("diagnostics") or ()
            if finding.get("severity") == "error"
        ]
        words += " (" + " / ".join(found[:5]) + ")" if found else ""
        return words + ("; " + str(error["way_out"]) if error.get("way_out") else "")
    failed = answer.document.get("failed") or ()
    if failed:
        first = "{}: {}".format(failed[0].get("address"), failed[0].get("message"))
        return first if len(failed) == 1 else f"{first} (and {len(failed) - 1} more)"
    said = [note[len("byok: ") :] for note in answer.notes if note.startswith("byok: ")]
    return said[0] if said else f"byok ended with exit {answer.code}"


def located(finding):
    """Word one finding of a manifest."""
    place = ":".join(str(finding[name]) for name in ("file", "line") if finding.get(name))
    return "{} {}".format(place, finding.get("message", "")).strip()


def tally(document):
    """Count a plan's changes; percent: of what this host had, how much would be changed.

    What is new does not count: a first roll-out is all new.
    """
    changes = document.get("changes") or ()
    count = {
        action: sum(change.get("action") == action for change in changes)
        for action in ("create", "update", "delete")
    }
    touched = count["update"] + count["delete"]
    had = touched + int((document.get("summary") or {}).get("in_sync") or 0)
    count["total"] = sum(count[action] for action in ("create", "update", "delete"))
    count["percent"] = round(100.0 * touched / had, 1) if had else 0.0
    return count


def over(count, percent, expected):
    """Say in what way a plan changes more than expected, "" where it does not."""
    if expected is not None and 0 <= expected < count["total"]:
        return "{} changes where at most {} were expected".format(count["total"], expected)
    if percent is not None and count["percent"] > percent:
        return "{} % of what is managed here would change, more than {} %".format(
            count["percent"], percent
        )
    return ""


def diff(changes):
    """Return before and after as text, one line for each value; keys are fingerprints on both."""
    before, after = [], []
    for change in sorted(changes, key=lambda one: str(one.get("address")))[:MOST]:
        for edit in change.get("edits") or ():
            for side, name in ((before, "before"), (after, "after")):
                if edit.get(name) is not None:
                    side.append(
                        "{} {}: {}".format(
                            change.get("address"), edit.get("name"), shown(edit[name])
                        )
                    )
    left = len(changes) - MOST
    if left > 0:
        after.append(f"and {left} changes more")
    return {
        "before_header": "Cursor now",
        "after_header": "the manifest",
        "before": lines(before),
        "after": lines(after),
    }


def shown(value):
    """Return one value on one line; of a key its fingerprint, and where it comes from."""
    if isinstance(value, dict) and "fingerprint" in value:
        ref = value.get("ref")
        return "key {}".format(value["fingerprint"]) + (" from " + str(ref) if ref else "")
    return json.dumps(value, sort_keys=True)


def lines(texts):
    """Join lines, each ended."""
    return "".join(text + "\n" for text in texts)


def host_document(**known):
    """Return the byok.host/1 document of what is known."""
    document = dict.fromkeys(
        (
            "host",
            "user",
            "byok",
            "cursor",
            "run",
            "outcome",
            "plan",
            "apply",
            "status",
            "doctor",
            "keys",
            "error",
        )
    )
    document.update(format="byok.host/1", why="", exit=0)
    document.update(known)
    return document
