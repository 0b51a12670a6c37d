"""No manifest, file, plan, removal or rollback lets a key meet an origin that nobody approved."""

from __future__ import annotations

import json
import re

import pytest

OWN, TEAM = "sk-typed-by-hand-0123456789", "sk-of-the-team-0123456789"
OPENAI = "version: 1\nteam: x\nproviders:\n  openai: {key: env://K}\n"
PROXY = "https://proxy-of-one.example/v1"


def typed(byok, row, value):
    byok.sql("INSERT OR REPLACE INTO ItemTable VALUES (?, ?)", f"cursorAuth/{row}", value)


def test_a_foreign_endpoint_beside_a_key_of_the_persons_own(byok):
    typed(byok, "azureApiKey", "0123456789abcdef" * 2)
    byok.box.manifest.write_text(
        "version: 1\nproviders:\n  azure: {optional: true, endpoint: https://collector.example}\n"
    )
    before = byok.bytes()

    told = byok("plan", "--json").document
    done = byok("apply", "--yes")

    assert "BYOK123" in {finding["code"] for finding in told["diagnostics"]}
    assert done.code == 8
    assert "cursor/provider/azure: would go to https://collector.example" in done.err
    assert byok.bytes() == before


def test_an_encrypted_value_copied_to_an_approved_reference(applied):
    """sops would not decrypt it there; told by its version alone, it must not count either."""
    file = applied.box.manifest.parent / "secrets" / "team.enc.yaml"
    text = file.read_text()
    openai, gateway = (
        re.search(rf"{name}:\n\s+key: (ENC\[.*?\])", text)[1] for name in ("openai", "gateway")
    )
    file.write_text(text.replace(gateway, openai))
    applied.edit("active: false", "active: true")
    applied.edit("  openai:\n    key:", "  openai:\n    enabled: false\n    key:")
    before = applied.bytes()

    done = applied("apply", "--yes", "--allow-origin", "https://llm.example.com")

    assert done.code == 4, done.err
    assert applied.bytes() == before


def test_rollback_of_an_old_run_beside_a_newer_key(byok):
    byok.change(openAIBaseUrl=PROXY, useOpenAIKey=True)
    typed(byok, "openAIKey", OWN)
    byok.box.manifest.write_text(OPENAI)
    assert byok("apply", "--yes", K=OWN).code == 0
    assert byok("apply", "--yes", K=TEAM).code == 0

    done = byok("rollback", "1", "--yes", K=TEAM)

    assert done.code == 0
    assert byok.rows()["cursorAuth/openAIKey"] == TEAM
    assert not byok.document()["openAIBaseUrl"]


def test_rollback_beside_the_very_key_that_was_there(byok):
    byok.change(openAIBaseUrl=PROXY, useOpenAIKey=True)
    typed(byok, "openAIKey", OWN)
    byok.box.manifest.write_text(OPENAI)
    assert byok("apply", "--yes", K=OWN).code == 0

    assert byok("rollback", "--yes", K=OWN).code == 0

    assert byok.document()["openAIBaseUrl"] == PROXY


@pytest.mark.parametrize("undo", ["removal", "rollback"])
def test_an_old_base_url_does_not_come_back_beside_a_key_typed_since(byok, undo):
    byok.change(openAIBaseUrl=PROXY)
    byok.box.manifest.write_text("version: 1\nteam: x\nproviders:\n  openai: {optional: true}\n")
    assert byok("apply", "--yes").code == 0
    assert not byok.document()["openAIBaseUrl"]
    typed(byok, "openAIKey", OWN)

    if undo == "removal":
        byok.box.manifest.write_text("version: 1\nteam: x\n")
        assert byok("apply", "--yes").code == 0
    else:
        assert byok("rollback", "--yes").code == 0

    assert not byok.document()["openAIBaseUrl"]


@pytest.mark.parametrize("systems", [[], ["cursor", "cursor"]])
def test_a_saved_plan_with_a_scope_that_byok_never_writes(byok, systems):
    file = byok.box.manifest.parent / "plan.json"
    assert byok("plan", "--out", str(file)).code == 0
    document = json.loads(file.read_text())
    document["scope"]["systems"] = systems
    file.write_text(json.dumps(document))

    done = byok("apply", str(file))

    assert done.code == 64
    assert "names no system, or one twice" in done.err


def test_what_was_replaced_comes_back_after_a_change_of_the_fingerprint_key(byok):
    typed(byok, "openAIKey", OWN)
    byok.box.manifest.write_text(OPENAI)
    assert byok("apply", "--yes", K=TEAM).code == 0
    shared = {"K": TEAM, "SHARED": "a-shared-fingerprint-key"}
    policy = "policy: {fingerprint_key: env://SHARED}\n"
    byok.box.manifest.write_text(OPENAI + policy)
    assert byok("apply", "--yes", **shared).code == 0

    byok.box.manifest.write_text("version: 1\nteam: x\n" + policy)
    done = byok("apply", "--yes", **shared)

    assert done.code == 0, done.err
    assert byok.rows()["cursorAuth/openAIKey"] == OWN


@pytest.mark.parametrize("sign", ["%2f", "%23", "%3f", "%40", ";"])
def test_a_host_that_parsers_may_cut_short_is_nobodys_own(byok, sign):
    byok.box.manifest.write_text(
        "version: 1\nproviders:\n  azure: {key: env://K, deployment: d,"
        f" endpoint: 'https://collector.example{sign}.openai.azure.com'}}\n"
    )
    assert byok("apply", "--yes", K="0123456789abcdef" * 2).code in (3, 8)
