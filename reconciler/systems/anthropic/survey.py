"""What Anthropic's admin key sees and byok leaves alone: keys, costs, limits without effect."""

from __future__ import annotations

from typing import Final

from reconciler.errors import ByokError, ProviderError
from reconciler.secrets import Secret
from reconciler.systems.account import Sight
from reconciler.systems.account.findings import day
from reconciler.systems.account.keys import KeyFact, listed as told, ours_by_hint
from reconciler.systems.account.spend import summed
from reconciler.systems.anthropic.console import KEYS, Console, Item, listed, workspaces
from reconciler.systems.anthropic.costs import amounts
from reconciler.systems.anthropic.key import ordinary
from reconciler.systems.anthropic.limits import rate_limits

NONE_MADE: Final = "Anthropic's API cannot create keys: make them in the Console, then store them"
NOT_LISTED: Final = (
    "the key in use here is not among the organisation's keys: it may be of another organisation"
)


def keys(console: Console) -> Sight:
    """List the organisation's keys; which is ours is told by its printed hint."""
    setting = console.setting
    ours = _ours(console)
    found = [item for item in listed(console.api, KEYS) if item.get("status") != "archived"]
    spaces = {str(item["id"]): name for name, item in workspaces(console).items()}
    facts = [_fact(item, spaces, ours) for item in found]
    sight = setting.saw("key", "new", NONE_MADE) + told(setting, facts)
    if ours is not None and found and not any(fact.ours for fact in facts):
        sight += setting.saw("key", setting.name, NOT_LISTED)
    return sight


def _ours(console: Console) -> Secret | None:
    try:
        found = ordinary(console.setting)
    except ByokError:  # said by the look with the ordinary key
        return None
    return None if found is None else found.secret


def _fact(item: Item, spaces: dict[str, str], ours: Secret | None) -> KeyFact:
    expires = day(item.get("expires_at"))
    status = str(item.get("status", ""))
    hint = item.get("partial_key_hint")
    return KeyFact(
        name=str(item.get("name", "")),
        made=day(item.get("created_at")),
        owner=place(item, spaces),
        status=f"{status} until {expires.isoformat()}" if expires is not None else status,
        ours=ours is not None and isinstance(hint, str) and ours_by_hint(ours, hint),
    )


def place(item: Item, spaces: dict[str, str]) -> str:
    """Say where a key belongs, in words; reads the forms of both versions.

    2026-10-21 has ``scope``, with the real id also of the default workspace; 2023-06-01 has
    ``workspace_id``, null for the default workspace.
    """
    scope = item.get("scope") or {}
    if scope.get("type") == "organization":
        return "the whole organisation"
    of = scope.get("workspace_id", item.get("workspace_id"))
    if of is None:
        return "the default workspace"
    return f"workspace {spaces[of]}" if of in spaces else "the default or an archived workspace"


def costs(console: Console) -> Sight:
    """Say what this month has cost so far; the figures are some hours old."""
    found = amounts(console)
    if found is None:
        return console.setting.saw("cost", "month", "not shown to this admin key")
    text = f"{summed(found)} this month so far"
    if console.workspace in workspaces(console):
        part = summed(line for line in found if line.scope == console.workspace)
        text += f", {part} of it in workspace {console.workspace}"
    return console.setting.saw("cost", "month", text)


def overreach(console: Console) -> Sight:
    """Say which of the workspace's rate limits are above the organisation's, which then holds."""
    sight = Sight()
    try:
        found = rate_limits(console)
    except ProviderError:  # said where the kind is closed
        return sight
    wanted = console.setting.account().get("rate_limits", {})
    for name, limit in found.items():
        if limit.above and name.removeprefix(f"{console.workspace}/") in wanted:
            which = ", ".join(limit.above)
            sight += console.setting.saw(
                "rate-limit", name, f"{which}: above the organisation's, which holds"
            )
    return sight
