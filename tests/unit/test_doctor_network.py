"""The network under the doctor: proxies, what a broken line means, slowness, and the clock."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from reconciler.doctor import State, network, probe, reach
from reconciler.doctor.ground import Ground
from reconciler.doctor.probe import Reached
from reconciler.manifest import parse
from reconciler.session import Options


def raised(error, below):
    error.__cause__ = below
    return error


def mistrusted(code):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


CONNECT = httpx.ConnectError


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (raised(CONNECT(""), socket.gaierror(socket.EAI_NONAME, "")), "BYOK260", "no such host"),
        (raised(CONNECT(""), socket.gaierror(socket.EAI_AGAIN, "")), "BYOK260", "no name server"),
        (raised(CONNECT(""), ConnectionRefusedError(111, "")), "BYOK261", "nothing listens"),
        (httpx.ConnectTimeout(""), "BYOK262", "firewall"),
        (httpx.ReadTimeout(""), "BYOK262", "firewall"),
        (raised(CONNECT(""), OSError(101, "unreachable")), "BYOK262", "no way there"),
        (raised(CONNECT(""), mistrusted(10)), "BYOK263", "expired"),
        (raised(CONNECT(""), mistrusted(19)), "BYOK263", "vouches"),
        (raised(CONNECT(""), mistrusted(62)), "BYOK263", "another host"),
        (raised(CONNECT(""), mistrusted(99)), "BYOK263", "does not check out"),
        (raised(CONNECT(""), ssl.SSLError(1, "wrong version")), "BYOK264", "firewall"),
        (httpx.RemoteProtocolError(""), "BYOK264", "something else"),
        (httpx.ProxyError(""), "BYOK250", "refuses"),
    ],
)
def test_what_stands_in_the_way_is_told_apart(error, code, words):
    found = probe.unreached(error, proxied=False)
    assert found.code == code
    assert words in found.cause
    assert found.fix


def test_behind_a_proxy_it_is_the_proxy_that_refuses():
    refused = raised(CONNECT(""), ConnectionRefusedError(111, ""))
    assert probe.unreached(refused, proxied=True).code == "BYOK250"


MANIFEST = parse(
    "version: 1\nendpoints:\n  here: {type: custom, base_url: 'https://llm.example.com/v1'}\n",
    "byok.yaml",
    __import__("pathlib").Path(),
)
(TARGET,) = reach.targets(MANIFEST)


def test_slow_answers_are_a_warning():
    slow = reach.judged("network/here", TARGET, Reached(seconds=5.0), MANIFEST)
    assert (slow.state, slow.code) == (State.WARNING, "BYOK265")
    assert "rate limits" in slow.fix
    assert reach.judged("network/here", TARGET, Reached(seconds=0.2), MANIFEST).state is State.OK


def ground(tmp_path, manifest=None, **env):
    path = tmp_path / "byok.yaml"
    path.write_text(manifest or "version: 1\n")
    options = Options(
        manifest=path, cursor_dir=tmp_path / "cursor", state_dir=tmp_path / "state", env=env
    )
    return Ground(options, home=tmp_path)


def test_a_public_name_with_a_private_address_is_out_of_cursors_reach(tmp_path, monkeypatch):
    text = "version: 1\nendpoints:\n  in: {type: custom, base_url: 'https://llm.acme.example/v1'}\n"
    with ground(tmp_path, text) as here:
        inside = Reached(addresses=("10.1.2.3",))
        monkeypatch.setattr(reach, "knock", lambda _url, **_: inside)
        (found,) = reach.from_cursor(here)
    assert (found.state, found.code) == (State.WARNING, "BYOK103")
    assert "10.1.2.3" in found.cause


def test_a_public_address_is_probably_within_reach(tmp_path, monkeypatch):
    text = "version: 1\nendpoints:\n  in: {type: custom, base_url: 'https://llm.acme.example/v1'}\n"
    with ground(tmp_path, text) as here:
        monkeypatch.setattr(reach, "knock", lambda _url, **_: Reached(addresses=("8.8.8.8",)))
        (found,) = reach.from_cursor(here)
    assert found.state is State.OK
    assert "probably" in found.what
    assert "nobody can tell" in found.what


def test_a_name_server_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    import threading

    text = "version: 1\nendpoints:\n  in: {type: custom, base_url: 'https://llm.acme.example/v1'}\n"
    hold = threading.Event()
    monkeypatch.setattr(reach, "DEADLINE", 0.05)
    monkeypatch.setattr(reach, "knock", lambda *_, **__: hold.wait(30))
    with ground(tmp_path, text) as here:
        (found,) = reach.from_here(here)
    hold.set()
    assert found.code == "BYOK262"


def test_plain_http_to_another_machine_is_not_knocked_at(tmp_path, monkeypatch):
    text = "version: 1\nendpoints:\n  in: {type: custom, base_url: 'http://169.254.169.254/v1'}\n"
    monkeypatch.setattr(reach, "knock", lambda *_, **__: pytest.fail("it was knocked at"))
    with ground(tmp_path, text) as here:
        (found,) = reach.from_here(here)
    assert found.state is State.SKIPPED


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [
        (timedelta(seconds=30), State.OK, "30 s"),
        (timedelta(minutes=3), State.WARNING, "3 minutes ahead"),
        (timedelta(minutes=-3), State.WARNING, "3 minutes behind"),
        (timedelta(minutes=9), State.PROBLEM, "9 minutes ahead"),
    ],
)
def test_a_clock_is_judged_by_minutes(ahead, state, words):
    found = reach.off(ahead)
    assert found.state is state
    assert words in found.what
    assert ("NTP" in found.fix) is found.bad is (found.code == "BYOK253")


def test_the_server_that_agrees_most_tells_the_time(tmp_path, monkeypatch):
    text = (
        "version: 1\nendpoints:\n"
        "  one: {type: custom, base_url: 'https://one.example.com/v1', active: false}\n"
        "  two: {type: custom, base_url: 'https://two.example.com/v1', active: false}\n"
        "  own: {type: custom, base_url: 'http://127.0.0.1:9/v1', active: false}\n"
    )
    told = {"one": timedelta(hours=2), "two": timedelta(minutes=4), "127": timedelta()}

    def knock(url, **_):
        return Reached(ahead=next(each for name, each in told.items() if name in url))

    monkeypatch.setattr(reach, "knock", knock)
    with ground(tmp_path, text) as here:
        (found,) = reach.clock(here)
    assert found.what == "this machine's clock is 4 minutes ahead"


def test_a_date_header_is_compared_with_this_clock():
    told = datetime.now(UTC) - timedelta(minutes=10)
    ahead = probe._ahead(format_datetime(told, usegmt=True))
    assert ahead is not None
    assert timedelta(minutes=9) < ahead < timedelta(minutes=11)
    assert probe._ahead("yesterday") is None
    assert probe._ahead("") is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://ana:s3cret@proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("socks5://ana:s3cret@127.0.0.1:1", "socks5://127.0.0.1:1"),
        ("http://ana:s3cret@[broken", "an address that is no URL"),
        ("http://:pw@", "an address that is no URL"),
        ("http://proxy:99999999", "an address that is no URL"),
    ],
)
def test_a_proxys_password_is_never_repeated(url, told):
    assert network.bare(url) == told


def test_no_proxy_and_this_machine_go_round_a_proxy():
    env = {"HTTPS_PROXY": "http://p:1", "no_proxy": "example.com,.corp"}
    assert network.proxied(env, "https://api.openai.com/v1")
    assert not network.proxied(env, "https://llm.example.com/v1")
    assert not network.proxied(env, "https://a.corp/v1")
    assert not network.proxied(env, "https://127.0.0.1/v1")
    assert not network.proxied({}, "https://api.openai.com/v1")


def test_a_proxy_that_listens_is_named_without_its_password(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://ana:s3cret@127.0.0.1:{server.getsockname()[1]}"
        with ground(tmp_path, HTTPS_PROXY=url, NO_PROXY="localhost") as here:
            (found,) = network.proxy(here)
    assert found.state is State.OK
    assert "s3cret" not in repr(found)
    assert "NO_PROXY is localhost" in found.what


@pytest.mark.parametrize("there", [True, False])
def test_certificates_that_only_others_were_told_of(tmp_path, there):
    path = tmp_path / "company.pem"
    if there:
        path.touch()
    with ground(tmp_path, REQUESTS_CA_BUNDLE=str(path)) as here:
        (found,) = network.certificates(here)
    assert "SSL_CERT_FILE does not" in found.what
    assert found.bad is not there


def test_cursors_own_proxy_is_shown_without_its_password(tmp_path):
    folder = tmp_path / "cursor" / "User"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"http.proxy": "http://ana:s3cret@p.example:1",}')
    with ground(tmp_path) as here:
        (found,) = network.of_cursor(here)
    assert found.what.startswith("http.proxy is http://p.example:1")
    assert "s3cret" not in repr(found)
