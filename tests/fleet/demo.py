"""The story of a fleet: ``python -m tests.fleet.demo DIR [--hosts N] [--programs DIR]``."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.fleet import mishaps, private
from tests.fleet.ground import Ground, link, made
from tests.fleet.people import by_hand

KNOWN = "cursor_byok_max_fail_percentage=40"
DRIFTED = (5, 6, 9)
BAD = {
    "switched off": (mishaps.unreachable, 13),
    "without an age key": (mishaps.without_age_key, 14),
    "without sops": (mishaps.without_sops, 15),
    "a read-only disk": (mishaps.read_only, 17),
    "an old Python": (mishaps.old_python, 18),
}
RUNNING = 19


def tell(folder: Path, hosts: int, programs: Path, *, local: bool) -> int:
    """Tell the story; leave results and report in ``folder``; 0 when all was as it should be."""
    reason = "as was asked for" if local else private.why_not()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"# {hosts} machines: {_rig(reason)}", flush=True)
    with ExitStack() as stack:
        ground = stack.enter_context(made(hosts, remote=not reason, programs=programs))
        story = Story(ground)
        try:
            story.tell(stack)
        finally:
            _keep(ground, folder)
    print("\n".join(f"wrong: {what}" for what in story.wrong), file=sys.stderr)
    return 1 if story.wrong else 0


def _rig(reason: str) -> str:
    if not reason:
        return "separate users with homes of their own, over real sshd on this machine"
    return f"homes of one user, by local connections, and not ssh users: {reason}"


class Story:
    """One telling: it collects what went otherwise than told."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.wrong: list[str] = []

    def tell(self, stack: ExitStack) -> None:
        ground = self.ground
        for what, (make, number) in BAD.items():
            if what == "a read-only disk" and not ground.remote and os.geteuid() == 0:
                continue  # modes do not stop root
            make(ground, ground.person(number))
        stack.enter_context(mishaps.cursor_running(ground, ground.person(RUNNING)))
        link(ground.person(2), None)
        self.say("What would change, and where? Nothing is written. Some machines have a trouble.")
        self.play("plan", trouble=True)
        self.report()
        self.say("The canaries first. The second has no byok yet: the role installs it.")
        self.play("apply", "--limit", "canary")
        self.say("Then everybody: one, a tenth, all. We know of those: up to 40 % may fail.")
        self.play("apply", "-e", KNOWN, trouble=True)
        self.report(section="Troubles")
        self.say("Twice equals once: changed=0 everywhere.")
        again = self.play("apply", "-e", KNOWN, trouble=True)
        if changed := [host for host, count in again.items() if count["changed"]]:
            self.wrong.append(f"changed twice: {changed}")
        self.say(
            "Somebody merges a manifest that changes a third of everything: the canary stops it."
        )
        kept = self.base.read_text()
        self.base.write_text(too_much(kept))
        stopped = self.play("apply", trouble=True)
        if changed := [host for host, count in stopped.items() if count["changed"]]:
            self.wrong.append(f"not stopped: {changed}")
        print(self.ground.result(self.ground.person(1))["why"])
        self.base.write_text(kept)
        self.say("On three machines somebody switches OpenAI off, on two of them o1 back on.")
        for number in DRIFTED:
            by_hand(ground.person(number), openai=False, model_on="o1" if number % 2 else "")
        self.say("The nightly plan finds them.")
        self.play("plan", trouble=True)
        self.report()
        self.say("Repair them, and only them.")
        self.play("apply", "--limit", ",".join(ground.person(n).host for n in DRIFTED))
        self.say("How does the fleet stand, and where is which key?")
        self.report()
        self.report("--out", "report.html")

    @property
    def base(self) -> Path:
        return self.ground.ops / "manifests/base.yaml"

    def say(self, sentence: str) -> None:
        print(f"\n# {sentence}", flush=True)

    def play(self, name: str, *words: str, trouble: bool = False) -> dict[str, dict[str, int]]:
        """Run a playbook, print what it came to, and return Ansible's counts by host."""
        print(f"$ ansible-playbook byok.cursor.{name} {' '.join(words)}".rstrip(), flush=True)
        started = time.monotonic()
        done = self.ground.play(name, *words, capture_output=True)
        found = recap(done.stdout)
        if not found:
            raise SystemExit(f"ansible-playbook did not get through:\n{done.stdout}{done.stderr}")
        print(f"{in_words(found)} ({time.monotonic() - started:.0f} s)", flush=True)
        if bool(done.returncode) is not trouble:
            self.wrong.append(f"{name} ended with {done.returncode}")
            print(f"{done.stdout}{done.stderr}", file=sys.stderr)
        return found

    def report(self, *words: str, section: str = "") -> None:
        """Print the report, or one section of it."""
        argv = ["fleet", "report", "results", *words]
        some = f" | sed -n '/^{section}/,/^$/p'" if section else ""
        print(f"$ byok {' '.join(argv)}{some}", flush=True)
        byok = [sys.executable, "-m", "reconciler", *argv]
        pipe = subprocess.PIPE if section else None
        done = subprocess.run(byok, cwd=self.ground.ops, check=False, stdout=pipe, text=True)
        if section:
            found = re.search(rf"^{section}\n(?:.+\n)+", done.stdout, re.MULTILINE)
            print(found[0] if found else done.stdout, flush=True)
        if done.returncode:
            self.wrong.append(f"the report ended with {done.returncode}")


def too_much(manifest: str) -> str:
    """Turn three of base.yaml's seven things over: o1, gpt-4o, the composer's model."""
    turned = {
        "o1: { provider: openai, enabled: false }": "o1: { provider: openai }",
        "gpt-4o: { provider: openai }": "gpt-4o: { provider: openai, enabled: false }",
        ", default_for: [composer] }": " }",
    }
    for old, new in turned.items():
        if old not in manifest:
            raise SystemExit(f"base.yaml no longer says {old!r}; see too_much")
        manifest = manifest.replace(old, new)
    return manifest


def recap(output: str) -> dict[str, dict[str, int]]:
    """Return Ansible's own summary: host -> what is counted -> how often."""
    lines = output.partition("PLAY RECAP")[2].splitlines()[1:]
    rows = (re.match(r"(\S+)\s+: (.*)", line) for line in lines)
    return {
        row[1]: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", row[2])}
        for row in rows
        if row
    }


def in_words(found: Mapping[str, Mapping[str, int]]) -> str:
    """Say what a play came to in a line."""
    changed = sum(bool(count["changed"]) for count in found.values())
    parts = [f"{len(found)} hosts, changed={changed}"]
    for what in ("failed", "unreachable"):
        hosts = ", ".join(host for host, count in found.items() if count[what])
        parts += [f"{what}: {hosts}"] if hosts else []
    return "; ".join(parts)


def _keep(ground: Ground, folder: Path) -> None:
    """Copy what is worth a look to the folder that was asked for."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    if ground.results.is_dir():
        shutil.copytree(ground.results, folder / "results")
    if (ground.ops / "report.html").is_file():
        shutil.copy(ground.ops / "report.html", folder)
        print(f"# Open {folder / 'report.html'} in a browser; {folder / 'results'} has the rest.")


if __name__ == "__main__":
    given = argparse.ArgumentParser()
    given.add_argument("folder", type=Path)
    given.add_argument("--hosts", type=int, default=20)
    given.add_argument("--programs", type=Path, default=Path(sys.executable).parent)
    given.add_argument("--local", action="store_true", help="local connections in any case")
    asked = given.parse_args()
    sys.exit(
        tell(asked.folder.absolute(), asked.hosts, asked.programs.absolute(), local=asked.local)
    )
