"""Cursor as a system: both eras, both journal modes, against an editor that forgives nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.codec import same
from reconciler.errors import CursorBusy, ProviderError, SecretError, SecretProblem, StalePlan
from reconciler.model import Action, Address, Cause, Change, Edit, Severity, Unknown
from reconciler.spec import Endpoint, Manifest, ModelEntry, Policy, Provider
from reconciler.systems.cursor import CursorSystem, Running, State
from reconciler.systems.cursor.system import (
    HANDED_OVER,
    NOT_KEPT,
    OVERWRITTEN,
    TAKEN_BACK,
    UNCONFIRMED,
)
from tests.cursor_editor import (
    SETTINGS,
    FakeCursor,
    FakeVault,
    Keyring,
    database,
    decrypt,
    document,
    encrypt,
    idle,
    image,
    merge,
    profile,
    put_rows,
    rows,
    tear,
)

VALUES = {
    "env://O": "openai-key-one",
    "env://O2": "openai-key-two",
    "env://A": "anthropic-key",
    "env://G": "google-key",
    "env://Z": "azure-key",
    "env://ID": "bedrock-id",
    "env://SK": "bedrock-secret",
    "env://GW": "gateway-key",
}
TOKEN = encrypt(b"v11", b"keyring-secret", "a-sign-in-token")
OPENAI = Address("cursor", "provider", "openai")


@pytest.fixture(params=["rollback journal", "wal"])
def home(tmp_path, request):
    return profile(tmp_path / "Cursor", wal=request.param == "wal")


@pytest.fixture
def secret_era(home):
    """A profile of Cursor 3.x in which somebody signed in."""
    put_rows(home, {"secret://cursorAuth/accessToken": TOKEN})
    return home


def provider(name, ref=None, **more):
    secrets = {"key": (ref,)} if ref else {}
    return Provider(name, secrets=more.pop("secrets", secrets), **more)


def manifest(*providers, endpoints=(), models=(), **more):
    return Manifest(
        "byok.yaml",
        Path(),
        providers={p.name: p for p in providers},
        endpoints={e.name: e for e in endpoints},
        models={m.id: m for m in models},
        **more,
    )


def system(home, wanted, *, vault=None, keys=None, running=idle, mended=None):
    vault, keys = vault or FakeVault(VALUES), keys or Keyring()
    return CursorSystem(wanted, vault, home, keysource=keys, running=running, mended=mended)


def changes(cursor):
    """Return what a planner would ask for, without a ledger."""
    there = cursor.actual().resources
    for address, attributes in cursor.desired().resources.items():
        now = there.get(address, {})
        edits = tuple(
            Edit(name, now.get(name), value)
            for name, value in sorted(attributes.items())
            if not same(now.get(name), value) and not isinstance(now.get(name), Unknown)
        )
        if edits:
            yield Change(address, Action.UPDATE, Cause.NEW, edits)


def converge(cursor):
    done = [cursor.apply(change) for change in list(changes(cursor))]
    assert list(changes(cursor)) == []
    return done


def edit(address, name, before, after):
    return Change(address, Action.UPDATE, Cause.MANIFEST, (Edit(name, before, after),))


def sealed(ref):
    return FakeVault(VALUES).seal((ref,))


FULL = manifest(
    provider("openai", "env://O"),
    provider("anthropic", "env://A"),
    provider("google", "env://G", enabled=False),
    provider("azure", "env://Z", settings={"endpoint": "acme.openai.azure.com", "deployment": "d"}),
    provider(
        "bedrock",
        secrets={"access_key_id": ("env://ID",), "secret_access_key": ("env://SK",)},
        settings={"region": "us-east-1"},
    ),
    models=[
        ModelEntry("gpt-4o", provider="openai"),
        ModelEntry("o1", provider="openai", enabled=False),
        ModelEntry("azure/gpt", provider="azure", default_for=("composer", "cmd-k")),
    ],
)


def test_the_secret_era_gets_cells_and_the_editor_reads_them(secret_era):
    cursor = system(secret_era, FULL)
    done = converge(cursor)
    found = rows(secret_era)
    names = [
        "openAIKey",
        "claudeKey",
        "googleKey",
        "azureApiKey",
        "bedrockAccessKey",
        "bedrockSecretKey",
    ]
    plain = [decrypt(b"v11", b"keyring-secret", found[f"secret://cursorAuth/{n}"]) for n in names]
    assert plain == [VALUES[f"env://{r}"] for r in ("O", "A", "G", "Z", "ID", "SK")]
    assert not [key for key in found if key.startswith("cursorAuth/")]
    assert not any(a.pending for a in done)
    settings = document(secret_era)
    assert settings["azureState"] == {
        "useAzure": True,
        "baseUrl": "https://acme.openai.azure.com/",
        "deployment": "d",
    }
    assert settings["bedrockState"] == {"useBedrock": True, "region": "us-east-1"}
    assert (settings["useOpenAIKey"], settings["useClaudeKey"]) == (True, True)
    assert "useGoogleKey" not in settings
    assert settings["aiSettings"]["modelOverrideEnabled"] == ["gpt-4o", "azure/gpt"]
    assert settings["aiSettings"]["modelOverrideDisabled"] == ["o1"]
    assert settings["aiSettings"]["userAddedModels"] == ["azure/gpt"]
    editor = FakeCursor(secret_era).start()
    assert editor.key("openAIKey") == VALUES["env://O"]
    editor.quit()
    assert list(changes(cursor)) == []
    assert cursor.actual().pending == frozenset()


def test_the_old_era_gets_plaintext_rows_and_leaves(home):
    cursor = system(home, FULL, keys=Keyring(None))
    converge(cursor)
    found, settings = rows(home), document(home)
    assert found["cursorAuth/openAIKey"] == VALUES["env://O"]
    assert found["cursorAuth/claudeKey"] == VALUES["env://A"]
    assert settings["azureState"]["apiKey"] == VALUES["env://Z"]
    assert settings["bedrockState"]["secretKey"] == VALUES["env://SK"]
    assert not [key for key in found if key.startswith("secret://")]
    editor = FakeCursor(home, era="plain").start()
    assert editor.key("googleKey") == VALUES["env://G"]
    editor.quit()
    assert list(changes(cursor)) == []


def test_a_handed_over_key_is_pending_until_the_editor_promotes_it(home):
    vault = FakeVault(VALUES)
    cursor = system(home, manifest(provider("openai", "env://O")), vault=vault)
    (done,) = converge(cursor)
    assert done.pending
    assert done.cells == {}
    assert HANDED_OVER in done.notes
    assert cursor.actual().pending == {OPENAI}
    editor = FakeCursor(home).start()
    assert editor.key("openAIKey") == VALUES["env://O"]
    editor.quit()
    assert "cursorAuth/openAIKey" not in rows(home)
    assert list(changes(cursor)) == []
    assert cursor.actual().pending == frozenset()
    assert list(cursor.actual().cells) == [(OPENAI, "key")]


def test_where_no_cell_can_be_opened_the_key_is_handed_over_not_guessed(home):
    put_rows(home, {"secret://cursorAuth/accessToken": encrypt(b"v11", b"another", "t")})
    put_rows(home, {"secret://cursorAuth/openAIKey": '{"type":"Buffer","data":[]}'})
    cursor = system(home, manifest(provider("openai", "env://O")))
    (done,) = converge(cursor)
    assert done.pending
    found = rows(home)
    assert found["cursorAuth/openAIKey"] == VALUES["env://O"]
    assert "secret://cursorAuth/openAIKey" not in found
    assert FakeCursor(home, password=b"another").start().key("openAIKey") == VALUES["env://O"]


def test_a_cleared_cell_wins_over_a_plaintext_row_and_is_nothing(home):
    put_rows(
        home,
        {
            "secret://cursorAuth/openAIKey": '{"type":"Buffer","data":[]}',
            "cursorAuth/openAIKey": "old",
        },
    )
    assert OPENAI not in system(home, manifest()).actual().resources


def test_a_cell_wins_over_a_plaintext_row(secret_era):
    cell = encrypt(b"v11", b"keyring-secret", VALUES["env://O"])
    put_rows(secret_era, {"secret://cursorAuth/openAIKey": cell, "cursorAuth/openAIKey": "old"})
    there = system(secret_era, manifest()).actual().resources
    assert there[OPENAI]["key"] == sealed("env://O")


def test_a_cell_takes_the_place_of_a_plaintext_row(secret_era):
    put_rows(secret_era, {"cursorAuth/openAIKey": "typed by hand"})
    (done,) = converge(system(secret_era, manifest(provider("openai", "env://O"))))
    assert not done.pending
    assert "cursorAuth/openAIKey" not in rows(secret_era)


def test_a_recorded_cell_is_not_decrypted(secret_era):
    vault, keys = FakeVault(VALUES), Keyring()
    cursor = system(secret_era, manifest(provider("openai", "env://O")), vault=vault, keys=keys)
    (done,) = converge(cursor)
    vault.recorded[done.cells["key"]] = sealed("env://O").fingerprint
    keys.asked = 0
    assert list(changes(cursor)) == []
    assert keys.asked == 0
    locked = system(
        secret_era, manifest(provider("openai", "env://O")), vault=vault, keys=Keyring(None)
    )
    assert list(changes(locked)) == []


def test_applying_twice_equals_once(secret_era):
    cursor = system(secret_era, FULL)
    asked = list(changes(cursor))
    first = [cursor.apply(change) for change in asked]
    before = image(secret_era)
    again = [cursor.apply(change) for change in asked]
    assert image(secret_era) == before
    assert [a.cells for a in again] == [a.cells for a in first]


def test_planning_writes_nothing(secret_era):
    before = image(secret_era)
    assert len(list(changes(system(secret_era, FULL)))) == 10
    assert image(secret_era) == before


def test_removal_leaves_no_trace_of_a_key_and_keeps_a_copy(secret_era):
    vault = FakeVault(VALUES)
    converge(system(secret_era, FULL, vault=vault))
    put_rows(secret_era, {"cursorAuth/azureApiKey": "also here"})
    names = ("openai", "anthropic", "google", "azure", "bedrock")
    gone = manifest(*[Provider(n, absent=True) for n in names])
    done = converge(system(secret_era, gone, vault=vault))
    text = database(secret_era).read_bytes() + json.dumps(document(secret_era)).encode()
    assert not [v for v in VALUES.values() if v.encode() in text]
    assert [k for k in rows(secret_era) if "cursorAuth/" in k] == [
        "secret://cursorAuth/accessToken"
    ]
    kept = [vault.kept[ref] for a in done for ref in a.kept.values()]
    assert kept == [VALUES[f"env://{r}"] for r in ("O", "A", "G", "Z", "ID", "SK")]
    assert document(secret_era)["useOpenAIKey"] is False
    assert document(secret_era)["azureState"]["baseUrl"] == "https://acme.openai.azure.com/"


def test_a_key_of_somebody_else_is_kept_before_it_is_replaced(home):
    put_rows(home, {"cursorAuth/openAIKey": "typed by hand"})
    vault = FakeVault(VALUES)
    (done,) = converge(system(home, manifest(provider("openai", "env://O")), vault=vault))
    assert done.kept == {"key": "snapshot://cursor/provider/openai/key"}
    assert list(vault.kept.values()) == ["typed by hand"]


@pytest.mark.parametrize(
    "cell",
    [b"\xff", 7, encrypt(b"v11", b"another", "x"), '{"type":"Buffer","data":[118,49,50,1]}', "?"],
)
def test_an_unreadable_secret_is_unknown_and_never_overwritten(secret_era, cell):
    put_rows(secret_era, {"secret://cursorAuth/openAIKey": cell})
    cursor = system(secret_era, manifest(provider("openai", "env://O")))
    assert isinstance(cursor.actual().resources[OPENAI]["key"], Unknown)
    before = image(secret_era)
    for after in (sealed("env://O"), None):
        with pytest.raises(SecretError) as caught:
            cursor.apply(edit(OPENAI, "key", Unknown("x"), after))
        assert caught.value.kind is SecretProblem.NOT_DECRYPTABLE
    assert image(secret_era) == before


def test_a_locked_keyring_says_so(secret_era):
    put_rows(secret_era, {"secret://cursorAuth/openAIKey": TOKEN})
    cursor = system(secret_era, manifest(), keys=Keyring(None))
    assert "locked" in str(cursor.actual().resources[OPENAI]["key"])
    with pytest.raises(SecretError) as caught:
        cursor.apply(edit(OPENAI, "key", Unknown("x"), None))
    assert caught.value.kind is SecretProblem.LOCKED


def test_our_own_cell_may_be_replaced_though_it_cannot_be_read(secret_era):
    vault = FakeVault(VALUES)
    (done,) = converge(system(secret_era, manifest(provider("openai", "env://O")), vault=vault))
    vault.recorded[done.cells["key"]] = sealed("env://O").fingerprint
    wanted = manifest(provider("openai", "env://O2"))
    (again,) = converge(system(secret_era, wanted, vault=vault, keys=Keyring(None)))
    assert NOT_KEPT in again.notes
    assert again.pending
    assert FakeCursor(secret_era).start().key("openAIKey") == VALUES["env://O2"]


@pytest.mark.parametrize("state", [State.YES, State.UNKNOWN])
def test_a_running_cursor_forbids_writing_not_planning(secret_era, state):
    cursor = system(secret_era, FULL, running=lambda _: Running(state, "because"))
    before = image(secret_era)
    asked = list(changes(cursor))
    with pytest.raises(CursorBusy, match="because"):
        cursor.apply(asked[0])
    assert image(secret_era) == before


def test_what_was_left_half_done_is_taken_back_by_a_run_that_may_write(tmp_path):
    home, wanted = profile(tmp_path / "own"), manifest(provider("openai", "env://O"))
    converge(system(home, wanted))
    tear(home)
    before = image(home)
    with pytest.raises(CursorBusy, match="half done"):
        system(home, wanted).actual()
    assert system(home, wanted).desired().resources
    told, yes = [], lambda _: Running(State.YES, "because")
    with pytest.raises(CursorBusy, match="because"):
        system(home, wanted, mended=told.append, running=yes).actual()
    assert image(home) == before
    assert told == []

    assert list(changes(system(home, wanted, mended=told.append))) == []

    assert told == [TAKEN_BACK]
    assert list(changes(system(home, wanted))) == []


def test_a_cursor_that_starts_meanwhile_is_told(home):
    answers = iter([State.NO, State.YES])
    cursor = system(home, FULL, running=lambda _: Running(next(answers), "x"))
    assert OVERWRITTEN in cursor.apply(next(changes(cursor))).notes


def test_what_moved_since_the_plan_is_named(secret_era):
    cursor = system(secret_era, manifest(provider("openai", "env://O")))
    (change,) = changes(cursor)
    merge(secret_era, openAIBaseUrl="https://elsewhere.example/v1")
    before = image(secret_era)
    with pytest.raises(StalePlan) as caught:
        cursor.apply(change)
    assert caught.value.moved == ("cursor/provider/openai base_url",)
    assert image(secret_era) == before


def test_what_moves_inside_the_last_moment_is_noticed_in_the_transaction(secret_era):
    vault = FakeVault(VALUES)
    put_rows(secret_era, {"cursorAuth/openAIKey": "by hand"})
    cursor = system(secret_era, manifest(provider("openai", "env://O")), vault=vault)
    (change,) = changes(cursor)

    def keep(address, name, secret):
        put_rows(secret_era, {"cursorAuth/openAIKey": "by another hand"})
        merge(secret_era, openAIBaseUrl="https://elsewhere.example/v1")
        return "snapshot://x"

    vault.keep = keep
    with pytest.raises(StalePlan) as caught:
        cursor.apply(change)
    assert caught.value.moved == ("cursor/provider/openai base_url", "cursor/provider/openai key")
    assert rows(secret_era)["cursorAuth/openAIKey"] == "by another hand"


def test_a_loss_after_the_commit_is_noticed(home, monkeypatch):
    from reconciler.systems.cursor import store

    write = store.write

    def losing(path, keys, patch, **more):
        write(path, keys, patch, **more)
        write(path, keys, lambda _: {"cursorAuth/openAIKey": None}, **more)

    monkeypatch.setattr(store, "write", losing)
    cursor = system(home, manifest(provider("openai", "env://O")))
    with pytest.raises(ProviderError, match="key reads back different"):
        cursor.apply(next(changes(cursor)))


GATEWAY = Endpoint("gw", "litellm", "https://llm.acme.example/v1/", key=("env://GW",))
OLLAMA = Endpoint("ollama", "ollama", "http://localhost:11434/v1")


def test_an_endpoint_takes_the_slot_with_its_own_key(secret_era):
    wanted = manifest(provider("openai", "env://O", enabled=False), endpoints=[GATEWAY])
    cursor = system(secret_era, wanted)
    converge(cursor)
    assert document(secret_era)["openAIBaseUrl"] == "https://llm.acme.example/v1"
    editor = FakeCursor(secret_era).start()
    assert editor.key("openAIKey") == VALUES["env://GW"]
    editor.quit()
    assert list(changes(cursor)) == []
    converge(system(secret_era, manifest(provider("openai", "env://O"))))
    assert document(secret_era)["openAIBaseUrl"] is None


def test_an_endpoint_without_a_key_gets_a_public_one_in_its_place(home):
    cursor = system(home, manifest(endpoints=[OLLAMA]))
    assert cursor.desired().resources[OPENAI]["key"].ref == "placeholder://no-key"
    converge(cursor)
    assert rows(home)["cursorAuth/openAIKey"] == "no-key"
    assert document(home)["useOpenAIKey"] is True


def test_optional_and_failed_are_out_of_scope():
    wanted = manifest(
        provider("openai", "env://NONE", optional=True),
        provider("anthropic", "env://NONE"),
        provider("google", "locked://x", optional=True),
    )
    found = system(Path("/nonexistent"), wanted).desired()
    assert [a.name for a in found.skipped] == ["openai"]
    assert {a.name: e.kind for a, e in found.failed.items()} == {
        "anthropic": SecretProblem.NO_ITEM,
        "google": SecretProblem.LOCKED,
    }


def test_an_admins_switch_puts_providers_out_of_scope(secret_era):
    put_rows(
        secret_era, {"adminSettings.cached": '{"byokDisabled":true,"blockedModels":["GPT-4o"]}'}
    )
    cursor = system(secret_era, FULL)
    assert {a.kind for a in cursor.desired().resources} == {"model", "default"}
    assert len(cursor.desired().skipped) == 5
    found = cursor.actual()
    assert [d.code for d in found.diagnostics if d.code == "BYOK115"] == ["BYOK115"]
    assert [o.address.name for o in found.observations] == ["gpt-4o"]


def test_bedrock_by_a_teams_role_is_left_alone(secret_era):
    iam = {"useBedrock": True, "hasBedrockIamRole": True, "accessKey": "iam", "secretKey": "iam"}
    merge(secret_era, bedrockState=iam)
    cursor = system(secret_era, FULL)
    converge(cursor)
    assert document(secret_era)["bedrockState"] == iam
    assert "IAM role" in cursor.actual().observations[0].text


@pytest.mark.parametrize(("legacy", "note"), [(False, True), (True, True)])
def test_azure_and_bedrock_of_the_secret_era_are_said_to_be_unconfirmed(secret_era, legacy, note):
    if legacy:
        merge(secret_era, azureState={"useAzure": True, "apiKey": "old"})
    wanted = manifest(provider("azure", "env://Z", settings={}))
    cursor = system(secret_era, wanted)
    (done,) = converge(cursor)
    assert (UNCONFIRMED in done.notes) is note
    assert [d.code for d in cursor.actual().diagnostics] == ["BYOK122"]
    leaf = document(secret_era)["azureState"].get("apiKey")
    cell = rows(secret_era).get("secret://cursorAuth/azureApiKey")
    assert (leaf, cell is None) == ((VALUES["env://Z"], True) if legacy else (None, False))


def test_a_session_token_of_an_older_pair_goes_with_it(home):
    merge(
        home,
        bedrockState={
            "accessKey": "old",
            "secretKey": "old",
            "sessionToken": "old",
            "testModel": "m",
        },
    )
    secrets = {"access_key_id": ("env://ID",), "secret_access_key": ("env://SK",)}
    converge(system(home, manifest(provider("bedrock", secrets=secrets))))
    assert document(home)["bedrockState"] == {
        "accessKey": VALUES["env://ID"],
        "secretKey": VALUES["env://SK"],
        "testModel": "m",
        "useBedrock": True,
    }


CATALOG = [
    {"name": "default"},
    {
        "name": "gpt-4o",
        "serverModelName": "gpt-4o-server",
        "clientDisplayName": "GPT-4o",
        "legacySlugs": ["four"],
    },
]


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4o-server", "GPT-4o", "four"])
def test_a_custom_id_that_collides_is_an_error(home, name):
    merge(home, availableDefaultModels2=CATALOG)
    wanted = manifest(models=[ModelEntry(name, endpoint="gw")], policy=Policy(ignore=("BYOK106",)))
    (found,) = system(home, wanted).actual().diagnostics
    assert (found.code, found.severity, found.path) == (
        "BYOK106",
        Severity.ERROR,
        f"/models/{name}",
    )


def test_an_unknown_built_in_is_a_warning_only_with_a_real_catalog(home):
    wanted = manifest(
        models=[ModelEntry("nope", provider="openai"), ModelEntry("four", provider="openai")]
    )
    assert system(home, wanted).actual().diagnostics == ()
    merge(home, availableDefaultModels2=CATALOG)
    assert [d.code for d in system(home, wanted).actual().diagnostics] == ["BYOK108"]
    quiet = manifest(models=list(wanted.models.values()), policy=Policy(ignore=("BYOK108",)))
    assert system(home, quiet).actual().diagnostics == ()


def test_models_keep_strangers_their_order_and_disjoint_lists(home):
    ai = document(home)["aiSettings"]
    ai |= {
        "userAddedModels": ["z", "mine", "a"],
        "modelOverrideEnabled": ["b", "mine"],
        "modelOverrideDisabled": ["mine", "c", 7],
    }
    merge(home, aiSettings=ai)
    cursor = system(home, manifest(models=[ModelEntry("mine", endpoint="gw")]))
    there = cursor.actual().resources
    assert there[Address("cursor", "model", "mine")] == {"override": "disabled", "custom": True}
    assert there[Address("cursor", "model", "z")] == {"override": "none", "custom": True}
    converge(cursor)
    now = document(home)["aiSettings"]
    assert (now["userAddedModels"], now["modelOverrideEnabled"], now["modelOverrideDisabled"]) == (
        ["z", "mine", "a"], ["b", "mine"], ["c", 7],
    )  # fmt: skip
    converge(system(home, manifest(models=[ModelEntry("mine", endpoint="gw", absent=True)])))
    now = document(home)["aiSettings"]
    assert (now["userAddedModels"], now["modelOverrideEnabled"]) == (["z", "a"], ["b"])


def test_defaults(home):
    wanted = manifest(models=[ModelEntry("m", provider="openai", default_for=("composer", "new"))])
    cursor = system(home, wanted)
    converge(cursor)
    config = document(home)["aiSettings"]["modelConfig"]
    assert config["composer"] == {"modelName": "m", "maxMode": False}
    assert config["new"] == {"modelName": "m", "maxMode": False}
    cursor.apply(edit(Address("cursor", "default", "composer"), "model", "m", None))
    assert document(home)["aiSettings"]["modelConfig"]["composer"]["modelName"] == "default"


def test_defaults_in_the_newer_form(home):
    ai, address = document(home)["aiSettings"], Address("cursor", "default", "composer")
    ai["modelConfig"]["composer"]["selectedModels"] = [
        {"modelId": "a", "parameters": []},
        {"modelId": "b"},
    ]
    merge(home, aiSettings=ai, useModelParameters=True)
    cursor = system(home, manifest())
    assert cursor.actual().resources[address] == {"model": "a,b"}
    cursor.apply(edit(address, "model", "a,b", "c"))
    config = document(home)["aiSettings"]["modelConfig"]["composer"]
    assert (config["modelName"], config["selectedModels"]) == (
        "c",
        [{"modelId": "c", "parameters": []}],
    )
    ai["modelConfig"]["composer"]["selectedModels"] = [
        {"modelId": "a", "parameters": [{"id": "effort"}]}
    ]
    merge(home, aiSettings=ai)
    assert isinstance(cursor.actual().resources[address]["model"], Unknown)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a":NaN}', None])
def test_settings_of_an_unknown_form_are_never_written(home, text):
    put_rows(home, {SETTINGS: text})
    before = image(home)
    cursor = system(home, FULL)
    with pytest.raises(CursorBusy, match="form we do not know"):
        cursor.apply(edit(Address("cursor", "model", "m"), "override", None, "enabled"))
    assert image(home) == before


@pytest.mark.parametrize(
    "field", [{"aiSettings": []}, {"aiSettings": {"modelOverrideEnabled": {}}}]
)
def test_fields_of_another_kind_are_refused(home, field):
    merge(home, **field)
    before = image(home)
    with pytest.raises(CursorBusy, match="form we do not know"):
        system(home, FULL).apply(edit(Address("cursor", "model", "m"), "override", None, "enabled"))
    assert image(home) == before


def test_odd_values_are_unknown_not_guessed(home):
    merge(home, useOpenAIKey="true", openAIBaseUrl=5, azureState={"apiKey": 7})
    there = system(home, manifest()).actual().resources
    assert isinstance(there[OPENAI]["enabled"], Unknown)
    assert isinstance(there[OPENAI]["base_url"], Unknown)
    assert isinstance(there[Address("cursor", "provider", "azure")]["key"], Unknown)


def test_the_switch_that_flips_by_itself_is_drift(secret_era):
    cursor = system(secret_era, manifest(provider("openai", "env://O")))
    converge(cursor)
    editor = FakeCursor(secret_era).start()
    editor.log_in()
    editor.quit()
    (change,) = changes(cursor)
    assert [e.name for e in change.edits] == ["enabled"]
    converge(cursor)


def test_no_secret_in_reprs_and_errors(secret_era):
    vault = FakeVault(VALUES)
    cursor = system(secret_era, FULL, vault=vault)
    told = [cursor.desired(), cursor.actual(), *changes(cursor), *converge(cursor)]
    assert not [v for v in VALUES.values() if v in repr(told)]


DYING = """
import os, signal, sys
from pathlib import Path
from reconciler.systems.cursor import store
from tests.unit.test_cursor_system import VALUES, changes, manifest, provider, system
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
home, moment, real = Path(sys.argv[1]), sys.argv[2], store._store
if moment == "before":
    store._store = die
if moment == "inside":
    store._store = lambda *a: (real(*a), die())
cursor = system(home, manifest(provider("openai", "env://O")))
cursor.apply(next(changes(cursor)))
die()
"""


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: needs SIGKILL")
@pytest.mark.parametrize("moment", ["before", "inside", "after"])
def test_a_kill_at_any_moment_leaves_valid_json_and_the_next_run_converges(secret_era, moment):
    before = rows(secret_era)
    command = [sys.executable, "-c", DYING, str(secret_era), moment]
    done = subprocess.run(command, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    after = rows(secret_era)
    json.loads(str(after[SETTINGS]))
    assert (after == before) is (moment != "after")
    converge(system(secret_era, manifest(provider("openai", "env://O"))))
    assert FakeCursor(secret_era).start().key("openAIKey") == VALUES["env://O"]
