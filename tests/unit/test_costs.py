"""A month held against budgets: forecast, shares, the gate, sessions, advice, and its lines."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from reconciler.costs import Told, estimates, measures, outlook, read_tokens, report
from reconciler.costs.advice import advise
from reconciler.costs.forecast import EARLY, NO_DAYS
from reconciler.costs.measures import passing, shown, untold
from reconciler.costs.report import document
from reconciler.costs.text import Paper, bar, month, session
from reconciler.errors import ProviderError, UsageError
from reconciler.money import Money
from reconciler.pricing import Tokens
from reconciler.spec import Endpoint, Manifest, ModelEntry, Provider
from reconciler.systems.account import Line, Spend, Untold

DAY = date(2026, 11, 20)
FIRST = date(2026, 11, 1)


def manifest(**parts):
    return Manifest("byok.yaml", Path(), **parts)


def told(*lines, account="openai", whole="the whole organisation"):
    return Told(account, Spend(tuple(lines), FIRST, "a report", "hours late", whole))


def usd(amount, day=1, unit="USD", **more):
    return Line(Money.of(amount, unit), day and date(2026, 11, day), **more)


# The forecast.

days = st.dates(date(2026, 1, 1), date(2028, 12, 31))
amounts = st.decimals(0, 10_000, places=4, allow_nan=False, allow_infinity=False)


@st.composite
def months(draw):
    day = draw(days)
    numbers = st.integers(1, day.day)
    spent = draw(st.lists(st.tuples(numbers, amounts, st.sampled_from(["USD", "EUR"])), max_size=9))
    return day, [Line(Money(a, u), day.replace(day=n)) for n, a, u in spent]


@given(months(), st.randoms())
def test_a_forecast_is_never_less_than_what_is_spent_and_knows_no_order(month_, random):
    day, lines = month_
    ahead = outlook(lines, day)
    shuffled = list(lines)
    random.shuffle(shuffled)
    again = outlook(shuffled, day)
    assert again.why == ahead.why
    assert {u: round(m.amount, 9) for u, m in again.amounts.items()} == {
        u: round(m.amount, 9) for u, m in ahead.amounts.items()
    }
    assert (ahead.why == EARLY) == (day.day < 5)
    for unit, money in ahead.amounts.items():
        spent = sum(n.amount.amount for n in lines if n.amount.currency == unit)
        assert money.amount >= spent
        assert money.currency == unit


@given(days, st.decimals(0, 1000, places=2))
def test_days_that_are_alike_go_on_alike(day, each):
    lines = [Line(Money(each), day.replace(day=n)) for n in range(1, day.day + 1)]
    ahead = outlook(lines, day)
    if not ahead.why:
        whole = each * monthrange(day.year, day.month)[1]
        assert round(ahead.amounts["USD"].amount, 6) == round(whole, 6)


@given(months(), st.integers(2, 50))
def test_a_forecast_grows_with_what_is_spent(month_, times):
    day, lines = month_
    more = [Line(Money(n.amount.amount * times, n.amount.currency), n.day) for n in lines]
    one, many = outlook(lines, day), outlook(more, day)
    for unit, money in one.amounts.items():
        assert round(many.amounts[unit].amount, 6) == round(money.amount * times, 6)


def test_two_days_that_may_still_grow_are_not_taken_for_complete_ones():
    lines = [usd(10, n) for n in range(1, 19)] + [usd(Decimal("0.5"), 19)]
    assert outlook(lines, DAY).amounts["USD"] == Money.of(300)


@pytest.mark.parametrize("day", [1, 2, 3, 4])
def test_the_first_days_foresee_nothing(day):
    assert outlook([usd(10)], date(2026, 11, day)).why == EARLY


def test_a_sum_without_days_foresees_nothing():
    assert outlook([usd(10, None)], DAY).why == NO_DAYS


# Budgets.

BUDGET = {"b": {"provider": "openai", "monthly_usd": 100}}
OPENAI = {"openai": Provider("openai", account={"project": "mine"})}


def one(lines, *, budget=(), providers=OPENAI, **more):
    given_ = manifest(providers=providers, budgets={"b": {**BUDGET["b"], **dict(budget)}})
    (found,) = measures(given_, [told(*lines, **more)], DAY)
    return found


def test_a_budget_counts_its_own_project():
    found = one([usd(30, scope="mine"), usd(500, scope="other")])
    assert (found.spent, found.share, found.of) == (Money.of(30), Decimal(30), "mine")
    assert found.foreseen == Money.of("50.00")


def test_a_budget_of_the_organisation_counts_all_of_it():
    found = one([usd(30, scope="mine"), usd(50, scope="other")], budget={"scope": "organization"})
    assert found.spent == Money.of(80)


def test_a_budget_of_the_organisation_cannot_be_told_from_a_part():
    found = one([usd(30)], budget={"scope": "organization"}, whole="")
    assert found.spent is None
    assert "only a part" in found.why


def test_a_project_without_costs_is_nothing_spent():
    assert one([usd(500, scope="other")]).share == 0


@pytest.mark.parametrize("units", [("EUR",), ("USD", "EUR")])
def test_another_currency_is_never_compared(units):
    found = one([usd(30, unit=unit, scope="mine") for unit in units])
    assert found.spent is None
    assert "billed in EUR" in found.why


def test_a_budget_in_the_account_s_own_currency_is_compared():
    found = one([usd(30, unit="EUR", scope="mine")], budget={"currency": "EUR"})
    assert found.share == 30


def test_openrouter_s_budget_counts_its_own_key():
    ends = {"or": Endpoint("or", "openrouter", "https://x", account={"key_name": "k"})}
    budget = {"b": {"endpoint": "or", "monthly_usd": 10}}
    lines = [usd(4, key="k"), usd(90, key="z"), usd(7)]
    (found,) = measures(manifest(endpoints=ends, budgets=budget), [told(*lines, account="or")], DAY)
    assert found.spent == Money.of(4)


SILENT = [
    Told("openai", Untold("nobody knows", "ask")),
    Told("openai", ProviderError("OpenAI", "is down", "wait")),
]


@pytest.mark.parametrize("answer", SILENT)
def test_what_is_not_told_is_no_budget_that_holds(answer):
    found = measures(manifest(providers=OPENAI, budgets=BUDGET), [answer], DAY)
    assert list(untold(found)) == list(found)
    assert list(passing(found, Decimal(1), foreseen=True)) == []


@pytest.mark.parametrize(
    ("spent", "percent", "foreseen", "passes"),
    [
        ("89.99", 90, False, False),
        ("89.995", 90, False, True),  # 90.00 to the cent: reports are sums of floats
        ("90", 90, False, True),
        ("60", 90, False, False),
        ("60", 90, True, True),
        ("0", 90, True, False),
    ],
)
def test_the_gate_closes_at_its_percentage(spent, percent, foreseen, passes):
    found = one([usd(spent, scope="mine")])
    assert bool(list(passing([found], Decimal(percent), foreseen=foreseen))) == passes


@pytest.mark.parametrize(
    ("share", "text"), [("99.99", "99.9%"), ("100", "100%"), ("0.04", "0%"), ("12.5", "12.5%")]
)
def test_a_share_is_never_rounded_up(share, text):
    assert shown(Decimal(share)) == text


@given(st.decimals(0, 1000, places=3), st.sampled_from([40, 60, 72, 100]), st.booleans())
def test_a_bar_is_full_from_one_hundred_on(share, width, unicode):
    paper = Paper(width=width, unicode=unicode)
    drawn = bar(share, paper)
    assert len(drawn) == paper.bar
    assert (("░" if unicode else ".") not in drawn) == (share >= 100)


# Sessions.


def test_a_session_is_read_with_its_sizes():
    assert read_tokens("in=20k, out=5K,cache=0.1M") == Tokens(20_000, 5_000, 100_000)
    assert read_tokens("out=7") == Tokens(answered=7)


@pytest.mark.parametrize(
    "text",
    [
        *("", "in", "in=", "=5", "5k", "in=x", "in=-5", "in=5g", "in=1e5", "in=5k,in=5k"),
        *("in=5k,what=1", "in=0", "in=inf", "in=nan", "in=9999999M", "in=5k,,", "in=٣"),
    ],
)
def test_a_session_that_is_none_is_refused_in_words(text):
    with pytest.raises(UsageError) as caught:
        read_tokens(text)
    assert caught.value.exit_code == 64
    assert "in=20k,out=5k,cache=100k" in str(caught.value)


MODELS = {
    "o1": ModelEntry("o1", provider="openai"),
    "gpt-4o": ModelEntry("gpt-4o", provider="openai"),
    "acme": ModelEntry("acme", endpoint="gate"),
    "gone": ModelEntry("gone", provider="openai", absent=True),
}
ENDS = {"gate": Endpoint("gate", "litellm", "https://h/v1")}


def test_models_come_cheapest_first_and_unknown_prices_last():
    found = estimates(manifest(models=MODELS, endpoints=ENDS), Tokens(1000, 1000))
    assert [e.model for e in found] == ["gpt-4o", "o1", "acme"]
    assert found[-1].cost is None


def test_named_models_are_priced_alone():
    found = estimates(manifest(models=MODELS), Tokens(1000), ["o1", "claude-opus-4-1", "o1"])
    assert {e.model for e in found} == {"o1", "claude-opus-4-1"}


def test_currencies_are_not_put_in_one_order():
    prices = {"gpt-4o": {"input": 9, "output": 9, "currency": "EUR"}}
    found = estimates(manifest(models=MODELS, prices=prices), Tokens(1000), ["gpt-4o", "o1"])
    assert [e.model for e in found] == ["gpt-4o", "o1"]
    text = session(found, Tokens(1000), None, Paper())
    assert "times the cheapest" not in text


# Advice.


def advice(models=(), budgets=(), lines=(), **more):
    given_ = manifest(
        providers={"openai": Provider("openai")}, models=dict(models), budgets=dict(budgets), **more
    )
    answers = [told(*lines)]
    return advise(given_, answers, measures(given_, answers, DAY))


def default(name, provider="openai"):
    return ModelEntry(name, provider=provider, default_for=("composer",))


def test_nothing_is_advised_where_nothing_applies():
    models = {"gpt-4o": default("gpt-4o"), "o1": ModelEntry("o1", provider="openai")}
    assert advice(models, BUDGET, [usd(5)]) == ()


def test_an_expensive_default_is_told_with_the_cheaper_one_and_its_figure():
    models = {"o1": default("o1"), "gpt-4o": ModelEntry("gpt-4o", provider="openai")}
    (found,) = advice(models, BUDGET)
    assert found.about == "default for composer"
    assert "gpt-4o the default" in found.text
    assert "6 times" in found.because
    assert "0.525 USD" in found.because


def test_opus_as_default_is_told_also_where_nothing_cheaper_is_declared():
    (found,) = advice({"claude-opus-4-1": default("claude-opus-4-1", "anthropic")}, BUDGET)
    assert "hard problems" in found.text
    assert "0.60 USD" in found.because


@pytest.mark.parametrize("name", ["o1-mini", "gpt-4o", "claude-sonnet-4-5", "bo1d"])
def test_what_only_looks_like_opus_or_o1_is_none(name):
    prices = {name: {"input": 1, "output": 1}}
    assert advice({name: default(name)}, BUDGET, prices=prices) == ()


def test_a_model_that_is_switched_off_is_no_cheaper_default():
    off = ModelEntry("gpt-4o-mini", provider="openai", enabled=False)
    assert advice({"gpt-4o": default("gpt-4o"), "gpt-4o-mini": off}, BUDGET) == ()


def test_an_account_in_use_without_a_budget_is_told_with_its_spend():
    (found,) = advice(lines=[usd("12.5")])
    assert found.about == "openai"
    assert "12.50 USD this month" in found.because


def test_a_budget_that_is_only_observed_is_told():
    given_ = manifest(
        providers={"anthropic": Provider("anthropic")},
        budgets={"a": {"provider": "anthropic", "monthly_usd": 5}},
    )
    (found,) = advise(given_, [told(account="anthropic")], ())
    assert found.text == "say enforce: hard"


def test_saving_is_advised_once_and_only_near_a_budget():
    assert advice(budgets=BUDGET, lines=[usd(79)]) == ()
    (found,) = advice({"gpt-4o": default("gpt-4o")}, BUDGET, [usd(80)])
    assert "@Files" in found.text
    assert "80% of b is spent" in found.because
    assert "0.25 USD with gpt-4o" in found.because


# Lines.

LONG = "a-model-with-a-very-long-name-" * 5


def full(**more):
    lines = [usd(70, scope="mine", key="k" * 90, model=LONG), usd(30, 19, scope="mine", model="b")]
    answers = (
        told(*lines),
        Told("google", Untold("no API", "export")),
        Told("azure", ProviderError("Azure", "is down\x1b[31m", "wait")),
        told(usd(3, unit="EUR"), account="gate"),
    )
    given_ = manifest(
        providers=OPENAI, endpoints=ENDS, budgets=BUDGET, models={LONG: default(LONG)}
    )
    return report(given_, answers, DAY)


@pytest.mark.parametrize("width", [40, 60, 72, 100])
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("detail", [True, False])
def test_a_month_fits_its_width_without_colour_or_control_characters(width, unicode, detail):
    text = month(full(), Paper(width=width, unicode=unicode, detail=detail))
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert unicode or text.isascii()


def test_a_month_says_all_of_it():
    text = month(full(), Paper(width=200))
    assert "openai: 100.00 USD" in text
    assert "100% of 100.00 USD, forecast" in text
    assert "google: not told: no API; export" in text
    assert "azure: failed: Azure: is down" in text
    assert "In all: 100.00 USD + 3.00 EUR, without google, azure" in text


def test_colours_tell_how_near_a_budget_is():
    shares = {"10": "\x1b[32m", "85": "\x1b[33m", "120": "\x1b[31m"}
    for spent, ink in shares.items():
        given_ = manifest(providers=OPENAI, budgets=BUDGET)
        found = report(given_, (told(usd(spent, scope="mine")),), DAY)
        assert ink in month(found, Paper(color=True))


def test_the_document_keeps_currencies_and_reasons_apart():
    found = document(full())
    assert found["total"] == [
        {"amount": "100", "currency": "USD"},
        {"amount": "3", "currency": "EUR"},
    ]
    states = {a["account"]: a["state"] for a in found["accounts"]}
    assert states == {"openai": "told", "google": "untold", "azure": "failed", "gate": "told"}
    (budget,) = found["budgets"]
    assert (budget["spent"], budget["percent"], budget["of"]) == ("100.00 USD", "100.0", "mine")
    openai = found["accounts"][0]
    assert openai["days"][0] == {"day": "2026-11-01", "amount": "70", "currency": "USD"}
    assert [m["name"] for m in openai["models"]] == [LONG, "b"]


def test_no_account_that_told_is_said_so():
    found = report(manifest(), (Told("google", Untold("no API")),), DAY)
    assert "No account told" in month(found, Paper())


def test_three_complete_days_are_enough():
    lines = [usd(10, n) for n in (1, 2, 3)]
    assert outlook(lines, date(2026, 11, 4)).why == EARLY
    assert outlook(lines, date(2026, 11, 5)).amounts["USD"] == Money.of(300)
