"""What .sops.yaml wants a file to be encrypted for, read as sops reads it."""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reconciler.secrets.sops_file import LOCAL, Recipient

NAME: Final = ".sops.yaml"
LIMIT: Final = 1024 * 1024
UP: Final = 100
"""Folders that sops goes up to find its configuration (config.FindConfigFile, 3.11)."""

AGE: Final = re.compile(r"age1[0-9a-z]{6,}")
"""An age recipient, also a plugin's; SSH keys are none of these."""

_ODD: Final = re.compile(r"\[\[:|\\[pPQEzCG]|\(\?[^:isUm-]|\(\?P?[<=!]|\\[1-9]|[*+?}]\+")
"""What Go's RE2 and Python read differently, or only one of them knows."""

_OTHERS: Final = {
    "kms": "AWS KMS",
    "gcp_kms": "Google Cloud KMS",
    "azure_keyvault": "Azure Key Vault",
    "azure_kv": "Azure Key Vault",
    "hc_vault": "HashiCorp Vault",
    "hc_vault_transit_uri": "HashiCorp Vault",
    "aws_kms": "AWS KMS",
    "hckms": "Huawei KMS",
}


class UnreadableRules(Exception):
    """The configuration is none, or says what byok cannot judge; the text says which."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The recipients that the first rule for a file names; ``others`` are kinds not compared.

    ``narrow`` says that the rule has a ``path_regex``: one without is for every file. ``shared``
    says that several groups of recipients are needed together.
    """

    config: Path
    number: int
    age: frozenset[str]
    pgp: frozenset[str]
    others: tuple[str, ...]
    narrow: bool = True
    shared: bool = False

    @property
    def simple(self) -> bool:
        """Whether it names age recipients and nothing else: byok makes files for those."""
        more = self.pgp or self.others or self.shared
        return bool(self.age) and not more and all(map(AGE.fullmatch, self.age))


def configuration(file: Path) -> Path | None:
    """Return the nearest .sops.yaml at or above a file's folder."""
    for folder in [file.parent, *file.parent.parents][:UP]:
        if _plain(folder / NAME):
            return folder / NAME
    return None


def _plain(path: Path) -> bool:
    """Tell whether a path leads to a plain file: reading anything else may wait for ever."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def wish(config: Path, file: Path) -> Wish | None:
    """Return what the first creation rule that matches a file wants; None where none matches.

    ``path_regex`` is searched for in the path below the configuration's folder; a rule without
    one matches every file (config.LoadCreationRuleForFile, sops 3.11). Raises UnreadableRules.
    """
    path = file.relative_to(config.parent).as_posix()
    for number, rule in enumerate(_rules(config), 1):
        if _matches(rule.get("path_regex", ""), path):
            return _wish(config, number, rule)
    return None


def _rules(config: Path) -> list[Mapping[str, Any]]:
    import yaml

    try:
        with config.open("rb") as file:
            document = yaml.safe_load(file.read(LIMIT))
    except (OSError, yaml.YAMLError, RecursionError, ValueError):
        raise UnreadableRules("it is not readable as YAML") from None
    rules = document.get("creation_rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise UnreadableRules("it has no list of creation_rules")
    return rules


def _matches(pattern: Any, path: str) -> bool:
    if not isinstance(pattern, str):
        raise UnreadableRules("a path_regex is no text")
    if _ODD.search(pattern):
        raise UnreadableRules("a path_regex uses what only Go's regular expressions have")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return re.search(pattern, path) is not None
        except (re.error, FutureWarning, DeprecationWarning):
            raise UnreadableRules("a path_regex is no regular expression") from None


def _wish(config: Path, number: int, rule: Mapping[str, Any]) -> Wish:
    groups = rule.get("key_groups") or [rule]
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise UnreadableRules("its key_groups are no list of maps")
    if any("merge" in group for group in groups):
        raise UnreadableRules("its key groups are merged from others, which byok does not follow")
    age = {name for group in groups for name in _names(group.get("age"))}
    pgp = {fingerprint(name) for group in groups for name in _names(group.get("pgp"))}
    others = {_OTHERS[kind] for group in groups for kind in group if kind in _OTHERS}
    narrow = bool(rule.get("path_regex"))
    named = (frozenset(age), frozenset(pgp), tuple(sorted(others)))
    return Wish(config, number, *named, narrow, shared=len(groups) > 1)


def _names(given: Any) -> Iterator[str]:
    """Yield the recipients of one kind: a text with commas, or a list."""
    texts = given.split(",") if isinstance(given, str) else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UnreadableRules("its recipients are neither text nor a list")
    yield from (text.strip() for text in texts if text.strip())


def fingerprint(text: str) -> str:
    """Return a PGP fingerprint in one spelling."""
    return re.sub(r"\s", "", text).upper().removeprefix("0X")


def difference(wish: Wish, recipients: Iterable[Recipient]) -> tuple[list[str], list[str]]:
    """Return who is wanted and not in a file, and who is in it and not wanted: age and PGP only."""
    there = {"age": set[str](), "pgp": set[str]()}
    for one in recipients:
        if one.kind in LOCAL:
            there[one.kind].add(fingerprint(one.name) if one.kind == "pgp" else one.name)
    missing = [*sorted(wish.age - there["age"]), *_unlike(wish.pgp, there["pgp"])]
    beyond = [*sorted(there["age"] - wish.age), *_unlike(there["pgp"], wish.pgp)]
    return missing, beyond


def _unlike(ones: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the fingerprints that are not among others; a short one counts as its long form."""
    known = tuple(others)
    return sorted(a for a in ones if not any(a.endswith(b) or b.endswith(a) for b in known))
