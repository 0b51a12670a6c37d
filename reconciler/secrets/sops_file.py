"""What a SOPS file says of itself before sops is run: recipients and encrypted scalars."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from reconciler.errors import SecretError, SecretProblem
from reconciler.secrets.document import MalformedError, Tree, parse
from reconciler.secrets.reference import tokens

LIMIT = 8 * 1024 * 1024
"""The most bytes a SOPS file may have."""

LOCAL = ("age", "pgp")
"""Kinds of recipients that reach no other machine."""

_ENTRY = {
    "age": "recipient",
    "pgp": "fp",
    "kms": "arn",
    "gcp_kms": "resource_id",
    "azure_kv": "vault_url",
    "hc_vault": "vault_address",
}
_HOST_MANDATORY = ("azure_kv", "hc_vault")
_FORMS = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_NOTHING = ("", "null", "~")
_URL = re.compile(
    r"(https?)://((?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?)(?:/[\w./-]*)?"
)
_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]+:(?:key|alias)/[\w:/.-]+")
_GCP = re.compile(r"projects/[\w:.-]+/locations/[\w-]+/keyRings/[\w-]+/cryptoKeys/[\w/-]+")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who may decrypt: kind, public name, and the host that sops would call (empty: none)."""

    kind: str
    name: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class SopsFile:
    """One encrypted file: its very bytes, ``yaml`` or ``json``, its tree and its recipients."""

    data: bytes
    form: str
    tree: Mapping[str, Tree]
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """What stands at a pointer that is no encrypted scalar: clear text, nothing, a map, a list."""

    text: str


def load(data: bytes, name: str, where: str) -> SopsFile:
    """Read a SOPS file's metadata and encrypted tree; decrypts nothing, runs nothing.

    YAML and JSON only. Metadata (``sops:``) as written by sops 3.x; anything that Go's parsers
    could read in another way (case variants, duplicates, merge keys) is refused.
    Raises SecretError: not decryptable (no SOPS file, syntax), refused (metadata of other form).
    """
    form = _FORMS.get(PurePath(name).suffix.lower())
    if form is None:
        what = "only .yaml, .yml and .json SOPS files are supported (no dotenv, ini, binary)"
        raise SecretError(SecretProblem.NOT_DECRYPTABLE, where, what, "convert it with sops")
    try:
        tree = parse(data, form)
    except MalformedError as error:
        raise SecretError(SecretProblem.NOT_DECRYPTABLE, where, str(error), "restore it") from None
    if any(key != "sops" and key.casefold() == "sops" for key in tree):
        raise _odd(where, "a top-level key that is almost 'sops'")
    metadata = tree.get("sops")
    if not isinstance(metadata, dict):
        what = "the file is not encrypted: it has no sops metadata"
        raise SecretError(
            SecretProblem.NOT_DECRYPTABLE, where, what, "encrypt it: sops encrypt --in-place"
        )
    return SopsFile(data, form, tree, tuple(_recipients(metadata, where)))


def permit(file: SopsFile, backends: Sequence[str], where: str) -> None:
    """Refuse recipients that would make sops call a machine the policy does not name.

    ``backends`` is ``policy.sops_backends``; an entry is ``KIND`` or ``KIND:HOST``:

    * ``kms``, ``gcp_kms``: AWS or Google Cloud in general; ``kms:kms.REGION.amazonaws.com``
      (``.com.cn`` in China) or ``gcp_kms:cloudkms.googleapis.com`` narrows it.
    * ``azure_kv:HOST``, ``hc_vault:HOST``: the host is mandatory, because the file names it and
      sops sends a token there. ``HOST`` stands for any port, ``HOST:PORT`` for one. The address
      must be https, or http to loopback.

    Raises SecretError (refused).
    """
    for recipient in file.recipients:
        if recipient.kind not in LOCAL and not _allowed(recipient, backends):
            entry = f"{recipient.kind}:{recipient.host}"
            what = f"its metadata would make sops call {recipient.host} ({recipient.kind})"
            way_out = f"if that is right, add {entry!r} to policy.sops_backends"
            raise SecretError(SecretProblem.REFUSED, where, what, way_out)


def local(file: SopsFile) -> bool:
    """Tell whether sops opens this file without calling another machine: age and PGP only."""
    return all(recipient.kind in LOCAL for recipient in file.recipients)


def scalar(file: SopsFile, pointer: str) -> str | Plain | None:
    """Return the ``ENC[…]`` text at a JSON pointer, a Plain for anything else, None if absent."""
    return _scalar(file.tree, pointer)


def encrypted_scalar(data: bytes, pointer: str) -> str | None:
    """Return the ``ENC[…]`` text at a JSON pointer of a YAML or JSON SOPS file's bytes.

    None when it is absent, in clear text, or the bytes are no such file. Decrypts nothing.
    """
    form = "json" if data.lstrip()[:1] == b"{" else "yaml"
    try:
        found = _scalar(parse(data, form), pointer)
    except MalformedError:
        return None
    return None if isinstance(found, Plain) else found


def _scalar(tree: Mapping[str, Tree], pointer: str) -> str | Plain | None:
    keys = tokens(pointer)
    node: Tree | None = None if keys[:1] == ("sops",) else dict(tree)
    for key in keys:
        node = _child(node, key)
    if node is None:
        return None
    if not isinstance(node, str):
        return Plain(f"there is a {'map' if isinstance(node, dict) else 'list'}, not one value")
    if not node:
        return Plain("the value is empty")
    if not re.fullmatch(r"ENC\[AES256_GCM,[^\]]*\]", node):
        return Plain("the value stands in the file in clear text")
    return node


def _child(node: Tree | None, key: str) -> Tree | None:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list) and re.fullmatch(r"0|[1-9][0-9]{0,5}", key):
        return node[int(key)] if int(key) < len(node) else None
    return None


def _recipients(metadata: Mapping[str, Tree], where: str) -> Iterator[Recipient]:
    for group in (metadata, *_groups(metadata, where)):
        for kind, entries in group.items():
            if kind == "key_groups" and group is metadata:
                continue
            yield from _entries(kind, entries, where)


def _groups(metadata: Mapping[str, Tree], where: str) -> Iterator[Mapping[str, Tree]]:
    for group in _maps(metadata.get("key_groups", ""), where):
        if any(kind not in _ENTRY for kind in group):
            raise _odd(where, "a key group with a kind of recipient that byok does not know")
        yield group


def _entries(kind: str, entries: Tree, where: str) -> Iterator[Recipient]:
    if not re.fullmatch(r"[a-z0-9_]+", kind):
        raise _odd(where, "a metadata key that sops does not write")
    if kind in _ENTRY:
        for entry in _maps(entries, where):
            yield _recipient(kind, entry, where)
    elif not isinstance(entries, str):
        raise _odd(where, f"recipients of a kind that byok does not know ({kind})")


def _maps(entries: Tree, where: str) -> Iterator[dict[str, Tree]]:
    if isinstance(entries, str) and entries in _NOTHING:
        return
    if not isinstance(entries, list):
        raise _odd(where, "a list of recipients of another form")
    for entry in entries:
        if not isinstance(entry, dict) or not all(re.fullmatch("[a-z0-9_]+", k) for k in entry):
            raise _odd(where, "a recipient of another form")
        yield entry


def _recipient(kind: str, entry: Mapping[str, Tree], where: str) -> Recipient:
    name = entry.get(_ENTRY[kind])
    if not isinstance(name, str) or not name.isprintable():
        raise _odd(where, f"a recipient of kind {kind} without {_ENTRY[kind]}")
    return Recipient(kind, name[:200], _host(kind, name, where))


def _host(kind: str, name: str, where: str) -> str:
    if kind in LOCAL:
        return ""
    if kind == "kms" and (match := _ARN.fullmatch(name)):
        end = "amazonaws.com.cn" if name.startswith("arn:aws-cn:") else "amazonaws.com"
        return f"kms.{match[1]}.{end}"
    if kind == "gcp_kms" and _GCP.fullmatch(name):
        return "cloudkms.googleapis.com"
    if kind in _HOST_MANDATORY and (match := _URL.fullmatch(name)):
        host = match[2].lower()
        if match[1] == "https" or _LOOPBACK.fullmatch(host):
            return host
    raise _odd(where, f"a {kind} recipient whose address is not https, or of a form byok trusts")


def _allowed(recipient: Recipient, backends: Sequence[str]) -> bool:
    kind, host = recipient.kind, recipient.host
    portless = re.sub(r":[0-9]+$", "", host)
    asked = {entry if ":" not in entry else entry.lower() for entry in backends}
    if kind not in _HOST_MANDATORY and kind in asked:
        return True
    return f"{kind}:{host}" in asked or f"{kind}:{portless}" in asked


def _odd(where: str, what: str) -> SecretError:
    text = f"the file's sops metadata has {what}"
    return SecretError(SecretProblem.REFUSED, where, text, "write the file anew with sops")
