"""What byok destroy would remove, shown beforehand."""

from __future__ import annotations


def test_a_plan_of_a_removal_shows_what_destroy_removes_and_writes_nothing(applied):
    before = applied.bytes()
    planned = applied("plan", "--destroy", "--json")
    assert planned.code == 0, planned.err
    assert applied.bytes() == before
    assert {change["action"] for change in planned.document["changes"]} == {"delete"}
    removed = applied("destroy", "--yes", "--json")
    assert removed.document["applied"] == planned.document["changes"]
    assert applied("plan", "--destroy", "--json").document["changes"] == []


def test_a_plan_of_a_removal_says_why_and_cannot_be_saved(applied, tmp_path):
    assert "removed with all that this team wrote" in applied("plan", "--destroy").out
    saved = applied("plan", "--destroy", "--out", str(tmp_path / "plan.json"))
    assert saved.code == 64
    assert not (tmp_path / "plan.json").exists()
