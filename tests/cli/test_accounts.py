"""Cursor and six accounts from the command line: a process, a sandbox, seven simulators."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Bench, Result
from tests.simulators.server import Response
from tests.simulators.world import World, world

pytestmark = pytest.mark.timeout(240)
SYSTEMS = ["cursor", "openai", "anthropic", "google", "azure", "bedrock", "gateway"]


@dataclass
class Fleet:
    """A sandbox with accounts; ``approved`` approves their address."""

    here: World
    bench: Bench

    @property
    def approved(self) -> tuple[str, ...]:
        secure = self.here.base.replace("http:", "https:")
        return ("--allow-origin", self.here.base, "--allow-origin", secure)

    def __call__(self, *args: str, **extra: str) -> Result:
        return self.bench(*args, **extra)

    def plan(self, *args: str) -> Result:
        return self("plan", "--accounts", "--json", *args, *self.approved)

    def seen(self) -> dict[str, list[str]]:
        """What each simulator was asked, and forget it."""
        found = {}
        for one in self.here.simulators:
            found[one.prefix] = [f"{r.method} {r.path}" for r in one.log]
            one.log.clear()
        return found

    def writes(self) -> dict[str, list[str]]:
        return {
            one.prefix: [f"{r.method} {r.path}" for r in one.writes()]
            for one in self.here.simulators
            if one.writes()
        }


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with world() as here:
        box = here.sandbox(tmp_path / "box")
        yield Fleet(here, Bench(box))


@pytest.fixture
def applied(fleet: Fleet) -> Fleet:
    done = fleet("apply", "--accounts", "--yes", *fleet.approved)
    assert done.code == 0, done.err
    return fleet


def systems(document) -> set[str]:
    return {change["address"].partition("/")[0] for change in document["changes"]}


def test_one_plan_of_cursor_and_six_accounts_sends_no_write(fleet):
    done = fleet.plan()
    assert done.code == 0, done.err
    assert systems(done.document) == set(SYSTEMS)
    assert fleet.writes() == {}
    assert fleet.plan().out == done.out


def test_apply_makes_it_so_once(applied):
    made = applied.writes()
    assert set(made) == {"openai", "anthropic", "google", "azure", "bedrock", "litellm"}
    applied.seen()
    again = applied("plan", "--accounts", "--detailed-exitcode", "--json")
    assert again.code == 0, again.out
    assert applied("apply", "--accounts", "--yes").code == 0
    assert applied.writes() == {}
    lines = applied("status", "--accounts").out.splitlines()
    assert sum(": in sync" in line for line in lines) == 7
    assert lines[0].startswith("cursor: waiting")


def test_a_fresh_machine_creates_nothing_twice(applied, tmp_path):
    shutil.rmtree(tmp_path / "box/state")
    applied.seen()
    done = applied("apply", "--system", "openai", "--system", "google", "--yes", *applied.approved)
    assert done.code == 0, done.err
    rest = ["anthropic", "azure", "bedrock", "gateway"]
    flags = [part for name in rest for part in ("--system", name)]
    assert applied("apply", *flags, "--yes", *applied.approved).code == 0
    assert applied.writes() == {}


def test_what_moved_behind_our_back_is_drift(applied):
    here = applied.here
    here.openai.limit(here.openai.project("cursor-byok"), 10_000)
    here.azure.deployments["gpt-4o-prod"]["sku"]["capacity"] = 5
    found = {c["address"]: c for c in applied("plan", "--accounts", "--json").document["changes"]}
    assert set(found) == {"openai/spend-limit/cursor-byok", "azure/deployment/gpt-4o-prod"}
    assert {change["cause"] for change in found.values()} == {"drift"}
    assert found["openai/spend-limit/cursor-byok"]["irreversible"] is True
    refused = applied("apply", "--accounts", "--yes")
    assert refused.code == 8
    assert "--allow-irreversible" in refused.err
    assert applied("apply", "--accounts", "--yes", "--allow-irreversible").code == 0
    assert applied("plan", "--accounts", "--detailed-exitcode").code == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"how": "answer", "response": Response(500, {})}, "error of its own"),
        ({"how": "answer", "response": Response(401, {"error": {}})}, "does not accept the key"),
        ({"how": "html"}, "captive portal"),
        ({"how": "half"}, "broke off"),
        ({"how": "redirect"}, "no key follows one"),
        ({"how": "huge"}, "end with its answer"),
    ],
    ids=lambda value: value.get("how") if isinstance(value, dict) else None,
)
def test_one_account_that_fails_leaves_the_others_planned(fleet, fault, words):
    fleet.here.openai.inject(times=10_000, **fault)
    done = fleet.plan()
    assert done.code == 5, done.err
    assert words in done.err
    assert systems(done.document) == set(SYSTEMS) - {"openai"}
    applied = fleet("apply", "--accounts", "--yes", "--json", *fleet.approved)
    assert applied.code == 5
    failed = {entry["address"]: entry["exit"] for entry in applied.document["failed"]}
    assert failed == {"openai": 5}
    assert {c["address"].partition("/")[0] for c in applied.document["applied"]} == (
        set(SYSTEMS) - {"openai"}
    )


def test_nothing_is_sent_to_an_address_nobody_approved(fleet):
    done = fleet("plan", "--accounts", "--json")
    assert done.code == 0
    codes = {finding["code"] for finding in done.document["diagnostics"]}
    assert "BYOK123" in codes
    assert systems(done.document) == {"cursor"}
    refused = fleet("apply", "--accounts", "--yes")
    assert refused.code == 8
    assert "--allow-origin" in refused.err
    assert not any(fleet.seen().values())
    assert fleet("plan").code == 0
    assert not any(fleet.seen().values())


def ask(fleet: Fleet, answers: bytes, *args: str) -> tuple[int | None, str, str]:
    """Run a command on a terminal of its own, and give it all its answers."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *args],
        cwd=fleet.bench.box.manifest.parent,
        env=fleet.bench.environment({}),
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(leader, answers)
    out, err = child.communicate(timeout=90)
    os.close(leader)
    os.close(follower)
    return child.returncode, out, err


def test_whoever_is_asked_approves_the_address_and_then_the_changes(fleet):
    code, out, err = ask(fleet, b"y\ny\n", "apply", "--system", "openai")
    assert code == 0, err
    assert "approved for good" in err
    assert "+ openai/project/cursor-byok" in out
    assert fleet("plan", "--system", "openai", "--detailed-exitcode").code == 0


def test_an_account_behind_two_addresses_is_asked_for_twice_and_then_applied(fleet):
    base = fleet.here.base
    fleet.bench.edit(f"login_base: {base}", f"login_base: {base.replace('127.0.0.1', 'localhost')}")
    code, out, err = ask(fleet, b"y\ny\ny\n", "apply", "--system", "azure")
    assert code == 0, err
    assert "+ azure/budget/azure" in out
    assert fleet("plan", "--system", "azure", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("command", ["destroy", "rollback"])
def test_taking_away_approves_no_address_unasked(fleet, command):
    own = fleet.here.base.replace("http:", "https:")
    assert fleet("apply", "--yes", "--allow-origin", own).code == 0
    done = fleet(command, "--accounts", "--yes")
    assert done.code == 8
    assert "--allow-origin" in done.err
    assert fleet("plan", "--accounts", "--json").code == 0
    assert not any(fleet.seen().values())


def test_status_says_which_accounts_nobody_approved(fleet):
    done = fleet("status", "--accounts")
    assert done.code == 0
    assert "openai was left out" in done.err


def test_a_target_in_an_account_that_fails_is_that_account_s_failure(fleet):
    fleet.here.openai.inject("answer", response=Response(500, {}), times=10_000)
    target = ("--accounts", "--target", "openai/project/cursor-byok")
    done = fleet("plan", *target, *fleet.approved)
    assert done.code == 5
    assert "error of its own" in done.err


@pytest.mark.parametrize("way", [("--offline",), ()])
def test_off_line_nothing_is_asked_and_that_is_said(fleet, way):
    extra = {} if way else {"BYOK_OFFLINE": "1"}
    done = fleet("plan", "--accounts", *way, *fleet.approved, **extra)
    assert done.code == 0, done.err
    assert "no account was looked at" in done.out
    assert not any(fleet.seen().values())


def test_without_accounts_no_admin_credential_is_used(applied):
    applied.seen()
    done = applied("plan", "--json")
    assert done.code == 0, done.err
    observed = {seen["address"] for seen in done.document["observations"]}
    for address in (
        "openai/model/gpt-4o",
        "anthropic/model/claude-sonnet-4-5",
        "gateway/key/gateway",
    ):
        assert address in observed
    here = applied.here
    admins = [
        text for group in here.keys.values() for name, text in group.items() if "admin" in name
    ]
    for simulator in here.simulators:
        for request in simulator.log:
            assert not any(admin in str(request) for admin in admins)
    assert here.team.log == []


def test_an_account_by_name_leaves_the_others_alone(applied):
    applied.seen()
    assert applied("plan", "--system", "openai").code == 0
    asked = {name for name, requests in applied.seen().items() if requests}
    assert asked == {"openai"}


def test_a_dead_key_and_a_spent_one_are_told_apart(applied):
    here = applied.here
    next(iter(here.anthropic.keys.values()))["status"] = "inactive"
    here.openai.spent = "project_spend_limit_exceeded"
    done = applied("plan", "--probe", "generate", "--yes", "--json")
    assert done.code == 0, done.err
    found = {(f["code"], f["path"].split("/")[2]) for f in done.document["diagnostics"]}
    assert ("BYOK131", "anthropic") in found
    assert any(code == "BYOK134" for code, _ in found)
    assert "USD by list price" in done.err
    declined = applied("plan", "--probe", "generate")
    assert declined.code == 64


def test_what_a_run_did_to_accounts_is_taken_back(applied):
    before = json.loads(applied.here.openai.snapshot())
    applied.here.openai.log.clear()
    done = applied(
        "rollback", "--system", "cursor", "--system", "openai", "--yes", "--allow-irreversible"
    )
    assert done.code == 0, done.err
    assert json.loads(applied.here.openai.snapshot()) != before
    states = {p["name"]: p["status"] for p in applied.here.openai.projects.values()}
    assert states["cursor-byok"] == "archived"


def test_an_account_that_the_manifest_drops_is_not_forgotten_in_silence(applied):
    text = applied.bench.box.manifest.read_text()
    start, end = text.index("  gateway:\n    type"), text.index("cursor_team:")
    text = text[:start].replace("endpoints:", "") + text[end:]
    lines = [line for line in text.splitlines() if "gateway" not in line]
    applied.bench.box.manifest.write_text("\n".join(lines) + "\n")
    done = applied("plan", "--accounts")
    assert done.code == 0, done.err
    assert "2 on record, and the manifest no longer declares this account" in " ".join(
        done.out.split()
    )


def test_destroy_releases_what_others_may_use(applied):
    done = applied("destroy", "--system", "azure", "--yes")
    assert done.code == 0, done.err
    assert set(applied.here.azure.deployments) == {"gpt-4o-prod"}
    assert not any(applied.here.azure.budgets.values())


def test_no_secret_of_any_account_in_any_output(fleet):
    here, told = fleet.here, []
    secrets = [text for group in here.keys.values() for text in group.values()]
    secrets += [text[:24] for text in secrets if len(text) > 60]

    def tell(*args: str) -> None:
        done = fleet(*args)
        told.extend((done.out, done.err))

    for form in ("text", "json", "markdown", "html"):
        tell("plan", "--accounts", "--format", form, "-v", *fleet.approved)
    here.google.inject("answer", response=Response(400, {"error": {"message": here.google.key}}))
    here.openai.inject("answer", response=Response(401, {"error": {"message": here.openai.key}}))
    tell("plan", "--accounts", "-v", *fleet.approved)
    tell("apply", "--accounts", "--yes", "--json", *fleet.approved)
    tell("history", "1", "--json")
    tell("status", "--accounts", "--json")
    files = [path for path in (fleet.bench.box.folder / "state").rglob("*") if path.is_file()]
    everything = "\n".join(told)
    for secret in secrets:
        assert secret not in everything
        for path in files:
            assert secret.encode() not in path.read_bytes(), path.name


def test_sixty_columns_are_enough(fleet):
    done = fleet("plan", "--accounts", "-v", *fleet.approved, COLUMNS="60")
    assert max(len(line) for line in done.out.splitlines()) <= 60


def test_the_demo_ends_well(tmp_path):
    argv = [sys.executable, "-m", "tests.simulators.demo", str(tmp_path / "demo")]
    done = subprocess.run(
        argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
