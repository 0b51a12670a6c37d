"""From a command line to the options of a run."""

from __future__ import annotations

from reconciler.cli import options
from reconciler.errors import UsageError
from reconciler.origins import origin
from reconciler.session import Options


def run_options(
    *, wait: float = 0.0, interactive: bool = False, probes: frozenset[str] = frozenset()
) -> Options:
    """Gather what the command line asks of a run."""
    given = options.given
    return Options(
        manifest=options.manifest_path(),
        overlays=options.overlays(),
        cursor_dir=given("cursor_dir"),
        state_dir=given("state_dir"),
        wait=wait,
        interactive=interactive,
        allow_many=bool(given("allow_many")),
        allow_irreversible=bool(given("allow_irreversible")),
        allow_exec=bool(given("allow_exec")),
        allow_origins=tuple(_origin(url) for url in given("allow_origin", ())),
        take_over=bool(given("take_over")),
        offline=options.offline(),
        observe=options.observing(),
        probes=probes,
    )


def _origin(url: str) -> str:
    try:
        return origin(url)
    except ValueError:
        raise UsageError(
            "--allow-origin", "is not an absolute URL", "give it as https://host"
        ) from None
