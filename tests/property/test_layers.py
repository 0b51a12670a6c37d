"""Merging: associative, with an identity, absent wins; the whole as one file means the same."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings, strategies as st

from reconciler.errors import ManifestError
from reconciler.manifest import effective, loaded, parse
from reconciler.manifest.document import read
from reconciler.manifest.facts import Facts
from reconciler.manifest.merging import Said, found, over, pointers
from reconciler.model import Position

NAMES = st.sampled_from(["a", "b", "c/d", "e~f", "absent", "enabled"])
SCALARS = st.one_of(st.booleans(), st.integers(0, 3), st.sampled_from(["x", "y", ""]))
VALUES = st.recursive(
    st.one_of(SCALARS, st.lists(SCALARS, max_size=3)),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TREES = st.dictionaries(st.sampled_from(["models", "policy", "team"]), VALUES, max_size=3)
WITH_NULL = st.recursive(
    st.one_of(SCALARS, st.none(), st.lists(SCALARS, max_size=3)),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
NULLS = st.dictionaries(st.sampled_from(["models", "policy", "team"]), WITH_NULL, max_size=3)


def said(tree, file="f"):
    return Said(tree, {at: Position(file, 1, 1) for at, _ in pointers(tree)})


def maps_only(tree):
    """Maps and scalars never meet at one place, as in layers that fit the schema."""
    match tree:
        case dict():
            return {f"{n}{'' if isinstance(v, dict) else '='}": maps_only(v)
                    for n, v in tree.items() if n != "absent"}  # fmt: skip
    return tree


@given(TREES, TREES, TREES)
def test_merging_maps_is_associative(a, b, c):
    one, two, three = (said(maps_only(each), name) for each, name in ((a, "a"), (b, "b"), (c, "c")))
    left, right = over(over(one, two), three), over(one, over(two, three))
    assert left.data == right.data
    assert left.positions == right.positions


@given(TREES)
def test_nothing_is_the_identity_on_both_sides_and_itself_adds_nothing(a):
    one = said(a)
    assert over(one, Said()).data == over(Said(), one).data == over(one, one).data == a
    assert over(one, Said()).positions == over(Said(), one).positions == dict(one.positions)


@given(st.lists(NULLS, min_size=1, max_size=4))
def test_every_part_of_the_whole_has_the_place_of_a_layer_that_says_it(trees):
    whole = Said()
    for number, tree in enumerate(trees):
        whole = over(whole, said(tree, str(number)))
    assert set(whole.positions) - {""} == {at for at, _ in pointers(whole.data)} - {""}
    for at, place in whole.positions.items():
        layer = dict(pointers(trees[int(place.file)]))
        assert at in layer
        here = dict(pointers(whole.data))[at]
        if not isinstance(here, dict):
            assert layer[at] == here


@given(NULLS, st.lists(NULLS, max_size=4), NAMES)
def test_absent_wins_over_all_that_comes_after(first, later, name):
    whole = said({**first, "models": {name: {"absent": True, "provider": "openai"}}})
    for tree in later:
        if isinstance(tree.get("models", {}), dict) and isinstance(
            (tree.get("models") or {}).get(name, {}), dict | None
        ):
            whole = over(whole, said(tree))
    assert whole.data["models"][name]["absent"] is True


@given(NULLS, NULLS)
def test_merging_changes_neither_layer(a, b):
    before = json.dumps([a, b])
    over(said(a), said(b))
    assert json.dumps([a, b]) == before


REFS = st.sampled_from(["env://A", "keyring://byok/x", "sops://s/t.enc.yaml#/o/k", "file://k"])
MAYBE = st.booleans()
WHEN = st.fixed_dictionaries(
    {},
    optional={
        "os": st.sampled_from(["linux", "windows", ["linux", "macos"]]),
        "host": st.sampled_from(["dev-*", "ci-*", ["ci-*", "dev-1?"]]),
        "user": st.sampled_from(["ann", "b*"]),
    },
).filter(bool)


def entry(required, **more):
    return st.fixed_dictionaries(required, optional={**more, "when": WHEN})


IDS = st.sampled_from(
    ["gpt-4o", "o1", "my/model", "a~b", "true", "1.0", "ünï", "x: y", "#z", "-", "\u200b" * 256]
)
LAYERS = st.fixed_dictionaries(
    {"version": st.just(1), "providers": st.fixed_dictionaries({"openai": entry(
        {"key": st.one_of(REFS, st.lists(REFS, min_size=1, max_size=2, unique=True))},
        enabled=MAYBE, absent=MAYBE, optional=MAYBE,
        project=st.text("abc ü\"\\'#:", min_size=1))})},
    optional={
        "models": st.dictionaries(IDS, entry({"provider": st.sampled_from(["openai", "azure"])},
                                  enabled=MAYBE, absent=MAYBE, custom=MAYBE), max_size=3),
        "endpoints": st.dictionaries(st.sampled_from(["gw", "own"]), entry(
            {"type": st.just("custom"), "base_url": st.just("https://h.example/v1"),
             "active": st.just(False)}, key=REFS), max_size=2),
        "budgets": st.dictionaries(st.just("m"), st.fixed_dictionaries(
            {"provider": st.just("openai"), "monthly_usd": st.sampled_from([5, 0.5, 1e6])}),
            max_size=1),
        "policy": st.fixed_dictionaries({}, optional={
            "ignore": st.lists(st.sampled_from(["BYOK113", "BYOK114"]), unique=True),
            "max_key_age_days": st.integers(1, 9)}),
    },
)  # fmt: skip
ANN = Facts("linux", "dev-17", "ann")


@settings(max_examples=80, deadline=None)
@given(
    st.lists(LAYERS, min_size=1, max_size=3), st.sampled_from([ANN, Facts("macos", "ci-1", "b")])
)
def test_the_effective_manifest_loads_again_and_means_the_same(layers, facts):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        paths = [folder / f"{n}.yaml" for n in range(len(layers))]
        for path, layer in zip(paths, layers, strict=True):
            path.write_text(json.dumps(layer, ensure_ascii=False))
        try:
            found = loaded(paths[0], paths[1:], facts)
        except ManifestError as error:  # a model that is a default twice, and the like
            assert not any(d.code in ("BYOK007", "BYOK008") for d in error.diagnostics)
            return
        text = effective.text(found)
        again = parse(text, str(paths[0]), folder, facts)
    same = dict.fromkeys(("positions", "layers", "facts", "left_out"), ())
    assert replace(again, **same) == replace(found.manifest, **same)
    document = effective.document(found)
    assert read(text, "f").data == document["manifest"]
    for at, value in pointers(document["manifest"]):
        if at:
            file, line, _ = document["origins"][at].rsplit(":", 2)
            assert Path(file) in paths
            assert int(line) >= 1
        if at and not isinstance(value, dict | list):
            shown = f"# {document['origins'][at].rpartition(':')[0]}"
            assert shown in text


LOCKS = st.sampled_from(
    ["/providers/openai", "/providers/openai/key", "/models", "/models/a/enabled", "/models/b",
     "/models/b/endpoint", "/budgets/m", "/budgets/m/monthly_usd", "/endpoints/gw/base_url"]
)  # fmt: skip
LOCKED = {
    "version": 1,
    "providers": {"openai": {"key": "env://A", "project": "p"}},
    "endpoints": {"gw": {"type": "custom", "base_url": "https://h.example/v1", "active": False}},
    "models": {"a": {"provider": "openai", "enabled": True}, "b": {"endpoint": "gw"}},
    "budgets": {"m": {"provider": "openai", "monthly_usd": 5}},
}
SWITCHES = {"absent": st.one_of(MAYBE, st.none()), "when": st.one_of(WHEN, st.none())}


def changed(**parts):
    return st.one_of(st.none(), st.fixed_dictionaries({}, optional=parts))


OVERS = st.fixed_dictionaries(
    {},
    optional={
        "providers": st.fixed_dictionaries({}, optional={
            "openai": changed(key=st.sampled_from(["env://A", "env://B", None]), **SWITCHES)}),
        "endpoints": st.fixed_dictionaries({}, optional={"gw": st.one_of(
            changed(when=SWITCHES["when"]),
            st.just({**LOCKED["endpoints"]["gw"], "when": {"user": "x"}}))}),
        "models": st.fixed_dictionaries({}, optional={
            "a": changed(enabled=MAYBE, **SWITCHES),
            "b": changed(endpoint=st.sampled_from(["gw", "own"]), **SWITCHES)}),
        "budgets": st.fixed_dictionaries({}, optional={
            "m": changed(monthly_usd=st.integers(4, 5), provider=st.just("openai"))}),
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(LOCKS, st.lists(OVERS, min_size=1, max_size=2))
def test_what_is_locked_stands_as_it_did_or_the_layers_are_refused(lock, overs):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        paths = [folder / f"{n}.yaml" for n in range(len(overs) + 1)]
        for path, layer in zip(paths, [{**LOCKED, "locked": [lock]}, *overs], strict=True):
            path.write_text(json.dumps(layer))
        try:
            whole = loaded(paths[0], paths[1:], ANN)
        except ManifestError:
            return
    assert found(whole.data, lock) == found(LOCKED, lock)
    absent = whole.data["providers"].get("openai", {}).get("absent")
    assert not (absent and lock.startswith(("/providers", "/budgets")))


@given(st.text(min_size=1))
def test_any_text_reads_back_as_itself_and_in_one_line(text):
    written = effective.scalar(text)
    assert "\n" not in written
    assert read(f"a: {written}  # b\n", "f").data == {"a": text}
    assert read(f"{written}: 1\n", "f").data == {text: 1}
