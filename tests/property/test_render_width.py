"""Whatever stands in a plan, its text form fits the width."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given, settings, strategies as st

from reconciler.model import (
    Action,
    Address,
    Cause,
    Change,
    Diagnostic,
    Edit,
    Observation,
    Plan,
    Position,
    Scope,
    Sealed,
    Severity,
    Summary,
    Unknown,
)
from reconciler.render import render_html, render_markdown, render_text
from reconciler.render.layout import cells

TEXT = st.text(max_size=90) | st.sampled_from(
    [
        "https://llm.acme.example/" + "long/" * 30,
        "模型" * 40,
        "a b " * 40,
        "👩‍👩‍👧‍👦" * 20,
        " " * 70,
    ]
)
NAME = TEXT.filter(bool)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.builds(Sealed, st.text("0123456789abcdef", min_size=12, max_size=12), st.none() | TEXT)
    | st.builds(Unknown, TEXT)
)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ADDRESS = st.builds(Address, st.sampled_from(["cursor", "openai"]), NAME, NAME)
CHANGE = st.builds(
    Change,
    ADDRESS,
    st.sampled_from(Action),
    st.sampled_from(Cause),
    st.lists(st.builds(Edit, NAME, VALUE, VALUE), max_size=3).map(tuple),
    st.booleans(),
)
FINDING = st.builds(
    Diagnostic,
    NAME,
    st.sampled_from(Severity),
    TEXT,
    TEXT,
    TEXT,
    st.none() | st.builds(Position, TEXT, st.integers(1, 10**6), st.integers(1, 300)),
)
COUNT = st.integers(0, 10**6)
PLAN = st.builds(
    Plan,
    st.just(Scope()),
    st.just("b71c"),
    st.lists(CHANGE, max_size=3).map(tuple),
    st.lists(st.builds(Observation, ADDRESS, TEXT), max_size=2).map(tuple),
    st.lists(FINDING, max_size=2).map(tuple),
    st.builds(Summary, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT),
)


def width_of(line: str) -> int:
    """Count cells without asking the renderer's own measure: wide letters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@settings(deadline=None, max_examples=150)
@given(PLAN, st.sampled_from([20, 40, 60, 80, 120]), st.booleans(), st.booleans())
def test_no_line_is_wider_than_asked(plan, width, detail, unicode):
    text = render_text(plan, width=width, unicode=unicode, detail=detail)
    for line in text.splitlines():
        assert cells(line) <= width
        if line.isascii():
            assert width_of(line) <= width
    assert text.endswith("\n")


@settings(deadline=None, max_examples=100)
@given(PLAN)
def test_colour_never_changes_the_words(plan):
    coloured = render_text(plan, width=60, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_text(plan, width=60)


@settings(deadline=None, max_examples=100)
@given(PLAN)
def test_every_form_takes_every_plan_and_shows_only_what_can_be_seen(plan):
    for form in (render_text, render_markdown, render_html):
        text = form(plan)
        assert text == form(plan)
        assert not {c for c in text if not c.isprintable()} - {"\n"}


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="ab模 -/", max_size=300), st.sampled_from([20, 33, 60]))
def test_nothing_of_a_message_is_lost_by_breaking_it(message, width):
    found = Diagnostic("BYOK104", Severity.WARNING, "/a", message)
    text = render_text(Plan(Scope(), "b71c", diagnostics=(found,)), width=width)
    body = text.split("/a\n", 1)[1].split("\n\nNothing")[0]
    assert re.sub(r"\s", "", body) == re.sub(r"\s", "", message)
