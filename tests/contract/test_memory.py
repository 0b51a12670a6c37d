"""The contract, held by a system in memory: it tests the contract, the planner and the engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.model import Address
from tests.contract.contract import (
    Rig,
    SystemContract,
    apply,
    killed,
    moments,
    mortality,
    plan,
    remove,
    undo,
)
from tests.contract.memory_system import SECRET, MemorySystem, Store

__all__ = ["mortality"]

THEIRS = "typed-in-by-hand-openai", "typed-in-by-hand-google"
OURS = "team-openai-one", "team-openai-two", "team-anthropic"
MOVED = "moved-by-hand-anthropic"

WORLD = {
    "cursor/provider/openai": {"key": SECRET + THEIRS[0], "note": "nobody names me"},
    "cursor/provider/google": {"enabled": True, "key": SECRET + THEIRS[1]},
    "cursor/model/a/b": {"override": "enabled", "limits": {"usd": 1, "at": [50]}, "tags": ["x"]},
    "cursor/model/stranger": {"override": "disabled", "limits": {"z": 1, "a": 2.0}},
    "cursor/future/kind": {"x": [True, None, {"y": "ü"}]},
}


def address(kind, name):
    return Address("cursor", kind, name)


def key(name):
    return {"refs": (f"file://keys/{name}",)}


OPENAI = address("provider", "openai")
ANTHROPIC = address("provider", "anthropic")
GOOGLE = address("provider", "google")
MODEL = address("model", "a/b")
DEFAULT = address("default", "composer")

WISHES = {
    "first": {
        OPENAI: {"enabled": True, "key": key("openai1"), "base_url": None},
        ANTHROPIC: {"enabled": True, "key": key("anthropic")},
        GOOGLE: {"enabled": None, "key": None},
        MODEL: {"override": "enabled", "limits": {"at": (50, 80), "usd": 1}},
        DEFAULT: {"model": "a/b"},
    },
    "second": {
        OPENAI: {"enabled": True, "key": key("openai2"), "base_url": "https://llm.example"},
        ANTHROPIC: {"enabled": False},
        MODEL: {"override": "disabled", "tags": ("x", "y")},
    },
    "none": {},
}


class MemoryRig(Rig):
    secrets = (*THEIRS, *OURS, MOVED)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store, self.wishes, self.keeping = Store(WORLD), {}, True
        for name, text in zip(("openai1", "openai2", "anthropic"), OURS, strict=True):
            self.secret(name, text)
        self.manifest.write_text("version: 1\nteam: acme\n")

    def second(self):
        """Return another such world, beside this one."""
        folder = self.folder / "second"
        folder.mkdir()
        rig = MemoryRig(folder)
        rig.wish("first")
        return rig

    def system(self, session):
        return MemorySystem(self.store, session.vault, self.wishes, keeping=self.keeping)

    def wish(self, which):
        self.wishes = WISHES[which]

    def world(self):
        return self.store.text

    def sense(self):
        return {
            f"{at} {name}": json.dumps(value, sort_keys=True)
            for at, place in self.store.read().items()
            for name, value in place.items()
        }

    def strangers(self):
        return {
            at: v
            for at, v in self.sense().items()
            if "note" in at or "strange" in at or "future" in at
        }

    def disturb(self):
        content = self.store.read()
        moves = {
            "provider/anthropic": {"key": SECRET + MOVED},
            "provider/openai": {"enabled": None},
            "model/a/b": {"limits": {"usd": True, "at": [50, 80]}},
        }
        for at, place in moves.items():
            content.setdefault(f"cursor/{at}", {}).update(place)
        self.store.write(content)


class TestMemory(SystemContract):
    def make(self, folder):
        return MemoryRig(folder)

    def test_while_the_store_is_locked_nothing_with_a_secret_moves(self, rig):
        rig.store.locked = True
        before = {at: v for at, v in rig.sense().items() if "provider" in at}
        found = plan(rig)
        assert found.summary.unknown == 2
        assert {str(c.address) for c in found.changes} == {
            "cursor/default/composer",
            "cursor/model/a/b",
            "cursor/provider/anthropic",
        }
        rig.store.locked = False
        apply(rig)
        rig.store.locked = True
        remove(rig)
        providers = {at: v for at, v in rig.sense().items() if "provider" in at}
        assert providers.keys() - before.keys(), "what is ours was left with its key"
        rig.store.locked = False
        remove(rig)
        assert {at: v for at, v in rig.sense().items() if "provider" in at} == before

    def test_a_failed_step_is_not_undone_with_its_run(self, rig):
        """What a later run did at the same place is not that run's to take back."""
        rig.store.broken = str(MODEL)
        assert len(apply(rig).failed) == 1
        rig.store.broken = None
        apply(rig)
        done = {at: v for at, v in rig.sense().items() if str(MODEL) in at}
        undo(rig, 1)
        assert {at: v for at, v in rig.sense().items() if str(MODEL) in at} == done

    def test_a_rolled_back_step_that_was_cut_off_is_closed(self, rig, mortality):
        """Else it would be found to have happened once a person sets the same value by hand."""
        before = rig.sense()
        lives = moments(rig.second(), apply, mortality)
        last = max(n for n, moment in enumerate(lives) if moment == "after apply")
        assert killed(rig, apply, last, mortality)
        ours = rig.sense()
        undo(rig, 1)
        assert rig.sense() == before
        by_hand = dict(ours.items() - before.items())
        content = rig.store.read()
        for at, value in by_hand.items():
            address_, _, name = at.rpartition(" ")
            content.setdefault(address_, {})[name] = json.loads(value)
        rig.store.write(content)
        standing = rig.sense()
        rig.wish("none")
        apply(rig)
        remove(rig)
        assert rig.sense() == standing

    def test_a_rollback_does_not_close_a_step_that_it_cannot_read(self, rig, mortality):
        before = rig.sense()
        lives = moments(rig.second(), apply, mortality)
        last = max(n for n, moment in enumerate(lives) if moment == "after apply")
        assert killed(rig, apply, last, mortality)
        rig.store.locked = True
        undo(rig, 1)
        rig.store.locked = False
        remove(rig)
        assert rig.sense() == before

    def test_without_a_copy_a_replaced_secret_stays_as_it_is(self, rig):
        rig.keeping = False
        apply(rig)
        wanted = rig.sense()
        undo(rig)
        kept = {at: v for at, v in rig.sense().items() if str(OPENAI) in at}
        assert kept == {at: v for at, v in wanted.items() if str(OPENAI) in at}
        assert rig.sense() != wanted

    @pytest.mark.parametrize("end", ["before", "after"])
    def test_an_interrupted_step_is_judged_only_when_it_can_be_read(self, rigs, mortality, end):
        """A step cut off, and the store locked afterwards: that must not be called undone."""
        first = rigs()
        before = first.sense()
        lives = moments(first, apply, mortality)
        at = [n for n, moment in enumerate(lives) if moment == f"{end} finish_step"]
        for moment in at:
            rig = rigs()
            assert killed(rig, apply, moment, mortality)
            rig.store.locked = True
            apply(rig)
            rig.store.locked = False
            apply(rig)
            remove(rig)
            assert rig.sense() == before, moment
