"""The fleet's page in a real browser: it searches, filters, links, and runs nothing foreign."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import pytest

from reconciler.fleet import collect, report
from reconciler.fleet.page import render_html
from tests import fleet_results as made
from tests.chromium import PROGRAM, browser

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]

COUNT = 1000
EVIL = (
    "</script><script>window.ran=1</script>"
    "<img src=http://192.0.2.1/x onerror=window.ran=2>\u202e\x1b"
)


def page(folder: Path, documents) -> str:
    lines = "\n".join(map(json.dumps, documents))
    found = collect([Path("-")], io.BytesIO(lines.encode()))
    file = folder / "report.html"
    file.write_text(render_html(report(found.hosts, found.unread)), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture(scope="module")
def fleet():
    return list(made.results(COUNT))


@pytest.fixture
def opened(chromium, fleet, tmp_path):
    """A page of a thousand machines; whatever a test does, nothing is complained or asked for."""
    chromium.look(width=1200)
    chromium.address = page(tmp_path, fleet)
    chromium.open(chromium.address)
    yield chromium
    assert chromium.complaints() == []
    assert {url.partition("#")[0] for url in chromium.requests()} == {chromium.address}


def told(one) -> str:
    return one.run("document.getElementById('told').textContent")


def shown(one) -> list[str]:
    return one.run("[...document.querySelectorAll('#list .name')].map(e => e.textContent)")


def named(fleet, *outcomes):
    return [one["host"] for one in fleet if one["outcome"] in outcomes]


def test_all_machines_are_there(opened, fleet):
    assert told(opened) == "1,000 machines"
    assert shown(opened) == [one["host"] for one in fleet][:200]
    opened.click("#all")
    assert shown(opened) == [one["host"] for one in fleet]
    assert opened.run("document.getElementById('rest').hidden")


def test_typing_searches(opened):
    opened.click("#q")
    opened.type("dev-0042")
    assert shown(opened) == ["dev-0042"]
    assert told(opened) == "1 of 1,000 machines"
    assert opened.run("location.hash") == "#q=dev-0042"
    opened.click("#clear")
    assert told(opened) == "1,000 machines"
    assert opened.run("document.activeElement.id") == "q"


def test_words_of_a_plan_find_its_machines(opened, fleet):
    wanted = [
        one["host"] for one in fleet
        if "claude" in json.dumps(one["plan"]) and one["outcome"] == "pending"
    ]  # fmt: skip
    opened.click("#q")
    opened.type("CLAUDE pending")
    assert shown(opened) == wanted
    assert wanted


def test_a_link_to_a_view_works(opened, fleet):
    opened.open(f"{opened.address}#q=drift&state=drifted")
    assert opened.run("document.getElementById('q').value") == "drift"
    assert opened.run("document.getElementById('state').value") == "drifted"
    drifted = [
        one["host"] for one in fleet if "drift" in json.dumps((one["plan"] or {}).get("changes"))
    ]
    assert shown(opened) == drifted
    assert opened.run("document.getElementById('hosts').getBoundingClientRect().top") < 5


def test_a_view_that_a_link_names_wrongly_shows_all(opened):
    opened.open(f"{opened.address}#state=none&group=__proto__&plan=9999&key=%F0%9F")
    assert told(opened) == "1,000 machines"


def test_the_number_of_unread_files_leads_to_their_reasons(chromium, tmp_path):
    many = (made.envelope(f"h{n}", "failed", why=f"reason {n}") for n in range(60))
    address = page(tmp_path, [*many, *({"format": f"odd/{n}"} for n in range(60))])
    chromium.look(width=1200)
    chromium.open(address)
    chromium.click(".totals .unreadable a")
    chromium.until("location.hash === '#unreadable'")
    chromium.run("new Promise(done => setTimeout(done, 50))")
    top = "document.getElementById('unreadable').getBoundingClientRect().top"
    assert abs(chromium.run(top)) < 5


def test_old_results_are_told_and_lead_to_their_machines(chromium, fleet, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    days = {3: 9, 7: 2, 23: 9, 43: 9}
    for n, one in enumerate(fleet[:60]):
        file = folder / f"{one['host']}.json"
        file.write_text(json.dumps(one))
        seen = file.stat().st_mtime - days.get(n, 0) * 86_460
        os.utime(file, (seen, seen))
    found = collect([folder], io.BytesIO())
    file = tmp_path / "report.html"
    file.write_text(render_html(report(found.hosts, found.unread)), encoding="utf-8")
    chromium.look(width=1200)
    chromium.open(file.as_uri())
    chromium.click(".totals .old_result a")
    chromium.until("location.hash === '#old'")
    assert told(chromium) == "60 machines"
    old = [fleet[n]["host"] for n in (3, 23, 43)]
    chromium.click("#old .count a")
    chromium.until("location.hash === '#group=o1'")
    chromium.until("document.getElementById('only').hidden === false")
    assert shown(chromium) == old
    why = "[...document.querySelectorAll('#list .why')].map(e => e.textContent)"
    assert all(text.startswith("9 days older than the newest") for text in chromium.run(why))
    chromium.open(f"{file.as_uri()}#q=older")
    assert shown(chromium) == sorted([*old, fleet[7]["host"]])
    chromium.run("document.querySelector('#list summary').click()")
    chromium.until("document.querySelector('#list .more') !== null")
    more = chromium.run("document.querySelector('#list .more').innerText")
    assert "run the plan on them" in more
    chromium.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    for width, dark in ((360, False), (1200, True), (1200, False)):
        chromium.look(width=width, dark=dark)
        assert chromium.run("document.documentElement.scrollWidth") <= width
        assert chromium.run(CONTRAST) == []
    assert chromium.complaints() == []


@pytest.mark.parametrize("outcome", ["skipped", "unreachable", "changed"])
def test_a_total_leads_to_its_machines(opened, fleet, outcome):
    opened.click(f".totals .{outcome} a")
    opened.until("location.hash.startsWith('#state=')")
    opened.until("document.getElementById('state').value !== ''")
    assert shown(opened) == named(fleet, outcome)


def test_each_group_leads_to_as_many_machines_as_it_says(opened):
    """Every link of the page: plans, drift, troubles, keys, versions, findings, waiting."""
    links = opened.run(
        "[...document.querySelectorAll('.count a, td a')]"
        ".map(e => [e.getAttribute('href'), e.textContent])"
    )
    assert len(links) > 20
    for href, text in links:
        opened.run(f"location.hash = {json.dumps(href)}")
        opened.until(f"location.hash === {json.dumps(href)}")
        opened.run("new Promise(done => setTimeout(done))")
        if "machine" in text:
            assert told(opened).split()[0] == text.split()[0], href
        else:
            assert int(told(opened).split()[0]) > 0


def test_filters_narrow_together_and_the_group_can_be_dropped(opened, fleet):
    opened.open(f"{opened.address}#group=t1&cursor=2.5.9")
    assert opened.run("document.getElementById('only').hidden") is False
    assert "Cursor is running" in opened.run("document.getElementById('only-text').textContent")
    both = shown(opened)
    opened.click("#drop")
    assert opened.run("document.getElementById('only').hidden")
    assert set(both) < set(shown(opened))
    assert "group" not in opened.run("location.hash")


def test_a_machine_opens_by_keyboard_and_tells_all_of_it(opened, fleet):
    host = next(one for one in fleet if one["outcome"] == "changed")
    opened.open(f"{opened.address}#q={host['host']}")
    opened.run("document.querySelector('#list summary').focus()")
    opened.press("Enter", 13)
    opened.until("document.querySelector('#list .more') !== null")
    text = opened.run("document.querySelector('#list .more').innerText")
    for part in ("gpt-4o", "none → enabled", "1a2b… → 9f2c…", made.REF, host["user"], "stdin:"):
        assert part in text, part
    assert made.OLD not in text


def test_everything_can_be_reached_and_has_a_name(opened):
    nameless = opened.run(
        "[...document.querySelectorAll('input, select, button, a')].filter(e => e.offsetParent &&"
        " !(e.labels?.[0]?.firstChild.textContent || e.textContent).trim()).length"
    )
    assert nameless == 0
    assert opened.run("document.documentElement.lang") == "en"
    assert opened.run("document.querySelectorAll('h1').length") == 1
    assert opened.run("document.getElementById('told').getAttribute('aria-live')") == "polite"


@pytest.mark.parametrize("width", [360, 800, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window_and_all_can_be_read(opened, width, dark):
    opened.look(width=width, dark=dark)
    opened.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert opened.run("document.documentElement.scrollWidth") <= width
    faint = opened.run(CONTRAST)
    assert faint == []


CONTRAST = """(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map((n) => n / 255)
      .map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => { while (e) { const c = getComputedStyle(e).backgroundColor;
    if (c !== 'rgba(0, 0, 0, 0)') return c; e = e.parentElement } return 'rgb(255, 255, 255)' };
  const faint = new Set();
  for (const e of document.querySelectorAll('main *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)}`);
  }
  return [...faint];
})()"""
"""Text whose contrast is below 4.5 : 1 (WCAG 2.2, 1.4.3)."""


def test_on_paper_every_machine_is_printed_in_dark_on_light(opened):
    opened.look(width=800, dark=True, media="print")
    opened.run("dispatchEvent(new Event('beforeprint'))")
    assert len(shown(opened)) == COUNT
    assert opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.run("getComputedStyle(document.querySelector('.find')).display") == "none"


def test_foreign_text_runs_nowhere(chromium, tmp_path):
    change = made.change(f"cursor/model/{EVIL}", "create", "new", made.edit(EVIL, EVIL, [EVIL]))
    evil = made.envelope(
        EVIL, "failed", user=EVIL, why=EVIL, cursor=EVIL, byok=EVIL, plan=made.plan(change),
        status=made.status({**made.moved(EVIL), "address": EVIL, "by": EVIL}),
        doctor=made.doctor((EVIL, EVIL, "problem", EVIL)), keys=made.keys(EVIL),
        error=made.failed(4, EVIL, EVIL, EVIL), apply=made.applied(pending=[EVIL]),
    )  # fmt: skip
    address = page(tmp_path, [evil, {"format": EVIL}, made.envelope("good", "in_sync")])
    chromium.look(width=1200)
    chromium.open(f"{address}#q=%3Cimg")
    assert told(chromium) == "1 of 2 machines"
    chromium.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    chromium.until("document.querySelector('#list .more') !== null")
    for plan in ("1", "2"):
        chromium.run(f"location.hash = 'plan={plan}&group=t1&q=%3Cscript%3E'")
        chromium.run("new Promise(done => setTimeout(done))")
    assert chromium.run("typeof window.ran") == "undefined"
    assert chromium.run("document.querySelectorAll('img, iframe, object, base, link').length") == 0
    assert chromium.run("document.scripts.length") == 2
    assert "\u202e" not in chromium.run("document.documentElement.innerHTML")
    assert chromium.complaints() == []
    assert {url.partition("#")[0] for url in chromium.requests()} == {address}


def test_the_policy_stops_a_script_that_got_in_all_the_same(opened):
    """Not that one could: a second fence, seen to stand."""
    opened.run(
        "(() => { const one = document.createElement('script'); one.textContent = 'window.ran = 1';"
        " document.body.append(one); const img = document.createElement('img');"
        " img.src = 'http://192.0.2.1/x.png'; document.body.append(img) })()"
    )
    opened.until("true")
    assert opened.run("typeof window.ran") == "undefined"
    stopped = " ".join(opened.complaints())
    assert "script-src" in stopped
    assert "img-src" in stopped or "default-src" in stopped
    assert not [url for url in opened.requests() if "192.0.2.1" in url and _sent(opened, url)]
    opened.events.clear()
    opened.open(opened.address)


def _sent(one, url) -> bool:
    return any(
        event.get("method") == "Network.responseReceived"
        and event["params"]["response"]["url"] == url
        for event in one.events
    )


def test_without_a_script_all_groups_are_still_told(chromium, fleet, tmp_path):
    chromium.look(width=1200)
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(page(tmp_path, fleet))
        text = chromium.run("document.body.innerText")
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "162 machines" in text
    assert "needs JavaScript" in text
