"""What every test stands on: no network but this machine, and in CI no silent skip."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED_SKIPS = {
    "only on Windows": "CI runs on Linux",
    "only on macOS": "CI runs on Linux",
    "only as an ordinary user": "CI may run as root, whom file modes do not stop",
    "only as root": "CI may run as an ordinary user, who may not mount or give files away",
    "only with the official API descriptions": "they are their owners', and not in this repository",
    "only where BYOK_LITELLM": "half a gigabyte for one proxy: a nightly job's",
}
"""Skips that stay skips under BYOK_CI=1: the beginning of the test's reason, and why it is fine."""

SKIPPED = pytest.StashKey[list[tuple[str, str]]]()


def local(host: object) -> bool:
    """Tell whether a name needs no name server: this machine, or an address in figures."""
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True


@pytest.fixture(scope="session", autouse=True)
def _no_name_server() -> Iterator[None]:
    """Refuse to look up foreign names; pytest-socket only stops the connection after it."""
    ask = socket.getaddrinfo

    def refuse(host, *args, **kwargs):
        if not local(host):
            raise RuntimeError(f"a test asked for the address of {host}")
        return ask(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave benchmarks to `make bench`, which names their folder."""
    asked = any("bench" in Path(arg).parts for arg in config.invocation_params.args)
    return True if collection_path.name == "bench" and not asked else None


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPPED] = []
    config.pluginmanager.register(SkipWatch(config), "byok-skip-watch")


class SkipWatch:
    """Collect skips that BYOK_CI=1 does not allow, and fail the session for them."""

    def __init__(self, config: pytest.Config) -> None:
        self.found = config.stash[SKIPPED]
        self.strict = os.environ.get("BYOK_CI") == "1"

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not (self.strict and report.skipped) or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(tuple(ALLOWED_SKIPS)):
            self.found.append((report.nodeid, reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.found and session.exitstatus in (pytest.ExitCode.OK, 0):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.found:
            return
        terminalreporter.section("skips that BYOK_CI=1 forbids", red=True)
        for name, reason in self.found:
            terminalreporter.line(f"{name}: {reason}")
