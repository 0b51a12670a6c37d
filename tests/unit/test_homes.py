"""Secrets of layers: read beside the file that says them, and nowhere else."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest

from reconciler import schemas
from reconciler.approvals import Approvals
from reconciler.errors import ManifestError, SecretError, SecretProblem
from reconciler.ledger import Ledger
from reconciler.manifest import load
from reconciler.manifest.homes import KEYS
from reconciler.secrets import Secret
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import parse
from reconciler.secrets.store import store, unwritable


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A base with its secret, and a team's folder below it with another of the same name."""
    for name in ("secrets", "team/secrets", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    for name, value in (("secrets/k", "of-the-base"), ("team/secrets/k", "of-the-team"),
                        ("elsewhere/k", "of-nobody")):  # fmt: skip
        (tmp_path / name).write_text(value)
        (tmp_path / name).chmod(0o600)
    monkeypatch.chdir(tmp_path / "team")
    return tmp_path


def laid(folder, *, base="", byok="", over=""):
    (folder / "base.yaml").write_text(f"version: 1\n{base}\n")
    (folder / "team/byok.yaml").write_text(f"extends: ../base.yaml\n{byok}\n")
    overlays = []
    if over:
        (folder / "team/hosts").mkdir(exist_ok=True)
        overlays = [folder / "team/hosts/over.yaml"]
        overlays[0].write_text(f"{over}\n")
    return load(Path("byok.yaml"), overlays)


def openai(ref):
    return f"providers: {{openai: {{key: {ref}}}}}"


def key(manifest):
    return manifest.providers["openai"].secrets["key"]


def value(manifest, ref):
    reader = Reader(folder=manifest.folder, snapshot=lambda _: Secret(""), homes=manifest.homes)
    return reader.read(parse(ref)).expose()


def refused(manifest, ref):
    with pytest.raises(SecretError) as caught:
        value(manifest, ref)
    return caught.value.kind


def codes(folder, **layers):
    with pytest.raises(ManifestError) as caught:
        laid(folder, **layers)
    return [(d.code, str(d.position)) for d in caught.value.diagnostics]


def test_a_reference_means_the_secret_beside_the_file_that_says_it(folder):
    of_base = laid(folder, base=openai("file://secrets/k"))
    assert key(of_base) == ("file://../secrets/k",)
    assert value(of_base, "file://../secrets/k") == "of-the-base"
    of_team = laid(folder, base=openai("file://secrets/k"), byok=openai("file://secrets/k"))
    assert key(of_team) == ("file://secrets/k",)
    assert value(of_team, "file://secrets/k") == "of-the-team"


def test_a_layer_below_the_manifest_names_its_own(folder):
    (folder / "team/hosts").mkdir()
    own = folder / "team/hosts/k"
    own.write_text("of-the-host")
    own.chmod(0o600)
    found = laid(folder, over=openai("[ref+file://./k, keyring://file/x, env://A]"))
    assert key(found) == ("ref+file://hosts/k", "keyring://file/x", "env://A")
    assert value(found, "file://hosts/k") == "of-the-host"
    own.unlink()
    own.symlink_to(folder / "team/secrets/k")  # inside the manifest's folder, outside its own
    assert refused(found, "file://hosts/k") is SecretProblem.REFUSED


def test_sops_references_move_with_their_pointer(folder):
    found = laid(folder, base=openai("sops://secrets/a#b.yaml#/x~1y/#/z"))
    assert key(found) == ("sops://../secrets/a#b.yaml#/x~1y/#/z",)
    assert found.homes == {"../secrets/a#b.yaml": (folder, "secrets/a#b.yaml")}


@pytest.mark.parametrize(
    "ref", ["file://../elsewhere/k", "file://../secrets/k", "file://secrets/../../elsewhere/k",
            "sops://../secrets/k.yaml#/a", "ref+file://..", "file://./../secrets/k"]
)  # fmt: skip
@pytest.mark.parametrize("layer", ["base", "byok", "over"])
def test_no_layer_reaches_out_of_its_folder_by_name(folder, ref, layer):
    place = {"base": "../base.yaml:2:27", "byok": "byok.yaml:2:27",
             "over": f"{folder}/team/hosts/over.yaml:1:27"}  # fmt: skip
    assert codes(folder, **{layer: openai(ref)}) == [("BYOK009", place[layer])]


def test_a_team_may_not_borrow_what_its_base_may_name(folder):
    base = openai("file://secrets/k")
    borrowed = "endpoints: {e: {type: custom, base_url: 'https://h.example/v1', active: false,"
    found = codes(folder, base=base, byok=f"{borrowed} key: 'file://../secrets/k'}}}}")
    assert [code for code, _ in found] == ["BYOK009"]


@pytest.mark.parametrize("layer", ["base", "byok"])
def test_no_layer_reaches_out_of_its_folder_by_a_link(folder, layer):
    where = folder if layer == "base" else folder / "team"
    (where / "secrets/link").symlink_to(
        "/etc/hostname" if layer == "base" else folder / "elsewhere/k"
    )
    found = laid(folder, **{layer: openai("file://secrets/link")})
    assert refused(found, key(found)[0]) is SecretProblem.REFUSED


def test_two_layers_that_name_one_file_have_the_rights_of_the_inner_one(folder):
    (folder / "team/secrets/link").symlink_to(folder / "secrets/k")
    base = openai("file://team/secrets/link")
    alone = laid(folder, base=base)
    assert key(alone) == ("file://secrets/link",)
    assert value(alone, "file://secrets/link") == "of-the-base"  # inside the base's folder
    both = laid(folder, base=base, byok=openai("file://secrets/link"))
    assert refused(both, "file://secrets/link") is SecretProblem.REFUSED


def test_absolute_paths_stay_and_must_lie_inside(folder):
    ref = f"file://{folder}/secrets/k"
    inside = laid(folder, base=openai(ref))
    assert value(inside, key(inside)[0]) == "of-the-base"
    assert codes(folder, byok=openai(ref)) == [("BYOK009", "byok.yaml:2:27")]
    borrowed = f"policy: {{fingerprint_key: '{ref}'}}"
    assert codes(folder, base=openai(ref), byok=borrowed) == [("BYOK009", "byok.yaml:2:27")]


@pytest.mark.parametrize("ref", ["file://..\\\\elsewhere\\\\k", "file://\\\\elsewhere\\\\k"])
def test_on_windows_a_backslash_leads_out_as_a_slash_does(folder, monkeypatch, ref):
    monkeypatch.setattr("reconciler.manifest.homes.PurePath", PureWindowsPath)
    assert codes(folder, byok=openai(f'"{ref}"')) == [("BYOK009", "byok.yaml:2:27")]


@pytest.mark.parametrize("by_link", [False, True])
def test_a_team_beside_its_base_may_not_borrow_by_an_absolute_path(folder, by_link):
    """Neither folder holds the other, so neither is the inner one."""
    base, ref = folder / "elsewhere/base.yaml", f"file://{folder}/elsewhere/k"
    base.write_text(f"version: 1\nproviders: {{anthropic: {{key: {ref}}}}}\n")
    if by_link:
        (folder / "team/link").symlink_to(folder / "elsewhere/k")
        ref = f"file://{folder}/team/link"
    (folder / "team/byok.yaml").write_text(f"extends: ../elsewhere/base.yaml\n{openai(ref)}\n")
    with pytest.raises(ManifestError) as caught:
        load(Path("byok.yaml"))
    [found] = caught.value.diagnostics
    assert (found.code, str(found.position)) == ("BYOK009", "byok.yaml:2:27")


def test_a_name_that_no_layer_said_is_refused(folder):
    found = laid(folder, base=openai("file://secrets/k"))
    for name in ("../elsewhere/k", "../secrets/../secrets/k", "../base.yaml"):
        assert refused(found, f"file://{name}") is SecretProblem.REFUSED


def test_a_base_behind_a_link_reads_beside_where_it_really_lies(folder):
    (folder / "elsewhere/base.yaml").write_text(f"version: 1\n{openai('file://k')}\n")
    (folder / "team/linked.yaml").symlink_to(folder / "elsewhere/base.yaml")
    (folder / "team/byok.yaml").write_text("extends: linked.yaml\n")
    found = load(Path("byok.yaml"))
    assert key(found) == ("file://../elsewhere/k",)
    assert value(found, key(found)[0]) == "of-nobody"


def test_every_field_that_holds_a_reference_is_moved():
    """The schema's own list of them against ours."""
    secret = "#/$defs/common/$defs/secret"

    def fields(node):
        match node:
            case {"properties": dict(named), **rest}:
                yield from (n for n, each in named.items() if each.get("$ref") == secret)
                yield from fields([*named.values(), rest])
            case dict():
                yield from fields(list(node.values()))
            case list():
                for part in node:
                    yield from fields(part)

    bundle = schemas.bundle()
    assert set(fields(bundle)) == set(KEYS)
    for name in ("openai", "anthropic", "google", "azure", "bedrock", "endpoint"):
        nested = {n for each in bundle["$defs"][name]["properties"].values() for n in fields(each)}
        assert nested == set(), "a reference deeper than an entry's own keys"


def test_all_of_them_are_moved(folder):
    ref = "file://secrets/k"
    found = laid(
        folder,
        base="providers:\n"
        f"  bedrock: {{access_key_id: '{ref}', secret_access_key: '{ref}', region: us-east-1,\n"
        f"    session_token: '{ref}', admin_access_key_id: '{ref}',\n"
        f"    admin_secret_access_key: '{ref}', admin_session_token: '{ref}'}}\n"
        f"endpoints: {{e: {{type: openrouter, base_url: 'https://openrouter.ai/api/v1',\n"
        f"  key: '{ref}', admin_key: '{ref}', active: false}}}}\n"
        f"cursor_team: {{admin_key: '{ref}'}}\npolicy: {{fingerprint_key: ['{ref}']}}\n",
    )
    moved = ("file://../secrets/k",)
    bedrock, endpoint = found.providers["bedrock"], found.endpoints["e"]
    assert set(bedrock.secrets.values()) == {moved}
    assert {v for n, v in bedrock.account.items() if n.startswith("admin_")} == {moved}
    assert (endpoint.key, endpoint.account["admin_key"]) == (moved, moved)
    assert (found.cursor_team["admin_key"], found.policy.fingerprint_key) == (moved, moved)


def test_a_new_key_goes_into_the_store_of_the_layer_that_names_it(folder):
    found = laid(folder, base=openai("file://secrets/k"))
    ref = key(found)[0]
    assert unwritable(ref, found.folder, found.homes) == ""
    store({ref: Secret("made-just-now")}, folder=found.folder, homes=found.homes)
    assert (folder / "secrets/k").read_text() == "made-just-now"
    assert (folder / "team/secrets/k").read_text() == "of-the-team"
    with pytest.raises(SecretError, match="outside"):
        store({"file://../elsewhere/k": Secret("x")}, folder=found.folder, homes=found.homes)
    with pytest.raises(SecretError, match="outside"):
        unwritable("file://../elsewhere/k", found.folder, found.homes)


def test_an_approval_is_of_one_secret_of_one_manifest_at_one_origin(folder):
    found = laid(folder, base=openai("file://secrets/k"), byok=openai("file://secrets/k"))
    base, team = "file://../secrets/k", "file://secrets/k"
    (folder / "state").mkdir(mode=0o700)
    (folder / "other").mkdir()
    with Ledger(folder / "state", write=True) as ledger:
        ledger.approve(f"{base} of {found.folder}", "https://gw.example")
        here = Approvals(ledger, found.folder, ())
        assert here.allows(base, "https://gw.example/v1")
        assert not here.allows(base, "https://evil.example/v1")  # an overlay's other base_url
        assert not here.allows(team, "https://gw.example/v1")  # another secret of the same words
        there = Approvals(ledger, folder / "other", ())
        assert not there.allows(base, "https://gw.example/v1")  # beside another manifest
