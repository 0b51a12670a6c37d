"""Secrets in files beside the manifest: ``file://PATH``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.secrets.inside import locate, read_inside
from reconciler.secrets.value import LIMIT, from_bytes, one_line, usable

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.secrets.secret import Secret


def read(folder: Path, name: str, where: str) -> Secret:
    """Return a file's text without its last newline.

    The file must be regular, inside the folder, readable by its owner alone, at most 64 KiB.
    Raises SecretError: no such item, refused, unusable value.
    """
    real = locate(folder, name, where)
    data = read_inside(folder, real, where, limit=LIMIT, private=True)
    return usable(one_line(from_bytes(data)), where)
