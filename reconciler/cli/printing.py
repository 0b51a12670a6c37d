"""The commands that print what other programs read: schema, completion."""

from __future__ import annotations

import json

import click

from reconciler.cli import options
from reconciler.cli.reading import screen


@click.command()
@options.common
@click.argument("name", type=click.Choice(("manifest", "plan")), default="manifest")
def schema(*, name: str) -> int:
    """Print the JSON schema of the manifest, or of a saved plan."""
    from reconciler import schemas

    screen().result(json.dumps(schemas.bundle(name), indent=2, ensure_ascii=False))
    return 0


@click.command()
@options.common
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(*, shell: str) -> int:
    """Print a completion script: eval "$(byok completion bash)"."""
    from click.shell_completion import get_completion_class

    from reconciler.cli import cli

    found = get_completion_class(shell)
    if found is not None:
        screen().result(found(cli, {}, "byok", "_BYOK_COMPLETE").source())
    return 0
