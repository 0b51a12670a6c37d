"""Key shapes: pasted keys are found, harmless text is not."""

from __future__ import annotations

import pytest

from reconciler.shapes import fits, looks_like

T3 = "T3" + "BlbkFJ"
KEYS = {
    "openai": [
        "sk-proj-" + "A" * 58 + T3 + "B" * 58,
        "sk-proj-" + "a_-" * 24 + "ab" + T3 + "c-d" * 24 + "xy",
        "sk-svcacct-" + "A" * 74 + T3 + "B" * 74,
        "sk-admin-" + "A" * 58 + T3 + "B" * 58,
        "sk-" + "A" * 20 + T3 + "B" * 20,
    ],
    "anthropic": ["sk-ant-api03-" + "a" * 93 + "AA", "sk-ant-admin01-" + "b" * 93 + "AA"],
    "google": ["AI" + "zaSy" + "D" * 33, "AQ." + "Ab8" * 17],
    "bedrock": [
        "AK" + "IA" + "Q" * 16,
        "AB" + "SK" + "Q" * 120 + "==",
        "bedrock-" + "api-key-YmVkcm9jay5hbWF6b25hd3MuY29t" + "QQ",
    ],
    "azure": ["C" * 52 + "JQQJ" + "99" + "BA" + "d" * 12 + "AAABACOG" + "wxyz"],
    "openrouter": ["sk-" + "or-v1-" + "0a" * 32],
    "together": ["tgp_" + "v1_" + "x" * 43],
}
ALL = [(provider, key) for provider, keys in KEYS.items() for key in keys]


@pytest.mark.parametrize(("provider", "key"), ALL)
def test_a_key_is_found_alone_and_inside_a_text(provider, key):
    assert looks_like(key) == provider
    assert looks_like(f"  {key}\n") == provider
    assert looks_like(f"https://llm.acme.example/v1?key={key}") == provider
    assert looks_like(f"Bearer {key}") == provider


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sops://secrets/team.enc.yaml#/openai/key",
        "keyring://byok/openai",
        "op://Dev/OpenAI/key",
        "https://acme-openai-prod.openai.azure.com/openai/deployments/gpt-4o",
        "claude-sonnet-4-5-20250929",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "arn:aws:iam::123456789012:role/byok",
        "sk-gateway",
        "risk-" + "assessment-" * 4 + "2024",
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "6f1ed002-ab59-4a3f-8f0e-1c2d3e4f5a6b",
        "proj_" + "A" * 24,
        "finops@acme.example",
        "FAQ.html",
        "AI" + "za" + "b" * 60,
        "AK" + "IA" + "Q" * 30,
    ],
)
def test_harmless_text_is_not_a_key(text):
    assert looks_like(text) is None


def test_untelling_shapes_count_in_their_context_only():
    azure, aws = "0a" * 16, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKE" + "Y"
    assert looks_like(azure) is None
    assert looks_like(azure, "azure") == "azure"
    assert looks_like(azure, "openai") is None
    assert looks_like(aws) is None
    assert looks_like(aws, "bedrock") == "bedrock"
    assert looks_like("da39a3ee5e6b4b0d3255bfef95601890afd80709", "bedrock") is None


def test_a_litellm_key_counts_as_a_key():
    assert looks_like("sk-" + "abcdefghij" * 2 + "9") == "litellm"


@pytest.mark.parametrize(("provider", "key"), ALL)
def test_a_key_fits_its_provider_and_no_other(provider, key):
    assert fits(provider, key)
    for other in {"openai", "anthropic", "google", "azure", "bedrock"} - {provider}:
        assert not fits(other, key), other


def test_where_nobody_can_tell_it_fits():
    assert fits("litellm", "anything")
    assert fits("ollama", KEYS["openai"][0])
    assert fits("azure", "some-new-form-of-key")
    assert fits("bedrock", "a session token")
    assert fits("openai", "sk-" + "new" * 12)
    assert not fits("anthropic", "anything")
    assert not fits("google", "anything")
