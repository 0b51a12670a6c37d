"""What no schema can say of a manifest: names that must meet, and claims that must not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, TypeAlias

from reconciler.manifest import hosts
from reconciler.manifest.pointer import escape, join, shown
from reconciler.manifest.wording import nearest
from reconciler.model import Diagnostic, Position, Severity
from reconciler.spec import CURSOR, CURSOR_TEAM, EMPTY, PROVIDERS, Manifest

Names: TypeAlias = Mapping[str, Collection[str]]

_ROUNDING: Final = 1e-3
"""Cents that floating point may add or lose, below a billion dollars."""


def refuse(
    manifest: Manifest, declared: Names, taken_back: Mapping[str, Position] = EMPTY
) -> list[Diagnostic]:
    """Return the errors of a manifest that fits the schema.

    ``declared`` holds the names under ``providers`` and ``endpoints``, also of entries that do
    not fit: who names one of those has made no mistake. ``taken_back`` has the places where a
    layer says null of an entry.
    """
    found = [*_undeclared(manifest, declared, taken_back)]
    for rule in RULES:
        found.extend(rule(manifest))
    return found


def error(manifest: Manifest, code: str, path: str, what: str, way_out: str) -> Diagnostic:
    """Return an error about a place of the manifest."""
    return Diagnostic(code, Severity.ERROR, path, what, way_out, manifest.where(path))


def _layer(manifest: Manifest, pointer: str) -> int:
    """Return which layer says what stands at a pointer; of two that clash, the later is wrong."""
    file = manifest.where(pointer).file
    return manifest.layers.index(file) if file in manifest.layers else 0


def _undeclared(
    manifest: Manifest, declared: Names, taken_back: Mapping[str, Position]
) -> Iterator[Diagnostic]:
    for kind, name, pointer in _names(manifest):
        if name in declared[kind] or (name in PROVIDERS and pointer.startswith("/models/")):
            continue  # a model of a provider whose key stays in the person's own hands
        if place := taken_back.get(join((kind, name))):
            what = f"this names what is taken back at {place}"
            way_out = f"take that null away, or name another of the {kind}"
            yield error(manifest, "BYOK120", pointer, what, way_out)
            continue
        close = nearest(name, declared[kind])
        way_out = f"declare it under {kind}:"
        if close is not None:
            way_out = f"did you mean {shown(close)}? else {way_out}"
        what = f"this names none of the {kind} that the manifest declares"
        yield error(manifest, "BYOK120", pointer, what, way_out)


def _names(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    for model in manifest.models.values():
        part, name = (
            ("provider", model.provider) if model.provider else ("endpoint", model.endpoint)
        )
        yield f"{part}s", name or "", f"/models/{escape(model.id)}/{part}"
    for title, budget in manifest.budgets.items():
        part = "provider" if "provider" in budget else "endpoint"
        yield f"{part}s", budget[part], f"/budgets/{title}/{part}"


def _one_active(manifest: Manifest) -> Iterator[Diagnostic]:
    found = (endpoint.name for endpoint in manifest.endpoints.values() if endpoint.active)
    active = sorted(found, key=lambda name: _layer(manifest, f"/endpoints/{name}/active"))
    for name in active[1:]:
        what = (
            f"a second active endpoint: {shown(active[0])} is active too, and Cursor has one slot"
        )
        way_out = "say `active: false` on all but one"
        yield error(manifest, "BYOK105", f"/endpoints/{name}", what, way_out)


def _one_claim(manifest: Manifest) -> Iterator[Diagnostic]:
    openai = manifest.providers.get("openai")
    if openai is None or openai.absent or not openai.enabled or not openai.secrets:
        return
    for endpoint in manifest.endpoints.values():
        if endpoint.active and endpoint.key:
            what = "this endpoint's key and that of providers.openai claim the same slot of Cursor"
            way_out = "say `active: false` here, or `enabled: false` on providers.openai"
            yield error(manifest, "BYOK117", f"/endpoints/{endpoint.name}", what, way_out)


def _one_default(manifest: Manifest) -> Iterator[Diagnostic]:
    said = (
        (f"/models/{escape(model.id)}/default_for/{at}", feature, model.id)
        for model in manifest.models.values()
        for at, feature in enumerate(model.default_for)
    )
    first: dict[str, str] = {}
    for path, feature, name in sorted(said, key=lambda each: _layer(manifest, each[0])):
        if first.setdefault(feature, name) != name:
            what = f"{feature} has a default model already: {shown(first[feature])}"
            yield error(manifest, "BYOK119", path, what, "keep one of the two")


def _default_enabled(manifest: Manifest) -> Iterator[Diagnostic]:
    for model in manifest.models.values():
        if model.default_for and (model.absent or not model.enabled):
            path = f"/models/{escape(model.id)}/default_for"
            what = "a default model must be enabled, and this one is not"
            way_out = "enable it, or make another the default"
            yield error(manifest, "BYOK107", path, what, way_out)


def urls(manifest: Manifest) -> Iterator[tuple[str, str, bool]]:
    """Yield the pointer of each URL, the URL, and whether a key is sent there."""
    for endpoint in manifest.endpoints.values():
        keyed = bool(endpoint.key) or "admin_key" in endpoint.account
        yield f"/endpoints/{endpoint.name}/base_url", endpoint.base_url, keyed
        if base := endpoint.account.get("api_base"):
            yield f"/endpoints/{endpoint.name}/api_base", base, keyed
    if base := manifest.cursor_team.get("api_base"):
        yield "/cursor_team/api_base", base, "admin_key" in manifest.cursor_team
    for provider in manifest.providers.values():
        if url := provider.settings.get("endpoint"):
            yield f"/providers/{provider.name}/endpoint", url, not provider.absent
        for field in ("api_base", "cloud_api_base"):
            if base := provider.account.get(field):
                yield f"/providers/{provider.name}/{field}", base, not provider.absent


def _reachable(manifest: Manifest) -> Iterator[Diagnostic]:
    for pointer, url, keyed in urls(manifest):
        host = hosts.host(url)
        if not host:
            what = "this URL leads nowhere: its host or port cannot be"
            yield error(manifest, "BYOK003", pointer, what, "correct it")
        elif keyed and url.startswith("http://") and not hosts.loopback(host):
            what = "a key would travel over plain http"
            yield error(manifest, "BYOK110", pointer, what, "write https://")


def _whole_cents(manifest: Manifest) -> Iterator[Diagnostic]:
    for name, budget in manifest.budgets.items():
        cents = budget["monthly_usd"] * 100
        if round(cents) < 1 or abs(cents - round(cents)) > _ROUNDING:
            what = "this amount has a part of a cent"
            path = f"/budgets/{name}/monthly_usd"
            yield error(manifest, "BYOK003", path, what, "round it to two decimals")


def _own_names(manifest: Manifest) -> Iterator[Diagnostic]:
    """Refuse an endpoint with another system's name: its name is its system's."""
    taken = {CURSOR, CURSOR_TEAM, *PROVIDERS}
    for name in manifest.endpoints:
        if name in taken:
            what = f"{shown(name)} is the name of a system of its own"
            path = f"/endpoints/{name}"
            yield error(manifest, "BYOK126", path, what, "call the endpoint something else")


def _one_hard_limit(manifest: Manifest) -> Iterator[Diagnostic]:
    """Refuse a second hard limit for one account and scope."""
    first: dict[tuple[str, str, bool], str] = {}
    hard = (name for name, each in manifest.budgets.items() if each.get("enforce") == "hard")
    for name in sorted(hard, key=lambda name: _layer(manifest, f"/budgets/{name}/enforce")):
        budget = manifest.budgets[name]
        of = "provider" if "provider" in budget else "endpoint"
        whole = budget.get("scope") == "organization"  # else the one project or workspace
        scope = (of, budget[of], whole)
        if first.setdefault(scope, name) != name:
            what = f"{shown(first[scope])} is a hard limit of the same account and scope already"
            path = f"/budgets/{name}"
            yield error(manifest, "BYOK127", path, what, "keep one of the two, or say alert")


RULES: Final[tuple[Callable[[Manifest], Iterator[Diagnostic]], ...]] = (
    _one_active,
    _one_claim,
    _one_default,
    _default_enabled,
    _reachable,
    _whole_cents,
    _own_names,
    _one_hard_limit,
)
