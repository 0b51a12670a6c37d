"""What is allowed and will still not do what it says: findings that need no look at the world."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from reconciler.manifest import hosts
from reconciler.manifest.codes import CODES
from reconciler.manifest.pointer import escape, shown
from reconciler.manifest.rules import urls
from reconciler.model import Diagnostic, Severity
from reconciler.spec import ADMIN_KEYS, Endpoint, Manifest, Provider, claimant

__all__ = ["CODES", "lint", "silence"]

_VERSION_PART: Final = re.compile(r"/v[0-9]+[a-z0-9]*(/|$)")


def lint(manifest: Manifest) -> tuple[Diagnostic, ...]:
    """Return the warnings and notes about a valid manifest, in the order of their places.

    What needs Cursor's database, a provider or a secret's value is found elsewhere: BYOK106, 108,
    111, 115, 116, 122, 123, 125, and 130 to 140. Errors came with `load`. docs/lint.md says why
    of each.
    """
    found = [*manifest.findings, *(finding for rule in RULES for finding in rule(manifest))]
    return tuple(sorted(found, key=_place))


def silence(found: Iterable[Diagnostic], ignore: Sequence[str]) -> tuple[Diagnostic, ...]:
    """Return the findings without those whose code is ignored; errors always stay."""
    return tuple(f for f in found if f.severity is Severity.ERROR or f.code not in ignore)


def _place(finding: Diagnostic) -> tuple[str, int, int, str]:
    place = finding.position
    code = finding.code
    return (place.file, place.line, place.column, code) if place else ("", 0, 0, code)


def _warning(manifest: Manifest, code: str, path: str, what: str, way_out: str) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, path, what, way_out, manifest.where(path))


def _note(manifest: Manifest, code: str, path: str, what: str, way_out: str) -> Diagnostic:
    return Diagnostic(code, Severity.NOTE, path, what, way_out, manifest.where(path))


def _used(manifest: Manifest) -> list[Provider]:
    """Return the providers that are switched on."""
    return [p for p in manifest.providers.values() if p.enabled and not p.absent]


def _active(manifest: Manifest) -> Iterator[tuple[str, Endpoint]]:
    for endpoint in manifest.endpoints.values():
        if endpoint.active:
            yield f"/endpoints/{endpoint.name}", endpoint


def _global(manifest: Manifest) -> Iterator[Diagnostic]:
    endpoint = claimant(manifest)
    if endpoint is not None:
        what = (
            "the override is global: Cursor sends built-in OpenAI models to this endpoint too, "
            "or past it, as its version pleases"
        )
        way_out = "switch off built-in OpenAI models that the endpoint does not serve"
        yield _warning(manifest, "BYOK101", f"/endpoints/{endpoint.name}", what, way_out)


def _own_names(manifest: Manifest) -> Iterator[Diagnostic]:
    for model in manifest.models.values():
        begins = model.id.partition("-")[0].lower()
        if model.endpoint is None or model.absent or begins not in ("claude", "gemini"):
            continue
        what = f"Cursor sends ids that begin with {begins}- to their own provider, never here"
        way_out = f"give the model a name on the endpoint that does not begin with {begins}-"
        yield _warning(manifest, "BYOK102", f"/models/{escape(model.id)}/endpoint", what, way_out)


def _unreachable(manifest: Manifest) -> Iterator[Diagnostic]:
    used = [f"/providers/{p.name}/" for p in _used(manifest)]
    used += [f"{path}/" for path, _ in _active(manifest)]
    for path, url, _ in urls(manifest):
        if path.endswith("api_base") or not path.startswith(tuple(used)):
            continue
        if hosts.private(hosts.host(url)):
            what = "Cursor's servers call this address, not this machine, and cannot reach it"
            way_out = "give it a public https address, by a gateway or a tunnel"
            yield _warning(manifest, "BYOK103", path, what, way_out)


def _unversioned(manifest: Manifest) -> Iterator[Diagnostic]:
    for endpoint in manifest.endpoints.values():
        own = endpoint.type == "litellm" and endpoint.base_url.rstrip("/").endswith("/cursor")
        if not own and not _VERSION_PART.search(endpoint.base_url.partition("://")[2]):
            path = f"/endpoints/{endpoint.name}/base_url"
            what = "the base URL names no API version, and Cursor adds none"
            way_out = "end it with /v1, or with the path that the vendor names"
            yield _warning(manifest, "BYOK104", path, what, way_out)


def _takes_all(manifest: Manifest) -> Iterator[Diagnostic]:
    used = {provider.name for provider in _used(manifest)}
    others = [*sorted(used - {"azure", "bedrock"}), *(e.name for _, e in _active(manifest))]
    if "azure" in used and (others or "bedrock" in used):
        what = (
            "while Azure is on it answers every request, whatever the model; nothing else is used"
        )
        way_out = "say `enabled: false` on azure, or on all others"
        yield _warning(manifest, "BYOK109", "/providers/azure", what, way_out)
    elif "bedrock" in used and others:
        what = (
            "while Bedrock is on it answers every request that Azure does not; no other key is used"
        )
        way_out = "say `enabled: false` on bedrock, or on all others"
        yield _warning(manifest, "BYOK109", "/providers/bedrock", what, way_out)


def _shared_key(manifest: Manifest) -> Iterator[Diagnostic]:
    first: dict[str, str] = {}
    for owner, path, refs in _references(manifest):
        for ref in refs:
            place = first.setdefault(ref.removeprefix("ref+"), owner)
            if place != owner:
                what = f"this reference stands under {place} too: one key in two places"
                way_out = "give each its own key, so that one can be revoked alone"
                yield _warning(manifest, "BYOK112", path, what, way_out)


def _references(manifest: Manifest) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for provider in manifest.providers.values():
        path = f"/providers/{provider.name}"
        admin = {name: provider.account.get(name, ()) for name in ADMIN_KEYS}
        secrets = {**provider.secrets, **admin}
        for part, refs in secrets.items():
            yield f"providers.{provider.name}", f"{path}/{part}", refs
    for endpoint in manifest.endpoints.values():
        path = f"/endpoints/{endpoint.name}"
        for part, refs in (
            ("key", endpoint.key),
            ("admin_key", endpoint.account.get("admin_key", ())),
        ):
            yield f"endpoints.{endpoint.name}", f"{path}/{part}", refs
    yield "cursor_team", "/cursor_team/admin_key", manifest.cursor_team.get("admin_key", ())


def _limits(manifest: Manifest) -> Iterator[Diagnostic]:
    own = [f"/providers/{p.name}" for p in _used(manifest)] + [
        path for path, _ in _active(manifest)
    ]
    if not own:
        return
    what = "Tab and Apply always use Cursor's own models and allowance, never these keys"
    yield _note(manifest, "BYOK113", own[0], what, "nothing to do; silence it in policy.ignore")
    what = (
        "requests, and the key with each, pass Cursor's servers; zero data retention does not hold"
    )
    yield _note(manifest, "BYOK114", own[0], what, "check it with whoever answers for your data")


def _gives_way(manifest: Manifest) -> Iterator[Diagnostic]:
    chosen = claimant(manifest)
    for path, endpoint in _active(manifest):
        if endpoint is not chosen:  # only one without a key can come to that in a valid manifest
            what = "this endpoint has no key, and gives way to the OpenAI key in Cursor's one slot"
            way_out = "give it a key, or say `enabled: false` on providers.openai"
            yield _warning(manifest, "BYOK118", path, what, way_out)


def _absent(manifest: Manifest) -> Iterator[Diagnostic]:
    for model in manifest.models.values():
        provider = manifest.providers.get(model.provider or "")
        if provider is not None and provider.absent and model.enabled and not model.absent:
            what = f"{shown(provider.name)} is declared absent, so no own key answers this model"
            path = f"/models/{escape(model.id)}/provider"
            yield _warning(manifest, "BYOK120", path, what, "switch the model off, or name another")


def _version_kept(manifest: Manifest) -> Iterator[Diagnostic]:
    azure = manifest.providers.get("azure")
    if azure is not None and not azure.absent and "api_version" in azure.settings:
        what = (
            "Cursor keeps no api_version: its servers choose one; byok uses this in its own calls"
        )
        way_out = "nothing to do; silence it in policy.ignore"
        yield _note(manifest, "BYOK121", "/providers/azure/api_version", what, way_out)


RULES: Final[tuple[Callable[[Manifest], Iterator[Diagnostic]], ...]] = (
    _global,
    _own_names,
    _unreachable,
    _unversioned,
    _takes_all,
    _shared_key,
    _limits,
    _gives_way,
    _absent,
    _version_kept,
)
