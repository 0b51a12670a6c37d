"""Is the manifest valid, and what does it ask for that cannot work."""

from __future__ import annotations

import os
from collections.abc import Iterator

from reconciler.doctor.finding import Finding, of_diagnostic, problem, skipped, well
from reconciler.doctor.ground import Ground, Missing
from reconciler.errors import ManifestError
from reconciler.manifest.lint import lint, silence
from reconciler.model import Severity
from reconciler.spec import Manifest

CHECK = "manifest/valid"


def valid(ground: Ground) -> Iterator[Finding]:
    """Load the manifest; every error of a broken one is a finding with its place."""
    match ground.manifest:
        case Manifest() as manifest:
            parts = (manifest.providers, manifest.endpoints, manifest.models)
            counts = "providers {}, endpoints {}, models {}".format(*map(len, parts))
            yield well(CHECK, f"{manifest.file}: team {manifest.team}; {counts}")
        case Missing(_, ManifestError() as error):
            for found in error.diagnostics:
                yield of_diagnostic(CHECK, found)
        case Missing(reason) if ground.named or os.path.lexists(ground.options.manifest):
            fix = "name a manifest with --manifest"
            yield problem(CHECK, "BYOK001", reason, "it cannot be read", fix)
        case Missing(reason):
            yield skipped(CHECK, f"{reason}: only this machine is looked at")


def advice(ground: Ground) -> Iterator[Finding]:
    """Say what `validate` warns of; notes are only counted, for -v shows them there.

    What is about an account, and BYOK103 about who can reach an address, is said at its own place.
    """
    manifest = ground.manifest
    if isinstance(manifest, Missing):
        yield skipped("manifest/lint", manifest.reason)
        return
    found = [d for d in silence(lint(manifest), manifest.policy.ignore) if d.code != "BYOK103"]
    loud = [d for d in found if d.severity is not Severity.NOTE]
    for each in loud:
        yield of_diagnostic("manifest/lint", each)
    if not loud:
        yield well("manifest/lint", f"nothing that cannot work, {len(found)} notes")
