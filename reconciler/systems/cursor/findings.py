"""What Cursor's own rows tell against the manifest: collisions, blocks, an admin's switch; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.model import Address, Change, Diagnostic, Observation, Severity
from reconciler.spec import PROVIDERS, Manifest
from reconciler.systems.cursor import slots, wishes
from reconciler.systems.cursor.layout import AUTO, Document, leaf

UNCONFIRMED: Final = ("azure", "bedrock")
BYOK_OFF: Final = "your organisation's admin switched own keys off in Cursor's dashboard"
SWITCHED_OFF: Final = "Cursor itself, which switches this off on sign-in and plan changes"
IAM: Final = "your team's IAM role answers for Bedrock; Cursor manages its fields"


def closed(document: Document, admin: Document) -> dict[Address, str]:
    """Return the provider addresses that byok leaves alone on this machine, with the reason."""
    if admin.get("byokDisabled") is True:
        return {wishes.provider(name): BYOK_OFF for name in PROVIDERS}
    if leaf(document, slots.IAM_ROLE) is True:
        return {wishes.provider("bedrock"): IAM}
    return {}


def itself(change: Change) -> str:
    """Say why Cursor may itself have moved what a change would put back; empty if it does not.

    Its own account events switch its OpenAI key off, and it undoes a switch without a key
    (Cursor 2.4 to 3.22, clients' code and users' reports).
    """
    if change.address != wishes.provider("openai"):
        return ""
    off = any(edit.name == "enabled" and edit.after is True for edit in change.edits)
    return SWITCHED_OFF if off else ""


def diagnostics(
    manifest: Manifest, rows: Mapping[str, str], document: Document, admin: Document
) -> tuple[Diagnostic, ...]:
    """Return the findings that need Cursor's rows, without those that the policy ignores."""
    found = [
        *_admin(manifest, admin),
        *_catalog(manifest, document),
        *_unconfirmed(manifest, rows),
    ]
    ignored = manifest.policy.ignore
    return tuple(d for d in found if d.severity is Severity.ERROR or d.code not in ignored)


def _admin(manifest: Manifest, admin: Document) -> Iterator[Diagnostic]:
    if admin.get("byokDisabled") is True and (manifest.providers or manifest.endpoints):
        yield _finding(
            manifest,
            "BYOK115",
            Severity.WARNING,
            "/providers",
            f"{BYOK_OFF}: providers are left as they are, Cursor would undo a change",
            "ask the admin to allow own keys",
        )


def shown(document: Document) -> dict[str, str]:
    """Return every name that models of Cursor's catalog go by, with the one they are kept by."""
    return {text: str(entry.get("name")) for entry in _entries(document) for text in _names(entry)}


def _entries(document: Document) -> list[Mapping[str, Any]]:
    return [e for e in _list(document.get("availableDefaultModels2")) if isinstance(e, dict)]


def _catalog(manifest: Manifest, document: Document) -> Iterator[Diagnostic]:
    entries, taken = _entries(document), shown(document)
    ids = {text for entry in entries for text in _names(entry, display=False)}
    for name, entry in manifest.models.items():
        if entry.absent:
            continue
        if wishes.custom(entry) and name in taken:
            what = f"the custom model {name!r} collides with Cursor's own {taken[name]!r}"
            yield _model(manifest, "BYOK106", Severity.ERROR, name, what, "give it another id")
        if not wishes.custom(entry) and ids - {AUTO} and name not in ids:
            what = f"Cursor's catalog on this machine does not know the model {name!r}"
            way_out = "check the id, or mark it custom: true"
            yield _model(manifest, "BYOK108", Severity.WARNING, name, what, way_out)


def _names(entry: Mapping[str, Any], *, display: bool = True) -> Iterator[str]:
    fields = ("name", "serverModelName", *(("clientDisplayName",) if display else ()))
    values = [*(entry.get(name) for name in fields), *_list(entry.get("legacySlugs"))]
    return (value for value in values if isinstance(value, str) and value)


def _unconfirmed(manifest: Manifest, rows: Mapping[str, str]) -> Iterator[Diagnostic]:
    for name in UNCONFIRMED:
        provider = manifest.providers.get(name)
        if provider and provider.secrets and not provider.absent and slots.secret_era(rows):
            what = f"where Cursor 3.x keeps the keys of {name} is not confirmed"
            way_out = f"check in Cursor's settings, after its next start, that {name} works"
            path = f"/providers/{name}"
            yield _finding(manifest, "BYOK122", Severity.WARNING, path, what, way_out)


def observations(
    manifest: Manifest, document: Document, admin: Document
) -> tuple[Observation, ...]:
    """Return what is seen and left alone: models the organisation blocks, a team's IAM role."""
    found = [
        Observation(wishes.model(name), "your organisation's admin blocks this model")
        for name, entry in manifest.models.items()
        if not entry.absent and entry.enabled and _blocked(name, admin)
    ]
    if leaf(document, slots.IAM_ROLE) is True:
        found.append(Observation(wishes.provider("bedrock"), IAM))
    return tuple(found)


def _blocked(name: str, admin: Document) -> bool:
    """Tell whether a block matches as Cursor (2.3) matches: lower case, ``-`` as ``.``, inside."""
    plain = name.lower().replace("-", ".")
    blocks = [b for b in _list(admin.get("blockedModels")) if isinstance(b, str) and b]
    return any(block.lower().replace("-", ".") in plain for block in blocks)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _model(
    manifest: Manifest, code: str, severity: Severity, name: str, what: str, way_out: str
) -> Diagnostic:
    path = f"/models/{name.replace('~', '~0').replace('/', '~1')}"
    return _finding(manifest, code, severity, path, what, way_out)


def _finding(
    manifest: Manifest, code: str, severity: Severity, path: str, what: str, way_out: str
) -> Diagnostic:
    return Diagnostic(code, severity, path, what, way_out, manifest.where(path))
