"""The role over real ssh: people's own homes, a login that becomes them, a key that travels."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox import age_key, encrypted, sample_keys
from tests.collection import ROOT, Played, controller, linked, played
from tests.fleet import private
from tests.fleet.people import Person, crowd, give, settings, settle
from tests.integration.test_ansible import watch_processes

MANIFEST = """\
version: 1
team: ssh
providers:
  openai: {key: "sops://secrets.enc.yaml#/openai/key"}
models:
  gpt-4o: {provider: openai}
"""

pytestmark = [
    pytest.mark.skipif(bool(private.why_not()), reason=private.why_not() or "-"),
    pytest.mark.integration,
    pytest.mark.timeout(300),
]


@dataclass
class Office:
    """Two people on one sshd; one age identity opens the team's file."""

    folder: Path
    people: tuple[Person, ...]
    identity: str
    keys: list[str]
    variables: dict[str, Any] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)

    def play(self, name: str, *words: str, **env: str) -> Played:
        scripts = Path(sysconfig.get_path("scripts"))
        ssh = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        common = {
            "ansible_ssh_private_key_file": str(self.folder / "ssh/id"),
            "ansible_ssh_common_args": f"{ssh} -o LogLevel=ERROR",
            "ansible_python_interpreter": sys.executable,
            "cursor_byok_manifest_src": str(self.folder / "team"),
            "cursor_byok_source": "installed",
            "cursor_byok_executable": str(scripts / "byok"),
            "cursor_byok_offline": True,
            "cursor_byok_results": str(self.folder / "results"),
            **self.variables,
        }
        hosts = {
            one.host: {
                "ansible_host": one.address,
                "ansible_user": one.user,
                **self.own.get(one.host, {}),
            }
            for one in self.people
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
        argv = [str(scripts / "ansible-playbook"), "-i", str(inventory), f"byok.cursor.{name}"]
        inside = [*argv, "-e", '{"cursor_byok_serial": ["100%"]}', *words]
        own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **controller(self.folder)}
        return played(
            private.command(self.folder, inside), folder=self.folder, env=own | env, timeout=200
        )

    def result(self, one: Person) -> Any:
        return json.loads((self.folder / "results" / f"{one.host}.json").read_text())


@pytest.fixture
def office():
    folder = Path(tempfile.mkdtemp(prefix="byok-ssh-"))
    try:
        folder.chmod(0o711)
        (folder / "home").mkdir(mode=0o755)
        people = tuple(crowd(folder / "home", 2))
        for one in people:
            settle(one)
            one.age_keys.unlink()  # it is to travel
        private.write_accounts(folder, [(one.user, one.uid, one.home) for one in people])
        for one in people:
            give(one)
        identity, recipient = age_key()
        (folder / "team").mkdir()
        (folder / "team/byok.yaml").write_text(MANIFEST)
        key = sample_keys()["openai"]
        (folder / "team/secrets.enc.yaml").write_text(encrypted({"openai": key}, recipient))
        linked(folder / "collections")
        yield Office(folder, people, identity, [key["key"]])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def secret_lines(identity: str) -> list[str]:
    return [line for line in identity.splitlines() if line.startswith("AGE-")]


def test_each_person_is_reconciled_as_that_person_and_the_key_travels_unseen(office):
    office.variables["cursor_byok_age_key"] = office.identity
    # the second by a login that becomes that person
    second = office.people[1]
    office.own[second.host] = {
        "ansible_user": "root",
        "cursor_byok_user": second.user,
        "ansible_become_method": "ansible.builtin.su",
    }
    stop, seen = threading.Event(), set[bytes]()
    watcher = threading.Thread(target=watch_processes, args=(stop, seen))
    watcher.start()
    log = office.folder / "log"
    try:
        first = office.play("apply", "-vvvv", "--diff", ANSIBLE_LOG_PATH=str(log))
    finally:
        stop.set()
        watcher.join()
    assert first.code == 0, first.out[-4000:]
    for one in office.people:
        known = office.result(one)
        assert (known["outcome"], known["user"]) == ("changed", one.user)
        assert settings(one)["useOpenAIKey"] is True
        assert one.age_keys.stat().st_uid == one.uid
        assert one.age_keys.stat().st_mode & 0o777 == 0o600
        placed = one.home / ".local/share/byok/fleet/manifest/byok.yaml"
        assert placed.stat().st_uid == one.uid
        assert {path.lstat().st_uid for path in one.home.rglob("*")} == {one.uid}
    texts = [first.out.encode(), log.read_bytes(), b"\n".join(seen)]
    texts += [path.read_bytes() for path in (office.folder / "results").iterdir()]
    for secret in (*secret_lines(office.identity), *office.keys):
        assert not any(secret.encode() in text for text in texts)
    assert any(b"sshd" in line for line in seen)

    again = office.play("apply")
    assert again.code == 0, again.out[-4000:]
    assert [again.recap(one.host)["changed"] for one in office.people] == [0, 0]


def test_a_session_that_is_another_persons_is_refused(office):
    first = office.people[0]
    office.own[first.host] = {"cursor_byok_user": "nobody", "ansible_user": "root"}
    played = office.play("plan", "-e", "cursor_byok_becomes=false", "--limit", first.host)
    assert played.code != 0
    assert "the session is root's, not nobody's" in office.result(first)["why"]
