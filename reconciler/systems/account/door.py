"""Where clients are made and closed: in a run that only reads, none of them can write."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reconciler.errors import ByokError, ProviderProblem as Problem
from reconciler.origins import origin
from reconciler.systems.account.answers import refusal
from reconciler.systems.account.client import Client, Dialect, Sign

if TYPE_CHECKING:
    import httpx


class Door:
    """Makes the clients of one run, and closes them. With ``write=False`` none can write.

    That is held twice: by `Client.send`, and by a hook on the connection that sees each request
    as it goes out.
    """

    def __init__(self, *, write: bool) -> None:
        self.write = write
        self._guard = threading.Lock()
        self._open: list[httpx.Client] = []
        self._tls: Any = None

    def connect(
        self, base: str, dialect: Dialect, sign: Sign, *, also: Iterable[str] = ()
    ) -> Client:
        """Return a client for a base URL; ``also`` names paths a run that only reads may POST to.

        The one use of ``also`` is a probe the user asked for: one smallest completion.
        Raises ProviderError: network refused for plain http to another machine, wrong endpoint
        for a base that is no plain URL.
        """
        if not _plain(base):
            raise refusal(dialect.who, Problem.WRONG_ENDPOINT, "has an address that is no URL")
        near = _loopback(base)
        if not near and urlsplit(base).scheme.lower() != "https":
            what = "is declared with plain http: a key sent there could be read on the way"
            raise refusal(dialect.who, Problem.NETWORK_REFUSED, what, "declare it with https://")
        from reconciler.systems.account.transport import open_http, trusted

        probed = replace(dialect, reading=dialect.reading | frozenset(also))

        def only_reads(request: httpx.Request) -> None:
            named = request.url.params.get_list("Action")
            targets = [request.headers.get("x-amz-target", ""), *named]
            if not all(probed.reads(request.method, _path(request), each) for each in targets):
                raise ByokError(dialect.who, "this run only reads, and a write was about to go out")

        with self._guard:
            if self._tls is None:
                self._tls = trusted()
            http = open_http(self._tls, () if self.write else (only_reads,), direct=near)
            self._open.append(http)
        return Client(http, base, probed, sign, write=self.write)

    def close(self) -> None:
        """Close every connection."""
        with self._guard:
            for http in self._open:
                http.close()
            self._open.clear()


def _path(request: httpx.Request) -> str:
    """Return a request's path; one with a hidden slash stays encoded, and matches nothing."""
    raw = request.url.raw_path.partition(b"?")[0].decode("ascii")
    return raw if "%2f" in raw.lower() else request.url.path


def _plain(base: str) -> bool:
    try:
        scheme, _, _ = origin(base).partition("://")
    except ValueError:
        return False
    return scheme in ("http", "https") and "?" not in base and "#" not in base


def _loopback(base: str) -> bool:
    import ipaddress

    host = (urlsplit(base).hostname or "").lower()
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
