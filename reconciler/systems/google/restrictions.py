"""The project's API keys: what each may be used for and from where; listed, never made here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem, SecretError, few
from reconciler.model import Attrs, Value
from reconciler.secrets import Secret
from reconciler.systems.account import Kind, Setting, Sight, refusal
from reconciler.systems.account.findings import day
from reconciler.systems.account.keys import KeyFact, listed
from reconciler.systems.google.cloud import GEMINI, Cloud, every, finish
from reconciler.systems.google.key import references

ALLOW: Final = "allow "
"""How the attributes begin that hold one permission each, so that each is owned by itself."""

READ_AT_MOST: Final = 10
"""Keys whose value is read to find ours, and only such as are for Gemini alone."""

MISSING: Final = (
    "there is not exactly one key with this display name; byok makes none here: "
    "make one at Google, or make its name the only one"
)


def kind(cloud: Cloud) -> Kind:
    """Return the kind ``key``: an existing key's restrictions, by its display name."""
    wanted = cloud.setting.account().get("keys", {})
    return Kind(
        "key",
        desired={name: dict(_wanted(entry)) for name, entry in wanted.items()},
        read=lambda: {name: dict(_allowed(key)) for name, key in _unique(cloud).items()},
        write=lambda name, _now, goal: _write(cloud, name, goal),
        exclusive={name: ALLOW for name, entry in wanted.items() if entry.get("exclusive")},
        missing=MISSING,
    )


def _wanted(entry: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for service in entry.get("services", ()):
        yield f"{ALLOW}service {service.lower()}", True
    for address in entry.get("ips", ()):
        yield f"{ALLOW}ip {address}", True


def every_key(cloud: Cloud) -> Iterator[Mapping[str, Any]]:
    """Yield the project's API keys, deleted ones left out. Raises ProviderError."""
    path = f"/v2/projects/{cloud.project}/locations/global/keys"
    return every(cloud.keys, path, "keys", {"pageSize": 300})


def _unique(cloud: Cloud) -> dict[str, Mapping[str, Any]]:
    """Return the keys by display name; a name that two keys have is nobody's."""
    keys = list(every_key(cloud))
    count = Counter(key.get("displayName", "") for key in keys)
    return {name: key for key in keys if count[name := key.get("displayName", "")] == 1 and name}


def _allowed(key: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield what a key's restrictions (API Keys v2) allow, and which of the two forms it has.

    Of a service, True stands for all its methods.
    """
    yield "form", "authorization key" if key.get("serviceAccountEmail") else "standard key"
    given = key.get("restrictions", {})
    for target in given.get("apiTargets", ()):
        methods = tuple(target.get("methods", ()))
        yield f"{ALLOW}service {target['service'].lower()}", methods or True
    for address in given.get("serverKeyRestrictions", {}).get("allowedIps", ()):
        yield f"{ALLOW}ip {address}", True
    for referrer in given.get("browserKeyRestrictions", {}).get("allowedReferrers", ()):
        yield f"{ALLOW}referrer {referrer}", True
    for bundle in given.get("iosKeyRestrictions", {}).get("allowedBundleIds", ()):
        yield f"{ALLOW}ios {bundle}", True
    for app in given.get("androidKeyRestrictions", {}).get("allowedApplications", ()):
        yield f"{ALLOW}android {app['packageName']} {app['sha1Fingerprint']}", True


def _restrictions(goal: Attrs) -> dict[str, Any]:
    """Turn attributes back into restrictions."""
    named = {n.removeprefix(ALLOW): v for n, v in goal.items() if n.startswith(ALLOW)}
    targets = [
        {"service": name, **({"methods": list(value)} if isinstance(value, tuple) else {})}
        for name, value in _of(named, "service")
    ]
    apps = [
        dict(zip(("packageName", "sha1Fingerprint"), name.split(" "), strict=True))
        for name, _ in _of(named, "android")
    ]
    parts = {
        "apiTargets": targets,
        "serverKeyRestrictions": _under("allowedIps", named, "ip"),
        "browserKeyRestrictions": _under("allowedReferrers", named, "referrer"),
        "iosKeyRestrictions": _under("allowedBundleIds", named, "ios"),
        "androidKeyRestrictions": {"allowedApplications": apps} if apps else {},
    }
    return {name: part for name, part in parts.items() if part}


def _of(named: Attrs, word: str) -> list[tuple[str, Value]]:
    begins = f"{word} "
    return [(n.removeprefix(begins), v) for n, v in sorted(named.items()) if n.startswith(begins)]


def _under(field: str, named: Attrs, word: str) -> dict[str, list[str]]:
    names = [name for name, _ in _of(named, word)]
    return {field: names} if names else {}


def _write(cloud: Cloud, name: str, goal: Attrs) -> None:
    key = _unique(cloud).get(name)
    if key is None:
        raise refusal(cloud.keys.who, Problem.NOT_THERE, MISSING)
    wanted = _restrictions(goal)
    if len(wanted.keys() - {"apiTargets"}) > 1:
        what = "limits a key to one kind of caller, and this one is limited to another kind already"
        way_out = "take the other limit away in Google Cloud's console, or use another key"
        raise refusal(cloud.keys.who, Problem.REJECTED, what, way_out)
    body = {"restrictions": wanted, "etag": key.get("etag", "")}
    path = f"/v2/{key['name']}"
    mask = {"updateMask": "restrictions"}
    finish(cloud.keys, "/v2", cloud.keys.send("PATCH", path, body, params=mask))


def survey(cloud: Cloud) -> Sight:
    """Tell of the project's keys: how old, how restricted, and which one is in use here."""
    keys = list(every_key(cloud))
    ours = _ours(cloud, keys)
    facts = [
        KeyFact(
            str(key.get("displayName") or key.get("uid", "")),
            made=day(key.get("createTime")),
            owner=str(key.get("serviceAccountEmail", "")),
            status=_status(key),
            ours=key.get("name") == ours,
        )
        for key in keys
    ]
    return listed(cloud.setting, facts)


def services(key: Mapping[str, Any]) -> list[str]:
    """Return the services that a key is restricted to; none stands for every one."""
    targets = key.get("restrictions", {}).get("apiTargets", ())
    return [str(target.get("service", "")).lower() for target in targets]


def _status(key: Mapping[str, Any]) -> str:
    named = services(key)
    if not named:
        return "good for every API: restrict it"
    return f"for {few(named, 1)}"


def _ours(cloud: Cloud, keys: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the name of the key in use here, by its fingerprint; None where nobody can tell."""
    wanted = _fingerprint(cloud.setting)
    if wanted is None:
        return None
    candidates = [str(key["name"]) for key in keys if services(key) == [GEMINI]]
    for name in candidates[:READ_AT_MOST]:
        try:
            found = key_string(cloud, name)
        except ProviderError:
            return None
        if cloud.setting.vault.fingerprint(found) == wanted:
            return name
    return None


def key_string(cloud: Cloud, name: str) -> Secret:
    """Return a key's value by its resource name; it is kept nowhere. Raises ProviderError."""
    found = cloud.strings.send("GET", f"/v2/{name}/keyString", again=True).at("keyString")
    if not isinstance(found, str) or not found:
        raise refusal(cloud.strings.who, Problem.UNREADABLE)
    return Secret(found)


def _fingerprint(setting: Setting) -> str | None:
    try:
        refs = references(setting)
        return setting.vault.seal(refs).fingerprint if refs else None
    except SecretError:
        return None
