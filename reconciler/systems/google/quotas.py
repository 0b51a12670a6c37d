"""Quotas of the Gemini API, lowered or raised by preference (Cloud Quotas v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.model import Attrs
from reconciler.systems.account import Kind, Named, Sight, refusal
from reconciler.systems.google.cloud import GEMINI, Cloud, every

WORD: Final = "quota"
MISSING: Final = "the Gemini API has no quota of this id and these dimensions in this project"
LOWER: Final = "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"
"""The check that is waived: against a fall by more than a tenth, which the plan has shown. The
one against falling below what is in use stays."""


def kind(cloud: Cloud) -> Kind:
    """Return the kind ``quota``: a value by quota id and dimensions.

    A preference cannot be deleted by API. So what is compared is the value that is preferred, or
    else in effect; what was there before is put back as a preference.
    """
    wanted = _wanted(cloud)
    return Kind(
        WORD,
        desired={name: {"value": entry["value"]} for name, entry in wanted.items()},
        read=lambda: _values(cloud, wanted),
        write=lambda name, _now, goal: _write(cloud, name, goal, wanted.get(name, {})),
        missing=MISSING,
    )


def _wanted(cloud: Cloud) -> dict[str, Mapping[str, Any]]:
    given = cloud.setting.account().get("quotas", {})
    return {_name(*_parts(name)): entry for name, entry in given.items()}


def _name(quota: str, dimensions: Mapping[str, str]) -> str:
    """Write a quota's natural name: ``ID``, or ``ID model=gemini-2.5-pro`` in the names' order."""
    return " ".join([quota, *(f"{key}={value}" for key, value in sorted(dimensions.items()))])


def _parts(name: str) -> tuple[str, dict[str, str]]:
    quota, *rest = name.split()
    return quota, dict(part.split("=", 1) for part in rest)


def _preferences(cloud: Cloud) -> dict[str, Mapping[str, Any]]:
    path = f"/v1/projects/{cloud.project}/locations/global/quotaPreferences"
    return {
        _name(str(one.get("quotaId")), one.get("dimensions", {})): one
        for one in every(cloud.quotas, path, "quotaPreferences", {"pageSize": 100})
        if one.get("service") == GEMINI
    }


def _infos(cloud: Cloud) -> Iterator[Mapping[str, Any]]:
    path = f"/v1/projects/{cloud.project}/locations/global/services/{GEMINI}/quotaInfos"
    return every(cloud.quotas, path, "quotaInfos", {"pageSize": 100})


def _values(cloud: Cloud, wanted: Mapping[str, object]) -> Named:
    preferred = _preferences(cloud)
    found = {name: {"value": _preferred(one)} for name, one in preferred.items()}
    if lacking := wanted.keys() - found.keys():
        infos = {str(info.get("quotaId")): info for info in _infos(cloud)}
        for name in lacking:
            quota, dimensions = _parts(name)
            value = _effective(infos.get(quota, {}), dimensions)
            found |= {} if value is None else {name: {"value": value}}
    return found


def _preferred(one: Mapping[str, Any]) -> int:
    return int(one["quotaConfig"]["preferredValue"])


def _effective(info: Mapping[str, Any], dimensions: Mapping[str, str]) -> int | None:
    """Return the value in effect for dimensions: that of the narrowest set that holds them."""
    if not dimensions.keys() <= set(info.get("dimensions", ())):
        return None
    fitting = [
        each
        for each in info.get("dimensionsInfos", ())
        if each.get("dimensions", {}).items() <= dimensions.items()
    ]
    best: Mapping[str, Any] = max(fitting, key=_width, default={})
    value = best.get("details", {}).get("value")
    return None if value is None else int(value)


def _width(info: Mapping[str, Any]) -> int:
    return len(info.get("dimensions", {}))


def _write(cloud: Cloud, name: str, goal: Attrs, entry: Mapping[str, Any]) -> None:
    value = goal.get("value")
    if not isinstance(value, int):
        what = "cannot delete a quota preference by API"
        raise refusal(cloud.quotas.who, Problem.UNSUPPORTED, what, "reset it in the console")
    config: dict[str, Any] = {"preferredValue": str(value)}
    contact = {"contactEmail": entry["contact"]} if "contact" in entry else {}
    there = _preferences(cloud).get(name)
    checks = {"ignoreSafetyChecks": LOWER}
    if there is None:
        quota, dimensions = _parts(name)
        config["annotations"] = {"byok": cloud.setting.manifest.team}
        body = {"service": GEMINI, "quotaId": quota, "quotaConfig": config, **contact}
        body |= {"dimensions": dimensions} if dimensions else {}
        path = f"/v1/projects/{cloud.project}/locations/global/quotaPreferences"
        cloud.quotas.send("POST", path, body, params=checks)
        return
    mask = ",".join(["quotaConfig.preferredValue", *contact])
    known = {field: there[field] for field in ("name", "service", "quotaId", "etag", "dimensions")
             if field in there}  # fmt: skip
    body = {**known, "quotaConfig": config, **contact}
    cloud.quotas.send("PATCH", f"/v1/{there['name']}", body, params={"updateMask": mask, **checks})


def survey(cloud: Cloud) -> Sight:
    """Tell which wanted quotas wait for Google, or were granted otherwise than asked."""
    wanted = _wanted(cloud)
    if not wanted:
        return Sight()
    sight = Sight()
    for name, one in sorted(_preferences(cloud).items()):
        granted = one["quotaConfig"].get("grantedValue")
        if name not in wanted or granted is None or int(granted) == _preferred(one):
            continue
        state = "waits for Google's approval" if one.get("reconciling") else "was not given more"
        text = f"asked for {_preferred(one)}, granted {granted}: {state}"
        sight += cloud.setting.saw(WORD, name, text)
    return sight
