"""The keys of an IAM user: a second made, the old one switched off and deleted; never a third."""

from __future__ import annotations

import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Order, Trial, issuer as kept
from tests.aws_models import check
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
from tests.simulators.aws_wire import Fault, failed
from tests.simulators.bedrock import ADMIN, API_KEY, KEY, Bedrock

NOW = "%Y-%m-%dT%H:%M:%SZ"


class Rig(IssuerRig):
    name = "bedrock"
    making = ("POST", "/")
    named = False

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        self.more = {}
        self.alone = False

    @property
    def user(self):
        return self.simulator.iam.users[self.simulator.user]

    def manifest(self, *, admin):
        fields = {
            "access_key_id": "file://keys/id",
            "secret_access_key": "file://keys/secret",
            "region": "us-east-1",
            "iam_user": self.simulator.user,
            "api_base": self.base,
        }
        if admin:
            fields |= {"admin_access_key_id": "file://keys/admin-id"}
            fields |= {"admin_secret_access_key": "file://keys/admin-secret"}
        merged = {**fields, **self.more}
        return {"providers": {"bedrock": {n: v for n, v in merged.items() if v is not None}}}

    def keys(self):
        admin = {"admin-id": ADMIN[0], "admin-secret": ADMIN[1]}
        return {"id": KEY[0], "secret": KEY[1], "api": API_KEY, **admin}

    def old(self):
        return {"access_key_id": KEY[0], "secret_access_key": KEY[1]}

    def wrong(self):
        return {"access_key_id": "AKIA" + "NOBODYSK" * 2, "secret_access_key": "w" * 40}

    def works(self, values):
        held = self.simulator.keys.get(values["access_key_id"])
        return held is not None and held.active and held.secret == values["secret_access_key"]

    def stranger(self, _name):
        if not self.alone:
            self.simulator.iam.add_key(self.simulator.user)


class Api(Rig):
    """The same user, with a Bedrock API key in Cursor."""

    def __init__(self, folder, simulator, base):
        super().__init__(folder, simulator, base)
        none = dict.fromkeys(("access_key_id", "secret_access_key"))
        self.more = {"key": "file://keys/api", **none}

    def old(self):
        return {"key": API_KEY}

    def wrong(self):
        return {"key": "ABSK" + b64encode(b"BedrockAPIKey-none-at-1:" + b"n0ne" * 9).decode()}

    def works(self, values):
        return values["key"] in self.simulator.api_keys

    def stranger(self, _name):
        self.simulator.iam.add_credential(self.simulator.user)


@pytest.fixture(autouse=True)
def _swift(monkeypatch):
    monkeypatch.setattr(kept, "LASTING", 0.3)


class Contract(IssuerContract):
    rigs: type[Rig]

    def make(self, folder):
        simulator = Bedrock(page=1)
        return self.rigs(folder, simulator, self.host(simulator))

    @pytest.fixture(autouse=True)
    def _as_aws_describes(self, _server):
        yield
        for simulator in self.simulators:
            check(simulator.answers)


def sent(rig):
    return [dict(p.split("=") for p in r.body.decode().split("&")) for r in changing(rig)]


class TestAccessKeys(Contract):
    rigs = Rig

    @pytest.mark.parametrize("how", ["lost", "half"])
    def test_a_key_that_nobody_saw_is_found_again(self, rig, how):
        """With a stranger's key there would be no room for ours."""
        rig.alone = True
        super().test_a_key_that_nobody_saw_is_found_again(rig, how)

    def test_what_is_asked_of_iam(self, rig):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            revoke(issuer, made.id)
        common = {"Version": "2010-05-08", "UserName": rig.simulator.user}
        assert sent(rig) == [
            {"Action": "CreateAccessKey", **common},
            {"Action": "UpdateAccessKey", **common, "AccessKeyId": made.id, "Status": "Inactive"},
            {"Action": "DeleteAccessKey", **common, "AccessKeyId": made.id},
        ]

    def test_keys_are_listed_with_their_dates_and_never_more_than_their_end(self, rig):
        rig.user["keys"].append(("AKIA" + "OTHERKEY" * 2, "Inactive", "2025-01-01T00:00:00Z", ""))
        with opened(rig, write=False) as issuer:
            mine, other = issuer.listed()
        assert (mine.id, mine.name) == (KEY[0], f"access key …{KEY[0][-4:]}")
        assert mine.made == datetime(2026, 6, 1, 8, tzinfo=UTC)
        assert mine.last_used == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
        assert (mine.owner, mine.live) == (rig.simulator.user, True)
        assert (other.last_used, other.live) == (None, False)

    def test_a_user_with_two_keys_gets_no_third(self, rig):
        rig.user["keys"].append(("AKIA" + "OTHERKEY" * 2, "Inactive", "2025-01-01T00:00:00Z", ""))
        with opened(rig) as issuer, pytest.raises(ProviderError) as refused:
            made_by(issuer, order(issuer, old=KEY[0]))
        text = str(refused.value)
        assert "has two access keys already" in text
        assert f"…{KEY[0][-4:]} (active, made on 2026-06-01, last used on 2026-11-20)" in text
        assert "…RKEY (inactive, made on 2025-01-01, never used)" in text
        assert KEY[0] not in text
        assert changing(rig) == []

    def test_a_key_made_meanwhile_is_told_as_any_other(self, rig):
        rig.simulator.inject("answer", method="POST", response=refusal(409, "LimitExceeded"))
        with opened(rig) as issuer:
            asked = order(issuer)
            with pytest.raises(ProviderError) as refused:
                made_by(issuer, asked)
            assert "has two" not in str(refused.value)
            rig.stranger("")
            with pytest.raises(ProviderError, match="has two access keys already"):
                made_by(issuer, asked)

    def test_a_right_that_is_missing_hides_only_what_it_tells(self, rig):
        rig.simulator.closed.add("GetAccessKeyLastUsed")
        rig.stranger("")
        with opened(rig) as issuer:
            assert [key.last_used for key in issuer.listed()] == [None, None]
            with pytest.raises(ProviderError, match=r"active, made on 2026-06-01\)"):
                made_by(issuer, Order(NAME))
            with pytest.raises(ProviderError) as refused:
                orphans(issuer, Order(NAME, (KEY[0],), datetime.now(UTC)))
            assert refused.value.kind is Problem.NO_ACCESS

    @pytest.mark.parametrize(
        ("after", "used", "found"),
        [(0, "", 1), (-240, "", 1), (-360, "", 0), (3500, "", 1), (3700, "", 0), (0, "now", 0)],
    )
    def test_an_orphan_is_new_unused_and_of_its_orders_time(self, rig, after, used, found):
        since = datetime.now(UTC)
        made = f"{since + timedelta(seconds=after):{NOW}}"
        id_ = "AKIA" + "NEWERKEY" * 2
        rig.user["keys"].append((id_, "Active", made, f"{since:{NOW}}" if used else ""))
        with opened(rig, write=False) as issuer:
            known = Order(NAME, (KEY[0],), since)
            assert orphans(issuer, known) == ((id_,) if found else ())
            assert orphans(issuer, Order(NAME, (KEY[0], id_), since)) == ()
            assert orphans(issuer, Order(NAME, (KEY[0],), since, old=id_)) == ()
            assert orphans(issuer, Order(NAME, (KEY[0],))) == ()

    def test_of_two_new_keys_nobody_can_tell_ours(self, rig):
        with opened(rig, write=False) as issuer:
            rig.stranger("")
            rig.stranger("")
            assert orphans(issuer, Order(NAME, (KEY[0],), datetime.now(UTC))) == ()

    def test_a_key_that_is_switched_off_is_dead(self, rig):
        rig.simulator.keys[KEY[0]].active = False
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.DEAD

    def test_a_key_that_stays_or_cannot_go_is_not_called_revoked(self, rig):
        with opened(rig) as issuer:
            gone = refusal(404, "NoSuchEntity")
            rig.simulator.inject("answer", method="POST", response=gone)
            with pytest.raises(ProviderError) as refused:
                revoke(issuer, KEY[0])
            assert refused.value.kind is Problem.UNPROVED
            rig.simulator.closed.add("DeleteAccessKey")
            with pytest.raises(ProviderError) as refused:
                revoke(issuer, KEY[0])
            assert refused.value.kind is Problem.NO_ACCESS
            with pytest.raises(ProviderError, match="no key of such an id"):
                revoke(issuer, "key 1")
        assert [key[0] for key in rig.user["keys"]] == [KEY[0]]

    def test_of_a_user_that_is_not_there_nothing_is_called_gone(self, rig):
        rig.more = {"iam_user": "nobody"}
        rig.write()
        with opened(rig) as issuer:
            for act in (issuer.listed, lambda: revoke(issuer, KEY[0])):
                with pytest.raises(ProviderError) as refused:
                    act()
                assert refused.value.kind is Problem.NOT_THERE
        assert rig.works(rig.old())

    def test_without_a_named_user_the_key_itself_says_whose_it_is(self, rig):
        rig.more = {"iam_user": None}
        rig.write()
        with opened(rig) as issuer:
            assert rig.simulator.log == []
            made = made_by(issuer, order(issuer, old=issuer.identify(secrets(rig.old()))))
            assert entry(issuer, made.id).owner == rig.simulator.user
        asked = [r.one("Action") for r in rig.simulator.log if r.method == "GET"]
        assert asked.count("GetCallerIdentity") == 1

    @pytest.mark.parametrize(
        ("arn", "words"), [("root", "is of root"), ("assumed-role/A/b", "role/A")]
    )
    def test_only_users_have_lasting_keys(self, rig, arn, words):
        rig.more = {"iam_user": None}
        rig.write()
        rig.simulator.keys[KEY[0]].arn = arn
        with opened(rig) as issuer, pytest.raises(ProviderError, match=words) as refused:
            issuer.listed()
        assert "name it in iam_user" in refused.value.way_out

    def test_without_the_key_nobody_can_say_whose_it_is(self, rig):
        rig.more = {"iam_user": None}
        rig.write()
        (rig.folder / "keys" / "id").unlink()
        with opened(rig) as issuer, pytest.raises(ProviderError, match="whose keys these are"):
            issuer.listed()

    def test_temporary_credentials_are_not_rotated(self, rig):
        rig.more = {"session_token": "file://keys/api"}
        rig.write()
        with opened(rig) as issuer:
            assert issuer.make is None
            assert "session_token is declared" in issuer.why

    def test_a_key_of_another_account_is_neither_ours_nor_dead(self, rig):
        rig.more = {"account_id": "999988887777"}
        rig.write()
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD

    def test_without_botocore_nothing_is_told(self, rig, monkeypatch):
        module = sys.modules["reconciler.systems.bedrock.issuer"]  # the package has its function
        monkeypatch.setattr(module, "installed", lambda: False)
        with opened(rig, write=False, judged=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD
        assert rig.simulator.log == []

    @pytest.mark.parametrize(
        ("region", "begins"),
        [
            ("eu-central-1", "https://console.aws.amazon.com/iam/home#/users/details/byok-cursor?"),
            ("cn-north-1", "https://console.amazonaws.cn/"),
            ("us-gov-west-1", "https://console.amazonaws-us-gov.com/"),
        ],
    )
    def test_the_console_is_that_of_the_partition(self, rig, region, begins):
        rig.more = {"region": region}
        rig.write()
        with opened(rig, judged=False) as issuer:
            assert issuer.by_hand.startswith(begins)

    def test_what_is_no_pair_is_not_tried(self, rig):
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets({"secret_access_key": KEY[1]})) is Trial.UNTOLD
            assert issuer.identify(secrets({"key": API_KEY})) == ""
            wrong = {"access_key_id": API_KEY, "secret_access_key": KEY[1]}
            assert issuer.attempt(secrets(wrong)) is Trial.DEAD


class TestApiKeys(Contract):
    rigs = Api

    @pytest.mark.parametrize("how", ["lost", "half"])
    def test_a_key_that_nobody_saw_is_found_again(self, rig, how):
        """IAM does not tell whether an API key is used: it is left, and named if in the way."""
        with opened(rig) as issuer:
            asked = order(issuer)
            rig.simulator.inject(how, method="POST")
            with pytest.raises(ProviderError):
                made_by(issuer, asked)
            assert orphans(issuer, asked) == ()
            if how == "lost":
                with pytest.raises(ProviderError, match="has two Bedrock API keys already"):
                    made_by(issuer, asked)
            else:
                made_by(issuer, asked)
        assert rig.works(rig.old())

    def test_a_new_key_lasts_as_long_as_the_old_one(self, rig):
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            made = made_by(issuer, order(issuer, old=old))
            assert exposed(made)["key"].startswith("ABSK")
            revoke(issuer, old)
        made_of, _, removed = sent(rig)
        assert (made_of["ServiceName"], made_of["CredentialAgeDays"]) == (
            "bedrock.amazonaws.com",
            "180",
        )
        assert removed["Action"] == "DeleteServiceSpecificCredential"

    def test_one_that_ends_by_itself_is_not_live(self, rig):
        rig.user["credentials"][0]["ends"] = "2026-10-01T00:00:00Z"
        with opened(rig, write=False) as issuer:
            (mine,) = issuer.listed()
        assert (mine.live, mine.last_used) == (False, None)
        assert mine.name.startswith("Bedrock API key …")

    def test_without_a_user_nobody_makes_one(self, rig):
        rig.more |= {"iam_user": None}
        rig.write()
        with opened(rig) as issuer:
            assert issuer.make is None
            assert "iam_user is not declared" in issuer.why

    def test_where_cursor_has_an_access_key_that_is_the_one(self, rig):
        rig.more |= {"access_key_id": "file://keys/id", "secret_access_key": "file://keys/secret"}
        rig.write()
        with opened(rig, write=False) as issuer:
            assert [key.id for key in issuer.listed()] == [KEY[0]]
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE

    def test_a_key_of_another_sort_is_not_sent(self, rig):
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets({"key": KEY[0]})) is Trial.DEAD
        assert rig.simulator.log == []


def refusal(status, code):
    return failed("iam", Fault(code, "no", status))
