"""A fleet's report of what the collection's playbooks write: each outcome, and each reason."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from reconciler.fleet import collect, report
from reconciler.fleet.alike import LEFT_OUT, alike, unreached
from reconciler.fleet.document import document
from reconciler.fleet.host import Outcome
from reconciler.fleet.text import render_text
from tests import fleet_results as made

SSH = "did not answer: Failed to connect to the host via ssh: "
NOT_YET = "byok is not installed here yet; apply installs it"


def told(*documents):
    lines = "\n".join(map(json.dumps, documents))
    found = collect([Path("-")], io.BytesIO(lines.encode()))
    return report(found.hosts, found.unread)


def troubles(found):
    return [(t.outcome.value, t.failure.what, t.where, t.hosts) for t in found.troubles]


@pytest.mark.parametrize(
    ("outcome", "more", "stands"),
    [
        # Between the plan and the run a timer put back what had moved: the run found nothing.
        ("in_sync", {"plan": made.plan(made.DRIFT), "apply": made.applied()}, "in_sync"),
        (
            "changed",
            {"plan": made.plan(made.DRIFT, made.MODEL), "apply": made.applied(made.MODEL)},
            "changed",
        ),
        (
            "changed",
            {"apply": made.applied(made.MODEL), "status": made.status(made.moved("2026"))},
            "drifted",
        ),
        ("changed", {"apply": made.applied(made.DRIFT), "status": made.status()}, "changed"),
        ("skipped", {"plan": made.plan(made.DRIFT)}, "skipped"),
        ("failed", {"plan": made.plan(made.DRIFT)}, "failing"),
        # A roll-out that stopped says so of its whole batch, of what had failed before, too.
        ("skipped", {"why": "stopped", "error": made.failed(4, "x", "locked", "")}, "failing"),
        ("skipped", {"why": "stopped", "error": made.failed(7, "x", "busy", "")}, "skipped"),
    ],
)
def test_how_a_machine_stands_after_a_run(outcome, more, stands):
    found = told(made.envelope("a", outcome, run="apply", **more))
    assert found.hosts[0].outcome is Outcome(stands)


def test_after_a_run_that_went_through_nothing_of_the_plan_before_it_is_to_do():
    one = made.envelope(
        "a", "changed", run="apply",
        plan=made.plan(made.KEY, made.MODEL), apply=made.applied(made.MODEL),
    )  # fmt: skip
    found = told(one)
    assert [plan.done for plan in found.plans] == [True]
    assert not found.drifts
    assert not found.keyrings


def test_after_a_run_that_failed_the_rest_of_the_plan_is_to_do():
    broken = [{"address": "cursor/provider/openai", "exit": 4, "message": "locked"}]
    one = made.envelope(
        "a", "failed", run="apply",
        plan=made.plan(made.KEY, made.MODEL), apply=made.applied(made.MODEL, failed=broken),
    )  # fmt: skip
    found = told(one)
    assert [plan.done for plan in found.plans] == [False, True]


def test_who_waits_without_a_plan_says_why():
    found = told(
        made.envelope("a", "pending", why=NOT_YET),
        made.envelope("b", "pending", why="Cursor is running", plan=made.plan(made.MODEL)),
    )
    assert troubles(found) == [("pending", NOT_YET, (), ("a",))]
    assert NOT_YET in render_text(found, width=200)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("ssh: connect to host {} port 22: Connection refused", "{} port 22"),
        ("ssh: connect to host {} port 22: No route to host", "{} port 22"),
        ("Connection closed by {} port 22", "{} port 22"),
        ("ssh: Could not resolve hostname {}: Name or service not known", "{}"),
        ("ann@{}: Permission denied (publickey,password).", "ann@{}"),
    ],
)
def test_machines_that_nobody_reaches_for_one_reason_are_one_trouble(said, where):
    places = ["10.0.0.7", "2001:db8::1", "dev-3.example.com"]
    found = told(
        *(
            made.envelope(f"dev-{n}", "unreachable", why=SSH + said.format(at))
            for n, at in enumerate(places)
        )
    )
    (trouble,) = found.troubles
    assert len(trouble.hosts) == 3
    assert set(trouble.where) == {where.format(at) for at in places}
    assert not any(at in trouble.failure.what for at in places)


def test_what_is_said_before_an_error_is_told():
    """The collection says of a machine without Cursor what its missing database means."""
    at = "/home/ann/.config/Cursor/User/globalStorage/state.vscdb"
    what, so = "there is no such database", "no Cursor here, or it was never started: "
    found = told(
        made.envelope(
            "a", "skipped", exit=7, why=f"{so}{at}: {what}; start Cursor once",
            error=made.failed(7, at, what, "start Cursor once"),
        )
    )  # fmt: skip
    (trouble,) = found.troubles
    assert trouble.failure.what == so + what
    assert trouble.failure.way_out == "start Cursor once"
    assert trouble.where == (at.replace("/home/ann", "~"),)


def test_what_ssh_says_otherwise_is_told_as_it_is():
    assert unreached("Host key verification failed.") == ("Host key verification failed.", "")


def test_who_is_skipped_for_a_running_cursor_is_one_trouble_whatever_its_process():
    found = told(
        *(
            made.envelope(
                f"dev-{n}", "skipped", user=f"u{n}", exit=7,
                why=f"/home/u{n}/.config/Cursor: Cursor is running (process {n}7); quit Cursor",
                error=made.failed(
                    7, f"/home/u{n}/.config/Cursor",
                    f"Cursor is running (process {n}7)", "quit Cursor",
                ),
            )
            for n in range(1, 4)
        )
    )  # fmt: skip
    (trouble,) = found.troubles
    assert trouble.failure.what == "Cursor is running (process …)"
    assert trouble.hosts == ("dev-1", "dev-2", "dev-3")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("dev-1: byok needs Python 3.11", "byok needs Python 3.11"),
        ("dev-12: byok needs Python 3.11", "dev-12: byok needs Python 3.11"),
        ("cannot read /home/ann/x and /home/anna", "cannot read ~/x and /home/anna"),
        ("/srv/home/ann/x: no", "/srv/home/ann/x: no"),
        (
            "another byok is writing: process 23 (byok apply, since 03:10:11 UTC)",
            "another byok is writing: process … (byok apply, since …)",
        ),
        ("", ""),
    ],
)
def test_words_that_differ_from_machine_to_machine_go(text, same):
    assert alike(text, "ann", "dev-1") == same


def test_a_word_that_looks_like_a_key_is_left_out_wherever_it_stands():
    key = "sk-ant-api03-" + "a1B2" * 20
    one = made.envelope(
        "a", "failed", why=f"cannot use {key}",
        error=made.failed(4, f"x {key}", f"got '{key}'", f"take key={key} away"),
        doctor=made.doctor(("BYOK1", "c", "problem", f"has {key}")),
        status=made.status({**made.moved("2026"), "by": f"by {key}"}),
        apply=made.applied(failed=[{"address": "cursor/model/o1", "exit": 1, "message": key}]),
    )  # fmt: skip
    text = json.dumps(document(told(one)))
    assert key not in text
    assert f"got '{LEFT_OUT}'" in text
    assert f"take key={LEFT_OUT} away" in text


def test_a_key_where_nobody_expects_one_is_left_out():
    key = "sk-ant-api03-" + "a1B2" * 20
    ring = made.keys(key)
    ring["keys"][0]["uses"][0]["refs"]["key"] = key
    drift = {**made.moved("2026"), "edits": [key]}
    one = made.envelope(
        "a", "in_sync", user=key, cursor=key, byok=key, keys=ring,
        apply=made.applied(pending=[key]), status=made.status(drift),
    )  # fmt: skip
    assert key not in json.dumps(document(told(one)))


def test_machines_whose_names_look_like_keys_are_told_apart():
    names = [f"sk-web-production-europe-central-{n}" for n in range(2)]
    found = told(*(made.envelope(name, "in_sync") for name in names))
    assert [one.host.name for one in found.hosts] == names


def test_a_plan_with_a_key_in_it_is_refused():
    key = "sk-ant-api03-" + "a1B2" * 20
    odd = {**made.MODEL, "edits": [made.edit("url", None, [f"https://x/?key={key}"])]}
    found = told(made.envelope("a", "pending", plan=made.plan(odd)))
    assert not found.hosts
    assert found.unread[0].why.endswith("a value looks like a key")


def test_who_still_has_the_old_key_once_the_others_have_the_new_one():
    """After the roll-out no plan tells of it any more; what the runs took away does."""
    found = told(
        made.envelope("late", "failed", run="apply", why="x", keys=made.keys(made.OLD)),
        *(
            made.envelope(
                f"dev-{n}", "changed", run="apply",
                plan=made.plan(made.KEY), apply=made.applied(made.KEY), keys=made.keys(made.NEW),
            )
            for n in range(2)
        ),
    )  # fmt: skip
    assert [(p.fingerprint, p.old, p.here) for p in found.keyrings[0].prints] == [
        (made.NEW, False, ("dev-0", "dev-1")),
        (made.OLD, True, ("late",)),
    ]
    assert "old: 1 still has it" in render_text(found)


def test_without_a_list_of_keys_a_plan_tells_who_has_the_old_one():
    found = told(
        made.envelope("a", "skipped", run="apply", why="busy", plan=made.plan(made.KEY)),
        made.envelope(
            "b", "changed", run="apply", plan=made.plan(made.KEY), apply=made.applied(made.KEY)
        ),
    )
    assert [(p.fingerprint, p.old, p.here, p.coming) for p in found.keyrings[0].prints] == [
        (made.NEW, False, ("b",), ("a",)),
        (made.OLD, True, ("a",), ()),
    ]


def test_a_failed_run_is_of_the_same_machine_as_the_documents_beside_it(tmp_path):
    (tmp_path / "dev-1.plan.json").write_text(json.dumps(made.plan(made.MODEL)))
    (tmp_path / "dev-1.apply.json").write_text(json.dumps(made.failed(7, "/x", "busy", "wait")))
    found = collect([tmp_path], io.BytesIO())
    assert [host.name for host in found.hosts] == ["dev-1"]
    assert report(found.hosts, found.unread).hosts[0].outcome is Outcome.FAILING


def test_a_finding_says_of_no_machine_what_only_another_has():
    def found(what):
        return made.doctor(("BYOK225", "byok/fingerprint key", "problem", what))

    names = {"a": "sops is not installed", "b": "there is no age key", "c": "sops is not installed"}
    one = told(*(made.envelope(n, "in_sync", doctor=found(what)) for n, what in names.items()))
    assert [(f.finding.what, f.finding.fix, f.hosts) for f in one.findings] == [
        ("sops is not installed / there is no age key", "give it back to its owner", tuple("abc"))
    ]
    many = told(*(made.envelope(f"h{n}", "in_sync", doctor=found(f"{n} GB")) for n in range(5)))
    assert [f.finding.what for f in many.findings] == ["0 GB / 1 GB / 2 GB and 2 more"]


def test_two_machines_whose_files_are_one_by_hard_links_are_two(tmp_path):
    """A tool that saves room makes one file of equal ones, and plans often are equal."""
    (tmp_path / "dev-1.json").write_text(json.dumps(made.plan()))
    (tmp_path / "dev-2.json").hardlink_to(tmp_path / "dev-1.json")
    found = collect([tmp_path, tmp_path / "dev-2.json"], io.BytesIO())
    assert [host.name for host in found.hosts] == ["dev-1", "dev-2"]
    assert not found.unread
