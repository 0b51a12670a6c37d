"""The people of a fleet: each has a home, a fresh Cursor, an age key, and an account on the rig."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from reconciler.sandbox import age_key
from reconciler.systems.cursor import SETTINGS, create_fresh_profile, database

FIRST_UID = 20_001
KEYS = Path(".config/sops/age/keys.txt")
CURSOR = Path(".config/Cursor")
STATE = Path(".local/state/byok")


@dataclass(frozen=True, slots=True)
class Person:
    """One user of one machine; ``number`` counts from 1."""

    number: int
    home: Path

    @property
    def host(self) -> str:
        """The name in the inventory."""
        return f"dev-{self.number:03}"

    @property
    def user(self) -> str:
        """The account's name on the rig."""
        return f"dev{self.number:03}"

    @property
    def uid(self) -> int:
        return FIRST_UID + self.number - 1

    @property
    def address(self) -> str:
        """A loopback address of its own, so that each host has its own ssh connection."""
        return f"127.0.{9 + self.number // 250}.{self.number % 250 + 1}"

    @property
    def cursor(self) -> Path:
        return self.home / CURSOR

    @property
    def state(self) -> Path:
        return self.home / STATE

    @property
    def age_keys(self) -> Path:
        """Where sops looks for age keys unless told otherwise."""
        return self.home / KEYS


def settle(person: Person, shared: tuple[str, str] | None = None) -> str:
    """Give a person a home, a fresh Cursor and an age key; return the key's recipient.

    ``shared`` is a key, with its recipient, that the person has in common with others.
    """
    identity, recipient = shared or age_key()
    person.home.mkdir(mode=0o700, parents=True)
    create_fresh_profile(person.cursor)
    person.age_keys.parent.mkdir(parents=True)
    person.age_keys.touch(mode=0o600)
    person.age_keys.write_text(identity)
    return recipient


def give(person: Person) -> None:
    """Give everything in a person's home to that person; needs root."""
    for path in (person.home, *person.home.rglob("*")):
        os.chown(path, person.uid, person.uid, follow_symlinks=False)


def settings(person: Person) -> dict[str, object]:
    """Return the row of settings that Cursor holds."""
    with closing(sqlite3.connect(f"file:{database(person.cursor)}?mode=ro", uri=True)) as db:
        (text,) = db.execute("SELECT value FROM ItemTable WHERE key=?", (SETTINGS,)).fetchone()
    found: dict[str, object] = json.loads(text)
    return found


def by_hand(person: Person, *, openai: bool | None = None, model_on: str = "") -> None:
    """Change Cursor's settings as a person would in its window: OpenAI's switch, a model on."""
    document = settings(person)
    if openai is not None:
        document["useOpenAIKey"] = openai
    if model_on:
        models = document["aiSettings"]
        assert isinstance(models, dict)
        models["modelOverrideDisabled"].remove(model_on)
        models["modelOverrideEnabled"].append(model_on)
    with closing(sqlite3.connect(database(person.cursor))) as db, db:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        db.execute("UPDATE ItemTable SET value=? WHERE key=?", (text, SETTINGS))


def crowd(homes: Path, count: int) -> Iterator[Person]:
    """Name so many people, whose homes are to be in this folder."""
    for number in range(1, count + 1):
        yield Person(number, homes / f"dev{number:03}")
