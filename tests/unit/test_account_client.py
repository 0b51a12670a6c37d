"""A client that only reads, whose key goes nowhere else, and whose errors hold nothing sent."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import Dialect, Door, transport
from reconciler.systems.account.signing import basic, bearer, header
from tests.unit.wire import (
    KEY,
    certificate,
    drops,
    endless,
    half,
    in_turn,
    listening,
    says,
    talking,
)

GOOD = b'{"fine": true}'
READING = Dialect("Acme", reading=frozenset({"/keys/list", "Acme_2026.ListKeys"}))


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Wait for nothing between retries, and return how long it would have been."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=found.append))
    return found


def refused(client, path="/models", **more):
    with pytest.raises(ProviderError) as raised:
        client.get(path, **more)
    return raised.value


class TestOnlyReads:
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "MERGE"])
    def test_nothing_else_is_sent(self, method):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            with pytest.raises(ByokError, match="only reads"):
                client.send(method, "/models", {"name": "x"})
            assert wire.lines == 0

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "MERGE"])
    def test_the_connection_itself_refuses_when_the_client_is_passed_by(self, method):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            with pytest.raises(ByokError, match="only reads"):
                client._http.request(method, f"{wire.base}/models")
            assert wire.lines == 0

    @pytest.mark.parametrize("path", ["/keys/list", "/v1/project/keys/list?all=1"])
    def test_a_post_that_is_documented_to_read_is_one(self, path):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            assert client.ask(path, {"page": 1}).at("fine")
            assert client.send("POST", path, {"page": 2}).at("fine")
            assert wire.paths == [path, path]

    def test_a_header_may_name_the_reading_operation(self):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            client.ask("/", {}, {"X-Amz-Target": "Acme_2026.ListKeys"})
            with pytest.raises(ByokError, match="only reads"):
                client.ask("/", {}, {"X-Amz-Target": "Acme_2026.DeleteKey"})
            with pytest.raises(ByokError, match="only reads"):
                client._http.post(wire.base, headers={"x-amz-target": "Acme_2026.DeleteKey"})
            assert len(wire.seen) == 1

    @pytest.mark.parametrize(
        "path",
        [
            "/keys/list/1",
            "/keys/lists",
            "/keys%2Flist",
            "/keys",
            "/x?y=/keys/list",
            "/x#/keys/list",
            "/",
            "",
        ],
    )
    def test_what_only_looks_like_it_is_none(self, path):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            with pytest.raises(ByokError, match="only reads"):
                client.ask(path, {})
            with pytest.raises(ByokError, match="only reads"):
                client._http.post(f"{wire.base}{path}")
            assert wire.lines == 0

    def test_a_get_whose_query_names_an_operation_must_name_a_reading_one(self):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            for action in ("ListUsers", "GetCallerIdentity", "DescribeBudgets"):
                assert client.get("/", {"Action": action}).at("fine")
            asked = len(wire.seen)
            for action in ("CreateUser", "DeleteAccessKey", "listen", "Delete&Action=ListUsers"):
                with pytest.raises(ByokError, match="only reads"):
                    client.get(f"/?Action={action}")
                with pytest.raises(ByokError, match="only reads"):
                    client.get("/", {"Action": action})
            assert len(wire.seen) == asked

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_a_reading_path_is_read_by_post_only(self, method):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            with pytest.raises(ByokError, match="only reads"):
                client.send(method, "/keys/list", {})
            assert wire.lines == 0

    def test_a_probe_that_was_asked_for_may_post_to_its_path_only(self):
        door = Door(write=False)
        with listening(says(GOOD)) as wire:
            client = door.connect(
                wire.base, READING, bearer(Secret(KEY)), also=("/chat/completions",)
            )
            assert client.send("POST", "/chat/completions", {}).at("fine")
            with pytest.raises(ByokError, match="only reads"):
                client.send("POST", "/files", {})
            door.close()
            assert wire.paths == ["/chat/completions"]

    def test_a_run_that_may_write_writes(self):
        with listening(says(GOOD)) as wire, talking(wire.base, write=True) as client:
            assert client.send("DELETE", "/keys/1").at("fine")
            assert wire.seen[0].startswith(b"DELETE /keys/1 ")


class TestWhereTheKeyGoes:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_it_follows_no_redirect(self, status):
        with listening(says(GOOD)) as elsewhere:
            away = says(b"", f"{status} Elsewhere", location=f"{elsewhere.base}/models")
            with listening(away) as wire, talking(wire.base, write=True) as client:
                assert refused(client).kind is Problem.WRONG_ENDPOINT
                with pytest.raises(ProviderError):
                    client.send("POST", "/keys", {}, again=True)
                assert len(wire.seen) == 2
            assert elsewhere.lines == 0

    def test_it_follows_no_redirect_to_the_same_host_either(self):
        with listening(says(b"", "302 Found", location="/login")) as wire:
            with talking(wire.base) as client:
                assert refused(client).kind is Problem.WRONG_ENDPOINT
            assert wire.paths == ["/models"]

    def test_a_page_elsewhere_is_not_asked_for(self):
        with listening(says(GOOD)) as elsewhere, listening(says(GOOD)) as wire:
            port = elsewhere.port
            urls = [
                f"http://127.0.0.1:{port}/models",
                f"http://localhost:{wire.port}/models",
                f"https://127.0.0.1:{wire.port}/models",
                f"HTTP://127.0.0.1:{port}/models",
                f"http://127.0.0.1:{wire.port}@127.0.0.1:{port}/models",
                f"http://127.0.0.1:{port}\\@127.0.0.1:{wire.port}/models",
                f"http://127.0.0.1.evil.example:{wire.port}/",
                f"http://127.0.0.1:{wire.port}.evil.example/",
                f"ftp://127.0.0.1:{wire.port}/",
                "file:///etc/passwd",
                "http://",
                "http://[::1",
                f"http://127.0.0.1:{wire.port}\t/x",
            ]
            with talking(wire.base) as client:
                for url in urls:
                    assert refused(client, url).kind is Problem.WRONG_ENDPOINT, url
            assert (wire.lines, elsewhere.lines) == (0, 0)

    @pytest.mark.parametrize("path", ["//evil.example/models", "///evil.example", "\\\\evil"])
    def test_a_path_stays_below_the_base(self, path):
        with listening(says(GOOD)) as wire, talking(f"{wire.base}/v1") as client:
            client.get(path)
            assert wire.paths[0].startswith("/v1/")

    def test_a_url_in_a_query_is_only_a_value(self):
        with listening(says(GOOD)) as wire, talking(f"{wire.base}/v1") as client:
            client.get("/models?at=https://evil.example/x")
            assert wire.paths == ["/v1/models?at=https://evil.example/x"]

    def test_the_next_page_is_asked_for_to_the_letter(self):
        query = "?%24skiptoken=a%2Bb%20c&flag&x=1"
        with listening(says(GOOD)) as wire, talking(f"{wire.base}/v1") as client:
            client.get(f"{wire.base}/v1/models{query}", {})
            client.get(f"{wire.base.upper().replace('HTTP', 'Http')}/v2/models{query}")
            assert wire.paths == [f"/v1/models{query}", f"/v2/models{query}"]

    def test_parameters_join_a_query_and_none_is_left_out(self):
        with listening(says(GOOD)) as wire, talking(wire.base) as client:
            client.get("/models?a=1", {"b": 2, "c": None, "d": ["x", "y"]})
            assert wire.paths == ["/models?a=1&b=2&d=x&d=y"]

    @pytest.mark.parametrize(
        "base",
        [
            "http://api.acme.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://evil.example/localhost",
            "http://evil.example#@localhost",
            "http://localhost.",
            "http://127.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://0.0.0.0",
            "http://10.0.0.1",
            "http://[fe80::1]",
            "http://\uff11\uff12\uff17.0.0.1",
            "HTTP://api.acme.example",
            "ftp://localhost",
            "ws://localhost",
        ],
    )
    def test_plain_http_is_for_this_machine_only(self, base):
        with pytest.raises(ProviderError) as raised, talking(base):
            pass
        assert raised.value.kind in (Problem.NETWORK_REFUSED, Problem.WRONG_ENDPOINT)

    @pytest.mark.parametrize(
        "base",
        [
            "https://ada@api.acme.example",
            "http://localhost@evil.example",
            "http://evil.example\\@localhost",
            "https://api.acme.example\n.evil.example",
            "https://",
            "api.acme.example",
            "",
            "https://api.acme.example:port",
            "https://api.acme.example?x=1",
            "https://api.acme.example#x",
            "http://[::1",
        ],
    )
    def test_what_is_no_plain_url_is_no_base(self, base):
        with pytest.raises(ProviderError) as raised, talking(base):
            pass
        assert raised.value.kind is Problem.WRONG_ENDPOINT
        assert "ada" not in str(raised.value)


class TestWhatIsUnderstood:
    PAGE = b"<!doctype html><title>Log in to the network</title>"

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ("200 OK", Problem.UNREADABLE),
            ("401 x", Problem.INVALID_KEY),
            ("403 x", Problem.NETWORK_REFUSED),
            ("404 x", Problem.NOT_THERE),
            ("407 x", Problem.NETWORK_REFUSED),
            ("418 x", Problem.REJECTED),
            ("429 x", Problem.RATE_LIMITED),
            ("502 x", Problem.DOWN),
            ("511 x", Problem.NETWORK_REFUSED),
        ],
    )
    def test_a_web_page_in_place_of_an_answer(self, status, kind):
        page = says(self.PAGE, status, content_type="text/html; charset=utf-8")
        with listening(page) as wire, talking(wire.base) as client:
            assert refused(client).kind is kind

    def test_a_web_page_is_no_text_either(self):
        dialect = Dialect("Acme", text=True)
        with (
            listening(in_turn(says(b"<Result/>"), says(self.PAGE))) as wire,
            talking(wire.base, dialect) as client,
        ):
            assert client.get("/a").body == "<Result/>"
            assert refused(client, "/b").kind is Problem.UNREADABLE

    @pytest.mark.parametrize(
        "body",
        [b"{", b"fine", b"\xff\xfe\xfd", b"[" * 100_000, b"1" * 10_000, b'{"a":1} {"b":2}'],
        ids=["open", "word", "bytes", "deep", "long", "two"],
    )
    def test_what_is_no_json_is_unreadable(self, body):
        with listening(says(body)) as wire, talking(wire.base) as client:
            assert refused(client).kind is Problem.UNREADABLE

    def test_no_body_is_none(self):
        with listening(says(b"", "204 No Content")) as wire, talking(wire.base) as client:
            assert client.get("/x").body is None

    def test_the_providers_own_code_comes_first(self):
        def classify(answer):
            return Problem.SPENT if answer.at("error", "code") == "spent" else None

        spent, busy = (
            says(json.dumps({"error": {"code": code}}).encode(), "429 x") for code in ("spent", 1)
        )
        with (
            listening(in_turn(spent, busy)) as wire,
            talking(wire.base, Dialect("Acme", classify)) as client,
        ):
            assert refused(client, "/a").kind is Problem.SPENT
            assert len(wire.seen) == 1, "whose money is spent is not asked again"
            assert refused(client, "/b").kind is Problem.RATE_LIMITED


class TestRepeating:
    @pytest.mark.parametrize("broken", [drops, half, says(b"{}", "503 x"), says(b"{}", "429 x")])
    def test_what_may_have_happened_is_not_sent_again(self, broken, waits):
        with listening(broken) as wire, talking(wire.base, write=True) as client:
            with pytest.raises(ProviderError):
                client.send("POST", "/keys", {})
            assert len(wire.seen) == 1
        assert waits == []

    @pytest.mark.parametrize("broken", [drops, half, says(b"{}", "503 x"), says(b"{}", "429 x")])
    def test_what_twice_equals_once_is_sent_again(self, broken):
        speak = in_turn(broken, broken, says(GOOD))
        with listening(speak) as wire, talking(wire.base, write=True) as client:
            assert client.send("PUT", "/keys/1", {"a": 1}, again=True).at("fine")
            assert len(wire.seen) == 3
            assert len(set(wire.seen)) == 1

    def test_a_no_is_not_repeated(self):
        with (
            listening(says(b"{}", "409 x")) as wire,
            talking(wire.base, write=True) as client,
        ):
            with pytest.raises(ProviderError) as raised:
                client.send("PUT", "/keys/1", {}, again=True)
            assert (raised.value.kind, len(wire.seen)) == (Problem.MOVED, 1)


class TestMemory:
    def test_one_question_is_asked_once_from_many_threads(self):
        def slowly(line, wire):
            time.sleep(0.05)
            says(GOOD)(line, wire)

        answers = []
        with listening(slowly) as wire, talking(wire.base) as client:
            many = [
                threading.Thread(target=lambda: answers.append(client.get("/m", {"b": 1, "a": 2})))
                for _ in range(20)
            ]
            for thread in many:
                thread.start()
            for thread in many:
                thread.join()
            client.get("/m", {"a": 2, "b": 1})
            assert len(wire.seen) == 1
            client.get("/m", {"a": 2})
            assert len(wire.seen) == 2
        assert [answer.at("fine") for answer in answers] == [True] * 20

    def test_what_is_written_is_forgotten(self):
        with listening(says(GOOD)) as wire, talking(wire.base, write=True) as client:
            client.get("/a")
            client.send("POST", "/a")
            client.get("/a")
            client.get("/a")
            client.forget()
            client.get("/a")
            assert len(wire.seen) == 4

    def test_a_failed_write_is_forgotten_too(self):
        speak = in_turn(says(GOOD), says(b"{}", "400 x"), says(GOOD))
        with listening(speak) as wire, talking(wire.base, write=True) as client:
            client.get("/a")
            with pytest.raises(ProviderError):
                client.send("POST", "/a")
            client.get("/a")
            assert len(wire.seen) == 3

    def test_what_was_read_while_a_write_was_under_way_is_forgotten(self):
        meanwhile = []

        def busy(line, wire):
            if wire.seen[-1].startswith(b"POST"):
                reader = threading.Thread(target=lambda: meanwhile.append(client.get("/a")))
                reader.start()
                reader.join()
            says(GOOD)(line, wire)

        with listening(busy) as wire, talking(wire.base, write=True) as client:
            client.send("POST", "/a")
            client.get("/a")
            assert len(wire.seen) == 3
        assert meanwhile[0].at("fine")

    def test_a_failure_is_remembered_until_forgotten(self):
        speak = in_turn(says(b"{}", "403 x"), says(GOOD))
        with listening(speak) as wire, talking(wire.base) as client:
            assert refused(client).kind is Problem.NO_ACCESS
            assert refused(client).kind is Problem.NO_ACCESS
            assert len(wire.seen) == 1
            client.forget()
            assert client.get("/models").at("fine")

    def test_a_read_with_a_secret_in_it_is_not_remembered(self):
        with listening(says(GOOD)) as wire, talking(wire.base, READING) as client:
            for _ in range(2):
                client.ask("/keys/list", {"a": 1})
                client.ask("/keys/list", b"form", remember=False)
            assert len(wire.seen) == 3
            assert "form" not in repr(client._memo)


BAD_KEYS = [
    "line\nbreak",
    "return\rx",
    "nul\0x",
    "t\u00e4st",
    "\u2026",
    "\ud800",
    "del\x7f",
    "t\tb",
]


class TestKeys:
    @pytest.mark.parametrize("bad", BAD_KEYS, ids=ascii)
    @pytest.mark.parametrize("sign", [bearer, lambda key: header("x-api-key", key)])
    def test_a_key_that_no_header_can_carry_is_not_sent(self, bad, sign):
        door = Door(write=False)
        with listening(says(GOOD)) as wire:
            client = door.connect(wire.base, Dialect("Acme"), sign(Secret(KEY + bad)))
            error = refused(client)
            assert (error.kind, wire.lines) == (Problem.INVALID_KEY, 0)
            assert "character" in error.what
            clean(error, KEY, bad)
        door.close()

    def test_half_a_character_in_a_basic_key(self):
        door = Door(write=False)
        with listening(says(GOOD)) as wire:
            client = door.connect(wire.base, Dialect("Acme"), basic(Secret(KEY + "\ud800")))
            error = refused(client)
            assert (error.kind, wire.lines) == (Problem.INVALID_KEY, 0)
            clean(error, KEY)
        door.close()

    def test_a_name_that_no_request_can_carry_is_told(self):
        with listening(says(GOOD)) as wire, talking(wire.base) as client:
            for path in ("/models/\ud800", "/models/\0", "/models/\n"):
                assert refused(client, path).kind in (Problem.REJECTED, Problem.WRONG_ENDPOINT)
            assert wire.lines == 0


def chain(error):
    """Yield an error and all that hang on it, also what ``from None`` only hides."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def clean(error, *words):
    """Assert that no form of an error holds a word."""
    told = [f"{each!s} {each!r} {each.args} {vars(each)}" for each in chain(error)]
    for each in chain(error):
        told += traceback.format_exception(each)
        told += [
            repr(frame.f_locals)
            for frame, _ in traceback.walk_tb(each.__traceback__)
            if "reconciler" in Path(frame.f_code.co_filename).parts
        ]
    text = "\n".join(told)
    for word in words:
        assert word not in text, text


CANARIES = {
    "query": "canaryQuery1",
    "header": "canaryHeader2",
    "body": "canaryBody3",
    "own": "canaryOwn4",
}


def ways():
    """Return every way of failing: a name, and what the server does."""
    echo = json.dumps({"error": {"message": f"bad key {KEY} {CANARIES}"}}).encode()
    yield from (
        (str(status), says(echo, f"{status} {KEY}", x_echo=KEY))
        for status in (301, 400, 401, 402, 403, 404, 405, 407, 409, 429, 500, 503, 511)
    )
    yield from (("drops", drops), ("half", half), ("endless", endless))
    yield "page", says(f"<html>{KEY}".encode(), content_type="text/html")
    yield "deep", says(b"[" * 100_000)
    yield "packed", says(KEY.encode(), content_encoding="gzip")
    yield "garbage", lambda line, _: line.sendall(f"{KEY}\r\n\r\n".encode())
    yield "header", lambda line, _: line.sendall(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode())


@pytest.mark.parametrize(("way", "speak"), list(ways()), ids=[way for way, _ in ways()])
def test_no_failure_holds_what_was_sent(way, speak, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    dialect = Dialect("Acme", headers={"x-pinned": CANARIES["header"]})
    with listening(speak) as wire, talking(wire.base, dialect, write=True) as client:
        errors = [refused(client, "/models", params={"q": CANARIES["query"]})]
        with pytest.raises(ProviderError) as raised:
            client.send(
                "POST", "/keys", {"b": CANARIES["body"]}, headers={"x-own": CANARIES["own"]}
            )
        errors.append(raised.value)
        assert KEY.encode() in wire.seen[0], "it was sent"
        told = f"{client!r}{dialect!r}"
    for error in errors:
        assert str(error).startswith("Acme: ")
        clean(error, KEY)  # the query may stand in a frame's locals, the key nowhere
        for each in chain(error):
            text = f"{each!s}{each!r}{''.join(traceback.format_exception(each))}"
            assert "canary" not in text
        assert [each for each in chain(error) if each is not error] == []
    assert "canary" not in caplog.text + "".join(capfd.readouterr()) + told.replace(
        CANARIES["header"], ""
    )


def test_a_failed_handshake_holds_nothing(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    context, _ = certificate(tmp_path, "127.0.0.1")
    with listening(says(GOOD), tls=context) as wire:
        with talking(wire.base.replace("http:", "https:")) as client:
            error = refused(client, "/models", params={"q": CANARIES["query"]})
        assert error.kind is Problem.NETWORK_REFUSED
        assert wire.seen == []
    clean(error, KEY)
    assert list(chain(error)) == [error]
    assert "canary" not in caplog.text + str(error)


def test_success_leaves_no_trace_in_logs(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with listening(says(GOOD)) as wire, talking(wire.base) as client:
        answer = client.get("/models", {"q": CANARIES["query"]})
    assert repr(answer) == "Answer(200)"
    assert "canary" not in caplog.text + "".join(capfd.readouterr())
    assert wire.paths == [f"/models?q={CANARIES['query']}"]
    assert transport.ATTEMPTS == 4
