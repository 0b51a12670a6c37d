"""The manifest's budgets as nouns, and the words for what a provider makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.money import Money
from reconciler.spec import Manifest
from reconciler.systems.account.findings import escape
from reconciler.systems.account.setting import Setting, Sight

NOTIFY = "notify "
"""How the attributes begin that hold one recipient each, so that each is owned by itself."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One entry of ``budgets:``. ``alert_at`` are percentages; ``scope`` is None where unsaid."""

    name: str
    amount: Money
    hard: bool
    alert_at: tuple[float, ...]
    notify: tuple[str, ...]
    exclusive: bool
    scope: str | None

    @property
    def pointer(self) -> str:
        """The budget's place in the manifest."""
        return f"/budgets/{escape(self.name)}"

    def recipients(self) -> dict[str, bool]:
        """Return one attribute for each recipient."""
        return {f"{NOTIFY}{address}": True for address in self.notify}


def budgets_of(manifest: Manifest, account: str, *, endpoint: bool = False) -> tuple[Budget, ...]:
    """Return the budgets of one provider or endpoint, in the manifest's order."""
    field = "endpoint" if endpoint else "provider"
    return tuple(
        _budget(name, entry)
        for name, entry in manifest.budgets.items()
        if entry.get(field) == account
    )


def _budget(name: str, entry: Mapping[str, Any]) -> Budget:
    return Budget(
        name=name,
        amount=Money.of(entry["monthly_usd"], entry.get("currency", "USD")),
        hard=entry.get("enforce", "alert") == "hard",
        alert_at=tuple(entry.get("alert_at", ())),
        notify=tuple(entry.get("notify", ())),
        exclusive=bool(entry.get("exclusive", False)),
        scope=entry.get("scope"),
    )


def recipients(attrs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the recipients that attributes name."""
    named = (name for name, on in attrs.items() if on and name.startswith(NOTIFY))
    return tuple(sorted(name.removeprefix(NOTIFY) for name in named))


def percent(share: float) -> str:
    """Write a percentage without a needless fraction."""
    return f"{share:g}%"


def said(setting: Setting, budget: Budget, has: str) -> Sight:
    """Say what the provider has for a budget: `hard limit`, `alert only`, `observed only: …`."""
    return setting.saw("budget", budget.name, f"{budget.amount} a month: {has}")


OBSERVED_ONLY = "observed only: this provider has no API for it"


def no_hard_limit(setting: Setting, budget: Budget, why: str, way_out: str = "") -> Sight:
    """Warn that a hard budget was asked of a provider that can only tell."""
    return setting.found(
        "BYOK139",
        f"{budget.name} asks for a hard limit, and {why}",
        way_out or "say enforce: alert, and set the limit in the provider's console",
        pointer=budget.pointer,
    )


def other_currency(setting: Setting, budget: Budget, billed: str) -> Sight:
    """Warn that an account is billed in another currency than the budget is in."""
    return setting.found(
        "BYOK139",
        f"{budget.name} is in {budget.amount.currency}, and the account is billed in {billed}",
        f"say `currency: {billed}`; the amount is then taken in it",
        pointer=budget.pointer,
    )
