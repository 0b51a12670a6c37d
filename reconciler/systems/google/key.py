"""The Gemini key, observed: alive or not, and which models it may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from reconciler.errors import ByokError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.shapes import looks_like
from reconciler.spec import ModelEntry
from reconciler.systems.account import Answer, Client, Dialect, Setting, Sight, refusal
from reconciler.systems.account.findings import ModelFact, models, not_probed, of_error
from reconciler.systems.account.probe import PROMPT, TOKENS, generated
from reconciler.systems.account.signing import header
from reconciler.systems.google import budgets
from reconciler.systems.google.cloud import classify, every

BASE: Final = "https://generativelanguage.googleapis.com"
PAGE: Final = 1000
"""The most models of one page (Gemini API v1beta, 2026)."""


def _classify(answer: Answer) -> Problem | None:
    if answer.status == 404:  # noqa: PLR2004  not found (RFC 9110)
        named = answer.at("error", "status") == "NOT_FOUND"
        return Problem.NO_MODEL if named else Problem.WRONG_ENDPOINT
    if answer.at("error", "status") == "FAILED_PRECONDITION":  # a country without the free tier
        return Problem.NO_ACCESS
    return classify(answer)


DIALECT: Final = Dialect("Gemini", _classify)


def references(setting: Setting) -> tuple[str, ...]:
    """Return where the ordinary key lives."""
    return setting.manifest.providers[setting.name].secrets.get("key", ())


def observe(setting: Setting) -> Sight:
    """Look with the ordinary key, and say what the provider has for each budget."""
    told = budgets.said(setting)
    try:
        return told + _look(setting)
    except ByokError as error:
        return told + of_error(setting, error)


def _look(setting: Setting) -> Sight:
    given = setting.account()
    base = given.get("api_base", BASE)
    found = setting.credential(references(setting), base, own="api_base" not in given)
    if found is None:
        return not_probed(setting, "none of the references in key exists here")
    must_fit(found.secret)
    asked = "generate" in setting.probes
    paths = [path for m in setting.models() for path in _paths(m)] if asked else []
    signed = header("x-goog-api-key", found.secret)
    client = setting.door.connect(base, DIALECT, signed, also=paths)
    facts = dict(_fact(m) for m in every(client, "/v1beta/models", "models", {"pageSize": PAGE}))
    seen = setting.saw("key", setting.name, f"alive: {_form(found.secret)}, {len(facts)} models")
    return seen + models(setting, facts) + generated(setting, lambda m: _complete(client, m))


def must_fit(secret: Secret) -> None:
    """Refuse to send what certainly is no Gemini key. Raises ProviderError (wrong kind)."""
    text = secret.expose().lstrip()
    owner = "a service account's" if text.startswith("{") else looks_like(text)
    if owner not in (None, "google", "litellm"):
        what = f"was to be given a key that is {owner}: it was not sent"
        raise refusal(DIALECT.who, Problem.WRONG_KIND, what)


def _form(secret: Secret) -> str:
    is_new = secret.expose().startswith("AQ.")
    return "an authorization key (AQ.)" if is_new else "a standard key, which Google phases out"


def _fact(model: Mapping[str, object]) -> tuple[str, ModelFact]:
    methods = model.get("supportedGenerationMethods")
    mute = isinstance(methods, list) and "generateContent" not in methods
    name = str(model.get("name", "")).removeprefix("models/")
    return name, ModelFact(remark="it does not generate content" if mute else "")


def _path(model: str) -> str:
    return f"/v1beta/models/{quote(model, safe='')}:generateContent"


def _paths(entry: ModelEntry) -> tuple[str, str]:
    return _path(entry.id), f"/v1beta/models/{entry.id}:generateContent"


def _complete(client: Client, entry: ModelEntry) -> Answer:
    body = {
        "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
        "generationConfig": {"maxOutputTokens": TOKENS},
    }
    return client.ask(_path(entry.id), body)
