"""Laws of the planner, for any manifest, any world and any record of what we wrote."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
from hypothesis import assume, event, given, settings, strategies as st

from reconciler import planner
from reconciler.codec import dump_plan, load_plan, nothing, same
from reconciler.model import (
    Address,
    Cause,
    Diagnostic,
    Edit,
    Observation,
    Plan,
    Position,
    Record,
    Scope,
    Sealed,
    Severity,
    Unknown,
)
from reconciler.planner import moved, overlay, record_of, settle

ADDRESSES = [
    Address("cursor", "provider", "openai"),
    Address("cursor", "provider", "azure"),
    Address("cursor", "model", "a/b"),
    Address("cursor", "model", "z"),
]
NAMES = ["base_url", "enabled", "key"]

plain = st.sampled_from([None, False, True, 0, 1, 1.0, "", "none", "a", "b", (), ("a",)])
nested = st.recursive(
    st.sampled_from([None, False, 1, 1.0, "a", Sealed("aaaa")]),
    lambda inner: (
        st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
    ),
    max_leaves=5,
)
secrets = st.builds(
    Sealed,
    st.sampled_from(["aaaa", "bbbb", "cccc"]),
    st.sampled_from([None, "env://A", "sops://f#/a", "snapshot://1"]),
)
values = plain | secrets | nested
attrs = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
resources = st.dictionaries(st.sampled_from(ADDRESSES), attrs, max_size=4)
records = st.builds(Record, values, values, st.booleans())
writtens = st.dictionaries(
    st.sampled_from(ADDRESSES), st.dictionaries(st.sampled_from(NAMES), records, max_size=3)
)
scopes = st.sets(st.sampled_from(ADDRESSES))
EVERYTHING = frozenset(ADDRESSES)


def put(world, change):
    """Carry a change out, as every system must."""
    place = {**world.get(change.address, {})}
    for edit in change.edits:
        assert same(place.get(edit.name), edit.before), "a plan must say what it found"
        place[edit.name] = edit.after
    return {**world, change.address: place}


def note(written, verdict):
    """Fold in what a run records without writing."""
    written = overlay(written, verdict.adopt)
    drop = {a: dict.fromkeys(names) for a, names in verdict.forget.items()}
    return overlay(written, drop)


def step(world, written, change):
    done = record_of(change, written.get(change.address, {}))
    return put(world, change), overlay(written, {change.address: done})


def look(desired, world, written, scope=EVERYTHING):
    return planner.plan(desired, world, written, scope)


def run(desired, world, written, scope=EVERYTHING):
    """Apply wholly, and fold in the proof at the end, as the engine does."""
    verdict = look(desired, world, written, scope)
    written = note(written, verdict)
    for change in verdict.changes:
        world, written = step(world, written, change)
    return world, note(written, look(desired, world, written, scope))


def leaves(world):
    """Return what is there, forms of nothing left out."""
    return {
        (address, name): value
        for address, place in world.items()
        for name, value in place.items()
        if not nothing(value)
    }


def bare(world, manifests):
    """Return the world without resources that hold a secret which some manifest does not name.

    There the planner puts no old place back: it cannot know that the secret belongs to it.
    """
    return {
        address: place
        for address, place in world.items()
        if not any(
            isinstance(value, Sealed) and any(name not in m.get(address, {}) for m in manifests)
            for name, value in place.items()
        )
    }


def alike(left, right):
    one, two = leaves(left), leaves(right)
    return one.keys() == two.keys() and all(same(one[at], two[at]) for at in one)


@given(resources, resources, writtens, scopes)
def test_apply_then_plan_is_empty(desired, world, written, scope):
    world, written = run(desired, world, written, scope)
    verdict = look(desired, world, written, scope)
    assert verdict.changes == ()
    assert (verdict.adopt, verdict.forget, verdict.left) == ({}, {}, {})
    assert verdict.in_sync == len(desired.keys() & scope)
    for address in desired.keys() & scope:
        assert all(same(world.get(address, {}).get(n), v) for n, v in desired[address].items())


def shuffled(data, value):
    if isinstance(value, Mapping):
        items = data.draw(st.permutations(list(value.items())))
        return {key: shuffled(data, item) for key, item in items}
    if isinstance(value, tuple):
        return tuple(shuffled(data, item) for item in value)
    if isinstance(value, Record):
        return Record(shuffled(data, value.value), shuffled(data, value.before), value.adopted)
    return value


@given(st.data(), resources, resources, writtens)
def test_order_never_matters_at_any_depth(data, desired, world, written):
    other = [shuffled(data, each) for each in (desired, world, written)]
    one, two = look(desired, world, written), look(*other)
    assert one == two
    texts = {dump_plan(Plan(Scope(), "b71c", verdict.changes)) for verdict in (one, two)}
    assert len(texts) == 1


@given(resources, resources, writtens, scopes)
def test_changes_are_sorted_and_each_says_something(desired, world, written, scope):
    changes = look(desired, world, written, scope).changes
    addresses = [change.address for change in changes]
    assert addresses == sorted(set(addresses))
    for change in changes:
        names = [edit.name for edit in change.edits]
        assert names == sorted(set(names))
        assert names
        assert not any(same(edit.before, edit.after) for edit in change.edits)


@given(resources, resources, writtens, scopes)
def test_what_is_unmanaged_never_changes(desired, world, written, scope):
    verdict = look(desired, world, written, scope)
    after, _ = run(desired, world, written, scope)
    for address, place in world.items():
        for name, value in place.items():
            ours = name in desired.get(address, {}) or name in written.get(address, {})
            if address not in scope or not ours:
                assert after[address][name] is value
    judged = verdict.adopt.keys() | verdict.forget.keys() | verdict.unreadable.keys()
    assert judged <= scope & (desired.keys() | written.keys())


@given(resources, resources, writtens)
def test_planning_changes_none_of_its_inputs(desired, world, written):
    kept = copy.deepcopy((desired, world, written))
    verdict = look(desired, world, written)
    settle(verdict.changes, world, written)
    overlay(written, verdict.adopt)
    assert (desired, world, written) == kept


texts = st.text(max_size=20)
diagnostics = st.builds(
    Diagnostic,
    texts,
    st.sampled_from(Severity),
    texts,
    texts,
    texts,
    st.none()
    | st.builds(Position, st.text("abc.-é", max_size=9), st.integers(1, 9), st.integers(1, 9)),
)
observations = st.builds(Observation, st.sampled_from(ADDRESSES), texts)
deep = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=6) | st.builds(Sealed, texts, st.none() | texts)
    | st.builds(Unknown, texts),
    lambda inner: st.dictionaries(texts, inner, max_size=3) | st.lists(inner).map(tuple),
    max_leaves=8,
)  # fmt: skip
edits = st.lists(st.builds(Edit, texts, deep, deep), max_size=3).map(tuple)
changes_of_any_kind = st.builds(
    planner.Change,
    st.sampled_from(ADDRESSES),
    st.sampled_from(planner.Action),
    st.sampled_from(Cause),
    edits,
    st.booleans(),
)
plans = st.builds(
    Plan,
    st.builds(
        Scope,
        st.lists(texts, min_size=1, unique=True).map(tuple),
        st.booleans(),
        st.lists(texts).map(tuple),
    ),
    texts,
    st.lists(changes_of_any_kind, max_size=3).map(tuple),
    st.lists(observations, max_size=2).map(tuple),
    st.lists(diagnostics, max_size=2).map(tuple),
    st.builds(planner.Summary, *[st.integers(0, 99)] * 7),
)


@given(plans)
def test_plan_to_json_to_plan_is_the_identity(plan):
    text = dump_plan(plan)
    back = load_plan(text.encode().decode())
    assert back == plan
    assert dump_plan(back) == text
    refs = [getattr(e.after, "ref", None) for c in plan.changes for e in c.edits]
    assert [getattr(e.after, "ref", None) for c in back.changes for e in c.edits] == refs


@given(st.data(), resources, resources, writtens)
def test_after_any_first_steps_planning_again_gives_exactly_the_rest(data, desired, world, written):
    verdict = look(desired, world, written)
    k = data.draw(st.integers(0, len(verdict.changes)))
    written = note(written, verdict)
    for change in verdict.changes[:k]:
        world, written = step(world, written, change)
    again = look(desired, world, written)
    assert again.changes == verdict.changes[k:]
    assert list(moved(verdict.changes, again.changes)) == []


@given(st.data(), resources, resources, writtens)
def test_leaving_out_one_step_leaves_that_step(data, desired, world, written):
    verdict = look(desired, world, written)
    assume(verdict.changes)
    left_out = data.draw(st.sampled_from(verdict.changes))
    written = note(written, verdict)
    for change in verdict.changes:
        if change is not left_out:
            world, written = step(world, written, change)
    assert look(desired, world, written).changes == (left_out,)


@given(st.lists(resources, min_size=1, max_size=3), resources)
def test_removal_after_any_manifests_brings_the_world_back(manifests, world):
    world = bare(world, manifests)
    now, written = world, {}
    for desired in manifests:
        now, written = run(desired, now, written)
    now, written = run({}, now, written)
    assert alike(now, world)
    assert written == {}


@given(resources, resources, st.data())
def test_removal_leaves_what_others_moved(desired, world, data):
    now, written = run(desired, world, {})
    others = data.draw(resources)
    then = {a: {**now.get(a, {}), **others.get(a, {})} for a in ADDRESSES}
    after, written = run({}, then, written)
    assert written == {}
    for address in ADDRESSES:
        mine, came, was = now.get(address, {}), then[address], world.get(address, {})
        for name in NAMES:
            stood, end = came.get(name), after[address].get(name)
            untouched = same(stood, mine.get(name))
            assert same(end, stood) or (untouched and same(end, was.get(name)))


theirs = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([Sealed("dddd"), "theirs", 7]))
worlds = st.dictionaries(st.sampled_from(ADDRESSES), theirs)


@given(
    worlds, st.lists(resources, min_size=1, max_size=3), st.sampled_from([None, "x", Sealed("e")])
)
def test_however_often_drift_is_repaired_removal_brings_back_the_first_value(world, wishes, odd):
    world = bare(world, wishes)
    now, written = world, {}
    for desired in wishes:
        now, written = run(desired, now, written)
        for address, place in written.items():
            moved_away = {n: odd for n, record in place.items() if not record.adopted}
            now = {**now, address: {**now.get(address, {}), **moved_away}}
        now, written = run(desired, now, written)
    now, written = run({}, now, written)
    assert alike(now, world)
    assert written == {}


@given(resources, resources)
def test_adopted_values_survive_removal(desired, world):
    world = {
        a: {**world.get(a, {}), **dict(list(desired.get(a, {}).items())[:2])} for a in ADDRESSES
    }
    calm = {
        (address, name): value
        for (address, name), value in leaves(world).items()
        if name in desired.get(address, {}) and same(desired[address][name], value)
    }
    now, written = run(desired, world, {})
    assert all(written[a][n].adopted for a, n in calm)
    now, written = run({}, now, written)
    assert all(now[a][n] is value for (a, n), value in calm.items())


@given(resources, resources, resources, st.sets(st.sampled_from(ADDRESSES)))
def test_two_owners_of_disjoint_addresses_do_not_undo_each_other(one, two, world, mine):
    one = {a: place for a, place in one.items() if a in mine}
    two = {a: place for a, place in two.items() if a not in mine}
    world = bare(world, [{**one, **two}])
    now, first = run(one, world, {})
    now, second = run(two, now, {})
    assert look(one, now, first).changes == ()
    assert look(two, now, second).changes == ()
    now, _ = run({}, now, first)
    assert look(two, now, second).changes == ()
    now, _ = run({}, now, second)
    assert alike(now, world)


@given(st.data(), resources, resources, writtens)
def test_the_unknown_never_produces_an_edit(data, desired, world, written):
    inputs = [{a: dict(place) for a, place in side.items()} for side in (desired, world)]
    blind = set()
    for side in inputs:
        for address, place in side.items():
            for name in data.draw(st.sets(st.sampled_from(sorted(place)))) if place else ():
                place[name] = Unknown("locked")
                blind.add((address, name))
    verdict = look(*inputs, written)
    for change in verdict.changes:
        for edit in change.edits:
            assert (change.address, edit.name) not in blind
            assert not isinstance(edit.before, Unknown)
            assert not isinstance(edit.after, Unknown)
    assert verdict.unreadable.keys() <= {address for address, _ in blind}
    for address in verdict.unreadable:
        assert address not in verdict.forget
        assert address not in {change.address for change in verdict.changes}


@given(resources, writtens)
def test_what_already_is_as_desired_is_recorded_without_an_edit(desired, written):
    verdict = look(desired, desired, written)
    for change in verdict.changes:
        assert all(edit.name not in desired.get(change.address, {}) for edit in change.edits)
    written = note(written, verdict)
    for address, place in desired.items():
        for name, value in place.items():
            assert same(written[address][name].value, value)


@given(resources, writtens)
def test_a_resource_with_a_secret_is_removed_whole_or_left_whole(world, written):
    """Whole: never a key left without the place that it was written for, nor the other way."""
    verdict = look({}, world, written)
    by_address = {change.address: change for change in verdict.changes}
    for address, place in written.items():
        now = world.get(address, {})
        values_ = [*now.values(), *(record.value for record in place.values())]
        if not any(isinstance(value, Sealed) for value in values_):
            continue
        taken = {e.name for e in by_address[address].edits} if address in by_address else set()
        left = set(verdict.left.get(address, ()))
        places = {n for n in left if not isinstance(now.get(n), bool)}
        assert not (taken and places)


KILLS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=4)


@settings(max_examples=200)
@given(resources, st.lists(resources, min_size=1, max_size=3), KILLS)
def test_killed_anywhere_the_next_run_converges_and_removal_still_brings_all_back(
    world, manifests, kills
):
    """Each run dies at one step, before or after its write; the manifest may move in between."""
    start = world = bare(world, manifests)
    written, open_steps = {}, []

    def resume(desired, world, written):
        found = settle(open_steps, world, written)
        open_steps.clear()
        return look(desired, world, overlay(written, found)), overlay(written, found)

    for (at, wrote), desired in zip(kills, manifests * 4, strict=False):
        verdict, written = resume(desired, world, written)
        written = note(written, verdict)
        for number, change in enumerate(verdict.changes):
            if number == at:
                open_steps.append(change)
                world = put(world, change) if wrote else world
                event(f"killed {'after' if wrote else 'before'} a write")
                break
            world, written = step(world, written, change)
    verdict, written = resume(manifests[-1], world, written)
    world, written = run(manifests[-1], world, written)
    assert look(manifests[-1], world, written).changes == ()
    world, written = run({}, world, written)
    assert alike(world, start)
    assert written == {}


@pytest.mark.parametrize("drift", [False, True], ids=["in sync", "all drifted"])
def test_ten_thousand_resources_are_compared_once_each(monkeypatch, drift):
    """Linear: the comparisons are counted, because a clock would lie on a busy machine."""
    counts = {}
    for size in (100, 10_000):
        made = [Address("cursor", "model", f"m{n}") for n in range(size)]
        desired = {a: {"override": "enabled", "custom": True} for a in made}
        world = {a: {"override": "none" if drift else "enabled", "custom": True} for a in made}
        written = {a: {n: Record(v) for n, v in desired[a].items()} for a in made}
        asked = []
        monkeypatch.setattr(
            planner, "same", lambda *two, asked=asked: asked.append(1) or same(*two)
        )
        verdict = look(desired, world, written, set(made))
        counts[size] = len(asked)
        assert len(verdict.changes) == (size if drift else 0)
    assert counts[10_000] == 100 * counts[100]
