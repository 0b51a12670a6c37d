"""What a run records as proof stands for nothing but what was really there and really written."""

from __future__ import annotations

import json

from tests.cursor_editor import FakeCursor, encrypt

NEW = "sk-new-0123456789abcdef"
KEYRING = {"tag": b"v11", "password": b"a-password-nobody-here-has"}


def rotate(byok):
    """Let the openai entry of the encrypted file have another value, as a rotation would."""
    from reconciler.secrets.process import run
    from reconciler.secrets.sops import binary

    file = byok.box.manifest.parent / "secrets" / "team.enc.yaml"
    argv = [str(binary()), "set", str(file), '["openai"]["key"]', json.dumps(NEW)]
    assert run(argv, where="sops", env=byok.environment({})).code == 0


def test_a_rotated_key_outside_of_the_targets_is_still_to_be_applied(applied):
    rotate(applied)
    assert applied("apply", "--yes", "--target", "cursor/model/gpt-4o").code == 0

    told = applied("plan", "--json").document

    assert [c["address"] for c in told["changes"]] == ["cursor/provider/openai"]
    assert applied("apply", "--yes").code == 0
    assert applied.rows()["cursorAuth/openAIKey"] == NEW


def test_a_key_typed_by_hand_outside_of_the_targets_is_not_taken_for_ours(applied):
    FakeCursor(applied.box.cursor, tag=b"v10", password=b"peanuts").start().quit()
    assert applied("apply", "--yes").code == 0
    cell = encrypt(b"v10", b"peanuts", "sk-typed-by-hand-0123456789")
    applied.sql("UPDATE ItemTable SET value=? WHERE key='secret://cursorAuth/openAIKey'", cell)

    assert applied("apply", "--yes", "--target", "cursor/model/gpt-4o").code == 0

    told = applied("plan", "--json").document
    assert [c["cause"] for c in told["changes"]] == ["drift"]


def test_an_unreadable_key_typed_over_a_proven_one_stays_unknown(applied):
    FakeCursor(applied.box.cursor, **KEYRING).start().quit()
    assert applied("apply", "--yes").code == 0  # records the cells that Cursor made of ours
    assert applied("plan", "--json").document["summary"]["unknown"] == 0
    cell = encrypt(KEYRING["tag"], KEYRING["password"], "sk-typed-by-hand-0123456789")
    applied.sql("UPDATE ItemTable SET value=? WHERE key='secret://cursorAuth/openAIKey'", cell)

    assert applied("apply", "--yes").code == 0

    assert applied("plan", "--json").document["summary"]["unknown"] == 1


def test_a_key_rotated_while_the_old_one_is_unreadable_is_applied_once_it_can_be(applied):
    FakeCursor(applied.box.cursor, **KEYRING).start().quit()
    rotate(applied)

    assert applied("apply", "--yes").code == 0  # the cell is still told by no record
    told = applied("plan", "--json").document

    assert [c["address"] for c in told["changes"]] == ["cursor/provider/openai"]
