"""The documents against the program: nothing left out, no dead link, examples that load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from reconciler import errors, schemas
from reconciler.cli import COMMANDS, cli
from reconciler.doctor.codes import CODES as DOCTORS
from reconciler.manifest import parse
from reconciler.manifest.codes import CODES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FORMATS = (
    "init",
    "plan",
    "apply",
    "rotate",
    "keys",
    "issue",
    "offboard",
    "status",
    "history",
    "doctor",
    "fleet",
    "host",
    "cost",
    "cost-estimate",
    "explain",
    "watch",
    "service",
    "validate",
    "effective",
    "error",
)


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def coded(text: str) -> set[str]:
    """What stands between backticks, up to a colon; fences left out."""
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return {span.partition(":")[0] for span in spans}


def options() -> Iterator[tuple[str, str]]:
    """Each command, and the names of its options that --help shows."""
    context = click.Context(cli, info_name="byok", **cli.context_settings)
    commands = {"byok": cli} | {name: cli.get_command(context, name) for name in COMMANDS}
    for name, command in list(commands.items())[1:]:
        if isinstance(command, click.Group):
            commands |= {f"{name} {below}": each for below, each in command.commands.items()}
    for name, command in commands.items():
        for parameter in command.get_params(context):
            if isinstance(parameter, click.Option) and not parameter.hidden:
                yield from ((name, option) for option in parameter.opts)


def properties(schema: Any) -> Iterator[str]:
    """Every property name of a schema, however deep; a property may itself be called so."""
    match schema:
        case {"properties": dict(named), **rest}:
            yield from named
            yield from properties([*named.values(), rest])
        case dict():
            yield from properties(list(schema.values()))
        case list():
            for part in schema:
                yield from properties(part)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(
        r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def exits() -> set[int]:
    """The exit code of every error there is, and those that are no error."""
    found, todo = {0, 2}, [errors.ByokError]
    while todo:
        kind = todo.pop()
        found.add(kind.exit_code)
        todo += kind.__subclasses__()
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_line_and_its_section(command):
    text = read("commands.md")
    assert re.search(rf"^\| \[`{command}[` ]", text, re.MULTILINE)
    assert re.search(rf"^### .*\b{command}\b", text, re.MULTILINE)


def test_every_option_is_told():
    told = set(re.findall(r"`(--?[\w-]+)", read("commands.md")))
    assert {(name, option) for name, option in options() if option not in told} == set()


def test_no_option_is_told_that_does_not_exist():
    real = {option for _, option in options()}
    told = set(re.findall(r"`(--?[a-z][\w-]*)", FENCE.sub("", read("commands.md"))))
    assert told - real == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_in_examples_are_real(page):
    real = {option for _, option in options()}
    for _, block in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in re.findall(r"^(?:\$ )?byok ([^#\n&|;>]+)", block, re.MULTILINE):
            words = line.split()
            if words[0].startswith("["):  # the usage line
                continue
            assert words[0] in COMMANDS, line
            assert {word.partition("=")[0] for word in words if word.startswith("-")} <= real, line


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md"])
def test_every_exit_code_is_told(page):
    rows = re.findall(r"^\| (\d+|128\+n) \|", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert set(rows) == {str(code) for code in exits()} | {"128+n"}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_an_example_that_is_json(name):
    text = read("commands.md")
    section = text.split(f"\n### byok.{name}/1\n")[1].split("\n#")[0]
    found = [json.loads(block) for kind, block in FENCE.findall(section) if kind == "json"]
    assert {one["format"] for one in found} == {f"byok.{name}/1"}


def test_the_example_of_a_plan_fits_its_schema():
    from jsonschema import Draft202012Validator

    section = read("commands.md").split("\n### byok.plan/1\n")[1]
    example = json.loads(next(block for kind, block in FENCE.findall(section) if kind == "json"))
    Draft202012Validator(schemas.bundle("plan")).validate(example)


def test_every_schema_property_is_told():
    names = set(properties(schemas.bundle()))
    assert {"fingerprint_key", "audio_megabytes_per_minute", "sku", "prices"} <= names
    assert names - coded(read("manifest.md")) == set()


def test_every_value_of_an_enumeration_is_told():
    values = set(re.findall(r'"enum": \[([^\]]*)\]', json.dumps(schemas.bundle())))
    names = {name for value in values for name in json.loads(f"[{value}]")}
    assert names - coded(read("manifest.md")) == set()


@pytest.mark.parametrize(("page", "codes"), [("lint.md", CODES), ("doctor.md", DOCTORS)])
def test_every_code_is_told_once_by_its_title(page, codes):
    told = re.findall(r"^### (BYOK\d{3}): (.+)$", read(page), re.MULTILINE)
    assert sorted(told) == sorted(codes.items())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_code_that_a_page_names_exists(page):
    assert set(re.findall(r"\bBYOK\d{3}\b", page.read_text("utf-8"))) <= {*CODES, *DOCTORS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def manifests() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for kind, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if kind == "yaml" and block.startswith("version:"):
                yield page.name, block


def test_the_readme_and_the_manifest_page_have_an_example():
    assert {"README.md", "manifest.md"} <= {page for page, _ in manifests()}


@pytest.mark.parametrize(
    ("page", "text"), list(manifests()), ids=lambda value: value.partition("\n")[0]
)
def test_every_example_of_a_manifest_loads(page, text):
    assert parse(text, page, ROOT).team


@pytest.mark.parametrize(
    "page",
    [
        "manifest.md",
        "secrets.md",
        "cursor.md",
        "commands.md",
        "doctor.md",
        "watch.md",
        "keys.md",
        "fleet-report.md",
        "fleet.md",
    ],
)
def test_prose_is_wrapped(page):
    prose = FENCE.sub("", read(page)).splitlines()
    long = [line for line in prose if len(line) > 130 and not line.startswith("|")]
    assert long == []
