"""Splicing as a property: the owned leaf becomes what was asked, everything else keeps meaning."""

from __future__ import annotations

import copy
import json

from hypothesis import given, strategies as st

from reconciler.systems.cursor.splice import Drop, Elements, Put, splice

NAMES = st.text(max_size=3)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=6)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


def texts(document):
    return st.sampled_from(
        [
            json.dumps(document, separators=(",", ":"), ensure_ascii=False),
            json.dumps(document, indent=2),
        ]
    )


def set_in(document, path, value):
    for name in path[:-1]:
        if document.get(name) is None:
            document[name] = {}
        document = document[name]
        if not isinstance(document, dict):
            return False
    document[path[-1]] = value
    return True


@given(st.data(), DOCUMENTS, PATHS, VALUES)
def test_put_sets_this_leaf_and_no_other(data, document, path, value):
    expected = copy.deepcopy(document)
    if not set_in(expected, path, value):
        return
    after = splice(data.draw(texts(document)), {path: Put(value)})
    assert json.loads(after) == expected
    assert list(json.loads(after)) == list(expected)
    assert splice(after, {path: Put(value)}) == after


@given(st.data(), DOCUMENTS, st.sets(NAMES, max_size=4), st.sets(NAMES, max_size=3))
def test_several_at_once(data, document, drops, puts):
    edits = {(name,): Drop() for name in drops} | {(name,): Put(name) for name in puts}
    after = json.loads(splice(data.draw(texts(document)), edits))
    kept = {k: v for k, v in document.items() if k not in drops or k in puts}
    assert after == kept | {name: name for name in puts}


@given(
    st.data(),
    st.lists(st.text(max_size=2) | SCALARS, max_size=6),
    st.text(max_size=2),
    st.text(max_size=2),
)
def test_elements_own_single_strings(data, items, add, drop):
    if add == drop:
        return
    text = data.draw(texts({"a": 1, "l": items}))
    after = json.loads(splice(text, {("l",): Elements((add,), frozenset({drop}))}))["l"]
    kept = [item for item in items if not (isinstance(item, str) and item == drop)]
    assert after == kept + ([] if add in [i for i in kept if isinstance(i, str)] else [add])


@given(st.data(), DOCUMENTS)
def test_no_edit_is_no_change(data, document):
    text = data.draw(texts(document))
    assert splice(text, {}) == text
