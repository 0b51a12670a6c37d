"""Where a key may go: the origins built in for each kind of key, and what needs approval; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from reconciler.model import Address, Attrs, Change, Resources, Sealed
from reconciler.spec import Manifest, claimant

BUILT_IN: dict[str, tuple[str, ...]] = {
    "azure": (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
    "together": ("api.together.xyz", "api.together.ai"),
    "openrouter": ("openrouter.ai",),
    "groq": ("api.groq.com",),
    "fireworks": ("api.fireworks.ai",),
    "deepseek": ("api.deepseek.com",),
    "mistral": ("api.mistral.ai",),
    "xai": ("api.x.ai",),
}
"""Hosts that belong to the vendor of a kind; a leading dot stands for any one resource below.

Read from the vendors' API references, November 2026. Ollama, LM Studio, vLLM, LiteLLM and custom
endpoints have no vendor's host.
"""

_AMBIGUOUS = re.compile(r"[\\\s\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Pairing:
    """A key that is about to meet an origin nobody approved yet."""

    address: Address
    ref: str
    origin: str
    pointer: str


def origin(url: str) -> str:
    r"""Return scheme, host and port of a URL, lower case, default ports left out.

    Raises ValueError when the URL has no host, an impossible port, or anything that two parsers
    take for different hosts: Python reads ``evil.example\@good.example`` as good.example, the
    URL Standard (WHATWG), which Cursor follows, as evil.example.
    """
    parts = urlsplit(url)
    if _AMBIGUOUS.search(url) or "@" in parts.netloc:
        raise ValueError("a URL of one meaning has no backslash, user, blank or control character")
    if not parts.scheme or not parts.hostname:
        raise ValueError("not an absolute URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"https": 443, "http": 80}.get(parts.scheme.lower())
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme.lower()}://{host.lower()}{port}"


def built_in(kind: str, url: str) -> bool:
    """Tell whether a URL belongs to the vendor of this kind of key: over https, at its own port.

    Raises ValueError as `origin` does.
    """
    scheme, _, host = origin(url).partition("://")
    plain = re.fullmatch(r"[a-z0-9.-]+", host)  # %2f in a host means a slash to some parsers
    return (
        scheme == "https"
        and plain is not None
        and any(
            host.endswith(known) if known.startswith(".") else host == known
            for known in BUILT_IN.get(kind, ())
        )
    )


def unapproved(
    manifest: Manifest,
    desired: Resources,
    changes: Iterable[Change],
    approved: frozenset[tuple[str, str]],
) -> Iterator[Pairing]:
    """Yield each pair of reference and origin that a change would join without approval.

    Where the manifest leaves the key to the person, the resource's address stands for it.
    """
    touched = {change.address for change in changes}
    for address, kind, name, pointer in _slots(manifest):
        attrs = desired.get(address, {})
        url, key = attrs.get(name), _reference(address, attrs)
        if address not in touched or not isinstance(url, str) or key is None:
            continue
        if not built_in(kind, url) and (key, origin(url)) not in approved:
            yield Pairing(address, key, origin(url), pointer)


def _slots(manifest: Manifest) -> Iterator[tuple[Address, str, str, str]]:
    endpoint = claimant(manifest)
    if endpoint is not None and endpoint.key:
        pointer = f"/endpoints/{endpoint.name}/base_url"
        yield Address("cursor", "provider", "openai"), endpoint.type, "base_url", pointer
    if "azure" in manifest.providers:
        pointer = "/providers/azure/endpoint"
        yield Address("cursor", "provider", "azure"), "azure", "endpoint", pointer


def _reference(address: Address, attrs: Attrs) -> str | None:
    if "key" not in attrs:
        return str(address)
    key = attrs["key"]
    return key.ref if isinstance(key, Sealed) else None
