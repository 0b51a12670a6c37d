"""Whatever results come: everybody is counted once, totals add up, and order is nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path

from hypothesis import given, settings, strategies as st

from reconciler.codec import canonical
from reconciler.fleet import collect, report
from reconciler.fleet.document import document
from reconciler.fleet.markdown import render_markdown
from reconciler.fleet.page import render_html
from reconciler.fleet.text import render_text
from tests import fleet_results as made

TEXT = st.text(max_size=12)
PRINTS = st.sampled_from([made.OLD, made.NEW, made.ROGUE])
KEYS = st.sampled_from(["cb72", "0001", ""])
CHANGES = st.lists(st.sampled_from([made.MODEL, made.KEY, made.DRIFT]), max_size=3, unique_by=id)
PLANS = st.none() | st.builds(
    lambda changes, known, unknown: made.plan(*changes, key_id=known, unknown=unknown),
    CHANGES,
    KEYS,
    st.integers(0, 2),
)
ENVELOPES = st.builds(
    made.envelope,
    host=st.sampled_from([f"dev-{n}" for n in range(30)]) | TEXT,
    outcome=st.sampled_from(
        ["in_sync", "pending", "changed", "skipped", "failed", "unreachable", "odd"]
    ),
    why=TEXT,
    user=TEXT,
    cursor=st.none() | TEXT,
    exit=st.none() | st.integers(0, 9),
    plan=PLANS,
    apply=st.none() | st.builds(lambda changes: made.applied(*changes), CHANGES),
    status=st.none() | st.builds(lambda text: made.status(made.moved(text)), TEXT),
    keys=st.none() | st.builds(made.keys, PRINTS, KEYS),
    error=st.none() | st.builds(made.failed, st.integers(0, 9), TEXT, TEXT, TEXT),
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def read(documents):
    lines = "\n".join(json.dumps(one) for one in documents)
    return collect([Path("-")], io.BytesIO(lines.encode()))


@given(st.lists(ENVELOPES | JUNK, max_size=12))
@settings(max_examples=150, deadline=None)
def test_everybody_is_counted_once_and_nobody_is_lost(documents):
    found = read(documents)
    grouped = report(found.hosts, found.unread)
    assert len(found.hosts) + len(found.unread) == len(documents)
    names = [one.host.name for one in grouped.hosts]
    assert len(set(names)) == len(names) == sum(grouped.totals.values())
    for outcome, count in grouped.totals.items():
        assert count == sum(one.outcome is outcome for one in grouped.hosts)
    everyone = set(names)
    for group in (*grouped.plans, *grouped.drifts, *grouped.troubles, *grouped.findings):
        assert group.hosts
        assert set(group.hosts) <= everyone
    for versions in (grouped.cursor, grouped.byok):
        assert sorted(name for _, hosts in versions for name in hosts) == sorted(names)
    for one in grouped.hosts:
        told = [t for t in grouped.troubles if one.host.name in t.hosts]
        if one.outcome != "pending":  # which is one only where no plan says what waits
            stuck = ("skipped", "failing", "unreachable", "unknown")
            assert bool(told) is (one.outcome in stuck)
        assert all(t.outcome is one.outcome for t in told)


@given(st.lists(ENVELOPES, max_size=10), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_in_which_results_come_does_not_matter(documents, turn):
    hosts = read(documents).hosts
    mixed = list(hosts)
    turn.shuffle(mixed)
    first, second = report(hosts, []), report(mixed, [])
    assert canonical(document(first)) == canonical(document(second))
    for render in (render_text, render_markdown, render_html):
        assert render(first) == render(second)


@given(st.binary(max_size=200) | JUNK.map(lambda one: json.dumps(one).encode()))
@settings(max_examples=200, deadline=None)
def test_no_bytes_stop_a_report(data):
    found = collect([Path("-")], io.BytesIO(data))
    render_text(report(found.hosts, found.unread))


@given(JUNK, st.sampled_from(["plan", "apply", "status", "doctor", "keys", "error"]), st.data())
@settings(max_examples=300, deadline=None)
def test_no_field_of_another_type_stops_a_report(junk, part, data):
    """Put something else in the place of any part of a good document."""
    good = {
        "plan": made.plan(made.KEY),
        "apply": made.applied(made.MODEL, failed=[{"address": "a", "exit": 1, "message": "m"}]),
        "status": made.status(made.moved("2026")),
        "doctor": made.doctor(("BYOK203", "cursor/database", "problem", "is gone")),
        "keys": made.keys(made.NEW),
        "error": made.failed(4, "where", "what", "way out"),
    }[part]
    copy = json.loads(json.dumps(good))
    node = copy
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        at = data.draw(st.sampled_from(places))
        if not isinstance(node[at], (dict, list)) or not node[at] or data.draw(st.booleans()):
            node[at] = junk
            break
        node = node[at]
    found = read([copy, made.envelope("good", "in_sync")])
    assert any(host.name == "good" for host in found.hosts)
    grouped = report(found.hosts, found.unread)
    for render in (render_text, render_markdown, render_html):
        render(grouped)
    canonical(document(grouped))
