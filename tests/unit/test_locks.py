"""What one layer locks, no later one changes: not the value, nor by what stands above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest import load, parse
from reconciler.manifest.facts import Facts
from reconciler.manifest.lint import lint, silence

ANN = Facts("linux", "dev-17", "ann")
BASE = """version: 1
locked: [{}]
providers:
  openai: {{key: env://A, project: p}}
  azure: {{absent: true}}
endpoints:
  gw: {{type: litellm, base_url: "https://gw.example/v1", active: false, when: {{os: linux}}}}
models:
  o1: {{provider: openai, enabled: false}}
  a/b~c: {{provider: openai}}
  coder: {{endpoint: gw, enabled: true}}
budgets:
  monthly: {{provider: openai, monthly_usd: 500, alert_at: [50, 80]}}
policy:
  ignore: [BYOK113]
"""


@pytest.fixture
def lay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(locks: str, *overlays: str):
        Path("byok.yaml").write_text(BASE.format(locks))
        names = [Path(f"over{n}.yaml") for n in range(len(overlays))]
        for path, text in zip(names, overlays, strict=True):
            path.write_text(text)
        return load(Path("byok.yaml"), names, ANN)

    return run


def refused(lay, *args):
    with pytest.raises(ManifestError) as caught:
        lay(*args)
    assert {d.code for d in caught.value.diagnostics} == {"BYOK008"}
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("lock", "over", "place"),
    [
        ("/models/o1/enabled", "models: {o1: {enabled: true}}", "1:24"),
        ("/models/o1/enabled", "models: {o1: {enabled: null}}", "1:24"),
        ("/models/o1/enabled", "models:\n  o1: null", "2:7"),
        ("/models/o1/enabled", "models: {o1: {absent: true}}", "1:23"),
        ("/models/o1/enabled", "models: {o1: {when: {host: nowhere}}}", "1:15"),
        ("/models/o1", "models: {o1: {custom: true}}", "1:23"),
        ("/models", "models: {new: {provider: openai}}", "1:10"),
        ("/models/a~1b~0c/enabled", "models: {a/b~c: {enabled: false}}", "1:27"),
        ("/budgets/monthly", "budgets: {monthly: {monthly_usd: 501}}", "1:34"),
        ("/budgets/monthly", "budgets: {monthly: null}", "1:20"),
        ("/budgets/monthly/alert_at", "budgets: {monthly: {alert_at: [50]}}", "1:21"),
        ("/budgets/monthly/alert_at/1", "budgets: {monthly: {alert_at: [50]}}", "1:21"),
        ("/providers/openai/key", "providers: {openai: {key: [env://A]}}", "1:22"),
        ("/providers/openai/key", "providers: {openai: {absent: true}}", "1:30"),
        ("/providers/bedrock", "providers: {bedrock: {absent: true}}", "1:13"),
        ("/endpoints/gw/base_url", "endpoints: {gw: {when: {os: macos}}}", "1:29"),
        ("/endpoints/gw/base_url", "endpoints: {gw: {when: null}}", "1:24"),
        ("/policy/ignore", "policy: {ignore: [BYOK114]}", "1:10"),
        ("/policy/protect", "policy: {protect: [cursor/model/o1]}", "1:10"),
    ],
)
def test_a_locked_value_is_not_changed(lay, lock, over, place):
    [found] = refused(lay, lock, over)
    assert str(found.position) == f"over0.yaml:{place}"
    assert "locked at byok.yaml:2:10" in found.message
    assert lock in found.message
    assert found.path.startswith(lock) or found.path.endswith(("/when", "/when/os", "/absent"))


@pytest.mark.parametrize(
    ("lock", "over"),
    [
        ("/models/o1/enabled", "models: {o1: {enabled: false, custom: true}}"),
        ("/models/o1/enabled", "models: {o1: {provider: openai}}"),
        ("/models/o1", "models: {o1: {enabled: false}, other: {provider: openai}}"),
        ("/providers/azure", "providers: {azure: {absent: false}}"),  # absent stays: no change
        ("/providers/openai/key", "providers: {openai: {key: env://A, project: q}}"),
        ("/endpoints/gw/base_url", "endpoints: {gw: {when: {os: linux}}}"),
        ("/budgets/monthly/alert_at", "budgets: {monthly: {alert_at: [50, 80], monthly_usd: 9}}"),
        ("/providers", "providers:"),  # without entries it says nothing
    ],
)
def test_saying_the_same_or_something_else_is_no_error(lay, lock, over):
    assert lay(lock, over).team == "local"


@pytest.mark.parametrize(
    ("lock", "over", "found"),
    [
        ("/budgets/monthly", "providers: {openai: {when: {host: nowhere}}}", "openai/when 1:22"),
        ("/budgets/monthly/provider", "providers: {openai: {absent: true}}", "openai/absent 1:30"),
        ("/budgets", "providers: {openai: {absent: true}}", "openai/absent 1:30"),
        ("/budgets", "providers: {openai: null}", "openai 1:21"),
        ("/models/coder", "endpoints: {gw: {when: {os: macos}}}", "gw/when/os 1:29"),
        ("/models/coder/enabled", "endpoints: {gw: {when: null}}", "gw/when 1:24"),
        ("/models", "endpoints: {gw: null}", "gw 1:17"),
    ],
)  # fmt: skip
def test_what_a_locked_entry_stands_and_falls_with_is_not_taken_away(lay, lock, over, found):
    """A budget goes where its provider goes, a model where its endpoint does."""
    [error] = refused(lay, lock, over)
    path, place = found.split()
    assert (error.path.endswith(path), str(error.position)) == (True, f"over0.yaml:{place}")
    assert "locked at byok.yaml:2:10, and goes where" in error.message


def test_what_it_stands_on_is_not_taken_away_and_given_back_otherwise(lay):
    back = (
        "endpoints: {gw: {type: custom, base_url: 'https://h.example', active: false,"
        " when: {host: nowhere}}}"
    )
    found = refused(lay, "/models/coder", "endpoints: {gw: null}", back)
    assert [d.position.file for d in found] == ["over0.yaml"]


def test_what_a_locked_entry_names_may_be_declared_by_a_later_layer(lay, tmp_path):
    (tmp_path / "base.yaml").write_text(
        "version: 1\nlocked: [/models/m]\nmodels: {m: {endpoint: e}}\n"
    )
    (tmp_path / "team.yaml").write_text(
        "extends: base.yaml\nendpoints: {e: {type: custom, base_url: 'https://h.example/v1',"
        " active: false, when: {os: linux}}}\n"
    )
    assert "m" in load(Path("team.yaml"), facts=ANN).models


def test_each_change_below_a_lock_is_told_where_it_stands(lay):
    over = "models:\n  new: {provider: openai}\n  o1:\n    custom: true\n    enabled: true\n"
    found = refused(lay, "/models", over)
    assert [(d.path, d.position.line) for d in found] == [
        ("/models/new", 2),
        ("/models/o1/custom", 4),
        ("/models/o1/enabled", 5),
    ]
    assert "where nothing is said of it" in found[0].message
    assert "and stands at byok.yaml:9:" in found[2].message


def test_the_place_of_the_value_is_named_too(lay):
    [found] = refused(lay, "/models/o1/enabled", "models: {o1: {enabled: true}}")
    assert "and stands at byok.yaml:9:35" in found.message
    [found] = refused(lay, "/models/o1/enabled", "models: {o1: {absent: true}}")
    assert "where nothing is said of it" in found.message


def test_locks_add_up_and_nobody_takes_one_away(lay):
    first = "locked: [/models/o1/provider]\nmodels: {o1: {custom: true}}\n"
    second = "locked: [/budgets]\nmodels: {o1: {enabled: true, provider: google}}\n"
    found = refused(lay, "/models/o1/enabled", first, second)
    assert [(d.path, d.position.file) for d in found] == [
        ("/models/o1/enabled", "over1.yaml"),
        ("/models/o1/provider", "over1.yaml"),
    ]
    assert "locked at over0.yaml:1:10" in found[1].message


def test_every_later_layer_is_held_to_it_one_by_one(lay):
    change, back = "models: {o1: {enabled: true}}", "models: {o1: {enabled: false}}"
    found = refused(lay, "/models/o1/enabled", change, back)
    assert [d.position.file for d in found] == ["over0.yaml", "over1.yaml"]


def test_who_locks_may_say_the_value_itself_and_who_is_below_may_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("version: 1\nmodels: {m: {provider: openai, enabled: true}}\n")
    Path("byok.yaml").write_text(
        "extends: base.yaml\nlocked: [/models/m/enabled]\nmodels: {m: {enabled: false}}\n"
    )
    assert load(Path("byok.yaml"), facts=ANN).models["m"].enabled is False


def test_a_lock_on_nothing_is_a_warning(lay):
    found = [d for d in lint(lay("/models/o11/enabled, /models/o1")) if d.code == "BYOK128"]
    assert [(d.path, str(d.position)) for d in found] == [("/locked/0", "byok.yaml:2:10")]
    assert silence(found, ["BYOK128"]) == ()
    late = lay("/models/new", "locked: [/models/newer]\n")
    assert [str(d.position) for d in lint(late) if d.code == "BYOK128"] == [
        "byok.yaml:2:10",
        "over0.yaml:1:10",
    ]


def test_a_manifest_alone_is_told_of_it_as_well():
    found = lint(parse("version: 1\nlocked: [/models/x]\n", "f", Path()))
    assert [d.code for d in found] == ["BYOK128"]


@pytest.mark.parametrize(
    "value",
    ["/models/o1", "[]", "[models/o1]", "[/team]", "[/version]", "[/extends]", "['']", "[5]",
     "[[/models]]", "[/models/]", "[/models/~2]", "[/models, /models]", "null", "[/]"],
)  # fmt: skip
def test_what_cannot_be_locked(value):
    with pytest.raises(ManifestError) as caught:
        parse(f"version: 1\nmodels: {{m: {{provider: openai}}}}\nlocked: {value}\n", "f", Path())
    assert {d.code for d in caught.value.diagnostics} == {"BYOK003"}
