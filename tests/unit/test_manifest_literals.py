"""A secret in the file is refused by its line, and stands in nothing that is said about it."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest import parse

KEYS = {
    "openai": "sk-proj-" + "A" * 58 + "T3BlbkFJ" + "B" * 58,
    "anthropic": "sk-ant-api03-" + "c" * 93 + "AA",
    "google": "AIza" + "D" * 35,
    "openrouter": "sk-or-v1-" + "0f" * 32,
    "bedrock": "AKIA" + "Q" * 16,
}
CANARY = "hunter2-canary"


def said(text):
    """Return the diagnostics of a text, after looking for the secret in all that is said."""
    with pytest.raises(ManifestError) as caught:
        parse(text, "byok.yaml", Path())
    everything = "".join(traceback.format_exception(caught.value)) + repr(caught.value.diagnostics)
    for secret in (*KEYS.values(), CANARY):
        assert secret not in everything
        assert secret[8:] not in everything
    return caught.value.diagnostics


PLACES = {
    "a key": "version: 1\nproviders:\n  openai:\n    key: {}\n",
    "one of several keys": "version: 1\nproviders:\n  openai:\n    key: [env://A,\n{}]\n",
    "a name": "version: 1\nteam: {}\n",
    "the version": "version: {}\n",
    "an unknown key's value": "version: 1\nnonsense: {}\n",
    "an unknown key": "version: 1\n{}: x\n",
    "a key given twice": "version: 1\n{0}: x\n{0}: x\n",
    "a model's id": "version: 1\nmodels:\n  {}: {{provider: openai}}\n",
    "a field of a model": "version: 1\nmodels:\n  m: {{{}: 1}}\n",
    "an endpoint's name": "version: 1\nendpoints:\n  {}: {{}}\n",
    "a type": "version: 1\nendpoints:\n  a: {{type: {}, base_url: 'https://h.example'}}\n",
    "a URL's path": "version: 1\nendpoints: {{a: {{type: custom, base_url: 'https://h/v1#{}'}}}}\n",
    "a reference": "version: 1\nmodels: {{m: {{endpoint: {}}}}}\n",
    "a list of numbers": "version: 1\nbudgets: {{b: {{alert_at: [{}]}}}}\n",
    "a feature": "version: 1\nmodels: {{m: {{provider: openai, default_for: [{}]}}}}\n",
    "a comment": "version: 1\nteam: a b # was {}\n",
    "a comment of its own": "version: 1\nteam: a b\n#{}\n",
    "a block of text": "version: 1\nteam: |\n  line\n  {}\n",
    "quotes": 'version: 1\nteam: "{}"\n',
    "an anchor's value": "version: 1\nteam: &x {}\nnonsense: *x\n",
    "a complex key": "version: 1\n? [{}]\n: x\n",
    "the whole file": "{}\n",
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_key_anywhere_is_refused_and_never_repeated(place, kind):
    text = PLACES[place].format(KEYS[kind])
    found = [d for d in said(text) if d.code == "BYOK004"]
    assert found, place
    line = text[: text.index(KEYS[kind])].count("\n") + 1
    assert any(line - 2 <= d.position.line <= line for d in found)
    if place != "a URL's path":
        assert kind in found[0].message


@pytest.mark.parametrize("value", [CANARY, f"'{CANARY}'", f"vault://{CANARY}", f"ref+{CANARY}"])
@pytest.mark.parametrize(
    "field",
    [
        "providers: {{openai: {{key: {}}}}}",
        "providers: {{openai: {{key: [env://A, {}]}}}}",
        "providers: {{openai: {{key: env://A, admin_key: {}}}}}",
        "providers: {{bedrock: {{region: eu-west-1, access_key_id: {}, secret_access_key: env://A}}}}",
        "endpoints: {{a: {{type: custom, base_url: 'https://h.example/v1', key: {}}}}}",
        "policy: {{fingerprint_key: {}}}",
    ],
)
def test_what_is_no_reference_in_a_keys_place_is_a_literal_secret(field, value):
    [found] = said("version: 1\n" + field.format(value) + "\n")
    assert (found.code, found.position.line) == ("BYOK004", 2)
    assert "keyring://SERVICE/USER" in found.way_out


@pytest.mark.parametrize("number", ["12345678", "1.5", "true"])
def test_a_number_in_a_keys_place_may_be_a_secret_too(number):
    [found] = said(f"version: 1\nproviders: {{openai: {{key: {number}}}}}\n")
    assert found.code == "BYOK004"


@pytest.mark.parametrize(
    "form", ["https://me:{}@h.example/v1", "https://{}@h.example/v1", "https://:{}@h"]
)
@pytest.mark.parametrize(
    "field",
    [
        "endpoints: {{a: {{type: custom, base_url: '{}'}}}}",
        "providers: {{azure: {{key: env://A, deployment: d, endpoint: '{}'}}}}",
        "providers: {{openai: {{key: env://A, api_base: '{}'}}}}",
    ],
)
def test_a_url_with_a_user_is_refused_and_not_repeated(field, form):
    [found] = said("version: 1\n" + field.format(form.format(CANARY)) + "\n")
    assert found.code == "BYOK004"
    assert "user or password" in found.message


@pytest.mark.parametrize(
    "text",
    [
        f"providers: {{openai: {{key: {{{CANARY}: 1}}}}}}",
        f"endpoints: {{a: {{type: custom, base_url: 'https://h.example/v1?key={CANARY}'}}}}",
        f"endpoints: {{a: {{type: {CANARY}, base_url: 'https://h.example/v1'}}}}",
        f"models: {{m: {{provider: {CANARY}}}}}",
        f"models: {{m: {{endpoint: {CANARY}}}}}",
        f"policy: {{ignore: [{CANARY}]}}",
        f"policy: {{sops_backends: ['https://{CANARY}']}}",
        f"budgets: {{b: {{provider: openai, monthly_usd: {CANARY}}}}}",
        f"providers: {{openai: {CANARY}}}",
        f"team: '{CANARY} {CANARY}'",
        f"team: !{CANARY} x",
        f"team: *{CANARY}",
        f"team: [{CANARY}",
        f"team: '{CANARY}",
    ],
)
def test_no_value_at_all_is_repeated(text):
    assert said(f"version: 1\n{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "providers: {openai: {key: 'sops://secrets/team.enc.yaml#/openai/sk-key'}}",
        "models: {us.anthropic.claude-sonnet-4-5-20250929-v1:0: {provider: openai}}",
        "team: acme-platform-team-with-a-long-name # see sops://a.yaml#/b",
        "# AIza keys are of the old kind, sk-ant- begins Anthropic's",
    ],
)
def test_what_only_resembles_a_key_is_let_through(text):
    parse(f"version: 1\n{text}\n", "byok.yaml", Path())
