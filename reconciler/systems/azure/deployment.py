"""Deployments of an account: what they serve, how much of it, and how they are made and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Attrs, Change
from reconciler.systems.account import Kind, Named, Setting
from reconciler.systems.account.answers import refusal
from reconciler.systems.azure.arm import WHO, Arm, named, value

KIND: Final = "deployment"
MARK: Final = "byok"
"""The tag that names the team which made a deployment."""

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("properties", "model", "name"),
    "version": ("properties", "model", "version"),
    "format": ("properties", "model", "format"),
    "sku": ("sku", "name"),
    "capacity": ("sku", "capacity"),
    "upgrade": ("properties", "versionUpgradeOption"),
    "content_filter": ("properties", "raiPolicyName"),
}
"""Where each attribute stands in the resource (Microsoft.CognitiveServices, 2025-09-01)."""

NEW: Final[Mapping[str, str]] = {"format": "OpenAI", "sku": "GlobalStandard"}
"""What a new deployment gets where the manifest leaves it open."""

BROKEN: Final = ("Failed", "Canceled", "Deleting")
"""States of a deployment that answers no request; one that is wanted is made anew."""

READ_ONLY: Final = (
    *("provisioningState", "capabilities", "callRateLimit", "rateLimits"),
    *("dynamicThrottlingEnabled", "currentCapacity", "scaleSettings"),
)


def kind(setting: Setting, arm: Arm) -> Kind:
    """Return the kind: released on removal, deleted only by ``absent: true`` or destroy."""
    wanted = {name: _wish(entry) for name, entry in declared(setting).items()}
    return Kind(
        KIND,
        wanted,
        read=lambda: _read(arm, wanted),
        write=lambda name, now, goal: _write(setting, arm, name, now, goal),
        final=_final,
        container=True,
    )


def declared(setting: Setting) -> Mapping[str, Mapping[str, Any]]:
    """Return the deployments that the manifest names."""
    found: Mapping[str, Mapping[str, Any]] = setting.account().get("deployments", {})
    return found


def _wish(entry: Mapping[str, Any]) -> Attrs:
    """Return what is stated; what is not stated of a deployment that exists is left as it is."""
    if entry.get("absent"):
        return dict.fromkeys(FIELDS)
    return {name: entry[name] for name in FIELDS if name in entry}


def there(arm: Arm) -> Iterator[Mapping[str, Any]]:
    """Yield the deployments of the account as ARM has them."""
    return arm.list(f"{arm.account}/deployments")


def _read(arm: Arm, wanted: Named) -> Named:
    """Read what the manifest speaks of: so nothing unsaid is judged, and what goes goes whole."""
    found: dict[str, Attrs] = {}
    for resource in there(arm):
        if value(resource, ("properties", "provisioningState")) in BROKEN:
            continue
        name = named(str(resource.get("name")), wanted)
        told = wanted.get(name, FIELDS)
        attrs = {field: value(resource, FIELDS[field]) for field in told}
        found[name] = {field: it for field, it in attrs.items() if it is not None}
    return found


def _final(change: Change) -> bool:
    return any(edit.name == "model" and edit.after is None for edit in change.edits)


def _write(setting: Setting, arm: Arm, name: str, now: Attrs, goal: Attrs) -> None:
    old = next((r for r in there(arm) if str(r.get("name")).lower() == name.lower()), None)
    path = f"{arm.account}/deployments/{quote(str(old['name'] if old else name), safe='')}"
    if "model" not in goal:
        arm.write("DELETE", path)
        return
    moved = {field for field in FIELDS if now.get(field) != goal.get(field)}
    try:
        if old is not None and now and moved <= {"sku", "capacity"}:
            arm.write("PATCH", path, {"sku": _put({}, old, goal)["sku"]})
        else:
            arm.write("PUT", path, _put({"tags": {MARK: setting.manifest.team}}, old, goal))
    except ProviderError as error:
        raise _refused(error) from None


def _put(new: Mapping[str, Any], old: Mapping[str, Any] | None, goal: Attrs) -> Any:
    """Return the resource to send: what is there without what is read only, and the goal."""
    kept = {} if old is None else {n: old[n] for n in ("sku", "properties", "tags") if n in old}
    body: dict[str, Any] = json.loads(json.dumps(kept or new))
    for field in READ_ONLY:
        body.get("properties", {}).pop(field, None)
    for field, path in FIELDS.items():
        wish = goal.get(field, NEW.get(field) if value(body, path) is None else None)
        here = body
        for part in path[:-1]:
            here = here.setdefault(part, {})
        if wish is not None:
            here[path[-1]] = wish
    _let_go(body, old, goal)
    return body


def _let_go(body: dict[str, Any], old: Mapping[str, Any] | None, goal: Attrs) -> None:
    """Leave the version to Azure where another model is deployed and none is stated."""
    was = None if old is None else value(old, FIELDS["model"])
    if was is not None and was != goal["model"] and "version" not in goal:
        body["properties"]["model"].pop("version", None)


def _refused(error: ProviderError) -> ProviderError:
    if error.kind is not Problem.REJECTED:
        return error
    what = "refuses the deployment: this model, version, sku or capacity is not to be had there"
    way_out = "see the account's models and quota (az cognitiveservices account list-models, usage)"
    return refusal(WHO, Problem.REJECTED, what, way_out)
