"""What providers' keys look like: data, and two questions about it; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of key: whose it is, its pattern, and whether the pattern alone gives it away.

    A shape that is not ``telling`` (32 hexadecimal digits) is also that of harmless things, and
    counts only where its provider is named.
    """

    provider: str
    pattern: re.Pattern[str]
    telling: bool = True


def _shape(provider: str, pattern: str, *, telling: bool = True) -> Shape:
    return Shape(provider, re.compile(pattern), telling)


SHAPES: Final = (
    # gitleaks and trufflehog rules (2026), Microsoft's published patterns for the Azure ones.
    _shape("anthropic", r"sk-ant-[A-Za-z0-9_-]{20,}"),
    _shape("openrouter", r"sk-or-v1-[0-9a-f]{64}"),
    _shape("openai", r"sk-(?:(?:proj|svcacct|service|admin)-)?[\w-]{20,}T3BlbkFJ[\w-]{20,}"),
    _shape("openai", r"sk-(?:proj|svcacct|service|admin)-[\w-]{40,}"),
    _shape("google", r"AIza[\w-]{35}"),
    _shape("google", r"AQ\.[\w-]{30,}"),  # authorization keys; their length is not published
    _shape("bedrock", r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    _shape("bedrock", r"ABSK[A-Za-z0-9+/]{109,269}={0,2}"),
    _shape("bedrock", r"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/=_-]*"),
    _shape(
        "azure",
        r"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9][A-L][A-Za-z0-9]{12}AAA[ABE]ACOG[A-Za-z0-9]{4}",
    ),
    _shape("together", r"tgp_v1_[\w-]{43}"),
    _shape("litellm", r"sk-(?!ant-|or-v1-)(?=[\w-]*[0-9])[\w-]{20,}"),
    _shape("azure", r"[0-9a-fA-F]{32}", telling=False),
    _shape("bedrock", r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/]{40}", telling=False),
)
"""Key shapes; of several that match, the first says whose it is."""

BEGINNINGS: Final = {
    "openai": ("sk-",),
    "anthropic": ("sk-ant-",),
    "google": ("AIza", "AQ."),
    "openrouter": ("sk-or-",),
}
"""How every key of a provider begins, where all of them are known to begin so."""

_INSIDE: Final = tuple(
    (shape.provider, re.compile(rf"(?<![A-Za-z0-9_+/.-]){shape.pattern.pattern}(?![A-Za-z0-9_-])"))
    for shape in SHAPES
    if shape.telling
)


def looks_like(text: str, context: str | None = None) -> str | None:
    """Return whose key stands in a text, or None; a key inside a longer text counts too.

    ``context`` names the provider whose setting it is; only then do Azure's 32 hexadecimal digits
    and AWS's 40 characters count, and only as the whole text.
    """
    for provider, pattern in _INSIDE:
        if pattern.search(text):
            return provider
    whole = text.strip()
    untelling = (each for each in SHAPES if not each.telling and each.provider == context)
    return next((each.provider for each in untelling if each.pattern.fullmatch(whole)), None)


def fits(provider: str, text: str) -> bool:
    """Tell whether a value may be a key of this provider; True where nobody can tell."""
    if any(each.provider == provider and each.pattern.fullmatch(text) for each in SHAPES):
        return True
    if not text.startswith(BEGINNINGS.get(provider, ("",))):
        return False
    owner = looks_like(text)
    return owner in (None, provider, "litellm") or provider not in _PROVIDERS


_PROVIDERS: Final = frozenset({"openai", "anthropic", "google", "azure", "bedrock", "openrouter"})
