"""Names that must meet and claims that must not: each rule at work, and at rest beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest import parse

OPENAI = "  openai: {key: env://A}\n"
GATEWAY = "  gw: {type: litellm, base_url: 'https://h.example/v1', key: env://B}\n"
LOCAL = "  local: {type: ollama, base_url: 'http://localhost:11434/v1'}\n"


def errors(*sections):
    """Return (code, path, line) of every error of a manifest made of these sections."""
    try:
        parse("version: 1\n" + "".join(sections), "byok.yaml", Path())
    except ManifestError as error:
        return [(d.code, d.path, d.position.line) for d in error.diagnostics]
    return []


def section(name, *entries):
    return f"{name}:\n" + "".join(entries)


def off(entry):
    return entry.replace("}", ", active: false}")


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((GATEWAY,), []),
        ((GATEWAY, off(LOCAL)), []),
        ((off(GATEWAY), off(LOCAL)), []),
        ((GATEWAY, LOCAL), [("BYOK105", "/endpoints/local", 4)]),
        ((LOCAL, GATEWAY), [("BYOK105", "/endpoints/gw", 4)]),
    ],
)
def test_byok105_two_active_endpoints(entries, found):
    assert errors(section("endpoints", *entries)) == found


@pytest.mark.parametrize(
    ("switches", "found"),
    [
        ("", []),
        (", enabled: true", []),
        (", enabled: false", [("BYOK107", "/models/m/default_for", 5)]),
        (", absent: true", [("BYOK107", "/models/m/default_for", 5)]),
    ],
)
def test_byok107_a_default_must_be_enabled(switches, found):
    model = f"  m: {{provider: openai, default_for: [composer]{switches}}}\n"
    assert errors(section("providers", OPENAI), section("models", model)) == found


def test_byok107_a_model_that_is_no_default_may_be_off():
    model = "  m: {provider: openai, enabled: false}\n"
    assert errors(section("providers", OPENAI), section("models", model)) == []


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://h.example/v1", False),
        ("http://h.example/v1", True),
        ("http://10.0.0.1/v1", True),
        ("http://localhost.evil.example/v1", True),
        ("http://127.0.0.1.evil.example/v1", True),
        ("http://localhost:4000/v1", False),
        ("http://api.localhost/v1", False),
        ("http://LOCALHOST./v1", False),
        ("http://127.0.0.1/v1", False),
        ("http://127.1/v1", False),
        ("http://2130706433/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://[::ffff:127.0.0.1]/v1", False),
        ("http://[fe80::1]/v1", True),
        ("http://0.0.0.0/v1", True),
    ],
)
def test_byok110_a_key_over_plain_http(url, refused):
    found = [("BYOK110", "/endpoints/gw/base_url", 3)] if refused else []
    for switch in ("", ", active: false"):
        entry = f"  gw: {{type: custom, base_url: '{url}', key: env://B{switch}}}\n"
        assert errors(section("endpoints", entry)) == found


def test_byok110_without_a_key_plain_http_steals_nothing():
    entry = "  gw: {type: custom, base_url: 'http://h.example/v1'}\n"
    assert errors(section("endpoints", entry)) == []


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("  openai: {key: env://A, api_base: 'http://h.example/v1'}\n", "openai/api_base"),
        (
            "  azure: {key: env://A, endpoint: 'http://h.example', deployment: d}\n",
            "azure/endpoint",
        ),
    ],
)
def test_byok110_providers_too(entry, path):
    assert errors(section("providers", entry)) == [("BYOK110", f"/providers/{path}", 3)]
    assert errors(section("providers", entry.replace("}", ", absent: true}"))) == []


@pytest.mark.parametrize(
    ("provider", "endpoint", "found"),
    [
        (OPENAI, GATEWAY, [("BYOK117", "/endpoints/gw", 4)]),
        (OPENAI, off(GATEWAY), []),
        (OPENAI, LOCAL, []),
        ("  openai: {key: env://A, enabled: false}\n", GATEWAY, []),
        ("  openai: {key: env://A, absent: true}\n", GATEWAY, []),
        ("  openai: {optional: true}\n", GATEWAY, []),
        ("  google: {key: env://A}\n", GATEWAY, []),
    ],
)
def test_byok117_one_slot_one_claim(provider, endpoint, found):
    text = section("providers", provider), section("endpoints", endpoint)
    assert [(code, path) for code, path, _ in errors(*text)] == [each[:2] for each in found]


def test_byok119_two_defaults_for_one_feature():
    models = (
        "  a: {provider: openai, default_for: [composer, spec]}\n"
        "  b: {provider: openai, default_for: [cmd-k, spec]}\n"
        "  c/d: {provider: openai, default_for: [composer]}\n"
    )
    assert errors(section("providers", OPENAI), section("models", models)) == [
        ("BYOK119", "/models/b/default_for/1", 6),
        ("BYOK119", "/models/c~1d/default_for/0", 7),
    ]


def test_byok120_a_name_that_is_not_declared():
    models = "  a: {endpoint: gateway}\n  b: {endpoint: gw}\n"
    budgets = "  x: {provider: google, monthly_usd: 5}\n  y: {endpoint: no, monthly_usd: 5}\n"
    found = errors(
        section("providers", OPENAI),
        section("endpoints", off(GATEWAY)),
        section("models", models),
        section("budgets", budgets),
    )
    assert found == [
        ("BYOK120", "/models/a/endpoint", 7),
        ("BYOK120", "/budgets/x/provider", 10),
        ("BYOK120", "/budgets/y/endpoint", 11),
    ]


def test_byok120_offers_the_nearest_name():
    text = f"version: 1\nendpoints:\n{off(GATEWAY)}models: {{a: {{endpoint: gww}}}}\n"
    with pytest.raises(ManifestError) as caught:
        parse(text, "byok.yaml", Path())
    [found] = caught.value.diagnostics
    assert found.way_out == "did you mean 'gw'? else declare it under endpoints:"


def test_byok120_who_names_a_broken_endpoint_has_made_no_mistake():
    endpoints = "  gw: {type: nonsense, base_url: 'https://h.example/v1'}\n"
    models = "  a: {endpoint: gw}\n"
    found = errors(section("endpoints", endpoints), section("models", models))
    assert found == [("BYOK003", "/endpoints/gw/type", 3)]


@pytest.mark.parametrize(
    ("amount", "whole"),
    [("500", True), ("0.07", True), ("19.99", True), ("999999999.99", True), ("0.005", False),
     ("10.001", False), ("1.0e-8", False), ("1.0e-30", False)],
)  # fmt: skip
def test_an_amount_is_whole_to_the_cent(amount, whole):
    budget = f"  b: {{provider: openai, monthly_usd: {amount}}}\n"
    found = errors(section("providers", OPENAI), section("budgets", budget))
    assert found == ([] if whole else [("BYOK003", "/budgets/b/monthly_usd", 5)])


@pytest.mark.parametrize(
    ("scopes", "count"),
    [(("workspace", None), 1), (("workspace", "organization"), 0), ((None, "project"), 1)],
)
def test_an_account_has_one_hard_limit_for_each_scope(scopes, count):
    budget = "{{provider: openai, monthly_usd: 5, enforce: hard{0}}}"
    said = ["" if scope is None else f", scope: {scope}" for scope in scopes]
    entries = "".join(f"  b{n}: {budget.format(scope)}\n" for n, scope in enumerate(said))
    found = errors(section("providers", OPENAI), section("budgets", entries))
    assert [(code, at) for code, at, _ in found] == [("BYOK127", "/budgets/b1")] * count


@pytest.mark.parametrize("name", ["cursor", "cursor-team", "openai", "bedrock"])
def test_an_endpoint_has_no_systems_name(name):
    entry = f"  {name}: {{type: ollama, base_url: http://localhost:11434/v1}}\n"
    found = errors(section("endpoints", entry))
    assert [(code, at) for code, at, _ in found] == [("BYOK126", f"/endpoints/{name}")]
