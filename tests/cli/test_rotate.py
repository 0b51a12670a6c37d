"""``byok rotate`` as a user meets it: previews, refusals, and kill -9 wherever it hurts."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Bench, Result
from tests.rotating import prepare
from tests.simulators.deadly import Meets, asks, kill_at
from tests.simulators.world import World, world

pytestmark = pytest.mark.timeout(240)


class Rig:
    """A sandbox whose accounts hold its keys; ``rotate`` is the real command."""

    def __init__(self, here: World, bench: Bench) -> None:
        self.here, self.bench = here, bench
        secure = here.base.replace("http:", "https:")
        self.approved = ("--allow-origin", here.base, "--allow-origin", secure)

    def __call__(self, *args: str, **extra: str) -> Result:
        return self.bench(*args, **extra)

    def rotate(self, *args: str, **extra: str) -> Result:
        return self.bench("rotate", *args, "--yes", *self.approved, **extra)

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler", "rotate", *args, "--yes", *self.approved],
            cwd=self.bench.box.manifest.parent,
            env=self.bench.environment({}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stored(self, name: str) -> str:
        return self.bench.stored(name)

    def works(self, name: str, values: Sequence[str] = ()) -> bool:
        """Tell from the account's own state whether a key works: what is stored, without values."""
        held = values or [self.stored(ref) for ref in REFS[name]]
        match name:
            case "openai":
                return self.here.openai.alive(held[0])
            case "azure":
                return held[0] in self.here.azure.keys.values()
            case _:
                known = self.here.bedrock.keys.get(held[0])
                return known is not None and known.secret == held[1]

    def living(self, name: str) -> int:
        """Count the keys that live: of Azure's two slots one is in use, the other is nobody's."""
        if name == "openai":
            return len(self.live())
        if name == "azure":
            return sum(value == self.stored("azure/key") for value in self.here.azure.keys.values())
        rows = self.here.bedrock.iam.users["byok-cursor"]["keys"]
        return sum(row[1] == "Active" for row in rows)

    def live(self) -> set[str]:
        values = self.here.openai.values.values()
        return {value for value in values if self.here.openai.alive(value)}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with world() as here:
        prepare(here)
        made = Rig(here, Stored(here.sandbox(tmp_path / "box")))
        done = made("apply", "--yes", *made.approved)
        assert done.code == 0, done.err
        yield made


class Stored(Bench):
    """A bench that reads what is in the encrypted file."""

    @property
    def sealed(self) -> Path:
        """The file that holds the keys."""
        return self.box.manifest.parent / "secrets" / "team.enc.yaml"

    def stored(self, pointer: str) -> str:
        return self.opened(self.sealed, pointer)

    def opened(self, file: Path, pointer: str) -> str:
        import json

        from reconciler.secrets.sops import binary

        done = subprocess.run(
            [str(binary()), "decrypt", "--output-type", "json", str(file)],
            env=self.environment({}),
            capture_output=True,
            check=True,
        )
        group, name = pointer.split("/")
        value: str = json.loads(done.stdout)[group][name]
        return value


MOMENTS: dict[str, tuple[str, Meets]] = {
    "OpenAI makes": ("openai", asks("/service_accounts")),
    "OpenAI revokes": ("openai", lambda r: r.method == "DELETE"),
    "Azure makes": ("azure", lambda r: asks("/regenerateKey")(r) and b"2" in r.body),
    "Azure revokes": ("azure", lambda r: asks("/regenerateKey")(r) and b"1" in r.body),
    "AWS makes": ("bedrock", asks("CreateAccessKey")),
    "AWS stops": ("bedrock", asks("UpdateAccessKey")),
    "AWS deletes": ("bedrock", asks("DeleteAccessKey")),
}
REFS = {
    "openai": ("openai/key",),
    "azure": ("azure/key",),
    "bedrock": ("bedrock/access_key_id", "bedrock/secret_access_key"),
}


def test_a_rotation_shows_what_it_will_do_and_ends_with_one_live_key(rig):
    old = rig.stored("openai/key")
    done = rig.rotate("openai", "--grace", "0")
    assert done.code == 0, done.err
    assert "old key" in done.out
    assert "a service account in project cursor-byok" in done.out
    assert "sops://secrets/team.enc.yaml#/openai/key" in done.out
    assert "done: the old key is dead, the new one lives" in done.out
    new = rig.stored("openai/key")
    assert rig.live() == {new} != {old}
    assert rig("plan", "--system", "cursor", "--detailed-exitcode").code == 0
    for text in (done.out, done.err):
        assert old not in text
        assert new not in text


def test_an_origin_allowed_once_is_on_record_and_a_cursor_left_out_is_said_to_be(rig):
    """A nightly `rotate --due` gives no flag, and this machine may have no Cursor."""
    first = rig.rotate("openai", "--grace", "0", "--without-cursor")
    assert first.code == 0, first.err
    assert "Cursor   is left out" in first.out
    assert "Cursor here is left out" in first.err
    assert "Cursor here holds" not in first.out + first.err
    again = rig("rotate", "openai", "--grace", "0", "--without-cursor", "--yes")
    assert again.code == 0, again.err


@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after it"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_by_the_account(rig, moment, after):
    """In the middle of each rotation: afterwards one key lives, in every place the same."""
    name, meets = MOMENTS[moment]
    old = [rig.stored(ref) for ref in REFS[name]]
    child = rig.start(name, "--grace", "0", "--allow-irreversible")
    kill_at(getattr(rig.here, name), child.pid, meets, after=after)
    assert child.wait() == -signal.SIGKILL
    assert rig.works(name)
    done = rig.rotate(name)
    assert done.code == 0, done.err
    assert [rig.stored(ref) for ref in REFS[name]] != old
    assert rig.works(name)
    assert not rig.works(name, old)
    assert rig("plan", "--system", "cursor", "--detailed-exitcode").code == 0
    assert rig.living(name) == 1


def test_killed_at_growing_delays_until_it_comes_through(rig):
    for step in range(16):
        child = rig.start("openai", "--grace", "0")
        time.sleep(0.3 + step * 0.11)
        child.kill()
        child.wait()
        assert rig.stored("openai/key") in rig.live()
    done = rig.rotate("openai", "--grace", "0")
    assert done.code == 0, done.err
    assert rig.live() == {rig.stored("openai/key")}
    assert rig("plan", "--system", "cursor", "--detailed-exitcode").code == 0


def test_the_grace_is_told_and_the_second_run_waits(rig):
    done = rig.rotate("openai", "--grace", "2h", "--json")
    assert done.code == 0, done.err
    (row,) = done.document["rotations"]
    assert done.document["format"] == "byok.rotate/1"
    assert (row["system"], row["stage"], row["error"]) == ("openai", "kept", None)
    assert len(rig.live()) == 2
    told = rig("status")
    assert "openai: rotated; the old key is to be revoked after" in " ".join(told.out.split())
    (way,) = rig("status", "--json").document["rotations"]
    assert (way["system"], way["for"], way["stage"]) == ("openai", "", "kept")
    again = rig.rotate("openai")
    assert again.code == 0
    assert "the old one is kept for now until" in again.out
    assert len(rig.live()) == 2


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((), 64, "no rotation is under way"),
        (("nobody",), 64, "is not in this manifest"),
        (("openai", "--grace", "soon"), 64, "no span of time"),
        (("openai", "--offline"), 64, "has to be tried at its provider"),
        (("--due", "--new-key", "env://NEW"), 64, "name that provider only"),
        (("openai", "--new-key", "env://NOT_SET"), 4, "NOT_SET is not set"),
        (("openai", "--new-key", "sk-" + "literal" * 6), 4, "begins with no known scheme"),
        (("anthropic",), 64, "byok cannot make this key"),
        (("azure",), 8, "--allow-irreversible"),
    ],
)
def test_what_is_refused_changes_nothing(rig, args, code, words):
    before = rig.bench.bytes(), rig.stored("openai/key")
    done = rig.rotate(*args)
    assert done.code == code, done.err
    assert words in " ".join(done.err.split())
    assert "literal" not in done.out + done.err
    assert (rig.bench.bytes(), rig.stored("openai/key")) == before
    assert not any(simulator.writes() for simulator in rig.here.simulators)


def test_the_old_key_is_no_new_key(rig):
    old = rig.stored("anthropic/key")
    done = rig.rotate("anthropic", "--new-key", "env://NEW", NEW=old)
    assert done.code == 64
    assert "the new key is the old one" in done.err
    assert rig("rotate", "--yes").code == 64, "nothing is under way"


def test_a_store_that_cannot_be_written_is_refused_before_a_key_is_made(rig):
    rig.bench.edit("key: sops://secrets/team.enc.yaml#/openai/key", "key: env://OPENAI_KEY")
    done = rig.rotate("openai", OPENAI_KEY=rig.here.openai.key)
    assert done.code == 4
    assert "so a new key has no store to go to" in " ".join(done.err.split())
    assert len(rig.live()) == 1


def test_nobody_is_there_to_ask(rig):
    done = rig("rotate", "openai", *rig.approved)
    assert done.code == 64
    assert "no terminal" in done.err


def test_a_persons_key_is_typed_in_unseen(rig):
    """Anthropic makes no keys by API: a person does, types it in, and revokes the old one."""
    new = "sk-ant-api03-" + "n" * 93 + "AA"
    rig.here.anthropic.add_key("cursor", new)
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "rotate", "anthropic", "--grace", "0", *rig.approved],
        cwd=rig.bench.box.manifest.parent,
        env=rig.bench.environment({"TERM": "dumb"}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    for question, answer in (
        (b"Rotate 1 key?", b"y\n"),
        (b"New key of anthropic", new.encode() + b"\n"),
    ):
        while question not in seen:
            seen += os.read(leader, 4096)
        os.write(leader, answer)
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        seen += part
    os.close(leader)
    assert child.wait() == 0, seen.decode()
    assert new.encode() not in seen
    assert rig.stored("anthropic/key") == new
    assert [
        value for value in rig.here.anthropic.values.values() if rig.here.anthropic.alive(value)
    ] == [new]


def test_a_read_only_folder_loses_nothing(rig):
    if os.geteuid() == 0:
        pytest.skip("only as an ordinary user: root writes everywhere")
    old = rig.stored("openai/key")
    folder = rig.bench.box.manifest.parent / "secrets"
    folder.chmod(0o500)
    try:
        done = rig.rotate("openai", "--grace", "0")
    finally:
        folder.chmod(0o700)
    assert done.code == 4
    assert rig.live() == {old}


def test_narrow_and_without_colour(rig):
    done = rig.rotate("openai", COLUMNS="60", NO_COLOR="1")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 60
    assert "\x1b" not in done.out + done.err
