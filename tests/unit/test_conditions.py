"""What holds where: facts, patterns, and what stands and falls with an entry left out."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest import facts, parse
from reconciler.manifest.facts import Facts, machine, misfit

ANN = Facts("linux", "dev-17.acme.example", "ann")


def manifest(body, known=ANN):
    return parse(f"version: 1\n{body}\n", "byok.yaml", Path(), known)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"os": "linux"}, True),
        ({"os": "macos"}, False),
        ({"os": ["windows", "linux"]}, True),
        ({"host": "dev-17"}, True),
        ({"host": "DEV-*"}, True),
        ({"host": "dev-1[0-9]"}, True),
        ({"host": "dev-?"}, False),
        ({"host": "*.acme.example"}, True),
        ({"host": "dev-17.acme.example"}, True),
        ({"host": "dev-17.acme"}, False),
        ({"host": ["ci-*", "build"]}, False),
        ({"host": ["ci-*", "dev-*"]}, True),
        ({"host": "ev-1"}, False),
        ({"user": "ann"}, True),
        ({"user": "Ann"}, False),
        ({"user": ["bob", "a*"]}, True),
        ({"os": "linux", "host": "dev-*", "user": "ann"}, True),
        ({"os": "linux", "host": "dev-*", "user": "bob"}, False),
    ],
)
def test_every_key_must_fit_and_of_a_list_one(when, fits):
    assert (misfit(when, ANN) == "") is fits


def test_on_windows_a_users_name_comes_in_any_case():
    assert misfit({"user": "ANN"}, Facts("windows", "PC", "Ann")) == ""
    assert "a user without a name" in misfit({"user": "ann"}, Facts("linux", "pc", ""))


def test_the_facts_of_this_machine_need_no_name_server(monkeypatch):
    def refuse(*_):
        raise AssertionError("asked a name server")

    for name in ("getfqdn", "gethostbyname", "gethostbyaddr", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setenv("LOGNAME", "somebody-else")
    found = machine()
    assert found.host == socket.gethostname()
    assert found.user != "somebody-else"
    assert found.os in ("linux", "macos", "windows") or found.os == sys.platform


@pytest.mark.skipif(os.name != "posix", reason="only on Windows: there it is asked otherwise")
def test_a_user_that_no_list_knows_has_no_name(monkeypatch):
    import pwd

    monkeypatch.setattr(pwd, "getpwuid", lambda _: {}["nobody"])
    assert facts._user() == ""


def test_an_entry_that_does_not_fit_is_as_though_nobody_named_it():
    found = manifest(
        "providers:\n"
        "  openai: {key: env://A, when: {os: linux}}\n"
        "  azure: {absent: true, when: {os: windows}}\n"
        "models:\n"
        "  a: {provider: openai, when: {host: dev-*}}\n"
        "  b: {provider: openai, when: {host: ci-*}}\n"
    )
    assert (list(found.providers), list(found.models)) == (["openai"], ["a"])
    assert found.left_out == {
        "/providers/azure": "when.os does not fit linux",
        "/models/b": "when.host does not fit dev-17.acme.example",
    }
    assert found.facts == ANN.told()
    assert "when" not in found.providers["openai"].account


def test_without_conditions_nobody_asks_for_facts(monkeypatch):
    monkeypatch.setattr("reconciler.manifest.conditions.machine", lambda: 1 / 0)
    found = parse("version: 1\nmodels: {a: {provider: openai}}\n", "f", Path())
    assert (found.facts, found.left_out) == ({}, {})


def test_what_names_an_endpoint_that_is_left_out_goes_with_it():
    found = manifest(
        "endpoints:\n"
        "  gw: {type: custom, base_url: 'https://h.example/v1', when: {os: macos}}\n"
        "  own: {type: custom, base_url: 'https://o.example/v1'}\n"
        "providers: {openai: {key: env://A, enabled: false, when: {user: bob}}}\n"
        "models:\n"
        "  a: {endpoint: gw}\n"
        "  b: {endpoint: own}\n"
        "  c: {provider: openai}\n"
        "budgets:\n"
        "  x: {endpoint: gw, monthly_usd: 5}\n"
        "  y: {provider: openai, monthly_usd: 5}\n"
        "  z: {endpoint: own, monthly_usd: 5}\n"
    )
    assert (list(found.models), list(found.budgets)) == (["b", "c"], ["z"])
    assert found.left_out["/models/a"] == "'gw' is left out"
    assert found.left_out["/budgets/y"] == "'openai' is left out"


def test_two_endpoints_may_be_active_where_only_one_holds():
    body = (
        "endpoints:\n"
        "  home: {type: ollama, base_url: 'https://a.example/v1', when: {user: ann}}\n"
        "  office: {type: vllm, base_url: 'https://b.example/v1', when: {host: ci-*}}\n"
    )
    assert list(manifest(body).endpoints) == ["home"]
    with pytest.raises(ManifestError) as caught:
        manifest(body, Facts("linux", "ci-1", "ann"))
    assert [d.code for d in caught.value.diagnostics] == ["BYOK105"]


def test_the_form_of_an_entry_is_checked_wherever_it_holds():
    with pytest.raises(ManifestError) as caught:
        manifest("models: {a: {provider: openai, enabeld: true, when: {os: windows}}}")
    assert "enabeld" in caught.value.diagnostics[0].message


def test_a_name_that_no_layer_declares_is_an_error_and_one_left_out_is_none():
    with pytest.raises(ManifestError) as caught:
        manifest("models: {a: {endpoint: nowhere}}")
    assert caught.value.diagnostics[0].code == "BYOK120"


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("{}", "nothing stands here|at least one"),
        ("linux", "must be a mapping"),
        ("null", "must be a mapping"),
        ("{os: plan9}", "linux, macos or windows"),
        ("{os: []}", "linux, macos or windows"),
        ("{os: [linux, linux]}", "linux, macos or windows"),
        ("{host: ''}", "a pattern is"),
        ("{host: []}", "empty"),
        ("{host: 5}", "quote it"),
        ("{user: [a, a]}", "twice"),
        ("{user: ['']}", "1 to 256"),
        ("{hosts: a}", "unknown key 'hosts'"),
        ('{host: "a\\x07"}', "control"),
    ],
)
@pytest.mark.parametrize("at", ["providers: {{openai: {{key: env://A, when: {}}}}}",
                                "models: {{a: {{provider: openai, when: {}}}}}"])  # fmt: skip
def test_a_condition_that_is_none(at, when, says):
    with pytest.raises(ManifestError) as caught:
        manifest(at.format(when))
    [found] = caught.value.diagnostics
    assert found.code == "BYOK003"
    assert any(part in f"{found.message}; {found.way_out}" for part in says.split("|"))


def test_a_budget_has_no_condition():
    with pytest.raises(ManifestError) as caught:
        manifest("providers: {openai: {key: env://A}}\n"
                 "budgets: {b: {provider: openai, monthly_usd: 5, when: {os: linux}}}")  # fmt: skip
    assert "unknown key 'when'" in caught.value.diagnostics[0].message
