"""``byok rotate`` with layers: the new key goes into the file of the layer that names it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.sandbox import encrypted
from tests.cli.test_rotate import Rig, Stored
from tests.rotating import prepare
from tests.simulators.deadly import asks, kill_at
from tests.simulators.world import world

pytestmark = pytest.mark.timeout(240)

OF_BASE = "sops://../base/secrets/team.enc.yaml#/openai/key"
EXTENDS = "extends: ../base/base.yaml\n"


class Layered(Stored):
    """A bench whose keys are in the base's encrypted file; the team has one of the same name."""

    @property
    def base(self) -> Path:
        return self.box.folder / "base"

    @property
    def sealed(self) -> Path:
        return self.base / "secrets/team.enc.yaml"

    @property
    def own(self) -> Path:
        return self.box.manifest.parent / "secrets/team.enc.yaml"

    def lay(self) -> None:
        """Move the whole manifest with its secrets to a base beside the team's folder."""
        team = self.box.manifest.parent
        self.base.mkdir()
        recipient = (team / ".sops.yaml").read_text().partition("age: ")[2].strip()
        for name in ("secrets", ".sops.yaml"):
            (team / name).rename(self.base / name)
        self.box.manifest.rename(self.base / "base.yaml")
        self.box.manifest.write_text(EXTENDS)
        self.own.parent.mkdir()
        self.own.write_text(encrypted({"openai": {"key": "sk-" + "decoy" * 8}}, recipient))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with world() as here:
        prepare(here)
        bench = Layered(here.sandbox(tmp_path / "box"))
        bench.lay()
        made = Rig(here, bench)
        done = made("apply", "--yes", *made.approved)
        assert done.code == 0, done.err
        yield made


def test_the_new_key_goes_into_the_bases_file_and_into_no_other(rig):
    old, decoy = rig.stored("openai/key"), rig.bench.own.read_bytes()
    (rig.bench.box.manifest.parent / "host.yaml").write_text("models: {o1: {absent: true}}\n")
    done = rig.rotate("openai", "--grace", "0", "--overlay", "host.yaml")
    assert done.code == 0, done.err
    assert OF_BASE in done.out
    new = rig.stored("openai/key")
    assert rig.live() == {new} != {old}
    assert rig.bench.own.read_bytes() == decoy
    assert [path.name for path in rig.bench.own.parent.iterdir()] == ["team.enc.yaml"]
    assert rig("plan", "--system", "cursor", "--overlay", "host.yaml").code == 0
    for text in (done.out, done.err):
        assert old not in text
        assert new not in text
    assert rig("apply", "--yes", *rig.approved).code == 0
    assert rig("plan", "--system", "cursor", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after it"])
@pytest.mark.parametrize("moment", ["makes", "revokes"])
def test_killed_and_taken_up_again(rig, moment, after):
    """While the layer that named the place is gone nothing is lost, and nothing goes elsewhere."""
    old, decoy = rig.stored("openai/key"), rig.bench.own.read_bytes()
    meets = asks("/service_accounts") if moment == "makes" else lambda r: r.method == "DELETE"
    child = rig.start("openai", "--grace", "0")
    kill_at(rig.here.openai, child.pid, meets, after=after)
    assert child.wait() == -signal.SIGKILL

    manifest, base = rig.bench.box.manifest, rig.bench.base / "base.yaml"
    manifest.write_text(base.read_text())  # names the team's own file of the same name
    between = rig.stored("openai/key")
    assert rig.rotate("openai", "--grace", "0").code in (4, 64)
    assert rig.stored("openai/key") == between
    assert rig.bench.own.read_bytes() == decoy

    manifest.write_text(EXTENDS)
    done = rig.rotate("openai", "--grace", "0")
    assert done.code == 0, done.err
    assert rig.live() == {rig.stored("openai/key")} != {old}
    assert rig.bench.own.read_bytes() == decoy
    assert rig("plan", "--system", "cursor", "--detailed-exitcode").code == 0


def test_a_key_that_an_overlay_names_is_rotated_where_the_overlay_says(rig):
    keys = {"openai": {"key": rig.stored("openai/key")}}
    recipient = (rig.bench.base / ".sops.yaml").read_text().partition("age: ")[2].strip()
    rig.bench.own.write_text(encrypted(keys, recipient))
    own = "sops://secrets/team.enc.yaml#/openai/key"
    host = rig.bench.box.manifest.parent / "host.yaml"
    host.write_text(f"providers: {{openai: {{key: '{own}'}}}}\n")
    before = (rig.bench.base / "secrets/team.enc.yaml").read_bytes()
    done = rig.rotate("openai", "--grace", "0", "--overlay", "host.yaml")
    assert done.code == 0, done.err
    assert (own in done.out, OF_BASE in done.out) == (True, False)
    assert rig.live() == {rig.bench.opened(rig.bench.own, "openai/key")}
    assert (rig.bench.base / "secrets/team.enc.yaml").read_bytes() == before
