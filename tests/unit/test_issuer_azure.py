"""Azure's key slots: told apart, tried, and one made anew at a time; never the one in use."""

from __future__ import annotations

import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Order, Trial
from tests.contract import issuer_contract
from tests.contract.issuer_contract import (
    NAME,
    IssuerContract,
    IssuerRig,
    changing,
    exposed,
    made_by,
    opened,
    revoke,
    secrets,
)
from tests.simulators.azure import Azure
from tests.simulators.server import Response

ordered = issuer_contract.order


class Rig(IssuerRig):
    name = "azure"
    making = ("POST", "*/regenerateKey")
    named, slots = False, True

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.first = dict(simulator.keys)
        self.more = {}

    def manifest(self, *, admin):
        sim = self.simulator
        fields = {"key": "file://keys/key", "endpoint": self.base, "deployment": "gpt-4o-prod"}
        fields |= {"api_base": self.base, "login_base": self.base, "account": sim.account["name"]}
        fields |= {"subscription": sim.subscription, "resource_group": sim.group_name}
        if admin:
            fields |= {"tenant": sim.tenant, "client_id": sim.client_id}
            fields |= {"admin_key": "file://keys/admin"}
        merged = {**fields, **self.more}
        return {"providers": {"azure": {n: v for n, v in merged.items() if v is not None}}}

    def keys(self):
        return {"key": self.first["key1"], "admin": self.simulator.client_secret}

    def old(self):
        return {"key": self.first["key1"]}

    def wrong(self):
        return {"key": "77aa" * 8}

    def works(self, values):
        return values["key"] in self.simulator.keys.values()

    def stranger(self, name):
        """Nobody can make a third key."""

    def off(self):
        self.simulator.account["properties"]["disableLocalAuth"] = True


class TestContract(IssuerContract):
    def make(self, folder):
        simulator = Azure()
        return Rig(folder, simulator, self.host(simulator))

    @pytest.fixture(autouse=True)
    def _in_use(self, _server, rig, monkeypatch):
        """Have each order name the slot in use, as a rotation does: without it none is made."""

        def order(issuer, name=NAME, **more):
            return ordered(issuer, name, **{"old": issuer.identify(secrets(rig.old())), **more})

        monkeypatch.setattr(issuer_contract, "order", order)

    def test_a_list_that_fails_is_no_empty_list(self, rig):
        """Of a slot nobody has to find out who made it anew: only the list can fail."""
        rig.simulator.inject("drop", times=50)
        with opened(rig) as issuer, pytest.raises(ProviderError):
            issuer.listed()

    @pytest.mark.parametrize(
        ("old", "idle", "sent"), [("key1", "key2", "Key2"), ("key2", "key1", "Key1")]
    )
    def test_only_the_other_slot_is_made_anew(self, rig, old, idle, sent):
        with opened(rig) as issuer:
            assert "other key slot" in issuer.disturbs
            made = made_by(issuer, Order(NAME, old=old))
        (request,) = changing(rig)
        assert request.json == {"keyName": sent}
        assert request.one("api-version") == "2025-09-01"
        assert made.id == idle
        assert exposed(made) == {"key": rig.simulator.keys[idle]}
        assert rig.simulator.keys[idle] != rig.first[idle]
        assert rig.simulator.keys[old] == rig.first[old]

    @pytest.mark.parametrize("old", ["", "key3", "Key1"])
    def test_where_nobody_can_tell_the_slot_in_use_none_is_made_anew(self, rig, old):
        with opened(rig) as issuer:
            with pytest.raises(
                ProviderError, match="cannot tell which of them is in use"
            ) as refused:
                made_by(issuer, Order(NAME, old=old))
            assert "store the value of key1 or of key2" in refused.value.way_out
            with pytest.raises(ProviderError, match="no other"):
                revoke(issuer, "key3")
        assert rig.simulator.keys == rig.first

    def test_an_account_that_takes_no_keys_is_left_alone(self, rig):
        rig.off()
        with opened(rig) as issuer:
            assert [key.live for key in issuer.listed()] == [False, False]
            for act in (
                lambda: made_by(issuer, Order(NAME, old="key1")),
                lambda: issuer.identify(secrets(rig.old())),
            ):
                with pytest.raises(ProviderError, match="disableLocalAuth") as refused:
                    act()
                assert refused.value.kind is Problem.UNSUPPORTED
            with pytest.raises(ProviderError):
                revoke(issuer, "key1")
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD
        assert rig.simulator.keys == rig.first

    def test_slots_are_listed_without_dates(self, rig):
        with opened(rig, write=False) as issuer:
            found = issuer.listed()
        assert [(key.id, key.name, key.made, key.live) for key in found] == [
            ("key1", "key1", None, True),
            ("key2", "key2", None, True),
        ]
        assert not any(request.path.endswith("/listKeys") for request in rig.simulator.log)

    def test_two_slots_of_one_value_are_neither(self, rig):
        rig.simulator.keys["key2"] = rig.first["key1"]
        with opened(rig, write=False) as issuer:
            assert issuer.identify(secrets(rig.old())) == ""

    def test_slots_without_values_are_unreadable(self, rig):
        rig.simulator.inject("answer", path="*/listKeys", response=Response(200, {"key1": ""}))
        with (
            opened(rig, write=False) as issuer,
            pytest.raises(ProviderError, match="show the values"),
        ):
            issuer.identify(secrets(rig.old()))

    def test_an_answer_without_the_new_value_is_no_success(self, rig):
        fault = Response(200, {"key1": rig.first["key1"]})
        rig.simulator.inject("answer", path="*/regenerateKey", response=fault)
        with opened(rig) as issuer, pytest.raises(ProviderError, match="show the values"):
            made_by(issuer, Order(NAME, old="key1"))

    def test_a_firewall_proves_nothing_and_a_missing_right_is_said(self, rig):
        properties = rig.simulator.account["properties"]
        properties["publicNetworkAccess"] = "Disabled"
        rig.simulator.rights.discard("keys")
        with opened(rig) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD
            with pytest.raises(ProviderError) as refused:
                made_by(issuer, Order(NAME, old="key1"))
            assert refused.value.kind is Problem.NO_ACCESS
        assert rig.simulator.keys == rig.first

    @pytest.mark.parametrize("version", ["2024-10-21", "v1", None])
    def test_a_key_is_tried_as_the_manifest_has_the_api(self, rig, version):
        rig.more = {"api_version": version}
        rig.write()
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
            assert issuer.attempt({}) is Trial.UNTOLD
        (request,) = rig.simulator.log
        assert request.path == (
            "/openai/models" if version == "2024-10-21" else "/openai/v1/models"
        )

    @pytest.mark.parametrize(
        ("lacking", "why", "page"),
        [
            ("resource_group", "does not say resource_group", "https://portal.azure.com/"),
            ("client_id", "one of them is missing", "/accounts/acme-openai"),
        ],
    )
    def test_what_the_manifest_lacks_is_said(self, rig, lacking, why, page):
        rig.more = {lacking: None}
        rig.write()
        with opened(rig) as issuer:
            assert issuer.make is None
            assert why in issuer.why
            assert issuer.by_hand.endswith(page)

    def test_the_portal_is_that_of_the_cloud(self, rig):
        rig.more = {"api_base": "https://management.usgovcloudapi.net"}
        rig.write()
        with opened(rig, judged=False) as issuer:
            assert issuer.by_hand.startswith("https://portal.azure.us/#resource/subscriptions/")
