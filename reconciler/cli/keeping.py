"""Writing a file that the command line names, whole or not at all, in the place of nothing else."""

from __future__ import annotations

import stat
from pathlib import Path
from tempfile import NamedTemporaryFile

from reconciler.errors import ByokError, UsageError


def refuse_place(out: Path) -> None:
    """Raise UsageError for what is there and is no ordinary file: a draft would take its place."""
    try:
        mode = out.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"--out {out}", "is no ordinary file", "name another, or use > instead")


def keep(path: Path, text: str, what: str) -> None:
    """Write a text, 0600. ``what`` it is goes into the message of the ByokError it raises."""
    draft = None
    try:
        with NamedTemporaryFile(
            "w", dir=path.parent, prefix=".byok-", delete=False, encoding="utf-8", newline="\n"
        ) as file:
            draft = Path(file.name)
            file.write(text)
        draft.replace(path)
        draft = None
    except OSError as error:
        told = f"{what} cannot be written ({error.strerror})"
        raise ByokError(str(path), told, "name another file") from None
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)
