"""The contract, held by Cursor's settings: both storage eras, both journal modes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from reconciler.systems.cursor import CursorSystem
from tests.contract.contract import Rig, SystemContract, mortality
from tests.cursor_editor import (
    NAMES,
    SETTINGS,
    Keyring,
    decrypt,
    document,
    encrypt,
    idle,
    image,
    merge,
    profile,
    put_rows,
    rows,
)

__all__ = ["mortality"]

TAG, PASSWORD = b"v11", b"keyring-secret"
THEIRS = {"openAIKey": "typed-in-by-hand-openai", "googleKey": "typed-in-by-hand-google"}
OURS = {
    "openai1": "team-openai-key-one",
    "openai2": "team-openai-key-two",
    "anthropic": "team-anthropic-key",
    "azure": "0123456789abcdef" * 2,
    "secret": "team-bedrock-secret-access-key",
}
MOVED = "moved-by-hand-anthropic"

BEDROCK = """
  bedrock:
    enabled: false
    region: us-east-1
    access_key_id: file://keys/openai1
    secret_access_key: file://keys/secret
"""

MANIFESTS = {
    "first": """
version: 1
team: acme
providers:
  openai: {key: file://keys/openai1}
  anthropic: {key: file://keys/anthropic}
  google: {absent: true}
  azure:
    key: file://keys/azure
    endpoint: https://acme.openai.azure.com
    deployment: gpt-4o-prod
models:
  gpt-4o: {provider: openai}
  o1: {provider: openai, enabled: false}
  claude-sonnet-4-5: {provider: anthropic, default_for: [composer]}
  mine: {provider: openai, custom: true}
""",
    "second": """
version: 1
team: acme
endpoints:
  gateway: {type: litellm, base_url: "https://llm.example.com/v1", key: file://keys/openai2}
providers:
  anthropic: {enabled: false, key: file://keys/openai2}
"""
    + BEDROCK.removeprefix("\n")
    + """
models:
  gpt-4o: {provider: openai, enabled: false}
  acme-coder: {endpoint: gateway}
""",
    "none": "version: 1\nteam: acme\n",
}


class CursorRig(Rig):
    secrets = (*THEIRS.values(), *OURS.values(), MOVED)

    def __init__(self, folder: Path, *, wal: bool, encrypted: bool) -> None:
        super().__init__(folder)
        self.encrypted = encrypted
        self.home = profile(folder / "Cursor", wal=wal)
        for name, text in OURS.items():
            self.secret(name, text)
        if encrypted:
            put_rows(self.home, {"secret://cursorAuth/accessToken": self.cell("a-sign-in-token")})
        for name, text in THEIRS.items():
            self.type_in(name, text)
        strange = {
            "SPECIAL_KEY_id": "one id for all worlds",
            "aFutureSetting": {"x": [1, 2.0, "ü"]},
        }
        models = document(self.home)["aiSettings"] | {"modelOverrideDisabled": ["o1", "nobodys"]}
        merge(self.home, useGoogleKey=True, aiSettings=models, **strange)
        put_rows(
            self.home, {"workbench.strange": "left alone", "cursorAuth/refreshToken": "theirs"}
        )

    def cell(self, text: str) -> str:
        return encrypt(TAG, PASSWORD, text)

    def type_in(self, name: str, text: str) -> None:
        """Put a key where Cursor itself would put it."""
        here = {f"secret://cursorAuth/{name}": self.cell(text)}
        put_rows(self.home, here if self.encrypted else {f"cursorAuth/{name}": text})

    def options(self):
        return dataclasses.replace(
            super().options(),
            cursor_dir=self.home,
            allow_origins=("https://llm.example.com",),
            allow_many=True,
        )

    def system(self, session):
        return CursorSystem(
            session.manifest, session.vault, self.home, keysource=Keyring(PASSWORD), running=idle
        )

    def wish(self, which):
        self.manifest.write_text(MANIFESTS[which])

    def world(self):
        return image(self.home)

    def sense(self):
        """Every key opened wherever it stands, every leaf of the settings, forms of nothing out."""
        found, here = {}, rows(self.home)
        settings = json.loads(str(here.pop(SETTINGS)))
        for name in NAMES:
            cell, plain = (
                here.pop(f"secret://cursorAuth/{name}", None),
                here.pop(f"cursorAuth/{name}", None),
            )
            text = decrypt(TAG, PASSWORD, str(cell)) if cell is not None else plain
            found[f"key {name}"] = text
        found |= {f"row {key}": value for key, value in here.items()}
        found |= dict(leaves("settings", settings))
        return {at: value for at, value in found.items() if value not in (None, "", False)}

    def strangers(self):
        own = ("key ", "settings/use", "settings/openAIBaseUrl", "settings/aiSettings")
        own += ("settings/azureState", "settings/bedrockState")
        models = document(self.home)["aiSettings"]["modelOverrideDisabled"]
        others = {at: value for at, value in self.sense().items() if not at.startswith(own)}
        return others | {"a model switched off by hand": models.count("nobodys")}

    def disturb(self):
        self.type_in("claudeKey", MOVED)
        settings = json.loads(str(rows(self.home)[SETTINGS]))
        models = settings["aiSettings"]
        for name in ("modelOverrideEnabled", "modelOverrideDisabled"):
            models[name] = [entry for entry in models.get(name, ()) if entry != "gpt-4o"]
        merge(self.home, aiSettings=models)


def leaves(path, value):
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(f"{path}/{name}", item)
    elif isinstance(value, list):
        if value:
            yield path, sorted(json.dumps(item, sort_keys=True) for item in value)
    elif value not in ({}, None):
        yield path, value


class CursorContract(SystemContract):
    wal = encrypted = False
    stride = 4

    def make(self, folder):
        return CursorRig(folder, wal=self.wal, encrypted=self.encrypted)


class TestPlaintextEraRollbackJournal(CursorContract):
    pass


class TestPlaintextEraWal(CursorContract):
    wal = True
    offset = 1


class TestSecretEraRollbackJournal(CursorContract):
    encrypted = True
    offset = 2


class TestSecretEraWal(CursorContract):
    encrypted = wal = True
    offset = 3


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_rig_senses_a_key_in_either_era(tmp_path, encrypted):
    rig = CursorRig(tmp_path, wal=False, encrypted=encrypted)
    assert rig.sense()["key openAIKey"] == THEIRS["openAIKey"]
