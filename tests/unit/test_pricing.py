"""Prices: the manifest's own first, then the list's; nothing is guessed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from reconciler.money import Money
from reconciler.pricing import LOCAL, Price, Tokens, list_name, listed, of_model, of_name
from reconciler.spec import Endpoint, Manifest, ModelEntry, Provider


def manifest(**parts):
    return Manifest("byok.yaml", Path(), **parts)


def test_a_session_costs_its_parts():
    price = Price(Decimal("2.5"), Decimal(10), Decimal("1.25"))
    assert price.of(Tokens(20_000, 5_000, 100_000)) == Money(Decimal("0.225"))
    assert price.of(Tokens()) == Money(Decimal(0))


def test_cached_tokens_without_a_price_cost_what_sent_ones_do():
    price = Price(Decimal(2), Decimal(8))
    assert price.of(Tokens(cached=1_000_000)) == Money(Decimal(2))


def test_the_list_names_its_version_and_its_source():
    found = listed("gpt-4o", "openai")
    assert (found.sent, found.answered, found.currency) == (Decimal("2.5"), Decimal(10), "USD")
    assert found.source.startswith(f"{list_name()}, from https://")
    assert list_name().startswith("genai-prices 0.")


def test_a_higher_tier_is_named_and_not_taken():
    assert listed("gemini-2.5-pro", "google").above == 200_000
    assert listed("gpt-4o", "openai").above == 0


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        (ModelEntry("gpt-4o", provider="openai"), True),
        (ModelEntry("claude-sonnet-4-5", provider="anthropic"), True),
        (ModelEntry("gemini-2.5-pro", provider="google"), True),
        (ModelEntry("amazon.nova-pro-v1:0", provider="bedrock"), True),
        (ModelEntry("gpt-4o-prod", provider="azure"), False),
        (ModelEntry("gpt-4o", provider="google"), False),
        (ModelEntry("gpt-4o", endpoint="gateway"), False),
        (ModelEntry("gpt-4o", endpoint="own"), False),
    ],
)
def test_what_the_owner_named_is_not_taken_for_what_the_list_knows(entry, known):
    ends = {
        "gateway": Endpoint("gateway", "litellm", "https://h/v1"),
        "own": Endpoint("own", "custom", "https://h/v1"),
    }
    assert (of_model(manifest(endpoints=ends), entry) is not None) == known


def test_a_deployment_goes_by_its_declared_model():
    account = {"deployments": {"gpt-4o-prod": {"model": "gpt-4o"}}}
    given = manifest(providers={"azure": Provider("azure", account=account)})
    assert of_model(given, ModelEntry("gpt-4o-prod", provider="azure")).sent == Decimal("2.5")


@pytest.mark.parametrize("type_", LOCAL)
def test_a_server_of_one_s_own_costs_nothing_per_token(type_):
    given = manifest(endpoints={"here": Endpoint("here", type_, "http://localhost/v1")})
    found = of_model(given, ModelEntry("qwen3", endpoint="here"))
    assert found.of(Tokens(10**9, 10**9, 10**9)) == Money(Decimal(0))


def test_the_manifest_s_price_wins_over_the_list_s():
    own = {"gpt-4o": {"input": 0.1, "output": 0, "currency": "EUR"}}
    found = of_model(manifest(prices=own), ModelEntry("gpt-4o", provider="openai"))
    assert found == Price(Decimal("0.1"), Decimal(0), None, "EUR", "prices in the manifest")
    assert of_name(manifest(prices=own), "gpt-4o") == found


def test_a_model_that_nobody_declared_is_looked_up_by_its_name():
    assert of_name(manifest(), "claude-opus-4-1").sent == Decimal(15)
    assert of_name(manifest(), "nobody-made-this") is None
