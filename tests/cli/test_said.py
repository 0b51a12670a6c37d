"""What a command could not judge is said, and is never a plain success."""

from __future__ import annotations

from tests.cursor_editor import FakeCursor, encrypt


def test_an_apply_that_changes_nothing_says_what_it_cannot_tell(applied):
    FakeCursor(applied.box.cursor, tag=b"v11", password=b"nobody-here").start().quit()
    assert applied("apply", "--yes").code == 0
    cell = encrypt(b"v11", b"nobody-here", "sk-typed-by-hand-0123456789")
    applied.sql("UPDATE ItemTable SET value=? WHERE key='secret://cursorAuth/openAIKey'", cell)

    assert "cursor/provider/openai: cannot tell" in applied("apply", "--yes").err


def test_a_rollback_that_leaves_everything_says_why(applied):
    applied.change(aiSettings={}, azureState={}, bedrockState={}, useOpenAIKey=False)
    applied.sql("UPDATE ItemTable SET value='sk-by-hand-0123456789' WHERE key LIKE 'cursorAuth/%'")

    assert "is no longer what that run wrote" in applied("rollback", "--yes").err


def test_a_plan_that_cannot_be_applied_ends_as_apply_would(byok):
    entry = byok.document()["availableDefaultModels2"][0]
    byok.change(availableDefaultModels2=[{**entry, "name": "acme-coder"}])

    codes = {byok(*argv).code for argv in (["plan"], ["status"], ["apply", "--yes"])}

    assert codes == {3}
