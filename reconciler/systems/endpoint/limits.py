"""What a gateway makes of the budgets, and how limits of keys, teams and guardrails compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.codec import nothing
from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Attrs, Change, Value
from reconciler.money import Money
from reconciler.spec import Endpoint
from reconciler.systems.account import Named, Setting, Sight, refusal
from reconciler.systems.account.budgets import (
    OBSERVED_ONLY,
    Budget,
    budgets_of,
    no_hard_limit,
    other_currency,
    percent,
    said,
)

CURRENCY: Final = "USD"
"""OpenRouter and LiteLLM count in US dollars only."""

MODEL: Final = "model "
"""How the attributes begin that hold one allowed model each."""

PRESENT: Final = "present"
"""The attribute that says of a team or a guardrail only that it is there."""

PERIODS: Final = (None, "monthly", "weekly", "daily")
"""Resets, from the one that lets through least of an amount (never) to the most."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What budgets come to: hard limits and alerts by natural name, and the words for them."""

    limits: Named = field(default_factory=dict)
    sight: Sight = field(default_factory=Sight)


def wishes(setting: Setting, endpoint: Endpoint) -> Wishes:
    """Return what this endpoint's budgets want; asks nobody."""
    budgets = budgets_of(setting.manifest, setting.name, endpoint=True)
    if endpoint.type == "openrouter":
        return _of_key(setting, endpoint, budgets)
    if endpoint.type == "litellm":
        return _of_team(setting, endpoint, budgets)
    sight = Sight()
    for budget in budgets:
        sight += _only_seen(setting, budget, f"type {endpoint.type} has no API for one")
    return Wishes({}, sight)


def _of_key(setting: Setting, endpoint: Endpoint, budgets: Iterable[Budget]) -> Wishes:
    """OpenRouter: the limit of the key that the endpoint uses. It has no alerts.

    A guardrail's limit holds for each assigned key by itself, and a workspace's budget needs the
    Enterprise plan (OpenRouter's guide to spend controls, 2026): neither is this endpoint's sum.
    """
    name, sight = endpoint.account.get("key_name"), Sight()
    limits: dict[str, Attrs] = {}
    for budget in budgets:
        if not budget.hard:
            sight += said(setting, budget, OBSERVED_ONLY)
        elif budget.scope == "organization":
            why = "OpenRouter has one for a whole workspace on its Enterprise plan only"
            sight += _only_seen(setting, budget, why)
        elif name is None:
            why, way = "it is not said which key's limit that is", "name the key in key_name"
            sight += _only_seen(setting, budget, why, f"{way}, as OpenRouter calls it")
        elif budget.amount.currency != CURRENCY:
            sight += other_currency(setting, budget, CURRENCY)
            sight += said(setting, budget, OBSERVED_ONLY)
        else:
            limits[name] = {"limit": str(budget.amount), "reset": "monthly"}
            sight += said(setting, budget, f"hard limit, of the key {name}")
    return Wishes(limits, sight)


def _of_team(setting: Setting, endpoint: Endpoint, budgets: Iterable[Budget]) -> Wishes:
    """LiteLLM: the team's ``max_budget`` and its one ``soft_budget``, which is an alert."""
    name, sight = endpoint.account.get("team", {}).get("name"), Sight()
    wanted: dict[str, Value] = {}
    for budget in sorted(budgets, key=lambda each: not each.hard):  # a limit bounds the alerts
        if budget.scope == "organization":
            sight += _only_seen(setting, budget, "LiteLLM has one for the proxy in its file only")
        elif name is None:
            why = "it is not said which team's budget that is"
            sight += _only_seen(setting, budget, why, "name the team in team")
        elif budget.amount.currency != CURRENCY:
            sight += other_currency(setting, budget, CURRENCY)
            sight += said(setting, budget, OBSERVED_ONLY)
        else:
            sight += _budgeted(setting, budget, wanted)
    return Wishes({name: wanted} if name is not None and wanted else {}, sight)


def _budgeted(setting: Setting, budget: Budget, wanted: dict[str, Value]) -> Sight:
    """Add one budget to what the team is to have, and say what it comes to."""
    words = ["hard limit"] if budget.hard else []
    sight = Sight()
    if budget.hard:
        wanted["limit"] = str(budget.amount)
    share = _threshold(budget)
    if share is not None:
        why = _no_room(budget.amount.share(share), wanted)
        if why:
            sight += _cannot(setting, budget, why)
        else:
            wanted["alert"] = str(budget.amount.share(share))
            wanted.update(budget.recipients())
            words.append(f"{'with an alert' if budget.hard else 'alert only,'} at {percent(share)}")
            words += [] if budget.notify else ["of which nobody is told without notify"]
    if wanted:
        wanted["reset"] = "monthly"
    return sight + said(setting, budget, ", ".join(words).replace(",,", ",") or OBSERVED_ONLY)


def _threshold(budget: Budget) -> float | None:
    """Return the one share LiteLLM can alert at: the lowest that is asked for."""
    if budget.alert_at:
        return min(budget.alert_at)
    return None if budget.hard else 100.0


def _no_room(alert: Money, wanted: Mapping[str, Value]) -> str:
    limit = wanted.get("limit")
    if "alert" in wanted:
        return "a team there has one alert, and another budget has it"
    if isinstance(limit, str) and alert.amount >= Money.parse(limit).amount:
        return "an alert there must be below the hard limit"
    return ""


def _cannot(setting: Setting, budget: Budget, why: str) -> Sight:
    message = f"{budget.name} asks for an alert, and {why}"
    return setting.found(
        "BYOK139", message, "leave one of the two out", pointer=f"{budget.pointer}/alert_at"
    )


def _only_seen(setting: Setting, budget: Budget, why: str, way_out: str = "") -> Sight:
    sight = said(setting, budget, OBSERVED_ONLY)
    return sight + no_hard_limit(setting, budget, why, way_out) if budget.hard else sight


def amount(value: object) -> Money | None:
    """Read an amount in dollars, JSON's number; None where there is none.

    Raises ProviderError (unreadable) for what is no amount.
    """
    try:
        return None if value is None else Money.of(value, CURRENCY)
    except ValueError:
        raise refusal("the endpoint", Problem.UNREADABLE) from None


def money(value: object) -> str | None:
    """Return an amount in canonical form; None where there is none. Raises as `amount`."""
    found = amount(value)
    return None if found is None else str(found)


def spent(value: object) -> str:
    """Return what was spent, to the cent, for people. Raises as `amount`."""
    return str((amount(value) or Money.of(0)).share(100))


def dollars(value: Value) -> float | None:
    """Return a canonical amount as JSON's number; None where there is none."""
    return Money.parse(value).number if isinstance(value, str) and not nothing(value) else None


def ordered_limit(who: str, limit: Money) -> float:
    """Return a new key's limit as JSON's number. Raises ProviderError for another currency."""
    if limit.currency != CURRENCY:
        what = f"counts in {CURRENCY}, and a limit in {limit.currency} was ordered"
        raise refusal(who, Problem.UNSUPPORTED, what, f"order it in {CURRENCY}")
    return limit.number


def unlike_ordered(who: str) -> ProviderError:
    """Word that a key was made without the limit that it was to have."""
    what = "made a key, and not with the limit it was to have"
    return ProviderError(who, what, kind=Problem.UNPROVED)


def limited(given: Mapping[str, Any]) -> dict[str, Value]:
    """Return the attributes of a manifest's ``limit_usd`` and ``limit_reset``.

    A limit without a reset is monthly, as budgets are; ``null`` says that there must be none.
    """
    found: dict[str, Value] = {}
    if "limit_usd" in given:
        found["limit"] = money(given["limit_usd"])
        found["reset"] = None if given["limit_usd"] is None else "monthly"
    if "limit_reset" in given:
        found["reset"] = given["limit_reset"]
    return found


def allowed(given: Mapping[str, Any]) -> dict[str, Value]:
    """Return one attribute for each allowed model of the manifest."""
    return {f"{MODEL}{name}": True for name in given.get("allow_models", ())}


def models_in(attrs: Attrs) -> list[str]:
    """Return the models that attributes allow."""
    return sorted(elements(attrs, MODEL))


def elements(attrs: Attrs, begins: str) -> Iterator[str]:
    """Yield what the attributes of one list name."""
    yield from (n.removeprefix(begins) for n, on in attrs.items() if on and n.startswith(begins))


def loosens(change: Change) -> bool:
    """Tell whether a change raises or removes a hard limit, or lets it count less."""
    edits = {edit.name: edit for edit in change.edits}
    if (limit := edits.get("limit")) is not None:
        if nothing(limit.before):
            return False
        if nothing(limit.after) or _amount(limit.after) > _amount(limit.before):
            return True
    counted, reset = edits.get("byok_in_limit"), edits.get("reset")
    if counted is not None and counted.before is True:  # no limit may stand: the edit does not say
        return True
    return reset is not None and _rank(reset.after) > _rank(reset.before)


def goes(change: Change) -> bool:
    """Tell whether a thing goes, with all that others set in it, which the change does not say."""
    return any(edit.name == PRESENT and nothing(edit.after) for edit in change.edits)


def _amount(value: Value) -> float:
    return dollars(value) or 0.0


def _rank(period: Value) -> int:
    known = None if nothing(period) else period
    return PERIODS.index(known) if known in PERIODS else len(PERIODS)
