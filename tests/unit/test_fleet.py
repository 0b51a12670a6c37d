"""A fleet's report: what each result tells, who is like whom, and that nobody is hidden."""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path

import pytest

from reconciler.fleet import collect, report
from reconciler.fleet.document import document
from reconciler.fleet.documents import OwnReport, read
from reconciler.fleet.host import Outcome
from reconciler.fleet.keys import shared
from reconciler.fleet.markdown import render_markdown
from reconciler.fleet.names import folded
from reconciler.fleet.page import render_html
from reconciler.fleet.text import render_text
from reconciler.render.layout import cells
from tests import fleet_results as made

HERE = Path(__file__).parent
HOSTILE = (
    "</script><script>alert(1)</script>\u202e\x1b[31m\u0007 `|` <img src=x onerror=alert(2)> @all"
)


def lined(*documents):
    return io.BytesIO("\n".join(map(json.dumps, documents)).encode())


def told(*documents):
    """The report of envelopes that come in a stream."""
    found = collect([Path("-")], lined(*documents))
    return report(found.hosts, found.unread)


def outcome_of(one):
    return told(one).hosts[0].outcome


def bare(form, host="dev-1"):
    return read(f"{host}.json", json.dumps(form).encode(), host)


@pytest.fixture(scope="module")
def fleet():
    return told(*made.results(60))


# One machine.


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (made.envelope("a", "in_sync"), "in_sync"),
        (made.envelope("a", "in_sync", plan=made.plan()), "in_sync"),
        (made.envelope("a", "in_sync", plan=made.plan(unknown=2)), "unknown"),
        (made.envelope("a", "in_sync", plan=made.plan(made.MODEL)), "pending"),
        (made.envelope("a", "pending"), "pending"),
        (made.envelope("a", "pending", plan=made.plan(made.DRIFT)), "drifted"),
        (made.envelope("a", "pending", status=made.status(made.moved("2026"))), "drifted"),
        (made.envelope("a", "changed", apply=made.applied(made.DRIFT)), "changed"),
        (
            made.envelope(
                "a", "changed", plan=made.plan(made.DRIFT), apply=made.applied(made.DRIFT)
            ),
            "changed",
        ),
        (
            made.envelope(
                "a",
                "changed",
                apply=made.applied(
                    failed=[{"address": "cursor/model/o1", "exit": 7, "message": "busy"}]
                ),
            ),
            "failing",
        ),
        (made.envelope("a", "skipped", why="Cursor is running"), "skipped"),
        (made.envelope("a", "failed"), "failing"),
        (made.envelope("a", "unreachable", why="no route"), "unreachable"),
        (made.plan(), "in_sync"),
        (made.plan(made.MODEL), "pending"),
        (made.plan(made.MODEL, made.DRIFT), "drifted"),
        (made.plan(unknown=1), "unknown"),
        (made.applied(), "in_sync"),
        (made.applied(made.MODEL), "changed"),
        (made.status(), "in_sync"),
        (made.status(made.moved("2026")), "drifted"),
        (made.failed(4, "keyring://x/y", "locked", "unlock it"), "failing"),
        (made.doctor(("BYOK203", "cursor/database", "problem", "is gone")), "unknown"),
        (made.keys(made.NEW), "unknown"),
    ],
)
def test_how_a_machine_stands(one, outcome):
    assert outcome_of(one) is Outcome(outcome)


def test_a_plan_with_errors_is_a_failing_machine_and_says_why():
    one = made.plan()
    error = {"code": "BYOK004", "severity": "error", "message": "a key", "way_out": "move it"}
    found = told({**one, "diagnostics": [error]})
    assert [(t.failure.exit, t.failure.what, t.failure.way_out) for t in found.troubles] == [
        (3, "BYOK004 a key", "move it")
    ]


def test_bare_documents_of_one_machine_are_one_machine(tmp_path):
    for name, one in {
        "plan/dev-1.json": made.plan(made.DRIFT),
        "dev-1.status.json": made.status(made.moved("2026-11-21T00:00:00+00:00")),
        "dev-1.doctor.json": made.doctor(("BYOK203", "cursor/database", "problem", "is gone")),
        "keys/dev-1.json": made.keys(made.OLD),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(one))
    found = collect([tmp_path], io.BytesIO())
    assert [(host.name, len(host.files)) for host in found.hosts] == [("dev-1", 4)]
    grouped = report(found.hosts, found.unread)
    assert [drift.by for drift in grouped.drifts] == [made.BY]
    assert grouped.findings[0].hosts == ("dev-1",)


BROKEN = {
    "empty": b"",
    "white": b" \n",
    "cut off": json.dumps(made.envelope("a", "in_sync")).encode()[:-9],
    "not text": b"\xff\xfe\x00",
    "not an object": b"[1]",
    "no format": b"{}",
    "foreign": b'{"format": "terraform/1"}',
    "next major": b'{"format": "byok.host/2", "host": "a"}',
    "format of another type": b'{"format": 7}',
    "no host": json.dumps({**made.envelope("a", "in_sync"), "host": None}).encode(),
    "blank host": json.dumps(made.envelope(" ", "in_sync")).encode(),
    "long host": json.dumps(made.envelope("a" * 300, "in_sync")).encode(),
    "host of another type": json.dumps({**made.envelope("a", "in_sync"), "host": [1]}).encode(),
    "outcome": json.dumps(made.envelope("a", "fine")).encode(),
    "exit": json.dumps(made.envelope("a", "in_sync", exit="0")).encode(),
    "true exit": json.dumps(made.envelope("a", "in_sync", exit=True)).encode(),
    "plan is a status": json.dumps(made.envelope("a", "in_sync", plan=made.status())).encode(),
    "plan is a text": json.dumps(made.envelope("a", "in_sync", plan="no")).encode(),
    "no changes": json.dumps({"format": "byok.plan/1", "summary": {}}).encode(),
    "half a change": json.dumps({**made.plan(), "changes": [{"address": "a/b/c"}]}).encode(),
    "bad address": json.dumps(made.plan({**made.MODEL, "address": "x"})).encode(),
    "bad value": json.dumps(
        made.plan({**made.MODEL, "edits": [made.edit("key", {"secret": 1}, None)]})
    ).encode(),
    "not finite": b'{"format": "byok.plan/1", "fingerprint_key": NaN}',
    "too large a number": b'{"format": "byok.plan/1", "summary": {"unknown": 1e999}}',
    "systems": b'{"format": "byok.status/1", "systems": {}}',
    "checks": b'{"format": "byok.doctor/1", "checks": [7]}',
    "keys": b'{"format": "byok.keys/1", "keys": [{"fingerprints": 7, "cursor": ["a"]}]}',
    "applied": b'{"format": "byok.apply/1", "applied": [], "failed": [null], "pending": []}',
    "deep": b'{"format": "byok.plan/1", "changes": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_result_says_so_and_hides_no_other(tmp_path, name):
    (tmp_path / "bad.json").write_bytes(BROKEN[name])
    (tmp_path / "good.json").write_text(json.dumps(made.envelope("good", "in_sync")))
    found = collect([tmp_path], io.BytesIO())
    assert [host.name for host in found.hosts] == ["good"]
    assert [one.file for one in found.unread] == [str(tmp_path / "bad.json")]
    assert found.unread[0].why
    assert "\n" not in found.unread[0].why


def test_a_newer_byok_may_say_more():
    one = made.envelope("a", "in_sync", plan={**made.plan(), "more": 1}, colour="blue")
    assert outcome_of(one) is Outcome.IN_SYNC


def test_a_report_of_ours_is_no_result(fleet):
    with pytest.raises(OwnReport):
        bare(document(fleet))


def test_homes_of_many_people_are_one_failure():
    users = ["ann", "bob", "ann.b"]
    envelopes = [
        made.envelope(
            f"h-{user}",
            "failed",
            user=user,
            error=made.failed(1, f"/home/{user}/x", f"cannot read /home/{user}/x", ""),
        )
        for user in users
    ]
    (trouble,) = told(*envelopes).troubles
    assert trouble.failure.what == "cannot read ~/x"
    assert trouble.where == ("~/x",)
    assert len(trouble.hosts) == 3


def test_a_broken_manifest_is_one_failure_with_its_errors():
    errors = [{"severity": "error", "message": f"wrong {n}"} for n in range(5)]
    error = {**made.failed(3, "byok.yaml", "5 errors in the manifest", ""), "diagnostics": errors}
    (trouble,) = told(made.envelope("a", "failed", exit=3, error=error)).troubles
    assert trouble.failure.what == "5 errors in the manifest: wrong 0; wrong 1; wrong 2"


def test_a_reason_that_repeats_the_failure_is_told_once():
    error = made.failed(7, "/x/state.vscdb", "Cursor is running", "quit it")
    why = "/x/state.vscdb: Cursor is running; quit it"
    both = told(
        made.envelope("a", "skipped", why=why, exit=7, error=error),
        made.envelope("b", "skipped", why="not its turn", exit=7, error=error),
        made.envelope("c", "pending", why="Cursor is running", plan=made.plan(made.MODEL)),
    )
    assert {(t.failure.what, t.failure.way_out, t.hosts) for t in both.troubles} == {
        ("Cursor is running", "quit it", ("a",)),
        ("not its turn", "", ("b",)),
    }
    assert document(both)["hosts"][2]["why"] == ["Cursor is running"]


# Files.


def test_what_is_read_and_what_is_named(tmp_path):
    folder = made.write(tmp_path / "results", 3)
    one = (folder / "dev-1.json").read_bytes()
    (folder / "again.json").write_bytes(one)
    (folder / "notes.txt").write_text("no result")
    (folder / "large.json").write_bytes(b" " * (16 * 1024 * 1024 + 1))
    (folder / "link.json").symlink_to(folder / "dev-1.json")
    (folder / "folder.json").mkdir()
    (folder / "below").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.json")
    found = collect([folder, folder / "dev-2.json", tmp_path / "none"], io.BytesIO())
    why = {Path(one.file).name: one.why for one in found.unread}
    assert sorted(host.name for host in found.hosts) == ["dev-1", "dev-2", "dev-3"]
    assert why == {
        "below": "is a symbolic link, which is not followed",
        "dev-1.json": f"tells dev-1's doctor, envelope, keys and plan again, beside"
        f" {folder / 'again.json'}; left out",
        "large.json": "is larger than 16 MB",
        "link.json": "is a symbolic link, which is not followed",
        "none": "is not there",
        "pipe.json": "is no ordinary file",
    }


def test_a_link_to_a_folder_that_is_named_is_followed(tmp_path):
    made.write(tmp_path / "results", 2)
    (tmp_path / "latest").symlink_to("results")
    found = collect([tmp_path / "latest"], io.BytesIO())
    assert len(found.hosts) == 2
    assert not found.unread


@pytest.mark.skipif(
    not getattr(os, "geteuid", int)(), reason="only as an ordinary user: root reads everywhere"
)
def test_what_may_not_be_read_is_named(tmp_path):
    folder = made.write(tmp_path / "results", 2)
    (folder / "dev-1.json").chmod(0)
    (folder / "closed").mkdir(mode=0)
    found = collect([folder], io.BytesIO())
    assert {Path(one.file).name for one in found.unread} == {"dev-1.json", "closed"}
    assert len(found.hosts) == 1


def refused(*_args, **_kwargs):
    raise PermissionError(13, "Permission denied")


def test_where_nobody_may_look_is_named(tmp_path, monkeypatch):
    """A folder that lists its names and shows no more of them; as root it cannot be made."""
    folder = made.write(tmp_path / "results", 2)
    for name in ("stat", "lstat"):
        monkeypatch.setattr(Path, name, refused)
    monkeypatch.setattr(os, "open", refused)
    found = collect([folder], io.BytesIO())
    assert {one.why for one in found.unread} == {"cannot be read (Permission denied)"}
    assert len(found.unread) == 2


def test_a_stream_of_lines(monkeypatch):
    monkeypatch.setattr("reconciler.fleet.files.LARGEST", 100_000)
    good = json.dumps(made.envelope("a", "in_sync")).encode()
    stream = io.BytesIO(
        b"\n".join([good, b"", b"x" * 250_000, b"{", json.dumps(made.plan()).encode()])
    )
    found = collect([Path("-")], stream)
    assert [host.name for host in found.hosts] == ["a", "stdin:5"]
    assert [(one.file, one.why) for one in found.unread] == [
        ("stdin:3", "is larger than 16 MB"),
        ("stdin:4", "is not JSON, or only the beginning of it"),
    ]


# Many machines.


def test_identical_plans_are_one_group_the_largest_first():
    found = told(
        *(made.envelope(f"a{n}", "pending", plan=made.plan(made.MODEL)) for n in range(3)),
        made.envelope("b", "pending", plan=made.plan(made.KEY)),
    )
    assert [(len(one.hosts), str(one.changes[0].address)) for one in found.plans] == [
        (3, "cursor/model/gpt-4o"),
        (1, "cursor/provider/openai"),
    ]


def test_plans_that_differ_in_one_value_are_two():
    other = {**made.MODEL, "edits": [made.edit("override", "disabled", "enabled")]}
    found = told(made.plan(made.MODEL), made.plan(other))
    assert len(found.plans) == 2


def test_what_a_run_did_is_told_apart_from_what_is_to_do():
    plan = made.plan(made.MODEL, made.KEY)
    one = made.envelope("a", "failed", plan=plan, apply=made.applied(made.MODEL))
    found = told(one)
    assert [(p.done, [str(c.address) for c in p.changes]) for p in found.plans] == [
        (False, ["cursor/provider/openai"]),
        (True, ["cursor/model/gpt-4o"]),
    ]


def ids(*counts):
    """A pending key on so many machines of each fingerprint key; no two fingerprints alike."""
    for ring, count in enumerate(counts):
        for n in range(count):
            old = f"{ring:04x}{n:08x}" if count == 1 else made.OLD
            key = made.change(
                "cursor/provider/openai",
                "update",
                "manifest",
                made.edit("key", made.sealed(old, None), made.sealed(made.NEW)),
            )
            yield made.envelope(
                f"h{ring}-{n}", "pending", plan=made.plan(key, key_id=f"{ring:04x}")
            )


def test_machines_with_fingerprint_keys_of_their_own_are_compared_without_fingerprints():
    found = told(*ids(*[1] * 30))
    (alone,) = found.plans
    assert len(alone.hosts) == 30
    assert not any(ring.shared for ring in found.keyrings)
    assert "30 other fingerprint keys" in render_text(found, width=200)
    assert "policy.fingerprint_key" in render_text(found, width=200)
    assert "1a2b" not in render_text(found, width=200)


def test_stray_machines_do_not_hide_the_fingerprints_of_the_others():
    found = told(*ids(40, 1, 1))
    assert [(ring.key_id, ring.shared) for ring in found.keyrings] == [
        ("0000", True),
        ("0001", False),
        ("0002", False),
    ]
    assert [len(one.hosts) for one in found.plans] == [40, 2]


def test_four_digits_that_agree_by_chance_are_not_shared():
    turn = random.Random(1)
    hosts = [
        bare(made.plan(made.KEY, key_id=f"{turn.randrange(65536):04x}"), f"h{n}")
        for n in range(1000)
    ]
    assert len({host.planned.key_id for host in hosts}) < 1000
    assert shared(hosts) == frozenset()


def test_who_has_a_key_and_who_has_still_the_old_one():
    found = told(
        made.envelope("new", "in_sync", plan=made.plan(), keys=made.keys(made.NEW)),
        made.envelope("old", "pending", plan=made.plan(made.KEY)),
        made.envelope("listed", "skipped", keys=made.keys(made.OLD, state="dead")),
        made.envelope("done", "changed", apply=made.applied(made.KEY), keys=made.keys(made.OLD)),
        made.envelope("rogue", "in_sync", plan=made.plan(), keys=made.keys(made.ROGUE)),
    )
    (ring,) = found.keyrings
    assert {(p.fingerprint, p.here, p.coming, p.old) for p in ring.prints} == {
        (made.NEW, ("done", "new"), ("old",), False),
        (made.OLD, ("listed", "old"), (), True),
        (made.ROGUE, ("rogue",), (), False),
    }
    text = render_text(found, width=100)
    assert "old: 2 still have it, dead" in text


def test_who_moved_it_and_what_was_put_back():
    stamps = [f"2026-11-2{n}T00:00:00.000+00:00" for n in (3, 1)]
    found = told(
        *(
            made.envelope(
                f"a{n}", "pending", plan=made.plan(made.DRIFT), status=made.status(made.moved(s))
            )
            for n, s in enumerate(stamps)
        ),
        made.envelope("b", "pending", plan=made.plan(made.DRIFT)),
        made.envelope("c", "changed", apply=made.applied(made.DRIFT)),
    )
    assert [(d.by, d.repaired, d.hosts, d.until[:10]) for d in found.drifts] == [
        (made.BY, False, ("a0", "a1"), "2026-11-23"),
        ("", False, ("b",), ""),
        ("", True, ("c",), ""),
    ]


@pytest.mark.parametrize(
    ("names", "most", "text"),
    [
        ([f"dev-{n:03d}" for n in range(1, 313)], 0, "dev-[001-312]"),
        (["web9", "web10", "web11", "lab"], 0, "lab, web[9,10-11]"),
        (["b", "a"], 0, "a, b"),
        (["h1.x", "h2.x", "h1.y"], 0, "h[1-2].x, h1.y"),
        ([f"n{n}" for n in range(1, 20, 2)], 3, "n[1,3,5] and 7 more"),
        (["0", "00", "1"], 0, "[0-1,00]"),
        (["x\u202ey"], 0, "x\N{REPLACEMENT CHARACTER}y"),
        ([], 0, ""),
    ],
)
def test_names_in_few_words(names, most, text):
    assert folded(names, most) == text


# What is shown.


@pytest.mark.parametrize(
    ("name", "render"),
    [("fleet.txt", lambda found: render_text(found, width=60)), ("fleet.md", render_markdown)],
)
def test_it_is_what_it_was(fleet, name, render):
    """Write it anew with BYOK_GOLDEN=1, and read what git shows."""
    file = HERE / "golden" / name
    if os.environ.get("BYOK_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(render(fleet), encoding="utf-8")
    assert render(fleet) == file.read_text(encoding="utf-8")


def test_the_example_of_the_documents_is_what_it_prints():
    page = (HERE.parents[1] / "docs" / "fleet-report.md").read_text(encoding="utf-8")
    example = page.split("$ byok fleet report byok-results\n")[1].split("```")[0]
    assert render_text(told(*made.results(40)), width=100) == example


@pytest.mark.parametrize("width", [20, 40, 60, 100])
@pytest.mark.parametrize("detail", [False, True])
def test_no_line_is_wider_than_asked(fleet, width, detail):
    text = render_text(fleet, width=width, detail=detail)
    assert max(map(cells, text.splitlines())) <= width


def test_verbose_names_all_places_and_who_has_each_key():
    made_of = [
        made.envelope(
            f"dev-{n}", "failed", error=made.failed(1, f"/mnt/{n}", "full", ""),
            keys=made.keys(made.NEW),
        )
        for n in range(1, 13)
    ]  # fmt: skip
    brief, whole = (render_text(told(*made_of), width=400, detail=each) for each in (False, True))
    assert "/mnt/7 and 2 more\n" in brief
    assert "/mnt/9\n" in whole
    assert brief.count("dev-[1-9,10-12]") == 1
    assert whole.count("dev-[1-9,10-12]") == 4


def test_without_unicode_it_is_ascii(fleet):
    assert render_text(fleet, unicode=False).isascii()


def hostile():
    change = made.change(
        f"cursor/model/{HOSTILE}", "create", "new", made.edit(HOSTILE, HOSTILE, HOSTILE)
    )
    key = made.change(
        "cursor/provider/openai", "update", "manifest",
        made.edit("key", made.sealed(HOSTILE, HOSTILE), made.sealed(made.NEW, HOSTILE)),
    )  # fmt: skip
    drift = {**made.moved(HOSTILE), "address": HOSTILE, "by": HOSTILE, "after": HOSTILE}
    return told(
        made.envelope(
            HOSTILE, "failed", user=HOSTILE, why=HOSTILE, cursor=HOSTILE, byok=HOSTILE,
            plan=made.plan(change, key, key_id=HOSTILE), status=made.status(drift),
            apply=made.applied(pending=[HOSTILE], failed=[
                {"address": HOSTILE, "exit": 5, "message": HOSTILE}
            ]),
            doctor=made.doctor((HOSTILE, HOSTILE, "problem", HOSTILE)),
            keys=made.keys(HOSTILE, HOSTILE, HOSTILE),
            error=made.failed(4, HOSTILE, HOSTILE, HOSTILE),
        ),
        {"format": HOSTILE},
    )  # fmt: skip


@pytest.mark.parametrize("render", [render_text, render_markdown, render_html])
def test_foreign_text_is_only_text(render):
    text = render(hostile())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\u0007" not in text
    if render is not render_text:
        assert "<img" not in text
        assert "<script>alert" not in text
    if render is render_markdown:
        assert "@all" not in text
        assert "`" not in text
        widths = {
            line.count("|") for line in text.splitlines() if line.startswith("| 1 | <code>&#43;")
        }
        assert widths <= {4}


def test_the_page_runs_its_own_script_only_and_loads_nothing(fleet):
    page = render_html(fleet)
    policy = page.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert page.count("<script") == 2
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "http"):
        assert word not in page.replace("http-equiv", ""), word
    assert "style=" not in page
    assert " on" + "click=" not in page


def test_a_page_of_a_thousand_machines_is_small():
    assert len(render_html(told(*made.results(1000)))) < 250_000


def test_markdown_fits_a_comment_however_many_machines():
    odd = [
        made.envelope(
            f"host-{n * 7}-{n % 13}", "failed", plan=made.plan(
                made.change(f"cursor/model/m{n}", "create", "new", made.edit("x", None, "y" * 99))
            ), error=made.failed(4, "w" * 300, f"what {n} " + "@" * 300, "way " * 90),
            doctor=made.doctor((f"BYOK{n}", "c", "problem", "#" * 300)), cursor=f"{n}",
        )
        for n in range(600)
    ]  # fmt: skip
    text = render_markdown(told(*odd))
    assert len(text) < 60_000
    assert "more: byok fleet report has them all" in text


def test_the_document_is_made_of_json_and_counts_everyone(fleet):
    data = json.loads(json.dumps(document(fleet)))
    totals = data["totals"]
    rest = {name: count for name, count in totals.items() if name not in ("hosts", "unreadable")}
    assert totals["hosts"] == len(data["hosts"]) == sum(rest.values()) == 60
    assert data["format"] == "byok.fleet/1"


@pytest.mark.parametrize(
    ("documents", "line"),
    [
        ([], "0 machines."),
        ([made.envelope("a", "in_sync")], "1 machine, in sync."),
        ([made.envelope(n, "in_sync") for n in "ab"], "2 machines, all in sync."),
        (
            [made.envelope("a", "in_sync"), {}],
            "1 machine, in sync. 1 file could not be read.",
        ),
    ],
)
def test_the_last_line(documents, line):
    assert render_text(told(*documents)).splitlines()[-1] == line
