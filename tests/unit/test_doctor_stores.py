"""Stores under the doctor: rules of .sops.yaml as sops reads them, identities, a missing sops."""

from __future__ import annotations

import pytest

from reconciler.doctor import State, identities, stores
from reconciler.doctor.ground import Ground
from reconciler.sandbox import age_key, make
from reconciler.secrets import sops, sops_rules as rules
from reconciler.secrets.sops_file import Recipient
from reconciler.session import Options

ANA, BEN = "age1" + "a" * 58, "age1" + "b" * 58
LONG = "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4"


def wish(folder, text, name="secrets/team.enc.yaml"):
    config = folder / ".sops.yaml"
    config.write_text(text)
    return rules.wish(config, folder / name)


def test_the_first_rule_that_matches_counts(tmp_path):
    text = f"""
creation_rules:
  - path_regex: prod/.*
    age: {BEN}
  - path_regex: secrets/.*\\.yaml$
    age: {ANA}, {BEN}
  - age: {BEN}
"""
    found = wish(tmp_path, text)
    assert (found.number, found.age) == (2, {ANA, BEN})
    assert wish(tmp_path, text, "other.yaml").number == 3
    assert wish(tmp_path, text, "prod/a.yaml").age == {BEN}


def test_the_expression_is_searched_for_below_the_configurations_folder(tmp_path):
    folder = tmp_path / "prod"
    folder.mkdir()
    text = f"creation_rules: [{{path_regex: prod, age: {ANA}}}]"
    assert wish(folder, text, "a.yaml") is None  # the folder's own name is not part of it
    assert wish(folder, text, "x/non-prod.yaml").number == 1


def test_anchors_and_lists_are_read(tmp_path):
    text = f"""
keys: [&ana {ANA}, &ben {BEN}]
creation_rules:
  - key_groups:
      - age: [*ana, *ben]
        pgp: ['fbc7 b9e2 {LONG[8:]}']
        kms: [{{arn: 'arn:aws:kms:eu-west-1:111122223333:key/x'}}]
"""
    found = wish(tmp_path, text)
    assert found.age == {ANA, BEN}
    assert found.pgp == {LONG}
    assert found.others == ("AWS KMS",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("creation_rules: [", "YAML"),
        ("[]", "creation_rules"),
        ("creation_rules: {a: b}", "creation_rules"),
        ("creation_rules: [{path_regex: '[[:alpha:]]', age: x}]", "Go's"),
        ("creation_rules: [{path_regex: '\\z', age: x}]", "Go's"),
        ("creation_rules: [{path_regex: '(?=a)', age: x}]", "Go's"),
        ("creation_rules: [{path_regex: '(', age: x}]", "no regular expression"),
        ("creation_rules: [{path_regex: 3, age: x}]", "no text"),
        ("creation_rules: [{age: 3}]", "recipients"),
        ("creation_rules: [{key_groups: [{merge: []}]}]", "merged"),
    ],
)
def test_what_cannot_be_judged_is_said(tmp_path, text, words):
    with pytest.raises(rules.UnreadableRules, match=words):
        wish(tmp_path, text)


def test_the_nearest_configuration_counts(tmp_path):
    inner = tmp_path / "secrets"
    inner.mkdir()
    assert rules.configuration(inner / "a.yaml") in (None, *tmp_path.parents)
    (tmp_path / ".sops.yaml").touch()
    assert rules.configuration(inner / "a.yaml") == tmp_path / ".sops.yaml"
    (inner / ".sops.yaml").mkdir()  # no file
    assert rules.configuration(inner / "a.yaml") == tmp_path / ".sops.yaml"


def test_recipients_are_compared_as_sets(tmp_path):
    found = wish(tmp_path, f"creation_rules: [{{age: '{ANA}', pgp: {LONG[-16:]}}}]")
    same = [Recipient("age", ANA), Recipient("pgp", LONG), Recipient("age", ANA)]
    assert rules.difference(found, same) == ([], [])
    other = [Recipient("age", BEN), Recipient("kms", "arn")]
    assert rules.difference(found, other) == ([ANA, LONG[-16:]], [BEN])


@pytest.fixture
def box(tmp_path):
    return make(tmp_path / "box")


def ground_of(box, **env):
    options = Options(
        manifest=box.manifest,
        cursor_dir=box.cursor,
        state_dir=box.folder / "state",
        env={**box.environment, **env},
        offline=True,
    )
    return Ground(options, home=box.folder, platform="linux")


def test_identities_are_turned_into_recipients(box):
    identity, recipient = age_key()
    usual = box.folder / ".config" / "sops" / "age" / "keys.txt"
    usual.parent.mkdir(parents=True)
    usual.write_text(f"# a second one\n{identity}")
    with ground_of(box) as ground:
        found = identities.recipients(ground)
    assert found is not None
    assert recipient in found
    assert len(found) == 2


@pytest.mark.parametrize("name", ["SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"])
def test_whose_recipients_cannot_be_told_are_not_guessed(box, name):
    with ground_of(box, **{name: "anything"}) as ground:
        assert identities.recipients(ground) is None


@pytest.mark.parametrize(
    ("platform", "end"),
    [
        ("linux", ".config/sops/age/keys.txt"),
        ("darwin", "Library/Application Support/sops/age/keys.txt"),
        ("win32", "AppData/Roaming/sops/age/keys.txt"),
    ],
)
def test_the_usual_place_is_sopss_own(tmp_path, platform, end):
    with Ground(Options(env={}), home=tmp_path, platform=platform) as ground:
        assert identities.usual(ground) == tmp_path / end


def test_without_any_sops_the_files_are_not_called_well(box, monkeypatch):
    monkeypatch.setattr(sops, "_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(box.folder))
    with ground_of(box) as ground:
        (program,) = list(stores.sops_program(ground))
        (file,) = list(stores.files(ground))
    assert (program.state, program.code) == (State.PROBLEM, "BYOK230")
    assert "install sops 3.9 or newer" in program.fix
    assert file.state is State.SKIPPED
    assert "no sops" in file.what


def test_without_any_sops_and_without_need_nothing_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(sops, "_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    manifest = tmp_path / "byok.yaml"
    manifest.write_text("version: 1\n")
    with Ground(Options(manifest=manifest, env={}), home=tmp_path) as ground:
        (program,) = list(stores.sops_program(ground))
    assert program.state is State.SKIPPED


def test_one_look_decrypts_a_file_once(box, monkeypatch):
    calls = []
    real = sops.decrypt

    def counted(*args, **kwargs):
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(sops, "decrypt", counted)
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(box.identity))
    from reconciler.doctor import examine

    with ground_of(box) as ground:
        found = list(examine(ground))
    assert len(calls) == 1
    assert not [one for one in found if one.state is State.PROBLEM]
