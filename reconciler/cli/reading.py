"""The commands that only read: validate, plan, show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.keeping import keep, refuse_place
from reconciler.cli.output import Screen, line_of, working
from reconciler.codec import (
    MAX_PLAN_BYTES,
    diagnostic_to_json,
    dump_plan,
    load_plan,
)
from reconciler.errors import ManifestError, UsageError
from reconciler.model import Diagnostic, Plan, Severity

if TYPE_CHECKING:
    from reconciler.manifest.facts import Facts
    from reconciler.manifest.load import Loaded
    from reconciler.spec import Manifest

FORMATS = ("text", "json", "markdown", "html")
REMOVED = "removed with all that this team wrote"
"""Why a removal takes something away."""


def screen() -> Screen:
    """Return how this run prints."""
    return Screen(json=bool(options.given("json")), no_color=bool(options.given("no_color")))


@click.command()
@options.common
@click.option("--effective", is_flag=True, help="Print the merged manifest, with origins.")
@click.option(
    "--fact", multiple=True, metavar="NAME=VALUE", help="Decide conditions as though this were so."
)
def validate(*, effective: bool, fact: tuple[str, ...]) -> int:
    """Check the manifest: schema, references, lint. Off line, reads nothing else."""
    from reconciler.manifest import loaded
    from reconciler.manifest.lint import lint, silence

    try:
        whole = loaded(options.manifest_path(), options.overlays(), _facts(fact))
    except ManifestError as error:
        if not options.given("json"):
            raise
        return _invalid(error)
    if effective:
        return _effective(whole)
    manifest = whole.manifest
    found = silence(lint(manifest), manifest.policy.ignore)
    if options.given("json"):
        document = {
            "format": "byok.validate/1",
            "valid": True,
            "diagnostics": [diagnostic_to_json(finding) for finding in found],
        }
        screen().document(document)
    else:
        screen().lines([*_lines(found), _valid(manifest.file, found)])
        told_conditions(manifest)
    return 0


def _facts(given: tuple[str, ...]) -> Facts | None:
    """Return this machine's facts with others in their place; None where none are given."""
    from dataclasses import replace

    from reconciler.manifest.facts import SYSTEMS, machine

    if not given:
        return None
    pairs = dict(text.partition("=")[::2] for text in given)
    known = machine()
    for name, value in pairs.items():
        if name not in known.told() or not value:
            what = "is none of os=VALUE, host=VALUE, user=VALUE"
            raise UsageError(f"--fact {name[:80]}", what, "give it as os=windows")
    if pairs.get("os", known.os) not in (known.os, *SYSTEMS):
        what = f"is none of {', '.join(SYSTEMS)}"
        raise UsageError(f"--fact os={pairs['os'][:80]}", what, "conditions know no other")
    return replace(known, **pairs)


def _effective(whole: Loaded) -> int:
    from reconciler.manifest import effective

    if options.given("json"):
        screen().document(effective.document(whole))
    else:
        screen().result(effective.text(whole))
    return 0


def told_conditions(manifest: Manifest) -> None:
    """Say, where everything is shown, what conditions were judged by and what they left out."""
    from reconciler.render.values import clean

    if not (options.given("verbose") and manifest.facts):
        return
    facts = ", ".join(f"{name} {fact}" for name, fact in manifest.facts.items())
    screen().say(clean(f"note: conditions decided for {facts}"))
    for pointer, why in manifest.left_out.items():
        screen().say(clean(f"note: {manifest.where(pointer)}: {pointer} is left out here: {why}"))


def _invalid(error: ManifestError) -> int:
    screen().diagnostics(error.diagnostics)
    found = [diagnostic_to_json(finding) for finding in error.diagnostics]
    screen().document({"format": "byok.validate/1", "valid": False, "diagnostics": found})
    return error.exit_code


def _lines(found: tuple[Diagnostic, ...]) -> list[str]:
    shown = (
        found
        if options.given("verbose")
        else [finding for finding in found if finding.severity is not Severity.NOTE]
    )
    return [line_of(finding) for finding in shown]


def _valid(file: str, found: tuple[Diagnostic, ...]) -> str:
    warnings = sum(finding.severity is Severity.WARNING for finding in found)
    notes = len(found) - warnings
    return f"{file} is valid: {warnings} warnings, {notes} notes"


@click.command()
@options.common
@options.resolving
@options.lifting
@click.option("--out", type=click.Path(path_type=Path), help="Save the plan to this file.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when changes are pending.")
@click.option("--destroy", "removing", is_flag=True, help="Show what byok destroy would remove.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to print; text without.")
@click.option(
    "--probe",
    multiple=True,
    type=click.Choice(("generate", "cost")),
    help="Also what costs money: a real completion of each model; AWS Cost Explorer.",
)
def plan(
    *,
    out: Path | None,
    detailed_exitcode: bool,
    removing: bool,
    form: str | None,
    probe: tuple[str, ...],
) -> int:
    """Show what would change. Writes nothing."""
    from reconciler.cli.probing import agreed
    from reconciler.cli.run import run_options
    from reconciler.gate import refuse_unmatched
    from reconciler.session import reading
    from reconciler.survey import make_plan

    if removing and out is not None:
        raise UsageError("--destroy", "is no plan to save", "leave --out out; byok destroy asks")
    if out is not None:
        refuse_place(out)
    scope = options.scope()
    chosen = run_options(probes=agreed(probe))
    with reading(chosen) as session, working("reading"):
        planned = make_plan(session, scope, removing=removing)
    refuse_unmatched(planned)
    if out is not None:
        keep(out, dump_plan(planned.plan), "the plan")
    screen().result(rendered(planned.plan, form or _form(), REMOVED if removing else None))
    told_conditions(session.manifest)
    for failure in (*planned.failures, *planned.lost.values()):
        screen().say(f"byok: {failure}")
    obstacle = session.obstacle() if planned.plan.changes else None
    if obstacle is not None:
        screen().say(f"note: {obstacle.what}; apply would refuse, or wait with --wait SECONDS")
    if planned.exit_code:
        return planned.exit_code
    return 2 if detailed_exitcode and planned.plan.changes else 0


@click.command()
@options.common
@click.argument("file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to print; text without.")
def show(*, file: Path, form: str | None) -> int:
    """Render a saved plan, also a stale one."""
    screen().result(rendered(read_plan(file), form or _form()))
    return 0


def _form() -> str:
    return "json" if options.given("json") else "text"


def rendered(plan: Plan, form: str, removed: str | None = None) -> str:
    """Render a plan in one of the four formats; in text, ``removed`` says why things go."""
    if form == "json":
        return dump_plan(plan)
    if form == "markdown":
        from reconciler.render.markdown import render_markdown

        return render_markdown(plan)
    if form == "html":
        from reconciler.render.html import render_html

        return render_html(plan)
    from reconciler.render.text import render_text

    how = screen()
    return render_text(
        plan,
        width=how.width,
        color=how.color,
        unicode=how.unicode,
        detail=bool(options.given("verbose")),
        removed=removed,
    )


def read_plan(path: Path) -> Plan:
    """Read a saved plan; ``-`` is stdin. Raises UsageError when it is none."""
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(MAX_PLAN_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_PLAN_BYTES + 1)
    except OSError as error:
        raise UsageError(str(path), f"cannot be read ({error.strerror})", "name a plan") from None
    if len(data) > MAX_PLAN_BYTES:
        raise UsageError(str(path), "is larger than any plan", "name a file byok plan --out made")
    try:
        return load_plan(data.decode("utf-8"))
    except ValueError as error:
        what = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UsageError(
            str(path), f"is no saved plan: {what}", "name a file that byok plan --out made"
        ) from None
