"""The wire itself: limits, broken lines, TLS, proxies, and how long anybody is waited for."""

from __future__ import annotations

import gzip
import ssl
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from pytest_socket import SocketConnectBlockedError

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Answer, Door, transport
from reconciler.systems.account.transport import told_to_wait, trusted
from tests.unit.wire import (
    certificate,
    dripping,
    drops,
    endless,
    half,
    in_turn,
    listening,
    says,
    silent,
    talking,
    tunnel,
)

GOOD = b'{"fine": true}'
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Stand in an environment that names no proxy and no certificates."""
    for name in (*PROXIES, *map(str.lower, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Wait for nothing between retries, and return how long it would have been."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=found.append))
    return found


def failing(wire, path="/models", **options):
    """Return the error of a GET that must fail."""
    with pytest.raises(ProviderError) as raised, talking(wire.base, **options) as client:
        client.get(path)
    return raised.value


def fine(wire, **options):
    with talking(wire.base, **options) as client:
        return client.get("/models").at("fine") is True


class TestWhatComesBack:
    def test_a_body_of_100_megabytes_is_cut_off(self):
        with listening(endless) as wire:
            assert failing(wire).kind is Problem.UNREADABLE
            assert len(wire.seen) == 1, "and not asked for again"
        assert wire.sent < 2 * transport.BODY_LIMIT

    def test_a_packed_body_is_measured_unpacked(self):
        bomb = gzip.compress(bytes(100_000_000))
        assert len(bomb) < 200_000
        with listening(says(bomb, content_encoding="gzip")) as wire:
            tracemalloc.start()
            try:
                assert failing(wire).kind is Problem.UNREADABLE
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert most < 3 * transport.BODY_LIMIT

    @pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "compress", "gzip,identity"])
    def test_what_we_did_not_ask_for_is_not_unpacked(self, coding):
        body = gzip.compress(gzip.compress(GOOD))
        with listening(says(body, content_encoding=coding)) as wire:
            assert failing(wire).kind is Problem.UNREADABLE

    @pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "deflate"])
    def test_a_packed_answer_is_read(self, coding):
        body = zlib.compress(GOOD) if coding == "deflate" else gzip.compress(GOOD)
        with listening(says(body, content_encoding=coding)) as wire:
            assert fine(wire)
            assert b"accept-encoding: gzip\r\n" in wire.seen[0].lower()

    def test_a_packed_answer_that_ends_early_is_a_broken_line(self):
        with listening(says(gzip.compress(GOOD)[:-4], content_encoding="gzip")) as wire:
            assert failing(wire).kind is Problem.DOWN

    def test_what_is_not_packed_as_it_says_is_unreadable(self):
        with listening(says(GOOD, content_encoding="gzip")) as wire:
            assert failing(wire).kind is Problem.UNREADABLE

    def test_an_empty_packed_answer_is_empty(self):
        with listening(says(b"", content_encoding="gzip")) as wire, talking(wire.base) as client:
            assert client.get("/models").body is None


class TestBrokenLines:
    @pytest.mark.parametrize("broken", [drops, half], ids=["dropped", "half"])
    def test_a_broken_line_is_tried_again(self, broken):
        with listening(in_turn(broken, broken, says(GOOD))) as wire:
            assert fine(wire)
            assert len(wire.seen) == 3

    @pytest.mark.parametrize("broken", [drops, half], ids=["dropped", "half"])
    def test_a_line_that_stays_broken_is_a_provider_that_is_down(self, broken, waits):
        with listening(broken) as wire:
            error = failing(wire)
            assert (error.kind, len(wire.seen)) == (Problem.DOWN, transport.ATTEMPTS)
        assert "broke off" in error.what
        assert len(waits) == transport.ATTEMPTS - 1

    def test_garbage_in_place_of_http_is_a_broken_line(self):
        with listening(lambda line, _: line.sendall(b"SSH-2.0-OpenSSH_9\r\n\r\n")) as wire:
            assert failing(wire).kind is Problem.DOWN

    def test_nobody_there_is_told(self):
        with listening(drops) as wire:
            pass
        error = failing(wire)
        assert (error.kind, error.what) == (Problem.DOWN, "cannot be reached from here")
        assert "HTTPS_PROXY" not in error.way_out

    def test_where_the_environment_names_a_proxy_that_is_what_to_look_at(self, environment):
        environment.setenv("HTTPS_PROXY", "http://someone:secret@127.0.0.1:9")
        with listening(drops) as wire:
            pass
        error = failing(wire)
        assert "the proxy in HTTPS_PROXY" in error.way_out
        assert "secret" not in str(error)

    def test_a_slow_drip_ends(self, monkeypatch):
        monkeypatch.setattr(transport, "EXCHANGE", 0.1)
        with listening(dripping) as wire:
            error = failing(wire)
            assert (error.kind, len(wire.seen)) == (Problem.UNREADABLE, 1)
        assert "come to an end" in error.what

    def test_silence_ends(self, monkeypatch):
        monkeypatch.setattr(transport, "READ", 0.1)
        with listening(silent) as wire:
            error = failing(wire)
        assert (error.kind, error.what) == (Problem.DOWN, "does not answer in time")

    def test_no_time_is_given_to_silence_for_ever(self, monkeypatch):
        monkeypatch.setattr(transport, "READ", 0.05)
        monkeypatch.setattr(transport, "PATIENCE", 0.01)
        with listening(silent) as wire:
            assert failing(wire).kind is Problem.DOWN
            assert len(wire.seen) == 1


class TestTrust:
    def test_a_certificate_of_its_own_making_is_not_trusted(self, tmp_path):
        context, _ = certificate(tmp_path, "127.0.0.1")
        with listening(says(GOOD), tls=context) as wire:
            error = self.failing(wire)
            assert wire.lines == 1, "what is not trusted is not tried again"
            assert wire.seen == [], "nothing was sent"
        assert error.kind is Problem.NETWORK_REFUSED
        assert "certificate" in error.what
        assert "SSL_CERT_FILE" in error.way_out

    def failing(self, wire):
        return failing(SimpleNamespace(base=wire.base.replace("http://", "https://")))

    def test_a_certificate_for_another_host_is_not_trusted(self, tmp_path, environment):
        context, file = certificate(tmp_path, "elsewhere.example")
        environment.setenv("SSL_CERT_FILE", str(file))
        with listening(says(GOOD), tls=context) as wire:
            error = self.failing(wire)
            assert (error.kind, wire.seen) == (Problem.NETWORK_REFUSED, [])

    def test_the_users_own_certificates_are_trusted(self, tmp_path, environment):
        context, file = certificate(tmp_path, "127.0.0.1")
        environment.setenv("SSL_CERT_FILE", str(file))
        with listening(says(GOOD), tls=context) as wire:
            assert fine(SimpleNamespace(base=wire.base.replace("http://", "https://")))

    @pytest.mark.parametrize("named", [True, False])
    def test_the_systems_certificates_are_trusted_unless_others_are_named(
        self, tmp_path, environment, named
    ):
        loaded = []
        load = ssl.SSLContext.load_default_certs
        environment.setattr(
            ssl.SSLContext, "load_default_certs", lambda self: (loaded.append(1), load(self))
        )
        if named:
            environment.setenv("SSL_CERT_FILE", str(certificate(tmp_path, "127.0.0.1")[1]))
        trusted()
        assert loaded == ([] if named else [1])

    @pytest.mark.parametrize("lost", ["missing", "empty", "garbage"])
    def test_certificates_that_are_none_are_told(self, tmp_path, environment, lost):
        file = tmp_path / "lost.pem"
        if lost != "missing":
            file.write_text("" if lost == "empty" else "no certificate")
        environment.setenv("SSL_CERT_FILE", str(file))
        with listening(says(GOOD)) as wire:
            error = self.failing(wire)
        assert error.kind is Problem.NETWORK_REFUSED
        assert "SSL_CERT_FILE" in error.what

    def test_what_speaks_no_tls_is_told(self):
        with listening(says(b"what?", "400 Bad Request"), hears=False) as wire:
            error = self.failing(wire)
            assert wire.lines == 1
        assert error.kind is Problem.NETWORK_REFUSED
        assert "TLS" in error.what

    def test_no_setting_turns_the_check_off(self, tmp_path, environment):
        for name in ("PYTHONHTTPSVERIFY", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSLVERIFY"):
            environment.setenv(name, "0" if name == "PYTHONHTTPSVERIFY" else "")
        context, _ = certificate(tmp_path, "127.0.0.1")
        with listening(says(GOOD), tls=context) as wire:
            assert self.failing(wire).kind is Problem.NETWORK_REFUSED


class TestProxies:
    FAR = SimpleNamespace(base="https://api.acme.example/v1")

    @pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_the_environments_proxy_is_used(self, tmp_path, environment, name):
        context, file = certificate(tmp_path, "api.acme.example")
        environment.setenv("SSL_CERT_FILE", str(file))
        with (
            listening(says(GOOD), tls=context) as provider,
            listening(tunnel(provider.port)) as proxy,
        ):
            environment.setenv(name, proxy.base)
            assert fine(self.FAR)
            assert proxy.paths == ["api.acme.example:443"]
            assert provider.paths == ["/v1/models"]
            assert not any(b"authorization" in request.lower() for request in proxy.seen)

    def test_what_no_proxy_names_is_reached_without(self, environment):
        with listening(drops) as proxy:
            environment.setenv("HTTPS_PROXY", proxy.base)
            environment.setenv("NO_PROXY", "api.acme.example")
            with pytest.raises(RuntimeError, match="asked for the address"):  # the test's own guard
                failing(self.FAR)
            assert proxy.lines == 0

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
    def test_loopback_never_meets_a_proxy(self, environment, host):
        bind = "::1" if host == "[::1]" else "127.0.0.1"
        with listening(drops) as proxy, listening(says(GOOD), host=bind) as wire:
            for name in PROXIES[:3]:
                environment.setenv(name, proxy.base)
            assert fine(SimpleNamespace(base=f"http://{host}:{wire.port}"))
            assert proxy.lines == 0

    def test_no_corner_of_loopback_meets_a_proxy(self, environment):
        """No test may reach 127.0.0.2: the guard says that it was tried, without the proxy."""
        with listening(drops) as proxy:
            environment.setenv("HTTP_PROXY", proxy.base)
            with pytest.raises((SocketConnectBlockedError, UserWarning)):
                failing(SimpleNamespace(base="http://127.0.0.2:9"))
            assert proxy.lines == 0

    @pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden"])
    def test_a_proxy_that_refuses_is_told(self, environment, status):
        with listening(says(b"<html>", status)) as proxy:
            environment.setenv("HTTPS_PROXY", proxy.base.replace("//", "//ada:pass" + "word@"))
            error = failing(self.FAR)
            assert len(proxy.seen) == 1
        assert error.kind is Problem.NETWORK_REFUSED
        assert "proxy" in error.what
        assert "password" not in f"{error!r}{error.__context__!r}"

    @pytest.mark.parametrize(
        "url",
        [
            "socks5://ada:pass" + "word@127.0.0.1:9",
            "ftp://127.0.0.1:9",
            "http://127.0.0.1:nine",
            "http://[::1",
        ],
    )
    def test_a_proxy_of_another_kind_is_told_and_loopback_goes_on(self, environment, url):
        environment.setenv("ALL_PROXY", url)
        error = failing(self.FAR)
        assert error.kind is Problem.NETWORK_REFUSED
        assert "proxy" in error.what
        assert "password" not in f"{error!r}{error.__context__!r}"
        with listening(says(GOOD)) as wire:
            assert fine(wire)

    def test_a_proxy_that_is_down_is_told(self, environment):
        with listening(drops) as proxy:
            pass
        environment.setenv("HTTPS_PROXY", proxy.base)
        assert failing(self.FAR).kind is Problem.DOWN

    def test_a_machine_with_ipv6_only_is_served(self):
        with listening(says(GOOD), host="::1") as wire:
            assert fine(wire)
            assert f"host: [::1]:{wire.port}".encode() in wire.seen[0].lower()


class TestRetries:
    BUSY = "429 Too Many Requests"

    def waited(self, wire, waits):
        assert fine(wire)
        assert len(waits) == len(wire.seen) - 1
        return waits

    def test_a_wait_that_is_named_is_kept(self, waits):
        busy = says(b"{}", self.BUSY, retry_after="7")
        with listening(in_turn(busy, says(GOOD))) as wire:
            (wait,) = self.waited(wire, waits)
        assert 7 < wait < 7.5

    @pytest.mark.parametrize("status", ["429 x", "500 x", "502 x", "503 x", "529 x", "408 x"])
    def test_who_is_busy_or_down_is_asked_again(self, waits, status):
        with listening(in_turn(says(b"{}", status), says(GOOD))) as wire:
            (wait,) = self.waited(wire, waits)
        assert 0 < wait < 1

    def test_a_date_is_a_wait_too(self, waits):
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
        with listening(in_turn(says(b"{}", "503 x", retry_after=date), says(GOOD))) as wire:
            (wait,) = self.waited(wire, waits)
        assert 5 < wait < 10

    def test_the_longest_of_all_waits_counts(self, waits):
        azure = {"x_ms_ratelimit_microsoft.costmanagement_qpu_retry_after": "11"}
        other = {"x_ms_ratelimit_microsoft.costmanagement_tenant_retry_after": "13"}
        busy = says(b"{}", self.BUSY, retry_after="2", retry_after_ms="3000", **azure, **other)
        with listening(in_turn(busy, says(GOOD))) as wire:
            (wait,) = self.waited(wire, waits)
        assert 13 < wait < 13.5

    def test_a_wait_beyond_patience_is_not_waited_for(self, waits):
        with listening(says(b"{}", self.BUSY, retry_after="3600")) as wire:
            assert failing(wire).kind is Problem.RATE_LIMITED
            assert len(wire.seen) == 1
        assert waits == []

    def test_attempts_have_an_end(self, waits):
        with listening(says(b"{}", self.BUSY)) as wire:
            assert failing(wire).kind is Problem.RATE_LIMITED
            assert len(wire.seen) == transport.ATTEMPTS

    @pytest.mark.parametrize("named", ["", "1"])
    def test_no_two_wait_alike(self, waits, named):
        busy = says(b"{}", self.BUSY, retry_after=named)
        for _ in range(3):
            with listening(in_turn(busy, says(GOOD))) as wire:
                assert fine(wire)
        assert len(set(waits)) == 3

    @pytest.mark.parametrize("status", ["400 x", "401 x", "402 x", "403 x", "404 x", "409 x"])
    def test_who_says_no_is_not_asked_again(self, status):
        with listening(says(b"{}", status)) as wire:
            failing(wire)
            assert len(wire.seen) == 1


def headed(**headers):
    return told_to_wait(
        Answer(429, {name.replace("_", "-"): value for name, value in headers.items()})
    )


def test_waits_are_read_as_they_are_written():
    assert headed() is None
    assert headed(retry_after="0") == 0
    assert headed(retry_after=" 5 ") == 5
    assert headed(retry_after_ms="1500") == 1.5
    assert headed(x_ms_ratelimit_a_retry_after="4", x_ms_b="9") == 4
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert headed(retry_after=past) == 0


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-1", "1.5", "1e3", "5, 10", "\u00b2", "Wed, 99 Xxx 2026 99:99:99 GMT", "," * 50],
)
def test_what_is_no_wait_is_none(value):
    for name in ("retry_after", "retry_after_ms", "x_ms_ratelimit_retry_after"):
        assert headed(**{name: value}) is None


def test_one_door_reads_the_certificates_once(monkeypatch):
    made = []
    trusted = transport.trusted
    monkeypatch.setattr(transport, "trusted", lambda: made.append(1) or trusted())
    door = Door(write=False)
    with listening(says(GOOD)) as wire:
        from reconciler.systems.account import Dialect
        from reconciler.systems.account.signing import keyless

        for _ in range(3):
            door.connect(wire.base, Dialect("Acme"), keyless)
    door.close()
    assert len(made) == 1
