"""What tokens cost: the manifest's own prices, then the list of genai-prices, off line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from reconciler.money import Money
from reconciler.spec import Manifest, ModelEntry

if TYPE_CHECKING:
    from genai_prices.types import Provider

LOCAL: Final = ("ollama", "lmstudio", "vllm")
"""Types of endpoints that run on machines of one's own: nothing is paid per token."""

SOURCES: Final = {"bedrock": "aws", "xai": "x-ai"}
"""Our names for what the list calls otherwise (genai-prices 0.2)."""

SILENT: Final = ("litellm", "custom")
"""Types of endpoints whose models go by the owner's names: the list cannot know them."""

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one session: sent anew, answered, and sent again from a cache."""

    sent: int = 0
    answered: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in units of a currency.

    ``cache_read`` is None where no price for it is known: cached tokens then cost what sent ones
    do. ``above`` is the size of one request, in tokens, from which the list names a higher price;
    0 where it names none. ``source`` says where the price is from.
    """

    sent: Decimal
    answered: Decimal
    cache_read: Decimal | None = None
    currency: str = "USD"
    source: str = ""
    above: int = 0

    def of(self, tokens: Tokens) -> Money:
        """Return what a session costs, each of its requests being below ``above``."""
        cached = self.sent if self.cache_read is None else self.cache_read
        whole = self.sent * tokens.sent + self.answered * tokens.answered + cached * tokens.cached
        return Money(whole / MILLION, self.currency)


def of_model(manifest: Manifest, entry: ModelEntry) -> Price | None:
    """Return a declared model's price; None where neither manifest nor list has one.

    A deployment on Azure goes by the model that the manifest says it has.
    """
    if entry.id in manifest.prices:
        return _own(manifest.prices[entry.id])
    endpoint = manifest.endpoints.get(entry.endpoint or "")
    kind = endpoint.type if endpoint else entry.provider or ""
    if kind in LOCAL:
        return Price(Decimal(), Decimal(), Decimal(), source="a server of your own")
    return None if kind in SILENT else listed(_model_of(manifest, entry), kind)


def of_name(manifest: Manifest, name: str) -> Price | None:
    """Return the price of a model by its id, declared or not; None where there is none."""
    entry = manifest.models.get(name)
    if entry is not None:
        return of_model(manifest, entry)
    return _own(manifest.prices[name]) if name in manifest.prices else listed(name)


def listed(model: str, provider: str = "") -> Price | None:
    """Return the list price of a model, of any provider where none is named; None without one.

    Where a price depends on the size of a request or the hour, it is the base price of now.
    """
    from genai_prices.data_snapshot import get_snapshot

    asked = SOURCES.get(provider, provider) or None
    try:
        found, info = get_snapshot().find_provider_model(model, None, asked, None)
    except LookupError:
        return None
    prices: Any = info.get_prices(datetime.now(UTC))
    sent, answered = (_base(getattr(prices, name, None)) for name in ("input_mtok", "output_mtok"))
    if sent is None or answered is None:
        return None
    return Price(
        sent,
        answered,
        _base(getattr(prices, "cache_read_mtok", None)),
        source=_source(found),
        above=_above(prices.input_mtok),
    )


def list_name() -> str:
    """Return the list's name and version; it has no date of its own but its version's."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}"


def _source(provider: Provider) -> str:
    page = next(iter(provider.pricing_urls or ()), "")
    return f"{list_name()}, from {page}" if page else list_name()


def _own(entry: Mapping[str, Any]) -> Price:
    currency = str(entry.get("currency", "USD"))
    sent, answered, cached = (
        Money.of(entry[name], currency).amount if name in entry else None
        for name in ("input", "output", "cache_read")
    )
    return Price(
        sent or Decimal(), answered or Decimal(), cached, currency, "prices in the manifest"
    )


def _model_of(manifest: Manifest, entry: ModelEntry) -> str:
    if entry.provider != "azure" or "azure" not in manifest.providers:
        return entry.id
    deployments = manifest.providers["azure"].account.get("deployments", {})
    return str(deployments.get(entry.id, {}).get("model", entry.id))


def _base(price: Any) -> Decimal | None:
    """Return a price's lowest tier."""
    found = getattr(price, "base", price)
    return found if isinstance(found, Decimal) else None


def _above(price: Any) -> int:
    """Return where a price's second tier begins."""
    tiers = getattr(price, "tiers", ())
    return int(tiers[0].start) if tiers else 0
