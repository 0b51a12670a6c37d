"""Every API's unit gives back exactly the amount it was given; what is no amount is refused."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import example, given, strategies as st

from reconciler.money import Money

CENTS = st.integers(-(10**14), 10**14)
AMOUNTS = st.decimals(-(10**12), 10**12, places=9)
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])


@given(CENTS, CURRENCIES)
def test_hundredths_round_trip(cents, currency):
    for form in (cents, str(cents), float(cents)):
        money = Money.of_minor(form, currency)
        assert (money.minor, money.currency) == (cents, currency)
    assert Money.of_minor(cents, currency) == Money.of(Decimal(cents) / 100, currency)


@given(AMOUNTS, CURRENCIES)
def test_units_and_nanos_round_trip(amount, currency):
    google = Money.of(amount, currency).google
    assert Money.of_google(google) == Money.of(amount, currency)
    assert abs(google["nanos"]) < 10**9
    assert int(google["units"]) * google["nanos"] >= 0, "both of one sign"
    assert Decimal(google["units"]) + Decimal(google["nanos"]).scaleb(-9) == amount


@given(st.integers(-(10**13), 10**13), st.integers(0, 10**9 - 1))
def test_googles_own_form_comes_back_to_the_letter(units, nanos):
    form = {"currencyCode": "EUR", "units": str(units), "nanos": nanos if units >= 0 else -nanos}
    assert Money.of_google(form).google == form


@given(CENTS)
def test_json_numbers_round_trip_to_the_cent(cents):
    money = Money.of_minor(cents)
    assert Money.of(money.number) == money


@given(AMOUNTS, CURRENCIES)
def test_text_round_trips(amount, currency):
    money = Money.of(amount, currency)
    assert Money.of(money.text, currency) == money
    assert Money.parse(str(money)) == money
    assert "E" not in money.text + str(money).split()[0]


@given(AMOUNTS, st.integers(0, 6))
@example(Decimal("0.123"), 3)
@example(Decimal(0), 0)
@example(Decimal(-0), 2)
def test_equal_amounts_print_alike(amount, zeros):
    """Attributes are compared as text: an API that writes 50.0 and one that writes 50 agree."""
    longer = f"{amount:f}" + ("" if "." in f"{amount:f}" else ".") + "0" * zeros
    assert str(Money.of(longer)) == str(Money.of(amount))


def test_the_printed_form():
    assert str(Money.of(50)) == "50.00 USD"
    assert str(Money.of("50.0", "eur")) == "50.00 EUR"
    assert str(Money.of("0.12300")) == "0.123 USD"
    assert str(Money.of("1E+3")) == "1000.00 USD"
    assert str(Money.of("-0.00")) == "0.00 USD"
    assert str(Money.of(0.1 + 0.2)) == "0.30000000000000004 USD"


@given(st.floats(min_value=-1e12, max_value=1e12).filter(lambda f: f == 0 or abs(f) > 1e-9))
def test_a_float_is_the_decimal_it_prints_as(value):
    assert Money.of(value).amount == Decimal(repr(value))
    assert Money.of(value).number == value


def test_ten_cents_are_ten_cents():
    assert Money.of(0.1).minor == 10
    assert Money.of(4.35).minor == 435  # 434.99999999999994 in binary


@pytest.mark.parametrize("amount", ["0.001", 0.999, "1e-9"])
def test_a_limit_is_to_the_cent(amount):
    with pytest.raises(ValueError, match="cent"):
        _ = Money.of(amount).minor


def test_googles_form_is_to_the_billionth():
    with pytest.raises(ValueError, match="billionth"):
        _ = Money.of("0.0000000001").google


NONE = [
    *(None, True, False, b"5", [5], {"amount": 5}, object(), math.nan, math.inf, -math.inf),
    *(
        "",
        " ",
        "five",
        "5,00",
        "5.0.0",
        "$5",
        "5 USD",
        "0x10",
        "1_000",
        "\u0665",
        "NaN",
        "Infinity",
    ),
    *("sNaN", "1e15", "1e400", "-1e15", "1e-400", "9" * 5000, "0." + "1" * 40, 10**15),
]


@pytest.mark.parametrize("amount", NONE, ids=[repr(bad)[:20] for bad in NONE])
def test_what_is_no_amount_is_refused(amount):
    for make in (Money.of, Money.of_minor):
        with pytest.raises(ValueError, match="no amount"):
            make(amount)
    for name in ("units", "nanos"):
        with pytest.raises(ValueError, match="no amount"):
            Money.of_google({"currencyCode": "USD", name: amount})


@pytest.mark.parametrize(
    "form",
    [
        {"units": "1", "nanos": -1},
        {"units": "-1", "nanos": 1},
        {"units": "0", "nanos": 10**9},
        {"units": "1.5"},
        {"nanos": 0.5},
    ],
)
def test_a_form_that_google_does_not_write_is_refused(form):
    with pytest.raises(ValueError, match="no amount"):
        Money.of_google({"currencyCode": "USD", **form})


@pytest.mark.parametrize("currency", ["", "US", "DOLLAR", "U$D", "€"])
def test_what_is_no_currency_is_refused(currency):
    for make in (
        lambda: Money.of(1, currency),
        lambda: Money.of_minor(1, currency),
        lambda: Money.of_google({"currencyCode": currency, "units": "1"}),
        lambda: Money.parse(f"1.00 {currency}"),
    ):
        with pytest.raises(ValueError, match="no currency"):
            make()


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_a_value_error(text):
    try:
        money = Money.of(text)
    except ValueError:
        return
    assert Money.parse(str(money)) == money


@given(CENTS, st.integers(0, 100))
def test_a_share_is_to_the_cent(cents, percent):
    money = Money.of_minor(cents)
    share = money.share(percent)
    assert abs(share.amount - money.amount * percent / 100) <= Decimal("0.005")
    assert isinstance(share.minor, int)
    assert money.share(100) == money


def test_a_share_of_no_number_is_refused():
    with pytest.raises(ValueError, match="no amount"):
        Money.of(1).share(math.nan)
