"""What Anthropic's ordinary key shows: whether it lives, which models it may use, its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.spec import ModelEntry
from reconciler.systems.account import Answer, Client, Credential, Setting, Sight, refusal
from reconciler.systems.account.findings import ModelFact, day, models, not_probed
from reconciler.systems.account.pages import items, pages
from reconciler.systems.account.probe import PROMPT, TOKENS, generated
from reconciler.systems.anthropic.wire import (
    ADMIN,
    INFERENCE,
    MESSAGES,
    MODELS,
    after_id,
    base_of,
    sign,
)

UNITS: Final = ("requests", "tokens", "input-tokens", "output-tokens")
"""What ``anthropic-ratelimit-*`` headers count (page on rate limits, November 2026)."""


def look(setting: Setting) -> Sight:
    """Look with the ordinary key, as Cursor would use it; sends GET only, unless asked to probe.

    Raises SecretError, Unapproved, or ProviderError with what is wrong with the key.
    """
    key = ordinary(setting)
    if key is None:
        return not_probed(setting, "none of the references in key exists here")
    if key.secret.expose().startswith(ADMIN):
        what = "is an admin key, and key needs an ordinary key: it was not sent"
        raise refusal(key.ref, Problem.WRONG_KIND, what)
    also = (MESSAGES,) if "generate" in setting.probes else ()
    base, _ = base_of(setting)
    client = setting.door.connect(base, INFERENCE, sign(key.secret), also=also)
    facts, last = _listed(client)
    facts |= _aliases(setting, client, facts)
    limits = rate_limits(last.headers)
    told = f"accepted: {limits}" if limits else "accepted"
    return (
        setting.saw("key", setting.name, told)
        + models(setting, facts)
        + generated(setting, lambda entry: _complete(client, entry))
    )


def ordinary(setting: Setting) -> Credential | None:
    """Return the key that Cursor is given; None where no reference exists."""
    provider = setting.manifest.providers.get(setting.name)
    base, own = base_of(setting)
    refs = provider.secrets.get("key", ()) if provider is not None else ()
    return setting.credential(refs, base, own=own)


def _listed(client: Client) -> tuple[dict[str, ModelFact], Answer]:
    answers = list(pages(client, MODELS, after_id, {"limit": 1000}))
    return {str(item.get("id")): _fact(item) for item in items(iter(answers), "data")}, answers[-1]


def _aliases(
    setting: Setting, client: Client, known: Mapping[str, ModelFact]
) -> dict[str, ModelFact]:
    """Look up declared models that the list does not name: it has ids, and an id may be an alias.

    ``claude-sonnet-4-5`` is served, and listed only as ``claude-sonnet-4-5-20250929``.
    """
    found = {}
    for entry in setting.models():
        if entry.id not in known:
            try:
                answer = client.get(f"{MODELS}/{quote(entry.id, safe='')}")
            except ProviderError as error:
                if error.kind not in (Problem.NO_MODEL, Problem.NOT_THERE, Problem.NO_ACCESS):
                    raise
            else:
                found[entry.id] = _fact(answer.body)
    return found


def _fact(item: Any) -> ModelFact:
    """Read one model; its stage of life counts, because a planned day can pass without effect."""
    stage = item.get("lifecycle") if isinstance(item, Mapping) else None
    if stage is None:  # the form before stages of life
        return ModelFact()
    remark = "deprecated, closed to new users" if stage == "deprecated" else ""
    return ModelFact(day(item.get("retires_at")), remark, gone=stage == "retired")


def rate_limits(headers: Mapping[str, str]) -> str:
    """Return what ``anthropic-ratelimit-*`` headers say, or an empty text."""
    parts = []
    for unit in UNITS:
        limit, left = (
            headers.get(f"anthropic-ratelimit-{unit}-{part}", "") for part in ("limit", "remaining")
        )
        if limit.isdecimal() and left.isdecimal():
            parts.append(f"{left} of {limit} {unit.replace('-', ' ')} left")
    return ", ".join(parts)


def _complete(client: Client, entry: ModelEntry) -> Answer:
    said = [{"role": "user", "content": PROMPT}]
    return client.ask(MESSAGES, {"model": entry.id, "max_tokens": TOKENS, "messages": said})
