"""The main job as a user does it: plan, apply, plan; drift, removal, saved plans, rollback."""

from __future__ import annotations

import json

from reconciler.codec import load_plan


def addresses(result) -> list[str]:
    return [change["address"] for change in result.document["changes"]]


def test_twice_equals_once(byok):
    first = byok("apply", "--yes")
    assert first.code == 0, first.err
    before = byok.bytes()

    second = byok("apply", "--yes", "--json")

    assert second.code == 0
    assert second.document["changed"] is False
    assert byok.bytes() == before
    assert byok("plan", "--detailed-exitcode").code == 0


def test_plan_writes_nothing_and_is_the_same_bytes_twice(byok):
    before = byok.bytes()

    first, second = byok("plan", "--json"), byok("plan", "--json")

    assert first.code == 0, first.err
    assert first.out == second.out
    assert byok.bytes() == before
    kept = sorted(path.name for path in (byok.box.folder / "state").iterdir())
    assert kept == ["fingerprint.key"]


def test_all_six_kinds_reach_cursor(applied):
    document, rows = applied.document(), applied.rows()
    keys = applied.keys()

    assert rows["cursorAuth/openAIKey"] == keys[0]
    assert rows["cursorAuth/claudeKey"] == keys[1]
    assert rows["cursorAuth/googleKey"] == keys[2]
    assert document["useOpenAIKey"] is True
    assert document["useClaudeKey"] is True
    assert document["useGoogleKey"] is True
    assert document["azureState"]["useAzure"] is False
    assert document["azureState"]["deployment"] == "gpt-4o-prod"
    assert document["bedrockState"]["region"] == "us-east-1"
    settings = document["aiSettings"]
    assert settings["userAddedModels"] == ["acme-coder"]
    assert "gpt-4o" in settings["modelOverrideEnabled"]
    assert sorted(settings["modelOverrideDisabled"]) == ["acme-coder", "o1"]
    assert settings["modelConfig"]["composer"]["modelName"] == "claude-sonnet-4-5"


def test_drift_is_told_from_a_change_of_the_manifest(applied):
    applied.change(useOpenAIKey=False)
    applied.edit("gemini-2.5-pro: { provider: google }", "gemini-2.5-flash: { provider: google }")

    changes = {c["address"]: c for c in applied("plan", "--json").document["changes"]}

    assert changes["cursor/provider/openai"]["cause"] == "drift"
    assert changes["cursor/model/gemini-2.5-flash"]["cause"] == "new"
    assert changes["cursor/model/gemini-2.5-pro"]["cause"] == "removed"
    status = applied("status", "--json").document["systems"][0]
    assert status["state"] == "drifted"
    assert "Cursor itself" in status["drifted"][0]["by"]


def test_removal_restores_what_was_there_and_leaves_strangers(byok):
    document = byok.document()
    document["aiSettings"]["userAddedModels"] = ["my-own"]
    document["aiSettings"]["modelOverrideEnabled"] = ["my-own"]
    document["aiSettings"]["modelConfig"]["composer"]["modelName"] = "my-own"
    byok.change(**document, useClaudeKey=True, unknownOfTheFuture={"a": [1, 2.50, None]})
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/claudeKey', 'sk-ant-typed-by-hand')")
    before_rows, before = byok.rows(), byok.document()
    assert byok("apply", "--yes").code == 0

    done = byok("destroy", "--yes")

    assert done.code == 0, done.err
    after = byok.document()
    assert byok.rows()["cursorAuth/claudeKey"] == "sk-ant-typed-by-hand"
    assert after["useClaudeKey"] is True
    assert after["unknownOfTheFuture"] == {"a": [1, 2.50, None]}
    assert after["aiSettings"]["userAddedModels"] == ["my-own"]
    assert after["aiSettings"]["modelOverrideEnabled"] == ["my-own"]
    assert after["aiSettings"]["modelConfig"] == before["aiSettings"]["modelConfig"]
    assert byok.rows().keys() == before_rows.keys()


def test_two_teams_do_not_undo_each_other(applied):
    other = applied.box.manifest.with_name("other.yaml")
    other.write_text("version: 1\nteam: other\nmodels:\n  gpt-5: {provider: openai}\n")
    args = ("-f", str(other))

    assert applied("apply", "--yes", *args).code == 0
    assert applied("plan", "--detailed-exitcode").code == 0
    assert applied("plan", "--detailed-exitcode", *args).code == 0
    other.write_text("version: 1\nteam: other\nmodels:\n  gpt-4o: {provider: openai}\n")
    shown = applied("plan", *args)
    assert shown.code == 8
    assert "BYOK125" in shown.out
    clash = applied("apply", "--yes", *args)
    assert clash.code == 8
    assert "team sandbox" in clash.err
    assert "--take-over" in clash.err


def test_a_saved_plan_does_exactly_what_it_showed(byok):
    shown = byok("plan", "--out", "team.plan", "--json")
    assert shown.code == 0

    done = byok("apply", "team.plan", "--json")

    assert done.code == 0, done.err
    assert done.document["applied"] == shown.document["changes"]
    again = byok("apply", "team.plan", "--json")
    assert again.code == 0
    assert again.document["changed"] is False


def test_a_stale_plan_names_every_field_that_moved(byok):
    byok("plan", "--out", "team.plan")
    byok.edit("o1: { provider: openai, enabled: false }", "o1: { provider: openai }")
    byok.change(openAIBaseUrl="https://elsewhere.example.com/v1")
    before = byok.bytes()

    done = byok("apply", "team.plan", "--json")

    assert done.code == 6
    assert "cursor/model/o1 override: the wanted value moved" in done.err
    assert "cursor/provider/openai base_url: not in the saved plan" in done.err
    assert byok.bytes() == before
    assert byok("show", "team.plan").code == 0
    assert load_plan((byok.box.manifest.parent / "team.plan").read_text())


def test_a_plan_of_another_machine_is_refused(byok):
    byok("plan", "--out", "team.plan")
    path = byok.box.manifest.parent / "team.plan"
    document = json.loads(path.read_text())
    document["fingerprint_key"] = "0000"
    path.write_text(json.dumps(document))

    done = byok("apply", "team.plan")

    assert done.code == 6
    assert "0000" in done.err


def test_rollback_brings_back_a_key_typed_by_hand(byok):
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/openAIKey', 'sk-typed-by-hand')")
    done = byok("apply", "--yes")
    assert done.code == 0, done.err
    assert "snapshot.key" in done.err or "keyring" in done.err

    back = byok("rollback", "--yes")

    assert back.code == 0, back.err
    assert byok.rows()["cursorAuth/openAIKey"] == "sk-typed-by-hand"
    assert byok.document()["aiSettings"]["modelOverrideEnabled"] == []


def test_rollback_leaves_what_moved_since(applied):
    applied.sql("UPDATE ItemTable SET value='sk-newer' WHERE key='cursorAuth/openAIKey'")

    back = applied("rollback", "--yes")

    assert back.code == 0, back.err
    assert applied.rows()["cursorAuth/openAIKey"] == "sk-newer"
    assert "cursorAuth/claudeKey" not in applied.rows()
    assert "cursor/provider/openai" in back.out


def test_target_judges_one_resource(byok):
    done = byok("apply", "--yes", "--target", "cursor/model/gpt-4o", "--json")

    assert [c["address"] for c in done.document["applied"]] == ["cursor/model/gpt-4o"]
    assert "cursorAuth/openAIKey" not in byok.rows()


def test_history_lists_runs_and_steps(applied):
    runs = applied("history", "--json").document["runs"]

    assert [run["outcome"] for run in runs] == ["applied"]
    steps = applied("history", str(runs[0]["id"]), "--json").document["steps"]
    assert len(steps) == runs[0]["steps"]
    assert applied("history").code == 0


def test_optional_without_a_key_is_left_alone(byok):
    byok.edit(
        "    key: [env://BYOK_SANDBOX_GEMINI_KEY, sops://secrets/team.enc.yaml#/google/key]",
        "    key: env://BYOK_SANDBOX_GEMINI_KEY\n    optional: true",
    )
    byok.sql("INSERT INTO ItemTable VALUES ('cursorAuth/googleKey', 'AIza-mine')")

    done = byok("apply", "--yes")

    assert done.code == 0, done.err
    assert byok.rows()["cursorAuth/googleKey"] == "AIza-mine"


def test_options_stand_before_and_after_the_command(byok):
    before, after = byok("--json", "plan"), byok("plan", "--json")

    assert before.out == after.out
