"""A stand-in for the editor, as harsh to its settings database as the real one, for tests."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher as Aes, algorithms, modes

from reconciler.errors import SecretError, SecretProblem
from reconciler.model import Sealed
from reconciler.secrets import Secret
from reconciler.systems.cursor import Running, State
from reconciler.systems.cursor.fresh import create_fresh_profile
from reconciler.systems.cursor.safestorage import Unreadable, derive

SETTINGS = (
    "src.vs.platform.reactivestorage.browser.reactiveStorageServiceImpl"
    ".persistentStorage.applicationUser"
)
NAMES = (
    "openAIKey",
    "claudeKey",
    "googleKey",
    "azureApiKey",
    "bedrockAccessKey",
    "bedrockSecretKey",
)
DDL = "CREATE TABLE IF NOT EXISTS ItemTable (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)"


def _aes(password: bytes):
    key = hashlib.pbkdf2_hmac("sha1", password, b"saltysalt", 1, 16)
    return Aes(algorithms.AES(key), modes.CBC(b" " * 16))


def encrypt(tag: bytes, password: bytes, text: str) -> str:
    pad = padding.PKCS7(128).padder()
    step = _aes(password).encryptor()
    plain = pad.update(text.encode()) + pad.finalize()
    data = tag + step.update(plain) + step.finalize()
    return json.dumps({"type": "Buffer", "data": list(data)}, separators=(",", ":"))


def decrypt(tag: bytes, password: bytes, cell: str) -> str:
    data = bytes(json.loads(cell)["data"])
    if not data:
        return ""
    password = b"peanuts" if data[:3] == b"v10" else password
    if data[:3] not in (b"v10", tag):
        raise ValueError("unknown tag")
    step = _aes(password).decryptor()
    unpad = padding.PKCS7(128).unpadder()
    plain = step.update(data[3:]) + step.finalize()
    return (unpad.update(plain) + unpad.finalize()).decode()


class FakeCursor:
    """One run of the editor: all rows go into memory at start, and out again when it quits."""

    def __init__(self, user_data: Path, *, tag=b"v11", password=b"keyring-secret", era="secret"):
        self.folder = user_data
        self.path = user_data / "User" / "globalStorage" / "state.vscdb"
        self.tag, self.password, self.era = tag, password, era
        self.memory: dict[str, str] = {}
        self.document: dict = {}

    def start(self) -> FakeCursor:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("PRAGMA user_version = 1")
            db.execute(DDL)
            self.memory = dict(db.execute("SELECT key, value FROM ItemTable"))
        for key, value in self.memory.items():
            assert isinstance(value, str), f"{key} is not TEXT: the editor would get a Buffer"
        try:
            self.document = json.loads(self.memory[SETTINGS])
        except ValueError:
            self.document = {}
        if self.era == "secret":
            self._promote()
        self._delete_undecryptable()
        self._migrate()
        (self.folder / "code.lock").write_text("4194000")
        return self

    def _promote(self) -> None:
        for name in NAMES:
            plain = self.memory.pop(f"cursorAuth/{name}", None)
            if plain and f"secret://cursorAuth/{name}" not in self.memory:
                cell = encrypt(self.tag, self.password, plain)
                self.memory[f"secret://cursorAuth/{name}"] = cell

    def _delete_undecryptable(self) -> None:
        for key in [key for key in self.memory if key.startswith("secret://")]:
            try:
                decrypt(self.tag, self.password, self.memory[key])
            except (ValueError, KeyError, TypeError):
                del self.memory[key]

    def _migrate(self) -> None:
        if not self.document.get("openAIBaseUrl"):
            self.document["openAIBaseUrl"] = None
        ai = self.document.get("aiSettings", {})
        known = {e["name"] for e in self.document.get("availableDefaultModels2", ())}
        known |= set(ai.get("userAddedModels", ()))
        for feature, config in ai.get("modelConfig", {}).items():
            if feature != "background-composer" and config["modelName"] not in known:
                config["modelName"] = "default"
        azure = self.document.get("azureState", {})
        if azure.get("baseUrl"):
            azure["baseUrl"] = "https://" + azure["baseUrl"].split("://")[-1].rstrip("/") + "/"
        if self.document.get("useOpenAIKey") and not self.key("openAIKey"):
            self.document["useOpenAIKey"] = False

    def key(self, name: str) -> str:
        """Return the key that the editor would send."""
        cell = self.memory.get(f"secret://cursorAuth/{name}")
        if cell is not None:
            return decrypt(self.tag, self.password, cell)
        return self.memory.get(f"cursorAuth/{name}", "")

    def log_in(self) -> None:
        """Do what account events do to the switch."""
        self.document["useOpenAIKey"] = False

    def quit(self) -> None:
        self.document["SPECIAL_KEY_lastUpdatedTimeInUnixSeconds"] = 1790000999.5
        text = json.dumps(self.document, separators=(",", ":"), ensure_ascii=False)
        self.memory[SETTINGS] = text
        with closing(sqlite3.connect(self.path)) as db, db:
            there = {key for (key,) in db.execute("SELECT key FROM ItemTable")}
            db.executemany(
                "DELETE FROM ItemTable WHERE key = ?", [(k,) for k in there - {*self.memory}]
            )
            db.executemany(
                "INSERT INTO ItemTable VALUES (?, ?) ON CONFLICT(key) DO UPDATE "
                "SET value = excluded.value WHERE value != excluded.value",
                list(self.memory.items()),
            )
        shutil.copy(self.path, self.path.with_name("state.vscdb.backup"))
        (self.folder / "code.lock").unlink()


class Keyring:
    """A key source with a given ``v11`` password; None stands for a locked keyring."""

    def __init__(self, password: bytes | None = b"keyring-secret"):
        self.password = password
        self.asked = 0

    def ciphers(self, prefix):
        self.asked += 1
        if prefix == "v10":
            return [derive("v10", b"peanuts", 1)]
        if self.password is None:
            raise Unreadable("set, unreadable: the keyring is locked", locked=True)
        return [derive("v11", self.password, 1)]

    def writable(self, prefix):
        return True


class FakeVault:
    """A vault over a dict of references; what it is told to keep can be looked at."""

    def __init__(self, values=None):
        self.values = dict(values or {})
        self.recorded: dict[str, str] = {}
        self.kept: dict[str, str] = {}

    def seal(self, refs):
        for ref in refs:
            if ref in self.values:
                return Sealed(self._mac(self.values[ref])[:12], ref)
        if any(ref.startswith("locked://") for ref in refs):
            raise SecretError(SecretProblem.LOCKED, refs[0], "locked", "unlock it")
        raise SecretError(SecretProblem.NO_ITEM, refs[0], "no such item", "make one")

    def reveal(self, sealed):
        return Secret(self.values[sealed.ref])

    def fingerprint(self, secret):
        return self._mac(secret.expose())[:12]

    def digest(self, cell):
        return self._mac("cell" + cell)[:16]

    def recall(self, digest):
        return self.recorded.get(digest)

    def keep(self, address, name, secret):
        ref = f"snapshot://{address}/{name}"
        self.kept[ref] = secret.expose()
        return ref

    def _mac(self, text):
        return hmac.new(b"test", text.encode(), "sha256").hexdigest()


def idle(_user_data: Path) -> Running:
    return Running(State.NO, "a test says so")


def profile(folder: Path, *, wal: bool = False) -> Path:
    """Return a fresh profile's user-data directory."""
    create_fresh_profile(folder)
    if wal:
        with closing(sqlite3.connect(database(folder))) as db:
            db.execute("PRAGMA journal_mode = WAL")
    return folder


def database(user_data: Path) -> Path:
    return user_data / "User" / "globalStorage" / "state.vscdb"


def rows(user_data: Path) -> dict[str, object]:
    with closing(sqlite3.connect(database(user_data))) as db:
        return dict(db.execute("SELECT key, value FROM ItemTable"))


def document(user_data: Path) -> dict:
    found = json.loads(str(rows(user_data)[SETTINGS]))
    assert isinstance(found, dict)
    return found


def put_rows(user_data: Path, values: dict[str, object]) -> None:
    with closing(sqlite3.connect(database(user_data))) as db, db:
        db.executemany("INSERT INTO ItemTable VALUES (?, ?)", list(values.items()))


KILLED_WRITER = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE ItemTable SET value = 'torn'")
db.executemany("INSERT INTO ItemTable VALUES (?, ?)", ((f"torn{n}", "x" * 900) for n in range(99)))
os.kill(os.getpid(), 9)
"""


def tear(user_data: Path) -> None:
    """Leave the database as a program does that is killed between two pages of one transaction."""
    path = database(user_data)
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False)
    assert path.with_name(path.name + "-journal").stat().st_size, "the kill came too early"


def merge(user_data: Path, **fields: object) -> None:
    """Set fields at the top of the settings document."""
    text = json.dumps({**document(user_data), **fields}, separators=(",", ":"))
    put_rows(user_data, {SETTINGS: text})


def image(user_data: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file's bytes and time of change, but for SQLite's shared-memory index."""
    return {
        str(path.relative_to(user_data)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(user_data.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }
