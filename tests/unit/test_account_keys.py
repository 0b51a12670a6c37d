"""Listed keys in words: few of them, ours first, and an old one told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.secrets import Secret
from reconciler.spec import Manifest, Policy
from reconciler.systems.account import Setting
from reconciler.systems.account.keys import KeyFact, listed, ours_by_hint

KEY = "sk-" + "proj-" + "q7" * 20 + "WxYz"


def setting(limit=None):
    manifest = Manifest("byok.yaml", Path(), policy=Policy(max_key_age_days=limit))
    return Setting("openai", "/providers/openai", manifest, vault=None, door=None)


def lines(sight):
    return [(str(seen.address), seen.text) for seen in sight.observations]


def test_a_key_is_told_with_all_that_is_known():
    fact = KeyFact("ci", date(2026, 1, 2), date(2026, 11, 1), "ada", "active", ours=True)
    assert lines(listed(setting(), [fact])) == [
        (
            "openai/key/ci",
            "the one in use here, active, of ada, made on 2026-01-02, last used on 2026-11-01",
        )
    ]


def test_a_key_of_which_nothing_is_known_is_still_told():
    assert lines(listed(setting(), [KeyFact("")])) == [
        ("openai/key/unnamed", "listed, and nothing is said of it")
    ]


def test_ours_comes_first_then_the_oldest_and_ten_are_enough():
    keys = [KeyFact(f"k{n:02}", date(2026, 1, 28 - n)) for n in range(12)]
    keys += [KeyFact("undated"), KeyFact("mine", date(2026, 2, 1), ours=True)]
    told = lines(listed(setting(), keys))
    assert [where.removeprefix("openai/key/") for where, _ in told] == [
        *("mine", "k11", "k10", "k09", "k08", "k07", "k06", "k05", "k04", "k03"),
        "*",
    ]
    assert told[-1][1] == "and 4 more"
    assert listed(setting(), reversed(keys)) == listed(setting(), keys)


def test_no_keys_no_words():
    assert listed(setting(30), []) == listed(setting(), [])


@pytest.mark.parametrize(("days", "limit", "found"), [(91, 90, 1), (90, 90, 0), (91, None, 0)])
def test_our_key_is_found_when_it_is_too_old(days, limit, found):
    made = datetime.now(UTC).date() - timedelta(days=days)
    ours, other = KeyFact("mine", made, ours=True), KeyFact("other", made)
    findings = listed(setting(limit), [ours, other]).diagnostics
    assert [(f.code, f.path) for f in findings] == [("BYOK116", "/providers/openai/key")] * found


def test_a_key_of_unknown_age_is_not_too_old():
    assert listed(setting(1), [KeyFact("mine", ours=True)]).diagnostics == ()


@pytest.mark.parametrize("mask", ["...", "…", "****", "••••••", "..", "*"])
def test_a_hint_tells_our_key(mask):
    assert ours_by_hint(Secret(KEY), f" sk-proj-{mask}WxYz ")
    assert ours_by_hint(Secret(KEY), f"{mask}WxYz")
    assert not ours_by_hint(Secret(KEY), f"sk-proj-{mask}WxYZ")
    assert not ours_by_hint(Secret(KEY), f"sk-svc-{mask}WxYz")


@pytest.mark.parametrize(
    "hint", ["", " ", "...", "sk-...", "sk-proj-…", "…Yz", "WxYz", "sk-proj-q7q7", "."]
)
def test_a_hint_that_shows_too_little_is_nobodys(hint):
    assert not ours_by_hint(Secret(KEY), hint)


def test_a_hint_may_not_show_a_character_twice():
    assert not ours_by_hint(Secret("abcdef"), "abcd…cdef")
    assert not ours_by_hint(Secret("abcdef"), "abc…def")


def test_a_whole_key_is_its_own_hint():
    assert ours_by_hint(Secret(KEY), KEY)
    assert not ours_by_hint(Secret(""), "")
