"""The rules that tests themselves obey: no network but this machine, no silent skip in CI."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

HERE = Path(__file__).resolve()


def test_no_foreign_address_can_be_reached():
    blocked = pytest.raises((SocketConnectBlockedError, UserWarning))  # 0.8 warns before it raises
    with blocked, socket.socket() as client:
        client.connect(("192.0.2.1", 443))


def test_no_foreign_name_is_looked_up():
    with pytest.raises(RuntimeError, match="address of api"):
        socket.create_connection(("api.openai.com", 443), timeout=1)


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("localhost", port), timeout=5).close()


@pytest.mark.parametrize(
    ("reason", "strict", "code"),
    [
        ("no sops here", "1", 1),
        ("no sops here", "0", 0),
        ("only on Windows: DPAPI", "1", 0),
    ],
)
def test_in_ci_a_skip_is_a_failure_unless_allowed(tmp_path, reason, strict, code):
    shutil.copy(HERE.parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        f"@pytest.mark.skip(reason={reason!r})\ndef test_a(): pass\n"
        f"def test_b(): pytest.skip({reason!r})\n"
        "def test_c(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "BYOK_CI": strict},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert (f"test_b: {reason}" in done.stdout) is (code == 1)
