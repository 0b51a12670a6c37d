"""The contract for Azure's account: deployments, network rules and budgets behind its simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.contract.account_rig import AccountContract, AccountRig
from tests.contract.contract import mortality
from tests.simulators.azure import Azure

STRANGE = {
    "theirs_90": {
        "enabled": True,
        "operator": "GreaterThan",
        "threshold": 90,
        "thresholdType": "Forecasted",
        "contactEmails": ["eve@acme.example"],
    }
}
FILTER = {"dimensions": {"name": "ResourceId", "operator": "In", "values": ["/theirs"]}}


class AzureRig(AccountRig):
    name = "azure"
    simulator: Azure

    def manifests(self, which: str) -> dict[str, Any]:
        sim = self.simulator
        self.secret("azure", sim.keys["key1"])
        self.secret("client", sim.client_secret)
        azure: dict[str, Any] = {
            "key": "file://keys/azure",
            "endpoint": self.base,
            "deployment": "gpt-4o-prod",
            "subscription": sim.subscription,
            "resource_group": sim.group_name,
            "account": sim.account["name"],
            "tenant": sim.tenant,
            "client_id": sim.client_id,
            "admin_key": "file://keys/client",
            "api_base": self.base,
            "login_base": self.base,
        }
        mine: dict[str, Any] = {"provider": "azure", "monthly_usd": 500, "alert_at": [50, 80]}
        theirs: dict[str, Any] = {
            "provider": "azure",
            "monthly_usd": 40.5,
            "notify": ["f@a.example"],
        }
        match which:
            case "first":
                azure["deployments"] = {
                    "gpt-4o-prod": {"model": "gpt-4o", "version": "2024-08-06", "capacity": 50},
                    "scaled": {"model": "gpt-4o-mini", "capacity": 20},
                    "kept": {"model": "gpt-4o"},
                    "old": {"absent": True},
                }
                azure["network"] = {"default_action": "Deny", "ip_rules": ["203.0.113.0/24"]}
                budgets = {"cursor": {**mine, "notify": ["a@a.example"]}, "shared": theirs}
            case "second":
                azure["deployments"] = {
                    "gpt-4o-prod": {"model": "gpt-4o", "version": "2024-11-20", "capacity": 80},
                    "second": {"model": "gpt-4o-mini", "sku": "Standard"},
                }
                azure["network"] = {"ip_rules": ["203.0.113.0/24", "198.51.100.7"]}
                whole = {**mine, "scope": "organization", "notify": ["b@a.example"]}
                mine |= {"monthly_usd": 600, "notify": ["b@a.example"]}
                budgets = {"cursor": mine, "whole": whole}
            case _:
                budgets = {}
        return {"providers": {"azure": azure}, "budgets": budgets}

    def sense(self) -> Mapping[str, object]:
        sim, found = self.simulator, dict[str, object]()
        properties = sim.account["properties"]
        acls = properties.get("networkAcls") or {}
        found["network"] = acls.get("defaultAction", "Allow")
        found["rules"] = sorted(rule["value"] for rule in acls.get("ipRules", []))
        for scope, budgets in sim.budgets.items():
            for name, budget in budgets.items():
                alerts = budget["properties"].get("notifications", {}).values()
                told = {(a["threshold"], e) for a in alerts for e in a["contactEmails"]}
                found[f"{scope} {name} amount"] = float(budget["properties"]["amount"])
                found[f"{scope} {name} told"] = sorted(told)
        return found

    def strangers(self) -> Mapping[str, object]:
        sim = self.simulator
        acls = sim.account["properties"].get("networkAcls") or {}
        shared = sim.budgets[sim.group]["shared"]["properties"]
        return {
            "deployment": sim.deployments["theirs"],
            "kept": sim.deployments["kept"],
            "sku": sim.deployments["scaled"]["sku"]["name"],
            "tags": sim.account["tags"],
            "networks": acls["virtualNetworkRules"],
            "rule": [rule for rule in acls["ipRules"] if rule["value"] == "192.0.2.9"],
            "budget": sim.budgets[sim.group]["theirs"],
            "filter": shared["filter"],
            "alert": shared["notifications"]["theirs_90"],
            "keys": sim.keys,
        }

    def disturb(self) -> None:
        sim = self.simulator
        sim.budgets[sim.group]["cursor"]["properties"]["amount"] = 77
        sim.budgets[sim.group]["shared"]["properties"]["amount"] = 31


class TestAzure(AccountContract):
    stride = 11

    def make(self, folder):
        sim = Azure()
        base = self.host(sim)
        sim.account["properties"]["endpoint"] = base
        sim.account["properties"]["networkAcls"] = {
            "defaultAction": "Allow",
            "ipRules": [{"value": "192.0.2.9"}],
            "virtualNetworkRules": [{"id": "/theirs/subnet", "state": "Succeeded"}],
        }
        sim.add_deployment("scaled", "gpt-4o-mini", capacity=10)
        sim.add_deployment("kept", "gpt-4o")
        sim.add_deployment("old", "gpt-35-turbo")
        sim.add_deployment("theirs", "gpt-4o", capacity=5)
        sim.add_budget("shared", 30, notifications=STRANGE, filter=FILTER)
        sim.add_budget("theirs", 5)
        rig = AzureRig(folder, sim, base)
        rig.secrets = (*sim.keys.values(), sim.client_secret)
        return rig


__all__ = ["TestAzure", "mortality"]
