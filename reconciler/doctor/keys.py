"""Each account as its key sees it: alive, which models, what the provider refuses and why."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler import accounts
from reconciler.doctor.asking import Asked, asked
from reconciler.doctor.finding import DEAD, Finding, of_diagnostic, of_error, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing
from reconciler.manifest.lint import lint
from reconciler.manifest.pointer import split
from reconciler.model import Diagnostic, Severity
from reconciler.spec import CURSOR_TEAM, Manifest

ELSEWHERE = ("BYOK103", "BYOK111", "BYOK115", "BYOK123")
"""What checks of their own say: who reaches an address, shapes, the admin's switch, approvals."""

PLAN = "plan/all"


def each(ground: Ground) -> Iterator[Finding]:
    """Tell how each account stands, by what `plan` found out."""
    manifest = ground.manifest
    if isinstance(manifest, Missing):
        yield skipped("keys/accounts", manifest.reason)
        return
    found = asked(ground)
    if isinstance(found, Missing):
        yield skipped("keys/accounts", found.reason)
        return
    yield from _strangers(found)
    told = _sorted(manifest, found)
    for name in accounts.names(manifest):
        if name != CURSOR_TEAM or name in ground.scope.systems:
            yield from _account(ground, found, name, told.pop(name, []))
    for name, rest in told.items():
        for diagnostic in rest:
            yield of_diagnostic(f"keys/{name}" if name else PLAN, diagnostic)


def _sorted(manifest: Manifest, found: Asked) -> dict[str, list[Diagnostic]]:
    """Return the plan's findings by account, without what lint says of the manifest itself."""
    said = set(lint(manifest))
    told: dict[str, list[Diagnostic]] = {}
    for each_ in dict.fromkeys(found.diagnostics):
        if each_ not in said and each_.code not in ELSEWHERE:
            told.setdefault(owner(manifest, each_.path), []).append(each_)
    return told


def owner(manifest: Manifest, pointer: str) -> str:
    """Return the account that a place in the manifest is about, ``""`` for none."""
    match split(pointer):
        case ("providers" | "endpoints", name, *_):
            return name
        case ("models", name, *_) if name in manifest.models:
            entry = manifest.models[name]
            return entry.provider or entry.endpoint or ""
        case ("budgets", name, *_) if name in manifest.budgets:
            entry_ = manifest.budgets[name]
            return str(entry_.get("provider") or entry_.get("endpoint") or "")
        case ("cursor_team", *_):
            return CURSOR_TEAM
        case _:
            return ""


def _account(ground: Ground, found: Asked, name: str, told: list[Diagnostic]) -> Iterator[Finding]:
    check = f"keys/{name}"
    for diagnostic in told:
        yield of_diagnostic(check, diagnostic)
    if name in found.lost:
        yield of_error(check, "BYOK270", found.lost[name])
        return
    if ground.offline:
        yield skipped(check, "--offline leaves the network out")
        return
    seen = [o for o in found.observations if o.address.system == name]
    unasked = [o.text.partition(": ")[2] for o in seen if o.text.startswith("not probed: ")]
    for reason in unasked:
        yield skipped(check, reason)
    loud = [d for d in told if d.severity is not Severity.NOTE]
    if not seen and not loud:
        yield skipped(check, "--system leaves it out")
    elif not unasked and not any(d.code in DEAD for d in loud):
        for one in seen:
            about = "" if one.address.name == name else f"{one.address.kind} {one.address.name}: "
            yield well(check, f"{about}{one.text}")


def _strangers(found: Asked) -> Iterator[Finding]:
    for ref, site in sorted(found.offered):
        yield warning(
            "keys/approvals",
            "BYOK123",
            f"{ref} would go to {site}, which nobody approved here",
            "whoever changes the manifest could otherwise send a key anywhere; nothing was sent",
            f"look at the address; byok apply asks once, --allow-origin {site} answers",
        )
