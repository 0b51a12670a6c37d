"""A real Chromium as the judge of our cells: it reads what we wrote, and we read what it wrote."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from reconciler.secrets import Secret
from reconciler.systems.cursor.keysource import SecretService
from reconciler.systems.cursor.safestorage import Cipher, contents, derive, envelope, seal, unseal

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
KEYRING = shutil.which("gnome-keyring-daemon") and shutil.which("dbus-run-session")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
needs_keyring = pytest.mark.skipif(
    KEYRING is None, reason="gnome-keyring-daemon or dbus-run-session is not installed"
)


class Cookies(http.server.BaseHTTPRequestHandler):
    """Sets a cookie on /set, and tells which one it was sent on any other path."""

    def do_GET(self):
        self.send_response(200)
        if self.path == "/set":
            self.send_header("Set-Cookie", "probe=written-by-chromium; Max-Age=999999; Path=/")
        self.end_headers()
        self.wfile.write(f"<p>[{self.headers.get('Cookie', 'nothing')}]</p>".encode())

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def origin():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cookies) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def browse(folder: Path, store: str, url: str, env=None) -> str:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        f"--user-data-dir={folder}", f"--password-store={store}",
        "--virtual-time-budget=3000", "--dump-dom", url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=env, check=False)
    return done.stdout


@contextmanager
def cookies(folder: Path):
    """Yield the cookie database's connection, and the mark Chromium puts before each value."""
    with closing(sqlite3.connect(folder / "Default" / "Cookies")) as db, db:
        (host,) = db.execute("SELECT host_key FROM cookies WHERE name = 'probe'").fetchone()
        yield db, hashlib.sha256(host.encode()).digest()


class Marked:
    """Our ciphers, for values that begin with a binary mark, which no safeStorage value has."""

    def __init__(self, mark: bytes, cipher: Cipher):
        self.mark, self.cipher = mark, cipher

    def read(self, db) -> str:
        from reconciler.systems.cursor.safestorage import _open

        (data,) = db.execute("SELECT encrypted_value FROM cookies WHERE name = 'probe'").fetchone()
        assert data[:3].decode() == self.cipher.prefix
        plain = _open(self.cipher, data[3:])
        assert plain is not None
        assert plain.startswith(self.mark)
        text = plain[len(self.mark) :].decode()
        # The same bytes in the editor's envelope, without the mark, go through the front door.
        cell = seal(Secret(text), self.cipher)
        assert unseal(envelope(contents(cell)), _Only(self.cipher))[0].expose() == text
        return text

    def write(self, db, text: str) -> None:
        from reconciler.systems.cursor.safestorage import _close

        data = self.cipher.prefix.encode() + _close(self.cipher, self.mark + text.encode())
        db.execute("UPDATE cookies SET encrypted_value = ? WHERE name = 'probe'", (data,))


class _Only:
    def __init__(self, cipher):
        self.cipher = cipher

    def ciphers(self, prefix):
        return [self.cipher]

    def writable(self, prefix):
        return True


def both_ways(folder: Path, store: str, origin: str, cipher_of, env=None) -> None:
    browse(folder, store, f"{origin}/set", env)
    cipher = cipher_of()
    with cookies(folder) as (db, mark):
        assert Marked(mark, cipher).read(db) == "written-by-chromium"
        Marked(mark, cipher).write(db, "written-by-byok")
    assert "[probe=written-by-byok]" in browse(folder, store, f"{origin}/get", env)


def test_v10_without_a_keyring(tmp_path, origin):
    basic = SecretService({"password-store": "basic"}).ciphers("v10")[0]
    both_ways(tmp_path, "basic", origin, lambda: basic)


def test_a_wrong_cipher_is_not_forgiven(tmp_path, origin):
    """Why a cipher is proven before it is used: Chromium drops what it cannot open."""
    browse(tmp_path, "basic", f"{origin}/set")
    with cookies(tmp_path) as (db, mark):
        Marked(mark, derive("v10", b"wrong", 1)).write(db, "lost")
    assert "[nothing]" in browse(tmp_path, "basic", f"{origin}/get")


INSIDE = "BYOK_TEST_INSIDE_KEYRING"


@needs_keyring
def test_v11_with_gnome_keyring(tmp_path):
    """Run the test below again on a private bus with a private, unlocked keyring."""
    home = tmp_path / "home"
    for name in ("run", "data", "config"):
        (home / name).mkdir(parents=True, mode=0o700)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        INSIDE: str(home),
    }
    script = (
        'printf %s test-pass | gnome-keyring-daemon --unlock --components=secrets >&2; exec "$@"'
    )
    inner = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "inside",
        __file__,
    ]
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", script, "sh", *inner],
        env=env,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


if os.environ.get(INSIDE):

    def test_inside_our_item_is_found_and_chromiums_bytes_go_both_ways(tmp_path, origin):
        import secretstorage

        with closing(secretstorage.dbus_init()) as bus:
            collection = secretstorage.get_default_collection(bus)
            for application in ("Cursor", "chromium"):
                attributes = {
                    "application": application,
                    "xdg:schema": "chrome_libsecret_os_crypt_password_v2",
                }
                collection.create_item("Chromium Safe Storage", attributes, b"c2hhcmVkIGtleQ==")
        both_ways(
            tmp_path,
            "gnome-libsecret",
            origin,
            lambda: SecretService({}).ciphers("v11")[0],
            dict(os.environ),
        )

    def test_inside_a_locked_keyring_is_said_and_not_opened():
        import secretstorage

        from reconciler.systems.cursor.safestorage import Unreadable

        with closing(secretstorage.dbus_init()) as bus:
            collection = secretstorage.get_default_collection(bus)
            attributes = {
                "application": "Cursor",
                "xdg:schema": "chrome_libsecret_os_crypt_password_v2",
            }
            collection.create_item("Chromium Safe Storage", attributes, b"k", replace=True)
            collection.lock()
            with pytest.raises(Unreadable, match="locked"):
                SecretService({}).ciphers("v11")
            assert collection.is_locked()
