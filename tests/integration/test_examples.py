"""Every example is what it says: its world and manifest give its plan; applying converges."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pytest

from reconciler.codec import dump_plan
from reconciler.engine import apply_plan
from reconciler.model import Plan, Scope
from reconciler.render.text import render_text
from reconciler.sandbox import age_key, encrypted
from reconciler.session import Options, reading, writing
from reconciler.survey import make_plan
from reconciler.systems.cursor import create_fresh_profile, database

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/byok.yaml"))
UPDATE = bool(os.environ.get("BYOK_UPDATE_EXAMPLES"))
USER_ROW = (
    "src.vs.platform.reactivestorage.browser.reactiveStorageServiceImpl"
    ".persistentStorage.applicationUser"
)
SAMPLES = {
    "{openai}": "sk-proj-" + "A" * 58 + "T3Blbk" + "FJ" + "B" * 58,
    "{openai-old}": "sk-proj-" + "C" * 58 + "T3Blbk" + "FJ" + "D" * 58,
    "{anthropic}": "sk-ant-" + "api03-" + "E" * 93 + "AA",
    "{anthropic-old}": "sk-ant-" + "api03-" + "F" * 93 + "AA",
    "{google}": "AI" + "za" + "G" * 35,
    "{azure}": "0123456789abcdef" * 2,
    "{aws-id}": "AK" + "IA" + "H" * 16,
    "{aws-secret}": "I" * 40,
    "{gateway}": "sk-" + "J" * 22,
}


class Memory(keyring.backend.KeyringBackend):
    """A keyring that holds what the world says."""

    priority = 1

    def __init__(self, items: Mapping[str, str]) -> None:
        super().__init__()
        self.items = dict(items)

    def get_password(self, service: str, username: str) -> str | None:
        return self.items.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self.items[f"{service}/{username}"] = password


def filled(data: Any) -> Any:
    text = json.dumps(data)
    for name, value in SAMPLES.items():
        text = text.replace(name, value)
    return json.loads(text)


def merged(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{name: merged(base.get(name), value) for name, value in over.items()}}


def settle(user_data: Path, world: Mapping[str, Any]) -> None:
    with closing(sqlite3.connect(database(user_data))) as db, db:
        (text,) = db.execute("SELECT value FROM ItemTable WHERE key=?", (USER_ROW,)).fetchone()
        over = merged(json.loads(text), world.get("settings", {}))
        text = json.dumps(over, separators=(",", ":"))
        db.execute("UPDATE ItemTable SET value=? WHERE key=?", (text, USER_ROW))
        db.executemany("INSERT INTO ItemTable VALUES (?, ?)", world.get("rows", {}).items())


@pytest.fixture
def options(request, tmp_path, monkeypatch) -> Iterator[Options]:
    """The example's world, built from nothing, with a fingerprint key that never changes."""
    world = filled(json.loads((EXAMPLES / request.param / "world.json").read_text()))
    folder = tmp_path / "team"
    shutil.copytree(EXAMPLES / request.param, folder)
    identity, recipient = age_key()
    (tmp_path / "age.txt").write_text(identity)
    for name, keys in world.get("sops", {}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(encrypted(keys, recipient))
    for name in [n for n in os.environ if n.startswith(("BYOK_", "AWS_", "GEMINI"))]:
        monkeypatch.delenv(name)
    env = {**world.get("env", {}), "SOPS_AGE_KEY_FILE": str(tmp_path / "age.txt")}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    before = keyring.get_keyring()
    keyring.set_keyring(Memory(world.get("keyring", {})))
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    key = os.open(state / "fingerprint.key", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(key, bytes(32))
    os.close(key)
    cursor = tmp_path / "cursor"
    create_fresh_profile(cursor)
    monkeypatch.chdir(folder)
    found = Options(
        Path("byok.yaml"),
        overlays=tuple(Path(name) for name in world.get("overlays", ())),
        cursor_dir=cursor,
        state_dir=state,
        offline=True,
    )
    if world.get("applied"):
        apply(found)
    settle(cursor, world)
    yield found
    keyring.set_keyring(before)


def plan(options: Options) -> Plan:
    with reading(options) as session:
        return make_plan(session, Scope(offline=True)).plan


def apply(options: Options) -> None:
    with writing(options, "test") as session:
        apply_plan(session, Scope(offline=True), lambda _: True)


@pytest.mark.integration
@pytest.mark.parametrize("options", NAMES, indirect=True, ids=NAMES)
def test_example(options, request):
    golden = EXAMPLES / request.node.callspec.params["options"]

    made = plan(options)

    text = render_text(made, width=100, color=False, unicode=True, detail=False)
    pretty = json.dumps(json.loads(dump_plan(made)), indent=2, ensure_ascii=False) + "\n"
    if UPDATE:
        (golden / "plan.json").write_text(pretty)
        (golden / "plan.txt").write_text(text.rstrip("\n") + "\n")
    assert pretty == (golden / "plan.json").read_text()
    assert text.rstrip("\n") + "\n" == (golden / "plan.txt").read_text()

    apply(options)

    again = plan(options)
    assert again.changes == ()
