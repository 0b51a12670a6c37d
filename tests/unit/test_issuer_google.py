"""Google's API keys: made with the old one's restrictions, read once, deleted and read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Order, Trial, issuer as kept, transport
from tests.contract.issuer_contract import (
    NAME,
    IssuerContract,
    IssuerRig,
    changing,
    entry,
    exposed,
    made_by,
    opened,
    order,
    orphans,
    revoke,
    secrets,
)
from tests.simulators.google import Google
from tests.simulators.google_cloud import GEMINI
from tests.simulators.google_errors import failure
from tests.simulators.server import Response

KEY = "AQ." + "Ab8RN6" + "q7" * 20
STANDARD = "AIza" + "d4" * 17 + "x"
ONLY = {"apiTargets": [{"service": GEMINI}]}


class Rig(IssuerRig):
    name = "google"
    making = ("POST", "/cloud/apikeys/*")

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.more = {}

    def manifest(self, *, admin):
        given = {"key": "file://keys/key", "api_base": self.base}
        given |= {"cloud_api_base": f"{self.base}/cloud", "cloud_project": self.simulator.project}
        given |= {"admin_key": "file://keys/admin"} if admin else {}
        merged = {**given, **self.more}
        return {"providers": {"google": {n: v for n, v in merged.items() if v is not None}}}

    def keys(self):
        info = json.loads(self.simulator.service_account(self.base))
        return {"key": self.simulator.key, "admin": json.dumps(info)}

    def write(self, *, wrong=False, **how):
        """A wrong service account is one that Google does not know."""
        super().write(**how)
        if wrong:
            self.simulator.email = "nobody@acme-cursor.iam.gserviceaccount.com"

    def old(self):
        return {"key": self.simulator.key}

    def wrong(self):
        return {"key": self.simulator.key[:-4] + "none"}

    def works(self, values):
        held = self.simulator.keys
        names = [name for name, value in held.strings.items() if value == values["key"]]
        return any("deleteTime" not in held.keys[name] for name in names)

    def stranger(self, name):
        number = f"{len(self.simulator.keys.keys):02d}"
        return self.add(name, STANDARD[:-2] + number, restrictions=ONLY)

    def mine(self):
        return self.simulator.keys.named("cursor")

    def add(self, shown, value, **fields):
        return self.simulator.keys.add(shown, value, **fields)


@pytest.fixture(autouse=True)
def _swift(monkeypatch):
    monkeypatch.setattr(transport, "PATIENCE", 0.3)
    monkeypatch.setattr(transport, "ATTEMPTS", 2)
    monkeypatch.setattr(kept, "LASTING", 0.3)


class TestContract(IssuerContract):
    def make(self, folder):
        simulator = Google(KEY)
        return Rig(folder, simulator, self.host(simulator))

    def test_a_key_is_made_as_the_old_one_is(self, rig):
        limits = {"serverKeyRestrictions": {"allowedIps": ["127.0.0.1"]}}
        rig.mine()["restrictions"] |= limits
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            made = made_by(issuer, order(issuer, old=old))
        (sent,) = changing(rig)
        assert sent.json == {
            "displayName": NAME,
            "restrictions": {**ONLY, **limits},
            "serviceAccountEmail": rig.simulator.email,
        }
        assert sent.one("keyId") == NAME
        assert made.id == f"projects/123456789012/locations/global/keys/{NAME}"
        assert exposed(made)["key"].startswith("AQ.")

    @pytest.mark.parametrize("old", ["", "projects/123456789012/locations/global/keys/gone"])
    def test_without_an_old_key_a_new_one_is_for_gemini_alone(self, rig, old):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer, old=old))
            assert issuer.attempt(made.values) is Trial.ALIVE
        (sent,) = changing(rig)
        assert sent.json == {"displayName": NAME, "restrictions": ONLY}
        assert exposed(made)["key"].startswith("AIza")

    def test_an_unrestricted_key_is_replaced_by_a_restricted_one(self, rig):
        del rig.mine()["restrictions"]
        with opened(rig) as issuer:
            made_by(issuer, order(issuer, old=issuer.identify(secrets(rig.old()))))
        assert changing(rig)[0].json["restrictions"] == ONLY

    @pytest.mark.parametrize(
        ("name", "begins"),
        [
            ("2026-Ada's key", "byok-2026-ada-s-key-"),
            ("Ünïcode", "n-code-"),
            ("…", "byok-"),
            ("x" * 80, "x" * 45 + "-"),
            ("00000000-0000-4000-8000-000000000001", "byok-00000000-0000"),
            ("abcdef00-0000-4000-8000-000000000001", "abcdef00-0000"),
        ],
    )
    def test_any_name_makes_a_key_and_finds_it_again(self, rig, name, begins):
        with opened(rig) as issuer:
            asked = order(issuer, name)
            made = made_by(issuer, asked)
            assert made.id.rpartition("/")[2].startswith(begins)
            assert orphans(issuer, asked) == (made.id,)
            assert orphans(issuer, Order(name + "y", before=asked.before)) == ()

    def test_a_key_of_the_same_name_can_be_made_after_one_was_deleted(self, rig):
        with opened(rig) as issuer:
            asked = order(issuer)
            first = made_by(issuer, asked)
            revoke(issuer, first.id)
            second = made_by(issuer, asked)
            assert second.id == f"{first.id}-2"
            assert orphans(issuer, asked) == (second.id,)

    def test_one_order_has_one_key(self, rig):
        """A run that was killed while Google made the key, and the next one, which is too soon."""
        rig.simulator.keys.polls = 4
        rig.simulator.inject("lost", method="POST", path="/cloud/apikeys/*")
        with opened(rig) as issuer:
            asked = order(issuer)
            with pytest.raises(ProviderError):
                made_by(issuer, asked)
        with opened(rig) as issuer:
            assert orphans(issuer, asked) == ()
            with pytest.raises(ProviderError, match="still making a key for this order"):
                made_by(issuer, asked)
            made = made_by(issuer, asked)
            assert orphans(issuer, asked) == (made.id,)
            assert issuer.attempt(made.values) is Trial.ALIVE
        assert [key["displayName"] for key in rig.simulator.keys.keys.values()] == ["cursor", NAME]

    def test_an_operation_is_waited_for(self, rig):
        rig.simulator.keys.polls = 2
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            revoke(issuer, made.id)
        assert not rig.works(exposed(made))

    def test_a_key_whose_value_cannot_be_read_is_found_again(self, rig):
        rig.simulator.inject("drop", path="*/keyString", times=9)
        with opened(rig) as issuer:
            asked = order(issuer)
            with pytest.raises(ProviderError):
                made_by(issuer, asked)
        with opened(rig) as issuer:
            (found,) = orphans(issuer, asked)
            revoke(issuer, found)
        assert [request.method for request in changing(rig)] == ["POST", "DELETE"]

    def test_a_refused_operation_is_told(self, rig):
        refused = Response(200, {"name": "operations/x", "done": True, "error": {"code": 7}})
        rig.simulator.inject("answer", method="POST", path="/cloud/apikeys/*", response=refused)
        with opened(rig) as issuer, pytest.raises(ProviderError) as error:
            made_by(issuer, order(issuer))
        assert error.value.kind is Problem.NO_ACCESS

    def test_only_keys_for_gemini_are_listed_and_read(self, rig):
        rig.add("maps", STANDARD, restrictions={"apiTargets": [{"service": "maps.googleapis.com"}]})
        rig.add("all", STANDARD[:-1] + "y")
        both = {"apiTargets": [{"service": GEMINI.title()}, {"service": "maps.googleapis.com"}]}
        rig.add("both", STANDARD[:-1] + "z", restrictions=both)
        with opened(rig, write=False) as issuer:
            found = {key.name: key for key in issuer.listed()}
            assert issuer.identify(secrets({"key": STANDARD[:-1] + "z"})) == found["both"].id
            assert issuer.identify(secrets({"key": STANDARD})) == ""
        assert sorted(found) == ["all", "both", "cursor"]
        assert found["cursor"].made == datetime(2026, 10, 1, 8, 0, 0, 500000, UTC)
        assert found["cursor"].owner == rig.simulator.email
        maps = rig.simulator.keys.named("maps")["name"]
        assert not [r for r in rig.simulator.log if r.path.endswith(f"{maps}/keyString")]

    def test_a_value_that_may_not_be_read_is_no_answer(self, rig):
        refused = failure("PERMISSION_DENIED", "no", "IAM_PERMISSION_DENIED")
        rig.simulator.inject("answer", path="*/keyString", response=refused)
        with opened(rig, write=False) as issuer, pytest.raises(ProviderError) as error:
            issuer.identify(secrets(rig.old()))
        assert error.value.kind is Problem.NO_ACCESS

    def test_no_value_is_ever_looked_up_by_url(self, rig):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            issuer.identify(made.values)
        assert not any("lookupKey" in request.target for request in rig.simulator.log)

    def test_what_never_was_or_is_deleted_is_done_and_what_is_denied_is_not(self, rig):
        with opened(rig) as issuer:
            name = issuer.identify(secrets(rig.old()))
            revoke(issuer, f"{name}-not")
            refused = failure("PERMISSION_DENIED", "no", "IAM_PERMISSION_DENIED")
            rig.simulator.inject("answer", path=f"*{name}", response=refused)
            with pytest.raises(ProviderError) as error:
                revoke(issuer, name)
            assert error.value.kind is Problem.NO_ACCESS
            for other in ("cursor", "projects/p/locations/global/keys/a/b", "../x"):
                with pytest.raises(ProviderError, match="no key of such a name"):
                    revoke(issuer, other)
        assert changing(rig) == []
        assert rig.works(rig.old())

    def test_a_key_that_stays_is_not_called_revoked(self, rig):
        done = Response(200, {"name": "operations/x", "done": True, "response": {}})
        rig.simulator.inject("answer", method="DELETE", response=done)
        with opened(rig) as issuer, pytest.raises(ProviderError) as error:
            revoke(issuer, issuer.identify(secrets(rig.old())))
        assert error.value.kind is Problem.UNPROVED
        assert "console.cloud.google.com" in error.value.way_out

    def test_a_deleted_key_may_work_for_a_while(self, rig):
        rig.simulator.keys.lingers = 2
        with opened(rig) as issuer:
            revoke(issuer, issuer.identify(secrets(rig.old())))
            tried = [issuer.attempt(secrets(rig.old())) for _ in range(3)]
            assert entry(issuer, rig.mine()["name"]) is None
        assert tried == [Trial.ALIVE, Trial.ALIVE, Trial.DEAD]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [("{}", Trial.DEAD), ("sk-" + "ant-api03-" + "a" * 93 + "AA", Trial.DEAD)],
    )
    def test_what_is_no_gemini_key_is_not_sent(self, rig, value, expected):
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets({"key": value})) is expected
            assert issuer.attempt({}) is Trial.UNTOLD
        assert rig.simulator.log == []

    def test_a_key_for_other_apis_is_not_told_to_work(self, rig):
        rig.mine()["restrictions"]["apiTargets"] = [{"service": "translate.googleapis.com"}]
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD

    def test_a_key_that_may_not_be_used_from_here_is_not_told(self, rig):
        rig.mine()["restrictions"]["serverKeyRestrictions"] = {"allowedIps": ["192.0.2.1"]}
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD

    @pytest.mark.parametrize(
        ("lacking", "why", "page"),
        [
            (
                "cloud_project",
                "cloud_project is not declared",
                "https://aistudio.google.com/apikey",
            ),
            ("admin_key", "neither admin_key nor", "apis/credentials?project=acme-cursor"),
        ],
    )
    def test_what_the_manifest_lacks_is_said(self, rig, lacking, why, page):
        rig.more = {lacking: None}
        rig.write()
        with opened(rig) as issuer:
            assert issuer.revoke is None
            assert why in issuer.why
            assert issuer.by_hand.endswith(page)
