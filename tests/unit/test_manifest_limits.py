"""Files made to exhaust the reader: refused by a bound, whatever they would grow to."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest import builder, load, parse
from reconciler.manifest.document import read


def refused(text):
    with pytest.raises(ManifestError) as caught:
        parse(text, "f", Path())
    return caught.value.diagnostics


def aliases(levels, width):
    lines = ["a0: &a0 [x, x]"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} [{inner}]")
    return "\n".join(lines)


def test_a_small_bomb_of_nested_aliases_counts_as_what_it_stands_for():
    text = aliases(9, 9)
    assert len(text) < 1000
    [found] = refused(text)
    assert found.code == "BYOK005"
    assert "400,000 values" in found.message


def test_a_bomb_of_aliases_of_mappings_and_of_long_texts_too():
    text = "a: &a {k: &k " + "x" * 60_000 + "}\n"
    text += "b: &b [" + ", ".join(["*a"] * 700) + "]\nc: [" + ", ".join(["*b"] * 700) + "]\n"
    assert refused(text)[-1].code == "BYOK005"


def test_a_bomb_of_ten_megabytes_is_not_even_read():
    [found] = refused("a: &a [x]\n" + "b: [*a, *a, *a]\n" * 700_000)
    assert (found.code, found.position.line) == ("BYOK005", 1)
    assert "8 MB" in found.message


def test_a_file_is_read_no_further_than_its_bound(tmp_path):
    file = tmp_path / "byok.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(2 * 1024**3)
    with pytest.raises(ManifestError) as caught:
        load(file)
    assert caught.value.diagnostics[0].code == "BYOK005"


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_a_hundred_thousand_levels_are_refused_at_the_forty_first(text):
    found = refused(text)
    assert "BYOK005" in [each.code for each in found]
    assert "40 levels" in found[-1].message


def test_levels_that_aliases_bring_count():
    half = "[" * 25 + "]" * 25
    assert read(f"a: {half}\n", "f").data
    nested = "[" * 25 + "*h" + "]" * 25
    [found] = refused(f"a: &h {half}\nb: {nested}\n")
    assert found.code == "BYOK005"


def test_a_text_of_five_megabytes_is_named_once():
    [found] = refused("version: 1\nteam: " + "x" * 5_000_000 + "\n")
    assert (found.code, found.path, found.position.line) == ("BYOK005", "/team", 2)


def test_a_name_of_five_megabytes_is_named_once():
    [found] = refused('version: 1\n? "' + "x" * 5_000_000 + '"\n: 1\n')
    assert (found.code, found.position.line) == ("BYOK005", 2)


def test_as_many_values_as_the_bound_allows_are_read(monkeypatch):
    monkeypatch.setattr(builder, "MAX_NODES", 12)
    assert read("a: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n", "f").data
    with pytest.raises(ManifestError):
        read("a: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n", "f")


def test_ten_thousand_models_load():
    models = "".join(f"  vendor/m-{n}: {{provider: openai}}\n" for n in range(10_000))
    text = f"version: 1\nproviders: {{openai: {{key: env://A}}}}\nmodels:\n{models}"
    assert len(parse(text, "f", Path()).models) == 10_000


def test_a_thousand_errors_are_enough():
    models = "".join(f"  m-{n}: {{provider: opnai}}\n" for n in range(1_500))
    assert len(refused(f"version: 1\nmodels:\n{models}")) == 1_000
