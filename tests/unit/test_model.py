"""The nouns: addresses read back, secrets compare by fingerprint, nothing can be changed."""

from __future__ import annotations

import dataclasses

import pytest

from reconciler import model
from reconciler.model import Address, Change, Plan, Position, Record, Scope, Sealed, Unknown


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("cursor/provider/openai", ("cursor", "provider", "openai")),
        ("cursor/model/openai/gpt-4o:free", ("cursor", "model", "openai/gpt-4o:free")),
        ("cursor/model//x/", ("cursor", "model", "/x/")),
        ("openai/spend-limit/cursor byok ü", ("openai", "spend-limit", "cursor byok ü")),
    ],
)
def test_an_address_is_its_text(text, parts):
    address = Address.parse(text)
    assert (address.system, address.kind, address.name) == parts
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "cursor", "cursor/model", "cursor/model/", "/a/b", "a//b"])
def test_a_part_is_missing(text):
    with pytest.raises(ValueError, match="is not of the form system/kind/name"):
        Address.parse(text)


def test_addresses_sort_by_their_parts_not_by_their_text():
    texts = ["a/b/c", "a/b/d", "a/b-/a", "b/a/a"]
    assert sorted(map(Address.parse, reversed(texts))) == [
        Address("a", "b", "c"),
        Address("a", "b", "d"),
        Address("a", "b-", "a"),
        Address("b", "a", "a"),
    ]


def test_a_secret_is_its_fingerprint_wherever_it_lives():
    assert Sealed("aa", "env://A") == Sealed("aa", "sops://f#/a") == Sealed("aa")
    assert hash(Sealed("aa", "env://A")) == hash(Sealed("aa"))
    assert Sealed("aa") != Sealed("ab")


def test_a_position_is_what_editors_jump_to():
    assert str(Position("byok.yaml", 3, 7)) == "byok.yaml:3:7"


@pytest.mark.parametrize(
    "noun",
    [n for n in vars(model).values() if dataclasses.is_dataclass(n)],
    ids=lambda n: n.__name__,
)
def test_every_noun_is_frozen_and_holds_nothing_else(noun):
    assert noun.__dataclass_params__.frozen
    assert "__slots__" in vars(noun)


def test_defaults_are_the_empty_things():
    assert Scope() == Scope(("cursor",), offline=False, targets=())
    plan = Plan(Scope(), "b71c")
    assert (plan.changes, plan.observations, plan.diagnostics) == ((), (), ())
    assert Record(1) == Record(1, before=None, adopted=False)
    assert Unknown("x") == Unknown("x")  # as nouns; `codec.same` holds them apart
    assert not Change.__dataclass_fields__["irreversible"].default
