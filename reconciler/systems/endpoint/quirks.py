"""What is particular to each type of endpoint: data, and how its lists and errors are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.systems.account import Answer, refusal
from reconciler.systems.account.answers import Classify
from reconciler.systems.account.findings import ModelFact, day

Facts = Mapping[str, ModelFact]
ANY_NAME: Final = ("llamacpp", "me")
"""``owned_by`` of servers that answer to any model's name: llama.cpp, llama-cpp-python."""


def compatible(answer: Answer) -> Problem | None:
    """Read the codes that OpenAI-compatible servers share."""
    match answer.at("error", "code"):
        case "insufficient_quota":
            return Problem.SPENT
        case "model_not_found":
            return Problem.NO_MODEL
        case "invalid_api_key":
            return Problem.INVALID_KEY
        case _:
            return None


def groq(answer: Answer) -> Problem | None:
    """Read Groq's: a reached spend limit is 400 (console.groq.com/docs/spend-limits, 2026)."""
    if answer.at("error", "code") == "blocked_api_access":
        return Problem.SPENT
    return compatible(answer)


def fireworks(answer: Answer) -> Problem | None:
    """Read Fireworks': 412 is an account suspended for its spending limit or a bill."""
    return Problem.SPENT if answer.status == 412 else compatible(answer)  # noqa: PLR2004


def xai(answer: Answer) -> Problem | None:
    """Read xAI's: a bad key is 400, and ``error`` is a text (seen in public issues, 2025-26)."""
    text = answer.at("error")
    if answer.status == 400 and isinstance(text, str) and "API key" in text:  # noqa: PLR2004
        return Problem.INVALID_KEY
    return compatible(answer)


def openrouter(answer: Answer) -> Problem | None:
    """Read OpenRouter's: 403 is a limit where it names its source, else a missing right."""
    if answer.status == 403 and answer.at("error", "metadata", "limit_source"):  # noqa: PLR2004
        return Problem.SPENT
    return None


def litellm(answer: Answer) -> Problem | None:
    """Read LiteLLM's ``error.type``, and what it says without a database (1.106.2, measured).

    A reached budget is 422 there, 429 or 400 in other releases.
    """
    kind = answer.at("error", "type")
    said = str(answer.at("error", "message") or answer.at("detail", "error") or "")
    if "DB not connected" in said or "Database not connected" in said:
        return Problem.UNSUPPORTED
    if kind == "budget_exceeded" or "budget has been exceeded" in said.lower():
        return Problem.SPENT
    if kind in ("no_db_connection", "token_not_found_in_db", "expired_key"):
        return Problem.INVALID_KEY  # without a database the master key is the only one there is
    if "Only proxy admin" in said:
        return Problem.WRONG_KIND
    if str(kind).endswith("model_access_denied") or "Invalid model name" in said:
        return Problem.NO_MODEL
    return None


def rows(answer: Answer, *path: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list in an answer; raises ProviderError for another shape."""
    found = answer.at(*path) if path else answer.body
    if not isinstance(found, list):
        raise refusal("the endpoint", Problem.UNREADABLE)
    yield from (item for item in found if isinstance(item, Mapping))


def openai_list(answer: Answer) -> Facts:
    """Read ``{"data": [{"id": …}]}``, or the same list bare (Together).

    ``deprecation`` is Mistral's day of retirement, ``expiration_date`` OpenRouter's.
    """
    path = () if isinstance(answer.body, list) else ("data",)
    return {
        str(row["id"]): ModelFact(day(row.get("deprecation") or row.get("expiration_date")))
        for row in rows(answer, *path)
        if "id" in row
    }


def ollama_tags(answer: Answer) -> Facts:
    """Read ``/api/tags``; ``NAME:latest`` is also called NAME."""
    names = [str(row.get("name") or row.get("model")) for row in rows(answer, "models")]
    short = [name.removesuffix(":latest") for name in names]
    return dict.fromkeys((*names, *short), ModelFact())


def lmstudio(answer: Answer) -> Facts | None:
    """Read ``/api/v1/models`` (0.4 and later); None where an older server has none.

    A server that does not know the path answers 200 with an error.
    """
    if not isinstance(answer.at("models"), list):
        return None
    return {
        str(row["key"]): ModelFact(
            remark="loaded" if row.get("loaded_instances") else "the first request loads it"
        )
        for row in rows(answer, "models")
        if "key" in row
    }


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one type answers. ``keyed``: it answers nobody without a key.

    ``alive`` is a path below the server's root that tells whether it runs, and ``version`` what
    stands there; ``models`` lists the models, below the base URL or, with a slash, the root.
    """

    who: str
    keyed: bool = True
    alive: str = ""
    version: str = ""
    models: str = "models"
    listed: Callable[[Answer], Facts | None] = openai_list
    classify: Classify = compatible


CUSTOM: Final = Quirks("the endpoint", keyed=False)

TYPES: Final[Mapping[str, Quirks]] = {
    "custom": CUSTOM,
    "ollama": Quirks(
        "Ollama",
        keyed=False,
        alive="/api/version",
        version="version",
        models="/api/tags",
        listed=ollama_tags,
    ),
    "lmstudio": Quirks("LM Studio", keyed=False, models="/api/v1/models", listed=lmstudio),
    "vllm": Quirks("vLLM", keyed=False, alive="/health"),
    "litellm": Quirks("LiteLLM", alive="/health/liveliness", classify=litellm),
    "together": Quirks("Together", alive="/v3/whoami"),
    "openrouter": Quirks("OpenRouter", classify=openrouter),
    "groq": Quirks("Groq", classify=groq),
    "fireworks": Quirks("Fireworks", classify=fireworks),
    "deepseek": Quirks("DeepSeek"),
    "mistral": Quirks("Mistral"),
    "xai": Quirks("xAI", classify=xai),
}
"""By the manifest's ``type``; each vendor's API reference, November 2026."""
