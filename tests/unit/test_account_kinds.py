"""What every account does, whatever the provider: judged on a toy, over real HTTP."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

import pytest

from reconciler import accounts
from reconciler.engine import apply_plan
from reconciler.errors import (
    ByokError,
    ProviderError,
    ProviderProblem as Problem,
    SafetyStop,
    SecretError,
    StalePlan,
)
from reconciler.ledger import Ledger
from reconciler.model import Action, Address, Cause, Change, Edit, Scope
from reconciler.planner import action
from reconciler.session import reading, writing
from reconciler.survey import make_plan
from reconciler.systems.account import Kind, Setting, refusal
from reconciler.systems.account.kind import in_force, seen
from tests.simulators.server import Response, serving
from tests.simulators.toy import ADMIN_KEY, KEY, Toy
from tests.unit import toy
from tests.unit.accounts import options, write_manifest

LIMIT = {"project": {"byok": {"region": "eu"}}, "limit": {"byok": {"amount": "50.00 USD"}}}

HTTP = "BYOK104"
"""What lint says of a base URL without /v1: that of every simulator."""


class Bench:
    """Two toy accounts behind one server, and what one command does with them."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.patch = folder, monkeypatch
        self.worlds = {"toy": Toy(), "other": Toy(account="b2")}
        self.worlds["other"].prefix = "other"
        self.toy = self.worlds["toy"]
        self.base = ""
        self.scope = Scope(("toy",))
        self.declared = ["toy"]
        self.elsewhere = set()
        self.keys = {"ordinary": KEY, "admin": ADMIN_KEY}
        monkeypatch.setattr(accounts, "open_account", toy.account)

    def wish(self, name="toy", **wishes):
        toy.wish(self.manifest(), name, **wishes)

    def manifest(self, **more):
        entries = {
            name: {
                "type": "custom",
                "base_url": f"{self.origin(name)}/{name}",
                "key": "file://keys/ordinary",
                "admin_key": "file://keys/admin",
                "active": False,
            }
            for name in self.declared
        }
        return write_manifest(self.folder, {"endpoints": entries, **more}, self.keys)

    def origin(self, name):
        """Return where an account is declared: by another name where it is not approved."""
        return self.base.replace(
            "127.0.0.1", "localhost" if name in self.elsewhere else "127.0.0.1"
        )

    def two(self):
        self.declared = ["toy", "other"]
        self.scope = Scope(("toy", "other"))
        self.wish("toy", **LIMIT)
        self.wish("other", **LIMIT)

    def options(self, **more):
        return options(self.folder, self.base, **more)

    @contextmanager
    def session(self, *, write=False, **more):
        if write:
            with writing(self.options(**more), "apply") as session:
                yield session
        else:
            with reading(self.options(**more)) as session:
                yield session

    def plan(self, **more):
        with self.session(**more) as session:
            return make_plan(session, self.scope)

    def apply(self, *, removing=False, **more):
        with self.session(write=True, **more) as session:
            return apply_plan(session, self.scope, lambda _: True, removing=removing)[1]

    def said(self, planned=None):
        found = (planned or self.plan()).plan.observations
        return {str(seen.address): seen.text for seen in found}

    def written(self):
        with Ledger(self.folder / "state") as ledger:
            return ledger.written("toy:a1", "acme")

    def age(self, **ago):
        """Let all that was written have been written so long ago."""
        finished = Ledger.finished
        shift = timedelta(**ago)
        self.patch.setattr(
            Ledger,
            "finished",
            lambda ledger, system, owner, since: finished(ledger, system, owner, since + shift),
        )


@pytest.fixture
def bench(tmp_path, monkeypatch):
    made = Bench(tmp_path, monkeypatch)
    with serving(list(made.worlds.values())) as made.base:
        made.wish()
        yield made


def steps(outcome_or_plan):
    changes = getattr(outcome_or_plan, "applied", None) or outcome_or_plan
    return [f"{change.action} {change.address}" for change in changes]


def edit(name, before, after, at="toy/limit/byok"):
    return Change(Address.parse(at), Action.UPDATE, Cause.MANIFEST, (Edit(name, before, after),))


class TestApplying:
    def test_twice_equals_once(self, bench):
        bench.wish(**LIMIT)
        assert steps(bench.apply()) == ["create toy/project/byok", "create toy/limit/byok"]
        once, sent = bench.toy.snapshot(), len(bench.toy.writes())
        assert bench.apply().applied == ()
        assert (bench.toy.snapshot(), len(bench.toy.writes())) == (once, sent)
        assert sent == 2

    def test_planning_sends_no_write(self, bench):
        bench.wish(**LIMIT)
        bench.plan()
        assert bench.toy.writes() == []

    def test_a_step_that_was_done_already_sends_nothing(self, bench):
        bench.wish(**LIMIT)
        bench.apply()
        sent = len(bench.toy.writes())
        with bench.session(write=True) as session:
            session.account("toy", judged=True).apply(edit("amount", None, "50.00 USD"))
        assert len(bench.toy.writes()) == sent

    def test_ground_that_moved_is_stale_and_named(self, bench):
        bench.wish(**LIMIT)
        bench.apply()
        bench.toy.move("limits", "byok", amount="77.00 USD")
        sent = len(bench.toy.writes())
        with bench.session(write=True) as session:
            account = session.account("toy", judged=True)
            with pytest.raises(StalePlan) as stale:
                account.apply(edit("amount", "50.00 USD", "60.00 USD"))
        assert stale.value.moved == ("amount",)
        assert len(bench.toy.writes()) == sent

    def test_what_moves_between_reading_and_writing_is_not_overwritten(self, bench):
        """The provider's own version check stands behind ours."""
        bench.wish(**LIMIT)
        bench.apply()
        bench.wish(**LIMIT | {"limit": {"byok": {"amount": "40.00 USD"}}})
        taken = bench.toy.answer

        def meanwhile(request):
            if request.method == "PUT":
                bench.toy.answer = taken
                bench.toy.move("limits", "byok", amount="77.00 USD")
            return taken(request)

        bench.toy.answer = meanwhile
        (failure,) = bench.apply().failed
        assert failure.error.kind is Problem.MOVED
        assert bench.toy.named("limits")["byok"] == {"amount": "77.00 USD"}

    def test_a_write_that_does_nothing_is_found_out(self, bench):
        bench.wish(**LIMIT)
        bench.apply()
        bench.toy.deaf.add("limits")
        bench.wish(**LIMIT | {"limit": {"byok": {"amount": "40.00 USD"}}})
        (failure,) = bench.apply().failed
        assert isinstance(failure.error, ProviderError)
        assert failure.error.kind is Problem.UNPROVED
        assert "reads back different" in str(failure.error)

    def test_a_provider_gets_time_to_show_what_it_accepted(self, bench):
        bench.toy.lag = 2
        bench.wish(**LIMIT, settling=5)
        assert len(bench.apply().applied) == 2
        assert bench.plan().plan.changes == ()

    def test_a_write_whose_answer_was_lost_is_settled_by_the_next_run(self, bench):
        bench.wish(**LIMIT)
        bench.toy.inject("lost", method="POST", path="/projects")
        (failure,) = bench.apply().failed
        assert failure.error.kind is Problem.DOWN
        assert list(bench.toy.named("projects")) == ["byok"], "and sent once only"
        assert steps(bench.apply()) == ["create toy/limit/byok"]
        assert bench.written()[Address("toy", "project", "byok")]["region"].adopted is False

    def test_attributes_that_nobody_wants_are_carried_along(self, bench):
        bench.toy.add("projects", "byok", region="us", colour="red")
        bench.wish(project={"byok": {"region": "eu"}})
        bench.apply()
        assert bench.toy.named("projects")["byok"] == {"region": "eu", "colour": "red"}

    def test_an_account_is_asked_who_it_is_once(self, bench):
        bench.wish(**LIMIT)
        bench.apply()
        asked = [request for request in bench.toy.log if request.path == "/whoami"]
        assert len(asked) == 2, "once to plan and apply, once to prove"


class TestSlow:
    SLOW = LIMIT | {"slow": {"limit": 3600}}

    def test_a_slow_kind_is_noted_and_not_waited_for(self, bench):
        bench.toy.frozen.add("limits")
        bench.wish(**self.SLOW)
        outcome = bench.apply()
        assert outcome.notes == (f"toy/limit/byok: {in_force(3600)}",)
        assert "1 hour" in outcome.notes[0]

    def test_what_is_not_in_force_yet_is_converging(self, bench):
        bench.toy.frozen.add("limits")
        bench.wish(**self.SLOW)
        bench.apply()
        sent = len(bench.toy.writes())
        planned = bench.plan()
        assert planned.plan.changes == ()
        assert "converging" in bench.said(planned)["toy/limit/byok"]
        assert bench.apply().applied == ()
        assert len(bench.toy.writes()) == sent

    def test_after_its_time_it_is_drift(self, bench):
        bench.toy.frozen.add("limits")
        bench.wish(**self.SLOW)
        bench.apply()
        bench.age(hours=2)
        (change,) = bench.plan().plan.changes
        assert change.cause is Cause.DRIFT

    def test_another_value_is_drift_at_once(self, bench):
        bench.wish(**self.SLOW)
        bench.apply()
        bench.toy.move("limits", "byok", amount="77.00 USD")
        (change,) = bench.plan().plan.changes
        assert (change.cause, change.edits[0].before) == (Cause.DRIFT, "77.00 USD")

    def test_a_new_wish_does_not_wait(self, bench):
        bench.wish(**self.SLOW)
        bench.apply()
        bench.toy.frozen.add("limits")
        bench.wish(**self.SLOW | {"limit": {"byok": {"amount": "40.00 USD"}}})
        bench.apply()
        bench.wish(**self.SLOW | {"limit": {"byok": {"amount": "30.00 USD"}}})
        assert [e.after for c in bench.plan().plan.changes for e in c.edits] == ["30.00 USD"]

    def test_when_it_is_in_force_nothing_is_said(self, bench):
        bench.toy.frozen.add("limits")
        bench.wish(**self.SLOW)
        bench.apply()
        bench.toy.thaw()
        planned = bench.plan()
        assert planned.plan.changes == ()
        assert "toy/limit/byok" not in bench.said(planned)

    def test_a_kind_that_is_not_slow_has_no_patience(self, bench):
        bench.toy.frozen.add("limits")
        bench.wish(**LIMIT)
        assert [f.error.kind for f in bench.apply().failed] == [Problem.UNPROVED]

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (30, "1 minute "),
            (60, "1 minute "),
            (600, "10 minutes "),
            (3600, "1 hour "),
            (86400, "24 hours "),
        ],
    )
    def test_the_words_for_it(self, seconds, words):
        assert f"up to {words}" in in_force(seconds)


class TestClosed:
    @pytest.mark.parametrize("status", [403, 404, 405, 501])
    def test_a_closed_kind_is_said_once_and_the_others_are_judged(self, bench, status):
        bench.toy.shut["limits"] = status
        bench.wish(**LIMIT, alert={"byok/monthly": {"amount": "1.00 USD"}})
        planned = bench.plan()
        assert steps(planned.plan.changes) == [
            "create toy/project/byok",
            "create toy/alert/byok/monthly",
        ]
        told = [text for text in bench.said(planned).values() if "not judged" in text]
        assert len(told) == 1
        assert bench.said(planned)["toy/limit/*"].startswith("not judged: Acme")
        warned = [d.code for d in planned.plan.diagnostics if "cannot judge limit" in d.message]
        assert warned == (["BYOK136"] if status == 404 else []), "a name may be misspelt"
        assert planned.exit_code == 0
        assert steps(bench.apply()) == steps(planned.plan.changes)

    def test_what_was_written_to_a_kind_that_closes_is_neither_gone_nor_forgotten(self, bench):
        bench.wish(**LIMIT)
        bench.apply()
        before = bench.written()
        bench.toy.shut["limits"] = 403
        assert bench.plan().plan.changes == ()
        bench.apply()
        assert bench.written() == before
        bench.wish()
        bench.apply()
        at = Address("toy", "limit", "byok")
        assert bench.written().get(at) == before[at]
        bench.toy.shut.clear()
        assert steps(bench.apply(allow_irreversible=True)) == ["delete toy/limit/byok"]

    def test_a_step_left_open_stays_open_while_its_kind_is_closed(self, bench):
        """A read that is refused does not tell that a delete happened."""
        bench.wish(**LIMIT)
        bench.apply()
        at = Address("toy", "limit", "byok")
        before = bench.written()[at]
        bench.wish(project=LIMIT["project"])
        bench.toy.inject("drop", method="DELETE", times=9)
        assert bench.apply(allow_irreversible=True).failed
        bench.toy.faults.clear()
        bench.toy.shut["limits"] = 403
        bench.apply()
        assert bench.written().get(at) == before
        bench.toy.shut.clear()
        assert steps(bench.apply(allow_irreversible=True)) == ["delete toy/limit/byok"]
        assert at not in bench.written()

    def test_what_was_made_unheard_is_still_ours_when_its_kind_opens_again(self, bench):
        bench.wish(**LIMIT)
        bench.toy.inject("lost", method="POST", path="/limits")
        assert bench.apply().failed
        bench.toy.shut["limits"] = 403
        bench.apply()
        bench.toy.shut.clear()
        bench.apply()
        assert bench.written()[Address("toy", "limit", "byok")]["amount"].adopted is False
        outcome = bench.apply(removing=True, allow_irreversible=True)
        assert "delete toy/limit/byok" in steps(outcome)

    def test_without_the_admin_key_nothing_is_forgotten(self, bench):
        bench.wish(**LIMIT)
        bench.apply()
        before = bench.written()
        (bench.folder / "keys/admin").unlink()
        bench.keys = {"ordinary": KEY}
        bench.patch.setattr(accounts, "admin_references", lambda *_: ())  # as of an optional one
        bench.patch.setattr(
            accounts,
            "open_account",
            lambda setting: dataclasses.replace(toy.account(setting), account_id=lambda: "a1"),
        )
        assert bench.plan().plan.changes == ()
        bench.wish()
        bench.apply()
        assert bench.written() == before

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    def test_a_kind_that_cannot_be_read_loses_the_account_and_keeps_what_was_seen(
        self, bench, status, monkeypatch
    ):
        monkeypatch.setattr("reconciler.systems.account.transport.ATTEMPTS", 1)
        bench.two()
        bench.toy.shut["limits"] = status
        planned = bench.plan()
        assert list(planned.lost) == ["toy"]
        assert {change.address.system for change in planned.plan.changes} == {"other"}
        told = bench.said(planned)
        assert "not judged" in told["toy/account/toy"]
        assert told["toy/key/toy"] == "alive"
        assert planned.exit_code == 5

    def test_what_byok_does_not_make_is_told_and_not_judged(self, bench):
        bench.toy.add("projects", "byok")
        bench.toy.add("quotas", "byok", requests=5)
        bench.wish(quota={"byok": {"requests": 7}, "byok/gone": {"requests": 7}})
        planned = bench.plan()
        assert steps(planned.plan.changes) == ["update toy/quota/byok"]
        assert bench.said(planned)["toy/quota/byok/gone"] == f"not judged: {toy.MISSING}"
        bench.apply()
        assert "byok/gone" not in bench.toy.named("quotas")


class TestLists:
    HAVE: ClassVar = {"model acme-large": True, "model acme-small": True, "note": "theirs"}

    def start(self, bench, **exclusive):
        bench.toy.add("projects", "byok")
        bench.toy.add("allowed", "byok", **self.HAVE)
        bench.toy.add("allowed", "byok/strange", **{"model acme-large": True})
        bench.wish(allowed={"byok": {"model acme-small": True}}, exclusive=exclusive)

    def test_each_element_is_owned_by_itself(self, bench):
        self.start(bench)
        assert bench.plan().plan.changes == ()
        bench.wish(allowed={"byok": {"model acme-new": True}})
        bench.apply()
        assert bench.toy.named("allowed")["byok"] == {**self.HAVE, "model acme-new": True}
        bench.wish()
        bench.apply()
        assert bench.toy.named("allowed")["byok"] == self.HAVE

    def test_an_exclusive_list_holds_nothing_else(self, bench):
        self.start(bench, allowed={"byok": "model "})
        (change,) = bench.plan().plan.changes
        assert [(e.name, e.before, e.after) for e in change.edits] == [
            ("model acme-large", True, None)
        ]
        bench.apply()
        assert bench.toy.named("allowed") == {
            "byok": {"model acme-small": True, "note": "theirs"},
            "byok/strange": {"model acme-large": True},
        }
        assert bench.plan().plan.changes == ()

    def test_what_an_exclusive_list_took_away_comes_back_with_it(self, bench):
        self.start(bench, allowed={"byok": "model "})
        bench.apply()
        self_wish = {"byok": {"model acme-small": True}}
        bench.wish(allowed=self_wish)
        bench.apply()
        assert bench.toy.named("allowed")["byok"] == self.HAVE

    def test_a_star_is_every_resource_of_the_kind(self, bench):
        self.start(bench, allowed={"*": "model "})
        outcome = bench.apply()
        assert steps(outcome) == ["update toy/allowed/byok", "delete toy/allowed/byok/strange"]
        assert list(bench.toy.named("allowed")) == ["byok"]

    def test_an_exclusive_kind_has_no_other_resource(self, bench):
        self.start(bench, allowed={"*": ""})
        bench.apply()
        assert bench.toy.named("allowed") == {"byok": {"model acme-small": True}}

    def test_what_is_off_already_is_no_surplus(self, bench):
        bench.toy.add("projects", "byok")
        bench.toy.add("allowed", "byok", **{"model acme-large": False, "model acme-small": True})
        bench.wish(
            allowed={"byok": {"model acme-small": True}}, exclusive={"allowed": {"*": "model "}}
        )
        assert bench.plan().plan.changes == ()
        bench.apply()
        assert list(bench.written()[Address("toy", "allowed", "byok")]) == ["model acme-small"]

    def test_removal_is_not_exclusive(self, bench):
        self.start(bench, allowed={"*": ""})
        bench.apply(removing=True)
        assert len(bench.toy.named("allowed")) == 2


class TestContainers:
    def test_a_container_that_the_manifest_drops_is_released(self, bench):
        bench.wish(**LIMIT)
        bench.apply()
        bench.wish()
        assert steps(bench.apply(allow_irreversible=True)) == ["delete toy/limit/byok"]
        assert list(bench.toy.named("projects")) == ["byok"]
        assert bench.written() == {}

    def test_a_container_keeps_what_it_is_when_only_a_part_is_dropped(self, bench):
        bench.wish(project={"byok": {"region": "eu", "colour": "red"}})
        bench.apply()
        bench.wish(project={"byok": {"region": "eu"}})
        assert steps(bench.apply()) == ["update toy/project/byok"]
        assert bench.toy.named("projects")["byok"] == {"region": "eu"}

    def test_destroy_leaves_containers_without_the_flag(self, bench):
        bench.wish(project=LIMIT["project"], alert={"byok/a": {"amount": "1.00 USD"}})
        bench.apply()
        assert steps(bench.apply(removing=True)) == ["delete toy/alert/byok/a"]
        assert list(bench.toy.named("projects")) == ["byok"]

    def test_destroy_deletes_containers_with_the_flag_and_what_is_inside_first(self, bench):
        bench.wish(**LIMIT, alert={"byok/a": {"amount": "1.00 USD"}})
        bench.apply()
        outcome = bench.apply(removing=True, allow_irreversible=True)
        assert steps(outcome) == [
            "delete toy/alert/byok/a",
            "delete toy/limit/byok",
            "delete toy/project/byok",
        ]
        assert bench.toy.snapshot() == Toy().snapshot()

    def test_destroy_leaves_a_container_that_was_there_before(self, bench):
        bench.toy.add("projects", "byok", region="eu")
        bench.wish(project=LIMIT["project"])
        bench.apply()
        assert bench.apply(removing=True, allow_irreversible=True).applied == ()
        assert list(bench.toy.named("projects")) == ["byok"]

    def test_things_are_made_in_the_order_of_their_dependence(self, bench):
        wishes = {
            "quota": {},
            "allowed": {"a": {"model x": True}},
            "alert": {"a/m": {"amount": "1.00 USD"}, "b/m": {"amount": "1.00 USD"}},
            "limit": {"b": {"amount": "1.00 USD"}},
            "project": {"b": {"region": "eu"}, "a": {"region": "eu"}},
        }
        bench.wish(**wishes)
        outcome = bench.apply()
        assert outcome.failed == ()
        kinds = [change.address.kind for change in outcome.applied]
        assert kinds == ["project", "project", "limit", "alert", "alert", "allowed"]


class TestIrreversible:
    def final(self, planned):
        return {str(c.address): c.irreversible for c in planned.plan.changes}

    @pytest.mark.parametrize(
        ("amount", "final"), [("60.00 USD", True), ("40.00 USD", False), (None, True)]
    )
    def test_it_is_marked_and_needs_the_flag(self, bench, amount, final):
        bench.wish(**LIMIT)
        bench.apply()
        wanted = {} if amount is None else {"byok": {"amount": amount}}
        bench.wish(**LIMIT | {"limit": wanted})
        assert self.final(bench.plan()) == {"toy/limit/byok": final}
        before = bench.toy.snapshot()
        if final:
            with pytest.raises(SafetyStop, match="--allow-irreversible"):
                bench.apply()
            assert bench.toy.snapshot() == before
        assert bench.apply(allow_irreversible=final).failed == ()
        assert bench.toy.snapshot() != before

    def test_making_a_first_limit_is_not_final(self, bench):
        bench.wish(**LIMIT)
        assert set(self.final(bench.plan()).values()) == {False}


CODES = {
    Problem.INVALID_KEY: "BYOK131",
    Problem.WRONG_KIND: "BYOK130",
    Problem.ELSEWHERE: "BYOK131",
    Problem.NO_ACCESS: "BYOK132",
    Problem.NO_MODEL: "BYOK132",
    Problem.RATE_LIMITED: "BYOK135",
    Problem.SPENT: "BYOK134",
    Problem.WRONG_ENDPOINT: "BYOK136",
    Problem.NETWORK_REFUSED: "BYOK137",
    Problem.DOWN: "BYOK138",
    Problem.UNREADABLE: "BYOK137",
    Problem.NOT_THERE: "BYOK136",
    Problem.UNSUPPORTED: "BYOK138",
    Problem.MOVED: "BYOK138",
    Problem.REJECTED: "BYOK138",
    Problem.CLOCK: "BYOK138",
    Problem.UNPROVED: "BYOK138",
}


def opening(**parts):
    """Return what opens a toy account with other parts."""
    return lambda setting: dataclasses.replace(
        toy.account(setting), **{name: part(setting) for name, part in parts.items()}
    )


def raising(error):
    def look():
        raise error

    return look


class TestSeeing:
    def test_every_problem_has_its_row(self):
        assert CODES.keys() == set(Problem)

    @pytest.mark.parametrize("problem", [p for p in Problem if p is not Problem.UNPROVED])
    def test_a_failed_look_is_a_finding_and_the_rest_is_judged(self, bench, problem):
        bench.wish(**LIMIT)
        error = refusal("Acme", problem)
        opened = opening(observe=lambda _: raising(error))
        bench.patch.setattr(accounts, "open_account", opened)
        planned = bench.plan()
        found = [d for d in planned.plan.diagnostics if d.path == "/endpoints/toy/key"]
        assert [(d.code, d.message) for d in found] == [(CODES[problem], f"Acme {error.what}")]
        assert found[0].way_out == error.way_out
        assert found[0].position.line > 1
        assert len(planned.plan.changes) == 2
        assert planned.exit_code == 0

    @pytest.mark.parametrize(
        ("given", "code"), [(KEY + "x", "BYOK131"), (ADMIN_KEY, "BYOK130")], ids=["dead", "admin"]
    )
    def test_a_wrong_key_is_a_finding(self, bench, given, code):
        bench.keys["ordinary"] = given
        bench.wish(**LIMIT)
        planned = bench.plan()
        assert code in {d.code for d in planned.plan.diagnostics}
        assert len(planned.plan.changes) == 2

    def test_models_are_compared_with_what_the_key_may_use(self, bench):
        models = {n: {"endpoint": "toy"} for n in ("acme-large", "acme-gone")}
        bench.manifest(models=models)
        planned = bench.plan()
        assert bench.said(planned)["toy/model/acme-large"] == "available to this key"
        assert ("BYOK132", "/models/acme-gone") in {
            (d.code, d.path) for d in planned.plan.diagnostics
        }

    @pytest.mark.parametrize("problem", [Problem.NO_ACCESS, Problem.UNSUPPORTED, Problem.NOT_THERE])
    def test_what_a_survey_may_not_see_is_said_once(self, bench, problem):
        closed = raising(refusal("Acme", problem))
        seen = [lambda s: (closed, lambda: s.saw("spent", "month", "7"), closed)]
        bench.patch.setattr(accounts, "open_account", opening(survey=seen[0]))
        planned = bench.plan()
        told = [o.text for o in planned.plan.observations if o.text.startswith("not seen")]
        assert len(told) == 1
        assert bench.said(planned)["toy/spent/month"] == "7"
        assert [d for d in planned.plan.diagnostics if d.code != HTTP] == []

    def test_a_survey_that_fails_is_a_finding_at_the_account(self, bench):
        down = raising(refusal("Acme", Problem.DOWN))
        bench.patch.setattr(accounts, "open_account", opening(survey=lambda _: (down,)))
        found = bench.plan().plan.diagnostics
        assert [(d.code, d.path) for d in found if d.code != HTTP] == [
            ("BYOK138", "/endpoints/toy")
        ]

    @pytest.mark.parametrize("body", [[1], {"data": [{"x": 1}]}, {"data": [7]}, None, "text"])
    def test_an_answer_of_an_unforeseen_shape_brings_nothing_down(self, bench, body):
        bench.two()
        answer = Response(200, body)
        bench.toy.inject("answer", method="GET", path="/models", response=answer)
        planned = bench.plan()
        found = [d for d in planned.plan.diagnostics if d.code == "BYOK137"]
        assert len(found) == 1
        assert len(planned.plan.changes) == 4

    @pytest.mark.parametrize("body", [[1], {"data": [{"x": 1}]}, {"data": [7]}, {"data": 7}])
    def test_nor_in_a_kind(self, bench, body):
        bench.two()
        bench.toy.inject("answer", method="GET", path="/limits", response=Response(200, body))
        planned = bench.plan()
        assert planned.lost["toy"].kind is Problem.UNREADABLE
        assert {change.address.system for change in planned.plan.changes} == {"other"}
        assert planned.exit_code == 5

    def test_an_unforeseen_answer_names_its_place_and_not_its_words(self, bench):
        bench.two()
        odd = Response(200, {"data": [{"canary": 1}]})
        bench.toy.inject("answer", method="GET", path="/limits", response=odd)
        error = bench.plan().lost["toy"]
        assert "KeyError at toy.py:" in str(error)
        assert "canary" not in repr(error)

    def test_an_unforeseen_answer_to_a_write_fails_that_step_only(self, bench):
        bench.two()
        fields = {"data": [{"id": "x"}], "has_more": False}
        real = bench.toy.answer
        made = []

        def odd(request):
            if request.path == "/limits" and made:
                return Response(200, fields)
            if request.method == "POST":
                made.append(request)
            return real(request)

        bench.toy.answer = odd
        outcome = bench.apply()
        assert [f.error.kind for f in outcome.failed] == [Problem.UNREADABLE]
        assert [c.address.system for c in outcome.applied] == ["toy", "other", "other"]


class TestSeveral:
    def test_one_that_is_down_leaves_the_others_planned(self, bench, monkeypatch):
        monkeypatch.setattr("reconciler.systems.account.transport.ATTEMPTS", 1)
        bench.two()
        bench.toy.inject("drop", times=999)
        planned = bench.plan()
        assert steps(planned.plan.changes) == [
            "create other/project/byok",
            "create other/limit/byok",
        ]
        assert "not judged" in bench.said(planned)["toy/account/toy"]
        assert (list(planned.lost), planned.exit_code) == (["toy"], 5)

    def test_apply_goes_on_with_the_others(self, bench, monkeypatch):
        monkeypatch.setattr("reconciler.systems.account.transport.ATTEMPTS", 1)
        bench.two()
        bench.toy.inject("drop", times=999)
        assert len(bench.apply().applied) == 2
        assert "byok" in bench.worlds["other"].named("limits")
        bench.toy.faults.clear()
        assert {c.address.system for c in bench.apply().applied} == {"toy"}

    def test_a_step_that_fails_ends_its_own_account_only(self, bench):
        bench.two()
        bench.toy.inject("answer", method="POST", response=Response(400, {}))
        outcome = bench.apply()
        assert [f.error.kind for f in outcome.failed] == [Problem.REJECTED]
        assert {c.address.system for c in outcome.applied} == {"other"}
        assert bench.toy.named("limits") == {}

    def test_all_of_them_down_is_a_failure(self, bench, monkeypatch):
        monkeypatch.setattr("reconciler.systems.account.transport.ATTEMPTS", 1)
        bench.two()
        for world in bench.worlds.values():
            world.inject("drop", times=999)
        with pytest.raises(ProviderError) as raised:
            bench.plan()
        assert raised.value.exit_code == 5

    def test_an_origin_that_nobody_approved_gets_nothing(self, bench):
        bench.elsewhere = {"toy", "other"}
        bench.two()
        planned = bench.plan()
        assert planned.plan.changes == ()
        assert [pair.origin for pair in planned.pairings] == [bench.origin("toy")] * 2
        with pytest.raises(SafetyStop, match="nobody approved"):
            bench.apply()
        assert [world.log for world in bench.worlds.values()] == [[], []]

    def test_the_approved_one_is_planned_without_the_other(self, bench):
        bench.elsewhere = {"toy"}
        bench.two()
        planned = bench.plan()
        assert {change.address.system for change in planned.plan.changes} == {"other"}
        assert "nobody approved" in bench.said(planned)["toy/account/toy"]
        assert bench.said(planned)["toy/key/toy"].startswith("not probed:")
        assert "BYOK123" in {d.code for d in planned.plan.diagnostics}
        assert planned.exit_code == 0
        with pytest.raises(SafetyStop, match="nobody approved"):
            bench.apply()
        assert bench.toy.log == []
        assert bench.worlds["other"].writes() == []

    def test_a_watched_account_that_nobody_approved_is_told(self, bench):
        bench.elsewhere = {"other"}
        bench.declared = ["toy", "other"]
        bench.wish("toy", **LIMIT)
        bench.wish("other")
        planned = bench.plan()
        assert bench.said(planned)["other/key/other"].startswith("not probed:")
        assert len(planned.plan.changes) == 2
        assert bench.worlds["other"].log == []

    def test_a_secret_that_cannot_be_had_leaves_its_account_out_and_the_key_is_seen(self, bench):
        bench.two()
        opened = toy.account

        def locked(setting):
            if setting.name == "toy" and setting.judged:
                raise SecretError("locked", "keyring://x", "is locked")
            return opened(setting)

        bench.patch.setattr(accounts, "open_account", locked)
        planned = bench.plan()
        assert {change.address.system for change in planned.plan.changes} == {"other"}
        assert bench.said(planned)["toy/key/toy"] == "alive"
        assert planned.exit_code == 4

    def test_a_watched_account_that_cannot_be_opened_is_told(self, bench):
        bench.declared = ["toy", "other"]
        bench.wish("toy", **LIMIT)
        bench.wish("other")
        opened = toy.account

        def broken(setting):
            if setting.name == "other":
                raise refusal("the network", Problem.NETWORK_REFUSED)
            return opened(setting)

        bench.patch.setattr(accounts, "open_account", broken)
        planned = bench.plan()
        assert "the network" in bench.said(planned)["other/key/other"]
        assert (len(planned.plan.changes), planned.exit_code) == (2, 0)

    def test_off_line_nothing_is_asked(self, bench):
        bench.wish(**LIMIT)
        with bench.session(offline=True) as session, pytest.raises(ByokError, match="--offline"):
            make_plan(session, dataclasses.replace(bench.scope, offline=True))
        assert bench.toy.log == []


def test_nothing_of_an_account_shows_what_it_holds(bench, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "canary-environment")
    bench.wish(**LIMIT)
    with bench.session() as session:
        account = session.account("toy", judged=True)
        account.actual()
        setting = account.setting
        shown = f"{account!r}{setting!r}{setting.door!r}{setting.vault!r}{session.options!r}"
        looked = dataclasses.replace(session.options, env={"X": "canary-environment"})
        shown += f"{looked!r}{dataclasses.replace(setting, env={'X': 'canary-environment'})!r}"
    for word in (KEY, ADMIN_KEY, "canary"):
        assert word not in shown


def test_a_change_of_no_kind_is_refused(bench):
    with bench.session(write=True) as session:
        account = session.account("toy", judged=True)
        with pytest.raises(ByokError, match="no kind of resource"):
            account.apply(edit("x", None, 1, at="toy/nothing/x"))


def test_kinds_are_read_at_once(bench):
    """Each read waits until all have begun; one after the other would break the barrier."""
    gate = threading.Barrier(5, timeout=20)

    def together():
        gate.wait()
        return {}

    def kinds(setting):
        return tuple(dataclasses.replace(k, read=together) for k in toy.account(setting).kinds)

    bench.patch.setattr(accounts, "open_account", opening(kinds=kinds))
    assert bench.plan().plan.changes == ()
    assert not gate.broken


def test_a_kind_needs_no_more_than_a_name_two_functions_and_wishes():
    kind = Kind("x", {}, dict, lambda *_: None)
    assert (kind.container, kind.slow, kind.missing, dict(kind.exclusive)) == (False, 0, "", {})
    assert kind.final(edit("x", 1, 2)) is False
    assert isinstance(Setting("x", "/x", None, None, None), Setting)


@pytest.mark.parametrize(
    ("kind", "attrs", "word"),
    [
        ("key", {}, Action.UPDATE),
        ("key", {"disabled": False}, Action.UPDATE),
        ("key", {"limit": "5.00 USD"}, Action.UPDATE),
        ("limit", {}, Action.CREATE),
    ],
)
def test_what_is_first_set_on_a_key_is_an_update(kind, attrs, word):
    """Keys are made elsewhere, so no plan may say that one is created."""
    there = seen(Kind(kind, {}, dict, lambda *_: None), attrs)
    assert action(there, [Edit("limit", attrs.get("limit"), "9.00 USD")]) is word
