"""One amount of money, and the form each provider's API gives it; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

CENT = Decimal("0.01")
NANO = 1_000_000_000
HIGHEST, DIGITS = Decimal(10) ** 15, 28
"""Beyond these is no budget, and arithmetic would round."""


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in units of a currency (dollars, never cents), printed as ``50.00 USD``.

    Every API's unit is turned into this at its edge; the forms are those of the providers'
    references of November 2026. Every maker raises ValueError for what is no amount, or no
    currency of three letters (ISO 4217).
    """

    amount: Decimal
    currency: str = "USD"

    def __post_init__(self) -> None:
        if re.fullmatch(r"[A-Z]{3}", self.currency) is None:
            raise ValueError("this is no currency")

    def __str__(self) -> str:
        cents = self.amount.quantize(CENT)
        shown = cents if self.amount == cents else self.amount.normalize()
        return f"{shown:f} {self.currency}"

    @classmethod
    def of(cls, amount: object, currency: str = "USD") -> Money:
        """Read units as an int, float or text: OpenAI costs, AWS, Azure, OpenRouter, LiteLLM.

        A float is taken for the decimal it prints as: 0.1 is ten cents.
        """
        return cls(_decimal(amount), currency.upper())

    @classmethod
    def of_minor(cls, amount: object, currency: str = "USD") -> Money:
        """Read hundredths: OpenAI limits (int), Anthropic limits and costs (text)."""
        return cls(_decimal(amount).scaleb(-2), currency.upper())

    @classmethod
    def of_google(cls, money: Mapping[str, Any]) -> Money:
        """Read google.type.Money: ``units`` as text, ``nanos`` as int, ``currencyCode``.

        Both are whole, and of one sign.
        """
        units, nanos = _decimal(money.get("units", "0")), _decimal(money.get("nanos", 0))
        whole = units == units.to_integral_value() and nanos == nanos.to_integral_value()
        if not whole or abs(nanos) >= NANO or units * nanos < 0:
            raise ValueError("this is no amount of money")
        return cls.of(units + nanos / NANO, str(money.get("currencyCode", "")))

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read what `str` wrote."""
        amount, _, currency = text.partition(" ")
        return cls.of(amount, currency)

    @property
    def minor(self) -> int:
        """Return whole hundredths. Raises ValueError for a fraction of one."""
        hundredths = self.amount.scaleb(2)
        if hundredths != hundredths.to_integral_value():
            raise ValueError("a limit is to the cent")
        return int(hundredths)

    @property
    def google(self) -> dict[str, Any]:
        """Return google.type.Money. Raises ValueError for a fraction of a nano."""
        units = int(self.amount)
        nanos = (self.amount - units) * NANO
        if nanos != nanos.to_integral_value():
            raise ValueError("an amount is to the billionth")
        return {"currencyCode": self.currency, "units": str(units), "nanos": int(nanos)}

    @property
    def number(self) -> float:
        """Return units as JSON's number: Azure budgets, OpenRouter, LiteLLM."""
        return float(self.amount)

    @property
    def text(self) -> str:
        """Return units as plain decimal text: AWS Budgets."""
        return f"{self.amount:f}"

    def share(self, percent: Decimal | float) -> Money:
        """Return so many percent of this, rounded to the cent. Raises ValueError for no number."""
        part = self.amount * _decimal(percent) / 100
        return Money(part.quantize(CENT), self.currency)


def _decimal(amount: object) -> Decimal:
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        raise ValueError("this is no amount of money")  # noqa: TRY004  one error for all bad input
    text = str(amount)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("this is no amount of money") from None
    if not text.isascii() or "_" in text:  # which Python reads, and no API writes
        raise ValueError("this is no amount of money")
    if not number.is_finite() or abs(number) >= HIGHEST or not _written_out(number):
        raise ValueError("this is no amount of money")
    return number or abs(number)  # there is no minus nothing


def _written_out(number: Decimal) -> bool:
    _, digits, exponent = number.as_tuple()
    return len(digits) <= DIGITS and isinstance(exponent, int) and exponent >= -DIGITS
