"""The commands that print what other programs read: schema, completion."""

from __future__ import annotations

import json

import click

from reconciler.cli import options
from reconciler.cli.reading import screen


@click.command()
@options.common
@click.argument("name", type=click.Choice(("manifest", "layer", "plan")), default="manifest")
def schema(*, name: str) -> int:
    """Print the JSON schema of the manifest, of one of its layers, or of a saved plan."""
    from reconciler import schemas

    found = schemas.layer() if name == "layer" else schemas.bundle(name)
    screen().result(json.dumps(found, indent=2, ensure_ascii=False))
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
