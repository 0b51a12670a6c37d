"""Real servers of the OpenAI shape: aimock, with faults it makes itself, and a LiteLLM proxy."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

import httpx
import pytest

from reconciler.session import reading
from tests.unit.accounts import options, write_manifest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

START = 120.0
GOOD = "good" + "-key-of-a-test"
MASTER = "sk-" + "Qm7vT2xLw9Zr4KpBdN8cYe"


@contextmanager
def running(command, port, alive, **env):
    """Run a server until it answers; yields its base URL."""
    base = f"http://127.0.0.1:{port}"
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    server = subprocess.Popen(command, env={**os.environ, **env}, **quiet)
    try:
        deadline = time.monotonic() + START
        while not answers(base + alive):
            assert server.poll() is None, "the server ended before it was ready"
            assert time.monotonic() < deadline, "the server was not ready in time"
            time.sleep(0.3)
        yield base
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def answers(url):
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def aimock(folder, *flags):
    program = os.environ.get("BYOK_AIMOCK") or shutil.which("llmock")
    if program is None:
        pytest.skip("needs llmock (npm): npm i @copilotkit/aimock, on PATH or in BYOK_AIMOCK")
    fixture = {"match": {"userMessage": "Say ok."}, "response": {"content": "ok"}}
    models = folder / "fixtures.json"
    models.write_text(json.dumps({"fixtures": [fixture]}))
    port = free_port()
    command = [program, "-p", str(port), "-f", str(models), *flags]
    with running(command, port, "/health", AIMOCK_API_KEYS=GOOD) as base:
        yield base


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    with aimock(tmp_path_factory.mktemp("aimock")) as base:
        yield base


def look(folder, base, type_, path, key=GOOD, models=(), probes=()):
    entry = {"type": type_, "base_url": base + path}
    entry |= {"key": "file://keys/key"} if key else {}
    data = {"endpoints": {"gw": entry}, "models": {name: {"endpoint": "gw"} for name in models}}
    write_manifest(folder, data, {"key": key} if key else {})
    with reading(options(folder, base, probes=frozenset(probes))) as session:
        return session.account("gw", judged=False).actual()


def said(actual):
    return {str(seen.address): seen.text for seen in actual.observations}


def codes(actual):
    return [finding.code for finding in actual.diagnostics]


SHAPES = [
    ("custom", "/v1"),
    ("groq", "/v1"),
    ("vllm", "/v1"),
    ("lmstudio", "/v1"),
    ("openrouter", "/api/v1"),
]


@pytest.mark.parametrize(("type_", "path"), SHAPES)
def test_a_good_key_lives(mock, tmp_path, type_, path):
    seen = look(tmp_path, mock, type_, path)
    assert codes(seen) == []
    assert any(word in said(seen)["gw/key/gw"] for word in ("accepts the key", "alive"))


@pytest.mark.parametrize(("type_", "path"), SHAPES)
def test_a_bad_key_is_dead(mock, tmp_path, type_, path):
    assert codes(look(tmp_path, mock, type_, path, key="bad" + GOOD)) == ["BYOK131"]


@pytest.mark.parametrize("type_", ["custom", "vllm"])
def test_no_key_where_one_is_asked_for(mock, tmp_path, type_):
    seen = look(tmp_path, mock, type_, "/v1", key="")
    assert codes(seen) == ["BYOK131"]
    assert "none is named" in seen.diagnostics[0].message


def test_another_server_than_the_declared_is_told(mock, tmp_path):
    assert codes(look(tmp_path, mock, "ollama", "/v1")) == ["BYOK136"]


def test_a_real_completion_answers(mock, tmp_path):
    (model,) = (row["id"] for row in listed(mock, GOOD)[:1])
    seen = look(tmp_path, mock, "custom", "/v1", models=[model], probes=["generate"])
    assert codes(seen) == []
    assert said(seen)[f"gw/model/{model}"] == "answered a real request"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (("--chaos-drop", "1"), "BYOK138"),
        (("--chaos-disconnect", "1"), "BYOK138"),
        (("--chaos-ratelimit", "1"), "BYOK135"),
    ],
)
def test_faults_in_a_completion_are_told_as_what_they_are(tmp_path, flags, found):
    """It makes faults in completions only, and a completion is never sent twice."""
    with aimock(tmp_path, *flags) as base:
        seen = look(tmp_path, base, "custom", "/v1", models=["m"], probes=["generate"])
    assert found in codes(seen)


def listed(base, key):
    answer = httpx.get(f"{base}/v1/models", headers={"authorization": f"Bearer {key}"})
    return answer.json()["data"]


CONFIG = """\
model_list:
  - model_name: acme-coder
    litellm_params: {model: openai/gpt-4o, api_key: none, mock_response: ok}
general_settings:
  master_key: os.environ/BYOK_TEST_MASTER
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """A real proxy without a database: it knows no virtual keys."""
    program = os.environ.get("BYOK_LITELLM")
    if not program:
        pytest.skip("only where BYOK_LITELLM names the program of litellm[proxy]")
    config = tmp_path_factory.mktemp("litellm") / "config.yaml"
    config.write_text(CONFIG)
    port = free_port()
    command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "BYOK_TEST_MASTER": MASTER}
    with running(command, port, "/health/liveliness", **env) as base:
        yield base


def test_a_real_proxy_tells_its_models(proxy, tmp_path):
    seen = look(tmp_path, proxy, "litellm", "/v1", MASTER, models=["acme-coder", "nope"])
    assert said(seen)["gw/model/acme-coder"] == "available to this key"
    assert "without a database" in said(seen)["gw/server/gw"]
    assert codes(seen) == ["BYOK132"]


def test_a_real_proxy_without_a_database_refuses_other_keys(proxy, tmp_path):
    assert codes(look(tmp_path, proxy, "litellm", "/v1", "sk-" + "nobody" * 4)) == ["BYOK131"]


def test_a_real_proxy_answers_a_real_request(proxy, tmp_path):
    models = ["acme-coder"]
    seen = look(tmp_path, proxy, "litellm", "/v1", MASTER, models=models, probes=["generate"])
    assert codes(seen) == []
    assert said(seen)["gw/model/acme-coder"] == "answered a real request"


def test_a_real_proxy_says_of_an_unknown_model_what_it_is(proxy, tmp_path):
    seen = look(tmp_path, proxy, "litellm", "/v1", MASTER, models=["nope"], probes=["generate"])
    assert codes(seen) == ["BYOK132", "BYOK132"]


def test_a_real_proxy_without_a_database_is_only_observed(proxy, tmp_path):
    entry = {
        "type": "litellm",
        "base_url": f"{proxy}/v1",
        "key": "file://keys/key",
        "admin_key": "file://keys/key",
        "team": {"name": "cursor-byok"},
    }
    write_manifest(tmp_path, {"endpoints": {"gw": entry}}, {"key": MASTER})
    with reading(options(tmp_path, proxy)) as session:
        seen = session.account("gw", judged=True).actual()
    assert set(seen.closed) == {"team", "spend-limit", "key"}
    assert codes(seen) == []
