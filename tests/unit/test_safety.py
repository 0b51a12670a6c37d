"""The rules between a plan and its execution, at their boundaries."""

from __future__ import annotations

import pytest

from reconciler.errors import SafetyStop
from reconciler.model import Action, Address, Cause, Change, Edit
from reconciler.safety import check, takes_away


def address(n):
    return Address("cursor", "model", f"m{n}")


def change(n, action=Action.UPDATE, *, before="a", after="b", irreversible=False):
    edits = (Edit("override", before, after),)
    return Change(address(n), action, Cause.MANIFEST, edits, irreversible)


def owned(count):
    return {address(n) for n in range(count)}


@pytest.mark.parametrize(
    ("touched", "held", "stopped"),
    [
        (3, 10, False),
        (4, 10, True),
        (9, 9, False),
        (30, 100, False),
        (31, 100, True),
        (3, 11, False),
        (4, 11, True),
        (4, 13, True),
        (4, 14, False),
        (10, 10, True),
        (0, 10, False),
        (0, 0, False),
    ],
)
@pytest.mark.parametrize("action", [Action.UPDATE, Action.DELETE])
def test_more_than_thirty_percent_of_ten_or_more_is_many(touched, held, stopped, action):
    changes = [change(n, action) for n in range(touched)]
    if not stopped:
        check(changes, owned(held))
        return
    with pytest.raises(SafetyStop, match=f"{touched} of {held} owned resources") as stop:
        check(changes, owned(held))
    assert "--allow-many" in str(stop.value)
    assert f"{touched * 100 // held} %" in str(stop.value)
    check(changes, owned(held), allow_many=True)


def test_creations_and_what_was_never_ours_do_not_count():
    check([change(n, Action.CREATE) for n in range(10)], owned(10))
    check([change(n) for n in range(100, 200)], owned(10))
    check([change(n) for n in range(50)], set())


def test_an_irreversible_step_needs_its_own_flag():
    changes = [change(0), change(1, irreversible=True), change(2, irreversible=True)]
    with pytest.raises(SafetyStop, match=r"cursor/model/m1: 2 irreversible steps.*--allow-irr"):
        check(changes, set())
    with pytest.raises(SafetyStop):
        check(changes, set(), allow_many=True)
    check(changes, set(), allow_irreversible=True)


@pytest.mark.parametrize(
    ("made", "taken"),
    [
        (change(0, Action.DELETE, after=None), True),
        (change(0, before="a", after=None), True),
        (change(0, before=True, after=False), True),
        (change(0, before="enabled", after="none"), True),
        (Change(address(0), Action.DELETE, Cause.REMOVED, ()), True),
        (change(0, before="a", after="b"), False),
        (change(0, before=None, after="b"), False),
        (change(0, before=False, after=None), False),
        (change(0, Action.CREATE, before=None, after="b"), False),
    ],
)
def test_what_takes_something_away(made, taken):
    assert takes_away(made) is taken


@pytest.mark.parametrize(
    ("pattern", "stopped"),
    [
        ("cursor/model/m0", True),
        ("cursor/model/*", True),
        ("cursor/*", True),
        ("cursor/model/m1", False),
        ("model/m0", False),
        ("CURSOR/MODEL/M0", False),
    ],
)
def test_protect_names_addresses_and_no_flag_lifts_it(pattern, stopped):
    changes = [change(0, Action.DELETE, after=None)]
    flags = {"allow_many": True, "allow_irreversible": True, "protect": [pattern]}
    if not stopped:
        check(changes, owned(1), **flags)
        return
    with pytest.raises(SafetyStop, match=r"policy\.protect"):
        check(changes, owned(1), **flags)
    check([change(0)], owned(1), **flags)


def test_protect_takes_a_name_with_brackets_as_it_is():
    named = Address("cursor", "model", "llama[8b]")
    made = Change(named, Action.DELETE, Cause.REMOVED, (Edit("override", "enabled", None),))
    with pytest.raises(SafetyStop):
        check([made], set(), protect=["cursor/model/llama[8b]"])
