"""Knock at one address without any key, and tell what stands in the way."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

SECONDS: Final = 8.0
PROXY_AUTH: Final = 407

_CERTIFICATE: Final = {
    9: "it is not valid yet: is this machine's clock right?",
    10: "it has expired: if it has not, this machine's clock is wrong",
    18: "nobody vouches for it but itself",
    19: "nobody that this machine trusts vouches for it",
    20: "nobody that this machine trusts vouches for it",
    62: "it is of another host",
}
"""OpenSSL's verify codes (x509_vfy.h, 3.0) in words."""

_INSPECTED: Final = (
    "if your network inspects TLS, point SSL_CERT_FILE to its certificate; else check the address"
)


@dataclass(frozen=True, slots=True)
class Reached:
    """How an address answered; an empty ``code`` says that it did.

    ``seconds`` is how long its first answer took, ``ahead`` how far this machine's clock is ahead
    of the server's, ``addresses`` what its name stands for here.
    """

    code: str = ""
    what: str = ""
    cause: str = ""
    fix: str = ""
    seconds: float = 0.0
    ahead: timedelta | None = None
    addresses: tuple[str, ...] = ()
    proxied: bool = False

    @classmethod
    def silent(cls) -> Reached:
        """Return what is known of an address that said nothing before the deadline."""
        cause = "a firewall may swallow what is sent there, or a name server does not answer"
        fix = "see whether this machine is on line, and whether a proxy is needed (HTTPS_PROXY)"
        return cls("BYOK262", "does not answer in time", cause, fix)


def knock(url: str, *, proxied: bool, direct: bool) -> Reached:
    """Send one GET without a key, as byok's own requests go, and read no more than its headers.

    Any answer in HTTP will do, also 401 and 404. ``direct`` leaves proxies out.
    """
    import httpx

    from reconciler.errors import ProviderError
    from reconciler.systems.account.transport import open_http, trusted

    found = () if proxied else _addresses(url)
    begun = time.monotonic()
    try:
        with (
            open_http(trusted(), (), direct=direct) as http,
            http.stream("GET", url, timeout=SECONDS) as answer,
        ):
            seconds = time.monotonic() - begun
            if answer.status_code == PROXY_AUTH:
                return _proxy("it asks for a user and a password")
            ahead = _ahead(answer.headers.get("date", ""))
            return Reached(seconds=seconds, ahead=ahead, addresses=found, proxied=proxied)
    except ProviderError as error:
        return Reached("BYOK250", error.what, "", error.way_out)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        return unreached(error, proxied=proxied)


def _addresses(url: str) -> tuple[str, ...]:
    """Return what a host's name stands for here; the connection says it if that is nothing."""
    try:
        rows = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(row[4][0]) for row in rows))


def _ahead(text: str) -> timedelta | None:
    """Return how far this machine's clock is ahead of a Date header (RFC 9110, 6.6.1)."""
    try:
        told = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return datetime.now(UTC) - told if told.tzinfo else None


def unreached(error: Exception, *, proxied: bool) -> Reached:
    """Tell DNS, refusal, silence, certificates and wrong protocols apart by what lies below."""
    import httpx

    if isinstance(error, httpx.ProxyError):
        return _proxy("it refuses to go on to this host")
    for each in _chain(error):
        known = _known(each, proxied=proxied)
        if known is not None:
            return known
    if isinstance(error, httpx.TimeoutException):
        return Reached.silent()
    if isinstance(error, httpx.ConnectError):
        cause = "there is no way there from this network"
        return Reached("BYOK262", "cannot be reached", cause, Reached.silent().fix)
    cause = "it closes the line, or speaks something else than HTTP"
    return Reached("BYOK264", "gives no answer in HTTP", cause, "check scheme, port and path")


def _known(error: BaseException, *, proxied: bool) -> Reached | None:
    match error:
        case socket.gaierror():
            return _proxy("its name has no address") if proxied else _nameless(error)
        case ssl.SSLCertVerificationError():
            return _mistrusted(error)
        case ssl.SSLError():
            cause = "a firewall or a proxy may be in the way, or the port is not of https"
            fix = "check scheme and port of the address, and whether a proxy answers there"
            return Reached("BYOK264", "does not speak TLS as it should", cause, fix)
        case OSError() if error.errno == errno.ECONNREFUSED:
            return _proxy("nothing listens there") if proxied else _refused()
        case _:
            return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _proxy(cause: str) -> Reached:
    fix = "correct HTTPS_PROXY, or name the host in NO_PROXY if it needs no proxy"
    return Reached("BYOK250", "cannot be reached through the proxy", cause, fix, proxied=True)


def _nameless(error: socket.gaierror) -> Reached:
    if error.errno == socket.EAI_AGAIN:
        cause = "no name server answers this machine"
        return Reached("BYOK260", "has no address", cause, "see whether this machine is on line")
    cause = "the name servers know no such host"
    fix = "correct the address; if it is your company's, connect to its network (VPN)"
    return Reached("BYOK260", "has no address", cause, fix)


def _refused() -> Reached:
    cause = "the machine is there, and nothing listens at this port"
    fix = "start the server, or correct the port"
    return Reached("BYOK261", "refuses the connection", cause, fix)


def _mistrusted(error: ssl.SSLCertVerificationError) -> Reached:
    cause = _CERTIFICATE.get(error.verify_code, "it does not check out")
    return Reached("BYOK263", "has a certificate that cannot be trusted", cause, _INSPECTED)
