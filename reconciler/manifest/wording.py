"""JSON Schema's errors in our words: none of them repeats a value of the file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.manifest.document import Document
from reconciler.manifest.pointer import join, shown
from reconciler.manifest.syntax import fault
from reconciler.model import Diagnostic

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

READS: Final = "1.0"
"""The version of the format that this byok reads."""

_TYPES: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_SCHEMES: Final = {
    "sops": "sops://FILE#/json/pointer",
    "keyring": "keyring://SERVICE/USER",
    "env": "env://NAME",
    "file": "file://PATH",
    "op": "op://VAULT/ITEM/[SECTION/]FIELD",
    "exec": "exec://COMMAND ARGUMENTS",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed rule: which keyword of which schema, at which value, at which path."""

    keyword: str
    schema: Mapping[str, Any]
    value: Any
    path: tuple[str | int, ...]
    of_name: bool

    @property
    def pointer(self) -> str:
        """The JSON pointer of the value, or of the mapping when a name is at fault."""
        return join(self.path)

    def told(self, gaps: Collection[str]) -> bool:
        """Tell whether there is more to say than of a value that stands in a gap."""
        return self.of_name or self.keyword == "additionalProperties" or self.pointer not in gaps


def read_error(error: ValidationError) -> Fault:
    """Return what we use of a jsonschema error; its message, which repeats values, is not."""
    return Fault(
        str(error.validator),
        error.schema if isinstance(error.schema, Mapping) else {},
        error.instance,
        tuple(error.absolute_path),
        "propertyNames" in error.absolute_schema_path,
    )


def word(errors: Iterable[Fault], document: Document, minor: str) -> Iterator[Diagnostic]:
    """Yield the diagnostics of a document's schema errors; ``minor`` is the version it claims."""
    for error in errors:
        if error.of_name:
            yield _name(error, document)
        elif error.keyword == "additionalProperties":
            yield from _unknown(error, document, minor)
        else:
            code, text = _text(error, minor)
            what, _, way_out = text.partition("; ")
            yield fault(code, what, way_out, document.where(error.pointer), error.pointer)


def _name(error: Fault, document: Document) -> Diagnostic:
    what, _, way_out = str(error.schema.get("errorMessage", "this name will not do")).partition(
        "; "
    )
    place = document.keys.get(join((*error.path, str(error.value))))
    position = place or document.where(error.pointer)
    return fault("BYOK003", what, way_out, position, error.pointer)


def _unknown(error: Fault, document: Document, minor: str) -> Iterator[Diagnostic]:
    properties = error.schema.get("properties", {})
    known = [name for name, each in properties.items() if each.get("x-byok") != "reserved"]
    for name in error.value:
        if name in properties:
            continue
        pointer = join((*error.path, name))
        position = document.keys.get(pointer) or document.where(pointer)
        what, way_out = _stranger(str(name), known, minor)
        yield fault("BYOK003", what, way_out, position, pointer)


def _stranger(name: str, known: list[str], minor: str) -> tuple[str, str]:
    what = f"unknown key {shown(name)}"
    if minor != READS:
        what = f"{what}: this byok reads version {READS}; the manifest is written for {minor}"
        return what, "use a newer byok, or remove the key"
    close = nearest(name, known)
    return what, f"did you mean '{close}'?" if close else f"known here: {', '.join(known)}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, None where none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name.lower()[:64], list(known), 1, 0.55)), None)


def _text(error: Fault, minor: str) -> tuple[str, str]:
    kind = error.schema.get("x-byok")
    if kind == "secret" and isinstance(error.value, str | int | float):
        return _reference(error)
    if kind == "url" and isinstance(error.value, str):
        return _address(error)
    if kind == "reserved":
        return "BYOK003", _reserved(error, minor)
    return "BYOK003", _plain(error)


def _reserved(error: Fault, minor: str) -> str:
    if minor != READS:
        name = shown(str(error.path[-1]))
        return f"{name} is of a later version: this byok reads {READS}; use a newer byok"
    return str(error.schema["errorMessage"])


def _reference(error: Fault) -> tuple[str, str]:
    text = error.value if isinstance(error.value, str) else ""
    form = _SCHEMES.get(text.removeprefix("ref+").partition("://")[0]) if "://" in text else None
    if form is not None:
        return "BYOK003", f"this secret reference is not well formed; write it as {form}"
    return "BYOK004", str(error.schema["errorMessage"])


def _address(error: Fault) -> tuple[str, str]:
    url = error.value
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        return "BYOK003", "this URL does not begin with https:// or http://; write it in full"
    if "@" in rest.partition("/")[0]:
        return "BYOK004", "this URL carries a user or password; remove it and name a key instead"
    if not url.isprintable() or any(sign in url for sign in " \\"):
        return "BYOK003", "this URL has a space, backslash or control character; remove it"
    if "?" in url or "#" in url:
        return "BYOK003", "this URL has a query or fragment; remove all from the ? or # on"
    return "BYOK003", str(error.schema["errorMessage"])


_BOUNDS: Final = {
    "minimum": "this number must be at least {}; correct it",
    "exclusiveMinimum": "this number must be more than {}; correct it",
    "maximum": "this number must be at most {}; correct it",
    "minItems": "this list is empty; write at least one entry, or remove the key",
    "minProperties": "nothing stands here; write at least one entry, or remove the key",
    "maxItems": "there are more than {} entries; shorten the list",
    "uniqueItems": "an entry stands here twice; keep one of the two",
    "maxLength": "this text is longer than {} characters; shorten it",
}


def _plain(error: Fault) -> str:
    keyword, schema = error.keyword, error.schema
    if keyword == "type":
        return _type(error)
    if keyword == "enum":
        return _enum(error)
    if keyword in _BOUNDS:
        return _BOUNDS[keyword].format(schema[keyword])
    if keyword == "required":
        return _missing(error)
    return str(schema.get("errorMessage", "this does not fit; see `byok schema`"))


def _missing(error: Fault) -> str:
    said = error.schema.get("errorMessage")
    names = [shown(name) for name in error.schema["required"] if name not in error.value]
    return str(said) if said else f"{' and '.join(names)} is missing; add it"


def _type(error: Fault) -> str:
    wanted = error.schema["type"]
    names = [wanted] if isinstance(wanted, str) else [name for name in wanted if name != "null"]
    what = f"this must be {' or '.join(_TYPES[name] for name in names)}, not {_kind(error.value)}"
    if "string" in names and isinstance(error.value, bool | int | float):
        return f"{what}; quote it"
    if "boolean" in names and isinstance(error.value, str):
        return f"{what}; write true or false, bare: on, off, yes and no are text"
    return f"{what}; correct it"


def _kind(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"


def _enum(error: Fault) -> str:
    known = [str(name) for name in error.schema["enum"]]
    close = nearest(error.value, known) if isinstance(error.value, str) else None
    meant = f"did you mean '{close}'?" if close else f"write one of {', '.join(known)}"
    return f"this is none of the known values; {meant}"
