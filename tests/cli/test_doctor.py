"""The doctor from the command line: broken set-ups, each with its code and the right fix."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.doctor.codes import CODES as DOCTORS
from reconciler.manifest.codes import CODES
from reconciler.sandbox import age_key
from tests.cli.conftest import USER_ROW, Bench, Result
from tests.cursor_editor import FakeCursor, tear
from tests.simulators.server import Response
from tests.simulators.world import World, world

pytestmark = pytest.mark.timeout(240)
ON_LINE = {"BYOK_OFFLINE": "0"}
Change = Callable[[Bench], "dict[str, str] | None"]


def findings(done: Result) -> list[dict[str, str]]:
    assert done.code in (0, 2), done.err
    assert "Traceback" not in done.err
    assert done.document["format"] == "byok.doctor/1"
    checks: list[dict[str, str]] = done.document["checks"]
    assert not [one for one in checks if one["code"] == "BYOK200"]
    return checks


def bad(done: Result) -> list[dict[str, str]]:
    return [one for one in findings(done) if one["state"] in ("warning", "problem")]


def assert_found(done: Result, code: str, words: str) -> None:
    """The code is among what is bad, and the words are in its fix, cause or text."""
    assert done.code == 2, done.out
    found = [one for one in bad(done) if one["code"] == code]
    assert found, [(one["code"], one["what"]) for one in bad(done)]
    said = [f"{one['what']} | {one['cause']} | {one['fix']} | {one['where']}" for one in found]
    assert any(words in text for text in said), said
    assert all(one["fix"] and one["code"] for one in bad(done))


# --- Cursor


def no_cursor(byok):
    shutil.rmtree(byok.box.cursor)


def no_database(byok):
    byok.database.unlink()


def read_only(byok):
    byok.database.chmod(0o400)


def garbage(byok):
    byok.database.write_bytes(b"no database at all, and long enough for a header")


def other_version(byok):
    byok.sql("PRAGMA user_version=7")


def no_table(byok):
    byok.sql("ALTER TABLE ItemTable RENAME TO Elsewhere")


def damaged_pages(byok):
    data = byok.database.read_bytes()
    byok.database.write_bytes(data[:100] + b"\xff" * (len(data) - 100))


def torn_settings(byok):
    byok.sql("UPDATE ItemTable SET value='{\"useOpenAIKey\": tru' WHERE key=?", USER_ROW)


def never_started(byok):
    byok.sql("DELETE FROM ItemTable")


def put_aside(byok):
    byok.database.with_name("state.vscdb.corrupted.1790000000000").touch()


def stopped_in_the_middle(byok):
    byok.database.with_name("state.vscdb-journal").write_bytes(b"\0" * 512)


def killed_between_two_pages(byok):
    tear(byok.box.cursor)


def odd_lock(byok):
    (byok.box.cursor / "code.lock").write_text("not a number")


def private_build(byok):
    place = byok.box.cursor.with_name("Cursor Private Inference")
    byok.box.cursor.rename(place)
    return {"BYOK_CURSOR_DIR": str(place)}


def strangers_cells(byok):
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/openAIKey', 'sk-typed-by-hand')")
    FakeCursor(byok.box.cursor, tag=b"v11", password=b"nobody-here").start().quit()


def admin_says_no(byok):
    text = json.dumps({"byokDisabled": True})
    byok.sql("INSERT INTO ItemTable VALUES ('adminSettings.cached', ?)", text)


def nothing(byok):
    del byok


# --- byok's own state


def state_for_all(byok):
    folder = byok.box.folder / "state"
    folder.mkdir()
    folder.chmod(0o777)


def state_is_a_file(byok):
    (byok.box.folder / "state").touch()


def readable_by_others(byok):
    assert byok("apply", "--yes").code == 0
    (byok.box.folder / "state" / "ledger.db").chmod(0o644)


def broken_ledger(byok):
    assert byok("apply", "--yes").code == 0
    (byok.box.folder / "state" / "ledger.db").write_bytes(b"x" * 4096)


def ledger_journal(byok):
    assert byok("apply", "--yes").code == 0
    (byok.box.folder / "state" / "ledger.db-journal").write_bytes(b"\0" * 512)


def killed_run(byok):
    assert byok("apply", "--yes").code == 0
    with closing(sqlite3.connect(byok.box.folder / "state" / "ledger.db")) as db, db:
        db.execute("UPDATE run SET outcome='unfinished', ended=NULL")
        db.execute("UPDATE step SET state='started' WHERE id=(SELECT max(id) FROM step)")


def no_fingerprint_key(byok):
    assert byok("apply", "--yes").code == 0
    (byok.box.folder / "state" / "fingerprint.key").unlink()


def shared_fingerprint_key(byok):
    assert byok("plan").code == 0
    (byok.box.folder / "state" / "fingerprint.key").chmod(0o644)


# --- the manifest and its secrets


def unknown_key(byok):
    byok.edit("policy:", "polcy:")


def literal(byok):
    key = "sk-proj-" + "Q" * 58 + "T3Blbk" + "FJ" + "R" * 58
    byok.edit("key: sops://secrets/team.enc.yaml#/anthropic/key", f"key: {key}")


def not_yaml(byok):
    byok.box.manifest.write_text("version: [1\n")


def no_version_in_url(byok):
    byok.edit("https://llm.example.com/v1", "https://llm.example.com")


def private_endpoint(byok):
    byok.edit("https://llm.example.com/v1", "https://llm.corp/v1")
    byok.edit("    active: false\n", "")
    byok.edit(
        "  openai:\n    key: sops://secrets/team.enc.yaml#/openai/key\n",
        "  openai:\n    key: sops://secrets/team.enc.yaml#/openai/key\n    enabled: false\n",
    )


def no_identity(byok):
    byok.box.identity.unlink()


def identity_without_key(byok):
    byok.box.identity.write_text("# nothing\n")


def identity_for_all(byok):
    byok.box.identity.chmod(0o644)


def other_identity(byok):
    byok.box.identity.write_text(age_key()[0])


def edited_by_hand(byok):
    path = byok.box.manifest.parent / "secrets/team.enc.yaml"
    text = path.read_text()
    path.write_text(re.sub(r"^gateway:\n +key: .*\n", "", text, flags=re.MULTILINE))


def no_sops_file(byok):
    (byok.box.manifest.parent / "secrets/team.enc.yaml").unlink()


def other_rule(byok):
    (byok.box.manifest.parent / ".sops.yaml").write_text(
        f"creation_rules:\n  - path_regex: nowhere\n    age: x\n  - age: {age_key()[1]}\n"
    )


def broken_rules(byok):
    (byok.box.manifest.parent / ".sops.yaml").write_text("creation_rules: [\n")


def no_rule(byok):
    (byok.box.manifest.parent / ".sops.yaml").write_text(
        "creation_rules:\n  - path_regex: ^elsewhere/\n    age: x\n"
    )


def program(byok, name: str, text: str) -> dict[str, str]:
    folder = byok.box.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def abandoned_sops(byok):
    return program(byok, "sops", "echo 'sops 1.18'")


ANTHROPIC = "key: sops://secrets/team.enc.yaml#/anthropic/key"


def no_keyring(byok):
    byok.edit(ANTHROPIC, "key: keyring://byok/anthropic")
    return {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def unset_variable(byok):
    byok.edit(ANTHROPIC, "key: env://NO_SUCH_KEY_HERE")


def no_such_pointer(byok):
    byok.edit("#/anthropic/key", "#/anthropic/kee")


def shared_file(byok):
    byok.edit(ANTHROPIC, "key: file://key.txt")
    path = byok.box.manifest.parent / "key.txt"
    path.write_text("sk-ant-api03-" + "a" * 93 + "AA")
    path.chmod(0o644)


def two_lines(byok):
    byok.edit(ANTHROPIC, "key: env://TWO_LINES")
    return {"TWO_LINES": "sk-ant-one\nsk-ant-two"}


def wrong_shape(byok):
    byok.edit("#/anthropic/key", "#/google/key")


# --- the network


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def no_proxy_there(byok):
    byok.box.manifest.write_text("version: 1\n")  # no account: nothing leaves this machine
    proxy = f"http://user:canary-of-a-proxy@127.0.0.1:{free_port()}"
    return {**ON_LINE, "HTTPS_PROXY": proxy}


def odd_proxy(byok):
    del byok
    return {"HTTPS_PROXY": "socks5://127.0.0.1:1"}


def no_certificates(byok):
    del byok
    return {"SSL_CERT_FILE": "/no/such/file.pem"}


def careless_cursor(byok):
    (byok.box.cursor / "User" / "settings.json").write_text(
        '{\n // a comment\n "http.proxyStrictSSL": false,\n}\n'
    )


BROKEN: list[tuple[Change, str, str]] = [
    (no_cursor, "BYOK201", "start Cursor once"),
    (no_database, "BYOK202", "start Cursor once"),
    (read_only, "BYOK203", "chmod u+w"),
    (garbage, "BYOK205", "quit Cursor"),
    (other_version, "BYOK205", "newer byok"),
    (no_table, "BYOK205", "quit Cursor"),
    (damaged_pages, "BYOK205", "quit Cursor"),
    (torn_settings, "BYOK206", "without a good copy"),
    (never_started, "BYOK206", "start Cursor once and quit it"),
    (put_aside, "BYOK208", "byok apply"),
    (stopped_in_the_middle, "BYOK209", "start Cursor and quit it"),
    (killed_between_two_pages, "BYOK209", "byok apply takes that back"),
    (odd_lock, "BYOK210", "remove code.lock"),
    (private_build, "BYOK211", "--cursor-dir"),
    (strangers_cells, "BYOK212", "clear the key in Cursor's settings"),
    (admin_says_no, "BYOK115", "ask the admin"),
    (nothing, "BYOK213", "byok apply"),
    (state_for_all, "BYOK220", "chmod 700"),
    (state_is_a_file, "BYOK220", "--state-dir"),
    (readable_by_others, "BYOK221", "chmod 600"),
    (broken_ledger, "BYOK222", "move it away"),
    (ledger_journal, "BYOK222", "byok status"),
    (killed_run, "BYOK223", "byok apply goes on"),
    (no_fingerprint_key, "BYOK225", "restore it"),
    (shared_fingerprint_key, "BYOK225", "chmod 600"),
    (unknown_key, "BYOK003", "did you mean"),
    (literal, "BYOK004", "byok.yaml:11:10"),
    (not_yaml, "BYOK001", "byok.yaml:2:1"),
    (no_version_in_url, "BYOK104", "/v1"),
    (private_endpoint, "BYOK103", "public https address"),
    (no_identity, "BYOK232", "SOPS_AGE_KEY_FILE"),
    (identity_without_key, "BYOK232", "age-keygen"),
    (identity_for_all, "BYOK233", "chmod 600"),
    (other_identity, "BYOK234", "sops updatekeys secrets/team.enc.yaml"),
    (edited_by_hand, "BYOK234", "MAC does not match"),
    (no_sops_file, "BYOK240", "right file"),
    (other_rule, "BYOK235", "sops updatekeys secrets/team.enc.yaml"),
    (broken_rules, "BYOK236", "mend it"),
    (no_rule, "BYOK236", "add a rule"),
    (abandoned_sops, "BYOK231", "first on PATH"),
    (no_keyring, "BYOK237", "start a keyring"),
    (no_keyring, "BYOK241", "start a keyring"),
    (unset_variable, "BYOK240", "set NO_SUCH_KEY_HERE"),
    (no_such_pointer, "BYOK240", "sops edit"),
    (shared_file, "BYOK242", "chmod 600"),
    (two_lines, "BYOK242", "on one line"),
    (wrong_shape, "BYOK111", "right item"),
    (no_proxy_there, "BYOK250", "correct HTTPS_PROXY"),
    (odd_proxy, "BYOK250", "correct HTTPS_PROXY"),
    (no_certificates, "BYOK251", "unset it"),
    (careless_cursor, "BYOK252", "remove http.proxyStrictSSL"),
]


@pytest.mark.parametrize(
    ("change", "code", "words"), BROKEN, ids=lambda v: getattr(v, "__name__", "")
)
def test_a_broken_set_up_is_found_with_its_fix(byok, change, code, words):
    extra = change(byok) or {}
    before = tree(byok.box.folder)
    done = byok("doctor", "--json", **extra)
    assert_found(done, code, words)
    assert "canary-of-a-proxy" not in done.out + done.err
    assert "QQQQ" not in done.out + done.err
    assert tree(byok.box.folder) == before


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its mode and bytes."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


# --- addresses


@contextmanager
def listening(answer: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve the same bytes to whoever connects."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            try:
                wrapped = tls.wrap_socket(line, server_side=True) if tls else line
                wrapped.recv(4096)
                wrapped.sendall(answer)
                wrapped.close()
            except OSError:
                line.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def self_signed(folder: Path) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    (folder / "cert.pem").write_bytes(
        made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem")
    return context


def endpoint(byok: Bench, url: str, more: str = "") -> None:
    byok.box.manifest.write_text(
        f"version: 1\nendpoints:\n  here: {{type: custom, base_url: '{url}'{more}}}\n"
    )


HTTP = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def test_a_port_where_nothing_listens(byok):
    endpoint(byok, f"http://127.0.0.1:{free_port()}/v1")
    assert_found(byok("doctor", "--json", **ON_LINE), "BYOK261", "start the server")


def test_a_server_that_speaks_no_tls(byok):
    with listening(HTTP) as port:
        endpoint(byok, f"https://127.0.0.1:{port}/v1")
        assert_found(byok("doctor", "--json", **ON_LINE), "BYOK264", "scheme and port")


def test_a_server_that_speaks_no_http(byok):
    with listening(b"220 mail.example ESMTP\r\n") as port:
        endpoint(byok, f"http://127.0.0.1:{port}/v1")
        assert_found(byok("doctor", "--json", **ON_LINE), "BYOK264", "scheme, port and path")


def test_a_certificate_that_nobody_vouches_for(byok, tmp_path):
    with listening(HTTP, self_signed(tmp_path)) as port:
        endpoint(byok, f"https://127.0.0.1:{port}/v1")
        done = byok("doctor", "--json", **ON_LINE)
    assert_found(done, "BYOK263", "SSL_CERT_FILE")
    assert_found(done, "BYOK263", "nobody vouches for it but itself")


def test_a_server_that_answers_is_well_and_out_of_cursors_reach(byok):
    with listening(HTTP) as port:
        endpoint(byok, f"http://127.0.0.1:{port}/v1")
        done = byok("doctor", "--json", **ON_LINE)
    (one,) = [one for one in findings(done) if one["check"] == "network/here"]
    assert one["state"] == "ok"
    assert_found(done, "BYOK103", "public https address")


def test_an_address_that_nobody_approved_is_left_alone(byok):
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        endpoint(byok, f"http://127.0.0.1:{server.getsockname()[1]}/v1", ", key: env://KEY")
        done = byok("doctor", "--json", KEY="sk-canary-0123456789", **ON_LINE)
        with suppress(BlockingIOError):
            seen.append(server.accept())
    assert seen == []
    assert_found(done, "BYOK123", "--allow-origin")
    (one,) = [one for one in findings(done) if one["check"] == "network/here"]
    assert one["state"] == "skipped"
    assert one["what"].startswith("not checked, because nobody approved")


def test_a_key_that_was_never_asked_to_leave_the_machine_does_not(byok):
    """Off line nothing connects, not even to this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        endpoint(byok, f"{url}/v1")
        done = byok("doctor", "--json", "--offline", HTTPS_PROXY=url)
        with pytest.raises(BlockingIOError):
            server.accept()
    for check in ("network/here", "keys/here", "network/clock", "network/proxy"):
        (one,) = [one for one in findings(done) if one["check"] == check]
        assert one["state"] == "skipped"
        assert "--offline leaves" in one["what"]


# --- accounts


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[World, Bench]]:
    with world() as here:
        yield here, Bench(here.sandbox(tmp_path / "box"))


def approved(here: World) -> tuple[str, ...]:
    secure = here.base.replace("http:", "https:")
    return ("--allow-origin", here.base, "--allow-origin", secure)


def says(status: int, body: Any = None) -> dict[str, Any]:
    return {"how": "answer", "times": 10_000, "response": Response(status, body or {})}


MODELS = {"path": "/*models*"}
GUIDE: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("401 Unauthorized", "openai", says(401), "BYOK131", "make a new key"),
    ("401 at Anthropic", "anthropic", says(401), "BYOK131", "make a new key"),
    (
        "429 Rate Limited",
        "openai",
        says(429, {"error": {"code": "rate_limit_exceeded"}}),
        "BYOK135",
        "higher rate limit",
    ),
    (
        "429 that is a spent limit",
        "openai",
        says(429, {"error": {"code": "insufficient_quota"}}),
        "BYOK134",
        "raise the limit",
    ),
    ("403 Forbidden", "anthropic", says(403), "BYOK132", "give the key"),
    ("Azure connection refused", "azure", says(404), "BYOK136", "compare"),
    ("a captive portal", "google", {"how": "html", "times": 10_000}, "BYOK137", "captive portal"),
    ("a provider that is down", "litellm", says(500), "BYOK138", "status page"),
]


@pytest.mark.parametrize(
    ("row", "prefix", "fault", "code", "fix"), GUIDE, ids=lambda v: str(v)[:25]
)
def test_each_row_of_the_guides_table(fleet, row, prefix, fault, code, fix):
    here, bench = fleet
    one = next(each for each in here.simulators if each.prefix == prefix)
    one.inject(**fault)
    done = bench("doctor", "--json", *approved(here))
    name = "gateway" if prefix == "litellm" else prefix
    assert_found(done, code, fix)
    assert f"keys/{name}" in [each["check"] for each in bad(done) if each["code"] == code]
    others = [each for each in bad(done) if each["check"].startswith("keys/")]
    assert {each["check"] for each in others} == {f"keys/{name}"}, row


def test_a_model_that_the_key_may_not_use(fleet):
    here, bench = fleet
    bench.edit("  gpt-4o: { provider: openai }", "  gpt-99: { provider: openai }")
    assert_found(bench("doctor", "--json", *approved(here)), "BYOK132", "correct the id")


def test_an_admin_key_in_place_of_an_ordinary_one(fleet):
    here, bench = fleet
    bench.edit("#/openai/key", "#/openai/admin")
    assert_found(bench("doctor", "--json", *approved(here)), "BYOK130", "ordinary key in key")


def test_an_account_whose_admin_key_is_gone(fleet):
    here, bench = fleet
    bench.edit("#/openai/admin", "#/openai/nobody")
    done = bench("doctor", "--accounts", "--json", *approved(here))
    assert_found(done, "BYOK270", "sops edit")


def test_all_accounts_well_and_nothing_written_there(fleet):
    here, bench = fleet
    done = bench("doctor", "--accounts", "--json", *approved(here))
    found = findings(done)
    assert {one["code"] for one in bad(done)} <= {"BYOK213", "BYOK116"}, bad(done)
    assert [each.writes() for each in here.simulators] == [[]] * len(here.simulators)
    for name in ("openai", "anthropic", "google", "azure", "bedrock", "gateway"):
        states = {one["state"] for one in found if one["check"] == f"keys/{name}"}
        assert "ok" in states, name
    spent = {one["check"]: one for one in found if one["check"].startswith("budgets/")}
    assert "of 300.00 USD spent this month" in spent["budgets/anthropic"]["what"]


def test_no_key_of_any_account_is_in_any_output(fleet):
    here, bench = fleet
    here.openai.inject(**says(401))
    values = [text for group in here.keys.values() for text in group.values()]
    for args in (("--json",), ("-v",), ("--accounts", "-v")):
        done = bench("doctor", *args, *approved(here))
        assert done.code == 2
        assert not [value for value in values if value in done.out + done.err]


# --- the whole


def test_a_healthy_sandbox_has_nothing_to_mend(applied):
    before = tree(applied.box.folder)
    done = applied("doctor", "--json")
    assert done.code == 0, bad(done)
    assert bad(done) == []
    assert tree(applied.box.folder) == before
    (one,) = [one for one in findings(done) if one["check"] == "plan/cursor"]
    assert "wait for Cursor's next start" in one["what"]
    counts = done.document["summary"]
    assert counts["problem"] == counts["warning"] == 0
    assert counts["ok"] > 20


def test_after_cursors_start_and_another_apply_all_is_well(applied):
    FakeCursor(applied.box.cursor, tag=b"v10", password=b"peanuts").start().quit()
    assert applied("apply", "--yes").code == 0
    done = applied("doctor", "--json")
    assert [one["code"] for one in bad(done)] in ([], ["BYOK122", "BYOK122"]), bad(done)
    (one,) = [one for one in findings(done) if one["check"] == "cursor/safe storage"]
    assert "opened one of Cursor's own rows (v10)" in one["what"]


def test_what_moved_since_is_told_apart_from_what_was_never_there(applied):
    applied.change(useOpenAIKey=False)
    done = applied("doctor", "--json")
    (one,) = bad(done)
    assert one["what"].startswith("moved since byok wrote it: cursor/provider/openai")


def test_a_busy_database_is_named_within_its_deadline(byok):
    with closing(sqlite3.connect(byok.database, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert_found(byok("doctor", "--json"), "BYOK204", "quit Cursor")


def test_without_a_manifest_the_machine_is_looked_at(byok, tmp_path):
    byok.box.manifest.unlink()
    done = byok("doctor", "--json")
    assert done.code == 0, bad(done)
    found = {one["check"]: one for one in findings(done)}
    assert found["cursor/database"]["state"] == "ok"
    assert found["manifest/valid"]["state"] == "skipped"
    assert found["keys/accounts"]["what"].startswith("not checked, because there is no byok.yaml")
    named = byok("doctor", "--json", "-f", "elsewhere.yaml")
    assert_found(named, "BYOK001", "--manifest")


def test_a_manifest_that_is_a_pipe_hangs_nobody(byok):
    byok.box.manifest.unlink()
    os.mkfifo(byok.box.manifest)
    assert_found(byok("doctor", "--json", "--accounts"), "BYOK001", "--manifest")


def test_with_no_cursor_the_rest_is_looked_at(fleet):
    here, bench = fleet
    shutil.rmtree(bench.box.cursor)
    here.openai.inject(**says(401))
    done = bench("doctor", "--json", *approved(here))
    assert {one["code"] for one in bad(done)} == {"BYOK201", "BYOK131"}
    found = {one["check"]: one for one in findings(done)}
    assert found["cursor/database"]["what"] == "not checked, because there is no Cursor here"
    assert found["keys/anthropic"]["state"] == "ok"


def test_what_an_earlier_failure_hides_is_never_called_ok(byok):
    (byok.box.folder / "state").mkdir(mode=0o700)
    (byok.box.folder / "state" / "ledger.db").write_bytes(b"x" * 4096)
    garbage(byok)
    found = {one["check"]: one for one in findings(byok("doctor", "--json"))}
    for check in ("cursor/era", "cursor/admin", "cursor/safe storage", "plan/cursor"):
        assert found[check]["state"] == "skipped", check
    assert found["byok/unfinished"]["what"] == "not checked, because the ledger cannot be read"
    assert found["keys/accounts"]["state"] == "skipped"


def test_a_wrong_system_is_a_wrong_command_line(byok):
    assert byok("doctor", "--system", "nosuch").code == 64


def test_outside_a_terminal_each_check_is_one_line(byok):
    put_aside(byok)
    done = byok("doctor")
    lines = done.out.splitlines()
    assert lines[0] == f"ok cursor/found: {byok.box.cursor}"
    (line,) = [line for line in lines if "BYOK208" in line]
    assert re.fullmatch(r"warning BYOK208 cursor/replaced: .+; cause: .+; fix: .+", line)
    assert re.fullmatch(r"0 problems, 2 warnings, \d+ ok, \d+ not checked", lines[-1])
    assert "\x1b" not in done.out


def on_a_terminal(byok: Bench, columns: int, *args: str, **extra: str) -> tuple[int, str]:
    """Run byok on a pseudo-terminal so wide; return its exit code and all that it printed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *args],
        cwd=byok.box.manifest.parent,
        env={**byok.environment(extra), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    return child.wait(60), b"".join(parts).decode()


@pytest.mark.parametrize("extra", [{}, {"NO_COLOR": "1"}], ids=["colours", "none"])
def test_on_a_terminal_of_60_columns_it_is_a_table(byok, extra):
    put_aside(byok)
    other_identity(byok)
    code, text = on_a_terminal(byok, 60, "doctor", **extra)
    assert code == 2
    assert ("\x1b[" in text) is (not extra)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 60
    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads[0] == "cursor"
    assert "secrets" in heads
    assert any(line.startswith("  problem  files: secrets/team.enc.yaml") for line in lines)
    assert any(line.startswith("           fix: ") for line in lines)
    assert not [line for line in lines if line != line.rstrip()]


def test_verbose_shows_more(byok):
    _, short = on_a_terminal(byok, 100, "doctor", NO_COLOR="1")
    _, long = on_a_terminal(byok, 100, "doctor", "-v", NO_COLOR="1")
    assert len(long) > len(short)


# --- explain


@pytest.mark.parametrize("code", sorted({**CODES, **DOCTORS}))
def test_every_code_can_be_explained(code):
    from reconciler.doctor.explain import explain

    section = explain(code)
    assert section.title == {**CODES, **DOCTORS}[code]
    assert len(section.text) > 10
    assert "###" not in section.text
    assert "](" not in section.text


@pytest.mark.parametrize("given", ["BYOK104", "byok104", "104"])
def test_a_code_is_explained_however_it_is_written(byok, given):
    done = byok("doctor", "--explain", given)
    assert done.code == 0
    assert done.out.startswith("BYOK104: the base URL names no API version\n")
    assert "/chat/completions" in done.out


def test_an_unknown_code_is_64_with_the_nearest(byok):
    done = byok("doctor", "--explain", "BYOK1044")
    assert done.code == 64
    assert "did you mean BYOK104" in done.err
    assert byok("doctor", "--explain", "nonsense").code == 64


def test_an_explanation_as_json(byok):
    document = byok("doctor", "--explain", "BYOK213", "--json").document
    assert document["format"] == "byok.explain/1"
    assert document["code"] == "BYOK213"


def test_a_file_that_cannot_be_decrypted_is_said_once_and_not_for_each_key(byok):
    done = byok("doctor", "--offline", "--json", SOPS_AGE_KEY_FILE="/nowhere")
    found = [each for each in done.document["checks"] if each["code"] == "BYOK234"]
    assert [each["check"] for each in found] == ["secrets/files"]
    keys = [each for each in done.document["checks"] if each["check"] == "secrets/openai key"]
    assert [each["state"] for each in keys] == ["skipped"]
    assert "secrets/team.enc.yaml cannot be decrypted" in keys[0]["what"]
