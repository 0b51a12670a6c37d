"""What a URL's host tells without asking anyone: loopback, private, or in the open."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

_PRIVATE_SUFFIXES: Final = (
    ".localhost", ".local", ".localdomain", ".internal", ".intranet", ".private", ".corp",
    ".home", ".lan", ".home.arpa", ".test", ".invalid",
)  # fmt: skip
"""Names that public DNS does not answer: RFC 6761, 6762, 8375, ICANN's .internal, and habit."""


def host(url: str) -> str:
    """Return a URL's host, lower case, without port, brackets and final dot.

    Empty for a URL that leads nowhere: no host, brackets that hold no address, no such port.
    """
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip(".") if parts.port != 0 else ""
    except ValueError:
        return ""


def loopback(name: str) -> bool:
    """Tell whether a host is this machine itself: localhost, 127.0.0.0/8, ::1."""
    address = _address(name)
    if address is None:
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback


def private(name: str) -> bool:
    """Tell whether nobody outside can reach a host: an address or a name that is not public."""
    address = _address(name)
    if address is not None:
        return not address.is_global
    return "." not in name or name.endswith(_PRIVATE_SUFFIXES)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return _short(name)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _short(name: str) -> ipaddress.IPv4Address | None:
    """Read the old short forms of an IPv4 address, as 127.1 or 0x7f000001, as clients do."""
    parts = name.split(".")
    try:
        numbers = [_number(part) for part in parts]
        if len(numbers) > 4 or any(number > 255 for number in numbers[:-1]):  # noqa: PLR2004 - octets
            return None
        head = sum(number << 8 * (3 - at) for at, number in enumerate(numbers[:-1]))
        return ipaddress.IPv4Address(head + numbers[-1])
    except ValueError:
        return None


def _number(part: str) -> int:
    if not part.isascii() or not part[:1].isdigit():
        raise ValueError("not a number")
    if part[:2] in ("0x", "0X"):
        return int(part, 16)
    return int(part, 8 if part.startswith("0") and len(part) > 1 else 10)
