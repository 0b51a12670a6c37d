"""What only the admin key sees and byok leaves alone: keys, costs, and limits that are reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from reconciler.errors import ByokError, ProviderError, few
from reconciler.secrets import Secret
from reconciler.systems.account import Sight
from reconciler.systems.account.findings import day, of_error
from reconciler.systems.account.keys import NAMED, KeyFact, listed, ours_by_hint
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.account.spend import summed
from reconciler.systems.openai.admin import Admin, part, path_of, watched
from reconciler.systems.openai.costs import COSTS, lines, report, results
from reconciler.systems.openai.spend import ORGANIZATION
from reconciler.systems.openai.wire import ordinary_key

REACHED: Final = "enforcing"
COUNTED: Final = ("num_model_requests", "input_tokens", "output_tokens")


def survey(admin: Admin) -> Sequence[Callable[[], Sight]]:
    """Return the looks to take; each fails by itself."""

    def taken(kind: str, look: Callable[[Admin], Sight]) -> Callable[[], Sight]:
        return lambda: _taken(admin, kind, look)

    return (
        taken("key", _keys),
        taken("service-account", _service_accounts),
        taken("costs", _costs),
        taken("usage", _usage),
        taken("spend-limit", _project_limit),
        taken("organization-spend-limit", _organization_limit),
    )


def _taken(admin: Admin, kind: str, look: Callable[[Admin], Sight]) -> Sight:
    """Look; what this admin key may not see is said once, and is no failure."""
    try:
        return look(admin)
    except ProviderError as error:
        if error.kind in CLOSED:
            return admin.setting.saw(kind, "*", f"not read: {error}")
        return of_error(admin.setting, error, "admin_key")


def _there(admin: Admin) -> str | None:
    """Return the declared project, where it is there already."""
    return admin.project if admin.project in watched(admin) else None


def _keys(admin: Admin) -> Sight:
    """Tell of the project's keys; without the filter OpenAI hides keys of owners who left."""
    project = _there(admin)
    if project is None:
        return Sight()
    path, ours = path_of(admin, project, "/api_keys"), _ours(admin)
    keys = [_key(each, ours) for each in admin.entries(path, owner_project_access="any")]
    sight = listed(admin.setting, keys)
    if ours is not None and not any(key.ours for key in keys):
        sight += admin.setting.saw("project", project, "the key in use here is not among its keys")
    return sight


def _ours(admin: Admin) -> Secret | None:
    try:
        key = ordinary_key(admin.setting)
    except ByokError:  # said where the key is looked at
        return None
    return None if key is None else key.secret


def _key(key: Mapping[str, Any], ours: Secret | None) -> KeyFact:
    owner = part(key, "owner")
    who = part(owner, str(owner.get("type")))
    expires = day(key.get("expires_at"))
    parts = (
        "its owner has no access any more" if key.get("owner_project_access") == "inactive" else "",
        f"expires on {expires.isoformat()}" if expires else "",
    )
    return KeyFact(
        name=str(key.get("name") or ""),
        made=day(key.get("created_at")),
        last_used=day(key.get("last_used_at")),
        owner=str(who.get("email") or who.get("name") or ""),
        status=", ".join(part for part in parts if part),
        ours=ours is not None and ours_by_hint(ours, str(key.get("redacted_value") or "")),
    )


def _service_accounts(admin: Admin) -> Sight:
    project = _there(admin)
    if project is None:
        return Sight()
    found = admin.entries(path_of(admin, project, "/service_accounts"))
    names = sorted(str(each.get("name")) for each in found)
    if not names:
        return Sight()
    return admin.setting.saw("service-account", project, few(names, NAMED))


def _costs(admin: Admin) -> Sight:
    """Tell what the project cost this month (UTC); OpenAI counts with a delay of hours."""
    project = _there(admin)
    if project is None:
        return Sight()
    id_ = watched(admin)[project]
    buckets = report(admin, COSTS, ("project_id",), project=id_)
    ours = (line for line in lines(admin, buckets, {}, {}) if line.scope == id_)
    text = f"{summed(ours)} this month, as far as OpenAI has counted"
    return admin.setting.saw("costs", project, text)


def _usage(admin: Admin) -> Sight:
    """Tell what the project asked of models this month (UTC), in requests and tokens."""
    project = _there(admin)
    if project is None:
        return Sight()
    id_ = watched(admin)[project]
    sums: Counter[str] = Counter()
    for bucket in report(admin, "/organization/usage/completions", ("project_id",), project=id_):
        for result in results(bucket, "usage.completions"):
            if result.get("project_id") == id_:
                sums.update({name: int(result.get(name) or 0) for name in COUNTED})
    requests, received, given = (f"{sums[name]:,}" for name in COUNTED)
    text = f"{requests} requests this month, {received} tokens in, {given} tokens out"
    return admin.setting.saw("usage", project, text)


def _project_limit(admin: Admin) -> Sight:
    project = _there(admin)
    if project is None:
        return Sight()
    return _reached(admin, "spend-limit", project, path_of(admin, project))


def _organization_limit(admin: Admin) -> Sight:
    return _reached(admin, "organization-spend-limit", ORGANIZATION, f"/{ORGANIZATION}")


def _reached(admin: Admin, kind: str, name: str, owner: str) -> Sight:
    """Tell whether a hard limit is reached: OpenAI then refuses requests, and the key is good."""
    limit = admin.document(f"{owner}/spend_limit")
    status = part(limit, "enforcement").get("status")
    if status is None:
        return Sight()
    if status != REACHED:
        return admin.setting.saw(kind, name, "there is a hard limit, and it is not reached")
    return admin.setting.found(
        "BYOK134",
        f"the hard limit of {name} is reached: OpenAI refuses its requests",
        "raise the limit, or wait for the next month",
    )
