"""Splicing: owned leaves change, every other character stays."""

from __future__ import annotations

import json

import pytest

from reconciler.systems.cursor.splice import Drop, Elements, Put, SpliceError, check, dump, splice

ODD = (
    '{ "big":123456789012345678901234567890,"f":1790000000.123,"e":1e21,'
    '"lone":"\\ud800","u":"\\u00e9é","a":{"x":1,"y":null} }'
)


def test_all_other_text_stays_as_it_was():
    after = splice(ODD, {("a", "x"): Put(2), ("new",): Put("v")})
    assert after == ODD.replace('"x":1', '"x":2').replace("null} }", 'null},"new":"v" }')


GONE = Elements(drop=frozenset({"x"}))


@pytest.mark.parametrize(
    ("text", "edits", "after"),
    [
        ("{}", {("a", "b"): Put(1)}, '{"a":{"b":1}}'),
        ('{"a":null}', {("a", "b"): Put(1)}, '{"a":{"b":1}}'),
        ('{"a":null}', {("a", "b"): Drop()}, '{"a":null}'),
        ('{"a":1}', {("a",): Drop()}, "{}"),
        ('{"a":1,"b":2,"c":3}', {("a",): Drop()}, '{"b":2,"c":3}'),
        ('{"a":1,"b":2,"c":3}', {("b",): Drop()}, '{"a":1,"c":3}'),
        ('{"a":1,"b":2,"c":3}', {("c",): Drop()}, '{"a":1,"b":2}'),
        ('{"a":1,"b":2,"c":3}', {("a",): Drop(), ("b",): Drop()}, '{"c":3}'),
        ('{"a":1,"b":2,"c":3}', {("b",): Drop(), ("c",): Drop()}, '{"a":1}'),
        ('{"a":1,"b":2}', {("a",): Drop(), ("b",): Drop(), ("c",): Put(3)}, '{"c":3}'),
        ('{"a":1,"b":2}', {("b",): Drop(), ("a",): Put(9), ("c",): Put(3)}, '{"a":9,"c":3}'),
        ('{"a":1,"a":2}', {("a",): Put(3)}, '{"a":1,"a":3}'),
        ('{"a":1,"b":0,"a":2}', {("a",): Drop()}, '{"b":0}'),
        ("{}", {("a",): Drop(), ("l",): Elements(drop=frozenset({"x"}))}, "{}"),
        ("{}", {("l",): Elements(add=("x",))}, '{"l":["x"]}'),
        ('{"l":null}', {("l",): Elements(add=("x",))}, '{"l":["x"]}'),
        ('{"l":[ ]}', {("l",): Elements(add=("x",))}, '{"l":["x"]}'),
        ('{"l":["x", 1e21 ,{"k":"x"}]}', {("l",): GONE}, '{"l":[1e21,{"k":"x"}]}'),
        ('{"l":["\\u0078",7,"7"]}', {("l",): Elements(("7", "x"))}, '{"l":["\\u0078",7,"7"]}'),
        ('{"l":["a" , "b"]}', {("l",): Elements(drop=frozenset({"z"}))}, '{"l":["a" , "b"]}'),
    ],
)  # fmt: skip
def test_one_leaf(text, edits, after):
    assert splice(text, edits) == after


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"a":NaN}', '{"a":Infinity}', '{"a":1}x', '\ufeff{"a":1}', "{'a':1}",
     '{"a":1,}', '{"a":"\n"}', '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"],
)  # fmt: skip
def test_what_javascript_would_not_parse_is_refused(text):
    with pytest.raises(SpliceError):
        splice(text, {("b",): Put(1)})


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        ('{"a":1}', {("a", "b"): Put(1)}),
        ('{"a":[]}', {("a", "b"): Drop()}),
        ('{"a":{}}', {("a",): Elements(add=("x",))}),
    ],
)
def test_a_parent_of_another_kind_is_refused(text, edits):
    with pytest.raises(SpliceError):
        splice(text, edits)


def test_an_error_does_not_carry_the_document():
    with pytest.raises(SpliceError) as caught:
        check('{"apiKey":"s3cret"')
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__suppress_context__


def test_dump_is_as_json_stringify():
    assert dump({"b": ["é", "\ud800", "\U0001f600"], "a": 1}) == '{"b":["é","\\ud800","😀"],"a":1}'
    assert json.loads(dump("\ud800")) == "\ud800"


def test_integers_beyond_pythons_limit_are_only_skipped():
    text = '{"n":' + "9" * 5000 + "}"
    assert splice(text, {("a",): Put(1)}) == text[:-1] + ',"a":1}'
