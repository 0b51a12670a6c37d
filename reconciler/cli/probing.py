"""What costs money is shown before it is spent: the probes of ``plan --probe``."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Final

import click

from reconciler.cli import options
from reconciler.cli.reading import screen
from reconciler.errors import Declined, UsageError
from reconciler.spec import Manifest

PROBES: Final = ("generate", "cost")
TOKENS_IN: Final = 16
COST_EXPLORER: Final = "0.01 USD for each page of AWS Cost Explorer, as a rule one or two"


def agreed(chosen: tuple[str, ...]) -> frozenset[str]:
    """Show what the chosen probes cost, and return them when the user agrees.

    Raises Declined at a no, UsageError where nobody can be asked and --yes is not given.
    """
    probes = frozenset(chosen)
    if not probes or options.offline():
        return frozenset()
    if "generate" in probes:
        screen().say(f"--probe generate sends real requests: {_generating()}")
    if "cost" in probes:
        screen().say(f"--probe cost: {COST_EXPLORER}")
    if options.given("yes"):
        return probes
    if not sys.stdin.isatty():
        what = "costs money, and there is no terminal to ask on"
        raise UsageError("--probe", what, "give --yes if you are sure")
    if not click.confirm("Go on?", default=False, err=True):
        raise Declined("--probe", "declined; nothing was sent")
    return probes


def _generating() -> str:
    from reconciler.pricing import Tokens, of_model
    from reconciler.systems.account.probe import TOKENS

    manifest, named = options.manifest(), options.given("system", ())
    models = [m for m in manifest.models.values() if m.enabled and not m.absent]
    wanted = [m for m in models if not named or (m.provider or m.endpoint) in named]
    alone = (not named or "azure" in named) and _deployment_alone(manifest)
    prices = [of_model(manifest, model) for model in wanted]
    asked = Tokens(sent=TOKENS_IN, answered=TOKENS)
    total = sum((p.of(asked).amount for p in prices if p and p.currency == "USD"), Decimal())
    unknown = sum(p is None or p.currency != "USD" for p in prices) + alone
    more = f", and {unknown} whose price is not known" if unknown else ""
    each = f"one to each of {len(wanted)} models" if len(wanted) != 1 else "one to 1 model"
    each += " and one to Azure" if alone else ""
    return f"{each}, at most {total:.4f} USD by list price{more}"


def _deployment_alone(manifest: Manifest) -> bool:
    """Tell whether Azure's deployment is probed for its own sake: no model names azure."""
    azure = manifest.providers.get("azure")
    if azure is None or azure.absent or not azure.settings.get("deployment"):
        return False
    return all(m.absent or m.provider != "azure" for m in manifest.models.values())
