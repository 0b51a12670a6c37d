"""What an endpoint's ordinary key shows: whether it lives, what it may use, what is left of it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.model import Severity
from reconciler.origins import built_in
from reconciler.spec import Endpoint, ModelEntry
from reconciler.systems.account import Answer, Client, Dialect, Setting, Sight, refusal
from reconciler.systems.account.findings import (
    ModelFact,
    day,
    models,
    not_probed,
    of_error,
    rate_limits,
)
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.account.probe import PROMPT, TOKENS, generated
from reconciler.systems.account.signing import bearer, keyless
from reconciler.systems.endpoint.limits import amount, spent, wishes
from reconciler.systems.endpoint.quirks import ANY_NAME, TYPES, Facts, Quirks, openai_list

COMPLETIONS: Final = "/chat/completions"
AT_KEY: Final = (Problem.INVALID_KEY, Problem.WRONG_KIND, Problem.NO_ACCESS, Problem.SPENT)


def root(base: str) -> str:
    """Return where a server's own paths are: its base URL without the last ``/v1``."""
    return re.sub(r"/v1/?$", "", base).rstrip("/")


def api(endpoint: Endpoint) -> str:
    """Return where an endpoint's API is: its base URL without a gateway's own path for Cursor.

    OpenRouter's is ``/api/v1/cursor``, LiteLLM's ``/cursor`` in place of ``/v1`` (their guides for
    Cursor, November 2026); keys, models and all the rest lie beside it.
    """
    plain, cursor, rest = endpoint.base_url.rstrip("/").rpartition("/cursor")
    if not cursor or rest or endpoint.type not in ("openrouter", "litellm"):
        return endpoint.base_url
    return plain if endpoint.type == "openrouter" else f"{plain.removesuffix('/v1')}/v1"


def unless_closed(look: Callable[[], Sight]) -> Callable[[], Sight]:
    """Leave out what is closed to an admin key: the kinds of resource say so, once."""

    def seen() -> Sight:
        try:
            return look()
        except ProviderError as error:
            if error.kind in (*CLOSED, Problem.WRONG_KIND):
                return Sight()
            raise

    return seen


def observe(setting: Setting, endpoint: Endpoint) -> Sight:
    """Look at an endpoint with its ordinary key, or without one where it asks for none."""
    sight = wishes(setting, endpoint).sight
    try:
        return sight + _looked(setting, endpoint)
    except ByokError as error:
        return sight + _failed(setting, endpoint, error)


def _looked(setting: Setting, endpoint: Endpoint) -> Sight:
    quirks = TYPES[endpoint.type]
    parts = urlsplit(endpoint.base_url)
    if not endpoint.key and quirks.keyed:
        return not_probed(setting, f"{quirks.who} asks for a key, and none is named here")
    if not endpoint.key and parts.scheme == "http" and not _here(parts.hostname):
        return not_probed(setting, "plain http to another machine; byok speaks it on this one only")
    credential = setting.credential(
        endpoint.key,
        endpoint.base_url,
        own=built_in(endpoint.type, endpoint.base_url),
        pointer=f"{setting.pointer}/base_url",
    )
    if endpoint.key and credential is None:
        return not_probed(setting, "none of the references in key exists here")
    if _here(parts.hostname) and not _listens(parts):
        return _silent(setting, quirks.who)
    client = setting.door.connect(
        api(endpoint),
        Dialect(quirks.who, quirks.classify),
        keyless if credential is None else bearer(credential.secret),
        also=(COMPLETIONS,) if "generate" in setting.probes else (),
    )
    return _seen(setting, endpoint, quirks, client) + generated(setting, _completing(client))


def _here(host: str | None) -> bool:
    """Tell whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _listens(parts: SplitResult) -> bool:
    """Tell whether anything listens on this machine: waiting for what is not there is no help."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), 2).close()
    except OSError:
        return False
    return True


def _silent(setting: Setting, who: str) -> Sight:
    return setting.found(
        "BYOK138",
        f"{who} does not run on this machine now: nothing listens at its address",
        "start it where it is wanted",
        pointer="base_url",
        severity=Severity.NOTE,
    )


def _failed(setting: Setting, endpoint: Endpoint, error: ByokError) -> Sight:
    match error:
        case ProviderError(kind=Problem.INVALID_KEY) if not endpoint.key:
            message = f"{error.where} asks for a key, and none is named here"
            return setting.found("BYOK131", message, "name its reference in key")
        case ProviderError(kind=problem) if problem in AT_KEY:
            return of_error(setting, error)
        case _:
            return of_error(setting, error, "base_url")


def _seen(setting: Setting, endpoint: Endpoint, quirks: Quirks, client: Client) -> Sight:
    match endpoint.type:
        case "openrouter":
            return _openrouter(setting, client)
        case "litellm":
            return _litellm(setting, endpoint, quirks, client)
        case _:
            return _plain(setting, endpoint, quirks, client)


def _plain(setting: Setting, endpoint: Endpoint, quirks: Quirks, client: Client) -> Sight:
    version = ""
    if quirks.alive:
        alive = client.get(root(endpoint.base_url) + quirks.alive)
        version = f" {alive.at(quirks.version, default='')}" if quirks.version else ""
    answer = client.get(_place(endpoint, quirks))
    facts = quirks.listed(answer)
    if facts is None:
        answer = client.get("models")
        facts = openai_list(answer)
    how = "accepts the key" if endpoint.key else "answers without a key"
    text = f"{quirks.who}{version} {how}: {len(facts)} models listed"
    return setting.saw("key", setting.name, text) + _modelled(setting, answer, facts)


def _place(endpoint: Endpoint, quirks: Quirks) -> str:
    if quirks.models.startswith("/"):
        return root(endpoint.base_url) + quirks.models
    return quirks.models


def _modelled(setting: Setting, answer: Answer, facts: Facts) -> Sight:
    """Compare the declared models with a list, and say what the list is worth."""
    left = rate_limits(answer.headers)
    sight = setting.saw("rate-limit", setting.name, left) if left else Sight()
    rows = answer.at("data", default=())
    owners = {answer.at("data", at, "owned_by") for at in range(len(rows))}
    if not owners & set(ANY_NAME):
        return sight + models(setting, facts)
    for entry in setting.models():
        known = "listed" if entry.id in facts else "not listed"
        remark = f"{known}, which proves little: this server answers to any model's name"
        sight += setting.saw("model", entry.id, remark)
    return sight


def _openrouter(setting: Setting, client: Client) -> Sight:
    """Ask for the key itself: OpenRouter's model list is public, and says nothing of a key."""
    answer = client.get("key")
    if answer.at("data", "is_management_key") or answer.at("data", "is_provisioning_key"):
        what = "was given a management key in key, and Cursor's servers would get it"
        raise refusal(client.who, Problem.WRONG_KIND, what)
    limit, left = amount(answer.at("data", "limit")), amount(answer.at("data", "limit_remaining"))
    used, reset = answer.at("data", "usage_monthly"), answer.at("data", "limit_reset") or "in all"
    ends = day(answer.at("data", "expires_at"))
    parts = [
        "alive",
        f"{spent(used)} used this month",
        f"limit {limit} {reset}" if limit else "no limit",
        f"{spent(left.amount)} left" if left else "",
        f"expires on {ends.isoformat()}" if ends else "",
    ]
    sight = setting.saw("key", setting.name, ", ".join(part for part in parts if part))
    if left is not None and left.amount <= 0:
        sight += of_error(setting, refusal(client.who, Problem.SPENT))
    return sight + _catalogue(setting, client)


def _catalogue(setting: Setting, client: Client) -> Sight:
    """Compare models with what this key may use; where that is not told, with all there are."""
    try:
        return models(setting, openai_list(client.get("models/user")))
    except ProviderError as error:
        if error.kind not in (Problem.NO_ACCESS, Problem.NOT_THERE):
            raise
    remark = "in the public catalogue, which says nothing of this key"
    facts = openai_list(client.get("models"))
    return models(setting, {n: ModelFact(f.retires, remark) for n, f in facts.items()})


def _litellm(setting: Setting, endpoint: Endpoint, quirks: Quirks, client: Client) -> Sight:
    top = root(api(endpoint))
    client.get(top + quirks.alive)
    answer = client.get("models")
    facts = openai_list(answer)
    sight = setting.saw("key", setting.name, f"LiteLLM accepts the key: {len(facts)} models for it")
    sight += models(setting, facts)
    if _has_database(client, top):
        return sight + _own_row(setting, client, top)
    text = "LiteLLM runs without a database: its master key is the only one, and nothing is counted"
    return sight + setting.saw("server", setting.name, text)


def _has_database(client: Client, top: str) -> bool:
    try:
        return bool(client.get(f"{top}/health/readiness").at("db") == "connected")
    except ProviderError:
        return False


def _own_row(setting: Setting, client: Client, top: str) -> Sight:
    """Tell what a virtual key has left; the master key has no row of its own."""
    try:
        answer = client.get(f"{top}/key/info")
    except ProviderError as error:
        if error.kind is not Problem.NOT_THERE:
            return Sight()
        return setting.found(
            "BYOK130",
            "LiteLLM has no record of this key and accepts it: it is the proxy's master key",
            "make a virtual key in LiteLLM, and keep the master key for admin_key",
            pointer="key",
        )
    used, limit = amount(answer.at("info", "spend")), amount(answer.at("info", "max_budget"))
    ends = day(answer.at("info", "expires"))
    text = f"{spent(used and used.amount)} spent" + (f" of {limit}" if limit else ", no limit")
    text += f", expires on {ends.isoformat()}" if ends else ""
    sight = setting.saw("usage", setting.name, text)
    if limit and used and used.amount >= limit.amount:
        sight += of_error(setting, refusal("LiteLLM", Problem.SPENT))
    return sight


def _completing(client: Client) -> Callable[[ModelEntry], Answer]:
    def complete(entry: ModelEntry) -> Answer:
        body = {
            "model": entry.id,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": TOKENS,
        }
        try:
            answer = client.send("POST", COMPLETIONS, body)
        except ProviderError as error:
            if error.kind is Problem.NOT_THERE:
                raise refusal(client.who, Problem.NO_MODEL) from None
            raise
        if not isinstance(answer.at("choices"), list):  # an error in the clothes of a success
            raise refusal(client.who, Problem.UNREADABLE)
        return answer

    return complete
