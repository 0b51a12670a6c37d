"""Every exit code, each with words that say where, what, and the way out, and nothing changed."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from .conftest import USER_ROW


def unchanged(byok, *args, code, says, **env):
    before = byok.bytes()
    done = byok(*args, **env)
    assert done.code == code, (done.code, done.err)
    for words in says if isinstance(says, tuple) else (says,):
        assert words in done.err
    assert byok.bytes() == before
    return done


def test_0_in_sync(applied):
    assert applied("plan", "--detailed-exitcode").code == 0


def test_1_declined_at_the_prompt(byok):
    before = byok.bytes()
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "apply"],
        cwd=byok.box.manifest.parent,
        env=byok.environment({}),
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(leader, b"n\n")
    _, err = child.communicate(timeout=60)
    os.close(leader)
    os.close(follower)
    assert child.returncode == 1
    assert "declined" in err
    assert byok.bytes() == before


def test_2_changes_pending(byok):
    assert byok("plan", "--detailed-exitcode").code == 2
    assert byok("status", "--detailed-exitcode").code == 2


def test_3_manifest_invalid(byok):
    byok.edit("version: 1", "version: 1\nproviderz: {}")
    done = unchanged(byok, "plan", code=3, says=("byok.yaml:", "providerz", "providers"))
    assert done.out == ""
    for command in ("validate", "status"):
        assert byok(command).code == 3
    assert byok("apply", "--yes").code == 3


def test_3_no_manifest(byok):
    unchanged(byok, "plan", "-f", "nowhere.yaml", code=3, says="nowhere.yaml")


def test_4_no_age_key(byok):
    unchanged(
        byok,
        "apply",
        "--yes",
        code=4,
        says="age",
        SOPS_AGE_KEY_FILE="/nonexistent",
        HOME=str(byok.box.folder),
    )


def test_4_no_such_item_names_the_reference(byok):
    byok.edit("#/openai/key", "#/openai/nokey")
    unchanged(byok, "apply", "--yes", code=4, says="#/openai/nokey")


def test_5_reads_back_different(byok):
    byok.sql(
        "CREATE TRIGGER contrary AFTER UPDATE ON ItemTable WHEN new.key = '" + USER_ROW + "' BEGIN"
        " UPDATE ItemTable SET value = old.value WHERE key = new.key; END"
    )
    done = byok("apply", "--yes")
    assert done.code == 5, done.err
    assert "reads back" in done.err


def test_6_stale(byok):
    byok("plan", "--out", "p.plan")
    byok.change(openAIBaseUrl="https://moved.example.com/v1")
    unchanged(byok, "apply", "p.plan", code=6, says="base_url")


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: reads a process's name")
def test_7_cursor_runs(byok, tmp_path):
    program = tmp_path / "cursor"
    program.symlink_to("/bin/sleep")
    editor = subprocess.Popen([str(program), "60"])
    try:
        (byok.box.cursor / "code.lock").write_text(str(editor.pid))
        told = byok("plan")
        assert told.code == 0
        assert "Cursor is running" in told.err
        unchanged(byok, "apply", "--yes", code=7, says=("running", "--wait"))
        unchanged(byok, "apply", "--yes", "--wait", "1", code=7, says="running")
    finally:
        editor.kill()
        editor.wait()
    assert byok("apply", "--yes").code == 0


def test_7_no_database(byok):
    byok.database.unlink()
    unchanged(byok, "plan", code=7, says="state.vscdb")


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_7_corrupt_database(byok, content):
    byok.database.write_bytes(content)
    unchanged(byok, "plan", code=7, says="state.vscdb")
    unchanged(byok, "apply", "--yes", code=7, says="state.vscdb")


def test_7_locked_database(byok):
    with closing(sqlite3.connect(byok.database)) as db:
        db.execute("BEGIN EXCLUSIVE")
        done = byok("apply", "--yes")
    assert done.code == 7
    assert "busy" in done.err or "locked" in done.err


def test_7_settings_that_are_no_json(byok):
    byok.sql("UPDATE ItemTable SET value='{\"a\":' WHERE key=?", USER_ROW)
    unchanged(byok, "apply", "--yes", code=7, says="form")


def test_7_two_applies_at_once(byok):
    from reconciler.state import single_writer

    with single_writer(byok.box.folder / "state", "byok apply", 0):
        done = byok("apply", "--yes")
    assert done.code == 7
    assert f"process {os.getpid()} (byok apply" in done.err


def test_8_a_foreign_origin_needs_approval(byok):
    byok.edit("active: false", "active: true")
    byok.edit(
        "  openai:\n    key: sops://secrets/team.enc.yaml#/openai/key\n    project: cursor-byok\n",
        "",
    )
    byok.edit("  openai-monthly: { provider: openai", "  all: { endpoint: gateway")
    shown = byok("plan")
    assert "BYOK123" in shown.out or "llm.example.com" in shown.out
    unchanged(byok, "apply", "--yes", code=8, says="--allow-origin https://llm.example.com")
    assert byok("apply", "--yes", "--allow-origin", "https://llm.example.com").code == 0
    assert byok("apply", "--yes").code == 0


def test_8_too_many_at_once(applied):
    text = applied.box.manifest.read_text()
    models = "".join(f"  m-{n}: {{ provider: openai }}\n" for n in range(20))
    applied.box.manifest.write_text(text.replace("models:\n", "models:\n" + models))
    assert applied("apply", "--yes").code == 0
    applied.box.manifest.write_text(text)
    unchanged(applied, "apply", "--yes", code=8, says=("30 %", "--allow-many"))
    assert applied("apply", "--yes", "--allow-many").code == 0


def test_8_protected(applied):
    applied.edit("policy:\n", "policy:\n  protect: [cursor/model/gpt-4o]\n")
    applied.edit("  gpt-4o: { provider: openai }\n", "")
    unchanged(applied, "apply", "--yes", code=8, says="policy.protect")


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("plan", "--nonsense"),
        ("apply",),
        ("destroy",),
        ("rollback",),
        ("rollback", "--yes"),
        ("plan", "--target", "nonsense"),
        ("plan", "--system", "nonsense"),
        ("plan", "--offline", "--system", "openai"),
        ("validate", "--fact", "os"),
        ("validate", "--fact", "city=Paris"),
        ("init", "--overlay", "host.yaml"),
        ("show", "nowhere.plan"),
        ("apply", "byok.yaml"),
        ("apply", "--yes", "--allow-origin", "nonsense"),
    ],
)
def test_64_wrong_command_line(byok, args):
    before = byok.bytes()
    done = byok(*args)
    assert done.code == 64, done.err
    assert done.err.startswith("byok: ")
    assert byok.bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_128_plus_n_ended_after_the_current_step(byok, number):
    text = byok.box.manifest.read_text()
    models = "".join(f"  m-{n}: {{ provider: openai }}\n" for n in range(400))
    byok.box.manifest.write_text(text.replace("models:\n", "models:\n" + models))
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "apply", "--yes", "--json"],
        cwd=byok.box.manifest.parent,
        env=byok.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not byok.document()["aiSettings"]["modelOverrideEnabled"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(number)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    done = len(json.loads(out)["applied"])
    assert 0 < done < 400
    rest = byok("apply", "--yes", "--json")
    assert rest.code == 0, rest.err
    assert byok("plan", "--detailed-exitcode").code == 0


def test_errors_in_json_too(byok):
    byok.database.unlink()
    done = byok("plan", "--json")
    assert done.document["format"] == "byok.error/1"
    assert done.document["exit"] == 7
    assert done.document["way_out"]


def test_destroy_and_rollback_respect_what_is_protected(applied):
    applied.edit("policy:\n", "policy:\n  protect: [cursor/model/gpt-4o]\n")
    for command in ("destroy", "rollback"):
        unchanged(applied, command, "--yes", code=8, says="policy.protect")


def test_64_a_target_that_names_nothing_is_no_success(byok):
    for command in ("plan", "apply"):
        extra = ("--yes",) if command == "apply" else ()
        done = byok(command, *extra, "--target", "cursor/model/gpt-4oo")
        assert done.code == 64
        assert "cursor/model/gpt-4oo" in done.err


def test_64_a_run_that_is_not_there(byok):
    assert byok("history", "99").code == 64
    assert byok("history").code == 0


def test_64_bare_byok_shows_its_help_whole(byok):
    done = byok()
    assert done.code == 64
    assert "\nCommands:\n" in done.err


def test_a_secret_that_cannot_be_had_is_never_in_sync(applied):
    applied.edit("#/openai/key", "#/openai/nokey")
    done = applied("plan", "--json")
    assert done.code == 4
    assert done.document["summary"]["unknown"] == 1
    assert "1 unknown" in applied("plan").out
    assert applied("status", "--json").document["systems"][0]["state"] == "unknown"


def test_what_may_need_the_network_is_out_of_scope_off_line(byok):
    byok.edit("key: sops://secrets/team.enc.yaml#/openai/key", "key: op://Team/openai/key")
    done = byok("plan", "--offline", "--json")
    assert done.code == 0, done.err
    assert "cursor/provider/openai" not in [c["address"] for c in done.document["changes"]]
    assert "--offline" in done.out


def test_a_bedrock_api_key_has_no_place_in_cursor(byok):
    text = byok.box.manifest.read_text()
    start, end = text.index("  bedrock:"), text.index("endpoints:")
    bedrock = (
        "  bedrock:\n    region: us-east-1\n    key: sops://secrets/team.enc.yaml#/azure/key\n\n"
    )
    byok.box.manifest.write_text(text[:start] + bedrock + text[end:])
    assert byok("apply", "--yes").code == 0
    assert "bedrockState" not in byok.document()


def test_every_schema_is_printed(byok):
    for name in ("manifest", "plan"):
        done = byok("schema", name)
        assert done.code == 0, done.err
        assert json.loads(done.out)["$schema"]


def test_validate_says_invalid_in_json(byok):
    byok.edit("version: 1", "version: 1\nproviderz: {}")
    done = byok("validate", "--json")
    assert done.code == 3
    assert done.document["format"] == "byok.validate/1"
    assert done.document["valid"] is False


def test_backends_that_a_sops_error_asks_for_are_accepted(byok):
    byok.edit("policy:\n", "policy:\n  sops_backends: ['hc_vault:vault.acme.example:8200', kms]\n")
    assert byok("validate").code == 0


def test_a_missing_secret_outside_of_the_targets_does_not_matter(byok):
    byok.edit("#/openai/key", "#/openai/nokey")
    assert byok("apply", "--yes").code == 4
    done = byok("apply", "--yes", "--target", "cursor/model/*")
    assert done.code == 0, done.err
    assert "gpt-4o" in byok.document()["aiSettings"]["modelOverrideEnabled"]


@pytest.mark.skipif(not shutil.which("bash"), reason="only with bash")
def test_completion_knows_commands_and_options(byok):
    script = byok("completion", "bash")
    assert script.code == 0
    for words, wanted in (("byok rol", "rollback"), ("byok plan --det", "--detailed-exitcode")):
        done = byok(
            _BYOK_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1)
        )
        assert wanted in done.out
    for shell in ("zsh", "fish"):
        assert "_BYOK_COMPLETE" in byok("completion", shell).out


def test_of_several_failures_the_first_of_3_4_7_8_5_wins_and_all_are_told(byok):
    byok.edit("#/openai/key", "#/openai/nokey")
    byok.database.unlink()
    done = byok("apply", "--yes")
    assert done.code == 4
    assert "#/openai/nokey" in done.err
    assert "state.vscdb" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: reads a process's name")
def test_a_running_cursor_is_told_before_a_safety_rule_and_beside_it(applied, tmp_path):
    applied.edit("policy:\n", "policy:\n  protect: [cursor/model/gpt-4o]\n")
    applied.edit("  gpt-4o: { provider: openai }\n", "")
    program = tmp_path / "cursor"
    program.symlink_to("/bin/sleep")
    editor = subprocess.Popen([str(program), "60"])
    try:
        (applied.box.cursor / "code.lock").write_text(str(editor.pid))
        unchanged(applied, "apply", "--yes", code=7, says=("running", "policy.protect"))
    finally:
        editor.kill()
        editor.wait()


def test_an_approval_holds_for_the_folder_it_was_given_in(byok, tmp_path):
    gateway = "    key: sops://secrets/team.enc.yaml#/gateway/key\n    active: false"
    byok.edit(gateway, gateway.replace("false", "true"))
    byok.edit("key: sops://secrets/team.enc.yaml#/openai/key", "absent: true")
    assert byok("apply", "--yes", "--allow-origin", "https://llm.example.com").code == 0
    assert byok("destroy", "--yes").code == 0
    other = tmp_path / "other"
    shutil.copytree(byok.box.manifest.parent, other)
    assert byok("apply", "--yes", "-f", str(other / "byok.yaml")).code == 8
    assert byok("apply", "--yes").code == 0


def test_the_warning_of_a_new_origin_cannot_be_silenced(byok):
    byok.edit("policy:\n", "policy:\n  ignore: [BYOK123]\n")
    byok.edit("https://byok-sandbox.openai.azure.com", "https://azure.example.net")
    assert "BYOK123" in byok("plan").out
