"""The section of the documentation that is about one code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.doctor.codes import CODES as OWN
from reconciler.errors import UsageError
from reconciler.manifest.codes import CODES as LINT

_PACKAGE: Final = Path(__file__).parent.parent
_INSTALLED, _CHECKOUT = _PACKAGE / "_docs", _PACKAGE.parent / "docs"
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Section:
    """What is said of one code: its title, and the text in markdown."""

    code: str
    title: str
    text: str


def explain(given: str) -> Section:
    """Return the section of a code: ``BYOK104``, ``byok104`` or ``104``.

    Raises UsageError for one that does not exist, with the nearest that do.
    """
    codes = {**LINT, **OWN}
    number = given.strip().upper().removeprefix("BYOK")
    code = f"BYOK{number}"
    if code not in codes:
        raise UsageError("--explain", f"there is no code {given[:20]!r}", _nearest(code, codes))
    page = "doctor.md" if code in OWN else "lint.md"
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    text = (folder / page).read_text(encoding="utf-8")
    match = re.search(rf"^### {code}: [^\n]*\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    found = match[1].strip() if match else ""
    return Section(code, codes[code], _LINK.sub(r"\1", found))


def _nearest(code: str, codes: dict[str, str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(code, codes, 3, 0.7)
    return f"did you mean {', '.join(near)}?" if near else "see docs/lint.md and docs/doctor.md"
