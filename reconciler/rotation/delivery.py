"""Where a person's key goes: what keeps it from there, whom a new file is for, is it there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from reconciler.entries import Rotation
from reconciler.errors import SafetyStop, SecretError, SecretProblem as Problem, UsageError
from reconciler.rotation.desk import Desk, equal
from reconciler.rotation.given import PART
from reconciler.secrets import sops, sops_new, sops_rules
from reconciler.secrets.inside import locate
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import Reference, Scheme, parse, pointer_to, split_sops
from reconciler.secrets.store import ELSEWHERE, unwritable
from reconciler.session import Session
from reconciler.systems.account import Values

PEOPLE = "secrets/people"


@dataclass(frozen=True, slots=True)
class Whom:
    """The recipients of a new file, and where they are from, in words."""

    recipients: tuple[str, ...]
    source: str


def places(person: str, system: str, names: Collection[str], to: str) -> Mapping[str, str]:
    """Return where each part of a person's key goes, ``to`` or the person's own SOPS file.

    Raises UsageError for what is no reference, or one for several parts.
    """
    if not to:
        file = f"{PEOPLE}/{_file(person)}.enc.yaml"
        return {name: f"sops://{file}#{pointer_to((system, name))}" for name in names}
    if len(names) > 1 and PART not in to:
        what, parts = "this key has several parts", ", ".join(sorted(names))
        raise UsageError("--to", what, f"put {{}} where {parts} are to stand")
    try:
        return {name: parse(to.replace(PART, name)).text for name in names}
    except SecretError as error:
        raise UsageError("--to", error.what, error.way_out) from None


def _file(person: str) -> str:
    """Return a person's name as a file's."""
    plain = re.sub(r"[^\w.@+-]+", "-", person).strip(".-")
    if not plain:
        raise UsageError("--for", "this name makes no file name", "say where the key goes: --to")
    return plain


def recipient(text: str) -> str:
    """Return an age recipient from the command line. Raises UsageError for what is none."""
    if sops_rules.AGE.fullmatch(text):
        return text
    raise UsageError("--recipient", "is no age recipient", "give the public part: age1…")


def new_file(rotation: Rotation, folder: Path) -> str:
    """Return the name of the SOPS file that is to be made, or was; empty where a store is there."""
    names = {split_sops(ref.locator)[0] for ref in _sops(rotation)}
    if len(names) > 1:
        raise UsageError("--to", "names more than one file", "keep one key in one file")
    name = next(iter(names), "")
    fresh = name and (rotation.digest or not sops_new.there(folder, name))
    return name if fresh else ""


def _sops(rotation: Rotation) -> list[Reference]:
    found = (parse(ref) for ref in rotation.refs.values())
    return [ref for ref in found if ref.scheme is Scheme.SOPS]


def whom(session: Session, rotation: Rotation, name: str) -> Whom:
    """Return whom a person's new file is for: those that were named, else its own rule's.

    A rule for every file cannot be the person's. Raises SecretError where nobody is named.
    """
    if rotation.recipients:
        return Whom(rotation.recipients, "--recipient")
    where = f"sops://{name}"
    real = locate(session.manifest.folder, name, where)
    wish = _rule(real, where)
    if wish is None or not wish.narrow or not wish.age:
        what = f"nobody can tell for whom to encrypt {rotation.holder}'s new file"
        way_out = "give --recipient age1…, or a rule with path_regex for it in .sops.yaml"
        raise SecretError(Problem.REFUSED, where, what, way_out)
    if not wish.simple:
        what = f"rule {wish.number} of {wish.config.name} names more than age recipients"
        way_out = f"make the file yourself (sops edit {name}), or give --recipient age1…"
        raise SecretError(Problem.REFUSED, where, what, way_out)
    source = f"rule {wish.number} of {wish.config.name}"
    return Whom(tuple(sorted(wish.age)), source)


def _rule(real: Path, where: str) -> sops_rules.Wish | None:
    config = sops_rules.configuration(real)
    if config is None:
        return None
    try:
        return sops_rules.wish(config, real)
    except sops_rules.UnreadableRules as error:
        way_out = "mend it, or give --recipient age1…"
        raise SecretError(Problem.REFUSED, where, f"{config.name}: {error}", way_out) from None


def refuse_undeliverable(desk: Desk, rotation: Rotation) -> None:
    """Raise what would keep a key from its place, before one is made; writes nothing.

    SecretError where nothing can be written there, SafetyStop where another value stands there.
    """
    session = desk.session
    name = new_file(rotation, session.manifest.folder)
    if name:
        _refuse_unmakeable(session, rotation, name)
        return
    for ref in rotation.refs.values():
        why = unwritable(ref, session.manifest.folder, session.manifest.homes)
        if why:
            raise SecretError(Problem.REFUSED, ref, why.removeprefix(f"{ref}: "), ELSEWHERE)
    _refuse_locked(session, rotation)
    if desk.stored(rotation):
        where = ", ".join(rotation.refs.values())
        what = "holds a value already, and byok does not replace it"
        raise SafetyStop(where, what, "name another --to, or take it away")


def _refuse_unmakeable(session: Session, rotation: Rotation, name: str) -> None:
    sops.binary()
    whom(session, rotation, name)
    where = f"sops://{name}"
    if not name.lower().endswith((".yaml", ".yml", ".json")):
        what = "is no name of a SOPS file that byok reads"
        raise SecretError(Problem.REFUSED, where, what, "end it with .yaml or .json")
    why = unwritable(f"file://{name}", session.manifest.folder, session.manifest.homes)
    if why:
        what = why.partition(": ")[2]
        raise SecretError(Problem.REFUSED, where, what, "make its folder writable")


def _refuse_locked(session: Session, rotation: Rotation) -> None:
    """Raise SecretError for a SOPS file that cannot be decrypted here, and so not be added to."""
    for name in {split_sops(ref.locator)[0] for ref in _sops(rotation)}:
        reader = _reader(session)
        found = {each.name for each in reader.sealed(name).recipients if each.kind == "age"}
        missing = [each for each in rotation.recipients if each not in found]
        if missing:
            what = f"is not encrypted for {', '.join(missing)}"
            way_out = f"add it to .sops.yaml, then sops updatekeys {name}; or name another --to"
            raise SecretError(Problem.REFUSED, f"sops://{name}", what, way_out)
        try:
            reader.unlock(name)
        except SecretError as error:
            if error.kind is not Problem.NOT_DECRYPTABLE:
                raise
            way_out = "name a new file with --to, or have your recipient added (sops updatekeys)"
            raise SecretError(error.kind, error.where, error.what, way_out) from None


def _reader(session: Session) -> Reader:
    policy = session.manifest.policy
    return Reader(
        folder=session.manifest.folder,
        snapshot=_no_copy,
        sops_backends=policy.sops_backends,
        homes=session.manifest.homes,
    )


def _no_copy(number: str) -> NoReturn:
    where = f"snapshot://{number}"
    raise SecretError(Problem.REFUSED, where, "copies of replaced keys are no store")


def is_there(desk: Desk, rotation: Rotation) -> bool:
    """Tell whether a person's key is in its place already; one in a new file by its digest."""
    folder = desk.session.manifest.folder
    name = new_file(rotation, folder)
    if name:
        return rotation.digest != "" and sops_new.there(folder, name) == rotation.digest
    new = desk.copies(rotation, "new")
    try:
        return bool(new) and equal(desk.stored(rotation), new)
    except SecretError as error:
        if error.kind is not Problem.NOT_DECRYPTABLE:  # else nothing was put in from here
            raise
        return False


def pointers(rotation: Rotation, new: Values) -> Values:
    """Return a key's parts by where they stand in the file."""
    return {split_sops(parse(ref).locator)[1]: new[name] for name, ref in rotation.refs.items()}
