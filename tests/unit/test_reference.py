"""References are plain prefixes; a pasted key never comes back in an error."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.reference import (
    Scheme,
    parse,
    pointer_to,
    split_keyring,
    split_sops,
    tokens,
)


@pytest.mark.parametrize(
    ("text", "scheme", "locator"),
    [
        ("sops://secrets/team.enc.yaml#/openai/key", "sops", "secrets/team.enc.yaml#/openai/key"),
        ("ref+sops://A.yaml#/K", "sops", "A.yaml#/K"),
        ("sops://a#b.yaml#/x#y", "sops", "a#b.yaml#/x#y"),
        ("keyring://BYOK/OpenAI", "keyring", "BYOK/OpenAI"),
        ("keyring://byok/a/b c@d", "keyring", "byok/a/b c@d"),
        ("env://OPENAI_API_KEY", "env", "OPENAI_API_KEY"),
        ("file://keys/%41.txt", "file", "keys/%41.txt"),
        ("op://Dev/OpenAI/key", "op", "Dev/OpenAI/key"),
        ("op://Dev/OpenAI/section/key", "op", "Dev/OpenAI/section/key"),
        ("exec://pass show 'a b'", "exec", "pass show 'a b'"),
        ("snapshot://17", "snapshot", "17"),
    ],
)
def test_parses(text, scheme, locator):
    ref = parse(text)
    assert (ref.scheme, ref.locator) == (Scheme(scheme), locator)
    assert ref.text == text.removeprefix("ref+")


@pytest.mark.parametrize(
    "text",
    [
        "sops://a.yaml",
        "sops://a.yaml#openai",
        "sops://#/a",
        "sops://a.yaml#/a~2",
        "keyring://byok",
        "keyring:///user",
        "env://",
        "env://A-B",
        "env://A B",
        "file://",
        "file://a\nb",
        "op://vault/item",
        "exec:// ",
        "snapshot://../x",
    ],
)
def test_malformed_says_the_form(text):
    with pytest.raises(SecretError, match="write it as") as caught:
        parse(text)
    assert caught.value.kind is SecretProblem.REFUSED


def test_unknown_scheme_is_named_with_the_allowed_ones():
    with pytest.raises(SecretError) as caught:
        parse("vault://secret/openai")
    text = str(caught.value)
    assert "vault://" in text
    for name in ("sops", "keyring", "env", "file", "op", "exec"):
        assert f"{name}://" in text
    assert "snapshot" not in text


@pytest.mark.parametrize("text", ["sk-proj-" + "A" * 30, "SOPS://a#/b", "A" * 40 + "://x", ""])
def test_what_may_be_a_key_is_not_repeated(text):
    with pytest.raises(SecretError) as caught:
        parse(text)
    assert "AAAA" not in str(caught.value)
    assert "SOPS" not in str(caught.value)


def test_splitting():
    assert split_sops("a#b.yaml#/x#/y") == ("a#b.yaml", "/x#/y")
    assert split_keyring("byok/a/b") == ("byok", "a/b")


def test_tokens_unescape_in_the_right_order():
    assert tokens("/a~1b/m~0n/~01") == ("a/b", "m~n", "~1")
    assert tokens("/") == ("",)


@given(st.lists(st.text(), min_size=1).map(tuple))
def test_tokens_and_pointer_to_are_inverse(keys):
    assert tokens(pointer_to(keys)) == keys


@given(st.text())
def test_any_text_parses_or_is_refused(text):
    try:
        ref = parse(text)
    except SecretError as error:
        assert error.kind is SecretProblem.REFUSED
    else:
        assert ref.text == f"{ref.scheme}://{ref.locator}"
