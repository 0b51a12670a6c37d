"""What a plan looks like to people, in each form."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from reconciler.model import (
    Action,
    Address,
    Cause,
    Change,
    Diagnostic,
    Edit,
    Observation,
    Plan,
    Position,
    Scope,
    Sealed,
    Severity,
    Summary,
    Unknown,
)
from reconciler.render import render_html, render_markdown, render_text
from reconciler.render.markdown import LIMIT
from reconciler.render.values import show, show_pair

REF = "sops://secrets/team.enc.yaml#/openai/key"


def change(address="cursor/provider/openai", *edits, action="update", cause="manifest", **more):
    return Change(Address.parse(address), Action(action), Cause(cause), tuple(edits), **more)


def plan(*changes, **more):
    counts = {a: sum(c.action == a for c in changes) for a in Action}
    more.setdefault("summary", Summary(counts["create"], counts["update"], counts["delete"]))
    return Plan(Scope(), "b71c", changes, **more)


def models(count, state="enabled"):
    edit = Edit("override", None, state)
    return [
        change(f"cursor/model/m-{i:04d}", edit, action="create", cause="new") for i in range(count)
    ]


def test_a_whole_plan_reads_like_this():
    shown = plan(
        change(
            "cursor/provider/openai",
            Edit("enabled", None, True),
            Edit("key", None, Sealed("9f2c61d0a4b1", REF)),
            action="create",
            cause="new",
        ),
        change(
            "cursor/provider/anthropic",
            Edit("enabled", False, True),
            Edit("key", Sealed("3f9a00000000"), Sealed("c21d00000000", "keyring://byok/anthropic")),
            cause="drift",
        ),
        change("cursor/provider/bedrock", Edit("region", "eu-1", None), action="delete"),
        change("openai/spend-limit/x", Edit("monthly_usd", 500, 750), irreversible=True),
        observations=(Observation(Address.parse("openai/model/gpt-4o"), "available to this key"),),
        diagnostics=(
            Diagnostic("BYOK113", Severity.NOTE, "/providers", "Tab never uses own keys"),
            Diagnostic("BYOK104", Severity.WARNING, "/endpoints/x", "no /v1", "add it"),
            Diagnostic(
                "BYOK105", Severity.WARNING, "/e", "two active", position=Position("b.yaml", 3, 9)
            ),
        ),
        summary=Summary(1, 2, 1, 4, 1, 1, 17),
    )
    assert render_text(shown, width=80) == (
        "+ cursor/provider/openai  new\n"
        "    enabled  on\n"
        "    key      9f2c…  sops://secrets/team.enc.yaml#/openai/key\n"
        "~ cursor/provider/anthropic  moved since we wrote it (drift)\n"
        "    enabled  off → on\n"
        "    key      3f9a… → c21d…  keyring://byok/anthropic\n"
        "- cursor/provider/bedrock  manifest changed\n"
        "    region  eu-1 → absent\n"
        "~ openai/spend-limit/x  irreversible  manifest changed\n"
        "    monthly_usd  500 → 750\n"
        "\n"
        "Seen beside it\n"
        "  openai/model/gpt-4o  available to this key\n"
        "\n"
        "warning BYOK104  /endpoints/x\n"
        "  no /v1; add it\n"
        "warning BYOK105  b.yaml:3:9\n"
        "  two active\n"
        "1 note: BYOK113 (-v shows them)\n"
        "\n"
        "Plan: 1 to create, 2 to update, 1 to delete. 4 in sync, 1 unknown, 17 not\n"
        "managed.\n"
    )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (Summary(in_sync=4), "In sync. 4 resources match the manifest.\n"),
        (Summary(in_sync=1), "In sync. 1 resource matches the manifest.\n"),
        (
            Summary(in_sync=4, unmanaged=2),
            "In sync. 4 resources match the manifest, 2 not managed.",
        ),
        (Summary(in_sync=4, unknown=1), "Nothing to change. 4 in sync, 1 unknown.\n"),
        (Summary(), "Nothing to change.\n"),
    ],
)
def test_in_sync_is_said_only_when_it_is_known(counts, said):
    assert render_text(plan(summary=counts)).startswith(said)


def test_an_error_is_never_in_sync_and_comes_first():
    found = (
        Diagnostic("BYOK104", Severity.WARNING, "/a", "later"),
        Diagnostic("BYOK105", Severity.ERROR, "/b", "first"),
    )
    text = render_text(plan(diagnostics=found, summary=Summary(in_sync=3)))
    assert text.index("first") < text.index("later")
    assert text.splitlines()[-1] == "1 error: nothing can be applied. Nothing to change. 3 in sync."


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_words_in_every_form(cause):
    one = plan(change("cursor/model/x", cause=cause))
    for form in (render_text, render_markdown, render_html):
        assert len(form(one)) > 20


def test_a_list_is_shown_by_element_and_a_tree_by_path():
    text = render_text(
        plan(
            change(
                "openai/budget/x",
                Edit("limits", {"day": 5, "gone": True}, {"day": 6, "new": ("a",)}),
                Edit("notify", ("a@x", "b@x"), ("b@x", "c@x")),
            )
        )
    )
    assert [line.split() for line in text.splitlines()[1:6]] == [
        ["limits.day", "5", "→", "6"],
        ["limits.gone", "on", "→", "absent"],
        ["limits.new", "absent", "→", "[a]"],
        ["notify", "-", "a@x"],
        ["+", "c@x"],
    ]


def test_a_new_list_a_lost_list_and_another_order_are_all_said():
    edits = (Edit("a", None, ("x",)), Edit("b", ("x",), None), Edit("c", ("x", "y"), ("y", "x")))
    lines = render_text(plan(change("openai/budget/x", *edits))).splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["a", "+", "x"],
        ["b", "-", "x"],
        ["c", "[x,", "y]", "→", "[y,", "x]"],
    ]


def test_many_changes_alike_take_one_line_unless_detail_is_asked():
    many = plan(*models(991))
    text = render_text(many)
    assert "+ 988 more models enabled  new" in text
    assert len(text.splitlines()) < 24
    assert "more models" not in render_text(many, detail=True)
    assert render_text(many, detail=True).count("cursor/model/m-") == 991


def test_twelve_alike_and_changes_that_differ_are_all_shown():
    mixed = plan(*models(12), *models(12, "disabled"))
    assert render_text(mixed).count("cursor/model/m-") == 24


def test_two_secrets_are_never_alike():
    keys = [
        change(f"openai/key/k{i}", Edit("key", None, Sealed("a" * 12)), action="create")
        for i in range(20)
    ]
    assert "more" not in render_text(plan(*keys))


def test_a_long_list_in_one_edit_is_cut_unless_detail_is_asked():
    one = plan(change("openai/budget/x", Edit("notify", (), tuple(f"p{i}@x" for i in range(40)))))
    assert "28 more (-v shows them)" in render_text(one)
    assert render_text(one, detail=True).count("@x") == 40


def test_values_that_could_be_mistaken_are_quoted():
    assert [show(v) for v in (True, "on", None, "absent", "", "1", 1, " a", "gpt-4o")] == [
        "on", '"on"', "absent", '"absent"', '""', '"1"', "1", '" a"', "gpt-4o",
    ]  # fmt: skip


def test_an_unknown_value_says_why():
    assert show(Unknown("set, unreadable")) == "unknown (set, unreadable)"


def test_two_fingerprints_that_begin_alike_are_shown_as_far_as_they_differ():
    assert show_pair(Sealed("aaaaa1ffffff"), Sealed("aaaaa2ffffff")) == (
        "aaaaa1…",
        "aaaaa2…",
        "",
    )


def test_no_more_of_a_fingerprint_than_needed_is_shown():
    one = plan(change("cursor/provider/openai", Edit("key", None, Sealed("9f2c61d0a4b1", REF))))
    for form in (render_text, render_markdown, render_html):
        assert "9f2c6" not in form(one)


def test_a_value_cannot_pose_as_a_secret_and_its_reference():
    posing = change("cursor/provider/openai", Edit("base_url", None, f"9f2c…  {REF}"))
    real = change("cursor/provider/openai", Edit("key", None, Sealed("9f2c61d0a4b1", REF)))
    assert '<span class="source">' in render_html(plan(real))
    assert '<span class="source">' not in render_html(plan(posing))


def test_a_long_attribute_name_never_runs_into_its_value():
    for size in range(1, 60):
        edit = Edit("n" * size, "old", "new")
        shown = render_text(plan(change("cursor/model/x", edit)), width=20).replace("\n", " ")
        assert "n old → new" in re.sub(" +", " ", shown)


def test_colour_changes_nothing_but_colour():
    one = plan(*models(3), change("cursor/model/x", Edit("override", "disabled", "enabled")))
    bare = re.sub(r"\x1b\[[0-9;]*m", "", render_text(one, color=True))
    assert bare == render_text(one)
    assert "\x1b[32m+" in render_text(one, color=True)
    assert "\x1b" not in render_text(one)


HOSTILE = (
    "a\x1b[2Jb\x07\x9b31m\u202egpt\u2066|`x`<script>alert(1)</script>[l](http://e.example)"
    "\n# h @team"
)


def hostile_plan():
    return Plan(
        Scope(),
        "b71c",
        (
            Change(
                Address("cursor", "model", HOSTILE),
                Action.CREATE,
                Cause.NEW,
                (
                    Edit(HOSTILE, HOSTILE, (HOSTILE, {HOSTILE: HOSTILE})),
                    Edit("key", None, Sealed(HOSTILE, HOSTILE)),
                    Edit("odd", Unknown(HOSTILE), HOSTILE),
                ),
            ),
        ),
        (Observation(Address("cursor", "model", HOSTILE), HOSTILE),),
        (
            Diagnostic(HOSTILE, Severity.WARNING, HOSTILE, HOSTILE, HOSTILE),
            Diagnostic("BYOK001", Severity.NOTE, "/", HOSTILE, "", Position(HOSTILE, 1, 1)),
        ),
        Summary(create=1),
    )


@pytest.mark.parametrize("form", [render_text, render_markdown, render_html])
def test_foreign_text_cannot_move_the_cursor_or_turn_the_line_around(form):
    assert [c for c in form(hostile_plan()) if not c.isprintable() and c != "\n"] == []


def test_foreign_text_is_no_markdown():
    text = render_markdown(hostile_plan())
    outside = re.sub(r"^(`{3,})diff\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "](" not in outside
    assert "@" not in outside
    assert "://" not in outside
    assert re.findall(r"^# ", outside, re.MULTILINE) == []
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {4}


def test_a_fence_is_longer_than_any_backticks_inside():
    tricky = plan(change("cursor/model/x", Edit("model", None, "````"), action="create"))
    assert "`````diff" in render_markdown(tricky)


def test_markdown_puts_the_summary_first_and_folds_the_rest():
    text = render_markdown(plan(*models(1)))
    assert text.splitlines()[2].startswith("**Plan")
    assert text.count("<details>") == text.count("</details>") == 1


def test_markdown_fits_a_comment_and_says_what_is_cut():
    found = [Diagnostic("BYOK104", Severity.WARNING, "/a", "x" * 90, "y") for _ in range(3000)]
    many = [
        change(f"cursor/model/m{i:05d}", Edit("override", None, f"s{i}"), action="create")
        for i in range(3000)
    ]
    notes = [Observation(Address("openai", "model", f"<{i}>"), "&" * 80) for i in range(3000)]
    text = render_markdown(plan(*many, diagnostics=tuple(found), observations=tuple(notes)))
    assert len(text) <= LIMIT
    assert text.count("Cut here") == 4
    assert text.count("<details>") == text.count("</details>") == 2


class Outline(HTMLParser):
    """Collects the tags, the addresses that a page would ask for, and whether tags balance."""

    VOID = frozenset({"meta"})

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.open = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "action", "style")]
        self.open += [] if tag in self.VOID else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_asks_nothing_of_the_network_and_runs_nothing():
    page = Outline()
    text = render_html(hostile_plan())
    page.feed(text)
    assert page.open == []
    assert page.links == []
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "a", "form"})
    assert "url(" not in text.split("</style>")[0]
    assert "prefers-color-scheme: dark" in text


def test_the_page_has_every_change():
    assert render_html(plan(*models(300))).count("cursor/model/m-") == 300


def test_without_unicode_all_is_ascii():
    one = plan(change("cursor/model/x", Edit("model", "é→", "中"), cause="drift"))
    text = render_text(one, unicode=False)
    assert text.isascii()
    assert "\\xe9-> -> \\u4e2d" in text


def test_observations_alike_are_one_line_and_what_was_left_out_comes_first():
    models = [seen_at("openai", "model", f"m{n}", "available to this key") for n in range(5)]
    others = [seen_at("openai", "key", f"k{n}", f"made on day {n}") for n in range(20)]
    left = seen_at("azure", "key", "azure", "not probed: no key")
    budget = seen_at("openai", "budget", "monthly", "500.00 USD a month: hard limit")
    shown = Plan(Scope(), "ab", observations=(*models, *others, left, budget))
    lines = render_text(shown).splitlines()
    assert "azure/key/azure  not probed: no key" in lines[1]
    assert "hard limit" in lines[2]
    assert "openai/model/m0, m1, m2 and 2 more  available to this key" in lines[3]
    assert any("more (-v shows them)" in line for line in lines)
    everything = render_text(shown, detail=True)
    assert all(str(one.address) in everything for one in shown.observations)


def seen_at(system, kind, name, text):
    return Observation(Address(system, kind, name), text)


def test_a_plan_off_line_says_that_no_account_was_looked_at():
    assert "no account" in render_text(Plan(Scope(offline=True), "ab"))
    assert "no account" not in render_text(Plan(Scope(), "ab"))
