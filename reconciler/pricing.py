"""What tokens cost: list prices of genai-prices, a table that comes with its package, off line."""

from __future__ import annotations

from typing import Final

from reconciler.money import Money

PROVIDERS: Final = {"bedrock": "aws", "gateway": "litellm"}
"""Our names for what the table calls otherwise (genai-prices 0.2)."""


def price(provider: str, model: str, *, tokens_in: int, tokens_out: int) -> Money | None:
    """Return what one request costs at list price, in US dollars; None where the table has none.

    The table has no price for deployments, gateways and local models, whose names are the
    owner's.
    """
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
    try:
        found = calc_price(usage, model_ref=model, provider_id=PROVIDERS.get(provider, provider))
    except LookupError:
        return None
    return Money(found.total_price)
