"""The schemas: sound, told in full to editors, found from a wheel and a checkout, one bundle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from reconciler import schemas
from reconciler.doctor.codes import CODES as DOCTORS
from reconciler.manifest.lint import CODES
from reconciler.spec import FEATURES, PROVIDERS

OURS = [name for name in schemas.names() if name != "plan"]


def walk(node) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        for name, each in node.items():
            if name != "if":  # a condition, not a place that anyone fills in
                yield from walk(each)
    elif isinstance(node, list):
        for each in node:
            yield from walk(each)


@pytest.mark.parametrize("name", OURS)
def test_each_schema_is_one(name):
    schema = schemas.read(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert validator_for(schema) is Draft202012Validator
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", OURS)
def test_each_property_has_its_hover_text(name):
    for node in walk(schemas.read(name)):
        for title, each in node.get("properties", {}).items():
            assert len(each.get("description", "")) > 10, f"{name}: {title}"


@pytest.mark.parametrize("name", OURS)
def test_every_refusal_has_a_way_out(name):
    for node in walk(schemas.read(name)):
        if "pattern" in node:
            assert "; " in node["errorMessage"], f"{name}: {node}"
        if "errorMessage" in node:
            what, _, way_out = node["errorMessage"].partition("; ")
            assert what[0].islower() or what.startswith("Bedrock")
            assert way_out


def test_there_is_no_choice_that_an_editor_cannot_explain():
    assert not [node for name in OURS for node in walk(schemas.read(name)) if "oneOf" in node]


def test_the_bundle_needs_no_other_file():
    bundle = schemas.bundle()
    Draft202012Validator.check_schema(bundle)
    refs = {node["$ref"] for node in walk(bundle) if "$ref" in node}
    assert refs
    for ref in refs:
        node = bundle
        assert ref.startswith("#/")
        for part in ref[2:].split("/"):
            node = node[part]
        assert node
    assert json.loads(json.dumps(bundle)) == bundle
    assert schemas.bundle() is bundle


@pytest.mark.parametrize("name", OURS)
def test_each_fragment_can_be_bundled_alone(name):
    Draft202012Validator(schemas.bundle(name)).is_valid({})


def test_the_schema_says_what_the_nouns_say():
    manifest = schemas.bundle()
    model = manifest["$defs"]["model"]["properties"]
    assert tuple(manifest["properties"]["providers"]["properties"]) == PROVIDERS
    assert tuple(model["provider"]["enum"]) == PROVIDERS
    assert tuple(model["default_for"]["items"]["enum"]) == FEATURES
    assert tuple(manifest["$defs"]["budget"]["properties"]["provider"]["enum"]) == PROVIDERS


@pytest.mark.parametrize("name", ["nothing", "../manifest", "providers/../manifest", "", "a/b/c"])
def test_an_unknown_schema_is_a_key_error(name):
    with pytest.raises(KeyError):
        schemas.read(name)


def test_schemas_inside_the_package_come_first(tmp_path, monkeypatch):
    (tmp_path / "manifest.schema.json").write_text('{"title": "from the wheel"}')
    monkeypatch.setattr(schemas, "_INSTALLED", tmp_path)
    assert schemas.read("manifest") == {"title": "from the wheel"}
    monkeypatch.setattr(schemas, "_INSTALLED", tmp_path / "missing")
    assert schemas.read("manifest")["title"] == "byok manifest, version 1"


def test_every_code_is_explained_and_every_code_that_is_raised_is_tested():
    root = Path(__file__).resolve().parents[2]
    told = (root / "docs" / "lint.md").read_text(encoding="utf-8")
    others = (path for path in (root / "tests").rglob("*.py") if path.name != "test_schemas.py")
    tests = "".join(path.read_text(encoding="utf-8") for path in others)
    raised = {
        code
        for path in (root / "reconciler").rglob("*.py")
        if path.name != "codes.py"
        for code in re.findall(r'"(BYOK\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert raised <= {*CODES, *DOCTORS}
    headings = re.findall(r"^### (BYOK\d{3}): (.+)$", told, re.MULTILINE)
    assert dict(headings) == dict(CODES)
    assert [code for code in raised if code in CODES and code not in tests] == []
    for code, text in re.findall(r"^### (BYOK\d{3}).*\n\n(.+)$", told, re.MULTILINE):
        assert len(text) > 60 or code == "BYOK124"
