"""Where a key may go: origins are compared as a strict reader sees them, and vendors are few."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model import Action, Address, Cause, Change, Edit, Sealed
from reconciler.origins import BUILT_IN, Pairing, built_in, origin, unapproved
from reconciler.spec import Endpoint, Manifest, Provider

OPENAI = Address("cursor", "provider", "openai")
AZURE = Address("cursor", "provider", "azure")
REF = "sops://secrets/team.enc.yaml#/gateway/key"
KEY = Sealed("9f2c61d0a4b1", REF)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://llm.example/v1", "https://llm.example"),
        ("HTTPS://LLM.Example:443/v1", "https://llm.example"),
        ("http://llm.example:80", "http://llm.example"),
        ("https://llm.example:80/v1", "https://llm.example:80"),
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434"),
        ("http://[::1]:1234/v1", "http://[::1]:1234"),
        ("https://llm.example/@team", "https://llm.example"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, expected):
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "llm.example/v1",
        "/v1",
        "https://",
        "https://llm.example:99999",
        "https://llm.example:x",
        "https://[::1",
        "https://user@llm.example",
        "https://evil.example\\@api.groq.com/v1",
        "https://evil.example\\.openai.azure.com/v1",
        "https://api.groq.com\n.evil.example",
        "https://api.groq.com .evil.example",
        "https://api.groq.com\x00.evil.example",
    ],
)
def test_what_has_two_meanings_or_none_is_no_origin(url):
    with pytest.raises(ValueError):
        origin(url)


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        ("azure", "https://acme.openai.azure.com", True),
        ("azure", "https://acme.services.ai.azure.com/models", True),
        ("azure", "https://acme.openai.azure.com.evil.example", False),
        ("azure", "https://evilopenai.azure.com", False),
        ("azure", "https://openai.azure.com", False),
        ("azure", "http://acme.openai.azure.com", False),
        ("azure", "https://acme.openai.azure.com:8443", False),
        ("groq", "https://api.groq.com/openai/v1", True),
        ("groq", "https://API.GROQ.COM:443/openai/v1", True),
        ("groq", "https://x.api.groq.com", False),
        ("groq", "https://api.groq.com.", False),
        ("together", "https://api.groq.com", False),
        ("litellm", "https://api.groq.com", False),
        ("custom", "https://api.openai.com/v1", False),
    ],
)
def test_a_vendor_is_known_by_its_own_hosts_only(kind, url, expected):
    assert built_in(kind, url) is expected


def test_no_built_in_host_is_a_whole_domain_of_strangers():
    hosts = [host for known in BUILT_IN.values() for host in known]
    assert all(host == host.lower() and host.count(".") >= 1 for host in hosts)
    assert all(host.count(".") >= 3 for host in hosts if host.startswith("."))


def manifest(*endpoints, azure=None):
    providers = {} if azure is None else {"azure": azure}
    return Manifest(
        "byok.yaml", Path(), providers=providers, endpoints={e.name: e for e in endpoints}
    )


def endpoint(url="https://llm.example/v1", *, kind="litellm", key=(REF,), active=True):
    return Endpoint("gateway", kind, url, key, active)


def changed(address):
    return [Change(address, Action.UPDATE, Cause.MANIFEST, (Edit("key", None, KEY),))]


def pairs(made, attrs, *, address=OPENAI, changes=None, approved=frozenset()):
    touched = changed(address) if changes is None else changes
    return list(unapproved(made, {address: attrs}, touched, approved))


ATTRS = {"enabled": True, "key": KEY, "base_url": "https://llm.example/v1"}


def test_a_key_and_an_unknown_origin_need_approval():
    found = pairs(manifest(endpoint()), ATTRS)
    assert found == [Pairing(OPENAI, REF, "https://llm.example", "/endpoints/gateway/base_url")]


@pytest.mark.parametrize(
    "case",
    [
        {"approved": frozenset({(REF, "https://llm.example")})},
        {"changes": []},
        {"changes": changed(AZURE)},
    ],
    ids=["approved", "nothing moves", "something else moves"],
)
def test_no_question_is_asked(case):
    assert pairs(manifest(endpoint()), ATTRS, **case) == []


@pytest.mark.parametrize(
    "approved",
    [
        {(REF, "https://other.example")},
        {("env://OTHER", "https://llm.example")},
        {(REF, "http://llm.example")},
        {(REF, "https://llm.example:8443")},
    ],
)
def test_an_approval_is_for_one_pair_and_no_other(approved):
    assert len(pairs(manifest(endpoint()), ATTRS, approved=frozenset(approved))) == 1


def test_a_vendor_asks_nothing_and_a_keyless_endpoint_neither():
    groq = "https://api.groq.com/openai/v1"
    assert pairs(manifest(endpoint(groq, kind="groq")), {**ATTRS, "base_url": groq}) == []
    assert pairs(manifest(endpoint(key=())), ATTRS) == []
    assert pairs(manifest(endpoint(active=False)), ATTRS) == []


def test_loopback_is_an_origin_like_any_other():
    url = "http://localhost:4000/v1"
    assert pairs(manifest(endpoint(url)), {**ATTRS, "base_url": url})[0].origin == url[:-3]


def test_azure_is_asked_off_azure():
    made = manifest(azure=Provider("azure"))
    here = {"key": KEY, "endpoint": "https://acme.openai.azure.com"}
    away = {"key": KEY, "endpoint": "https://proxy.acme.example"}
    assert pairs(made, here, address=AZURE) == []
    (pair,) = pairs(made, away, address=AZURE)
    assert (pair.origin, pair.pointer) == (
        "https://proxy.acme.example",
        "/providers/azure/endpoint",
    )
    assert pairs(made, {"key": None, "endpoint": away["endpoint"]}, address=AZURE) == []
