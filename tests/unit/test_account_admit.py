"""Where a new key may go: where the one that it replaces may, and nowhere else."""

from __future__ import annotations

import pytest

from reconciler.errors import SecretError, SecretProblem
from reconciler.model import Sealed
from reconciler.systems.account import Setting, Unapproved

GATEWAY = "https://gateway.acme.example/v1"
REFS = ("keyring://byok/openai", "env://TEAM_KEY")


class Vault:
    """Knows which reference wins, or why none does; opens nothing."""

    def __init__(self, ref="", problem=None):
        self.ref, self.problem = ref, problem

    def seal(self, refs):
        if self.problem is not None:
            raise SecretError(self.problem, refs[0], "cannot be had")
        assert self.ref in refs
        return Sealed("0" * 12, self.ref)


def setting(vault, *approved):
    def allows(ref, url):
        return ref in approved and url == GATEWAY

    return Setting("openai", "/providers/openai", None, vault, None, approved=allows)


def test_a_new_key_goes_where_the_one_in_use_may_go():
    setting(Vault(REFS[1]), REFS[1]).admit(REFS, GATEWAY, own=False)
    setting(Vault(REFS[1])).admit(REFS, GATEWAY, own=True)
    with pytest.raises(Unapproved) as refused:
        setting(Vault(REFS[1]), REFS[0]).admit(REFS, GATEWAY, own=False)
    pairing = refused.value.pairing
    assert (pairing.ref, pairing.origin) == (REFS[1], "https://gateway.acme.example")
    assert pairing.pointer == "/providers/openai/api_base"


def test_where_there_is_none_yet_each_reference_must_be_approved():
    none = Vault(problem=SecretProblem.NO_ITEM)
    setting(none, *REFS).admit(REFS, GATEWAY, own=False)
    with pytest.raises(Unapproved):
        setting(none, REFS[0]).admit(REFS, GATEWAY, own=False)
    with pytest.raises(Unapproved):
        setting(none, *REFS).admit((), GATEWAY, own=False)


def test_where_nobody_can_tell_which_is_in_use_the_key_goes_nowhere():
    with pytest.raises(SecretError, match="cannot be had"):
        setting(Vault(problem=SecretProblem.LOCKED), *REFS).admit(REFS, GATEWAY, own=False)
