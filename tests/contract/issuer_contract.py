"""What every issuer must do, over real HTTP against its simulator; subclass and give a rig."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from reconciler import accounts
from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.money import Money
from reconciler.session import Session, reading, writing
from reconciler.systems.account import Issuer, Listed, Made, Order, Setting, Trial, Unapproved
from tests.simulators.server import Request, Response, Simulator, serving
from tests.unit.accounts import options, write_manifest

NAME = "byok-acme-0123abcd"
TWIN = f"{NAME}-two"
"""Another's key, whose name only begins like the ordered one."""


class IssuerRig(ABC):
    """One account in a world of its own, with one ordinary key in use.

    ``name`` is the account in the manifest. ``makes`` and ``revokes``: what its API can. ``named``:
    a made key bears the order's name; else orphans are told by ``before`` and ``since``.
    ``slots``: keys stand in a fixed number of places, and revoking leaves the place with a new
    value. ``limits``: a key can have a limit of its own. ``making`` is method and path (fnmatch)
    of the one request that makes a key, for faults.
    """

    name: str
    makes = revokes = named = True
    slots = limits = False
    making: tuple[str, str] = ("POST", "*")

    def __init__(self, folder: Path, simulator: Simulator, base: str) -> None:
        self.folder, self.simulator, self.base = folder, simulator, base

    @abstractmethod
    def manifest(self, *, admin: bool) -> Mapping[str, Any]:
        """Return the manifest's data, with or without its admin credential (``file://keys/…``)."""

    @abstractmethod
    def keys(self) -> Mapping[str, str]:
        """Return what is stored: the files below ``keys/`` by name; the admin's begin ``admin``."""

    @abstractmethod
    def old(self) -> Mapping[str, str]:
        """Return the values of the key in use, by attribute."""

    @abstractmethod
    def wrong(self) -> Mapping[str, str]:
        """Return values of the same shape that are nobody's."""

    @abstractmethod
    def works(self, values: Mapping[str, str]) -> bool:
        """Tell, from the simulator's own state, whether a key may be used."""

    @abstractmethod
    def stranger(self, name: str) -> None:
        """Have somebody else make a key of this name (of any, where keys have none)."""

    def delay(self, requests: int) -> None:
        """Have keys that are made from now on refused for so many requests."""
        self.simulator.late = requests  # type: ignore[attr-defined]

    def write(self, *, admin: bool = True, missing: bool = False, wrong: bool = False) -> None:
        """Write manifest and keys; ``missing``: the admin's files are away; ``wrong``: nobody's."""
        kept = dict(self.keys())
        mine = [name for name in kept if name.startswith("admin")]
        for name in mine:
            (self.folder / "keys" / name).unlink(missing_ok=True)
            if missing:
                del kept[name]
            elif wrong:
                kept[name] = kept[name][:-6] + "zzzzzz"
        write_manifest(self.folder, self.manifest(admin=admin), kept)


def setting_of(session: Session, name: str, *, judged: bool) -> Setting:
    return Setting(
        name=name,
        pointer=accounts.pointer(session.manifest, name),
        manifest=session.manifest,
        vault=session.vault,
        door=session.door,
        judged=judged,
        approved=session.approvals.allows,
        env=session.options.env,
    )


@contextmanager
def opened(
    rig: IssuerRig, *, write: bool = True, judged: bool = True, approved: bool = True
) -> Iterator[Issuer]:
    """Open an issuer as one process does: a reading run's door refuses every write."""
    chosen = options(rig.folder, *([rig.base] if approved else []))
    with writing(chosen, "test") if write else reading(chosen) as session:
        yield accounts.open_issuer(setting_of(session, rig.name, judged=judged))


def secrets(values: Mapping[str, str]) -> Mapping[str, Any]:
    from reconciler.secrets import Secret

    return {name: Secret(text) for name, text in values.items()}


def exposed(made: Made) -> dict[str, str]:
    return {name: secret.expose() for name, secret in made.values.items()}


def order(issuer: Issuer, name: str = NAME, **more: Any) -> Order:
    """Order a key as the caller does: what is there, and when it is, recorded before."""
    since = datetime.now(UTC) - timedelta(seconds=2)
    return Order(name, before=tuple(k.id for k in issuer.listed()), since=since, **more)


def made_by(issuer: Issuer, asked: Order) -> Made:
    assert issuer.make is not None
    return issuer.make(asked)


def revoke(issuer: Issuer, id_: str) -> None:
    assert issuer.revoke is not None
    issuer.revoke(id_)


def orphans(issuer: Issuer, asked: Order) -> tuple[str, ...]:
    assert issuer.orphans is not None
    return issuer.orphans(asked)


def entry(issuer: Issuer, id_: str) -> Listed | None:
    return next((each for each in issuer.listed() if each.id == id_), None)


def changing(rig: IssuerRig) -> list[Request]:
    return rig.simulator.writes()


class TryingContract:
    """What holds for every issuer. ``make(folder)`` makes a rig; it calls `host`."""

    def make(self, folder: Path) -> IssuerRig:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        self.simulators: list[Simulator] = []
        self.numbers = count()
        with serving(self.simulators) as self.base:
            yield

    def host(self, simulator: Simulator) -> str:
        """Serve a simulator below a prefix of its own; return its base URL."""
        simulator.prefix = f"{simulator.prefix}{next(self.numbers)}"
        self.simulators.append(simulator)
        return f"{self.base}/{simulator.prefix}"

    @pytest.fixture
    def rig(self, tmp_path):
        rig = self.make(tmp_path)
        rig.write()
        return rig

    def test_opening_asks_nothing(self, rig):
        for judged in (True, False):
            with opened(rig, judged=judged) as issuer:
                assert issuer.how
                assert issuer.by_hand.startswith(("https://", "http://")) or not issuer.by_hand
        assert rig.simulator.log == []

    def test_it_says_what_it_can_do(self, rig):
        with opened(rig) as issuer:
            assert (issuer.make is not None) is rig.makes
            assert (issuer.orphans is not None) is rig.makes
            assert (issuer.revoke is not None) is rig.revokes
            assert issuer.limits is rig.limits
            assert rig.makes or issuer.why

    @pytest.mark.parametrize("lacking", ["undeclared", "missing", "unjudged"])
    def test_without_its_admin_credential_it_only_tries(self, rig, lacking):
        rig.write(admin=lacking != "undeclared", missing=lacking == "missing")
        with opened(rig, judged=lacking != "unjudged") as issuer:
            assert issuer.make is None
            assert issuer.revoke is None
            assert issuer.listed() == ()
            assert issuer.identify(secrets(rig.old())) == ""
            assert issuer.why
            assert rig.simulator.log == []
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
        assert changing(rig) == []

    def test_a_key_is_tried_by_reading(self, rig):
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
            assert issuer.attempt(secrets(rig.wrong())) is Trial.DEAD
        assert changing(rig) == []

    def test_silence_proves_nothing(self, rig):
        rig.simulator.inject("drop", times=50)
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD

    @pytest.mark.parametrize("status", [200, 429, 500])
    def test_what_any_server_may_answer_proves_nothing(self, rig, status):
        """A gateway's page, or its limit for an address: neither has seen the key."""
        rig.simulator.inject("answer", times=50, response=Response(status, {"ok": True}))
        with opened(rig, write=False) as issuer:
            assert issuer.attempt(secrets(rig.old())) is Trial.UNTOLD

    def test_each_trial_asks_afresh(self, rig):
        with opened(rig, write=False) as issuer:
            issuer.attempt(secrets(rig.old()))
            once = len(rig.simulator.log)
            issuer.attempt(secrets(rig.old()))
            assert len(rig.simulator.log) == 2 * once > 0

    def test_a_key_goes_nowhere_unapproved(self, rig):
        with pytest.raises(Unapproved), opened(rig, approved=False) as issuer:
            issuer.attempt(secrets(rig.old()))
        with (
            pytest.raises(Unapproved),
            opened(rig, write=False, judged=False, approved=False) as issuer,
        ):
            issuer.attempt(secrets(rig.wrong()))
        assert rig.simulator.log == []


class RevokingContract(TryingContract):
    """What holds where the API lists and revokes keys, and people make them."""

    def test_what_is_listed_is_read_only_and_holds_no_value(self, rig):
        rig.stranger(TWIN)
        with opened(rig, write=False) as issuer:
            found = issuer.listed()
            mine = issuer.identify(secrets(rig.old()))
            assert mine in [key.id for key in found if key.live]
            assert len({key.id for key in found}) == len(found) >= 2
            assert issuer.identify(secrets(rig.wrong())) == ""
        assert changing(rig) == []
        assert not any(text in repr(found) for text in rig.old().values() if len(text) > 20)

    def test_revoking_by_hand_made_keys(self, rig):
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            revoke(issuer, old)
            assert issuer.attempt(secrets(rig.old())) is Trial.DEAD
            gone = entry(issuer, old)
            assert rig.slots or gone is None or not gone.live
            revoke(issuer, old)
        assert not rig.works(rig.old())

    def test_nothing_is_revoked_by_no_name(self, rig):
        with opened(rig) as issuer, pytest.raises(ByokError):
            revoke(issuer, "")
        assert changing(rig) == []


class IssuerContract(RevokingContract):
    """What holds where the API makes keys, too: the whole contract."""

    def test_a_reading_run_makes_and_revokes_nothing(self, rig):
        before = rig.simulator.snapshot()
        with opened(rig, write=False) as issuer:
            asked = order(issuer)
            assert orphans(issuer, asked) == ()
            with pytest.raises(ByokError):
                made_by(issuer, asked)
            with pytest.raises(ByokError):
                revoke(issuer, issuer.identify(secrets(rig.old())))
        assert changing(rig) == []
        assert rig.simulator.snapshot() == before

    def test_a_key_is_made_tried_found_and_revoked(self, rig):
        with opened(rig) as issuer:
            asked = order(issuer)
            made = made_by(issuer, asked)
            assert made.values.keys() == rig.old().keys()
            assert rig.works(exposed(made))
            assert issuer.attempt(made.values) is Trial.ALIVE
            assert issuer.identify(made.values) == made.id
            listed = entry(issuer, made.id)
            assert listed is not None
            assert listed.live
            assert not rig.named or listed.name == NAME
            revoke(issuer, made.id)
            assert issuer.attempt(made.values) is Trial.DEAD
            assert not rig.works(exposed(made))
            gone = entry(issuer, issuer.identify(made.values))
            assert gone is None or not gone.live
            revoke(issuer, made.id)
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
        assert rig.works(rig.old())

    def test_the_old_key_goes_and_the_new_one_stays(self, rig):
        with opened(rig) as issuer:
            old = issuer.identify(secrets(rig.old()))
            made = made_by(issuer, order(issuer, old=old))
            assert old
            assert made.id != old
            revoke(issuer, old)
            assert issuer.attempt(secrets(rig.old())) is Trial.DEAD
            assert issuer.attempt(made.values) is Trial.ALIVE
        assert rig.works(exposed(made))
        assert not rig.works(rig.old())

    def test_the_next_process_knows_the_key_by_its_id(self, rig):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
        with opened(rig) as issuer:
            assert issuer.identify(made.values) == made.id
            revoke(issuer, made.id)
        assert not rig.works(exposed(made))
        assert rig.works(rig.old())

    def test_a_key_that_is_not_in_force_yet_is_waited_for_by_others(self, rig):
        rig.delay(2)
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            tried = [issuer.attempt(made.values) for _ in range(4)]
        assert tried[-1] is Trial.ALIVE
        assert Trial.DEAD in tried[:2]

    @pytest.mark.parametrize("how", ["lost", "half"])
    def test_a_key_that_nobody_saw_is_found_again(self, rig, how):
        rig.stranger(TWIN)
        with opened(rig) as issuer:
            asked = order(issuer)
            before = changing(rig)
            method, path = rig.making
            rig.simulator.inject(how, method=method, path=path)
            with pytest.raises(ProviderError):
                made_by(issuer, asked)
            sent = [r for r in changing(rig) if r not in before]
            assert len([r for r in sent if r.method == method]) <= 1, "made once, never retried"
        with opened(rig) as issuer:
            found = orphans(issuer, asked)
            if not rig.slots:  # of a place nobody can tell who had its value made anew
                assert len(found) == (1 if how == "lost" else 0)
                assert not set(found) & set(asked.before)
            for id_ in found:
                revoke(issuer, id_)
            issuer.forget()
            assert rig.slots or orphans(issuer, asked) == ()
            assert issuer.attempt(secrets(rig.old())) is Trial.ALIVE
        with opened(rig) as issuer:
            assert {key.id for key in issuer.listed() if key.live} == set(asked.before)

    def test_a_strangers_key_is_no_orphan(self, rig):
        with opened(rig) as issuer:
            asked = order(issuer)
            if rig.named:
                rig.stranger(TWIN)
                rig.stranger("byok-acme-ffffffff")
                rig.stranger("byok-other-0123abcd")
            assert orphans(issuer, asked) == ()
            made = made_by(issuer, asked)
            assert set(orphans(issuer, asked)) <= {made.id}

    def test_a_wrong_admin_credential_makes_nothing(self, rig):
        rig.write(wrong=True)
        before = rig.simulator.snapshot()
        with opened(rig) as issuer:
            with pytest.raises(ProviderError) as refused:
                issuer.listed()
            assert refused.value.kind in (Problem.INVALID_KEY, Problem.WRONG_KIND)
            with pytest.raises(ProviderError):
                made_by(issuer, Order(NAME, since=datetime.now(UTC)))
        assert rig.simulator.snapshot() == before

    def test_a_list_that_fails_is_no_empty_list(self, rig):
        rig.simulator.inject("drop", times=50)
        with opened(rig) as issuer:
            with pytest.raises(ProviderError):
                issuer.listed()
            with pytest.raises(ProviderError):
                orphans(issuer, Order(NAME, since=datetime.now(UTC)))

    def test_a_limit_is_kept_or_refused(self, rig):
        with opened(rig) as issuer:
            asked = replace(order(issuer), limit=Money.of(25))
            if not rig.limits:
                before = changing(rig)
                with pytest.raises(ProviderError) as refused:
                    made_by(issuer, asked)
                assert refused.value.kind is Problem.UNSUPPORTED
                assert changing(rig) == before
                return
            made = made_by(issuer, asked)
            listed = entry(issuer, made.id)
            assert listed is not None
            assert listed.limit == Money.of(25)

    def test_no_value_is_in_a_text_a_path_or_the_log(self, rig, caplog):
        with opened(rig) as issuer:
            made = made_by(issuer, order(issuer))
            issuer.identify(made.values)
            revoke(issuer, made.id)
            found = issuer.listed()
        values = [text for text in exposed(made).values() if len(text) > 20]
        told = [repr(made), repr(found), made.id, caplog.text]
        told += [request.target for request in rig.simulator.log]
        told += [path.read_bytes().decode("latin-1") for path in state_files(rig.folder)]
        assert not any(value in text for value in values for text in told)
        assert json.loads(json.dumps(made.id)) == made.id


def state_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "state").rglob("*") if path.is_file()]
