"""An endpoint's keys: two gateways make and revoke them, of all others a person does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.origins import built_in
from reconciler.secrets import Secret
from reconciler.spec import Endpoint
from reconciler.systems.account import (
    Answer,
    Client,
    Dialect,
    Issuer,
    Setting,
    Sign,
    Trial,
    Values,
    refusal,
    trial,
)
from reconciler.systems.account.issuer import DEAD
from reconciler.systems.account.signing import bearer, keyless
from reconciler.systems.endpoint import litellm_issuer, openrouter_issuer
from reconciler.systems.endpoint.management import MANAGED, admin, place
from reconciler.systems.endpoint.quirks import TYPES, Quirks, openai_list
from reconciler.systems.endpoint.sight import api

CONSOLES: Final[Mapping[str, str]] = {
    "openrouter": "https://openrouter.ai/settings/keys",
    "together": "https://api.together.ai/settings/api-keys",
    "groq": "https://console.groq.com/keys",
    "fireworks": "https://app.fireworks.ai/settings/users/api-keys",
    "deepseek": "https://platform.deepseek.com/api_keys",
    "mistral": "https://console.mistral.ai/api-keys",
    "xai": "https://console.x.ai",
}
"""Where a person makes and revokes keys (each vendor's guide to its keys, 2026)."""

WHY: Final[Mapping[str, str]] = {
    "ollama": "Ollama asks for no key of its own: what asks for one stands in front of it",
    "lmstudio": "LM Studio makes its keys in the app only",
    "vllm": "vLLM is told its keys when it starts (--api-key)",
    "custom": "byok knows no API of this endpoint that makes keys",
}
"""Why a person must, where it is not only that the vendor has no API for it."""

UNUSED: Final = "the admin key is not used here"


def issuer(setting: Setting) -> Issuer:
    """Open what makes and revokes an endpoint's keys; asks nothing.

    Raises SecretError or Unapproved for the admin key of a managed type.
    """
    endpoint = setting.manifest.endpoints[setting.name]
    attempt, by_hand = partial(_attempt, setting, endpoint), _console(endpoint)
    found = _lacks(setting, endpoint) or admin(setting, endpoint)
    if isinstance(found, str):
        how = f"a person makes the key at {TYPES[endpoint.type].who}"
        return Issuer(how, attempt, by_hand=by_hand, why=found)
    if endpoint.type == "openrouter":
        return openrouter_issuer.opened(setting, endpoint, *found, attempt, by_hand)
    return litellm_issuer.opened(setting, endpoint, *found, attempt, by_hand)


def _lacks(setting: Setting, endpoint: Endpoint) -> str:
    if endpoint.type not in MANAGED:
        vendor = f"{TYPES[endpoint.type].who} has no API that makes keys"
        return WHY.get(endpoint.type, vendor)
    return "" if setting.judged else UNUSED


def _console(endpoint: Endpoint) -> str:
    if endpoint.type == "litellm":
        return f"{place(endpoint).rstrip('/')}/ui"
    return CONSOLES.get(endpoint.type, "")


def _attempt(setting: Setting, endpoint: Endpoint, values: Values) -> Trial:
    """Ask for the models, or for OpenRouter's key: its models are public.

    A server that answers without a key just as well proves nothing of one, and what is forbidden
    may be so by something in front of it that never saw a key.
    Raises Unapproved where the key in use may not go there either.
    """
    if not endpoint.key:
        return Trial.UNTOLD
    own = built_in(endpoint.type, endpoint.base_url)
    pointer = f"{setting.pointer}/base_url"
    setting.admit(endpoint.key, endpoint.base_url, own=own, pointer=pointer)
    quirks = TYPES[endpoint.type]
    read = _itself if endpoint.type == "openrouter" else _models
    forbidden = Trial.ALIVE if endpoint.type in MANAGED else Trial.UNTOLD
    key = values["key"]
    found = trial(lambda: read(_connect(setting, endpoint, quirks, key)), forbidden=forbidden)
    if found is Trial.ALIVE and not quirks.keyed:
        guarded = _guarded(lambda: _models(_connect(setting, endpoint, quirks, None)))
        return Trial.ALIVE if guarded else Trial.UNTOLD
    return found


def _connect(setting: Setting, endpoint: Endpoint, quirks: Quirks, key: Secret | None) -> Client:
    sign: Sign = keyless if key is None else bearer(key)
    return setting.door.connect(api(endpoint), Dialect(quirks.who, quirks.classify), sign)


def _models(client: Client) -> Answer:
    answer = client.get("models")
    openai_list(answer)  # a page of another shape is somebody else's, and proves nothing
    return answer


def _itself(client: Client) -> Answer:
    answer = client.get("key")
    told: Any = answer.at("data")
    if not isinstance(told, Mapping):
        raise refusal(client.who, Problem.UNREADABLE)
    if told.get("is_management_key") or told.get("is_provisioning_key"):
        raise refusal(client.who, Problem.WRONG_KIND, "was given a management key for an ordinary")
    return answer


def _guarded(ask: Callable[[], Answer]) -> bool:
    """Tell whether a server refuses who has no key."""
    try:
        ask()
    except ProviderError as error:
        return error.kind in (*DEAD, Problem.NO_ACCESS)
    return False
