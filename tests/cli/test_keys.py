"""``byok keys``, ``issue``, ``offboard`` as a user meets them: processes, killed and watched."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Bench, Result
from tests.rotating import prepare
from tests.simulators.server import Request, Response
from tests.simulators.world import World, world

pytestmark = pytest.mark.timeout(240)

pyrage = pytest.importorskip("pyrage", reason="needs pyrage, to make age keys")

OWN = "secrets/people/alice.enc.yaml"
VALUE = "sk-svcacct-" + "c4nary" * 11 + "T3BlbkFJ" + "k3y" * 22


class Rig:
    """A sandbox whose accounts hold its keys, and a person with an age key."""

    def __init__(self, here: World, bench: Bench) -> None:
        self.here, self.bench = here, bench
        secure = here.base.replace("http:", "https:")
        self.approved = ("--allow-origin", here.base, "--allow-origin", secure)
        self.alice = pyrage.x25519.Identity.generate()
        self.recipient = str(self.alice.to_public())

    def __call__(self, command: str, *args: str, **extra: str) -> Result:
        return self.bench(command, *args, *self.approved, **extra)

    def issue(self, *args: str, **extra: str) -> Result:
        said = ("--for", "alice", "--provider", "openai", "--recipient", self.recipient)
        return self("issue", *said, "--yes", *args, **extra)

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler", *args, "--yes", *self.approved],
            cwd=self.folder,
            env=self.bench.environment({}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def folder(self) -> Path:
        return self.bench.box.manifest.parent

    def live(self) -> set[str]:
        """The values of the service accounts that live at OpenAI."""
        known = self.here.openai
        rows = [row for rows in known.api_keys.values() for row in rows]
        owned = [row for row in rows if row["owner"]["type"] == "service_account"]
        return {known.values[row["id"]] for row in owned}

    def opened(self, name: str = OWN) -> str:
        """What the person reads in her file, with her own key and nobody else's."""
        from reconciler.secrets.sops import binary

        done = subprocess.run(
            [str(binary()), "decrypt", "--output-type", "json", str(self.folder / name)],
            env={"PATH": os.defpath, "SOPS_AGE_KEY": str(self.alice)},
            capture_output=True,
            check=True,
        )
        value: str = json.loads(done.stdout)["openai"]["key"]
        return value


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with world() as here:
        prepare(here)
        yield Rig(here, Bench(here.sandbox(tmp_path / "box")))


@pytest.fixture
def ready(rig: Rig) -> Rig:
    done = rig("apply", "--yes")
    assert done.code == 0, done.err
    return rig


def test_the_table_tells_where_each_key_is_and_whose(ready):
    assert ready.issue().code == 0
    done = ready("keys", "--accounts")
    assert done.code == 0, done.err
    assert "sops://secrets/team.enc.yaml#/openai/key" in done.out
    assert "in cursor/provider/openai" in done.out
    assert "openai (alice)" in done.out
    assert f"sops://{OWN}#/openai/key" in done.out
    assert "7 keys:" in done.out
    assert "Older than 90 days: byok rotate openai" in done.out
    assert "admin" not in done.out


@pytest.mark.parametrize("width", ["40", "60", "100", "200"])
@pytest.mark.parametrize("form", [(), ("-v", "--accounts")])
def test_it_fits_and_has_no_colour_where_none_is_wanted(ready, width, form):
    ready.issue()
    for command in (("keys",), ("offboard", "--for", "alice", "--plan")):
        done = ready(*command, *form, COLUMNS=width, NO_COLOR="1")
        assert max(map(len, done.out.splitlines())) <= int(width)
        assert "\x1b" not in done.out


def test_the_json_has_every_field_and_the_same_bytes_twice(ready):
    ready.issue()
    done = ready("keys", "--accounts", "--json")
    assert done.document["format"] == "byok.keys/1"
    keys = {(key["account"], key["holder"]): key for key in done.document["keys"]}
    openai, mine = keys["openai", None], keys["openai", "alice"]
    assert openai["cursor"] == ["cursor/provider/openai"]
    assert openai["uses"] == [
        {"account": "openai", "refs": {"key": "sops://secrets/team.enc.yaml#/openai/key"}}
    ]
    assert openai["made_by"] == "provider"
    assert openai["due"] is True
    assert mine["delivered"] == {"key": f"sops://{OWN}#/openai/key"}
    assert mine["state"] == "live"
    assert set(keys["bedrock", None]["fingerprints"]) == {"access_key_id", "secret_access_key"}
    assert ready("keys", "--accounts", "--json").out == done.out


def test_reading_writes_nothing(ready):
    before = ready.bench.bytes(), [one.snapshot() for one in ready.here.simulators]
    count = [len(one.writes()) for one in ready.here.simulators]
    for command in (("keys", "--accounts"), ("offboard", "--for", "alice", "--here", "--plan")):
        assert ready(*command).code == 0
    assert (ready.bench.bytes(), [one.snapshot() for one in ready.here.simulators]) == before
    assert [len(one.writes()) for one in ready.here.simulators] == count


def test_a_key_that_cannot_be_had_is_a_row_and_the_rest_is_shown(ready):
    ready.bench.edit("#/anthropic/key", "#/anthropic/nothing")
    done = ready("keys")
    assert done.code == 4
    assert "the file has nothing at /anthropic/nothing" in done.out
    assert "in cursor/provider/openai" in done.out
    assert "anthropic" in done.err


@pytest.mark.parametrize(
    ("system", "accounts"),
    [("openai", {"openai"}), ("gateway", {"gateway"}), ("cursor", None)],
)
def test_one_system_only(ready, system, accounts):
    done = ready("keys", "--system", system, "--json")
    assert done.code == 0, done.err
    found = {key["account"] for key in done.document["keys"]}
    assert found == (accounts or {"openai", "anthropic", "google", "azure", "bedrock", "gateway"})
    if system == "cursor":
        assert {key["note"] for key in done.document["keys"]} <= {
            "not asked: see --system",
            *(key["note"] for key in done.document["keys"] if key["state"] == "waiting"),
        }


def test_off_line_and_without_colour(ready):
    done = ready("keys", "--offline")
    assert done.code == 0, done.err
    assert "not asked: off line" in done.out


def test_a_broken_manifest_and_an_unknown_system(ready):
    assert ready("keys", "--system", "nobody").code == 64
    ready.bench.edit("version: 1", "version: one")
    for command in (("keys",), ("offboard", "--plan")):
        assert ready(*command).code == 3
    assert ready.issue().code == 3


def test_issue_delivers_to_its_person_and_says_so(ready):
    done = ready.issue("--json")
    assert done.code == 0, done.err
    document = done.document
    assert document["format"] == "byok.issue/1"
    assert (document["person"], document["stage"], document["error"]) == ("alice", "done", None)
    assert document["refs"] == {"key": f"sops://{OWN}#/openai/key"}
    assert document["recipients"] == [ready.recipient]
    assert ready.live() == {ready.opened()}
    again = ready.issue()
    assert again.code == 8
    assert "--another" in again.err


def test_what_will_be_done_is_shown(ready):
    done = ready.issue()
    assert "a service account in project cursor-byok" in done.out
    assert ready.recipient in "".join(done.out.split())
    assert "alice's key of openai works" in done.out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--for", "alice", "--provider", "nobody"), 64, "name one of openai"),
        (("--for", "alice", "--provider", "anthropic"), 64, "make it by hand at"),
        (("--for", "alice", "--provider", "azure"), 64, "two key slots"),
        (("--for", "alice", "--provider", "openai", "--limit", "9"), 64, "limit the project"),
        (("--for", "alice", "--provider", "openai", "--to", "env://A"), 4, "belongs to whoever"),
        (("--for", "alice", "--provider", "openai"), 4, "nobody can tell for whom"),
        (("--for", "alice", "--provider", "openai", "--offline"), 64, "made and tried on line"),
        (("--for", "alice", "--provider", "openai", "--abandon"), 64, "nothing to give up"),
        (("--for", "", "--provider", "openai"), 64, "is no name"),
        (("--for", "a\x1b[31mb", "--provider", "openai"), 64, "is no name"),
        (("--for", "alice"), 64, "--provider"),
    ],
)
def test_what_is_refused_makes_nothing(ready, args, code, words):
    done = ready("issue", *args, "--yes")
    assert done.code == code, done.err
    assert words in " ".join(done.err.split())
    assert ready.live() == set()
    assert not (ready.folder / "secrets" / "people").exists()


def test_nobody_is_there_to_ask(ready):
    for command in (("issue", "--for", "a", "--provider", "openai"), ("offboard",)):
        done = ready(*command)
        assert done.code == 64
        assert "no terminal" in done.err
    assert ready.live() == set()


def test_two_people_two_files_two_keys(ready):
    ready.issue()
    done = ready.issue("--for", 'o\'brien, "x" $(y)')
    assert done.code == 0, done.err
    names = sorted(path.name for path in (ready.folder / "secrets" / "people").iterdir())
    assert names == ["alice.enc.yaml", "o-brien-x-y.enc.yaml"]
    assert len(ready.live()) == 2


def forms(secret: str) -> list[bytes]:
    import base64

    plain = secret.encode()
    return [plain, plain.hex().encode(), base64.b64encode(plain)[:-4], secret[::-1].encode()]


def leaks(data: bytes) -> bool:
    return any(form in data for form in forms(VALUE))


def test_an_issued_value_is_in_no_output_and_no_file(ready):
    ready.here.openai.value = lambda: VALUE
    runs = [
        ready.issue(),
        ready.issue("--json", "--another", "--to", "sops://secrets/b.enc.yaml#/openai/key"),
        ready("keys", "--accounts", "-v"),
        ready("keys", "--json"),
        ready("offboard", "--for", "alice", "--plan", "--json"),
        ready("offboard", "--for", "alice", "--yes", "-v"),
    ]
    for done in runs:
        assert done.code == 0, done.err
        assert not leaks((done.out + done.err).encode())
    for path in ready.bench.box.folder.rglob("*"):
        assert not path.is_file() or not leaks(path.read_bytes()), path


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only with /proc")
def test_an_issued_value_is_in_no_process_list(ready):
    ready.here.openai.value = lambda: VALUE
    said = ("--for", "alice", "--provider", "openai", "--recipient", ready.recipient)
    child = ready.start("issue", *said)
    looks = 0
    while child.poll() is None:
        for path in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    data = (path / name).read_bytes()
                except OSError:
                    continue
                assert not leaks(data), path
        looks += 1
    assert child.returncode == 0
    assert looks > 1
    assert ready.opened() == VALUE


def test_killed_at_growing_delays_until_it_comes_through(ready):
    said = ("--for", "alice", "--provider", "openai", "--recipient", ready.recipient)
    for step in range(14):
        child = ready.start("issue", *said)
        time.sleep(0.25 + step * 0.08)
        child.kill()
        child.wait()
        if (ready.folder / OWN).exists():
            break
    done = ready.issue()
    assert done.code in (0, 8), done.err  # 8: the last one that was killed had done it all
    assert ready.live() == {ready.opened()}
    assert [path.name for path in (ready.folder / OWN).parent.iterdir()] == ["alice.enc.yaml"]


@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after it"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_killed_by_the_account(ready, method, after):
    """While it makes a key, or revokes one: the next run leaves no key that nobody knows."""
    if method == "DELETE":
        assert ready.issue().code == 0
        args = ("offboard", "--for", "alice")
    else:
        said = ("--provider", "openai", "--recipient", ready.recipient)
        args = ("issue", "--for", "alice", *said)
    answer, done = ready.here.openai.answer, []

    def deadly(request: Request) -> Response:
        mine = request.method == method and "service_accounts" in request.path
        if done or not mine:
            return answer(request)
        done.append(request)
        response = answer(request) if after else Response(503)
        os.kill(child.pid, signal.SIGKILL)
        return response

    ready.here.openai.answer = deadly
    child = ready.start(*args)
    assert child.wait() == -signal.SIGKILL
    again = ready(*args, "--yes")
    assert again.code == 0, again.err
    assert ready.live() == ({ready.opened()} if method == "POST" else set())


def test_offboard_revokes_clears_and_says_what_is_left(ready):
    ready.issue()
    done = ready("offboard", "--for", "alice", "--here", "--yes")
    assert done.code == 0, done.err
    assert ready.live() == set()
    assert "1 of 1 key dead" in done.out
    assert f"{OWN}" in done.out
    assert "nobody else can: delete it" in done.out
    assert "cursorAuth/openAIKey" not in ready.bench.rows()
    again = ready("offboard", "--for", "alice", "--here", "--yes")
    assert again.code == 0
    assert "Nothing to revoke or to remove for alice." in again.out


def test_offboard_of_somebody_else_leaves_this_machine(ready):
    before = ready.bench.bytes()
    done = ready("offboard", "--for", "somebody-else", "--yes")
    assert done.code == 0, done.err
    assert "stays as it is" in done.out
    assert ready.bench.bytes() == before


def test_offboard_without_a_name_is_for_whoever_is_signed_in(ready):
    done = ready("offboard", "--plan", "--json", "--detailed-exitcode", LOGNAME="carol")
    assert done.code == 2, done.err
    assert (done.document["person"], done.document["here"]) == ("carol", True)
    assert done.document["remove"]
    assert getpass.getuser() != "carol"


def test_a_plan_says_by_its_exit_whether_there_is_anything(ready):
    ready.issue()
    args = ("offboard", "--for", "alice", "--plan")
    assert ready(*args).code == 0
    assert ready(*args, "--detailed-exitcode").code == 2
    nobody = ("offboard", "--for", "nobody", "--plan", "--detailed-exitcode")
    assert ready(*nobody).code == 0
    assert ready.live() != set()


def test_offboard_as_json(ready):
    ready.issue()
    done = ready("offboard", "--for", "alice", "--yes", "--json")
    assert done.code == 0, done.err
    document = done.document
    assert document["format"] == "byok.offboard/1"
    assert [key["fate"] for key in document["keys"]] == ["revoked"]
    assert document["recipients"] == [ready.recipient]
    files = {file["file"]: file for file in document["files"]}
    assert files[OWN]["own"] is True
    assert files["secrets/team.enc.yaml"]["theirs"] == []


def test_offboard_names_who_has_keys_where_the_name_is_not_known(ready):
    ready.issue()
    done = ready("offboard", "--for", "Alice", "--yes")
    assert done.code == 0
    assert "keys on record are for alice" in done.out


def test_an_account_that_is_down_is_no_success(ready):
    ready.issue()
    ready.here.openai.inject("503", path="*", times=500)
    done = ready("offboard", "--for", "alice", "--yes")
    assert done.code == 5
    assert "run it again" in done.out
    ready.here.openai.faults.clear()
    assert ready("offboard", "--for", "alice", "--yes").code == 0
    assert ready.live() == set()


def test_a_read_only_folder_makes_no_key(ready):
    if os.geteuid() == 0:
        pytest.skip("only as an ordinary user: root writes everywhere")
    folder = ready.folder / "secrets"
    folder.chmod(0o500)
    try:
        done = ready.issue()
    finally:
        folder.chmod(0o700)
    assert done.code == 4
    assert ready.live() == set()
