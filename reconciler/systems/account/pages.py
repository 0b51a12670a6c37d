"""Lists that come in pages, and operations that take their time: both with an end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.errors import ProviderProblem as Problem
from reconciler.systems.account.answers import Answer, refusal
from reconciler.systems.account.client import Client

PAGES = 200
"""A list of more pages than this is taken for one that never ends."""

BREAKS_OFF = "gives a list that breaks off"

LONGEST = 180.0
"""Seconds that all pages of one list may take together, however slowly each of them comes."""

Next = Callable[[Answer], "Mapping[str, Any] | str | None"]
"""Returns what leads to the next page, parameters or a URL; None after the last."""


def pages(
    client: Client, path: str, following: Next, params: Mapping[str, Any] | None = None
) -> Iterator[Answer]:
    """Yield the pages of a list. Raises ProviderError (unreadable) for one that never ends.

    A description-driven mock says ``has_more`` for ever, and so may a broken proxy.
    """
    base, seen, end = dict(params or {}), set[str](), time.monotonic() + LONGEST
    where, asked = path, base
    for _ in range(PAGES):
        answer = client.get(where, asked)
        yield answer
        onward = following(answer)
        if onward is None:
            return
        if str(onward) in seen or time.monotonic() > end:
            break
        seen.add(str(onward))
        where, asked = (onward, {}) if isinstance(onward, str) else (path, {**base, **onward})
    what = "gives a list that never ends"
    raise refusal(client.who, Problem.UNREADABLE, what)


def items(
    pages_of: Iterator[Answer], name: str, *, omitted: bool = False
) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of every page's list of this name.

    Raises ProviderError (unreadable) for another shape: a list is never silently short. With
    ``omitted`` the provider leaves an empty list out (Google, AWS); elsewhere an object without
    the list is somebody else's answer, and no proof that there is nothing.
    """
    for answer in pages_of:
        found = answer.at(name, default=[] if omitted else None)
        shaped = isinstance(answer.body, Mapping) and isinstance(found, list)
        if not shaped or not all(isinstance(item, Mapping) for item in found):
            raise refusal("the provider", Problem.UNREADABLE)
        yield from found


def after_last(answer: Answer, name: str = "after") -> Mapping[str, Any] | None:
    """Follow OpenAI's lists: ``has_more``, then ``after`` the ``last_id``, or the last item's id.

    Anthropic's name for it is ``after_id``. Raises ProviderError where there is more, and nothing
    that leads to it.
    """
    if answer.at("has_more") is not True:
        return None
    last = answer.at("last_id") or answer.at("data", -1, "id")
    if not isinstance(last, str):
        raise refusal("the provider", Problem.UNREADABLE, BREAKS_OFF)
    return {name: last}


def after_page(answer: Answer) -> Mapping[str, Any] | None:
    """Follow ``page`` the ``next_page``, until that is null (OpenAI's costs, Anthropic's limits).

    Raises ProviderError where there is more, and nothing that leads to it.
    """
    onward = answer.at("next_page")
    if not onward and answer.at("has_more") is True:
        raise refusal("the provider", Problem.UNREADABLE, BREAKS_OFF)
    return {"page": onward} if onward else None


def until(read: Callable[[], Answer], done: Callable[[Answer], bool], seconds: float) -> Answer:
    """Read again until an operation is done, at most so many seconds; return the last answer.

    ``read`` must ask afresh: a client remembers what it read until `Client.forget`.
    Waits a quarter of a second at first, then longer, up to five, and reads once more at the end.
    """
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

    slower, end = wait_exponential(multiplier=0.25, max=5), time.monotonic() + seconds
    polling = Retrying(
        retry=retry_if_result(lambda answer: not done(answer)),
        wait=lambda state: min(slower(state), max(end - time.monotonic(), 0.0)),
        stop=stop_after_delay(seconds),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    found: Answer = polling(read)
    return found
