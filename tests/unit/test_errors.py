"""The error tree: one exit code each, texts with a place and a way out, and who wins."""

from __future__ import annotations

import itertools
import pickle

import pytest

from reconciler import errors
from reconciler.errors import ByokError, ManifestError, SecretError, SecretProblem, StalePlan, worst
from reconciler.model import Diagnostic, Severity

CODES = {
    "UsageError": 64,
    "Declined": 1,
    "ManifestError": 3,
    "SecretError": 4,
    "ProviderError": 5,
    "StalePlan": 6,
    "CursorBusy": 7,
    "SafetyStop": 8,
}


def test_every_class_has_the_documented_code():
    found = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ByokError) and kind is not ByokError
    }
    assert found == CODES
    assert ByokError.exit_code == 1
    assert errors.__doc__
    assert all(name in errors.__doc__ for name in CODES)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("a.yaml", "is odd", "mend it"), "a.yaml: is odd; mend it"),
        (("a.yaml", "is odd"), "a.yaml: is odd"),
        (("", "is odd", "mend it"), "is odd; mend it"),
        (("", "is odd"), "is odd"),
    ],
)
def test_a_text_is_where_what_way_out(parts, text):
    assert str(ByokError(*parts)) == text


@pytest.mark.parametrize(("count", "text"), [(1, "1 error in"), (2, "2 errors in")])
def test_a_manifest_error_carries_all(count, text):
    found = [Diagnostic(f"BYOK00{n}", Severity.ERROR, "", "bad") for n in range(count)]
    error = ManifestError("byok.yaml", found)
    assert text in str(error)
    assert error.diagnostics == tuple(found)


def test_the_kinds_of_a_secret_error_and_the_fields_of_a_stale_plan_stay():
    error = SecretError(SecretProblem.LOCKED, "keyring://a/b", "it is locked", "unlock it")
    assert (error.kind, str(error)) == (
        SecretProblem.LOCKED,
        "keyring://a/b: it is locked; unlock it",
    )
    assert StalePlan("p", "moved", moved=["a b"]).moved == ("a b",)
    assert StalePlan("p", "moved").moved == ()


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ((), 0),
        ((0, 0), 0),
        ((0, 1), 1),
        ((5, 8, 7, 4, 3), 3),
        ((5, 8, 7, 4), 4),
        ((5, 8, 7), 7),
        ((5, 8), 8),
        ((1, 5), 5),
        ((6, 5), 5),
        ((1, 6), 6),
        ((2, 0), 2),
        ((64, 5), 5),
        ((64, 1), 64),
    ],
)
def test_the_first_of_3_4_7_8_5_wins_in_any_order(codes, code):
    assert {worst(order) for order in itertools.permutations(codes)} == {code}


def test_an_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(ByokError("a", "b", "c")))
    assert str(error) == "a: b; c"
