"""Any JSON is YAML and reads the same; any text at all reads, or is refused in our words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import yaml
from hypothesis import given, settings, strategies as st

from reconciler.errors import ManifestError
from reconciler.manifest import document, parse
from reconciler.manifest.document import read
from reconciler.manifest.pointer import join, split
from reconciler.manifest.scalars import resolve

LETTERS = st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Cn", "Co"],
                        exclude_characters="\u2028\u2029\ufeff")  # fmt: skip
TEXT = st.text(LETTERS, max_size=30)
NUMBERS = st.one_of(
    st.integers(-(10**18) + 1, 10**18 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXT, inner, max_size=4),
    ),
    max_leaves=20,
)
PIECES = st.sampled_from(
    ["version", ": ", "1", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "'", '"', "#", "&a ", "*a",
     "<<", "!t ", "? ", "|\n", ">\n", "---\n", "...\n", "%", "@", "\t", "models", "providers",
     "openai", "key", "env://A", "x", "0x1", ".inf", "~", "é", "\u2028", "\x00", "\x07", "\\"]
)  # fmt: skip


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=5))
def test_any_json_is_yaml_of_the_same_value(data):
    found = read(json.dumps(data, ensure_ascii=False), "f")
    assert found.diagnostics == ()
    assert found.data == data
    assert json.dumps(found.data) == json.dumps(data)  # 1, 1.0 and true are equal in Python


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=5))
def test_both_loaders_tell_the_same_of_values_and_places(data):
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    fast = read(text, "f")
    try:
        document._loader, kept = (lambda: yaml.Loader), document._loader
        slow = read(text, "f")
    finally:
        document._loader = kept
    assert fast == slow


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_whole_numbers_in_all_their_spellings(number):
    assert resolve(str(number)) == number
    if number >= 0:
        assert resolve(f"+{number}") == number
        assert resolve(f"0x{number:x}") == number
        if number < 8**18:
            assert resolve(f"0o{number:o}") == number


@given(st.text(max_size=12))
def test_a_plain_word_becomes_what_it_says_or_stays_text(text):
    try:
        value = resolve(text)
    except ValueError:
        return
    if isinstance(value, float):
        assert math.isfinite(value)
    if value is None or isinstance(value, bool):
        assert text.lower() in ("", "~", "null", "true", "false")
    if isinstance(value, str):
        assert value == text


@given(st.lists(st.text(min_size=1)))
def test_pointers_split_where_they_were_joined(parts):
    assert split(join(parts)) == tuple(parts)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=30))
def test_any_text_is_read_or_refused_with_places_in_the_file(pieces):
    text = "".join(pieces)
    try:
        manifest = parse(text, "f", Path())
    except ManifestError as error:
        assert error.diagnostics
        for found in error.diagnostics:
            assert found.message
            assert found.position is not None
            assert found.position.line >= 1
            assert found.position.column >= 1
    else:
        assert manifest.positions


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw):
    try:
        read(raw, "f")
    except ManifestError as error:
        assert error.diagnostics
