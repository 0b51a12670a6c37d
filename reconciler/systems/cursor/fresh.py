"""Make a Cursor profile as a fresh install leaves it, for `byok sandbox` and for tests."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from reconciler.spec import FEATURES
from reconciler.systems.cursor.layout import SETTINGS
from reconciler.systems.cursor.splice import dump

DDL = "CREATE TABLE IF NOT EXISTS ItemTable (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)"
"""As the editor's storage layer runs it at every open (VS Code 1.99 to 1.105)."""

CHATS = "CREATE TABLE IF NOT EXISTS cursorDiskKV (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)"


def create_fresh_profile(user_data: Path) -> None:
    """Write ``User/globalStorage/state.vscdb`` as after a first start without signing in.

    ``user_version`` 1, rollback journal, one settings row, no key of any kind, no ``code.lock``.
    Raises FileExistsError when a database is there.
    """
    folder = user_data / "User" / "globalStorage"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "state.vscdb"
    path.touch(mode=0o600, exist_ok=False)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute(DDL)
        connection.execute(CHATS)
        connection.execute("INSERT INTO ItemTable VALUES (?, ?)", (SETTINGS, dump(document())))


def document() -> dict[str, Any]:
    """Return the settings row's content on a fresh install, as far as it is known (2.4 to 2.6)."""
    return {
        "composerState": {"location2": "pane", "yoloCommandAllowlist": [], "thinkingLevel": "none"},
        "mcpServers": [],
        "availableDefaultModels2": [
            {"defaultOn": True, "name": "default", "supportsAgent": True, "legacySlugs": []}
        ],
        "featureModelConfigs": {"composer": {"defaultModel": "default", "fallbackModels": []}},
        "aiSettings": _ai_settings(),
        "authenticationSettings": {"githubLoggedIn": False},
        "azureState": {"useAzure": False},
        "cppEnabled": True,
        "indexRepository": True,
        "systemNotificationsEnabled": True,
        "openAIBaseUrl": None,
        "SPECIAL_KEY_id": str(uuid.uuid4()),
        "SPECIAL_KEY_lastUpdatedTimeInUnixSeconds": 1790000000.123,
    }


def _ai_settings() -> dict[str, Any]:
    order = ("cmd-k", "composer", *(f for f in FEATURES if f not in ("cmd-k", "composer")))
    return {
        "modelConfig": {
            feature: {"modelName": "default", "maxMode": feature == "background-composer"}
            for feature in order
        },
        "modelsWithNoDefaultSwitch": [],
        "modelDefaultSwitchOnNewChat": False,
        "completedModelMigrations": [],
        "modelOverrideEnabled": [],
        "modelOverrideDisabled": [],
    }
