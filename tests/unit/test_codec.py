"""Canonical JSON and plans: equal is equal, different is different, and odd input is refused."""

from __future__ import annotations

import json

import pytest

from reconciler import codec
from reconciler.codec import canonical, decode, dump_plan, encode, load_plan, nothing, same
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

KEY = Sealed("9f2c61d0a4b1", "sops://secrets/team.enc.yaml#/openai/key")
PLAN = Plan(
    scope=Scope(("cursor",), offline=True, targets=("cursor/*",)),
    fingerprint_key="b71c",
    changes=(
        Change(
            Address("cursor", "provider", "openai"),
            Action.CREATE,
            Cause.NEW,
            (Edit("enabled", None, True), Edit("key", None, KEY)),
        ),
        Change(
            Address("openai", "spend-limit", "a/b"),
            Action.UPDATE,
            Cause.DRIFT,
            (Edit("limit", {"usd": 1.5, "at": (50, 80)}, {"usd": 2, "at": ()}),),
            irreversible=True,
        ),
    ),
    observations=(Observation(Address("openai", "model", "gpt-4o"), "available to this key"),),
    diagnostics=(
        Diagnostic(
            "BYOK103",
            Severity.WARNING,
            "/endpoints/ollama/base_url",
            "unreachable",
            "move it",
            Position("byok.yaml", 34, 5),
        ),
        Diagnostic("BYOK114", Severity.NOTE, "", "zero retention does not hold"),
    ),
    summary=Summary(1, 1, 0, 4, 1, 0, 17),
)


def test_canonical_text_is_sorted_tight_and_utf8():
    assert canonical({"b": [1, {"z": None, "a": "ü\n"}], "a": True}) == (
        '{"a":true,"b":[1,{"a":"ü\\n","z":null}]}'
    )


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), float("-inf")])
def test_figures_that_json_does_not_have_are_refused(figure):
    with pytest.raises(ValueError):
        canonical(figure)


def test_half_a_surrogate_pair_can_be_stored_and_comes_back():
    text = canonical({"a\udc80": "x\ud800y"})
    assert json.loads(text.encode().decode()) == {"a\udc80": "x\ud800y"}
    assert canonical("😀") == '"😀"'


VALUES = [
    None,
    True,
    False,
    0,
    1,
    -7,
    1.5,
    "",
    "text",
    "none",
    (),
    (1, "a", (None,)),
    {},
    {"fingerprint": "x", "ref": None},
    {"unknown": "x"},
    {"object": {}},
    {"a": {"b": (True, KEY)}},
    KEY,
    Sealed("aa"),
    Unknown("locked"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(value):
    back = decode(json.loads(canonical(encode(value))))
    assert back == value
    assert type(back) is type(value)
    if isinstance(value, Sealed):
        assert back.ref == value.ref


def test_no_two_values_share_a_text():
    texts = [canonical(encode(value)) for value in VALUES]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": 1},
        {"fingerprint": "x"},
        {"fingerprint": 1, "ref": None},
        {"fingerprint": "x", "ref": None, "value": "y"},
        {"fingerprint": "x", "ref": 1},
        {"unknown": None},
        {"unknown": "x", "more": 1},
        {"object": []},
        {"object": {}, "more": 1},
        [{"a": 1}],
        {"object": {"a": {"b": 1}}},
    ],
    ids=repr,
)
def test_other_shapes_are_no_values(data):
    with pytest.raises(ValueError, match="not a value"):
        decode(data)


@pytest.mark.parametrize("value", [None, False, "none", ()], ids=repr)
def test_nothing(value):
    assert nothing(value)
    assert all(same(value, other) for other in (None, False, "none", ()))


@pytest.mark.parametrize("value", [0, 0.0, "", "None", "false", {}, (None,), True, KEY], ids=repr)
def test_something(value):
    assert not nothing(value)
    assert not same(value, None)
    assert same(value, value)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, True, False),
        (0, False, False),
        (1, 1.0, False),
        ("1", 1, False),
        ("", None, False),
        ("a", "a", True),
        ("a", "A", False),
        ((1, 2), (2, 1), False),
        ((1, 2), (1, 2, 3), False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": None}, {"a": False}, False),
        (KEY, Sealed(KEY.fingerprint, "env://OTHER"), True),
        (KEY, Sealed("0" * 12, KEY.ref), False),
        (KEY, KEY.fingerprint, False),
        (KEY, {"fingerprint": KEY.fingerprint, "ref": KEY.ref}, False),
        ({"k": KEY}, {"k": Sealed(KEY.fingerprint, None)}, True),
        ((KEY,), (Sealed("0" * 12),), False),
        ({"k": KEY}, {"k": "x"}, False),
        (Unknown("x"), Unknown("x"), False),
        (Unknown("x"), None, False),
        (None, Unknown("x"), False),
        (KEY, Unknown("x"), False),
        ({"k": Unknown("x")}, {"k": Unknown("x")}, False),
        ((Unknown("x"),), (Unknown("x"),), False),
        ({"unknown": "x"}, Unknown("x"), False),
    ],
)
def test_same(left, right, equal):
    assert same(left, right) is equal
    assert same(right, left) is equal


def test_a_plan_comes_back_and_says_it_in_the_same_bytes():
    text = dump_plan(PLAN)
    assert load_plan(text) == PLAN
    assert dump_plan(load_plan(text)) == text
    assert text.endswith("}\n")
    assert text.count("\n") == 1


def test_a_plan_names_a_file_without_its_folder():
    for file in ("byok.yaml", "/home/me/team/byok.yaml", "C:\\team\\byok.yaml"):
        found = Diagnostic("BYOK103", Severity.NOTE, "", "x", position=Position(file, 1, 1))
        assert codec.diagnostic_to_json(found)["file"] == "byok.yaml"


@pytest.fixture
def document():
    return json.loads(dump_plan(PLAN))


def spoiled(document, path, value):
    *way, last = path
    place = document
    for step in way:
        place = place[step]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["scope"], KeyError),
        (["scope"], None),
        (["scope", "systems"], "cursor"),
        (["scope", "systems"], [1]),
        (["scope", "offline"], "no"),
        (["scope", "targets"], None),
        (["fingerprint_key"], 7),
        (["changes"], {}),
        (["changes"], ""),
        (["changes"], [None]),
        (["changes", 0, "address"], "cursor/provider"),
        (["changes", 0, "address"], None),
        (["changes", 0, "action"], "destroy"),
        (["changes", 0, "action"], []),
        (["changes", 0, "cause"], "because"),
        (["changes", 0, "irreversible"], 0),
        (["changes", 0, "edits"], {"name": 1}),
        (["changes", 0, "edits", 0, "name"], None),
        (["changes", 0, "edits", 0, "after"], KeyError),
        (["changes", 0, "edits", 0, "after"], {"secret": "x"}),
        (["observations"], None),
        (["observations", 0, "address"], 5),
        (["diagnostics", 0, "severity"], "fatal"),
        (["diagnostics", 0, "line"], "34"),
        (["diagnostics", 0, "column"], None),
        (["diagnostics", 0, "file"], None),
        (["summary"], []),
        (["summary", "create"], KeyError),
        (["summary", "create"], "1"),
        (["summary", "create"], True),
        (["summary", "create"], float("inf")),
        (["summary", "create"], 1.5),
    ],
    ids=str,
)
def test_a_plan_with_a_field_of_another_kind_is_refused(document, path, value):
    with pytest.raises(ValueError):
        load_plan(spoiled(document, path, value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("1" * 10_000, "not JSON"),
        ("null", "names no format"),
        ("[]", "names no format"),
        ("{}", "names no format"),
        ('{"format": 1}', "names no format"),
        ('{"format": "byok.plan/2"}', "'byok.plan/2'.*reads byok.plan/1"),
        ('{"format": "%s"}' % ("x" * 5000), r"^.{0,130}$"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_plan_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        load_plan(text)


def test_a_value_nested_without_end_is_refused(document):
    document["changes"][0]["edits"][0]["after"] = "HERE"
    deep = "[" * 900 + "]" * 900
    with pytest.raises(ValueError):
        load_plan(json.dumps(document).replace('"HERE"', deep))
