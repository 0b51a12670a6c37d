"""The planner case by case: causes, removal, what is left, how interrupted steps are judged."""

from __future__ import annotations

import pytest

from reconciler import planner
from reconciler.model import Action, Address, Cause, Change, Edit, Record, Sealed, Unknown
from reconciler.planner import Verdict, moved, overlay, record_of, settle

A = Address("cursor", "provider", "openai")
B = Address("cursor", "provider", "zeta")
OURS, THEIRS, NEW, OTHER = (Sealed(letter * 12, f"env://{letter}") for letter in "abcd")
ALL = frozenset({A, B})


def plan(desired=None, actual=None, written=None, scope=ALL):
    """Plan for one address given by its attributes; None is an address that is not there."""
    wrap = lambda attrs: {} if attrs is None else {A: attrs}  # noqa: E731
    return planner.plan(wrap(desired), wrap(actual), wrap(written), scope)


def only(verdict):
    (change,) = verdict.changes
    return change


@pytest.mark.parametrize(
    ("wish", "actual", "record", "cause"),
    [
        ("w", None, None, Cause.NEW),
        ("w", False, None, Cause.NEW),
        ("w", "none", None, Cause.NEW),
        (None, "x", None, Cause.TAKEOVER),
        ("w", "x", None, Cause.TAKEOVER),
        ("w", "", None, Cause.TAKEOVER),
        ("w", 0, None, Cause.TAKEOVER),
        ("w", "old", Record("old", "p"), Cause.MANIFEST),
        (None, "old", Record("old", "p"), Cause.MANIFEST),
        ("w", "old", Record("old", "old", adopted=True), Cause.MANIFEST),
        ("w", "x", Record("w", "p"), Cause.DRIFT),
        ("w", None, Record("w", "p"), Cause.DRIFT),
        ("w", "x", Record("w", "w", adopted=True), Cause.DRIFT),
        ("w", "x", Record("old", "p"), Cause.CONFLICT),
        ("w", None, Record("old", "p"), Cause.CONFLICT),
        (NEW, OURS, Record(OURS, THEIRS), Cause.MANIFEST),
        (NEW, THEIRS, Record(NEW, None), Cause.DRIFT),
    ],
)
def test_the_cause_of_one_edit(wish, actual, record, cause):
    written = None if record is None else {"x": record}
    change = only(plan({"x": wish}, {"x": actual}, written))
    assert change.cause is cause
    assert change.edits == (Edit("x", actual, wish),)


def test_an_attribute_that_is_not_there_is_none():
    assert only(plan({"x": 1}, {})).edits == (Edit("x", None, 1),)
    assert only(plan({"x": 1}, None)).edits == (Edit("x", None, 1),)


@pytest.mark.parametrize(
    ("actual", "record", "edits", "forgotten", "left"),
    [
        ("w", Record("w", "p"), (Edit("x", "w", "p"),), (), ()),
        ("w", Record("w", None), (Edit("x", "w", None),), (), ()),
        ("p", Record("w", "p"), (), ("x",), ()),
        (None, Record("w", None), (), ("x",), ()),
        ("other", Record("w", "p"), (), ("x",), ("x",)),
        (None, Record("w", "p"), (), ("x",), ("x",)),
        ("w", Record("w", "w", adopted=True), (), ("x",), ()),
        ("other", Record("w", "w", adopted=True), (), ("x",), ()),
        (Unknown("locked"), Record("w", "w", adopted=True), (), ("x",), ()),
        (Unknown("locked"), Record("w", "p"), (), (), ()),
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["resource gone", "attribute gone"])
def test_what_is_no_longer_desired(actual, record, edits, forgotten, left, elsewhere):
    desired = {"y": 1} if elsewhere else None
    verdict = plan(desired, {"x": actual, "y": 1}, {"x": record})
    assert tuple(e for c in verdict.changes for e in c.edits) == edits
    assert all(change.cause is Cause.REMOVED for change in verdict.changes)
    assert verdict.forget.get(A, ()) == forgotten
    assert verdict.left.get(A, ()) == left


@pytest.mark.parametrize(
    ("record", "adopted"),
    [
        (None, Record("w", "w", adopted=True)),
        (Record("w", "p"), None),
        (Record("w", "w", adopted=True), None),
        (Record("old", "p"), Record("w", "p")),
        (Record("old", "old", adopted=True), Record("w", "old", adopted=True)),
        (Record("old", OURS), Record("w", OURS)),
    ],
)
def test_what_is_as_desired_is_recorded_without_an_edit(record, adopted):
    verdict = plan({"x": "w"}, {"x": "w"}, None if record is None else {"x": record})
    assert verdict.changes == ()
    assert verdict.adopt == ({} if adopted is None else {A: {"x": adopted}})
    assert verdict.in_sync == 1


@pytest.mark.parametrize(
    ("wish", "actual", "reason"),
    [
        ("w", Unknown("locked"), "x: locked"),
        (None, Unknown("locked"), "x: locked"),
        (Unknown("no source"), "w", "x: no source"),
        (Unknown("no source"), Unknown("locked"), "x: no source"),
    ],
)
def test_the_unknown_is_neither_equal_nor_different(wish, actual, reason):
    verdict = plan({"x": wish}, {"x": actual}, {"x": Record("w", "p")})
    assert verdict == Verdict(unreadable={A: reason})
    assert verdict.summary.unknown == 1
    assert verdict.summary.in_sync == 0


def test_beside_an_unreadable_key_nothing_moves_and_nothing_is_forgotten():
    """Our base URL taken back would send the key that we cannot read to another origin."""
    actual = {"key": Unknown("locked"), "base_url": "https://ours", "enabled": True, "z": 1}
    written = {
        "key": Record(OURS, None),
        "base_url": Record("https://ours", None),
        "enabled": Record(True, None),
        "z": Record(2, None),
    }
    verdict = plan(None, actual, written)
    assert verdict == Verdict(unreadable={A: "key: locked"})
    wish = {"key": NEW, "base_url": "https://new", "enabled": True}
    assert plan(wish, actual, written) == Verdict(unreadable={A: "key: locked"})


def test_the_unknown_of_somebody_else_is_none_of_our_business():
    verdict = plan({"x": 1}, {"x": 0, "y": Unknown("locked")})
    assert only(verdict).edits == (Edit("x", 0, 1),)


@pytest.mark.parametrize(
    ("moved_to", "removed"),
    [
        ({}, ["base_url", "enabled", "key"]),
        ({"key": OTHER}, []),
        ({"key": None}, []),
        ({"base_url": "https://evil"}, []),
        ({"enabled": False}, ["base_url", "key"]),
        ({"key": THEIRS}, ["base_url", "enabled"]),
    ],
    ids=["whole", "key", "key gone", "base_url", "switch", "put back by hand"],
)
def test_a_resource_with_a_secret_is_removed_whole_or_left_whole(moved_to, removed):
    written = {
        "key": Record(OURS, THEIRS),
        "base_url": Record("https://ours", "https://theirs"),
        "enabled": Record(True, "before"),
    }
    actual = {n: r.value for n, r in written.items()} | moved_to
    verdict = plan(None, actual, written)
    assert [e.name for c in verdict.changes for e in c.edits] == removed
    if not removed:
        assert set(verdict.forget[A]) == set(written)
        assert set(verdict.left[A]) == set(written)


@pytest.mark.parametrize(
    ("key", "before", "removed"),
    [
        (OTHER, "https://theirs", False),
        (Unknown("locked"), "https://theirs", False),
        (OTHER, None, True),
        (None, "https://theirs", True),
    ],
)
@pytest.mark.parametrize("wish", [None, {"enabled": True}], ids=["all", "part"])
def test_a_key_that_is_not_ours_is_not_sent_to_an_older_place(key, before, removed, wish):
    """It was put beside our base URL: taking that back would tell another origin the key."""
    actual = {"key": key, "base_url": "https://ours", "enabled": True}
    verdict = plan(wish, actual, {"base_url": Record("https://ours", before)})
    edits = [edit for change in verdict.changes for edit in change.edits]
    assert edits == ([Edit("base_url", "https://ours", before)] if removed else [])
    assert verdict.left == ({} if removed else {A: ("base_url",)})


def test_a_resource_without_a_secret_is_removed_by_attribute():
    written = {"x": Record("a", None), "y": Record("b", None)}
    verdict = plan(None, {"x": "a", "y": "moved"}, written)
    assert only(verdict).edits == (Edit("x", "a", None),)
    assert verdict.left == {A: ("y",)}


def test_a_part_taken_back_does_not_keep_a_wish_from_being_done():
    written = {"key": Record(OURS, None), "base_url": Record("https://ours", None)}
    actual = {"key": OURS, "base_url": "https://moved"}
    verdict = plan({"key": NEW}, actual, written)
    assert only(verdict).edits == (Edit("key", OURS, NEW),)
    assert only(verdict).cause is Cause.MANIFEST


LOUD = [
    (Cause.CONFLICT, ("w", "x", Record("old", None))),
    (Cause.TAKEOVER, ("w", "x", None)),
    (Cause.DRIFT, ("w", "x", Record("w", None))),
    (Cause.MANIFEST, ("w", "old", Record("old", None))),
    (Cause.NEW, ("w", None, None)),
    (Cause.REMOVED, (..., "old", Record("old", None))),
]


@pytest.mark.parametrize("loud", range(6))
@pytest.mark.parametrize("quiet", range(6))
def test_the_loudest_cause_names_the_change(loud, quiet):
    cases = {"a": LOUD[loud], "b": LOUD[quiet]}
    desired = {n: wish for n, (_, (wish, _, _)) in cases.items() if wish is not ...}
    actual = {n: now for n, (_, (_, now, _)) in cases.items()}
    written = {n: record for n, (_, (_, _, record)) in cases.items() if record is not None}
    assert only(plan(desired, actual, written)).cause is LOUD[min(loud, quiet)][0]


@pytest.mark.parametrize(
    ("actual", "wish", "action"),
    [
        ({}, {"x": 1}, Action.CREATE),
        ({"x": None, "y": False, "z": "none"}, {"x": 1}, Action.CREATE),
        ({"y": 1}, {"x": 1}, Action.UPDATE),
        ({"x": 1}, {"x": 2}, Action.UPDATE),
        ({"x": 1}, {"x": None}, Action.DELETE),
        ({"x": True}, {"x": False}, Action.DELETE),
        ({"x": 1, "y": 1}, {"x": None}, Action.UPDATE),
        ({"x": 1, "y": ()}, {"x": None}, Action.DELETE),
    ],
)
def test_the_action(actual, wish, action):
    assert only(plan(wish, actual)).action is action


def test_what_is_out_of_scope_is_not_judged():
    args = ({"x": 1}, {"x": 2}, {"x": Record(3, None)})
    assert plan(*args, scope=frozenset({B})) == Verdict()
    assert plan(None, *args[1:], scope=frozenset()) == Verdict()


def test_the_counts():
    addresses = [Address("s", "k", str(n)) for n in range(6)]
    create, update, delete, calm, odd, stranger = addresses
    desired = {create: {"x": 1}, update: {"x": 1}, calm: {"x": 1}, odd: {"x": 1}}
    actual = {
        update: {"x": 2},
        delete: {"x": 1},
        calm: {"x": 1},
        odd: {"x": Unknown("?")},
        stranger: {"x": 1},
    }
    written = {delete: {"x": Record(1, None)}}
    verdict = planner.plan(desired, actual, written, set(addresses))
    found = verdict.summary
    assert (found.create, found.update, found.delete) == (1, 1, 1)
    assert (found.in_sync, found.unknown, found.unmanaged, found.observed) == (1, 1, 1, 0)
    assert [change.address for change in verdict.changes] == [create, update, delete]


def change(*edits, cause=Cause.MANIFEST, address=A):
    return Change(address, Action.UPDATE, cause, tuple(Edit(*edit) for edit in edits))


@pytest.mark.parametrize(
    ("edit", "record", "kept"),
    [
        (("x", None, "w"), None, Record("w", None)),
        (("x", "p", "w"), None, Record("w", "p")),
        (("x", "old", "w"), Record("old", "p"), Record("w", "p")),
        (("x", "moved", "w"), Record("w", "p"), Record("w", "p")),
        (("x", "moved", "w"), Record("old", "p"), Record("w", "p")),
        (("x", "mine", "w"), Record("mine", "mine", adopted=True), Record("w", "mine")),
        (("x", "moved", "w"), Record("w", "w", adopted=True), Record("w", "moved")),
        (("x", "old", None), Record("old", "p"), Record(None, "p")),
        (("x", "old", "p"), Record("old", "p"), None),
        (("x", "old", False), Record("old", None), None),
    ],
)
def test_what_the_ledger_holds_after_an_edit(edit, record, kept):
    records = {} if record is None else {"x": record}
    assert record_of(change(edit), records) == {"x": kept}


def test_a_removal_leaves_nothing_to_remember_even_beside_a_change():
    removal = change(("x", "w", "p"), cause=Cause.REMOVED)
    assert record_of(removal, {"x": Record("w", "p")}) == {"x": None}
    assert record_of(removal, {}) == {"x": None}
    both = change(("x", "w", "p"), ("y", 1, 2))
    records = {"x": Record("w", "p"), "y": Record(1, 0)}
    assert record_of(both, records) == {"x": None, "y": Record(2, 0)}


def test_the_copy_of_the_first_key_is_kept_through_every_later_change():
    copy = Sealed(THEIRS.fingerprint, "snapshot://1")
    for edit in (("key", OURS, NEW), ("key", OTHER, NEW), ("key", None, NEW)):
        kept = record_of(change(edit), {"key": Record(OURS, copy)})["key"]
        assert kept.before.ref == "snapshot://1"


@pytest.mark.parametrize(
    ("now", "settled"),
    [
        ("new", {"x": Record("new", "p")}),
        ("old", {}),
        ("other", {}),
        (None, {}),
        (Unknown("locked"), {}),
    ],
)
def test_an_interrupted_step_happened_if_its_value_stands(now, settled):
    written = {A: {"x": Record("old", "p")}}
    found = settle([change(("x", "old", "new"))], {A: {"x": now}}, written)
    assert found.get(A, {}) == settled


def test_of_an_interrupted_step_only_what_stands_is_recorded():
    step = change(("x", None, 1), ("y", None, 2), cause=Cause.NEW)
    assert settle([step], {A: {"x": 1, "y": 5}}, {}) == {A: {"x": Record(1, None)}}


def test_an_interrupted_removal_is_forgotten_once_it_stands():
    step = change(("x", "w", "p"), cause=Cause.REMOVED)
    written = {A: {"x": Record("w", "p")}}
    assert settle([step], {A: {"x": "p"}}, written) == {A: {"x": None}}
    assert settle([step], {A: {"x": "w"}}, written) == {}
    assert overlay(written, {A: {"x": None}}) == {}


def test_a_step_on_what_is_not_there_at_all_did_not_happen():
    assert settle([change(("x", None, 1), cause=Cause.NEW)], {}, {}) == {}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("c", Record("c", "p")),
        ("b", Record("b", "p")),
        ("p", Record("b", "p")),
        ("other", Record("b", "p")),
    ],
)
def test_two_interrupted_steps_in_a_row_remember_what_was_there_first(now, expected):
    """That the second set out from b shows that the first came through, wherever things stand."""
    steps = [change(("x", "p", "b"), cause=Cause.TAKEOVER), change(("x", "b", "c"))]
    assert settle(steps, {A: {"x": now}}, {}) == {A: {"x": expected}}


def test_a_step_that_did_not_happen_is_superseded_by_the_next():
    steps = [change(("x", "p", "b"), cause=Cause.TAKEOVER), change(("x", "p", "c"))]
    assert settle(steps, {A: {"x": "c"}}, {}) == {A: {"x": Record("c", "p")}}
    assert settle(steps, {A: {"x": "b"}}, {}) == {}


def test_steps_of_two_attributes_and_addresses_settle_apart():
    steps = [
        change(("x", 0, 1), cause=Cause.TAKEOVER),
        change(("y", 0, 1), cause=Cause.TAKEOVER),
        change(("x", 0, 1), cause=Cause.TAKEOVER, address=B),
    ]
    found = settle(steps, {A: {"x": 1, "y": 1}, B: {"x": 0}}, {})
    assert found == {A: {"x": Record(1, 0), "y": Record(1, 0)}}


def test_overlay_adds_replaces_and_drops():
    written = {A: {"x": Record(1, 0), "y": Record(1, 0)}, B: {"x": Record(1, 0)}}
    folded = overlay(written, {A: {"x": Record(2, 0), "y": None}, B: {"x": None}})
    assert folded == {A: {"x": Record(2, 0)}}
    assert written[A]["x"] == Record(1, 0)


SAVED = [change(("x", 1, 2), ("y", 1, 2)), change(("x", OURS, NEW), address=B)]


@pytest.mark.parametrize(
    ("fresh", "news"),
    [
        ([], []),
        (SAVED, []),
        (SAVED[1:], []),
        ([change(("x", 1, 2))], []),
        ([change(("x", 1, 2), cause=Cause.CONFLICT)], []),
        ([change(("x", Sealed(OURS.fingerprint), NEW), address=B)], []),
        ([change(("x", 3, 2))], [f"{A} x: the value here moved"]),
        ([change(("x", 1, 3))], [f"{A} x: the wanted value moved"]),
        ([change(("x", 3, 4))], [f"{A} x: the value here and the wanted value moved"]),
        ([change(("z", 1, 2))], [f"{A} z: not in the saved plan"]),
        ([change(("y", 1, 2), address=B)], [f"{B} y: not in the saved plan"]),
        ([change(("x", OURS, OTHER), address=B)], [f"{B} x: the wanted value moved"]),
    ],
)
def test_fewer_edits_are_progress_and_any_other_is_news(fresh, news):
    assert list(moved(SAVED, fresh)) == news
