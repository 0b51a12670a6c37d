"""Each lint rule at work and at rest; what can be silenced; what a whole manifest is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.manifest import hosts, parse
from reconciler.manifest.lint import CODES, lint, silence
from reconciler.model import Diagnostic, Severity

OPENAI = "openai: {key: env://A}"
AZURE = "azure: {key: env://Z, endpoint: 'https://acme.openai.azure.com', deployment: d}"
BEDROCK = "bedrock: {access_key_id: env://I, secret_access_key: env://S, region: eu-west-1}"


def found(code, *, providers=(), endpoints=(), models=()):
    """Return the (path, severity) of each finding of one code in a manifest of these entries."""
    parts = {"providers": providers, "endpoints": endpoints, "models": models}
    lines = ["version: 1"]
    for name, entries in parts.items():
        lines += [f"{name}:"] + [f"  {entry}" for entry in entries] if entries else []
    manifest = parse("\n".join(lines) + "\n", "byok.yaml", Path())
    return [(d.path, str(d.severity)) for d in lint(manifest) if d.code == code]


def endpoint(name="gw", url="https://h.example/v1", more=""):
    return f"{name}: {{type: custom, base_url: '{url}'{more}}}"


KEYED = endpoint(more=", key: env://B")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"endpoints": [KEYED]}, ["/endpoints/gw"]),
        ({"endpoints": [endpoint()]}, ["/endpoints/gw"]),
        ({"endpoints": [endpoint()], "providers": ["openai: {optional: true}"]}, ["/endpoints/gw"]),
        ({"endpoints": [endpoint()], "providers": [OPENAI]}, []),
        ({"endpoints": [endpoint(more=", key: env://B, active: false")]}, []),
        ({"providers": [OPENAI]}, []),
    ],
)
def test_byok101_the_override_is_global(parts, expected):
    assert found("BYOK101", **parts) == [(path, "warning") for path in expected]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-sonnet: {endpoint: gw}", ["/models/claude-sonnet/endpoint"]),
        ("Gemini-pro: {endpoint: gw}", ["/models/Gemini-pro/endpoint"]),
        ("claude-sonnet: {endpoint: gw, absent: true}", []),
        ("claude-sonnet: {provider: anthropic}", []),
        ("my-claude-sonnet: {endpoint: gw}", []),
        ("claudette: {endpoint: gw}", []),
        ("anthropic/claude-sonnet: {endpoint: gw}", []),
    ],
)
def test_byok102_claude_and_gemini_ids_never_go_to_the_override(model, expected):
    parts = {"endpoints": [KEYED], "providers": ["anthropic: {absent: true}"], "models": [model]}
    assert found("BYOK102", **parts) == [(path, "warning") for path in expected]


PRIVATE = [
    "localhost", "localhost:11434", "LOCALHOST.", "api.localhost", "127.0.0.1", "127.1",
    "2130706433", "0x7f.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "host.docker.internal",
    "nas.local", "gateway.lan", "router.home.arpa", "llm.corp", "ollama", "x.test",
]  # fmt: skip
PUBLIC = [
    "h.example", "api.openai.com", "8.8.8.8", "172.32.0.1", "[2606:4700::1111]", "local.example",
    "localhost.example", "127.0.0.1.nip.io", "internal.example.com",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_byok103_an_address_that_cursors_servers_cannot_reach(host):
    parts = {"endpoints": [endpoint(url=f"https://{host}/v1")]}
    assert found("BYOK103", **parts) == [("/endpoints/gw/base_url", "warning")]


@pytest.mark.parametrize("host", PUBLIC)
def test_byok103_a_public_address_is_fine(host):
    assert found("BYOK103", endpoints=[endpoint(url=f"https://{host}/v1")]) == []


def test_byok103_only_what_cursor_calls_counts():
    off = endpoint(url="https://10.0.0.1/v1", more=", active: false")
    inside = "https://10.0.0.2"
    azure = f"azure: {{key: env://Z, endpoint: '{inside}', deployment: d, api_base: '{inside}'}}"
    assert found("BYOK103", endpoints=[off]) == []
    assert found("BYOK103", providers=[azure]) == [("/providers/azure/endpoint", "warning")]
    assert found("BYOK103", providers=[azure.replace("}", ", enabled: false}")]) == []
    base = "openai: {key: env://A, api_base: 'https://10.0.0.3/v1'}"
    assert found("BYOK103", providers=[base]) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://h.example", True),
        ("https://h.example/", True),
        ("https://h.example/openai", True),
        ("https://v1.example/llm", True),
        ("https://h.example/version1", True),
        ("https://h.example/v1", False),
        ("https://h.example/v1/", False),
        ("https://h.example/api/v1", False),
        ("https://h.example/v1beta/openai", False),
    ],
)
def test_byok104_the_base_url_names_no_version(url, told):
    expected = [("/endpoints/gw/base_url", "warning")] if told else []
    assert found("BYOK104", endpoints=[endpoint(url=url)]) == expected


@pytest.mark.parametrize(("kind", "told"), [("litellm", False), ("custom", True)])
def test_byok104_litellms_own_path_for_cursor(kind, told):
    at = endpoint(url="https://h.example/cursor").replace("custom", kind)
    assert bool(found("BYOK104", endpoints=[at])) is told


@pytest.mark.parametrize(
    ("providers", "endpoints", "expected"),
    [
        ([AZURE, OPENAI], [], "/providers/azure"),
        ([AZURE, BEDROCK], [], "/providers/azure"),
        ([AZURE], [KEYED], "/providers/azure"),
        ([BEDROCK, OPENAI], [], "/providers/bedrock"),
        ([AZURE], [], None),
        ([BEDROCK], [], None),
        ([AZURE.replace("}", ", enabled: false}"), OPENAI], [], None),
        ([AZURE.replace("}", ", absent: true}"), OPENAI], [], None),
        ([AZURE, OPENAI.replace("}", ", enabled: false}")], [], None),
        ([AZURE], [endpoint(more=", active: false")], None),
    ],
)
def test_byok109_one_provider_answers_everything(providers, endpoints, expected):
    told = found("BYOK109", providers=providers, endpoints=endpoints)
    assert told == ([(expected, "warning")] if expected else [])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"providers": [OPENAI, "google: {key: env://A}"]}, ["/providers/google/key"]),
        (
            {"providers": [OPENAI, "google: {key: [env://G, ref+env://A]}"]},
            ["/providers/google/key"],
        ),
        (
            {"providers": [OPENAI], "endpoints": [endpoint(more=", key: env://A, active: false")]},
            ["/endpoints/gw/key"],
        ),
        ({"providers": [OPENAI, "anthropic: {key: env://C, admin_key: env://A}"]},
         ["/providers/anthropic/admin_key"]),
        ({"providers": [OPENAI, "google: {key: env://G}"]}, []),
        ({"providers": ["openai: {key: env://A, admin_key: env://A}"]}, []),
    ],
)  # fmt: skip
def test_byok112_one_key_in_two_places(parts, expected):
    assert found("BYOK112", **parts) == [(path, "warning") for path in expected]


@pytest.mark.parametrize("code", ["BYOK113", "BYOK114"])
def test_byok113_and_byok114_are_notes_wherever_own_keys_are_used(code):
    assert found(code, providers=[OPENAI]) == [("/providers/openai", "note")]
    assert found(code, endpoints=[KEYED]) == [("/endpoints/gw", "note")]
    assert found(code, providers=["openai: {absent: true}"]) == []
    assert found(code, providers=["openai: {key: env://A, enabled: false}"]) == []
    assert found(code) == []


@pytest.mark.parametrize(
    ("provider", "entry", "told"),
    [
        (OPENAI, endpoint(), True),
        (OPENAI, endpoint(more=", active: false"), False),
        ("openai: {key: env://A, enabled: false}", endpoint(), False),
        ("openai: {absent: true}", endpoint(), False),
        ("google: {key: env://A}", endpoint(), False),
    ],
)
def test_byok118_an_endpoint_without_a_key_gives_way(provider, entry, told):
    expected = [("/endpoints/gw", "warning")] if told else []
    assert found("BYOK118", providers=[provider], endpoints=[entry]) == expected


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("m: {provider: google}", True),
        ("m: {provider: google, enabled: false}", False),
        ("m: {provider: google, absent: true}", False),
        ("m: {provider: openai}", False),
    ],
)
def test_byok120_a_model_of_an_absent_provider(model, told):
    providers = [OPENAI, "google: {absent: true}"]
    expected = [("/models/m/provider", "warning")] if told else []
    assert found("BYOK120", providers=providers, models=[model]) == expected


def test_byok121_cursor_keeps_no_api_version():
    versioned = AZURE.replace("}", ", api_version: '2024-10-21'}")
    path = "/providers/azure/api_version"
    assert found("BYOK121", providers=[versioned]) == [(path, "note")]
    assert found("BYOK121", providers=[AZURE]) == []
    assert found("BYOK121", providers=[versioned.replace("}", ", absent: true}")]) == []


def test_every_finding_has_a_place_words_and_a_way_out():
    text = (
        f"version: 1\nproviders:\n  {AZURE}\n  {BEDROCK}\n  google: {{absent: true}}\n"
        f"endpoints:\n  {endpoint(url='http://localhost')}\n"
        "models:\n  claude-x: {endpoint: gw}\n  m: {provider: google}\n"
    )
    diagnostics = lint(parse(text, "byok.yaml", Path()))
    assert {d.code for d in diagnostics} <= set(CODES)
    assert len({d.code for d in diagnostics}) == 8
    for each in diagnostics:
        assert each.position is not None
        assert each.position.line > 1
        assert each.message
        assert each.way_out
    places = [(d.position.line, d.position.column) for d in diagnostics if d.position]
    assert places == sorted(places)


def test_silencing_takes_warnings_and_notes_and_never_errors():
    made = [
        Diagnostic(code, severity, "", "what")
        for code, severity in (
            ("BYOK113", Severity.NOTE),
            ("BYOK103", Severity.WARNING),
            ("BYOK105", Severity.ERROR),
            ("BYOK120", Severity.ERROR),
            ("BYOK120", Severity.WARNING),
        )
    ]
    kept = silence(made, ["BYOK113", "BYOK105", "BYOK120"])
    assert [(d.code, str(d.severity)) for d in kept] == [
        ("BYOK103", "warning"),
        ("BYOK105", "error"),
        ("BYOK120", "error"),
    ]
    assert silence(made, []) == tuple(made)


@pytest.mark.parametrize("url", ["https://[::1", "https://h:99999", "https://", "https://h:0"])
def test_a_url_that_leads_nowhere_has_no_host(url):
    assert hosts.host(url) == ""


FULL = """\
version: 1
team: acme-platform
providers:
  openai:
    key: [keyring://byok/openai, 'sops://secrets/team.enc.yaml#/openai/key']
    admin_key: env://OPENAI_ADMIN_KEY
    project: cursor-byok
  anthropic:
    key: keyring://byok/anthropic
    optional: true
  google:
    key: env://GEMINI_API_KEY
  azure:
    enabled: false
    key: sops://secrets/team.enc.yaml#/azure/key
    endpoint: https://acme.openai.azure.com
    deployment: gpt-4o-prod
    api_version: "2024-10-21"
  bedrock:
    absent: true
endpoints:
  ollama: {type: ollama, base_url: http://localhost:11434/v1}
  gateway:
    type: litellm
    base_url: https://llm.acme.example/v1
    key: sops://secrets/team.enc.yaml#/gateway/key
    active: false
models:
  gpt-4o:            {provider: openai}
  claude-sonnet-4-5: {provider: anthropic, default_for: [composer]}
  acme-coder:        {endpoint: gateway, enabled: false}
  o1:                {provider: openai, enabled: false}
budgets:
  openai-monthly:
    {provider: openai, monthly_usd: 500, alert_at: [50, 80, 100], notify: [finops@acme.example]}
policy:
  max_key_age_days: 90
"""


def test_a_whole_manifest_is_told_exactly_this():
    manifest = parse(FULL, "byok.yaml", Path())
    assert [(str(d.position), d.code, str(d.severity), d.path) for d in lint(manifest)] == [
        ("byok.yaml:4:3", "BYOK113", "note", "/providers/openai"),
        ("byok.yaml:4:3", "BYOK114", "note", "/providers/openai"),
        ("byok.yaml:18:18", "BYOK121", "note", "/providers/azure/api_version"),
        ("byok.yaml:22:3", "BYOK118", "warning", "/endpoints/ollama"),
        ("byok.yaml:22:36", "BYOK103", "warning", "/endpoints/ollama/base_url"),
    ]
    openai = manifest.providers["openai"]
    assert openai.secrets["key"] == (
        "keyring://byok/openai",
        "sops://secrets/team.enc.yaml#/openai/key",
    )
    assert manifest.providers["bedrock"].absent
    assert manifest.models["acme-coder"].custom
    assert not manifest.models["gpt-4o"].custom
    assert manifest.models["claude-sonnet-4-5"].default_for == ("composer",)
    assert manifest.budgets["openai-monthly"]["alert_at"] == (50, 80, 100)
    assert manifest.policy.max_key_age_days == 90
