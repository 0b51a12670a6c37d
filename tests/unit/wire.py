"""Servers on the loopback that misbehave on purpose, byte by byte, and count what they got."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.secrets import Secret
from reconciler.systems.account import Dialect
from reconciler.systems.account.door import Door
from reconciler.systems.account.signing import bearer

KEY = "sk-" + "canary" * 5
"""No provider's key, and easy to find in any output."""


@dataclass
class Wire:
    """What one server saw: ``seen`` holds the head and body of each request, ``sent`` the bytes."""

    port: int = 0
    host: str = "127.0.0.1"
    lines: int = 0
    seen: list[bytes] = field(default_factory=list)
    sent: int = 0
    over: bool = False

    @property
    def base(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [request.split(b" ", 2)[1].decode() for request in self.seen]


Speak = Callable[[socket.socket, Wire], None]
"""Answers the one request of a line, which is the last of ``seen``."""


@contextmanager
def listening(
    speak: Speak,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    hears: bool = True,
) -> Iterator[Wire]:
    """Serve one request a line, each line in a thread of its own; or speak unasked."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    threads: list[threading.Thread] = []
    wire = Wire(host=host)

    def serve(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.settimeout(20)
            talk = tls.wrap_socket(line, server_side=True) if tls else line
            with talk:
                request = _request(talk) if hears else b""
                if request:
                    wire.seen.append(request)
                if request or not hears:
                    speak(talk, wire)

    def accept() -> None:
        while not wire.over:
            with suppress(OSError):
                line, _ = server.accept()
                wire.lines += 1
                threads.append(threading.Thread(target=serve, args=(line,)))
                threads[-1].start()

    with socket.create_server((host, 0), family=family) as server:
        server.settimeout(0.05)
        wire.port = server.getsockname()[1]
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield wire
        finally:
            wire.over = True
            acceptor.join()
            for thread in threads:
                thread.join()


def _request(line: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = line.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    names = dict(row.lower().split(b": ", 1) for row in head.split(b"\r\n")[1:])
    left = int(names.get(b"content-length", b"0")) - len(body)
    while left > 0:
        more = line.recv(65536)
        data, left = data + more, left - len(more)
    return data


def says(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> Speak:
    """Answer properly, and the same for ever; an underscore in a header's name is a hyphen."""
    named = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    rows = (f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value)
    head = "\r\n".join([f"HTTP/1.1 {status}", *rows, "connection: close", "", ""]).encode()

    def speak(line: socket.socket, wire: Wire) -> None:
        line.sendall(head + body)
        wire.sent += len(body)

    return speak


def in_turn(*speakers: Speak) -> Speak:
    """Answer each request in another way; the last one for ever."""

    def speak(line: socket.socket, wire: Wire) -> None:
        speakers[min(len(wire.seen), len(speakers)) - 1](line, wire)

    return speak


def drops(_line: socket.socket, _wire: Wire) -> None:
    """Close the line without a word."""


def half(line: socket.socket, _wire: Wire) -> None:
    line.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"data": [')


def silent(_line: socket.socket, wire: Wire) -> None:
    while not wire.over:
        time.sleep(0.01)


def dripping(line: socket.socket, wire: Wire) -> None:
    """Send one byte after the other, each well within the time to wait for a byte."""
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not wire.over:
        line.sendall(b" ")
        time.sleep(0.01)


def endless(line: socket.socket, wire: Wire) -> None:
    """Send a body of 100 MB, as far as it is wanted."""
    line.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{"data": "')
    for _ in range(1000):
        line.sendall(b"x" * 100_000)
        wire.sent += 100_000


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """Make a self-signed certificate for these hosts; return the server's side and its file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


def _alternative(name: str):
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def tunnel(port: int) -> Speak:
    """Be a proxy that connects whatever is asked for with a port of this machine."""

    def speak(line: socket.socket, _wire: Wire) -> None:
        line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as onward:
            back = threading.Thread(target=_pour, args=(onward, line))
            back.start()
            _pour(line, onward)
            back.join()

    return speak


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def talking(base: str, dialect: Dialect | None = None, *, write: bool = False, key: str = KEY):
    """Open a client of a door of its own."""
    door = Door(write=write)
    try:
        yield door.connect(base, dialect or Dialect("Acme"), bearer(Secret(key)))
    finally:
        door.close()
