"""Adopting a profile: every state Cursor can be in becomes a manifest that plans to nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keyring
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from jsonschema import Draft202012Validator
from keyring.backend import KeyringBackend

from reconciler import schemas
from reconciler.adoption import files, fresh, presets, recipients, stores, text
from reconciler.adoption.adopt import adopt
from reconciler.adoption.draft import Draft, Part, fitting
from reconciler.errors import (
    ByokError,
    CursorBusy,
    ManifestError,
    SafetyStop,
    SecretError,
    UsageError,
)
from reconciler.manifest import load, parse
from reconciler.manifest.lint import lint
from reconciler.secrets import Secret
from reconciler.session import Options
from reconciler.spec import FEATURES, PROVIDERS
from reconciler.systems.cursor import read_holdings
from tests.cursor_editor import Keyring, document, encrypt, image, merge, profile, put_rows

ROWS = {
    "openai": "openAIKey",
    "anthropic": "claudeKey",
    "google": "googleKey",
    "azure": "azureApiKey",
    "access_key_id": "bedrockAccessKey",
    "secret_access_key": "bedrockSecretKey",
}
KEYS = {name: f"{name}-k3y-" + "0123456789abcdef" for name in ROWS}
FLAGS = {"openai": "useOpenAIKey", "anthropic": "useClaudeKey", "google": "useGoogleKey"}
KEYRING = stores.Store("keyring")


class Memory(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.items: dict[str, str] = {}

    def get_password(self, service, username):
        return self.items.get(f"{service}/{username}")

    def set_password(self, service, username, password):
        self.items[f"{service}/{username}"] = password


class Bench:
    """One profile, one empty team folder, and adopting the one into the other."""

    def __init__(self, folder: Path, keys: Memory):
        self.cursor, self.team = profile(folder / "Cursor"), folder / "team"
        self.team.mkdir()
        self.state, self.keys = folder / "state", keys

    def options(self, name="byok.yaml", **env):
        return Options(
            manifest=self.team / name,
            cursor_dir=self.cursor,
            state_dir=self.state,
            env={**os.environ, **env},
        )

    def adopt(self, store=KEYRING, name="byok.yaml", to=(), team="local"):
        return adopt(self.options(name), store, team, to)

    @property
    def manifest(self):
        return load(self.team / "byok.yaml")

    @property
    def written(self):
        return (self.team / "byok.yaml").read_text(encoding="utf-8")

    def key(self, name, *, cell=True, value=None, password=b"keyring-secret"):
        value = value or KEYS[name]
        if cell:
            row, value = f"secret://cursorAuth/{ROWS[name]}", encrypt(b"v11", password, value)
        else:
            row = f"cursorAuth/{ROWS[name]}"
        put_rows(self.cursor, {row: value})

    def models(self, on=(), off=(), own=(), **features):
        ai = document(self.cursor)["aiSettings"]
        ai |= {"modelOverrideEnabled": [*on], "modelOverrideDisabled": [*off]}
        ai |= {"userAddedModels": [*own]} if own else {}
        for feature, name in features.items():
            ai["modelConfig"][feature.replace("_", "-")]["modelName"] = name
        merge(self.cursor, aiSettings=ai)


@pytest.fixture
def keys(monkeypatch):
    found = Memory()
    monkeypatch.setattr(keyring, "get_keyring", lambda: found)
    return found


@pytest.fixture(autouse=True)
def cipher(monkeypatch):
    """Cursor's own encryption key, as an unlocked keyring has it; ``password`` None locks it."""
    source = Keyring()
    for place in ("holdings", "system"):
        name = f"reconciler.systems.cursor.{place}.key_source"
        monkeypatch.setattr(name, lambda *_, **__: source)
    return source


@pytest.fixture
def bench(tmp_path, keys):
    return Bench(tmp_path, keys)


def left(done):
    return {each.what: each.why for each in done.left}


# One state of Cursor after the other.


@pytest.mark.parametrize("cell", [True, False], ids=["secret era", "plaintext era"])
def test_a_key_of_each_era_moves_into_the_store(bench, cell):
    for name in ("openai", "anthropic", "google"):
        bench.key(name, cell=cell)
    merge(bench.cursor, useOpenAIKey=True, useGoogleKey=True)
    before = image(bench.cursor)
    done = bench.adopt()
    assert done.proof.proved is True
    assert image(bench.cursor) == before
    assert bench.keys.items == {f"byok/{name}": KEYS[name] for name in FLAGS}
    assert not any(value in bench.written for value in KEYS.values())
    made = bench.manifest.providers
    assert {name: one.enabled for name, one in made.items()} == {
        "openai": True,
        "anthropic": False,
        "google": True,
    }
    assert left(done) == {}


def test_azure_and_bedrock_with_all_their_fields(bench):
    azure = {"useAzure": True, "baseUrl": "https://acme.openai.azure.com/", "deployment": "gpt-4o"}
    merge(
        bench.cursor,
        azureState={**azure, "apiKey": KEYS["azure"]},
        bedrockState={
            "useBedrock": False,
            "region": "eu-central-1",
            "accessKey": KEYS["access_key_id"],
            "secretKey": KEYS["secret_access_key"],
            "sessionToken": "token-" + "9" * 20,
        },
    )
    done = bench.adopt()
    assert done.proof.proved is True
    made = bench.manifest.providers
    assert made["azure"].settings["deployment"] == "gpt-4o"
    assert made["bedrock"].secrets["session_token"] == ("keyring://byok/bedrock-session_token",)
    assert made["bedrock"].enabled is False


@pytest.mark.parametrize(
    ("url", "name", "kind"),
    [
        ("https://api.groq.com/openai/v1", "groq", "groq"),
        ("https://openrouter.ai/api/v1", "openrouter", "openrouter"),
        ("http://127.0.0.1:11434/v1", "ollama", "ollama"),
        ("https://llm.acme.example/v1", "gateway", "custom"),
        ("https://router.huggingface.co/v1", "huggingface", "custom"),
    ],
)
def test_an_override_becomes_an_endpoint_by_its_base_url(bench, url, name, kind):
    bench.key("openai")
    merge(bench.cursor, useOpenAIKey=True, openAIBaseUrl=url)
    bench.models(on=["acme-large", "claude-x"], own=["acme-large", "claude-x"])
    done = bench.adopt()
    assert done.proof.proved is True
    assert "openai" not in bench.manifest.providers
    made = bench.manifest.endpoints[name]
    assert (made.type, made.base_url, made.active) == (kind, url, True)
    assert made.key == (f"keyring://byok/{name}",)
    assert bench.manifest.models["acme-large"].endpoint == name
    assert bench.manifest.models["claude-x"].provider == "anthropic"


@pytest.mark.parametrize(("used", "key"), [(False, True), (True, False), (False, False)])
def test_an_override_that_is_not_used_waits(bench, used, key):
    if key:
        bench.key("openai")
    merge(bench.cursor, useOpenAIKey=used, openAIBaseUrl="https://llm.acme.example/v1")
    done = bench.adopt()
    assert done.proof.proved is True
    assert bench.manifest.endpoints["gateway"].active is False


def test_byoks_own_placeholder_is_no_key(bench):
    bench.key("openai", value="no-key")
    merge(bench.cursor, useOpenAIKey=True, openAIBaseUrl="http://localhost:1234/v1")
    done = bench.adopt()
    assert done.proof.proved is True
    assert bench.keys.items == {}
    assert bench.manifest.endpoints["lmstudio"].key == ()


def test_models_on_off_custom_and_defaults(bench):
    bench.models(
        on=["gpt-4o", "claude-sonnet-4-5", "acme"],
        off=["o1"],
        own=["acme"],
        composer="claude-sonnet-4-5",
        cmd_k="acme",
    )
    done = bench.adopt()
    assert done.proof.proved is True
    made = bench.manifest.models
    assert made["o1"].enabled is False
    assert made["acme"].custom
    assert made["claude-sonnet-4-5"].default_for == ("composer",)
    assert made["acme"].default_for == ("cmd-k",)


def test_a_default_that_is_switched_off_costs_only_the_default(bench):
    bench.models(on=["gpt-4o"], off=["o1"], composer="o1")
    done = bench.adopt()
    assert done.proof.proved is True
    assert set(left(done)) == {"default of composer"}
    assert bench.manifest.models["o1"].enabled is False


def test_what_no_manifest_can_say_is_left_out_and_said(bench):
    bench.models(
        on=["cursor-small", "gpt-4o"],
        own=["neither"],
        composer="gpt-5",
        cmd_k="gpt-4o,o1",
    )
    merge(bench.cursor, useClaudeKey=True)
    bench.key("azure")
    done = bench.adopt()
    assert done.proof.proved is True
    assert set(left(done)) == {
        "provider anthropic",
        "provider azure",
        "model 'cursor-small'",
        "model 'neither'",
        "default of composer",
        "default of cmd-k",
    }
    assert "# - provider azure: Cursor holds no endpoint" in bench.written
    assert bench.keys.items == {}


def test_a_custom_id_that_cursors_own_list_has_too(bench):
    catalog = [{"name": "gpt-4o", "legacySlugs": ["gpt-old"]}]
    merge(bench.cursor, availableDefaultModels2=catalog)
    bench.models(on=["gpt-4o", "gpt-old"], own=["gpt-4o", "gpt-old"])
    done = bench.adopt()
    assert done.proof.proved is True
    assert not bench.manifest.models["gpt-old"].custom


def test_a_deployment_that_does_not_fit_is_left_out_with_the_rule(bench):
    azure = {"useAzure": True, "baseUrl": "https://a.openai.azure.com/", "deployment": "a b/c"}
    merge(bench.cursor, azureState={**azure, "apiKey": KEYS["azure"]})
    bench.models(on=["gpt-4o"])
    done = bench.adopt()
    assert done.proof.proved is True
    assert "not a deployment's name" in left(done)["provider azure"]
    assert bench.keys.items == {}


def test_a_base_url_with_a_password_in_it_is_never_repeated(bench):
    bench.key("openai")
    merge(bench.cursor, useOpenAIKey=True, openAIBaseUrl="https://me:hunter2@llm.example/v1")
    bench.models(on=["acme"], own=["acme"])
    done = bench.adopt()
    assert "hunter2" not in bench.written + str(done.left)
    assert set(left(done)) == {"endpoint gateway", "model 'acme'"}


def test_a_key_pasted_as_a_models_name_is_not_repeated(bench):
    pasted = "sk-ant-" + "api03-" + "x" * 40
    bench.models(on=[pasted, "gpt-4o"], own=[pasted])
    done = bench.adopt()
    assert pasted not in bench.written + str(done.left)
    assert "revoke it" in str(done.left)


def test_a_locked_keyring_leaves_the_key_out_and_says_so(bench, cipher):
    bench.key("openai")
    bench.key("google", cell=False)
    merge(bench.cursor, useOpenAIKey=True)
    cipher.password = None
    done = bench.adopt()
    assert done.locked
    assert left(done)["provider openai"].endswith("the keyring is locked")
    assert [*bench.manifest.providers] == ["google"]
    assert bench.keys.items == {"byok/google": KEYS["google"]}
    assert done.proof.proved is True


def test_an_unknown_prefix_is_left_out(bench):
    cell = json.dumps({"type": "Buffer", "data": list(b"v99rest")})
    put_rows(bench.cursor, {"secret://cursorAuth/claudeKey": cell})
    done = bench.adopt()
    assert done.locked
    assert "unknown prefix" in left(done)["provider anthropic"]


def test_the_teams_iam_role_is_left_alone(bench):
    merge(bench.cursor, bedrockState={"hasBedrockIamRole": True, "useBedrock": True})
    bench.models(on=["gpt-4o"])
    done = bench.adopt()
    assert done.proof.proved is True
    assert "IAM role" in left(done)["provider bedrock"]


def test_with_own_keys_switched_off_by_an_admin_nothing_is_claimed_to_be_proved(bench):
    bench.key("openai")
    put_rows(bench.cursor, {"adminSettings.cached": json.dumps({"byokDisabled": True})})
    done = bench.adopt()
    assert done.proof.proved is None
    assert "admin" in done.proof.open[0]


def test_an_empty_profile_has_nothing_to_adopt(bench):
    with pytest.raises(ByokError, match="nothing of what a manifest says"):
        bench.adopt()
    assert [*bench.team.iterdir()] == []


def test_no_profile_at_all(bench, tmp_path):
    bench.cursor = tmp_path / "nowhere"
    with pytest.raises(CursorBusy):
        bench.adopt()
    assert [*bench.team.iterdir()] == []


# Stores.


def test_another_value_in_the_store_is_refused_by_its_reference(bench, keys):
    bench.key("openai")
    keys.items["byok/openai"] = "somebody-elses"
    with pytest.raises(SafetyStop, match="keyring://byok/openai") as error:
        bench.adopt()
    assert KEYS["openai"] not in str(error.value)
    assert keys.items == {"byok/openai": "somebody-elses"}
    assert [*bench.team.iterdir()] == []


def test_the_same_value_in_the_store_is_fine(bench, keys):
    bench.key("openai")
    keys.items["byok/openai"] = KEYS["openai"]
    assert bench.adopt().proof.proved is True


def test_env_is_written_as_references_and_proved_once_set(bench, monkeypatch):
    bench.key("openai")
    bench.key("google")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", KEYS["google"])
    done = bench.adopt(stores.read("env"))
    assert (done.proof.proved, done.proof.variables) == (None, ("OPENAI_API_KEY",))
    assert done.moved == ()
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["openai"])
    assert bench.adopt(stores.read("env"), "again.yaml").proof.proved is True


def test_a_variable_with_another_value_is_told(bench, monkeypatch):
    bench.key("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "another-value")
    done = bench.adopt(stores.read("env"))
    assert done.proof.proved is False
    assert done.proof.differs == ("cursor/provider/openai: update key",)


def test_an_existing_manifest_stays(bench):
    bench.key("openai")
    (bench.team / "byok.yaml").write_text("mine")
    with pytest.raises(ByokError, match="there already; name another with -f"):
        bench.adopt()
    assert (bench.team / "byok.yaml").read_text() == "mine"
    assert bench.keys.items == {}


def test_a_manifest_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "byok.yaml"
    path.write_text("mine")
    with pytest.raises(ByokError, match="there already"):
        files.write_new(path, "ours")
    assert [each.name for each in tmp_path.iterdir()] == ["byok.yaml"]
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    ["", "vault", "keyring:x", "sops:/etc/x.yaml", "sops:../x.yaml", "sops:x.txt", "sops:a b"],
)
def test_a_store_that_is_none(name):
    with pytest.raises(UsageError, match="--secrets"):
        stores.read(name)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sops", "sops://secrets/team.enc.yaml#/bedrock/access_key_id"),
        ("sops:keys.enc.json", "sops://keys.enc.json#/bedrock/access_key_id"),
        ("keyring", "keyring://byok/bedrock-access_key_id"),
        ("env", "env://AWS_ACCESS_KEY_ID"),
    ],
)
def test_references_by_store(name, reference):
    assert stores.read(name).reference("bedrock", "access_key_id") == reference


def test_an_endpoints_variable_is_its_vendors():
    env = stores.read("env")
    assert env.reference("huggingface", "key") == "env://HF_TOKEN"
    assert env.reference("my-gateway", "key") == "env://MY_GATEWAY_API_KEY"


# Recipients.

AGE, OTHER = "age1" + "q" * 58, "age1" + "p" * 58


def choose(folder, asked=(), **env):
    return recipients.choose(
        folder, "secrets/a.enc.yaml", asked, env=env, platform="linux", home=folder / "home"
    )


def test_a_rule_of_sops_comes_first(tmp_path):
    (tmp_path / ".sops.yaml").write_text(
        "creation_rules:\n"
        "  - path_regex: other/.*\n    pgp: ABC\n"
        f"  - path_regex: ^secrets/\n    age: '{AGE}, {OTHER}'\n"
    )
    inner = tmp_path / "team"
    assert set(choose(tmp_path, [OTHER]).recipients) == {AGE, OTHER}
    inner.mkdir()
    with pytest.raises(SecretError, match="no age key"):
        choose(inner)  # the rule is for secrets/ beside it, not for team/secrets/


@pytest.mark.parametrize(
    "rule",
    [
        f"  - age: {AGE}\n    kms: arn:aws:kms:eu-west-1:1:key/a\n",
        "  - pgp: ABC\n",
        f"  - key_groups: [{{age: [{AGE}]}}, {{age: [{OTHER}]}}]\n",
        "  - age: not-one\n",
        "  - path_regex: '['\n",
        "  : [",
    ],
)
def test_rules_that_byok_makes_no_file_for(tmp_path, rule):
    (tmp_path / ".sops.yaml").write_text("creation_rules:\n" + rule)
    with pytest.raises(SecretError, match=r"\.sops\.yaml"):
        choose(tmp_path)


def test_own_keys_in_the_order_of_sops(tmp_path):
    with pytest.raises(SecretError, match="age-keygen"):
        choose(tmp_path)
    default = tmp_path / "home" / ".config" / "sops" / "age" / "keys.txt"
    default.parent.mkdir(parents=True)
    default.write_text(f"# public key: {AGE}\n")
    assert choose(tmp_path).recipients == (AGE,)
    assert choose(tmp_path, [OTHER]).recipients == (OTHER,)
    named = tmp_path / "mine.txt"
    named.write_text(f"# public key: {OTHER}\n")
    assert choose(tmp_path, SOPS_AGE_KEY_FILE=str(named)).recipients == (OTHER,)
    named.write_text(f"# public key: {OTHER}\n# public key: {AGE}\n")
    with pytest.raises(SecretError, match="several age keys"):
        choose(tmp_path, SOPS_AGE_KEY_FILE=str(named))


def test_a_recipient_is_no_identity():
    assert recipients.given(AGE) == AGE
    for wrong in ("AGE-SECRET" + "-KEY-1AAAA", "age2x", ""):
        with pytest.raises(UsageError) as error:
            recipients.given(wrong)
        assert "AAAA" not in str(error.value)


# Any state at all.

POOL = ["gpt-4o", "o1", "claude-sonnet-4-5", "gemini-2.5-pro", "acme", "grok-4", "eu.amazon.nova:0"]
URLS = [None, "", "https://llm.acme.example/v1/", "http://localhost:11434/v1", "no url", 7]
STATES = st.fixed_dictionaries(
    {
        "keys": st.dictionaries(st.sampled_from([*ROWS]), st.booleans()),
        "flags": st.dictionaries(
            st.sampled_from([*FLAGS.values()]), st.sampled_from([True, False, 1])
        ),
        "url": st.sampled_from(URLS),
        "azure": st.sampled_from(
            [{}, {"useAzure": True}, {"baseUrl": "https://a.openai.azure.com", "deployment": "d"}]
        ),
        "bedrock": st.sampled_from([{}, {"useBedrock": True, "region": "us-east-1"}]),
        "on": st.lists(st.sampled_from(POOL), unique=True),
        "off": st.lists(st.sampled_from(POOL), unique=True),
        "own": st.lists(st.sampled_from([*POOL, "true", "1.0", "a: b", "x #y", "ü"]), unique=True),
        "defaults": st.dictionaries(
            st.sampled_from([*FEATURES, "new-feature"]), st.sampled_from([*POOL, "default", "a,b"])
        ),
    }
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(state=STATES)
def test_any_state_plans_to_nothing(tmp_path_factory, keys, state):
    keys.items.clear()
    bench = Bench(tmp_path_factory.mktemp("any"), keys)
    for name, cell in state["keys"].items():
        bench.key(name, cell=cell)
    url = {} if state["url"] is None else {"openAIBaseUrl": state["url"]}
    merge(bench.cursor, **state["flags"], **url)
    merge(bench.cursor, azureState=state["azure"], bedrockState=state["bedrock"])
    bench.models(state["on"], state["off"], state["own"])
    ai = document(bench.cursor)["aiSettings"]
    for feature, name in state["defaults"].items():
        ai["modelConfig"].setdefault(feature, {})["modelName"] = name
    merge(bench.cursor, aiSettings=ai)
    try:
        done = bench.adopt()
    except ByokError as error:
        assert "nothing of what a manifest says" in str(error)
        return
    assert done.proof.differs == ()
    assert done.proof.proved is True
    assert not any(value in bench.written for value in KEYS.values())
    assert set(keys.items.values()) <= set(KEYS.values())


# Text.


@pytest.mark.parametrize(
    "word",
    ["gpt-4o", "true", "null", "~", "1.0", "0x1", "a: b", "a #b", "x:", "ü", '"', "a,b", "-"],
)
def test_a_scalar_reads_back_as_itself(word):
    made = Draft("t", (), {"models": {word: Part({"provider": "openai"})}})
    assert [*parse(made.text, "f", Path()).models] == [word]


def test_what_is_wrong_with_the_whole_file_is_raised():
    with pytest.raises(ManifestError):
        fitting(Draft("no name at all!", (), {}), "f", Path())


def test_every_line_says_what_it_does():
    answers = fresh.Answers(
        "t", stores.read("sops"), PROVIDERS, tuple(map(fresh.endpoint, ["groq", "ollama"]))
    )
    lines = fresh.drafted(answers).text.splitlines()
    bare = [line for line in lines if line.startswith("    ") and " # " not in line]
    assert bare == []
    assert {*text.SAYS} >= {"key", "region", "base_url"}


# A first manifest.


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("store", ["keyring", "env"])
def test_each_provider_alone_makes_a_valid_manifest(tmp_path, name, store):
    path = tmp_path / "byok.yaml"
    fresh.begin(path, fresh.Answers("acme", stores.read(store), (name,)), (), {})
    made = load(path)
    assert (made.team, [*made.providers]) == ("acme", [name])
    assert made.providers[name].enabled is (name not in ("azure", "bedrock"))
    assert (tmp_path / "manifest.schema.json").is_file()


def test_all_of_it_at_once_is_valid(tmp_path):
    path = tmp_path / "byok.yaml"
    names = [n if p.base_url else f"{n}={p.example}" for n, p in presets.everything().items()]
    chosen = tuple(map(fresh.endpoint, names))
    fresh.begin(path, fresh.Answers("acme", stores.read("env"), PROVIDERS, chosen), (), {})
    made = load(path)
    assert len(made.endpoints) == len(names)
    assert {finding.code for finding in lint(made)} <= {"BYOK104", "BYOK113", "BYOK114"}


def test_one_endpoint_alone_is_active(tmp_path):
    path = tmp_path / "byok.yaml"
    chosen = tuple(map(fresh.endpoint, ["groq", "xai"]))
    fresh.begin(path, fresh.Answers("t", stores.read("env"), (), chosen), (), {})
    assert [one.active for one in load(path).endpoints.values()] == [True, False]


def test_an_answer_that_fits_no_manifest_writes_nothing(tmp_path):
    path = tmp_path / "byok.yaml"
    details = {"azure": {"endpoint": "not a url", "deployment": "d"}}
    answers = fresh.Answers("t", stores.read("env"), ("azure",), (), details)
    with pytest.raises(UsageError, match=r"providers\.azure\.endpoint: .*URL"):
        fresh.begin(path, answers, (), {})
    assert [*tmp_path.iterdir()] == []


# Presets.

PRESETS = presets.everything()


def test_the_presets_have_their_shape():
    Draft202012Validator(schemas.bundle("presets")).validate(presets.document())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fits_the_schema_and_our_own_lint(name):
    preset = PRESETS[name]
    kinds = schemas.read("endpoint")["properties"]["type"]["enum"]
    assert preset.type in kinds
    url = preset.base_url or preset.example
    lines = f"version: 1\nendpoints:\n  {name}: {{type: {preset.type}, base_url: '{url}'}}\n"
    told = {finding.code for finding in lint(parse(lines, "f", Path()))}
    allowed = {"BYOK101", "BYOK113", "BYOK114"}
    allowed |= {"BYOK103"} if "localhost" in str(url) else set()
    allowed |= {"BYOK104"} if any("BYOK104" in trap.says for trap in preset.traps) else set()
    assert told <= allowed
    assert (preset.base_url is None) is (preset.example is not None)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_recognised_by_its_base_url(name):
    if PRESETS[name].base_url:
        assert presets.recognised(str(PRESETS[name].base_url)) == PRESETS[name]


def test_a_strange_base_url_is_no_presets():
    for url in ("", "https://", "http://[::1", "https://groq.com.evil.example/openai/v1", "groq"):
        assert presets.recognised(url) is None


def test_a_keys_shape_is_a_pattern_that_fits_nothing_harmless():
    import re

    for preset in PRESETS.values():
        if preset.key_shape:
            assert not re.fullmatch(preset.key_shape, "acme-large")
            assert re.match(r"^[a-z]", preset.key_shape)


def test_every_trap_names_its_source_and_day():
    assert all(trap.source.startswith("https://") for p in PRESETS.values() for trap in p.traps)
    assert all(preset.traps for preset in PRESETS.values())


def test_a_secret_is_held_as_one(bench):
    bench.key("openai", cell=False)
    found = read_holdings(bench.cursor)
    assert isinstance(found.secrets["openai", "key"], Secret)
    assert KEYS["openai"] not in repr(found)
