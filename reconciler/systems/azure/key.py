"""Azure OpenAI with the ordinary key: whether it lives, where, and what that does not prove."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.origins import built_in
from reconciler.systems.account import Answer, Client, Dialect, Setting, Sight
from reconciler.systems.account.answers import refusal
from reconciler.systems.account.findings import (
    ModelFact,
    day,
    escape,
    not_probed,
    of_error,
    rate_limits,
    retirement,
)
from reconciler.systems.account.pages import after_last, items, pages
from reconciler.systems.account.probe import PROMPT, TOKENS, generated
from reconciler.systems.account.signing import header
from reconciler.systems.azure.arm import value

WHO: Final = "Azure OpenAI"
V1: Final = ("v1", "preview", "latest")
"""Values of api_version that mean the v1 API, which needs none (Azure, since August 2025)."""

COMPLETION_TOKENS: Final = "2024-09"
"""From this api-version on a request's limit is called max_completion_tokens."""

CLIENT_SECRET: Final = re.compile(r"[\w.~-]{3}\dQ~[\w.~-]{31,34}")
"""An Entra application's client secret (Microsoft security-utilities, 2025)."""

UNREACHED: Final = ("virtual network", "firewall", "public access is disabled", "private endpoint")
"""What a network rule's 403 says; its code is 403 like any other (seen 2023 to 2026)."""

A_MODEL: Final = re.compile(r"(chat)?gpt-|o[1-9](-|$)|claude-|gemini-|text-embedding-", re.ASCII)
_DATE: Final = re.compile(r"-[0-9]{4}(-[0-9]{2}-[0-9]{2})?$", re.ASCII)


def _classify(answer: Answer) -> Problem | None:
    code = str(answer.at("error", "code", default=""))
    said = str(answer.at("error", "message", default="")).lower()
    match answer.status:
        case 403 if any(words in said for words in UNREACHED):
            return Problem.NETWORK_REFUSED
        case 403 | 429 if code == "insufficient_quota" or "call volume quota" in said:
            return Problem.SPENT
        case 404:
            return Problem.WRONG_ENDPOINT
        case 400 if "api version" in said or "api-version" in said:
            return Problem.WRONG_ENDPOINT
        case _:
            return None


DIALECT: Final = Dialect(WHO, _classify)


def look(setting: Setting) -> Sight:
    """Look with the ordinary key. Raises SecretError, Unapproved or ProviderError."""
    provider = setting.manifest.providers[setting.name]
    endpoint = provider.settings.get("endpoint")
    if endpoint is None:
        return not_probed(setting, "the manifest names no endpoint")
    refs, place = provider.secrets.get("key", ()), f"{setting.pointer}/endpoint"
    key = setting.credential(refs, endpoint, own=built_in("azure", endpoint), pointer=place)
    if key is None:
        return not_probed(setting, "none of the references in key exists here")
    if CLIENT_SECRET.fullmatch(key.secret.expose()):
        what = "was given an application's client secret, and not one of the account's two keys"
        raise refusal(WHO, Problem.WRONG_KIND, what)
    version = provider.settings.get("api_version")
    deployment = provider.settings.get("deployment", "")
    chat = _chat(version, deployment)
    also = (chat,) if "generate" in setting.probes else ()
    client = setting.door.connect(endpoint, DIALECT, header("api-key", key.secret), also=also)
    sight = _listed(setting, client, version, deployment)
    return sight + _generated(setting, client, version, deployment)


def _listed(setting: Setting, client: Client, version: str | None, deployment: str) -> Sight:
    """List what the account offers: it proves the key and the endpoint, and no deployment."""
    path, params = listing(version)
    answers = list(pages(client, path, after_last, params))
    offered = list(items(iter(answers), "data"))
    sight = setting.saw(
        "key",
        setting.name,
        f"alive at this endpoint; the account offers {len(offered)} models, which does not prove "
        f"that deployment {deployment or '(none named)'} exists: --accounts or --probe generate do",
    )
    limits = rate_limits(answers[-1].headers)
    sight += setting.saw("rate-limit", setting.name, limits) if limits else Sight()
    for entry in setting.models():
        sight += _answered(setting, entry.id, deployment, offered)
    return sight


def listing(version: str | None) -> tuple[str, dict[str, str]]:
    """Return path and parameters of the list of models, for an api_version."""
    return "/openai/v1/models" if _is_v1(version) else "/openai/models", _params(version)


def _answered(
    setting: Setting, name: str, deployment: str, offered: list[Mapping[str, Any]]
) -> Sight:
    named = [one for one in offered if same_model(str(one.get("id")), name)]
    more = "; the account offers a model of this name" if named else ""
    sight = setting.saw("model", name, f"answered by deployment {deployment}{more}")
    if len(named) == 1:  # of several versions nobody can tell which is deployed
        retires = day(value(named[0], ("deprecation", "inference")))
        sight += retirement(setting, name, ModelFact(retires))
    return sight


def _generated(setting: Setting, client: Client, version: str | None, deployment: str) -> Sight:
    """Send one smallest real request where that was asked for: all models share the deployment."""
    if "generate" not in setting.probes or not deployment:
        return Sight()
    limit = "max_tokens" if _older(version) else "max_completion_tokens"
    body: dict[str, Any] = {"messages": [{"role": "user", "content": PROMPT}], limit: TOKENS}
    path, query = _chat(version, deployment), _params(version)
    if _is_v1(version):
        body["model"] = deployment
    url = path + "".join(f"?{name}={value}" for name, value in query.items())

    def complete(_: object = None) -> Answer:
        return client.ask(url, body)  # remembered: asked once for all models

    sight = generated(setting, complete)
    try:
        answer = complete()
    except ProviderError as error:
        return sight if setting.models() else of_error(setting, error, "deployment")
    if not sight.observations:
        sight += setting.saw("deployment", deployment, "answered a real request")
    return sight + other_models(setting, deployment, str(answer.at("model", default="")))


def other_models(
    setting: Setting, deployment: str, served: str, known: Collection[str] = ()
) -> Sight:
    """Warn of each declared model that the deployment does not serve (BYOK140).

    A name that is no model's (``azure-gpt-4o``) is the team's own, and may stand for any;
    ``known`` are names that are models' for sure.
    """
    sight = Sight()
    for entry in setting.models():
        told = entry.id in known or A_MODEL.match(entry.id)
        if not served or not told or same_model(entry.id, served):
            continue
        sight += setting.found(
            "BYOK140",
            f"{entry.id} is answered by deployment {deployment}, which serves {served}",
            "name the deployment of this model, or call the model what it is",
            pointer=f"/models/{escape(entry.id)}",
        )
    return sight


def same_model(one: str, other: str) -> bool:
    """Tell whether two names are of one model: Azure writes gpt-35-turbo, and may add a date."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return _DATE.sub("", name.lower()).replace(".", "")


def _is_v1(version: str | None) -> bool:
    return version is None or version in V1


def _older(version: str | None) -> bool:
    return version is not None and version not in V1 and version < COMPLETION_TOKENS


def _params(version: str | None) -> dict[str, str]:
    if version == "preview" or (version is not None and version not in V1):
        return {"api-version": version}
    return {}


def _chat(version: str | None, deployment: str) -> str:
    if _is_v1(version):
        return "/openai/v1/chat/completions"
    return f"/openai/deployments/{deployment}/chat/completions"
