"""Each address the manifest needs: does it answer from here, could Cursor's servers reach it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from reconciler.doctor.finding import Finding, State, problem, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing
from reconciler.doctor.network import here, proxied
from reconciler.doctor.probe import Reached, knock
from reconciler.manifest import hosts
from reconciler.origins import built_in, origin
from reconciler.session import Session
from reconciler.spec import Endpoint, Manifest, Provider
from reconciler.systems.anthropic.wire import BASE as ANTHROPIC
from reconciler.systems.bedrock.wire import place
from reconciler.systems.google.key import BASE as GOOGLE
from reconciler.systems.openai.wire import BASE as OPENAI

REACH, FROM_CURSOR, CLOCK = "network/endpoints", "network/from Cursor", "network/clock"
DEADLINE: Final = 15.0
SLOW: Final = 3.0
"""Seconds for the first answer of a server from which people notice."""

LATE, REFUSED = timedelta(minutes=2), timedelta(minutes=5)
"""How wrong a clock may be: short-lived tokens; AWS's signatures (Signature Version 4)."""

OWN: Final = {"openai": OPENAI, "anthropic": ANTHROPIC, "google": GOOGLE}


@dataclass(frozen=True, slots=True)
class Target:
    """One address: whose it is, its place in the manifest, and whether byok may knock there.

    ``used``: Cursor's servers are to call it.
    """

    name: str
    url: str
    pointer: str
    refs: tuple[str, ...]
    own: bool
    used: bool


def targets(manifest: Manifest) -> Iterator[Target]:
    """Yield the address of each account of the manifest."""
    for provider in manifest.providers.values():
        if not provider.absent and (found := _base(provider)):
            url, field, own = found
            refs = tuple(ref for each in provider.secrets.values() for ref in each)
            used = provider.enabled and field == "endpoint"
            place_ = f"/providers/{provider.name}/{field}".rstrip("/")
            yield Target(provider.name, url, place_, refs, own, used)
    for each in manifest.endpoints.values():
        yield _of_endpoint(each)


def _of_endpoint(endpoint: Endpoint) -> Target:
    safe = endpoint.base_url.startswith("https://") or here(endpoint.base_url)
    own = built_in(endpoint.type, endpoint.base_url) or (not endpoint.key and safe)
    return Target(
        endpoint.name,
        endpoint.base_url,
        f"/endpoints/{endpoint.name}/base_url",
        endpoint.key,
        own,
        endpoint.active,
    )


def _base(provider: Provider) -> tuple[str, str, bool] | None:
    """Return a provider's URL, the field that names it, and whether it is the provider's own."""
    if provider.name == "azure":
        url = provider.settings.get("endpoint", "")
        return (url, "endpoint", built_in("azure", url)) if url else None
    given = str(provider.account.get("api_base", ""))
    if given:
        return given, "api_base", False
    if provider.name in OWN:
        return OWN[provider.name], "", True
    region = provider.settings.get("region", "")
    return (place("bedrock", region)[0], "", True) if region else None


def approved(ground: Ground, target: Target) -> bool:
    """Tell whether byok may knock at an address: its own, or one somebody approved for its key."""
    if target.own or origin(target.url) in ground.options.allow_origins:
        return True
    session = ground.session
    return isinstance(session, Session) and any(
        session.approvals.allows(ref.removeprefix("ref+"), target.url) for ref in target.refs
    )


def knocked(ground: Ground) -> dict[str, Reached]:
    """Knock at every address that may be knocked at, at once and once a run; by URL."""
    return ground.once("knocks", lambda: _knocked(ground))


def _knocked(ground: Ground) -> dict[str, Reached]:
    manifest = ground.manifest
    every = [] if isinstance(manifest, Missing) or ground.offline else list(targets(manifest))
    return _at_once(list(dict.fromkeys(t.url for t in every if approved(ground, t))), ground)


def _at_once(urls: list[str], ground: Ground) -> dict[str, Reached]:
    """Knock in threads that nobody waits for beyond the deadline: a name server may hang."""
    answers: queue.SimpleQueue[tuple[str, Reached]] = queue.SimpleQueue()

    def work(url: str) -> None:
        answers.put((url, knock(url, proxied=proxied(ground.env, url), direct=here(url))))

    for url in urls:
        threading.Thread(target=work, args=(url,), daemon=True).start()
    found: dict[str, Reached] = {}
    until = time.monotonic() + DEADLINE
    while len(found) < len(urls):
        try:
            url, reached = answers.get(timeout=max(until - time.monotonic(), 0.01))
        except queue.Empty:
            break
        found[url] = reached
    return {url: found.get(url) or Reached.silent() for url in urls}


def from_here(ground: Ground) -> Iterator[Finding]:
    """Tell of each address what stands in the way: name, connection, TLS, HTTP, or nothing."""
    manifest = ground.manifest
    if isinstance(manifest, Missing):
        yield skipped(REACH, manifest.reason)
        return
    every = list(targets(manifest))
    for target in every:
        check = f"network/{target.name}"
        if ground.offline:
            yield skipped(check, "--offline leaves the network out")
        elif not approved(ground, target):
            site = origin(target.url)
            told = f"nobody approved {site} on this machine yet"
            yield skipped(check, f"{told} (--allow-origin {site}, or byok apply)")
        else:
            yield judged(check, target, knocked(ground)[target.url], manifest)
    if not every:
        yield skipped(REACH, "the manifest names no account")


def judged(check: str, target: Target, reached: Reached, manifest: Manifest) -> Finding:
    """Turn how an address answered into a finding."""
    host = hosts.host(target.url)
    where = str(manifest.where(target.pointer))
    if reached.code:
        fix = reached.fix
        if reached.code in ("BYOK260", "BYOK261") and not target.own:
            fix = f"{fix}; the address is at {where}"
        return problem(check, reached.code, f"{host}: {reached.what}", reached.cause, fix)
    if reached.seconds > SLOW:
        what = f"{host} took {reached.seconds:.1f} s for its first answer"
        cause = "a slow line or proxy, or a busy server; a reached rate limit is BYOK135"
        fix = "try from another network; see the provider's status page and your rate limits"
        return warning(check, "BYOK265", what, cause, fix)
    way = "through the proxy" if reached.proxied else "directly"
    return well(check, f"{origin(target.url)} answers, {way}")


def from_cursor(ground: Ground) -> Iterator[Finding]:
    """Tell which addresses Cursor's servers cannot call: they do the calling, not this machine."""
    manifest = ground.manifest
    if isinstance(manifest, Missing):
        yield skipped(FROM_CURSOR, manifest.reason)
        return
    used = [target for target in targets(manifest) if target.used]
    for target in used:
        yield _outside(ground, manifest, target)
    if not used:
        yield well(FROM_CURSOR, "only the providers' own addresses, which it knows")


def _outside(ground: Ground, manifest: Manifest, target: Target) -> Finding:
    host = hosts.host(target.url)
    reached = knocked(ground).get(target.url)
    inside = [each for each in reached.addresses if hosts.private(each)] if reached else []
    if not hosts.private(host) and not inside:
        told = "probably: its address is public; nobody can tell from here"
        return well(FROM_CURSOR, f"{host}: {told}")
    if "BYOK103" in manifest.policy.ignore:
        return well(FROM_CURSOR, f"{host}: no, as policy.ignore knows (BYOK103)")
    cause = f"{host} is {inside[0]} here, a private address" if inside else ""
    return Finding(
        FROM_CURSOR,
        State.WARNING,
        f"Cursor's servers cannot reach {host}",
        cause or "they make the call, not this machine, and it is no public address",
        "give it a public https address, by a gateway or a tunnel",
        "BYOK103",
        str(manifest.where(target.pointer)),
    )


def clock(ground: Ground) -> Iterator[Finding]:
    """Compare this machine's clock with the Date of answers from other machines."""
    if ground.offline:
        yield skipped(CLOCK, "--offline leaves the network out")
        return
    found = [
        reached.ahead
        for url, reached in knocked(ground).items()
        if reached.ahead is not None and not here(url)
    ]
    if not found:
        yield skipped(CLOCK, "no other machine answered with its time")
        return
    yield off(min(found, key=abs))


def off(ahead: timedelta) -> Finding:
    """Judge how far this machine's clock is ahead of the server that agrees with it most."""
    minutes = abs(ahead).total_seconds() / 60
    way = "ahead" if ahead > timedelta() else "behind"
    what, fix = f"this machine's clock is {minutes:.0f} minutes {way}", "set the clock (NTP)"
    if abs(ahead) > REFUSED:
        cause = "AWS refuses signatures that are more than 5 minutes off; certificates may fail"
        return problem(CLOCK, "BYOK253", what, cause, fix)
    if abs(ahead) > LATE:
        return warning(CLOCK, "BYOK253", what, "tokens that live for minutes fail", fix)
    return well(CLOCK, f"within {max(abs(ahead).total_seconds(), 1):.0f} s of the providers'")
