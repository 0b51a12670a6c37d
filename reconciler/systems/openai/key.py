"""What the ordinary key shows of OpenAI: that it lives, its models and limits; and the budgets."""

from __future__ import annotations

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.spec import ModelEntry
from reconciler.systems.account import Answer, Client, Setting, Sight
from reconciler.systems.account.budgets import Budget, budgets_of, other_currency, percent, said
from reconciler.systems.account.findings import (
    ModelFact,
    day,
    models,
    not_probed,
    of_error,
    rate_limits,
)
from reconciler.systems.account.pages import items
from reconciler.systems.account.probe import PROMPT, TOKENS, generated
from reconciler.systems.openai.spend import CURRENCY, placed, thresholds
from reconciler.systems.openai.wire import connect, ordinary_key

COMPLETIONS = "/chat/completions"


def observe(setting: Setting) -> Sight:
    """Look with the ordinary key, and say what OpenAI makes of each budget."""
    words = (_budget(setting, each) for each in budgets_of(setting.manifest, setting.name))
    return _looked(setting) + sum(words, Sight())


def _looked(setting: Setting) -> Sight:
    try:
        key = ordinary_key(setting)
        if key is None:
            return not_probed(setting, "none of the references in key exists here")
        also = (COMPLETIONS,) if "generate" in setting.probes else ()
        client = connect(setting, key, also)
        return _alive(setting, client) + generated(setting, lambda m: _complete(client, m))
    except ByokError as error:
        return of_error(setting, error)


def _alive(setting: Setting, client: Client) -> Sight:
    """Ask for the models. A key may be restricted by scopes, and is then alive all the same."""
    try:
        answer = client.get("/models")
    except ProviderError as error:
        if error.kind is not Problem.NO_ACCESS:
            raise
        text = "alive, and restricted: it may not list models, so none of them is checked"
        return setting.saw("key", setting.name, text)
    facts = {str(m.get("id")): _fact(m.get("shutdown_date")) for m in items(iter([answer]), "data")}
    left = rate_limits(answer.headers)
    sight = setting.saw("key", setting.name, f"alive; it may use {len(facts)} models")
    sight += setting.saw("key", setting.name, left) if left else Sight()
    return sight + models(setting, facts)


def _fact(shutdown: object) -> ModelFact:
    return ModelFact(retires=day(shutdown))


def _complete(client: Client, model: ModelEntry) -> Answer:
    messages = [{"role": "user", "content": PROMPT}]
    body = {"model": model.id, "messages": messages, "max_completion_tokens": TOKENS}
    return client.ask(COMPLETIONS, body)


def _budget(setting: Setting, budget: Budget) -> Sight:
    if budget.amount.currency != CURRENCY:
        return other_currency(setting, budget, CURRENCY)
    if placed(setting, budget) is None:
        return setting.found(
            "BYOK139",
            f"{budget.name} holds for a project, and the manifest names none",
            "name it in providers.openai.project, or say scope: organization",
            pointer=budget.pointer,
        )
    return said(setting, budget, _has(budget))


def _has(budget: Budget) -> str:
    at = ", ".join(percent(each) for each in thresholds(budget))
    told = f"alerts at {at}" if at else "nobody is told: notify and alert_at name nobody"
    where = ", for the whole organisation" if budget.scope == "organization" else ""
    if budget.hard:
        return f"hard limit{where}" + (f", {told}" if at else "")
    return f"alert only{where}, {told}"
