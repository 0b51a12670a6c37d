"""What only the management API tells of an account: its keys' slots, its doors, its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from reconciler.errors import ProviderError, SecretError
from reconciler.money import Money
from reconciler.origins import BUILT_IN, origin
from reconciler.secrets import Secret
from reconciler.systems.account import Setting, Sight
from reconciler.systems.account.findings import SOON, day, escape
from reconciler.systems.azure import budget, deployment
from reconciler.systems.azure.arm import Arm, value, versioned
from reconciler.systems.azure.costs import Spending
from reconciler.systems.azure.key import other_models
from reconciler.systems.azure.network import reach

SLOTS: Final = ("key1", "key2")


def looks(setting: Setting, arm: Arm, spent: Spending) -> tuple[Callable[[], Sight], ...]:
    """Return what is looked at beside the kinds; none of it fails the plan."""
    jobs: tuple[tuple[str, str, Callable[[], Sight]], ...] = (
        ("account", arm.account_name, lambda: _account(setting, arm)),
        ("key", "slots", lambda: _slots(setting, arm)),
        ("network", arm.account_name, lambda: _endpoints(setting, arm)),
        ("deployment", "*", lambda: _served(setting, arm)),
        ("cost", arm.account_name, lambda: _cost(setting, arm, spent)),
        ("budget", "*", lambda: budget.currencies(setting, arm, spent.currency)),
    )
    return tuple(_quietly(setting, kind, name, job) for kind, name, job in jobs)


def _quietly(
    setting: Setting, kind: str, name: str, job: Callable[[], Sight]
) -> Callable[[], Sight]:
    def look() -> Sight:
        try:
            return job()
        except ProviderError as error:
            return setting.saw(kind, name, f"not told: {error}")

    return look


def _account(setting: Setting, arm: Arm) -> Sight:
    resource = arm.get(arm.account)
    properties = arm.properties()
    what = f"{resource.at('kind', default='an account')} in {resource.at('location', default='?')}"
    sight = setting.saw("account", arm.account_name, what)
    endpoint = setting.manifest.providers[setting.name].settings.get("endpoint")
    if endpoint is not None and origin(endpoint) not in _origins(properties):
        what = f"the endpoint in the manifest is not one of account {arm.account_name}"
        sight += setting.found("BYOK136", what, "correct endpoint or account", pointer="endpoint")
    if properties.get("disableLocalAuth"):
        what = f"account {arm.account_name} takes no keys: disableLocalAuth is set"
        sight += setting.found("BYOK131", what, "Cursor has keys only; allow them", pointer="key")
    if reach(properties) != ("Allow", "Enabled"):
        what = "not open to all: requests leave from Cursor's servers, whose addresses must get in"
        sight += setting.saw("network", arm.account_name, what)
    return sight


def _origins(properties: Mapping[str, Any]) -> set[str]:
    """Return the origins an account answers at: by its own list, and by its subdomain."""
    more = properties.get("endpoints")
    urls = [properties.get("endpoint"), *(more.values() if isinstance(more, Mapping) else ())]
    domain = properties.get("customSubDomainName")
    urls += [f"https://{domain}{suffix}" for suffix in BUILT_IN["azure"] if domain]
    found: set[str] = set()
    for url in urls:
        with suppress(ValueError):  # a URL of two meanings is nobody's
            found |= {origin(url)} if isinstance(url, str) else set()
    return found


def _slots(setting: Setting, arm: Arm) -> Sight:
    """Tell which of the two slots is in use; the values are sealed as they come in."""
    answer = arm.client.ask(versioned(f"{arm.account}/listKeys"), None, remember=False)
    values = {slot: answer.at(slot) for slot in SLOTS}
    held = {s: Secret(v) for s, v in values.items() if isinstance(v, str) and v}
    mine = _fingerprint(setting)
    if mine is None:
        text = f"{len(held)} slots are filled; which one is in use cannot be told without the key"
        return setting.saw("key", "slots", text)
    used = [slot for slot, secret in held.items() if setting.vault.fingerprint(secret) == mine]
    if not used:
        what = f"the key is neither key1 nor key2 of account {arm.account_name}"
        way_out = "it was regenerated, or is another account's: store one of the two anew"
        return setting.found("BYOK131", what, way_out, pointer="key")
    idle = [slot for slot in held if slot not in used]
    rest = f"; {idle[0]} is idle" if idle else ""
    return setting.saw("key", "slots", f"the key in use is {used[0]}{rest}")


def _fingerprint(setting: Setting) -> str | None:
    refs = setting.manifest.providers[setting.name].secrets.get("key", ())
    try:
        return setting.vault.seal(refs).fingerprint if refs else None
    except SecretError:
        return None  # looking with the key says so


def _endpoints(setting: Setting, arm: Arm) -> Sight:
    """Tell of private endpoints: they are Microsoft.Network's, and are only observed."""
    path = ("properties", "privateLinkServiceConnectionState", "status")
    found = [
        f"{one.get('name')} ({value(one, path) or 'state not told'})"
        for one in arm.list(f"{arm.account}/privateEndpointConnections")
    ]
    if not found:
        return Sight()
    return setting.saw("network", arm.account_name, f"private endpoints: {', '.join(found)}")


def _served(setting: Setting, arm: Arm) -> Sight:
    """Hold the deployments against what is said of them: model, owner, retirement, state."""
    there = {str(r.get("name")).lower(): r for r in deployment.there(arm)}
    wanted = deployment.declared(setting)
    used = setting.manifest.providers[setting.name].settings.get("deployment")
    sight = _in_use(setting, arm, used, there) if used else Sight()
    models = _models(arm)
    for name in dict.fromkeys([*wanted, *([used] if used else [])]):
        resource = there.get(name.lower())
        if wanted.get(name, {}).get("absent"):
            continue
        if resource is not None:
            sight += _retiring(setting, name, resource, models, declared=name in wanted)
        elif name in wanted and "sku" not in wanted[name]:
            text = f"not there yet: it is made as {deployment.NEW['sku']} unless sku is said"
            sight += setting.saw(deployment.KIND, name, text)
    for name in wanted:
        sight += _foreign(setting, name, there.get(name.lower()))
    return sight


def _in_use(setting: Setting, arm: Arm, used: str, there: Mapping[str, Any]) -> Sight:
    resource = there.get(used.lower())
    if resource is None:
        if used in deployment.declared(setting):
            return Sight()
        what = f"account {arm.account_name} has no deployment {used}"
        way_out = "correct it, or declare it in deployments"
        return setting.found("BYOK136", what, way_out, pointer="deployment")
    model = str(value(resource, deployment.FIELDS["model"]) or "")
    version = value(resource, deployment.FIELDS["version"])
    text = f"serves {model}{f' {version}' if version else ''}"
    sight = setting.saw(deployment.KIND, used, text)
    known = {str(one.get("name")) for one in _models(arm)}
    planned = deployment.declared(setting).get(used, {}).get("model", model)
    return sight + other_models(setting, used, planned, known)


def _models(arm: Arm) -> list[Mapping[str, Any]]:
    try:
        return list(arm.list(f"{arm.account}/models"))
    except ProviderError:
        return []  # another right than that to deployments; then no date is told


def _retiring(
    setting: Setting,
    name: str,
    resource: Mapping[str, Any],
    models: list[Mapping[str, Any]],
    *,
    declared: bool,
) -> Sight:
    model, version = (value(resource, deployment.FIELDS[f]) for f in ("model", "version"))
    facts = [m for m in models if (m.get("name"), m.get("version")) == (model, version)]
    retires = day(value(facts[0], ("deprecation", "inference"))) if facts else None
    state = value(resource, ("properties", "provisioningState"))
    sight = Sight()
    if state in deployment.BROKEN:
        sight += setting.saw(deployment.KIND, name, f"is in state {state}, and answers nothing")
    if retires is None or retires > datetime.now(UTC).date() + timedelta(days=SOON):
        return sight
    what = f"deployment {name} serves {model} {version}, which is retired on {retires.isoformat()}"
    place = f"deployments/{escape(name)}" if declared else "deployment"
    return sight + setting.found("BYOK133", what, "move to its successor", pointer=place)


def _foreign(setting: Setting, name: str, resource: Mapping[str, Any] | None) -> Sight:
    mark = value(resource or {}, ("tags", deployment.MARK))
    if mark is None or mark == setting.manifest.team:
        return Sight()
    return setting.saw(deployment.KIND, name, f"was made by team {mark}: agree on who keeps it")


def _cost(setting: Setting, arm: Arm, spent: Spending) -> Sight:
    match spent.seen():
        case Money() as money:
            text = f"{money} this month so far; Azure's figures are about four hours late"
        case ProviderError():
            text = "not available now: Azure lets few such questions by, or the right is missing"
        case _:
            text = "nothing yet this month"
    return setting.saw("cost", arm.account_name, text)
