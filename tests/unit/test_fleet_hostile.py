"""What a machine that means ill can put into its result: it costs that machine, and no other."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from reconciler.fleet import collect, report
from reconciler.fleet.document import document
from reconciler.fleet.markdown import render_markdown
from reconciler.fleet.page import render_html
from reconciler.fleet.text import render_text
from tests import fleet_results as made

GOOD = json.dumps(made.envelope("good", "pending", plan=made.plan(made.MODEL)))
RENDERERS = (render_text, render_markdown, render_html, lambda found: json.dumps(document(found)))


def told(*lines: str):
    found = collect([Path("-")], io.BytesIO("\n".join(lines).encode()))
    return report(found.hosts, found.unread)


def planned(value: str) -> str:
    """A pending machine, one of whose values is this JSON."""
    change = {**made.MODEL, "edits": [made.edit("x", None, "HERE")]}
    one = made.envelope("bad", "pending", plan=made.plan(change))
    return json.dumps(one).replace('"HERE"', value)


BAD = {
    "deep list": (planned("[" * 450 + "1" + "]" * 450), "a value is nested deeper than 32 levels"),
    "deep object": (
        planned('{"object":{"a":' * 200 + "1" + "}}" * 200),
        "a value is nested deeper than 32 levels",
    ),
    "many values": (planned(json.dumps([0] * 50_001)), "there are more than 50,000 values"),
    "long text": (planned(json.dumps("x" * 100_001)), "a value is longer than 100,000 characters"),
    "huge exit": (
        json.dumps(made.envelope("bad", "failed", exit=10**4200)),
        "exit is too large a number",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_shown_is_named_and_the_others_are_told(name):
    line, why = BAD[name]
    found = told(line, GOOD)
    assert [one.host.name for one in found.hosts] == ["good"]
    assert [one.why.endswith(why) for one in found.unread] == [True]
    for render in RENDERERS:
        assert "good" in render(found)


@pytest.mark.parametrize("render", RENDERERS)
def test_a_value_as_deep_as_may_be_is_shown(render):
    assert "bad" in render(told(planned("[" * 30 + "1" + "]" * 30)))


def test_a_long_value_and_a_long_list_take_little_room():
    many = told(planned(json.dumps([f"m{n}" for n in range(3000)])))
    long = told(planned(json.dumps("y" * 99_000)))
    assert render_text(many).count("\n") < 30
    assert "and 2,990 more" in render_text(many)
    assert "and 2,500 more" in render_text(many, detail=True)
    for render in (render_text, render_markdown, render_html):
        assert "y" * 401 not in render(long)


def test_a_row_that_is_too_long_hides_no_other_in_markdown():
    wide = [
        {**made.MODEL, "address": f"cursor/model/{'_' * 290}{n}",
         "edits": [made.edit("#" * 250, "&" * 250, f"{'<' * 250}{n}")]}
        for n in range(8)
    ]  # fmt: skip
    text = render_markdown(
        told(
            *(json.dumps(made.envelope(n, "pending", plan=made.plan(*wide))) for n in "ab"),
            json.dumps(made.envelope("c", "pending", plan=made.plan(made.MODEL))),
        )
    )
    assert "<code>a, b</code>" in text
    assert "gpt-4o" in text


@pytest.mark.parametrize("field", ["host", "why", "user", "cursor", "byok"])
def test_half_a_surrogate_pair_is_told_in_every_form(field):
    one = {**made.envelope("bad", "failed", why="x"), field: "\ud800x"}
    found = told(json.dumps(one), GOOD)
    for render in (render_text, render_markdown, render_html):
        assert "good" in render(found).encode().decode()


def test_a_key_that_stands_at_two_places_is_told_with_both():
    ring = made.keys(made.NEW)
    ring["keys"][0]["cursor"] = ["cursor/provider/openai", "cursor/provider/azure"]
    page = render_html(told(json.dumps(made.envelope("a", "in_sync", keys=ring))))
    block = page.split('id="data">')[1].split("</script>")[0]
    data = json.loads(block)
    assert data["keys"][made.NEW].count("cursor/provider/") == 2
    assert data["hosts"][0][6] == [made.NEW]


def test_an_address_of_nothing_stops_no_page():
    done = made.applied(made.MODEL, pending=[""])
    drift = {**made.moved("2026"), "address": "", "edits": [], "by": "", "after": "", "until": ""}
    one = made.envelope("a", "pending", apply=done, status=made.status(drift))
    found = told(json.dumps(one), GOOD)
    for render in RENDERERS:
        assert "good" in render(found)
