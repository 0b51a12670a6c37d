"""What was handed over is promoted by the editor, stays in sync, and is told again while locked."""

from __future__ import annotations

import json

import pytest

from tests.cursor_editor import FakeCursor

CATALOG = ("default", "gpt-4o", "o1", "claude-sonnet-4-5", "gemini-2.5-pro")
BASIC = {"tag": b"v10", "password": b"peanuts"}


@pytest.fixture
def applied(byok):
    """A sandbox of somebody signed in, with the manifest applied: the catalog is known."""
    entry = byok.document()["availableDefaultModels2"][0]
    byok.change(availableDefaultModels2=[{**entry, "name": name} for name in CATALOG])
    done = byok("apply", "--yes")
    assert done.code == 0, done.err
    return byok


def start_and_quit(byok, **editor):
    FakeCursor(byok.box.cursor, **(editor or BASIC)).start().quit()


def test_pending_until_cursor_promotes_then_in_sync(applied):
    assert "waits for Cursor's next start" in applied("status").out
    start_and_quit(applied)
    assert "cursorAuth/openAIKey" not in applied.rows()
    assert "secret://cursorAuth/openAIKey" in applied.rows()

    status = applied("status", "--json").document["systems"][0]
    assert (status["state"], status["waiting"]) == ("in sync", [])
    assert applied("plan", "--detailed-exitcode").code == 0
    assert applied("apply", "--yes", "--json").document["changed"] is False


def test_a_promoted_cell_is_known_again_while_the_keyring_is_locked(applied):
    """The editor used the keyring; nobody here can open its cells. First unknown, never wrong."""
    start_and_quit(applied, tag=b"v11", password=b"a-password-nobody-here-has")
    before = applied.bytes()

    told = applied("plan", "--json")

    assert told.code == 0, told.err
    assert told.document["summary"]["unknown"] == 3
    assert told.document["changes"] == []
    assert applied("apply", "--yes").code == 0
    assert applied.bytes() == before


def test_a_new_key_goes_into_a_cell_once_the_cipher_is_proven(applied):
    start_and_quit(applied)
    assert applied("apply", "--yes").code == 0
    applied.edit("sops://secrets/team.enc.yaml#/openai/key", "env://NEW_KEY")

    done = applied("apply", "--yes", "--json", NEW_KEY="sk-brand-new-0123456789")

    assert done.code == 0, done.err
    assert [c["cause"] for c in done.document["applied"]] == ["manifest"]
    assert done.document["pending"] == []
    rows = applied.rows()
    assert "cursorAuth/openAIKey" not in rows
    assert json.loads(rows["secret://cursorAuth/openAIKey"])["type"] == "Buffer"
    assert (
        FakeCursor(applied.box.cursor, **BASIC).start().key("openAIKey")
        == "sk-brand-new-0123456789"
    )


def test_plan_needs_no_decryption_once_all_is_recorded(applied):
    """With the age key gone and the cells recorded, plan and apply still tell that all is well."""
    start_and_quit(applied)
    assert applied("apply", "--yes").code == 0

    without = {"SOPS_AGE_KEY_FILE": "/nonexistent", "HOME": str(applied.box.folder)}

    assert applied("plan", "--detailed-exitcode", **without).code == 0
    assert applied("apply", "--yes", **without).code == 0
    applied.change(useOpenAIKey=False)
    done = applied("plan", "--json", **without)
    assert [c["address"] for c in done.document["changes"]] == ["cursor/provider/openai"]


def test_rollback_after_promotion_puts_the_old_key_into_a_cell(applied):
    start_and_quit(applied)
    assert applied("apply", "--yes").code == 0
    old = applied.keys()[0]
    applied.edit("sops://secrets/team.enc.yaml#/openai/key", "env://NEW_KEY")
    assert applied("apply", "--yes", NEW_KEY="sk-brand-new-0123456789").code == 0

    back = applied("rollback", "--yes", NEW_KEY="sk-brand-new-0123456789")

    assert back.code == 0, back.err
    assert FakeCursor(applied.box.cursor, **BASIC).start().key("openAIKey") == old
