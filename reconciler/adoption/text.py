"""A draft as YAML: every line with a comment that says what it does; pure."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from reconciler.manifest.scalars import resolve

if TYPE_CHECKING:
    from reconciler.adoption.draft import Part, Said

WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9~][A-Za-z0-9._/:#@+~-]*(?<!:)")

SCHEMA: Final = "manifest.schema.json"
TITLES: Final[Mapping[str, str]] = {
    "providers": "The companies whose keys Cursor uses. A key never stands here, only its place.",
    "endpoints": "OpenAI-compatible servers. Cursor has one slot, shared with the OpenAI key.",
    "models": "Models by id. One that is not named here is left as it is.",
}
SAYS: Final[Mapping[str, str]] = {
    "key": "where the key lives",
    "access_key_id": "where its id lives",
    "secret_access_key": "where its secret lives",
    "session_token": "where the session token lives",
    "endpoint": "the Azure resource; requests go here",
    "deployment": "what answers, whatever the model is called in Cursor",
    "region": "the AWS region",
    "type": "what answers there; decides how byok asks it",
    "base_url": "what Cursor's servers call",
}
SWITCHES: Final[Mapping[tuple[str, bool], str]] = {
    ("enabled", True): "Cursor uses this key",
    ("enabled", False): "the key stays in place, the switch is off",
    ("active", True): "this endpoint has Cursor's one slot",
    ("active", False): "waits its turn; nothing of it is written to Cursor",
}


def rendered(
    team: str,
    head: Sequence[str],
    sections: Mapping[str, Mapping[str, Part]],
    foot: Sequence[str],
    left: Sequence[str],
) -> str:
    """Return the text of a manifest; ``left`` are sentences on what is not in it.

    ``head`` and ``foot`` are remarks at its top and its end.
    """
    lines = [*_comments(head, ""), f"# yaml-language-server: $schema={SCHEMA}"]
    lines += ["version: 1 # of this format", f"team: {scalar(team)} # owns all that stands here"]
    for name, parts in sections.items():
        if parts:
            entries = _models(parts) if name == "models" else _blocks(parts)
            lines += ["", *_comments([TITLES[name]], ""), f"{name}:", *entries]
    lines += ["", *_comments(foot, "")] if foot else []
    if left:
        lines += ["", "# Left out:", *_comments([f"- {each}" for each in left], "")]
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """Return a text as one YAML scalar: plain where it reads back as itself, else in quotes."""
    try:
        plain = bool(_PLAIN.fullmatch(text)) and resolve(text) == text
    except ValueError:
        plain = False
    return text if plain else json.dumps(text, ensure_ascii=False)


def _blocks(parts: Mapping[str, Part]) -> Iterator[str]:
    for name, part in parts.items():
        yield from _comments(part.remarks, "  ")
        yield f"  {scalar(name)}:"
        for field, value in part.fields.items():
            yield f"    {field}: {_value(value)} # {_says(field, value)}"


def _models(parts: Mapping[str, Part]) -> Iterator[str]:
    for name, part in parts.items():
        yield from _comments(part.remarks, "  ")
        inside = ", ".join(f"{field}: {_value(value)}" for field, value in part.fields.items())
        yield f"  {scalar(name)}: {{ {inside} }} # {_of_model(part)}"


def _of_model(part: Part) -> str:
    said = ["off" if part.fields.get("enabled") is False else "on"]
    said += ["a model that Cursor's list does not have"] if part.fields.get("custom") else []
    features = part.fields.get("default_for")
    said += [f"the default of {', '.join(features)}"] if isinstance(features, tuple) else []
    return "; ".join(said)


def _says(field: str, value: Said) -> str:
    return SWITCHES[field, value] if isinstance(value, bool) else SAYS[field]


def _value(value: Said) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return scalar(value)
        case _:
            return f"[{', '.join(scalar(each) for each in value)}]"


def _comments(texts: Sequence[str], indent: str) -> Iterator[str]:
    for text in texts:
        again = "  " if text.startswith("- ") else ""
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"{indent}# ",
            subsequent_indent=f"{indent}# {again}",
            break_long_words=False,
            break_on_hyphens=False,
        )
