"""References of files, from where they were written to how the manifest's folder sees them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final

from reconciler.manifest.document import Document
from reconciler.manifest.pointer import escape
from reconciler.manifest.syntax import fault
from reconciler.model import Diagnostic
from reconciler.spec import ADMIN_KEYS, Homes

KEYS: Final = (
    "key",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "fingerprint_key",
    *ADMIN_KEYS,
)
"""The fields that hold references, of a provider, an endpoint, the team's account, the policy."""

_OUT: Final = "this leads out of the folder of the file that says it"
_WAY_OUT: Final = "keep the secret in that folder, or name it in a layer that lies beside it"


@dataclass(slots=True)
class Moving:
    """The references of all layers on their way to one folder; lives as long as they are read."""

    folder: Path
    faults: list[Diagnostic] = field(default_factory=list)
    _homes: dict[str, tuple[Path, str]] = field(default_factory=dict)

    def move(self, data: Mapping[str, Any], document: Document, folder: Path) -> dict[str, Any]:
        """Return a layer's data with its references as the manifest's folder sees them.

        What leads out of the layer's own folder is a fault: nobody may borrow what another
        layer may name.
        """
        moved = dict(data)
        for section in ("providers", "endpoints"):
            if entries := data.get(section):
                moved[section] = {
                    name: self._entry(entry, f"/{section}/{escape(name)}", document, folder)
                    for name, entry in entries.items()
                }
        for section in ("cursor_team", "policy"):
            if entry := data.get(section):
                moved[section] = self._entry(entry, f"/{section}", document, folder)
        return moved

    def homes(self) -> Homes:
        """Return the names that are not of the manifest's own folder."""
        return {name: home for name, home in self._homes.items() if home != (self.folder, name)}

    def _entry(self, entry: Any, pointer: str, document: Document, folder: Path) -> Any:
        if not isinstance(entry, dict):
            return entry
        return {
            part: self._each(value, f"{pointer}/{part}", document, folder)
            if part in KEYS
            else value
            for part, value in entry.items()
        }

    def _each(self, value: Any, pointer: str, document: Document, folder: Path) -> Any:
        if isinstance(value, list):
            return [
                self._each(each, f"{pointer}/{at}", document, folder)
                for at, each in enumerate(value)
            ]
        if not isinstance(value, str):
            return value
        plain = value.removeprefix("ref+")
        scheme, _, rest = plain.partition("://")
        if scheme not in ("sops", "file"):
            return value
        name, mark, inside = rest.partition("#/") if scheme == "sops" else (rest, "", "")
        try:
            seen = self._seen(name, folder)
        except ValueError as error:
            place = document.where(pointer)
            self.faults.append(fault("BYOK009", str(error), _WAY_OUT, place, pointer))
            return value
        return f"{value[: len(value) - len(plain)]}{scheme}://{seen}{mark}{inside}"

    def _seen(self, name: str, folder: Path) -> str:
        """Return a file's name as the manifest's folder sees it. Raises ValueError, in words."""
        plain = PurePath(name).as_posix()  # on Windows a backslash is a slash
        if _absolute(plain):
            if not _inside(plain, folder):
                raise ValueError(_OUT)
            self._note(name, folder, name)
            return name
        inner = posixpath.normpath(plain)
        if inner.split("/")[0] == "..":
            raise ValueError(_OUT)
        if folder == self.folder:
            self._note(name, folder, name)
            return name
        try:
            seen = Path(os.path.relpath(folder / inner, self.folder)).as_posix()
        except ValueError:  # Windows, from one drive to another
            what = "this file lies on another drive than the manifest, which cannot name it"
            raise ValueError(what) from None
        self._note(seen, folder, inner)
        return seen

    def _note(self, seen: str, folder: Path, inner: str) -> None:
        """Remember where a file must stay; of two folders the inner one, which allows less."""
        known = self._homes.get(seen)
        if known is None or folder.is_relative_to(known[0]):
            self._homes[seen] = (folder, inner)


def _absolute(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or bool(
        PureWindowsPath(name).drive and os.name == "nt"
    )


def _inside(name: str, folder: Path) -> bool:
    """Tell whether a file really lies in a folder, so that no two apart can both name it."""
    try:
        return Path(name).resolve().is_relative_to(folder)
    except (OSError, RuntimeError):
        return False
