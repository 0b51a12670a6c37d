"""Metadata is judged before sops is run, and what could be read in two ways is refused."""

from __future__ import annotations

import json

import pytest

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.document import MalformedError, parse
from reconciler.secrets.sops_file import Plain, encrypted_scalar, load, permit, scalar

ENC = "ENC[AES256_GCM,data:Zm9v,iv:Zm9v,tag:Zm9v,type:str]"
AGE = "sops:\n  age:\n    - recipient: age1example\n      enc: x\n"
VAULT = {"vault_address": "https://vault.acme.example:8200", "engine_path": "sops", "enc": "x"}
AZURE = {"vault_url": "https://acme.vault.azure.net", "name": "k", "enc": "x"}
KMS = {"arn": "arn:aws:kms:eu-central-1:123456789012:key/1-2", "enc": "x"}
CHINA = {"arn": "arn:aws-cn:kms:cn-north-1:123456789012:alias/a", "enc": "x"}
GCP = {"resource_id": "projects/p/locations/global/keyRings/r/cryptoKeys/k", "enc": "x"}


def as_json(metadata, **more):
    return json.dumps({"a": ENC, "sops": metadata, **more}).encode()


def judge(metadata, backends=(), name="a.json"):
    permit(load(as_json(metadata), name, "w"), backends, "w")


def kind_of(call):
    with pytest.raises(SecretError) as caught:
        call()
    return caught.value.kind


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n",
        "a: {b: 1, b: 2}\n",
        "a: &x 1\nb: 2\n",
        "a: &x {b: 1}\nc: *x\n",
        "<<: {sops: {}}\n",
        "!!binary c29wcw==: {}\n",
        "a: !!str b\n",
        "a: 1\n---\nb: 2\n",
        "[a, b]: c\n",
        "- a\n",
        "a\n",
        "",
        "a: [b\n",
        "\x00",
        "a: " + "[" * 100 + "]" * 100,
    ],
)
def test_yaml_that_can_be_read_in_two_ways(text):
    with pytest.raises(MalformedError):
        parse(text.encode(), "yaml")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 2}}',
        '{"a": NaN}',
        '{"a": 1} x',
        "[1]",
        '"a"',
        "",
        "[" * 100_000,
        '{"a":' * 100 + "1" + "}" * 100,
    ],
)
def test_json_that_can_be_read_in_two_ways(text):
    with pytest.raises(MalformedError):
        parse(text.encode(), "json")


def test_not_utf8():
    for form in ("json", "yaml"):
        with pytest.raises(MalformedError, match="UTF-8"):
            parse(b'{"a": "\xff"}', form)


def test_scalars_keep_their_text():
    assert parse(b"a: 010\nb: yes\nc: ~\nd: 'x'\ne: [1.0]\n", "yaml") == {
        "a": "010",
        "b": "yes",
        "c": "~",
        "d": "x",
        "e": ["1.0"],
    }
    assert parse(b'{"a": 1.50, "b": true, "c": null}', "json") == {
        "a": "1.50",
        "b": "true",
        "c": "null",
    }


def test_pointers():
    data = f"a: {{b: ['{ENC}', plain, '', {{c: x}}], 'x/y~z': '{ENC}'}}\n{AGE}".encode()
    file = load(data, "f.yaml", "w")
    assert scalar(file, "/a/b/0") == ENC
    assert scalar(file, "/a/x~1y~0z") == ENC
    assert "clear text" in scalar(file, "/a/b/1").text
    assert "empty" in scalar(file, "/a/b/2").text
    assert "map" in scalar(file, "/a").text
    assert "list" in scalar(file, "/a/b").text
    for pointer in ("/x", "/a/b/9", "/a/b/-1", "/a/b/00", "/a/b/0/c", "/sops/age/0/enc", "/"):
        assert scalar(file, pointer) is None
    assert isinstance(scalar(file, "/a"), Plain)
    assert encrypted_scalar(data, "/a/b/0") == ENC
    assert encrypted_scalar(data, "/a/b/1") is None
    assert encrypted_scalar(b"a: [", "/a") is None
    assert encrypted_scalar(as_json({}), "/a") == ENC


@pytest.mark.parametrize("name", ["a.env", "a.ini", "a", "a.txt", "yaml"])
def test_other_formats_are_said_to_be_unsupported(name):
    with pytest.raises(SecretError, match="dotenv"):
        load(b"a: b", name, "w")


def test_a_plain_file_is_told():
    with pytest.raises(SecretError, match="not encrypted"):
        load(b"openai: {key: x}\n", "a.yaml", "w")


def test_age_and_pgp_need_no_leave():
    judge({"age": [{"recipient": "age1x", "enc": "x"}], "pgp": [{"fp": "AB", "enc": "x"}]})
    judge({"kms": None, "gcp_kms": [], "hc_vault": [], "age": [{"recipient": "age1x"}]})


@pytest.mark.parametrize(
    ("kind", "entry", "host"),
    [
        ("hc_vault", VAULT, "vault.acme.example:8200"),
        ("azure_kv", AZURE, "acme.vault.azure.net"),
        ("kms", KMS, "kms.eu-central-1.amazonaws.com"),
        ("kms", CHINA, "kms.cn-north-1.amazonaws.com.cn"),
        ("gcp_kms", GCP, "cloudkms.googleapis.com"),
    ],
)
def test_other_recipients_need_leave_by_host(kind, entry, host):
    for metadata in ({kind: [entry]}, {"key_groups": [{"age": []}, {kind: [entry]}]}):
        with pytest.raises(SecretError, match=host) as caught:
            judge(metadata)
        assert caught.value.kind is SecretProblem.REFUSED
        assert f"{kind}:{host}" in str(caught.value)
        judge(metadata, [f"{kind}:{host}"])
        judge(metadata, [f"{kind}:{host.upper()}"])
        assert kind_of(lambda: judge(metadata, [f"{kind}:evil.example"]))  # noqa: B023
        assert kind_of(lambda: judge(metadata, [f"{kind}:{host}x", "age", "pgp"]))  # noqa: B023


def test_the_kind_alone_is_enough_for_fixed_hosts_only():
    judge({"kms": [KMS], "gcp_kms": [GCP]}, ["kms", "gcp_kms"])
    for metadata, kind in (
        ({"hc_vault": [VAULT]}, "hc_vault"),
        ({"azure_kv": [AZURE]}, "azure_kv"),
    ):
        assert kind_of(lambda: judge(metadata, [kind])) is SecretProblem.REFUSED  # noqa: B023


def test_a_host_without_port_stands_for_any_port():
    judge({"hc_vault": [VAULT]}, ["hc_vault:vault.acme.example"])
    assert kind_of(lambda: judge({"hc_vault": [VAULT]}, ["hc_vault:vault.acme.example:443"]))


@pytest.mark.parametrize(
    "address",
    [
        "http://vault.acme.example",
        "https://user@vault.acme.example",
        "https://evil.example\\@vault.acme.example",
        "https://evil.example#vault.acme.example",
        "https://evil.example?vault.acme.example",
        "https://vault.acme.example%2eevil.example",
        "//vault.acme.example",
        "unix:///run/x",
        "https://vault.acme.example\n",
        "",
    ],
)
def test_addresses_that_parsers_read_differently(address):
    metadata = {"hc_vault": [{**VAULT, "vault_address": address}]}
    assert kind_of(lambda: judge(metadata, ["hc_vault:vault.acme.example"]))


def test_plain_http_to_loopback():
    metadata = {"hc_vault": [{**VAULT, "vault_address": "http://127.0.0.1:8200"}]}
    judge(metadata, ["hc_vault:127.0.0.1:8200"])


@pytest.mark.parametrize(
    "metadata",
    [
        {"HC_VAULT": [VAULT]},
        {"hc_vault": [{**VAULT, "VAULT_ADDRESS": "https://evil.example"}]},
        {"Key_Groups": [{"hc_vault": [VAULT]}]},
        {"key_groups": [{"HC_VAULT": [VAULT]}]},
        {"key_groups": [{"new_kms": [VAULT]}]},
        {"key_groups": [{"key_groups": [{"hc_vault": [VAULT]}]}]},
        {"key_groups": {"hc_vault": [VAULT]}},
        {"new_kms": [{"url": "https://evil.example"}]},
        {"hc_vault": VAULT},
        {"hc_vault": "https://evil.example"},
        {"hc_vault": [{"engine_path": "x"}]},
        {"kms": [{"arn": "arn:aws:kms:evil.example/#:1:key/a"}]},
        {"gcp_kms": [{"resource_id": "https://evil.example"}]},
        {"<<": {"hc_vault": [VAULT]}},
    ],
)
def test_metadata_that_go_might_read_as_something_else(metadata):
    everything = ["kms", "gcp_kms", "hc_vault:vault.acme.example", "new_kms"]
    assert kind_of(lambda: judge(metadata, everything)) is SecretProblem.REFUSED


@pytest.mark.parametrize("name", ["SOPS", "Sops", "\u017fops", "sop\u017f"])
def test_a_second_almost_sops_key(name):
    # Go's JSON parser folds case, the long s included.
    data = as_json({"age": []}, **{name: {"hc_vault": [VAULT]}})
    assert kind_of(lambda: load(data, "a.json", "w")) is SecretProblem.REFUSED


@pytest.mark.parametrize("text", ["[" * 60_000, "- " * 60_000, "{a: " * 60_000])
def test_depth_is_refused_before_it_costs_time(text, monkeypatch):
    import yaml

    seen = []
    real = yaml.parse
    monkeypatch.setattr(yaml, "parse", lambda *a: (seen.append(e) or e for e in real(*a)))
    with pytest.raises(MalformedError, match="deep"):
        parse(text.encode(), "yaml")
    assert len(seen) < 300
