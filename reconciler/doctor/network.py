"""What stands between this machine and the providers: proxies, certificates, Cursor's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reconciler.doctor.finding import Finding, of_error, problem, skipped, warning, well
from reconciler.doctor.ground import Ground, plain
from reconciler.errors import ProviderError
from reconciler.manifest import hosts
from reconciler.systems.cursor.keysource import arguments

PROXY, CERTIFICATES, OF_CURSOR = "network/proxy", "network/certificates", "network/cursor"
SPOKEN: Final = ("http", "https")
SECONDS: Final = 5.0

ELSEWHERE: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""Where other programs are told of a company's certificates; byok takes SSL_CERT_FILE."""


def proxies(env: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of an environment by scheme; the lower-case name wins, as for curl."""
    found = {}
    for scheme in ("https", "http", "all"):
        url = env.get(f"{scheme}_proxy") or env.get(f"{scheme.upper()}_PROXY")
        if url:
            found[scheme] = url
    return found


def bare(url: str) -> str:
    """Return a proxy's scheme, host and port: never its user and password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return "an address that is no URL"
    return f"{parts.scheme}://{host}{port}" if host else "an address that is no URL"


def proxy(ground: Ground) -> Iterator[Finding]:
    """Look at the proxies of the environment, and whether each listens."""
    found = proxies(ground.env)
    if not found:
        yield well(PROXY, "none in the environment")
        return
    none_for = ground.env.get("no_proxy") or ground.env.get("NO_PROXY")
    for url in dict.fromkeys(found.values()):
        names = ", ".join(f"{name.upper()}_PROXY" for name, each in found.items() if each == url)
        yield _proxy(ground, names, url, f"; NO_PROXY is {none_for}" if none_for else "")


def _proxy(ground: Ground, names: str, url: str, beside: str) -> Finding:
    told = bare(url)
    scheme = told.partition("://")[0]
    fix = f"correct {names}, or unset it"
    if scheme not in SPOKEN:
        cause = "byok speaks to http:// and https:// proxies"
        return problem(PROXY, "BYOK250", f"{names} is {told}", cause, fix)
    if ground.offline:
        return skipped(PROXY, f"--offline leaves out whether {told} listens")
    parts = urlsplit(told)
    try:
        port = parts.port or (443 if scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), SECONDS).close()
    except (OSError, UnicodeError) as error:
        kind = "it has no address" if isinstance(error, socket.gaierror) else "nothing listens"
        cause = f"{kind} there, and what it is set for cannot be reached from here"
        return problem(PROXY, "BYOK250", f"{names} is {told}", cause, fix)
    return well(PROXY, f"{names} is {told}, which listens{beside}")


def certificates(ground: Ground) -> Iterator[Finding]:
    """Load the certificates that TLS is checked against, and see who else was told of some."""
    from reconciler.systems.account.transport import trusted

    try:
        trusted()
    except ProviderError as error:
        yield of_error(CERTIFICATES, "BYOK251", error)
        return
    own = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if ground.env.get(name)]
    other = [name for name in ELSEWHERE if ground.env.get(name)]
    if other and not own:
        told = f"{', '.join(other)} names certificates, and SSL_CERT_FILE does not"
        cause = "your network may inspect TLS; byok takes the system's certificates only"
        path = ground.env.get(other[0], "")
        if plain(Path(path)):
            yield well(CERTIFICATES, f"{told}; where a certificate is refused, set it too")
        else:
            fix = f"correct or unset {other[0]}: there is no such file"
            yield warning(CERTIFICATES, "BYOK251", told, cause, fix)
        return
    yield well(CERTIFICATES, f"those of {', '.join(own)} only" if own else "the system's")


def of_cursor(ground: Ground) -> Iterator[Finding]:
    """Look at the network part of Cursor's settings.json: only the way to Cursor's servers."""
    path = ground.user_data / "User" / "settings.json"
    if not plain(path):
        yield well(OF_CURSOR, "Cursor's settings.json sets nothing")
        return
    found = arguments(path)
    url = found.get("http.proxy")
    if found.get("http.proxyStrictSSL") is False:
        yield warning(
            OF_CURSOR,
            "BYOK252",
            "Cursor does not check certificates (http.proxyStrictSSL is false)",
            "each request carries your key, and anybody on the way can read it",
            "remove http.proxyStrictSSL from settings.json; trust your network's certificate",
        )
    told = f"http.proxy is {bare(url)}" if isinstance(url, str) and url else "no proxy of its own"
    yield well(OF_CURSOR, f"{told}; from there Cursor's servers call the provider")


def here(url: str) -> bool:
    """Tell whether a URL is of this machine."""
    return hosts.loopback(hosts.host(url))


def proxied(env: Mapping[str, str], url: str) -> bool:
    """Tell whether a URL is reached through a proxy."""
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    found = proxies(env)
    scheme, host = urlsplit(url).scheme, hosts.host(url)
    if here(url) or not (scheme in found or "all" in found):
        return False
    none_for = env.get("no_proxy") or env.get("NO_PROXY") or ""
    return not proxy_bypass_environment(host, {"no": none_for})


__all__ = ["bare", "certificates", "of_cursor", "proxied", "proxies", "proxy"]
