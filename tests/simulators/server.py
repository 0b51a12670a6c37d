"""What every simulator stands on: one HTTP server for many accounts, a log, and faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it came in; ``path`` is below the simulator's prefix, header names lower.

    ``target`` is path and query as they were sent, for signatures over them.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    target: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def one(self, name: str, default: str | None = None) -> str | None:
        return self.query.get(name, [default])[0]


@dataclass(frozen=True)
class Response:
    """One answer: JSON data, or bytes as they are."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """A failure to inject, for so many requests whose method and path match.

    ``how``: ``answer`` gives ``response``; ``half`` breaks off in the middle of a body; ``drop``
    closes the line unheard; ``lost`` does the work and closes the line without an answer;
    ``slow`` waits ``seconds`` first; ``huge`` sends 100 MB; ``html`` is a captive portal;
    ``redirect`` points to ``to``.
    """

    how: str
    method: str = "*"
    path: str = "*"
    times: int = 1
    response: Response | None = None
    seconds: float = 0.0
    to: str = "http://127.0.0.1:9/elsewhere"

    def meets(self, request: Request) -> bool:
        return (
            self.times > 0
            and fnmatchcase(request.method, self.method)
            and fnmatchcase(request.path, self.path)
        )


class Simulator:
    """One account's API; subclass, give a ``prefix``, and answer.

    State lives in the object, so that it outlives every connection. ``snapshot`` is all of it as
    JSON text. ``hosts`` are further host names' prefixes, where one provider has several.
    """

    prefix = ""

    def __init__(self) -> None:
        self.guard = threading.RLock()
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.latency = 0.0
        self.broken: list[Exception] = []

    def answer(self, request: Request) -> Response:
        raise NotImplementedError

    def snapshot(self) -> str:
        raise NotImplementedError

    def writes(self) -> list[Request]:
        """Return the requests that could have changed something; override for read-only POSTs."""
        return [request for request in self.log if request.method not in ("GET", "HEAD")]

    def inject(self, how: str, **settings: Any) -> Fault:
        fault = Fault(how, **settings)
        self.faults.append(fault)
        return fault

    def take_fault(self, request: Request) -> Fault | None:
        with self.guard:
            for fault in self.faults:
                if fault.meets(request):
                    fault.times -= 1
                    return fault
        return None

    def respond(self, request: Request) -> Response:
        with self.guard:
            self.log.append(request)
            return self.answer(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    simulators: Sequence[Simulator] = ()
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        return

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        path = unquote(parts.path)
        simulator = next((s for s in self.simulators if path.startswith(f"/{s.prefix}/")), None)
        if simulator is None:
            self._send(Response(404, {"error": "no such simulator"}))
            return
        request = Request(
            self.command,
            path.removeprefix(f"/{simulator.prefix}"),
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            body,
            self.path,
        )
        time.sleep(simulator.latency)
        fault = simulator.take_fault(request)
        if fault is None:
            self._send(self._ask(simulator, request))
        else:
            self._fail(simulator, request, fault)

    def _ask(self, simulator: Simulator, request: Request) -> Response:
        """Have the simulator answer; one that breaks fails the test when serving ends."""
        try:
            return simulator.respond(request)
        except Exception as error:
            simulator.broken.append(error)
            return Response(500, {"error": "the simulator itself broke"})

    def _fail(self, simulator: Simulator, request: Request, fault: Fault) -> None:
        match fault.how:
            case "answer":
                with simulator.guard:
                    simulator.log.append(request)
                self._send(fault.response or Response(500, {}))
            case "half":
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "1000")
                self.end_headers()
                self.wfile.write(b'{"data": [')
                self._close()
            case "drop":
                self._close()
            case "lost":
                self._ask(simulator, request)
                self._close()
            case "slow":
                time.sleep(fault.seconds)
                self._send(self._ask(simulator, request))
            case "huge":
                self._huge()
            case "html":
                page = b"<!doctype html><title>Log in to the network</title>"
                self._send(Response(200, page, {"content-type": "text/html"}))
            case "redirect":
                self._send(Response(307, b"", {"location": fault.to}))

    def _huge(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(100_000_000))
        self.end_headers()
        try:
            self.wfile.write(b'{"data": "')
            for _ in range(1000):
                self.wfile.write(b"x" * 100_000)
        except OSError:
            pass
        self._close()

    def _close(self) -> None:
        self.close_connection = True

    def _send(self, response: Response) -> None:
        data = (
            response.body
            if isinstance(response.body, bytes)
            else b""
            if response.body is None
            else json.dumps(response.body).encode()
        )
        self.send_response(response.status)
        headers = {"content-type": "application/json", **response.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815


@contextmanager
def serving(simulators: Sequence[Simulator], port: int = 0) -> Iterator[str]:
    """Serve simulators on a loopback port, each below its prefix; yields the base URL.

    The list may grow while it is served. Raises at the end what broke inside a simulator.
    """
    handler = type("Handler", (_Handler,), {"simulators": simulators})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    for simulator in simulators:
        if simulator.broken:
            raise simulator.broken[0]


@contextmanager
def serve(simulator: Simulator) -> Iterator[str]:
    """Serve one simulator; yields its own base URL."""
    with serving([simulator]) as base:
        yield f"{base}/{simulator.prefix}"
