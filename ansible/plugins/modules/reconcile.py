#!/usr/bin/python
# Copyright (c) the byok authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: reconcile
short_description: Reconcile Cursor's own keys, models and endpoints with a manifest
version_added: 0.1.0
description:
  - Runs C(byok plan) in check mode and C(byok apply --yes) otherwise, on the target, as the user whose Cursor it is.
  - Secrets are resolved on the target. No value of a key is in the result, the diff or a message; fingerprints and references are.
  - Provider accounts are never touched. They are written from one place, not from a fleet.
options:
  manifest:
    description: The manifest's path on the target.
    type: path
    required: true
  overlays:
    description: Paths of overlays on the target, the later ones over the earlier ones.
    type: list
    elements: path
    default: []
  state:
    description:
      - V(present) makes Cursor as the manifest says.
      - V(absent) removes everything that this team's manifest wrote.
    type: str
    choices: [present, absent]
    default: present
  on_running:
    description:
      - What to do when Cursor runs, when nobody can tell whether it runs, or when another byok is writing.
      - V(fail) fails. V(skip) changes nothing and says why in RV(why). V(wait) waits O(wait) seconds and then fails.
    type: str
    choices: [fail, skip, wait]
    default: fail
  on_missing:
    description: What to do when this user has no Cursor, or never started it.
    type: str
    choices: [fail, skip]
    default: fail
  wait:
    description: Seconds to wait for Cursor to quit, with O(on_running=wait).
    type: int
    default: 300
  max_changes_percent:
    description:
      - Fail, and change nothing, when more than this share of what is managed here already would be updated or deleted.
      - What is new does not count. Not looked at with O(state=absent).
    type: float
  expected_changes:
    description: Fail, and change nothing, when there are more changes than this. Not looked at with O(state=absent).
    type: int
  allow_many:
    description: Lift byok's own rule of 30 percent once.
    type: bool
    default: false
  allow_irreversible:
    description: Allow irreversible steps once.
    type: bool
    default: false
  allow_origin:
    description: Origins (https://host) to approve for the keys that the manifest declares with them.
    type: list
    elements: str
    default: []
  take_over:
    description: Take over what another team's manifest holds.
    type: bool
    default: false
  collect:
    description:
      - Documents to ask for afterwards and to put into RV(result). They are asked for off line.
      - Not with O(state=absent).
    type: list
    elements: str
    choices: [status, doctor, keys]
    default: []
  collect_on_failure:
    description: Documents to ask for when the run failed.
    type: list
    elements: str
    choices: [status, doctor, keys]
    default: []
  host:
    description: The name of this host in RV(result). The machine's own name without it.
    type: str
  version:
    description: The version of byok for RV(result), where M(byok.cursor.info) told it already. Byok is asked for it without this.
    type: str
extends_documentation_fragment:
  - byok.cursor.common
notes:
  - Run it as the user whose Cursor it is, with O(ignore:become_user) where the login is another one.
  - "Windows is not a target: use C(byok service install) by Group Policy or Intune there."
attributes:
  check_mode:
    support: full
    description: Runs C(byok plan), which writes nothing to Cursor.
  diff_mode:
    support: full
    description: Values before and after. Of a key its fingerprint on both sides, and its reference.
author:
  - The byok authors (@byok)
"""

EXAMPLES = r"""
- name: Make Cursor as the manifest says
  byok.cursor.reconcile:
    manifest: ~/.local/share/byok/fleet/manifest/byok.yaml
    on_running: skip
  become: true
  become_user: ann

- name: See what would change, and never more than a fifth of it
  byok.cursor.reconcile:
    manifest: /srv/byok/byok.yaml
    overlays: [/srv/byok/linux.yaml]
    max_changes_percent: 20
  check_mode: true
  diff: true
"""

RETURN = r"""
outcome:
  description: What became of it. One of in_sync, pending (check mode), changed, skipped, failed.
  type: str
  returned: always
why:
  description: Why it was skipped, failed, or could not be applied now. Empty otherwise.
  type: str
  returned: always
exit:
  description: The exit code of byok.
  type: int
  returned: always
changes:
  description: How many changes the plan has (create, update, delete, total), and percent of what was managed here.
  type: dict
  returned: when there is a plan
over:
  description: In what way the plan changes more than expected. Empty when it does not.
  type: str
  returned: when there is a plan
plan:
  description: The document byok.plan/1.
  type: dict
  returned: in check mode, and where a threshold is given
apply:
  description: The document byok.apply/1.
  type: dict
  returned: when something was applied
error:
  description: The document byok.error/1.
  type: dict
  returned: when byok gave one
diff:
  description: Values before and after, as text. Of a key its fingerprint and its reference.
  type: dict
  returned: in diff mode
result:
  description: The document byok.host/1, which C(byok fleet report) reads.
  type: dict
  returned: always
"""

import os
import platform
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.byok.cursor.plugins.module_utils import (
    asking,
    byok,
    documents,
    surroundings,
)

QUESTIONS = sorted(asking.QUESTIONS)


class Run:
    """One reconciliation: how byok is called, and what it said."""

    def __init__(self, params, check):
        self.params, self.check = params, check
        self.name = "plan" if check else "apply"
        self.removing = params["state"] == "absent"
        self.program = self.env = None
        self.plan = self.answer = None
        self.notes = []

    def prepare(self):
        """Find byok and what it needs. Raises byok.Failure."""
        self.env = asking.environment(self.params)
        self.program = byok.find(self.params["executable"], self.env.get("PATH", ""))
        asking.check_manifest(self.params)

    def ask(self, *words, expected="byok.apply/1", lifting=True, wait=0):
        """Run one command of byok."""
        command = [self.program, *list(words), *asking.common_words(self.params)]
        command += self.lifted() if lifting else []
        answer = byok.call(command, self.env, self.params["timeout"] + wait, (expected,))
        self.notes += answer.notes
        return answer

    def lifted(self):
        """Return the flags that lift a safety rule once."""
        names = ("allow_many", "allow_irreversible", "take_over", "allow_exec")
        words = ["--" + name.replace("_", "-") for name in names if self.params[name]]
        for origin in self.params["allow_origin"]:
            words += ["--allow-origin", origin]
        return words

    def planned(self, *words):
        """Plan; keep the document."""
        if self.removing:
            words += ("--destroy",)
        self.answer = self.ask("plan", *words, expected="byok.plan/1")
        if self.answer.error is None:
            self.plan = self.answer.document
        return self.answer

    def apply(self):
        """Apply, or remove: exactly what was judged, where a threshold is given."""
        if self.removing:
            self.write("destroy", "--yes")
        elif not self.limited():
            self.write("apply", "--yes")
        else:
            folder = tempfile.mkdtemp(prefix="byok-")
            try:
                saved = os.path.join(folder, "plan.json")
                self.planned("--out", saved)
                if self.plan is not None and not self.over():
                    self.write("apply", saved)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def write(self, *words):
        """Run a command that writes; it waits for Cursor where the play says so."""
        wait = self.params["wait"] if self.params["on_running"] == "wait" else 0
        words += ("--wait", str(wait)) if wait else ()
        self.answer = None  # the plan's is not this command's
        self.answer = self.ask(*words, wait=wait)

    def limited(self):
        """Tell whether there is a threshold."""
        return (
            self.params["max_changes_percent"] is not None
            or self.params["expected_changes"] is not None
        )

    def over(self):
        """Say in what way there are more changes than expected."""
        if self.plan is None or self.removing:
            return ""
        return documents.over(
            documents.tally(self.plan),
            self.params["max_changes_percent"],
            self.params["expected_changes"],
        )

    def outcome(self):
        """Return (outcome, why)."""
        if not self.check and self.over():
            return "failed", (
                "{}: {}; see the plan, then raise the threshold or mend the manifest".format(
                    self.params["manifest"], self.over()
                )
            )
        return documents.judge(
            self.answer, self.name, self.params["on_running"], self.params["on_missing"]
        )

    def applied(self):
        """Return the byok.apply/1 document, or None."""
        document = self.answer.document if self.answer else {}
        return document if document.get("format") == "byok.apply/1" else None


def main():
    os.environ["HOME"] = surroundings.home(os.environ)
    module = AnsibleModule(
        argument_spec=dict(
            asking.COMMON,
            manifest={"type": "path", "required": True},
            state={"type": "str", "choices": ["present", "absent"], "default": "present"},
            on_running={"type": "str", "choices": ["fail", "skip", "wait"], "default": "fail"},
            on_missing={"type": "str", "choices": ["fail", "skip"], "default": "fail"},
            wait={"type": "int", "default": 300},
            max_changes_percent={"type": "float"},
            expected_changes={"type": "int"},
            allow_many={"type": "bool", "default": False},
            allow_irreversible={"type": "bool", "default": False},
            allow_origin={"type": "list", "elements": "str", "default": []},
            take_over={"type": "bool", "default": False},
            collect={
                "type": "list",
                "elements": "str",
                "choices": QUESTIONS,
                "default": [],
                "no_log": False,
            },
            collect_on_failure={
                "type": "list",
                "elements": "str",
                "choices": QUESTIONS,
                "default": [],
                "no_log": False,
            },
            host={"type": "str"},
            version={"type": "str"},
        ),
        supports_check_mode=True,
    )
    surroundings.unmask(module, module.params["environment"])
    run = Run(module.params, module.check_mode)
    try:
        run.prepare()
        run.planned() if run.check else run.apply()
        outcome, why = run.outcome()
    except byok.Failure as failure:
        outcome, why = "failed", str(failure)
    finish(module, run, outcome, why)


def finish(module, run, outcome, why):
    """Tell Ansible, and end."""
    applied, plan = run.applied(), run.plan
    changed = bool(applied and applied.get("changed")) or outcome == "pending"
    changes = applied.get("applied") or () if applied else (plan or {}).get("changes", ())
    told = {
        "changed": changed,
        "outcome": outcome,
        "why": why,
        "exit": run.answer.code if run.answer else 1,
        "plan": plan,
        "apply": applied,
        "error": run.answer.error if run.answer else None,
    }
    if module._diff:
        told["diff"] = documents.diff(changes if applied or outcome == "pending" else ())
    if run.plan is not None:
        told.update(changes=documents.tally(plan), over=run.over())
    told["result"] = document(run, told, module.params)
    surroundings.warn(module, [note for note in run.notes if not why or why not in note])
    if outcome == "failed":
        module.fail_json(msg=why, **told)
    module.exit_json(**told)


def document(run, told, params):
    """Return the byok.host/1 document, with what was asked for beside."""
    # what was taken back differs from its manifest, and is no drift
    names = [] if run.removing else params["collect"]
    names = params["collect_on_failure"] if told["outcome"] == "failed" else names
    found, number = {}, None
    if run.program and told["outcome"] != "skipped":
        number = params["version"] or byok.version(run.program, run.env)
        if os.path.isfile(params["manifest"]) and number:
            found, failures = asking.ask(run.program, params, run.env, names)
            run.notes += failures
    return documents.host_document(
        host=params["host"] or platform.node(),
        user=surroundings.user(),
        byok=number,
        cursor=surroundings.cursor_version(),
        run=run.name,
        **dict(
            found,
            **{name: told[name] for name in ("outcome", "why", "exit", "plan", "apply", "error")},
        ),
    )


if __name__ == "__main__":
    main()
