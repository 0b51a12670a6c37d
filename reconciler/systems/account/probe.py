"""The probe that costs money: one smallest real completion for each model, where asked for."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.errors import ProviderError
from reconciler.spec import ModelEntry
from reconciler.systems.account.answers import Answer
from reconciler.systems.account.findings import escape, of_error
from reconciler.systems.account.setting import Setting, Sight

PROMPT = "Say ok."
TOKENS = 16
"""The most tokens one probe lets a model answer; OpenAI's Responses API takes no fewer."""


def generated(setting: Setting, complete: Callable[[ModelEntry], Answer]) -> Sight:
    """Let each declared model answer once; a model list does not prove the right to generate.

    Does nothing unless ``generate`` is among the probes. ``complete`` sends `PROMPT` with at most
    `TOKENS` of answer through a client that was connected with this path in ``also``.
    """
    if "generate" not in setting.probes:
        return Sight()
    sight = Sight()
    for entry in setting.models():
        if not entry.enabled:
            continue
        try:
            complete(entry)
        except ProviderError as error:
            sight += of_error(setting, error, f"/models/{escape(entry.id)}")
        else:
            sight += setting.saw("model", entry.id, "answered a real request")
    return sight
