"""A fleet's report of results that an earlier run left behind: told, counted, and never well."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.fleet import collect, report
from reconciler.fleet.document import document
from reconciler.fleet.host import Outcome
from reconciler.fleet.markdown import render_markdown
from reconciler.fleet.page import render_html
from reconciler.fleet.text import render_text
from reconciler.render.layout import cells
from tests import fleet_results as made

DAY = 24 * 60 * 60
NEWEST = 1_700_000_000
WAY_OUT = "run the plan on them, or remove the files of machines that are gone"


def put(folder: Path, name: str, one, seconds: float = 0, newest: int = NEWEST) -> Path:
    """Write a result that is so many seconds older than the newest."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(one))
    os.utime(file, (newest, newest - seconds))
    return file


def told(*paths: Path, stream: bytes = b""):
    found = collect(paths, io.BytesIO(stream))
    return report(found.hosts, found.unread)


def old(found):
    return [(one.days, one.hosts) for one in found.old]


def fleet(folder: Path, newest: int = NEWEST, **days: float):
    folder.mkdir(exist_ok=True)
    for name, each in days.items():
        put(folder, name, made.envelope(name, "in_sync"), each * DAY, newest)
    return told(folder)


def test_who_was_told_of_more_than_a_day_before_the_newest(tmp_path):
    found = fleet(tmp_path, dev1=0, dev2=9, dev3=9.9, dev4=2, dev5=0.5)
    assert old(found) == [(9, ("dev2", "dev3")), (2, ("dev4",))]


@pytest.mark.parametrize(
    ("seconds", "groups"),
    [(DAY, []), (DAY + 1, [(1, ("b",))]), (2 * DAY - 1, [(1, ("b",))]), (2 * DAY, [(2, ("b",))])],
)
def test_a_day_is_a_day(tmp_path, seconds, groups):
    put(tmp_path, "a", made.envelope("a", "in_sync"))
    put(tmp_path, "b", made.envelope("b", "in_sync"), seconds)
    assert old(told(tmp_path)) == groups


def test_the_larger_group_comes_first_and_of_two_alike_the_older(tmp_path):
    found = fleet(tmp_path, a=0, b=9, c=10, d=2, e=2)
    assert [days for days, _ in old(found)] == [2, 10, 9]


def test_an_old_result_counts_as_what_it_says_and_is_not_well(tmp_path):
    found = fleet(tmp_path, a=0, b=3)
    assert found.totals[Outcome.IN_SYNC] == 2
    assert not found.well
    assert fleet(tmp_path, a=3, b=3).well


def test_a_stream_has_no_time(tmp_path):
    put(tmp_path, "a", made.envelope("a", "in_sync"), 9 * DAY)
    line = json.dumps(made.envelope("b", "in_sync")).encode()
    found = told(tmp_path, Path("-"), stream=line)
    assert len(found.hosts) == 2
    assert old(found) == []


def test_of_a_machine_with_several_files_the_oldest_counts_and_the_newest_for_the_others(tmp_path):
    put(tmp_path, "a.plan", made.plan(), 9 * DAY)
    put(tmp_path, "a.status", made.status())
    put(tmp_path, "b", made.plan(), 2 * DAY)
    assert old(told(tmp_path)) == [(9, ("a",)), (2, ("b",))]


def test_what_is_no_result_makes_no_other_old(tmp_path):
    put(tmp_path, "a", made.envelope("a", "in_sync"), 9 * DAY)
    put(tmp_path, "cut", "")
    put(tmp_path, "report", document(told(tmp_path)))
    found = told(tmp_path)
    assert [one.host.name for one in found.hosts] == ["a"]
    assert old(found) == []


def test_files_of_any_time_are_read(tmp_path):
    put(tmp_path, "a", made.envelope("a", "in_sync"))
    put(tmp_path, "b", made.envelope("b", "in_sync"), NEWEST)
    put(tmp_path, "c", made.envelope("c", "in_sync"), NEWEST + 10)
    assert old(told(tmp_path)) == [(19675, ("b", "c"))]


def test_the_report_of_the_same_files_is_the_same_tomorrow(tmp_path):
    ages = {"a": 0, "b": 2, "c": 9}
    today, tomorrow = (fleet(tmp_path, NEWEST + later, **ages) for later in (0, DAY))
    for render in (render_text, render_markdown, render_html, document):
        assert render(today) == render(tomorrow)


# What is shown.


@pytest.fixture
def some(tmp_path):
    ages = {f"dev-{n:02}": 0 for n in range(1, 9)} | {"dev-03": 9, "dev-04": 9, "dev-07": 1.5}
    return fleet(tmp_path, **ages)


def test_the_terminal_tells_them(some):
    part = render_text(some, width=100).split("Old results\n")[1].splitlines()
    assert part[:5] == [
        "  2 machines  9 days older than the newest result",
        "    dev-[03-04]",
        "  1 machine  1 day older than the newest result",
        "    dev-07",
        f"  fix: {WAY_OUT}",
    ]
    assert part[-1] == "8 machines, all in sync. 3 have old results."
    assert max(map(cells, render_text(some, width=20).splitlines())) <= 20
    assert render_text(some, unicode=False).isascii()


def test_the_example_of_the_documents_is_what_it_prints(tmp_path):
    page = Path(__file__).parents[2].joinpath("docs", "fleet-report.md").read_text("utf-8")
    example = page.split("```text\nOld results\n")[1].split("```")[0]
    ages = {f"dev-{n:02}": 0 for n in range(1, 41)} | {"dev-03": 9, "dev-07": 9}
    text = render_text(fleet(tmp_path, **ages), width=100)
    assert text.split("Old results\n")[1] == example


def test_markdown_tells_them(some):
    text = render_markdown(some)
    part = text.split("#### Old results\n\n")[1]
    assert "| 2 | 9 days older than the newest result | <code>dev-&#91;03-04&#93;</code> |" in part
    assert WAY_OUT in part
    assert "3 have old results." in text.partition("#### ")[0]


def test_the_document_tells_them(some):
    assert document(some)["old_results"] == [
        {"days": 9, "way_out": WAY_OUT, "hosts": ["dev-03", "dev-04"]},
        {"days": 1, "way_out": WAY_OUT, "hosts": ["dev-07"]},
    ]
    assert "old" not in document(some)["totals"]


def test_the_page_tells_them(some):
    page = render_html(some)
    part = page.split('<section id="old">')[1].split("</section>")[0]
    assert "<h2>Old results</h2>" in part
    assert '<a href="#group=o1">2 machines</a>' in part
    assert "9 days older than the newest result" in part
    assert f"<p>Fix: {WAY_OUT}</p>" in part
    assert '<a href="#old"><b>3</b>old results</a>' in page


@pytest.mark.parametrize("render", [render_text, render_markdown, render_html])
def test_where_none_is_old_nothing_is_said_of_it(tmp_path, render):
    text = render(fleet(tmp_path, a=0, b=0.9))
    assert "Old results" not in text
    assert "old result" not in text


@pytest.mark.parametrize(
    ("days", "line"),
    [
        ({"a": 0, "b": 2}, "2 machines, all in sync. 1 has an old result."),
        ({"a": 0, "b": 2, "c": 3}, "3 machines, all in sync. 2 have old results."),
    ],
)
def test_the_last_line_tells_them(tmp_path, days, line):
    assert render_text(fleet(tmp_path, **days)).splitlines()[-1] == line


def test_the_last_line_tells_them_before_what_could_not_be_read(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    found = fleet(tmp_path, a=0, b=2)
    line = "2 machines, all in sync. 1 has an old result. 1 file could not be read."
    assert render_text(found, width=200).splitlines()[-1] == line


@pytest.mark.parametrize("render", [render_text, render_markdown, render_html])
def test_a_foreign_name_is_only_text(tmp_path, render):
    evil = "</script><img src=x>\u202e\x1b[31m|`"
    put(tmp_path, "a", made.envelope("a", "in_sync"))
    put(tmp_path, "b", made.envelope(evil, "in_sync"), 9 * DAY)
    found = told(tmp_path)
    assert old(found) == [(9, (evil,))]
    text = render(found)
    assert not {"\x1b", "\u202e"} & set(text)
    assert render is render_text or "<img" not in text


def test_markdown_still_fits_a_comment_where_all_sections_are_full():
    odd = [
        made.envelope(
            f"host-{n * 7}-{n % 13}", "failed", plan=made.plan(
                made.change(f"cursor/model/m{n}", "create", "new", made.edit("x", None, "y" * 99)),
                made.change(
                    f"cursor/provider/p{n}", "update", "drift",
                    made.edit("key", made.sealed(f"{n:012x}"), made.sealed(f"{n + 5000:012x}")),
                ), key_id=f"{n % 2:04}",
            ), error=made.failed(4, "w" * 300, f"what {n} " + "@" * 300, "way " * 90),
            apply=made.applied(pending=[f"cursor/provider/{n}" + "a" * 200]),
            doctor=made.doctor((f"BYOK{n}", "c", "problem", "#" * 300)), cursor=f"{n}" * 40,
        )
        for n in range(600)
    ]  # fmt: skip
    lines = "\n".join(map(json.dumps, [*odd, *({"format": f"{n}/1"} for n in range(600))]))
    found = collect([Path("-")], io.BytesIO(lines.encode()))
    hosts = [replace(one, written=(n * DAY * 2,)) for n, one in enumerate(found.hosts)]
    text = render_markdown(report(hosts, found.unread))
    assert text.count("#### ") == 10
    assert text.count("more: byok fleet report has them all") == 10
    assert len(text) < 60_000
