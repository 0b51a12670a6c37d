"""Layers as a user meets them: every command takes them, errors name files, secrets stay home."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from reconciler.errors import SecretError
from reconciler.manifest import load
from reconciler.sandbox import encrypted
from reconciler.secrets import Secret
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import parse
from reconciler.secrets.store import store, unwritable

OVER = "models:\n  acme-new: { provider: openai, custom: true }\n  gpt-4o: { enabled: false }\n"


@pytest.fixture
def layered(byok):
    """The sandbox with an overlay beside its manifest."""
    (byok.box.manifest.parent / "host.yaml").write_text(OVER)
    return byok


def addresses(done):
    return {change["address"] for change in done.document["changes"]}


def test_every_command_that_reads_the_manifest_takes_the_overlay(layered):
    over = ("--overlay", "host.yaml")
    new = "cursor/model/acme-new"
    assert new not in addresses(layered("plan", "--json"))
    assert new in addresses(layered("plan", "--json", *over))
    assert layered("apply", "--yes", *over).code == 0
    assert layered("plan", "--detailed-exitcode", *over).code == 0
    assert layered("status", "--detailed-exitcode", *over).code == 0
    assert layered("status", "--detailed-exitcode").code == 2  # without it the model is to go
    assert "acme-new" in layered("cost", "estimate", *over).out
    assert "acme-new" not in layered("cost", "estimate").out
    assert layered("doctor", "--offline", *over).code in (0, 2)
    broken = layered.box.manifest.parent / "broken.yaml"
    broken.write_text("models: {a: {provider: nobody}}\n")
    for command in (
        ("plan",), ("apply", "--yes"), ("status",), ("destroy", "--yes"), ("watch", "--once"),
        ("cost", "estimate"), ("keys",), ("rotate", "openai", "--yes"), ("validate",),
        ("rollback", "--yes"), ("service", "install", "--print"), ("plan", "--accounts", "--yes"),
        ("issue", "--provider", "openai", "--for", "ann", "--yes"),
        ("offboard", "--for", "ann", "--plan"),
    ):  # fmt: skip
        done = layered(*command, "--overlay", "broken.yaml", BYOK_OFFLINE="")
        assert done.code in ((0, 3) if command[0] == "rollback" else (3,)), (command, done.err)
        assert "broken.yaml:1:24" in done.err or command[0] in ("watch", "rollback"), done.err
    found = layered("doctor", "--json", "--offline", "--overlay", "broken.yaml")
    assert found.code == 2
    assert any("broken.yaml:1:24" in one["where"] for one in found.document["checks"])


def test_an_overlay_may_stand_before_the_command_too(layered):
    done = layered("--overlay", "host.yaml", "plan", "--json")
    assert "cursor/model/acme-new" in addresses(done)


def test_the_service_carries_the_overlays_by_their_full_names(layered):
    done = layered("service", "install", "--print", "--overlay", "host.yaml", "--json")
    assert done.code == 0, done.err
    text = "".join(file["text"] for file in done.document["files"])
    [command] = re.findall(r'"command":(\[[^\]]*\])', text)[:1]
    words = json.loads(command)
    assert words[words.index("--overlay") + 1] == str(layered.box.manifest.parent / "host.yaml")


def test_watch_heals_what_the_overlay_says(layered):
    over = ("--overlay", "host.yaml")
    assert layered("apply", "--yes", *over).code == 0
    ai = layered.document()["aiSettings"]
    disabled = [name for name in ai["modelOverrideDisabled"] if name != "gpt-4o"]
    layered.change(aiSettings={**ai, "modelOverrideDisabled": disabled})
    assert layered("watch", "--once", *over).code == 0
    assert "gpt-4o" in layered.document()["aiSettings"]["modelOverrideDisabled"]


def test_a_saved_plan_is_of_the_whole_and_applies_with_the_same_layers(layered):
    over = ("--overlay", "host.yaml")
    layered("plan", "--out", "team.plan", *over)
    saved = layered.box.manifest.parent / "team.plan"
    assert str(layered.box.folder) not in saved.read_text()
    assert layered("apply", "team.plan").code == 6  # another manifest by now
    assert layered("apply", "team.plan", *over).code == 0


def test_what_a_condition_leaves_out_goes_back_and_is_told(applied):
    before = applied.document()["aiSettings"]
    applied.edit("  o1: {", "  o1: { when: { host: no-such-host }, ")
    plan = applied("plan", "--json")
    [change] = [c for c in plan.document["changes"] if c["address"] == "cursor/model/o1"]
    assert (change["action"], change["cause"]) == ("delete", "removed")
    loud = applied("plan", "-v")
    assert "/models/o1 is left out here: when.host does not fit" in " ".join(loud.err.split())
    assert os.uname().nodename not in plan.out + applied("plan", "--format", "html").out
    assert plan.out == applied("plan", "--json", "-v").out
    assert applied("apply", "--yes").code == 0
    assert "o1" in before["modelOverrideDisabled"]
    assert "o1" not in applied.document()["aiSettings"]["modelOverrideDisabled"]


def test_a_locked_value_names_both_files_and_exits_3(layered):
    layered.edit("version: 1\n", "version: 1\nlocked: [/models/gpt-4o/enabled]\n")
    layered.edit("gpt-4o: {", "gpt-4o: { enabled: true, ")
    for command in ("validate", "plan"):
        done = layered(command, "--overlay", "host.yaml")
        assert done.code == 3
        text = " ".join(done.err.split())
        assert "host.yaml:3:22: error BYOK008" in text
        assert "locked at byok.yaml:" in text
    told = layered("validate", "--json", "--overlay", "host.yaml")
    assert told.document["diagnostics"][0]["file"] == "host.yaml"


def test_effective_is_one_manifest_again(layered):
    over = ("--overlay", "host.yaml")
    text = layered("validate", "--effective", *over)
    assert text.code == 0
    assert "# host.yaml:" in text.out
    (layered.box.manifest.parent / "whole.yaml").write_text(text.out)
    one, many = layered("plan", "--json", "-f", "whole.yaml"), layered("plan", "--json", *over)
    assert one.document["changes"] == many.document["changes"]
    document = layered("validate", "--effective", "--json", *over).document
    assert document["format"] == "byok.effective/1"
    assert document["origins"]["/models/gpt-4o/enabled"].startswith("host.yaml:3:")
    assert document["layers"] == ["byok.yaml", "host.yaml"]
    assert layered("validate", "--effective", "--overlay", "none.yaml").code == 3


def test_another_machines_facts_can_be_tried(layered):
    host = layered.box.manifest.parent / "host.yaml"
    host.write_text("models: { win: { provider: openai, custom: true, when: { os: windows } } }\n")
    args = ("validate", "--effective", "--json", "--overlay", "host.yaml")
    here, there = layered(*args), layered(*args, "--fact", "os=windows", "--fact", "host=pc-1")
    assert "win" not in here.document["manifest"]["models"]
    assert there.document["manifest"]["models"]["win"] == {"provider": "openai", "custom": True}
    assert (there.document["facts"]["os"], there.document["facts"]["host"]) == ("windows", "pc-1")
    odd = layered(*args, "--fact", "os=Windows")
    assert odd.code == 64
    assert "is none of linux, macos, windows" in odd.err


@pytest.fixture
def fleet(byok):
    """A base one folder up, with its own SOPS file; the team's manifest stands on it."""
    team = byok.box.manifest.parent
    config = (team / ".sops.yaml").read_text()
    recipient = config.partition("age: ")[2].strip()
    base = byok.box.folder / "base"
    (base / "secrets").mkdir(parents=True)
    key = "sk-ant-" + "api03-" + "Z" * 93 + "AA"
    (base / "secrets/base.enc.yaml").write_text(encrypted({"anthropic": {"key": key}}, recipient))
    (base / "base.yaml").write_text(
        "version: 1\nteam: acme\nlocked: [/providers/anthropic]\n"
        "providers: {anthropic: {key: sops://secrets/base.enc.yaml#/anthropic/key}}\n"
    )
    byok.box.manifest.write_text("extends: ../base/base.yaml\n")
    return byok, key


def test_a_secret_of_a_base_elsewhere_is_placed_and_never_shown(fleet):
    byok, key = fleet
    plan = byok("plan", "--json")
    assert plan.code == 0, plan.err
    [change] = [c for c in plan.document["changes"] if c["address"] == "cursor/provider/anthropic"]
    refs = [e["after"]["ref"] for e in change["edits"] if e["name"] == "key"]
    assert refs == ["sops://../base/secrets/base.enc.yaml#/anthropic/key"]
    outputs = [byok("apply", "--yes"), byok("plan", "-v"), byok("validate", "--effective"),
               byok("validate", "--effective", "--json"), byok("doctor", "--json", "--offline"),
               byok("status", "--json"), byok("keys", "--offline", "--json")]  # fmt: skip
    assert outputs[0].code == 0, outputs[0].err
    assert byok("plan", "--detailed-exitcode").code == 0
    assert not any(key in done.out + done.err for done in outputs)
    files = {c["check"] for c in outputs[4].document["checks"] if "base.enc.yaml" in c["what"]}
    assert "secrets/files" in files


def test_a_team_cannot_read_the_bases_secrets(fleet):
    byok, _ = fleet
    team = byok.box.manifest.parent
    ref = "sops://../base/secrets/base.enc.yaml#/anthropic/key"
    byok.box.manifest.write_text(f"version: 1\nproviders: {{anthropic: {{key: {ref}}}}}\n")
    assert byok("plan").code == 4
    byok.box.manifest.write_text(
        f"extends: ../base/base.yaml\nproviders: {{openai: {{key: {ref}}}}}\n"
    )
    done = byok("plan")
    assert (done.code, "BYOK009" in done.err) == (3, True)
    (team / "secrets/stolen.enc.yaml").symlink_to(byok.box.folder / "base/secrets/base.enc.yaml")
    own = "sops://secrets/stolen.enc.yaml#/anthropic/key"
    byok.box.manifest.write_text(
        f"extends: ../base/base.yaml\nproviders: {{openai: {{key: {own}}}}}\n"
    )
    done = byok("plan")
    assert done.code == 4
    assert "outside" in done.err


def test_a_key_of_the_base_needs_approval_for_a_teams_origin(fleet):
    byok, key = fleet
    base = byok.box.folder / "base/base.yaml"
    base.write_text(
        base.read_text().replace("locked: [/providers/anthropic]\n", "")
        + "endpoints: {gw: {type: litellm, base_url: 'https://gw.acme.example/v1',\n"
        "  key: 'sops://secrets/base.enc.yaml#/anthropic/key'}}\n"
    )
    assert byok("apply", "--yes", "--offline").code == 8
    allow = ("--allow-origin", "https://gw.acme.example")
    assert byok("apply", "--yes", "--offline", *allow).code == 0
    host = byok.box.manifest.parent / "host.yaml"
    host.write_text("endpoints: {gw: {base_url: 'https://evil.example/v1'}}\n")
    done = byok("apply", "--yes", "--offline", "--overlay", "host.yaml")
    assert done.code == 8
    assert "BYOK123" in done.err + done.out
    assert byok("plan", "--offline", "--detailed-exitcode").code == 0
    assert key not in done.out + done.err


def test_help_tells_of_overlays(byok):
    for command in ("plan", "rotate", "keys", "issue", "offboard", "watch", "service"):
        assert "--overlay" in byok(command, "--help").out
    assert "--effective" in byok("validate", "--help").out
    assert Path(byok.box.manifest).exists()


def test_a_new_key_goes_into_the_sops_file_of_the_base_that_names_it(fleet, monkeypatch):
    byok, old = fleet
    for name, value in byok.environment({}).items():
        monkeypatch.setenv(name, value)
    found = load(byok.box.manifest)
    [ref] = found.providers["anthropic"].secrets["key"]
    assert unwritable(ref, found.folder, found.homes) == ""
    new = "sk-ant-" + "api03-" + "Y" * 93 + "AA"

    store({ref: Secret(new)}, folder=found.folder, homes=found.homes)

    reader = Reader(folder=found.folder, snapshot=lambda _: Secret(""), homes=found.homes)
    assert reader.read(parse(ref)).expose() == new != old
    lost = "sops://../base/secrets/none.enc.yaml#/a"
    with pytest.raises(SecretError, match="outside"):
        store({lost: Secret(new)}, folder=found.folder, homes=found.homes)
