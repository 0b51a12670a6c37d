from __future__ import annotations

from pathlib import Path

from reconciler.keycheck import check
from reconciler.model import Address, Sealed
from reconciler.spec import Endpoint, Manifest, Policy

OPENAI = Address("cursor", "provider", "openai")
GOOGLE = Address("cursor", "provider", "google")


def codes(desired, misfits=lambda _key, _kind: False, ages=None, **manifest):
    made = Manifest(file="byok.yaml", folder=Path(), **manifest)
    return [(d.code, d.path) for d in check(made, desired, misfits, ages or {})]


def test_nothing_to_say_of_keys_that_fit_differ_and_are_young():
    desired = {OPENAI: {"key": Sealed("a", "env://A")}, GOOGLE: {"key": Sealed("b", "env://B")}}

    found = codes(desired, ages={(OPENAI, "key"): 90}, policy=Policy(max_key_age_days=90))

    assert found == []


def test_a_misfit_is_judged_by_the_kind_that_fills_the_slot():
    asked = []

    def misfits(key, kind):
        asked.append(kind)
        return True

    gateway = Endpoint("gw", "openrouter", "https://openrouter.ai/api/v1", ("env://A",))
    found = codes({OPENAI: {"key": Sealed("a", "env://A")}}, misfits, endpoints={"gw": gateway})

    assert asked == ["openrouter"]
    assert found == [("BYOK111", "/endpoints/gw/key")]


def test_one_value_under_two_providers():
    desired = {OPENAI: {"key": Sealed("a", "env://A")}, GOOGLE: {"key": Sealed("a", "env://B")}}

    assert codes(desired) == [("BYOK112", "/providers/openai/key")]


def test_a_key_older_than_the_policy():
    desired = {OPENAI: {"key": Sealed("a", "env://A")}}

    found = codes(desired, ages={(OPENAI, "key"): 91}, policy=Policy(max_key_age_days=90))

    assert found == [("BYOK116", "/providers/openai/key")]


def test_the_placeholder_is_no_key():
    desired = {OPENAI: {"key": Sealed("a", "placeholder://no-key")}}

    assert codes(desired, lambda _key, _kind: True) == []
