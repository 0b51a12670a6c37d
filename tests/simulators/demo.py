"""The story of Cursor and six accounts: ``python -m tests.simulators.demo DIR [--serve]``."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from reconciler.errors import ByokError
from reconciler.sandbox import Sandbox
from tests.simulators.deadly import asks, kill_at
from tests.simulators.world import World, world

NOTHING: Callable[[World], None] = lambda _world: None  # noqa: E731


def _in_the_consoles(here: World) -> None:
    """Do what people do by hand: a lower limit, a smaller deployment."""
    project = here.openai.project("cursor-byok")
    here.openai.limit(project, 10_000)
    here.azure.deployments["gpt-4o-prod"]["sku"]["capacity"] = 5


def _a_month_passes(here: World) -> None:
    here.bill(datetime.now(UTC).date())


def _a_key_of_the_project(here: World) -> None:
    here.openai.make_key(here.openai.project("cursor-byok"), "team", here.openai.key)


def _dies(_here: World) -> None:
    """Mark the step whose process OpenAI kills as soon as it has made the new key."""


def _a_key_revoked(here: World) -> None:
    next(iter(here.anthropic.keys.values()))["status"] = "inactive"


STORY: tuple[tuple[str, Callable[[World], None], str, int], ...] = (
    ("Nobody approved these addresses for the keys yet, so no key is sent there.", NOTHING,
     "plan --system cursor --system openai", 0),
    ("What would change, in Cursor and in six accounts?", NOTHING,
     "plan --accounts {allowed}", 0),
    ("Make it so: project, limits, alerts, deployment, budgets. Each is read back.", NOTHING,
     "apply --accounts --yes {allowed}", 0),
    ("Twice equals once.", NOTHING, "plan --accounts --detailed-exitcode", 0),
    ("Somebody lowers OpenAI's hard limit and shrinks Azure's deployment, in the consoles.",
     _in_the_consoles, "plan --accounts", 0),
    ("A hard limit is not raised again without being told to.", NOTHING,
     "apply --accounts --yes", 8),
    ("So tell it.", NOTHING, "apply --accounts --yes --allow-irreversible", 0),
    ("What did this month cost, and does it keep to the budgets?", _a_month_passes, "cost", 0),
    ("The same for CI: 2 where a budget has reached 90%.", NOTHING,
     "cost --system openai --system azure --fail-over 90%", 2),
    ("What would one session cost, and with which model least?", NOTHING,
     "cost estimate --session in=20k,out=5k,cache=100k", 0),
    ("Every key by fingerprint: where it is, from where, how old.", _a_key_of_the_project,
     "keys --accounts", 0),
    ("A new key for OpenAI, and kill -9 just when OpenAI has made it: nobody saw that key.", _dies,
     "rotate openai --grace 0 --yes", -signal.SIGKILL),
    ("Run it again: that key is revoked, another made, stored, placed and proved.", NOTHING,
     "rotate openai --yes", 0),
    ("New keys for Azure and AWS: the idle slot, the second access key.", NOTHING,
     "rotate azure bedrock --grace 0 --yes --allow-irreversible", 0),
    ("A key of her own for Ann, sealed for her alone.", NOTHING,
     "issue --for ann --provider gateway --limit 20 --recipient {recipient} --yes", 0),
    ("Ann leaves: what is to be revoked, taken out and rotated, as one plan.", NOTHING,
     "offboard --for ann --yes", 0),
    ("One key lives in every place, and Cursor is as the manifest says.", NOTHING,
     "plan --detailed-exitcode", 0),
    ("Somebody revokes the Anthropic key. Every plan sees it, with the ordinary keys.",
     _a_key_revoked, "plan", 0),
    ("The doctor looks at everything, and names the cause and the fix.", NOTHING, "doctor", 2),
    ("How does all of it stand?", NOTHING, "status --accounts", 0),
)  # fmt: skip


def _recipient(box: Sandbox) -> str:
    return (box.manifest.parent / ".sops.yaml").read_text().split()[-1]


def tell(folder: Path, *, serve: bool) -> int:
    """Tell the story in a new folder; 0 when every step ended as it should."""
    if folder.exists():
        if not (folder / "env.sh").is_file():
            raise ByokError(str(folder), "is not a sandbox", "name a folder that can be made anew")
        shutil.rmtree(folder)
    with world() as here:
        box = here.sandbox(folder)
        env = {**os.environ, **box.environment}
        if sys.stdout.isatty():
            env["FORCE_COLOR"] = "1"
        origins = (here.base, here.base.replace("http:", "https:"))
        allowed = " ".join(f"--allow-origin {origin}" for origin in origins)
        print(f"# Simulators of the accounts answer at {here.base}", flush=True)
        for sentence, happens, command, expected in STORY:
            happens(here)
            line = command.format(allowed=allowed, recipient=_recipient(box))
            print(f"\n# {sentence}\n$ byok {line}", flush=True)
            argv = [sys.executable, "-m", "reconciler", *line.split()]
            child = subprocess.Popen(argv, cwd=box.manifest.parent, env=env)
            if happens is _dies:
                kill_at(here.openai, child.pid, asks("/service_accounts"), after=True)
            code = child.wait()
            if code != expected:
                print(f"byok {line} ended with {code}, not {expected}", file=sys.stderr)
                return 1
        if serve:
            print(
                f"\nTry it: . {shlex.quote(str(box.folder / 'env.sh'))}; Ctrl-C ends the accounts"
            )
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    sys.exit(tell(Path(names[0] if names else "sandbox-accounts"), serve="--serve" in sys.argv))
