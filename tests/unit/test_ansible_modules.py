"""The modules of the collection, each as a process, on byok executables that misbehave."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.collection import ROOT, linked, module

pytestmark = pytest.mark.skipif(os.name == "nt", reason="only on POSIX: Ansible's targets")

PLAN = {
    "format": "byok.plan/1",
    "changes": [
        {
            "address": "cursor/provider/openai",
            "action": "update",
            "cause": "manifest",
            "irreversible": False,
            "edits": [
                {
                    "name": "key",
                    "before": {"fingerprint": "aaaa11112222", "ref": None},
                    "after": {"fingerprint": "bbbb33334444", "ref": "sops://s.yaml#/openai"},
                },
                {"name": "base_url", "before": None, "after": "https://llm.example\u202e/v1"},
            ],
        }
    ],
    "summary": {"create": 0, "update": 1, "delete": 0, "in_sync": 3, "observed": 0},
}
IN_SYNC = {**PLAN, "changes": [], "summary": {**PLAN["summary"], "update": 0, "in_sync": 4}}
APPLIED = {
    "format": "byok.apply/1",
    "changed": True,
    "applied": PLAN["changes"],
    "failed": [],
    "pending": [],
}
NEITHER = {"manifest": None, "executable": None}
NOTHING = {**APPLIED, "changed": False, "applied": []}
BUSY = {
    "format": "byok.error/1",
    "exit": 7,
    "where": "/home/ann/.config/Cursor",
    "what": "Cursor is running (its socket answers)",
    "way_out": "quit Cursor, or use --wait SECONDS",
}


class Bench:
    """A byok that says what it is told to say, and a module to call it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.byok = folder / "byok"
        self.manifest = folder / "byok.yaml"
        self.manifest.write_text("version: 1\n")
        self.log = folder / "calls"

    def says(self, answer="", code=0, err="", script=""):
        """Have byok print an answer; ``script`` is Python that runs before."""
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.byok.write_text(
            f"#!{sys.executable}\n"
            "import json, os, signal, sys, time\n"
            "said = json.dumps([sys.argv[1:], dict(os.environ)])\n"
            f"open({str(self.log)!r}, 'a').write(said + '\\n')\n"
            "if sys.argv[1:] == ['--version']: sys.exit(print('byok 0.1.0'))\n"
            f"{script}\n"
            f"sys.stderr.write({err!r})\n"
            f"sys.stdout.write({text!r})\n"
            f"sys.exit({code})\n"
        )
        self.byok.chmod(0o755)

    def calls(self):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if "--version" not in line]

    def versions(self):
        """How often byok was asked for its version."""
        return self.log.read_text().count("--version") if self.log.exists() else 0

    @property
    def words(self):
        return [words for words, _ in self.calls()]

    def run(self, name="reconcile", *, env=None, check=False, diff=False, **arguments):
        given = {"manifest": str(self.manifest), "executable": str(self.byok), **arguments}
        return module(
            name,
            {key: value for key, value in given.items() if value is not None},
            collections=self.folder,
            check=check,
            diff=diff,
            env=env,
        )


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_check_mode_plans_and_reports_what_would_change(bench):
    bench.says(PLAN)
    told = bench.run(check=True, diff=True, host="dev-017", offline=True)
    assert (told.code, told["changed"], told["outcome"]) == (0, True, "pending")
    (words,) = bench.words
    assert words[0] == "plan"
    assert not {"--yes", "--accounts"} & set(words)
    assert {"--json", "--offline", "--manifest"} <= set(words)
    result = told["result"]
    assert (result["format"], result["host"], result["run"]) == ("byok.host/1", "dev-017", "plan")
    assert result["plan"] == told["plan"]
    assert sorted(result) == sorted(
        [
            "format",
            "host",
            "user",
            "byok",
            "cursor",
            "run",
            "outcome",
            "why",
            "exit",
            "plan",
            "apply",
            "status",
            "doctor",
            "keys",
            "error",
        ]
    )
    assert told["changes"] == {"create": 0, "update": 1, "delete": 0, "total": 1, "percent": 25.0}


def test_the_diff_shows_fingerprints_and_references_on_both_sides_and_no_control_character(bench):
    bench.says(PLAN)
    diff = bench.run(check=True, diff=True)["diff"]
    assert diff["before"] == "cursor/provider/openai key: key aaaa11112222\n"
    assert "key: key bbbb33334444 from sops://s.yaml#/openai\n" in diff["after"]
    assert "\u202e" not in diff["after"]


def test_a_second_run_changes_nothing(bench):
    bench.says(NOTHING)
    told = bench.run()
    assert (told["changed"], told["outcome"], told["why"]) == (False, "in_sync", "")
    assert bench.words[0][:2] == ["apply", "--yes"]


def test_options_become_flags_and_never_accounts(bench):
    bench.says(APPLIED)
    told = bench.run(
        overlays=["/o/a.yaml", "/o/b.yaml"],
        allow_many=True,
        allow_irreversible=True,
        allow_exec=True,
        take_over=True,
        allow_origin=["https://llm.example"],
        cursor_dir="/c",
        state_dir="/s",
        age_key_file="/a/keys.txt",
    )
    assert told.code == 1  # the overlays are not there
    assert "/o/a.yaml: there is no such file" in told["msg"]
    for name in ("a", "b"):
        (bench.folder / name).write_text("")
    told = bench.run(
        overlays=[str(bench.folder / "a"), str(bench.folder / "b")],
        allow_many=True,
        allow_irreversible=True,
        allow_exec=True,
        take_over=True,
        allow_origin=["https://llm.example"],
        cursor_dir="/c",
        state_dir="/s",
        age_key_file="/a/keys.txt",
        env={"BYOK_ACCOUNTS": "1"},
    )
    assert told["changed"] is True
    ((words, env),) = bench.calls()
    line = " ".join(words)
    assert f"--overlay {bench.folder}/a --overlay {bench.folder}/b" in line
    for flag in ("--allow-many", "--allow-irreversible", "--allow-exec", "--take-over"):
        assert flag in words
    assert "--allow-origin https://llm.example" in line
    assert "--cursor-dir /c --state-dir /s" in line
    assert "--accounts" not in line
    assert env["BYOK_ACCOUNTS"] == "0"
    assert env["SOPS_AGE_KEY_FILE"] == "/a/keys.txt"


def test_accounts_cannot_be_asked_for_by_the_environment(bench):
    bench.says(APPLIED)
    told = bench.run(environment={"BYOK_ACCOUNTS": "1"})
    assert told.code == 1
    assert "accounts are written from one place" in told["msg"]
    assert bench.calls() == []


def test_state_absent_destroys_and_check_mode_only_shows_it(bench):
    bench.says(PLAN)
    bench.run(state="absent", check=True)
    assert bench.words[-1][:2] == ["plan", "--destroy"]
    bench.says(APPLIED)
    bench.run(state="absent", max_changes_percent=1)
    assert bench.words[-1][:2] == ["destroy", "--yes"]


@pytest.mark.parametrize(
    ("policy", "code", "outcome"), [("fail", 1, "failed"), ("skip", 0, "skipped")]
)
@pytest.mark.parametrize(
    "what",
    [
        "Cursor is running (its socket answers)",
        "cannot tell whether Cursor runs (no rights)",
        "another byok is writing: process 7 (byok apply, since 10:00:00 UTC)",
    ],
)
def test_a_cursor_that_runs_is_failed_or_skipped_by_policy(bench, policy, code, outcome, what):
    bench.says({**BUSY, "what": what}, code=7, err=f"byok: {what}\n")
    told = bench.run(on_running=policy)
    assert (told.code, told["outcome"], told["changed"]) == (code, outcome, False)
    assert what in told["why"]
    assert told["exit"] == told["result"]["exit"] == 7
    assert "--wait" not in bench.words[0]


def test_waiting_is_byoks(bench):
    bench.says(BUSY, code=7)
    told = bench.run(on_running="wait", wait=3)
    assert told["outcome"] == "failed"
    assert "--wait 3" in " ".join(bench.words[0])


@pytest.mark.parametrize(("policy", "outcome"), [("fail", "failed"), ("skip", "skipped")])
def test_a_user_without_cursor_is_failed_or_skipped_by_policy(bench, policy, outcome):
    missing = {**BUSY, "what": "there is no such database", "way_out": "start Cursor once"}
    bench.says(missing, code=7)
    assert bench.run(on_missing=policy, check=True)["outcome"] == outcome
    assert bench.run(on_running="skip", on_missing="fail")["outcome"] == "failed"


def test_a_database_of_an_unknown_form_is_never_skipped(bench):
    bench.says({**BUSY, "what": "they are in a form we do not know: x"}, code=7)
    assert bench.run(on_running="skip", on_missing="skip")["outcome"] == "failed"


def test_what_would_hinder_apply_is_said_with_the_plan(bench):
    bench.says(PLAN, err="note: Cursor is running (socket); apply would refuse, or wait\n")
    assert bench.run(check=True)["why"] == "Cursor is running (socket)"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (3, "1 error in the manifest"),
        (4, "no age identity"),
        (5, "refused the key"),
        (8, "stopped by a safety rule"),
        (64, "is no such option"),
    ],
)
def test_every_other_exit_is_a_failure_with_its_words(bench, code, what):
    bench.says(
        {**BUSY, "exit": code, "where": "byok.yaml", "what": what, "way_out": "mend it"}, code
    )
    told = bench.run(on_running="skip", on_missing="skip")
    assert told.code == 1
    assert told["msg"] == f"byok.yaml: {what}; mend it"
    assert (told["exit"], told["error"]["exit"], told["result"]["outcome"]) == (
        code,
        code,
        "failed",
    )


def test_a_broken_manifest_is_told_with_its_lines(bench):
    found = [{"severity": "error", "file": "byok.yaml", "line": 7, "message": "no such provider"}]
    bench.says(
        {**BUSY, "exit": 3, "where": "byok.yaml", "what": "1 error", "diagnostics": found}, 3
    )
    assert "byok.yaml:7 no such provider" in bench.run()["msg"]


def test_a_part_that_failed_fails_the_run_and_says_what_changed(bench):
    failed = [{"address": "cursor/model/o1", "exit": 5, "message": "gone; look"}]
    bench.says({**APPLIED, "failed": failed}, code=5)
    told = bench.run()
    assert (told.code, told["changed"]) == (1, True)
    assert told["msg"] == "cursor/model/o1: gone; look"
    assert told["result"]["apply"]["applied"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"answer": ""}, "printed no result"),
        ({"answer": "garbage \x1b[31m sk-x"}, "bytes that are not JSON"),
        ({"answer": "[1]"}, "something without a format where byok.apply/1 was expected"),
        ({"answer": {"format": "byok.apply/2"}}, "printed byok.apply/2 where byok.apply/1"),
        ({"answer": "", "code": 1, "err": "SyntaxError: invalid syntax\n"}, "Python 3.11"),
        ({"script": "os.kill(os.getpid(), signal.SIGKILL)"}, "was killed (SIGKILL)"),
    ],
)
def test_an_answer_that_is_none_is_a_clear_failure(bench, told, words):
    bench.says(**told)
    answer = bench.run(on_running="skip")
    assert answer.code == 1
    assert words in answer["msg"]
    assert answer["msg"].startswith(f"{bench.byok}: ")
    assert "; " in answer["msg"]
    assert "sk-x" not in answer.out
    assert answer["result"]["outcome"] == "failed"


def test_a_byok_that_is_missing_or_cannot_start_is_a_clear_failure(bench):
    told = bench.run()
    assert told["msg"].startswith(f"{bench.byok}: there is no such program; install byok")
    bench.byok.write_text("#!/no/such/python\n")
    bench.byok.chmod(0o755)
    assert "cannot be started (No such file or directory)" in bench.run()["msg"]
    told = bench.run(executable=None, env={"PATH": "/nowhere", "HOME": str(bench.folder)})
    assert "neither at" in told["msg"]


def test_a_byok_is_found_in_the_roles_own_place_before_path(bench):
    bench.says(NOTHING)
    own = bench.folder / ".local/share/byok/fleet/venv/bin/byok"
    own.parent.mkdir(parents=True)
    bench.byok.rename(own)
    told = bench.run(executable=None, env={"HOME": str(bench.folder)})
    assert told["outcome"] == "in_sync"


def gone(pid):
    """Whether a process ended; one that nobody has asked after yet (Z) has."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def test_a_byok_that_hangs_is_stopped_with_all_it_started(bench):
    mark = bench.folder / "child"
    bench.says(
        script="import subprocess\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        f"open({str(mark)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(300)"
    )
    told = bench.run(timeout=2)
    assert "did not end within 2 seconds and was stopped" in told["msg"]
    assert gone(int(mark.read_text()))


def test_messages_are_passed_on_cleaned_and_bounded(bench):
    lines = "".join(f"note: number {n} \x1b[2J\n" for n in range(50))
    bench.says(NOTHING, err=lines)
    told = bench.run()
    assert "note: number 0 [2J" in told.warnings
    assert "and 30 messages more" in told.warnings
    assert len(told.warnings) == 21


def test_a_threshold_stops_before_anything_is_written(bench):
    bench.says(PLAN)
    told = bench.run(max_changes_percent=20)
    assert (told.code, told["outcome"], told["changed"]) == (1, "failed", False)
    assert "25.0 % of what is managed here would change, more than 20.0 %" in told["msg"]
    told = bench.run(expected_changes=0)
    assert "1 changes where at most 0 were expected" in told["over"]
    assert {words[0] for words in bench.words} == {"plan"}


def test_below_a_threshold_exactly_what_was_judged_is_applied(bench):
    answers = {"plan": PLAN, "apply": APPLIED}
    bench.says(
        script=f"print(json.dumps({answers!r}[sys.argv[1]]))\n"
        "out = sys.argv[sys.argv.index('--out') + 1] if '--out' in sys.argv else ''\n"
        "if out: open(out, 'w').write('the plan')\n"
        "if sys.argv[1] == 'apply' and open(sys.argv[2]).read() != 'the plan': sys.exit(9)\n"
        "sys.exit(0)"
    )
    told = bench.run(max_changes_percent=30, expected_changes=1)
    assert (told["outcome"], told["over"], told["plan"], told["apply"]) == (
        "changed",
        "",
        PLAN,
        APPLIED,
    )
    assert "--yes" not in bench.words[1]
    assert not Path(bench.words[1][1]).exists()


def test_values_of_the_environment_are_masked_unless_they_are_places(bench):
    secret = "canary-" + "0123456789abcdef"
    bench.says(
        {**BUSY, "what": f"said {secret} in {bench.folder}"}, code=4, err=f"byok: {secret}\n"
    )
    given = {"MY_KEY": secret, "HOME": str(bench.folder), "X": "a", "Y": 1}
    told = bench.run(environment=given)
    assert secret not in told.out
    assert f"in {bench.folder}" in told["msg"]
    assert told["exit"] == 4
    (_, env) = bench.calls()[0]
    assert env["MY_KEY"] == secret


def test_what_is_taken_back_is_not_judged_by_the_manifest_that_it_had(bench):
    documents = {
        "plan": IN_SYNC,
        "destroy": NOTHING,
        "status": {"format": "byok.status/1"},
        "keys": {"format": "byok.keys/1", "keys": []},
    }
    bench.says(script=f"print(json.dumps({documents!r}[sys.argv[1]])); sys.exit(0)")
    for check in (True, False):
        result = bench.run(state="absent", collect=["status", "keys"], check=check)["result"]
        assert (result["outcome"], result["status"], result["keys"]) == ("in_sync", None, None)
    assert [words[0] for words in bench.words] == ["plan", "destroy"]


def test_collected_documents_are_asked_for_off_line(bench):
    documents = {
        "apply": NOTHING,
        "keys": {"format": "byok.keys/1", "keys": []},
        "doctor": {"format": "byok.doctor/1", "checks": []},
    }
    bench.says(script=f"print(json.dumps({documents!r}[sys.argv[1]])); sys.exit(0)")
    result = bench.run(collect=["keys"], collect_on_failure=["doctor"])["result"]
    assert (result["keys"]["format"], result["doctor"], result["byok"]) == (
        "byok.keys/1",
        None,
        "0.1.0",
    )
    assert "--offline" in bench.words[1]
    assert "--offline" not in bench.words[0]
    documents["apply"] = {**BUSY, "exit": 4}
    bench.says(
        script=f"print(json.dumps({documents!r}[sys.argv[1]])); sys.exit(sys.argv[1] == 'apply')"
    )
    result = bench.run(collect=["keys"], collect_on_failure=["doctor"])["result"]
    assert (result["keys"], result["doctor"]["format"]) == (None, "byok.doctor/1")


def test_a_version_that_is_known_is_not_asked_for_again(bench):
    bench.says(NOTHING)
    assert bench.run(version="0.2.0")["result"]["byok"] == "0.2.0"
    assert bench.versions() == 0
    assert bench.run()["result"]["byok"] == "0.1.0"
    assert bench.versions() == 1


def test_the_exit_of_the_plan_is_not_told_for_an_apply_that_never_ended(bench):
    bench.says(
        script="if sys.argv[1] == 'apply': os.kill(os.getpid(), signal.SIGKILL)\n"
        f"print(json.dumps({PLAN!r})); sys.exit(0)"
    )
    told = bench.run(max_changes_percent=100)
    assert (told["outcome"], told["exit"], told["result"]["exit"]) == ("failed", 1, 1)
    assert "was killed" in told["msg"]


def test_info_prefers_the_byok_that_is_named_and_finds_its_own_python(bench, tmp_path):
    bench.says(NOTHING)
    own = tmp_path / "fleet/venv/bin/byok"
    own.parent.mkdir(parents=True)
    own.write_text(bench.byok.read_text())
    own.chmod(0o755)
    (own.parent / "python").symlink_to(sys.executable)
    link = tmp_path / "bin/byok"
    link.parent.mkdir()
    link.symlink_to(own)
    look = partial(bench.run, "info", manifest=None, gather=[], home=str(tmp_path / "fleet"))
    assert look()["machine"]["executable"] == str(bench.byok)
    assert look()["machine"]["interpreter"] == sys.executable
    assert look(executable=None)["machine"]["executable"] == str(own)
    beside = look(executable=str(link))["machine"]["interpreter"]
    assert beside == str(own.resolve().parent / "python")


def test_info_changes_nothing_and_tells_of_the_machine(bench):
    documents = {name: {"format": f"byok.{name}/1"} for name in ("status", "doctor", "keys")}
    bench.says(
        script=f"print(json.dumps({documents!r}[sys.argv[1]]))\n"
        "sys.exit(2 * (sys.argv[1] == 'doctor'))"
    )
    told = bench.run("info", find_python=True)
    assert told["changed"] is False
    assert told["doctor"] == {"format": "byok.doctor/1"}
    machine = told["machine"]
    assert (machine["byok"], machine["executable"]) == ("0.1.0", str(bench.byok))
    assert Path(machine["python"]).exists()
    assert machine["identity"].endswith("sops/age/keys.txt")


def test_info_says_which_document_cannot_be_had(bench):
    bench.says({**BUSY, "exit": 3}, code=3)
    told = bench.run("info", gather=["status"])
    assert (told.code, told["status"]) == (0, None)
    assert told["failures"] == [
        "status: /home/ann/.config/Cursor: Cursor is running (its socket answers)"
    ]
    assert bench.run("info", manifest=None)["msg"].startswith("manifest: it is needed for")
    assert (
        bench.run("info", manifest=None, gather=[], executable="/no")["machine"]["executable"]
        is None
    )


def test_the_users_own_session_bus_is_found(bench, tmp_path):
    import socket

    bench.says(NOTHING)
    runtime = tmp_path / "run"
    runtime.mkdir()
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(runtime / "bus"))
        bench.run(env={"XDG_RUNTIME_DIR": str(runtime)})
    env = bench.calls()[0][1]
    assert env["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={runtime}/bus"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only as root: gives a folder away"
)
def test_somebody_elses_home_and_bus_are_not_used(bench, tmp_path):
    bench.says(NOTHING)
    other = tmp_path / "other"
    other.mkdir()
    os.chown(other, 12345, 12345)
    bench.run(
        env={
            "HOME": str(other),
            "XDG_RUNTIME_DIR": str(other),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={other}",
        }
    )
    env = bench.calls()[0][1]
    assert str(other) not in (env["HOME"], env.get("XDG_RUNTIME_DIR"))
    assert str(other) not in env.get("DBUS_SESSION_BUS_ADDRESS", "")


def encoded(**files):
    import base64

    return {
        name.replace("__", "/"): base64.b64encode(text).decode() for name, text in files.items()
    }


def test_files_are_placed_privately_once_and_taken_away_again(bench):
    dest = bench.folder / "placed"
    place = partial(bench.run, "place", manifest=None, executable=None, src="/", dest=str(dest))
    first = place(files=encoded(a=b"one", sub__b=b"two"), check=True)
    assert first["changed"] is True
    assert not dest.exists()
    assert place(files=encoded(a=b"one", sub__b=b"two"))["changed"] is True
    assert (dest / "a").stat().st_mode & 0o777 == 0o600
    assert dest.stat().st_mode & 0o777 == 0o700
    assert place(files=encoded(a=b"one", sub__b=b"two"))["changed"] is False
    (dest / "own").write_text("theirs")
    told = place(files=encoded(a=b"one"), diff=True)
    assert told["differs"] == ["sub/b"]
    assert not (dest / "sub/b").exists()
    assert (dest / "own").read_text() == "theirs"
    assert "sha256:" in told["diff"]["before"]
    assert "two" not in told["diff"]["before"]


def test_files_can_be_staged_for_a_plan(bench):
    dest = bench.folder / "placed"
    place = partial(
        bench.run, "place", src="/", dest=str(dest), env={"TMPDIR": str(bench.folder)}, **NEITHER
    )
    staged = place(files=encoded(a=b"one"), stage=True, check=True)
    assert (staged["changed"], staged["staged"]) == (False, True)
    assert (Path(staged["path"]) / "a").read_bytes() == b"one"
    assert not dest.exists()
    place(files=encoded(a=b"one"))
    same = place(files=encoded(a=b"one"), stage=True)
    assert (same["staged"], same["path"]) == (False, str(dest))


def test_a_stage_that_a_killed_play_left_goes_after_a_day(bench):
    scratch = bench.folder / "scratch"
    for name, age in (("byok-stage-old", 90_000), ("byok-stage-new", 3_600), ("other", 90_000)):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "byok.yaml").touch()
        os.utime(scratch / name, (time.time() - age, time.time() - age))
    (scratch / "byok-stage-link").symlink_to(scratch / "other")
    place = partial(bench.run, "place", src="/", dest=str(bench.folder / "placed"), **NEITHER)
    staged = place(files=encoded(a=b"one"), stage=True, env={"TMPDIR": str(scratch)})["path"]
    left = {path.name for path in scratch.iterdir()} - {Path(staged).name}
    assert left == {"byok-stage-new", "byok-stage-link", "other"}
    assert (scratch / "other/byok.yaml").exists()


def test_a_disk_that_takes_nothing_leaves_what_was_there(bench):
    dest = bench.folder / "placed"
    place = partial(bench.run, "place", manifest=None, executable=None, src="/", dest=str(dest))
    place(files=encoded(a=b"one"))
    (dest / "b.draft").mkdir()  # as good as a full disk: the second draft cannot be written
    told = place(files=encoded(a=b"new", b=b"two"))
    assert "cannot be written" in told["msg"]
    assert (dest / "a").read_bytes() == b"one"
    assert not (dest / "a.draft").exists()


def test_a_disk_that_takes_nothing_leaves_no_folder_behind(bench):
    place = partial(bench.run, "place", manifest=None, executable=None, src="/")
    dest, scratch = bench.folder / "placed", bench.folder / "scratch"
    scratch.mkdir()
    long = encoded(a=b"one", **{"b" * 300: b"two"})
    assert "cannot be written" in place(dest=str(dest), files=long)["msg"]
    assert not dest.exists()
    told = place(dest=str(dest), files=long, stage=True, env={"TMPDIR": str(scratch)})
    assert "cannot be written" in told["msg"]
    assert list(scratch.iterdir()) == []


def test_a_folder_that_others_could_write_to_is_closed_to_them(bench):
    dest = bench.folder / "placed"
    dest.mkdir()
    dest.chmod(0o777)
    told = bench.run("place", src="/", dest=str(dest), files=encoded(a=b"one"), **NEITHER)
    assert told["changed"] is True
    assert dest.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only as root: gives a folder away"
)
@pytest.mark.parametrize("stage", [False, True])
def test_a_folder_of_another_user_is_refused(bench, stage):
    dest = bench.folder / "placed"
    dest.mkdir()
    os.chown(dest, 12345, 12345)
    told = bench.run(
        "place", src="/", dest=str(dest), files=encoded(a=b"one"), stage=stage, **NEITHER
    )
    assert told["msg"].startswith(f"{dest}: cannot be written (it belongs to another user); ")
    assert list(dest.iterdir()) == []


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(linked(tmp_path / "collections")))
    return importlib.import_module("ansible_collections.byok.cursor.plugins.plugin_utils.results")


def test_two_hosts_never_share_a_file_of_results(results, tmp_path):
    hosts = ["a_b", "a/b", "a b", "j\u00f6rg", "j\u00fcrg", "../a_b", ".a_b", "a_b@x:2"]
    for host in hosts:
        results.write(str(tmp_path / "results"), {"host": host})
    files = list((tmp_path / "results").iterdir())
    assert sorted(json.loads(path.read_text())["host"] for path in files) == sorted(hosts)
    assert {"a_b.json", "a_b@x:2.json"} < {path.name for path in files}


def test_no_folder_means_no_results(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    results.write("", {"host": "dev-1"})
    assert sorted(tmp_path.iterdir()) == before


def test_results_that_cannot_be_written_leave_no_draft(results, tmp_path):
    from ansible.errors import AnsibleActionFail

    (tmp_path / "results/dev-1.json").mkdir(parents=True)
    with pytest.raises(AnsibleActionFail, match="cannot be written"):
        results.write(str(tmp_path / "results"), {"host": "dev-1"})
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["dev-1.json"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "ansible/plugins").glob("mod*/*.py")), ids=lambda path: path.name
)
def test_what_runs_on_a_target_is_python_3_8_and_imports_nothing_of_ours(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    names = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    allowed = set(sys.stdlib_module_names) | {"ansible", "ansible_collections"}
    assert {name.split(".")[0] for name in names if name} <= allowed
    assert not re.search(r"\.(removeprefix|removesuffix|is_relative_to|with_stem)\(", text)
    assert not re.search(r"\b(list|dict|tuple|set)\[", text)
