"""Several files, one manifest: which are read, in what order, what they come to, who is blamed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler import schemas
from reconciler.errors import ManifestError
from reconciler.manifest import check, load, loaded, parse
from reconciler.manifest.document import read
from reconciler.manifest.facts import Facts
from reconciler.manifest.layers import MAX_DEPTH
from reconciler.manifest.lint import lint
from reconciler.spec import FEATURES

ANN = Facts("linux", "dev-17.acme.example", "ann")
KEY = "providers: {openai: {key: env://A}}\n"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write files below a folder, stand in that of the manifest, and load it."""
    (tmp_path / "team").mkdir()
    monkeypatch.chdir(tmp_path / "team")

    def write(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def whole(*overlays, facts=ANN):
    return load(Path("byok.yaml"), [Path(name) for name in overlays], facts)


def refused(*overlays):
    with pytest.raises(ManifestError) as caught:
        whole(*overlays)
    return caught.value.diagnostics


def only(*overlays):
    [found] = refused(*overlays)
    return found


def test_a_base_the_manifest_and_two_overlays(files):
    files("base.yaml", f"version: 1\nteam: acme\n{KEY}models: {{a: {{provider: openai}}}}\n")
    files("team/byok.yaml", "extends: ../base.yaml\nmodels: {b: {provider: openai}}\n")
    files("team/one.yaml", "models: {a: {enabled: false}, c: {provider: openai}}\n")
    files("team/two.yaml", "models: {c: {enabled: false}}\npolicy: {ignore: [BYOK113]}\n")
    found = whole("one.yaml", "two.yaml")
    assert {name: model.enabled for name, model in found.models.items()} == {
        "a": False,
        "b": True,
        "c": False,
    }
    assert (found.team, found.file, found.folder) == ("acme", "byok.yaml", Path.cwd())
    assert found.layers == ("../base.yaml", "byok.yaml", "one.yaml", "two.yaml")
    assert str(found.where("/models/a/enabled")) == "one.yaml:1:23"
    assert str(found.where("/models/a/provider")) == "../base.yaml:4:24"
    assert str(found.where("/models/b/provider")) == "byok.yaml:2:24"


def test_what_is_extended_comes_each_after_its_own_and_the_later_wins(files):
    files("a.yaml", "version: 1\nextends: [lower.yaml]\nmodels: {m: {custom: true}}\n")
    files("lower.yaml", "models: {m: {provider: openai, custom: false, enabled: false}}\n")
    files("team/b.yml", "models: {m: {default_for: [spec]}}\n")
    files("team/byok.yaml", "extends: [../a.yaml, ./b.yml]\nmodels: {m: {enabled: true}}\n")
    found = whole()
    assert found.layers == ("../lower.yaml", "../a.yaml", "b.yml", "byok.yaml")
    model = found.models["m"]
    assert (model.custom, model.enabled, model.default_for) == (True, True, ("spec",))


def test_an_overlay_brings_its_own_base_above_the_manifest(files):
    files("team/byok.yaml", "version: 1\nmodels: {m: {provider: openai, enabled: true}}\n")
    files("host/base.yaml", "models: {m: {enabled: false, custom: true}}\n")
    files("host/host.yaml", "extends: base.yaml\nmodels: {m: {custom: false}}\n")
    model = whole("../host/host.yaml").models["m"]
    assert (model.enabled, model.custom) == (False, False)


def test_lists_replace_and_maps_merge(files):
    files(
        "team/byok.yaml",
        "version: 1\npolicy: {ignore: [BYOK113, BYOK114], protect: [cursor/model/a]}\n"
        "providers: {anthropic: {key: [env://A, env://B], workspace: w, admin_key: env://C,\n"
        "  rate_limits: {m: {requests_per_minute: 5}, n: {requests_per_minute: 5}}}}\n",
    )
    files(
        "team/over.yaml",
        "policy: {ignore: [BYOK121]}\nproviders: {anthropic: {key: env://D,\n"
        "  rate_limits: {m: {requests_per_minute: null}}}}\n",
    )
    found = whole("over.yaml")
    assert (found.policy.ignore, found.policy.protect) == (("BYOK121",), ("cursor/model/a",))
    anthropic = found.providers["anthropic"]
    assert anthropic.secrets == {"key": ("env://D",)}
    assert anthropic.account["rate_limits"] == {  # there null is a value: our own limit goes
        "m": {"requests_per_minute": None},
        "n": {"requests_per_minute": 5},
    }


def test_null_takes_an_entry_or_one_of_its_keys_back(files):
    files("team/byok.yaml", f"version: 1\n{KEY}models: {{a: {{provider: openai}}, b: {{provider:"
          " openai}}\npolicy: {max_key_age_days: 9}\n")  # fmt: skip
    files("team/over.yaml", "endpoints: {gw: {type: custom, base_url: 'https://h.example/v1',"
          " active: false}}\nmodels:\n  a:\n  b: {provider: null, endpoint: gw}\n"
          "policy: {max_key_age_days: null}\nproviders:\n")  # fmt: skip
    found = whole("over.yaml")
    assert list(found.models) == ["b"]
    assert (found.models["b"].provider, found.models["b"].endpoint) == (None, "gw")
    assert found.policy.max_key_age_days is None
    assert list(found.providers) == ["openai"]  # a section without entries says nothing


def test_null_takes_nothing_back_in_a_file_alone(files):
    files("team/byok.yaml", "version: 1\nmodels: {a: null}\n")
    assert "must be a mapping" in only().message


def test_what_is_taken_back_is_said_anew_from_nothing(files):
    files("base.yaml", f"version: 1\n{KEY}models: {{a: {{provider: openai, enabled: false}}}}\n")
    files("team/byok.yaml", "extends: ../base.yaml\nmodels: {a: null}\n")
    files("team/over.yaml", "models: {a: {provider: openai}}\n")
    assert "a" not in whole().models
    assert whole("over.yaml").models["a"].enabled is True


@pytest.mark.parametrize(
    "above",
    [
        "{absent: false, key: env://B}",
        "null",
        "{absent: null, enabled: true}",
        "{enabled: true}",
        "{absent: true}",
    ],
)
def test_absent_stays_whatever_a_later_layer_says(files, above):
    files("base.yaml", f"version: 1\n{KEY}")
    files("team/byok.yaml", "extends: ../base.yaml\nproviders: {openai: {absent: true}}\n")
    files("team/over.yaml", f"providers: {{openai: {above}}}\n")
    found = whole("over.yaml")
    assert found.providers["openai"].absent is True
    assert found.where("/providers/openai/absent").file == "byok.yaml"


@pytest.mark.parametrize("absent_first", [True, False])
def test_an_absent_model_is_no_default_that_another_layer_made_it(files, absent_first):
    layers = ["{absent: true}", "{default_for: [spec], enabled: false}"]
    first, second = layers if absent_first else layers[::-1]
    files("base.yaml", f"version: 1\n{KEY}models: {{m: {{provider: openai}}}}\n")
    files("team/byok.yaml", f"extends: ../base.yaml\nmodels: {{m: {first}}}\n")
    files("team/over.yaml", f"models: {{m: {second}}}\n")
    model = whole("over.yaml").models["m"]
    assert (model.absent, model.default_for) == (True, ())
    files("team/over.yaml", "models: {m: {absent: true, default_for: [spec]}}\n")
    if not absent_first:  # who says both in one file has made a mistake
        assert only("over.yaml").code == "BYOK107"


def test_a_layer_need_not_be_complete_and_the_whole_must_be(files):
    files("base.yaml", "providers: {openai: {project: p}}\n")
    files("team/byok.yaml", "extends: ../base.yaml\n")
    assert {d.message for d in refused()} == {
        "the version is missing",
        "a provider needs its key",
    }
    files("team/over.yaml", f"version: 1\n{KEY}")
    assert whole("over.yaml").providers["openai"].account == {"project": "p"}
    for text in ("budgets: {b: {monthly_usd: 5}}", "models: {m: {enabled: true}}"):
        files("team/over.yaml", f"version: 1\n{KEY}{text}\n")
        assert only("over.yaml").position.file == "over.yaml"


def test_errors_of_all_layers_come_at_once_each_with_its_place(files):
    files("base.yaml", "version: 1\nmodls: {}\nmodels: {a: {enabled: 5}}\n")
    files("team/byok.yaml", "extends: [../base.yaml, ../nowhere.yaml]\nteam: [a]\n")
    files("team/over.yaml", "a: 1\na: 2\n")
    literal = "sk-" + "ant-" + "api03-" + "A" * 93 + "AA"
    files("team/last.yaml", f"# {literal}\nmodels: {{b: on}}\n")
    found = refused("over.yaml", "last.yaml")
    assert [(d.code, str(d.position)) for d in found] == [
        ("BYOK003", "../base.yaml:2:1"),
        ("BYOK003", "../base.yaml:3:23"),
        ("BYOK007", "byok.yaml:1:25"),
        ("BYOK003", "byok.yaml:2:1"),
        ("BYOK004", "last.yaml:1:1"),
        ("BYOK003", "last.yaml:2:13"),
        ("BYOK003", "over.yaml:1:1"),
        ("BYOK002", "over.yaml:2:1"),
    ]
    assert literal not in repr(found)


def test_a_literal_secret_hides_nothing_that_another_layer_says_there(files):
    literal = "sk-" + "ant-" + "api03-" + "A" * 93 + "AA"
    files("base.yaml", f"version: 1\nproviders: {{openai: {{key: {literal}}}}}\n")
    files("team/byok.yaml", "extends: ../base.yaml\nproviders: {openai: {key: 5}}\n")
    files("team/over.yaml", f"providers: {{openai: {{key: {literal}}}}}\n")
    assert [(d.code, str(d.position)) for d in refused("over.yaml")] == [
        ("BYOK004", "../base.yaml:2:27"),
        ("BYOK004", "byok.yaml:2:27"),
        ("BYOK004", "over.yaml:1:27"),
    ]


def test_a_rule_that_two_layers_break_points_to_the_one_that_spoke_last(files):
    files("team/byok.yaml", f"version: 1\n{KEY}models: {{a: {{provider: openai,"
          " default_for: [spec]}}\n")  # fmt: skip
    files("team/over.yaml", "models:\n  b: {provider: openai, default_for: [spec]}\n")
    found = only("over.yaml")
    assert (found.code, str(found.position)) == ("BYOK119", "over.yaml:2:39")
    files("team/over.yaml", "endpoints:\n  g: {type: custom, base_url: 'https://h.example',"
          " active: false}\n")  # fmt: skip
    [warning] = [d for d in lint(whole("over.yaml")) if d.code == "BYOK104"]
    assert str(warning.position) == "over.yaml:2:31"


@pytest.mark.parametrize(
    ("section", "over", "found"),
    [
        (("endpoints: {a: {type: custom, base_url: 'https://h.example/v1', active: false},"
          " b: {type: custom, base_url: 'https://i.example/v1'}}"),
         "endpoints: {a: {active: true}}", ("BYOK105", "over.yaml:1:13")),
        ("models: {a: {provider: openai}, b: {provider: openai, default_for: [spec]}}",
         "models: {a: {default_for: [spec]}}", ("BYOK119", "over.yaml:1:28")),
        (("budgets: {a: {provider: openai, monthly_usd: 5},"
          " b: {provider: openai, monthly_usd: 5, enforce: hard}}"),
         "budgets: {a: {enforce: hard}}", ("BYOK127", "over.yaml:1:11")),
    ],
)  # fmt: skip
def test_of_two_claims_the_later_layers_is_at_fault_whatever_stands_first(
    files, section, over, found
):
    files("team/byok.yaml", f"version: 1\n{KEY}{section}\n")
    files("team/over.yaml", f"{over}\n")
    one = only("over.yaml")
    assert (one.code, str(one.position)) == found


@pytest.mark.parametrize(
    ("over", "place"),
    [
        ("providers: {opnai: null}", "1:13"),
        ("providers: {openai: {projct: null}}", "1:22"),
        ("endpoints: {'a b': null}", "1:13"),
        ("policy: {ignor: null}", "1:10"),
        ("models:\n  a: {proider: null}", "2:7"),
    ],
)
def test_what_is_taken_back_must_have_a_known_name(files, over, place):
    """A misspelt one would take nothing back, unseen; the schema for editors refuses it too."""
    files("team/byok.yaml", f"version: 1\n{KEY}")
    files("team/over.yaml", f"{over}\n")
    found = only("over.yaml")
    assert (found.code, str(found.position)) == ("BYOK003", f"over.yaml:{place}")
    data = read(over, "f").data
    assert not Draft202012Validator(schemas.layer()).is_valid(data)


def test_a_thousand_nulls_are_no_thousand_errors(files):
    names = [f"m{n}" for n in range(1_100)]
    said = "\n".join(f"  {name}: {{provider: openai}}" for name in names)
    files("team/byok.yaml", f"version: 1\nmodels:\n{said}\n")
    files("team/over.yaml", "models:\n" + "\n".join(f"  {name}:" for name in names) + "\n")
    assert whole("over.yaml").models == {}


def test_who_names_what_a_later_layer_took_back_is_told_where(files):
    files("base.yaml", f"version: 1\n{KEY}"
          "budgets: {m: {provider: openai, monthly_usd: 5}}\n"
          "models:\n  a: {endpoint: gw}\n"
          "endpoints: {gw: {type: custom, base_url: 'https://h.example/v1'}}\n")  # fmt: skip
    files("team/byok.yaml", "extends: ../base.yaml\n")
    files("team/over.yaml", "endpoints: {gw: null}\nproviders: {openai: null}\n")
    found = refused("over.yaml")
    assert [(d.code, str(d.position)) for d in found] == [
        ("BYOK120", "../base.yaml:3:25"),
        ("BYOK120", "../base.yaml:5:17"),
    ]
    assert "taken back at over.yaml:2:21" in found[0].message
    assert "taken back at over.yaml:1:17" in found[1].message


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("https://acme.example/base.yaml", "a URL"),
        ("file:///etc/base.yaml", "a URL"),
        ("/etc/base.yaml", "not a path relative"),
        ("~/base.yaml", "not a path relative"),
        ("C:base.yaml", "not a path relative"),
        ("..\\base.yaml", "not a path relative"),
        ("nowhere.yaml", "no such file"),
        ("plain.txt", "no YAML file by its name"),
        ("link.yaml", "no YAML file by its name"),
        ("folder", "no plain file"),
        ("pipe.yaml", "no plain file"),
        ("loop.yaml", "cannot be read|link to itself"),
        ("byok.yaml", "round in a circle, back to byok.yaml"),
        ("round.yaml", "round in a circle"),
        ("x" * 300 + ".yaml", "cannot be read"),
    ],
)
def test_what_cannot_be_extended_is_named_where_it_is_said(files, name, says):
    files("team/plain.txt", "version: 1\n")
    files("team/round.yaml", "extends: ./byok.yaml\n")
    Path("link.yaml").symlink_to("plain.txt")
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("folder").mkdir()
    os.mkfifo("pipe.yaml")
    files("team/byok.yaml", f"version: 1\nextends:\n  - '{name}'\n")
    found = only()
    assert (found.code, found.way_out != "") == ("BYOK007", True)
    assert any(part in found.message for part in says.split("|"))
    file = "round.yaml:1:10" if name == "round.yaml" else "byok.yaml:3:5"
    assert str(found.position) == file


@pytest.mark.parametrize(
    "value", ["5", "{a: b}", "[[a]]", "[]", "''", "null", "[a.yaml, a.yaml]", "true"]
)
def test_what_is_no_list_of_files_does_not_fit_the_schema(files, value):
    files("team/a.yaml", "team: x\n")
    files("team/byok.yaml", f"version: 1\nextends: {value}\n")
    assert "BYOK003" in {d.code for d in refused()}


def test_each_file_is_a_layer_once(files):
    files("base.yaml", "version: 1\n")
    files("team/a.yaml", "extends: ../base.yaml\n")
    files("team/byok.yaml", "extends: [../base.yaml, a.yaml]\n")
    found = only()
    assert (found.code, str(found.position)) == ("BYOK007", "a.yaml:1:10")
    assert "a layer already, as ../base.yaml" in found.message
    files("team/byok.yaml", "extends: ../base.yaml\n")
    Path("again.yaml").symlink_to("../base.yaml")
    for name in ("byok.yaml", "../base.yaml", "again.yaml"):
        assert "a layer already" in only(name).message


def test_files_that_lead_too_deep_or_are_too_many(files):
    for number in range(MAX_DEPTH + 1):
        files(f"team/{number}.yaml", f"extends: {number + 1}.yaml\n")
    files("team/byok.yaml", "extends: 0.yaml\n")
    assert "8 deep" in only().message
    files(f"team/{MAX_DEPTH - 1}.yaml", "version: 1\n")
    assert len(whole().layers) == MAX_DEPTH + 1
    names = [f"w{n}.yaml" for n in range(64)]
    for name in names:
        files(f"team/{name}", "team: local\n")
    files("team/byok.yaml", "version: 1\n")
    assert len(whole(*names[:63]).layers) == 64
    assert "64 layers" in only(*names).message


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "BYOK001", "empty"),
        (b"# nothing\n", "BYOK001", "empty"),
        (b"- a\n- b\n", "BYOK003", "a mapping, not a list"),
        (b"text\n", "BYOK003", "a mapping, not text"),
        (b"\x00\x01\x02", "BYOK001", "binary"),
        (b"a: \xff\n", "BYOK001", "UTF-8"),
        (b"a: [b\nc: d\n", "BYOK001", "brackets"),
        (b"a: 1\n---\nb: 1\n", "BYOK001", "second document"),
        (b"version: 2\n", "BYOK006", "another"),
        (b"x" * 9_000_000, "BYOK005", "8 MB"),
        (b"models: {a: {provider: &p openai, <<: *p}}\n", "BYOK001", "merge key"),
    ],
)
def test_a_broken_overlay_is_refused_like_a_manifest(files, content, code, says):
    files("team/byok.yaml", "version: 1\n")
    files("team/over.yaml", content)
    found = [d for d in refused("over.yaml") if d.code == code]
    assert found, refused("over.yaml")
    assert found[0].position.file == "over.yaml"
    assert says in found[0].message + found[0].way_out


def test_an_overlay_that_is_no_plain_file_is_not_waited_for(files):
    files("team/byok.yaml", "version: 1\n")
    os.mkfifo("pipe")
    for name, says in (("pipe", "plain file"), ("..", "plain file"), ("none", "no such file")):
        found = only(name)
        assert (found.code, str(found.position)) == ("BYOK007", f"{name}:1:1")
        assert says in found.message


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="only as an ordinary user")
def test_an_unreadable_overlay(files):
    files("team/byok.yaml", "version: 1\n")
    files("team/over.yaml", "team: local\n").chmod(0)
    assert "permission denied" in only("over.yaml").message


def test_all_layers_together_have_the_bounds_of_one_file(files):
    files("team/byok.yaml", "version: 1\n")
    for name in ("a", "b"):
        files(f"team/{name}.yaml", "# " + "x" * 5_000_000 + "\nteam: local\n")
    assert "8 MB" in only("a.yaml", "b.yaml").message
    files("team/byok.yaml", "# " + "x" * 5_000_000 + "\nversion: 1\n")
    assert "8 MB" in only("a.yaml").message
    files("team/byok.yaml", "version: 1\n")
    bomb = "x: &x [" + "1, " * 1000 + "1]\n"
    many = ", ".join(["*x"] * 300)
    for name in ("a", "b"):
        files(f"team/{name}.yaml", bomb + f"models: {{m: [{many}]}}\n")
    codes = {d.code for d in refused("a.yaml", "b.yaml")}
    assert codes == {"BYOK003"}  # each by itself is within its bound, and does not fit


def test_values_of_all_layers_are_counted_together(files, monkeypatch):
    monkeypatch.setattr("reconciler.manifest.stack.MAX_NODES", 20)
    models = ", ".join(f"m{n}: {{provider: openai}}" for n in range(4))
    files("team/byok.yaml", f"version: 1\nmodels: {{{models}}}\n")
    files("team/over.yaml", f"models: {{{models.replace('m', 'n')}}}\n".replace("nodels", "models"))
    assert len(whole().models) == 4
    assert only("over.yaml").code == "BYOK005"


@pytest.mark.parametrize(
    ("base", "over", "same"),
    [
        ("version: 1\nteam: a", "team: b", False),
        ("version: 1\nteam: a", "team: a", True),
        ("version: 1", "team: b", False),  # no overlay gives it another owner
        ("version: 1", "team: local", True),
        ("version: 1", "version: '1.0'", True),
        ("version: 1", "version: '1.3'", False),
    ],
)
def test_version_and_team_are_of_all_layers(files, base, over, same):
    files("team/byok.yaml", f"{base}\n")
    files("team/over.yaml", f"{over}\n")
    if same:
        assert whole("over.yaml").team in ("a", "local")
    else:
        found = only("over.yaml")
        assert (found.code, found.position.file) == ("BYOK007", "over.yaml")
        assert "byok.yaml:" in found.message


def test_a_manifest_may_name_the_team_its_base_leaves_open(files):
    files("base.yaml", "version: 1\n")
    files("team/byok.yaml", "extends: ../base.yaml\nteam: data\n")
    assert whole().team == "data"
    files("base.yaml", "version: 1\nteam: acme\n")
    assert only().code == "BYOK007"


def test_a_layer_is_found_beside_the_file_that_says_it_links_followed(files, tmp_path):
    files("deep/er/base.yaml", "version: 1\nextends: ../more.yaml\n")
    files("deep/more.yaml", "team: deep\n")
    Path("linked.yaml").symlink_to(tmp_path / "deep/er/base.yaml")
    files("team/byok.yaml", "extends: linked.yaml\n")
    found = whole()
    assert found.team == "deep"
    assert found.layers == (str(tmp_path / "deep/more.yaml"), "linked.yaml", "byok.yaml")


def test_the_manifest_itself_may_be_a_link(files, tmp_path):
    files("real/byok.yaml", "extends: base.yml\n")
    files("real/base.yml", "version: 1\nteam: real\n")
    Path("byok.yaml").symlink_to("../real/byok.yaml")
    found = whole()
    assert (found.team, found.folder) == ("real", tmp_path / "real")


def test_a_text_extends_what_lies_in_its_folder(files, tmp_path):
    files("base.yaml", "version: 1\nteam: said\n")
    assert parse("extends: base.yaml\n", "f.yaml", tmp_path).team == "said"
    with pytest.raises(ManifestError, match="1 error"):
        parse("extends: f.yaml\n", "f.yaml", tmp_path)


def test_one_file_alone_comes_to_what_it_did(files):
    files("team/byok.yaml", f"version: 1\n{KEY}")
    found = loaded(Path("byok.yaml"), facts=ANN)
    assert (found.manifest.layers, found.manifest.homes) == (("byok.yaml",), {})
    assert found.data == {"version": 1, "providers": {"openai": {"key": "env://A"}}}


def test_places_of_aliases_stay_those_of_the_file_that_wrote_them(files):
    files("team/byok.yaml", "version: 1\nx-none: 1\n")
    files("team/byok.yaml", "version: 1\nmodels:\n  a: &a {provider: openai, enabled: false}\n"
          "  b: *a\n")  # fmt: skip
    files("team/over.yaml", "models: {b: {custom: true}}\n")
    found = whole("over.yaml")
    assert str(found.where("/models/b/enabled")) == "byok.yaml:4:6"
    assert str(found.where("/models/b/custom")) == "over.yaml:1:22"
    assert found.models["a"].custom is False  # nothing of what an alias shares was changed


def test_no_part_of_the_whole_that_null_may_take_back_has_null_as_a_value():
    """Entries and their keys: there null takes back, so the schema must not know it there."""
    bundle = schemas.bundle()

    def deref(schema):
        while "$ref" in schema:
            target = bundle
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            schema = target
        return schema

    def below(schema):
        schema = deref(schema)
        named = list(schema.get("properties", {}).values())
        more = schema.get("additionalProperties")
        return [deref(each) for each in [*named, *([more] if isinstance(more, dict) else [])]]

    checked = 0
    for section in below(bundle):
        for entry in below(section):
            for part in (
                entry,
                *(below(entry) if section is not deref({"$ref": "#/$defs/policy"}) else ()),
            ):
                checked += 1
                assert "null" not in part.get("type", ()), part
    assert checked > 100


def test_a_part_is_asked_for_nothing_and_still_checked():
    schema = check._schema(True)
    assert "required" not in schema
    assert "required" not in schema["$defs"]["endpoint"]
    assert schema["$defs"]["model"]["properties"]["default_for"]["items"]["enum"] == list(FEATURES)


def test_the_schema_of_a_layer_takes_what_layers_say_and_nothing_else():
    validator = Draft202012Validator(schemas.layer())
    Draft202012Validator.check_schema(validator.schema)
    for text in (
        "extends: ../base.yaml\nproviders: {openai: {project: null}, azure: null}\n",
        "models: {a: {enabled: false}, b: null}\npolicy: {ignore: null}\nbudgets:\n",
        "locked: [/models]\nendpoints: {gw: {key: env://A, when: {os: [linux, macos]}}}\n",
        "cursor_team: {api_base: null}\nprices: {m: {input: 1}}\n",
    ):
        assert list(validator.iter_errors(read(text, "f").data)) == []
    for text in ("modls: {}", "models: {a: {enabled: on}}", "models: {a: {enabeld: true}}",
                 "providers: {openai: {key: x}}", "when: {os: linux}", "team: null"):  # fmt: skip
        assert list(validator.iter_errors(read(text, "f").data)) != [], text
    assert schemas.bundle()["required"] == ["version"]  # what is cached was not changed
