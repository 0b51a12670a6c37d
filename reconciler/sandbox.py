"""A throw-away Cursor profile with a manifest, an age key and encrypted secrets, to try all on."""

from __future__ import annotations

import json
import os
import secrets as randomness
import shlex
import sqlite3
import string
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from reconciler import schemas
from reconciler.errors import ByokError
from reconciler.secrets.process import environment, run
from reconciler.secrets.sops import binary
from reconciler.systems.cursor import SETTINGS, create_fresh_profile, database

_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where a sandbox has its parts; all below one folder."""

    folder: Path
    offline: bool = True

    @property
    def cursor(self) -> Path:
        """Cursor's user-data directory of this sandbox."""
        return self.folder / "cursor"

    @property
    def manifest(self) -> Path:
        """The sample team manifest."""
        return self.folder / "team" / "byok.yaml"

    @property
    def identity(self) -> Path:
        """The age key that opens the encrypted secrets."""
        return self.folder / "age.txt"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that point byok, and sops, to this sandbox."""
        return {
            "BYOK_CURSOR_DIR": str(self.cursor),
            "BYOK_STATE_DIR": str(self.folder / "state"),
            "SOPS_AGE_KEY_FILE": str(self.identity),
            # its keys are random: no provider is to see them
            **({"BYOK_OFFLINE": "1"} if self.offline else {}),
        }


def make(
    folder: Path,
    *,
    manifest: str | None = None,
    keys: Mapping[str, Mapping[str, str]] | None = None,
    offline: bool = True,
) -> Sandbox:
    """Make a sandbox in a folder that does not exist yet, or is empty.

    The keys are random and open nothing, unless ``manifest`` and ``keys`` of one's own are given,
    with accounts of one's own for them (``offline=False``). Raises ByokError when the folder is
    in use, SecretError when the real sops or an age key cannot be had (the extra ``sops``).
    """
    box = Sandbox(folder.absolute(), offline)
    if box.folder.exists() and (not box.folder.is_dir() or any(box.folder.iterdir())):
        raise ByokError(str(folder), "is in use", "name a new folder, or delete this one")
    box.manifest.parent.mkdir(parents=True)
    identity, recipient = age_key()
    _write(box.identity, identity, 0o600)
    _write(box.manifest, manifest or MANIFEST)
    _write(box.manifest.with_name("manifest.schema.json"), json.dumps(schemas.bundle(), indent=2))
    _write(box.manifest.parent / ".sops.yaml", f"creation_rules:\n  - age: {recipient}\n")
    _write(
        box.manifest.parent / "secrets" / "team.enc.yaml",
        encrypted(keys or sample_keys(), recipient),
    )
    create_fresh_profile(box.cursor)
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in box.environment.items())
    _write(box.folder / "env.sh", "".join(lines))
    return box


def drift(box: Sandbox) -> None:
    """Change two things as a person would in Cursor: OpenAI's switch off, the model o1 back on."""
    db = sqlite3.connect(database(box.cursor))
    with closing(db), db:
        (text,) = db.execute("SELECT value FROM ItemTable WHERE key=?", (SETTINGS,)).fetchone()
        document = json.loads(text)
        document["useOpenAIKey"] = False
        settings = document["aiSettings"]
        settings["modelOverrideDisabled"].remove("o1")
        settings["modelOverrideEnabled"].append("o1")
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        db.execute("UPDATE ItemTable SET value=? WHERE key=?", (text, SETTINGS))


def sample_keys() -> dict[str, dict[str, str]]:
    """Return random keys in each provider's shape; they open nothing anywhere."""
    return {
        "openai": {"key": f"sk-proj-{_random(58)}T3Blbk" + f"FJ{_random(58)}"},
        "anthropic": {"key": f"sk-ant-api03-{_random(93)}AA"},
        "google": {"key": f"AIza{_random(35)}"},
        "azure": {"key": randomness.token_hex(16)},
        "bedrock": {
            "access_key_id": "AKIA"
            + "".join(randomness.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16)),
            "secret_access_key": _random(40),
        },
        "gateway": {"key": f"sk-{_random(22)}"},
    }


def _random(length: int) -> str:
    return "".join(randomness.choice(_LETTERS) for _ in range(length))


def age_key() -> tuple[str, str]:
    """Return a new age identity and its recipient."""
    try:
        from pyrage import x25519
    except ImportError:
        raise ByokError(
            "age", "the package pyrage is missing", "install byok with its extra [sops]"
        ) from None
    identity = x25519.Identity.generate()
    return f"{identity}\n", str(identity.to_public())


def encrypted(keys: Mapping[str, Mapping[str, str]], recipient: str) -> str:
    """Encrypt keys for one age recipient with the real sops; return the YAML text.

    Raises SecretError without sops, ByokError when it refuses.
    """
    form = ["--input-type", "json", "--output-type", "yaml"]
    outcome = run(
        [
            str(binary()),
            "encrypt",
            "--age",
            recipient,
            *form,
            "--filename-override",
            "team.enc.yaml",
        ],
        where="sops",
        env=environment(),
        feed=json.dumps(keys).encode(),
    )
    if outcome.code != 0:
        raise ByokError("sops", f"could not encrypt (exit {outcome.code})", "see sops --version")
    return outcome.output.expose()


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)


MANIFEST = """\
# yaml-language-server: $schema=manifest.schema.json
# A team's Bring-Your-Own-Key set-up of Cursor. `byok plan` shows what would change here.
version: 1
team: sandbox

providers:
  openai:
    key: sops://secrets/team.enc.yaml#/openai/key
    project: cursor-byok
  anthropic:
    key: sops://secrets/team.enc.yaml#/anthropic/key
  google:
    # a person's own key, where there is one, before the team's
    key: [env://BYOK_SANDBOX_GEMINI_KEY, sops://secrets/team.enc.yaml#/google/key]
  azure:
    enabled: false # the key is in place, the switch is off
    key: sops://secrets/team.enc.yaml#/azure/key
    endpoint: https://byok-sandbox.openai.azure.com
    deployment: gpt-4o-prod
    api_version: "2024-10-21"
  bedrock:
    enabled: false
    region: us-east-1
    access_key_id: sops://secrets/team.enc.yaml#/bedrock/access_key_id
    secret_access_key: sops://secrets/team.enc.yaml#/bedrock/secret_access_key

endpoints:
  # Cursor has one override slot, shared with the OpenAI key: this one waits its turn
  gateway:
    type: litellm
    base_url: https://llm.example.com/v1
    key: sops://secrets/team.enc.yaml#/gateway/key
    active: false

models:
  gpt-4o: { provider: openai }
  o1: { provider: openai, enabled: false }
  claude-sonnet-4-5: { provider: anthropic, default_for: [composer] }
  gemini-2.5-pro: { provider: google }
  acme-coder: { endpoint: gateway, enabled: false }

budgets:
  openai-monthly: { provider: openai, monthly_usd: 500, alert_at: [50, 80, 100] }

policy:
  max_key_age_days: 90
"""
