"""How bytes get to a provider: deadlines, retries, proxies, and what a broken line means."""

from __future__ import annotations

import logging
import os
import random
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account.answers import Answer, refusal

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

CONNECT, READ = 5.0, 20.0
"""Seconds to get through to a provider, and to wait for its next byte."""

EXCHANGE = 40.0
"""Seconds for one whole answer, however slowly it drips."""

PATIENCE = 20.0
"""Seconds that retries of one request may take; a longer ``Retry-After`` is not waited for."""

ATTEMPTS = 4
BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of one answer after decompression: the largest model lists have about one million."""

NO_HOST = "cannot be found: no name server knows its host"
AGAIN = (Problem.RATE_LIMITED, Problem.DOWN)
LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


def trusted() -> ssl.SSLContext:
    """Return what certificates are checked against.

    These are httpx's and the operating system's, which has those of a company's own network; or
    those of SSL_CERT_FILE or SSL_CERT_DIR alone.
    Raises ProviderError (network refused) where these name no certificates.
    """
    import httpx

    try:
        found = httpx.create_ssl_context()
    except OSError:
        lost = refusal(
            "the network",
            Problem.NETWORK_REFUSED,
            "cannot be used: SSL_CERT_FILE or SSL_CERT_DIR names no readable certificates",
            "point it to a file of certificates, or unset it",
        )
    else:
        if not any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")):
            found.load_default_certs()
        return found
    raise lost


def open_http(
    tls: ssl.SSLContext, hooks: Iterable[Callable[[httpx.Request], None]], *, direct: bool = False
) -> httpx.Client:
    """Open an HTTP client: certificates checked, redirects not followed.

    Loopback is reached without a proxy; ``direct`` asks that of every host.
    Raises ProviderError (network refused) where the environment names a proxy of an unknown kind.
    """
    import httpx

    for name in ("httpx", "httpcore"):  # both would log URLs and headers
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return httpx.Client(
            verify=tls,
            timeout=httpx.Timeout(READ, connect=CONNECT),
            follow_redirects=False,
            trust_env=not direct,
            mounts=dict.fromkeys(LOOPBACK),
            event_hooks={"request": list(hooks)},
            headers={"user-agent": "byok", "accept-encoding": "gzip"},
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        what = "cannot be reached: the environment names a proxy of a kind byok does not speak"
        way_out = "set HTTPS_PROXY to an http:// proxy, or unset it and ALL_PROXY"
        lost = refusal("the network", Problem.NETWORK_REFUSED, what, way_out)
    raise lost  # here, because the proxy's URL may hold a password


class _Unpack(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


class _Plain:
    """Unpacks what is not packed."""

    eof = True

    def decompress(self, data: bytes, _max_length: int = 0, /) -> bytes:
        return data


def drained(who: str, response: httpx.Response) -> bytes | ProviderError:
    """Read an answer to its end and close it, within limits of size, unpacked too, and of time.

    Returns the error, which is raised where no frame holds the key: unreadable beyond a limit,
    down where a packed answer breaks off.
    """
    deadline, chunks, size = time.monotonic() + EXCHANGE, list[bytes](), 0
    unpack = _unpacker(response.headers.get("content-encoding", ""))
    try:
        if unpack is None:
            return refusal(who, Problem.UNREADABLE)
        for packed in response.iter_raw():
            chunk = unpack.decompress(packed, BODY_LIMIT - size + 1)
            size += len(chunk)
            if size > BODY_LIMIT or time.monotonic() > deadline:
                what = "does not come to an end with its answer"
                return refusal(who, Problem.UNREADABLE, what)
            chunks.append(chunk)
    except zlib.error:
        return refusal(who, Problem.UNREADABLE)
    finally:
        response.close()
    if unpack.eof or not chunks:
        return b"".join(chunks)
    return refusal(who, Problem.DOWN, "broke off in the middle of its answer")


def _unpacker(coding: str) -> _Unpack | None:
    """Return what unpacks an answer: we ask for gzip, and take nothing that packs twice."""
    match coding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header
        case _:
            return None


def patiently(once: Callable[[], Answer], problem: Callable[[Answer], Problem | None]) -> Answer:
    """Ask again while the provider is busy or down, with jitter; return or raise the last."""
    from tenacity import (
        Retrying,
        retry_if_exception,
        retry_if_result,
        stop_after_attempt,
        stop_before_delay,
    )

    retrying = Retrying(
        retry=retry_if_result(lambda answer: problem(answer) in AGAIN)
        | retry_if_exception(_may_pass),
        wait=_pause,
        stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(PATIENCE),
        retry_error_callback=_last,
    )
    found: Answer = retrying(once)
    return found


def _last(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome is not None else None


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.kind is Problem.DOWN


def _pause(state: RetryCallState) -> float:
    outcome = state.outcome
    told = None
    if outcome is not None and not outcome.failed:
        told = told_to_wait(outcome.result())
    if told is not None:  # everybody is told the same: part them a little
        return told + random.uniform(0.05, 0.25)  # noqa: S311  jitter, no secret
    return random.uniform(0.1, 0.4 * 2**state.attempt_number)  # noqa: S311


def told_to_wait(answer: Answer) -> float | None:
    """Return the seconds an answer asks to wait: the longest of all that it says, or None.

    ``retry-after-ms`` and ``x-ms-ratelimit-*-retry-after`` are Azure's (November 2026).
    """
    waits = [_seconds(name, value) for name, value in answer.headers.items()]
    return max((wait for wait in waits if wait is not None), default=None)


def _seconds(name: str, value: str) -> float | None:
    if name == "retry-after-ms":
        return float(value) / 1000 if value.isdecimal() else None
    if name != "retry-after" and not (name.startswith("x-ms-") and name.endswith("retry-after")):
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def unheard(who: str, error: Exception) -> ProviderError:
    """Say what a broken line means; the library's own text, which has URLs, is not repeated."""
    import httpx

    if isinstance(error, httpx.ConnectError):
        return _unconnected(who, error)
    match error:
        case httpx.ProxyError():
            what = "cannot be reached: the proxy of this machine refuses"
            return refusal(who, Problem.NETWORK_REFUSED, what, "check HTTPS_PROXY and NO_PROXY")
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return refusal(who, Problem.WRONG_ENDPOINT, "has an address that is no URL")
        case httpx.TimeoutException():
            return refusal(who, Problem.DOWN, "does not answer in time")
        case _:
            return refusal(who, Problem.DOWN, "broke off in the middle of its answer")


def _unconnected(who: str, error: BaseException) -> ProviderError:
    match _of_tls(error):
        case None if _nameless(error):
            way_out = _by_proxy() or "check the address; are you on line?"
            return refusal(who, Problem.DOWN, NO_HOST, way_out)
        case None:
            return refusal(who, Problem.DOWN, "cannot be reached from here", _by_proxy())
        case ssl.SSLCertVerificationError():
            what = "cannot be trusted: its certificate does not check out"
            way_out = (
                "if your network inspects TLS, point SSL_CERT_FILE to its certificate;"
                " see that this machine's clock is right"
            )
            return refusal(who, Problem.NETWORK_REFUSED, what, way_out)
        case _:
            what = "cannot be reached: what answers there does not speak TLS as it should"
            way_out = "see whether a firewall or a proxy is in the way, and check the base URL"
            return refusal(who, Problem.NETWORK_REFUSED, what, way_out)


def _by_proxy() -> str:
    """Return the way out where the environment names a proxy, which may be what is away."""
    from urllib.request import getproxies

    if getproxies().keys().isdisjoint(("http", "https", "all")):
        return ""
    return "see that the proxy in HTTPS_PROXY answers, and whether this machine is on line"


def _nameless(error: BaseException | None) -> bool:
    """Tell whether name servers know no such host, as opposed to being away themselves."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            return error.errno != socket.EAI_AGAIN
        error = error.__cause__ or error.__context__
    return False


def _of_tls(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None
