"""Bytes to text, and YAML's own syntax errors in words that help."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from reconciler.model import Diagnostic, Position, Severity

if TYPE_CHECKING:
    import yaml

MAX_BYTES: Final = 8 * 1024 * 1024

_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_ENCODINGS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_UNCLOSED_QUOTE: Final = "a quote is opened and never closed; close it"
_MISPLACED: Final = "this line's indentation fits no line above; align it with its neighbours"
_WORDS: Final = {
    "mapping values": "a colon with a space stands where no key can be; quote the text, "
    "or put the key on its own line",
    "unexpected end of stream": _UNCLOSED_QUOTE,
    "end of the stream": _UNCLOSED_QUOTE,
    "',' or ']'": "a list in brackets is not closed or lacks a comma; add ] or the comma",
    "',' or '}'": "a mapping in braces is not closed or lacks a comma; add } or the comma",
    "'-' indicator": "this line is no item of the list above and not outside of it; "
    "align it with the other items, or with the list's parent",
    "block end": _MISPLACED,
    "expected key": _MISPLACED,
    "expected ':'": "a key has no colon and space after it; write `key: value`",
    "escape": "YAML does not know this escape; double the backslash, or use single quotes",
    "cannot start any token": "a value cannot begin with this character; quote the value",
    "tag": "a tag is not well formed; remove it, the manifest uses none",
    "alphabetic or numeric": "an anchor or alias has no name; quote the value that has & or *",
    "document start": "something stands after the document's end; remove it",
    "directive": "a line begins with a percent sign; quote it, or remove it",
}
"""Parts of what libyaml 0.2 and PyYAML's own scanner say, each with our words."""


def fault(code: str, what: str, way_out: str, position: Position, pointer: str = "") -> Diagnostic:
    """Return an error about the file."""
    return Diagnostic(code, Severity.ERROR, pointer, what, way_out, position)


def literal(kind: str, position: Position, pointer: str = "") -> Diagnostic:
    """Return the error about a key of this kind that stands in the file; it is not repeated."""
    what = f"a literal secret stands here, with the shape of a key for {kind}"
    way_out = "move it to a store, name it by reference, and revoke it if this file was shared"
    return fault("BYOK004", what, way_out, position, pointer)


def decode(raw: bytes, file: str) -> str | Diagnostic:
    """Return the text of a manifest's bytes without a byte order mark, or what forbids it."""
    start = Position(file, 1, 1)
    if len(raw) > MAX_BYTES:
        megabytes = MAX_BYTES // 1024**2
        return fault("BYOK005", f"the file is larger than {megabytes} MB", "split it", start)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    for mark, name in _ENCODINGS:
        if raw.startswith(mark):
            return fault("BYOK001", f"the file is {name}", "save it as UTF-8", start)
    if (at := raw.find(0)) >= 0:
        what = "the file is binary: it holds a NUL byte"
        return fault("BYOK001", what, "name a YAML file", _after(raw[:at], file))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        what = "a byte here is not UTF-8"
        return fault("BYOK001", what, "save it as UTF-8", _after(raw[: error.start], file))


def _after(head: bytes, file: str) -> Position:
    lines = head.decode("utf-8", "replace").split("\n")
    return Position(file, len(lines), len(lines[-1]) + 1)


def unprintable(text: str, file: str) -> Diagnostic | None:
    """Return what to say of the first character that YAML forbids, None where there is none."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return None
    head = text[: found.start()].split("\n")
    what = f"the character U+{ord(found[0]):04X} stands here, which YAML forbids"
    position = Position(file, len(head), len(head[-1]) + 1)
    return fault("BYOK001", what, 'remove it, or write it as an escape in "quotes"', position)


def reword(error: yaml.YAMLError, text: str, file: str) -> Diagnostic:
    """Return YAML's complaint in our words; nothing of the file's text is repeated."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        what = "the file is not YAML"
        return unprintable(text, file) or fault(
            "BYOK001", what, "check that this is the manifest", Position(file, 1, 1)
        )
    position = Position(file, mark.line + 1, mark.column + 1)
    if _at_tab(text, mark.line, mark.column):
        way_out = "indent with spaces"
        return fault("BYOK001", "a tab stands where YAML wants spaces", way_out, position)
    problem = str(getattr(error, "problem", None) or "")
    for part, words in _WORDS.items():
        if part in problem:
            what, _, way_out = words.partition("; ")
            return fault("BYOK001", what, way_out, position)
    what = "this is not valid YAML"
    return fault("BYOK001", what, "look at this line and the one above it", position)


def _at_tab(text: str, line: int, column: int) -> bool:
    lines = text.split("\n")
    here = lines[line] if line < len(lines) else ""
    return "\t" in here[: len(here) - len(here.lstrip())] or here[column : column + 1] == "\t"
