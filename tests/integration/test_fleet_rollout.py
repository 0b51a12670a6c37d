"""The example of a fleet, rolled out: separate users over real sshd, bad machines among them."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox import sample_keys
from reconciler.secrets.secret import Secret
from reconciler.secrets.store import store
from reconciler.systems.cursor import database
from tests.collection import SLOW
from tests.fleet import mishaps, private
from tests.fleet.demo import recap
from tests.fleet.ground import Ground, link, made
from tests.fleet.people import Person, by_hand, settings

NOT_HERE = private.why_not()
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.environ.get("BYOK_FLEET") != "1", reason=SLOW),
]
over_ssh = pytest.mark.skipif(bool(NOT_HERE), reason=NOT_HERE or "-")


def play(ground: Ground, name: str, *words: str) -> tuple[dict[str, dict[str, int]], str, int]:
    done = ground.play(name, *words, capture_output=True)
    said = done.stdout + done.stderr
    kept = "".join(path.read_text() for path in ground.results.iterdir())
    assert not [secret for secret in ground.secrets if secret in said or secret in kept]
    return recap(done.stdout), said, done.returncode


def outcomes(ground: Ground) -> list[str]:
    return [ground.result(person)["outcome"] for person in ground.people]


def changes(ground: Ground, number: int) -> dict[str, str]:
    plan = ground.result(ground.person(number))["plan"]
    return {change["address"]: change["cause"] for change in plan["changes"]}


def report(ground: Ground, *words: str) -> str:
    argv = [sys.executable, "-m", "reconciler", "fleet", "report", "results", *words]
    done = subprocess.run(argv, cwd=ground.ops, capture_output=True, text=True, check=True)
    return done.stdout


def tables() -> dict[str, Any]:
    """What of this machine a rig could have changed."""
    names = ("/etc/passwd", "/etc/group", "/etc/shadow", "/proc/self/mounts")
    found: dict[str, Any] = {name: Path(name).read_bytes() for name in names}
    return found | {"/run/sshd": Path("/run/sshd").exists()}


@pytest.fixture
def ssh() -> Iterator[Ground]:
    before = tables()
    with made(4, remote=True) as ground:
        folder = ground.folder
        yield ground
    assert not folder.exists()
    assert tables() == before
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if os.fsencode(folder) in line]


@over_ssh
def test_plan_roll_out_drift_and_repair(ssh):
    link(ssh.person(2), None)  # the role is to install byok there

    _, _, code = play(ssh, "plan", "-vvv")
    assert (code, outcomes(ssh)) == (0, ["pending"] * 4)
    assert changes(ssh, 1)["cursor/provider/openai"] == "new"
    assert "cursor/provider/google" not in changes(ssh, 1)
    assert "cursor/provider/google" in changes(ssh, 4)  # the data team's
    assert not any(person.state.exists() for person in ssh.people[1:2])
    assert "useOpenAIKey" not in settings(ssh.person(1))

    found, _, code = play(ssh, "apply")
    assert (code, outcomes(ssh)) == (0, ["changed"] * 4)
    assert all(count["changed"] for count in found.values())
    for person in ssh.people:
        assert settings(person)["useOpenAIKey"] is True
        assert {path.lstat().st_uid for path in person.home.rglob("*")} == {person.uid}

    found, _, code = play(ssh, "apply")
    assert (code, outcomes(ssh)) == (0, ["in_sync"] * 4)
    assert [count["changed"] for count in found.values()] == [0] * 4

    by_hand(ssh.person(3), openai=False, model_on="o1")
    _, _, code = play(ssh, "plan")
    assert (code, outcomes(ssh)) == (0, ["in_sync", "in_sync", "pending", "in_sync"])
    assert changes(ssh, 3) == {"cursor/model/o1": "drift", "cursor/provider/openai": "drift"}
    assert settings(ssh.person(3))["useOpenAIKey"] is False  # a plan only reads
    assert "4 machines: 3 in sync, 1 drifted." in report(ssh)

    _, _, code = play(ssh, "apply", "--limit", "dev-003")
    assert (code, outcomes(ssh)) == (0, ["in_sync", "in_sync", "changed", "in_sync"])
    assert settings(ssh.person(3))["useOpenAIKey"] is True


@over_ssh
def test_a_bad_machine_hides_no_other_and_is_named(ssh):
    """First the canary stops what is too much; then everybody has a trouble but the last."""
    _, said, code = play(ssh, "apply", "-e", "cursor_byok_expected_changes=2")
    assert code == 2
    assert "stopped before anything was applied" in said
    assert outcomes(ssh) == ["skipped"] * 4
    assert "6 changes where at most 2 were expected" in said
    assert "useOpenAIKey" not in settings(ssh.person(1))

    mishaps.without_age_key(ssh, ssh.person(1))
    play(ssh, "apply", "-e", '{"cursor_byok_serial": [1, 3]}')
    assert outcomes(ssh) == ["failed", "skipped", "skipped", "skipped"]  # the canary failed
    assert "before this host's turn" in ssh.result(ssh.person(4))["why"]
    assert "useOpenAIKey" not in settings(ssh.person(4))

    mishaps.unreachable(ssh, ssh.person(2))
    with mishaps.cursor_running(ssh, ssh.person(3)):
        _, _, code = play(ssh, "apply", "-e", '{"cursor_byok_serial": "100%"}')
    assert code != 0
    assert outcomes(ssh) == ["failed", "unreachable", "skipped", "changed"]
    told = report(ssh)
    for number, why in ((1, "age key"), (2, "Connection refused"), (3, "Cursor is running")):
        assert why in ssh.result(ssh.person(number))["why"]
        assert why in told
    assert "4 machines: 1 changed, 1 skipped, 1 failing, 1 unreachable." in told
    assert settings(ssh.person(4))["useOpenAIKey"] is True
    assert "useOpenAIKey" not in settings(ssh.person(3))

    mishaps.without_sops(ssh, ssh.person(1))
    mishaps.old_python(ssh, ssh.person(2))
    ssh.variables["dev-002"].pop("ansible_port")
    ssh.variables["dev-002"] |= {"ansible_host": ssh.person(2).address}
    mishaps.read_only(ssh, ssh.person(3))
    play(ssh, "apply", "-e", '{"cursor_byok_serial": "100%"}')
    assert outcomes(ssh) == ["failed", "failed", "failed", "in_sync"]
    for number, why in ((1, "sops is not installed"), (2, "Python 3.11"), (3, "cannot be")):
        assert why in ssh.result(ssh.person(number))["why"]


@over_ssh
def test_a_fault_in_one_machines_layers_or_files_is_its_own(ssh):
    """A broken overlay, one that changes what the base locked, and another user's files."""
    mishaps.overlaid(ssh, ssh.person(1), "broken.yaml", "providers: {openai: [}\n")
    locked = "models:\n  o1: {enabled: true}\n"
    mishaps.overlaid(ssh, ssh.person(2), "override.yaml", locked)
    mishaps.foreign_files(ssh.person(3), ssh.person(4))
    play(ssh, "apply", "-e", '{"cursor_byok_serial": "100%"}')
    assert outcomes(ssh) == ["failed", "failed", "failed", "changed"]
    why = [ssh.result(person)["why"] for person in ssh.people]
    assert "broken.yaml:1" in why[0]
    assert "/models/o1/enabled" in why[1]
    assert re.search(r"override\.yaml:2\b.*base\.yaml:\d+", why[1])
    assert "Permission denied" in why[2]
    assert {path.stat().st_uid for path in ssh.person(3).cursor.rglob("*")} == {ssh.person(4).uid}


OWN_KEY = "providers:\n  openai: {key: 'keyring://byok/openai'}\n"


@over_ssh
@pytest.mark.skipif(
    not (shutil.which("gnome-keyring-daemon") and shutil.which("dbus-run-session")),
    reason="needs gnome-keyring-daemon and dbus-run-session",
)
def test_a_key_travels_into_each_persons_own_secret_service(ssh):
    """The real GNOME Keyring: unlocked for the first, locked for the second, none for the third."""
    key = sample_keys()["openai"]["key"]
    ssh.secrets.append(key)
    mishaps.keyring(ssh, ssh.person(1), unlocked=True)
    mishaps.keyring(ssh, ssh.person(2), unlocked=False)
    for person in ssh.people[:3]:
        mishaps.overlaid(ssh, person, "own.yaml", OWN_KEY)
        entry = {"service": "byok", "user": "openai", "value": key}
        ssh.set(person, cursor_byok_keyring=[entry])

    found, _, code = play(ssh, "apply", "-vvvv", "-e", '{"cursor_byok_serial": "100%"}')
    assert code != 0
    assert outcomes(ssh) == ["changed", "failed", "failed", "changed"]
    assert "is locked" in ssh.result(ssh.person(2))["why"]
    assert "keyring" in ssh.result(ssh.person(3))["why"]
    assert held_openai_key(ssh.person(1)) == key
    assert held_openai_key(ssh.person(2)) is None
    assert held_openai_key(ssh.person(4)) not in (None, key)

    found, _, _ = play(ssh, "apply", "--limit", "dev-001")
    assert found["dev-001"]["changed"] == 0


def held_openai_key(person: Person) -> str | None:
    """The key as it stands in Cursor's database until Cursor encrypts it at its next start."""
    with closing(sqlite3.connect(f"file:{database(person.cursor)}?mode=ro", uri=True)) as db:
        question = "SELECT value FROM ItemTable WHERE key='cursorAuth/openAIKey'"
        row = db.execute(question).fetchone()
    return row[0] if row else None


def test_a_new_key_and_who_still_has_the_old_one():
    """By local connections: what `byok rotate` leaves in the SOPS file is rolled out to one."""
    with made(2, remote=False) as ground:
        _, _, code = play(ground, "apply")
        assert (code, outcomes(ground)) == (0, ["changed"] * 2)
        old = shown(ground, 1)

        replace_openai_key(ground)
        _, _, code = play(ground, "apply", "--limit", "dev-001")
        assert (code, outcomes(ground)) == (0, ["changed"] * 2)
        new = shown(ground, 1)
        found, _, code = play(ground, "plan")
        assert (code, outcomes(ground)) == (0, ["in_sync", "pending"])
        assert [count["changed"] for count in found.values()] == [0] * 2

        told = report(ground)
        assert old != new
        assert re.search(rf"{new[:4]}…  cursor/provider/openai  1 ha\w+ it, 1 is to get it", told)
        assert re.search(rf"{old[:4]}…  cursor/provider/openai  old: 1 .*\n    dev-002", told)


def shown(ground: Ground, number: int) -> str:
    """The fingerprint of OpenAI's key that a machine was given."""
    made = ground.result(ground.person(number))["apply"]["applied"]
    (change,) = (one for one in made if one["address"] == "cursor/provider/openai")
    return next(edit["after"]["fingerprint"] for edit in change["edits"] if edit["name"] == "key")


def replace_openai_key(ground: Ground) -> None:
    reference = "sops://secrets/team.enc.yaml#/openai/key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOPS_AGE_KEY_FILE", str(ground.person(1).age_keys))
        ground.secrets.append(sample_keys()["openai"]["key"])
        store({reference: Secret(ground.secrets[-1])}, folder=ground.ops / "manifests")
