"""A manifest against its form: words, places and ways out, all errors at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest import check, parse
from reconciler.model import Severity

VALID = {
    "providers": "providers: {openai: {key: env://A}}",
    "endpoints": "endpoints: {gw: {type: custom, base_url: 'https://h.example/v1'}}",
}


@pytest.fixture(params=["compiled", "python"], autouse=True)
def _engine(request, monkeypatch):
    """Run with and without the compiled validator: the answers must be the same."""
    check._compiled.cache_clear()
    if request.param == "python":
        monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    yield
    check._compiled.cache_clear()


def refused(body, version="1"):
    with pytest.raises(ManifestError) as caught:
        parse(f"version: {version}\n{body}\n", "byok.yaml", Path())
    assert all(d.severity is Severity.ERROR for d in caught.value.diagnostics)
    return caught.value.diagnostics


def only(body, version="1"):
    [found] = refused(body, version)
    return found


def accepted(body, version="1"):
    return parse(f"version: {version}\n{body}\n", "byok.yaml", Path())


def test_the_least_manifest():
    manifest = parse("version: 1\n", "byok.yaml", Path("/there"))
    assert (manifest.team, manifest.folder) == ("local", Path("/there"))
    assert not manifest.providers
    assert not manifest.models


@pytest.mark.parametrize("version", ["1", "'1'", '"1.0"', '"1.3"', '"1.10"', "1.0"])
def test_versions_that_are_read(version):
    accepted("team: a", version)


@pytest.mark.parametrize(
    "version", ["2", "0", "'2.0'", "'1.'", "'1.x'", "true", "", "[1]", "latest"]
)
def test_another_version_is_named_and_nothing_else_is_judged(version):
    found = only("whatever: 1", version)
    assert (found.code, found.path, found.position.line) == ("BYOK006", "/version", 1)
    assert "this byok reads version 1.0" in found.message


@pytest.mark.parametrize("version", ["1.3", "1.10"])
def test_a_version_that_yaml_reads_as_a_number_wants_quotes(version):
    found = only("", version)
    assert (found.code, found.way_out) == ("BYOK006", 'quote it: "1.3"')


def test_a_missing_version_says_what_to_write():
    with pytest.raises(ManifestError) as caught:
        parse("team: a\n", "byok.yaml", Path())
    [found] = caught.value.diagnostics
    assert (found.code, found.way_out) == ("BYOK003", "add `version: 1`")


def test_unknown_keys_are_refused_with_the_nearest_known_one():
    found = refused("provders: {}\nmodels: {m: {provider: openai, enabeld: true}}\nzzz: 1")
    assert [(d.path, d.message, d.way_out) for d in found] == [
        ("/provders", "unknown key 'provders'", "did you mean 'providers'?"),
        ("/models/m/enabeld", "unknown key 'enabeld'", "did you mean 'enabled'?"),
        (
            "/zzz",
            "unknown key 'zzz'",
            (
                "known here: version, team, providers, endpoints, models, budgets, cursor_team,"
                " policy, extends, locked, prices"
            ),
        ),
    ]
    assert (found[1].position.line, found[1].position.column) == (3, 32)


def test_an_unknown_key_of_a_newer_minor_version_is_named_as_such():
    found = refused("fleet: {}\nwhen: {}", '"1.3"')
    assert found[0].message == (
        "unknown key 'fleet': this byok reads version 1.0; the manifest is written for 1.3"
    )
    assert "later version" in found[1].message


def test_a_condition_on_the_whole_manifest_is_told_where_it_belongs():
    found = only("when: {os: linux}")
    assert (found.code, found.path, found.way_out) == ("BYOK003", "/when", "move it there")
    assert "on a provider, an endpoint or a model" in found.message


@pytest.mark.parametrize(
    "section", ["providers", "endpoints", "models", "budgets", "policy", "prices"]
)
def test_a_section_whose_lines_are_all_commented_out_is_empty(section):
    accepted(f"{section}:\n  # nothing yet")


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ("team: 5", "/team", "this must be text, not a number"),
        ("team: true", "/team", "this must be text, not true or false"),
        ("team:", "/team", "this must be text, not empty"),
        ("team: a b", "/team", "a name is 1 to 64 letters"),
        ("providers: [a]", "/providers", "this must be a mapping, not a list"),
        ("providers: {openai: }", "/providers/openai", "this must be a mapping, not empty"),
        ("models: {a: }", "/models/a", "this must be a mapping, not empty"),
        ("models: {a: on}", "/models/a", "this must be a mapping, not text"),
        (
            "providers: {openai: {key: env://A, enabled: on}}",
            "/providers/openai/enabled",
            "on, off",
        ),
        ("providers: {openai: {key: []}}", "/providers/openai/key", "this list is empty"),
        ("providers: {openai: {key: [env://A, env://A]}}", "/providers/openai/key", "twice"),
        ("providers: {openai: {}}", "/providers/openai", "a provider needs its key"),
        ("providers: {openai: {enabled: false}}", "/providers/openai", "a provider needs its key"),
        ("providers: {openai: {optional: false}}", "/providers/openai", "needs its key"),
        ("providers: {azure: {}}", "/providers/azure", "a provider needs its key"),
        ("providers: {azure: {key: env://A}}", "/providers/azure", "needs the resource's endpoint"),
        ("providers: {bedrock: {}}", "/providers/bedrock", "a provider needs its key"),
        ("providers: {bedrock: {key: env://A}}", "/providers/bedrock", "region together"),
        (
            "providers: {bedrock: {access_key_id: env://A, region: us-east-1}}",
            "/providers/bedrock",
            "secret_access_key and region together",
        ),
        (
            "providers: {bedrock: {session_token: env://A, key: env://B, region: us-east-1}}",
            "/providers/bedrock",
            "together",
        ),
        ("models: {a: {}}", "/models/a", "names the provider or endpoint"),
        ("models: {a: {provider: openai, endpoint: b}}", "/models/a", "not both"),
        ("models: {a: {provider: opnai}}", "/models/a/provider", "none of the known values"),
        ("models: {'': {provider: openai}}", "/models", "a model id is 1 to 256"),
        ('models: {"a\\nb": {provider: openai}}', "/models", "without control characters"),
        ('models: {"a\\e[2J": {provider: openai}}', "/models", "without control characters"),
        ('models: {"a\\n": {provider: openai}}', "/models", "without control characters"),
        (f"models: {{{'x' * 257}: {{provider: openai}}}}", "/models", "1 to 256"),
        (
            "models: {a: {provider: openai, default_for: composer}}",
            "/models/a/default_for",
            "a list",
        ),
        ("models: {a: {provider: openai, default_for: [x]}}", "/models/a/default_for/0", "known"),
        ("endpoints: {a: {}}", "/endpoints/a", "an endpoint needs its type and base_url"),
        ("endpoints: {a: {type: x, base_url: 'https://h'}}", "/endpoints/a/type", "known values"),
        ("endpoints: {a b: {type: custom, base_url: 'https://h'}}", "/endpoints", "a name is"),
        ("prices: {m: {input: 1}}", "/prices/m", "a price has both directions"),
        ("prices: {m: {input: -1, output: 2}}", "/prices/m/input", "at least 0"),
        ("prices: {m: {input: a lot, output: 2}}", "/prices/m/input", "a number"),
        (
            "prices: {m: {input: 1, output: 2, currency: usd}}",
            "/prices/m/currency",
            "three capital letters",
        ),
        ("budgets: {b: {provider: openai}}", "/budgets/b", "a budget needs its amount"),
        ("budgets: {b: {monthly_usd: 5}}", "/budgets/b", "names its provider or endpoint"),
        (
            "budgets: {b: {monthly_usd: 5, provider: openai, endpoint: x}}",
            "/budgets/b",
            "not both",
        ),
        (
            "budgets: {b: {provider: openai, monthly_usd: 0}}",
            "/budgets/b/monthly_usd",
            "more than 0",
        ),
        (
            "budgets: {b: {provider: openai, monthly_usd: '5'}}",
            "/budgets/b/monthly_usd",
            "a number",
        ),
        (
            "budgets: {b: {provider: openai, monthly_usd: 5, alert_at: [1001]}}",
            "/budgets/b/alert_at/0",
            "at most 1000",
        ),
        (
            "budgets: {b: {provider: openai, monthly_usd: 5, notify: [me]}}",
            "/budgets/b/notify/0",
            "e-mail",
        ),
        ("policy: {max_key_age_days: 0}", "/policy/max_key_age_days", "at least 1"),
        ("policy: {ignore: [byok113]}", "/policy/ignore/0", "not a lint code"),
        ("policy: {protect: [openai]}", "/policy/protect/0", "not an address"),
        ("policy: {sops_backends: ['https://v']}", "/policy/sops_backends/0", "hc_vault:HOST"),
        (
            "providers: {azure: {optional: true, api_version: 2024}}",
            "/providers/azure/api_version",
            "text, not a number",
        ),
        (
            "providers: {google: {optional: true, cloud_project: A B}}",
            "/providers/google/cloud_project",
            "id",
        ),
        (
            "providers: {openai: {key: env://A, project: p, rate_limits: {gpt-4o: {}}}}",
            "/providers/openai/rate_limits/gpt-4o",
            "nothing stands here",
        ),
    ],
)
def test_each_error_says_where_and_what_and_the_way_out(body, path, message):
    found = only(body)
    assert (found.code, found.path) == ("BYOK003", path)
    assert message in f"{found.message}; {found.way_out}"
    assert found.way_out
    assert found.position.line >= 2


def test_all_errors_of_a_file_come_at_once_in_the_order_of_their_places():
    found = refused(
        "team: 5\n"
        "providers: {opnai: {}, google: {}}\n"
        "endpoints: {a: {type: x, base_url: h}}\n"
        "models: {m: {provider: openai, default_for: [composer], enabled: false}}\n"
        "budgets: {b: {endpoint: a, monthly_usd: -1, enforce: soft}}\n"
        "policy: {ignore: [x]}"
    )
    assert [(d.position.line, d.code, d.path) for d in found] == [
        (2, "BYOK003", "/team"),
        (3, "BYOK003", "/providers/opnai"),
        (3, "BYOK003", "/providers/google"),
        (4, "BYOK003", "/endpoints/a/type"),
        (4, "BYOK003", "/endpoints/a/base_url"),
        (5, "BYOK107", "/models/m/default_for"),
        (6, "BYOK003", "/budgets/b/monthly_usd"),
        (6, "BYOK003", "/budgets/b/enforce"),
        (7, "BYOK003", "/policy/ignore/0"),
    ]


def test_names_of_digits_keep_their_errors():
    body = "models: {'007': {provider: x}, '7': {provider: x}, '+4': {provider: x}}"
    assert sorted(d.path for d in refused(body)) == [
        "/models/+4/provider",
        "/models/007/provider",
        "/models/7/provider",
    ]


@pytest.mark.parametrize(
    "reference",
    [
        "sops://secrets/team.enc.yaml#/openai/key",
        "sops://a#b.yaml#/k",
        "keyring://byok/openai",
        "keyring://BYOK/a/b@c",
        "env://OPENAI_API_KEY",
        "file:///run/secrets/key",
        "file://key.txt",
        "op://Vault Name/item/field",
        "op://vault/item/section/field",
        "exec://pass show byok/openai",
        "ref+env://A",
        "[keyring://byok/openai, 'sops://a.yaml#/k']",
    ],
)
def test_references_that_are_well_formed(reference):
    accepted(
        f"providers: {{openai: {{key: {reference if '[' in reference else repr(reference)}}}}}"
    )


@pytest.mark.parametrize(
    "reference",
    [
        "sops://a.yaml",
        "sops://#/k",
        "keyring://byok",
        "env://",
        "env://1A",
        "env://A B",
        "op://a/b",
        "file://",
        "exec:// ",
        "env://A\\n",
        "keyring://a/b\\u0007",
    ],
)
def test_a_reference_of_a_known_kind_is_told_its_form(reference):
    found = only(f'providers: {{openai: {{key: "{reference}"}}}}')
    assert (found.code, found.path) == ("BYOK003", "/providers/openai/key")
    assert found.way_out.startswith(f"write it as {reference.partition(':')[0]}://")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("h.example/v1", "does not begin with https://"),
        ("ftp://h.example/v1", "does not begin with https://"),
        ("HTTPS//h", "does not begin with https://"),
        ("https://", "not an absolute http(s) URL"),
        ("https:///v1", "not an absolute http(s) URL"),
        ("https://h.example/v1?x=1", "query or fragment"),
        ("https://h.example/v1#x", "query or fragment"),
        ("https://h.example/v 1", "a space, backslash or control character"),
        ("https://h.example\\\\@evil.example", "user or password"),
        ("https://h.example/\\u0007", "a space, backslash or control character"),
        ("https://h.example/v1\\n", "a space, backslash or control character"),
        ("https://h.example:99999/v1", "its host or port cannot be"),
        ("https://h.example:x/v1", "its host or port cannot be"),
        ("https://[::1/v1", "its host or port cannot be"),
    ],
)
def test_a_url_that_leads_nowhere_or_too_far(url, message):
    found = only(f'endpoints: {{a: {{type: custom, base_url: "{url}"}}}}')
    assert found.path == "/endpoints/a/base_url"
    assert message in found.message


@pytest.mark.parametrize(
    "id_",
    [
        "gpt-4o",
        "vendor/model:free",
        "模型",
        "модель~1",
        "a b",
        "🦙",
        "us.anthropic.claude-v1:0",
        "x" * 256,
    ],
)
def test_model_ids_are_any_text(id_):
    manifest = accepted(f"{VALID['providers']}\nmodels: {{{id_!r}: {{provider: openai}}}}")
    assert list(manifest.models) == [id_]


def test_every_kind_of_endpoint():
    kinds = "ollama lmstudio vllm together openrouter litellm"
    kinds += " custom groq fireworks deepseek mistral xai"
    for kind in kinds.split():
        accepted(f"endpoints: {{a: {{type: {kind}, base_url: 'https://h.example/v1'}}}}")


def test_the_account_side_is_carried_as_written():
    manifest = accepted(
        "providers:\n"
        "  openai:\n"
        "    key: env://A\n"
        "    admin_key: env://B\n"
        "    project: cursor-byok\n"
        "    allow_models: [gpt-4o, o1]\n"
        "    rate_limits: {gpt-4o: {requests_per_minute: 100}}\n"
        "  anthropic: {key: env://C, admin_key: [env://D, env://E], workspace: Team W}\n"
        "  google:\n"
        "    key: env://F\n"
        "    cloud_project: acme-byok-1\n"
        "    billing_account: 01AB23-4567CD-89EF01\n"
        "  azure:\n"
        "    key: env://G\n"
        "    endpoint: https://acme.openai.azure.com\n"
        "    deployment: gpt-4o-prod\n"
        "    subscription: 00000000-1111-2222-3333-444444444444\n"
        "    resource_group: rg\n"
        "    account: acme\n"
        "    deployments: {gpt-4o-prod: {model: gpt-4o, version: '2024-08-06', capacity: 50}}\n"
        "  bedrock: {access_key_id: env://H, secret_access_key: env://I, region: eu-west-1}\n"
        "endpoints:\n"
        "  or:\n"
        "    type: openrouter\n"
        "    base_url: https://openrouter.ai/api/v1\n"
        "    admin_key: env://J\n"
        "    active: false\n"
        "budgets:\n"
        "  b: {endpoint: or, monthly_usd: 12.34, notify: [a@b.example], alert_at: [50]}\n"
    )
    openai, azure = manifest.providers["openai"], manifest.providers["azure"]
    assert openai.secrets == {"key": ("env://A",)}
    assert openai.account == {
        "admin_key": ("env://B",),
        "project": "cursor-byok",
        "allow_models": ("gpt-4o", "o1"),
        "rate_limits": {"gpt-4o": {"requests_per_minute": 100}},
    }
    assert manifest.providers["anthropic"].account["admin_key"] == ("env://D", "env://E")
    assert azure.settings == {
        "endpoint": "https://acme.openai.azure.com",
        "deployment": "gpt-4o-prod",
    }
    assert azure.account["deployments"]["gpt-4o-prod"]["capacity"] == 50
    assert manifest.providers["bedrock"].secrets == {
        "access_key_id": ("env://H",),
        "secret_access_key": ("env://I",),
    }
    assert manifest.endpoints["or"].account == {"admin_key": ("env://J",)}
    assert manifest.budgets["b"] == {
        "endpoint": "or",
        "monthly_usd": 12.34,
        "notify": ("a@b.example",),
        "alert_at": (50,),
    }


def test_custom_unless_cursor_knows_the_providers_models():
    manifest = accepted(
        f"{VALID['endpoints']}\n"
        "providers:\n"
        "  openai: {key: env://A}\n"
        "  anthropic: {absent: true}\n"
        "  google: {optional: true}\n"
        "  azure: {absent: true}\n"
        "  bedrock: {absent: true}\n"
        "models:\n"
        "  a: {provider: openai}\n"
        "  b: {provider: anthropic}\n"
        "  c: {provider: google}\n"
        "  d: {provider: azure}\n"
        "  e: {provider: bedrock}\n"
        "  f: {endpoint: gw}\n"
        "  g: {provider: openai, custom: true}\n"
        "  h: {endpoint: gw, custom: false, absent: true}\n"
    )
    custom = {model.id: model.custom for model in manifest.models.values()}
    assert [id_ for id_, each in custom.items() if each] == ["d", "e", "f", "g"]
    assert manifest.models["h"].absent
