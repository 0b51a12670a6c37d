"""Who may reach an account over the network: its default, and each address let through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.model import Attrs
from reconciler.systems.account import Kind, Named, Setting
from reconciler.systems.azure.arm import Arm, value

KIND: Final = "network"
RULE: Final = "ip "
"""How the attributes begin that hold one address each, so that each is owned by itself."""


def kind(setting: Setting, arm: Arm) -> Kind:
    """Return the kind; its one resource is named as the account is."""
    stated: Mapping[str, Any] = setting.account().get("network", {})
    wish = _wish(stated)
    return Kind(
        KIND,
        {arm.account_name: wish} if wish else {},
        read=lambda: _read(arm),
        write=lambda _name, now, goal: _write(arm, now, goal),
        exclusive={arm.account_name: RULE} if stated.get("exclusive") else {},
    )


def _wish(stated: Mapping[str, Any]) -> Attrs:
    wish = {name: stated[name] for name in ("default_action", "public_access") if name in stated}
    return {**wish, **{f"{RULE}{plain(rule)}": True for rule in stated.get("ip_rules", ())}}


def plain(rule: str) -> str:
    """Write one address without its needless length: Azure stores 203.0.113.5/32 either way."""
    return rule.removesuffix("/32")


def reach(account: Mapping[str, Any]) -> tuple[str, str]:
    """Return the default action and public access of an account; unset, both let everyone in."""
    action = value(account, ("networkAcls", "defaultAction"))
    return action or "Allow", account.get("publicNetworkAccess") or "Enabled"


def _read(arm: Arm) -> Named:
    account = arm.properties()
    action, access = reach(account)
    attrs: dict[str, Any] = {"default_action": action, "public_access": access}
    attrs |= {f"{RULE}{plain(rule['value'])}": True for rule in _rules(account)}
    return {arm.account_name: attrs}


def _rules(account: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = value(account, ("networkAcls", "ipRules")) or []
    return [rule for rule in found if isinstance(value(rule, ("value",)), str)]


def _write(arm: Arm, now: Attrs, goal: Attrs) -> None:
    """Send what moves. The rules are one document at Azure: the others' stay in it as they are."""
    account = arm.properties()
    properties: dict[str, Any] = {}
    if now.get("public_access") != goal.get("public_access"):
        properties["publicNetworkAccess"] = goal.get("public_access", "Enabled")
    if any(
        now.get(name) != goal.get(name) for name in (now.keys() | goal.keys()) - {"public_access"}
    ):
        wanted = {name.removeprefix(RULE) for name in goal if name.startswith(RULE)}
        kept = [rule for rule in _rules(account) if plain(rule["value"]) in wanted]
        new = sorted(wanted - {plain(rule["value"]) for rule in kept})
        properties["networkAcls"] = {
            **(account.get("networkAcls") or {}),
            "defaultAction": goal.get("default_action", "Allow"),
            "ipRules": [*kept, *({"value": rule} for rule in new)],
        }
    arm.write("PATCH", arm.account, {"properties": properties})
