"""Whatever else is in Cursor's database, any change leaves it as it was."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings, strategies as st

from reconciler.model import Action, Address, Cause, Change, Edit
from reconciler.spec import Manifest
from reconciler.systems.cursor import CursorSystem
from reconciler.systems.cursor.splice import dump
from tests.cursor_editor import SETTINGS, FakeVault, Keyring, database, idle, profile

OWNED_ROWS = ("cursorAuth/openAIKey", "secret://cursorAuth/openAIKey")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(max_size=5) | st.just("\ud800"),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below, max_size=3)
    ),
    max_leaves=8,
)
UNKNOWN = st.dictionaries(st.text(min_size=1, max_size=6).map("x-".__add__), VALUES, max_size=4)
IDS = st.lists(st.sampled_from(["a", "b", "mine", "é", "c/d"]) | st.integers(), max_size=5)
FOREIGN = st.dictionaries(
    st.sampled_from(
        ["cursorAuth/accessToken", "cursorAuth/openAIKe", "secret://x", "workbench", "z"]
    ),
    st.text(max_size=9) | st.binary(max_size=9) | st.integers(0, 9),
    max_size=4,
)
VAULT = FakeVault({"env://K": "a-new-key"})
CHANGES = st.sampled_from(
    [
        ("provider", "openai", "enabled", True),
        ("provider", "openai", "key", VAULT.seal(["env://K"])),
        ("provider", "openai", "base_url", "https://x.example/v1"),
        ("provider", "azure", "deployment", "d"),
        ("provider", "bedrock", "region", "r"),
        ("model", "mine", "override", "enabled"),
        ("model", "mine", "override", "disabled"),
        ("model", "mine", "override", "none"),
        ("model", "mine", "custom", True),
        ("default", "composer", "model", "mine"),
    ]
)  # fmt: skip


def unowned(document, kind, name, edit):
    """Return the document without the leaf that the edit owns."""
    ai = document["aiSettings"]
    match kind, name, edit:
        case "provider", _, "enabled":
            document.pop("useOpenAIKey", None)
        case "provider", _, "base_url":
            document.pop("openAIBaseUrl", None)
        case "provider", "azure", _:
            document["azureState"].pop("deployment", None)
        case "provider", "bedrock", _:
            document.pop("bedrockState", None)
        case "model", _, _:
            for listed in ("userAddedModels", "modelOverrideEnabled", "modelOverrideDisabled"):
                ai[listed] = [i for i in ai.get(listed, ()) if i != "mine"]
        case "default", _, _:
            ai["modelConfig"]["composer"].pop("modelName")
    return document


def dump_all(path):
    with closing(sqlite3.connect(path)) as db:
        found = list(db.execute("SELECT key, typeof(value), value FROM ItemTable ORDER BY rowid"))
        return found, list(db.execute("SELECT * FROM cursorDiskKV"))


@settings(deadline=None, max_examples=60)
@given(UNKNOWN, UNKNOWN, IDS, IDS, FOREIGN, CHANGES, st.booleans())
def test_strangers_stay(top, inner, added, enabled, foreign, change, pretty):
    with tempfile.TemporaryDirectory() as folder:
        home = profile(Path(folder))
        path = database(home)
        with closing(sqlite3.connect(path)) as db, db:
            (text,) = db.execute(
                "SELECT value FROM ItemTable WHERE key = ?", (SETTINGS,)
            ).fetchone()
            document = {**json.loads(text), **top}
            document["aiSettings"] |= {
                **inner,
                "userAddedModels": added,
                "modelOverrideEnabled": enabled,
            }
            text = json.dumps(document, indent=1) if pretty else dump(document)
            db.execute("UPDATE ItemTable SET value = ? WHERE key = ?", (text, SETTINGS))
            db.executemany("INSERT INTO ItemTable VALUES (?, ?)", list(foreign.items()))
            db.execute("INSERT INTO cursorDiskKV VALUES ('composerData:1', x'00ff')")
        before, chats = dump_all(path)
        kind, name, edit, after = change
        cursor = CursorSystem(Manifest("m", Path()), VAULT, home, keysource=Keyring(), running=idle)
        address = Address("cursor", kind, name)
        now = cursor.actual().resources.get(address, {}).get(edit)
        cursor.apply(Change(address, Action.UPDATE, Cause.NEW, (Edit(edit, now, after),)))
        then, chats_after = dump_all(path)
        assert chats_after == chats
        ours = {SETTINGS, *OWNED_ROWS}
        assert [r for r in then if r[0] not in ours] == [r for r in before if r[0] not in ours]
        (row,) = [r for r in then if r[0] == SETTINGS]
        assert row[1] == "text"
        wanted, found = (
            unowned(document, kind, name, edit),
            unowned(json.loads(row[2]), kind, name, edit),
        )
        assert found == wanted
        assert dump(found) == dump(wanted)
