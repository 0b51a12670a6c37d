"""The command that tells money: cost, cost estimate."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.output import working
from reconciler.cli.reading import screen
from reconciler.errors import UsageError, worst

if TYPE_CHECKING:
    from reconciler.costs import Estimate, Report
    from reconciler.costs.text import Paper
    from reconciler.pricing import Tokens
    from reconciler.spec import Manifest

HIGHEST = Decimal(1000)
"""The highest percentage that --fail-over takes, as that of alert_at."""

PASSED, UNKNOWN = 2, 5
"""What --fail-over ends with: a budget has reached the percentage; nobody can tell of one."""


@click.group(invoke_without_command=True)
@options.common
@options.resolving
@options.approving
@click.option(
    "--fail-over", metavar="PERCENT", help="Exit 2 when a budget has reached this; 5 if unknown."
)
@click.option("--forecast", is_flag=True, help="With --fail-over: also when its forecast has.")
@click.option(
    "--probe", multiple=True, type=click.Choice(("cost",)), help="Also ask AWS, which charges."
)
@click.pass_context
def cost(
    ctx: click.Context, *, fail_over: str | None, forecast: bool, probe: tuple[str, ...]
) -> int:
    """Tell what this month cost, against budgets. Uses admin credentials, and only reads."""
    if ctx.invoked_subcommand is not None:
        return 0
    limit = None if fail_over is None else _percent(fail_over)
    if forecast and limit is None:
        raise UsageError("--forecast", "goes with --fail-over", "add --fail-over 90%")
    found = _asked(probe, gated=limit is not None)
    from reconciler.costs.report import document
    from reconciler.costs.text import month

    if options.given("json"):
        screen().document(document(found))
    else:
        screen().result(month(found, _paper()))
    for failure in found.failures:
        screen().say(f"byok: {failure}")
    codes = [failure.exit_code for failure in found.failures]
    return worst([*codes, *_gate(found, limit, foreseen=forecast)])


def _asked(probe: tuple[str, ...], *, gated: bool) -> Report:
    """Ask the accounts of the scope. Raises UsageError where there is nobody to ask."""
    from reconciler.cli.probing import agreed
    from reconciler.cli.run import run_options
    from reconciler.costs import ask, report
    from reconciler.session import reading
    from reconciler.systems.account.spend import today

    _refuse_misplaced()
    chosen = run_options(probes=agreed(probe))
    with reading(chosen) as session, working("asking"):
        names, day = _names(session.manifest), today()
        if gated:
            _must_have_budgets(session.manifest, names)
        return report(session.manifest, ask(session, names, day), day)


def _refuse_misplaced() -> None:
    if options.offline():
        what = "leaves nothing to tell: what was spent is known to the providers only"
        raise UsageError("--offline", what, "leave it out, or see byok cost estimate")
    if options.given("target"):
        raise UsageError("--target", "no resource has a cost", "name an account with --system")


def _names(manifest: Manifest) -> tuple[str, ...]:
    """Return the accounts to ask: all, or those of --system."""
    from reconciler.accounts import names

    known, chosen = names(manifest), tuple(dict.fromkeys(options.given("system", ())))
    for name in chosen:
        if name not in known:
            what = "is no account of this manifest"
            raise UsageError(f"--system {name[:80]}", what, f"name one of {', '.join(known)}")
    return chosen or known


def _must_have_budgets(manifest: Manifest, names: tuple[str, ...]) -> None:
    """Refuse a gate with nothing to hold: it would let everything pass."""
    declared = {e.get("provider") or e.get("endpoint") for e in manifest.budgets.values()}
    if not declared & set(names):
        what = "the manifest has no budget for what is asked: every cost would pass"
        raise UsageError("--fail-over", what, "declare one in budgets")


def _gate(found: Report, limit: Decimal | None, *, foreseen: bool) -> list[int]:
    """Say which budgets have reached the limit, and of which nobody can tell."""
    from reconciler.costs.measures import passing, shown, untold

    if limit is None:
        return []
    codes = []
    for one in passing(found.measures, limit, foreseen=foreseen):
        shares = [shown(s) for s in (one.share,) if s is not None and s >= limit]
        shares = shares or [f"expected to reach {shown(one.foreseen_share or Decimal())}"]
        screen().say(f"byok: budget {one.budget.name}: {shares[0]}; --fail-over is {limit:f}%")
        codes.append(PASSED)
    for one in untold(found.measures):
        way_out = "leave its account out with --system, or make it tell"
        screen().say(f"byok: budget {one.budget.name}: cannot be told: {one.why}; {way_out}")
        codes.append(UNKNOWN)
    return codes


def _percent(text: str) -> Decimal:
    try:
        number = Decimal(text.removesuffix("%").strip())
    except InvalidOperation:
        number = Decimal()
    if not number.is_finite() or not 0 < number <= HIGHEST:
        what = "is no percentage more than 0 and at most 1000"
        raise UsageError(f"--fail-over {text[:20]}", what, "write it like 90%")
    return number


def _paper() -> Paper:
    from reconciler.costs.text import Paper

    how = screen()
    detail = bool(options.given("verbose"))
    return Paper(width=how.width, color=how.color, unicode=how.unicode, detail=detail)


@cost.command()
@options.common
@click.option("--session", "tokens", metavar="TOKENS", help="Such as in=20k,out=5k,cache=100k.")
@click.option("--model", "models", multiple=True, metavar="ID", help="Only this model; repeatable.")
@click.option("--sessions-per-day", type=click.IntRange(1, 1_000_000), help="Also 30 days of them.")
def estimate(*, tokens: str | None, models: tuple[str, ...], sessions_per_day: int | None) -> int:
    """Tell what one session costs with each declared model, cheapest first. Off line."""
    from reconciler.costs import estimates, read_tokens
    from reconciler.costs.estimate import TYPICAL

    asked = read_tokens(TYPICAL if tokens is None else tokens)
    found = estimates(_manifest(models), asked, models)
    if options.given("json"):
        screen().document(_document(found, asked, sessions_per_day))
    else:
        from reconciler.costs.text import session

        screen().result(session(found, asked, sessions_per_day, _paper()))
    return 0


def _manifest(models: tuple[str, ...]) -> Manifest:
    """Return the manifest; named models are priced without one, too."""
    from reconciler.spec import Manifest

    path = options.manifest_path()
    named = options.given("manifest") is not None or options.overlays()
    if models and not named and not path.exists():
        return Manifest(str(path), Path())
    return options.manifest()


def _document(found: list[Estimate], tokens: Tokens, daily: int | None) -> dict[str, Any]:
    counts = {"in": tokens.sent, "out": tokens.answered, "cache": tokens.cached}
    return {
        "format": "byok.cost-estimate/1",
        "session": counts,
        "sessions_per_day": daily,
        "models": [_row(one, daily) for one in found],
    }


def _row(one: Estimate, daily: int | None) -> dict[str, Any]:
    if one.cost is None or one.price is None:
        return {"model": one.model, "cost": None, "price": None}
    month = None if daily is None else f"{one.cost.amount * daily * 30:f}"
    cached = one.price.cache_read
    price = {
        "input": f"{one.price.sent:f}",
        "output": f"{one.price.answered:f}",
        "cache_read": None if cached is None else f"{cached:f}",
        "source": one.price.source,
        "more_from": one.price.above or None,
    }
    return {
        "model": one.model,
        "cost": f"{one.cost.amount:f}",
        "currency": one.cost.currency,
        "thirty_days": month,
        "price": price,
    }
