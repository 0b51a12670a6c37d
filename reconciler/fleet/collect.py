"""Reads all results, and puts what tells of one machine together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from reconciler.fleet.documents import OwnReport, read
from reconciler.fleet.files import NOTHING, Found, Identity, documents
from reconciler.fleet.host import Host, Unread, joined


@dataclass(frozen=True, slots=True)
class Collected:
    """All machines, what could not be read, reports of ours, and which files the rest are."""

    hosts: tuple[Host, ...]
    unread: tuple[Unread, ...]
    reports: tuple[str, ...]
    identities: frozenset[Identity]

    @property
    def anything(self) -> bool:
        """Whether there was a file at all, a good one or a bad one."""
        return bool(self.hosts) or any(one.why not in NOTHING for one in self.unread)


def collect(paths: Sequence[Path], stream: BinaryIO) -> Collected:
    """Read files, folders and, for ``-``, a stream of JSON lines; a bad one hides no other.

    Where two files tell the same of one machine, the first by name counts.
    """
    hosts: dict[str, Host] = {}
    unread: list[Unread] = []
    reports: list[str] = []
    identities: set[Identity] = set()
    for found in documents(paths, stream):
        try:
            _take(found, hosts)
        except OwnReport:
            reports.append(found.name)
            continue
        except ValueError as error:
            unread.append(Unread(found.name, str(error)))
        if found.identity is not None:
            identities.add(found.identity)
    return Collected(tuple(hosts.values()), tuple(unread), tuple(reports), frozenset(identities))


def _take(found: Found, hosts: dict[str, Host]) -> None:
    if found.problem:
        raise ValueError(found.problem)
    host = replace(read(found.name, found.data, found.host), written=found.written)
    known = hosts.get(host.name)
    if known is None:
        hosts[host.name] = host
        return
    try:
        hosts[host.name] = joined(known, host)
    except ValueError as error:
        raise ValueError(f"{error}, beside {known.files[0]}; left out") from None
