"""What endpoints tell of a month: two gateways do, local servers cost nothing per token."""

from __future__ import annotations

import pytest

from reconciler.errors import ProviderError
from reconciler.pricing import LOCAL
from reconciler.systems.account import Spend, Untold
from tests.simulators.endpoints import LiteLLM, OpenRouter
from tests.simulators.server import Response, serve
from tests.unit.costing import rows, spent, total

KEY, ADMIN = "sk-" + "or-v1-" + "k1" * 32, "sk-" + "or-v1-" + "m2" * 32
GPT, CLAUDE = "openai/gpt-5.2", "anthropic/claude-sonnet-4.5"


@pytest.fixture
def ask(tmp_path):
    def at(simulator, type_, path="", *, admin=True, **fields):
        with serve(simulator) as base:
            entry = {"type": type_, "base_url": f"{base}{path}", "key": "file://keys/key"}
            entry |= {"admin_key": "file://keys/admin"} if admin else {}
            data = {"endpoints": {"gate": {**entry, **fields}}}
            return spent(tmp_path, base, data, {"key": KEY, "admin": ADMIN}, "gate")

    return at


@pytest.fixture
def router():
    made = OpenRouter(KEY, ADMIN)
    made.keys[0]["usage_daily"] = 0.5
    made.add_key("other", "sk-" + "or-v1-" + "z9" * 32, usage_daily=0)
    made.add_activity("2026-10-31", "cursor-team", GPT, 50.0, 1000)
    made.add_activity("2026-11-01", "cursor-team", GPT, 1.5, 1000)
    made.add_activity("2026-11-01", "other", GPT, 0.25, 100)
    made.add_activity("2026-11-19", "cursor-team", CLAUDE, 2.0, 2000)
    return made


def test_openrouter_tells_days_and_models_and_today_by_key(router, ask):
    found = ask(router, "openrouter")
    assert rows(found) == {
        (1, "", "", GPT): 1.75,
        (19, "", "", CLAUDE): 2.0,
        (20, "", "cursor-team", ""): 0.5,
    }
    assert found.whole == "the whole account"
    assert router.writes() == []


def test_openrouter_tells_the_named_key_apart(router, ask):
    found = ask(router, "openrouter", key_name="cursor-team")
    assert rows(found) == {
        (1, "", "cursor-team", GPT): 1.5,
        (1, "", "", GPT): 0.25,
        (19, "", "cursor-team", CLAUDE): 2.0,
        (20, "", "cursor-team", ""): 0.5,
    }
    first = next(line for line in found.lines if line.key and line.model == GPT)
    assert (first.tokens_in, first.tokens_out) == (1000, 100)
    assert total(found) == "4.25 USD"


def test_openrouter_s_ordinary_key_tells_its_own_sum(router, ask):
    found = ask(router, "openrouter", admin=False)
    assert rows(found) == {(None, "", "the key in use here", ""): 25.5}


def test_openrouter_s_ordinary_key_in_the_admin_s_place_is_a_failure(router, ask):
    router.management_key = "sk-" + "elsewhere"
    router.add_key("stray", ADMIN)
    with pytest.raises(ProviderError, match="manages nothing"):
        ask(router, "openrouter")


@pytest.fixture
def proxy():
    made = LiteLLM(KEY, ADMIN)
    made.add_team("cursor-byok")
    made.add_team("others")
    made.add_key("ci", "sk-" + "ci" * 12)
    made.use("2026-10-31", "cursor-byok", "cursor", "acme-coder", 70.0, 10)
    made.use("2026-11-01", "cursor-byok", "cursor", "acme-coder", 1.5, 1000)
    made.use("2026-11-01", "cursor-byok", "ci", "acme-coder", 0.5, 500)
    made.use("2026-11-01", "cursor-byok", "cursor", "acme-fast", 0.25, 100)
    made.use("2026-11-20", "cursor-byok", "cursor", "", 0.125, 0)
    made.use("2026-11-20", "others", "ci", "acme-fast", 9.0, 900)
    return made


@pytest.mark.parametrize("page", [1, 2, 100])
def test_litellm_tells_the_team_by_day_key_and_model_over_all_pages(proxy, ask, page):
    proxy.page = page
    found = ask(proxy, "litellm", "/v1", team={"name": "cursor-byok"})
    assert rows(found) == {
        (1, "cursor-byok", "cursor", "acme-coder"): 1.5,
        (1, "cursor-byok", "ci", "acme-coder"): 0.5,
        (1, "cursor-byok", "cursor", "acme-fast"): 0.25,
        (20, "cursor-byok", "", ""): 0.125,
    }
    assert found.whole == ""
    assert proxy.writes() == []


def test_litellm_without_a_team_tells_the_whole_proxy(proxy, ask):
    found = ask(proxy, "litellm", "/v1")
    assert total(found) == "11.38 USD"
    assert found.whole == "the whole proxy"


def test_a_team_that_is_not_made_yet_cost_nothing(proxy, ask):
    found = ask(proxy, "litellm", "/v1", team={"name": "new"})
    assert isinstance(found, Spend)
    assert found.lines == ()


def test_litellm_without_a_database_is_untold(ask):
    found = ask(LiteLLM(KEY, ADMIN, database=False), "litellm", "/v1", team={"name": "x"})
    assert isinstance(found, Untold)
    assert "does not offer" in found.reason


def test_litellm_without_its_admin_is_untold(proxy, ask):
    found = ask(proxy, "litellm", "/v1", admin=False)
    assert isinstance(found, Untold)
    assert proxy.log == []


def test_a_day_of_another_form_is_no_cost_of_nothing(proxy, ask):
    page = {"results": [{"date": "once", "metrics": {"spend": 5}}], "metadata": {}}
    proxy.inject("answer", path="*/daily/activity", response=Response(200, page))
    with pytest.raises(ProviderError, match="not answer in its own format"):
        ask(proxy, "litellm", "/v1")


@pytest.mark.parametrize("type_", LOCAL)
def test_a_server_of_one_s_own_costs_nothing_per_token(tmp_path, type_):
    data = {"endpoints": {"here": {"type": type_, "base_url": "http://localhost:1/v1"}}}
    found = spent(tmp_path, "http://localhost:1", data, {}, "here")
    assert isinstance(found, Spend)
    assert found.lines == ()
    assert "nothing is paid per token" in found.source


def test_a_type_without_a_known_api_is_untold(tmp_path):
    entry = {"type": "groq", "base_url": "https://api.groq.com/openai/v1", "key": "file://keys/key"}
    found = spent(tmp_path, "https://x", {"endpoints": {"g": entry}}, {"key": "gsk_x"}, "g")
    assert isinstance(found, Untold)
    assert "groq" in found.reason


def test_google_and_cursor_say_why_they_are_untold(tmp_path):
    data = {
        "providers": {"google": {"key": "file://keys/key"}},
        "cursor_team": {"admin_key": "file://keys/key"},
    }
    for account, words in (("google", "no API"), ("cursor-team", "own cycle")):
        found = spent(tmp_path, "https://x", data, {"key": "x"}, account)
        assert isinstance(found, Untold)
        assert words in found.reason
        assert found.way_out
