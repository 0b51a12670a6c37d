"""The collection over local connections: real Ansible, real byok, real SOPS."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from reconciler import __version__
from reconciler.sandbox import make
from reconciler.secrets.sops import binary
from tests.collection import ROOT, SLOW, Fleet

pytestmark = [
    pytest.mark.skipif(os.environ.get("BYOK_FLEET") != "1", reason=SLOW),
    pytest.mark.skipif(os.name == "nt", reason="only on POSIX: Ansible's controller"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    return make(tmp_path_factory.mktemp("template") / "box").folder


@pytest.fixture
def fleet(tmp_path, box):
    return Fleet.made(tmp_path, box, 2)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def keys(box: Path) -> list[str]:
    """The keys of the sandbox in clear."""
    done = subprocess.run(
        [
            str(binary()),
            "decrypt",
            "--output-type",
            "json",
            str(box / "team/secrets/team.enc.yaml"),
        ],
        env={"SOPS_AGE_KEY_FILE": str(box / "age.txt"), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    return [text for group in json.loads(done.stdout).values() for text in group.values()]


@contextmanager
def cursor_runs(fleet: Fleet, host: str) -> Iterator[None]:
    """Have what looks like a Cursor run on a host's profile."""
    name = ["/usr/share/cursor/cursor", "-c", "read _"]
    with subprocess.Popen(
        [*name, f"--user-data-dir={fleet.place(host) / 'cursor'}"],
        executable="/bin/sh",
        stdin=subprocess.PIPE,
    ) as running:
        try:
            yield
        finally:
            running.kill()


def with_systemctl(folder: Path, code: int) -> str:
    """Return a PATH with a systemctl that always ends with this code."""
    programs = folder / f"systemctl-{code}"
    programs.mkdir()
    (programs / "systemctl").write_text(f"#!/bin/sh\nexit {code}\n")
    (programs / "systemctl").chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"


def all_zero(played, fleet: Fleet) -> bool:
    return all(played.recap(host)["changed"] == 0 for host in fleet.hosts)


def test_plan_reports_and_touches_nothing(fleet):
    before = files(fleet.folder / "hosts")
    played = fleet.play("plan", "--diff")
    assert played.code == 0, played.out
    assert all_zero(played, fleet)
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "pending")
    known = fleet.result("dev-1")
    assert (known["format"], known["host"], known["run"]) == ("byok.host/1", "dev-1", "plan")
    assert (known["byok"], known["plan"]["summary"]["create"]) == (__version__, 11)
    assert known["keys"]["format"] == "byok.keys/1"
    after = files(fleet.folder / "hosts")
    assert {path for path in after if path not in before} == {
        str(fleet.place(host) / "state/fingerprint.key") for host in fleet.hosts
    }
    assert all(after[path] == data for path, data in before.items())
    assert (fleet.results / "dev-1.json").stat().st_mode & 0o077 == 0


def test_a_roll_out_changes_once_and_repairs_what_a_hand_changed(fleet):
    checked = fleet.play("apply", "--check", "--diff")
    assert checked.code == 0, checked.out
    assert not (fleet.place("dev-1") / "fleet").exists()
    assert "+cursor/model/gpt-4o override" in checked.out
    assert re.search(r"key: key [0-9a-f]{12} from sops://", checked.out)

    first = fleet.play("apply")
    assert first.code == 0, first.out
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "changed")
    known = fleet.result("dev-2")
    assert (len(known["apply"]["applied"]), known["plan"]["summary"]["create"]) == (11, 11)

    second = fleet.play("apply")
    assert second.code == 0
    assert all_zero(second, fleet)
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "in_sync")

    database = fleet.place("dev-1") / "cursor/User/globalStorage/state.vscdb"
    with closing(sqlite3.connect(database)) as db, db:
        db.execute(
            "UPDATE ItemTable SET value = replace(value, ?, ?)",
            ('"useOpenAIKey":true', '"useOpenAIKey":false'),
        )
    planned = fleet.play("plan")
    assert all_zero(planned, fleet)
    assert fleet.outcomes() == {"dev-1": "pending", "dev-2": "in_sync"}
    assert [change["cause"] for change in fleet.result("dev-1")["plan"]["changes"]] == ["drift"]

    repaired = fleet.play("apply")
    assert (repaired.recap("dev-1")["changed"], repaired.recap("dev-2")["changed"]) == (1, 0)
    assert fleet.outcomes() == {"dev-1": "changed", "dev-2": "in_sync"}


def test_more_change_than_expected_stops_the_batch_before_anything_is_changed(fleet):
    assert fleet.play("apply").code == 0
    before = files(fleet.folder / "hosts")
    for model in ("gpt-4o", "o1", "claude-sonnet-4-5", "gemini-2.5-pro"):
        line = next(
            one for one in fleet.manifest.read_text().splitlines() if one.startswith(f"  {model}:")
        )
        fleet.edit(line + "\n", "")
    fleet.serial = '[1, "10%", "100%"]'  # as it is without a word
    stopped = fleet.play("apply")
    assert stopped.code != 0
    assert "1 of 1 hosts of this batch would change more than expected" in stopped.out
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "skipped")
    assert fleet.result("dev-1")["why"].startswith("stopped before anything was applied")
    assert fleet.result("dev-1")["plan"]["summary"]["delete"] >= 4
    assert fleet.result("dev-2")["why"] == "the roll-out ended before this host's turn"
    assert files(fleet.folder / "hosts") == before

    fleet.serial = "2"
    fleet.variables["cursor_byok_allow_many"] = True
    lifted = fleet.play("apply", "-e", "cursor_byok_max_changes_percent=100")
    assert lifted.code == 0, lifted.out
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "changed")


def test_one_bad_host_never_hides_the_others(tmp_path, box):
    fleet = Fleet.made(tmp_path, box, 6)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho garbage\n")
    broken.chmod(0o755)
    fleet.own = {
        "dev-1": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": port},
        "dev-2": {"cursor_byok_cursor_dir": str(tmp_path / "no-cursor")},
        "dev-3": {"cursor_byok_executable": str(broken)},
        "dev-4": {"ansible_connection": "winrm"},
        "dev-5": {"cursor_byok_age_key_file": str(tmp_path / "no-key")},
    }
    played = fleet.play("apply")
    assert played.code != 0
    assert fleet.outcomes() == {
        "dev-1": "unreachable",
        "dev-2": "skipped",
        "dev-3": "failed",
        "dev-4": "failed",
        "dev-5": "failed",
        "dev-6": "changed",
    }
    why = {host: fleet.result(host)["why"] for host in fleet.hosts}
    assert "refused" in why["dev-1"]
    assert "never started" in why["dev-2"]
    assert "not JSON" in why["dev-3"]
    assert "Windows is not a target" in why["dev-4"]
    assert "Group Policy or Intune" in why["dev-4"]
    assert fleet.result("dev-5")["exit"] == 4
    assert fleet.result("dev-5")["doctor"]["format"] == "byok.doctor/1"
    assert played.recap("dev-1")["unreachable"] == 1


def test_a_host_with_a_reason_of_its_own_keeps_it_when_the_batch_is_stopped(fleet):
    assert fleet.play("apply").code == 0
    for model in ("gpt-4o", "o1", "claude-sonnet-4-5", "gemini-2.5-pro"):
        line = next(
            one for one in fleet.manifest.read_text().splitlines() if one.startswith(f"  {model}:")
        )
        fleet.edit(line + "\n", "")
    fleet.own = {"dev-1": {"cursor_byok_manifest": "none.yaml"}}
    stopped = fleet.play("apply", ANSIBLE_STRATEGY="free")
    assert stopped.code != 0
    assert "1 of 2 hosts of this batch would change more than expected" in stopped.out
    assert fleet.outcomes() == {"dev-1": "failed", "dev-2": "skipped"}
    why = fleet.result("dev-1")["why"]
    assert why.startswith(f"cursor_byok_manifest_src {fleet.team}: has no none.yaml; ")
    assert "cursor_byok_manifest" in why
    assert "cursor_byok_overlays" in why
    assert fleet.result("dev-1")["run"] == "apply"
    assert fleet.result("dev-2")["why"].startswith("stopped before anything was applied")


def test_what_the_controller_lacks_is_told_before_a_machine_is_touched(tmp_path, box):
    fleet = Fleet.made(tmp_path, box, 4)
    stranger = {"cursor_byok_source": "index", "cursor_byok_executable": ""}
    fleet.own = {
        "dev-1": stranger,
        "dev-2": {**stranger, "cursor_byok_source": "wheel"},
        "dev-3": {**stranger, "cursor_byok_index_url": "file:///none"},
        "dev-4": {"cursor_byok_manifest_src": "team", "cursor_byok_overlays": ["os/mac.yaml"]},
    }
    fleet.own["dev-3"]["cursor_byok_manifest"] = "nothing.yaml"
    for name, words in (("plan", ()), ("apply", ("-e", "cursor_byok_max_fail_percentage=100"))):
        assert fleet.play(name, *words, PATH="/usr/bin:/bin").code != 0
        assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "failed")
        why = [fleet.result(host)["why"] for host in fleet.hosts]
        assert "what PyPI calls byok is another program" in why[0]
        assert "cursor_byok_index_url" in why[0]
        assert why[1].startswith("cursor_byok_wheel: ")
        assert why[2].startswith(f"cursor_byok_manifest_src {fleet.team}: has no nothing.yaml; ")
        assert why[3].startswith("cursor_byok_manifest_src team: has no byok.yaml, os/mac.yaml; ")
    assert not any((fleet.place(host) / "fleet").exists() for host in fleet.hosts)


def test_a_byok_that_should_be_installed_and_is_not_is_a_failure(fleet, box):
    fleet.own = {
        "dev-1": {"cursor_byok_executable": str(fleet.folder / "none")},
        "dev-2": {
            "cursor_byok_executable": str(fleet.folder / "none"),
            "cursor_byok_age_key": (box / "age.txt").read_text(),
            "ansible_connection": "ssh",
            "ansible_ssh_executable": str(fleet.folder / "no-ssh"),
        },
    }
    for name in ("plan", "apply"):
        assert fleet.play(name).code != 0
        assert fleet.outcomes() == {"dev-1": "failed", "dev-2": "unreachable"}
        why = fleet.result("dev-1")["why"]
        assert why.startswith(f"{fleet.folder}/none: there is no such program; install byok")
        assert fleet.result("dev-2")["why"].startswith("did not answer: Unable to exec")


def test_a_connection_that_is_none_and_a_timer_that_fails_are_told_and_hide_nothing(fleet):
    fleet.own = {
        "dev-1": {"ansible_connection": "nonsense"},
        "dev-2": {"cursor_byok_service": True, "cursor_byok_service_interval": "nonsense"},
    }
    assert fleet.play("apply", "-e", "cursor_byok_max_fail_percentage=100").code != 0
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "failed")
    assert "'nonsense' was not found" in fleet.result("dev-1")["why"]
    assert "ended with exit 64: byok: --interval nonsense: " in fleet.result("dev-2")["why"]
    assert fleet.result("dev-2")["apply"]["changed"] is True
    fleet.play("plan", "-e", "cursor_byok_max_fail_percentage=100")
    assert fleet.outcomes() == {"dev-1": "failed", "dev-2": "in_sync"}

    del fleet.own["dev-2"]["cursor_byok_service_interval"]
    unserved = with_systemctl(fleet.folder, 1)
    assert fleet.play("apply", "--limit", "dev-2", PATH=unserved).code != 0
    known = fleet.result("dev-2")
    assert (known["outcome"], known["apply"]["changed"]) == ("failed", False)
    assert "nobody runs them" in known["why"]
    assert "loginctl enable-linger" in known["why"]


def test_a_roll_out_takes_back_what_was_applied_and_leaves_what_is_not_its_own(fleet):
    assert fleet.play("apply").code == 0
    for host in fleet.hosts:
        (fleet.place(host) / "fleet/own").write_text("not the role's")
    fleet.variables |= {"cursor_byok_state": "absent", "cursor_byok_service": "false"}
    fleet.own = {"dev-2": {"cursor_byok_manifest": "other.yaml"}}
    gone = fleet.play("apply")
    assert gone.code != 0
    assert fleet.outcomes() == {"dev-1": "changed", "dev-2": "failed"}
    known = fleet.result("dev-1")
    assert known["run"] == "apply"
    assert known["plan"]["summary"]["delete"] == len(known["apply"]["applied"])
    assert [path.name for path in (fleet.place("dev-1") / "fleet").iterdir()] == ["own"]
    assert "other.yaml: is not here, and its folder is" in fleet.result("dev-2")["why"]
    assert (fleet.place("dev-2") / "fleet/manifest/byok.yaml").exists()
    again = fleet.play("apply", "--limit", "dev-1")
    assert (again.code, again.recap("dev-1")["changed"]) == (0, 0)
    assert fleet.result("dev-1")["outcome"] == "in_sync"


def test_without_a_folder_of_results_none_are_written(fleet):
    fleet.variables["cursor_byok_results"] = ""
    fleet.inventory()
    fleet.environment()
    before = sorted(fleet.folder.iterdir())
    played = fleet.play("plan")
    assert played.code == 0, played.out
    assert sorted(fleet.folder.iterdir()) == before


HOSTILE = """#!/bin/sh
case "$*" in *-I*) echo 'byok: {{ lookup("pipe", "touch MARK") }}' >&2; exit 1;; esac
cat >/dev/null
cat <<'END'
ANSWER
END
"""


def test_a_hostile_target_speaks_for_itself_only_and_is_never_a_template(fleet):
    mark, evil = fleet.folder / "mark", fleet.folder / "evil"
    text = f'{{{{ lookup("pipe", "touch {mark}") }}}}'
    machine = dict.fromkeys(("user", "system", "node", "cursor", "byok", "installed"), text)
    machine |= {"executable": str(evil), "interpreter": str(evil), "home": text, "session": {}}
    result = {"host": "dev-2", "outcome": "in_sync", "why": text, "plan": {"changes": [text]}}
    answer = {"changed": False, "machine": {**machine, "identity": text}, "result": result}
    answer |= {"path": text, "staged": False, "over": text, "msg": text}
    told = json.dumps(answer | {"machine": answer["machine"] | {"user_home": text}})
    evil.write_text(HOSTILE.replace("ANSWER", told).replace("MARK", str(mark)))
    evil.chmod(0o755)
    fleet.own = {"dev-1": {"ansible_python_interpreter": str(evil)}}
    fleet.play("apply", "-vvvv")
    assert fleet.outcomes() == {"dev-1": "skipped", "dev-2": "skipped"}  # the gate stopped it
    assert fleet.play("apply", "-e", "cursor_byok_stop_percent=100").code == 0
    assert fleet.outcomes() == {"dev-1": "in_sync", "dev-2": "changed"}
    assert fleet.result("dev-1")["why"] == text
    fleet.variables["cursor_byok_keyring"] = [{"service": "s", "user": "u", "value": "v"}]
    fleet.play("apply", "--limit", "dev-1")
    assert "was not delivered (exit 1): {{ lookup" in fleet.result("dev-1")["why"]
    assert not mark.exists()


def test_values_are_delivered_as_they_come_to_and_sent_only_where_nobody_can_read_them(fleet):
    value = "canary-" + hashlib.sha256(b"environment").hexdigest()
    password = fleet.folder / "password"
    password.write_text("password")
    vault = [str(Path(sysconfig.get_path("scripts")) / "ansible-vault"), "encrypt_string"]
    sealed = subprocess.run(
        [*vault, "--vault-password-file", str(password), "--stdin-name", "value"],
        input=value,
        env=fleet.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    entry = "".join(f"      {line}\n" for line in sealed.splitlines())
    book = fleet.folder / "deliver.yml"
    book.write_text(
        "- hosts: dev-1\n"
        "  gather_facts: false\n"
        "  vars:\n"
        "    inner: '{{ place }}'\n"
        f"    entries:\n    - user: '{{{{ inner }}}}'\n{entry}"
        "  tasks:\n"
        "  - byok.cursor.deliver:\n"
        "      variable: entries\n"
        f"      python: {sys.executable}\n"
        "      script: import sys; open(sys.argv[1], 'w').write(sys.stdin.read())\n"
        f"      arguments: [{fleet.folder}/came]\n"
    )
    played = fleet.play(str(book), "--vault-password-file", str(password), "-vvvv")
    assert played.code == 0, played.out
    assert value not in played.out
    came = json.loads((fleet.folder / "came").read_text())
    assert came == [{"user": str(fleet.place("dev-1")), "value": value}]

    fleet.variables["cursor_byok_environment"] = {"MY_KEY": value}
    for name in ("ANSIBLE_KEEP_REMOTE_FILES", "ANSIBLE_DEBUG"):
        kept = fleet.play("plan", "--limit", "dev-1", **{name: "1"})
        assert kept.code != 0
        assert fleet.result("dev-1")["why"].startswith("cursor_byok_environment: is not sent: ")
        assert value not in kept.out
    left = [path for path in fleet.folder.rglob("*") if path.is_file()]
    found = {path.name for path in left if value.encode() in path.read_bytes()}
    assert found == {"came", "inventory.json"}


def test_a_failing_canary_ends_the_roll_out(fleet):
    fleet.edit("version: 1", "version: 1\nprovidders: {}")
    fleet.serial = '[1, "10%", "100%"]'
    played = fleet.play("apply")
    assert played.code != 0
    assert fleet.outcomes() == {"dev-1": "failed", "dev-2": "skipped"}
    assert "byok.yaml:" in fleet.result("dev-1")["why"]
    assert fleet.result("dev-2")["why"] == "the roll-out ended before this host's turn"
    assert not (fleet.place("dev-1") / "fleet/manifest").exists()


def test_a_cursor_that_runs_is_skipped_or_fails_by_policy(fleet):
    fleet.own = {"dev-1": {"cursor_byok_on_running": "skip"}}
    with cursor_runs(fleet, "dev-1"), cursor_runs(fleet, "dev-2"):
        played = fleet.play("apply")
    assert played.code != 0
    assert fleet.outcomes() == {"dev-1": "skipped", "dev-2": "failed"}
    assert all("Cursor is running" in fleet.result(host)["why"] for host in fleet.hosts)
    assert fleet.result("dev-2")["exit"] == 7
    assert played.recap("dev-1")["failed"] == 0


def test_of_two_controllers_at_once_one_is_told_of_the_other(fleet):
    fleet.own = {"dev-1": {"cursor_byok_on_running": "skip"}}
    with ExitStack() as others:
        for host in fleet.hosts:
            (fleet.place(host) / "state").mkdir(mode=0o700)
            file = fleet.place(host) / "state/writer.db"
            file.touch(mode=0o600)
            other = others.enter_context(closing(sqlite3.connect(file)))
            other.execute("BEGIN IMMEDIATE")
        assert fleet.play("apply").code != 0
    assert fleet.outcomes() == {"dev-1": "skipped", "dev-2": "failed"}
    assert all("another byok is writing" in fleet.result(host)["why"] for host in fleet.hosts)


def stub(folder: Path, name: str, version: str, content: dict[str, str]) -> None:
    """Make a wheel of a few lines, so that an installation needs no network."""
    info = f"{name}-{version}.dist-info"
    files = {
        **content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        lines = []
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            lines.append(f"{path},sha256={digest.rstrip(b'=').decode()},{len(text)}\n")
        wheel.writestr(f"{info}/RECORD", "".join(lines) + f"{info}/RECORD,,\n")


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory):
    """The real wheel; what it needs is this environment's, brought in by a .pth of a stub."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    build = ["build", "-q", "--no-isolation", "--wheel", "-o", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/METADATA"))
        needed = re.findall(r"^Requires-Dist: ([\w.-]+)", archive.read(name).decode(), re.MULTILINE)
    for one in sorted({re.sub(r"[-_.]+", "_", name).lower() for name in needed}):
        path = {"rig.pth": sysconfig.get_path("purelib") + "\n"} if one == "click" else {}
        stub(folder, one, "999.0", path)
    return folder


@pytest.mark.timeout(600)  # three environments
def test_byok_is_installed_once_from_a_wheelhouse_and_all_is_taken_back(tmp_path, box, wheelhouse):
    fleet = Fleet.made(tmp_path, box, 1)
    wheel = next(wheelhouse.glob("byok-*.whl"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    fleet.variables |= {
        "cursor_byok_source": "wheelhouse",
        "cursor_byok_wheelhouse": str(wheelhouse),
        "cursor_byok_version": __version__,
        "cursor_byok_sha256": digest,
        "cursor_byok_executable": "",
        "cursor_byok_python": sys.executable,
    }
    before = fleet.play("plan", PATH="/usr/bin:/bin")
    assert before.code == 0, before.out
    assert fleet.result("dev-1")["why"] == "byok is not installed here yet; apply installs it"
    first = fleet.play("apply")
    assert first.code == 0, first.out
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "changed")
    assert (fleet.place("dev-1") / "fleet/venv/bin/byok").exists()
    second = fleet.play("apply")
    assert all_zero(second, fleet), second.out

    place, served = fleet.place("dev-1") / "fleet", with_systemctl(fleet.folder, 0)
    program = place / "venv/bin/byok"
    fleet.variables |= {"cursor_byok_version": "9.9.9", "cursor_byok_sha256": ""}
    assert fleet.play("apply").code != 0
    assert "No matching distribution" in fleet.result("dev-1")["why"]
    assert subprocess.run([program, "--version"], check=True, capture_output=True).stdout
    assert sorted(path.name for path in place.glob("venv*")) == ["venv", "venv-a"]

    # what an earlier role, or one that was killed, may have left
    (place / "venv").unlink()
    (place / "venv-a").rename(place / "venv")
    (place / "venv-a").mkdir()
    fleet.variables |= {"cursor_byok_version": __version__, "cursor_byok_service": True}
    mended = fleet.play("apply", PATH=served)
    assert mended.code == 0, mended.out
    assert subprocess.run([program, "--version"], check=True, capture_output=True).stdout
    assert sorted(path.name for path in place.glob("venv*")) == ["venv", "venv-a"]
    units = fleet.folder / "controller/.config/systemd/user"
    assert f'"{place}/venv/bin/python"' in (units / "byok-watch.service").read_text()

    fleet.variables["cursor_byok_state"] = "absent"
    role = fleet.folder / "role.yml"
    role.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "roles": ["byok.cursor.cursor_byok"]}])
    )
    shown = fleet.play(str(role), "--check", "--diff")
    assert shown.code == 0, shown.out
    assert "-cursor/model/gpt-4o override" in shown.out
    assert (fleet.place("dev-1") / "fleet/venv/bin/byok").exists()
    fleet.variables["cursor_byok_on_running"] = "skip"
    with cursor_runs(fleet, "dev-1"):
        assert fleet.play(str(role)).code == 0
    assert fleet.outcomes() == {"dev-1": "skipped"}
    assert (fleet.place("dev-1") / "fleet/venv/bin/byok").exists()
    gone = fleet.play(str(role), PATH=served)
    assert gone.code == 0, gone.out
    assert not list(units.iterdir())
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "changed")
    assert {change["action"] for change in fleet.result("dev-1")["apply"]["applied"]} == {"delete"}
    assert not (fleet.place("dev-1") / "fleet").exists()
    again = fleet.play(str(role))
    assert again.code == 0, again.out
    assert all_zero(again, fleet)


def test_a_wheel_with_another_hash_and_an_old_python_are_refused(fleet, wheelhouse):
    wheel = next(wheelhouse.glob("byok-*.whl"))
    old = fleet.folder / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    fleet.variables |= {
        "cursor_byok_source": "wheel",
        "cursor_byok_wheel": str(wheel),
        "cursor_byok_executable": "",
    }
    fleet.own = {
        "dev-1": {"cursor_byok_sha256": "0" * 64},
        "dev-2": {"cursor_byok_python": str(old)},
    }
    played = fleet.play("apply")
    assert played.code != 0
    assert "another hash than cursor_byok_sha256" in fleet.result("dev-1")["why"]
    assert "byok needs Python 3.11 or newer" in fleet.result("dev-2")["why"]
    assert str(old) in fleet.result("dev-2")["why"]
    assert not list((fleet.folder / "hosts").rglob("venv"))


def test_a_secret_that_cannot_be_put_in_its_place_is_told_without_it(fleet, box):
    identity = (box / "age.txt").read_text()
    file = fleet.folder / "file"
    file.touch()
    fleet.variables |= {
        "cursor_byok_age_key": identity,
        "cursor_byok_age_key_file": str(file / "keys.txt"),
    }
    played = fleet.play("apply")
    assert "cursor_byok_age_key: was not delivered" in fleet.result("dev-1")["why"]
    assert f"{file}/keys.txt: " in fleet.result("dev-1")["why"]
    assert identity.splitlines()[-1] not in played.out


def test_an_age_identity_is_not_taken_along_with_the_manifest(fleet, box):
    (fleet.team / "identity.yaml").write_text((box / "age.txt").read_text())
    fleet.play("plan")
    assert "holds an age identity" in fleet.result("dev-1")["why"]


CALLBACK = """
import json, pathlib
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'aggregate'
    CALLBACK_NAME = 'everything'

    def note(self, result):
        said = [repr(vars(result)), json.dumps(result._result, default=repr)]
        with open(pathlib.Path(__file__).parents[1] / 'callback.log', 'a') as file:
            file.write(''.join([*said, repr(result._task.args)]))

    v2_runner_on_ok = v2_runner_on_skipped = v2_runner_on_unreachable = note

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.note(result)
"""


def watch_processes(stop: threading.Event, seen: set[bytes]) -> None:
    """Collect every process's arguments and environment, as another user of the machine could."""
    while not stop.is_set():
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                seen.add((folder / "cmdline").read_bytes())
            except OSError:
                continue
        time.sleep(0.005)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux: reads /proc")
def test_no_secret_is_in_any_output_log_callback_cache_process_or_result(fleet, box):
    identity = next(
        line for line in (box / "age.txt").read_text().splitlines() if line.startswith("AGE-")
    )
    variable = "canary-" + hashlib.sha256(identity.encode()).hexdigest()
    secrets = [*keys(box), identity, variable]
    plugins = fleet.folder / "plugins"
    plugins.mkdir()
    (plugins / "everything.py").write_text(CALLBACK)
    target = fleet.folder / "placed/keys.txt"
    fleet.variables |= {
        "cursor_byok_age_key": identity,
        "cursor_byok_age_key_file": str(target),
        "cursor_byok_environment": {"BYOK_SANDBOX_GEMINI_KEY": variable},
        "cursor_byok_collect": ["status", "doctor", "keys"],
    }
    settings = {
        "ANSIBLE_CALLBACK_PLUGINS": str(plugins),
        "ANSIBLE_CALLBACKS_ENABLED": "everything",
        "ANSIBLE_LOG_PATH": str(fleet.folder / "log"),
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(fleet.folder / "cache"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
    }
    stop, seen = threading.Event(), set[bytes]()
    watcher = threading.Thread(target=watch_processes, args=(stop, seen))
    watcher.start()
    try:
        said = [
            fleet.play("apply", "-vvvv", "--diff", **settings),
            fleet.play("apply", "-vvvv", "--diff", "--check", **settings),
            fleet.play(
                "plan", "-vvvv", "--diff", **{**settings, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
            ),
        ]
    finally:
        stop.set()
        watcher.join()
    assert [one.code for one in said] == [0, 0, 0], said[0].out[-3000:]
    assert fleet.outcomes() == dict.fromkeys(fleet.hosts, "in_sync")
    assert identity in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_text().count(identity) == 1
    texts = {"stdout": "".join(one.out for one in said).encode(), "processes": b"\n".join(seen)}
    inventory, cursor = fleet.inventory(), [fleet.place(host) / "cursor" for host in fleet.hosts]
    for path in fleet.folder.rglob("*"):
        theirs = path in (inventory, target) or any(path.is_relative_to(one) for one in cursor)
        if path.is_file() and not theirs:
            texts[str(path)] = path.read_bytes()
    assert len(texts["stdout"]) > 10_000
    assert b"cursor_byok" in (fleet.folder / "callback.log").read_bytes()
    assert b"ansible-playbook" in texts["processes"]
    leaked = [
        (name, secret[:6])
        for name, text in texts.items()
        for secret in secrets
        if secret.encode() in text
    ]
    assert leaked == []


FULL = """
set -e
mount -t tmpfs -o size=32k tmpfs "$1"
shift
exec "$@"
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not sys.platform.startswith("linux"),
    reason="only as root: mounts a small disk",
)
def test_a_full_disk_is_one_hosts_failure(fleet):
    full = fleet.place("dev-1") / "fleet"
    full.mkdir()
    (fleet.team / "big.yaml").write_text("# " + "x" * 100_000)
    command = fleet.command("byok.cursor.apply")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL, "sh", str(full), *command],
        cwd=fleet.folder,
        env=fleet.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert fleet.outcomes() == {"dev-1": "failed", "dev-2": "changed"}
    assert "No space left" in fleet.result("dev-1")["why"]
