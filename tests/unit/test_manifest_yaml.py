"""Reading YAML: values by the core schema, exact places, faults of form, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler.errors import ManifestError
from reconciler.manifest import document, load, parse
from reconciler.manifest.document import read
from reconciler.model import Position


@pytest.fixture(params=["libyaml", "pure"], autouse=True)
def _loader(request, monkeypatch):
    if request.param == "pure":
        monkeypatch.setattr(document, "_loader", lambda: yaml.Loader)
    elif not yaml.__with_libyaml__:
        pytest.skip("this PyYAML has no libyaml")


def faults(text):
    """Return (line, column, code, message) of every fault of a text."""
    try:
        found = read(text, "f").diagnostics
    except ManifestError as error:
        found = error.diagnostics
    return [(d.position.line, d.position.column, d.code, d.message) for d in found]


def codes(text):
    return [code for *_, code, _ in faults(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("y", "y"),
        ("12:30:00", "12:30:00"),
        ("2024-10-21", "2024-10-21"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1.10", 1.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1e3", -1000.0),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("''", ""),
        ("=", "="),
        ("--", "--"),
        (".", "."),
        ("1e", "1e"),
        ("0x", "0x"),
        ("nan", "nan"),
    ],
)
def test_plain_words_are_read_by_the_core_schema_of_yaml_1_2(text, value):
    data = read(f"a: {text}\n", "f").data
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_every_place_is_exact():
    text = (
        "version: 1\n"
        "models:\n"
        '  "vendor/a~b": {provider: openai}\n'
        "  ключ:\n"
        "    default_for:\n"
        "      - composer\n"
        "      - spec\n"
        "policy: {ignore: [BYOK113]}\n"
    )
    places = read(text, "byok.yaml").positions
    assert {pointer: (p.line, p.column) for pointer, p in places.items()} == {
        "": (1, 1),
        "/version": (1, 10),
        "/models": (2, 1),
        "/models/vendor~1a~0b": (3, 3),
        "/models/vendor~1a~0b/provider": (3, 28),
        "/models/ключ": (4, 3),
        "/models/ключ/default_for": (5, 5),
        "/models/ключ/default_for/0": (6, 9),
        "/models/ключ/default_for/1": (7, 9),
        "/policy": (8, 1),
        "/policy/ignore": (8, 10),
        "/policy/ignore/0": (8, 19),
    }
    assert {p.file for p in places.values()} == {"byok.yaml"}


def test_the_place_of_a_name_is_kept_beside_that_of_its_value():
    found = read("a:\n  b: 5\n", "f")
    assert found.keys["/a/b"] == Position("f", 2, 3)
    assert found.positions["/a/b"] == Position("f", 2, 6)


@pytest.mark.parametrize("text", ["\ufeffa: 1\n", b"\xef\xbb\xbfa: 1\n", "a: 1\r\n", "a: 1"])
def test_byte_order_marks_and_line_ends_do_no_harm(text):
    assert read(text, "f").data == {"a": 1}
    assert read(text, "f").keys["/a"] == Position("f", 1, 1)


def test_an_alias_brings_its_value_and_has_its_own_place():
    found = read("a: &x {k: [1, 2]}\nb: *x\nc: [*x, *x]\n", "f")
    assert found.data == {"a": {"k": [1, 2]}, "b": {"k": [1, 2]}, "c": [{"k": [1, 2]}] * 2}
    assert found.data["a"] is found.data["b"]
    assert found.positions["/b"] == Position("f", 2, 4)
    assert found.where("/c/1/k/0") == Position("f", 3, 9)


def test_a_name_given_twice_names_both_places():
    found = faults("a: 1\nb:\n  c: 1\n  c: {d: 1, d: 2}\na: 2\n")
    assert found == [
        (4, 3, "BYOK002", "the key 'c' is given twice, first at line 3, column 3"),
        (5, 1, "BYOK002", "the key 'a' is given twice, first at line 1, column 1"),
    ]


def test_equal_names_in_other_spelling_are_equal():
    assert codes("a: 1\n'a': 2\n\"\\x61\": 3\n") == ["BYOK002", "BYOK002"]


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("a: 1\n<<: {b: 1}\n", 2, 1, "merge key"),
        ("a: !!str 1\n", 1, 4, "tag"),
        ("a: !x {b: 1}\n", 1, 4, "tag"),
        ("a: !!python/object:os.system x\n", 1, 4, "tag"),
        ("1: a\n", 1, 1, "is not text"),
        ("~: a\n", 1, 1, "is not text"),
        ("true: a\n", 1, 1, "is not text"),
        (".inf: a\n", 1, 1, "is not text"),
        ("? [a]\n: 1\n", 1, 3, "must be text"),
        ("? {a: {b: 1}}\n: 1\n", 1, 3, "must be text"),
        ("a: *x\n", 1, 4, "no anchor"),
        ("a: &x [*x]\n", 1, 8, "inside of what it names"),
        ("a: &x {b: {c: *x}}\n", 1, 15, "inside of what it names"),
        ("x: &x [1]\n*x : 1\n", 2, 1, "must be text"),
        ("a: .inf\n", 1, 4, "infinite"),
        ("a: -.INF\n", 1, 4, "infinite"),
        ("a: .nan\n", 1, 4, "infinite"),
        ("a: 1e999\n", 1, 4, "infinite"),
        ("a: 9999999999999999999\n", 1, 4, "18 digits"),
        ("a: 0xffffffffffffffffffff\n", 1, 4, "18 digits"),
        ("a: " + "9" * 5000, 1, 4, "18 digits"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("a: 1\n...\n---\nb: 2\n", 3, 1, "second document"),
        ("", 1, 1, "empty"),
        ("# nothing\n", 1, 1, "empty"),
        ("---\n", 1, 1, "empty"),
        ("a:\n\tb: 1\n", 2, 1, "tab"),
        ("a:\n  b: 1\n \tc: 1\n", 3, 2, "tab"),
        ("a: b: c\n", 1, 5, "colon"),
        ("a: 'b\n", None, None, "never closed"),
        ("a: [b\n", None, None, "brackets"),
        ("a: {b: 1\n", None, None, "braces"),
        ("a: @b\n", 1, 4, "cannot begin"),
        ('a: "\\q"\n', 1, None, "escape"),
        ("a: &\n", 1, None, "no name"),
        ("a: \x07\n", 1, 4, "U+0007"),
        ("a: 1\nb: \x7f\n", 2, 4, "U+007F"),
        (b"a: 1\nb: \xff\n", 2, 4, "not UTF-8"),
        (b"a: 1\nb\x00: 1\n", 2, 2, "binary"),
        ("a: 1\n".encode("utf-16"), 1, 1, "UTF-16"),
        ("a: 1\n".encode("utf-32"), 1, 1, "UTF-32"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", 3, 1, "binary"),
        ("a: \ud800", 1, 4, "not UTF-8"),
    ],
)
def test_what_a_manifest_does_without_is_refused_in_plain_words(text, line, column, part):
    found = faults(text)
    assert [code for *_, code, _ in found] == ["BYOK001"]
    assert part in found[0][3]
    assert line in (None, found[0][0])
    assert column in (None, found[0][1])


def test_a_merge_key_in_quotes_is_a_name_like_any_other():
    assert read("'<<': 1\n", "f").data == {"<<": 1}


def test_an_alias_may_be_a_name():
    assert read("a: &x b\n*x : 1\n", "f").data == {"a": "b", "b": 1}


def test_faults_do_not_hide_each_other_nor_those_of_the_schema():
    text = "version: 1\nversion: 1\nteam: !!str x\nmodels: {4: {}, a: *b, c: .inf}\nfoo: 1\n"
    with pytest.raises(ManifestError) as caught:
        parse(text, "f", Path())
    found = [(d.position.line, d.code) for d in caught.value.diagnostics]
    assert found == [
        (2, "BYOK002"),
        (3, "BYOK001"),
        (4, "BYOK001"),
        (4, "BYOK003"),
        (4, "BYOK001"),
        (4, "BYOK001"),
        (5, "BYOK003"),
    ]


def test_a_value_that_is_refused_already_is_not_refused_again_for_its_kind():
    with pytest.raises(ManifestError) as caught:
        parse("version: 1\nteam: *x\n", "f", Path())
    assert [d.code for d in caught.value.diagnostics] == ["BYOK001"]


def test_a_hundred_faults_are_enough():
    assert codes("a: 1\n" * 5000) == ["BYOK002"] * 100


def test_nothing_of_the_text_is_repeated_by_a_syntax_error():
    for text in ("key: 'hunter2", "hunter2: [", "!hunter2!x a", "key: hunter2: x", "a: %hunter2"):
        assert "hunter2" not in str(faults(text))


def test_the_file_is_named_as_the_user_did_and_the_folder_is_where_it_lies(tmp_path, monkeypatch):
    real = tmp_path / "real"
    real.mkdir()
    (real / "byok.yaml").write_text("version: 1\n")
    (tmp_path / "link.yaml").symlink_to(real / "byok.yaml")
    monkeypatch.chdir(tmp_path)
    manifest = load(Path("link.yaml"))
    assert manifest.file == "link.yaml"
    assert manifest.folder == real


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_manifest_error(tmp_path, name):
    with pytest.raises(ManifestError) as caught:
        load(tmp_path / name)
    [found] = caught.value.diagnostics
    assert found.code == "BYOK001"
    assert "cannot be read" in found.message
