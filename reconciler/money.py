"""One amount of money, and the form each provider's API gives it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

CENT = Decimal("0.01")
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in units of a currency (dollars, never cents), printed as ``50.00 USD``.

    Every API's unit is turned into this at its edge; the forms are those of the providers'
    references of November 2026. Every maker raises ValueError for what is no amount.
    """

    amount: Decimal
    currency: str = "USD"

    def __str__(self) -> str:
        shown = self.amount.quantize(CENT) if self.amount == round(self.amount, 2) else self.amount
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
        """Read google.type.Money: ``units`` as text, ``nanos`` as int, ``currencyCode``."""
        nanos = _decimal(money.get("nanos", 0)) / NANO
        return cls.of(_decimal(money.get("units", "0")) + nanos, str(money.get("currencyCode", "")))

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
        """Return google.type.Money."""
        units = int(self.amount)
        nanos = int((self.amount - units) * NANO)
        return {"currencyCode": self.currency, "units": str(units), "nanos": nanos}

    @property
    def number(self) -> float:
        """Return units as JSON's number: Azure budgets, OpenRouter, LiteLLM."""
        return float(self.amount)

    @property
    def text(self) -> str:
        """Return units as plain decimal text: AWS Budgets."""
        return f"{self.amount:f}"

    def share(self, percent: Decimal | float) -> Money:
        """Return so many percent of this, rounded to the cent."""
        part = self.amount * _decimal(percent) / 100
        return Money(part.quantize(CENT), self.currency)


def _decimal(amount: object) -> Decimal:
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        raise ValueError("this is no amount of money")  # noqa: TRY004  one error for all bad input
    try:
        number = Decimal(str(amount))
    except InvalidOperation:
        raise ValueError("this is no amount of money") from None
    if not number.is_finite():
        raise ValueError("this is no amount of money")
    return number
