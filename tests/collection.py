"""The collection as Ansible finds it, and its modules as processes, for tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLOW = "only where BYOK_FLEET=1, as in CI: minutes of real playbooks"
ROOT = Path(__file__).resolve().parents[1]
START = """
import json, runpy, sys
from ansible.module_utils.testing import patch_module_args
name, arguments = sys.argv[1], json.load(sys.stdin)
sys.argv = sys.argv[:1]
with patch_module_args(arguments):
    runpy.run_module(f"ansible_collections.byok.cursor.plugins.modules.{name}", run_name="__main__")
"""


@dataclass(frozen=True)
class Told:
    """What a module answered."""

    code: int
    document: dict[str, Any]
    out: str
    err: str

    def __getitem__(self, name: str) -> Any:
        return self.document[name]

    @property
    def warnings(self) -> list[str]:
        return [
            text if isinstance(text, str) else text["event"]["msg"]
            for text in self.document.get("warnings", [])
        ]


def linked(folder: Path) -> Path:
    """Put the collection where Ansible looks for it below ``folder``, which is returned."""
    place = folder / "ansible_collections" / "byok"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "cursor").is_symlink():
        (place / "cursor").symlink_to(ROOT / "ansible")
    return folder


def module(
    name: str,
    arguments: Mapping[str, Any],
    *,
    collections: Path,
    check: bool = False,
    diff: bool = False,
    env: Mapping[str, str] | None = None,
) -> Told:
    """Run a module as Ansible does: a process, its arguments on stdin, JSON on stdout."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": diff}
    done = subprocess.run(
        [sys.executable, "-c", START, name],
        input=json.dumps(given),
        env={
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR")},
            "PYTHONPATH": str(linked(collections)),
            "LC_ALL": "C.UTF-8",
            **(env or {}),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    document = json.loads(lines[-1]) if lines else {}
    return Told(done.returncode, document, done.stdout, done.stderr)


@dataclass(frozen=True)
class Played:
    """What a playbook said."""

    code: int
    out: str

    def recap(self, host: str) -> dict[str, int]:
        """Return the figures of a host's line in the recap."""
        line = next(line for line in self.out.splitlines() if line.startswith(f"{host} "))
        pairs = (word.split("=") for word in line.split(":", 1)[1].split())
        return {name: int(figure) for name, figure in pairs}


def controller(folder: Path) -> dict[str, str]:
    """Make the home of who runs Ansible below ``folder``; return the variables of that person.

    Ansible's own folder has a short name: ssh's sockets lie in it, and their paths are bounded.
    """
    home = folder / "controller"
    home.mkdir(exist_ok=True)
    (home / "ansible.cfg").write_text("[defaults]\n")
    return {
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(home / "a"),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }


def played(argv: list[str], *, folder: Path, env: Mapping[str, str], timeout: float) -> Played:
    """Run ansible-playbook with nobody to ask; both of its outputs are one."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )
    return Played(done.returncode, done.stdout)


@dataclass
class Fleet:
    """Hosts on this machine, by local connections: each a profile of Cursor and a state."""

    folder: Path
    box: Path
    hosts: tuple[str, ...]
    variables: dict[str, Any] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    serial: str = '["100%"]'

    @classmethod
    def made(cls, folder: Path, box: Path, count: int) -> Fleet:
        """Make ``count`` hosts, each with a copy of the Cursor of the sandbox ``box``."""
        fleet = cls(folder, box, tuple(f"dev-{number}" for number in range(1, count + 1)))
        for host in fleet.hosts:
            shutil.copytree(box / "cursor", fleet.place(host) / "cursor")
        shutil.copytree(box / "team", fleet.team)
        linked(folder / "collections")
        return fleet

    @property
    def team(self) -> Path:
        """The manifest's folder on the controller."""
        return self.folder / "team"

    @property
    def manifest(self) -> Path:
        return self.team / "byok.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def place(self, host: str) -> Path:
        """What is a host's home."""
        return self.folder / "hosts" / host

    def result(self, host: str) -> Any:
        return json.loads((self.results / f"{host}.json").read_text())

    def outcomes(self) -> dict[str, str]:
        return {host: self.result(host)["outcome"] for host in self.hosts}

    def edit(self, old: str, new: str) -> None:
        """Change the manifest on the controller."""
        text = self.manifest.read_text()
        assert old in text
        self.manifest.write_text(text.replace(old, new))

    def inventory(self) -> Path:
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "cursor_byok_home": "{{ place }}/fleet",
            "cursor_byok_cursor_dir": "{{ place }}/cursor",
            "cursor_byok_state_dir": "{{ place }}/state",
            "cursor_byok_age_key_file": str(self.box / "age.txt"),
            "cursor_byok_manifest_src": str(self.team),
            "cursor_byok_source": "installed",
            "cursor_byok_executable": str(Path(sysconfig.get_path("scripts")) / "byok"),
            "cursor_byok_offline": True,
            "cursor_byok_results": str(self.results),
            **self.variables,
        }
        hosts = {
            host: {"place": str(self.place(host)), **self.own.get(host, {})} for host in self.hosts
        }
        path = self.folder / "inventory.json"
        path.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
        return path

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "TMPDIR")}
        return kept | controller(self.folder) | {"ANSIBLE_LOCALHOST_WARNING": "False"}

    def command(self, playbook: str, *words: str) -> list[str]:
        program = str(Path(sysconfig.get_path("scripts")) / "ansible-playbook")
        if not any("serial" in word for word in words):
            words += ("-e", f'{{"cursor_byok_serial": {self.serial}}}')
        return [program, "-i", str(self.inventory()), playbook, *words]

    def play(self, playbook: str, *words: str, **env: str) -> Played:
        """Run a playbook of the collection, or one of our own."""
        name = playbook if playbook.endswith(".yml") else f"byok.cursor.{playbook}"
        env = {**self.environment(), **env}
        return played(self.command(name, *words), folder=self.folder, env=env, timeout=110)
