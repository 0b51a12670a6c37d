"""Keys that are there: renamed or switched on and off, never made, because the API cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Attrs
from reconciler.systems.account import Kind, Named, refusal
from reconciler.systems.anthropic.console import KEYS, Console, Item, listed

SWITCHED: Final = ("active", "inactive")
"""The states a key can be taken out of; archived and expired are final."""

NO_KEY: Final = (
    "no key that can be switched is called so, or several are: name it by its id (apikey_…); "
    "Anthropic's API makes no keys, make one in the Console"
)


def key_kind(console: Console) -> Kind:
    """Return the kind. A key goes by its name, and by its id, under which its name can be set."""
    wanted: Mapping[str, Attrs] = console.setting.account().get("keys", {})
    return Kind(
        name="key",
        desired=wanted,
        read=lambda: _read(console),
        write=lambda name, now, goal: _write(console, name, now, goal),
        missing=NO_KEY,
    )


def _read(console: Console) -> Named:
    switched = _switched(console)
    by_name = {
        name: {"status": item["status"]}
        for name, item in _named(switched).items()
        if name not in switched
    }
    by_id = {
        id_: {"name": str(item.get("name")), "status": item["status"]}
        for id_, item in switched.items()
    }
    return {**by_name, **by_id}


def _switched(console: Console) -> dict[str, Item]:
    return {
        str(item.get("id")): item
        for item in listed(console.api, KEYS)
        if item.get("status") in SWITCHED
    }


def _named(switched: Mapping[str, Item]) -> dict[str, Item]:
    """Return the keys by name, as far as it names one alone."""
    count = Counter(str(item.get("name")) for item in switched.values())
    names = {str(item.get("name")): item for item in switched.values()}
    return {name: item for name, item in names.items() if count[name] == 1}


def _write(console: Console, name: str, now: Attrs, goal: Attrs) -> None:
    switched = _switched(console)
    item = switched.get(name) or _named(switched).get(name)
    if item is None:
        raise refusal(f"{console.setting.name}/key/{name}", Problem.REJECTED, NO_KEY)
    body = {each: goal[each] for each in goal if now.get(each) != goal[each]}
    try:
        console.api.send("POST", f"{KEYS}/{item['id']}", body, again=True)
    except ProviderError as error:
        if error.kind is Problem.REJECTED and body.get("status") == "active":
            what = "does not switch this key on again: the number of active keys may be reached"
            raise refusal(console.api.who, Problem.REJECTED, what, "switch another off") from None
        raise
