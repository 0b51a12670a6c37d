"""The round of all checks, in the order a person would look."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import TypeAlias

from reconciler.doctor import (
    asking,
    budgets,
    cursor,
    database,
    keys,
    ledgers,
    manifests,
    network,
    reach,
    references,
    stores,
)
from reconciler.doctor.finding import Finding, State
from reconciler.doctor.ground import Ground
from reconciler.errors import ByokError, UsageError

Check: TypeAlias = Callable[[Ground], Iterable[Finding]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("cursor/found", cursor.found),
    ("cursor/version", cursor.version),
    ("cursor/running", cursor.running),
    ("cursor/database", database.health),
    ("cursor/journal", database.journal),
    ("cursor/disk", database.room),
    ("cursor/replaced", database.replaced),
    ("cursor/era", cursor.era),
    ("cursor/admin", cursor.admin),
    ("cursor/safe storage", cursor.safe_storage),
    ("byok/state directory", ledgers.directory),
    ("byok/ledger", ledgers.ledger),
    ("byok/unfinished", ledgers.unfinished),
    ("byok/fingerprint key", ledgers.fingerprint_key),
    ("manifest/valid", manifests.valid),
    ("manifest/lint", manifests.advice),
    ("secrets/sops", stores.sops_program),
    ("secrets/age identity", stores.age_identity),
    ("secrets/files", stores.files),
    ("secrets/recipients", stores.recipients),
    ("secrets/keyring", stores.keyring),
    ("secrets/references", references.each),
    ("network/proxy", network.proxy),
    ("network/certificates", network.certificates),
    ("network/cursor", network.of_cursor),
    ("network/endpoints", reach.from_here),
    ("network/from Cursor", reach.from_cursor),
    ("network/clock", reach.clock),
    ("plan/cursor", asking.declared),
    ("keys/accounts", keys.each),
    ("budgets/left", budgets.each),
)
"""Each check by the name it has where it says nothing itself."""


def examine(ground: Ground) -> Iterator[Finding]:
    """Yield the findings of every check; one that fails itself is a finding, too.

    Raises UsageError for a system that the manifest does not declare.
    """
    for name, check in CHECKS:
        yield from _looked(name, check, ground)


def _looked(name: str, check: Check, ground: Ground) -> list[Finding]:
    try:
        return [_mendable(found) for found in check(ground)]
    except UsageError:
        raise
    except ByokError as error:
        return [_failed(name, str(error))]
    except Exception as error:  # noqa: BLE001  the other checks go on; its text may hold a secret
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{PurePath(last.filename).name}:{last.lineno}"
        return [_failed(name, f"{type(error).__name__} at {place}")]


def _mendable(found: Finding) -> Finding:
    """See that there is a way out of all that is not well."""
    if found.bad and not found.fix:
        return replace(found, fix=f"see byok doctor --explain {found.code}")
    return found


def _failed(name: str, how: str) -> Finding:
    return Finding(
        name,
        State.PROBLEM,
        "this check failed itself, so nobody knows",
        how,
        "see byok doctor --explain BYOK200",
        "BYOK200",
    )
