"""A document against the schema: a compiled validator first, words only for what fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from reconciler import schemas
from reconciler.errors import ManifestError
from reconciler.manifest.document import Document
from reconciler.manifest.syntax import fault
from reconciler.manifest.wording import READS, read_error, word
from reconciler.model import Diagnostic

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

MAX_ERRORS: Final = 1_000
SECTIONS: Final = ("providers", "endpoints", "models", "budgets")

_VERSION: Final = re.compile(r"1(\.(0|[1-9][0-9]{0,5}))?")


def check(document: Document, *, part: bool = False) -> list[Diagnostic]:
    """Return all that the schema has against a document, [] when it fits.

    Of a ``part``, one layer of several, nothing is asked to be there. Another major version,
    BYOK006, stands alone: our schema says nothing about such a file.
    Raises ManifestError after a thousand errors, since what was not looked at may be broken too.
    """
    minor = version(document.data)
    if minor is None:
        return [_foreign(document)]
    compiled = _compiled(part)
    if compiled is not None and compiled.is_valid(document.data):
        return []
    data = document.data if compiled is None else _failing(document.data, compiled)
    read = (read_error(error) for error in _python(part).iter_errors(data))
    errors = [*islice((error for error in read if error.told(document.gaps)), MAX_ERRORS)]
    found = list(word(errors, document, minor))
    if len(errors) == MAX_ERRORS:
        raise ManifestError(document.file, [*document.diagnostics, *found])
    known = errors or document.gaps or compiled is None
    return found if known else [_unexplained(document)]


def version(data: Any) -> str | None:
    """Return the version a document claims as MAJOR.MINOR, None where we do not read it.

    A document without one counts as ours: the schema asks for it.
    """
    claimed = data.get("version", 1) if isinstance(data, dict) else 1
    if isinstance(claimed, str):
        fits = _VERSION.fullmatch(claimed)
        return (claimed if "." in claimed else READS) if fits else None
    return READS if claimed == 1 and not isinstance(claimed, bool) else None


def _foreign(document: Document) -> Diagnostic:
    what = f"this byok reads version {READS} of the manifest, and here stands another"
    way_out = "write `version: 1`, or use the byok that the manifest was written for"
    claimed = document.data["version"]
    if isinstance(claimed, float) and int(claimed) == 1:
        what, way_out = "a version with a minor must be text", 'quote it: "1.3"'
    return fault("BYOK006", what, way_out, document.where("/version"), "/version")


def _unexplained(document: Document) -> Diagnostic:
    what, way_out = (
        "the manifest does not fit its schema",
        "check it with `byok schema` in an editor",
    )
    return fault("BYOK003", what, way_out, document.where(""))


@cache
def _compiled(part: bool = False) -> Any:  # noqa: FBT001, FBT002 - a key of the cache
    """Return the compiled validator, None where jsonschema-rs has no wheel."""
    try:
        from jsonschema_rs import validator_for
    except ImportError:
        return None
    return validator_for(_schema(part))


def _schema(part: bool) -> dict[str, Any]:  # noqa: FBT001 - as above
    return schemas.relaxed(schemas.bundle()) if part else schemas.bundle()


def _failing(data: Any, compiled: Any) -> Any:
    """Return a document without the entries that fit: words cost a hundred times the check."""
    if not isinstance(data, dict):
        return data
    paths = {tuple(error.instance_path[:2]) for error in compiled.iter_errors(data)}
    return {name: _kept(name, value, paths) for name, value in data.items()}


def _kept(name: str, section: Any, paths: set[tuple[Any, ...]]) -> Any:
    if name not in SECTIONS or not isinstance(section, dict) or (name,) in paths:
        return section
    # jsonschema-rs gives a name of digits as a number, its leading zeros lost: keep all of those
    return {
        entry: value
        for entry, value in section.items()
        if (name, entry) in paths or entry.lstrip("+").isdigit()
    }


@cache
def _python(part: bool) -> Validator:  # noqa: FBT001 - as above
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    make = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    validator: Validator = make(_schema(part))
    return validator


def _pattern(_: Any, pattern: str, text: object, __: Any) -> Iterator[ValidationError]:
    """Check a pattern as ECMA-262 does: Python's own $ also fits before a final line break."""
    from jsonschema.exceptions import ValidationError

    exact = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(text, str) and not re.search(exact, text):
        yield ValidationError("does not match")
