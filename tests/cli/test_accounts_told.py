"""What the command line says of accounts that cannot be read as the manifest wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Bench, Result
from tests.simulators.server import Response
from tests.simulators.world import World, world

pytestmark = pytest.mark.timeout(240)
REDIRECT = "answers with a redirect to another address, and no key follows one"


@dataclass
class Desk:
    """A sandbox with simulated accounts, whose manifest can be edited."""

    here: World
    bench: Bench

    def __call__(self, *args: str, **extra: str) -> Result:
        secure = self.here.base.replace("http:", "https:")
        allowed = ("--allow-origin", self.here.base, "--allow-origin", secure)
        return self.bench(*args, *allowed, **extra)

    def edit(self, old: str, new: str) -> None:
        manifest = self.bench.box.manifest
        text = manifest.read_text()
        assert old in text
        manifest.write_text(text.replace(old, new, 1))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with world() as here:
        yield Desk(here, Bench(here.sandbox(tmp_path / "box")))


def test_an_admin_credential_that_is_missing_is_no_success(desk):
    """A CI job whose variable is not set must not look as though all were in sync."""
    desk.edit("sops://secrets/team.enc.yaml#/openai/admin", "env://NOT_SET_ANYWHERE")
    for command in (("plan",), ("apply", "--yes")):
        done = desk(*command, "--accounts", "--json")
        assert done.code == 4
        assert "env://NOT_SET_ANYWHERE" in done.err
        done_to = done.document["changes" if command == ("plan",) else "applied"]
        systems = {change["address"].partition("/")[0] for change in done_to}
        assert "openai" not in systems
        assert {"anthropic", "google", "azure", "bedrock", "gateway"} <= systems
    assert desk("plan").code == 0


def test_an_optional_provider_without_its_admin_credential_is_only_observed(desk):
    desk.edit(
        "admin_key: sops://secrets/team.enc.yaml#/openai/admin",
        "admin_key: env://NOT_SET_ANYWHERE\n    optional: true",
    )
    done = desk("plan", "--accounts")
    assert done.code == 0, done.err
    lines = [line for line in done.out.splitlines() if "openai/account/openai" in line]
    assert lines == [
        "  openai/account/openai  only observed: none of the references in admin_key exists here"
    ]


def test_a_sign_in_that_cannot_be_leaves_the_other_accounts_alone(desk):
    """azure-identity takes no authority over plain http, and says so by a bare ValueError."""
    for line in (
        "tenant: acme.onmicrosoft.com",
        "admin_key: sops://secrets/team.enc.yaml#/azure/admin",
    ):
        desk.edit(f"    {line}\n", "")
    desk.edit("client_id: 11111111-2222-3333-4444-555555555555", "credentials: default")
    done = desk("plan", "--accounts", "--json")
    assert done.code == 5
    assert "Microsoft Entra ID: is not asked for a token over plain http" in done.err
    assert {change["address"].partition("/")[0] for change in done.document["changes"]} > {
        "bedrock"
    }


def test_an_apply_with_nothing_to_do_repeats_no_budgets(desk):
    assert desk("apply", "--accounts", "--yes").code == 0
    done = desk("apply", "--accounts", "--yes")
    assert done.out.startswith("Nothing to change. 25 resources match the manifest.")
    assert "/budget/" not in done.out + done.err


def test_an_account_that_is_nowhere_is_told_once(desk):
    desk.edit("account: acme-openai", "account: nobody-openai")
    done = desk("plan", "--accounts")
    assert done.out.count("not judged") == 1
    assert "azure/network/*, deployment/*  not judged" in done.out


def test_a_redirect_is_told_as_one_and_once(desk):
    desk.here.openai.inject("redirect", times=99)
    done = desk("plan", "--accounts", "--json")
    found = [d for d in done.document["diagnostics"] if d["code"] == "BYOK136"]
    assert [(d["path"], d["message"]) for d in found] == [
        ("/providers/openai/key", f"OpenAI {REDIRECT}"),
        ("/providers/openai/admin_key", f"OpenAI's administration {REDIRECT}"),
    ]
    assert {change["address"].partition("/")[0] for change in done.document["changes"]} > {"azure"}


def test_a_dead_admin_key_is_no_finding_beside_the_account_it_leaves_out(desk):
    dead = Response(401, {"error": {"type": "authentication_error", "message": "no"}})
    desk.here.anthropic.inject("answer", path="*/organizations*", times=99, response=dead)
    done = desk("plan", "--accounts", "--json")
    assert done.code == 5
    assert not [d for d in done.document["diagnostics"] if d["code"] == "BYOK131"]
    lost = [
        o for o in done.document["observations"] if o["address"] == "anthropic/account/anthropic"
    ]
    assert [o["text"].partition(":")[0] for o in lost] == ["not judged"]


def test_the_probe_counts_what_it_sends(desk):
    done = desk("plan", "--probe", "generate", "--yes")
    assert "one to each of 3 models and one to Azure, at most " in done.err
    assert done.err.endswith("by list price, and 1 whose price is not known\n")
    sent = {
        one.prefix: [r.path for r in one.log if "ompletions" in r.path or "generate" in r.path]
        for one in desk.here.simulators
    }
    assert len(sent["azure"]) == 1
    named = desk("plan", "--probe", "generate", "--yes", "--system", "openai")
    assert "one to 1 model, at most " in named.err


def test_what_is_asked_for_and_left_out_is_told_at_the_end(desk):
    assert desk("apply", "--accounts", "--yes").code == 0
    done = desk("apply", "--accounts", "--offline", "--yes")
    assert "match the manifest. Off line: no account was looked at." in done.out
    done = desk("apply", "--system", "cursor", "--target", "cursor/model/o1", "--yes")
    assert done.out.startswith("Nothing to change. 1 resource matches the manifest.")
    assert (
        "cursor-team: in sync (nothing there is judged)" in desk.bench("status", "--accounts").out
    )
