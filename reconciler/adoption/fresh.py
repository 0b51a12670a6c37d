"""A first manifest from a few answers: providers, endpoints, and where their keys live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.adoption import files, place, presets
from reconciler.adoption.draft import Draft, Part, Said
from reconciler.adoption.presets import Preset
from reconciler.adoption.stores import Store
from reconciler.errors import ManifestError, UsageError
from reconciler.manifest import parse
from reconciler.spec import PROVIDERS

HEAD: Final = (
    "A team's own keys in Cursor. `byok validate` checks this file, `byok plan` shows what would",
    "change on this machine, `byok apply` makes it so.",
)
KEYS_AT: Final[Mapping[str, str]] = {
    "openai": "https://platform.openai.com/api-keys",
    "anthropic": "https://console.anthropic.com/settings/keys",
    "google": "https://aistudio.google.com/apikey",
    "azure": "https://portal.azure.com",
    "bedrock": "https://console.aws.amazon.com/iam",
}
"""The page where each provider's keys are made."""

ASKED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "azure": (
        ("endpoint", "https://your-resource.openai.azure.example"),
        ("deployment", "your-deployment"),
    ),
    "bedrock": (("region", "us-east-1"),),
}
"""What a provider needs besides its key, and what stands there until it is known.

The endpoint's name ends in .example, which nobody can ever own (RFC 2606).
"""
TAKING_ALL: Final = ("azure", "bedrock")
"""The providers that answer everything while they are on (BYOK109)."""

_MODELS: Final = (
    "Name models here by id, as Cursor and the provider write them, for example:",
    "models:",
    "  gpt-4o: { provider: openai }",
    "  claude-sonnet-4-5: { provider: anthropic, default_for: [composer] }",
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked or given; ``details`` are fields of a provider by its name."""

    team: str
    store: Store
    providers: tuple[str, ...] = ()
    endpoints: tuple[tuple[Preset, str], ...] = ()
    details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """What was written: the draft, the files, and whom a SOPS file will be for, in words."""

    manifest: Path
    draft: Draft
    written: tuple[Path, ...]
    source: str = ""


def endpoint(text: str) -> tuple[Preset, str]:
    """Read ``PRESET`` or ``PRESET=URL``: a preset and its base URL. Raises UsageError."""
    name, _, url = text.partition("=")
    preset = presets.named(name)
    if not (url or preset.base_url):
        raise UsageError(
            f"--preset {name}",
            "its base URL is its operator's own",
            f"add it: --preset {name}={preset.example}",
        )
    return preset, url or str(preset.base_url)


def begin(path: Path, answers: Answers, recipients: Sequence[str], env: Mapping[str, str]) -> Begun:
    """Write a commented manifest, and ``.sops.yaml`` where its store is SOPS; no key is asked for.

    Raises ByokError where the manifest is there already, UsageError where an answer fits no
    manifest, SecretError where nobody is there to encrypt for; nothing is written then.
    """
    files.refuse_existing(path)
    draft, folder = drafted(answers), path.resolve().parent
    _check(draft, path, folder)
    written, source = [], ""
    if answers.store.kind == "sops" and not (folder / answers.store.file).exists():
        chosen = place.choose(answers.store, folder, recipients, env)
        written, source = list(place.ruled(folder, chosen)), chosen.source
        files.make_folder((folder / answers.store.file).parent)
    schema = files.write_schema(path.parent)
    files.write_new(path, draft.text)
    return Begun(path, draft, (*written, *([schema] if schema else []), path), source)


def _check(draft: Draft, path: Path, folder: Path) -> None:
    try:
        parse(draft.text, str(path), folder)
    except ManifestError as error:
        first = error.diagnostics[0]
        where = first.path.removeprefix("/").replace("/", ".") or "byok init"
        raise UsageError(where, first.message, first.way_out) from None


def drafted(answers: Answers) -> Draft:
    """Return the draft of these answers."""
    providers = {name: _provider(name, answers) for name in PROVIDERS if name in answers.providers}
    endpoints: dict[str, Part] = {}
    for preset, url in answers.endpoints:
        active = not endpoints and "openai" not in providers
        endpoints[preset.name] = _endpoint(preset, url, answers.store, active=active)
    sections = {"providers": providers, "endpoints": endpoints}
    return Draft(answers.team, HEAD, sections, _MODELS)


def _provider(name: str, answers: Answers) -> Part:
    fields: dict[str, Said] = {}
    parts = ("access_key_id", "secret_access_key") if name == "bedrock" else ("key",)
    for part in parts:
        fields[part] = answers.store.reference(name, part)
    given = answers.details.get(name, {})
    for detail, example in ASKED.get(name, ()):
        fields[detail] = given.get(detail) or example
    remarks = [f"Keys are made at {KEYS_AT[name]}"]
    if name in TAKING_ALL:
        remarks.append("While this is on it answers every request, whatever the model.")
        alone = len(answers.providers) == 1 and not answers.endpoints
        known = all(given.get(detail) for detail, _ in ASKED[name])
        if not (alone and known):
            remarks.append("See that every line is right, then say enabled: true.")
        return Part({**fields, "enabled": alone and known}, tuple(remarks))
    return Part({**fields, "enabled": True}, tuple(remarks))


def _endpoint(preset: Preset, url: str, store: Store, *, active: bool) -> Part:
    fields: dict[str, Said] = {"type": preset.type, "base_url": url}
    if preset.keyed:
        fields["key"] = store.reference(preset.name, "key")
    remarks = [preset.title]
    remarks += [f"Keys are made at {preset.keys_at}"] if preset.keys_at else []
    remarks += [f"Mind: {trap.says}" for trap in preset.traps]
    if not active:
        remarks.append("To use it, say active: true here and enabled: false on openai.")
    return Part({**fields, "active": active}, tuple(remarks))
