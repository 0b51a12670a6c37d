"""Lists that come in pages end, and are never silently short; operations get a deadline."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Answer, pages as paging
from reconciler.systems.account.pages import PAGES, after_last, after_page, items, pages, until


class Asked:
    """Stands for a client: answers by a function, and remembers what it was asked."""

    who = "Acme"

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def get(self, path, params=None):
        self.asked.append((path, dict(params or {})))
        return Answer(200, {}, self.answer(path, dict(params or {}), len(self.asked)))


def numbered(count, size=2):
    """Answer with a list of so many items, in the way of OpenAI."""

    def answer(_path, params, _nth):
        start = int(params.get("after", 0))
        ids = list(range(start + 1, min(start + size, count) + 1))
        return {
            "data": [{"id": str(number)} for number in ids],
            "has_more": start + size < count,
            "last_id": str(ids[-1]) if ids else None,
        }

    return answer


def listed(client, following=after_last, **params):
    return [item["id"] for item in items(pages(client, "/keys", following, params), "data")]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 2 * PAGES])
def test_every_item_is_there_once(count):
    client = Asked(numbered(count))
    assert listed(client, limit=2) == [str(number) for number in range(1, count + 1)]
    assert client.asked[0] == ("/keys", {"limit": 2})
    assert all(asked[1]["limit"] == 2 for asked in client.asked)


def test_a_list_beyond_the_cap_is_an_error_and_no_short_list():
    with pytest.raises(ProviderError, match="never ends") as raised:
        listed(Asked(numbered(2 * PAGES + 1)))
    assert raised.value.kind is Problem.UNREADABLE


def test_a_list_that_says_more_for_ever_ends():
    """As a mock does that is driven by the description alone."""
    client = Asked(lambda *_: {"data": [{"id": "1"}], "has_more": True, "last_id": "1"})
    with pytest.raises(ProviderError, match="never ends"):
        listed(client)
    assert len(client.asked) == 2, "the second answer is the first"


def test_a_list_that_turns_in_a_circle_ends():
    turn = {None: "a", "a": "b", "b": "a"}
    client = Asked(lambda _path, params, _n: {"data": [], "next": turn[params.get("page")]})
    with pytest.raises(ProviderError, match="never ends"):
        listed(client, lambda answer: {"page": answer.at("next")})
    assert len(client.asked) == 3


def test_a_list_of_ever_new_pages_ends():
    client = Asked(lambda _path, _params, nth: {"data": [], "has_more": True, "last_id": str(nth)})
    with pytest.raises(ProviderError, match="never ends"):
        listed(client)
    assert len(client.asked) == PAGES


def test_a_url_leads_on_by_itself():
    client = Asked(
        lambda path, _params, _n: {"data": [], "next": "/keys?page=2" if path == "/keys" else None}
    )
    assert listed(client, lambda answer: answer.at("next"), limit=5) == []
    assert client.asked == [("/keys", {"limit": 5}), ("/keys?page=2", {})]


def test_what_was_read_before_a_failure_is_no_list():
    def answer(_path, params, _nth):
        if "after" in params:
            raise ProviderError("Acme", "is down", kind=Problem.DOWN)
        return numbered(9)(_path, params, _nth)

    with pytest.raises(ProviderError, match="is down"):
        listed(Asked(answer))


def test_a_list_whose_pages_come_too_slowly_ends(monkeypatch):
    monkeypatch.setattr("reconciler.systems.account.pages.LONGEST", -1.0)
    client = Asked(lambda _path, _params, nth: {"data": [], "has_more": True, "last_id": str(nth)})
    with pytest.raises(ProviderError, match="never ends"):
        listed(client)


@pytest.mark.parametrize(
    "body",
    [
        *(
            None,
            [],
            "page",
            7,
            {},
            {"error": "log in first"},
            {"data": None},
            {"data": {"id": "1"}},
            {"data": "1"},
        ),
        {"data": [{"id": "1"}, None]},
        {"data": ["1"]},
    ],
)
def test_another_shape_is_unreadable_and_no_empty_list(body):
    with pytest.raises(ProviderError) as raised:
        listed(Asked(lambda *_: body), lambda _: None)
    assert raised.value.kind is Problem.UNREADABLE


def test_a_page_that_leaves_its_empty_list_out_is_empty_where_that_is_the_way():
    assert list(items(iter([Answer(200, {}, {})]), "data", omitted=True)) == []


def test_the_next_page_leads_on_until_there_is_none():
    assert after_page(Answer(200, {}, {"next_page": "p2"})) == {"page": "p2"}
    assert after_page(Answer(200, {}, {"next_page": None, "has_more": False})) is None
    with pytest.raises(ProviderError, match="breaks off"):
        after_page(Answer(200, {}, {"next_page": None, "has_more": True}))


class TestAfterLast:
    def follow(self, *name, **body):
        return after_last(Answer(200, {}, body), *name)

    def test_the_last_id_leads_on(self):
        assert self.follow(has_more=True, last_id="k2") == {"after": "k2"}
        assert self.follow("after_id", has_more=True, last_id="k2") == {"after_id": "k2"}

    def test_so_does_the_last_item(self):
        assert self.follow(has_more=True, data=[{"id": "k1"}, {"id": "k2"}]) == {"after": "k2"}

    @pytest.mark.parametrize("more", [False, None, "true", 1])
    def test_nothing_more_is_the_end(self, more):
        assert self.follow(has_more=more, last_id="k2") is None
        assert self.follow(last_id="k2") is None

    @pytest.mark.parametrize("body", [{}, {"data": []}, {"last_id": None, "data": [{"id": 7}]}])
    def test_more_that_nothing_leads_to_is_no_end(self, body):
        with pytest.raises(ProviderError, match="breaks off"):
            self.follow(has_more=True, **body)


class Clock:
    """A time that only waiting moves."""

    def __init__(self):
        self.now, self.waits = 1000.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(paging, "time", made)
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=made.sleep))
    monkeypatch.setattr("tenacity.time", made)
    return made


class Operation:
    """Is done after so many looks."""

    def __init__(self, looks):
        self.looks, self.seen = looks, 0

    def read(self):
        self.seen += 1
        return Answer(200, {}, {"done": self.seen >= self.looks})


def done(answer):
    return answer.at("done") is True


class TestUntil:
    def test_what_is_done_is_not_waited_for(self, clock):
        assert done(until(Operation(1).read, done, 60))
        assert clock.waits == []

    def test_it_looks_again_more_and_more_slowly(self, clock):
        assert done(until(Operation(9).read, done, 60))
        assert clock.waits == sorted(clock.waits)
        assert (clock.waits[0], clock.waits[-1]) == (0.25, 5)

    @pytest.mark.parametrize("seconds", [0.1, 1, 7, 60])
    def test_it_ends_at_its_deadline_with_the_last_answer(self, clock, seconds):
        operation = Operation(10_000)
        answer = until(operation.read, done, seconds)
        assert answer.at("done") is False
        assert sum(clock.waits) == pytest.approx(seconds)
        assert operation.seen == len(clock.waits) + 1, "the last look is at the deadline"

    def test_a_failing_look_ends_it(self, clock):
        def fail():
            raise ProviderError("Acme", "is down", kind=Problem.DOWN)

        with pytest.raises(ProviderError, match="is down"):
            until(fail, done, 60)
        assert clock.waits == []
