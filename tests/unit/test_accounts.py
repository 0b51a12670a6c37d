"""One provider is one file: the list that opens accounts, and the lists that part them, agree."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

from reconciler import accounts
from reconciler.errors import ByokError
from reconciler.spec import CURSOR_TEAM, PROVIDERS, Endpoint, Manifest, Provider
from reconciler.systems.account import Account, Setting

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ROOT / "reconciler/systems"


def modules():
    """Return the names of all modules that open an account."""
    found = {path.stem for path in SYSTEMS.iterdir() if path.suffix == ".py" or path.is_dir()}
    return found - {"__init__", "__pycache__", "account", "cursor"}


def opened():
    """Return where each account is at home, by its name; None is any other's."""
    homes = {name: f"reconciler.systems.{home}" for name, home in accounts.HOMES.items()}
    return {**homes, None: "reconciler.systems.endpoint"}


def contracts():
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {each["id"]: each for each in document["tool"]["importlinter"]["contracts"]}


def test_every_provider_is_opened_by_the_file_of_its_name():
    wanted = {name: f"reconciler.systems.{name.replace('-', '_')}" for name in PROVIDERS}
    wanted |= {CURSOR_TEAM: "reconciler.systems.cursor_team", None: "reconciler.systems.endpoint"}
    assert opened() == wanted


def test_no_provider_is_left_out_of_any_list():
    files = {f"reconciler.systems.{name}" for name in modules()}
    assert set(opened().values()) == files
    assert set(contracts()["systems"]["modules"]) == files | {"reconciler.systems.cursor"}
    assert set(contracts()["account"]["forbidden_modules"]) == files | {"reconciler.systems.cursor"}


@pytest.mark.parametrize("name", sorted(modules()))
def test_every_file_opens_an_account(name):
    module = importlib.import_module(f"reconciler.systems.{name}")
    assert callable(module.account)
    assert (module.__doc__ or "").strip()


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_has_a_schema_fragment(name):
    assert (ROOT / f"schemas/providers/{name}.schema.json").is_file()


def manifest(**parts):
    return Manifest("byok.yaml", Path(), **parts)


def test_names_are_those_of_the_manifest_in_its_order():
    declared = manifest(
        providers={n: Provider(n, absent=n == "azure") for n in ("google", "azure", "openai")},
        endpoints={"gateway": Endpoint("gateway", "litellm", "https://llm.acme.example/v1")},
        cursor_team={"admin_key": ("env://CURSOR",)},
    )
    assert accounts.names(declared) == ("google", "openai", "gateway", CURSOR_TEAM)
    assert accounts.names(manifest()) == ()
    assert accounts.names(manifest(cursor_team={"api_base": "http://localhost"})) == ()


def test_pointers_lead_to_their_place():
    declared = manifest(
        providers={"openai": Provider("openai")},
        endpoints={"gateway": Endpoint("gateway", "litellm", "https://llm.acme.example/v1")},
    )
    assert accounts.pointer(declared, "openai") == "/providers/openai"
    assert accounts.pointer(declared, "gateway") == "/endpoints/gateway"
    assert accounts.pointer(declared, CURSOR_TEAM) == "/cursor_team"


@pytest.mark.parametrize("name", [*PROVIDERS, CURSOR_TEAM, "gateway"])
def test_opening_asks_nothing_and_needs_no_secret(name):
    """Without ``--accounts`` no vault and no door is touched before the account is read."""
    declared = manifest(
        providers={n: Provider(n, secrets={"key": ("env://KEY",)}) for n in PROVIDERS},
        endpoints={"gateway": Endpoint("gateway", "custom", "https://llm.acme.example/v1")},
    )
    pointer = accounts.pointer(declared, name)
    account = accounts.open_account(Setting(name, pointer, declared, vault=None, door=None))
    assert isinstance(account, Account)
    assert (account.name, account.kinds) == (name, ())
    assert account.desired().resources == {}


def test_an_account_that_cannot_be_opened_keeps_its_failure_to_itself(monkeypatch):
    def broken(_setting):
        raise KeyError("secret text")

    monkeypatch.setattr("reconciler.systems.openai.account", broken)
    setting = Setting("openai", "/providers/openai", manifest(), vault=None, door=None)
    with pytest.raises(ByokError, match=r"KeyError at test_accounts\.py") as raised:
        accounts.open_account(setting)
    assert "secret text" not in str(raised.value)
