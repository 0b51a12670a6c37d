"""Fields of a foreign document by their types, each within bounds; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from reconciler.fleet.alike import keyless

Document: TypeAlias = Mapping[str, Any]

LONGEST_TEXT: Final = 2000
"""Characters of one foreign text that are kept."""
DEEPEST: Final = 32
"""Levels of one value: rendering is recursive, and a machine could send more than that bears."""
MOST_VALUES: Final = 50_000
"""Values of all changes of one document: comparing them takes its time."""
LONGEST_VALUE: Final = 100_000
"""Characters of one text in a value."""
LARGEST_NUMBER: Final = 2**63


class WrongField(ValueError):
    """A field is not what it should be; its text names the field, never its value."""


def text_of(document: Document, name: str) -> str:
    """Return a text without what looks like a key, empty where there is none. Raises WrongField."""
    return keyless(name_of(document, name))


def name_of(document: Document, name: str) -> str:
    """Return a text as it is: two machines whose names look like keys are still two."""
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise WrongField(f"{name} is no text")
    return (value or "")[:LONGEST_TEXT]


def number_of(document: Document, name: str) -> int | None:
    """Return a whole number, None where there is none. Raises WrongField."""
    value = document.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise WrongField(f"{name} is no number")
    if value is not None and abs(value) >= LARGEST_NUMBER:
        raise WrongField(f"{name} is too large a number")
    return value


def list_of(document: Document, name: str) -> list[Any]:
    """Return a list, which must be there. Raises KeyError and WrongField."""
    value = document[name]
    if isinstance(value, list):
        return value
    raise WrongField(f"{name} is no list")


def texts_of(document: Document, name: str) -> tuple[str, ...]:
    """Return a list of texts, which must be there. Raises KeyError and WrongField."""
    values = list_of(document, name)
    if not all(isinstance(value, str) for value in values):
        raise WrongField(f"{name} holds more than texts")
    return tuple(keyless(value[:LONGEST_TEXT]) for value in values)


def texts_in(values: list[Any]) -> Iterator[str]:
    """Yield every text in values. Raises WrongField where they hold more than can be shown."""
    level, count = values, 0
    for _ in range(DEEPEST):
        count += len(level)
        if count > MOST_VALUES:
            raise WrongField(f"there are more than {MOST_VALUES:,} values")
        for text in (one for one in level if isinstance(one, str)):
            if len(text) > LONGEST_VALUE:
                raise WrongField(f"a value is longer than {LONGEST_VALUE:,} characters")
            yield text
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise WrongField(f"a value is nested deeper than {DEEPEST} levels")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
