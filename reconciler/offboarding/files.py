"""Which SOPS files a person can open, what stands in them, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import SecretError
from reconciler.secrets import sops_file, sops_rules
from reconciler.secrets.inside import locate, read_inside
from reconciler.secrets.reference import Scheme, parse, split_sops
from reconciler.session import Session
from reconciler.spec import ADMIN_KEYS, CURSOR_TEAM, Manifest


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One SOPS file: its recipients, and which of them are the person's.

    ``own``: nobody but the person opens it, and nothing of the team's stands in it. ``rule`` names
    the rule of .sops.yaml that still has one of theirs. ``rotate`` are the accounts whose key
    stands in it; ``by_hand`` says what else does. ``error`` is why it cannot be looked at.
    """

    name: str
    recipients: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    own: bool = False
    rule: str = ""
    rotate: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    error: SecretError | None = None

    @property
    def command(self) -> str:
        """Return what takes the person out, once .sops.yaml does not name them any more."""
        return f"sops updatekeys {self.name}"


@dataclass(frozen=True, slots=True)
class _Item:
    """What stands at one place of a SOPS file: an account's key, or something said in words."""

    pointer: str
    account: str = ""
    words: str = ""


def open_files(session: Session, person: str, theirs: Collection[str]) -> tuple[OpenFile, ...]:
    """Return the SOPS files of the manifest, and of keys that byok delivered; decrypts nothing."""
    found: dict[str, list[_Item]] = {}
    for ref, account, words in (*_declared(session.manifest), *_delivered(session, person)):
        parsed = parse(ref)
        if parsed.scheme is Scheme.SOPS:
            name, pointer = split_sops(parsed.locator)
            found.setdefault(name, []).append(_Item(pointer, account, words))
    home = session.manifest.home
    return tuple(_looked(home(name), name, items, theirs) for name, items in found.items())


def _declared(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield each reference of the manifest, with the account whose key it is, or what else."""
    for provider in manifest.providers.values():
        for refs in provider.secrets.values():
            yield from ((ref, provider.name, "") for ref in refs)
        yield from _admin(provider.name, provider.account)
    for endpoint in manifest.endpoints.values():
        yield from ((ref, endpoint.name, "") for ref in endpoint.key)
        yield from _admin(endpoint.name, endpoint.account)
    yield from _admin(CURSOR_TEAM, manifest.cursor_team)
    yield from ((ref, "", "the key of the fingerprints") for ref in manifest.policy.fingerprint_key)


def _admin(name: str, account: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    for field in ADMIN_KEYS:
        refs = account.get(field)
        if isinstance(refs, tuple | list):
            yield from ((str(ref), "", f"the admin credential of {name}") for ref in refs)


def _delivered(session: Session, person: str) -> Iterator[tuple[str, str, str]]:
    for key in session.ledger.keys.keys(session.owner):
        for ref in key.refs.values() if key.holder else ():
            words = "" if key.holder == person else f"{key.holder}'s key of {key.system}"
            yield ref, "", words if not key.retired else ""


def _looked(
    home: tuple[Path, str], name: str, items: list[_Item], theirs: Collection[str]
) -> OpenFile:
    (folder, inner), where = home, f"sops://{name}"
    try:
        real = locate(folder, inner, where)
        data = read_inside(folder, real, where, limit=sops_file.LIMIT, private=False)
        file = sops_file.load(data, real.name, where)
    except SecretError as error:
        return OpenFile(name, error=error)
    there = [item for item in items if sops_file.scalar(file, item.pointer) is not None]
    rotate = tuple(dict.fromkeys(item.account for item in there if item.account))
    by_hand = tuple(dict.fromkeys(item.words for item in there if item.words))
    mine = tuple(each.name for each in file.recipients if each.name in theirs)
    return OpenFile(
        name,
        recipients=tuple(f"{each.kind} {each.name}" for each in file.recipients),
        theirs=mine,
        own=len(mine) == len(file.recipients) and not rotate and not by_hand,
        rule=_rule(real, theirs),
        rotate=rotate,
        by_hand=by_hand,
    )


def _rule(real: Path, theirs: Collection[str]) -> str:
    config = sops_rules.configuration(real)
    if config is None:
        return ""
    try:
        wish = sops_rules.wish(config, real)
    except sops_rules.UnreadableRules:
        return f"{config.name}, which byok cannot read"
    named = wish is not None and not wish.age.isdisjoint(theirs)
    return f"rule {wish.number} of {config.name}" if wish is not None and named else ""
