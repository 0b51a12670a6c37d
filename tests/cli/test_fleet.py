"""byok fleet report as a user meets it: real results and made-up ones, good files and bad."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from reconciler.render.layout import cells
from tests import fleet_results as made
from tests.cli.conftest import Result

FORMATS = ("text", "markdown", "json", "html")


@pytest.fixture
def run(tmp_path):
    """A byok that has neither a manifest nor a Cursor: a report needs none."""

    def call(*args, stdin: bytes = b"", **extra: str) -> Result:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", "fleet", "report", *map(str, args)],
            cwd=tmp_path,
            env={**kept, "PYTHONUTF8": "1", "HOME": str(tmp_path / "home"), **extra},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture
def results(tmp_path):
    return made.write(tmp_path / "results", 60)


def test_a_folder_is_told_the_summary_last(run, results):
    done = run(results)
    assert done.code == 0, done.err
    assert done.err == ""
    assert done.out.splitlines()[-1].startswith("60 machines: 30 in sync, 4 changed, 15 pending")
    assert "10 machines  + cursor/model/gpt-4o  new" in done.out
    assert "\x1b" not in done.out


def test_it_reads_and_writes_nothing_else(run, results, tmp_path):
    before = {path: path.read_bytes() for path in results.iterdir()}
    for form in FORMATS:
        assert run(results, "--format", form).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]
    assert {path: path.read_bytes() for path in results.iterdir()} == before


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_results_are_the_same_bytes_in_any_order(run, results, form):
    files = sorted(results.iterdir())
    stream = b"\n".join(file.read_bytes() for file in files)
    first = run(*files, "--format", form)
    assert first.out == run(*reversed(files), results, "--format", form).out
    assert first.code == 0
    assert run("-", "--format", form, stdin=stream).code == 0


def test_json_is_one_document(run, results):
    done = run(results, "--json")
    assert done.document["totals"]["hosts"] == 60
    assert done.document == run(results, "--format", "json").document
    assert done.err == ""


def test_sixty_columns_and_no_colour(run, results):
    plain = run(results, COLUMNS="60", FORCE_COLOR="1", NO_COLOR="1")
    assert max(map(cells, plain.out.splitlines())) <= 60
    assert "\x1b" not in plain.out
    assert "\x1b[" in run(results, COLUMNS="60", FORCE_COLOR="1").out
    assert run(results, "--no-color", COLUMNS="60", FORCE_COLOR="1").out == plain.out


def test_verbose_names_every_machine(run, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(0, 100, 2):
        one = made.envelope(f"h{n:02d}", "pending", plan=made.plan(made.MODEL))
        (folder / f"{n}.json").write_text(json.dumps(one))
    assert "and 40 more" in run(folder).out
    assert "98]" in run(folder, "-v", COLUMNS="400").out


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["in_sync"], 0),
        (["in_sync", "changed"], 0),
        (["in_sync", "pending"], 2),
        (["skipped"], 2),
        (["failed"], 2),
        (["unreachable"], 2),
        (["in_sync", "broken"], 2),
    ],
)
def test_the_exit_tells_when_asked(run, tmp_path, outcomes, code):
    for n, outcome in enumerate(outcomes):
        text = "{" if outcome == "broken" else json.dumps(made.envelope(f"h{n}", outcome))
        (tmp_path / f"{n}.json").write_text(text)
    files = sorted(tmp_path.glob("*.json"))
    assert run(*files).code == 0
    assert run(*files, "--detailed-exitcode").code == code


def test_a_result_of_an_earlier_run_is_told_and_is_not_well(run, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(made.envelope(name, "in_sync")))
    assert run("a.json", "b.json", "--detailed-exitcode").code == 0
    week = (tmp_path / "a.json").stat().st_mtime - 7 * 24 * 60 * 60 - 60
    os.utime(tmp_path / "b.json", (week, week))
    done = run("a.json", "b.json", "--detailed-exitcode")
    assert done.code == 2
    assert "1 machine  7 days older than the newest result\n    b\n" in done.out
    assert done.out.endswith("2 machines, all in sync. 1 has an old result.\n")
    assert run("a.json", "b.json").code == 0
    assert run("a.json", "b.json", "--json").document["old_results"][0]["hosts"] == ["b"]
    stream = b"\n".join((tmp_path / f"{name}.json").read_bytes() for name in ("a", "b"))
    assert run("-", "--detailed-exitcode", stdin=stream).code == 0


def test_bad_files_are_named_and_hide_nobody(run, results):
    (results / "cut.json").write_text('{"format": "byok.host/1", "ho')
    (results / "foreign.json").write_text('{"format": "else/1"}')
    (results / "link.json").symlink_to("/etc/passwd")
    done = run(results)
    assert done.code == 0
    part = done.out.split("Could not be read\n")[1]
    assert [name in part for name in ("cut.json", "foreign.json", "link.json")] == [True] * 3
    assert done.out.endswith(" 3\nfiles could not be read.\n")
    assert "60 machines" in done.out
    assert "root:" not in done.out


@pytest.mark.parametrize("args", [["empty"], ["none"], ["none", "empty", "-"], []])
def test_nothing_to_read_is_a_wrong_command_line(run, tmp_path, args):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no result")
    done = run(*args)
    assert done.code == 64
    assert done.out == ""
    assert run(*args, "--json").document["exit"] == 64


def test_a_folder_without_results_is_named_beside_one_with(run, results, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run(results, "empty", "-")
    assert "empty: holds no result: no *.json is in this folder" in done.out
    assert "stdin: brought no line" in done.out
    assert "2\nfiles could not be read" in done.out or "2 files could not be read" in done.out


def test_it_needs_no_stdin(results):
    words = [sys.executable, "-m", "reconciler", "fleet", "report", str(results)]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "60 machines" in done.stdout


def test_a_name_that_is_too_long_is_told(run, results):
    done = run(results, "n" * 300)
    assert done.code == 0, done.err
    assert "cannot be read (File name too long)" in " ".join(done.out.split())
    done = run(results, "--out", "n" * 300)
    assert done.code == 1
    assert "the report cannot be written (File name too long)" in done.err


def test_only_bad_files_are_still_a_report(run, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    done = run("bad.json")
    assert done.code == 0
    assert "0 machines. 1 file could not be read." in done.out


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("r.html", "<!doctype html>"),
        ("r.md", "### byok fleet report"),
        ("r.json", '{"drift":'),
        ("r.txt", "Identical plans"),
        ("r", "Identical plans"),
    ],
)
def test_a_file_is_written_in_the_form_its_name_asks_for(run, results, tmp_path, name, start):
    done = run(results, "--out", name, FORCE_COLOR="1")
    assert done.code == 0
    assert done.out == ""
    assert done.err.startswith(f"{name} is written: 60 machines: ")
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert text.startswith(start)
    assert "\x1b" not in text
    assert run(results, "--out", name, "--format", "html").code == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_result_is_never_overwritten(run, results):
    victim = results / "dev-01.json"
    before = victim.read_bytes()
    done = run(results, "--out", victim)
    assert done.code == 64
    assert victim.read_bytes() == before


@pytest.mark.parametrize("out", [".", "results", "pipe"])
def test_what_is_no_file_is_never_replaced(run, results, tmp_path, out):
    """A pipe stands for /dev/null, in whose place root could otherwise put a file."""
    os.mkfifo(tmp_path / "pipe")
    before = (tmp_path / out).stat()
    done = run(results, "--out", out)
    assert done.code == 64
    assert f"--out {out}: is no ordinary file" in done.err
    assert (tmp_path / out).stat().st_mode == before.st_mode
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_report_among_the_results_is_left_out(run, results):
    out = results / "report.json"
    for given in (out, out, "results/report.json", "results/../results/report.json"):
        done = run(results, "--out", given)
        assert done.code == 0
        assert json.loads(out.read_text())["totals"]["hosts"] == 60
        assert json.loads(out.read_text())["totals"]["unreadable"] == 0
    assert "report.json is a report itself, and was left out" in done.err


def test_a_file_that_cannot_be_written_is_said(run, results, tmp_path):
    done = run(results, "--out", tmp_path / "no" / "r.html")
    assert done.code == 1
    assert "the report cannot be written (No such file or directory)" in done.err
    assert not (tmp_path / "no").exists()


def test_a_report_is_readable_by_its_owner_alone_and_leaves_no_draft(run, results, tmp_path):
    assert run(results, "--out", "r.html").code == 0
    assert (tmp_path / "r.html").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "results"]


def test_real_documents_of_a_real_byok(applied, run, tmp_path):
    """What plan, status, doctor and keys print is what a report reads; nothing of it is secret."""
    folder = tmp_path / "real"
    folder.mkdir()
    applied.edit("o1: { provider: openai, enabled: false }", "o3: { provider: openai }")
    applied.change(useOpenAIKey=False)
    for name in ("plan", "status", "doctor", "keys"):
        (folder / f"laptop.{name}.json").write_text(applied(name, "--json").out)
    (folder / "laptop.apply.json").write_text(applied("apply", "--yes", "--json").out)
    done = run(folder, "--json")
    assert done.document["unreadable"] == []
    (host,) = done.document["hosts"]
    assert host["host"] == "laptop"
    assert len(host["files"]) == 5
    assert done.document["plans"][0]["done"]
    assert any(one["repaired"] for one in done.document["drift"])
    (ring,) = done.document["keyrings"]
    assert ring["comparable"]
    assert {one["address"] for one in ring["keys"]} >= {"cursor/provider/anthropic"}
    secrets = applied.keys()
    for form in FORMATS:
        told = run(folder, "--format", form)
        assert not any(key in told.out for key in secrets)


def test_a_failure_as_byok_prints_it_is_a_failing_machine(byok, run, tmp_path):
    byok.edit("version: 1", "version: 99")
    (tmp_path / "laptop.json").write_text(byok("plan", "--json").out)
    done = run("laptop.json", "--json")
    (trouble,) = done.document["troubles"]
    assert trouble["outcome"] == "failing"
    assert trouble["exit"] == 3
    assert trouble["hosts"] == ["laptop"]


def test_a_value_that_is_in_the_wrong_place_is_not_repeated(run, tmp_path):
    canary = "sk-" + "canary" * 8
    one = made.envelope("a", "in_sync", plan=made.plan({**made.MODEL, "address": canary}))
    (tmp_path / "a.json").write_text(json.dumps(one))
    (tmp_path / "b.json").write_text(canary)
    (tmp_path / "c.json").write_text(json.dumps({"format": canary}))
    (tmp_path / "d.json").write_text(json.dumps(made.envelope("d", canary)))
    odd = made.plan({**made.MODEL, "action": canary, "cause": canary})
    (tmp_path / "e.json").write_text(json.dumps(odd))
    for form in FORMATS:
        done = run(*sorted(tmp_path.glob("*.json")), "--format", form)
        assert done.code == 0
        assert canary not in done.out + done.err
        assert done.err == ""


def test_the_group_alone_shows_its_help(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "fleet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 64
    assert "report" in done.stderr


def test_nothing_of_the_network_and_no_renderer_is_imported_for_json(run, results):
    done = run(results, "--json", PYTHONPROFILEIMPORTTIME="1")
    found = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "reconciler.fleet.document" in found
    for name in ("httpx", "ssl", "rich", "yaml", "keyring", "reconciler.fleet.page", "sqlite3"):
        assert name not in found
