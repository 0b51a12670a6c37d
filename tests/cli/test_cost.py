"""A month against budgets from the command line: a process, a sandbox, seven simulators."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Bench
from tests.cli.test_accounts import Fleet
from tests.simulators.server import Response
from tests.simulators.world import world

pytestmark = pytest.mark.timeout(240)
TELLING = [
    part for name in ("openai", "anthropic", "azure", "gateway") for part in ("--system", name)
]
SPENT = {"openai": "493", "anthropic": "90", "azure": "24", "gateway": "45"}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with world() as here:
        box = here.sandbox(tmp_path / "box")
        here.bill(datetime.now(UTC).date())
        yield Fleet(here, Bench(box))


def cost(fleet, *args, **env):
    return fleet("cost", *args, *fleet.approved, **env)


def rounded(document):
    return {
        account["account"]: str(round(float(account["spent"][0]["amount"]), 2)).removesuffix(".0")
        for account in document["accounts"]
        if account["state"] == "told"
    }


def test_a_month_is_told_against_budgets_and_nothing_is_written(fleet):
    before = [one.snapshot() for one in fleet.here.simulators]
    done = cost(fleet, "--json")
    assert done.code == 0, done.err
    found = done.document
    assert found["format"] == "byok.cost/1"
    assert rounded(found) == SPENT
    assert found["not_in_total"] == ["google", "bedrock", "cursor-team"]
    budgets = {b["name"]: (b["percent"], b["spent"], b["of"]) for b in found["budgets"]}
    assert budgets == {
        "openai": ("92.0", "460.00 USD", "cursor-byok"),
        "anthropic": ("30.0", "90.00 USD", "cursor-byok"),
        "google": (None, None, ""),
        "azure": ("12.0", "24.00 USD", ""),
        "bedrock": (None, None, ""),
        "gateway": ("90.0", "45.00 USD", ""),
    }
    early = datetime.now(UTC).day < 5
    assert {b["no_forecast"] for b in found["budgets"] if b["spent"]} == {
        "too early to tell" if early else None
    }
    assert fleet.writes() == {}
    assert [one.snapshot() for one in fleet.here.simulators] == before


def test_aws_is_asked_only_where_its_price_is_agreed_to(fleet):
    assert cost(fleet, "--system", "bedrock", "--probe", "cost").code == 64
    done = cost(fleet, "--system", "bedrock", "--probe", "cost", "--yes", "--json")
    assert done.code == 0, done.err
    assert "0.01 USD" in done.err
    assert rounded(done.document) == {"bedrock": "12"}
    (budget,) = done.document["budgets"]
    assert budget["percent"] == "8.0"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--fail-over", "93%"), 0, ""),
        (("--fail-over", "92"), 2, "budget openai: 92%"),
        (("--fail-over", "90%"), 2, "budget gateway: 90%"),
        (("--fail-over", "90%", "--json"), 2, "budget openai: 92%"),
    ],
)
def test_ci_fails_over_a_percentage(fleet, args, code, words):
    done = cost(fleet, *TELLING, *args)
    assert done.code == code, done.err
    assert words in done.err
    assert done.out


def test_ci_fails_over_a_forecast_where_there_is_one(fleet):
    done = cost(fleet, *TELLING, "--fail-over", "95%", "--forecast")
    foreseen = 5 <= datetime.now(UTC).day < 29
    if foreseen:
        assert done.code == 2, done.err
        assert "budget openai: expected to reach" in done.err
    assert "Traceback" not in done.err


def test_ci_takes_silence_for_no_success(fleet):
    done = cost(fleet, "--system", "google", "--fail-over", "90%")
    assert done.code == 5
    assert "budget google: cannot be told" in done.err
    assert "--system" in done.err
    whole = cost(fleet, "--fail-over", "90%")
    assert whole.code == 5, "what is unknown counts more than what is over"
    assert "budget openai: 92%" in whole.err


def test_ci_refuses_a_gate_with_nothing_to_hold(fleet):
    done = cost(fleet, "--system", "cursor-team", "--fail-over", "90%")
    assert done.code == 64
    assert "no budget" in done.err


@pytest.mark.parametrize(
    "response",
    [Response(401, {"error": {"code": "invalid_api_key"}}), Response(500, {})],
    ids=["dead", "down"],
)
def test_one_account_that_fails_leaves_the_others_told(fleet, response):
    fleet.here.openai.inject("answer", response=response, times=10_000)
    done = cost(fleet, "--json")
    assert done.code == 5
    assert rounded(done.document) == {n: s for n, s in SPENT.items() if n != "openai"}
    (failed,) = [a for a in done.document["accounts"] if a["state"] == "failed"]
    assert (failed["account"], failed["exit"]) == ("openai", 5)
    assert "OpenAI" in done.err
    text = cost(fleet)
    assert text.code == 5
    assert "openai: failed: OpenAI" in text.out
    assert "anthropic: 90.00 USD" in text.out


def test_a_declared_admin_key_that_cannot_be_had_is_no_silence(fleet):
    fleet.bench.edit("#/openai/admin", "#/openai/nobody")
    done = cost(fleet, *TELLING)
    assert done.code == 4
    assert "anthropic: 90.00 USD" in done.out


def test_nothing_is_sent_to_an_address_nobody_approved(fleet):
    done = fleet("cost", "--system", "openai")
    assert done.code == 8
    assert "--allow-origin" in done.err
    assert not any(fleet.seen().values())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--offline",), "byok cost estimate"),
        (("--system", "cursor"), "name one of openai"),
        (("--system", "nobody"), "name one of openai"),
        (("--target", "cursor/model/x"), "--system"),
        (("--fail-over", "a lot"), "write it like 90%"),
        (("--fail-over", "0%"), "write it like 90%"),
        (("--forecast",), "--fail-over"),
        (("nothing",), "No such command"),
    ],
)
def test_a_command_line_that_cannot_be_is_64_and_asks_nobody(fleet, args, words):
    done = cost(fleet, *args) if args[0] != "nothing" else fleet("cost", *args)
    assert done.code == 64, done.out
    assert words in done.err
    assert not any(fleet.seen().values())


def test_a_broken_manifest_is_3(fleet):
    fleet.bench.edit("monthly_usd: 500", "monthly_usd: lots")
    assert cost(fleet).code == 3
    assert fleet("cost", "estimate").code == 3


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_sixty_columns_are_enough_and_nothing_is_coloured(fleet, env):
    for args in ((), ("-v",)):
        done = cost(fleet, *args, COLUMNS="60", **env)
        assert max(len(line) for line in done.out.splitlines()) <= 60
        assert "\x1b" not in done.out


def test_bars_are_coloured_where_colours_are_wanted(fleet):
    done = cost(fleet, "--system", "openai", FORCE_COLOR="1")
    assert "\x1b[33m" in done.out
    plain = cost(fleet, "--system", "openai", "--no-color", FORCE_COLOR="1")
    assert "\x1b" not in plain.out


def test_a_terminal_without_unicode_gets_plain_letters(fleet):
    done = cost(fleet, *TELLING, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.code == 0, done.err
    assert done.out.isascii()
    assert "#########." in done.out


def test_no_secret_of_any_account_in_any_output(fleet):
    here, said = fleet.here, []
    secrets = [text for group in here.keys.values() for text in group.values()]
    secrets += [text[:24] for text in secrets if len(text) > 60]
    here.google.inject("answer", response=Response(400, {"error": {"message": here.google.key}}))
    for args in ((), ("-v",), ("--json",), ("--fail-over", "5%")):
        done = cost(fleet, *args)
        said += [done.out, done.err]
    echo = Response(401, {"error": {"message": here.openai.admin_key}})
    here.openai.inject("answer", response=echo, times=99)
    for args in ((), ("--json", "-v")):
        done = cost(fleet, *args)
        said += [done.out, done.err]
    everything = "\n".join(said)
    assert not any(secret in everything for secret in secrets)


# What a session costs: off line.


def test_a_session_is_priced_with_every_declared_model(byok):
    byok.edit("version: 1", "version: 1\nprices: { acme-coder: { input: 0.5, output: 1.5 } }")
    done = byok("cost", "estimate", "--session", "in=20k,out=5k,cache=100k", "--json")
    assert done.code == 0, done.err
    found = done.document
    assert found["format"] == "byok.cost-estimate/1"
    assert found["session"] == {"in": 20_000, "out": 5_000, "cache": 100_000}
    costs = [float(m["cost"]) for m in found["models"] if m["cost"]]
    assert costs == sorted(costs)
    mini = next(m for m in found["models"] if m["model"] == "gpt-4o")
    assert (mini["cost"], mini["currency"]) == ("0.225", "USD")
    assert mini["price"]["source"].startswith("genai-prices ")


def test_a_session_needs_no_network_and_no_secrets(byok):
    text = byok.box.manifest.read_text()
    (byok.box.manifest.parent / "secrets" / "team.enc.yaml").unlink()
    done = byok("cost", "estimate", "--offline", COLUMNS="60")
    assert done.code == 0, done.err
    assert "a million tokens in USD: 2.5 in, 10 out, 1.25 from cache" in " ".join(done.out.split())
    assert max(len(line) for line in done.out.splitlines()) <= 60
    assert byok.box.manifest.read_text() == text


def test_models_are_priced_where_there_is_no_manifest(byok):
    byok.box.manifest.unlink()
    done = byok(
        "cost", "estimate", "--model", "o1", "--model", "no-such", "--sessions-per-day", "2"
    )
    assert done.code == 0, done.err
    assert "o1: 0.5250 USD" in done.out
    assert "2 a day: 31.50 USD in 30 days" in done.out
    assert "no-such: no price: name it under prices:" in done.out
    assert byok("cost", "estimate").code == 3


@pytest.mark.parametrize("text", ["", "in=20x", "tokens=5", "in=1,in=2"])
def test_a_session_that_is_none_is_64_in_words(byok, text):
    done = byok("cost", "estimate", "--session", text)
    assert done.code == 64
    assert "in=20k,out=5k,cache=100k" in done.err
