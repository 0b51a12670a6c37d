"""The command that writes a first manifest: from this machine's Cursor, or from a few answers."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.output import working
from reconciler.cli.reading import screen
from reconciler.errors import ByokError, SecretError, UsageError
from reconciler.spec import PROVIDERS

if TYPE_CHECKING:
    from reconciler.adoption.adopt import Adopted
    from reconciler.adoption.fresh import Answers, Begun
    from reconciler.adoption.stores import Store

NAMED = 12
"""So many of what was left out are shown; --verbose shows all."""


@click.command()
@options.common
@click.option("--from-cursor", is_flag=True, help="Adopt what this machine's Cursor holds.")
@click.option("--secrets", metavar="STORE", help="Where keys live: sops[:FILE], keyring or env.")
@click.option("--recipient", multiple=True, metavar="AGE", help="Whom a new SOPS file is for.")
@click.option("--team", metavar="NAME", help="The owner of what the manifest manages.")
@click.option("--provider", multiple=True, type=click.Choice(PROVIDERS), help="One to begin with.")
@click.option(
    "--preset", multiple=True, metavar="NAME[=URL]", help="An endpoint; list shows all there are."
)
def init(
    *,
    from_cursor: bool,
    secrets: str | None,
    recipient: tuple[str, ...],
    team: str | None,
    provider: tuple[str, ...],
    preset: tuple[str, ...],
) -> int:
    """Write a commented manifest: of what Cursor holds, or of a few answers."""
    if "list" in preset:
        return _presets()
    if options.overlays():
        raise UsageError("--overlay", "init writes one file", "leave it out, then layer it")
    from reconciler.adoption import recipients

    to = tuple(recipients.given(each) for each in recipient)
    if from_cursor:
        if provider or preset:
            raise UsageError(
                "--from-cursor", "takes what Cursor holds", "leave --provider and --preset out"
            )
        return _adopt(_store(secrets), _named(team or "local"), to)
    return _begin(_answers(secrets, team, provider, preset), to)


def _named(team: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", team):
        raise UsageError("--team", "is no name", "use letters, digits, dots, dashes, underscores")
    return team


def _asking() -> bool:
    """Tell whether somebody is there to be asked."""
    return not options.given("yes") and sys.stdin.isatty()


def _ask(question: str, default: str, choice: click.Choice[str] | None = None) -> str:
    answer: str = click.prompt(question, default=default, type=choice, err=True)
    return answer


def _store(secrets: str | None) -> Store:
    from reconciler.adoption import stores

    if secrets is None and _asking():
        secrets = _ask("Where do keys live?", "sops", click.Choice(stores.KINDS))
    if secrets is None:
        raise UsageError(
            "--secrets",
            "is missing, and there is no terminal to ask on",
            "give --secrets sops:FILE, --secrets keyring or --secrets env",
        )
    return stores.read(secrets)


def _answers(
    secrets: str | None, team: str | None, provider: tuple[str, ...], preset: tuple[str, ...]
) -> Answers:
    from reconciler.adoption.fresh import ASKED, Answers, endpoint

    details: dict[str, dict[str, str]] = {}
    if not (provider or preset):
        if not _asking():
            raise UsageError(
                "byok init",
                "asks, and there is no terminal to ask on",
                "give --from-cursor, or --provider and --preset, with --secrets",
            )
        team = team or _ask("Team", "local")
        provider = _words("Providers", "openai", PROVIDERS)
        for name in provider:
            asked = ASKED.get(name, ())
            details[name] = {part: _ask(f"{name} {part}", example) for part, example in asked}
        preset = _endpoints()
    chosen = tuple(endpoint(text) for text in preset)
    return Answers(_named(team or "local"), _store(secrets), provider, chosen, details)


def _words(question: str, default: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Ask for names, until all of them are known; a dash stands for none."""
    while True:
        text = _ask(f"{question} ({', '.join(known)}; - for none)", default)
        words = tuple(dict.fromkeys(text.replace(",", " ").split()))
        strange = [word for word in words if word not in (*known, "-")]
        if not strange:
            return tuple(word for word in words if word != "-")
        screen().say(f"byok: there is no {', '.join(strange)[:60]}")


def _endpoints() -> tuple[str, ...]:
    from reconciler.adoption import presets

    names = _words("Endpoints", "-", tuple(presets.everything()))
    found = {name: presets.named(name) for name in names}
    return tuple(
        name if one.base_url else f"{name}={_ask(f'{one.title}: base URL', one.example or '')}"
        for name, one in found.items()
    )


def _begin(answers: Answers, to: tuple[str, ...]) -> int:
    from reconciler.adoption.fresh import begin
    from reconciler.cli.run import run_options

    chosen = run_options()
    begun = begin(chosen.manifest, answers, to, chosen.env)
    if options.given("json"):
        screen().document(
            {
                "format": "byok.init/1",
                "manifest": str(begun.manifest),
                "written": [str(path) for path in begun.written],
                "references": list(begun.draft.references()),
                "left_out": [],
                "proved": None,
                "traps": _traps(answers),
            }
        )
        return 0
    screen().lines(_told(begun, answers))
    return 0


def _told(begun: Begun, answers: Answers) -> list[str]:
    lines = [f"{path} is written" for path in begun.written]
    if begun.source:
        lines.append(f"keys are encrypted for {begun.source}")
    lines += [f"mind: {trap}" for trap in _traps(answers)]
    return [*lines, "", *_next(begun, answers.store)]


def _traps(answers: Answers) -> list[str]:
    """Return the known traps of the chosen endpoints, those of all endpoints last."""
    from reconciler.adoption import presets

    own = [f"{preset.title}: {t.says}" for preset, _ in answers.endpoints for t in preset.traps]
    return [*own, *(trap.says for trap in presets.everywhere())] if own else []


def _next(begun: Begun, store: Store) -> list[str]:
    """Say how keys get to where the manifest says that they live."""
    references = begun.draft.references()
    match store.kind:
        case "sops":
            names = sorted({text.rpartition("#/")[2].replace("/", ".") for text in references})
            lines = [
                f"Next: put the keys in: sops edit {begun.manifest.parent / store.file}",
                f"  as {', '.join(names)}" if names else "",
            ]
        case "keyring":
            users = [text.removeprefix("keyring://byok/") for text in references]
            lines = ["Next: put the keys in:", *(f"  keyring set byok {user}" for user in users)]
        case _:
            names = [text.removeprefix("env://") for text in references]
            lines = [f"Next: set {', '.join(names)}"]
    return [*lines, "Then: byok validate, byok plan"]


def _adopt(store: Store, team: str, to: tuple[str, ...]) -> int:
    from reconciler.adoption.adopt import adopt
    from reconciler.cli.run import run_options

    with working("reading Cursor"):
        done = adopt(run_options(), store, team, to)
    if options.given("json"):
        screen().document(_document(done))
    else:
        screen().lines(_shown(done))
    for error in _errors(done):
        screen().say(f"byok: {error}")
    return _code(done)


def _document(done: Adopted) -> dict[str, Any]:
    return {
        "format": "byok.init/1",
        "manifest": str(done.manifest),
        "written": [str(path) for path in done.written],
        "references": list(done.draft.references()),
        "left_out": [{"what": each.what, "why": each.why} for each in done.left],
        "proved": done.proof.proved,
        "differs": list(done.proof.differs),
        "not_judged": list(done.proof.open),
        "variables": list(done.proof.variables),
    }


def _shown(done: Adopted) -> list[str]:
    draft = done.draft
    counts = [
        f"{count} {name if count > 1 else name[:-1]}"
        for name in ("providers", "endpoints", "models")
        if (count := len(draft.section(name)))
    ]
    lines = [f"{path} is written" for path in done.written]
    lines.append(f"from Cursor: {', '.join(counts) or 'nothing that a manifest can say'}")
    lines += [f"encrypted for {done.source}"] if done.source else []
    lines += [f"key in its store: {ref}" for ref in done.moved]
    most = len(done.left) if options.given("verbose") else NAMED
    lines += [f"left out: {each}" for each in done.left[:most]]
    if len(done.left) > most:
        lines.append(f"left out: {len(done.left) - most} more; {done.manifest} lists them")
    return [*lines, *_proof(done)]


def _proof(done: Adopted) -> list[str]:
    proof = done.proof
    lines = [f"not judged: {each}" for each in proof.open]
    if proof.variables:
        names = ", ".join(proof.variables)
        lines.append(f"set these to the keys that Cursor holds, then run byok plan: {names}")
    match proof.proved:
        case True:
            lines.append(f"plan shows no changes: {proof.in_sync} in sync")
        case None:
            lines.append("plan shows no changes so far; not all of it could be judged")
        case False:
            lines += ["plan shows changes:", *(f"  {each}" for each in proof.differs)]
    return lines


def _errors(done: Adopted) -> list[str]:
    found = []
    if done.locked:
        found.append("a key that Cursor holds cannot be read; unlock the keyring and init anew")
    if done.proof.proved is False:
        found.append(f"{done.manifest}: what was written does not plan to no changes; see above")
    return found


def _code(done: Adopted) -> int:
    if done.locked:
        return SecretError.exit_code
    return ByokError.exit_code if done.proof.proved is False else 0


def _presets() -> int:
    from reconciler.adoption import presets

    if options.given("json"):
        screen().document(presets.document())
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("preset", "base URL", "key in"):
        table.add_column(title, overflow="fold")
    for one in presets.everything().values():
        key = one.key_env or ("a key" if one.keyed else "none")
        table.add_row(one.name, one.base_url or "yours", key if one.keyed else "none")
    how = screen()
    Console(width=how.width, no_color=not how.color, highlight=False).print(table)
    if options.given("verbose"):
        known = presets.everything().values()
        how.lines(
            f"{one.title}: {trap.says} ({trap.source})" for one in known for trap in one.traps
        )
    return 0
